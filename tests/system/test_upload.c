/* test_upload.c - bodies that come to their handlers in pieces. */
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

static unsigned long sum_of(const char *bytes, size_t len)
{
	unsigned long sum = 0;

	for (size_t i = 0; i < len; i++)
		sum = sum * 31 + (unsigned char)bytes[i];
	return sum;
}

static char *body_of(size_t len)
{
	char *body = keep(malloc(len + 1));

	for (size_t i = 0; i < len; i++)
		body[i] = (char)('a' + i * 7 % 26);
	body[len] = 0;
	return body;
}

static void send_chunked(struct wire *wire, const char *body, size_t len, size_t piece)
{
	for (size_t at = 0; at < len; at += piece) {
		size_t n = len - at < piece ? len - at : piece;

		wire_putf(wire, "%zx\r\n", n);
		wire_send(wire, body + at, n);
		wire_put(wire, "\r\n");
	}
	wire_put(wire, "0\r\n\r\n");
}

/* Whole in one write, in many, chunked or not, pipelined, empty: each byte reaches the app once and in its turn. */
static void a_body_comes_to_its_handler_by_the_piece(void **state)
{
	enum { LEN = 500000 };
	static const char one[] = "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
				  "POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
				  "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"
				  "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
	struct daemon *daemon = daemon_start("testapp", "", NULL);
	struct wire *wire = wire_open(daemon_public(daemon));
	const char *hello = keepf("5 bytes sum %lu left 0 attempt 1\n", sum_of("hello", 5));
	const char *body = body_of(LEN);
	const char *all = keepf("%d bytes sum %lu left 0 attempt 1\n", LEN, sum_of(body, LEN));

	(void)state;
	wire_put(wire, one);
	for (size_t i = 0; i + 1 < sizeof(one); i++) {
		wire_send(wire, one + i, 1);
		if (i % 16 == 0)
			pause_ms(1);
	}
	for (unsigned i = 0; i < 2; i++) {
		reply_expect(wire_reply(wire), 200, hello);
		reply_expect(wire_reply(wire), 200, hello);
		reply_expect(wire_reply(wire), 200, "0 bytes sum 0 left 0 attempt 1\n");
	}
	wire_putf(wire, "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", LEN);
	wire_send(wire, body, LEN);
	reply_expect(wire_reply(wire), 200, all);
	wire_put(wire, "POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
	send_chunked(wire, body, LEN, 1777);
	reply_expect(wire_reply(wire), 200, all);
	wire_putf(wire, "PUT /upload/20 HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", LEN);
	wire_send(wire, body, LEN);
	reply_expect(wire_reply(wire), 200, all);
	wire_put(wire, "POST /upload/stream HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab");
	reply_expect(wire_reply(wire), 200, "some");
	wire_expect_alive(wire);
	wire_close(wire);
	daemon_stop(daemon);
}

static void an_upload_is_held_to_the_limits_of_any_body(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", "max_body_size=100k", "body_timeout=1s", NULL);
	const char *body = body_of(150000);
	struct wire *wire = wire_open(daemon_public(daemon));

	(void)state;
	wire_put(wire, "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 102401\r\n\r\n");
	reply_expect(wire_reply(wire), 413, NULL);
	wire_close(wire);
	/* Chunked, it shows only when the handler has had much of it. */
	wire = wire_open(daemon_public(daemon));
	wire_put(wire, "POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
	send_chunked(wire, body, 150000, 10000);
	reply_expect(wire_reply(wire), 413, NULL);
	wire_expect_eof(wire);
	wire_close(wire);
	wire = wire_open(daemon_public(daemon));
	wire_put(wire, "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc");
	reply_expect(wire_reply(wire), 408, NULL);
	wire_expect_eof(wire);
	wire_close(wire);
	wire = wire_open(daemon_public(daemon));
	wire_put(wire, "POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n");
	reply_expect(wire_reply(wire), 400, NULL);
	wire_close(wire);
	/* And who leaves in the middle leaves nothing behind. */
	wire = wire_open(daemon_public(daemon));
	wire_put(wire, "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc");
	running_await(daemon, 1);
	wire_reset(wire);
	running_await(daemon, 0);
	daemon_stop(daemon);
}

static void a_client_that_waits_for_a_100_gets_it(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", NULL);
	struct wire *wire = wire_open(daemon_public(daemon));
	char line[26] = "";
	size_t len = 0;

	(void)state;
	wire_put(wire, "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
	while (len < 25)
		len += wire_read(wire, line + len, 25 - len);
	assert_string_equal(line, "HTTP/1.1 100 Continue\r\n\r\n");
	wire_put(wire, "hello");
	reply_expect(wire_reply(wire), 200, keepf("5 bytes sum %lu left 0 attempt 1\n", sum_of("hello", 5)));
	wire_close(wire);
	daemon_stop(daemon);
}

/* The reply arrives although the client is still sending, and the connection ends. */
static void an_app_may_answer_before_the_body_is_whole(void **state)
{
	static const char *const paths[] = { "/upload/refused", "/upload/refused-later" };
	struct daemon *daemon = daemon_start("testapp", "", NULL);
	const char *body = body_of(700000);
	struct wire *wire;
	unsigned i;

	(void)state;
	for (i = 0; i < 4; i++) {
		struct reply *reply;

		wire = wire_open(daemon_public(daemon));
		wire_putf(wire, "POST %s HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n", paths[i / 2],
			i % 2 ? "Transfer-Encoding: chunked" : "Content-Length: 800000");
		wire_putf(wire, "%s", i % 2 ? "1ffff\r\n" : "");
		wire_send(wire, body, 700000 / 8);
		reply = wire_reply(wire);
		assert_int_equal(reply->status, 403);
		reply_expect_field(reply, "Connection", "close");
		wire_push(wire, body, 100);
		wire_expect_eof(wire);
		wire_close(wire);
	}
	/* With the whole body here nothing stands in the way of the next request. */
	wire = wire_open(daemon_public(daemon));
	wire_put(wire, "POST /upload/refused HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
	reply_expect(wire_reply(wire), 403, "not you\n");
	wire_expect_alive(wire);
	wire_close(wire);
	assert_true(daemon_metric(daemon, "rmsd_http_responses_total", "code=\"403\"", NULL) == 5);
	assert_true(daemon_metric(daemon, "rmsd_http_requests_in_flight", NULL) == 0);
	daemon_stop(daemon);
}

/* A request of 2.5 KB each, if it were kept: with a head alone, with a part of the body, and one that a timer has. */
static void uploads_given_up_half_way_leave_no_memory_behind(void **state)
{
	static const char *const heads[] = {
		"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n",
		"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc",
		"POST /upload/refused-later HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc",
	};
	struct daemon *daemon = daemon_start("testapp", "", "workers=1", NULL);
	long before = 0;

	(void)state;
	for (int round = 0; round < 2; round++) {
		unsigned n = round ? test_scale(6000) : test_scale(1000);

		before = daemon_rss_kb(daemon);
		for (unsigned i = 0; i < n; i++) {
			struct wire *wire = wire_open(daemon_public(daemon));

			wire_put(wire, heads[i % 3]);
			wire_shut(wire);
			if (i % 3 < 2)
				wire_expect_eof(wire);
			wire_close(wire);
		}
		running_await(daemon, 0);
	}
	if (!daemon_sanitized() && daemon_rss_kb(daemon) - before > 4000)
		fail_msg("RSS grew by %ld KB", daemon_rss_kb(daemon) - before);
	reply_expect(wire_get(daemon_public(daemon), "/"), 200, NULL);
	daemon_stop(daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_body_comes_to_its_handler_by_the_piece, daemon_cleanup),
		cmocka_unit_test_teardown(an_upload_is_held_to_the_limits_of_any_body, daemon_cleanup),
		cmocka_unit_test_teardown(a_client_that_waits_for_a_100_gets_it, daemon_cleanup),
		cmocka_unit_test_teardown(an_app_may_answer_before_the_body_is_whole, daemon_cleanup),
		cmocka_unit_test_teardown(uploads_given_up_half_way_leave_no_memory_behind, daemon_cleanup),
	};

	return cmocka_run_group_tests_name("upload", tests, NULL, NULL);
}
