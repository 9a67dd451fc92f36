/* loss.c - how a worker goes: its connections taken, drained, or taken from a thread that is stuck; and comes back. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "worker/state.h"

enum {
	RETRY_MS = 2,
	GRACE_MS = 100,   /* for the replacement of a stalled worker to start; then the others take its connections */
	ROOM_MS = 5000,   /* then an operator is told what a start waits for */
	LINE_SHOWN = 120, /* bytes of a request's line, in the log */
};

static uint64_t now_ms(void)
{
	return uv_hrtime() / 1000000;
}

static void on_retry(uv_timer_t *timer);

static void keep_trying(struct fleet *fleet)
{
	if (!uv_is_active((uv_handle_t *)&fleet->retry))
		uv_timer_start(&fleet->retry, on_retry, RETRY_MS, RETRY_MS);
}

/* Its connections, if its lock can be had. */
static bool take(struct fleet *fleet, struct incarnation_loss *loss)
{
	struct worker *worker = incarnation_owner(loss->incarnation);
	struct fleet_order *order = loss->order;

	if (!mover_take_all(fleet->mover, worker, loss->incarnation, loss->reason, &loss->moved))
		return false;
	incarnation_wake(loss->incarnation);
	fleet_tell(fleet,
		&(struct fleet_event){ .kind = FLEET_REHOMED,
			.worker = worker,
			.state = worker_state(worker),
			.reason = (enum metrics_rehomed)loss->reason,
			.count = loss->moved });
	loss->order = NULL;
	if (order && --order->victims == 0)
		orders_finish(fleet, order);
	return true;
}

void loss_begin(
	struct worker *worker, struct incarnation *incarnation, enum metrics_rehomed reason, struct fleet_order *order)
{
	struct fleet *fleet = worker->fleet;
	struct incarnation_loss *loss = incarnation_loss(incarnation);

	loss->incarnation = incarnation;
	loss->order = order;
	loss->reason = reason;
	sweep_drop(&fleet->sweep, incarnation_service(incarnation));
	incarnation_ask_to_leave(incarnation);
	if (take(fleet, loss))
		return;
	list_push(&fleet->taking, &loss->node);
	keep_trying(fleet);
}

void loss_try_all(struct fleet *fleet)
{
	struct list later;
	struct list_node *node;

	list_init(&later);
	while ((node = list_pop(&fleet->taking)))
		if (!take(fleet, list_entry(node, struct incarnation_loss, node)))
			list_push(&later, node);
	list_splice(&fleet->taking, &later);
}

void loss_ended(struct worker *worker, struct incarnation *incarnation)
{
	struct fleet *fleet = worker->fleet;

	loss_try_all(fleet);
	if (incarnation_loss(incarnation)->abandoned)
		fleet->abandoned--;
	/* It could not be replaced while it was stuck. */
	if (worker_state(worker) == STATE_STALLED && !worker->now && !fleet->stopping)
		loss_restart_later(worker, RESTART_STALL);
}

/* ---- coming back ---- */

static void give_up(struct worker *worker, const char *why)
{
	(void)fleet_enter(worker, STATE_FAILED);
	log_error("a worker is not started again", "worker=%s reason=\"%s\" remedy=\"rmsctl revive-worker %s\"",
		worker->name, why, worker->name);
	orders_refuse_waiting(worker, "failed and is not started again");
}

void loss_restart_later(struct worker *worker, enum metrics_restart why)
{
	struct fleet *fleet = worker->fleet;
	uint64_t now = now_ms();
	int delay;

	if (fleet->stopping)
		return;
	if (fleet->set.conf->restart == RESTART_NEVER) {
		give_up(worker, "restart: never");
		return;
	}
	delay = restart_after(&worker->restart, now, worker->up_ms ? now - worker->up_ms : 0);
	if (delay == RESTART_GIVE_UP) {
		give_up(worker, "it failed too often in a minute");
		return;
	}
	worker->start_at_ms = now + (uint64_t)delay;
	worker->start_why = why;
	log_warn("a worker will be started again", "worker=%s in_ms=%d", worker->name, delay);
}

int loss_start_now(struct worker *worker, enum metrics_restart why)
{
	if (fleet_has_room(worker->fleet))
		return fleet_start_again(worker, why);
	worker->start_at_ms = now_ms();
	worker->start_why = why;
	return 0;
}

static void start_if_due(struct worker *worker)
{
	uint64_t now = now_ms();

	if (!worker->start_at_ms || worker->start_at_ms > now)
		return;
	if (!fleet_has_room(worker->fleet)) {
		if (now - worker->start_at_ms > ROOM_MS)
			orders_refuse_waiting(worker, "waits for the threads of lost workers to end");
		return;
	}
	worker->start_at_ms = 0;
	if (fleet_start_again(worker, (enum metrics_restart)worker->start_why) < 0)
		loss_restart_later(worker, (enum metrics_restart)worker->start_why);
}

void loss_start_due(struct fleet *fleet)
{
	for (unsigned i = 0; i < fleet->n_workers && !fleet->stopping; i++)
		start_if_due(&fleet->workers[i]);
}

/* ---- draining ---- */

void loss_drain(struct worker *worker, uint64_t timeout_ms, bool again)
{
	struct service *service = incarnation_service(worker->now);

	worker->drain_until_ms = now_ms() + timeout_ms;
	worker->drain_again = again;
	(void)fleet_enter(worker, STATE_DRAINING);
	atomic_store_explicit(&service->draining, true, memory_order_relaxed);
	service_wake(service);
	keep_trying(worker->fleet);
}

void loss_end_drain(struct worker *worker)
{
	if (worker_state(worker) != STATE_DRAINING)
		return;
	worker->drain_again = false;
	atomic_store_explicit(&incarnation_service(worker->now)->draining, false, memory_order_relaxed);
	mover_end_shed(worker);
}

/* It has nothing any more, or what it has is taken now. */
static void end_drained(struct worker *worker, enum metrics_rehomed reason)
{
	struct incarnation *incarnation = worker->now;
	bool again = worker->drain_again;

	loss_end_drain(worker);
	worker->now = NULL;
	(void)fleet_enter(worker, STATE_DOWN);
	loss_begin(worker, incarnation, reason, NULL);
	orders_finish_draining(worker);
	if (again && fleet_start_again(worker, RESTART_RESTART) < 0)
		loss_restart_later(worker, RESTART_RESTART);
}

static void go_on_draining(struct worker *worker)
{
	struct fleet *fleet = worker->fleet;
	int64_t left = worker_load(worker);

	if (left <= 0) {
		end_drained(worker, REHOMED_DRAIN);
	} else if (now_ms() >= worker->drain_until_ms) {
		log_warn("a drain has run out of time: the rest is taken", "worker=%s connections=%lld", worker->name,
			(long long)left);
		end_drained(worker, REHOMED_DRAIN);
	} else if (fleet_up(fleet)) {
		mover_shed(fleet->mover, worker, NULL, UINT32_MAX, REHOMED_DRAIN);
	}
}

static void on_retry(uv_timer_t *timer)
{
	struct fleet *fleet = timer->data;
	bool draining = false;

	loss_try_all(fleet);
	for (unsigned i = 0; i < fleet->n_workers && !fleet->stopping; i++) {
		struct worker *worker = &fleet->workers[i];

		if (worker_state(worker) == STATE_DRAINING)
			go_on_draining(worker);
		draining |= worker_state(worker) == STATE_DRAINING;
	}
	if (list_empty(&fleet->taking) && !draining)
		uv_timer_stop(timer);
}

/* ---- stalls ---- */

/* The line of the request whose handler runs, quoted. */
static const char *running_line(struct fleet *fleet, struct incarnation *incarnation, char *buf, size_t size)
{
	struct service *service = incarnation_service(incarnation);
	struct slots *slots = fleet->set.slots;

	snprintf(buf, size, "-");
	if (!owner_try(&service->owner)) {
		owner_give_up(&service->owner);
		return buf;
	}
	for (int fd = 0; fd < slots_end(slots); fd++) {
		const struct slot *slot = slots_at(slots, fd);

		if (slot_owner(slot) == service->owner.id && slot->request && !slot->deferred) {
			const char *line = slot->in + slot->in_off;
			const char *end = memchr(line, '\r', slot->in_len - slot->in_off);

			log_quote(buf, size, line, end ? (size_t)(end - line) : slot->in_len - slot->in_off);
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
	worker->stuck_ms = now_ms();
	return true;
}

static void abandon(struct worker *worker)
{
	struct incarnation *stuck = worker->now;

	worker->now = NULL;
	incarnation_loss(stuck)->abandoned = true;
	worker->fleet->abandoned++;
	loss_begin(worker, stuck, REHOMED_STALL, NULL);
}

static void stall(struct worker *worker)
{
	struct fleet *fleet = worker->fleet;
	char line[LINE_SHOWN];

	log_error("a worker is stalled", "worker=%s for_ms=%llu cpu_ms=%llu request=%s", worker->name,
		(unsigned long long)(worker->watch.silent_ns / 1000000),
		(unsigned long long)(worker->watch.worked_ns / 1000000),
		running_line(fleet, worker->now, line, sizeof(line)));
	if (worker_state(worker) == STATE_DRAINING) {
		incarnation_loss(worker->now)->abandoned = true;
		fleet->abandoned++;
		end_drained(worker, REHOMED_STALL);
		return;
	}
	(void)fleet_enter(worker, STATE_STALLED);
	if (replace(worker))
		return;
	if (fleet->set.conf->restart == RESTART_NEVER && fleet_up(fleet)) {
		abandon(worker);
		give_up(worker, "restart: never");
	} else {
		log_error("a stalled worker is not replaced", "worker=%s stuck_threads=%u", worker->name,
			fleet->abandoned);
		if (fleet_up(fleet))
			abandon(worker);
	}
}

/* A stalled worker that keeps its connections, since nobody else could take them. */
static void look_again(struct worker *worker, bool stalled)
{
	if (!worker->watch.silent) {
		log_warn("a stalled worker goes on by itself", "worker=%s", worker->name);
		(void)fleet_enter(worker, STATE_UP);
	} else if (stalled && !replace(worker) && fleet_up(worker->fleet)) {
		abandon(worker);
	}
}

static void look_at(struct worker *worker, uint64_t span_ns, bool late)
{
	struct fleet *fleet = worker->fleet;
	bool stalled;

	start_if_due(worker);
	if (worker->stuck && now_ms() - worker->stuck_ms >= GRACE_MS && fleet_up(fleet)) {
		struct incarnation *stuck = worker->stuck;

		worker->stuck = NULL;
		loss_begin(worker, stuck, REHOMED_STALL, NULL);
	}
	if (!worker->now || !worker->started)
		return;
	stalled = watchdog_look(&worker->watch, worker->now, span_ns, late, fleet->set.conf->stall_timeout * 1000000);
	metrics_set(worker->control, METRIC_loop_lag,
		atomic_load_explicit(&incarnation_service(worker->now)->lag_ns, memory_order_relaxed));
	if (worker_state(worker) == STATE_STALLED)
		look_again(worker, stalled);
	else if (stalled)
		stall(worker);
}

static void on_watch(uv_timer_t *timer)
{
	struct fleet *fleet = timer->data;
	uint64_t now_ns = uv_hrtime(), span_ns = now_ns - fleet->looked_ns;
	bool late = watchdog_is_late(span_ns, uv_timer_get_repeat(timer));
	bool stuck = false;

	fleet->looked_ns = now_ns;
	if (fleet->stopping)
		return;
	for (unsigned i = 0; i < fleet->n_workers; i++) {
		struct worker *worker = &fleet->workers[i];

		look_at(worker, span_ns, late);
		stuck |= worker_state(worker) == STATE_STALLED && fleet->abandoned >= fleet->n_workers;
	}
	atomic_store_explicit(&fleet->stuck, stuck, memory_order_relaxed);
}

void loss_start_watching(struct fleet *fleet)
{
	uint64_t period = watchdog_period_ms(fleet->set.conf->stall_timeout);

	fleet->looked_ns = uv_hrtime();
	uv_timer_start(&fleet->watch, on_watch, period, period);
}
