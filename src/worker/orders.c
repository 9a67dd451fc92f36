/* orders.c - what an operator may ask of a worker: done, refused with a reason, or the case already. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "worker/state.h"

void orders_finish(struct fleet *fleet, struct fleet_order *order)
{
	if (order->verb != FLEET_SHUTDOWN) {
		const struct worker *worker = &fleet->workers[order->worker];

		order->state = (int)worker_state(worker);
		order->rehomed = (unsigned)(worker->moved_away - order->moved_before);
		order->cut = (unsigned)(worker->cut_off - order->cut_before);
	}
	order->generation = fleet_generation(fleet);
	order->duration_ns = uv_hrtime() - order->begun_ns;
	order->done(order);
}

void orders_refuse(struct fleet *fleet, struct fleet_order *order, int status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(order->error, sizeof(order->error), format, args);
	va_end(args);
	order->status = status;
	orders_finish(fleet, order);
}

static void refuse_all(struct worker *worker, struct list *orders, const char *why)
{
	struct list_node *node;

	while ((node = list_pop(orders)))
		orders_refuse(
			worker->fleet, list_entry(node, struct fleet_order, node), 409, "%s %s", worker->name, why);
}

static void finish_all(struct worker *worker, struct list *orders)
{
	struct list_node *node;

	while ((node = list_pop(orders)))
		orders_finish(worker->fleet, list_entry(node, struct fleet_order, node));
}

void orders_refuse_waiting(struct worker *worker, const char *why)
{
	refuse_all(worker, &worker->waiting, why);
}

void orders_refuse_draining(struct worker *worker, const char *why)
{
	refuse_all(worker, &worker->draining, why);
}

void orders_finish_waiting(struct worker *worker)
{
	finish_all(worker, &worker->waiting);
}

void orders_finish_draining(struct worker *worker)
{
	finish_all(worker, &worker->draining);
}

/* Whether the order would take down the last worker up, and nobody said that it may. */
static bool is_guarded(struct fleet *fleet, struct fleet_order *order)
{
	struct worker *worker = &fleet->workers[order->worker];

	if (order->force || worker_state(worker) != STATE_UP || fleet_up(fleet) > 1)
		return false;
	orders_refuse(fleet, order, 409, "%s is the last worker up: --force takes it down all the same", worker->name);
	return true;
}

static void kill_worker(struct fleet *fleet, struct fleet_order *order)
{
	struct worker *worker = &fleet->workers[order->worker];
	struct incarnation *now = worker->now, *stuck = worker->stuck;

	if (is_guarded(fleet, order))
		return;
	order->changed = worker_state(worker) != STATE_DOWN || worker->start_at_ms;
	drain_end(worker);
	worker->start_at_ms = 0;
	worker->now = worker->stuck = NULL;
	/* Before the orders that waited hear of it: they are told the state that holds. */
	(void)fleet_enter(worker, STATE_DOWN);
	orders_refuse_waiting(worker, "was killed before it was up");
	orders_finish_draining(worker);
	order->victims = (now ? 1U : 0) + (stuck ? 1U : 0);
	if (!order->victims) {
		orders_finish(fleet, order);
		return;
	}
	if (stuck)
		loss_begin(worker, stuck, REHOMED_KILL, order);
	if (now)
		loss_begin(worker, now, REHOMED_KILL, order);
}

static void revive_worker(struct fleet *fleet, struct fleet_order *order, enum metrics_restart why)
{
	struct worker *worker = &fleet->workers[order->worker];
	int err;

	switch (worker_state(worker)) {
	case STATE_UP: orders_finish(fleet, order); return;
	case STATE_DRAINING:
		order->changed = true;
		drain_end(worker);
		orders_refuse_draining(worker, "was revived before it was down");
		orders_refuse_waiting(worker, "was revived before it was down");
		fleet_serve(worker);
		orders_finish(fleet, order);
		return;
	default: break;
	}
	if (!worker->now) {
		restart_forget(&worker->restart);
		err = loss_start_now(worker, why);
		if (err < 0) {
			orders_refuse(fleet, order, 500, "%s could not be started: %s", worker->name, uv_strerror(err));
			return;
		}
		order->changed = true;
	}
	list_push(&worker->waiting, &order->node);
}

static bool is_up(struct fleet *fleet, struct fleet_order *order)
{
	struct worker *worker = &fleet->workers[order->worker];

	if (worker_state(worker) == STATE_UP)
		return true;
	orders_refuse(fleet, order, 409, "%s is %s, not up", worker->name, metrics_state_names[worker_state(worker)]);
	return false;
}

static void drain_worker(struct fleet *fleet, struct fleet_order *order)
{
	struct worker *worker = &fleet->workers[order->worker];
	uint64_t timeout_ms = order->timeout_ms ? order->timeout_ms : FLEET_DRAIN_MS;

	switch (worker_state(worker)) {
	case STATE_DOWN:
	case STATE_FAILED:
		/* And it stays so. */
		order->changed = worker->start_at_ms != 0;
		worker->start_at_ms = 0;
		orders_refuse_waiting(worker, "was drained before it was up");
		break;
	case STATE_DRAINING:
		order->changed = worker->drain_again;
		drain_hasten(worker, timeout_ms);
		orders_refuse_waiting(worker, "was drained, and is not started again");
		break;
	default:
		if (is_guarded(fleet, order) || !is_up(fleet, order))
			return;
		order->changed = true;
		drain_begin(worker, timeout_ms, false);
	}
	if (order->wait && worker_state(worker) == STATE_DRAINING)
		list_push(&worker->draining, &order->node);
	else
		orders_finish(fleet, order);
}

static void restart_worker(struct fleet *fleet, struct fleet_order *order)
{
	struct worker *worker = &fleet->workers[order->worker];
	enum metrics_state state = worker_state(worker);

	if (state == STATE_DOWN || state == STATE_FAILED) {
		revive_worker(fleet, order, RESTART_RESTART);
		return;
	}
	if (is_guarded(fleet, order) || !is_up(fleet, order))
		return;
	order->changed = true;
	list_push(&worker->waiting, &order->node);
	drain_begin(worker, order->timeout_ms ? order->timeout_ms : FLEET_DRAIN_MS, true);
}

static void stall_worker(struct fleet *fleet, struct fleet_order *order)
{
	struct worker *worker = &fleet->workers[order->worker];

	if (fleet->set.conf->faults != FLAG_ON) {
		orders_refuse(fleet, order, 409, "faults are off: set faults: on in rmsd.conf, or -o faults=on");
		return;
	}
	if (!order->for_ms) {
		if (worker->put_to_sleep)
			service_stall(incarnation_service(worker->put_to_sleep), 0);
		orders_finish(fleet, order);
		return;
	}
	if (is_guarded(fleet, order) || !is_up(fleet, order))
		return;
	order->changed = true;
	worker->put_to_sleep = worker->now;
	service_stall(incarnation_service(worker->now), order->for_ms);
	service_ping(incarnation_service(worker->now)); /* else it would be missed first when it is next looked at */
	fleet_rouse(fleet);
	orders_finish(fleet, order);
}

void orders_take(struct mail *mail, void *owner)
{
	struct fleet *fleet = owner;
	struct fleet_order *order = list_entry(mail, struct fleet_order, mail);

	order->begun_ns = uv_hrtime();
	order->status = 200;
	order->error[0] = '\0';
	order->changed = false;
	order->rehomed = order->victims = 0;
	if (order->verb == FLEET_SHUTDOWN) {
		order->changed = !fleet->stopping;
		orders_finish(fleet, order);
		if (order->changed)
			fleet->set.hooks.shutdown(fleet->set.hooks.arg);
		return;
	}
	order->was = (int)worker_state(&fleet->workers[order->worker]);
	order->moved_before = fleet->workers[order->worker].moved_away;
	order->cut_before = fleet->workers[order->worker].cut_off;
	if (fleet->stopping) {
		orders_refuse(fleet, order, 409, "rmsd is shutting down");
		return;
	}
	if (order->if_generation && order->generation_wanted != fleet_generation(fleet)) {
		orders_refuse(fleet, order, 409, "the generation is %llu, not %llu: something has changed",
			(unsigned long long)fleet_generation(fleet), (unsigned long long)order->generation_wanted);
		return;
	}
	switch (order->verb) {
	case FLEET_KILL: kill_worker(fleet, order); break;
	case FLEET_REVIVE: revive_worker(fleet, order, RESTART_REVIVE); break;
	case FLEET_DRAIN: drain_worker(fleet, order); break;
	case FLEET_RESTART: restart_worker(fleet, order); break;
	case FLEET_STALL: stall_worker(fleet, order); break;
	case FLEET_SHUTDOWN: break;
	}
}
