/*
 * test_stress.c - the protocol of the slots under all that can happen to it at once: kills inside handlers, moves from
 * live workers, clients that close, descriptors used again. Every request is accounted for; the program's own asserts
 * see to it that no slot names an incarnation that has ended; the thread sanitizer, in its build, sees to the rest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/daemon.h"
#include "support/keep.h"

enum { SECONDS = 6, CONNECTIONS = 200, PATIENCE_MS = 30000 };

/* A longer or wider run than that of every day, by the environment. */
static unsigned asked(const char *variable, unsigned otherwise)
{
	const char *text = getenv(variable);

	return text ? (unsigned)atoi(text) : otherwise;
}

/* An ended thread is joined, and its loop closed, a moment after its connections have gone. */
static void await_ended(struct daemon *daemon, unsigned threads, unsigned fds)
{
	double until = wire_clock_ms() + PATIENCE_MS;

	while ((daemon_threads(daemon) > threads || daemon_fds(daemon) > fds) && wire_clock_ms() < until)
		;
}

/* Connections that live for some requests: their descriptors are used again and again. */
static void churn(struct daemon *daemon)
{
	struct client_plan plan = { .address = daemon_public(daemon),
		.path = "/jitter/",
		.echo = true,
		.connections = 16,
		.depth = 4,
		.split_percent = 50,
		.each = 12 };
	struct account account;
	struct client *client;

	assert_int_equal(client_start(&plan, &client), 0);
	client_await_answered(client, 16 * 12, PATIENCE_MS);
	client_stop(client);
	client_join(client, &account);
	if (!account_clean(&account))
		account_print(&account, stderr);
	assert_true(account_clean(&account));
}

/* Kills and revives at random until the time is over; each wave of short connections is one client's. */
static unsigned wreak_havoc(struct daemon *daemon, double until)
{
	unsigned kills = 0, seed = 1;

	while (wire_clock_ms() < until) {
		const char *worker = keepf("app%d", rand_r(&seed) % 3 + 1);

		daemon_do(daemon, worker, "kill");
		kills++;
		if (rand_r(&seed) % 4 == 0)
			churn(daemon);
		daemon_do(daemon, worker, "revive");
	}
	return kills;
}

static void every_request_is_answered_whatever_happens_to_the_workers(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", "keepalive_timeout=1h", NULL);
	struct client_plan plan = { .address = daemon_public(daemon),
		.path = "/jitter/",
		.echo = true,
		.connections = asked("RMSD_STRESS_CONNECTIONS", test_scale(CONNECTIONS)),
		.depth = 4,
		.split_percent = 40 };
	unsigned threads = daemon_threads(daemon), fds = daemon_fds(daemon), kills;
	struct account account;
	struct client *client;

	(void)state;
	assert_int_equal(client_start(&plan, &client), 0);
	assert_true(client_await_connected(client, PATIENCE_MS));
	kills = wreak_havoc(daemon, wire_clock_ms() + asked("RMSD_STRESS_S", SECONDS) * 1000);
	client_stop(client);
	client_join(client, &account);
	account_print(&account, stderr);
	fprintf(stderr, "%u kills\n", kills);
	assert_true(kills > 20);
	assert_true(account_clean(&account));
	for (unsigned i = 1; i <= 3; i++)
		daemon_await(daemon, keepf("app%u", i), "up", 0);
	await_ended(daemon, threads, fds);
	assert_true(daemon_threads(daemon) <= threads);
	assert_true(daemon_fds(daemon) <= fds);
	assert_true(daemon_metric(daemon, "rmsd_http_requests_in_flight", NULL) == 0);
	daemon_stop(daemon);
}

#ifdef RMSD_UNLOCKED
/* The same with a mover that takes no lock: the sanitizer must see it, or it would not see a real fault either. */
static void without_the_movers_lock_the_sanitizer_reports(void **state)
{
	const char *const argv[] = { RMSD_STRESS, "--only-havoc", NULL };
	struct output *output;

	(void)state;
	setenv("RMSD_TESTAPP", RMSD_UNLOCKED, 1);
	output = program_run(argv);
	unsetenv("RMSD_TESTAPP");
	assert_int_not_equal(output->status, 0);
	if (!strstr(output->err, "ThreadSanitizer: data race") && !strstr(output->out, "ThreadSanitizer: data race"))
		fail_msg("no report: %s\n%s", output->out, output->err);
}
#endif

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(every_request_is_answered_whatever_happens_to_the_workers, daemon_cleanup),
#ifdef RMSD_UNLOCKED
		cmocka_unit_test(without_the_movers_lock_the_sanitizer_reports),
#endif
	};
	const struct CMUnitTest *const havoc = tests;

	if (argc > 1 && !strcmp(argv[1], "--only-havoc"))
		return _cmocka_run_group_tests("stress, unlocked", havoc, 1, NULL, NULL);
	return cmocka_run_group_tests_name("stress", tests, NULL, NULL);
}
