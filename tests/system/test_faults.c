/* test_faults.c - /v1/faults: replies spoiled to order, counted exactly, and an end to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "support/client.h"
#include "support/daemon.h"
#include "support/keep.h"

enum { PATIENCE_MS = 30000 };

static struct daemon *start(void)
{
	return daemon_start("testapp", "", "faults=on", NULL);
}

/* The JSON of an answer of that status; kept. */
static json_t *ask(struct daemon *daemon, const char *method, const char *query, int status)
{
	struct reply *reply = wire_request(daemon_socket(daemon), method, keepf("/v1/faults%s", query));
	json_t *json = json_loads(reply->body, 0, NULL);

	if (reply->status != status || !json || json_is_true(json_object_get(json, "ok")) != (status == 200) ||
		!json_is_integer(json_object_get(json, "generation")))
		fail_msg("%s %s: not %d but %s%s", method, query, status, reply->head, reply->body);
	return keep(json);
}

static unsigned add(struct daemon *daemon, const char *query)
{
	return (unsigned)json_integer_value(json_object_get(ask(daemon, "POST", keepf("?%s", query), 200), "id"));
}

static size_t count(struct daemon *daemon)
{
	return json_array_size(json_object_get(ask(daemon, "GET", "", 200), "faults"));
}

/* No field of a fault. */
static void expect_sound(const struct reply *reply, const char *body)
{
	reply_expect(reply, 200, body);
	assert_null(reply_field(reply, "X-Rmsd-Fault"));
}

static double injected(struct daemon *daemon, const char *kind)
{
	return daemon_metric(daemon, "rmsd_faults_injected_total", keepf("kind=\"%s\"", kind), NULL);
}

static void a_status_comes_in_the_apps_place(void **state)
{
	struct daemon *daemon = start();
	unsigned id = add(daemon, "status=503&ttl=1m");
	struct reply *reply = wire_get(daemon_public(daemon), "/worker");

	(void)state;
	reply_expect(reply, 503, keepf("Service Unavailable: fault %u, injected for a drill\n", id));
	reply_expect_field(reply, "X-Rmsd-Fault", keepf("%u", id));
	assert_int_equal(wire_request(daemon_public(daemon), "POST", "/count")->status, 503);
	ask(daemon, "DELETE", "", 200);
	expect_sound(wire_get(daemon_public(daemon), "/total"), "0\n");
	daemon_stop(daemon);
}

/* Its own answer, and its own time. */
static void a_delay_comes_before_the_apps_answer(void **state)
{
	struct daemon *daemon = start();
	unsigned id = add(daemon, "delay=100ms&ttl=1m");
	double begun = wire_clock_ms();
	struct reply *reply = wire_get(daemon_public(daemon), "/echo/x");

	(void)state;
	assert_true(wire_clock_ms() - begun >= 100);
	reply_expect(reply, 200, "x");
	reply_expect_field(reply, "X-Rmsd-Fault", keepf("%u", id));
	/* A deferred one waits twice; a body is still there. */
	assert_int_equal(wire_get(daemon_public(daemon), "/slow/10")->status, 200);
	assert_true(injected(daemon, "delay") == 2);
	assert_true(injected(daemon, "status") == 0);
	daemon_stop(daemon);
}

/* Many at once wait for one timer; each gets its own answer, and pipelines keep their order. */
static void many_are_delayed_at_once(void **state)
{
	struct daemon *daemon = start();
	const struct client_plan plan = {
		.address = daemon_public(daemon),
		.path = "/echo/",
		.echo = true,
		.connections = 50,
		.depth = 4,
		.requests = 1000,
	};
	struct account account;
	struct client *client;

	(void)state;
	add(daemon, "delay=5ms&percent=30&ttl=1m");
	add(daemon, "delay=2ms&percent=50&ttl=1m");
	assert_int_equal(client_start(&plan, &client), 0);
	assert_true(client_await_answered(client, 1000, PATIENCE_MS));
	client_stop(client);
	client_join(client, &account);
	assert_true(account_clean(&account));
	/* 300 of a thousand, and half of the rest. */
	assert_true(injected(daemon, "delay") == 650);
	daemon_stop(daemon);
}

static void a_percentage_is_exact(void **state)
{
	struct daemon *daemon = start();
	struct wire *wire = wire_open(daemon_public(daemon));
	unsigned hits = 0;

	(void)state;
	add(daemon, "status=500&percent=33&ttl=1m");
	for (unsigned i = 0; i < 1000; i++) {
		struct reply *reply;

		wire_put(wire, "GET /echo/1 HTTP/1.1\r\nHost: a\r\n\r\n");
		reply = wire_reply(wire);
		assert_true((reply->status == 500) == (reply_field(reply, "X-Rmsd-Fault") != NULL));
		hits += reply->status == 500;
	}
	wire_close(wire);
	assert_int_equal(hits, 330);
	assert_true(injected(daemon, "status") == 330);
	assert_true(daemon_metric(daemon, "rmsd_http_responses_total", "code=\"500\"", NULL) == 330);
	daemon_stop(daemon);
}

static void a_fault_looks_at_its_worker_and_its_paths(void **state)
{
	struct daemon *daemon = start();

	(void)state;
	add(daemon, "status=503&worker=app2&path=%2Fecho&ttl=1m");
	assert_int_equal(wire_get(daemon_worker(daemon, "app2"), "/echo/1")->status, 503);
	expect_sound(wire_get(daemon_worker(daemon, "app2"), "/worker"), "app2");
	expect_sound(wire_get(daemon_worker(daemon, "app1"), "/echo/1"), "1");
	/* Neither a scrape, nor what no route takes, nor a side door. */
	add(daemon, "status=500&ttl=1m");
	assert_int_equal(wire_get(daemon_worker(daemon, "app1"), "/metrics")->status, 200);
	assert_int_equal(wire_get(daemon_public(daemon), "/none")->status, 404);
	assert_int_equal(wire_get(daemon_admin(daemon), "/readyz")->status, 200);
	assert_true(daemon_metric(daemon, "rmsd_faults_injected_total", "worker=\"app2\"", NULL) == 1);
	daemon_stop(daemon);
}

static void a_fault_ends_by_itself(void **state)
{
	struct daemon *daemon = start();
	double until = wire_clock_ms() + PATIENCE_MS;

	(void)state;
	add(daemon, "status=503&ttl=150ms");
	assert_int_equal(wire_get(daemon_public(daemon), "/")->status, 503);
	assert_true(daemon_metric(daemon, "rmsd_faults_active", NULL) == 1);
	while (daemon_metric(daemon, "rmsd_faults_active", NULL) > 0)
		assert_true(wire_clock_ms() < until);
	expect_sound(wire_get(daemon_public(daemon), "/"), "testapp\n");
	assert_int_equal(count(daemon), 0);
	daemon_stop(daemon);
}

static void faults_are_listed_and_cleared(void **state)
{
	struct daemon *daemon = start();
	unsigned first = add(daemon, "delay=1ms&percent=50&worker=app1&path=/echo&ttl=1m");
	unsigned second = add(daemon, "status=418&ttl=1m");
	json_t *faults;
	int id, delay, percent, status, ttl, hits;
	const char *worker, *path;

	(void)state;
	assert_int_equal(wire_get(daemon_worker(daemon, "app2"), "/")->status, 418);
	faults = json_object_get(ask(daemon, "GET", "", 200), "faults");
	assert_int_equal(json_array_size(faults), 2);
	assert_int_equal(
		json_unpack(json_array_get(faults, 0), "{si si s:n si ss ss si si!}", "id", &id, "delay_ms", &delay,
			"status", "percent", &percent, "worker", &worker, "path", &path, "ttl_ms", &ttl, "hits", &hits),
		0);
	assert_int_equal(id, first);
	assert_int_equal(delay, 1);
	assert_int_equal(percent, 50);
	assert_string_equal(worker, "app1");
	assert_string_equal(path, "/echo");
	assert_true(ttl > 30000 && ttl <= 60000);
	assert_int_equal(hits, 0);
	assert_int_equal(
		json_unpack(json_array_get(faults, 1), "{si s:n si si s:n s:n si si!}", "id", &id, "delay_ms", "status",
			&status, "percent", &percent, "worker", "path", "ttl_ms", &ttl, "hits", &hits),
		0);
	assert_int_equal(id, second);
	assert_int_equal(status, 418);
	assert_int_equal(percent, 100);
	assert_int_equal(hits, 1);
	assert_int_equal(
		json_integer_value(json_object_get(ask(daemon, "DELETE", keepf("?id=%u", second), 200), "cleared")), 1);
	assert_string_equal(
		json_string_value(json_object_get(ask(daemon, "DELETE", keepf("?id=%u", second), 404), "error")),
		keepf("no fault %u", second));
	expect_sound(wire_get(daemon_public(daemon), "/"), "testapp\n");
	add(daemon, "status=503&ttl=1m");
	assert_int_equal(json_integer_value(json_object_get(ask(daemon, "DELETE", "", 200), "cleared")), 2);
	assert_int_equal(count(daemon), 0);
	assert_true(daemon_metric(daemon, "rmsd_faults_active", NULL) == 0);
	daemon_await_log(daemon, "verb=fault-clear uid=");
	assert_non_null(strstr(daemon_log(daemon), "arguments=\"status=418&ttl=1m\" status=200 fault=2"));
	daemon_stop(daemon);
}

static void a_wrong_fault_is_refused_with_the_reason(void **state)
{
	static const struct {
		const char *query, *word;
		int status;
	} rows[] = {
		{ "?status=503", "missing: ttl", 400 },
		{ "?ttl=1m", "either a delay or a status", 400 },
		{ "?status=503&delay=1s&ttl=1m", "either a delay or a status", 400 },
		{ "?status=100&ttl=1m", "status: out of range (a number, from 200 to 599)", 400 },
		{ "?status=600&ttl=1m", "status: out of range", 400 },
		{ "?status=503&ttl=2h", "ttl: out of range", 400 },
		{ "?status=503&ttl=5", "ttl: missing unit", 400 },
		{ "?status=503&ttl=1m&percent=0", "percent: out of range (a number, from 1 to 100)", 400 },
		{ "?status=503&ttl=1m&percent=101", "percent: out of range", 400 },
		{ "?status=503&ttl=1m&percent=1.5", "percent: ", 400 },
		{ "?status=503&ttl=1m&path=echo", "path: not a prefix of one", 400 },
		{ "?status=503&ttl=1m&path=%FF", "path: not percent-encoded text", 400 },
		{ "?status=503&ttl=1m&rate=5", "unknown argument rate (accepted: delay, if_generation, path, ", 400 },
		{ "?status=503&ttl=1m&worker=app9", "no worker is called app9; there are app1, app2, app3", 404 },
	};
	struct daemon *daemon = start();

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		json_t *json = ask(daemon, "POST", rows[i].query, rows[i].status);
		const char *error = json_string_value(json_object_get(json, "error"));

		if (!strstr(error, rows[i].word))
			fail_msg("%s: %s", rows[i].query, error);
	}
	ask(daemon, "POST", "?status=503&ttl=1m&if_generation=1", 409);
	ask(daemon, "DELETE", "?if_generation=1", 409);
	ask(daemon, "GET", "?id=1", 400);
	ask(daemon, "DELETE", "?id=0", 400);
	assert_int_equal(count(daemon), 0);
	for (unsigned i = 0; i < 16; i++)
		add(daemon, "status=503&ttl=1m");
	ask(daemon, "POST", "?status=503&ttl=1m", 409);
	assert_int_equal(count(daemon), 16);
	daemon_stop(daemon);
}

static void nothing_is_spoiled_while_faults_are_off(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", NULL);

	(void)state;
	ask(daemon, "POST", "?status=503&ttl=1m", 409);
	ask(daemon, "GET", "", 409);
	ask(daemon, "DELETE", "", 409);
	assert_int_equal(daemon_verb(daemon, "app1", "stall?for=1s")->status, 409);
	assert_int_equal(wire_get(daemon_public(daemon), "/")->status, 200);
	/* The side door that everybody may ask has no such thing. */
	assert_int_equal(wire_get(daemon_admin(daemon), "/v1/faults")->status, 404);
	daemon_stop(daemon);
}

/* What waits on a worker that is lost is run on another one, as any deferred request. */
static void a_delayed_request_outlives_its_worker(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", "faults=on", "workers=2", NULL);
	struct wire *wire;
	struct reply *reply;

	(void)state;
	add(daemon, "delay=300ms&ttl=1m");
	daemon_do(daemon, "app2", "kill");
	wire = wire_open(daemon_public(daemon));
	daemon_await(daemon, "app1", "up", 1);
	daemon_do(daemon, "app2", "revive");
	wire_put(wire, "GET /worker HTTP/1.1\r\nHost: a\r\n\r\n");
	while (injected(daemon, "delay") < 1)
		;
	daemon_do(daemon, "app1", "kill");
	reply = wire_reply(wire);
	reply_expect(reply, 200, "app2");
	reply_expect_field(reply, "X-Rmsd-Fault", "1");
	wire_expect_alive(wire);
	wire_close(wire);
	daemon_stop(daemon);
}

/* Who goes away while he waits leaves nothing behind, and the worker goes on. */
static void a_client_may_leave_while_it_is_delayed(void **state)
{
	struct daemon *daemon = start();
	unsigned i;

	(void)state;
	add(daemon, "delay=1s&ttl=1m&path=/count");
	for (i = 0; i < 20; i++) {
		struct wire *wire = wire_open(daemon_public(daemon));

		wire_put(wire, "POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
		while (injected(daemon, "delay") < i + 1)
			;
		wire_reset(wire);
	}
	/* Those that had gone when their time came were not run. */
	assert_int_equal(wire_request(daemon_public(daemon), "POST", "/count")->status, 200);
	expect_sound(wire_get(daemon_public(daemon), "/total"), "1\n");
	daemon_stop(daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_status_comes_in_the_apps_place, daemon_cleanup),
		cmocka_unit_test_teardown(a_delay_comes_before_the_apps_answer, daemon_cleanup),
		cmocka_unit_test_teardown(many_are_delayed_at_once, daemon_cleanup),
		cmocka_unit_test_teardown(a_percentage_is_exact, daemon_cleanup),
		cmocka_unit_test_teardown(a_fault_looks_at_its_worker_and_its_paths, daemon_cleanup),
		cmocka_unit_test_teardown(a_fault_ends_by_itself, daemon_cleanup),
		cmocka_unit_test_teardown(faults_are_listed_and_cleared, daemon_cleanup),
		cmocka_unit_test_teardown(a_wrong_fault_is_refused_with_the_reason, daemon_cleanup),
		cmocka_unit_test_teardown(nothing_is_spoiled_while_faults_are_off, daemon_cleanup),
		cmocka_unit_test_teardown(a_delayed_request_outlives_its_worker, daemon_cleanup),
		cmocka_unit_test_teardown(a_client_may_leave_while_it_is_delayed, daemon_cleanup),
	};

	return cmocka_run_group_tests_name("faults", tests, NULL, NULL);
}
