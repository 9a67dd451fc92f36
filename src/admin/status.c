/* status.c - /status: the server, its listeners, its workers, as JSON. */
#include <unistd.h>

#include "admin/door.h"

static void write_worker(const struct admin *admin, struct worker *worker, struct outbuf *out)
{
	struct metrics *metrics = admin->set.metrics;

	outbuf_printf(out, "{\"name\":\"%s\",\"state\":\"%s\",\"since\":", worker->name,
		metrics_state_names[worker_state(worker)]);
	door_write_time(out, atomic_load_explicit(&worker->since_ms, memory_order_relaxed));
	outbuf_text(out, ",\"connections\":");
	outbuf_uint(out, metrics_worker_value(metrics, worker->index, METRIC_connections));
	outbuf_text(out, ",\"requests_total\":");
	outbuf_uint(out, metrics_worker_requests(metrics, worker->index));
	outbuf_text(out, ",\"restarts\":");
	outbuf_uint(out, atomic_load_explicit(&worker->restarts, memory_order_relaxed));
	outbuf_printf(out, ",\"weight\":%u,\"port\":", worker->weight);
	if (worker->port)
		outbuf_uint(out, worker->port);
	else
		outbuf_text(out, "null");
	outbuf_text(out, "}");
}

static void write_listener(const struct admin_listener *listener, struct outbuf *out)
{
	outbuf_printf(out, "{\"role\":\"%s\",\"worker\":", listener->role);
	if (listener->worker)
		door_quote(out, listener->worker);
	else
		outbuf_text(out, "null");
	outbuf_text(out, ",\"address\":");
	door_quote(out, listener->address);
	outbuf_text(out, "}");
}

void door_write_status(const struct admin *admin, struct outbuf *out)
{
	struct fleet *fleet = admin->set.fleet;
	struct metrics *metrics = admin->set.metrics;
	bool draining = atomic_load_explicit(&admin->draining, memory_order_relaxed);
	uint64_t connections = 0, requests = 0, in_flight = 0;

	outbuf_printf(out,
		"{\"version\":\"%s\",\"pid\":%ld,\"uptime_seconds\":%.3f,\"state\":\"%s\",\"generation\":%llu",
		RMSD_VERSION, (long)getpid(), (double)(uint64_t)(uv_hrtime() / 1000000 - admin->started_ms) / 1e3,
		draining ? "draining" : "up", (unsigned long long)fleet_generation(fleet));
	outbuf_text(out, ",\"listeners\":[");
	for (unsigned i = 0; i < admin->set.n_listeners; i++) {
		outbuf_text(out, i ? "," : "");
		write_listener(&admin->set.listeners[i], out);
	}
	outbuf_text(out, "],\"workers\":[");
	for (unsigned i = 0; i < fleet_size(fleet); i++) {
		outbuf_text(out, i ? "," : "");
		write_worker(admin, fleet_worker(fleet, i), out);
		connections += metrics_worker_value(metrics, i, METRIC_connections);
		requests += metrics_worker_requests(metrics, i);
		in_flight += metrics_worker_value(metrics, i, METRIC_in_flight);
	}
	outbuf_printf(out, "],\"totals\":{\"connections\":%llu,\"requests_total\":%llu,\"in_flight\":%llu}}\n",
		(unsigned long long)connections, (unsigned long long)requests, (unsigned long long)in_flight);
}
