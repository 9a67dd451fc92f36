/*
 * test_bench.c - ./dev bench for a moment: it measures what it says, and its ratios are of what it measured.
 *
 * What it finds is not judged here: on a machine that also runs tests that would be chance.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/daemon.h"
#include "support/keep.h"
#include "support/scratch.h"

enum { ROUNDS = 2, RATE = 200, SECONDS = 3, STOPPED_MS = 300 };

static const char *const servers[] = { "rmsd", "nginx", "floor" };
enum { SERVERS = sizeof(servers) / sizeof(servers[0]) };

static json_t *read_json(const char *text)
{
	json_error_t error;
	json_t *json = json_loads(text, 0, &error);

	if (!json)
		fail_msg("%s in: %s", error.text, text);
	return json;
}

static double number(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	if (!json_is_number(value))
		fail_msg("%s is no number", key);
	return json_number_value(value);
}

/* What the server used in that round for a million requests, by what it used and how many it answered. */
static double cost(const json_t *results, const char *server, int round)
{
	const json_t *row;
	size_t i;

	json_array_foreach(results, i, row) {
		if (strcmp(json_string_value(json_object_get(row, "server")), server) != 0 ||
			(int)number(row, "round") != round)
			continue;
		assert_true(number(row, "requests") > 0);
		assert_true(number(row, "cpu_seconds") > 0);
		assert_true(number(row, "rss_load") > 0);
		return number(row, "cpu_seconds") / number(row, "requests") * 1e6;
	}
	fail_msg("no %s in round %d", server, round);
	return 0;
}

static void expect_near(double is, double should)
{
	if (is < should * 0.999999 || is > should * 1.000001)
		fail_msg("%f, not %f", is, should);
}

static void expect_ratio(const json_t *closed, const char *peer)
{
	const json_t *results = json_object_get(closed, "results");
	const json_t *cell = json_object_get(json_object_get(closed, "ratios"), "c64");
	const json_t *ratio = json_object_get(json_object_get(cell, peer), "cpu_seconds_per_million");
	double first = cost(results, "rmsd", 0) / cost(results, peer, 0);
	double second = cost(results, "rmsd", 1) / cost(results, peer, 1);

	expect_near(number(ratio, "min"), first < second ? first : second);
	expect_near(number(ratio, "median"), (first + second) / 2);
	expect_near(number(ratio, "max"), first < second ? second : first);
}

static void a_load_is_measured_pair_by_pair_and_reported(void **state)
{
	const char *dir, *report;
	struct output *output;
	json_t *closed;

	(void)state;
	if (!RMSD_RELEASE) {
		fprintf(stderr, "NOT RUN: this build is no subject for measurements\n");
		return;
	}
	if (!program_tool("nginx"))
		return;
	dir = scratch_make();
	output = program_call("python3", RMSD_SOURCE_DIR "/bench/run", "closed", "--cell", "c64", "--server", "nginx",
		"--server", "floor", "--rounds", "2", "--seconds", "1", "--no-trace", "--build", RMSD_BINARY_DIR,
		"--output", dir, NULL);
	if (output->status != 0)
		fail_msg("status %d\n%s%s", output->status, output->out, output->err);
	closed = read_json(program_file(keepf("%s/closed.json", dir), NULL));
	assert_int_equal(json_array_size(json_object_get(closed, "results")), ROUNDS * SERVERS);
	for (int i = 1; i < SERVERS; i++)
		expect_ratio(closed, servers[i]);
	report = program_file(keepf("%s/report.md", dir), NULL);
	for (int i = 0; i < SERVERS; i++)
		assert_non_null(strstr(report, keepf("\n| %s | ", servers[i])));
	assert_non_null(strstr(report, "| 64 connections | CPU s per million, divided by nginx's | <= 0.85 |"));
	json_decref(closed);
	scratch_remove(dir);
}

/* A client that sends when it has its reply would have one request that was late, of hundreds. */
static void a_constant_rate_counts_all_that_waited(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	const char *dir = scratch_make(), *out = keepf("%s/out", dir);
	const char *pace = RMSD_BINARY_DIR "/bench-programs/pace";
	const char *const argv[] = { pace, "-c", "4", "-d", "3", "-r", "200", daemon_public(daemon), NULL };
	json_t *told;
	double until = wire_clock_ms() + PROGRAM_PATIENCE_MS;
	pid_t pid;

	(void)state;
	pid = program_start(argv, out, NULL);
	while (daemon_metric(daemon, "http_requests_total", NULL) < 20) {
		assert_true(wire_clock_ms() < until);
		usleep(1000);
	}
	daemon_signal(daemon, SIGSTOP);
	usleep(STOPPED_MS * 1000);
	daemon_signal(daemon, SIGCONT);
	assert_int_equal(program_wait(pid, 20000), 0);
	told = read_json(program_file(out, NULL));
	assert_true(number(told, "due") == SECONDS * RATE);
	assert_true(number(told, "answered") == SECONDS * RATE);
	assert_true(number(told, "failed") == 0);
	assert_true(number(told, "worst_us") >= STOPPED_MS * 1000 * 0.9);
	/* 60 of 600 were due meanwhile, evenly: one in a hundred waited for all but 6 of these. */
	assert_true(number(told, "p99_us") >= STOPPED_MS * 1000 * 0.8);
	json_decref(told);
	scratch_remove(dir);
	daemon_stop(daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_load_is_measured_pair_by_pair_and_reported),
		cmocka_unit_test_teardown(a_constant_rate_counts_all_that_waited, daemon_cleanup),
	};

	return cmocka_run_group_tests_name("bench", tests, NULL, NULL);
}
