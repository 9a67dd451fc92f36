/* test_stall.c - handlers that do not come back: who is taken out and who is not, and what the clients see of it. */
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/daemon.h"
#include "support/keep.h"
#include "support/running.h"

enum { PATIENCE_MS = 30000, SPIN_MS = 4000, STALL_MS = 500, LATE_PHASE_MS = 225 };

/* The worker that a connection has: its answer to /worker. */
static const char *worker_of(struct wire *wire)
{
	wire_put(wire, "GET /worker HTTP/1.1\r\nHost: a\r\n\r\n");
	return wire_reply(wire)->body;
}

static double restarts(struct daemon *daemon, const char *reason)
{
	return daemon_metric(daemon, "rmsd_worker_restarts_total", keepf("reason=\"%s\"", reason), NULL);
}

/* Milliseconds until some worker is not up; it is named. */
static double await_out(struct daemon *daemon, const char **name)
{
	double begun = wire_clock_ms();

	while (wire_clock_ms() < begun + PATIENCE_MS)
		for (unsigned i = 1; i <= 3; i++) {
			*name = keepf("app%u", i);
			if (daemon_metric(daemon, "rmsd_worker_up", keepf("worker=\"%s\"", *name), NULL) == 0)
				return wire_clock_ms() - begun;
			/* It may be back between two looks. */
			if (daemon_metric(daemon, "rmsd_worker_restarts_total", keepf("worker=\"%s\"", *name),
				    "reason=\"stall\"", NULL) > 0)
				return wire_clock_ms() - begun;
		}
	fail_msg("nobody was taken out");
	return 0;
}

/* One handler spins for four seconds under 300 connections. */
static void a_handler_that_spins_costs_nobody_a_request(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", NULL);
	unsigned threads = daemon_threads(daemon);
	struct client_plan plan = { .address = daemon_public(daemon),
		.path = "/echo/",
		.echo = true,
		.connections = test_scale(300),
		.rate = test_scale(2000),
		.split_percent = 25 };
	struct wire *spinner = wire_open(daemon_public(daemon));
	struct account account;
	struct client *client;
	const char *victim = NULL, *log;
	unsigned silent, used;
	double out, answered;

	(void)state;
	assert_int_equal(client_start(&plan, &client), 0);
	assert_true(client_await_answered(client, 500, PATIENCE_MS));
	answered = wire_clock_ms();
	wire_put(spinner,
		keepf("GET /spin/%d HTTP/1.1\r\nHost: a\r\n\r\nGET /echo/behind HTTP/1.1\r\nHost: a\r\n\r\n", SPIN_MS));
	out = await_out(daemon, &victim);
	/* The request itself runs again elsewhere, and does not spin a second time. */
	assert_int_equal(wire_reply(spinner)->status, 200);
	answered = wire_clock_ms() - answered;
	reply_expect(wire_reply(spinner), 200, "behind");
	daemon_await(daemon, victim, "up", -1);
	pause_ms(SPIN_MS);
	client_stop(client);
	client_join(client, &account);
	account_print(&account, stderr);
	fprintf(stderr, "out of rotation after %.0f ms, the request answered after %.0f ms\n", out, answered);
	assert_true(account_clean(&account));
	assert_true(restarts(daemon, "stall") == 1);
	assert_true(daemon_metric(daemon, "rmsd_connections_rehomed_total", "reason=\"stall\"", NULL) > 0);
	assert_true(daemon_metric(daemon, "rmsd_requests_replayed_total", NULL) == 1);
	log = strstr(daemon_await_log(daemon, "a worker is stalled"), " for_ms=");
	assert_non_null(strstr(log, keepf("request=\"GET /spin/%d HTTP/1.1\"", SPIN_MS)));
	/* On a machine that does nothing else it is out after STALL_MS; on a busy one, after so much of a processor. */
	assert_int_equal(sscanf(log, " for_ms=%u cpu_ms=%u", &silent, &used), 2);
	assert_in_range(silent, STALL_MS, 10 * SPIN_MS);
	assert_in_range(used, 0, STALL_MS + 150);
	assert_true(answered < SPIN_MS && account.worst_us < SPIN_MS * 1000);
	wire_close(spinner);
	running_stop(daemon, threads);
}

static void a_lone_worker_is_saved_too(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", "workers=1", NULL);
	unsigned threads = daemon_threads(daemon);
	struct wire *idle = wire_open(daemon_public(daemon)), *spinner = wire_open(daemon_public(daemon));

	(void)state;
	wire_expect_alive(idle);
	wire_put(spinner, "GET /spin/3000 HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(wire_reply(spinner)->status, 200);
	wire_expect_alive(idle);
	assert_string_equal(daemon_state(daemon, "app1"), "up");
	assert_true(restarts(daemon, "stall") == 1);
	wire_close(idle);
	wire_close(spinner);
	running_stop(daemon, threads);
}

/* A handler that sleeps uses no processor, and is as stuck. */
static void a_handler_that_sleeps_is_stalled(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", "stall_timeout=200ms", NULL);
	unsigned threads = daemon_threads(daemon);
	struct wire *wire = wire_open(daemon_public(daemon));

	(void)state;
	wire_put(wire, "POST /busy/1500 HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(wire_reply(wire)->status, 503);
	wire_expect_alive(wire);
	assert_true(restarts(daemon, "stall") == 1);
	wire_close(wire);
	running_stop(daemon, threads);
}

/* A watchdog that has looked seldom must not take for silence that there was nothing to do. */
static void a_slow_handler_after_a_calm_time_is_no_stall(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", "stall_timeout=400ms", NULL);
	unsigned threads = daemon_threads(daemon);

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		struct wire *wire;

		for (unsigned worker = 1; worker <= 3; worker++)
			daemon_await(daemon, keepf("app%u", worker), "up", 0);
		/* Calm, and then almost as long after a look as can be: they come at each quarter of a second. */
		pause_ms(500);
		pause_ms((long)(250 + LATE_PHASE_MS - fmod(wire_clock_ms(), 250)));
		wire = wire_open(daemon_public(daemon));
		wire_put(wire, "POST /busy/240 HTTP/1.1\r\nHost: a\r\n\r\n");
		assert_int_equal(wire_reply(wire)->status, 200);
		wire_close(wire);
	}
	assert_true(restarts(daemon, "stall") == 0);
	running_stop(daemon, threads);
}

static void two_that_stall_at_once_are_both_seen(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", "stall_timeout=200ms", NULL);
	unsigned threads = daemon_threads(daemon);
	struct wire *wires[3];
	unsigned i;

	(void)state;
	/* One on each worker. */
	for (i = 0; i < 3; i++)
		wires[i] = wire_open(daemon_public(daemon));
	for (i = 0; i < 3; i++)
		daemon_await(daemon, keepf("app%u", i + 1), "up", 1);
	wire_put(wires[0], "POST /busy/2000 HTTP/1.1\r\nHost: a\r\n\r\n");
	wire_put(wires[1], "POST /busy/2000 HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(wire_reply(wires[0])->status, 503);
	assert_int_equal(wire_reply(wires[1])->status, 503);
	assert_true(restarts(daemon, "stall") == 2);
	for (i = 0; i < 3; i++) {
		wire_expect_alive(wires[i]);
		daemon_await(daemon, keepf("app%u", i + 1), "up", -1);
		wire_close(wires[i]);
	}
	running_stop(daemon, threads);
}

static void a_request_that_stalls_two_workers_is_poison(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", "stall_timeout=200ms", NULL);
	unsigned threads = daemon_threads(daemon);
	struct wire *wire = wire_open(daemon_public(daemon));
	struct reply *reply;

	(void)state;
	wire_put(wire,
		"GET /spin-always/2000?secret HTTP/1.1\r\nHost: a\r\n\r\nGET /echo/x HTTP/1.1\r\nHost: a\r\n\r\n");
	reply = wire_reply(wire);
	assert_int_equal(reply->status, 503);
	assert_null(reply_field(reply, "Connection"));
	reply_expect(wire_reply(wire), 200, "x");
	assert_true(restarts(daemon, "stall") == 2);
	assert_true(daemon_metric(daemon, "rmsd_http_errors_total", "reason=\"poison\"", NULL) == 1);
	assert_non_null(strstr(daemon_await_log(daemon, "two workers in a row"), "/spin-always/2000"));
	wire_close(wire);
	running_stop(daemon, threads);
}

/* As many threads as there are workers may be stuck; then who stalls is not replaced, and /livez says so. */
static void stuck_threads_are_bounded(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", "stall_timeout=100ms", "workers=2", NULL);
	unsigned threads = daemon_threads(daemon);
	struct wire *wires[3];
	double until = wire_clock_ms() + PATIENCE_MS;
	unsigned i;

	(void)state;
	assert_int_equal(wire_get(daemon_admin(daemon), "/livez")->status, 200);
	for (i = 0; i < 3; i++) {
		wires[i] = wire_open(daemon_public(daemon));
		wire_put(wires[i], "POST /busy/4000 HTTP/1.1\r\nHost: a\r\n\r\n");
		if (i < 2)
			assert_int_equal(wire_reply(wires[i])->status, 503);
	}
	assert_true(restarts(daemon, "stall") == 2);
	while (wire_get(daemon_admin(daemon), "/livez")->status != 503)
		assert_true(wire_clock_ms() < until);
	assert_true(restarts(daemon, "stall") == 2);
	/* The other one serves. */
	reply_expect(wire_get(daemon_public(daemon), "/echo/x"), 200, "x");
	for (i = 0; i < 2; i++)
		wire_expect_alive(wires[i]);
	/* When the threads have come back, all is well again. */
	daemon_await(daemon, "app1", "up", -1);
	daemon_await(daemon, "app2", "up", -1);
	while (wire_get(daemon_admin(daemon), "/livez")->status != 200)
		assert_true(wire_clock_ms() < until);
	for (i = 0; i < 3; i++)
		wire_close(wires[i]);
	running_stop(daemon, threads);
}

static void nothing_is_started_again_if_the_operator_says_never(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", "stall_timeout=100ms", "restart=never", NULL);
	unsigned threads = daemon_threads(daemon);
	struct wire *wire = wire_open(daemon_public(daemon));
	const char *victim = worker_of(wire);

	(void)state;
	wire_put(wire, "POST /busy/500 HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(wire_reply(wire)->status, 503);
	wire_expect_alive(wire);
	daemon_await(daemon, victim, "failed", 0);
	pause_ms(800);
	assert_string_equal(daemon_state(daemon, victim), "failed");
	assert_true(restarts(daemon, "stall") == 0);
	daemon_do(daemon, victim, "revive");
	daemon_await(daemon, victim, "up", -1);
	wire_close(wire);
	running_stop(daemon, threads);
}

/* Many that were put off fall due at once, and each takes its time: longer than stall_timeout together. */
static void work_that_falls_due_at_once_is_no_stall(void **state)
{
	enum { MANY = 60 };
	struct daemon *daemon = daemon_start("testapp", "", "stall_timeout=200ms", "faults=on", NULL);
	struct wire *wires[MANY];
	unsigned i;

	(void)state;
	assert_int_equal(daemon_ctl(daemon, "fault", "add", "--delay", "300ms", "--ttl", "30s", NULL)->status, 0);
	for (i = 0; i < MANY; i++) {
		wires[i] = wire_open(daemon_public(daemon));
		wire_put(wires[i], "GET /spin-always/20 HTTP/1.1\r\nHost: a\r\n\r\n");
	}
	for (i = 0; i < MANY; i++) {
		assert_int_equal(wire_reply(wires[i])->status, 200);
		wire_close(wires[i]);
	}
	assert_true(restarts(daemon, "stall") == 0);
	daemon_stop(daemon);
}

/* With nobody to take its place or its connections it keeps them, and what waits for it is told when it wakes. */
static void one_that_cannot_be_replaced_goes_on_when_it_wakes(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", "workers=1", "restart=never", "stall_timeout=200ms", NULL);
	struct wire *wire = wire_open(daemon_public(daemon));

	(void)state;
	wire_put(wire, "POST /busy/1500 HTTP/1.1\r\nHost: a\r\n\r\n");
	daemon_await(daemon, "app1", "stalled", -1);
	assert_int_equal(daemon_ctl(daemon, "revive-worker", "app1", NULL)->status, 0);
	assert_string_equal(daemon_state(daemon, "app1"), "up");
	assert_int_equal(wire_reply(wire)->status, 200);
	wire_expect_alive(wire);
	wire_close(wire);
	daemon_stop(daemon);
}

/* Processes that take all there is of the processors, until they are killed. */
static void hog(pid_t *hogs, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		hogs[i] = fork();
		assert_true(hogs[i] >= 0);
		if (hogs[i])
			continue;
		alarm(120); /* whatever becomes of the test */
		for (;;)
			;
	}
}

/* RMSD_STARVE_S: for how long; the shortest that means something is a few times the stall timeout. */
static void starvation_ejects_nobody(void **state)
{
	const char *seconds = getenv("RMSD_STARVE_S");
	struct daemon *daemon = daemon_start("testapp", "", "stall_timeout=300ms", NULL);
	struct client_plan plan = {
		.address = daemon_public(daemon), .path = "/echo/", .echo = true, .connections = 30
	};
	double until = wire_clock_ms() + (seconds ? atof(seconds) * 1000 : 6000);
	struct account account;
	struct client *client;
	pid_t hogs[12];

	(void)state;
	assert_int_equal(client_start(&plan, &client), 0);
	hog(hogs, 12);
	while (wire_clock_ms() < until)
		pause_ms(100);
	for (unsigned i = 0; i < 12; i++) {
		kill(hogs[i], SIGKILL);
		waitpid(hogs[i], NULL, 0);
	}
	client_stop(client);
	client_join(client, &account);
	account_print(&account, stderr);
	assert_true(account_clean(&account));
	assert_true(restarts(daemon, "stall") == 0);
	daemon_stop(daemon);
}

/* The whole process stands still, as under a debugger or on a machine that sleeps. */
static void a_process_that_stood_still_ejects_nobody(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", "stall_timeout=100ms", NULL);
	unsigned i;

	(void)state;
	for (i = 0; i < 5; i++) {
		daemon_signal(daemon, SIGSTOP);
		pause_ms(400);
		daemon_signal(daemon, SIGCONT);
		pause_ms(150);
	}
	reply_expect(wire_get(daemon_public(daemon), "/echo/x"), 200, "x");
	assert_true(restarts(daemon, "stall") == 0);
	daemon_stop(daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_handler_that_spins_costs_nobody_a_request, daemon_cleanup),
		cmocka_unit_test_teardown(a_lone_worker_is_saved_too, daemon_cleanup),
		cmocka_unit_test_teardown(a_handler_that_sleeps_is_stalled, daemon_cleanup),
		cmocka_unit_test_teardown(a_slow_handler_after_a_calm_time_is_no_stall, daemon_cleanup),
		cmocka_unit_test_teardown(two_that_stall_at_once_are_both_seen, daemon_cleanup),
		cmocka_unit_test_teardown(a_request_that_stalls_two_workers_is_poison, daemon_cleanup),
		cmocka_unit_test_teardown(stuck_threads_are_bounded, daemon_cleanup),
		cmocka_unit_test_teardown(nothing_is_started_again_if_the_operator_says_never, daemon_cleanup),
		cmocka_unit_test_teardown(work_that_falls_due_at_once_is_no_stall, daemon_cleanup),
		cmocka_unit_test_teardown(one_that_cannot_be_replaced_goes_on_when_it_wakes, daemon_cleanup),
		cmocka_unit_test_teardown(starvation_ejects_nobody, daemon_cleanup),
		cmocka_unit_test_teardown(a_process_that_stood_still_ejects_nobody, daemon_cleanup),
	};

	return cmocka_run_group_tests_name("stall", tests, NULL, NULL);
}
