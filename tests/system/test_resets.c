/*
 * test_resets.c - connections that are reset in every state one can be in, round after round: memory and descriptors
 * return to what they were. RMSD_RESETS=20x10000 (rounds, connections of each) for a long run.
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

#include "support/daemon.h"
#include "support/keep.h"
#include "support/running.h"

enum {
	ROUNDS = 5,
	CONNECTIONS = 1500,
	LEFT_KB =
		6144, /* what threads keep for the next time, and so much of a connection: its slot, holes in arenas */
	LEFT_OF_CONNECTION_KB = 1,
};

#define HOST " HTTP/1.1\r\nHost: a\r\n"

/* What a connection has sent, and how much of the reply is read, before it is reset. */
static const struct {
	const char *bytes;
	bool reply, window, half;
	unsigned weight;
} conditions[] = {
	{ "", false, false, false, 6 },
	{ "", false, false, true, 3 },
	{ "G", false, false, false, 4 },
	{ "GET /ec", false, false, false, 4 },
	{ "GET /echo/1" HOST "X-A: b\r\nX-", false, false, false, 6 },
	{ "POST /echo" HOST "Content-Length: 10\r\n\r\nabc", false, false, false, 6 },
	{ "POST /echo" HOST "Transfer-Encoding: chunked\r\n\r\n5\r\nhe", false, false, false, 6 },
	{ "POST /echo" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\nX-Sum: ", false, false, false, 4 },
	{ "POST /upload" HOST "Content-Length: 1000\r\n\r\nabc", false, false, false, 6 },
	{ "POST /upload" HOST "Expect: 100-continue\r\nContent-Length: 10\r\n\r\n", false, false, false, 4 },
	{ "PUT /upload/300" HOST "Content-Length: 3\r\n\r\nabc", false, false, false, 4 },
	{ "GET /busy/1" HOST "\r\n", false, false, false, 2 },
	{ "GET /slow/300" HOST "\r\n", false, false, false, 6 },
	{ "GET /slow/300" HOST "\r\n", false, false, true, 4 },
	{ "GET /slow/30" HOST "\r\nGET /echo/2" HOST "\r\n", false, false, false, 4 },
	{ "GET /stream/1000/5" HOST "\r\n", false, false, false, 3 },
	{ "GET /pump/2000" HOST "\r\n", false, true, false, 1 },
	{ "GET /big/500" HOST "\r\n", false, true, false, 1 },
	{ "GET /echo/1" HOST "\r\n", true, false, false, 6 },
	{ "GET /echo/1" HOST "\r\nGET /ech", true, false, false, 4 },
	{ "GET /echo/1" HOST "\r\nGET /echo/2" HOST "\r\nGET /echo/3" HOST "\r\n", true, false, false, 4 },
	{ "GET /echo/1" HOST "Connection: close\r\n\r\n", false, false, false, 4 },
	{ "GET / HTTP/1.1\r\nHost : a\r\n\r\n", false, false, false, 4 },
	{ "GET / HTTP/1.1\r\nHost : a\r\n\r\n", true, false, true, 2 },
};

enum { CONDITIONS = sizeof(conditions) / sizeof(conditions[0]) };

static unsigned draw(unsigned *seed)
{
	unsigned total = 0, i, n;

	for (i = 0; i < CONDITIONS; i++)
		total += conditions[i].weight;
	n = (unsigned)rand_r(seed) % total;
	for (i = 0; n >= conditions[i].weight; i++)
		n -= conditions[i].weight;
	return i;
}

static struct wire *bring_into(struct daemon *daemon, unsigned condition)
{
	struct wire *wire = wire_open(daemon_public(daemon));
	char bytes[64];

	if (conditions[condition].window)
		wire_window(wire, 4096);
	wire_put(wire, conditions[condition].bytes);
	if (conditions[condition].half)
		wire_shut(wire);
	if (conditions[condition].reply)
		assert_true(wire_read(wire, bytes, sizeof(bytes)) > 0);
	return wire;
}

/* Half of them go as soon as they are there, which is in the middle of something; the others all at once. */
static void run_round(struct daemon *daemon, struct wire **wires, unsigned n, unsigned *seed)
{
	unsigned i, kept = 0;

	for (i = 0; i < n; i++) {
		struct wire *wire = bring_into(daemon, draw(seed));

		if (rand_r(seed) % 2)
			wire_reset(wire);
		else
			wires[kept++] = wire;
	}
	while (kept) {
		i = (unsigned)rand_r(seed) % kept;
		wire_reset(wires[i]);
		wires[i] = wires[--kept];
	}
}

static void await_nothing_left(struct daemon *daemon, unsigned fds)
{
	double until = wire_clock_ms() + 2 * WIRE_PATIENCE_MS;

	for (unsigned i = 1; i <= 3; i++)
		daemon_await(daemon, keepf("app%u", i), "up", 0);
	running_await(daemon, 0);
	while (daemon_fds(daemon) > fds) {
		if (wire_clock_ms() > until)
			fail_msg("%u descriptors, %u before", daemon_fds(daemon), fds);
		pause_ms(5);
	}
}

static void memory_and_descriptors_return_to_the_start(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", "keepalive_timeout=1h", "header_timeout=1h",
		"body_timeout=1h", "write_timeout=1h", "log_level=warn", NULL);
	unsigned rounds = ROUNDS, n = test_scale(CONNECTIONS), seed = 1, fds = daemon_fds(daemon), round;
	long start = daemon_rss_kb(daemon), now;
	const char *asked = getenv("RMSD_RESETS");
	struct rlimit files;
	struct wire **wires;

	(void)state;
	assert_true(!asked || (sscanf(asked, "%ux%u", &rounds, &n) == 2 && rounds && n));
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	wires = keep(calloc(n, sizeof(struct wire *)));
	for (round = 1; round <= rounds; round++) {
		run_round(daemon, wires, n, &seed);
		await_nothing_left(daemon, fds);
		now = daemon_rss_kb(daemon);
		if (asked)
			print_message("round %u: %ld KB, %u descriptors\n", round, now, daemon_fds(daemon));
		if (!daemon_sanitized() && now > start + LEFT_KB + (long)n * LEFT_OF_CONNECTION_KB)
			fail_msg("%ld KB after round %u, %ld KB before", now, round, start);
	}
	for (unsigned i = 1; i <= 3; i++)
		assert_true(
			daemon_metric(daemon, "rmsd_worker_restarts_total", keepf("worker=\"app%u\"", i), NULL) == 0);
	reply_expect(wire_get(daemon_public(daemon), "/echo/alive"), 200, "alive");
	assert_true(daemon_metric(daemon, "rmsd_connections_accepted_total", NULL) >= (double)rounds * n);
	daemon_stop(daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(memory_and_descriptors_return_to_the_start, daemon_cleanup),
	};

	return cmocka_run_group_tests_name("resets", tests, NULL, NULL);
}
