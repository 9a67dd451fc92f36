/*
 * slots.h - the connections of the process, a table by fd; who owns each, the rules of giving and taking, and what all
 * of them keep in memory.
 *
 * A connection belongs to the process, not to a loop: its slot says which owner (a worker's incarnation, or the admin
 * thread) serves it now, and everything another owner needs to go on. An owner is one thread's loop with its pollset.
 *
 * The rules, proven by tests/system/test_stress.c:
 *  1. Only the control thread changes which owner a slot has, or calls epoll_ctl on another thread's set. A slot is
 *     touched only under its owner's lock. A thread drops its lock around all that can block: waiting, app code.
 *  2. A taker that also revokes the owner (kill) may take any slot at any time, also the one whose handler runs: the
 *     thread, once it has the lock again, sees revoked, touches nothing more and ends.
 *  3. The word is the last of giving and the first of closing. Giving: fill the slot, ADD, store-release its word; an
 *     event that comes before the word is dropped and, the set being level-triggered, comes again. Taking: DEL, word 0;
 *     from an owner that is revoked the word alone, since nobody looks at what its set tells. Closing: word 0, then
 *     close(fd), the last access. The word holds a generation: an event that was on its way to an old owner, or for an
 *     old connection of the same fd, finds another word and is dropped.
 *  4. A slot at rest holds only memory of its own, or static memory of the app's. While its owner works on it, in and
 *     out may point into the owner's buffers (capacity 0); conn_detach() copies them for the next one.
 *
 * Thread: see each function.
 */
#ifndef RMSD_HTTP_SLOTS_H
#define RMSD_HTTP_SLOTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/lock.h"
#include "base/pollset.h"

struct message;
struct rms_request;

/* Which door a connection came in by; it decides the routes, and whether the connection may move. */
enum slot_role { ROLE_PUBLIC, ROLE_WORKER, ROLE_ADMIN, ROLE_CONTROL, ROLES };

/*
 *	        +-------------------------------------------+
 *	        v                                           |
 *	     IDLE ----> READING ----> HANDLING ----> WRITING+
 *	        |          |  ^          |              |
 *	        |          |  +----------+  (pipelined) |
 *	        +----------+-----> CLOSING <------------+
 *
 * IDLE: between requests. READING: part of a request is here; of its body, pieces may be with the app (feeding).
 * HANDLING: a handler has it, has deferred the reply, or streams it; the parser rests, which is the back pressure.
 * WRITING: the client does not take finished replies; nothing is read meanwhile. CLOSING: all is said, and what still
 * comes is thrown away until the client closes, so that a reset does not eat the reply.
 */
enum conn_state { CONN_IDLE, CONN_READING, CONN_HANDLING, CONN_WRITING, CONN_CLOSING };

/* Whether the running request may be run again elsewhere when its worker is lost (RFC 9110 section 9.2.2). */
enum slot_repeat {
	REPEAT_NEVER,
	REPEAT_ENDED, /* once the first attempt has surely ended */
	REPEAT_ALWAYS,
};

struct slot {
	_Atomic uint64_t word;        /* generation << 32 | owner's id; 0: free, or in the control thread's hands */
	_Atomic uint64_t deadline_ms; /* slot_deadline(), and SLOT_AT_REST. Also read by the sweep, without the lock */
	uint32_t generation;          /* of the last give */
	uint32_t interest;            /* the epoll events asked for; 0: only that it is reset */
	uint8_t role, state;          /* enum slot_role, enum conn_state */
	bool in_set : 1;              /* registered with the owner's pollset */
	bool eof : 1;                 /* the client has closed its side */
	bool close_after : 1;         /* close when out is sent */
	bool linger : 1;              /* and throw away what comes for a while before that */
	bool again : 1;               /* its first request is one that a lost worker's handler had */
	bool suspect : 1;             /* and that worker was lost by a stall or a failure */
	bool counted : 1;             /* the running request is in METRIC_in_flight */
	bool queued : 1;              /* its tag is in the owner's ready queue */
	bool deferred : 1;            /* the app's code does not run for the running request now */
	bool feeding : 1;             /* the running request's body is still to come, to its handler piece by piece */
	bool streamed : 1;            /* the kernel has part of the running request's reply, and the end is to come */
	bool seen : 1;                /* has sent a byte since it was accepted */
	bool out_static : 1;          /* out is the app's, and stays as it is until the process ends */
	uint8_t repeat;               /* enum slot_repeat, of the running request */
	uint8_t refuse;               /* enum loss_refusal (loss.h): answer the first request of in with 503 */
	uint8_t home;                 /* index of the last worker that had it */
	uint8_t closed_reason;        /* METRIC_connections_closed + this, with close_after */
	uint8_t lost;                 /* so many workers were lost with its first request in a handler; at most 255 */
	uint8_t moved;                /* enum metrics_rehomed: why it waits, while no worker has it */
	union {
		uint32_t running_len; /* bytes of in that are the running request's */
		uint32_t awaits;      /* while parked (mover.c): the owner whose thread is to end first */
	};
	char *in; /* received, from the first byte of the oldest unanswered request at in_off */
	uint32_t in_off, in_len, in_cap;
	uint32_t out_off, out_len, out_cap;
	char *out;                            /* finished replies that the kernel has not taken: out_off to out_len */
	struct message *message;              /* the parse of a request partly here; NULL: none */
	struct rms_request *request;          /* the running one; its memory is the owner's */
	uint64_t started_ns;                  /* when the oldest unanswered request's first byte was seen */
	uint64_t received_ns;                 /* when the newest byte was */
	uint64_t owed_first_ns, owed_rest_ns; /* starts of the replies in out: of the first, of all others */
	uint32_t owed;                        /* replies in out */
	uint32_t unsent; /* while writing: bytes the client had not taken from the kernel at the last look */
	uint32_t served; /* requests answered */
	uint32_t peer;   /* which of slots_set_peers()'s counts it is in; 0: none */
};

/* In deadline_ms: it has been answered, and waits for its next request; keepalive_timeout ends at the deadline. */
#define SLOT_AT_REST (UINT64_C(1) << 63)

/* One thread's hold on its slots. Embedded in struct service (conn.h). */
struct owner {
	uint32_t id; /* never 0, never used again */
	struct slots *slots;
	struct pollset pollset;
	struct lock lock;    /* guards the slots whose word names this owner, and revoked */
	bool revoked;        /* the slots are gone: touch nothing, end */
	_Atomic bool wanted; /* set by the control thread: drop the lock at the next event */
};

struct slots; /* the table */

/* A row for each descriptor below limit; the memory is the kernel's until a row is used. NULL when out of memory. */
struct slots *slots_create(int limit);
void slots_destroy(struct slots *slots); /* accepts NULL */
/* Any thread. The row of fd, which is below the limit. */
struct slot *slots_at(struct slots *slots, int fd);
int slots_fd(const struct slots *slots, const struct slot *slot);
/* Any thread. One above the highest fd used so far: where walks end. */
int slots_end(const struct slots *slots);
/* A number for an owner, never given out before. Any thread. */
uint32_t slots_next_id(struct slots *slots);

/*
 * The account of the memory that connections keep between two turns: their input and output, a request partly here,
 * streamed bytes that wait. Any thread. What is charged is to be credited when it is freed.
 */
/* False: that would be more than most (0: no bound) in all, and nothing is charged. */
bool slots_charge(struct slots *slots, size_t bytes, uint64_t most);
void slots_credit(struct slots *slots, size_t bytes);
uint64_t slots_buffered(const struct slots *slots);

/*
 * Control thread, before the first slot with a peer is open. counts, lent: how many connections each client has; the
 * one of a slot goes down when it is freed, on whatever thread.
 */
void slots_set_peers(struct slots *slots, _Atomic uint32_t *counts);

/* Any thread. The id of the slot's owner; 0: none. */
static inline uint32_t slot_owner(const struct slot *slot)
{
	return (uint32_t)atomic_load_explicit(&slot->word, memory_order_acquire);
}

/* Any thread. On the clock of uv_hrtime(), in ms; 0: none. */
static inline uint64_t slot_deadline(const struct slot *slot)
{
	return atomic_load_explicit(&slot->deadline_ms, memory_order_relaxed) & ~SLOT_AT_REST;
}

static inline uint64_t slot_tag(const struct slot *slot, int fd)
{
	return (uint64_t)slot->generation << 32 | (uint32_t)fd;
}

/* The one way into a state; the drawing above. deadline_ms: 0 for none. */
void slot_enter(struct slot *slot, enum conn_state state, uint64_t deadline_ms);

/* Control thread. A fresh slot for a connection just accepted, in its hands. */
struct slot *slots_open(struct slots *slots, int fd, enum slot_role role);
/*
 * Control thread. Gives a slot in its hands to owner, which from then on may touch it; the caller may not. now: it has
 * bytes to go on with, so let an event come at once. 0, or a negative UV_ code and the slot is still the caller's.
 */
int slots_give(struct slots *slots, struct owner *owner, int fd, bool now);
/*
 * Takes a slot from its owner: by the control thread into its hands, or by the owner itself, who then tells the control
 * thread. The buffers are the caller's question: see conn_detach().
 */
void slots_take(struct owner *owner, struct slot *slot) REQUIRES(owner->lock);
/*
 * Frees a slot in the caller's hands, or one of the caller's own under its lock, and closes the fd: after this line the
 * row may be another connection's.
 */
void slots_close(struct slots *slots, int fd);
/* The same by a reset: what was sent and not taken goes too, and a reply cut short is not taken for a whole one. */
void slots_reset(struct slots *slots, int fd);
/* As slots_close(), but the fd stays open and is the caller's. */
void slots_forget(struct slots *slots, int fd);

void owner_init(struct owner *owner, struct slots *slots);
/* The slot that an event with this tag is about; NULL: it has another owner or generation by now. */
struct slot *owner_find(struct owner *owner, uint64_t tag) REQUIRES(owner->lock);
/*
 * For the control thread: the lock of another thread, without waiting for more than some events of its turn. false:
 * try again next tick; wanted stays set meanwhile.
 */
bool owner_try(struct owner *owner) TRY_ACQUIRES(owner->lock);
/* Ends what owner_try() began. */
void owner_release(struct owner *owner) RELEASES(owner->lock);
/* After owner_try() has failed: there will be no next try. */
void owner_give_up(struct owner *owner);
/* For the owner, between two events: lets the control thread in if it wants to. */
void owner_yield(struct owner *owner) REQUIRES(owner->lock);

#endif
