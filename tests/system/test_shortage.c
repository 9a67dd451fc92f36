/* test_shortage.c - descriptors that the app has, or that somebody took away; and more bytes than may be kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "support/keep.h"
#include "support/pressure.h"
#include "support/running.h"

enum { FILES = 600 };

static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

static struct daemon *start_small(void)
{
	struct daemon *daemon;

	program_limit_files(FILES);
	daemon = daemon_start("testapp", "", "header_timeout=60s", NULL);
	program_limit_files(0);
	return daemon;
}

/* Accepted by the kernel alone. */
static struct wire *open_waiting(const char *address)
{
	struct wire *wire = wire_open(address);

	wire_put(wire, request);
	return wire;
}

/*
 * Whether the doors pause with wire before them; false: it is told something. Whoever makes them pause is told before
 * they do.
 */
static bool is_left_waiting(struct daemon *daemon, struct wire *wire)
{
	double until = wire_clock_ms() + WIRE_PATIENCE_MS;

	while (wire_end(wire, 5) == WIRE_QUIET) {
		if (daemon_metric(daemon, "rmsd_accept_paused", NULL) == 1)
			return wire_end(wire, 0) == WIRE_QUIET;
		assert_true(wire_clock_ms() < until);
	}
	return false;
}

static void an_app_that_has_the_descriptors_pauses_the_public_doors_alone(void **state)
{
	struct daemon *daemon = start_small();
	/* Neither is one of the idle that make room: one has said nothing, the other has begun to. */
	struct wire *silent = wire_open(daemon_public(daemon)), *holder = wire_open(daemon_public(daemon));
	struct wire *waiting[2] = { NULL }, *told[20] = { NULL };
	unsigned n_told = 0;

	(void)state;
	wire_put(holder, "POST /hold/510 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\nGET / HT");
	reply_expect(wire_reply(holder), 200, "510\n");
	/* Whoever shows that they run out is told so; those behind it wait. */
	for (;;) {
		struct reply *reply;

		waiting[0] = open_waiting(daemon_public(daemon));
		if (is_left_waiting(daemon, waiting[0]))
			break;
		assert_true(n_told < 20);
		told[n_told++] = waiting[0];
		reply = wire_reply(waiting[0]);
		if (reply->status != 200)
			reply_expect_field(reply, "Retry-After", "1");
	}
	assert_true(daemon_metric(daemon, "rmsd_requests_shed_total", "reason=\"max_connections\"", NULL) >= 1);
	assert_true(daemon_metric(daemon, "rmsd_accept_paused", NULL) == 1);
	waiting[1] = open_waiting(daemon_worker(daemon, "app1"));
	assert_int_equal(wire_end(waiting[1], 300), WIRE_QUIET);
	pressure_expect_idle(daemon, 1000);
	pressure_expect_rmsctl(daemon);
	wire_put(silent, "POST /let-go HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
	reply_expect(wire_reply(silent), 200, "510\n");
	reply_expect(wire_reply(waiting[0]), 200, NULL);
	reply_expect(wire_reply(waiting[1]), 200, NULL);
	pressure_await_metric(daemon, "rmsd_accept_paused", 0);
	daemon_await_log(daemon, "accepting goes on");
	assert_int_equal(pressure_logged(daemon, "accepting pauses"), 1);
	assert_int_equal(pressure_logged(daemon, "accepting goes on"), 1);
	wire_expect_alive(silent);
	for (unsigned i = 0; i < 2; i++)
		wire_close(waiting[i]);
	for (unsigned i = 0; i < n_told; i++)
		wire_close(told[i]);
	wire_close(silent);
	wire_close(holder);
	daemon_stop(daemon);
}

static void set_limit(struct daemon *daemon, unsigned n)
{
	struct rlimit limit = { n, FILES };

	assert_int_equal(prlimit(daemon_pid(daemon), RLIMIT_NOFILE, &limit, NULL), 0);
}

static void without_any_descriptor_admin_and_control_still_answer(void **state)
{
	struct daemon *daemon;
	struct wire *before, *waiting[8];

	(void)state;
#ifdef __SANITIZE_THREAD__
	/* Now and then its runtime ends this test's own process here, for want of memory that there is. */
	skip();
#endif
	daemon = start_small();
	before = wire_open(daemon_public(daemon));
	/* Not idle, so that it is not one of those that make room. */
	wire_put(before, "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HT");
	reply_expect(wire_reply(before), 200, NULL);
	/* Less than it has open. */
	set_limit(daemon, 30);
	assert_true(daemon_fds(daemon) > 30);
	for (unsigned i = 0; i < 8; i++)
		waiting[i] = open_waiting(daemon_public(daemon));
	daemon_await_log(daemon, "accepting pauses");
	assert_true(daemon_metric(daemon, "rmsd_accept_paused", NULL) == 1);
	for (unsigned i = 0; i < 3; i++)
		pressure_expect_rmsctl(daemon);
	wire_put(before, "TP/1.1\r\nHost: a\r\n\r\n");
	reply_expect(wire_reply(before), 200, NULL);
	pressure_expect_idle(daemon, 1000);
	assert_int_equal(wire_end(waiting[7], 0), WIRE_QUIET);
	set_limit(daemon, FILES);
	for (unsigned i = 0; i < 8; i++) {
		reply_expect(wire_reply(waiting[i]), 200, NULL);
		wire_close(waiting[i]);
	}
	daemon_await_log(daemon, "accepting goes on");
	assert_int_equal(pressure_logged(daemon, "accepting pauses"), 1);
	assert_int_equal(pressure_logged(daemon, "accepting goes on"), 1);
	wire_close(before);
	daemon_stop(daemon);
}

static double buffered(struct daemon *daemon)
{
	return daemon_metric(daemon, "rmsd_buffer_bytes", NULL);
}

static double await_more(struct daemon *daemon, double than)
{
	double until = wire_clock_ms() + WIRE_PATIENCE_MS, now;

	while ((now = buffered(daemon)) <= than) {
		if (wire_clock_ms() > until)
			fail_msg("%g bytes are buffered, not more than %g", now, than);
		pause_ms(5);
	}
	return now;
}

/* What the first request that is kept takes: once its worker, whichever it is, has ended the turn that it came in. */
static double await_first(struct daemon *daemon)
{
	await_more(daemon, 0);
	for (int i = 1; i <= 3; i++)
		reply_expect(wire_get(daemon_worker(daemon, keepf("app%d", i)), "/"), 200, NULL);
	return buffered(daemon);
}

/* total bytes, of which a part is held back by the caller. */
static char *upload(size_t total)
{
	char *text = keep(malloc(total + 1));
	size_t body = total, head;

	do
		head = (size_t)sprintf(text, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", --body);
	while (head + body > total);
	assert_int_equal(head + body, total);
	memset(text + head, 'u', body);
	text[total] = 0;
	return text;
}

/* What a request partly here takes beside its bytes. */
static double measure_message(void)
{
	struct daemon *daemon = daemon_start("testapp", "", NULL);
	struct wire *wire = wire_open(daemon_public(daemon));
	double n;

	wire_send(wire, upload(5120), 2560);
	n = await_first(daemon);
	wire_close(wire);
	pressure_await_metric(daemon, "rmsd_buffer_bytes", 0);
	daemon_stop(daemon);
	return n - 2560;
}

static void a_request_may_take_what_is_left_and_no_more(void **state)
{
	static const struct {
		int beside;
		int status;
	} rows[] = { { -1, 503 }, { 0, 200 }, { 1, 200 } };
	double message = measure_message();

	(void)state;
	assert_true(message > 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct daemon *daemon = daemon_start(
			"testapp", "", keepf("max_buffer_memory=%.0f", message + 5120 + rows[i].beside), NULL);
		struct wire *wire = wire_open(daemon_public(daemon));
		const char *text = upload(5120);

		wire_send(wire, text, 2560);
		pressure_await_metric(daemon, "rmsd_buffer_bytes", message + 2560);
		wire_send(wire, text + 2560, 2560);
		if (rows[i].status == 200) {
			reply_expect(wire_reply(wire), 200, NULL);
			wire_expect_alive(wire);
		} else {
			pressure_expect_503(wire);
			wire_expect_eof(wire);
			assert_true(daemon_metric(daemon, "rmsd_http_errors_total", "reason=\"memory\"", NULL) == 1);
		}
		wire_close(wire);
		pressure_await_metric(daemon, "rmsd_buffer_bytes", 0);
		daemon_stop(daemon);
	}
}

/* Requests that are here whole take nothing: whoever asks for little is served whatever others hold. */
static void who_asks_for_little_is_served_when_nothing_is_left(void **state)
{
	static const char *const begun[] = {
		"GET / HT",
		"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
		"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nab",
	};
	struct daemon *daemon =
		daemon_start("testapp", "", keepf("max_buffer_memory=%.0f", measure_message() + 2560), NULL);
	struct wire *full = wire_open(daemon_public(daemon)), *wire;
	double most;

	(void)state;
	wire_send(full, upload(5120), 2560);
	most = await_first(daemon);
	for (unsigned i = 0; i < 3; i++) {
		wire = wire_open(daemon_public(daemon));
		wire_put(wire, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nwhole");
		reply_expect(wire_reply(wire), 200, "whole");
		/* And what is not whole is refused in full, also behind one that is. */
		wire_putf(wire, "%s%s", request, begun[i]);
		reply_expect(wire_reply(wire), 200, NULL);
		pressure_expect_503(wire);
		wire_expect_eof(wire);
		wire_close(wire);
		assert_true(buffered(daemon) == most);
	}
	wire_close(full);
	pressure_await_metric(daemon, "rmsd_buffer_bytes", 0);
	daemon_stop(daemon);
}

static void the_account_holds_over_moves_and_losses(void **state)
{
	enum { N = 12 };
	struct daemon *daemon = daemon_start("testapp", "", "workers=3", NULL);
	struct wire *wires[N], *deferred = wire_open(daemon_public(daemon)), *chunked;
	const char *text = upload(3000);
	double each;

	(void)state;
	wires[0] = wire_open(daemon_public(daemon));
	wire_send(wires[0], text, 2000);
	each = await_first(daemon);
	for (unsigned i = 1; i < N; i++) {
		wires[i] = wire_open(daemon_public(daemon));
		wire_send(wires[i], text, 2000);
	}
	pressure_await_metric(daemon, "rmsd_buffer_bytes", N * each);
	daemon_do(daemon, "app1", "kill");
	daemon_do(daemon, "app2", "drain");
	assert_true(buffered(daemon) == N * each);
	chunked = wire_open(daemon_public(daemon));
	wire_put(chunked, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n");
	wire_send(chunked, upload(1000), 1000);
	wire_put(deferred, "GET /slow/700 HTTP/1.1\r\nHost: a\r\n\r\n");
	await_more(daemon, (N + 1) * each);
	daemon_do(daemon, "app1", "revive");
	/* What runs is run again with what was kept of it. */
	daemon_do(daemon, "app3", "kill");
	reply_expect(wire_reply(deferred), 200, NULL);
	for (unsigned i = 0; i < N; i++) {
		if (i % 3 == 0) {
			wire_reset(wires[i]);
			continue;
		}
		wire_send(wires[i], text + 2000, 1000);
		reply_expect(wire_reply(wires[i]), 200, NULL);
		wire_close(wires[i]);
	}
	wire_put(chunked, "\r\n0\r\n\r\n");
	assert_int_equal(wire_reply(chunked)->body_len, 1000);
	wire_close(chunked);
	wire_close(deferred);
	pressure_await_metric(daemon, "rmsd_buffer_bytes", 0);
	daemon_stop(daemon);
}

static void slow_readers_together_hold_no_more_than_the_bound(void **state)
{
	enum { N = 8, KB = 6000 };
	struct daemon *daemon = daemon_start("testapp", "", "max_buffer_memory=10m", NULL);
	struct wire *wires[N];
	double until = wire_clock_ms() + WIRE_PATIENCE_MS, cut;
	unsigned whole = 0;

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		wires[i] = wire_open(daemon_public(daemon));
		wire_window(wires[i], 65536);
		wire_putf(wires[i], "GET /big/%d HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", KB);
	}
	while (daemon_metric(daemon, "rmsd_http_responses_total", NULL) < N) {
		assert_true(buffered(daemon) <= 10 << 20);
		assert_true(wire_clock_ms() < until);
		pause_ms(5);
	}
	for (unsigned i = 0; i < N; i++) {
		char *bytes;
		size_t len;

		/* All of it, or a reset that tells that it is not. */
		if (wire_read_all(wires[i], &bytes, &len) == WIRE_EOF) {
			assert_true(len > KB * 1024);
			whole++;
		}
		wire_close(wires[i]);
	}
	cut = daemon_metric(daemon, "rmsd_http_errors_total", "reason=\"memory\"", NULL);
	if (whole < 1 || cut < 1 || whole + cut != N)
		fail_msg("of %d readers %u got all, %.0f were cut", N, whole, cut);
	pressure_await_metric(daemon, "rmsd_buffer_bytes", 0);
	daemon_stop(daemon);
}

static void a_stream_that_nobody_reads_is_cut_at_the_bound(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", "max_buffer_memory=1m", NULL);
	struct wire *wire = wire_open(daemon_public(daemon)), *pumped;
	char *bytes;
	size_t len;

	(void)state;
	/* Written faster than anybody can read; and one whose app waits for room goes on for as long as it likes. */
	wire_put(wire, "GET /stream-now/200000 HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(wire_read_all(wire, &bytes, &len), WIRE_RESET);
	wire_close(wire);
	assert_true(daemon_metric(daemon, "rmsd_http_errors_total", "reason=\"memory\"", NULL) == 1);
	pressure_await_metric(daemon, "rmsd_buffer_bytes", 0);
	pumped = wire_open(daemon_public(daemon));
	wire_put(pumped, "GET /pump/8000 HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(wire_reply(pumped)->body_len, 8000 * 1024);
	wire_expect_alive(pumped);
	pressure_await_metric(daemon, "rmsd_buffer_bytes", 0);
	wire_close(pumped);
	daemon_stop(daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(
			an_app_that_has_the_descriptors_pauses_the_public_doors_alone, daemon_cleanup),
		cmocka_unit_test_teardown(without_any_descriptor_admin_and_control_still_answer, daemon_cleanup),
		cmocka_unit_test_teardown(a_request_may_take_what_is_left_and_no_more, daemon_cleanup),
		cmocka_unit_test_teardown(who_asks_for_little_is_served_when_nothing_is_left, daemon_cleanup),
		cmocka_unit_test_teardown(the_account_holds_over_moves_and_losses, daemon_cleanup),
		cmocka_unit_test_teardown(slow_readers_together_hold_no_more_than_the_bound, daemon_cleanup),
		cmocka_unit_test_teardown(a_stream_that_nobody_reads_is_cut_at_the_bound, daemon_cleanup),
	};

	return cmocka_run_group_tests_name("shortage", tests, NULL, NULL);
}
