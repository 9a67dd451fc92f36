/*
 * test_loss.c - what becomes of a request when its worker is lost, row by row of the table in docs/architecture.md.
 * What no handler has had yet is test_failover.c's.
 */
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
#include "support/scratch.h"

enum { KB = 1024 };

static void a_get_runs_again_as_often_as_it_takes(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", NULL);
	const char *worker;
	struct wire *wire = running_begin(daemon, "GET /journal/1/defer/600" HEAD_END BEHIND, &worker);

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		daemon_do(daemon, worker, "kill");
		daemon_do(daemon, worker, "revive");
		worker = running_worker(daemon, NULL);
	}
	assert_int_equal(running_attempt(wire_reply(wire)), 5);
	reply_expect(wire_reply(wire), 200, "behind");
	/* What comes next on the connection is a first attempt. */
	wire_put(wire, "GET /attempt" HEAD_END);
	assert_int_equal(running_attempt(wire_reply(wire)), 1);
	assert_true(daemon_metric(daemon, "rmsd_requests_replayed_total", NULL) == 4);
	assert_true(daemon_metric(daemon, "rmsd_http_errors_total", NULL) == 0);
	wire_close(wire);
	daemon_stop(daemon);
}

static void other_safe_methods_run_again_too(void **state)
{
	static const char *const methods[] = { "GET", "HEAD" };
	struct daemon *daemon = daemon_start("testapp", "", NULL);

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		const char *worker;
		struct wire *wire = running_begin(daemon, keepf("%s /slow/200" HEAD_END BEHIND, methods[i]), &worker);

		daemon_do(daemon, worker, "kill");
		reply_expect(i ? wire_reply_head(wire) : wire_reply(wire), 200, NULL);
		reply_expect(wire_reply(wire), 200, "behind");
		daemon_do(daemon, worker, "revive");
		wire_close(wire);
	}
	assert_true(daemon_metric(daemon, "rmsd_requests_replayed_total", NULL) == 2);
	daemon_stop(daemon);
}

/* The second run begins when nothing of the first can come any more, whether it was deferred or in its handler. */
static void put_and_delete_run_again_when_the_first_run_has_ended(void **state)
{
	static const char *const rows[] = { "PUT /journal/1/defer/300", "DELETE /journal/2/defer/300",
		"PUT /journal/3/block/300", "DELETE /journal/4/block/300" };
	struct daemon *daemon = daemon_start("testapp", "", NULL);

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		const char *worker;
		struct wire *wire = running_begin(daemon, keepf("%s" HEAD_END BEHIND, rows[i]), &worker);
		struct reply *reply;

		daemon_do(daemon, worker, "kill");
		reply = wire_reply(wire);
		assert_int_equal(running_attempt(reply), 2);
		assert_null(strstr(reply->body, worker));
		reply_expect(wire_reply(wire), 200, "behind");
		wire_expect_alive(wire);
		wire_close(wire);
		daemon_do(daemon, worker, "revive");
	}
	running_expect_number(daemon, "/journal/total", 8);
	running_expect_number(daemon, "/journal/overlaps", 0);
	assert_true(daemon_metric(daemon, "rmsd_http_errors_total", NULL) == 0);
	daemon_stop(daemon);
}

static void a_put_that_may_still_run_is_not_run_again(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", NULL);
	const char *worker;
	struct wire *wire = running_begin(daemon, "PUT /journal/1/block/2500" HEAD_END BEHIND, &worker);
	double begun = wire_clock_ms();

	(void)state;
	daemon_do(daemon, worker, "kill");
	running_expect_refused(wire, "the outcome is unknown");
	if (wire_clock_ms() - begun > 2000)
		fail_msg("the client waited %g ms", wire_clock_ms() - begun);
	assert_true(wire_clock_ms() - begun > 900);
	reply_expect(wire_reply(wire), 200, "behind");
	running_expect_number(daemon, "/journal/total", 1);
	assert_true(daemon_metric(daemon, "rmsd_http_errors_total", "reason=\"outcome_unknown\"", NULL) == 1);
	wire_close(wire);
	/* A client that leaves while its request is parked is no trouble. */
	daemon_do(daemon, worker, "revive");
	wire = running_begin(daemon, "PUT /journal/2/block/500" HEAD_END, &worker);
	daemon_do(daemon, worker, "kill");
	wire_reset(wire);
	pause_ms(800);
	running_await(daemon, 0);
	daemon_stop(daemon);
}

static void a_post_is_never_run_again(void **state)
{
	static const char *const rows[] = { "POST /journal/1/defer/400", "POST /journal/2/block/400" };
	struct daemon *daemon = daemon_start("testapp", "", NULL);

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		const char *worker;
		struct wire *wire = running_begin(daemon, keepf("%s" HEAD_END BEHIND, rows[i]), &worker);
		double begun = wire_clock_ms();

		daemon_do(daemon, worker, "kill");
		running_expect_refused(wire, "the outcome is unknown");
		assert_true(wire_clock_ms() - begun < 350);
		reply_expect(wire_reply(wire), 200, "behind");
		wire_expect_alive(wire);
		wire_close(wire);
		daemon_do(daemon, worker, "revive");
	}
	running_expect_number(daemon, "/journal/total", 2);
	running_expect_number(daemon, "/journal/twice", 0);
	assert_true(daemon_metric(daemon, "rmsd_http_errors_total", "reason=\"outcome_unknown\"", NULL) == 2);
	daemon_stop(daemon);
}

/* Half a reply cannot be gone on with; what matters is that nobody takes it for a whole one. */
static void a_reply_partly_streamed_is_reset(void **state)
{
	static const char *const rows[] = { "GET /stream/100000/2 HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /stream/100000/2 HTTP/1.0\r\n\r\n", "POST /stream/100000/2 HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /pump/1000000 HTTP/1.1\r\nHost: a\r\n\r\n", "GET /pump/1000000 HTTP/1.0\r\n\r\n" };
	struct daemon *daemon = daemon_start("testapp", "", NULL);
	unsigned i;

	(void)state;
	for (i = 0; i < 5; i++) {
		const char *worker;
		struct wire *wire = running_begin(daemon, rows[i], &worker);
		char *bytes;
		size_t len;

		assert_int_equal(wire_end(wire, WIRE_PATIENCE_MS), WIRE_BYTES);
		daemon_do(daemon, worker, "kill");
		assert_int_equal(wire_read_all(wire, &bytes, &len), WIRE_RESET);
		assert_null(memmem(bytes, len, "\r\n0\r\n\r\n", 7));
		wire_close(wire);
		(void)daemon_await_log(daemon, "a streamed reply was cut short");
		daemon_do(daemon, worker, "revive");
	}
	assert_non_null(strstr(daemon_log(daemon), "request=\"GET /stream/100000/2 HTTP/1.0\""));
	assert_true(daemon_metric(daemon, "rmsd_http_errors_total", "reason=\"cut\"", NULL) == 5);
	assert_true(daemon_metric(daemon, "rmsd_connections_closed_total", "reason=\"worker\"", NULL) == 5);
	assert_true(daemon_metric(daemon, "rmsd_http_responses_total", "code=\"200\"", NULL) == 5);
	assert_true(daemon_metric(daemon, "rmsd_requests_replayed_total", NULL) == 0);
	/* The app was told of each, and has ended it. */
	assert_non_null(strstr(wire_get(daemon_public(daemon), "/streams")->body, "begun=5 ended=5 told=5"));
	running_await(daemon, 0);
	daemon_stop(daemon);
}

/* On a unix socket, of which the kernel takes a quarter of a megabyte at most. */
static struct daemon *start_narrow(const char *dir)
{
	return daemon_start("testapp", "", keepf("listen=unix:%s/web.sock", dir), "worker_port=0", NULL);
}

/* Until the app has begun its first stream. */
static void await_stream(struct daemon *daemon)
{
	double until = wire_clock_ms() + WIRE_PATIENCE_MS;

	while (!strstr(wire_get(daemon_public(daemon), "/streams")->body, "begun=1")) {
		assert_true(wire_clock_ms() < until);
		pause_ms(2);
	}
}

/*
 * Behind replies that the client has not taken yet, a stream is begun, and none of it is out: they are more than the
 * kernel takes, and yet small enough to wait in rmsd for the next one.
 */
static void a_stream_of_which_nothing_is_out_runs_again(void **state)
{
	const char *dir = scratch_make();
	struct daemon *daemon = start_narrow(dir);
	const char *worker;
	struct wire *wire = running_begin(daemon,
		"GET /big/31" HEAD_END "GET /big/31" HEAD_END "GET /big/31" HEAD_END "GET /big/31" HEAD_END
		"GET /big/31" HEAD_END "GET /big/31" HEAD_END "GET /big/31" HEAD_END "GET /big/31" HEAD_END
		"GET /stream/300/1" HEAD_END BEHIND,
		&worker);
	struct reply *reply;

	(void)state;
	await_stream(daemon);
	daemon_do(daemon, worker, "kill");
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(wire_reply(wire)->body_len, 31 * KB);
	reply = wire_reply(wire);
	reply_expect(reply, 200, NULL);
	assert_int_equal(reply->body_len, 300 * KB);
	reply_expect(wire_reply(wire), 200, "behind");
	assert_non_null(strstr(wire_get(daemon_public(daemon), "/streams")->body, "begun=2 ended=2 told=1"));
	assert_true(daemon_metric(daemon, "rmsd_requests_replayed_total", NULL) == 1);
	assert_true(daemon_metric(daemon, "rmsd_http_errors_total", NULL) == 0);
	wire_close(wire);
	daemon_stop(daemon);
	scratch_remove(dir);
}

/* All that an ended stream has left is a reply like any other: it moves. */
static void a_stream_that_has_ended_arrives_whole(void **state)
{
	enum { PIECES = 80000 };
	const char *dir = scratch_make();
	struct daemon *daemon = start_narrow(dir);
	struct wire *wire = wire_open(daemon_public(daemon));
	struct reply *reply;
	unsigned i;

	(void)state;
	wire_putf(wire, "GET /stream-now/%d" HEAD_END BEHIND, PIECES);
	assert_int_equal(wire_end(wire, WIRE_PATIENCE_MS), WIRE_BYTES);
	for (i = 1; i <= 3; i++) {
		daemon_do(daemon, keepf("app%u", i), "kill");
		daemon_do(daemon, keepf("app%u", i), "revive");
	}
	reply = wire_reply(wire);
	assert_int_equal(reply->chunks, PIECES);
	assert_int_equal(reply->body_len, PIECES * 6);
	reply_expect(wire_reply(wire), 200, "behind");
	assert_true(daemon_metric(daemon, "rmsd_requests_replayed_total", NULL) == 0);
	wire_close(wire);
	daemon_stop(daemon);
	scratch_remove(dir);
}

static void a_body_partly_with_its_handler_is_an_error(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", NULL);
	const char *worker;
	struct wire *wire =
		running_begin(daemon, "PUT /upload/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc", &worker);
	struct reply *reply;

	(void)state;
	daemon_do(daemon, worker, "kill");
	reply = wire_reply(wire);
	reply_expect(reply, 503, NULL);
	assert_non_null(strstr(reply->body, "the outcome is unknown"));
	reply_expect_field(reply, "Connection", "close");
	wire_put(wire, "defghi");
	wire_expect_eof(wire);
	wire_close(wire);
	daemon_do(daemon, worker, "revive");
	/* The same while body() runs; with all of the body here, the connection stays. */
	wire = running_begin(daemon,
		"POST /upload/slowly/400 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
		&worker);
	daemon_do(daemon, worker, "kill");
	reply = wire_reply(wire);
	reply_expect(reply, 503, NULL);
	reply_expect_field(reply, "Connection", "close");
	wire_close(wire);
	daemon_do(daemon, worker, "revive");
	wire = running_begin(
		daemon, "POST /upload/slowly/400 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" BEHIND, &worker);
	daemon_do(daemon, worker, "kill");
	running_expect_refused(wire, "the outcome is unknown");
	reply_expect(wire_reply(wire), 200, "behind");
	wire_close(wire);
	assert_true(daemon_metric(daemon, "rmsd_http_errors_total", "reason=\"outcome_unknown\"", NULL) == 3);
	running_await(daemon, 0);
	daemon_stop(daemon);
}

static void an_upload_whose_body_was_whole_runs_again_from_its_first_byte(void **state)
{
	static const char *const rows[] = { "Content-Length: 9\r\n\r\nabcdefghi",
		"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n6\r\ndefghi\r\n0\r\n\r\n" };
	struct daemon *daemon = daemon_start("testapp", "", NULL);

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		const char *worker;
		struct wire *wire = running_begin(
			daemon, keepf("PUT /upload/400 HTTP/1.1\r\nHost: a\r\n%s" BEHIND, rows[i]), &worker);
		struct reply *reply;

		daemon_do(daemon, worker, "kill");
		reply = wire_reply(wire);
		reply_expect(reply, 200, NULL);
		if (strncmp(reply->body, "9 bytes sum ", 12) != 0 || !strstr(reply->body, "left 0 attempt 2\n"))
			fail_msg("%s", reply->body);
		reply_expect(wire_reply(wire), 200, "behind");
		wire_close(wire);
		daemon_do(daemon, worker, "revive");
	}
	daemon_stop(daemon);
}

enum { POSTERS = 50, DEPTH = 4 };

/* Sends DEPTH requests on each connection, numbered from first on: handlers that take a moment, and that defer. */
static void post_all(struct wire **wires, unsigned first)
{
	for (unsigned i = 0; i < POSTERS; i++)
		for (unsigned j = 0; j < DEPTH; j++)
			wire_putf(wires[i], "POST /journal/%u/%s/%u" HEAD_END, first + i * DEPTH + j,
				(i + j) % 4 ? "defer" : "block", (i + j) % 4);
}

static void no_post_runs_twice_whenever_its_worker_is_killed(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", "stall_timeout=5s", NULL);
	unsigned rounds = test_scale(50), sent = 0, answered = 0, refused = 0, seed = 7;
	struct wire *wires[POSTERS];

	(void)state;
	for (unsigned i = 0; i < POSTERS; i++)
		wires[i] = wire_open(daemon_public(daemon));
	for (unsigned round = 0; round < rounds; round++) {
		const char *victim = keepf("app%d", rand_r(&seed) % 3 + 1);

		post_all(wires, sent);
		sent += POSTERS * DEPTH;
		pause_ms(rand_r(&seed) % 10);
		daemon_do(daemon, victim, "kill");
		for (unsigned i = 0; i < POSTERS * DEPTH; i++) {
			struct reply *reply = wire_reply(wires[i / DEPTH]);

			if (reply->status == 503) {
				assert_non_null(strstr(reply->body, "the outcome is unknown"));
				refused++;
			} else {
				assert_int_equal(running_attempt(reply), 1);
				answered++;
			}
		}
		daemon_do(daemon, victim, "revive");
	}
	fprintf(stderr, "%u POSTs, %u kills: %u answered, %u told 503\n", sent, rounds, answered, refused);
	assert_int_equal(answered + refused, sent);
	assert_true(refused > 0);
	/* Each ran, and none of them twice: also those that were told 503. */
	running_expect_number(daemon, "/journal/total", sent);
	running_expect_number(daemon, "/journal/twice", 0);
	for (unsigned i = 0; i < POSTERS; i++) {
		wire_expect_alive(wires[i]);
		wire_close(wires[i]);
	}
	daemon_stop(daemon);
}

/* Requests of every kind at once, kills, and clients that leave: no request, descriptor or thread is left over. */
static void whatever_runs_a_kill_leaves_nothing_behind(void **state)
{
	static const char *const rows[] = {
		"GET /stream/40/1" HEAD_END,
		"GET /pump/3000" HEAD_END,
		"GET /stream-behind/40/1" HEAD_END BEHIND,
		"PUT /journal/1/defer/20" HEAD_END "DELETE /journal/2/block/1" HEAD_END,
		"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc",
		"POST /upload/slowly/2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"POST /upload/refused-later HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc",
		"GET /journal/3/defer/10" HEAD_END "POST /journal/4/defer/10" HEAD_END,
		"GET /big/3000" HEAD_END "GET /stream-now/10" HEAD_END,
	};
	enum { ROWS = sizeof(rows) / sizeof(rows[0]), WIRES = 4 * ROWS };
	struct daemon *daemon = daemon_start("testapp", "", "stall_timeout=5s", "body_timeout=2s", NULL);
	unsigned fds = daemon_fds(daemon), threads = daemon_threads(daemon), seed = 3;
	struct wire *wires[WIRES];
	double until;

	(void)state;
	for (unsigned round = 0; round < test_scale(40); round++) {
		const char *victim = keepf("app%d", rand_r(&seed) % 3 + 1);

		for (unsigned i = 0; i < WIRES; i++) {
			wires[i] = wire_open(daemon_public(daemon));
			wire_put(wires[i], rows[i % ROWS]);
		}
		pause_ms(rand_r(&seed) % 15);
		for (unsigned i = 0; i < WIRES; i += 3)
			wire_reset(wires[i]);
		daemon_do(daemon, victim, "kill");
		for (unsigned i = 1; i < WIRES; i += 3)
			wire_close(wires[i]);
		daemon_do(daemon, victim, "revive");
		for (unsigned i = 2; i < WIRES; i += 3)
			wire_close(wires[i]);
	}
	/* A request whose client has left without a reset runs to its end, and a partial body has its time. */
	until = wire_clock_ms() + PROGRAM_PATIENCE_MS;
	while (running_count(daemon, NULL) > 0 || daemon_threads(daemon) > threads || daemon_fds(daemon) > fds) {
		if (wire_clock_ms() > until)
			fail_msg("%u descriptors after %u, %u threads after %u", daemon_fds(daemon), fds,
				daemon_threads(daemon), threads);
		pause_ms(20);
	}
	daemon_stop(daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_get_runs_again_as_often_as_it_takes, daemon_cleanup),
		cmocka_unit_test_teardown(other_safe_methods_run_again_too, daemon_cleanup),
		cmocka_unit_test_teardown(put_and_delete_run_again_when_the_first_run_has_ended, daemon_cleanup),
		cmocka_unit_test_teardown(a_put_that_may_still_run_is_not_run_again, daemon_cleanup),
		cmocka_unit_test_teardown(a_post_is_never_run_again, daemon_cleanup),
		cmocka_unit_test_teardown(a_reply_partly_streamed_is_reset, daemon_cleanup),
		cmocka_unit_test_teardown(a_stream_of_which_nothing_is_out_runs_again, daemon_cleanup),
		cmocka_unit_test_teardown(a_stream_that_has_ended_arrives_whole, daemon_cleanup),
		cmocka_unit_test_teardown(a_body_partly_with_its_handler_is_an_error, daemon_cleanup),
		cmocka_unit_test_teardown(
			an_upload_whose_body_was_whole_runs_again_from_its_first_byte, daemon_cleanup),
		cmocka_unit_test_teardown(whatever_runs_a_kill_leaves_nothing_behind, daemon_cleanup),
		cmocka_unit_test_teardown(no_post_runs_twice_whenever_its_worker_is_killed, daemon_cleanup),
	};

	return cmocka_run_group_tests_name("loss", tests, NULL, NULL);
}
