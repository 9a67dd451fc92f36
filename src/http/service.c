/* service.c - a turn of a loop: events, deferred replies, connections left over, kicks. */
#include "http/service.h"

#include <assert.h>
#include <malloc.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "http/access.h"
#include "http/conn.h"
#include "http/request.h"

static const uint64_t TURN_NS = 2000000;

enum {
	STALL_SLICE_US = 5000,
	BLOCK_KEEP = 2 * 1024 * 1024,
};

static void begin_turn(struct service *service)
{
	service->turn_ns = service->now_ns = clock_ns();
	reply_stamp_update(&service->stamp);
}

static void end_turn(struct service *service)
{
	uint64_t busy_ns = atomic_load_explicit(&service->busy_ns, memory_order_relaxed);

	atomic_store_explicit(&service->busy_ns, busy_ns + service->now_ns - service->turn_ns, memory_order_relaxed);
	service_beat(service);
}

/* Between two connections: false when the turn is over. */
static bool goes_on(struct service *service) REQUIRES(service->owner.lock)
{
	owner_yield(&service->owner);
	return !service->owner.revoked && !service->paused &&
		!atomic_load_explicit(&service->leave, memory_order_relaxed) &&
		service->now_ns - service->turn_ns < TURN_NS;
}

static int on_events(void *arg, const struct epoll_event *events, int n)
{
	struct service *service = arg;
	bool found = false;
	int i;

	begin_turn(service);
	lock_acquire(&service->owner.lock);
	for (i = 0; i < n && goes_on(service); i++) {
		uint64_t tag = events[i].data.u64;
		struct slot *slot = owner_find(&service->owner, tag);

		found |= slot != NULL;
		if (slot)
			conn_event(service, slot, (int)(tag & UINT32_MAX), events[i].events);
	}
	lock_release(&service->owner.lock);
	end_turn(service);
	/* They are being given just now, and come again until the control thread is through. */
	if (!found)
		sched_yield();
	return i;
}

/* Takes what deferred requests have for their connections; drops the replies of those that have gone or moved. */
static void attend(struct service *service) REQUIRES(service->owner.lock)
{
	struct list batch;
	struct list_node *node;

	list_init(&batch);
	list_splice(&batch, &service->due);
	while ((node = list_pop(&batch))) {
		struct rms_request *req = list_entry(node, struct rms_request, node);
		struct slot *slot = service->owner.revoked ? NULL : owner_find(&service->owner, req->tag);
		bool awaited = slot && slot->request == req;

		req->due = false;
		list_push(req->stream.owed ? &service->owed : &service->live, &req->node);
		if (awaited && request_is_answered(req)) {
			conn_answer(service, slot, (int)(req->tag & UINT32_MAX), req);
			awaited = false;
		}
		if (awaited && !req->gone)
			conn_stream(service, slot, (int)(req->tag & UINT32_MAX));
		else if (!awaited && req->replied)
			service_spare(service, req);
		else if (!awaited && !req->gone)
			service_gone(service, req);
	}
}

static void call_owed(struct service *service)
{
	struct list batch;
	struct list_node *node;

	list_init(&batch);
	list_splice(&batch, &service->owed);
	while ((node = list_pop(&batch))) {
		struct rms_request *req = list_entry(node, struct rms_request, node);

		list_push(&service->live, &req->node);
		req->stream.owed = false;
		if (req->stream.on_room)
			req->stream.on_room(req, req->stream.on_room_arg);
		service_beat(service);
	}
}

static void run_ready(struct service *service) REQUIRES(service->owner.lock)
{
	unsigned n = service->n_ready, done = 0;

	while (done < n && goes_on(service)) {
		uint64_t tag = service->ready[done++];
		struct slot *slot = owner_find(&service->owner, tag);

		if (slot) {
			slot->queued = false;
			conn_ready(service, slot, (int)(tag & UINT32_MAX));
		}
	}
	/* conn_ready() may have added behind n. */
	for (unsigned i = done; i < service->n_ready; i++)
		service->ready[i - done] = service->ready[i];
	service->n_ready -= done;
}

static void on_idle(uv_idle_t *idle)
{
	struct service *service = idle->data;

	begin_turn(service);
	lock_acquire(&service->owner.lock);
	attend(service);
	run_ready(service);
	lock_release(&service->owner.lock);
	call_owed(service);
	end_turn(service);
	if (list_empty(&service->due) && list_empty(&service->owed) && !service->n_ready)
		uv_idle_stop(idle);
}

static unsigned take_kicks(struct service *service, uint64_t *kicks)
{
	unsigned n;

	lock_acquire(&service->kick_lock);
	n = service->n_kicks;
	for (unsigned i = 0; i < n; i++)
		kicks[i] = service->kicks[i];
	service->n_kicks = 0;
	lock_release(&service->kick_lock);
	return n;
}

static void hang_up_idle(struct service *service) REQUIRES(service->owner.lock)
{
	struct slots *slots = service->set.slots;

	for (int fd = 0; fd < slots_end(slots) && !service->owner.revoked; fd++) {
		struct slot *slot = slots_at(slots, fd);

		if (slot_owner(slot) == service->owner.id && service_is_ending(service, slot))
			conn_hang_up(service, slot, fd);
	}
}

static void sleep_stalled(struct service *service)
{
	while (uv_hrtime() < atomic_load_explicit(&service->stalled_until_ns, memory_order_relaxed))
		usleep(STALL_SLICE_US);
}

static void on_wakeup(uv_async_t *wakeup)
{
	struct service *service = wakeup->data;
	uint64_t kicks[SERVICE_KICKS];
	uint64_t pinged_ns;
	unsigned n;

	/* Before it looks at anything: who is stuck does not answer. */
	sleep_stalled(service);
	n = take_kicks(service, kicks);
	pinged_ns = atomic_exchange_explicit(&service->pinged_ns, 0, memory_order_relaxed);
	begin_turn(service);
	if (pinged_ns)
		atomic_store_explicit(&service->lag_ns, service->turn_ns - pinged_ns, memory_order_relaxed);
	lock_acquire(&service->owner.lock);
	for (unsigned i = 0; i < n && !service->owner.revoked && !service->paused; i++) {
		struct slot *slot = owner_find(&service->owner, kicks[i]);

		if (slot)
			conn_expire(service, slot, (int)(kicks[i] & UINT32_MAX));
	}
	if (atomic_load_explicit(&service->closing, memory_order_relaxed) ||
		atomic_load_explicit(&service->draining, memory_order_relaxed))
		hang_up_idle(service);
	lock_release(&service->owner.lock);
	end_turn(service);
}

void service_kick(struct service *service, uint64_t tag)
{
	lock_acquire(&service->kick_lock);
	if (service->n_kicks < SERVICE_KICKS)
		service->kicks[service->n_kicks++] = tag;
	lock_release(&service->kick_lock);
	service_wake(service);
}

void service_wake(struct service *service)
{
	int err = uv_async_send(&service->wakeup);

	assert(!err);
	(void)err;
}

void service_pause(struct service *service)
{
	service->paused = true;
	uv_idle_stop(&service->idle);
}

void service_ping(struct service *service)
{
	uint64_t none = 0;

	atomic_compare_exchange_strong_explicit(
		&service->pinged_ns, &none, uv_hrtime(), memory_order_relaxed, memory_order_relaxed);
	service_wake(service);
}

void service_stall(struct service *service, uint64_t ms)
{
	uint64_t until = ms ? uv_hrtime() + ms * 1000000 : 0;

	atomic_store_explicit(&service->stalled_until_ns, until, memory_order_relaxed);
	service_wake(service);
}

bool service_charge(const struct service *service, size_t *charged, size_t bytes)
{
	if (bytes < *charged)
		slots_credit(service->set.slots, *charged - bytes);
	else if (bytes > *charged && !slots_charge(service->set.slots, bytes - *charged, service_most(service)))
		return false;
	*charged = bytes;
	return true;
}

static void start_idle(struct service *service)
{
	/* After service_close() the loop turns no more: service_finish() frees what waits. */
	if (uv_is_closing((uv_handle_t *)&service->idle))
		return;
	/* Cannot fail but for a NULL callback; does nothing when active. */
	if (!service->paused)
		uv_idle_start(&service->idle, on_idle);
}

void service_keep(struct service *service, struct rms_request *req)
{
	if (req->live)
		return;
	req->live = true;
	list_push(&service->live, &req->node);
}

void service_due(struct service *service, struct rms_request *req)
{
	assert(req->live);
	if (req->due)
		return;
	req->due = true;
	/* Timers and other work that are due run in one go: each reply shows that the loop turns. */
	service_beat(service);
	list_remove(&req->node);
	list_push(&service->due, &req->node);
	start_idle(service);
}

void service_owe(struct service *service, struct rms_request *req)
{
	if (!req->live || req->stream.owed || req->replied || !req->stream.on_room)
		return;
	req->stream.owed = true;
	/* What is due comes to it by attend(). */
	if (!req->due) {
		list_remove(&req->node);
		list_push(&service->owed, &req->node);
	}
	start_idle(service);
}

void service_gone(struct service *service, struct rms_request *req)
{
	req->gone = true;
	stream_drop(req);
	service_owe(service, req);
}

void service_abandon(struct service *service)
{
	struct list all;
	struct list_node *node;

	list_init(&all);
	list_splice(&all, &service->live);
	list_splice(&all, &service->owed);
	list_splice(&all, &service->due);
	while ((node = list_pop(&all))) {
		struct rms_request *req = list_entry(node, struct rms_request, node);

		req->gone = true;
		req->due = false;
		list_push(req->replied ? &service->live : &service->owed, &req->node);
	}
	call_owed(service);
}

void service_queue(struct service *service, struct slot *slot, uint64_t tag)
{
	if (slot->queued)
		return;
	if (service->n_ready == service->ready_cap) {
		unsigned cap = service->ready_cap ? 2 * service->ready_cap : 64;
		uint64_t *ready = realloc(service->ready, cap * sizeof(*ready));

		/* Out of memory, and no event may come for what is here already: let it be that of its end. */
		if (!ready) {
			shutdown((int)(tag & UINT32_MAX), SHUT_RDWR);
			return;
		}
		service->ready = ready;
		service->ready_cap = cap;
	}
	slot->queued = true;
	service->ready[service->n_ready++] = tag;
	start_idle(service);
}

char *service_take_block(struct service *service, size_t size)
{
	char *block = service->block;
	size_t room = block ? malloc_usable_size(block) : 0;

	/* Not a large one for little: its memory may have to wait for a client. */
	if (size > room || size < room / 2)
		return malloc(size);
	service->block = NULL;
	return block;
}

void service_keep_block(struct service *service, char *block)
{
	if (malloc_usable_size(block) > BLOCK_KEEP) {
		free(block);
		return;
	}
	free(service->block);
	service->block = block;
}

struct rms_request *service_request(struct service *service)
{
	struct list_node *node = list_pop(&service->spare);

	return node ? list_entry(node, struct rms_request, node) : request_create();
}

void service_spare(struct service *service, struct rms_request *req)
{
	if (req->live)
		list_remove(&req->node);
	request_empty(req);
	list_push(&service->spare, &req->node);
}

int service_open(struct service *service, const struct service_setup *setup, uv_loop_t *loop)
{
	int err = pollset_open(&service->owner.pollset, loop, on_events, service);

	if (err < 0)
		return err;
	err = UV_ENOMEM;
	if (setup->access_log && !(service->access = access_open(setup->access_log, setup->worker)))
		goto close_pollset;
	err = uv_async_init(loop, &service->wakeup, on_wakeup);
	if (err < 0)
		goto close_access;
	owner_init(&service->owner, setup->slots);
	lock_init(&service->kick_lock);
	uv_idle_init(loop, &service->idle);
	service->wakeup.data = service->idle.data = service;
	service->set = *setup;
	service->worker = setup->worker;
	service->state = setup->state;
	service->loop = loop;
	service->limits = (struct message_limits){
		.header_size = (uint32_t)setup->conf->max_header_size,
		.uri_size = (uint32_t)setup->conf->max_uri_size,
		.fields = (uint32_t)setup->conf->max_header_fields,
		.body_size = setup->conf->max_body_size,
	};
	/* Replicas alone are named. */
	reply_stamp_init(
		&service->stamp, setup->routers[ROLE_PUBLIC] ? setup->conf->worker_header : NULL, setup->worker);
	list_init(&service->due);
	list_init(&service->owed);
	list_init(&service->live);
	list_init(&service->spare);
	delays_open(service);
	return 0;
close_access:
	access_close(service->access);
close_pollset:
	pollset_close(&service->owner.pollset);
	uv_run(loop, UV_RUN_NOWAIT);
	pollset_finish(&service->owner.pollset);
	return err;
}

void service_close(struct service *service)
{
	pollset_close(&service->owner.pollset);
	uv_close((uv_handle_t *)&service->wakeup, NULL);
	uv_close((uv_handle_t *)&service->idle, NULL);
	delays_close(service);
}

static void destroy_all(struct list *list)
{
	struct list_node *node;

	while ((node = list_pop(list)))
		request_destroy(list_entry(node, struct rms_request, node));
}

void service_finish(struct service *service)
{
	pollset_finish(&service->owner.pollset);
	access_close(service->access);
	destroy_all(&service->due);
	destroy_all(&service->owed);
	destroy_all(&service->live);
	destroy_all(&service->spare);
	message_finish(&service->recent.message);
	outbuf_finish(&service->batch);
	outbuf_finish(&service->piece);
	free(service->block);
	free(service->ready);
	lock_finish(&service->kick_lock);
	lock_finish(&service->owner.lock);
}
