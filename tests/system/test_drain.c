/* test_drain.c - workers that go when there is time: drained, restarted, one after another; and failures that restart.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/daemon.h"
#include "support/keep.h"

enum { PATIENCE_MS = 30000, WIRES = 30 };

static struct wire *wires[WIRES];

static void pause_ms(long ms)
{
	struct timespec pause = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&pause, NULL);
}

static void open_wires(struct daemon *daemon, const char *greeting)
{
	for (unsigned i = 0; i < WIRES; i++) {
		wires[i] = wire_open(daemon_public(daemon));
		if (greeting)
			wire_put(wires[i], greeting);
	}
	for (unsigned i = 1; i <= 3; i++)
		daemon_await(daemon, keepf("app%u", i), "up", WIRES / 3);
}

static void close_wires(void)
{
	for (unsigned i = 0; i < WIRES; i++)
		wire_close(wires[i]);
}

static double rehomed(struct daemon *daemon, const char *reason)
{
	return daemon_metric(daemon, "rmsd_connections_rehomed_total", keepf("reason=\"%s\"", reason), NULL);
}

static void await_in_flight(struct daemon *daemon, unsigned n)
{
	double until = wire_clock_ms() + PATIENCE_MS;

	while (daemon_metric(daemon, "rmsd_http_requests_in_flight", NULL) < n)
		assert_true(wire_clock_ms() < until);
}

static void idle_connections_leave_at_once(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	struct reply *reply;

	(void)state;
	open_wires(daemon, NULL);
	reply = daemon_verb(daemon, "app2", "drain?wait=1");
	assert_int_equal(reply->status, 200);
	assert_non_null(strstr(reply->body, "\"state\":\"down\""));
	assert_non_null(strstr(reply->body, keepf("\"rehomed\":%d,", WIRES / 3)));
	for (unsigned i = 0; i < WIRES; i++)
		wire_expect_alive(wires[i]);
	assert_true(rehomed(daemon, "drain") == WIRES / 3);
	assert_true(rehomed(daemon, "kill") == 0);
	daemon_await(daemon, "app2", "down", 0);
	/* It is down already. */
	reply = daemon_verb(daemon, "app2", "drain");
	assert_non_null(strstr(reply->body, "\"changed\":false"));
	close_wires();
	daemon_stop(daemon);
}

/* Their replies come from where they were asked, also those that were put off. */
static void what_runs_is_finished_first(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", NULL);
	double begun;

	(void)state;
	open_wires(daemon, "POST /slow/600 HTTP/1.1\r\nHost: a\r\n\r\nGET /worker HTTP/1.1\r\nHost: a\r\n\r\n");
	await_in_flight(daemon, WIRES);
	begun = wire_clock_ms();
	daemon_do(daemon, "app2", "drain");
	assert_string_equal(daemon_state(daemon, "app2"), "draining");
	for (unsigned i = 0; i < WIRES; i++) {
		assert_int_equal(wire_reply(wires[i])->status, 200);
		assert_int_equal(wire_reply(wires[i])->status, 200);
	}
	daemon_await(daemon, "app2", "down", 0);
	assert_true(wire_clock_ms() - begun > 300);
	for (unsigned i = 0; i < WIRES; i++)
		wire_expect_alive(wires[i]);
	close_wires();
	daemon_stop(daemon);
}

static void what_takes_too_long_is_taken(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", NULL);
	double begun;
	unsigned lost = 0;

	(void)state;
	open_wires(daemon, "POST /slow/4000 HTTP/1.1\r\nHost: a\r\n\r\n");
	await_in_flight(daemon, WIRES);
	begun = wire_clock_ms();
	assert_int_equal(daemon_verb(daemon, "app2", "drain?wait=1&timeout=300ms")->status, 200);
	assert_true(wire_clock_ms() - begun < 3000);
	for (unsigned i = 0; i < WIRES; i++)
		lost += wire_reply(wires[i])->status == 503;
	assert_int_equal(lost, WIRES / 3);
	for (unsigned i = 0; i < WIRES; i++)
		wire_expect_alive(wires[i]);
	close_wires();
	daemon_stop(daemon);
}

static void a_revive_cancels_a_drain_and_a_kill_overrides_it(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", NULL);

	(void)state;
	open_wires(daemon, "GET /slow/1500 HTTP/1.1\r\nHost: a\r\n\r\n");
	await_in_flight(daemon, WIRES);
	daemon_do(daemon, "app2", "drain");
	daemon_do(daemon, "app2", "revive");
	assert_string_equal(daemon_state(daemon, "app2"), "up");
	daemon_do(daemon, "app2", "drain");
	daemon_do(daemon, "app2", "kill");
	assert_string_equal(daemon_state(daemon, "app2"), "down");
	for (unsigned i = 0; i < WIRES; i++)
		assert_int_equal(wire_reply(wires[i])->status, 200);
	close_wires();
	daemon_stop(daemon);
}

static void connections_to_its_own_port_get_their_reply_and_close(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", NULL);
	const char *address = daemon_worker(daemon, "app2");
	struct wire *idle = wire_open(address), *busy = wire_open(address), *refused = NULL;
	struct reply *reply;

	(void)state;
	wire_expect_alive(idle);
	wire_put(busy, "POST /slow/400 HTTP/1.1\r\nHost: a\r\n\r\n");
	await_in_flight(daemon, 1);
	daemon_do(daemon, "app2", "drain");
	wire_expect_eof(idle);
	assert_int_equal(wire_try(address, NULL, &refused), -ECONNREFUSED);
	reply = wire_reply(busy);
	assert_int_equal(reply->status, 200);
	reply_expect_field(reply, "Connection", "close");
	wire_expect_eof(busy);
	daemon_await(daemon, "app2", "down", 0);
	wire_close(idle);
	wire_close(busy);
	daemon_stop(daemon);
}

static void the_last_worker_is_guarded_from_every_verb(void **state)
{
	static const char *const verbs[] = { "kill", "drain", "restart" };
	struct daemon *daemon = daemon_start("rmsd", NULL, "workers=1", NULL);
	struct wire *wire = wire_open(daemon_public(daemon));

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct reply *reply = daemon_verb(daemon, "app1", verbs[i]);

		assert_int_equal(reply->status, 409);
		assert_non_null(strstr(reply->body, "last worker"));
		assert_string_equal(daemon_state(daemon, "app1"), "up");
	}
	wire_expect_alive(wire);
	daemon_do(daemon, "app1", "restart?force=1");
	assert_string_equal(daemon_state(daemon, "app1"), "up");
	wire_expect_alive(wire);
	wire_close(wire);
	daemon_stop(daemon);
}

static void of_two_operators_the_second_is_told(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	json_t *status = daemon_status(daemon);
	long long generation = json_integer_value(json_object_get(status, "generation"));
	struct reply *reply;

	(void)state;
	json_decref(status);
	daemon_do(daemon, "app1", keepf("kill?if_generation=%lld", generation));
	reply = daemon_verb(daemon, "app2", keepf("kill?if_generation=%lld", generation));
	assert_int_equal(reply->status, 409);
	assert_non_null(strstr(reply->body, keepf("\"generation\":%lld", generation + 1)));
	assert_string_equal(daemon_state(daemon, "app2"), "up");
	daemon_stop(daemon);
}

static struct client *start_load(struct daemon *daemon, struct client_plan plan)
{
	struct client *client;

	plan.address = daemon_public(daemon);
	assert_int_equal(client_start(&plan, &client), 0);
	assert_true(client_await_answered(client, plan.connections, PATIENCE_MS));
	return client;
}

static void expect_clean(struct client *client)
{
	struct account account;

	client_stop(client);
	client_join(client, &account);
	account_print(&account, stderr);
	assert_true(account_clean(&account));
}

static void rolling_restarts_under_load_cost_nothing(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", NULL);
	struct client *client = start_load(daemon,
		(struct client_plan){ .path = "/jitter/",
			.echo = true,
			.connections = test_scale(120),
			.depth = 2,
			.split_percent = 25 });
	unsigned rounds = test_scale(20);

	(void)state;
	for (unsigned i = 0; i < rounds; i++)
		for (unsigned j = 1; j <= 3; j++)
			daemon_do(daemon, keepf("app%u", j), "restart");
	expect_clean(client);
	assert_true(daemon_metric(daemon, "rmsd_worker_restarts_total", "reason=\"restart\"", NULL) == 3 * rounds);
	assert_true(rehomed(daemon, "kill") == 0);
	daemon_stop(daemon);
}

static void nine_thousand_idle_connections_survive_every_drain(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, "keepalive_timeout=1h", NULL);
	unsigned n = test_scale(9000);
	struct client_plan plan = { .address = daemon_public(daemon), .path = "/", .connections = n, .each = 1 };
	struct account account;
	struct client *client;

	(void)state;
	/* Each has its first answer before the drains, and its second after them. */
	assert_int_equal(client_start(&plan, &client), 0);
	assert_true(client_await_answered(client, n, PATIENCE_MS));
	for (unsigned i = 1; i <= 3; i++) {
		assert_int_equal(daemon_verb(daemon, keepf("app%u", i), "drain?wait=1")->status, 200);
		daemon_do(daemon, keepf("app%u", i), "revive");
	}
	client_once_more(client);
	assert_true(client_await_answered(client, 2 * n, PATIENCE_MS));
	client_stop(client);
	client_join(client, &account);
	account_print(&account, stderr);
	assert_true(account_clean(&account));
	assert_int_equal(account.answered, 2 * n);
	assert_true(rehomed(daemon, "drain") >= n);
	daemon_stop(daemon);
}

/* What a forced drain of the only worker let go waits for it, and it may come back by itself or by a revive. */
static void what_waits_is_served_again(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", "workers=1", NULL);
	struct wire *busy = wire_open(daemon_public(daemon));

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		wires[i] = wire_open(daemon_public(daemon));
		wire_expect_alive(wires[i]);
	}
	wire_put(busy, "GET /slow/1500 HTTP/1.1\r\nHost: a\r\n\r\n");
	await_in_flight(daemon, 1);
	daemon_do(daemon, "app1", "drain?force=1");
	daemon_await(daemon, "app1", "draining", 1);
	daemon_do(daemon, "app1", "revive");
	for (unsigned i = 0; i < 5; i++) {
		wire_expect_alive(wires[i]);
		wire_close(wires[i]);
	}
	assert_int_equal(wire_reply(busy)->status, 200);
	wire_close(busy);
	daemon_stop(daemon);
}

static void a_drain_has_the_last_word(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", NULL);
	struct wire *busy = wire_open(daemon_worker(daemon, "app2"));

	(void)state;
	/* Over a restart that drains: it does not start again, and the shorter time holds. */
	wire_put(busy, "GET /slow/3000 HTTP/1.1\r\nHost: a\r\n\r\n");
	await_in_flight(daemon, 1);
	program_call("sh", "-c",
		keepf("%s -s %s restart-worker app2 > /dev/null 2>&1 &", program_path("rmsctl"),
			daemon_socket(daemon) + strlen("unix:")),
		NULL);
	daemon_await(daemon, "app2", "draining", -1);
	assert_int_equal(daemon_verb(daemon, "app2", "drain?wait=1&timeout=200ms")->status, 200);
	daemon_await(daemon, "app2", "down", 0);
	wire_close(busy);
	/* Over a start that is to come. */
	assert_int_equal(wire_get(daemon_worker(daemon, "app3"), "/fail")->status, 200);
	daemon_await(daemon, "app3", "down", -1);
	daemon_do(daemon, "app3", "drain");
	pause_ms(500);
	assert_string_equal(daemon_state(daemon, "app2"), "down");
	assert_string_equal(daemon_state(daemon, "app3"), "down");
	daemon_stop(daemon);
}

/* ---- a worker whose app stops its loop ---- */

static void a_worker_that_fails_is_started_again(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", NULL);
	struct client *client = start_load(
		daemon, (struct client_plan){ .path = "/echo/", .echo = true, .connections = 60, .rate = 2000 });
	struct reply *reply;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		double until = wire_clock_ms() + PATIENCE_MS;

		reply = wire_get(daemon_public(daemon), "/fail");
		assert_int_equal(reply->status, 200);
		while (daemon_metric(daemon, "rmsd_worker_restarts_total", "reason=\"failure\"", NULL) < i + 1)
			assert_true(wire_clock_ms() < until);
		for (unsigned j = 1; j <= 3; j++)
			daemon_await(daemon, keepf("app%u", j), "up", -1);
	}
	expect_clean(client);
	assert_true(rehomed(daemon, "failure") > 0);
	daemon_await_log(daemon, "a worker failed");
	daemon_stop(daemon);
}

static void one_that_keeps_failing_is_given_up(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", "workers=2", NULL);
	const char *address = daemon_worker(daemon, "app2");
	struct reply *reply;

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		reply = wire_get(address, "/fail");
		assert_int_equal(reply->status, 200);
		daemon_await(daemon, "app2", i < 5 ? "up" : "failed", -1);
		if (i < 5)
			while (daemon_metric(daemon, "rmsd_worker_restarts_total", "reason=\"failure\"", NULL) < i + 1)
				pause_ms(5);
		daemon_await(daemon, "app2", i < 5 ? "up" : "failed", -1);
	}
	daemon_await_log(daemon, "a worker is not started again");
	reply_expect(wire_get(daemon_public(daemon), "/echo/x"), 200, "x");
	daemon_do(daemon, "app2", "revive");
	daemon_await(daemon, "app2", "up", -1);
	daemon_stop(daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(idle_connections_leave_at_once, daemon_cleanup),
		cmocka_unit_test_teardown(what_runs_is_finished_first, daemon_cleanup),
		cmocka_unit_test_teardown(what_takes_too_long_is_taken, daemon_cleanup),
		cmocka_unit_test_teardown(a_revive_cancels_a_drain_and_a_kill_overrides_it, daemon_cleanup),
		cmocka_unit_test_teardown(connections_to_its_own_port_get_their_reply_and_close, daemon_cleanup),
		cmocka_unit_test_teardown(the_last_worker_is_guarded_from_every_verb, daemon_cleanup),
		cmocka_unit_test_teardown(of_two_operators_the_second_is_told, daemon_cleanup),
		cmocka_unit_test_teardown(rolling_restarts_under_load_cost_nothing, daemon_cleanup),
		cmocka_unit_test_teardown(nine_thousand_idle_connections_survive_every_drain, daemon_cleanup),
		cmocka_unit_test_teardown(what_waits_is_served_again, daemon_cleanup),
		cmocka_unit_test_teardown(a_drain_has_the_last_word, daemon_cleanup),
		cmocka_unit_test_teardown(a_worker_that_fails_is_started_again, daemon_cleanup),
		cmocka_unit_test_teardown(one_that_keeps_failing_is_given_up, daemon_cleanup),
	};

	return cmocka_run_group_tests_name("drain", tests, NULL, NULL);
}
