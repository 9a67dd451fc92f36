/* test_dispatch.c - which worker a new connection is given to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/daemon.h"
#include "support/keep.h"

enum { WIRES_MAX = 600 };

static struct wire *wires[WIRES_MAX];

/* Connections from..to of the table, each open and known to its worker. */
static void open_wires(struct daemon *daemon, unsigned from, unsigned to)
{
	unsigned i;

	for (i = from; i < to; i++)
		wires[i] = wire_open(daemon_public(daemon));
	for (i = from; i < to; i++)
		wire_expect_alive(wires[i]);
}

static void close_wires(unsigned from, unsigned to)
{
	unsigned i;

	for (i = from; i < to; i++) {
		wire_close(wires[i]);
		wires[i] = NULL;
	}
}

/* The worker that answers on a connection. */
static unsigned worker_of(struct wire *wire)
{
	const char *name;

	wire_put(wire, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	name = reply_field(wire_reply(wire), "X-Worker");
	assert_non_null(name);
	return (unsigned)atoi(name + 3);
}

static void expect_connections(struct daemon *daemon, unsigned a, unsigned b, unsigned c)
{
	daemon_await(daemon, "app1", "up", (int)a);
	daemon_await(daemon, "app2", "up", (int)b);
	daemon_await(daemon, "app3", "up", (int)c);
}

static void least_connections_is_exact(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, "worker_header=X-Worker", NULL);
	unsigned i, counts[4] = { 0 };

	(void)state;
	open_wires(daemon, 0, 300);
	expect_connections(daemon, 100, 100, 100);
	for (i = 0; i < 300; i++)
		counts[worker_of(wires[i])]++;
	assert_int_equal(counts[1], 100);
	assert_int_equal(counts[2], 100);
	assert_int_equal(counts[3], 100);
	close_wires(0, 300);
	expect_connections(daemon, 0, 0, 0);
	daemon_stop(daemon);
}

/* After a worker has lost connections the next ones fill it up before any other gets one. */
static void the_emptiest_worker_comes_first(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, "worker_header=X-Worker", NULL);
	unsigned i, closed = 0;

	(void)state;
	open_wires(daemon, 0, 90);
	for (i = 0; i < 90 && closed < 20; i++) {
		if (worker_of(wires[i]) != 2)
			continue;
		close_wires(i, i + 1);
		closed++;
	}
	daemon_await(daemon, "app2", "up", 10);
	for (i = 90; i < 110; i++) {
		wires[i] = wire_open(daemon_public(daemon));
		assert_int_equal(worker_of(wires[i]), 2);
	}
	expect_connections(daemon, 30, 30, 30);
	close_wires(0, 110);
	daemon_stop(daemon);
}

static void connections_to_a_workers_own_port_are_counted_in_its_load(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, "worker_header=X-Worker", NULL);
	unsigned i;

	(void)state;
	for (i = 0; i < 10; i++) {
		wires[i] = wire_open(daemon_worker(daemon, "app1"));
		assert_int_equal(worker_of(wires[i]), 1);
	}
	for (i = 10; i < 30; i++) {
		wires[i] = wire_open(daemon_public(daemon));
		assert_int_not_equal(worker_of(wires[i]), 1);
	}
	expect_connections(daemon, 10, 10, 10);
	close_wires(0, 30);
	daemon_stop(daemon);
}

static void weights_divide_the_connections(void **state)
{
	struct daemon *daemon = daemon_start("rmsd",
		"worker:\n  app2: {weight: 3}\n  app3: {weight: 2}\nroutes:\n  /: {text: " DAEMON_TEXT "}\n",
		"worker_header=X-Worker", NULL);

	(void)state;
	open_wires(daemon, 0, 120);
	expect_connections(daemon, 20, 60, 40);
	close_wires(0, 120);
	daemon_stop(daemon);
}

static void round_robin_ignores_the_load(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, "balance=round_robin", "worker_header=X-Worker", NULL);
	unsigned i, before[3];

	(void)state;
	open_wires(daemon, 0, 60);
	expect_connections(daemon, 20, 20, 20);
	for (i = 0; i < 60; i++)
		if (worker_of(wires[i]) == 2)
			close_wires(i, i + 1);
	daemon_await(daemon, "app2", "up", 0);
	for (i = 0; i < 3; i++) {
		wires[60 + i] = wire_open(daemon_public(daemon));
		before[i] = worker_of(wires[60 + i]);
	}
	assert_int_equal(before[0] + before[1] + before[2], 6);
	assert_int_not_equal(before[0], before[1]);
	assert_int_not_equal(before[1], before[2]);
	expect_connections(daemon, 21, 1, 21);
	close_wires(0, 63);
	daemon_stop(daemon);
}

static unsigned worker_for(struct daemon *daemon, const char *source)
{
	struct wire *wire = NULL;
	unsigned worker;

	assert_int_equal(wire_try(daemon_public(daemon), source, &wire), 0);
	worker = worker_of(wire);
	wire_close(wire);
	return worker;
}

static void ip_hash_keeps_a_client_with_its_worker(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, "balance=ip_hash", "worker_header=X-Worker", NULL);
	unsigned i, k, seen[4] = { 0 }, workers[60];

	(void)state;
	for (i = 0; i < 60; i++) {
		workers[i] = worker_for(daemon, keepf("127.0.0.%u", i + 1));
		seen[workers[i]]++;
		for (k = 0; k < 3; k++)
			assert_int_equal(worker_for(daemon, keepf("127.0.0.%u", i + 1)), workers[i]);
	}
	assert_true(seen[1] >= 6 && seen[2] >= 6 && seen[3] >= 6);
	/* A worker that is down is passed over; the clients of the others stay where they are. */
	daemon_do(daemon, "app2", "kill");
	for (i = 0; i < 60; i++) {
		unsigned now = worker_for(daemon, keepf("127.0.0.%u", i + 1));

		assert_int_not_equal(now, 2);
		if (workers[i] != 2)
			assert_int_equal(now, workers[i]);
	}
	daemon_do(daemon, "app2", "revive");
	daemon_await(daemon, "app2", "up", -1);
	for (i = 0; i < 60; i++)
		assert_int_equal(worker_for(daemon, keepf("127.0.0.%u", i + 1)), workers[i]);
	daemon_stop(daemon);
}

static void beyond_max_connections_each_gets_a_whole_503(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, "max_connections=50", NULL);
	double shed;
	unsigned i;

	(void)state;
	open_wires(daemon, 0, 50);
	for (i = 0; i < 20; i++) {
		struct wire *wire = wire_open(daemon_public(daemon));
		struct reply *reply;

		if (i % 2)
			wire_push(wire, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27);
		reply = wire_reply(wire);
		assert_int_equal(reply->status, 503);
		assert_non_null(reply_field(reply, "Retry-After"));
		reply_expect_field(reply, "Connection", "close");
		assert_non_null(reply_field(reply, "Date"));
		wire_expect_eof(wire);
		wire_close(wire);
	}
	shed = daemon_metric(daemon, "rmsd_requests_shed_total", "reason=\"max_connections\"", NULL);
	assert_true(shed == 20);
	/* They are in no worker's books. */
	assert_true(daemon_metric(daemon, "rmsd_http_responses_total", "code=\"503\"", NULL) == 0);
	assert_true(daemon_metric(daemon, "http_requests_total", NULL) == 50);
	for (i = 0; i < 50; i++)
		wire_expect_alive(wires[i]);
	close_wires(0, 10);
	while (daemon_metric(daemon, "rmsd_connections", NULL) > 40)
		;
	open_wires(daemon, 0, 10);
	close_wires(0, 50);
	daemon_stop(daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(least_connections_is_exact, daemon_cleanup),
		cmocka_unit_test_teardown(the_emptiest_worker_comes_first, daemon_cleanup),
		cmocka_unit_test_teardown(connections_to_a_workers_own_port_are_counted_in_its_load, daemon_cleanup),
		cmocka_unit_test_teardown(weights_divide_the_connections, daemon_cleanup),
		cmocka_unit_test_teardown(round_robin_ignores_the_load, daemon_cleanup),
		cmocka_unit_test_teardown(ip_hash_keeps_a_client_with_its_worker, daemon_cleanup),
		cmocka_unit_test_teardown(beyond_max_connections_each_gets_a_whole_503, daemon_cleanup),
	};

	return cmocka_run_group_tests_name("dispatch", tests, NULL, NULL);
}
