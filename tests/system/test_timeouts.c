/*
 * test_timeouts.c - what each time-out is for, what starts it again and what does not: header_timeout from a head's
 * first byte, body_timeout from each piece, write_timeout from each piece taken, keepalive_timeout from each reply.
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

#define CHUNKED "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

/* Sends a byte each ms while nothing comes. Returns how many went out. */
static size_t drip(struct wire *wire, const char *text, size_t n, int ms)
{
	size_t at = 0;

	while (at < n) {
		wire_send(wire, text + at++, 1);
		if (at < n && wire_end(wire, ms) != WIRE_QUIET)
			break;
	}
	return at;
}

static void expect_408(struct wire *wire, const char *name)
{
	struct reply *reply = wire_reply(wire);

	if (reply->status != 408)
		fail_msg("%s: %s%s", name, reply->head, reply->body);
	reply_expect_field(reply, "Connection", "close");
	wire_expect_eof(wire);
	wire_close(wire);
}

static double closed_by_timeout(struct daemon *daemon)
{
	return daemon_metric(daemon, "rmsd_connections_closed_total", "reason=\"timeout\"", NULL);
}

static void await_closed_by_timeout(struct daemon *daemon, double n)
{
	double until = wire_clock_ms() + WIRE_PATIENCE_MS;

	while (closed_by_timeout(daemon) < n) {
		assert_true(wire_clock_ms() < until);
		pause_ms(5);
	}
}

/* The times for what is not a head are shorter: none of them is meant. */
static void a_head_may_drip_until_its_own_time_is_over(void **state)
{
	static const char text[] = "GET /echo/1 HTTP/1.1\r\nHost: a\r\n\r\n";
	struct daemon *daemon = daemon_start("testapp", "", "header_timeout=10s", "keepalive_timeout=200ms",
		"body_timeout=200ms", "write_timeout=200ms", NULL);
	struct wire *wire = wire_open(daemon_public(daemon));

	(void)state;
	assert_int_equal(drip(wire, text, strlen(text), 20), strlen(text));
	reply_expect(wire_reply(wire), 200, "1");
	wire_close(wire);
	daemon_stop(daemon);
}

static void the_next_head_has_a_time_of_its_own(void **state)
{
	static const char request[] = "GET /echo/1 HTTP/1.1\r\nHost: a\r\n\r\n";
	static const char begun[] =
		"GET /echo/2 HTTP/1.1\r\nHost: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
	struct daemon *daemon =
		daemon_start("testapp", "", "header_timeout=600ms", "keepalive_timeout=1h", "body_timeout=1h", NULL);
	struct wire *wire = wire_open(daemon_public(daemon));

	(void)state;
	/* It drips, in the tail of what came with the request before it. */
	wire_putf(wire, "%s%.10s", request, begun);
	reply_expect(wire_reply(wire), 200, "1");
	assert_true(drip(wire, begun + 10, strlen(begun) - 10, 100) < strlen(begun) - 10);
	expect_408(wire, "dripping behind a request");
	/* It begins long after the reply, and then does not go on. */
	wire = wire_open(daemon_public(daemon));
	wire_put(wire, request);
	reply_expect(wire_reply(wire), 200, "1");
	assert_int_equal(wire_end(wire, 900), WIRE_QUIET);
	wire_put(wire, "GET /");
	expect_408(wire, "begun long after a reply");
	/* Who asked for a head alone gets no more of an error either (RFC 9110 section 9.3.2). */
	wire = wire_open(daemon_public(daemon));
	wire_put(wire, "HEAD ");
	assert_int_equal(wire_reply_head(wire)->status, 408);
	wire_expect_eof(wire);
	wire_close(wire);
	daemon_stop(daemon);
}

static void a_body_that_stops_anywhere_gets_408(void **state)
{
	static const struct {
		const char *name, *bytes;
	} rows[] = {
		{ "before its first byte", "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n" },
		{ "before its last byte", "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n123456789" },
		{ "before the first chunk", CHUNKED },
		{ "in a chunk's size", CHUNKED "1" },
		{ "in an extension", CHUNKED "1;a" },
		{ "in a chunk", CHUNKED "5\r\nhe" },
		{ "behind a chunk", CHUNKED "5\r\nhello" },
		{ "before the last chunk", CHUNKED "5\r\nhello\r\n" },
		{ "before the trailers", CHUNKED "0\r\n" },
		{ "in a trailer", CHUNKED "0\r\nX: y" },
		{ "before the last line", CHUNKED "0\r\nX: y\r\n" },
		{ "in pieces", "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345" },
		{ "after 100 Continue",
			"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n"
			"Expect: 100-continue\r\n\r\n" },
	};
	enum { ROWS = sizeof(rows) / sizeof(rows[0]) };
	struct daemon *daemon =
		daemon_start("testapp", "", "body_timeout=400ms", "header_timeout=1h", "keepalive_timeout=1h", NULL);
	struct wire *wires[ROWS];
	size_t i;

	(void)state;
	for (i = 0; i < ROWS; i++) {
		wires[i] = wire_open(daemon_public(daemon));
		wire_put(wires[i], rows[i].bytes);
	}
	for (i = 0; i < ROWS; i++) {
		char bytes[25];

		if (strstr(rows[i].bytes, "Expect")) {
			assert_int_equal(wire_read(wires[i], bytes, sizeof(bytes)), sizeof(bytes));
			assert_memory_equal(bytes, "HTTP/1.1 100 Continue\r\n\r\n", sizeof(bytes));
		}
		expect_408(wires[i], rows[i].name);
	}
	/* Its client has the end of a connection before it is counted. */
	await_closed_by_timeout(daemon, ROWS);
	assert_true(closed_by_timeout(daemon) == ROWS);
	assert_true(daemon_metric(daemon, "rmsd_http_requests_in_flight", NULL) == 0);
	daemon_stop(daemon);
}

/* In all it takes several times body_timeout. */
static void each_piece_of_a_chunked_body_starts_its_time_again(void **state)
{
	static const char body[] = "5;e=f\r\nhello\r\n0\r\nX: y\r\n\r\n";
	struct daemon *daemon = daemon_start(
		"testapp", "", "body_timeout=800ms", "header_timeout=300ms", "keepalive_timeout=300ms", NULL);
	struct wire *wire = wire_open(daemon_public(daemon));

	(void)state;
	wire_put(wire, CHUNKED);
	assert_int_equal(drip(wire, body, strlen(body), 100), strlen(body));
	reply_expect(wire_reply(wire), 200, "hello");
	wire_close(wire);
	daemon_stop(daemon);
}

/* Nobody may take what came of it for the whole: neither by its length nor by the end of the connection. */
static void a_reply_that_is_not_taken_ends_in_a_reset(void **state)
{
	static const char *const requests[] = {
		"GET /big/8000 HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /big/8000 HTTP/1.0\r\n\r\n",
		"GET /pump/8000 HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /pump/8000 HTTP/1.0\r\n\r\n",
	};
	enum { ROWS = sizeof(requests) / sizeof(requests[0]) };
	struct daemon *daemon = daemon_start("testapp", "", "write_timeout=400ms", "header_timeout=1h", NULL);
	struct wire *wires[ROWS];
	size_t i, len;
	char *bytes;

	(void)state;
	for (i = 0; i < ROWS; i++) {
		wires[i] = wire_open(daemon_public(daemon));
		wire_window(wires[i], 4096);
		wire_put(wires[i], requests[i]);
	}
	await_closed_by_timeout(daemon, ROWS);
	for (i = 0; i < ROWS; i++) {
		if (wire_read_all(wires[i], &bytes, &len) != WIRE_RESET)
			fail_msg("%s%zu bytes, and then no reset", requests[i], len);
		assert_true(len < 8000 * 1024);
		wire_close(wires[i]);
	}
	assert_true(daemon_metric(daemon, "rmsd_http_requests_in_flight", NULL) == 0);
	assert_non_null(strstr(wire_get(daemon_public(daemon), "/streams")->body, "begun=2 ended=2 told=2"));
	daemon_stop(daemon);
}

/* And no 408: a client may just then send a request, to which that would be taken as the reply. */
static void an_idle_connection_is_closed_in_silence(void **state)
{
	struct daemon *daemon = daemon_start(
		"testapp", "", "keepalive_timeout=700ms", "header_timeout=100ms", "body_timeout=100ms", NULL);
	struct wire *wire = wire_open(daemon_public(daemon));
	double begun = wire_clock_ms();

	(void)state;
	wire_put(wire, "GET /echo/1 HTTP/1.1\r\nHost: a\r\n\r\n");
	reply_expect(wire_reply(wire), 200, "1");
	wire_expect_eof(wire);
	assert_true(wire_clock_ms() - begun > 600);
	wire_close(wire);
	assert_true(closed_by_timeout(daemon) == 1);
	assert_true(daemon_metric(daemon, "rmsd_http_responses_total", "code=\"408\"", NULL) == 0);
	assert_true(daemon_metric(daemon, "rmsd_http_errors_total", "reason=\"timeout\"", NULL) == 0);
	daemon_stop(daemon);
}

static void each_reply_starts_the_idle_time_again(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", "keepalive_timeout=1500ms", "header_timeout=300ms", NULL);
	struct wire *wire = wire_open(daemon_public(daemon));
	unsigned i;

	(void)state;
	for (i = 0; i < 5; i++) {
		wire_putf(wire, "GET /echo/%u HTTP/1.1\r\nHost: a\r\n\r\n", i);
		reply_expect(wire_reply(wire), 200, keepf("%u", i));
		assert_int_equal(wire_end(wire, 400), WIRE_QUIET);
	}
	wire_close(wire);
	daemon_stop(daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_head_may_drip_until_its_own_time_is_over, daemon_cleanup),
		cmocka_unit_test_teardown(the_next_head_has_a_time_of_its_own, daemon_cleanup),
		cmocka_unit_test_teardown(a_body_that_stops_anywhere_gets_408, daemon_cleanup),
		cmocka_unit_test_teardown(each_piece_of_a_chunked_body_starts_its_time_again, daemon_cleanup),
		cmocka_unit_test_teardown(a_reply_that_is_not_taken_ends_in_a_reset, daemon_cleanup),
		cmocka_unit_test_teardown(an_idle_connection_is_closed_in_silence, daemon_cleanup),
		cmocka_unit_test_teardown(each_reply_starts_the_idle_time_again, daemon_cleanup),
	};

	return cmocka_run_group_tests_name("timeouts", tests, NULL, NULL);
}
