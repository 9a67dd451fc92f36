/* test_keepalive.c - many requests on one connection, however their bytes arrive. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "support/daemon.h"
#include "support/keep.h"
#include "support/running.h"

/* Lets what was written arrive as a read of its own; nothing tells when the other side has read. */
static void let_it_be_read(void)
{
	struct timespec pause = { .tv_nsec = 500000 };

	nanosleep(&pause, NULL);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", NULL);
	struct wire *wire = wire_open(daemon_public(daemon));
	unsigned n = 1000, i;
	char *all = keep(calloc(n, 64));
	size_t len = 0;

	(void)state;
	for (i = 0; i < n; i++)
		len += (size_t)sprintf(all + len, "GET /echo/%u HTTP/1.1\r\nHost: a\r\n\r\n", i);
	wire_send(wire, all, len);
	for (i = 0; i < n; i++)
		reply_expect(wire_reply(wire), 200, keepf("%u", i));
	wire_expect_alive(wire);
	wire_close(wire);
	daemon_stop(daemon);
}

static void a_request_may_be_cut_at_every_byte(void **state)
{
	static const char request[] = "POST /echo HTTP/1.1\r\nHost: a\r\nX-Test: b\r\nContent-Length: 5\r\n\r\nhello";
	struct daemon *daemon = daemon_start("testapp", "", NULL);
	struct wire *wire = wire_open(daemon_public(daemon));
	size_t len = strlen(request), cut;

	(void)state;
	for (cut = 1; cut < len; cut++) {
		wire_send(wire, request, cut);
		let_it_be_read();
		wire_send(wire, request + cut, len - cut);
		reply_expect(wire_reply(wire), 200, "hello");
	}
	for (cut = 0; cut < len; cut++) {
		wire_send(wire, request + cut, 1);
		let_it_be_read();
	}
	reply_expect(wire_reply(wire), 200, "hello");
	wire_close(wire);
	daemon_stop(daemon);
}

static void requests_may_be_cut_anywhere_in_a_pipeline(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", NULL);
	struct wire *wire = wire_open(daemon_public(daemon));
	char all[8192];
	size_t len = 0, at = 0, step = 1;
	unsigned i;

	(void)state;
	for (i = 0; i < 60; i++)
		len += (size_t)sprintf(all + len, "GET /echo/%u HTTP/1.1\r\nHost: a\r\nX: %*s\r\n\r\n", i, (int)i, "y");
	while (at < len) {
		size_t n = len - at < step ? len - at : step;

		wire_send(wire, all + at, n);
		let_it_be_read();
		at += n;
		step = step * 7 % 97;
	}
	for (i = 0; i < 60; i++)
		reply_expect(wire_reply(wire), 200, keepf("%u", i));
	wire_close(wire);
	daemon_stop(daemon);
}

static void bodies_are_read_whole_and_what_follows_is_the_next_request(void **state)
{
	static const struct {
		const char *request, *echo;
	} rows[] = {
		{ "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "" },
		{ "POST /echo HTTP/1.1\r\nHost: a\r\n\r\n", "" },
		{ "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nGET / HTTP/", "GET / HTTP/" },
		{ "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
		  "chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
			"abcde" },
		{ "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "" },
		{ "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Last: "
		  "1\r\n\r\n",
			"hello" },
	};
	struct daemon *daemon = daemon_start("testapp", "", NULL);
	struct wire *wire = wire_open(daemon_public(daemon));
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		wire_put(wire, rows[i].request);
		wire_put(wire, "GET /echo/next HTTP/1.1\r\nHost: a\r\n\r\n");
		reply_expect(wire_reply(wire), 200, rows[i].echo);
		reply_expect(wire_reply(wire), 200, "next");
	}
	wire_close(wire);
	daemon_stop(daemon);
}

static void a_large_body_comes_back_unchanged(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", NULL);
	struct wire *wire = wire_open(daemon_public(daemon));
	size_t len = 1 << 20, at, i;
	unsigned char *body = keep(malloc(len));
	struct reply *reply;

	(void)state;
	for (i = 0; i < len; i++)
		body[i] = (unsigned char)(i * 2654435761u >> 13);
	wire_putf(wire, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", len);
	wire_send(wire, body, len);
	reply = wire_reply(wire);
	reply_expect(reply, 200, NULL);
	assert_int_equal(reply->body_len, len);
	assert_memory_equal(reply->body, body, len);
	wire_put(wire, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
	for (at = 0; at < len; at += 16384) {
		wire_put(wire, "4000\r\n");
		wire_send(wire, body + at, 16384);
		wire_put(wire, "\r\n");
	}
	wire_put(wire, "0\r\n\r\n");
	reply = wire_reply(wire);
	assert_int_equal(reply->body_len, len);
	assert_memory_equal(reply->body, body, len);
	wire_close(wire);
	daemon_stop(daemon);
}

static void a_client_that_expects_100_is_told_to_go_on(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", NULL);
	struct wire *wire = wire_open(daemon_public(daemon));
	char bytes[64] = "";
	size_t len = 0;

	(void)state;
	wire_put(wire, "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
	while (len < 25) {
		size_t n = wire_read(wire, bytes + len, 25 - len);

		assert_true(n > 0);
		len += n;
	}
	assert_string_equal(bytes, "HTTP/1.1 100 Continue\r\n\r\n");
	wire_put(wire, "ok");
	reply_expect(wire_reply(wire), 200, "ok");
	wire_close(wire);
	daemon_stop(daemon);
}

static void a_deferred_reply_keeps_its_place(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", NULL);
	struct wire *wire = wire_open(daemon_public(daemon));
	struct reply *reply;

	(void)state;
	wire_put(wire,
		"GET /echo/1 HTTP/1.1\r\nHost: a\r\n\r\nGET /slow/100 HTTP/1.1\r\nHost: a\r\n\r\n"
		"GET /echo/3 HTTP/1.1\r\nHost: a\r\n\r\nGET /slow/0 HTTP/1.1\r\nHost: a\r\n\r\n"
		"GET /echo/5 HTTP/1.1\r\nHost: a\r\n\r\n");
	reply_expect(wire_reply(wire), 200, "1");
	reply = wire_reply(wire);
	assert_memory_equal(reply->body, "slept on app", 12);
	reply_expect(wire_reply(wire), 200, "3");
	assert_memory_equal(wire_reply(wire)->body, "slept on app", 12);
	reply_expect(wire_reply(wire), 200, "5");
	wire_close(wire);
	daemon_stop(daemon);
}

static void a_deferred_reply_keeps_no_one_else_waiting(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", "workers=1", "shutdown_timeout=200ms", NULL);
	struct wire *slow = wire_open(daemon_public(daemon)), *quick = wire_open(daemon_public(daemon));

	(void)state;
	wire_put(slow, "GET /never HTTP/1.1\r\nHost: a\r\n\r\n");
	wire_expect_alive(quick);
	assert_int_equal(wire_end(slow, 50), WIRE_QUIET);
	wire_close(slow);
	wire_expect_alive(quick);
	wire_close(quick);
	daemon_stop(daemon);
}

static void an_idle_connection_is_closed_in_silence(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, "keepalive_timeout=600ms", NULL);
	struct wire *wire = wire_open(daemon_public(daemon));
	double begun;

	(void)state;
	wire_expect_alive(wire);
	begun = wire_clock_ms();
	wire_expect_eof(wire);
	assert_true(wire_clock_ms() - begun > 500);
	assert_true(wire_clock_ms() - begun < 3000);
	wire_close(wire);
	assert_true(daemon_metric(daemon, "rmsd_connections_closed_total", "reason=\"keepalive_end\"", NULL) +
			daemon_metric(daemon, "rmsd_connections_closed_total", "reason=\"timeout\"", NULL) >=
		1);
	daemon_stop(daemon);
}

static void requests_keep_a_connection_from_growing_idle(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, "keepalive_timeout=700ms", NULL);
	struct wire *wire = wire_open(daemon_public(daemon));
	double until = wire_clock_ms() + 1500;

	(void)state;
	while (wire_clock_ms() < until) {
		wire_expect_alive(wire);
		assert_int_equal(wire_end(wire, 200), WIRE_QUIET);
	}
	wire_close(wire);
	daemon_stop(daemon);
}

static void the_empty_line_before_a_request_is_forgiven(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	struct wire *wire = wire_open(daemon_public(daemon));

	(void)state;
	wire_put(wire, "GET / HTTP/1.1\r\nHost: a\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
	reply_expect(wire_reply(wire), 200, DAEMON_TEXT);
	reply_expect(wire_reply(wire), 200, DAEMON_TEXT);
	wire_close(wire);
	daemon_stop(daemon);
}

static void what_follows_a_closing_request_is_not_answered(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", NULL);
	struct wire *wire = wire_open(daemon_public(daemon));

	(void)state;
	wire_put(wire,
		"GET /echo/1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
		"POST /count HTTP/1.1\r\nHost: a\r\n\r\n");
	reply_expect(wire_reply(wire), 200, "1");
	wire_expect_eof(wire);
	wire_close(wire);
	reply_expect(wire_get(daemon_public(daemon), "/total"), 200, "0\n");
	daemon_stop(daemon);
}

/* They meet a closed door, and the kernel sends a reset for them; the reply is on its way before that. */
static void bytes_behind_the_last_request_cost_no_reply(void **state)
{
	static const char *const paths[] = { "busy/50", "big/100" };
	struct daemon *daemon = daemon_start("testapp", "", NULL);

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct wire *wire = wire_open(daemon_public(daemon));

		wire_putf(wire, "GET /%s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", paths[i]);
		if (!i)
			running_await(daemon, 1);
		wire_put(wire, "\r\n");
		assert_int_equal(wire_reply(wire)->status, 200);
		wire_close(wire);
	}
	daemon_stop(daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(pipelined_requests_are_answered_in_order, daemon_cleanup),
		cmocka_unit_test_teardown(a_request_may_be_cut_at_every_byte, daemon_cleanup),
		cmocka_unit_test_teardown(requests_may_be_cut_anywhere_in_a_pipeline, daemon_cleanup),
		cmocka_unit_test_teardown(bodies_are_read_whole_and_what_follows_is_the_next_request, daemon_cleanup),
		cmocka_unit_test_teardown(a_large_body_comes_back_unchanged, daemon_cleanup),
		cmocka_unit_test_teardown(a_client_that_expects_100_is_told_to_go_on, daemon_cleanup),
		cmocka_unit_test_teardown(a_deferred_reply_keeps_its_place, daemon_cleanup),
		cmocka_unit_test_teardown(a_deferred_reply_keeps_no_one_else_waiting, daemon_cleanup),
		cmocka_unit_test_teardown(bytes_behind_the_last_request_cost_no_reply, daemon_cleanup),
		cmocka_unit_test_teardown(an_idle_connection_is_closed_in_silence, daemon_cleanup),
		cmocka_unit_test_teardown(requests_keep_a_connection_from_growing_idle, daemon_cleanup),
		cmocka_unit_test_teardown(the_empty_line_before_a_request_is_forgiven, daemon_cleanup),
		cmocka_unit_test_teardown(what_follows_a_closing_request_is_not_answered, daemon_cleanup),
	};

	return cmocka_run_group_tests_name("keepalive", tests, NULL, NULL);
}
