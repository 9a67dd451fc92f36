/*
 * test_slow.c - many clients at once that are as slow as they can be, in the four ways of slowhttptest: head, body,
 * ranges and reading. They are ended as docs/config.md says, and whoever behaves is served all the while. Figures of it
 * are ./dev bench slow's business. RMSD_SLOW: how many of each way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/daemon.h"
#include "support/keep.h"
#include "support/running.h"

enum { SLOW = 300, TICK_MS = 100, GOOD = 10, GOOD_RATE = 200 };

static unsigned how_many(void)
{
	const char *asked = getenv("RMSD_SLOW");
	struct rlimit files;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	return asked ? (unsigned)atoi(asked) : test_scale(SLOW);
}

static double responses(struct daemon *daemon, const char *code)
{
	return daemon_metric(daemon, "rmsd_http_responses_total", keepf("code=\"%s\"", code), NULL);
}

/* One that behaves, from before the slow ones come until after they have gone. */
static struct client *behave(struct daemon *daemon)
{
	struct client_plan plan = {
		.address = daemon_public(daemon), .path = "/echo/", .echo = true, .connections = GOOD, .rate = GOOD_RATE
	};
	struct client *client;

	assert_int_equal(client_start(&plan, &client), 0);
	assert_true(client_await_connected(client, WIRE_PATIENCE_MS));
	return client;
}

/* Some more requests are answered now that the slow ones are there. */
static void expect_service(struct client *client)
{
	assert_true(client_await_answered(client, client_answered(client) + GOOD, WIRE_PATIENCE_MS));
}

static void expect_all_answered(struct client *client)
{
	struct account account;

	client_stop(client);
	client_join(client, &account);
	account_print(&account, stderr);
	assert_true(account_clean(&account));
	assert_true(account.answered > GOOD);
}

static struct wire **begin(struct daemon *daemon, unsigned n, int window, const char *text)
{
	struct wire **wires = keep(calloc(n, sizeof(struct wire *)));

	for (unsigned i = 0; i < n; i++) {
		wires[i] = wire_open(daemon_public(daemon));
		if (window)
			wire_window(wires[i], window);
		wire_put(wires[i], text);
	}
	return wires;
}

static void end(struct wire **wires, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		wire_close(wires[i]);
}

static void expect_408(struct wire *wire)
{
	reply_expect(wire_reply(wire), 408, NULL);
	wire_expect_eof(wire);
}

/* -H: a field now and then, and never the last. */
static void slow_heads_get_408(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", "header_timeout=1500ms", "keepalive_timeout=1h", NULL);
	struct client *client = behave(daemon);
	unsigned n = how_many(), ended = 0, i, tick;
	struct wire **wires = begin(daemon, n, 0, "GET / HTTP/1.1\r\nHost: a\r\n");
	double until = wire_clock_ms() + WIRE_PATIENCE_MS;

	(void)state;
	expect_service(client);
	for (tick = 0; ended < n; tick++) {
		assert_true(wire_clock_ms() < until);
		/* A tick is a tenth of them each. */
		for (i = tick % 10; i < n; i += 10) {
			if (wire_end(wires[i], 0) == WIRE_QUIET)
				wire_push(wires[i], "X-Slow: 1\r\n", 11);
		}
		for (i = ended = 0; i < n; i++)
			ended += wire_end(wires[i], 0) != WIRE_QUIET;
		pause_ms(TICK_MS / 10);
	}
	for (i = 0; i < n; i++)
		expect_408(wires[i]);
	assert_true(responses(daemon, "408") == n);
	end(wires, n);
	expect_all_answered(client);
	daemon_stop(daemon);
}

/* -B: a byte of the body now and then. Whoever goes on is waited for, whoever stops is not. */
static void slow_bodies_get_408_once_they_stop(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", "body_timeout=2s", "keepalive_timeout=1h", NULL);
	struct client *client = behave(daemon);
	unsigned n = how_many(), i, piece;
	struct wire **wires = begin(daemon, n, 0, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n");

	(void)state;
	for (piece = 0; piece < 6; piece++) {
		expect_service(client);
		for (i = 0; i < n; i++)
			if (i % 2 || piece < 2)
				wire_put(wires[i], "b");
		pause_ms(2 * TICK_MS);
	}
	for (i = 0; i < n; i++) {
		if (i % 2)
			reply_expect(wire_reply(wires[i]), 200, "bbbbbb");
		else
			expect_408(wires[i]);
	}
	assert_true(responses(daemon, "408") == (n + 1) / 2);
	end(wires, n);
	expect_all_answered(client);
	daemon_stop(daemon);
}

/* -R: a Range of very many parts, each of which would cost a copy of the text. */
static void many_ranges_cost_no_more_than_one_reply(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", NULL);
	struct client *client = behave(daemon);
	unsigned n = how_many(), i, k;
	char *ranges = keep(calloc(1, 65536));
	struct wire **wires, **more;
	size_t len = 0;

	(void)state;
	for (k = 0; k < 1300; k++)
		len += (size_t)sprintf(ranges + len, ",5-%u", k);
	wires = begin(daemon, n, 0, keepf("GET /big/4 HTTP/1.1\r\nHost: a\r\nRange: bytes=0-%s\r\n\r\n", ranges));
	expect_service(client);
	for (; k < 5000; k++)
		len += (size_t)sprintf(ranges + len, ",5-%u", k);
	more = begin(daemon, n, 0, keepf("HEAD /big/4 HTTP/1.1\r\nHost: a\r\nRange: bytes=0-%s\r\n\r\n", ranges));
	expect_service(client);
	for (i = 0; i < n; i++) {
		struct reply *reply = wire_reply(wires[i]);

		reply_expect(reply, 200, NULL);
		assert_int_equal(reply->body_len, 4096);
		/* Too much for a head. */
		reply_expect(wire_reply_head(more[i]), 431, NULL);
		wire_expect_eof(more[i]);
	}
	end(wires, n);
	end(more, n);
	expect_all_answered(client);
	daemon_stop(daemon);
}

/* -X: much is asked for, and a byte of it read now and then, or none. */
static void slow_readers_are_reset(void **state)
{
	struct daemon *daemon =
		daemon_start("testapp", "", "write_timeout=1500ms", "keepalive_timeout=1h", "header_timeout=1h", NULL);
	struct client *client = behave(daemon);
	unsigned n = how_many(), i;
	/* More than the kernel buffers, and made as it is taken. */
	struct wire **wires = begin(daemon, n, 1024, "GET /pump/16000 HTTP/1.1\r\nHost: a\r\n\r\n");
	double until = wire_clock_ms() + 2 * WIRE_PATIENCE_MS;
	size_t len;
	char *bytes, byte;

	(void)state;
	while (daemon_metric(daemon, "rmsd_connections_closed_total", "reason=\"timeout\"", NULL) < n) {
		if (wire_clock_ms() > until)
			fail_msg("%g of %u were ended",
				daemon_metric(daemon, "rmsd_connections_closed_total", "reason=\"timeout\"", NULL), n);
		expect_service(client);
		/* A byte opens no window: that is not what a slow but honest reader does. */
		for (i = 0; i < n; i += 2)
			if (wire_end(wires[i], 0) == WIRE_BYTES)
				wire_read(wires[i], &byte, 1);
		pause_ms(TICK_MS);
	}
	for (i = 1; i < n; i += 2) {
		assert_int_equal(wire_read_all(wires[i], &bytes, &len), WIRE_RESET);
		assert_true(len < 16000 * 1024);
	}
	end(wires, n);
	expect_all_answered(client);
	daemon_stop(daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(slow_heads_get_408, daemon_cleanup),
		cmocka_unit_test_teardown(slow_bodies_get_408_once_they_stop, daemon_cleanup),
		cmocka_unit_test_teardown(many_ranges_cost_no_more_than_one_reply, daemon_cleanup),
		cmocka_unit_test_teardown(slow_readers_are_reset, daemon_cleanup),
	};

	return cmocka_run_group_tests_name("slow", tests, NULL, NULL);
}
