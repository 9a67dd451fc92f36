/* test_evict.c - worker/evict: which of many are the oldest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "worker/evict.h"

static int by_age(const void *a, const void *b)
{
	const struct evict_pick *x = a, *y = b;

	return (x->since_ms > y->since_ms) - (x->since_ms < y->since_ms);
}

/* The same numbers in each run. */
static unsigned next_random(void)
{
	static unsigned state = 1;

	state = state * 1664525 + 1013904223;
	return state >> 8;
}

static void the_oldest_are_picked_whatever_their_order(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 200; round++) {
		enum { MANY = 100 };
		struct evict_pick all[MANY], picks[MANY];
		unsigned most = round % MANY, n = 0;

		for (int i = 0; i < MANY; i++) {
			all[i] = (struct evict_pick){ (uint64_t)(next_random() % 1000) * 100 + (uint64_t)i, i };
			n = evict_offer(picks, n, most, all[i]);
			assert_true(n <= most);
		}
		assert_int_equal(n, most);
		qsort(all, MANY, sizeof(all[0]), by_age);
		qsort(picks, n, sizeof(picks[0]), by_age);
		for (unsigned i = 0; i < n; i++)
			assert_int_equal(picks[i].fd, all[i].fd);
	}
}

static void the_first_is_the_youngest_that_was_picked(void **state)
{
	struct evict_pick picks[3];
	unsigned n = 0;

	(void)state;
	for (int i = 0; i < 10; i++)
		n = evict_offer(picks, n, 3, (struct evict_pick){ (uint64_t)(50 - i), i });
	assert_int_equal(n, 3);
	assert_int_equal(picks[0].since_ms, 43);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_oldest_are_picked_whatever_their_order),
		cmocka_unit_test(the_first_is_the_youngest_that_was_picked),
	};

	return cmocka_run_group_tests_name("evict", tests, NULL, NULL);
}
