/*
 * ring.h - lines from one thread to another, through a block of bytes, without a lock and without waiting.
 *
 * Whole lines only: the producer writes one in place, up to RING_LINE_MAX bytes in a row, and then puts it. A ring that
 * has no room for the longest line takes none. The consumer sees what is in it as one or two pieces.
 *
 * Thread: ring_room() and ring_put() the producer's, one at a time; ring_peek() and ring_take() the consumer's.
 */
#ifndef RMSD_BASE_RING_H
#define RMSD_BASE_RING_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum {
	/* A power of two. At 20 MB of lines a second, the consumer may be late by a fifth of one. */
	RING_SIZE = 4 * 1024 * 1024,
	RING_LINE_MAX = 4096,
};

struct ring {
	/* The producer's line. Both count bytes from the beginning of time. */
	alignas(64) _Atomic uint64_t head;
	uint64_t tail_seen; /* tail, when it was last looked at: it is the other thread's line */

	/* The consumer's. */
	alignas(64) _Atomic uint64_t tail;

	/* A line that begins before the end may go on behind it, and is then copied to where it belongs. */
	alignas(64) char bytes[RING_SIZE + RING_LINE_MAX];
};

/* All but the bytes. */
void ring_init(struct ring *ring);

/* Where the next line is to be written; NULL: there is no room for it. */
static inline char *ring_room(struct ring *ring)
{
	uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);

	if (head - ring->tail_seen > RING_SIZE - RING_LINE_MAX) {
		/* Acquires that the consumer has done with what it read. */
		ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
		if (head - ring->tail_seen > RING_SIZE - RING_LINE_MAX)
			return NULL;
	}
	return ring->bytes + head % RING_SIZE;
}

/* The line of len bytes that was written there is complete. Returns how many bytes wait, or more. */
size_t ring_put(struct ring *ring, size_t len);

/* What waits, in one or two pieces, the oldest first. Returns its length. */
size_t ring_peek(struct ring *ring, struct iovec pieces[2]);
/* The oldest n bytes of it are done with. */
void ring_take(struct ring *ring, size_t n);

#endif
