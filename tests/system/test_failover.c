/* test_failover.c - a worker is killed and revived, and what its clients see of it, connection by connection. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "support/daemon.h"
#include "support/keep.h"
#include "support/running.h"

enum { WIRES = 60 };

static struct wire *wires[WIRES];

static void open_wires(struct daemon *daemon, const char *greeting)
{
	unsigned i;

	for (i = 0; i < WIRES; i++) {
		wires[i] = wire_open(daemon_public(daemon));
		if (greeting)
			wire_put(wires[i], greeting);
	}
	for (i = 1; i <= 3; i++)
		daemon_await(daemon, keepf("app%u", i), "up", WIRES / 3);
}

static void close_wires(void)
{
	for (unsigned i = 0; i < WIRES; i++)
		wire_close(wires[i]);
}

static void expect_clean(struct daemon *daemon)
{
	assert_true(daemon_metric(daemon, "rmsd_connections_closed_total", "reason=\"worker\"", NULL) == 0);
	assert_true(daemon_metric(daemon, "rmsd_connections_closed_total", "reason=\"error\"", NULL) == 0);
}

static void idle_connections_go_on_under_the_others(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, "worker_header=X-Worker", NULL);
	struct reply *reply;
	json_t *json;
	unsigned i;

	(void)state;
	open_wires(daemon, NULL);
	reply = daemon_verb(daemon, "app2", "kill");
	assert_int_equal(reply->status, 200);
	json = json_loads(reply->body, 0, NULL);
	assert_true(json_is_true(json_object_get(json, "ok")));
	assert_true(json_is_true(json_object_get(json, "changed")));
	assert_string_equal(json_string_value(json_object_get(json, "worker")), "app2");
	assert_string_equal(json_string_value(json_object_get(json, "state")), "down");
	assert_int_equal(json_integer_value(json_object_get(json, "rehomed")), WIRES / 3);
	assert_true(json_is_number(json_object_get(json, "duration_ms")));
	assert_true(json_is_integer(json_object_get(json, "generation")));
	json_decref(json);
	daemon_await(daemon, "app1", "up", WIRES / 2);
	daemon_await(daemon, "app3", "up", WIRES / 2);
	for (i = 0; i < WIRES; i++) {
		wire_put(wires[i], "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
		reply = wire_reply(wires[i]);
		reply_expect(reply, 200, DAEMON_TEXT);
		assert_non_null(reply_field(reply, "X-Worker"));
		assert_string_not_equal(reply_field(reply, "X-Worker"), "app2");
	}
	assert_true(daemon_metric(daemon, "rmsd_connections_rehomed_total", "reason=\"kill\"", NULL) == WIRES / 3);
	expect_clean(daemon);
	close_wires();
	daemon_stop(daemon);
}

static void half_a_request_goes_on_under_another(void **state)
{
	static const char request[] = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 60\r\n\r\n"
				      "012345678901234567890123456789012345678901234567890123456789";
	struct daemon *daemon = daemon_start("testapp", "", NULL);
	unsigned i;

	(void)state;
	open_wires(daemon, NULL);
	for (i = 0; i < WIRES; i++)
		wire_send(wires[i], request, 1 + i * 113 / WIRES);
	/* Nothing tells that a part was read; either way the reply must come. */
	assert_int_equal(wire_end(wires[0], 20), WIRE_QUIET);
	daemon_do(daemon, "app1", "kill");
	daemon_do(daemon, "app2", "kill");
	for (i = 0; i < WIRES; i++)
		wire_put(wires[i], request + 1 + i * 113 / WIRES);
	for (i = 0; i < WIRES; i++)
		reply_expect(wire_reply(wires[i]), 200, strstr(request, "\r\n\r\n") + 4);
	expect_clean(daemon);
	close_wires();
	daemon_stop(daemon);
}

/* More than the kernel buffers for a client that does not read: the rest moves, and nothing is run again. */
static void a_reply_partly_sent_arrives_whole(void **state)
{
	static const char pipeline[] =
		"POST /count HTTP/1.1\r\nHost: a\r\n\r\nGET /big/7000 HTTP/1.1\r\nHost: a\r\n\r\n"
		"POST /count HTTP/1.1\r\nHost: a\r\n\r\n";
	enum { READERS = 9, BIG = 7000 * 1024 };
	struct daemon *daemon = daemon_start("testapp", "", NULL);
	struct wire *readers[READERS];
	unsigned i;

	(void)state;
	for (i = 0; i < READERS; i++) {
		readers[i] = wire_open(daemon_public(daemon));
		wire_window(readers[i], 200000);
		wire_put(readers[i], pipeline);
	}
	for (i = 0; i < READERS; i++)
		assert_int_equal(wire_end(readers[i], WIRE_PATIENCE_MS), WIRE_BYTES);
	daemon_do(daemon, "app1", "kill");
	daemon_do(daemon, "app3", "kill");
	for (i = 0; i < READERS; i++) {
		struct reply *reply;

		reply_expect(wire_reply(readers[i]), 200, NULL);
		reply = wire_reply(readers[i]);
		assert_int_equal(reply->status, 200);
		assert_int_equal(reply->body_len, BIG);
		assert_int_equal(strspn(reply->body, "b"), BIG);
		reply_expect(wire_reply(readers[i]), 200, NULL);
		wire_close(readers[i]);
	}
	reply_expect(wire_get(daemon_public(daemon), "/total"), 200, keepf("%d\n", 2 * READERS));
	expect_clean(daemon);
	daemon_stop(daemon);
}

static void a_deferred_get_runs_again_elsewhere(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", NULL);
	unsigned i;

	(void)state;
	open_wires(daemon, "GET /slow/700" HEAD_END BEHIND);
	running_await(daemon, WIRES);
	daemon_do(daemon, "app1", "kill");
	for (i = 0; i < WIRES; i++) {
		struct reply *reply = wire_reply(wires[i]);

		reply_expect(reply, 200, NULL);
		assert_null(strstr(reply->body, "app1"));
		reply_expect(wire_reply(wires[i]), 200, "behind");
		reply_expect((wire_put(wires[i], "GET /echo/more" HEAD_END), wire_reply(wires[i])), 200, "more");
	}
	assert_true(daemon_metric(daemon, "rmsd_requests_replayed_total", NULL) == WIRES / 3);
	expect_clean(daemon);
	close_wires();
	daemon_stop(daemon);
}

/* The thread is stuck in a handler for two seconds; nobody else waits for it. */
static void a_kill_inside_a_handler_holds_nobody_up(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", "stall_timeout=1h", NULL);
	const char *first, *second;
	struct wire *get, *post;
	struct reply *reply;
	double begun;
	unsigned i;

	(void)state;
	open_wires(daemon, NULL);
	get = wire_open(daemon_public(daemon));
	wire_put(get, "GET /busy/2000 HTTP/1.1\r\nHost: a\r\n\r\nGET /echo/behind HTTP/1.1\r\nHost: a\r\n\r\n");
	first = running_worker(daemon, NULL);
	post = wire_open(daemon_public(daemon));
	wire_put(post, "POST /busy/2000 HTTP/1.1\r\nHost: a\r\n\r\n");
	second = running_worker(daemon, first);
	begun = wire_clock_ms();
	daemon_do(daemon, first, "kill");
	daemon_do(daemon, second, "kill");
	for (i = 0; i < WIRES; i++)
		wire_put(wires[i], "GET /echo/x HTTP/1.1\r\nHost: a\r\n\r\n");
	reply = wire_reply(post);
	assert_int_equal(reply->status, 503);
	assert_null(reply_field(reply, "Connection"));
	for (i = 0; i < WIRES; i++)
		reply_expect(wire_reply(wires[i]), 200, "x");
	/* Less than the handlers took, though one of the GETs may be running again on the worker left. */
	if (wire_clock_ms() - begun > 4500)
		fail_msg("the others waited %g ms", wire_clock_ms() - begun);
	reply_expect(wire_reply(get), 200, NULL);
	reply_expect(wire_reply(get), 200, "behind");
	wire_expect_alive(post);
	assert_true(daemon_metric(daemon, "rmsd_requests_replayed_total", NULL) >= 1);
	wire_close(get);
	wire_close(post);
	close_wires();
	daemon_stop(daemon);
}

static void connections_to_a_workers_own_port_close_with_it(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	struct wire *pinned[5], *other, *refused = NULL;
	const char *address = daemon_worker(daemon, "app2");
	unsigned i;

	(void)state;
	for (i = 0; i < 5; i++) {
		pinned[i] = wire_open(address);
		wire_expect_alive(pinned[i]);
	}
	other = wire_open(daemon_worker(daemon, "app1"));
	wire_expect_alive(other);
	daemon_do(daemon, "app2", "kill");
	for (i = 0; i < 5; i++) {
		enum wire_end end = wire_end(pinned[i], WIRE_PATIENCE_MS);

		assert_true(end == WIRE_EOF || end == WIRE_RESET);
		wire_close(pinned[i]);
	}
	assert_int_equal(wire_try(address, NULL, &refused), -ECONNREFUSED);
	wire_expect_alive(other);
	wire_close(other);
	assert_true(daemon_metric(daemon, "rmsd_connections_closed_total", "worker=\"app2\"", "reason=\"worker\"",
			    NULL) == 5);
	assert_true(daemon_metric(daemon, "rmsd_worker_up", "worker=\"app2\"", NULL) == 0);
	daemon_do(daemon, "app2", "revive");
	daemon_await(daemon, "app2", "up", -1);
	reply_expect(wire_get(address, "/"), 200, DAEMON_TEXT);
	daemon_stop(daemon);
}

static void the_last_worker_up_is_guarded(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	struct output *output;
	struct reply *reply;

	(void)state;
	daemon_do(daemon, "app1", "kill");
	daemon_do(daemon, "app3", "kill");
	reply = daemon_verb(daemon, "app2", "kill");
	assert_int_equal(reply->status, 409);
	assert_non_null(strstr(reply->body, "\"ok\":false"));
	assert_non_null(strstr(reply->body, "\"error\""));
	assert_string_equal(daemon_state(daemon, "app2"), "up");
	output = daemon_ctl(daemon, "kill-worker", "app2", NULL);
	assert_int_equal(output->status, 1);
	assert_true(output->err[0] && strchr(output->err, '\n') == output->err + strlen(output->err) - 1);
	reply_expect(wire_get(daemon_public(daemon), "/"), 200, DAEMON_TEXT);
	output = daemon_ctl(daemon, "kill-worker", "app2", "--force", NULL);
	assert_int_equal(output->status, 0);
	assert_string_equal(daemon_state(daemon, "app2"), "down");
	daemon_stop(daemon);
}

static void with_no_worker_up_clients_wait_or_are_told(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	struct wire *old[9];
	struct reply *reply;
	unsigned i;

	(void)state;
	for (i = 0; i < 9; i++) {
		old[i] = wire_open(daemon_public(daemon));
		wire_expect_alive(old[i]);
	}
	wire_put(old[0], "GET / HTT");
	daemon_do(daemon, "app1", "kill");
	daemon_do(daemon, "app2", "kill");
	daemon_do(daemon, "app3", "kill?force=1");
	assert_int_equal(wire_get(daemon_admin(daemon), "/readyz")->status, 503);
	assert_int_equal(wire_get(daemon_admin(daemon), "/livez")->status, 200);
	for (i = 0; i < 5; i++) {
		struct wire *fresh = wire_open(daemon_public(daemon));

		reply = wire_reply(fresh);
		assert_int_equal(reply->status, 503);
		assert_non_null(reply_field(reply, "Retry-After"));
		wire_expect_eof(fresh);
		wire_close(fresh);
	}
	assert_true(daemon_metric(daemon, "rmsd_requests_shed_total", "reason=\"no_worker\"", NULL) == 5);
	wire_put(old[0], "P/1.1\r\nHost: a\r\n\r\n");
	for (i = 1; i < 9; i++)
		wire_put(old[i], "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(wire_end(old[8], 100), WIRE_QUIET);
	daemon_do(daemon, "app2", "revive");
	for (i = 0; i < 9; i++) {
		reply_expect(wire_reply(old[i]), 200, DAEMON_TEXT);
		wire_expect_alive(old[i]);
		wire_close(old[i]);
	}
	daemon_await(daemon, "app2", "up", -1);
	assert_int_equal(wire_get(daemon_admin(daemon), "/readyz")->status, 200);
	reply_expect(wire_get(daemon_public(daemon), "/"), 200, DAEMON_TEXT);
	daemon_stop(daemon);
}

static void a_client_that_leaves_while_no_worker_is_up_is_forgotten(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, "workers=1", NULL);
	struct wire *wire = wire_open(daemon_public(daemon));
	unsigned before = 0, i;
	double until;

	(void)state;
	wire_expect_alive(wire);
	daemon_do(daemon, "app1", "kill?force=1");
	wire_put(wire, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	before = daemon_fds(daemon);
	wire_reset(wire);
	for (i = 0; i < 3; i++) {
		daemon_do(daemon, "app1", "revive");
		daemon_await(daemon, "app1", "up", -1);
		reply_expect(wire_get(daemon_public(daemon), "/"), 200, DAEMON_TEXT);
		daemon_do(daemon, "app1", "kill?force=1");
	}
	until = wire_clock_ms() + WIRE_PATIENCE_MS;
	while (daemon_fds(daemon) >= before)
		if (wire_clock_ms() > until)
			fail_msg("%u descriptors, %u with the client", daemon_fds(daemon), before);
	daemon_stop(daemon);
}

static void a_client_does_not_wait_for_a_worker_for_ever(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, "workers=1", "keepalive_timeout=500ms", NULL);
	struct wire *wire = wire_open(daemon_public(daemon));

	(void)state;
	wire_expect_alive(wire);
	daemon_do(daemon, "app1", "kill?force=1");
	wire_expect_eof(wire);
	wire_close(wire);
	daemon_stop(daemon);
}

static void expect_unchanged(struct daemon *daemon, const char *worker, const char *verb, const char *worker_state)
{
	struct reply *reply = daemon_verb(daemon, worker, verb);
	json_t *json = json_loads(reply->body, 0, NULL);

	reply_expect(reply, 200, NULL);
	assert_true(json_is_true(json_object_get(json, "ok")));
	assert_true(json_is_false(json_object_get(json, "changed")));
	assert_string_equal(json_string_value(json_object_get(json, "state")), worker_state);
	json_decref(json);
}

static void verbs_are_idempotent(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	struct reply *reply;

	(void)state;
	expect_unchanged(daemon, "app2", "revive", "up");
	daemon_do(daemon, "app2", "kill");
	expect_unchanged(daemon, "app2", "kill", "down");
	expect_unchanged(daemon, "app2", "kill", "down");
	daemon_do(daemon, "app2", "revive");
	daemon_await(daemon, "app2", "up", -1);
	expect_unchanged(daemon, "app2", "revive", "up");
	reply = daemon_verb(daemon, "app9", "kill");
	assert_int_equal(reply->status, 404);
	assert_non_null(strstr(reply->body, "\"ok\":false"));
	assert_non_null(strstr(reply->body, "app1"));
	assert_non_null(strstr(reply->body, "app3"));
	reply = wire_get(daemon_socket(daemon), "/v1/workers/app1/kill");
	assert_int_equal(reply->status, 405);
	assert_non_null(strstr(reply->body, "\"ok\":false"));
	assert_int_equal(daemon_verb(daemon, "app1", "kill?force=perhaps")->status, 400);
	assert_string_equal(daemon_state(daemon, "app1"), "up");
	daemon_stop(daemon);
}

static void a_revived_worker_starts_afresh(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", NULL);
	const char *address = daemon_worker(daemon, "app2");
	json_t *status;

	(void)state;
	assert_int_equal(wire_request(address, "POST", "/count")->status, 200);
	reply_expect(wire_request(address, "POST", "/count"), 200, "2\n");
	daemon_do(daemon, "app2", "kill");
	daemon_do(daemon, "app2", "revive");
	daemon_await(daemon, "app2", "up", -1);
	reply_expect(wire_get(address, "/count"), 200, "0\n");
	reply_expect(wire_get(address, "/total"), 200, "2\n");
	assert_true(
		daemon_metric(daemon, "rmsd_worker_restarts_total", "worker=\"app2\"", "reason=\"revive\"", NULL) == 1);
	assert_true(daemon_metric(daemon, "http_requests_total", "worker=\"app2\"", NULL) == 4);
	status = daemon_status(daemon);
	assert_int_equal(
		json_integer_value(json_object_get(json_array_get(json_object_get(status, "workers"), 1), "restarts")),
		1);
	json_decref(status);
	daemon_stop(daemon);
}

/* A descriptor, a thread or a page lost at each turn would show. */
static void fifty_kills_leave_nothing_behind(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	unsigned i, fds = 0, threads = 0, turns = test_scale(50), warm = 8;
	double until;
	long rss = 0;

	(void)state;
	open_wires(daemon, NULL);
	for (i = 0; i < warm + turns; i++) {
		const char *worker = keepf("app%u", i % 3 + 1);

		daemon_do(daemon, worker, "kill");
		wire_expect_alive(wires[i % WIRES]);
		daemon_do(daemon, worker, "revive");
		daemon_await(daemon, worker, "up", -1);
		wire_expect_alive(wires[(i + 7) % WIRES]);
		if (i + 1 == warm) {
			fds = daemon_fds(daemon);
			threads = daemon_threads(daemon);
			rss = daemon_rss_kb(daemon);
		}
	}
	/* An ended thread is joined a moment after the kill was answered. */
	until = wire_clock_ms() + WIRE_PATIENCE_MS;
	while ((daemon_fds(daemon) > fds || daemon_threads(daemon) > threads) && wire_clock_ms() < until)
		;
	if (daemon_fds(daemon) > fds || daemon_threads(daemon) > threads)
		fail_msg("descriptors %u -> %u, threads %u -> %u", fds, daemon_fds(daemon), threads,
			daemon_threads(daemon));
	if (!daemon_sanitized() && daemon_rss_kb(daemon) - rss > 6000)
		fail_msg("RSS grew by %ld KB", daemon_rss_kb(daemon) - rss);
	for (i = 0; i < WIRES; i++)
		wire_expect_alive(wires[i]);
	expect_clean(daemon);
	close_wires();
	daemon_stop(daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(idle_connections_go_on_under_the_others, daemon_cleanup),
		cmocka_unit_test_teardown(half_a_request_goes_on_under_another, daemon_cleanup),
		cmocka_unit_test_teardown(a_reply_partly_sent_arrives_whole, daemon_cleanup),
		cmocka_unit_test_teardown(a_deferred_get_runs_again_elsewhere, daemon_cleanup),
		cmocka_unit_test_teardown(a_kill_inside_a_handler_holds_nobody_up, daemon_cleanup),
		cmocka_unit_test_teardown(connections_to_a_workers_own_port_close_with_it, daemon_cleanup),
		cmocka_unit_test_teardown(the_last_worker_up_is_guarded, daemon_cleanup),
		cmocka_unit_test_teardown(with_no_worker_up_clients_wait_or_are_told, daemon_cleanup),
		cmocka_unit_test_teardown(a_client_that_leaves_while_no_worker_is_up_is_forgotten, daemon_cleanup),
		cmocka_unit_test_teardown(a_client_does_not_wait_for_a_worker_for_ever, daemon_cleanup),
		cmocka_unit_test_teardown(verbs_are_idempotent, daemon_cleanup),
		cmocka_unit_test_teardown(a_revived_worker_starts_afresh, daemon_cleanup),
		cmocka_unit_test_teardown(fifty_kills_leave_nothing_behind, daemon_cleanup),
	};

	return cmocka_run_group_tests_name("failover", tests, NULL, NULL);
}
