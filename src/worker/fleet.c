/* fleet.c - what happens to a worker, and who is told. */
#include "worker/fleet.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "worker/level.h"
#include "worker/mover.h"
#include "worker/sweep.h"

enum { RETRY_MS = 1 };

struct fleet {
	struct fleet_setup set;
	uv_loop_t *loop;
	struct mailbox orders, news;
	struct mover *mover;
	struct level level;
	struct sweep sweep;
	uv_timer_t retry;   /* active while an order waits for a lock */
	struct list taking; /* orders whose victim still has its slots */
	unsigned running;   /* incarnations that have not ended */
	bool stopping;
	_Atomic uint64_t generation;
	unsigned n_workers;
	struct worker workers[];
};

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

static void tell(struct fleet *fleet, struct fleet_event *event)
{
	event->time_ns = uv_hrtime();
	event->generation = fleet_generation(fleet);
	fleet->set.hooks.event(fleet->set.hooks.arg, event);
}

void fleet_tell_even(struct fleet *fleet)
{
	tell(fleet, &(struct fleet_event){ .kind = FLEET_EVEN });
}

unsigned fleet_up(const struct fleet *fleet)
{
	unsigned up = 0;

	for (unsigned i = 0; i < fleet->n_workers; i++)
		up += worker_state(&fleet->workers[i]) == STATE_UP;
	return up;
}

/* Returns what came of its own port: 0, or a negative UV_ code if it should listen and does not. */
static int enter(struct worker *worker, enum metrics_state state)
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
	tell(fleet, &(struct fleet_event){ .kind = FLEET_STATE, .worker = worker, .state = state, .was = old });
	return err;
}

static void finish(struct fleet *fleet, struct fleet_order *order)
{
	if (order->verb != FLEET_SHUTDOWN)
		order->state = (int)worker_state(&fleet->workers[order->worker]);
	order->generation = fleet_generation(fleet);
	order->duration_ns = uv_hrtime() - order->begun_ns;
	order->done(order);
}

__attribute__((format(printf, 4, 5))) static void refuse(
	struct fleet *fleet, struct fleet_order *order, int status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(order->error, sizeof(order->error), format, args);
	va_end(args);
	order->status = status;
	finish(fleet, order);
}

static void refuse_waiting(struct worker *worker, const char *why)
{
	struct list_node *node;

	while ((node = list_pop(&worker->waiting)))
		refuse(worker->fleet, list_entry(node, struct fleet_order, node), 409, "%s %s", worker->name, why);
}

static void on_release(struct service *service, int fd)
{
	struct worker *worker = service->set.arg;

	mover_release(worker->fleet->mover, fd);
}

static int spawn(struct worker *worker)
{
	struct fleet *fleet = worker->fleet;
	struct incarnation_setup setup = {
		.conf = fleet->set.conf,
		.slots = fleet->set.slots,
		.app = fleet->set.app,
		.faults = fleet->set.faults,
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
	(void)enter(worker, STATE_STARTING);
	return 0;
}

/* The slots of the order's victim, if its lock can be had: then the order is done. */
static bool try_taking(struct fleet *fleet, struct fleet_order *order)
{
	struct worker *worker = &fleet->workers[order->worker];

	if (!mover_take_all(fleet->mover, worker, order->victim, REHOMED_KILL, &order->rehomed))
		return false;
	tell(fleet, &(struct fleet_event){ .kind = FLEET_REHOMED, .worker = worker, .count = order->rehomed });
	incarnation_wake(order->victim);
	order->victim = NULL;
	finish(fleet, order);
	return true;
}

static void try_all(struct fleet *fleet)
{
	struct list later;
	struct list_node *node;

	list_init(&later);
	while ((node = list_pop(&fleet->taking)))
		if (!try_taking(fleet, list_entry(node, struct fleet_order, node)))
			list_push(&later, node);
	list_splice(&fleet->taking, &later);
	if (list_empty(&fleet->taking))
		uv_timer_stop(&fleet->retry);
}

static void on_retry(uv_timer_t *timer)
{
	try_all(timer->data);
}

static void kill_worker(struct fleet *fleet, struct fleet_order *order)
{
	struct worker *worker = &fleet->workers[order->worker];
	struct incarnation *victim = worker->now;

	if (!victim) {
		order->changed = worker_state(worker) != STATE_DOWN;
		(void)enter(worker, STATE_DOWN);
		finish(fleet, order);
		return;
	}
	if (!order->force && worker_state(worker) == STATE_UP && fleet_up(fleet) == 1) {
		refuse(fleet, order, 409, "%s is the last worker up: --force takes it down all the same", worker->name);
		return;
	}
	order->changed = true;
	order->victim = victim;
	worker->now = NULL;
	sweep_drop(&fleet->sweep, incarnation_service(victim));
	incarnation_ask_to_leave(victim);
	(void)enter(worker, STATE_DOWN);
	refuse_waiting(worker, "was killed before it was up");
	if (!try_taking(fleet, order)) {
		list_push(&fleet->taking, &order->node);
		uv_timer_start(&fleet->retry, on_retry, RETRY_MS, RETRY_MS);
	}
}

static void revive_worker(struct fleet *fleet, struct fleet_order *order)
{
	struct worker *worker = &fleet->workers[order->worker];

	if (worker_state(worker) == STATE_UP) {
		finish(fleet, order);
		return;
	}
	if (!worker->now) {
		int err = spawn(worker);

		if (err < 0) {
			refuse(fleet, order, 500, "%s could not be started: %s", worker->name, uv_strerror(err));
			return;
		}
		order->changed = true;
		atomic_fetch_add_explicit(&worker->restarts, 1, memory_order_relaxed);
		metrics_add(worker->control, METRIC_restarts + RESTART_REVIVE, 1);
	}
	list_push(&worker->waiting, &order->node);
}

static void on_order(struct mail *mail, void *arg)
{
	struct fleet *fleet = arg;
	struct fleet_order *order = list_entry(mail, struct fleet_order, mail);

	order->begun_ns = uv_hrtime();
	order->status = 200;
	order->error[0] = '\0';
	order->changed = false;
	order->rehomed = 0;
	if (fleet->stopping && order->verb == FLEET_SHUTDOWN) {
		finish(fleet, order);
		return;
	}
	if (fleet->stopping) {
		refuse(fleet, order, 409, "rmsd is shutting down");
		return;
	}
	switch (order->verb) {
	case FLEET_KILL: kill_worker(fleet, order); break;
	case FLEET_REVIVE: revive_worker(fleet, order); break;
	case FLEET_DRAIN:
	case FLEET_RESTART:
	case FLEET_STALL: refuse(fleet, order, 501, "not there yet"); break;
	case FLEET_SHUTDOWN:
		order->changed = true;
		finish(fleet, order);
		fleet->set.hooks.shutdown(fleet->set.hooks.arg);
		break;
	}
}

static void on_started(struct worker *worker, struct incarnation *incarnation)
{
	struct list_node *node;

	if (worker->now != incarnation)
		return;
	if (enter(worker, STATE_UP) < 0)
		refuse_waiting(worker, "is up, but its own port does not listen: somebody else has it");
	mover_give_waiting(worker->fleet->mover);
	level_welcome(&worker->fleet->level, worker);
	while ((node = list_pop(&worker->waiting)))
		finish(worker->fleet, list_entry(node, struct fleet_order, node));
}

static void on_failed(struct worker *worker, struct incarnation *incarnation)
{
	struct fleet *fleet = worker->fleet;

	if (worker->now == incarnation) {
		worker->now = NULL;
		sweep_drop(&fleet->sweep, incarnation_service(incarnation));
		log_error("an app's start hook refused", "worker=%s", worker->name);
		(void)enter(worker, STATE_FAILED);
		refuse_waiting(worker, "did not start: the app's start hook refused");
	}
	incarnation_ask_to_leave(incarnation);
	incarnation_wake(incarnation);
}

static void on_ended(struct worker *worker, struct incarnation *incarnation)
{
	struct fleet *fleet = worker->fleet;
	struct slots *slots = fleet->set.slots;

	/* It may have seen that it is to leave before its slots were taken. Nobody has its lock any more. */
	try_all(fleet);
	for (int fd = 0; fd < slots_end(slots); fd++)
		assert(slot_owner(slots_at(slots, fd)) != incarnation_service(incarnation)->owner.id);
	incarnation_join(incarnation);
	metrics_detach(fleet->set.metrics, worker->index, incarnation_shard(incarnation));
	incarnation_free(incarnation);
	fleet->running--;
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
	atomic_init(&worker->state, STATE_DOWN);
	atomic_init(&worker->since_ms, unix_ms());
	metrics_set(worker->control, METRIC_worker_state + STATE_DOWN, 1);
}

int fleet_create(const struct fleet_setup *setup, uv_loop_t *loop, struct fleet **out)
{
	unsigned n = setup->conf->workers;
	struct fleet *fleet = calloc(1, sizeof(*fleet) + n * sizeof(fleet->workers[0]));
	int err;

	if (!fleet)
		return UV_ENOMEM;
	fleet->set = *setup;
	fleet->loop = loop;
	fleet->n_workers = n;
	list_init(&fleet->taking);
	err = mover_create(
		fleet, &setup->hooks, level_receiver, &fleet->level, setup->slots, setup->limit, loop, &fleet->mover);
	if (err < 0)
		goto free_fleet;
	err = mailbox_init(&fleet->orders, loop, on_order, fleet);
	if (err < 0)
		goto close_mover;
	err = mailbox_init(&fleet->news, loop, on_news, fleet);
	if (err < 0)
		goto close_orders;
	for (unsigned i = 0; i < n; i++)
		init_worker(fleet, i);
	uv_timer_init(loop, &fleet->retry);
	fleet->retry.data = fleet;
	level_start(&fleet->level, fleet, fleet->mover, setup->conf, loop);
	sweep_start(&fleet->sweep, setup->slots, fleet->mover, loop);
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
		int err = spawn(&fleet->workers[i]);

		if (err < 0)
			return err;
	}
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

int64_t fleet_connections(const struct fleet *fleet)
{
	int64_t n = 0;

	for (unsigned i = 0; i < fleet->n_workers; i++)
		n += worker_load(&fleet->workers[i]);
	return n;
}

void fleet_stop(struct fleet *fleet, unsigned *cut)
{
	for (unsigned i = 0; i < fleet->n_workers; i++) {
		struct worker *worker = &fleet->workers[i];
		struct incarnation *incarnation = worker->now;

		/* A lock that stays busy belongs to a thread that the process will not wait for either. */
		if (!incarnation || !mover_close_all(fleet->mover, worker, incarnation, cut))
			continue;
		worker->now = NULL;
		sweep_drop(&fleet->sweep, incarnation_service(incarnation));
		incarnation_ask_to_leave(incarnation);
		(void)enter(worker, STATE_DOWN);
		refuse_waiting(worker, "was not started: rmsd is shutting down");
		incarnation_wake(incarnation);
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
}

void fleet_destroy(struct fleet *fleet)
{
	if (!fleet)
		return;
	mover_destroy(fleet->mover);
	free(fleet);
}
