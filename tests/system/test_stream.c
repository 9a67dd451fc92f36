/* test_stream.c - replies that come in pieces. */
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
#include "support/pressure.h"
#include "support/running.h"

enum { KB = 1024, MB = 1024 * KB };

static void ask(struct wire *wire, const char *method, const char *path)
{
	wire_putf(wire, "%s %s HTTP/1.1\r\nHost: a\r\n\r\n", method, path);
}

static void a_stream_is_chunked_and_the_connection_stays(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", NULL);
	struct wire *wire = wire_open(daemon_public(daemon));
	struct reply *reply;
	unsigned i;

	(void)state;
	for (i = 0; i < 3; i++) {
		ask(wire, "GET", "/stream/5/2");
		reply = wire_reply(wire);
		reply_expect(reply, 200, NULL);
		reply_expect_field(reply, "Transfer-Encoding", "chunked");
		reply_expect_field(reply, "X-Streamed", "yes");
		reply_expect_field(reply, "Content-Type", "text/plain");
		assert_non_null(reply_field(reply, "Date"));
		assert_null(reply_field(reply, "Connection"));
		assert_int_equal(reply->body_len, 5 * KB);
		assert_int_equal(strspn(reply->body, "s"), 5 * KB);
		assert_int_equal(reply->chunks, 5);
	}
	ask(wire, "GET", "/stream-now/3");
	reply = wire_reply(wire);
	reply_expect(reply, 200, "piece\npiece\npiece\n");
	assert_int_equal(reply->chunks, 3);
	ask(wire, "GET", "/stream-now/0");
	reply_expect(wire_reply(wire), 200, "");
	ask(wire, "GET", "/stream-behind/2/1");
	reply = wire_reply(wire);
	assert_int_equal(reply->body_len, 2 * KB);
	wire_expect_alive(wire);
	wire_close(wire);
	assert_true(daemon_metric(daemon, "rmsd_http_responses_total", "code=\"200\"", NULL) == 7);
	/* Its time is known when it is sent, and by then its client may have it. */
	pressure_await_metric(daemon, "rmsd_http_request_duration_seconds_count", 7);
	assert_true(daemon_metric(daemon, "rmsd_http_requests_in_flight", NULL) == 0);
	daemon_stop(daemon);
}

/* The first piece does not wait for the second. */
static void each_piece_comes_when_it_is_written(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", NULL);
	struct wire *wire = wire_open(daemon_public(daemon));
	char bytes[4 * KB];
	size_t len = 0;
	double begun = wire_clock_ms();

	(void)state;
	ask(wire, "GET", "/stream/3/1000");
	while (len < KB)
		len += wire_read(wire, bytes + len, sizeof(bytes) - len);
	assert_true(wire_clock_ms() - begun < 900);
	assert_int_equal(wire_end(wire, 100), WIRE_QUIET);
	wire_close(wire);
	daemon_stop(daemon);
}

static void to_an_old_client_the_end_is_the_end_of_the_connection(void **state)
{
	static const char *const paths[] = { "/stream/5/2", "/stream-now/4", "/pump/300" };
	static const size_t lengths[] = { 5 * KB, 24, 300 * KB };
	struct daemon *daemon = daemon_start("testapp", "", NULL);

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct wire *wire = wire_open(daemon_public(daemon));
		const char *body;
		char *bytes;
		size_t len;

		wire_putf(wire, "GET %s HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", paths[i]);
		assert_int_equal(wire_read_all(wire, &bytes, &len), WIRE_EOF);
		body = strstr(bytes, "\r\n\r\n");
		assert_non_null(body);
		assert_null(strstr(bytes, "Transfer-Encoding"));
		assert_non_null(strstr(bytes, "Connection: close\r\n"));
		assert_int_equal(len - (size_t)(body + 4 - bytes), lengths[i]);
		wire_close(wire);
	}
	daemon_stop(daemon);
}

static unsigned long figure(struct daemon *daemon, const char *name)
{
	const char *body = wire_get(daemon_public(daemon), "/streams")->body;
	const char *at = strstr(body, name);

	assert_non_null(at);
	return strtoul(at + strlen(name), NULL, 10);
}

static void await_figure(struct daemon *daemon, const char *name, unsigned long value)
{
	double until = wire_clock_ms() + WIRE_PATIENCE_MS;
	unsigned long now;

	while ((now = figure(daemon, name)) != value)
		if (wire_clock_ms() > until)
			fail_msg("%s%lu, %lu expected", name, now, value);
}

static void replies_that_have_no_body_have_none_as_streams(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", NULL);
	struct wire *wire = wire_open(daemon_public(daemon));
	struct reply *reply;

	(void)state;
	ask(wire, "HEAD", "/stream/5/1");
	reply = wire_reply_head(wire);
	reply_expect(reply, 200, NULL);
	reply_expect_field(reply, "Transfer-Encoding", "chunked");
	ask(wire, "HEAD", "/stream-now/5");
	reply_expect(wire_reply_head(wire), 200, NULL);
	/* Also those that have no end: the app is told that it is over. */
	ask(wire, "HEAD", "/stream/1000000/10");
	reply_expect(wire_reply_head(wire), 200, NULL);
	ask(wire, "HEAD", "/stream-behind/1000000/10");
	reply_expect(wire_reply_head(wire), 200, NULL);
	ask(wire, "HEAD", "/pump/1000000000");
	reply_expect(wire_reply_head(wire), 200, NULL);
	await_figure(daemon, "told=", 4);
	await_figure(daemon, "ended=", 4);
	assert_true(daemon_metric(daemon, "rmsd_http_requests_in_flight", NULL) == 0);
	ask(wire, "GET", "/stream-status/204");
	reply = wire_reply_head(wire);
	reply_expect(reply, 204, NULL);
	assert_null(reply_field(reply, "Transfer-Encoding"));
	ask(wire, "GET", "/stream-status/304");
	reply_expect(wire_reply_head(wire), 304, NULL);
	ask(wire, "GET", "/stream-status/205");
	reply = wire_reply(wire);
	reply_expect(reply, 205, "");
	assert_null(reply_field(reply, "Transfer-Encoding"));
	ask(wire, "GET", "/stream-status/999");
	reply_expect(wire_reply(wire), 500, "body");
	/* A HEAD of an old client that wants to stay stays. */
	wire_put(wire, "HEAD /stream-now/5 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	reply = wire_reply_head(wire);
	reply_expect_field(reply, "Connection", "keep-alive");
	wire_expect_alive(wire);
	wire_close(wire);
	daemon_stop(daemon);
}

static void requests_behind_a_stream_wait_for_its_end(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", NULL);
	struct wire *wire = wire_open(daemon_public(daemon));
	struct reply *reply;
	unsigned i;

	(void)state;
	wire_put(wire,
		"GET /echo/a HTTP/1.1\r\nHost: a\r\n\r\nGET /stream/20/1 HTTP/1.1\r\nHost: a\r\n\r\n"
		"GET /echo/b HTTP/1.1\r\nHost: a\r\n\r\nGET /stream-now/1 HTTP/1.1\r\nHost: a\r\n\r\n"
		"GET /stream-behind/3/1 HTTP/1.1\r\nHost: a\r\n\r\nGET /echo/c HTTP/1.1\r\nHost: a\r\n\r\n");
	reply_expect(wire_reply(wire), 200, "a");
	reply = wire_reply(wire);
	assert_int_equal(reply->body_len, 20 * KB);
	reply_expect(wire_reply(wire), 200, "b");
	reply_expect(wire_reply(wire), 200, "piece\n");
	assert_int_equal(wire_reply(wire)->body_len, 3 * KB);
	reply_expect(wire_reply(wire), 200, "c");
	/* Also when what is before it has not left yet. */
	wire_close(wire);
	wire = wire_open(daemon_public(daemon));
	wire_window(wire, 200000);
	wire_put(wire,
		"GET /big/4000 HTTP/1.1\r\nHost: a\r\n\r\nGET /stream/3/1 HTTP/1.1\r\nHost: a\r\n\r\n"
		"GET /echo/d HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(wire_end(wire, WIRE_PATIENCE_MS), WIRE_BYTES);
	for (i = 0; i < 4; i++)
		pause_ms(10);
	assert_int_equal(wire_reply(wire)->body_len, 4000 * KB);
	assert_int_equal(wire_reply(wire)->body_len, 3 * KB);
	reply_expect(wire_reply(wire), 200, "d");
	wire_close(wire);
	daemon_stop(daemon);
}

/* 30 MB to a client that pauses: the app is told when there is room, and never has more than a little waiting. */
static void the_pace_is_the_clients(void **state)
{
	enum { SIZE = 30 * KB };
	struct daemon *daemon = daemon_start("testapp", "", "workers=1", NULL);
	struct wire *wire = wire_open(daemon_public(daemon));
	struct reply *reply;
	unsigned long unsent;

	(void)state;
	wire_window(wire, 200000);
	wire_putf(wire, "GET /pump/%d HTTP/1.1\r\nHost: a\r\n\r\nGET /echo/x HTTP/1.1\r\nHost: a\r\n\r\n", SIZE);
	assert_int_equal(wire_end(wire, WIRE_PATIENCE_MS), WIRE_BYTES);
	pause_ms(300);
	assert_int_equal(figure(daemon, "ended="), 0);
	reply = wire_reply(wire);
	assert_int_equal(reply->body_len, (size_t)SIZE * KB);
	assert_int_equal(strspn(reply->body, "p"), (size_t)SIZE * KB);
	reply_expect(wire_reply(wire), 200, "x");
	await_figure(daemon, "ended=", 1);
	unsent = figure(daemon, "unsent=");
	if (unsent > 300 * KB)
		fail_msg("%lu bytes waited unsent", unsent);
	wire_close(wire);
	daemon_stop(daemon);
}

static void an_app_is_told_once_that_its_client_has_left(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", NULL);
	struct wire *readers[4];
	unsigned i;

	(void)state;
	for (i = 0; i < 4; i++) {
		readers[i] = wire_open(daemon_public(daemon));
		ask(readers[i], "GET", i % 2 ? "/pump/1000000" : "/stream/100000/2");
		assert_int_equal(wire_end(readers[i], WIRE_PATIENCE_MS), WIRE_BYTES);
	}
	wire_reset(readers[0]);
	wire_reset(readers[1]);
	wire_close(readers[2]);
	wire_close(readers[3]);
	await_figure(daemon, "told=", 4);
	await_figure(daemon, "ended=", 4);
	assert_true(daemon_metric(daemon, "rmsd_http_requests_in_flight", NULL) == 0);
	/* What a client got a part of has been answered. */
	assert_true(daemon_metric(daemon, "rmsd_http_errors_total", "reason=\"cut\"", NULL) == 0);
	pause_ms(50);
	assert_int_equal(figure(daemon, "told="), 4);
	daemon_stop(daemon);
}

/* One who takes nothing for write_timeout, also while the app goes on writing; not one who is only slow. */
static void who_does_not_read_a_stream_is_reset(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", "write_timeout=1s", NULL);
	struct wire *stuck = wire_open(daemon_public(daemon)), *slow = wire_open(daemon_public(daemon));
	struct wire *quick = wire_open(daemon_public(daemon));
	char bytes[64 * KB];
	double until;
	size_t len = 0;

	(void)state;
	wire_window(stuck, 20000);
	wire_window(slow, 20000);
	ask(stuck, "GET", "/stream/1000000/1");
	ask(slow, "GET", "/pump/30000");
	/* Takes its stream's pieces as they come, which is longer than the time-out. */
	ask(quick, "GET", "/stream/20/120");
	assert_int_equal(wire_end(stuck, WIRE_PATIENCE_MS), WIRE_BYTES);
	until = wire_clock_ms() + 2500;
	while (wire_clock_ms() < until) {
		len += wire_read(slow, bytes, sizeof(bytes));
		pause_ms(20);
	}
	assert_true(len > 1 * MB);
	await_figure(daemon, "told=", 1);
	assert_true(daemon_metric(daemon, "rmsd_connections_closed_total", "reason=\"timeout\"", NULL) == 1);
	assert_int_equal(wire_reply(quick)->body_len, 20 * KB);
	wire_expect_alive(quick);
	wire_close(stuck);
	wire_close(slow);
	wire_close(quick);
	daemon_stop(daemon);
}

static void what_an_app_does_wrong_does_not_show(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", NULL);
	struct wire *wire = wire_open(daemon_public(daemon));
	struct reply *reply;

	(void)state;
	ask(wire, "GET", "/stream-wrong");
	reply = wire_reply(wire);
	reply_expect(reply, 200, "right");
	assert_null(reply_field(reply, "X-Late"));
	wire_expect_alive(wire);
	(void)daemon_await_log(daemon, "replied twice");
	(void)daemon_await_log(daemon, "call=write");
	(void)daemon_await_log(daemon, "call=end");
	wire_close(wire);
	daemon_stop(daemon);
}

/* Shutdown waits for a stream's end, and cuts it off when told twice; no worker's end is taken for a stream's. */
static void shutdown_lets_a_stream_end_or_resets_it(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", NULL);
	struct wire *wire = wire_open(daemon_public(daemon));
	char *bytes;
	size_t len;

	(void)state;
	ask(wire, "GET", "/stream/50/10");
	assert_int_equal(wire_end(wire, WIRE_PATIENCE_MS), WIRE_BYTES);
	daemon_signal(daemon, 15);
	assert_int_equal(wire_reply(wire)->body_len, 50 * KB);
	wire_expect_eof(wire);
	wire_close(wire);
	daemon_stop(daemon);
	daemon = daemon_start("testapp", "", NULL);
	wire = wire_open(daemon_public(daemon));
	wire_put(wire, "GET /stream/100000/10 HTTP/1.0\r\n\r\n");
	assert_int_equal(wire_end(wire, WIRE_PATIENCE_MS), WIRE_BYTES);
	daemon_signal(daemon, 15);
	pause_ms(100);
	daemon_signal(daemon, 15);
	assert_int_equal(wire_read_all(wire, &bytes, &len), WIRE_RESET);
	wire_close(wire);
	daemon_stop(daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_stream_is_chunked_and_the_connection_stays, daemon_cleanup),
		cmocka_unit_test_teardown(each_piece_comes_when_it_is_written, daemon_cleanup),
		cmocka_unit_test_teardown(to_an_old_client_the_end_is_the_end_of_the_connection, daemon_cleanup),
		cmocka_unit_test_teardown(replies_that_have_no_body_have_none_as_streams, daemon_cleanup),
		cmocka_unit_test_teardown(requests_behind_a_stream_wait_for_its_end, daemon_cleanup),
		cmocka_unit_test_teardown(the_pace_is_the_clients, daemon_cleanup),
		cmocka_unit_test_teardown(an_app_is_told_once_that_its_client_has_left, daemon_cleanup),
		cmocka_unit_test_teardown(who_does_not_read_a_stream_is_reset, daemon_cleanup),
		cmocka_unit_test_teardown(what_an_app_does_wrong_does_not_show, daemon_cleanup),
		cmocka_unit_test_teardown(shutdown_lets_a_stream_end_or_resets_it, daemon_cleanup),
	};

	return cmocka_run_group_tests_name("stream", tests, NULL, NULL);
}
