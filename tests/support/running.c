/* running.c - waiting until a request runs; and what it was told when its worker was lost. */
#include "support/running.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "support/keep.h"

void pause_ms(long ms)
{
	nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 }, NULL);
}

double running_count(struct daemon *daemon, const char *worker)
{
	return daemon_metric(
		daemon, "rmsd_http_requests_in_flight", worker ? keepf("worker=\"%s\"", worker) : NULL, NULL);
}

void running_await(struct daemon *daemon, unsigned n)
{
	double until = wire_clock_ms() + WIRE_PATIENCE_MS, now;

	while ((now = running_count(daemon, NULL)) != n)
		if (wire_clock_ms() > until)
			fail_msg("%g requests in flight, %u expected", now, n);
}

const char *running_worker(struct daemon *daemon, const char *but)
{
	double until = wire_clock_ms() + WIRE_PATIENCE_MS;

	for (unsigned i = 0; wire_clock_ms() < until; i++) {
		const char *name = keepf("app%u", i % 3 + 1);

		if ((!but || strcmp(name, but) != 0) && running_count(daemon, name) > 0)
			return name;
	}
	fail_msg("no worker runs a request");
	return NULL;
}

struct wire *running_begin(struct daemon *daemon, const char *bytes, const char **worker)
{
	struct wire *wire = wire_open(daemon_public(daemon));

	wire_put(wire, bytes);
	*worker = running_worker(daemon, NULL);
	return wire;
}

void running_expect_number(struct daemon *daemon, const char *path, unsigned long n)
{
	reply_expect(wire_get(daemon_public(daemon), path), 200, keepf("%lu\n", n));
}

unsigned running_attempt(const struct reply *reply)
{
	reply_expect(reply, 200, NULL);
	return (unsigned)strtoul(reply->body, NULL, 10);
}

void running_expect_refused(struct wire *wire, const char *text)
{
	const struct reply *reply = wire_reply(wire);

	reply_expect(reply, 503, NULL);
	if (!strstr(reply->body, text))
		fail_msg("not \"%s\": %s", text, reply->body);
	assert_null(reply_field(reply, "Retry-After"));
	assert_null(reply_field(reply, "Connection"));
}

void running_stop(struct daemon *daemon, unsigned threads)
{
	double until = wire_clock_ms() + PROGRAM_PATIENCE_MS;

	while (daemon_threads(daemon) > threads) {
		assert_true(wire_clock_ms() < until);
		pause_ms(5);
	}
	daemon_stop(daemon);
}
