/* loss.c - how a worker goes, its connections taken at once; and how it comes back without being asked to. */
#include "base/log.h"
#include "worker/state.h"

enum {
	RETRY_MS = 2,
	HELD_MS = 1000, /* then an operator is told that connections cannot be taken */
	ROOM_MS = 5000, /* then an operator is told what a start waits for */
};

static void on_retry(uv_timer_t *timer)
{
	struct fleet *fleet = timer->data;
	bool draining;

	loss_try_all(fleet);
	draining = drain_go_on(fleet);
	if (list_empty(&fleet->taking) && !draining)
		uv_timer_stop(timer);
}

void loss_keep_trying(struct fleet *fleet)
{
	if (!uv_is_active((uv_handle_t *)&fleet->retry))
		uv_timer_start(&fleet->retry, on_retry, RETRY_MS, RETRY_MS);
}

/* Its connections, if its lock can be had. */
static bool take(struct fleet *fleet, struct incarnation_loss *loss)
{
	struct worker *worker = incarnation_owner(loss->incarnation);
	struct fleet_order *order = loss->order;
	unsigned moved;

	if (!mover_take_all(fleet->mover, worker, loss->incarnation, loss->reason, &loss->moved))
		return false;
	incarnation_wake(loss->incarnation);
	/* A drain has moved the most of them before. */
	moved = loss->reason == REHOMED_DRAIN ? (unsigned)(worker->moved_away - worker->drain_moved) : loss->moved;
	fleet_tell(fleet,
		&(struct fleet_event){ .kind = FLEET_REHOMED,
			.worker = worker,
			.state = worker_state(worker),
			.reason = (enum metrics_rehomed)loss->reason,
			.count = moved });
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
	loss->since_ms = fleet_now_ms();
	sweep_drop(&fleet->sweep, incarnation_service(incarnation));
	incarnation_ask_to_leave(incarnation);
	if (take(fleet, loss))
		return;
	list_push(&fleet->taking, &loss->node);
	loss_keep_trying(fleet);
}

/* A thread that the kernel does not let go on, in the middle of an event: what it has in its hands cannot be moved. */
static void tell_held(struct incarnation_loss *loss)
{
	const struct worker *worker = incarnation_owner(loss->incarnation);

	if (loss->told || fleet_now_ms() - loss->since_ms < HELD_MS)
		return;
	loss->told = true;
	log_warn("the connections of a lost worker cannot be taken yet: its thread is stuck with their lock",
		"worker=%s", worker->name);
}

void loss_try_all(struct fleet *fleet)
{
	struct list later;
	struct list_node *node;

	list_init(&later);
	while ((node = list_pop(&fleet->taking))) {
		struct incarnation_loss *loss = list_entry(node, struct incarnation_loss, node);

		if (take(fleet, loss))
			continue;
		tell_held(loss);
		list_push(&later, node);
	}
	list_splice(&fleet->taking, &later);
}

void loss_ended(struct worker *worker, struct incarnation *incarnation)
{
	struct fleet *fleet = worker->fleet;

	loss_try_all(fleet);
	if (incarnation_loss(incarnation)->abandoned)
		fleet->abandoned--;
	/* It could not be replaced while it was stuck. */
	if (worker_state(worker) == STATE_STALLED && !worker->now && !fleet->stopping &&
		loss_start_now(worker, RESTART_STALL) < 0)
		loss_restart_later(worker, RESTART_STALL);
}

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
	uint64_t now = fleet_now_ms();
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
	worker->start_at_ms = fleet_now_ms();
	worker->start_why = why;
	return 0;
}

static void start_if_due(struct worker *worker)
{
	uint64_t now = fleet_now_ms();

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
