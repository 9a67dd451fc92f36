/*
 * test_large.c - bodies that are sent from where they are: whole and in their place, whatever the kernel takes of them
 * at a time, whatever is before and behind them, and whoever sends the rest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/daemon.h"
#include "support/keep.h"
#include "support/running.h"
#include "support/scratch.h"

enum { KB = 1024 };

/* As app_large.c has it: each eight bytes say where they are. */
static void expect_large(struct wire *wire, size_t kb)
{
	const struct reply *reply = wire_reply(wire);

	reply_expect(reply, 200, NULL);
	assert_int_equal(reply->body_len, kb * KB);
	for (size_t i = 0; i < kb * KB; i += 8) {
		char place[9] = { 0 };

		memcpy(place, reply->body + i, 8);
		if (strtoul(place, NULL, 10) != i / 8)
			fail_msg("at byte %zu of %zu KB stands %s", i, kb, place);
	}
}

static void kill_holder(struct daemon *daemon)
{
	for (unsigned i = 1; i <= 3; i++) {
		const char *name = keepf("app%u", i);

		if (daemon_connections(daemon, name)) {
			daemon_do(daemon, name, "kill");
			return;
		}
	}
	fail_msg("no worker has a connection");
}

/* Small ones that wait in one batch, and are more than the kernel takes of a unix socket. */
#define PIECE "GET /big/31" HEAD_END
#define PIECES PIECE PIECE PIECE PIECE PIECE PIECE PIECE PIECE

static void expect_pieces(struct wire *wire)
{
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(wire_reply(wire)->body_len, 31 * KB);
}

static void what_a_client_has_not_taken_of_a_large_reply_is_sent_by_another_worker(void **state)
{
	static const struct {
		const char *requests;
		bool pieces, fixed, later;
	} rows[] = {
		{ "GET /fixed/1000" HEAD_END BEHIND, false, true, false },
		{ "GET /later/1000/1" HEAD_END BEHIND, false, false, true },
		{ "GET /fixed/1000" HEAD_END "GET /later/1000/0" HEAD_END BEHIND, false, true, true },
		{ PIECES "GET /fixed/1000" HEAD_END BEHIND, true, true, false },
		{ PIECES "GET /later/1000/20" HEAD_END BEHIND, true, false, true },
	};

	(void)state;
	for (unsigned kills = 0; kills < 2; kills++) {
		for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			const char *dir = scratch_make();
			struct daemon *daemon = daemon_start(
				"testapp", "", keepf("listen=unix:%s/web.sock", dir), "worker_port=0", NULL);
			struct wire *wire = wire_open(daemon_public(daemon));

			wire_put(wire, rows[i].requests);
			daemon_await_metric(daemon, "rmsd_http_response_bytes_total", 1);
			/* The deferred one has come, or is yet to come: both are to work. */
			for (unsigned k = 0; k < kills; k++)
				kill_holder(daemon);
			if (rows[i].pieces)
				expect_pieces(wire);
			if (rows[i].fixed)
				expect_large(wire, 1000);
			if (rows[i].later)
				expect_large(wire, 1000);
			reply_expect(wire_reply(wire), 200, "behind");
			wire_expect_alive(wire);
			assert_true(daemon_metric(daemon, "rmsd_http_errors_total", NULL) == 0);
			assert_true(daemon_metric(daemon, "rmsd_buffer_bytes", NULL) == 0);
			wire_close(wire);
			daemon_stop(daemon);
			scratch_remove(dir);
		}
	}
}

/* The app has them anyway. */
static void static_bytes_that_wait_are_not_counted_as_buffers(void **state)
{
	enum { N = 4, SIZE = 4000 };
	const char *dir = scratch_make();
	struct daemon *daemon = daemon_start(
		"testapp", "", keepf("listen=unix:%s/web.sock", dir), "worker_port=0", "max_buffer_memory=1m", NULL);
	struct wire *wires[N];

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		wires[i] = wire_open(daemon_public(daemon));
		wire_putf(wires[i], "GET /fixed/%d" HEAD_END BEHIND, SIZE);
	}
	daemon_await_metric(daemon, "rmsd_http_response_bytes_total", N * 100 * KB);
	assert_true(daemon_metric(daemon, "rmsd_buffer_bytes", NULL) < N * 1000);
	/* Else the kernel has it all, and nothing was tried. */
	assert_true(daemon_metric(daemon, "rmsd_http_response_bytes_total", NULL) < (double)N * SIZE * KB);
	for (unsigned i = 0; i < N; i++) {
		expect_large(wires[i], SIZE);
		reply_expect(wire_reply(wires[i]), 200, "behind");
		wire_close(wires[i]);
	}
	assert_true(daemon_metric(daemon, "rmsd_http_errors_total", NULL) == 0);
	daemon_stop(daemon);
	scratch_remove(dir);
}

static void a_large_body_that_is_not_to_be_sent_is_not(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", NULL);
	struct wire *wire = wire_open(daemon_public(daemon));

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		wire_put(wire, i ? "HEAD /big/100" HEAD_END : "HEAD /fixed/100" HEAD_END);
		reply_expect_field(wire_reply_head(wire), "Content-Length", keepf("%d", 100 * KB));
		wire_put(wire, "GET /large-twice/200" HEAD_END);
		expect_large(wire, 100);
		wire_put(wire, "GET /large-twice/99" HEAD_END);
		reply_expect(wire_reply(wire), 500, "");
		wire_put(wire, "GET /large-twice/204" HEAD_END);
		assert_int_equal(wire_reply(wire)->status, 204);
	}
	wire_expect_alive(wire);
	wire_close(wire);
	daemon_stop(daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(
			what_a_client_has_not_taken_of_a_large_reply_is_sent_by_another_worker, daemon_cleanup),
		cmocka_unit_test_teardown(static_bytes_that_wait_are_not_counted_as_buffers, daemon_cleanup),
		cmocka_unit_test_teardown(a_large_body_that_is_not_to_be_sent_is_not, daemon_cleanup),
	};

	return cmocka_run_group_tests_name("large", tests, NULL, NULL);
}
