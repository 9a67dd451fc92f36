/* test_verdict.c - rmsctl drill against a real rmsd: its verdicts, and its times beside those of an observer. */
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

#include "support/daemon.h"
#include "support/keep.h"

enum { PASSED = 0, FAILED = 1, ABORTED = 4, PATIENCE_MS = 20000 };

/* Looks all the time whether a port takes connections, which it does while its worker is up. */
struct observer {
	const char *address;
	pthread_t thread;
	atomic_bool stop;
	double closed_ms, open_ms; /* when it was first seen closed, and open again after that; 0: never */
};

static void *observe(void *arg)
{
	struct observer *observer = arg;
	const struct timespec pause = { .tv_nsec = 500000 };

	while (!atomic_load(&observer->stop)) {
		struct wire *wire = NULL;
		double now_ms = wire_clock_ms();
		int err = wire_try(observer->address, NULL, &wire);

		wire_close(wire);
		if (err == -ECONNREFUSED && observer->closed_ms == 0)
			observer->closed_ms = now_ms;
		if (err == 0 && observer->closed_ms > 0 && observer->open_ms == 0)
			observer->open_ms = now_ms;
		nanosleep(&pause, NULL);
	}
	return NULL;
}

static void start_observer(struct observer *observer, struct daemon *daemon, const char *worker)
{
	*observer = (struct observer){ .address = daemon_worker(daemon, worker) };
	assert_int_equal(pthread_create(&observer->thread, NULL, observe, observer), 0);
}

static void stop_observer(struct observer *observer)
{
	atomic_store(&observer->stop, true);
	pthread_join(observer->thread, NULL);
}

static json_t *report_of(const struct output *output)
{
	json_t *report = json_loads(output->out, 0, NULL);

	if (!report)
		fail_msg("no JSON: %s\n%s", output->out, output->err);
	return report;
}

static double number(const json_t *report, const char *group, const char *key)
{
	const json_t *value = json_object_get(json_object_get(report, group), key);

	if (!json_is_number(value))
		fail_msg("no %s.%s", group, key);
	return json_number_value(value);
}

/* What a sanitizer slows down is not judged by its times. */
static const char *patience(void)
{
	return daemon_sanitized() ? "30s" : "500ms";
}

static struct output *drill(struct daemon *daemon, const char *action, const char *worker)
{
	return daemon_ctl(daemon, "--json", "drill", action, worker, "--duration", "2s", "--rate",
		keepf("%u", test_scale(500)), "--max-pause", patience(), "--max-detect",
		daemon_sanitized() ? "30s" : "1s", NULL);
}

static void expect_passed(const struct output *output)
{
	json_t *report;

	if (output->status != PASSED)
		fail_msg("status %d: %s%s", output->status, output->out, output->err);
	report = report_of(output);
	assert_true(json_is_true(json_object_get(report, "passed")));
	assert_true(number(report, "requests", "failed") == 0);
	assert_true(number(report, "requests", "sent") == number(report, "requests", "answered"));
	assert_true(number(report, "requests", "sent") > 0);
	json_decref(report);
}

static void expect_near(const char *what, double told_ms, double seen_ms)
{
	fprintf(stderr, "%s: told %.1f ms, seen %.1f ms\n", what, told_ms, seen_ms);
	if (!daemon_sanitized() && fabs(told_ms - seen_ms) > 10)
		fail_msg("%s: rmsctl says %.3f ms, the observer %.3f ms", what, told_ms, seen_ms);
}

static void the_times_of_a_kill_are_those_that_an_observer_sees(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	struct observer observer;
	struct output *output;
	json_t *report;

	(void)state;
	start_observer(&observer, daemon, "app2");
	output = drill(daemon, "--kill", "app2");
	stop_observer(&observer);
	expect_passed(output);
	report = report_of(output);
	assert_true(observer.closed_ms > 0 && observer.open_ms > 0);
	expect_near("out of rotation", number(report, "clock_ns", "detected") / 1e6, observer.closed_ms);
	expect_near("back", number(report, "clock_ns", "back") / 1e6, observer.open_ms);
	json_decref(report);
	daemon_await(daemon, "app2", "up", 0);
	daemon_stop(daemon);
}

static void a_stall_is_found_replaced_and_passed(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, "faults=on", "stall_timeout=200ms", NULL);
	struct observer observer;
	struct output *output;
	json_t *report;

	(void)state;
	start_observer(&observer, daemon, "app3");
	output = drill(daemon, "--stall", "app3");
	stop_observer(&observer);
	expect_passed(output);
	report = report_of(output);
	if (observer.closed_ms > 0) /* the replacement is there within a millisecond or two */
		expect_near("out of rotation", number(report, "clock_ns", "detected") / 1e6, observer.closed_ms);
	assert_in_range((long)number(report, "times_ms", "detection"), 200, 800); /* while it lasted */
	json_decref(report);
	assert_true(daemon_metric(daemon, "rmsd_worker_restarts_total", "reason=\"stall\"", NULL) == 1);
	daemon_stop(daemon);
}

static void a_drain_passes(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);

	(void)state;
	expect_passed(drill(daemon, "--drain", "app1"));
	daemon_await(daemon, "app1", "up", 0);
	daemon_stop(daemon);
}

static void spoiled_replies_fail_the_drill(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, "faults=on", NULL);
	struct output *output;
	json_t *report;

	(void)state;
	output = daemon_ctl(daemon, "fault", "add", "--status", "503", "--percent", "5", "--ttl", "60s", NULL);
	assert_int_equal(output->status, 0);
	output = drill(daemon, "--kill", "app2");
	assert_int_equal(output->status, FAILED);
	report = report_of(output);
	assert_true(json_is_false(json_object_get(report, "passed")));
	assert_true(number(report, "requests", "failed") > 0);
	assert_true(number(report, "requests", "failed") == daemon_metric(daemon, "rmsd_faults_injected_total", NULL));
	json_decref(report);
	assert_true(daemon_metric(daemon, "rmsd_drills_total", "result=\"failed\"", NULL) == 1);
	daemon_stop(daemon);
}

/* RMSD_DRILLS: how many. */
static void drill_after_drill_the_verdict_is_the_same(void **state)
{
	const char *drills = getenv("RMSD_DRILLS");
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	unsigned n = drills ? (unsigned)atoi(drills) : 3, fds = daemon_fds(daemon);
	double until;

	(void)state;
	for (unsigned i = 0; i < n; i++)
		expect_passed(drill(daemon, "--kill", keepf("app%u", i % 3 + 1)));
	/* The load's connections are closed a moment after rmsctl has ended. */
	until = wire_clock_ms() + PATIENCE_MS;
	while (daemon_fds(daemon) > fds && wire_clock_ms() < until)
		;
	assert_true(daemon_fds(daemon) <= fds);
	assert_true(daemon_metric(daemon, "rmsd_drills_total", "result=\"passed\"", NULL) == n);
	assert_true(daemon_metric(daemon, "rmsd_drill_running", NULL) == 0);
	daemon_stop(daemon);
}

static void nothing_is_begun_where_it_cannot_go_well(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, "workers=2", NULL);
	struct output *output;

	(void)state;
	output = drill(daemon, "--stall", "app1");
	assert_int_equal(output->status, ABORTED);
	assert_non_null(strstr(output->err, "faults"));
	daemon_do(daemon, "app1", "kill");
	output = drill(daemon, "--kill", "app2");
	assert_int_equal(output->status, ABORTED);
	assert_string_equal(daemon_state(daemon, "app2"), "up");
	output = drill(daemon, "--kill", "app1");
	assert_int_equal(output->status, ABORTED);
	daemon_stop(daemon);
}

/* kill -9 of rmsctl: the server puts everything back. */
static void a_drill_that_dies_is_undone(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	const char *command = keepf("%s -s %s drill --kill app2 --duration 10s >/dev/null 2>&1 & pid=$!; "
				    "sleep 3; kill -9 $pid; wait $pid",
		program_path("rmsctl"), daemon_socket(daemon) + strlen("unix:"));
	double begun;

	(void)state;
	(void)program_call("sh", "-c", command, NULL);
	begun = wire_clock_ms();
	daemon_await(daemon, "app2", "up", -1);
	fprintf(stderr, "undone within %.0f ms\n", wire_clock_ms() - begun);
	assert_true(daemon_metric(daemon, "rmsd_worker_restarts_total", "worker=\"app2\"", NULL) == 1);
	assert_true(daemon_sanitized() || wire_clock_ms() - begun < 200);
	daemon_await_log(daemon, "a drill's client has gone");
	daemon_stop(daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(the_times_of_a_kill_are_those_that_an_observer_sees, daemon_cleanup),
		cmocka_unit_test_teardown(a_stall_is_found_replaced_and_passed, daemon_cleanup),
		cmocka_unit_test_teardown(a_drain_passes, daemon_cleanup),
		cmocka_unit_test_teardown(spoiled_replies_fail_the_drill, daemon_cleanup),
		cmocka_unit_test_teardown(drill_after_drill_the_verdict_is_the_same, daemon_cleanup),
		cmocka_unit_test_teardown(nothing_is_begun_where_it_cannot_go_well, daemon_cleanup),
		cmocka_unit_test_teardown(a_drill_that_dies_is_undone, daemon_cleanup),
	};

	return cmocka_run_group_tests_name("verdict", tests, NULL, NULL);
}
