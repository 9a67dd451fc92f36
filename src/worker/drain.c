/* drain.c - how a worker goes when there is time: its connections leave it as they come to rest. */
#include "base/log.h"
#include "worker/state.h"

void drain_begin(struct worker *worker, uint64_t timeout_ms, bool again)
{
	struct service *service = incarnation_service(worker->now);

	worker->drain_until_ms = fleet_now_ms() + timeout_ms;
	worker->drain_again = again;
	worker->drain_moved = worker->moved_away;
	(void)fleet_enter(worker, STATE_DRAINING);
	worker->drain_alone = !fleet_up(worker->fleet);
	atomic_store_explicit(&service->draining, true, memory_order_relaxed);
	service_wake(service);
	loss_keep_trying(worker->fleet);
}

void drain_hasten(struct worker *worker, uint64_t timeout_ms)
{
	uint64_t until_ms = fleet_now_ms() + timeout_ms;

	worker->drain_again = false;
	if (until_ms < worker->drain_until_ms)
		worker->drain_until_ms = until_ms;
}

void drain_end(struct worker *worker)
{
	if (worker_state(worker) != STATE_DRAINING)
		return;
	worker->drain_again = false;
	atomic_store_explicit(&incarnation_service(worker->now)->draining, false, memory_order_relaxed);
	mover_end_shed(worker);
}

void drain_finish(struct worker *worker, enum metrics_rehomed reason)
{
	struct incarnation *incarnation = worker->now;
	bool again = worker->drain_again;

	drain_end(worker);
	worker->now = NULL;
	(void)fleet_enter(worker, STATE_DOWN);
	loss_begin(worker, incarnation, reason, NULL);
	orders_finish_draining(worker);
	if (again && loss_start_now(worker, RESTART_RESTART) < 0)
		loss_restart_later(worker, RESTART_RESTART);
}

static void go_on(struct worker *worker)
{
	struct fleet *fleet = worker->fleet;
	int64_t left = worker_load(worker);

	if (left <= 0 && !mover_has_released(fleet->mover)) {
		drain_finish(worker, REHOMED_DRAIN);
	} else if (fleet_now_ms() >= worker->drain_until_ms) {
		log_warn("a drain has run out of time: the rest is taken", "worker=%s connections=%lld", worker->name,
			(long long)left);
		drain_finish(worker, REHOMED_DRAIN);
	} else if (fleet_up(fleet) || worker->drain_alone) {
		mover_shed(fleet->mover, worker, NULL, UINT32_MAX, REHOMED_DRAIN);
	}
}

bool drain_go_on(struct fleet *fleet)
{
	bool draining = false;

	for (unsigned i = 0; i < fleet->n_workers && !fleet->stopping; i++) {
		struct worker *worker = &fleet->workers[i];

		if (worker_state(worker) == STATE_DRAINING)
			go_on(worker);
		draining |= worker_state(worker) == STATE_DRAINING;
	}
	return draining;
}
