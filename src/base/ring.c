/* ring.c - the arithmetic of a ring. */
#include "base/ring.h"

#include <assert.h>
#include <string.h>

_Static_assert((RING_SIZE & (RING_SIZE - 1)) == 0, "positions wrap with the counters");

void ring_init(struct ring *ring)
{
	atomic_init(&ring->head, 0);
	atomic_init(&ring->tail, 0);
	ring->tail_seen = 0;
}

size_t ring_put(struct ring *ring, size_t len)
{
	uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	size_t end = head % RING_SIZE + len;

	assert(len <= RING_LINE_MAX && head + len - ring->tail_seen <= RING_SIZE);
	if (end > RING_SIZE)
		memcpy(ring->bytes, ring->bytes + RING_SIZE, end - RING_SIZE);
	atomic_store_explicit(&ring->head, head + len, memory_order_release);
	return (size_t)(head + len - ring->tail_seen);
}

size_t ring_peek(struct ring *ring, struct iovec pieces[2])
{
	uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
	size_t len = (size_t)(atomic_load_explicit(&ring->head, memory_order_acquire) - tail);
	size_t at = tail % RING_SIZE;
	size_t first = len < RING_SIZE - at ? len : RING_SIZE - at;

	pieces[0] = (struct iovec){ ring->bytes + at, first };
	pieces[1] = (struct iovec){ ring->bytes, len - first };
	return len;
}

void ring_take(struct ring *ring, size_t n)
{
	uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

	atomic_store_explicit(&ring->tail, tail + n, memory_order_release);
}
