/* test_loss_stall.c - what becomes of a request when its worker is lost without anybody having asked for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "support/daemon.h"
#include "support/keep.h"
#include "support/running.h"

/* A handler that is stuck costs its clients the time to notice, and not that to its end. */
static void after_a_stall_a_request_runs_again_once(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", "stall_timeout=300ms", NULL);
	unsigned threads = daemon_threads(daemon);
	const char *worker;
	struct wire *wire = running_begin(daemon, "GET /spin/4000" HEAD_END BEHIND, &worker);
	double begun = wire_clock_ms();

	(void)state;
	assert_int_equal(running_attempt(wire_reply(wire)), 2);
	if (wire_clock_ms() - begun >= 4000)
		fail_msg("the client waited %g ms", wire_clock_ms() - begun);
	reply_expect(wire_reply(wire), 200, "behind");
	wire_close(wire);
	assert_true(daemon_metric(daemon, "rmsd_requests_replayed_total", NULL) == 1);
	running_stop(daemon, threads);
}

static void what_stalls_two_workers_in_a_row_is_poison(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", "stall_timeout=300ms", NULL);
	unsigned threads = daemon_threads(daemon);
	const char *worker;
	struct wire *wire = running_begin(daemon, "GET /spin-always/5000?a=%22b" HEAD_END BEHIND, &worker);

	(void)state;
	running_expect_refused(wire, "two workers in a row were lost with this request");
	reply_expect(wire_reply(wire), 200, "behind");
	wire_expect_alive(wire);
	wire_close(wire);
	assert_true(daemon_metric(daemon, "rmsd_http_errors_total", "reason=\"poison\"", NULL) == 1);
	(void)daemon_await_log(daemon, "two workers in a row were lost with it");
	assert_non_null(strstr(daemon_log(daemon), "request=\"GET /spin-always/5000?... HTTP/1.1\" attempt=2"));
	assert_null(strstr(daemon_log(daemon), "%22b")); /* a query may be a secret */
	running_stop(daemon, threads);
}

/* The thread is stuck, so nobody can know what it will do yet. */
static void after_a_stall_a_put_is_told_at_once(void **state)
{
	static const char *const methods[] = { "PUT", "POST" };
	struct daemon *daemon = daemon_start("testapp", "", "stall_timeout=300ms", NULL);
	unsigned threads = daemon_threads(daemon);

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		const char *worker;
		struct wire *wire = running_begin(
			daemon, keepf("%s /journal/%u/block/3000" HEAD_END BEHIND, methods[i], i), &worker);
		double begun = wire_clock_ms();

		running_expect_refused(wire, "the outcome is unknown");
		if (wire_clock_ms() - begun >= 3000)
			fail_msg("the client waited %g ms", wire_clock_ms() - begun);
		reply_expect(wire_reply(wire), 200, "behind");
		wire_close(wire);
	}
	running_expect_number(daemon, "/journal/total", 2);
	running_stop(daemon, threads);
}

/* Of 60 in flight no more than 12 run again in a second; the others are told why. */
static void after_a_stall_a_budget_holds(void **state)
{
	enum { WIRES = 60, MOST = (WIRES + 1) * 20 / 100 };
	struct daemon *daemon = daemon_start("testapp", "", "stall_timeout=300ms", "rebalance=off", NULL);
	unsigned threads = daemon_threads(daemon);
	struct wire *wires[WIRES], *stuck;
	unsigned i, again = 0, refused = 0;

	(void)state;
	for (i = 0; i < WIRES; i++) {
		wires[i] = wire_open(daemon_public(daemon));
		wire_putf(wires[i], "GET /journal/%u/defer/3000" HEAD_END, i);
	}
	running_await(daemon, WIRES);
	stuck = wire_open(daemon_public(daemon));
	wire_put(stuck, "GET /spin/5000" HEAD_END);
	for (i = 0; i < WIRES; i++) {
		struct reply *reply = wire_reply(wires[i]);

		if (reply->status == 503) {
			assert_non_null(strstr(reply->body, "more requests than are run again"));
			assert_null(reply_field(reply, "Retry-After"));
			refused++;
		} else {
			again += running_attempt(reply) == 2;
		}
		wire_expect_alive(wires[i]);
		wire_close(wires[i]);
	}
	if (wire_reply(stuck)->status == 503)
		refused++;
	else
		again++;
	wire_close(stuck);
	if (again != MOST || again + refused != WIRES / 3 + 1)
		fail_msg("%u ran again, %d expected; %u were refused", again, MOST, refused);
	assert_true(daemon_metric(daemon, "rmsd_http_errors_total", "reason=\"budget\"", NULL) == refused);
	running_stop(daemon, threads);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(after_a_stall_a_request_runs_again_once, daemon_cleanup),
		cmocka_unit_test_teardown(what_stalls_two_workers_in_a_row_is_poison, daemon_cleanup),
		cmocka_unit_test_teardown(after_a_stall_a_put_is_told_at_once, daemon_cleanup),
		cmocka_unit_test_teardown(after_a_stall_a_budget_holds, daemon_cleanup),
	};

	return cmocka_run_group_tests_name("loss by a stall", tests, NULL, NULL);
}
