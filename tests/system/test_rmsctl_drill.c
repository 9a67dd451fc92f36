/*
 * test_rmsctl_drill.c - rmsctl drill against a stand-in for rmsd: what it asks, when it passes and fails, and that
 * each way of losing a request is seen and called by its name.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "support/fake.h"
#include "support/keep.h"
#include "support/program.h"
#include "support/scratch.h"

enum { PASSED, FAILED, USAGE, UNREACHABLE, ABORTED };

/* The directory of the running test. */
static const char *dir;

static int set_up(void **state)
{
	(void)state;
	dir = scratch_make();
	unsetenv("RMSD_SOCKET");
	setenv("LC_ALL", "C", 1);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	scratch_remove(dir);
	return 0;
}

static json_t *parse(const struct output *output)
{
	json_t *report = json_loads(output->out, JSON_REJECT_DUPLICATES, NULL);

	if (!report)
		fail_msg("not JSON: exit %d, \"%s\", \"%s\"", output->status, output->out, output->err);
	return report;
}

static json_int_t number(const json_t *report, const char *object, const char *key)
{
	return json_integer_value(json_object_get(json_object_get(report, object), key));
}

static double real(const json_t *report, const char *object, const char *key)
{
	return json_number_value(json_object_get(json_object_get(report, object), key));
}

/* Whether the check of that name passed. */
static bool passed(const json_t *report, const char *name)
{
	const json_t *check;
	size_t i;

	json_array_foreach(json_object_get(report, "checks"), i, check)
		if (strcmp(json_string_value(json_object_get(check, "name")), name) == 0)
			return json_is_true(json_object_get(check, "passed"));
	fail_msg("no check %s", name);
	return false;
}

/* All checks but that one passed, which did not; NULL: all did. */
static void expect_checks(const json_t *report, const char *failed)
{
	const json_t *check;
	size_t i;

	json_array_foreach(json_object_get(report, "checks"), i, check) {
		const char *name = json_string_value(json_object_get(check, "name"));

		if (passed(report, name) != !(failed && strcmp(name, failed) == 0))
			fail_msg("%s: %s", name, json_string_value(json_object_get(check, "text")));
	}
	assert_int_equal(json_is_true(json_object_get(report, "passed")), failed == NULL);
}

static void a_drill_in_which_nothing_is_lost_passes(void **state)
{
	struct fake *fake = fake_start(dir, &(struct fake_plan){ 0 });
	const struct output *output = fake_drill(fake, "--json", NULL);
	json_t *report = parse(output);

	(void)state;
	assert_int_equal(output->status, PASSED);
	assert_string_equal(output->err, "");
	assert_string_equal(fake->drill, "POST /v1/drill?action=kill&worker=app2&for=400ms HTTP/1.1");
	assert_string_equal(fake->verdict, "passed=1");
	expect_checks(report, NULL);
	assert_int_equal(json_integer_value(json_object_get(report, "schema")), 1);
	assert_int_equal(number(report, "requests", "due"), 200);
	assert_int_equal(number(report, "requests", "due"), number(report, "requests", "answered"));
	assert_int_equal(number(report, "requests", "due"), fake->requests);
	assert_int_equal(json_integer_value(json_object_get(report, "rehomed_connections")), 3);
	json_decref(report);
}

static void its_times_are_those_of_the_events(void **state)
{
	struct fake *fake = fake_start(dir, &(struct fake_plan){ .detect_ms = 100 });
	const struct output *output = fake_drill(fake, "--json", NULL);
	json_t *report = parse(output);

	(void)state;
	assert_int_equal(output->status, PASSED);
	assert_true(real(report, "times_ms", "detection") >= 100 && real(report, "times_ms", "detection") < 200);
	assert_true(real(report, "times_ms", "rehomed") >= real(report, "times_ms", "detection"));
	assert_true(real(report, "times_ms", "back") >= 0 && real(report, "times_ms", "back") < 50);
	assert_true(real(report, "times_ms", "even") >= 0 && real(report, "times_ms", "even") < 50);
	assert_true(llabs(number(report, "clock_ns", "injected") - (json_int_t)fake->injected_ns) < 10000000);
	assert_true(number(report, "clock_ns", "reverting") - number(report, "clock_ns", "injected") >= 400000000);
	json_decref(report);
}

static void people_get_a_page_with_a_verdict(void **state)
{
	static const char *const words[] = { "kill app2: 200 requests/s on 10 connections to 127.0.0.1:",
		"\n  ok    failed     0 of 2", " requests failed (at most 0)\n",
		"\n  from the injection   out of rotation ", "the last of 3 connections re-homed",
		"\n  latency      requests            p99          worst\n", "\n  answered   ", "^ kill 0.",
		"^ revive 0.", "\nPASS: every request was answered\n" };
	struct fake *fake = fake_start(dir, &(struct fake_plan){ 0 });
	const struct output *output = fake_drill(fake, NULL, NULL);

	(void)state;
	assert_int_equal(output->status, PASSED);
	assert_string_equal(output->err, ""); /* progress is for terminals */
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (!strstr(output->out, words[i]))
			fail_msg("no \"%s\" in\n%s", words[i], output->out);
	for (const char *c = output->out; *c; c++)
		if ((unsigned char)*c >= 0x80)
			fail_msg("more than ASCII without a UTF-8 locale:\n%s", output->out);
}

static void bars_are_blocks_where_the_terminal_has_them(void **state)
{
	struct fake *fake = fake_start(dir, &(struct fake_plan){ 0 });
	const struct output *output;

	(void)state;
	setenv("LC_ALL", "C.UTF-8", 1);
	output = fake_drill(fake, NULL, NULL);
	assert_int_equal(output->status, PASSED);
	assert_non_null(strstr(output->out, "\n  answered   \xe2\x96"));
}

static void each_loss_fails_by_its_name(void **state)
{
	static const struct {
		enum fake_deed deed;
		const char *kind;
	} cases[] = {
		{ FAKE_STATUS, "status" },
		{ FAKE_LOSE, "timeout" },
		{ FAKE_CLOSE, "closed" },
		{ FAKE_RESET, "reset" },
		{ FAKE_GARBAGE, "malformed" },
		{ FAKE_TWICE, "malformed" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct fake *fake = fake_start(dir, &(struct fake_plan){ .deed = cases[i].deed, .deed_at = 50 });
		const struct output *output = fake_drill(fake, "--json", "--max-pause=10s");
		json_t *report = parse(output);
		json_t *kinds = json_object_get(json_object_get(report, "requests"), "failed_by");

		if (output->status != FAILED || json_integer_value(json_object_get(kinds, cases[i].kind)) != 1 ||
			number(report, "requests", "failed") != 1)
			fail_msg("%s: exit %d: %s", cases[i].kind, output->status, output->out);
		assert_string_equal(fake->verdict, "passed=0");
		expect_checks(report, "failed");
		assert_int_equal(number(report, "requests", "due"), number(report, "requests", "answered") + 1);
		json_decref(report);
	}
}

static void a_status_that_all_replies_have_is_a_failure_and_no_abort(void **state)
{
	struct fake *fake = fake_start(
		dir, &(struct fake_plan){ .deed = FAKE_STATUS, .deed_at = 1, .deed_always = true, .probe = 503 });
	const struct output *output = fake_drill(fake, NULL, NULL);

	(void)state;
	assert_int_equal(output->status, FAILED);
	assert_string_equal(output->err, "");
	assert_non_null(strstr(output->out, " status 503\n"));
	assert_non_null(strstr(output->out, "\nFAIL: 1 of 7 checks\n"));
}

static void replies_of_every_framing_are_answers(void **state)
{
	static const enum fake_deed deeds[] = { FAKE_GOODBYE, FAKE_CHUNKED, FAKE_UNTIL_END };

	(void)state;
	for (size_t i = 0; i < sizeof(deeds) / sizeof(*deeds); i++) {
		struct fake *fake =
			fake_start(dir, &(struct fake_plan){ .deed = deeds[i], .deed_at = 20, .deed_always = true });
		const struct output *output = fake_drill(fake, NULL, NULL);

		if (output->status != PASSED)
			fail_msg("case %zu: %s", i, output->out);
	}
}

static void an_idle_connection_that_is_lost_fails(void **state)
{
	struct fake *fake = fake_start(dir, &(struct fake_plan){ .deed = FAKE_IDLE, .deed_at = 50 });
	const struct output *output = fake_drill(fake, "--json", NULL);
	json_t *report = parse(output);

	(void)state;
	assert_int_equal(output->status, FAILED);
	expect_checks(report, "kept");
	assert_int_equal(json_integer_value(json_object_get(report, "idle_lost")), 1);
	json_decref(report);
}

static void as_many_failures_as_allowed_pass(void **state)
{
	struct fake *fake = fake_start(dir, &(struct fake_plan){ .deed = FAKE_CLOSE, .deed_at = 50 });

	(void)state;
	assert_int_equal(fake_drill(fake, NULL, "--max-failed=1")->status, PASSED);
}

static void a_pause_is_measured_and_judged(void **state)
{
	struct fake *fake = fake_start(dir, &(struct fake_plan){ .pause_ms = 300 });
	const struct output *output = fake_drill(fake, "--json", "--max-pause=250ms");
	json_t *report = parse(output);

	(void)state;
	assert_int_equal(output->status, FAILED);
	expect_checks(report, "pause");
	assert_true(json_number_value(json_object_get(report, "pause_ms")) > 280);
	assert_true(real(json_object_get(report, "latency_ms"), "during", "worst") > 280);
	assert_true(real(json_object_get(report, "latency_ms"), "before", "worst") < 280);
	json_decref(report);
	fake = fake_start(dir, &(struct fake_plan){ .pause_ms = 300 });
	assert_int_equal(fake_drill(fake, NULL, "--max-pause=2s")->status, PASSED);
}

static void a_worker_that_leaves_late_or_does_not_return_fails(void **state)
{
	static const struct {
		struct fake_plan plan;
		const char *extra, *check;
	} cases[] = {
		{ { .detect_ms = 150 }, "--max-detect=100ms", "detection" },
		{ { .no_return = true }, NULL, "return" },
		{ { .ends_badly = true }, NULL, "end" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct output *output = fake_drill(fake_start(dir, &cases[i].plan), "--json", cases[i].extra);
		json_t *report = parse(output);

		assert_int_equal(output->status, FAILED);
		expect_checks(report, cases[i].check);
		json_decref(report);
	}
}

static void a_server_that_dies_in_the_middle_fails(void **state)
{
	struct fake *fake = fake_start(dir, &(struct fake_plan){ .dies = true, .cut = true });
	const struct output *output = fake_drill(fake, "--json", NULL);
	json_t *report = parse(output);

	(void)state;
	assert_int_equal(output->status, FAILED);
	assert_false(passed(report, "failed"));
	assert_false(passed(report, "pause")); /* who is refused waits all the same */
	assert_false(passed(report, "end"));
	assert_true(number(json_object_get(report, "requests"), "failed_by", "connect") > 0);
	assert_true(passed(report, "accounts"));
	json_decref(report);
}

static void a_stream_without_a_length_is_read_to_its_end(void **state)
{
	struct fake *fake = fake_start(dir, &(struct fake_plan){ .without_length = true });

	(void)state;
	assert_int_equal(fake_drill(fake, NULL, NULL)->status, PASSED);
}

static void force_takes_the_last_worker_too(void **state)
{
	struct fake *fake = fake_start(dir, &(struct fake_plan){ .alone = true });

	(void)state;
	assert_int_equal(fake_drill(fake, NULL, "--force")->status, PASSED);
	assert_non_null(strstr(fake->drill, "&force=1 "));
}

static void junit_has_a_test_case_for_each_check(void **state)
{
	const char *path = keepf("%s/junit.xml", dir);
	struct fake *fake = fake_start(dir, &(struct fake_plan){ .deed = FAKE_STATUS, .deed_at = 9 });
	const char *text, *at;
	unsigned n = 0;

	(void)state;
	assert_int_equal(fake_drill(fake, "--junit", path)->status, FAILED);
	text = program_file(path, NULL);
	assert_ptr_equal(strstr(text, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n"), text);
	assert_non_null(
		strstr(text, "<testsuite name=\"rmsctl drill --kill app2\" tests=\"7\" failures=\"1\" errors=\"0\""));
	for (at = text; (at = strstr(at, "<testcase ")); at++)
		n++;
	assert_int_equal(n, 7);
	assert_non_null(strstr(text, "name=\"failed\">\n      <failure message=\"1 of "));
	assert_non_null(strstr(text, "  </testsuite>\n</testsuites>\n"));
	assert_string_equal(program_call("/bin/sh", "-c", keepf("ls %s", dir), NULL)->out, "junit.xml\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_drill_in_which_nothing_is_lost_passes),
		TEST(its_times_are_those_of_the_events),
		TEST(people_get_a_page_with_a_verdict),
		TEST(bars_are_blocks_where_the_terminal_has_them),
		TEST(each_loss_fails_by_its_name),
		TEST(a_status_that_all_replies_have_is_a_failure_and_no_abort),
		TEST(replies_of_every_framing_are_answers),
		TEST(an_idle_connection_that_is_lost_fails),
		TEST(as_many_failures_as_allowed_pass),
		TEST(a_pause_is_measured_and_judged),
		TEST(a_worker_that_leaves_late_or_does_not_return_fails),
		TEST(a_server_that_dies_in_the_middle_fails),
		TEST(a_stream_without_a_length_is_read_to_its_end),
		TEST(force_takes_the_last_worker_too),
		TEST(junit_has_a_test_case_for_each_check),
	};

	return cmocka_run_group_tests_name("rmsctl drill", tests, NULL, NULL);
}
