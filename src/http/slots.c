/* slots.c - the table of connections: memory that is never freed, so that a late reader of a word always may. */
#include "http/slots.h"

#include <assert.h>
#include <sched.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/parser.h"

struct slots {
	int limit;
	_Atomic int end;
	_Atomic uint32_t last_id;
	struct slot *rows;
	_Atomic uint32_t *peers; /* borrowed */
	alignas(64) _Atomic uint64_t buffered;
};

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "the protocol needs lock-free 64-bit atomics");
_Static_assert(sizeof(struct slot) <= 144, "a connection's row has grown: 10,000 of them are touched under load");

struct slots *slots_create(int limit)
{
	struct slots *slots = aligned_alloc(alignof(struct slots), sizeof(*slots));
	void *rows;

	if (!slots)
		return NULL;
	memset(slots, 0, sizeof(*slots));
	rows = mmap(NULL, (size_t)limit * sizeof(struct slot), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (rows == MAP_FAILED) {
		free(slots);
		return NULL;
	}
	slots->limit = limit;
	slots->rows = rows;
	return slots;
}

void slots_destroy(struct slots *slots)
{
	if (!slots)
		return;
	munmap(slots->rows, (size_t)slots->limit * sizeof(struct slot));
	free(slots);
}

struct slot *slots_at(struct slots *slots, int fd)
{
	assert(fd >= 0 && fd < slots->limit);
	return &slots->rows[fd];
}

int slots_fd(const struct slots *slots, const struct slot *slot)
{
	return (int)(slot - slots->rows);
}

int slots_end(const struct slots *slots)
{
	return atomic_load_explicit(&slots->end, memory_order_relaxed);
}

uint32_t slots_next_id(struct slots *slots)
{
	return atomic_fetch_add_explicit(&slots->last_id, 1, memory_order_relaxed) + 1;
}

void slot_enter(struct slot *slot, enum conn_state state, uint64_t deadline_ms)
{
	assert(slot->state != CONN_CLOSING || state == CONN_CLOSING);
	assert((state == CONN_HANDLING) == (slot->request && !slot->feeding));
	slot->state = (uint8_t)state;
	if (state == CONN_IDLE && slot->seen && deadline_ms)
		deadline_ms |= SLOT_AT_REST;
	atomic_store_explicit(&slot->deadline_ms, deadline_ms, memory_order_relaxed);
}

bool slots_charge(struct slots *slots, size_t bytes, uint64_t most)
{
	uint64_t now = atomic_load_explicit(&slots->buffered, memory_order_relaxed);

	do {
		if (most && (now > most || bytes > most - now))
			return false;
	} while (!atomic_compare_exchange_weak_explicit(
		&slots->buffered, &now, now + bytes, memory_order_relaxed, memory_order_relaxed));
	return true;
}

void slots_credit(struct slots *slots, size_t bytes)
{
	uint64_t before = atomic_fetch_sub_explicit(&slots->buffered, bytes, memory_order_relaxed);

	assert(before >= bytes);
	(void)before;
}

uint64_t slots_buffered(const struct slots *slots)
{
	return atomic_load_explicit(&slots->buffered, memory_order_relaxed);
}

void slots_set_peers(struct slots *slots, _Atomic uint32_t *counts)
{
	slots->peers = counts;
}

struct slot *slots_open(struct slots *slots, int fd, enum slot_role role)
{
	struct slot *slot = slots_at(slots, fd);
	uint32_t generation = slot->generation;
	int end = slots_end(slots);

	/* Acquires what the last owner wrote before it closed the fd. */
	assert(!slot_owner(slot));
	/* Not its first two: the sweep may be reading them. */
	memset((char *)slot + offsetof(struct slot, generation), 0, sizeof(*slot) - offsetof(struct slot, generation));
	atomic_store_explicit(&slot->deadline_ms, 0, memory_order_relaxed);
	slot->generation = generation;
	slot->role = (uint8_t)role;
	if (fd >= end)
		atomic_store_explicit(&slots->end, fd + 1, memory_order_relaxed);
	return slot;
}

int slots_give(struct slots *slots, struct owner *owner, int fd, bool now)
{
	struct slot *slot = slots_at(slots, fd);
	uint64_t word, tag;
	uint32_t interest = EPOLLIN;
	int err;

	/* EPOLLOUT fires at once on a socket that can be written to: the receiver's cue to go on with what it has. */
	if (now)
		interest |= EPOLLOUT;
	slot->generation++;
	slot->interest = interest;
	slot->in_set = true;
	word = (uint64_t)slot->generation << 32 | owner->id;
	tag = slot_tag(slot, fd);
	err = pollset_add(&owner->pollset, fd, interest, tag);
	if (err < 0) {
		slot->in_set = false;
		return err;
	}
	/* From here on the slot is the owner's: it may find it by its walks too, and close it. */
	atomic_store_explicit(&slot->word, word, memory_order_release);
	return 0;
}

void slots_take(struct owner *owner, struct slot *slot)
{
	assert(slot_owner(slot) == owner->id);
	/* Who is revoked waits for nothing more: its set goes with it, and thousands are taken in half the time. */
	if (slot->in_set && !owner->revoked)
		pollset_del(&owner->pollset, slots_fd(owner->slots, slot));
	slot->in_set = false;
	slot->queued = false;
	atomic_store_explicit(&slot->word, 0, memory_order_release);
}

void slots_forget(struct slots *slots, int fd)
{
	struct slot *slot = slots_at(slots, fd);
	size_t freed = (size_t)slot->in_cap + slot->out_cap;

	if (slot->in_cap)
		free(slot->in);
	if (slot->out_cap)
		free(slot->out);
	if (slot->message) {
		freed += slot->message->charged;
		message_finish(slot->message);
		free(slot->message);
	}
	if (freed)
		slots_credit(slots, freed);
	if (slot->peer)
		atomic_fetch_sub_explicit(&slots->peers[slot->peer], 1, memory_order_relaxed);
	slot->in = slot->out = NULL;
	slot->in_cap = slot->out_cap = 0;
	slot->message = NULL;
	slot->peer = 0;
	atomic_store_explicit(&slot->deadline_ms, 0, memory_order_relaxed);
	atomic_store_explicit(&slot->word, 0, memory_order_release);
}

void slots_close(struct slots *slots, int fd)
{
	slots_forget(slots, fd);
	close(fd);
}

void slots_reset(struct slots *slots, int fd)
{
	struct linger linger = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	slots_close(slots, fd);
}

void owner_init(struct owner *owner, struct slots *slots)
{
	owner->id = slots_next_id(slots);
	owner->slots = slots;
	lock_init(&owner->lock);
	owner->revoked = false;
	atomic_init(&owner->wanted, false);
}

struct slot *owner_find(struct owner *owner, uint64_t tag)
{
	struct slot *slot = slots_at(owner->slots, (int)(tag & UINT32_MAX));
	uint64_t word = (tag & ~(uint64_t)UINT32_MAX) | owner->id;

	return atomic_load_explicit(&slot->word, memory_order_acquire) == word ? slot : NULL;
}

enum { TRIES = 64 };

bool owner_try(struct owner *owner)
{
	atomic_store_explicit(&owner->wanted, true, memory_order_relaxed);
	for (int i = 0; i < TRIES; i++) {
		if (lock_try(&owner->lock)) {
			atomic_store_explicit(&owner->wanted, false, memory_order_relaxed);
			return true;
		}
		sched_yield();
	}
	return false;
}

void owner_give_up(struct owner *owner)
{
	atomic_store_explicit(&owner->wanted, false, memory_order_relaxed);
}

void owner_release(struct owner *owner)
{
	lock_release(&owner->lock);
}

void owner_yield(struct owner *owner)
{
	if (!atomic_load_explicit(&owner->wanted, memory_order_relaxed))
		return;
	lock_release(&owner->lock);
	sched_yield();
	lock_acquire(&owner->lock);
}
