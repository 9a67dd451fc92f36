/* test_rebalance.c - shares that clients or their work made uneven become even again, and nothing else moves. */
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

enum { PATIENCE_MS = 20000, WIRES = 90, HEAVY = 3 };

static struct wire *wires[WIRES];
static char homes[WIRES][16]; /* the worker that each has */

static void open_wires(struct daemon *daemon)
{
	for (unsigned i = 0; i < WIRES; i++)
		wires[i] = wire_open(daemon_public(daemon));
	for (unsigned i = 1; i <= 3; i++)
		daemon_await(daemon, keepf("app%u", i), "up", WIRES / 3);
	for (unsigned i = 0; i < WIRES; i++) {
		wire_put(wires[i], "GET /worker HTTP/1.1\r\nHost: a\r\n\r\n");
		snprintf(homes[i], sizeof(homes[i]), "%s", wire_reply(wires[i])->body);
	}
}

static void close_wires(void)
{
	for (unsigned i = 0; i < WIRES; i++)
		wire_close(wires[i]);
}

static double moved(struct daemon *daemon)
{
	return daemon_metric(daemon, "rmsd_connections_rehomed_total", NULL);
}

/* Two thirds of one worker's clients leave. */
static void close_some(const char *worker)
{
	unsigned n = 0;

	for (unsigned i = 0; i < WIRES && n < 20; i++) {
		if (strcmp(homes[i], worker) != 0)
			continue;
		wire_close(wires[i]);
		wires[i] = NULL;
		n++;
	}
	assert_int_equal(n, 20);
}

static void what_clients_left_uneven_is_evened_out(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", NULL);
	double until;

	(void)state;
	open_wires(daemon);
	close_some("app1");
	daemon_await(daemon, "app1", "up", 23);
	daemon_await(daemon, "app2", "up", 24);
	daemon_await(daemon, "app3", "up", 23);
	/* And then there is peace. */
	until = wire_clock_ms() + 1500;
	while (wire_clock_ms() < until)
		assert_true(moved(daemon) == 13);
	for (unsigned i = 0; i < WIRES; i++)
		if (wires[i])
			wire_expect_alive(wires[i]);
	close_wires();
	daemon_stop(daemon);
}

static void with_rebalance_off_connections_stay_where_they_are(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", "rebalance=off", NULL);
	double until;

	(void)state;
	open_wires(daemon);
	close_some("app1");
	daemon_await(daemon, "app1", "up", 10);
	until = wire_clock_ms() + 1500;
	while (wire_clock_ms() < until)
		assert_true(moved(daemon) == 0);
	daemon_do(daemon, "app2", "kill");
	daemon_do(daemon, "app2", "revive");
	daemon_await(daemon, "app2", "up", 0);
	close_wires();
	daemon_stop(daemon);
}

static void a_worker_with_heavy_clients_keeps_fewer_of_the_others(void **state)
{
	static const char work[] = "GET /busy/40 HTTP/1.1\r\nHost: a\r\n\r\n";
	struct daemon *daemon = daemon_start("testapp", "", NULL);
	double until = wire_clock_ms() + PATIENCE_MS;
	struct wire *heavy[HEAVY];
	unsigned n = 0, i;

	(void)state;
	open_wires(daemon);
	for (i = 0; i < WIRES && n < HEAVY; i++)
		if (!strcmp(homes[i], "app1")) {
			heavy[n++] = wires[i];
			wires[i] = NULL;
		}
	assert_int_equal(n, HEAVY);
	for (i = 0; i < HEAVY; i++)
		wire_put(heavy[i], work);
	/* Their worker has the next request while this one's answer is read. */
	while (moved(daemon) < 4 && wire_clock_ms() < until)
		for (i = 0; i < HEAVY; i++) {
			assert_int_equal(wire_reply(heavy[i])->status, 200);
			wire_put(heavy[i], work);
		}
	assert_true(moved(daemon) >= 4);
	for (i = 0; i < HEAVY; i++)
		assert_int_equal(wire_reply(heavy[i])->status, 200);
	for (i = 0; i < WIRES; i++)
		if (wires[i])
			wire_expect_alive(wires[i]);
	for (i = 0; i < HEAVY; i++)
		wire_close(heavy[i]);
	close_wires();
	daemon_stop(daemon);
}

/* Connections that come and go under load: dispatch alone keeps the shares even. */
static void nothing_moves_while_connections_come_and_go(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	struct client_plan plan = { .address = daemon_public(daemon), .path = "/", .connections = 60, .each = 20 };

	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		struct account account;
		struct client *client;

		assert_int_equal(client_start(&plan, &client), 0);
		assert_true(client_await_answered(client, 60 * 20, PATIENCE_MS));
		client_stop(client);
		client_join(client, &account);
		assert_true(account_clean(&account));
	}
	assert_true(moved(daemon) == 0);
	daemon_stop(daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(what_clients_left_uneven_is_evened_out, daemon_cleanup),
		cmocka_unit_test_teardown(with_rebalance_off_connections_stay_where_they_are, daemon_cleanup),
		cmocka_unit_test_teardown(a_worker_with_heavy_clients_keeps_fewer_of_the_others, daemon_cleanup),
		cmocka_unit_test_teardown(nothing_moves_while_connections_come_and_go, daemon_cleanup),
	};

	return cmocka_run_group_tests_name("rebalance", tests, NULL, NULL);
}
