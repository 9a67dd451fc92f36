/* fleet.c - what happens to a worker, and who is told. */
#include "worker/fleet.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "worker/evict.h"
#include "worker/state.h"

unsigned fleet_size(const struct fleet *fleet)
{
	return fleet->n_workers;
}

struct worker *fleet_worker(struct fleet *fleet, unsigned index)
{
	return &fleet->workers[index];
}

uint64_t fleet_generation(const struct fleet *fleet)
{
	return atomic_load_explicit(&fleet->generation, memory_order_relaxed);
}

int64_t worker_load(const struct worker *worker)
{
	struct service *service;

	if (!worker->now)
		return 0;
	service = incarnation_service(worker->now);
	return service->given + (int64_t)metrics_get(service->set.shard, METRIC_connections);
}

static uint64_t unix_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void fleet_tell(struct fleet *fleet, struct fleet_event *event)
{
	event->time_ns = uv_hrtime();
	event->generation = fleet_generation(fleet);
	fleet->set.hooks.event(fleet->set.hooks.arg, event);
}

void fleet_tell_even(struct fleet *fleet)
{
	fleet_tell(fleet, &(struct fleet_event){ .kind = FLEET_EVEN });
}

struct worker *fleet_pick(struct fleet *fleet, int fd)
{
	return fleet->set.hooks.pick(fleet->set.hooks.arg, fd);
}

unsigned fleet_up(const struct fleet *fleet)
{
	unsigned up = 0;

	for (unsigned i = 0; i < fleet->n_workers; i++)
		up += worker_state(&fleet->workers[i]) == STATE_UP;
	return up;
}

int fleet_enter(struct worker *worker, enum metrics_state state)
{
	struct fleet *fleet = worker->fleet;
	enum metrics_state old = worker_state(worker);
	int err = 0;

	if (old == state)
		return 0;
	/* Who reads the state finds the port as the state says. */
	if ((state == STATE_UP) != (old == STATE_UP))
		err = fleet->set.hooks.port(fleet->set.hooks.arg, worker, state == STATE_UP);
	atomic_store_explicit(&worker->since_ms, unix_ms(), memory_order_relaxed);
	atomic_store_explicit(&worker->state, (int)state, memory_order_release);
	metrics_set(worker->control, METRIC_worker_state + (unsigned)old, 0);
	metrics_set(worker->control, METRIC_worker_state + (unsigned)state, 1);
	metrics_set(worker->control, METRIC_worker_up, state == STATE_UP);
	atomic_fetch_add_explicit(&fleet->generation, 1, memory_order_relaxed);
	log_info("a worker changed state", "worker=%s state=%s was=%s", worker->name, metrics_state_names[state],
		metrics_state_names[old]);
	fleet_tell(fleet, &(struct fleet_event){ .kind = FLEET_STATE, .worker = worker, .state = state, .was = old });
	return err;
}

static void on_release(struct service *service, int fd)
{
	struct worker *worker = service->set.arg;

	mover_release(worker->fleet->mover, fd);
}

int fleet_spawn(struct worker *worker)
{
	struct fleet *fleet = worker->fleet;
	struct incarnation_setup setup = {
		.conf = fleet->set.conf,
		.slots = fleet->set.slots,
		.app = fleet->set.app,
		.faults = fleet->set.faults,
		.access_log = fleet->set.access_log,
		.name = worker->name,
		.batch = true,
		.control = &fleet->news,
		.owner = worker,
		.release = on_release,
	};
	int err;

	memcpy(setup.routers, fleet->set.routers, sizeof(setup.routers));
	err = incarnation_start(&setup, &worker->now);
	if (err < 0) {
		log_error(
			"a worker's thread could not be started", "worker=%s error=%s", worker->name, uv_err_name(err));
		return err;
	}
	metrics_attach(fleet->set.metrics, worker->index, incarnation_shard(worker->now));
	sweep_add(&fleet->sweep, incarnation_service(worker->now));
	fleet->running++;
	worker->started = false;
	worker->up_ms = 0;
	return 0;
}

int fleet_start_again(struct worker *worker, enum metrics_restart why)
{
	int err = fleet_spawn(worker);

	if (err < 0)
		return err;
	worker->start_at_ms = 0;
	atomic_fetch_add_explicit(&worker->restarts, 1, memory_order_relaxed);
	metrics_add(worker->control, METRIC_restarts + (unsigned)why, 1);
	/* A stalled one stays so until its replacement is there. */
	if (worker_state(worker) != STATE_STALLED)
		(void)fleet_enter(worker, STATE_STARTING);
	return 0;
}

bool fleet_has_room(const struct fleet *fleet)
{
	unsigned serving = 0;

	for (unsigned i = 0; i < fleet->n_workers; i++)
		serving += fleet->workers[i].now != NULL;
	return fleet->running - serving < fleet->n_workers + FLEET_ENDING_MAX;
}

bool fleet_is_stuck(const struct fleet *fleet)
{
	return atomic_load_explicit(&fleet->stuck, memory_order_relaxed);
}

void fleet_serve(struct worker *worker)
{
	struct fleet *fleet = worker->fleet;

	if (fleet_enter(worker, STATE_UP) < 0)
		orders_refuse_waiting(worker, "is up, but its own port does not listen: somebody else has it");
	mover_give_waiting(fleet->mover);
	level_welcome(&fleet->level, worker);
	orders_finish_waiting(worker);
}

static void on_started(struct worker *worker, struct incarnation *incarnation)
{
	struct incarnation *stuck = worker->stuck;

	if (worker->now != incarnation)
		return;
	worker->started = true;
	worker->stuck = NULL;
	worker->up_ms = fleet_now_ms();
	fleet_serve(worker);
	if (stuck)
		loss_begin(worker, stuck, REHOMED_STALL, NULL);
}

/* Its app did not start, or has stopped its loop. */
static void on_failed(struct worker *worker, struct incarnation *incarnation)
{
	struct incarnation *stuck = worker->stuck;
	bool started = worker->started;
	/* An operator wants it down: that it fails on its way there changes nothing. */
	bool drained = worker_state(worker) == STATE_DRAINING && !worker->drain_again;

	/* Or else its connections are being taken already. */
	if (worker->now != incarnation)
		return;
	log_error("a worker failed", "worker=%s reason=\"%s\"", worker->name,
		started ? "its app stopped its loop" : "its app's start() refused");
	drain_end(worker);
	worker->now = worker->stuck = NULL;
	(void)fleet_enter(worker, STATE_DOWN);
	loss_begin(worker, incarnation, REHOMED_FAILURE, NULL);
	if (stuck)
		loss_begin(worker, stuck, REHOMED_STALL, NULL);
	orders_finish_draining(worker);
	orders_refuse_waiting(worker, started ? "failed before it was up" : "did not start: the app's start() refused");
	if (!drained)
		loss_restart_later(worker, RESTART_FAILURE);
}

static void on_ended(struct worker *worker, struct incarnation *incarnation)
{
	struct fleet *fleet = worker->fleet;
	struct slots *slots = fleet->set.slots;

	/* It may have seen that it is to leave before its slots were taken. Nobody has its lock any more. */
	loss_ended(worker, incarnation);
	for (int fd = 0; fd < slots_end(slots); fd++)
		assert(slot_owner(slots_at(slots, fd)) != incarnation_service(incarnation)->owner.id);
	incarnation_join(incarnation);
	mover_ended(fleet->mover, incarnation);
	metrics_detach(fleet->set.metrics, worker->index, incarnation_shard(incarnation));
	if (worker->put_to_sleep == incarnation)
		worker->put_to_sleep = NULL;
	incarnation_free(incarnation);
	fleet->running--;
	loss_start_due(fleet);
}

static void on_news(struct mail *mail, void *arg)
{
	struct incarnation_mail *news = list_entry(mail, struct incarnation_mail, mail);
	struct worker *worker = incarnation_owner(news->incarnation);

	(void)arg;
	switch (news->news) {
	case INCARNATION_STARTED: on_started(worker, news->incarnation); break;
	case INCARNATION_FAILED: on_failed(worker, news->incarnation); break;
	case INCARNATION_ENDED: on_ended(worker, news->incarnation); break;
	}
}

static void init_worker(struct fleet *fleet, unsigned index)
{
	struct worker *worker = &fleet->workers[index];
	const struct conf *conf = fleet->set.conf;

	worker->fleet = fleet;
	worker->index = index;
	worker->weight = conf_worker_weight(conf, index);
	conf_worker_name(conf, index, worker->name, sizeof(worker->name));
	worker->control = metrics_control_shard(fleet->set.metrics, index);
	list_init(&worker->waiting);
	list_init(&worker->draining);
	atomic_init(&worker->state, STATE_DOWN);
	atomic_init(&worker->since_ms, unix_ms());
	metrics_set(worker->control, METRIC_worker_state + STATE_DOWN, 1);
}

int fleet_create(const struct fleet_setup *setup, struct pulse *pulse, struct fleet **out)
{
	uv_loop_t *loop = pulse->loop;
	unsigned n = setup->conf->workers;
	struct fleet *fleet = calloc(1, sizeof(*fleet) + n * sizeof(fleet->workers[0]));
	int err;

	if (!fleet)
		return UV_ENOMEM;
	fleet->set = *setup;
	fleet->loop = loop;
	fleet->n_workers = n;
	list_init(&fleet->taking);
	err = mover_create(fleet, setup, level_receiver, &fleet->level, loop, &fleet->mover);
	if (err < 0)
		goto free_fleet;
	err = mailbox_init(&fleet->orders, loop, orders_take, fleet);
	if (err < 0)
		goto close_mover;
	err = mailbox_init(&fleet->news, loop, on_news, fleet);
	if (err < 0)
		goto close_orders;
	for (unsigned i = 0; i < n; i++)
		init_worker(fleet, i);
	uv_timer_init(loop, &fleet->retry);
	fleet->retry.data = fleet;
	stall_init(fleet, pulse);
	level_start(&fleet->level, fleet, fleet->mover, setup->conf, pulse);
	sweep_start(&fleet->sweep, setup->slots, fleet->mover, pulse);
	*out = fleet;
	return 0;
close_orders:
	mailbox_close(&fleet->orders, NULL);
close_mover:
	mover_close(fleet->mover);
	uv_run(loop, UV_RUN_NOWAIT);
	mover_destroy(fleet->mover);
free_fleet:
	free(fleet);
	return err;
}

int fleet_start(struct fleet *fleet)
{
	for (unsigned i = 0; i < fleet->n_workers; i++) {
		int err = fleet_spawn(&fleet->workers[i]);

		if (err < 0)
			return err;
		(void)fleet_enter(&fleet->workers[i], STATE_STARTING);
	}
	stall_start_watching(fleet);
	return 0;
}

int fleet_post(struct fleet *fleet, struct fleet_order *order)
{
	return mailbox_post(&fleet->orders, &order->mail);
}

void fleet_give(struct fleet *fleet, struct worker *worker, int fd)
{
	if (mover_give(fleet->mover, worker, fd, false))
		metrics_add(worker->control, METRIC_connections_accepted, 1);
}

void fleet_watch(struct fleet *fleet, struct service *service)
{
	sweep_add(&fleet->sweep, service);
}

void fleet_close_idle(struct fleet *fleet)
{
	fleet->stopping = true;
	level_end(&fleet->level);
	for (unsigned i = 0; i < fleet->n_workers; i++) {
		struct service *service;

		if (!fleet->workers[i].now)
			continue;
		service = incarnation_service(fleet->workers[i].now);
		atomic_store_explicit(&service->closing, true, memory_order_relaxed);
		service_wake(service);
	}
}

unsigned fleet_evict(struct fleet *fleet, unsigned roles, unsigned most)
{
	return evict_idle(&fleet->sweep, roles, fleet->set.conf->keepalive_timeout, most);
}

int64_t fleet_connections(const struct fleet *fleet)
{
	int64_t n = mover_parked(fleet->mover);

	for (unsigned i = 0; i < fleet->n_workers; i++)
		n += worker_load(&fleet->workers[i]);
	return n;
}

static bool is_at_rest(const struct worker *worker)
{
	enum metrics_state state = worker_state(worker);

	return !worker->stuck && !worker->start_at_ms && !worker->watch.unanswered &&
		(state == STATE_UP || state == STATE_DOWN || state == STATE_FAILED);
}

bool fleet_is_calm(const struct fleet *fleet)
{
	if (fleet_connections(fleet) > 0 || !list_empty(&fleet->taking))
		return false;
	for (unsigned i = 0; i < fleet->n_workers; i++)
		if (!is_at_rest(&fleet->workers[i]))
			return false;
	return true;
}

/* A lock that stays busy belongs to a thread that the process will not wait for either: false. */
static bool stop(struct worker *worker, struct incarnation *incarnation, unsigned *cut)
{
	if (!mover_close_all(worker->fleet->mover, worker, incarnation, cut))
		return false;
	sweep_drop(&worker->fleet->sweep, incarnation_service(incarnation));
	incarnation_ask_to_leave(incarnation);
	incarnation_wake(incarnation);
	return true;
}

void fleet_stop(struct fleet *fleet, unsigned *cut)
{
	for (unsigned i = 0; i < fleet->n_workers; i++) {
		struct worker *worker = &fleet->workers[i];

		orders_refuse_waiting(worker, "was not started: rmsd is shutting down");
		if (worker->stuck && stop(worker, worker->stuck, cut))
			worker->stuck = NULL;
		if (!worker->now || !stop(worker, worker->now, cut))
			continue;
		worker->now = NULL;
		(void)fleet_enter(worker, STATE_DOWN);
		orders_finish_draining(worker);
	}
}

unsigned fleet_running(const struct fleet *fleet)
{
	return fleet->running;
}

void fleet_close(struct fleet *fleet)
{
	mailbox_close(&fleet->orders, NULL);
	mailbox_close(&fleet->news, NULL);
	mover_close(fleet->mover);
	level_close(&fleet->level);
	sweep_close(&fleet->sweep);
	uv_close((uv_handle_t *)&fleet->retry, NULL);
	beat_close(&fleet->watch);
}

void fleet_destroy(struct fleet *fleet)
{
	if (!fleet)
		return;
	mover_destroy(fleet->mover);
	free(fleet);
}
