/* test_verdict.c - rmsctl/samples, lease and verdict: from rows and lines to phases, times, checks. */
#include "rmsctl/verdict.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define S 1000000000ULL
#define MS 1000000ULL

enum { ROWS = 1000, RATE = 100, START_S = 5 };

/* Ten seconds of 100 requests each, all answered after 1 ms; the fault from 2 s to 6 s. */
struct fixture {
	struct drill_plan plan;
	struct load_books books;
	struct lease lease;
	struct verdict verdict;
	uint64_t stop_ns;
};

static void say(struct fixture *f, const char *line)
{
	lease_take(&f->lease, line, strlen(line));
}

/* What rmsd tells of a drill that goes well. */
static void say_all(struct fixture *f)
{
	say(f, "{\"event\":\"begun\",\"time_ns\":7000000000,\"worker\":\"app2\",\"action\":\"kill\"}");
	say(f, "{\"event\":\"injected\",\"time_ns\":7000000000}");
	say(f, "{\"event\":\"state\",\"time_ns\":7002000000,\"worker\":\"app2\",\"state\":\"down\",\"was\":\"up\"}");
	say(f, "{\"event\":\"rehomed\",\"time_ns\":7004000000,\"worker\":\"app2\",\"connections\":17}");
	say(f, "{\"event\":\"reverting\",\"time_ns\":11000000000}");
	say(f, "{\"event\":\"state\",\"time_ns\":11001000000,\"worker\":\"app2\",\"state\":\"starting\"}");
	say(f, "{\"event\":\"state\",\"time_ns\":11003000000,\"worker\":\"app2\",\"state\":\"up\"}");
	say(f, "{\"event\":\"even\",\"time_ns\":11200000000}");
	say(f, "{\"event\":\"end\",\"time_ns\":11201000000,\"ok\":true}");
}

static int set_up(void **state)
{
	static struct fixture fixture;
	struct fixture *f = &fixture;

	*f = (struct fixture){
		.plan = { .worker = "app2",
			.path = "/",
			.address = "127.0.0.1:80",
			.duration_ms = 10000,
			.connections = 10,
			.rate = RATE,
			.max_pause_ms = 500,
			.max_detect_ms = 1000 },
		.stop_ns = (START_S + 10) * S,
	};
	f->books.samples = (struct samples){ .start_ns = START_S * S,
		.rate = RATE,
		.n = ROWS,
		.size = ROWS,
		.rows = calloc(ROWS, sizeof(struct sample)) };
	for (int i = 0; i < ROWS; i++)
		f->books.samples.rows[i] = (struct sample){ 1000, OUTCOME_answered };
	f->books.by[OUTCOME_answered] = f->books.sent = ROWS;
	f->books.pause_ns = 20 * MS;
	f->lease.state = LEASE_RUNNING;
	f->lease.worker = "app2";
	f->lease.stream.fd = -1;
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	free(f->books.samples.rows);
	lease_finish(&f->lease);
	return 0;
}

/* All checks pass but that one; CHECKS: all do. */
static void expect(struct fixture *f, enum check_name failed)
{
	assert_int_equal(verdict_judge(&f->plan, &f->books, &f->lease, f->stop_ns, &f->verdict), 0);
	for (int i = 0; i < CHECKS; i++)
		if (f->verdict.checks[i].passed != (i != (int)failed))
			fail_msg("%s: %s", check_names[i], f->verdict.checks[i].text);
	assert_int_equal(f->verdict.passed, failed == CHECKS);
}

static void fail_request(struct fixture *f, uint32_t row, enum outcome outcome)
{
	f->books.samples.rows[row].outcome = (uint8_t)outcome;
	f->books.by[OUTCOME_answered]--;
	f->books.by[outcome]++;
}

static void a_good_drill_passes_every_check(void **state)
{
	struct fixture *f = *state;

	say_all(f);
	assert_int_equal(f->lease.state, LEASE_ENDED);
	assert_int_equal(f->lease.connections, 17);
	expect(f, CHECKS);
	assert_string_equal(f->verdict.checks[CHECK_failed].text, "0 of 1000 requests failed (at most 0)");
	assert_true(fabs(f->verdict.spans.detection - 2) < 1e-6);
	assert_true(fabs(f->verdict.spans.rehomed - 4) < 1e-6);
	assert_true(fabs(f->verdict.spans.back - 3) < 1e-6);
	assert_true(fabs(f->verdict.spans.even - 197) < 1e-6);
}

static void each_check_fails_by_itself(void **state)
{
	struct fixture *f = *state;

	say_all(f);
	for (enum outcome outcome = OUTCOME_status; outcome < OUTCOME_unsent; outcome++) {
		fail_request(f, outcome, outcome);
		f->plan.max_failed = outcome - OUTCOME_status;
		expect(f, CHECK_failed);
		f->plan.max_failed++;
		expect(f, CHECKS);
	}
	f->books.closed_idle = f->plan.max_failed + 1;
	expect(f, CHECK_kept);
	f->books.closed_idle = 0;
	f->books.pause_ns = 500 * MS;
	expect(f, CHECKS);
	f->books.pause_ns = 501 * MS;
	expect(f, CHECK_pause);
	f->books.pause_ns = 0;
	f->plan.max_detect_ms = 1;
	expect(f, CHECK_detection);
	f->plan.max_detect_ms = 2;
	f->lease.times.back = 0;
	expect(f, CHECK_return);
	f->lease.times.back = 11003 * MS;
	f->books.sent--;
	expect(f, CHECK_accounts);
	f->books.sent++;
	f->lease.state = LEASE_RUNNING;
	expect(f, CHECK_end);
	assert_string_equal(f->verdict.checks[CHECK_end].text, "rmsd did not end the drill in time");
}

static void what_no_connection_was_free_for_is_accounted_for(void **state)
{
	struct fixture *f = *state;

	say_all(f);
	fail_request(f, 999, OUTCOME_unsent);
	f->books.sent--;
	expect(f, CHECK_failed);
	assert_string_equal(f->verdict.checks[CHECK_accounts].text, "999 sent = 999 answered + 0 failed");
}

static void no_request_at_all_proves_nothing(void **state)
{
	struct fixture *f = *state;

	say_all(f);
	f->books.samples.n = 0;
	f->books.sent = f->books.by[OUTCOME_answered] = 0;
	expect(f, CHECK_accounts);
}

static void a_stalled_worker_is_back_from_the_injection_on(void **state)
{
	struct fixture *f = *state;

	f->plan.action = DRILL_STALL;
	say(f, "{\"event\":\"injected\",\"time_ns\":7000000000}");
	say(f, "{\"event\":\"state\",\"time_ns\":7000000001,\"worker\":\"app1\",\"state\":\"down\"}");
	say(f, "{\"event\":\"state\",\"time_ns\":7510000000,\"worker\":\"app2\",\"state\":\"stalled\"}");
	say(f, "{\"event\":\"state\",\"time_ns\":7520000000,\"worker\":\"app2\",\"state\":\"up\"}");
	say(f, "{\"event\":\"rehomed\",\"time_ns\":7530000000,\"worker\":\"app2\",\"connections\":3}");
	say(f, "{\"event\":\"reverting\",\"time_ns\":11000000000}");
	say(f, "{\"event\":\"rehomed\",\"time_ns\":11000000001,\"worker\":\"app2\",\"connections\":9}");
	say(f, "{\"event\":\"news\",\"time_ns\":11000000002}");
	say(f, "{\"event\":\"end\",\"time_ns\":11000000003,\"ok\":true}");
	expect(f, CHECKS);
	assert_true(fabs(f->verdict.spans.detection - 510) < 1e-6);
	assert_true(fabs(f->verdict.spans.rehomed - 530) < 1e-6);
	assert_true(fabs(f->verdict.spans.back - 520) < 1e-6);
	assert_true(f->verdict.spans.even < 0);
	assert_int_equal(f->lease.connections, 3);
}

static void a_worker_that_somebody_else_revives_fails_by_the_end_alone(void **state)
{
	struct fixture *f = *state;

	say(f, "{\"event\":\"injected\",\"time_ns\":7000000000}");
	say(f, "{\"event\":\"state\",\"time_ns\":7002000000,\"worker\":\"app2\",\"state\":\"down\",\"was\":\"up\"}");
	say(f, "{\"event\":\"state\",\"time_ns\":8000000000,\"worker\":\"app2\",\"state\":\"up\"}");
	say(f,
		"{\"event\":\"end\",\"time_ns\":8000000001,\"ok\":false,\"error\":\"app2 was revived by somebody "
		"else\"}");
	expect(f, CHECK_end);
	assert_string_equal(f->verdict.checks[CHECK_end].text, "app2 was revived by somebody else");
	assert_string_equal(f->verdict.checks[CHECK_return].text, "app2 was up again before rmsd brought it back");
	assert_true(f->verdict.spans.back < 0);
}

static void a_lease_that_rmsd_gives_up_is_no_failure(void **state)
{
	struct fixture *f = *state;

	say(f, "{\"event\":\"end\",\"time_ns\":1,\"ok\":false,\"error\":\"rmsd is shutting down\",\"aborted\":true}");
	assert_int_equal(f->lease.state, LEASE_STOPPED);
	assert_string_equal(f->lease.error.data, "rmsd is shutting down");
}

static void a_lease_that_fails_says_why(void **state)
{
	static const struct {
		const char *line, *error;
	} cases[] = {
		{ "{\"ok\":false,\"error\":\"another drill runs\",\"generation\":9}", "another drill runs" },
		{ "{\"event\":\"end\",\"time_ns\":1,\"ok\":false,\"error\":\"app2 did\\nnot\"}", "app2 did\\x0anot" },
		{ "{\"event\":\"end\",\"time_ns\":1,\"ok\":false}", "rmsd did not say why" },
		{ "{\"ok\":false}", "refused" },
		{ "", "not an answer of rmsd" },
		{ "<html>", "not an answer of rmsd" },
		{ "[]", "not an answer of rmsd" },
		{ "{\"event\":\"begun\"}", "not an answer of rmsd" },
		{ "{\"event\":7,\"time_ns\":1}", "not an answer of rmsd" },
		{ "{\"event\":\"begun\",\"time_ns\":-1}", "not an answer of rmsd" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		f->lease.state = LEASE_RUNNING;
		outbuf_reset(&f->lease.error, SIZE_MAX);
		say(f, cases[i].line);
		assert_int_equal(f->lease.state, LEASE_FAILED);
		assert_string_equal(f->lease.error.data, cases[i].error);
	}
	/* The first reason stays. */
	say(f, "{\"event\":\"end\",\"time_ns\":1,\"ok\":false,\"error\":\"later\"}");
	assert_string_equal(f->lease.error.data, cases[9].error);
}

static void a_long_reason_is_cut_between_characters(void **state)
{
	struct fixture *f = *state;
	const char *text = f->verdict.checks[CHECK_end].text;
	char line[700] = "{\"event\":\"end\",\"time_ns\":1,\"ok\":false,\"error\":\"";

	for (int i = 0; i < 100; i++)
		strcat(line, "\xe2\x82\xac");
	strcat(line, "\"}");
	say(f, line);
	verdict_judge(&f->plan, &f->books, &f->lease, f->stop_ns, &f->verdict);
	assert_int_equal(strlen(text) % 3, 0);
	assert_in_range(strlen(text), 140, sizeof(f->verdict.checks[0].text) - 1);
}

static void latencies_are_told_by_phase(void **state)
{
	struct fixture *f = *state;

	say_all(f);
	/* Due before the injection, answered behind it: the fault delayed it. */
	f->books.samples.rows[199].us = 300000;
	f->books.samples.rows[0].us = 5000;
	f->books.samples.rows[600].us = 7000;
	f->books.samples.rows[599].us = 90000;
	fail_request(f, 300, OUTCOME_reset);
	f->books.samples.rows[300].us = 9999999;
	expect(f, CHECK_failed);
	assert_int_equal(f->verdict.before.n, 199);
	assert_int_equal(f->verdict.before.worst_us, 5000);
	assert_int_equal(f->verdict.before.p99_us, 1000);
	assert_int_equal(f->verdict.during.n, 400);
	assert_int_equal(f->verdict.during.worst_us, 300000);
	assert_int_equal(f->verdict.after.n, 400);
	assert_int_equal(f->verdict.after.worst_us, 7000);
}

static void the_quantile_is_a_value_that_occurred(void **state)
{
	static const struct {
		uint32_t n, p99_us;
	} cases[] = { { 1, 1 }, { 2, 2 }, { 99, 99 }, { 100, 99 }, { 101, 100 }, { 200, 198 }, { 1000, 990 } };
	struct fixture *f = *state;
	struct latency before, during, after;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint32_t n = cases[i].n;

		for (uint32_t k = 0; k < n; k++)
			f->books.samples.rows[k].us = (k * 7) % n + 1; /* each once, in no order */
		f->books.samples.n = n;
		assert_int_equal(samples_phases(&f->books.samples, 0, 0, &before, &during, &after), 0);
		assert_int_equal(before.n, n);
		assert_int_equal(before.worst_us, n);
		if (before.p99_us != cases[i].p99_us)
			fail_msg("of %u: %u", n, before.p99_us);
		assert_int_equal(during.n + after.n, 0);
	}
}

static void the_time_line_has_each_request_once(void **state)
{
	struct fixture *f = *state;
	uint32_t answered = 0, failed = 0;

	say_all(f);
	fail_request(f, 500, OUTCOME_closed);
	f->books.samples.rows[30].us = 40000; /* done in the second slice */
	f->books.samples.rows[999].us = 9000000;
	expect(f, CHECK_failed);
	assert_int_equal(f->verdict.slice_ns, 250 * MS);
	for (int i = 0; i < DRILL_SLICES; i++) {
		answered += f->verdict.slices[i].answered;
		failed += f->verdict.slices[i].failed;
	}
	assert_int_equal(answered, 999);
	assert_int_equal(failed, 1);
	assert_int_equal(f->verdict.slices[20].failed, 1);
	assert_int_equal(f->verdict.slices[1].worst_us, 40000);
	assert_int_equal(f->verdict.slices[DRILL_SLICES - 1].worst_us, 9000000);
	f->stop_ns += 10 * S; /* it waited for the end */
	expect(f, CHECK_failed);
	assert_int_equal(f->verdict.slice_ns, 500 * MS);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_good_drill_passes_every_check),
		TEST(each_check_fails_by_itself),
		TEST(what_no_connection_was_free_for_is_accounted_for),
		TEST(no_request_at_all_proves_nothing),
		TEST(a_stalled_worker_is_back_from_the_injection_on),
		TEST(a_worker_that_somebody_else_revives_fails_by_the_end_alone),
		TEST(a_lease_that_rmsd_gives_up_is_no_failure),
		TEST(a_lease_that_fails_says_why),
		TEST(a_long_reason_is_cut_between_characters),
		TEST(latencies_are_told_by_phase),
		TEST(the_quantile_is_a_value_that_occurred),
		TEST(the_time_line_has_each_request_once),
	};

	return cmocka_run_group_tests_name("verdict", tests, NULL, NULL);
}
