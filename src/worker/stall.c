/* stall.c - a worker whose thread is stuck: replaced, if it can be, and its connections taken. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/probe.h"
#include "http/conn.h"
#include "worker/state.h"

enum {
	GRACE_MS = 100,   /* for the replacement of a stalled worker to start; then the others take its connections */
	LINE_SHOWN = 120, /* bytes of a request's line, in the log */
};

/* The line of the request whose handler runs, quoted. */
static const char *running_line(struct fleet *fleet, struct incarnation *incarnation, char *buf, size_t size)
{
	struct service *service = incarnation_service(incarnation);
	struct slots *slots = fleet->set.slots;

	if (!owner_try(&service->owner)) {
		/* It is stuck outside a handler, with its lock. */
		owner_give_up(&service->owner);
		snprintf(buf, size, "unknown");
		return buf;
	}
	snprintf(buf, size, "-");
	for (int fd = 0; fd < slots_end(slots); fd++) {
		const struct slot *slot = slots_at(slots, fd);

		if (slot_owner(slot) == service->owner.id && slot->request && !slot->deferred) {
			conn_line(slot, buf, size);
			break;
		}
	}
	owner_release(&service->owner);
	return buf;
}

/* The replacement starts first: a lone worker's connections need somebody to go to. */
static bool replace(struct worker *worker)
{
	struct fleet *fleet = worker->fleet;
	struct incarnation *stuck = worker->now;

	if (fleet->set.conf->restart == RESTART_NEVER || fleet->abandoned >= fleet->n_workers)
		return false;
	worker->now = NULL;
	if (fleet_start_again(worker, RESTART_STALL) < 0) {
		worker->now = stuck;
		worker->started = true;
		return false;
	}
	incarnation_loss(stuck)->abandoned = true;
	fleet->abandoned++;
	worker->stuck = stuck;
	worker->stuck_ms = fleet_now_ms();
	return true;
}

/* The others take its connections; it is started again when its thread has ended. */
static void abandon(struct worker *worker)
{
	struct incarnation *stuck = worker->now;

	worker->now = NULL;
	loss_begin(worker, stuck, REHOMED_STALL, NULL);
	if (worker->fleet->set.conf->restart == RESTART_NEVER)
		loss_restart_later(worker, RESTART_STALL);
}

static void stall(struct worker *worker)
{
	struct fleet *fleet = worker->fleet;
	char line[LINE_SHOWN];

	PROBE(2, stall, worker->name, worker->watch.silent_ns / 1000000);
	log_error("a worker is stalled", "worker=%s for_ms=%llu cpu_ms=%llu request=%s", worker->name,
		(unsigned long long)(worker->watch.silent_ns / 1000000),
		(unsigned long long)(worker->watch.worked_ns / 1000000),
		running_line(fleet, worker->now, line, sizeof(line)));
	if (worker_state(worker) == STATE_DRAINING) {
		incarnation_loss(worker->now)->abandoned = true;
		fleet->abandoned++;
		drain_finish(worker, REHOMED_STALL);
		return;
	}
	(void)fleet_enter(worker, STATE_STALLED);
	if (replace(worker))
		return;
	log_error("a stalled worker is not replaced", "worker=%s stuck_threads=%u", worker->name, fleet->abandoned);
	if (fleet_up(fleet))
		abandon(worker);
}

/* A stalled worker that keeps its connections, since nobody else could take them. */
static void look_again(struct worker *worker, bool stalled)
{
	if (!worker->watch.silent) {
		log_warn("a stalled worker goes on by itself", "worker=%s", worker->name);
		fleet_serve(worker);
	} else if (stalled && !replace(worker) && fleet_up(worker->fleet)) {
		abandon(worker);
	}
}

static void look_at(struct worker *worker, uint64_t span_ns, bool late)
{
	struct fleet *fleet = worker->fleet;
	bool stalled;

	if (worker->stuck && fleet_now_ms() - worker->stuck_ms >= GRACE_MS && fleet_up(fleet)) {
		struct incarnation *stuck = worker->stuck;

		worker->stuck = NULL;
		loss_begin(worker, stuck, REHOMED_STALL, NULL);
	}
	if (!worker->now || !worker->started) {
		worker->watch.unanswered = false;
		return;
	}
	stalled = watchdog_look(&worker->watch, worker->now, span_ns, late, fleet->set.conf->stall_timeout * 1000000);
	metrics_set(worker->control, METRIC_loop_lag,
		atomic_load_explicit(&incarnation_service(worker->now)->lag_ns, memory_order_relaxed));
	if (worker_state(worker) == STATE_STALLED)
		look_again(worker, stalled);
	else if (stalled)
		stall(worker);
}

static void on_watch(void *arg)
{
	struct fleet *fleet = arg;
	uint64_t now_ns = uv_hrtime(), span_ns = now_ns - fleet->looked_ns;
	bool late = watchdog_is_late(fleet->watch.late_ms);
	bool stuck = false, unanswered = false;

	fleet->looked_ns = now_ns;
	if (fleet->stopping)
		return;
	loss_start_due(fleet);
	for (unsigned i = 0; i < fleet->n_workers; i++) {
		struct worker *worker = &fleet->workers[i];

		look_at(worker, span_ns, late);
		stuck |= worker_state(worker) == STATE_STALLED && fleet->abandoned >= fleet->n_workers;
		unanswered |= worker->watch.unanswered;
	}
	if (unanswered)
		fleet_rouse(fleet);
	atomic_store_explicit(&fleet->stuck, stuck, memory_order_relaxed);
}

void stall_init(struct fleet *fleet, struct pulse *pulse)
{
	beat_init(&fleet->watch, pulse, watchdog_period_ms(fleet->set.conf->stall_timeout), on_watch, fleet);
}

void stall_start_watching(struct fleet *fleet)
{
	fleet->looked_ns = uv_hrtime();
	beat_start(&fleet->watch);
}
