/* mover.c - taking, giving, and waiting: for a worker, or for the end of a thread. */
#include "worker/mover.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/probe.h"
#include "http/access.h"
#include "http/conn.h"
#include "http/request.h"
#include "worker/rerun.h"

struct mover {
	struct fleet *fleet;
	const struct conf *conf;
	struct fleet_hooks hooks;
	mover_receiver_fn *receiver;
	void *receiver_arg;
	struct slots *slots;
	struct owner waiting, parked; /* sets that nobody polls */
	unsigned n_parked;
	struct rerun rerun;
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

/* A reply of which the rest is lost must not look whole: a reset tells. */
static void close_slot(struct mover *mover, int fd)
{
	if (slots_at(mover->slots, fd)->out_len)
		slots_reset(mover->slots, fd);
	else
		slots_close(mover->slots, fd);
}

/* Closes a slot in our hands; the worker that had it last counts it. */
static void close_homeless(struct mover *mover, int fd, unsigned reason)
{
	struct worker *home = fleet_worker(mover->fleet, slots_at(mover->slots, fd)->home);

	metrics_add(home->control, METRIC_connections_closed + reason, 1);
	close_slot(mover, fd);
}

/* Gives a slot in our hands to worker, or to nobody for now (NULL). True: a worker has it. */
static bool rehome(struct mover *mover, struct worker *worker, int fd, bool now, unsigned reason)
{
	struct worker *home;

	slots_at(mover->slots, fd)->moved = (uint8_t)reason;
	if (!worker) {
		if (slots_give(mover->slots, &mover->waiting, fd, now) < 0)
			close_homeless(mover, fd, CLOSED_ERROR);
		return false;
	}
	home = fleet_worker(mover->fleet, slots_at(mover->slots, fd)->home);
	if (!mover_give(mover, worker, fd, now))
		return false;
	PROBE(3, rehome, fd, home->name, worker->name);
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

/* from's slot into our hands, made whole. now: as conn_detach(). */
static enum loss_fate take(struct mover *mover, struct worker *from, struct service *service, struct slot *slot,
	enum loss_kind kind, bool *now) REQUIRES(service->owner.lock)
{
	bool running = slot->request != NULL;
	int status = slot->streamed ? slot->request->reply.status : 0;
	unsigned ran = slot->lost + 1u; /* asked first: without memory it is not lost, and not counted as that */
	enum loss_fate fate = conn_detach(service, slot, kind, now);

	if (running && slot->counted && service->access && (fate == FATE_RESET || fate == FATE_CLOSES))
		access_unanswered(
			service, from->control, slot, status, fate == FATE_RESET ? CAUSE_CUT : CAUSE_BROKEN, ran);
	if (running && fate == FATE_RESET)
		rerun_account_cut(from, slot, status);
	else if (running && fate != FATE_CLOSES)
		fate = rerun_judge(&mover->rerun, from, slot, kind, fate);
	if (running)
		PROBE(4, request__end, slots_fd(mover->slots, slot), from->name, 0, slot->started_ns);
	slots_take(&service->owner, slot);
	service->given--;
	metrics_sub(from->control, METRIC_connections, 1);
	if (running && slot->counted)
		metrics_sub(from->control, METRIC_in_flight, 1);
	return fate;
}

static void close_taken(struct mover *mover, struct worker *from, int fd, unsigned reason)
{
	metrics_add(from->control, METRIC_connections_closed + reason, 1);
	from->cut_off++;
	close_slot(mover, fd);
}

static void reset_taken(struct mover *mover, struct worker *from, int fd, unsigned reason)
{
	metrics_add(from->control, METRIC_connections_closed + reason, 1);
	from->cut_off++;
	slots_reset(mover->slots, fd);
}

/* Holds a slot in our hands until the thread of its last owner has ended. */
static void park(struct mover *mover, int fd, uint32_t owner, unsigned reason)
{
	struct slot *slot = slots_at(mover->slots, fd);

	slot->awaits = owner;
	slot->moved = (uint8_t)reason;
	slot_enter(slot, CONN_READING, uv_hrtime() / 1000000 + MOVER_PARK_MS);
	if (slots_give(mover->slots, &mover->parked, fd, false) < 0)
		close_homeless(mover, fd, CLOSED_ERROR);
	else
		mover->n_parked++;
}

/* A parked slot goes on. */
static void unpark(struct mover *mover, int fd)
{
	struct slot *slot = slots_at(mover->slots, fd);

	lock_acquire(&mover->parked.lock);
	slots_take(&mover->parked, slot);
	lock_release(&mover->parked.lock);
	mover->n_parked--;
	slot->awaits = 0;
	conn_resume(slot, mover->conf);
	(void)rehome(mover, pick(mover, fd), fd, true, slot->moved);
}

unsigned mover_parked(const struct mover *mover)
{
	return mover->n_parked;
}

void mover_ended(struct mover *mover, struct incarnation *incarnation)
{
	uint32_t ended = incarnation_service(incarnation)->owner.id;

	for (int fd = 0; mover->n_parked && fd < slots_end(mover->slots); fd++) {
		const struct slot *slot = slots_at(mover->slots, fd);

		if (slot_owner(slot) == mover->parked.id && slot->awaits == ended)
			unpark(mover, fd);
	}
}

static enum loss_kind kind_of(unsigned reason)
{
	switch (reason) {
	case REHOMED_STALL: return LOSS_STALL;
	case REHOMED_FAILURE: return LOSS_FAILURE;
	default: return LOSS_ASKED;
	}
}

/* from is lost; its slot is in our hands. True: another worker has it. */
static bool place(struct mover *mover, struct worker *from, uint32_t owner, int fd, enum loss_fate fate, bool now,
	unsigned reason)
{
	if (fate == FATE_CLOSES) {
		close_taken(mover, from, fd, CLOSED_ERROR);
	} else if (fate == FATE_RESET) {
		reset_taken(mover, from, fd, CLOSED_WORKER);
	} else if (slots_at(mover->slots, fd)->role == ROLE_WORKER) {
		close_taken(mover, from, fd, CLOSED_WORKER);
	} else if (fate == FATE_WAITS) {
		park(mover, fd, owner, reason);
	} else {
		return rehome(mover, pick(mover, fd), fd, now, reason);
	}
	return false;
}

bool mover_take_all(
	struct mover *mover, struct worker *from, struct incarnation *incarnation, unsigned reason, unsigned *moved)
{
	struct service *service = incarnation_service(incarnation);

	if (!owner_try(&service->owner))
		return false;
	service->owner.revoked = true;
	rerun_begin(&mover->rerun);
	for (int fd = 0; fd < slots_end(mover->slots); fd++) {
		struct slot *slot = slots_at(mover->slots, fd);
		enum loss_fate fate;
		bool now = false;

		if (slot_owner(slot) != service->owner.id)
			continue;
		fate = take(mover, from, service, slot, kind_of(reason), &now);
		*moved += place(mover, from, service->owner.id, fd, fate, now, reason);
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
		if (slot->request && slot->counted && !slot->streamed && service->access)
			access_unanswered(service, from->control, slot, 0, CAUSE_SHUTDOWN, slot->lost + 1);
		if (take(mover, from, service, slot, LOSS_ASKED, &now) == FATE_RESET)
			reset_taken(mover, from, fd, CLOSED_SHUTDOWN);
		else
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
		if (take(mover, from, service, slot, LOSS_ASKED, &nows[found]) == FATE_CLOSES)
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
		(void)rehome(mover, pick(mover, fd), fd, now, slot->moved);
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

bool mover_has_released(struct mover *mover)
{
	bool any;

	lock_acquire(&mover->released_lock);
	any = mover->n_released > 0;
	lock_release(&mover->released_lock);
	return any;
}

static void on_released(uv_async_t *async)
{
	struct mover *mover = async->data;

	for (;;) {
		struct slot *slot;
		int fd = -1;

		lock_acquire(&mover->released_lock);
		if (mover->n_released)
			fd = mover->released[--mover->n_released];
		lock_release(&mover->released_lock);
		if (fd < 0)
			return;
		slot = slots_at(mover->slots, fd);
		(void)rehome(mover, receiver(mover, fd), fd, slot->in_len || slot->out_len || slot->eof, slot->moved);
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
	begun = slot->state != CONN_CLOSING && (slot->in_len || recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1);
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
	uint32_t owner = slot_owner(slot);

	if (owner == mover->waiting.id) {
		expire_waiting(mover, slots_fd(mover->slots, slot));
		return true;
	}
	if (owner != mover->parked.id)
		return false;
	slot->again = false;
	slot->refuse = REFUSE_UNKNOWN;
	unpark(mover, slots_fd(mover->slots, slot));
	return true;
}

/* An owner without a thread. 0 or a negative UV_ code. */
static int open_holder(struct owner *owner, struct slots *slots)
{
	owner->pollset.epfd = epoll_create1(EPOLL_CLOEXEC);
	if (owner->pollset.epfd < 0)
		return UV_EMFILE;
	owner_init(owner, slots);
	return 0;
}

static void close_holder(struct owner *owner)
{
	pollset_finish(&owner->pollset);
	lock_finish(&owner->lock);
}

int mover_create(struct fleet *fleet, const struct fleet_setup *setup, mover_receiver_fn *receive, void *arg,
	uv_loop_t *loop, struct mover **out)
{
	struct mover *mover = calloc(1, sizeof(*mover));
	int err = UV_ENOMEM;

	if (!mover)
		return err;
	mover->released = malloc((size_t)setup->limit * sizeof(*mover->released));
	if (!mover->released)
		goto free_mover;
	err = open_holder(&mover->waiting, setup->slots);
	if (err < 0)
		goto free_released;
	err = open_holder(&mover->parked, setup->slots);
	if (err < 0)
		goto close_waiting;
	err = uv_async_init(loop, &mover->released_async, on_released);
	if (err < 0)
		goto close_parked;
	mover->released_async.data = mover;
	lock_init(&mover->released_lock);
	mover->fleet = fleet;
	mover->conf = setup->conf;
	mover->rerun.fleet = fleet;
	mover->rerun.metrics = setup->metrics;
	mover->hooks = setup->hooks;
	mover->receiver = receive;
	mover->receiver_arg = arg;
	mover->slots = setup->slots;
	*out = mover;
	return 0;
close_parked:
	close_holder(&mover->parked);
close_waiting:
	close_holder(&mover->waiting);
free_released:
	free(mover->released);
free_mover:
	free(mover);
	return err;
}

void mover_close(struct mover *mover)
{
	/* Nobody is left to serve what waits, or was on its way. */
	for (int fd = 0; fd < slots_end(mover->slots); fd++) {
		uint32_t owner = slot_owner(slots_at(mover->slots, fd));

		if (owner == mover->waiting.id || owner == mover->parked.id)
			close_homeless(mover, fd, CLOSED_SHUTDOWN);
	}
	while (mover->n_released)
		close_homeless(mover, mover->released[--mover->n_released], CLOSED_SHUTDOWN);
	uv_close((uv_handle_t *)&mover->released_async, NULL);
}

void mover_destroy(struct mover *mover)
{
	if (!mover)
		return;
	close_holder(&mover->waiting);
	close_holder(&mover->parked);
	lock_finish(&mover->released_lock);
	free(mover->released);
	free(mover);
}
