/* test_ring.c - lines come out of a ring as they went in, also where it wraps, and none goes into a full one. */
#include <pthread.h>
#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/ring.h"

static int make(void **state)
{
	struct ring *ring = aligned_alloc(alignof(struct ring), sizeof(*ring));

	if (!ring)
		return -1;
	ring_init(ring);
	*state = ring;
	return 0;
}

static int destroy(void **state)
{
	free(*state);
	return 0;
}

/* A line of len bytes that says which one it is. */
static bool put_line(struct ring *ring, unsigned n, size_t len)
{
	char *at = ring_room(ring);

	if (!at)
		return false;
	memset(at, 'a' + (int)(n % 26), len - 1);
	at[len - 1] = '\n';
	(void)ring_put(ring, len);
	return true;
}

static void expect_line(struct ring *ring, unsigned n, size_t len)
{
	struct iovec pieces[2];
	char line[RING_LINE_MAX], wanted[RING_LINE_MAX];
	size_t first;

	assert_true(ring_peek(ring, pieces) >= len);
	first = pieces[0].iov_len < len ? pieces[0].iov_len : len;
	memcpy(line, pieces[0].iov_base, first);
	memcpy(line + first, pieces[1].iov_base, len - first);
	memset(wanted, 'a' + (int)(n % 26), len - 1);
	wanted[len - 1] = '\n';
	assert_memory_equal(line, wanted, len);
	ring_take(ring, len);
}

static size_t length(unsigned n)
{
	return 1 + n * 2654435761u % RING_LINE_MAX;
}

static void lines_come_out_as_they_went_in_also_where_it_wraps(void **state)
{
	struct ring *ring = *state;
	unsigned in = 0, out = 0;

	for (; out < 20000; out++) {
		while (in < out + 1 + out % 7 && put_line(ring, in, length(in)))
			in++;
		expect_line(ring, out, length(out));
	}
	while (out < in) {
		expect_line(ring, out, length(out));
		out++;
	}
	assert_int_equal(ring_peek(ring, (struct iovec[2]){ 0 }), 0);
}

static void a_full_ring_takes_no_line_until_one_was_taken(void **state)
{
	struct ring *ring = *state;
	struct iovec pieces[2];
	unsigned in = 0;

	while (put_line(ring, in, RING_LINE_MAX))
		in++;
	assert_int_equal(in, RING_SIZE / RING_LINE_MAX);
	assert_int_equal(ring_peek(ring, pieces), RING_SIZE);
	assert_null(ring_room(ring));
	expect_line(ring, 0, RING_LINE_MAX);
	assert_true(put_line(ring, in++, RING_LINE_MAX));
	assert_null(ring_room(ring));
	for (unsigned out = 1; out < in; out++)
		expect_line(ring, out, RING_LINE_MAX);
}

static void putting_tells_how_much_waits(void **state)
{
	struct ring *ring = *state;
	struct iovec pieces[2];

	memset(ring_room(ring), 'x', 10);
	assert_int_equal(ring_put(ring, 10), 10);
	memset(ring_room(ring), 'y', 5);
	assert_int_equal(ring_put(ring, 5), 15);
	assert_int_equal(ring_peek(ring, pieces), 15);
	assert_memory_equal(pieces[0].iov_base, "xxxxxxxxxxyyyyy", 15);
	assert_int_equal(pieces[1].iov_len, 0);
}

enum { MANY = 200000 };

static void *produce(void *arg)
{
	struct ring *ring = arg;

	for (unsigned n = 0; n < MANY;) {
		char *at = ring_room(ring);

		if (!at)
			continue;
		(void)ring_put(ring, (size_t)sprintf(at, "%u\n", n++));
	}
	return NULL;
}

static void two_threads_need_no_lock(void **state)
{
	struct ring *ring = *state;
	unsigned long next = 0, read = 0;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, produce, ring), 0);
	while (next < MANY) {
		struct iovec pieces[2];
		size_t len = ring_peek(ring, pieces);

		for (int i = 0; i < 2; i++) {
			const char *bytes = pieces[i].iov_base;

			for (size_t at = 0; at < pieces[i].iov_len; at++) {
				if (bytes[at] != '\n') {
					read = 10 * read + (unsigned long)(bytes[at] - '0');
					continue;
				}
				assert_int_equal(read, next);
				next++;
				read = 0;
			}
		}
		ring_take(ring, len);
	}
	pthread_join(thread, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(lines_come_out_as_they_went_in_also_where_it_wraps, make, destroy),
		cmocka_unit_test_setup_teardown(a_full_ring_takes_no_line_until_one_was_taken, make, destroy),
		cmocka_unit_test_setup_teardown(putting_tells_how_much_waits, make, destroy),
		cmocka_unit_test_setup_teardown(two_threads_need_no_lock, make, destroy),
	};

	return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}
