/* verdict.c - each check by itself, from the books and the times. */
#include "rmsctl/verdict.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *const drill_actions[] = { [DRILL_KILL] = "kill", [DRILL_STALL] = "stall", [DRILL_DRAIN] = "drain" };
const char *const check_names[CHECKS] = {
	[CHECK_failed] = "failed",
	[CHECK_kept] = "kept",
	[CHECK_pause] = "pause",
	[CHECK_detection] = "detection",
	[CHECK_return] = "return",
	[CHECK_accounts] = "accounts",
	[CHECK_end] = "end",
};

/* From one time to another, both seen; they are one clock's, but two threads' and may come in either order. */
static double span_ms(uint64_t from_ns, uint64_t to_ns)
{
	if (!from_ns || !to_ns)
		return -1;
	return to_ns > from_ns ? (double)(to_ns - from_ns) / 1e6 : 0;
}

__attribute__((format(printf, 2, 3))) static void say(struct check *check, const char *format, ...)
{
	size_t len = sizeof(check->text);
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(check->text, len, format, args);
	va_end(args);
	if (n < 0 || (size_t)n < len)
		return;
	/* Cut before the character that is not whole. */
	for (len -= 2; len > 0 && ((unsigned char)check->text[len] & 0xC0) == 0x80; len--)
		;
	check->text[len] = '\0';
}

/* A value that may be as high as its limit; negative: it was not seen. */
static void measure(struct check *check, double value, uint64_t limit)
{
	check->measured = value >= 0;
	check->limited = true;
	check->value = value;
	check->limit = (double)limit;
	check->passed = check->measured && value <= check->limit;
}

static void judge_requests(const struct drill_plan *plan, const struct load_books *books, struct check *checks)
{
	uint64_t failed = load_failed(books), through = books->by[OUTCOME_answered] + failed;
	struct check *check = &checks[CHECK_failed];

	measure(check, (double)failed, plan->max_failed);
	say(check, "%llu of %u requests failed (at most %llu)", (unsigned long long)failed, books->samples.n,
		(unsigned long long)plan->max_failed);

	check = &checks[CHECK_kept];
	measure(check, (double)books->closed_idle, plan->max_failed);
	say(check, "%llu idle connections lost (at most %llu)", (unsigned long long)books->closed_idle,
		(unsigned long long)plan->max_failed);

	check = &checks[CHECK_pause];
	measure(check, (double)books->pause_ns / 1e6, plan->max_pause_ms);
	say(check, "%.1f ms without a reply, at the longest (at most %.0f ms)", check->value, check->limit);

	check = &checks[CHECK_accounts];
	check->passed =
		books->sent + books->by[OUTCOME_unsent] == through && through == books->samples.n && through > 0;
	say(check, "%llu sent = %llu answered + %llu failed", (unsigned long long)books->sent,
		(unsigned long long)books->by[OUTCOME_answered],
		(unsigned long long)(failed - books->by[OUTCOME_unsent]));
}

static void judge_worker(
	const struct drill_plan *plan, const struct lease *lease, const struct drill_spans *spans, struct check *checks)
{
	struct check *check = &checks[CHECK_detection];

	measure(check, spans->detection, plan->max_detect_ms);
	if (check->measured)
		say(check, "%s was out of rotation after %.1f ms (at most %.0f ms)", plan->worker, check->value,
			check->limit);
	else
		say(check, "%s was never out of rotation (at most %.0f ms)", plan->worker, check->limit);

	check = &checks[CHECK_return];
	check->passed = lease->times.back != 0;
	check->measured = spans->back >= 0;
	check->value = spans->back;
	if (check->measured)
		say(check, "%s was up again after %.1f ms", plan->worker, spans->back);
	else if (check->passed)
		say(check, "%s was up again before rmsd brought it back", plan->worker);
	else
		say(check, "%s did not come back", plan->worker);

	check = &checks[CHECK_end];
	check->passed = lease->state == LEASE_ENDED;
	if (check->passed)
		say(check, "rmsd ended the drill as planned");
	else
		say(check, "%s",
			lease->state == LEASE_FAILED && lease->error.len ? lease->error.data
									 : "rmsd did not end the drill in time");
}

int verdict_judge(const struct drill_plan *plan, const struct load_books *books, const struct lease *lease,
	uint64_t stop_ns, struct verdict *verdict)
{
	const struct lease_times *times = &lease->times;
	uint64_t length = stop_ns - books->samples.start_ns, planned = plan->duration_ms * 1000000;
	int err;

	memset(verdict, 0, sizeof(*verdict));
	verdict->spans = (struct drill_spans){
		.detection = span_ms(times->injected, times->detected),
		.rehomed = span_ms(times->injected, times->rehomed),
		.back = span_ms(plan->action == DRILL_STALL ? times->injected : times->reverting, times->back),
		.even = span_ms(times->back, times->even),
	};
	/* A load that ended a little late has the time line that was asked for. */
	if (length < planned + planned / DRILL_SLICES)
		length = planned;
	verdict->slice_ns = (length + DRILL_SLICES - 1) / DRILL_SLICES;
	samples_slices(&books->samples, verdict->slice_ns, verdict->slices, DRILL_SLICES);
	err = samples_phases(&books->samples, times->injected, times->reverting, &verdict->before, &verdict->during,
		&verdict->after);
	if (err < 0)
		return err;
	judge_requests(plan, books, verdict->checks);
	judge_worker(plan, lease, &verdict->spans, verdict->checks);
	verdict->passed = true;
	for (int i = 0; i < CHECKS; i++)
		verdict->passed = verdict->passed && verdict->checks[i].passed;
	return 0;
}
