/* test_events.c - /events: what a subscriber is told, and that nobody waits for one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <signal.h>

#include <cmocka.h>

#include "support/daemon.h"
#include "support/keep.h"
#include "support/lines.h"

enum { PATIENCE_MS = 15000, SUBSCRIBERS = 16 };

/* A state event, the next one. */
static void expect_state(struct lines *lines, const char *worker, const char *was, const char *state, long *time_ns)
{
	json_t *data = lines_event(lines, "state", PATIENCE_MS, NULL);
	long now = lines_number(data, "time_ns");

	assert_string_equal(lines_text(data, "worker"), worker);
	assert_string_equal(lines_text(data, "was"), was);
	assert_string_equal(lines_text(data, "state"), state);
	assert_true(now >= *time_ns);
	*time_ns = now;
}

static void a_kill_and_a_revive_are_told_in_order(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	struct lines *lines = lines_open(daemon_admin(daemon), "GET", "/events");
	long begun = (long)(wire_clock_ms() * 1e6), time_ns = begun, first, id;
	json_t *data;

	(void)state;
	lines_event(lines, "figures", PATIENCE_MS, &first);
	daemon_do(daemon, "app2", "kill");
	expect_state(lines, "app2", "up", "down", &time_ns);
	data = lines_event(lines, "rehomed", PATIENCE_MS, &id);
	assert_string_equal(lines_text(data, "worker"), "app2");
	assert_string_equal(lines_text(data, "reason"), "kill");
	assert_int_equal(lines_number(data, "connections"), 0);
	assert_true(lines_number(data, "time_ns") >= time_ns);
	assert_true(id > first);
	daemon_do(daemon, "app2", "revive");
	expect_state(lines, "app2", "down", "starting", &time_ns);
	expect_state(lines, "app2", "starting", "up", &time_ns);
	data = lines_event(lines, "even", PATIENCE_MS, &first);
	assert_true(lines_number(data, "time_ns") >= time_ns);
	assert_true(first > id);
	/* Of the clock that we look at too. */
	assert_true(lines_number(data, "time_ns") <= (long)(wire_clock_ms() * 1e6) + 1000000);
	lines_close(lines);
	daemon_stop(daemon);
}

static void figures_come_each_second(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	struct lines *lines = lines_open(daemon_socket(daemon), "GET", "/events");
	struct wire *wire = wire_open(daemon_public(daemon));
	json_t *data = lines_event(lines, "figures", PATIENCE_MS, NULL), *worker, *totals;
	long first_ns = lines_number(data, "time_ns"), second_ns, requests = 0;
	size_t i;

	(void)state;
	wire_expect_alive(wire);
	data = lines_event(lines, "figures", PATIENCE_MS, NULL);
	second_ns = lines_number(data, "time_ns");
	assert_true(second_ns - first_ns > 900000000);
	json_array_foreach(json_object_get(data, "workers"), i, worker) {
		assert_string_equal(lines_text(worker, "name"), keepf("app%zu", i + 1));
		assert_string_equal(lines_text(worker, "state"), "up");
		assert_int_equal(lines_number(worker, "in_flight"), 0);
		requests += lines_number(worker, "requests_total");
	}
	assert_int_equal(i, 3);
	assert_int_equal(requests, 1);
	totals = json_object_get(data, "totals");
	assert_int_equal(lines_number(totals, "requests_total"), 1);
	assert_int_equal(lines_number(totals, "connections"), 1);
	assert_int_equal(lines_number(totals, "in_flight"), 0);
	assert_true(second_ns - first_ns < 1900000000 || daemon_sanitized());
	wire_close(wire);
	lines_close(lines);
	daemon_stop(daemon);
}

static void figures_may_be_declined(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	struct lines *lines = lines_open(daemon_admin(daemon), "GET", "/events?figures=0");
	const char *line;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		line = lines_next(lines, PATIENCE_MS);
		assert_true(!*line || *line == ':' || !strncmp(line, "retry: ", 7));
	}
	assert_int_equal(wire_end(lines_wire(lines), 1500), WIRE_QUIET);
	daemon_do(daemon, "app1", "kill");
	assert_memory_equal(lines_next(lines, PATIENCE_MS), "id: ", 4);
	assert_string_equal(lines_next(lines, PATIENCE_MS), "event: state");
	assert_int_equal(wire_get(daemon_admin(daemon), "/events?figures=2")->status, 400);
	lines_close(lines);
	daemon_stop(daemon);
}

static void a_head_is_answered_at_once(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	struct wire *wire = wire_open(daemon_admin(daemon));

	(void)state;
	wire_put(wire, "HEAD /events HTTP/1.1\r\nHost: a\r\n\r\n");
	reply_expect_field(wire_reply_head(wire), "Content-Type", "text/event-stream");
	wire_put(wire, "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n");
	reply_expect(wire_reply(wire), 200, "ok\n");
	wire_close(wire);
	daemon_stop(daemon);
}

/* And who leaves makes room. */
static void too_many_subscribers_are_refused(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	struct lines *all[SUBSCRIBERS];
	double until;
	struct reply *reply;

	(void)state;
	for (unsigned i = 0; i < SUBSCRIBERS; i++)
		all[i] = lines_open(daemon_admin(daemon), "GET", "/events");
	reply = wire_get(daemon_admin(daemon), "/events");
	assert_int_equal(reply->status, 503);
	reply_expect_field(reply, "Retry-After", "5");
	assert_int_equal(wire_get(daemon_admin(daemon), "/readyz")->status, 200);
	lines_reset(all[0]);
	until = wire_clock_ms() + PATIENCE_MS;
	do {
		struct wire *wire = wire_open(daemon_admin(daemon));
		char head[13];

		wire_put(wire, "GET /events HTTP/1.1\r\nHost: a\r\n\r\n");
		assert_int_equal(wire_read(wire, head, 13), 13);
		wire_close(wire);
		assert_true(wire_clock_ms() < until);
		if (!memcmp(head, "HTTP/1.1 200 ", 13))
			break;
	} while (true);
	for (unsigned i = 1; i < SUBSCRIBERS; i++)
		lines_close(all[i]);
	daemon_stop(daemon);
}

/* The others, and the server, do not wait for one that does not read. */
static void a_subscriber_that_does_not_read_is_dropped(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, "workers=2", "write_timeout=500ms", NULL);
	struct lines *lines = lines_open(daemon_socket(daemon), "GET", "/events");
	unsigned fds = daemon_fds(daemon), kills = 0;
	struct wire *deaf = wire_open(daemon_socket(daemon));
	double until = wire_clock_ms() + 60000;

	(void)state;
	wire_put(deaf, "GET /events?figures=0 HTTP/1.1\r\nHost: a\r\n\r\n");
	while (!strstr(daemon_log(daemon), "a subscriber of events does not read: dropped")) {
		assert_true(wire_clock_ms() < until);
		for (unsigned i = 0; i < 50; i++, kills++) {
			daemon_do(daemon, "app2", "kill");
			daemon_do(daemon, "app2", "revive");
			for (unsigned n = 0; n < 2; n++)
				lines_event(lines, "state", PATIENCE_MS, NULL);
		}
	}
	assert_true(daemon_metric(daemon, "rmsd_events_dropped_total", NULL) == 0);
	assert_true(kills > 100);
	/* And its connection ends, though it is still open on its side. */
	while (daemon_fds(daemon) > fds)
		assert_true(wire_clock_ms() < until);
	wire_close(deaf);
	lines_close(lines);
	daemon_stop(daemon);
}

static void a_stop_does_not_wait_for_subscribers(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	struct lines *open = lines_open(daemon_admin(daemon), "GET", "/events");
	struct lines *control = lines_open(daemon_socket(daemon), "GET", "/events");
	double begun;

	(void)state;
	lines_event(control, "figures", PATIENCE_MS, NULL);
	begun = wire_clock_ms();
	daemon_signal(daemon, SIGTERM);
	assert_int_equal(daemon_wait(daemon, PATIENCE_MS), 0);
	if (wire_clock_ms() - begun > 500 && !daemon_sanitized())
		fail_msg("it took %.0f ms to stop", wire_clock_ms() - begun);
	lines_close(open);
	lines_close(control);
	daemon_stop(daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_kill_and_a_revive_are_told_in_order, daemon_cleanup),
		cmocka_unit_test_teardown(figures_come_each_second, daemon_cleanup),
		cmocka_unit_test_teardown(figures_may_be_declined, daemon_cleanup),
		cmocka_unit_test_teardown(a_head_is_answered_at_once, daemon_cleanup),
		cmocka_unit_test_teardown(too_many_subscribers_are_refused, daemon_cleanup),
		cmocka_unit_test_teardown(a_subscriber_that_does_not_read_is_dropped, daemon_cleanup),
		cmocka_unit_test_teardown(a_stop_does_not_wait_for_subscribers, daemon_cleanup),
	};

	return cmocka_run_group_tests_name("events", tests, NULL, NULL);
}
