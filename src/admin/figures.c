/* figures.c - two snapshots to the rates between them; both, and the minutes before, to JSON. */
#include "admin/figures.h"

#include <math.h>
#include <stdlib.h>

#include "admin/door.h"

static const uint64_t NS_PER_MS = 1000000;
/* What a worker's second takes in a history: "12345,12345,1,". */
enum { KEPT_BYTES = 14, ERRORS_FIRST = METRICS_CODE(500), ERRORS_END = METRICS_CODE(600) };

int figures_init(struct figures *figures, unsigned workers)
{
	figures->workers = workers;
	figures->rows = calloc(workers, sizeof(*figures->rows));
	figures->sides = calloc(workers + 1, sizeof(*figures->sides));
	figures->kept = calloc((size_t)FIGURES_KEPT * workers, sizeof(*figures->kept));
	if (!figures->rows || !figures->sides || !figures->kept)
		return UV_ENOMEM;
	for (unsigned i = 0; i <= workers; i++)
		figures->sides[i].rates.p50 = figures->sides[i].rates.p99 = (double)NAN;
	return 0;
}

void figures_finish(struct figures *figures)
{
	free(figures->rows);
	free(figures->sides);
	free(figures->kept);
	*figures = (struct figures){ 0 };
}

/* ---- a second ---- */

/* What came between; side holds the new counters afterwards. seconds 0: there was no snapshot before. */
static void compare(struct figures_side *side, uint64_t requests, const uint64_t *buckets, double seconds)
{
	uint64_t between[HISTOGRAM_BUCKETS];

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		between[i] = buckets[i] - side->buckets[i];
		side->buckets[i] = buckets[i];
	}
	if (seconds > 0)
		side->rates = (struct figures_rates){
			.requests = (double)(requests - side->requests) / seconds,
			.p50 = histogram_quantile(between, 0.5),
			.p99 = histogram_quantile(between, 0.99),
		};
	side->requests = requests;
}

static void keep(struct figures *figures, struct fleet *fleet)
{
	struct figures_kept *kept = figures->kept + (size_t)figures->next * figures->workers;

	for (unsigned i = 0; i < figures->workers; i++) {
		const struct figures_rates *rates = &figures->sides[i].rates;

		kept[i] = (struct figures_kept){
			.requests = (float)rates->requests,
			.p99 = isnan(rates->p99) ? -1.0f : (float)rates->p99,
			.state = (unsigned char)worker_state(fleet_worker(fleet, i)),
		};
	}
	figures->ends_ns[figures->next] = figures->second_ns;
	figures->next = (figures->next + 1) % FIGURES_KEPT;
	if (figures->n_kept < FIGURES_KEPT)
		figures->n_kept++;
}

void figures_end_second(struct admin *admin)
{
	struct figures *figures = &admin->figures;
	uint64_t before_ns = figures->second_ns, requests = 0, buckets[HISTOGRAM_BUCKETS] = { 0 };
	double seconds;

	metrics_read(admin->set.metrics, figures->rows, figures->process);
	figures->second_ns = uv_hrtime();
	seconds = before_ns ? (double)(figures->second_ns - before_ns) / 1e9 : 0;
	for (unsigned i = 0; i < figures->workers; i++) {
		const uint64_t *cells = figures->rows[i];

		compare(&figures->sides[i], cells[METRIC_requests], cells + METRIC_duration, seconds);
		requests += cells[METRIC_requests];
		for (unsigned bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++)
			buckets[bucket] += cells[METRIC_duration + bucket];
	}
	compare(&figures->sides[figures->workers], requests, buckets, seconds);
	if (before_ns)
		keep(figures, admin->set.fleet);
}

/* ---- to JSON ---- */

struct sums {
	uint64_t connections, requests, in_flight, errors, rehomed, restarts;
};

static uint64_t sum(const uint64_t *cells, unsigned first, unsigned end)
{
	uint64_t total = 0;

	for (unsigned i = first; i < end; i++)
		total += cells[i];
	return total;
}

static void write_sums(struct outbuf *out, const struct sums *sums)
{
	outbuf_printf(out,
		"\"connections\":%llu,\"requests_total\":%llu,\"in_flight\":%llu,\"errors_total\":%llu,"
		"\"rehomed_total\":%llu,\"restarts\":%llu",
		(unsigned long long)sums->connections, (unsigned long long)sums->requests,
		(unsigned long long)sums->in_flight, (unsigned long long)sums->errors,
		(unsigned long long)sums->rehomed, (unsigned long long)sums->restarts);
}

static void write_seconds(struct outbuf *out, const char *key, double seconds)
{
	if (isnan(seconds))
		outbuf_printf(out, ",\"%s\":null", key);
	else
		outbuf_printf(out, ",\"%s\":%.6f", key, seconds);
}

static void write_rates(struct outbuf *out, const struct figures_rates *rates)
{
	outbuf_printf(out, ",\"requests_per_second\":%.1f", rates->requests);
	write_seconds(out, "p50_seconds", rates->p50);
	write_seconds(out, "p99_seconds", rates->p99);
}

static struct sums write_worker(
	struct outbuf *out, const struct worker *worker, const uint64_t *cells, const struct figures_rates *rates)
{
	struct sums sums = {
		.connections = cells[METRIC_connections],
		.requests = cells[METRIC_requests],
		.in_flight = cells[METRIC_in_flight],
		.errors = sum(cells, METRIC_responses + ERRORS_FIRST, METRIC_responses + ERRORS_END),
		.rehomed = sum(cells, METRIC_connections_rehomed, METRIC_connections_rehomed_last + 1),
		.restarts = atomic_load_explicit(&worker->restarts, memory_order_relaxed),
	};

	outbuf_printf(out, "{\"name\":\"%s\",\"state\":\"%s\",\"since\":", worker->name,
		metrics_state_names[worker_state(worker)]);
	door_write_time(out, atomic_load_explicit(&worker->since_ms, memory_order_relaxed));
	outbuf_text(out, ",");
	write_sums(out, &sums);
	write_rates(out, rates);
	outbuf_printf(out, ",\"busy_ratio\":%.3f,\"loop_lag_seconds\":%.6f}", (double)cells[METRIC_busy_ratio] / 1e9,
		(double)cells[METRIC_loop_lag] / 1e9);
	return sums;
}

static void write_drill(struct outbuf *out, const struct drill *drill)
{
	static const char *const phases[] = { [DRILL_ORDERED] = "ordered",
		[DRILL_HELD] = "held",
		[DRILL_REVERTING] = "reverting",
		[DRILL_EVENING] = "evening" };

	if (drill->phase == DRILL_NONE)
		outbuf_text(out, ",\"drill\":null}");
	else
		outbuf_printf(out, ",\"drill\":{\"action\":\"%s\",\"worker\":\"%s\",\"phase\":\"%s\"}}",
			drill_action(drill), drill->worker->name, phases[drill->phase]);
}

void figures_write(struct admin *admin, struct outbuf *out)
{
	struct figures *figures = &admin->figures;
	struct fleet *fleet = admin->set.fleet;
	struct sums totals = { 0 };
	uint64_t now_ns;

	metrics_read(admin->set.metrics, figures->rows, figures->process);
	now_ns = uv_hrtime();
	outbuf_text(out, "{");
	door_write_moment(out, now_ns);
	outbuf_printf(out,
		",\"generation\":%llu,\"version\":\"%s\",\"uptime_seconds\":%.3f,\"server\":\"%s\",\"second_ns\":%llu,"
		"\"workers\":[",
		(unsigned long long)fleet_generation(fleet), RMSD_VERSION,
		(double)(uint64_t)(now_ns / NS_PER_MS - admin->started_ms) / 1e3,
		atomic_load_explicit(&admin->draining, memory_order_relaxed) ? "draining" : "up",
		(unsigned long long)figures->second_ns);
	for (unsigned i = 0; i < figures->workers; i++) {
		struct sums own;

		outbuf_text(out, i ? "," : "");
		own = write_worker(out, fleet_worker(fleet, i), figures->rows[i], &figures->sides[i].rates);
		totals.connections += own.connections;
		totals.requests += own.requests;
		totals.in_flight += own.in_flight;
		totals.errors += own.errors;
		totals.rehomed += own.rehomed;
		totals.restarts += own.restarts;
	}
	outbuf_text(out, "],\"totals\":{");
	write_sums(out, &totals);
	write_rates(out, &figures->sides[figures->workers].rates);
	outbuf_printf(out, "},\"shed_total\":%llu",
		(unsigned long long)sum(figures->process, METRIC_shed, METRIC_shed_last + 1));
	write_drill(out, &admin->drill);
}

static void write_kept(struct outbuf *out, const struct figures_kept *kept)
{
	/* A tenth tells something of few requests alone. */
	outbuf_printf(out, kept->requests < 100 && kept->requests > 0 ? ",%.1f" : ",%.0f", (double)kept->requests);
	outbuf_printf(out, ",%.0f,%u", kept->p99 < 0 ? -1.0 : (double)kept->p99 * 1e6, (unsigned)kept->state);
}

void figures_write_history(struct admin *admin, struct outbuf *out)
{
	const struct figures *figures = &admin->figures;
	unsigned n = FIGURES_HISTORY_BYTES / (figures->workers * KEPT_BYTES + KEPT_BYTES);

	outbuf_text(out, "\"workers\":[");
	for (unsigned i = 0; i < figures->workers; i++)
		outbuf_printf(out, "%s\"%s\"", i ? "," : "", fleet_worker(admin->set.fleet, i)->name);
	outbuf_text(out, "],\"states\":[");
	for (unsigned i = 0; i < METRICS_VALUES_state; i++)
		outbuf_printf(out, "%s\"%s\"", i ? "," : "", metrics_state_names[i]);
	outbuf_text(out, "],\"seconds\":[");
	if (n > figures->n_kept)
		n = figures->n_kept;
	for (unsigned left = n; left; left--) {
		unsigned at = (figures->next + FIGURES_KEPT - left) % FIGURES_KEPT;

		outbuf_printf(
			out, "%s[%llu", left == n ? "" : ",", (unsigned long long)(figures->ends_ns[at] / NS_PER_MS));
		for (unsigned i = 0; i < figures->workers; i++)
			write_kept(out, &figures->kept[(size_t)at * figures->workers + i]);
		outbuf_text(out, "]");
	}
	outbuf_text(out, "]");
}
