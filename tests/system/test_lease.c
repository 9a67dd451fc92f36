/* test_lease.c - POST /v1/drill: a loss to order, told line by line, and undone when nobody watches any more. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/daemon.h"
#include "support/keep.h"
#include "support/lines.h"

enum { PATIENCE_MS = 15000 };

static const char *const conf = "stall_timeout: 200ms\nroutes:\n  /: {text: " DAEMON_TEXT "}\n";

static struct lines *begin(struct daemon *daemon, const char *query)
{
	return lines_open(daemon_socket(daemon), "POST", keepf("/v1/drill?%s", query));
}

static long now_ns(void)
{
	return (long)(wire_clock_ms() * 1e6);
}

/* A line of the drill, and the last time that was seen: none goes back. */
struct watch {
	struct lines *lines;
	json_t *line;
	long time_ns;
};

static void next(struct watch *watch)
{
	long time_ns;

	watch->line = lines_json(watch->lines, PATIENCE_MS);
	assert_non_null(watch->line);
	time_ns = lines_number(watch->line, "time_ns");
	if (time_ns < watch->time_ns)
		fail_msg("back in time: %s", json_dumps(watch->line, 0));
	watch->time_ns = time_ns;
}

static long expect(struct watch *watch, const char *event)
{
	next(watch);
	if (strcmp(lines_text(watch->line, "event"), event) != 0)
		fail_msg("%s expected: %s", event, json_dumps(watch->line, 0));
	return watch->time_ns;
}

static long expect_state(struct watch *watch, const char *worker, const char *was, const char *state)
{
	long time_ns = expect(watch, "state");

	if (strcmp(lines_text(watch->line, "worker"), worker) != 0 ||
		strcmp(lines_text(watch->line, "was"), was) != 0 ||
		strcmp(lines_text(watch->line, "state"), state) != 0)
		fail_msg("%s from %s to %s expected: %s", worker, was, state, json_dumps(watch->line, 0));
	assert_true(lines_number(watch->line, "generation") > 0);
	return time_ns;
}

static void expect_end(struct watch *watch, bool ok)
{
	expect(watch, "end");
	if (json_is_true(json_object_get(watch->line, "ok")) != ok)
		fail_msg("%s", json_dumps(watch->line, 0));
	assert_null(lines_json(watch->lines, PATIENCE_MS));
}

static void expect_refused(struct daemon *daemon, const char *query, int status, const char *word)
{
	struct reply *reply = wire_request(daemon_socket(daemon), "POST", keepf("/v1/drill%s", query));
	json_t *json = keep(json_loads(reply->body, 0, NULL));

	if (reply->status != status || !json_is_false(json_object_get(json, "ok")) ||
		!strstr(lines_text(json, "error"), word))
		fail_msg("%s: %d with \"%s\" expected: %s%s", query, status, word, reply->head, reply->body);
	assert_true(lines_number(json, "generation") > 0);
}

static double drills(struct daemon *daemon, const char *result)
{
	return daemon_metric(daemon, "rmsd_drills_total", keepf("result=\"%s\"", result), NULL);
}

static void await_drills(struct daemon *daemon, const char *result, double n)
{
	double until = wire_clock_ms() + PATIENCE_MS;

	while (drills(daemon, result) < n)
		assert_true(wire_clock_ms() < until);
}

static void judge(struct daemon *daemon, bool passed)
{
	struct reply *reply = wire_request(daemon_socket(daemon), "POST", keepf("/v1/drill/verdict?passed=%d", passed));

	assert_int_equal(reply->status, 200);
	assert_non_null(strstr(reply->body, "\"ok\":true"));
}

static void a_kill_is_told_and_undone_in_time(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", conf, NULL);
	const struct client_plan plan = { .address = daemon_public(daemon), .path = "/", .connections = 30 };
	struct account account;
	struct client *client;
	struct watch watch = { 0 };
	long asked, injected, lost, rehomed, reverting, back;

	(void)state;
	assert_int_equal(client_start(&plan, &client), 0);
	assert_true(client_await_answered(client, 100, PATIENCE_MS));
	asked = now_ns();
	watch.lines = begin(daemon, "action=kill&worker=app2&for=300ms");
	assert_true(expect(&watch, "begun") >= asked - 1000000);
	assert_string_equal(lines_text(watch.line, "action"), "kill");
	assert_string_equal(lines_text(watch.line, "worker"), "app2");
	injected = expect(&watch, "injected");
	lost = expect_state(&watch, "app2", "up", "down");
	rehomed = expect(&watch, "rehomed");
	assert_string_equal(lines_text(watch.line, "worker"), "app2");
	assert_int_equal(lines_number(watch.line, "connections"), 10);
	assert_true(daemon_metric(daemon, "rmsd_drill_running", NULL) == 1);
	reverting = expect(&watch, "reverting");
	assert_true(reverting - injected >= 299000000);
	assert_true(reverting - injected < 400000000 || daemon_sanitized());
	expect_state(&watch, "app2", "down", "starting");
	back = expect_state(&watch, "app2", "starting", "up");
	assert_true(expect(&watch, "even") >= back);
	expect_end(&watch, true);
	lines_close(watch.lines);
	client_stop(client);
	client_join(client, &account);
	assert_true(account_clean(&account));
	assert_true(daemon_metric(daemon, "rmsd_drill_running", NULL) == 0);
	assert_true(daemon_metric(daemon, "rmsd_drill_last_detect_seconds", NULL) == (double)(lost - injected) / 1e9);
	assert_true(
		daemon_metric(daemon, "rmsd_drill_last_recover_seconds", NULL) == (double)(rehomed - injected) / 1e9);
	assert_true(drills(daemon, "passed") == 0);
	judge(daemon, true);
	assert_true(drills(daemon, "passed") == 1);
	daemon_stop(daemon);
}

static void a_drain_is_told_and_undone(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", conf, NULL);
	struct watch watch = { .lines = begin(daemon, "action=drain&worker=app1&for=100ms") };

	(void)state;
	expect(&watch, "begun");
	expect(&watch, "injected");
	expect_state(&watch, "app1", "up", "draining");
	expect_state(&watch, "app1", "draining", "down");
	expect(&watch, "rehomed");
	expect(&watch, "reverting");
	expect_state(&watch, "app1", "down", "starting");
	expect_state(&watch, "app1", "starting", "up");
	expect(&watch, "even");
	expect_end(&watch, true);
	lines_close(watch.lines);
	daemon_stop(daemon);
}

/* The watchdog finds it and replaces it; that is before the drill's time is over. */
static void a_stall_is_found_while_it_lasts(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", conf, "faults=on", NULL);
	struct watch watch = { .lines = begin(daemon, "action=stall&worker=app3&for=1500ms") };
	long injected, lost, reverting = 0, back = 0;

	(void)state;
	expect(&watch, "begun");
	injected = expect(&watch, "injected");
	lost = expect_state(&watch, "app3", "up", "stalled");
	assert_true(lost - injected >= 150000000);
	do {
		next(&watch);
		if (!strcmp(lines_text(watch.line, "event"), "state") && !strcmp(lines_text(watch.line, "state"), "up"))
			back = watch.time_ns;
		else if (!strcmp(lines_text(watch.line, "event"), "reverting"))
			reverting = watch.time_ns;
	} while (strcmp(lines_text(watch.line, "event"), "end") != 0);
	assert_true(json_is_true(json_object_get(watch.line, "ok")));
	assert_true(back > lost);
	assert_true(reverting - injected >= 1499000000);
	assert_true(back < reverting || daemon_sanitized());
	assert_null(lines_json(watch.lines, PATIENCE_MS));
	lines_close(watch.lines);
	assert_true(daemon_metric(daemon, "rmsd_worker_restarts_total", "reason=\"stall\"", NULL) == 1);
	daemon_stop(daemon);
}

/* Shorter than stall_timeout: nothing is lost, and that is no failure. */
static void a_short_stall_is_no_loss(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", conf, "faults=on", "stall_timeout=5s", NULL);
	struct watch watch = { .lines = begin(daemon, "action=stall&worker=app3&for=800ms") };
	double begun, until = wire_clock_ms() + WIRE_PATIENCE_MS;

	(void)state;
	expect(&watch, "begun");
	expect(&watch, "injected");
	/* It does sleep, if perhaps only after a reply or two. */
	do {
		begun = wire_clock_ms();
		assert_int_equal(wire_get(daemon_worker(daemon, "app3"), "/")->status, 200);
	} while (wire_clock_ms() - begun <= 50 && wire_clock_ms() < until);
	assert_true(wire_clock_ms() - begun > 50);
	expect(&watch, "reverting");
	expect_end(&watch, true);
	lines_close(watch.lines);
	assert_true(daemon_metric(daemon, "rmsd_drill_last_detect_seconds", NULL) == 0);
	daemon_stop(daemon);
}

/* In the middle: the worker is back within 200 ms, and the drill does not count as one that anybody judged. */
static void a_client_that_leaves_ends_the_drill(void **state)
{
	static const char *const actions[] = { "kill", "drain" };
	struct daemon *daemon = daemon_start("rmsd", conf, NULL);

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct watch watch = { .lines = begin(daemon, keepf("action=%s&worker=app2&for=1m", actions[i])) };
		double left;

		do
			next(&watch);
		while (strcmp(lines_text(watch.line, "event"), "rehomed") != 0);
		assert_string_equal(daemon_state(daemon, "app2"), "down");
		left = wire_clock_ms();
		lines_close(watch.lines);
		daemon_await(daemon, "app2", "up", -1);
		if (wire_clock_ms() - left > 200 && !daemon_sanitized())
			fail_msg("%s: %.0f ms", actions[i], wire_clock_ms() - left);
		await_drills(daemon, "aborted", i + 1);
	}
	daemon_await_log(daemon, "a drill's client has gone action=drain worker=app2");
	daemon_await_log(daemon, "a drill has ended action=drain worker=app2 ok=no aborted=yes");
	daemon_await_log(daemon, "why=\"its client has gone\"");
	assert_true(daemon_metric(daemon, "rmsd_drill_running", NULL) == 0);
	assert_int_equal(wire_request(daemon_socket(daemon), "POST", "/v1/drill/verdict?passed=1")->status, 409);
	daemon_stop(daemon);
}

static void a_stall_ends_with_its_client(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", conf, "faults=on", "stall_timeout=1h", NULL);
	struct watch watch = { .lines = begin(daemon, "action=stall&worker=app1&for=1m") };

	(void)state;
	expect(&watch, "begun");
	expect(&watch, "injected");
	lines_close(watch.lines);
	await_drills(daemon, "aborted", 1);
	assert_int_equal(wire_get(daemon_worker(daemon, "app1"), "/")->status, 200);
	daemon_stop(daemon);
}

static void one_drill_at_a_time(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", conf, NULL);
	struct watch watch = { .lines = begin(daemon, "action=kill&worker=app2&for=200ms") };

	(void)state;
	expect_refused(daemon, "?action=kill&worker=app3&for=1s", 409, "another drill runs: kill of app2");
	do
		next(&watch);
	while (strcmp(lines_text(watch.line, "event"), "end") != 0);
	assert_true(json_is_true(json_object_get(watch.line, "ok")));
	lines_close(watch.lines);
	watch = (struct watch){ .lines = begin(daemon, "action=kill&worker=app3&for=50ms") };
	do
		next(&watch);
	while (strcmp(lines_text(watch.line, "event"), "end") != 0);
	lines_close(watch.lines);
	/* Nobody judged the first; now nobody can. */
	assert_true(drills(daemon, "aborted") == 1);
	judge(daemon, false);
	assert_true(drills(daemon, "failed") == 1);
	assert_int_equal(wire_request(daemon_socket(daemon), "POST", "/v1/drill/verdict?passed=0")->status, 409);
	assert_int_equal(wire_request(daemon_socket(daemon), "POST", "/v1/drill/verdict")->status, 400);
	daemon_stop(daemon);
}

/* Other verbs go on, of the drill's own worker too; but a loss that did not last proves nothing. */
static void who_revives_a_drills_worker_ends_it(void **state)
{
	static const char *const actions[] = { "kill", "drain" };
	struct daemon *daemon = daemon_start("rmsd", conf, NULL);

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct watch watch = { .lines = begin(daemon, keepf("action=%s&worker=app2&for=1m", actions[i])) };

		do
			next(&watch);
		while (strcmp(lines_text(watch.line, "event"), "rehomed") != 0);
		daemon_do(daemon, "app2", "revive");
		expect_state(&watch, "app2", "down", "starting");
		expect_state(&watch, "app2", "starting", "up");
		expect_end(&watch, false);
		assert_string_equal(lines_text(watch.line, "error"), "app2 was revived by somebody else");
		lines_close(watch.lines);
		judge(daemon, false);
	}
	daemon_stop(daemon);
}

static void what_cannot_be_drilled_is_refused_with_the_reason(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", conf, NULL);
	struct watch watch;

	(void)state;
	expect_refused(daemon, "", 400, "missing: action, for, worker");
	expect_refused(daemon, "?action=maim&worker=app2&for=1s", 400, "action: not a choice (kill, stall or drain)");
	expect_refused(daemon, "?action=kill&worker=app2&for=0s", 400, "for: out of range");
	expect_refused(daemon, "?action=kill&worker=app2&for=1s&wait=1", 400, "unknown argument wait (accepted: ");
	expect_refused(daemon, "?action=kill&worker=app9&for=1s", 404, "there are app1, app2, app3");
	expect_refused(daemon, "?action=stall&worker=app2&for=1s", 409, "faults are off");
	daemon_do(daemon, "app1", "kill");
	expect_refused(daemon, "?action=kill&worker=app1&for=1s", 409, "app1 is down");
	daemon_do(daemon, "app3", "kill");
	expect_refused(daemon, "?action=kill&worker=app2&for=1s", 409, "last worker up");
	expect_refused(daemon, "?action=drain&worker=app2&for=1s", 409, "last worker up");
	assert_string_equal(daemon_state(daemon, "app2"), "up");
	assert_true(daemon_metric(daemon, "rmsd_drill_running", NULL) == 0);
	watch = (struct watch){ .lines = begin(daemon, "action=kill&worker=app2&for=50ms&force=1") };
	do
		next(&watch);
	while (strcmp(lines_text(watch.line, "event"), "end") != 0);
	/* Alone, it has all there is: nothing to even out. */
	assert_true(json_is_true(json_object_get(watch.line, "ok")));
	lines_close(watch.lines);
	assert_int_equal(wire_request(daemon_admin(daemon), "POST", "/v1/drill")->status, 404);
	daemon_stop(daemon);
}

static void its_marks_are_events(void **state)
{
	static const char *const marks[] = { "begun", "injected", "reverting", "end", "verdict" };
	struct daemon *daemon = daemon_start("rmsd", conf, NULL);
	struct lines *events = lines_open(daemon_admin(daemon), "GET", "/events?figures=0");
	struct watch watch = { .lines = begin(daemon, "action=kill&worker=app2&for=50ms") };

	(void)state;
	while (lines_json(watch.lines, PATIENCE_MS))
		;
	judge(daemon, true);
	for (unsigned i = 0; i < sizeof(marks) / sizeof(*marks); i++) {
		json_t *data = lines_event(events, "drill", PATIENCE_MS, NULL);

		assert_string_equal(lines_text(data, "event"), marks[i]);
		assert_string_equal(lines_text(data, "action"), "kill");
		assert_string_equal(lines_text(data, "worker"), "app2");
		assert_true(lines_number(data, "time_ns") > 0);
	}
	lines_close(watch.lines);
	lines_close(events);
	daemon_stop(daemon);
}

static void a_stop_ends_a_drill(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", conf, NULL);
	struct watch watch = { .lines = begin(daemon, "action=kill&worker=app2&for=1m") };
	double begun;

	(void)state;
	do
		next(&watch);
	while (strcmp(lines_text(watch.line, "event"), "rehomed") != 0);
	begun = wire_clock_ms();
	daemon_signal(daemon, SIGTERM);
	expect_end(&watch, false);
	assert_string_equal(lines_text(watch.line, "error"), "rmsd is shutting down");
	assert_true(json_is_true(json_object_get(watch.line, "aborted")));
	assert_int_equal(daemon_wait(daemon, PATIENCE_MS), 0);
	assert_true(wire_clock_ms() - begun < 1000 || daemon_sanitized());
	lines_close(watch.lines);
	daemon_stop(daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_kill_is_told_and_undone_in_time, daemon_cleanup),
		cmocka_unit_test_teardown(a_drain_is_told_and_undone, daemon_cleanup),
		cmocka_unit_test_teardown(a_stall_is_found_while_it_lasts, daemon_cleanup),
		cmocka_unit_test_teardown(a_short_stall_is_no_loss, daemon_cleanup),
		cmocka_unit_test_teardown(a_client_that_leaves_ends_the_drill, daemon_cleanup),
		cmocka_unit_test_teardown(a_stall_ends_with_its_client, daemon_cleanup),
		cmocka_unit_test_teardown(one_drill_at_a_time, daemon_cleanup),
		cmocka_unit_test_teardown(who_revives_a_drills_worker_ends_it, daemon_cleanup),
		cmocka_unit_test_teardown(what_cannot_be_drilled_is_refused_with_the_reason, daemon_cleanup),
		cmocka_unit_test_teardown(its_marks_are_events, daemon_cleanup),
		cmocka_unit_test_teardown(a_stop_ends_a_drill, daemon_cleanup),
	};

	return cmocka_run_group_tests_name("lease", tests, NULL, NULL);
}
