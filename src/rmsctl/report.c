/* report.c - the page for people: checks, figures, a time line as wide as a narrow terminal. */
#include "rmsctl/report.h"

#include <stdio.h>
#include <string.h>

enum { BAR_LEVELS = 8, LABEL_WIDTH = 11, MARKS_WIDTH = 100 };

static void write_ms(double ms, struct outbuf *out)
{
	if (ms < 0)
		outbuf_text(out, "-");
	else
		outbuf_printf(out, "%.1f ms", ms);
}

static void write_checks(const struct verdict *verdict, struct outbuf *out)
{
	for (int i = 0; i < CHECKS; i++) {
		const struct check *check = &verdict->checks[i];

		outbuf_printf(out, "  %s  %-9s  %s\n", check->passed ? "ok  " : "FAIL", check_names[i], check->text);
	}
}

static void write_kinds(const struct load_books *books, struct outbuf *out)
{
	const char *separator = "\n  failed:";

	for (int i = OUTCOME_status; i < OUTCOMES; i++) {
		if (!books->by[i])
			continue;
		outbuf_printf(out, "%s %llu %s", separator, (unsigned long long)books->by[i], outcome_names[i]);
		separator = ",";
		if (i != OUTCOME_status)
			continue;
		for (int status = 100; status < STATUSES; status++)
			if (books->statuses[status] && (status < 200 || status >= 400))
				outbuf_printf(out, " %d", status);
	}
	if (load_failed(books))
		outbuf_text(out, "\n");
}

static void write_spans(const struct report *report, struct outbuf *out)
{
	const struct drill_spans *spans = &report->verdict->spans;
	unsigned long long n = report->lease->connections;

	outbuf_text(out, "\n  from the injection   out of rotation ");
	write_ms(spans->detection, out);
	outbuf_printf(out, ", the last of %llu connection%s re-homed ", n, n == 1 ? "" : "s");
	write_ms(spans->rehomed, out);
	outbuf_printf(out, "\n  from the %s   up ", report->plan->action == DRILL_STALL ? "injection" : "revival  ");
	write_ms(spans->back, out);
	outbuf_text(out, ", an even share ");
	write_ms(spans->even, out);
	outbuf_text(out, spans->even < 0 ? "\n" : " later\n");
}

static void write_latency(const char *phase, const struct latency *latency, struct outbuf *out)
{
	outbuf_printf(out, "  %-*s%10u", LABEL_WIDTH, phase, latency->n);
	if (latency->n)
		outbuf_printf(out, "%12.1f ms%12.1f ms\n", latency->p99_us / 1e3, latency->worst_us / 1e3);
	else
		outbuf_text(out, "              -              -\n");
}

/* One row of the time line: values against their highest. */
static void write_bars(const char *label, const uint32_t *values, bool utf8, struct outbuf *out)
{
	static const char ascii[] = " .:-=+*#@";
	uint32_t most = 1;

	for (int i = 0; i < DRILL_SLICES; i++)
		if (values[i] > most)
			most = values[i];
	outbuf_printf(out, "  %-*s", LABEL_WIDTH, label);
	for (int i = 0; i < DRILL_SLICES; i++) {
		/* Anything at all is a bar of one. */
		unsigned level = (unsigned)(((uint64_t)values[i] * BAR_LEVELS + most - 1) / most);

		if (!utf8 || level == 0)
			outbuf_append(out, ascii + level, 1);
		else
			outbuf_printf(out, "\xe2\x96%c", 0x80 + (int)level); /* U+2581 to U+2588 */
	}
}

/* A mark in the column of its time, unless the last one's text is in its place. */
static void write_mark(char *row, const struct report *report, uint64_t at_ns, const char *word)
{
	uint64_t start = report->books->samples.start_ns;
	uint64_t column = at_ns > start ? (at_ns - start) / report->verdict->slice_ns : 0;
	size_t at = column < DRILL_SLICES ? column : DRILL_SLICES - 1;
	char text[MARKS_WIDTH - DRILL_SLICES];

	if (!at_ns)
		return;
	(void)snprintf(text, sizeof(text), "^ %s %.1f s", word, (double)(at_ns - start) / 1e9);
	if (strlen(row) > at)
		at = strlen(row) + 1;
	if (at + strlen(text) >= MARKS_WIDTH)
		return;
	memset(row + strlen(row), ' ', at - strlen(row));
	memcpy(row + at, text, strlen(text) + 1);
}

static void write_time_line(const struct report *report, bool utf8, struct outbuf *out)
{
	const struct verdict *verdict = report->verdict;
	const struct lease_times *times = &report->lease->times;
	uint32_t answered[DRILL_SLICES], worst[DRILL_SLICES], failed[DRILL_SLICES], most = 0;
	char marks[MARKS_WIDTH + 1] = { 0 };

	for (int i = 0; i < DRILL_SLICES; i++) {
		answered[i] = verdict->slices[i].answered;
		worst[i] = verdict->slices[i].worst_us;
		failed[i] = verdict->slices[i].failed;
		if (worst[i] > most)
			most = worst[i];
	}
	outbuf_text(out, "\n");
	write_bars("answered", answered, utf8, out);
	outbuf_printf(out, "  a column is %.0f ms\n", (double)verdict->slice_ns / 1e6);
	write_bars("worst", worst, utf8, out);
	outbuf_printf(out, "  up to %.1f ms\n", most / 1e3);
	if (load_failed(report->books)) {
		write_bars("failed", failed, utf8, out);
		outbuf_text(out, "\n");
	}
	write_mark(marks, report, times->injected, drill_actions[report->plan->action]);
	write_mark(marks, report, times->reverting, report->plan->action == DRILL_STALL ? "end" : "revive");
	outbuf_printf(out, "  %-*s%s\n", LABEL_WIDTH, "", marks);
}

void report_head(const struct drill_plan *plan, struct outbuf *out)
{
	outbuf_printf(out, "%s %s: %u requests/s on %u connections to %s%s for %.1f s\n", drill_actions[plan->action],
		plan->worker, plan->rate, plan->connections, plan->address, plan->path,
		(double)plan->duration_ms / 1e3);
}

void report_text(const struct report *report, bool utf8, struct outbuf *out)
{
	const struct verdict *verdict = report->verdict;
	unsigned failed = 0;

	outbuf_text(out, "\n");
	write_checks(verdict, out);
	write_kinds(report->books, out);
	write_spans(report, out);
	outbuf_printf(out, "\n  %-*s%10s%15s%15s\n", LABEL_WIDTH, "latency", "requests", "p99", "worst");
	write_latency("  before", &verdict->before, out);
	write_latency("  during", &verdict->during, out);
	write_latency("  after", &verdict->after, out);
	write_time_line(report, utf8, out);
	if (report->books->late_ns > 20000000)
		outbuf_printf(out,
			"\n  The load itself was up to %.1f ms late: this machine is busy, and latencies include "
			"that.\n",
			(double)report->books->late_ns / 1e6);
	for (int i = 0; i < CHECKS; i++)
		failed += !verdict->checks[i].passed;
	if (failed)
		outbuf_printf(out, "\nFAIL: %u of %d checks\n", failed, CHECKS);
	else
		outbuf_printf(out, "\nPASS: %s\n",
			load_failed(report->books) ? "within its limits" : "every request was answered");
}
