/* test_overload.c - more clients, descriptors and bytes than there is room for: who is refused, how, and who is not. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "support/pressure.h"

enum { FILES = 600, CLIENTS = 1500 };

static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/* Those that ask at once; that are slow to ask; that close their side behind their request. */
static void every_client_is_answered_in_full(void **state)
{
	static struct wire *wires[CLIENTS];
	unsigned served = 0, refused = 0;
	struct daemon *daemon;
	struct wire *wire;
	double until;

	(void)state;
	program_limit_files(FILES);
	daemon = daemon_start("rmsd", NULL, NULL);
	program_limit_files(0);
	for (unsigned i = 0; i < CLIENTS; i++) {
		wires[i] = wire_open(daemon_public(daemon));
		if (i % 3 != 1)
			wire_push(wires[i], request, sizeof(request) - 1);
		if (i % 3 == 2)
			wire_shut(wires[i]);
		if (i == CLIENTS / 2)
			pressure_expect_rmsctl(daemon);
	}
	pressure_expect_rmsctl(daemon);
	/* Whether the server has closed by now, or not. */
	for (unsigned i = 1; i < CLIENTS; i += 3)
		wire_push(wires[i], request, sizeof(request) - 1);
	for (unsigned i = 0; i < CLIENTS; i++) {
		struct reply *reply = wire_reply(wires[i]);

		if (reply->status == 200) {
			assert_string_equal(reply->body, DAEMON_TEXT);
			served++;
			continue;
		}
		reply_expect(reply, 503, NULL);
		reply_expect_field(reply, "Retry-After", "1");
		assert_true(reply->body_len > 0);
		refused++;
	}
	assert_true(served >= 100 && refused >= 100);
	assert_true(daemon_metric(daemon, "rmsd_requests_shed_total", NULL) == refused);
	assert_true(daemon_metric(daemon, "process_open_fds", NULL) < FILES);
	pressure_expect_idle(daemon, 2000);
	for (unsigned i = 0; i < CLIENTS; i++)
		wire_close(wires[i]);
	until = wire_clock_ms() + 1000 * pressure_slack();
	for (bool well = false; !well;) {
		assert_true(wire_clock_ms() < until);
		wire = wire_open(daemon_public(daemon));
		wire_put(wire, request);
		well = wire_reply(wire)->status == 200;
		wire_close(wire);
	}
	daemon_stop(daemon);
}

static bool is_served(struct wire *wire)
{
	struct reply *reply;

	wire_push(wire, request, sizeof(request) - 1);
	reply = wire_reply(wire);
	if (reply->status != 200)
		reply_expect_field(reply, "Retry-After", "1");
	return reply->status == 200;
}

static struct wire *open_from(const char *address, const char *source)
{
	struct wire *wire = NULL;

	assert_int_equal(wire_try(address, source, &wire), 0);
	return wire;
}

static void an_address_has_as_many_connections_as_it_may_and_no_more(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, "max_connections_per_ip=4", NULL);
	struct wire *wires[4], *other = open_from(daemon_public(daemon), "127.0.0.3"), *wire;
	double until;
	bool served;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		/* A worker's own port counts too. */
		wires[i] = open_from(i ? daemon_public(daemon) : daemon_worker(daemon, "app1"), "127.0.0.2");
		assert_true(is_served(wires[i]));
	}
	for (unsigned i = 0; i < 2; i++) {
		wire = open_from(i ? daemon_public(daemon) : daemon_worker(daemon, "app1"), "127.0.0.2");
		assert_false(is_served(wire));
		wire_expect_eof(wire);
		wire_close(wire);
	}
	assert_true(daemon_metric(daemon, "rmsd_requests_shed_total", "reason=\"per_ip\"", NULL) == 2);
	assert_true(is_served(other));
	/* A connection that moves is still one; the one to the worker's own port goes with it. */
	daemon_do(daemon, "app1", "kill");
	wire_expect_eof(wires[0]);
	wire_close(wires[0]);
	for (unsigned i = 1; i < 4; i++)
		assert_true(is_served(wires[i]));
	wires[0] = open_from(daemon_public(daemon), "127.0.0.2");
	assert_true(is_served(wires[0]));
	wire = open_from(daemon_public(daemon), "127.0.0.2");
	assert_false(is_served(wire));
	wire_close(wire);
	/* And its place is free when it has gone, be it by a reset. */
	wire_reset(wires[3]);
	until = wire_clock_ms() + WIRE_PATIENCE_MS;
	do {
		assert_true(wire_clock_ms() < until);
		wires[3] = open_from(daemon_public(daemon), "127.0.0.2");
		served = is_served(wires[3]);
		wire_close(wires[3]);
	} while (!served);
	for (unsigned i = 0; i < 3; i++)
		wire_close(wires[i]);
	wire_close(other);
	daemon_stop(daemon);
}

static void the_longest_idle_make_room_and_nobody_else(void **state)
{
	enum { MOST = 32, ROOM = 2 };
	struct daemon *daemon =
		daemon_start("testapp", "", "max_connections=32", "header_timeout=60s", "workers=2", NULL);
	struct wire *wires[MOST];
	unsigned i;

	(void)state;
	for (i = 0; i < MOST - ROOM; i++) {
		wires[i] = wire_open(daemon_public(daemon));
		/* The first is busy, the second has never said anything. */
		if (i == 0)
			wire_put(wires[i], "GET /slow/5000 HTTP/1.1\r\nHost: a\r\n\r\n");
		else if (i > 1)
			wire_expect_alive(wires[i]);
		if (i == 3)
			poll(NULL, 0, 10);
	}
	/* Idle for long enough by now; and as long as there is room, nobody cares. */
	assert_int_equal(wire_end(wires[2], 2500), WIRE_QUIET);
	assert_true(daemon_metric(daemon, "rmsd_connections_evicted_total", NULL) == 0);
	for (; i < MOST; i++) {
		wires[i] = wire_open(daemon_public(daemon));
		wire_expect_alive(wires[i]);
	}
	wire_expect_eof(wires[2]);
	wire_expect_eof(wires[3]);
	pressure_await_metric(daemon, "rmsd_connections", MOST - ROOM);
	assert_true(daemon_metric(daemon, "rmsd_connections_evicted_total", NULL) == 2);
	for (i = 4; i < MOST; i++)
		wire_expect_alive(wires[i]);
	assert_true(daemon_metric(daemon, "rmsd_connections_closed_total", "reason=\"timeout\"", NULL) == 2);
	reply_expect(wire_reply(wires[0]), 200, NULL);
	wire_expect_alive(wires[1]);
	assert_true(daemon_metric(daemon, "rmsd_requests_shed_total", NULL) == 0);
	for (i = 0; i < MOST; i++)
		wire_close(wires[i]);
	daemon_stop(daemon);
}

static void clients_that_go_on_asking_are_never_evicted(void **state)
{
	enum { MOST = 16 };
	struct daemon *daemon = daemon_start("rmsd", NULL, "max_connections=16", NULL);
	struct wire *wires[MOST], *wire;
	double until;

	(void)state;
	for (unsigned i = 0; i < MOST; i++)
		wires[i] = wire_open(daemon_public(daemon));
	for (until = wire_clock_ms() + 3000; wire_clock_ms() < until; poll(NULL, 0, 100))
		for (unsigned i = 0; i < MOST; i++)
			wire_expect_alive(wires[i]);
	wire = wire_open(daemon_public(daemon));
	pressure_expect_503(wire);
	wire_close(wire);
	assert_true(daemon_metric(daemon, "rmsd_connections_evicted_total", NULL) == 0);
	for (unsigned i = 0; i < MOST; i++)
		wire_close(wires[i]);
	daemon_stop(daemon);
}

/* Connections that somebody leaves open to admin keep nobody out for long, and never in silence. */
static void admin_makes_room_too(void **state)
{
	enum { N = 32 };
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	struct wire *wires[N], *wire;
	double until = wire_clock_ms() + WIRE_PATIENCE_MS;
	int status;

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		wires[i] = wire_open(daemon_admin(daemon));
		wire_put(wires[i], "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n");
		reply_expect(wire_reply(wires[i]), 200, NULL);
	}
	wire = wire_open(daemon_admin(daemon));
	wire_put(wire, "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n");
	pressure_expect_503(wire);
	wire_close(wire);
	daemon_await_log(daemon, "admin has all the connections that it may have");
	pressure_expect_rmsctl(daemon);
	/* Once they have been idle for a while. */
	do {
		wire = wire_open(daemon_admin(daemon));
		wire_put(wire, "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n");
		status = wire_reply(wire)->status;
		wire_close(wire);
		poll(NULL, 0, 20);
		assert_true(wire_clock_ms() < until);
	} while (status != 200);
	wire_expect_eof(wires[0]);
	for (unsigned i = 0; i < N; i++)
		wire_close(wires[i]);
	daemon_stop(daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(every_client_is_answered_in_full, daemon_cleanup),
		cmocka_unit_test_teardown(an_address_has_as_many_connections_as_it_may_and_no_more, daemon_cleanup),
		cmocka_unit_test_teardown(the_longest_idle_make_room_and_nobody_else, daemon_cleanup),
		cmocka_unit_test_teardown(clients_that_go_on_asking_are_never_evicted, daemon_cleanup),
		cmocka_unit_test_teardown(admin_makes_room_too, daemon_cleanup),
	};
	struct rlimit limit = { 0 };

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	return cmocka_run_group_tests_name("overload", tests, NULL, NULL);
}
