/* test_events.c - /events: what a subscriber is told, and that nobody waits for one. */
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "support/daemon.h"
#include "support/keep.h"
#include "support/lines.h"

enum { PATIENCE_MS = 15000, SUBSCRIBERS = 16, PAGES = 10 };

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
	assert_true(second_ns > first_ns); /* the first ones come at once */
	first_ns = second_ns;
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

/* Of each second: what a rate says, times how long it was, is what the counters say. */
static void rates_add_up_to_the_counters(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", "faults=on", NULL);
	struct lines *lines = lines_open(daemon_admin(daemon), "GET", "/events");
	struct wire *wire = wire_open(daemon_public(daemon));
	json_t *data, *totals;
	double sum = 0, p50 = 0, until = wire_clock_ms() + 60000;
	unsigned sent = 0, slow = 0;
	long before_ns, after_ns;

	(void)state;
	assert_int_equal(
		wire_request(daemon_socket(daemon), "POST", "/v1/faults?delay=120ms&path=/echo&ttl=1m")->status, 200);
	do
		data = lines_event(lines, "figures", PATIENCE_MS, NULL);
	while (!lines_number(data, "second_ns"));
	before_ns = lines_number(data, "second_ns");
	/* Until all are in a second that has ended. */
	do {
		assert_true(wire_clock_ms() < until);
		for (unsigned i = 0; i < 4 && sent < 8; i++, sent++) {
			wire_put(wire, "GET /echo/a HTTP/1.1\r\nHost: a\r\n\r\n");
			assert_int_equal(wire_reply(wire)->status, 200);
		}
		data = lines_event(lines, "figures", PATIENCE_MS, NULL);
		totals = json_object_get(data, "totals");
		after_ns = lines_number(data, "second_ns");
		sum += json_number_value(json_object_get(totals, "requests_per_second")) * 1e-9 *
			(double)(after_ns - before_ns);
		before_ns = after_ns;
		if (json_is_real(json_object_get(totals, "p50_seconds"))) {
			p50 = json_number_value(json_object_get(totals, "p50_seconds"));
			slow += p50 >= 0.1 && p50 <= 0.25;
		}
	} while (sum < 7.5);
	if (fabs(sum - 8) > 0.5)
		fail_msg("%.2f requests by the rates, 8 were sent", sum);
	assert_int_equal(lines_number(totals, "requests_total"), 8);
	if (!slow && !daemon_sanitized())
		fail_msg("p50 is %f s", p50);
	assert_true(p50 >= 0.1);
	wire_close(wire);
	lines_close(lines);
	daemon_stop(daemon);
}

static void the_history_comes_first_if_it_is_asked_for(void **state)
{
	static const char asked[] = "/events?history=1";
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	struct lines *lines = lines_open(daemon_admin(daemon), "GET", "/events");
	json_t *data, *event, *row;
	unsigned downs = 0;
	size_t i, seconds;

	(void)state;
	daemon_do(daemon, "app2", "kill");
	/* Two seconds that end after the kill. */
	for (unsigned n = 0; n < 3; n++)
		lines_event(lines, "figures", PATIENCE_MS, NULL);
	lines_close(lines);
	lines = lines_open(daemon_admin(daemon), "GET", asked);
	data = lines_event(lines, "history", PATIENCE_MS, NULL);
	assert_int_equal(json_array_size(json_object_get(data, "workers")), 3);
	seconds = json_array_size(json_object_get(data, "seconds"));
	assert_true(seconds >= 2);
	json_array_foreach(json_object_get(data, "seconds"), i, row)
		assert_int_equal(json_array_size(row), 1 + 3 * 3);
	row = json_array_get(json_object_get(data, "seconds"), seconds - 1);
	assert_string_equal(json_string_value(json_array_get(json_object_get(data, "states"),
				    (size_t)json_integer_value(json_array_get(row, 6)))),
		"down");
	json_array_foreach(json_object_get(data, "events"), i, event)
		downs += !strcmp(lines_text(event, "kind"), "state") &&
			!strcmp(lines_text(json_object_get(event, "data"), "state"), "down");
	assert_int_equal(downs, 1);
	lines_event(lines, "figures", PATIENCE_MS, NULL);
	lines_close(lines);
	daemon_stop(daemon);
}

/* As long as it can be, it is still within what a subscriber may be behind. */
static void the_history_of_many_workers_is_bounded(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, "workers=64", NULL);
	struct lines *lines;
	const char *line;

	(void)state;
	for (unsigned i = 0; i < 64; i++)
		daemon_do(daemon, "app2", i % 2 ? "revive" : "kill");
	lines = lines_open(daemon_admin(daemon), "GET", "/events?history=1");
	do
		line = lines_next(lines, PATIENCE_MS);
	while (strncmp(line, "data: ", 6) != 0);
	assert_true(strlen(line) < 64 * 1024);
	assert_non_null(strstr(line, "\"down\""));
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

/* Of a processor, while ten pages are open: what the kernel counts, however busy the machine is. */
static void ten_pages_cost_under_a_hundredth(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	struct lines *all[PAGES];
	double used, begun;

	(void)state;
	for (unsigned i = 0; i < PAGES; i++)
		all[i] = lines_open(daemon_admin(daemon), "GET", "/events?history=1");
	lines_event(all[0], "figures", PATIENCE_MS, NULL);
	used = daemon_thread_cpu_ms(daemon, "admin");
	begun = wire_clock_ms();
	for (unsigned i = 0; i < 3; i++)
		lines_event(all[0], "figures", PATIENCE_MS, NULL);
	used = (daemon_thread_cpu_ms(daemon, "admin") - used) / (wire_clock_ms() - begun);
	printf("%.3f %% of a processor\n", used * 100);
	assert_true(used > 0);
	if (!daemon_sanitized())
		assert_true(used < 0.01);
	for (unsigned i = 0; i < PAGES; i++)
		lines_close(all[i]);
	daemon_stop(daemon);
}

/*
 * The others, and the server, do not wait for one that does not read. It is dropped when it is too far behind; a slow
 * machine must get there before write_timeout does.
 */
static void a_subscriber_that_does_not_read_is_dropped(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, "workers=2", "write_timeout=5s", NULL);
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
			/* Down, starting, up: all that there is, or this one too does not read. */
			for (unsigned n = 0; n < 3; n++)
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
		cmocka_unit_test_teardown(rates_add_up_to_the_counters, daemon_cleanup),
		cmocka_unit_test_teardown(the_history_comes_first_if_it_is_asked_for, daemon_cleanup),
		cmocka_unit_test_teardown(the_history_of_many_workers_is_bounded, daemon_cleanup),
		cmocka_unit_test_teardown(figures_may_be_declined, daemon_cleanup),
		cmocka_unit_test_teardown(a_head_is_answered_at_once, daemon_cleanup),
		cmocka_unit_test_teardown(too_many_subscribers_are_refused, daemon_cleanup),
		cmocka_unit_test_teardown(ten_pages_cost_under_a_hundredth, daemon_cleanup),
		cmocka_unit_test_teardown(a_subscriber_that_does_not_read_is_dropped, daemon_cleanup),
		cmocka_unit_test_teardown(a_stop_does_not_wait_for_subscribers, daemon_cleanup),
	};

	return cmocka_run_group_tests_name("events", tests, NULL, NULL);
}
