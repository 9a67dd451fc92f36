/* test_idle.c - a server that nobody asks: what it costs, and that it is there at once when somebody does. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/daemon.h"
#include "support/keep.h"
#include "support/running.h"

enum {
	SPAN_MS = 2000,
	PATIENCE_MS = 30000,
	CALM_MOST = 30,   /* wakes a second: four of control, two of each worker, and what a sanitizer does */
	AWAKE_LEAST = 35, /* forty of control alone */
};

/* How often the threads that it has have waited for something, ever. */
static double wakes(struct daemon *daemon)
{
	static const char field[] = "\nvoluntary_ctxt_switches:";
	const char *path = keepf("/proc/%d/task", (int)daemon_pid(daemon));
	DIR *dir = opendir(path);
	const struct dirent *entry;
	double n = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		const char *line;

		if (entry->d_name[0] == '.')
			continue;
		/* A thread may end meanwhile. */
		line = strstr(program_file(keepf("%s/%s/status", path, entry->d_name), NULL), field);
		if (line)
			n += strtod(line + strlen(field), NULL);
	}
	closedir(dir);
	return n;
}

static double wakes_a_second(struct daemon *daemon)
{
	double before = wakes(daemon);
	double begun = wire_clock_ms();

	pause_ms(SPAN_MS);
	return (wakes(daemon) - before) * 1e3 / (wire_clock_ms() - begun);
}

/* Waits until it wakes so seldom, or so often. */
static void await_wakes(struct daemon *daemon, double least, double most)
{
	double until = wire_clock_ms() + PATIENCE_MS, rate;

	while ((rate = wakes_a_second(daemon)) < least || rate > most)
		if (wire_clock_ms() > until)
			fail_msg("it wakes %.1f times a second, not %g to %g times", rate, least, most);
}

static void a_server_without_connections_sleeps(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", "", NULL);
	unsigned threads = daemon_threads(daemon);
	struct wire *wire;

	(void)state;
	await_wakes(daemon, 0, CALM_MOST);
	/* One that is open, and does nothing, may want something at any time. */
	wire = wire_open(daemon_public(daemon));
	await_wakes(daemon, AWAKE_LEAST, 1e9);
	wire_expect_alive(wire);
	wire_close(wire);
	await_wakes(daemon, 0, CALM_MOST);
	running_stop(daemon, threads);
}

/* Its own port is a way in, too; and who is scraped is asked for nothing. */
static void a_scrape_does_not_rouse_it(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", "", NULL);
	unsigned threads = daemon_threads(daemon);
	struct wire *admin = wire_open(daemon_admin(daemon)), *pinned;

	(void)state;
	wire_expect_alive(admin);
	await_wakes(daemon, 0, CALM_MOST);
	pinned = wire_open(daemon_worker(daemon, "app2"));
	await_wakes(daemon, AWAKE_LEAST, 1e9);
	wire_expect_alive(pinned);
	wire_close(pinned);
	wire_close(admin);
	running_stop(daemon, threads);
}

/* Nobody waits for it now, but the next one would. */
static void a_worker_that_is_stuck_is_replaced_before_anybody_asks(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", "", "faults=on", NULL);
	unsigned threads = daemon_threads(daemon);

	(void)state;
	await_wakes(daemon, 0, CALM_MOST);
	daemon_do(daemon, "app2", "stall?for=5s&force=1");
	(void)daemon_await_log(daemon, "a worker is stalled worker=app2");
	daemon_await(daemon, "app2", "up", -1);
	assert_true(
		daemon_metric(daemon, "rmsd_worker_restarts_total", "worker=\"app2\"", "reason=\"stall\"", NULL) == 1);
	await_wakes(daemon, 0, CALM_MOST);
	running_stop(daemon, threads);
}

static void a_worker_that_is_down_keeps_nobody_awake(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", "", NULL);
	unsigned threads = daemon_threads(daemon);
	struct wire *wire;

	(void)state;
	await_wakes(daemon, 0, CALM_MOST);
	daemon_do(daemon, "app1", "kill");
	daemon_await(daemon, "app1", "down", 0);
	await_wakes(daemon, 0, CALM_MOST);
	daemon_do(daemon, "app1", "revive");
	daemon_await(daemon, "app1", "up", 0);
	wire = wire_open(daemon_public(daemon));
	wire_expect_alive(wire);
	wire_close(wire);
	running_stop(daemon, threads);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_server_without_connections_sleeps, daemon_cleanup),
		cmocka_unit_test_teardown(a_scrape_does_not_rouse_it, daemon_cleanup),
		cmocka_unit_test_teardown(a_worker_that_is_stuck_is_replaced_before_anybody_asks, daemon_cleanup),
		cmocka_unit_test_teardown(a_worker_that_is_down_keeps_nobody_awake, daemon_cleanup),
	};

	return cmocka_run_group_tests_name("idle", tests, NULL, NULL);
}
