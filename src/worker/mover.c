/* mover.c - taking, giving, and waiting for a worker. */
#include "worker/mover.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "http/conn.h"

struct mover {
	struct fleet *fleet;
	struct fleet_hooks hooks;
	mover_receiver_fn *receiver;
	void *receiver_arg;
	struct slots *slots;
	struct owner waiting; /* holds connections while no worker is up: a set that nobody polls */
	uv_async_t released_async;
	struct lock released_lock; /* guards the next two */
	int *released;             /* fds in nobody's hands; room for all there can be */
	unsigned n_released;
};

bool mover_give(struct mover *mover, struct worker *worker, int fd, bool now)
{
	struct service *service = incarnation_service(worker->now);
	int err;

	service->given++;
	metrics_add(worker->control, METRIC_connections, 1);
	slots_at(mover->slots, fd)->home = (uint8_t)worker->index;
	err = slots_give(mover->slots, &service->owner, fd, now);
	if (err == 0)
		return true;
	service->given--;
	metrics_sub(worker->control, METRIC_connections, 1);
	metrics_add(worker->control, METRIC_connections_closed + CLOSED_ERROR, 1);
	log_error("a connection could not be given to a worker", "worker=%s error=%s", worker->name, uv_err_name(err));
	slots_close(mover->slots, fd);
	return false;
}

/* Closes a slot in our hands; the worker that had it last counts it. */
static void close_homeless(struct mover *mover, int fd, unsigned reason)
{
	struct worker *home = fleet_worker(mover->fleet, slots_at(mover->slots, fd)->home);

	metrics_add(home->control, METRIC_connections_closed + reason, 1);
	slots_close(mover->slots, fd);
}

/* Gives a slot in our hands to worker, or to nobody for now (NULL). True: a worker has it. */
static bool rehome(struct mover *mover, struct worker *worker, int fd, bool now, unsigned reason)
{
	struct worker *home;

	if (!worker) {
		if (slots_give(mover->slots, &mover->waiting, fd, now) < 0)
			close_homeless(mover, fd, CLOSED_ERROR);
		return false;
	}
	home = fleet_worker(mover->fleet, slots_at(mover->slots, fd)->home);
	if (!mover_give(mover, worker, fd, now))
		return false;
	home->moved_away++;
	metrics_add(worker->control, METRIC_connections_rehomed + reason, 1);
	return true;
}

static struct worker *pick(const struct mover *mover, int fd)
{
	return mover->hooks.pick(mover->hooks.arg, fd);
}

/* Who gets what a live worker lets go. */
static struct worker *receiver(const struct mover *mover, int fd)
{
	return mover->receiver(mover->receiver_arg, fd);
}

/* from's slot into our hands, made whole. now: as conn_detach(). 0; UV_ENOMEM: it is in our hands, to be closed. */
static int take(struct worker *from, struct service *service, struct slot *slot, bool *now)
	REQUIRES(service->owner.lock)
{
	bool running = slot->request != NULL && slot->counted;
	int err = conn_detach(service, slot, now);

	slots_take(&service->owner, slot);
	service->given--;
	metrics_sub(from->control, METRIC_connections, 1);
	if (running)
		metrics_sub(from->control, METRIC_in_flight, 1);
	return err;
}

static void close_taken(struct mover *mover, struct worker *from, int fd, unsigned reason)
{
	metrics_add(from->control, METRIC_connections_closed + reason, 1);
	slots_close(mover->slots, fd);
}

bool mover_take_all(
	struct mover *mover, struct worker *from, struct incarnation *incarnation, unsigned reason, unsigned *moved)
{
	struct service *service = incarnation_service(incarnation);

	if (!owner_try(&service->owner))
		return false;
	service->owner.revoked = true;
	for (int fd = 0; fd < slots_end(mover->slots); fd++) {
		struct slot *slot = slots_at(mover->slots, fd);
		bool now = false;
		int err;

		if (slot_owner(slot) != service->owner.id)
			continue;
		err = take(from, service, slot, &now);
		if (err < 0) {
			close_taken(mover, from, fd, CLOSED_ERROR);
		} else if (slot->role == ROLE_WORKER) {
			close_taken(mover, from, fd, CLOSED_WORKER);
		} else {
			*moved += rehome(mover, pick(mover, fd), fd, now, reason);
		}
	}
	owner_release(&service->owner);
	return true;
}

/* Requests of the slot that have no answer, or none that has left whole. */
static unsigned count_unanswered(const struct slot *slot)
{
	const char *at = slot->in + slot->in_off;
	size_t len = slot->in_len - slot->in_off;
	unsigned n = slot->owed;

	while (len) {
		const char *end = memmem(at, len, "\r\n\r\n", 4);

		n++;
		if (!end)
			break;
		len -= (size_t)(end + 4 - at);
		at = end + 4;
	}
	return n;
}

bool mover_close_all(struct mover *mover, struct worker *from, struct incarnation *incarnation, unsigned *cut)
{
	struct service *service = incarnation_service(incarnation);

	if (!owner_try(&service->owner))
		return false;
	service->owner.revoked = true;
	for (int fd = 0; fd < slots_end(mover->slots); fd++) {
		struct slot *slot = slots_at(mover->slots, fd);
		bool now;

		if (slot_owner(slot) != service->owner.id)
			continue;
		*cut += count_unanswered(slot);
		(void)take(from, service, slot, &now);
		close_taken(mover, from, fd, CLOSED_SHUTDOWN);
	}
	owner_release(&service->owner);
	return true;
}

/* Whether slot may be taken from a worker that goes on: it is at rest and not about to close. */
static bool is_free(const struct slot *slot)
{
	return slot->role == ROLE_PUBLIC && !slot->request && !slot->close_after && slot->state != CONN_CLOSING;
}

unsigned mover_shed(struct mover *mover, struct worker *from, struct worker *only, unsigned n, unsigned reason)
{
	struct service *service = incarnation_service(from->now);
	int fds[MOVER_AT_ONCE];
	bool nows[MOVER_AT_ONCE];
	unsigned found = 0;
	unsigned most = n < MOVER_AT_ONCE ? n : MOVER_AT_ONCE;

	if (!owner_try(&service->owner))
		return n;
	for (int fd = 0; fd < slots_end(mover->slots) && found < most; fd++) {
		struct slot *slot = slots_at(mover->slots, fd);

		if (slot_owner(slot) != service->owner.id || !is_free(slot))
			continue;
		if (only && pick(mover, fd) != only)
			continue;
		if (take(from, service, slot, &nows[found]) < 0)
			close_taken(mover, from, fd, CLOSED_ERROR);
		else
			fds[found++] = fd;
	}
	owner_release(&service->owner);
	for (unsigned i = 0; i < found; i++)
		(void)rehome(mover, receiver(mover, fds[i]), fds[i], nows[i], reason);
	/* What is busy it lets go itself, at its next request boundary. */
	if (!only)
		atomic_store_explicit(&service->release_wanted, found < most ? n - found : 0, memory_order_relaxed);
	return found;
}

void mover_end_shed(struct worker *from)
{
	struct service *service = incarnation_service(from->now);

	owner_give_up(&service->owner);
	atomic_store_explicit(&service->release_wanted, 0, memory_order_relaxed);
}

void mover_give_waiting(struct mover *mover)
{
	struct owner *waiting = &mover->waiting;

	lock_acquire(&waiting->lock);
	for (int fd = 0; fd < slots_end(mover->slots); fd++) {
		struct slot *slot = slots_at(mover->slots, fd);
		bool now;

		if (slot_owner(slot) != waiting->id)
			continue;
		now = slot->in_len || slot->out_len || slot->eof;
		slots_take(waiting, slot);
		(void)rehome(mover, pick(mover, fd), fd, now, REHOMED_KILL);
	}
	lock_release(&waiting->lock);
}

void mover_release(struct mover *mover, int fd)
{
	lock_acquire(&mover->released_lock);
	mover->released[mover->n_released++] = fd;
	lock_release(&mover->released_lock);
	uv_async_send(&mover->released_async);
}

static void on_released(uv_async_t *async)
{
	struct mover *mover = async->data;

	for (;;) {
		const struct worker *home;
		struct slot *slot;
		int fd = -1;

		lock_acquire(&mover->released_lock);
		if (mover->n_released)
			fd = mover->released[--mover->n_released];
		lock_release(&mover->released_lock);
		if (fd < 0)
			return;
		slot = slots_at(mover->slots, fd);
		home = fleet_worker(mover->fleet, slot->home);
		(void)rehome(mover, receiver(mover, fd), fd, slot->in_len || slot->out_len || slot->eof,
			worker_state(home) == STATE_DRAINING ? REHOMED_DRAIN : REHOMED_REBALANCE);
	}
}

/* A connection that nobody serves has run out of time. */
static void expire_waiting(struct mover *mover, int fd)
{
	struct slot *slot = slots_at(mover->slots, fd);
	bool begun;
	char byte;

	lock_acquire(&mover->waiting.lock);
	slots_take(&mover->waiting, slot);
	lock_release(&mover->waiting.lock);
	/* A 503 without a request would be taken for the answer to the next one; behind half a reply, for its rest. */
	begun = slot->in_len || recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
	if (!begun || slot->out_len) {
		close_homeless(mover, fd, CLOSED_TIMEOUT);
		return;
	}
	metrics_add(fleet_worker(mover->fleet, slot->home)->control, METRIC_connections_closed + CLOSED_TIMEOUT, 1);
	slots_forget(mover->slots, fd);
	mover->hooks.refuse(mover->hooks.arg, fd);
}

bool mover_expire(struct mover *mover, struct slot *slot)
{
	if (slot_owner(slot) != mover->waiting.id)
		return false;
	expire_waiting(mover, slots_fd(mover->slots, slot));
	return true;
}

int mover_create(struct fleet *fleet, const struct fleet_hooks *hooks, mover_receiver_fn *receive, void *arg,
	struct slots *slots, int limit, uv_loop_t *loop, struct mover **out)
{
	struct mover *mover = calloc(1, sizeof(*mover));
	int err = UV_ENOMEM;

	if (!mover)
		return err;
	mover->released = malloc((size_t)limit * sizeof(*mover->released));
	if (!mover->released)
		goto free_mover;
	mover->waiting.pollset.epfd = epoll_create1(EPOLL_CLOEXEC);
	if (mover->waiting.pollset.epfd < 0) {
		err = UV_EMFILE;
		goto free_released;
	}
	err = uv_async_init(loop, &mover->released_async, on_released);
	if (err < 0)
		goto close_waiting;
	mover->released_async.data = mover;
	lock_init(&mover->released_lock);
	owner_init(&mover->waiting, slots);
	mover->fleet = fleet;
	mover->hooks = *hooks;
	mover->receiver = receive;
	mover->receiver_arg = arg;
	mover->slots = slots;
	*out = mover;
	return 0;
close_waiting:
	pollset_finish(&mover->waiting.pollset);
free_released:
	free(mover->released);
free_mover:
	free(mover);
	return err;
}

void mover_close(struct mover *mover)
{
	/* Nobody is left to serve what waits, or was on its way. */
	for (int fd = 0; fd < slots_end(mover->slots); fd++)
		if (slot_owner(slots_at(mover->slots, fd)) == mover->waiting.id)
			close_homeless(mover, fd, CLOSED_SHUTDOWN);
	while (mover->n_released)
		close_homeless(mover, mover->released[--mover->n_released], CLOSED_SHUTDOWN);
	uv_close((uv_handle_t *)&mover->released_async, NULL);
}

void mover_destroy(struct mover *mover)
{
	if (!mover)
		return;
	pollset_finish(&mover->waiting.pollset);
	lock_finish(&mover->released_lock);
	lock_finish(&mover->waiting.lock);
	free(mover->released);
	free(mover);
}
