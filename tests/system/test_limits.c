/* test_limits.c - clients that send too much, too slowly, or what is no HTTP; and those that do not read. */
#include <poll.h>
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

/* The error is whole, says that the connection closes, and it does so without a reset that could eat the error. */
static void expect_refusal(struct daemon *daemon, const char *what, const void *bytes, size_t len, int status)
{
	struct wire *wire = wire_open(daemon_public(daemon));
	struct reply *reply;

	wire_send(wire, bytes, len);
	reply = wire_reply(wire);
	if (reply->status != status)
		fail_msg("%s: %d expected: %s", what, status, reply->head);
	if (!reply_field(reply, "Connection") || strcmp(reply_field(reply, "Connection"), "close") != 0)
		fail_msg("%s: no Connection: close: %s", what, reply->head);
	assert_int_equal(reply->body_len, strtoul(reply_field(reply, "Content-Length"), NULL, 10));
	wire_expect_eof(wire);
	wire_close(wire);
}

static char *fill(char byte, size_t n)
{
	char *text = keep(malloc(n + 1));

	memset(text, byte, n);
	text[n] = 0;
	return text;
}

static void garbage_is_refused(void **state)
{
#define ROW(text, status) \
	{ \
		text, sizeof(text) - 1, status \
	}
	static const struct {
		const char *bytes;
		size_t len;
		int status;
	} rows[] = {
		ROW("hello\r\n\r\n", 400),
		ROW("GET\r\n\r\n", 400),
		ROW("GET /\r\n\r\n", 400),
		ROW("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
		ROW("GET / HTTP/1.1\r\n\r\n", 400),
		ROW("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
		ROW("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
		ROW("GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", 400),
		ROW("GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", 400),
		ROW("GET / HTTP/1.1\nHost: a\n\n", 400),
		ROW("GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", 400),
		ROW("GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", 400),
		ROW("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400),
		ROW("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
		ROW("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
		ROW("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
		ROW("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
		ROW("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
		ROW("GET / HTTP/1.1\r\nHost: a\r\nExpect: a-miracle\r\n\r\n", 417),
	};
#undef ROW
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect_refusal(daemon, rows[i].bytes, rows[i].bytes, rows[i].len, rows[i].status);
	daemon_stop(daemon);
}

static void what_came_before_the_garbage_is_answered(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	struct wire *wire = wire_open(daemon_public(daemon));

	(void)state;
	wire_put(wire, "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n((((\r\n\r\n");
	reply_expect(wire_reply(wire), 200, DAEMON_TEXT);
	reply_expect(wire_reply(wire), 200, DAEMON_TEXT);
	reply_expect(wire_reply(wire), 400, NULL);
	wire_expect_eof(wire);
	wire_close(wire);
	assert_true(daemon_metric(daemon, "rmsd_http_responses_total", "code=\"400\"", NULL) == 1);
	daemon_stop(daemon);
}

/* The limits themselves are test_sizes.c's. This client does not listen, and sends it all. */
static void who_sends_far_too_much_can_still_read_the_refusal(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", "max_header_size=1k", "max_body_size=1000", NULL);
	const char *much = keepf("GET / HTTP/1.1\r\nHost: a\r\nX: %s\r\n\r\n", fill('x', 300000));

	(void)state;
	expect_refusal(daemon, "head", much, strlen(much), 431);
	much = keepf("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n%s", fill('m', 200000));
	expect_refusal(daemon, "body", much, strlen(much), 413);
	much = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551615\r\n\r\n";
	expect_refusal(daemon, "the largest length that there is", much, strlen(much), 413);
	daemon_stop(daemon);
}

static void a_begun_head_that_stays_away_gets_408(void **state)
{
	static const char *const begun[] = { "G", "GET / HTTP/1.1\r\nHost: a", "GET / HTTP/1.1\r\nHost: a\r\n" };
	struct daemon *daemon = daemon_start("rmsd", NULL, "header_timeout=500ms", NULL);
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(begun) / sizeof(begun[0]); i++)
		expect_refusal(daemon, begun[i], begun[i], strlen(begun[i]), 408);
	assert_true(daemon_metric(daemon, "rmsd_http_responses_total", "code=\"408\"", NULL) == 3);
	assert_true(daemon_metric(daemon, "http_requests_total", NULL) == 3);
	daemon_stop(daemon);
}

/* A byte now and then does not buy more time: the timeout is for the whole head. */
static void a_head_that_drips_gets_408(void **state)
{
	static const char head[] =
		"GET / HTTP/1.1\r\nHost: a\r\nX: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
	struct daemon *daemon = daemon_start("rmsd", NULL, "header_timeout=600ms", NULL);
	struct wire *wire = wire_open(daemon_public(daemon));
	double begun = wire_clock_ms();
	size_t at = 0;

	(void)state;
	while (at < strlen(head)) {
		wire_send(wire, head + at++, 1);
		if (wire_end(wire, 100) != WIRE_QUIET)
			break;
	}
	reply_expect(wire_reply(wire), 408, NULL);
	assert_true(wire_clock_ms() - begun < 4000);
	wire_expect_eof(wire);
	wire_close(wire);
	daemon_stop(daemon);
}

static void a_connection_that_never_spoke_is_closed_in_silence(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, "header_timeout=500ms", NULL);
	struct wire *wire = wire_open(daemon_public(daemon));
	double begun = wire_clock_ms();

	(void)state;
	wire_expect_eof(wire);
	assert_true(wire_clock_ms() - begun > 400);
	assert_true(wire_clock_ms() - begun < 3000);
	wire_close(wire);
	assert_true(daemon_metric(daemon, "http_requests_total", NULL) == 0);
	daemon_stop(daemon);
}

static void a_body_that_stays_away_gets_408(void **state)
{
	static const char begun[] = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc";
	struct daemon *daemon = daemon_start("testapp", "", "body_timeout=500ms", "header_timeout=10s", NULL);

	(void)state;
	expect_refusal(daemon, "a body cut short", begun, strlen(begun), 408);
	daemon_stop(daemon);
}

static void a_body_that_keeps_coming_is_waited_for(void **state)
{
	struct daemon *daemon = daemon_start(
		"testapp", "", "body_timeout=900ms", "header_timeout=500ms", "keepalive_timeout=500ms", NULL);
	struct wire *wire = wire_open(daemon_public(daemon));
	unsigned i;

	(void)state;
	wire_put(wire, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n");
	for (i = 0; i < 8; i++) {
		assert_int_equal(wire_end(wire, 200), WIRE_QUIET);
		wire_put(wire, "x");
	}
	reply_expect(wire_reply(wire), 200, "xxxxxxxx");
	wire_close(wire);
	daemon_stop(daemon);
}

static void a_handler_may_take_longer_than_any_timeout(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", "body_timeout=300ms", "header_timeout=300ms",
		"keepalive_timeout=300ms", "write_timeout=300ms", NULL);
	struct wire *wire = wire_open(daemon_public(daemon));

	(void)state;
	wire_put(wire, "GET /slow/1200 HTTP/1.1\r\nHost: a\r\n\r\n");
	reply_expect(wire_reply(wire), 200, NULL);
	wire_close(wire);
	daemon_stop(daemon);
}

/* It asks for much and reads nothing: it may cost what the kernel buffers and a reply or two, not all that it asked. */
static void a_client_that_does_not_read_is_closed_and_costs_little(void **state)
{
	static const char request[] = "GET /big/256 HTTP/1.1\r\nHost: a\r\n\r\n";
	struct daemon *daemon = daemon_start("testapp", "", "write_timeout=1s", NULL);
	struct wire *wires[8];
	long before, most = 0;
	double until, begun = wire_clock_ms();
	unsigned i, k;

	(void)state;
	before = daemon_rss_kb(daemon);
	for (i = 0; i < 8; i++) {
		wires[i] = wire_open(daemon_public(daemon));
		wire_window(wires[i], 4096);
		for (k = 0; k < 200; k++)
			wire_push(wires[i], request, strlen(request));
	}
	until = wire_clock_ms() + WIRE_PATIENCE_MS;
	while (daemon_metric(daemon, "rmsd_connections_closed_total", "reason=\"timeout\"", NULL) < 8) {
		long now = daemon_rss_kb(daemon);

		most = now > most ? now : most;
		assert_true(wire_clock_ms() < until);
	}
	assert_true(wire_clock_ms() - begun > 900);
	/* 400 MB were asked for. */
	if (!daemon_sanitized() && most - before > 40000)
		fail_msg("8 clients that do not read cost %ld KB", most - before);
	for (i = 0; i < 8; i++)
		wire_close(wires[i]);
	daemon_stop(daemon);
}

/* Slow is not dead: whoever takes some of its reply now and then is not closed. */
static void a_client_that_reads_slowly_gets_all(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", "write_timeout=2s", NULL);
	struct wire *wire = wire_open(daemon_public(daemon));
	size_t left = 6000 * 1024, n;
	char *bytes = keep(malloc(600000));
	const char *body;

	(void)state;
	wire_window(wire, 65536);
	wire_put(wire, "GET /big/6000 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	n = wire_read(wire, bytes, 16384);
	bytes[n] = 0;
	body = strstr(bytes, "\r\n\r\n");
	assert_non_null(body);
	left -= n - (size_t)(body + 4 - bytes);
	while (left) {
		size_t want = left < 600000 ? left : 600000;

		for (; want; want -= n, left -= n) {
			n = wire_read(wire, bytes, want);
			assert_true(n > 0);
		}
		/* A pause shorter than the timeout, in which the server can write nothing. */
		if (left)
			poll(NULL, 0, 250);
	}
	wire_expect_eof(wire);
	wire_close(wire);
	daemon_stop(daemon);
}

static void a_client_that_half_closes_gets_its_replies(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", NULL);
	struct wire *wire = wire_open(daemon_public(daemon));

	(void)state;
	wire_put(wire, "GET /slow/150 HTTP/1.1\r\nHost: a\r\n\r\nGET /echo/2 HTTP/1.1\r\nHost: a\r\n\r\n");
	wire_shut(wire);
	assert_memory_equal(wire_reply(wire)->body, "slept on app", 12);
	reply_expect(wire_reply(wire), 200, "2");
	wire_expect_eof(wire);
	wire_close(wire);
	wire = wire_open(daemon_public(daemon));
	wire_put(wire, "GET /big/900 HTTP/1.1\r\nHost: a\r\n\r\n");
	wire_shut(wire);
	assert_int_equal(wire_reply(wire)->body_len, 900 * 1024);
	wire_expect_eof(wire);
	wire_close(wire);
	daemon_stop(daemon);
}

static void a_client_gone_in_the_middle_harms_no_one(void **state)
{
	static const char *const begun[] = {
		"",
		"GET / HT",
		"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc",
		"GET /slow/100 HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /busy/20 HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /slow/400 HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /big/4000 HTTP/1.1\r\nHost: a\r\n\r\n",
	};
	struct daemon *daemon = daemon_start("testapp", "", NULL);
	unsigned round, i;

	(void)state;
	for (round = 0; round < 30; round++) {
		for (i = 0; i < sizeof(begun) / sizeof(begun[0]); i++) {
			struct wire *wire = wire_open(daemon_public(daemon));

			wire_put(wire, begun[i]);
			if (round % 3 == 0)
				wire_end(wire, 1);
			if (round % 2)
				wire_reset(wire);
			else
				wire_close(wire);
		}
	}
	reply_expect(wire_get(daemon_public(daemon), "/echo/alive"), 200, "alive");
	daemon_await(daemon, "app1", "up", 0);
	daemon_await(daemon, "app2", "up", 0);
	daemon_await(daemon, "app3", "up", 0);
	daemon_stop(daemon);
}

/* Their first deadline passes while the one worker is busy; the requests have been in the kernel for long. */
static void requests_behind_a_busy_worker_are_not_too_late(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", "workers=1", "header_timeout=500ms", NULL);
	struct wire *wires[6];
	size_t i;

	(void)state;
	for (i = 0; i < 6; i++)
		wires[i] = wire_open(daemon_public(daemon));
	for (i = 0; i < 6; i++)
		wire_put(wires[i], "GET /busy/300 HTTP/1.1\r\nHost: a\r\n\r\n");
	for (i = 0; i < 6; i++) {
		reply_expect(wire_reply(wires[i]), 200, NULL);
		wire_close(wires[i]);
	}
	assert_true(daemon_metric(daemon, "rmsd_connections_closed_total", "reason=\"timeout\"", NULL) == 0);
	daemon_stop(daemon);
}

/* RFC 9112 section 2.2: it is no beginning of a request, so nothing times out but the idle connection. */
static void a_line_too_many_behind_a_request_is_no_request(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, "header_timeout=200ms", "keepalive_timeout=900ms", NULL);
	struct wire *wire = wire_open(daemon_public(daemon));

	(void)state;
	wire_put(wire, "GET / HTTP/1.1\r\nHost: a\r\n\r\n\r\n");
	reply_expect(wire_reply(wire), 200, DAEMON_TEXT);
	wire_expect_eof(wire);
	assert_true(daemon_metric(daemon, "rmsd_http_responses_total", "code=\"408\"", NULL) == 0);
	wire_close(wire);
	daemon_stop(daemon);
}

/* As if both had come at once: how the bytes are cut changes no answer. */
static void a_second_line_too_many_is_refused_whenever_it_comes(void **state)
{
	static const char *const first[] = { "\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n\r\n" };
	static const char *const second[] = { "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n" };
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct wire *wire = wire_open(daemon_public(daemon));

		wire_put(wire, first[i % 2]);
		if (i % 2)
			reply_expect(wire_reply(wire), 200, DAEMON_TEXT);
		else
			assert_int_equal(wire_end(wire, 50), WIRE_QUIET);
		wire_put(wire, second[i / 2]);
		reply_expect(wire_reply(wire), i / 2 ? 200 : 400, NULL);
		wire_close(wire);
	}
	daemon_stop(daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(garbage_is_refused, daemon_cleanup),
		cmocka_unit_test_teardown(what_came_before_the_garbage_is_answered, daemon_cleanup),
		cmocka_unit_test_teardown(who_sends_far_too_much_can_still_read_the_refusal, daemon_cleanup),
		cmocka_unit_test_teardown(a_begun_head_that_stays_away_gets_408, daemon_cleanup),
		cmocka_unit_test_teardown(a_head_that_drips_gets_408, daemon_cleanup),
		cmocka_unit_test_teardown(a_connection_that_never_spoke_is_closed_in_silence, daemon_cleanup),
		cmocka_unit_test_teardown(a_body_that_stays_away_gets_408, daemon_cleanup),
		cmocka_unit_test_teardown(a_body_that_keeps_coming_is_waited_for, daemon_cleanup),
		cmocka_unit_test_teardown(a_handler_may_take_longer_than_any_timeout, daemon_cleanup),
		cmocka_unit_test_teardown(a_client_that_does_not_read_is_closed_and_costs_little, daemon_cleanup),
		cmocka_unit_test_teardown(a_client_that_reads_slowly_gets_all, daemon_cleanup),
		cmocka_unit_test_teardown(a_client_that_half_closes_gets_its_replies, daemon_cleanup),
		cmocka_unit_test_teardown(a_client_gone_in_the_middle_harms_no_one, daemon_cleanup),
		cmocka_unit_test_teardown(requests_behind_a_busy_worker_are_not_too_late, daemon_cleanup),
		cmocka_unit_test_teardown(a_second_line_too_many_is_refused_whenever_it_comes, daemon_cleanup),
		cmocka_unit_test_teardown(a_line_too_many_behind_a_request_is_no_request, daemon_cleanup),
	};

	return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
