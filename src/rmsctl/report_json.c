/* report_json.c - the report for programs, schema 1: fields are added, never changed. */
#include "rmsctl/report.h"

/* Takes value: NULL is a failure, which the object keeps by staying without it. */
static void set(json_t *object, const char *key, json_t *value)
{
	json_object_set_new(object, key, value);
}

/* To the microsecond, which is what it is worth. */
static json_t *number(double value)
{
	return json_real((double)(int64_t)(value * 1e3 + 0.5) / 1e3);
}

static json_t *span(double ms)
{
	return ms < 0 ? json_null() : number(ms);
}

static json_t *clock_of(uint64_t ns)
{
	return ns ? json_integer((json_int_t)ns) : json_null();
}

static json_t *requests(const struct load_books *books)
{
	json_t *object = json_object(), *kinds = json_object(), *statuses = json_object();

	set(object, "due", json_integer(books->samples.n));
	set(object, "sent", json_integer((json_int_t)books->sent));
	set(object, "answered", json_integer((json_int_t)books->by[OUTCOME_answered]));
	set(object, "failed", json_integer((json_int_t)load_failed(books)));
	for (int i = OUTCOME_status; i < OUTCOMES; i++)
		set(kinds, outcome_names[i], json_integer((json_int_t)books->by[i]));
	for (int status = 0; status < STATUSES; status++) {
		const char name[] = { (char)('0' + status / 100), (char)('0' + status / 10 % 10),
			(char)('0' + status % 10), '\0' };

		if (books->statuses[status])
			set(statuses, name, json_integer(books->statuses[status]));
	}
	set(object, "failed_by", kinds);
	set(object, "statuses", statuses);
	return object;
}

static json_t *latency(const struct latency *latency)
{
	json_t *object = json_object();

	set(object, "requests", json_integer(latency->n));
	set(object, "p99", latency->n ? number(latency->p99_us / 1e3) : json_null());
	set(object, "worst", latency->n ? number(latency->worst_us / 1e3) : json_null());
	return object;
}

static json_t *latencies(const struct verdict *verdict)
{
	json_t *object = json_object();

	set(object, "before", latency(&verdict->before));
	set(object, "during", latency(&verdict->during));
	set(object, "after", latency(&verdict->after));
	return object;
}

static json_t *spans(const struct drill_spans *spans)
{
	json_t *object = json_object();

	set(object, "detection", span(spans->detection));
	set(object, "rehomed", span(spans->rehomed));
	set(object, "back", span(spans->back));
	set(object, "even", span(spans->even));
	return object;
}

static json_t *clocks(const struct report *report)
{
	const struct lease_times *times = &report->lease->times;
	json_t *object = json_object();

	set(object, "started", clock_of(report->books->samples.start_ns));
	set(object, "injected", clock_of(times->injected));
	set(object, "detected", clock_of(times->detected));
	set(object, "rehomed", clock_of(times->rehomed));
	set(object, "reverting", clock_of(times->reverting));
	set(object, "back", clock_of(times->back));
	set(object, "even", clock_of(times->even));
	set(object, "ended", clock_of(times->end));
	set(object, "stopped", clock_of(report->stop_ns));
	return object;
}

static json_t *checks(const struct verdict *verdict)
{
	json_t *array = json_array();

	for (int i = 0; i < CHECKS; i++) {
		const struct check *check = &verdict->checks[i];
		json_t *object = json_object();

		set(object, "name", json_string(check_names[i]));
		set(object, "passed", json_boolean(check->passed));
		set(object, "value", check->measured ? number(check->value) : json_null());
		set(object, "limit", check->limited ? number(check->limit) : json_null());
		set(object, "text", json_string(check->text));
		json_array_append_new(array, object);
	}
	return array;
}

static json_t *time_line(const struct verdict *verdict)
{
	json_t *array = json_array();

	for (int i = 0; i < DRILL_SLICES; i++) {
		const struct slice *slice = &verdict->slices[i];
		json_t *object = json_object();

		set(object, "at_ms", number((double)((uint64_t)i * verdict->slice_ns) / 1e6));
		set(object, "answered", json_integer(slice->answered));
		set(object, "failed", json_integer(slice->failed));
		set(object, "worst_ms", slice->answered ? number(slice->worst_us / 1e3) : json_null());
		json_array_append_new(array, object);
	}
	return array;
}

static void set_plan(json_t *object, const struct drill_plan *plan)
{
	set(object, "action", json_string(drill_actions[plan->action]));
	set(object, "worker", json_string(plan->worker));
	set(object, "address", *plan->address ? json_string(plan->address) : json_null());
	set(object, "path", json_string(plan->path));
	set(object, "duration_ms", json_integer((json_int_t)plan->duration_ms));
	set(object, "connections", json_integer(plan->connections));
	set(object, "rate", json_integer(plan->rate));
}

json_t *report_json_aborted(const struct report_abort *aborted)
{
	json_t *object = json_object();

	set(object, "schema", json_integer(1));
	set(object, "aborted", json_true());
	set(object, "passed", json_null());
	set(object, "error", json_string(aborted->why));
	set_plan(object, aborted->plan);
	return object;
}

json_t *report_json(const struct report *report)
{
	const struct verdict *verdict = report->verdict;
	json_t *object = json_object();

	set(object, "schema", json_integer(1));
	set(object, "aborted", json_false());
	set(object, "passed", json_boolean(verdict->passed));
	set_plan(object, report->plan);
	set(object, "requests", requests(report->books));
	set(object, "idle_lost", json_integer((json_int_t)report->books->closed_idle));
	set(object, "rehomed_connections", json_integer((json_int_t)report->lease->connections));
	set(object, "pause_ms", number((double)report->books->pause_ns / 1e6));
	set(object, "late_ms", number((double)report->books->late_ns / 1e6));
	set(object, "times_ms", spans(&verdict->spans));
	set(object, "clock_ns", clocks(report));
	set(object, "latency_ms", latencies(verdict));
	set(object, "checks", checks(verdict));
	set(object, "slice_ms", number((double)verdict->slice_ns / 1e6));
	set(object, "timeline", time_line(verdict));
	return object;
}
