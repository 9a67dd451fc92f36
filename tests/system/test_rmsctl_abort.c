/*
 * test_rmsctl_abort.c - rmsctl drill without a verdict, against a stand-in for rmsd: what keeps it from beginning, what
 * ends it in the middle, and that each is told as what it is.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "support/fake.h"
#include "support/keep.h"
#include "support/program.h"
#include "support/scratch.h"
#include "support/wire.h"

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

/* Who stops it does not want a verdict, nor to wait for one. */
static void a_server_that_is_shut_down_aborts_the_drill_at_once(void **state)
{
	static const char *const words = "rmsctl: aborted: rmsd is shutting down after ";
	struct fake *fake = fake_start(dir, &(struct fake_plan){ .stops = true });
	double begun = wire_clock_ms();
	const struct output *output = program_call(
		program_path("rmsctl"), "-s", fake->socket, "drill", "--kill", "app2", "--duration=10s", NULL);

	(void)state;
	fake_stop(fake);
	assert_int_equal(output->status, ABORTED);
	assert_true(wire_clock_ms() - begun < 5000);
	if (strncmp(output->err, words, strlen(words)) != 0 || !strstr(output->err, " of 5000 requests\n"))
		fail_msg("%s", output->err);
	assert_string_equal(fake->verdict, "");
}

static void what_is_not_steady_is_left_alone(void **state)
{
	static const struct {
		struct fake_plan plan;
		const char *words;
	} cases[] = {
		{ { .readyz = 503 }, "aborted: rmsd is not ready: no worker is up" },
		{ { .state = "down" }, "aborted: app2 is down, not up" },
		{ { .alone = true }, "aborted: app2 is the only worker that is up" },
		{ { .listener = "127.0.0.1:1" },
			"aborted: the listener 127.0.0.1:1 takes no connection: Connection refused" },
		{ { .listener = "unix:/none/at/all" }, "takes no connection: No such file or directory" },
		{ { .probe = 404 }, "aborted: / answers 404: try --path" },
		{ { .probe = 405 }, "aborted: / answers 405: try --path" },
		{ { .refusal = 409 }, "aborted: another drill runs" },
		{ { .no_injection = true }, "aborted: the thread cannot start" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct fake *fake = fake_start(dir, &cases[i].plan);
		const struct output *output = fake_drill(fake, NULL, NULL);

		/* No more than what was begun. */
		if (output->status != ABORTED || strstr(output->out, "PASS") || !strstr(output->err, cases[i].words) ||
			fake->injected)
			fail_msg("%s: exit %d, \"%s\", \"%s\"", cases[i].words, output->status, output->out,
				output->err);
		assert_string_equal(fake->verdict, "");
		assert_int_equal(*fake->drill != '\0', cases[i].plan.refusal || cases[i].plan.no_injection);
	}
}

static void a_stall_without_faults_is_refused_before_any_load(void **state)
{
	struct fake *fake = fake_start(dir, &(struct fake_plan){ .faults_off = true });
	const struct output *output =
		program_call(program_path("rmsctl"), "-s", fake->socket, "drill", "--stall", "app2", FAKE_SHORT, NULL);

	(void)state;
	fake_stop(fake);
	assert_int_equal(output->status, ABORTED);
	assert_string_equal(output->err, "rmsctl: aborted: faults are off\n");
	assert_int_equal(fake->requests, 0);
}

static void an_unknown_worker_is_told_with_the_names(void **state)
{
	struct fake *fake = fake_start(dir, &(struct fake_plan){ 0 });
	const struct output *output =
		program_call(program_path("rmsctl"), "-s", fake->socket, "drill", "--drain", "app9", NULL);

	(void)state;
	fake_stop(fake);
	assert_int_equal(output->status, ABORTED);
	assert_string_equal(output->err, "rmsctl: aborted: no worker is called app9; there are app1, app2\n");
	output = program_call(program_path("rmsctl"), "-s", fake->socket, "drill", "--kill", "app2", NULL);
	assert_int_equal(output->status, UNREACHABLE);
	assert_non_null(strstr(output->err, "no such socket"));
}

static void an_interrupted_drill_closes_the_stream(void **state)
{
	static const int signals[] = { SIGINT, SIGTERM };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct fake *fake = fake_start(dir, &(struct fake_plan){ 0 });
		const char *out = keepf("%s/out%zu", dir, i), *err = keepf("%s/err%zu", dir, i);
		const char *junit = keepf("%s/junit%zu", dir, i), *said;
		const char *argv[] = { program_path("rmsctl"), "-s", fake->socket, "drill", "--kill", "app2",
			"--duration=20s", "--rate=200", "--json", "--junit", junit, NULL };
		unsigned done, all;
		json_t *report;
		pid_t pid = program_start(argv, out, err);

		for (unsigned ms = 0; !fake->holding && ms < WIRE_PATIENCE_MS; ms += 10)
			usleep(10000);
		assert_true(fake->holding);
		kill(pid, signals[i]);
		assert_int_equal(program_wait(pid, 5000), ABORTED);
		fake_stop(fake);
		assert_true(fake->left);
		said = program_file(err, NULL);
		assert_int_equal(
			sscanf(said, "rmsctl: aborted: interrupted after %u of %u requests, ", &done, &all), 2);
		assert_in_range(done, 800, 4000);
		assert_int_equal(all, 4000);
		assert_non_null(strstr(said, ", rmsd brings app2 back\n"));
		report = json_loads(program_file(out, NULL), 0, NULL);
		assert_true(json_is_true(json_object_get(report, "aborted")));
		assert_true(json_is_null(json_object_get(report, "passed")));
		assert_non_null(strstr(said, json_string_value(json_object_get(report, "error"))));
		json_decref(report);
		said = program_file(junit, NULL);
		assert_non_null(strstr(said, "name=\"drill\" time=\""));
		assert_null(strstr(said, "time=\"0.000\""));
		assert_non_null(strstr(said, "<error message=\"interrupted after "));
		assert_string_equal(fake->verdict, "");
	}
}

static void a_drill_that_begins_says_so_at_once(void **state)
{
	struct fake *fake = fake_start(dir, &(struct fake_plan){ 0 });
	const char *out = keepf("%s/out", dir), *err = keepf("%s/err", dir);
	const char *argv[] = { program_path("rmsctl"), "-s", fake->socket, "drill", "--kill", "app2", "--duration=20s",
		NULL };
	pid_t pid = program_start(argv, out, err);

	(void)state;
	for (unsigned ms = 0; !fake->requests && ms < WIRE_PATIENCE_MS; ms += 10)
		usleep(10000);
	assert_memory_equal(program_file(out, NULL), "kill app2: 500 requests/s on 50 connections to ", 47);
	assert_non_null(strstr(program_file(out, NULL), "/ for 20.0 s\n"));
	kill(pid, SIGINT);
	assert_int_equal(program_wait(pid, 5000), ABORTED);
	fake_stop(fake);
}

static void a_drill_that_is_interrupted_early_has_done_nothing(void **state)
{
	struct fake *fake = fake_start(dir, &(struct fake_plan){ 0 });
	const char *out = keepf("%s/out", dir), *err = keepf("%s/err", dir);
	const char *argv[] = { program_path("rmsctl"), "-s", fake->socket, "drill", "--kill", "app2", "--duration=20s",
		NULL };
	pid_t pid = program_start(argv, out, err);

	(void)state;
	for (unsigned ms = 0; !fake->requests && ms < WIRE_PATIENCE_MS; ms += 10)
		usleep(10000);
	kill(pid, SIGINT);
	assert_int_equal(program_wait(pid, 5000), ABORTED);
	fake_stop(fake);
	assert_non_null(strstr(program_file(err, NULL), " of 10000 requests, nothing was done to app2 yet\n"));
	assert_string_equal(fake->drill, "");
}

static void junit_tells_of_a_drill_that_was_aborted(void **state)
{
	const char *path = keepf("%s/junit.xml", dir);
	struct fake *fake = fake_start(dir, &(struct fake_plan){ .refusal = 409 });

	(void)state;
	assert_int_equal(fake_drill(fake, "--junit", path)->status, ABORTED);
	assert_non_null(strstr(program_file(path, NULL), "errors=\"1\""));
	assert_non_null(strstr(program_file(path, NULL), "name=\"drill\" time=\"0."));
	assert_non_null(strstr(program_file(path, NULL), "<error message=\"another drill runs\"/>"));
	fake = fake_start(dir, &(struct fake_plan){ .readyz = 503 });
	assert_int_equal(fake_drill(fake, "--junit", path)->status, ABORTED);
	assert_non_null(strstr(program_file(path, NULL), "name=\"start\" time=\"0.000\""));
}

static void a_report_that_cannot_be_written_is_told_before_the_drill(void **state)
{
	struct fake *fake = fake_start(dir, &(struct fake_plan){ 0 });
	const struct output *output = program_call(program_path("rmsctl"), "-s", fake->socket, "drill", "--kill",
		"app2", "--junit", keepf("%s/none/junit.xml", dir), NULL);

	(void)state;
	assert_int_equal(output->status, USAGE);
	assert_non_null(strstr(output->err, "junit.xml: No such file or directory\n"));
	assert_int_equal(fake_drill(fake, "--junit", dir)->status, USAGE);
	assert_string_equal(fake->drill, "");
	assert_int_equal(fake->requests, 0);
	assert_string_equal(program_call("/bin/sh", "-c", keepf("ls %s*", dir), NULL)->out, "");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_server_that_is_shut_down_aborts_the_drill_at_once),
		TEST(what_is_not_steady_is_left_alone),
		TEST(a_stall_without_faults_is_refused_before_any_load),
		TEST(an_unknown_worker_is_told_with_the_names),
		TEST(an_interrupted_drill_closes_the_stream),
		TEST(a_drill_that_begins_says_so_at_once),
		TEST(a_drill_that_is_interrupted_early_has_done_nothing),
		TEST(junit_tells_of_a_drill_that_was_aborted),
		TEST(a_report_that_cannot_be_written_is_told_before_the_drill),
	};

	return cmocka_run_group_tests_name("rmsctl abort", tests, NULL, NULL);
}
