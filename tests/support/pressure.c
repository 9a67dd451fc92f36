/* pressure.c - judging a daemon that has too much to do. */
#include "support/pressure.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* A sanitizer makes everything slower by about that. */
double pressure_slack(void)
{
	return daemon_sanitized() ? 10 : 1;
}

void pressure_await_metric(struct daemon *daemon, const char *name, double value)
{
	double until = wire_clock_ms() + WIRE_PATIENCE_MS, now = 0;

	while ((now = daemon_metric(daemon, name, NULL)) != value) {
		if (wire_clock_ms() > until)
			fail_msg("%s is %g, not %g", name, now, value);
		poll(NULL, 0, 5);
	}
}

void pressure_expect_503(struct wire *wire)
{
	struct reply *reply = wire_reply(wire);

	reply_expect(reply, 503, NULL);
	reply_expect_field(reply, "Retry-After", "1");
	reply_expect_field(reply, "Connection", "close");
	assert_true(reply->body_len > 0);
}

/* The best of some: the machine may be busy. */
void pressure_expect_rmsctl(struct daemon *daemon)
{
	double best = 1e9;

	for (unsigned i = 0; i < 20 && best > 100 * pressure_slack(); i++) {
		double begun = wire_clock_ms(), took;

		assert_int_equal(daemon_ctl(daemon, "status", NULL)->status, 0);
		took = wire_clock_ms() - begun;
		best = took < best ? took : best;
	}
	if (best > 100 * pressure_slack())
		fail_msg("rmsctl status took %.0f ms", best);
}

/* The best of some again. */
void pressure_expect_idle(struct daemon *daemon, int ms)
{
	double used = 0;

	for (unsigned i = 0; i < 5; i++) {
		double before = daemon_cpu_ms(daemon);

		poll(NULL, 0, ms);
		used = daemon_cpu_ms(daemon) - before;
		if (used <= 0.05 * ms * pressure_slack())
			return;
	}
	fail_msg("%.0f ms of processor time in %d ms of nothing to do", used, ms);
}

unsigned pressure_logged(struct daemon *daemon, const char *what)
{
	unsigned n = 0;

	for (const char *at = daemon_log(daemon); (at = strstr(at, what)); at += strlen(what))
		n++;
	return n;
}
