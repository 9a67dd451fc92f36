/*
 * test_mutations.c - requests spoiled in every way that comes to mind: no reply to bytes inside a malformed one, no
 * crash, no hang, nothing lost; and whoever behaves is served meanwhile. RMSD_MUTATIONS=1000000 for a long run; a
 * failure names the RMSD_SEED that repeats it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "support/barrage.h"
#include "support/daemon.h"
#include "support/keep.h"
#include "support/mutation.h"
#include "support/oracle.h"
#include "support/running.h"

enum {
	MUTATIONS = 20000,
	THREADS = 2,
	CONNECTIONS = 40,
	PATIENCE_MS = 15000,
	PROBE_MS = 1000,
	GROWTH_KB = 16384,
};

static uint64_t asked(const char *variable, uint64_t otherwise)
{
	const char *text = getenv(variable);

	return text ? strtoull(text, NULL, 10) : otherwise;
}

static void the_oracle_knows_its_rfc(void **state)
{
#define ROW(verdict, len, text) \
	{ \
		verdict, len, text, sizeof(text) - 1 \
	}
	static const struct {
		enum oracle_verdict verdict;
		size_t len; /* of what is served */
		const char *bytes;
		size_t bytes_len;
	} rows[] = {
		ROW(ORACLE_SERVE, 27, "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET"),
		ROW(ORACLE_SERVE, 48, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nabGET"),
		ROW(ORACLE_SERVE, 67,
			"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\nGET"),
		ROW(ORACLE_SERVE, 18, "GET / HTTP/1.0\r\n\r\n"),
		ROW(ORACLE_EITHER, 31, "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
		ROW(ORACLE_EITHER, 30, "BREW / HTTP/1.1\r\nHost: a:1\r\n\r\n"),
		ROW(ORACLE_PARTIAL, 0, "GET / HTTP/1.1\r\nHost: a\r\n"),
		ROW(ORACLE_PARTIAL, 0, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na"),
		ROW(ORACLE_PARTIAL, 0,
			"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX: y\r\n"),
		ROW(ORACLE_REFUSE, 0, "GET / HTTP/1.1\nHost: a\n\n"),
		ROW(ORACLE_REFUSE, 0, "GET / HTTP/1.1\r\n\r\n"),
		ROW(ORACLE_REFUSE, 0, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
		ROW(ORACLE_REFUSE, 0, "GET / HTTP/1.1 \r\nHost: a\r\n\r\n"),
		ROW(ORACLE_REFUSE, 0, "GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
		ROW(ORACLE_REFUSE, 0, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
		ROW(ORACLE_REFUSE, 0, "GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n"),
		ROW(ORACLE_REFUSE, 0, "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n"),
		ROW(ORACLE_REFUSE, 0, "GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n"),
		ROW(ORACLE_REFUSE, 0, "GET / HTTP/1.1\r\nHost: a\r\nX: \rY: z\r\n\r\n"),
		ROW(ORACLE_REFUSE, 0, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +2\r\n\r\nab"),
		ROW(ORACLE_REFUSE, 0, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2, 2\r\n\r\nab"),
		ROW(ORACLE_REFUSE, 0, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551618\r\n\r\nab"),
		ROW(ORACLE_REFUSE, 0,
			"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"),
		ROW(ORACLE_REFUSE, 0, "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
		ROW(ORACLE_REFUSE, 0, "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \r\n\r\n"),
		ROW(ORACLE_REFUSE, 0, "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
		ROW(ORACLE_REFUSE, 0, "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n"),
		ROW(ORACLE_REFUSE, 0, "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\nab\r\n"),
		ROW(ORACLE_REFUSE, 0,
			"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000002\r\nab\r\n"),
		ROW(ORACLE_REFUSE, 0, "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX\r\n\r\n"),
	};
#undef ROW
	struct oracle_request *request = keep(calloc(1, sizeof(*request)));
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		oracle_read(rows[i].bytes, rows[i].bytes_len, request);
		if (request->verdict != rows[i].verdict || (rows[i].len && request->len != rows[i].len))
			fail_msg("%s: %d (%s), %zu bytes", rows[i].bytes, (int)request->verdict, request->why,
				request->len);
	}
}

/* Else the mutations would be of what is wrong already, and find little. */
static void the_requests_are_right_before_they_are_spoiled(void **state)
{
	struct oracle_request *request = keep(calloc(1, sizeof(*request)));
	char bytes[MUTATION_MAX];
	unsigned i;

	(void)state;
	for (i = 0; i < mutation_seeds(); i++) {
		size_t len = mutation_request(i, 7, bytes);

		oracle_read(bytes, len, request);
		if (request->verdict != ORACLE_SERVE && request->verdict != ORACLE_EITHER)
			fail_msg("%.*s: %s", (int)len, bytes, request->why);
		if (request->len != len && request->close != ORACLE_CLOSES)
			fail_msg("%.*s: %zu bytes of %zu", (int)len, bytes, request->len, len);
	}
}

/* A request of a connection of its own, which is to be answered within a second. */
static double probe(struct daemon *daemon, unsigned number)
{
	double begun = wire_clock_ms(), took;
	const char *text = keepf("probe-%u", number);

	reply_expect(wire_get(daemon_public(daemon), keepf("/echo/%s", text)), 200, text);
	took = wire_clock_ms() - begun;
	if (took > PROBE_MS * (daemon_sanitized() ? 5 : 1))
		fail_msg("probe %u took %.0f ms", number, took);
	return took;
}

static void await_fds(struct daemon *daemon, unsigned fds)
{
	double until = wire_clock_ms() + PATIENCE_MS;

	while (daemon_fds(daemon) > fds) {
		if (wire_clock_ms() > until)
			fail_msg("%u descriptors, %u before", daemon_fds(daemon), fds);
		pause_ms(5);
	}
}

static void no_mutation_fools_crashes_or_stops_it(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", "log_level=warn", NULL);
	struct barrage_plan plan = { .address = daemon_public(daemon),
		.seed = asked("RMSD_SEED", (uint64_t)time(NULL)),
		.requests = asked("RMSD_MUTATIONS", test_scale(MUTATIONS)),
		.threads = THREADS,
		.connections = CONNECTIONS,
		.patience_ms = PATIENCE_MS * (daemon_sanitized() ? 4 : 1) };
	double begun = wire_clock_ms(), worst = 0, took;
	struct barrage_result result;
	unsigned probes = 0, fds;
	struct barrage *barrage;
	long warm = 0;

	(void)state;
	print_message("RMSD_SEED=%llu\n", (unsigned long long)plan.seed);
	probe(daemon, probes++);
	fds = daemon_fds(daemon);
	barrage = barrage_start(&plan);
	assert_non_null(barrage);
	while (!barrage_over(barrage)) {
		took = probe(daemon, probes++);
		worst = took > worst ? took : worst;
		if (!warm && barrage_requests(barrage) > plan.requests / 5)
			warm = daemon_rss_kb(daemon);
		pause_ms(20);
	}
	barrage_join(barrage, &result);
	if (result.failure)
		fail_msg("%s", result.failure);
	took = (wire_clock_ms() - begun) / 1000;
	print_message("%llu mutated requests, %llu connections (%llu reset) in %.1f s; served %llu, refused %llu, cut "
		      "short %llu, as one likes %llu; %u probes, the slowest %.1f ms; %ld KB, then %ld\n",
		(unsigned long long)result.requests, (unsigned long long)result.connections,
		(unsigned long long)result.resets, took, (unsigned long long)result.served,
		(unsigned long long)result.refused, (unsigned long long)result.partial,
		(unsigned long long)result.either, probes, worst, warm, daemon_rss_kb(daemon));
	assert_true(result.requests >= plan.requests);
	/* All kinds of them: or the judge looks at nothing. */
	assert_true(result.refused > result.connections / 4 && result.served > result.connections / 2);
	assert_true(result.partial > result.connections / 50 && result.either && result.resets);
	await_fds(daemon, fds);
	assert_true(daemon_sanitized() || !warm || daemon_rss_kb(daemon) - warm < GROWTH_KB);
	for (unsigned i = 1; i <= 3; i++) {
		daemon_await(daemon, keepf("app%u", i), "up", 0);
		assert_true(
			daemon_metric(daemon, "rmsd_worker_restarts_total", keepf("worker=\"app%u\"", i), NULL) == 0);
	}
	daemon_stop(daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_oracle_knows_its_rfc),
		cmocka_unit_test(the_requests_are_right_before_they_are_spoiled),
		cmocka_unit_test_teardown(no_mutation_fools_crashes_or_stops_it, daemon_cleanup),
	};

	return cmocka_run_group_tests_name("mutations", tests, NULL, NULL);
}
