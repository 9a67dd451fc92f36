/* test_budget.c - worker/budget: a share of what is in flight, in any second. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "worker/budget.h"

static const uint64_t MS = 1000000;

/* How many of n are let through. */
static unsigned take(struct budget *budget, uint64_t now_ms, uint64_t in_flight, unsigned n)
{
	unsigned taken = 0;

	while (n--)
		taken += budget_take(budget, now_ms * MS, in_flight);
	return taken;
}

static void a_fifth_and_never_less_than_a_few(void **state)
{
	static const struct {
		uint64_t in_flight;
		unsigned most;
	} rows[] = { { 0, 3 }, { 1, 3 }, { 15, 3 }, { 19, 3 }, { 20, 4 }, { 300, 60 }, { 10000, 2000 } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct budget budget = { 0 };

		assert_int_equal(take(&budget, 5000, rows[i].in_flight, 5000), rows[i].most);
	}
}

static void any_second_counts_not_each_for_itself(void **state)
{
	struct budget budget = { 0 };

	(void)state;
	assert_int_equal(take(&budget, 10000, 100, 5), 5);
	assert_int_equal(take(&budget, 10450, 100, 10), 10);
	assert_int_equal(take(&budget, 10900, 100, 10), 5);
	assert_int_equal(take(&budget, 10999, 100, 10), 0);
	/* The first five are more than a second ago, the others are not. */
	assert_int_equal(take(&budget, 11050, 100, 10), 5);
	assert_int_equal(take(&budget, 11410, 100, 10), 10);
	assert_int_equal(take(&budget, 11800, 100, 10), 0);
}

static void after_a_long_time_it_is_whole_again(void **state)
{
	struct budget budget = { 0 };

	(void)state;
	for (unsigned i = 1; i < 50; i++)
		assert_int_equal(take(&budget, (uint64_t)i * i * 1000, 100, 100), 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_fifth_and_never_less_than_a_few),
		cmocka_unit_test(any_second_counts_not_each_for_itself),
		cmocka_unit_test(after_a_long_time_it_is_whole_again),
	};

	return cmocka_run_group_tests_name("budget", tests, NULL, NULL);
}
