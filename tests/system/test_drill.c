/* test_drill.c - workers killed and revived under load; the accounting client judges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/daemon.h"
#include "support/keep.h"

enum { PATIENCE_MS = 30000 };

static void wait_until(double at)
{
	struct timespec pause = { .tv_nsec = 2000000 };

	while (wire_clock_ms() < at)
		nanosleep(&pause, NULL);
}

static struct client *running; /* that of the test which runs; NULL: none */

static struct client *start_client(const struct client_plan *plan)
{
	assert_int_equal(client_start(plan, &running), 0);
	assert_true(client_await_connected(running, PATIENCE_MS));
	return running;
}

static int clean_up(void **state)
{
	struct account account;

	daemon_cleanup(state);
	if (running) {
		client_stop(running);
		client_join(running, &account);
		fprintf(stderr, "after the test failed: ");
		account_print(&account, stderr);
	}
	running = NULL;
	return 0;
}

/* Every request answered with 200 in its turn, no connection lost; as many as the server says it answered. */
static void expect_clean(struct daemon *daemon, struct client *client)
{
	struct account account;
	double served;

	client_stop(client);
	client_join(client, &account);
	running = NULL;
	account_print(&account, stderr);
	assert_true(account_clean(&account));
	served = daemon_metric(daemon, "http_requests_total", NULL);
	if (served != (double)account.answered)
		fail_msg("http_requests_total %.0f, answered %llu", served, (unsigned long long)account.answered);
}

/* The part of all connections that app2 has, and of all requests that it answers from 1 s to 3 s after from. */
struct share {
	double connections, requests;
};

static struct share measure_share(struct daemon *daemon, double from)
{
	struct share share;
	double mine, all;

	wait_until(from + 1000);
	share.connections = daemon_metric(daemon, "rmsd_connections", "worker=\"app2\"", NULL) /
		daemon_metric(daemon, "rmsd_connections", NULL);
	mine = -daemon_metric(daemon, "http_requests_total", "worker=\"app2\"", NULL);
	all = -daemon_metric(daemon, "http_requests_total", NULL);
	wait_until(from + 3000);
	mine += daemon_metric(daemon, "http_requests_total", "worker=\"app2\"", NULL);
	all += daemon_metric(daemon, "http_requests_total", NULL);
	share.requests = mine / all;
	return share;
}

static bool is_a_third(double share)
{
	return share > 1. / 3 - .05 && share < 1. / 3 + .05;
}

static void kill_and_revive_under(const struct client_plan *base)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	struct client_plan plan = *base;
	struct share share;
	struct client *client;
	unsigned tries = 0;

	plan.address = daemon_public(daemon);
	plan.path = "/";
	plan.split_percent = 25;
	client = start_client(&plan);
	/*
	 * Connections are the server's to share out; whose requests are answered sooner is also the scheduler's to say
	 * where other processes want the processors, so that a busy machine gets a second and a third try.
	 */
	do {
		assert_true(client_await_answered(client, client_answered(client) + plan.connections * 4, PATIENCE_MS));
		daemon_do(daemon, "app2", "kill");
		assert_true(client_await_answered(client, client_answered(client) + plan.connections * 4, PATIENCE_MS));
		assert_true(daemon_metric(daemon, "rmsd_connections", "worker=\"app2\"", NULL) == 0);
		daemon_do(daemon, "app2", "revive");
		share = measure_share(daemon, wire_clock_ms());
	} while (!is_a_third(share.requests) && ++tries < 3 && !daemon_sanitized());
	expect_clean(daemon, client);
	/* What a sanitizer slows down says nothing of shares by the second. */
	if (!daemon_sanitized() && (!is_a_third(share.connections) || !is_a_third(share.requests)))
		fail_msg("the revived worker has %.1f %% of the connections, %.1f %% of the requests",
			share.connections * 100, share.requests * 100);
	daemon_stop(daemon);
}

static void a_thousand_connections_do_not_notice(void **state)
{
	const struct client_plan plan = { .connections = test_scale(1000) };

	(void)state;
	kill_and_revive_under(&plan);
}

static void six_thousand_connections_do_not_notice(void **state)
{
	const struct client_plan plan = { .connections = test_scale(6000) };

	(void)state;
	kill_and_revive_under(&plan);
}

static void pipelines_of_eight_do_not_notice(void **state)
{
	const struct client_plan plan = { .connections = test_scale(1000), .depth = 8 };

	(void)state;
	kill_and_revive_under(&plan);
}

/* One worker after another, over and over, and each reply must be the one of its request. */
static void each_reply_is_its_requests_own_through_many_kills(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", NULL);
	const struct client_plan plan = {
		.address = daemon_public(daemon),
		.path = "/echo/",
		.echo = true,
		.connections = test_scale(300),
		.depth = 4,
		.split_percent = 25,
		.seed = 7,
	};
	struct client *client = start_client(&plan);
	unsigned i, turns = test_scale(60);

	(void)state;
	for (i = 0; i < turns; i++) {
		const char *worker = keepf("app%u", i % 3 + 1);

		assert_true(client_await_answered(client, client_answered(client) + 500, PATIENCE_MS));
		daemon_do(daemon, worker, "kill");
		assert_true(client_await_answered(client, client_answered(client) + 500, PATIENCE_MS));
		daemon_do(daemon, worker, "revive");
		daemon_await(daemon, worker, "up", -1);
	}
	expect_clean(daemon, client);
	assert_true(daemon_metric(daemon, "rmsd_worker_restarts_total", "reason=\"revive\"", NULL) == turns);
	daemon_stop(daemon);
}

/* All of the load on the one that is left, then on none for a moment. */
static void the_loss_of_all_workers_is_only_a_pause(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	const struct client_plan plan = {
		.address = daemon_public(daemon),
		.path = "/",
		.connections = test_scale(300),
		.depth = 2,
		.split_percent = 25,
	};
	struct client *client = start_client(&plan);
	unsigned turn;

	(void)state;
	for (turn = 0; turn < 3; turn++) {
		assert_true(client_await_answered(client, client_answered(client) + 1000, PATIENCE_MS));
		daemon_do(daemon, "app1", "kill");
		daemon_do(daemon, "app2", "kill");
		assert_true(client_await_answered(client, client_answered(client) + 1000, PATIENCE_MS));
		daemon_do(daemon, "app3", "kill?force=1");
		daemon_do(daemon, "app1", "revive");
		assert_true(client_await_answered(client, client_answered(client) + 1000, PATIENCE_MS));
		daemon_do(daemon, "app2", "revive");
		daemon_do(daemon, "app3", "revive");
		daemon_await(daemon, "app2", "up", -1);
		daemon_await(daemon, "app3", "up", -1);
	}
	expect_clean(daemon, client);
	daemon_stop(daemon);
}

/* Steady load and steady workers: nothing moves. */
static void nothing_moves_without_a_reason(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	const struct client_plan plan = { .address = daemon_public(daemon), .path = "/", .connections = 90 };
	struct client *client = start_client(&plan);

	(void)state;
	assert_true(client_await_answered(client, 20000, PATIENCE_MS));
	assert_true(daemon_metric(daemon, "rmsd_connections", "worker=\"app1\"", NULL) == 30);
	expect_clean(daemon, client);
	assert_true(daemon_metric(daemon, "rmsd_connections_rehomed_total", NULL) == 0);
	daemon_stop(daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_thousand_connections_do_not_notice, clean_up),
		cmocka_unit_test_teardown(six_thousand_connections_do_not_notice, clean_up),
		cmocka_unit_test_teardown(pipelines_of_eight_do_not_notice, clean_up),
		cmocka_unit_test_teardown(each_reply_is_its_requests_own_through_many_kills, clean_up),
		cmocka_unit_test_teardown(the_loss_of_all_workers_is_only_a_pause, clean_up),
		cmocka_unit_test_teardown(nothing_moves_without_a_reason, clean_up),
	};

	return cmocka_run_group_tests_name("drill", tests, NULL, NULL);
}
