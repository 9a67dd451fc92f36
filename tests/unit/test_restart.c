/* test_restart.c - worker/restart: delays and when to give up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "worker/restart.h"

static void delays_double_up_to_a_limit(void **state)
{
	struct restart restart = { 0 };
	static const int expected[] = { 100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000 };
	uint64_t now = 1000;

	(void)state;
	for (unsigned i = 0; i < sizeof(expected) / sizeof(*expected); i++) {
		assert_int_equal(restart_after(&restart, now, 0), expected[i]);
		now += 20000; /* never five in a minute */
	}
}

static void a_worker_that_was_up_for_a_while_begins_anew(void **state)
{
	struct restart restart = { 0 };

	(void)state;
	assert_int_equal(restart_after(&restart, 100000, 0), 100);
	assert_int_equal(restart_after(&restart, 200000, RESTART_CALM_MS - 1), 200);
	assert_int_equal(restart_after(&restart, 300000, RESTART_CALM_MS), 100);
	assert_int_equal(restart_after(&restart, 400000, 0), 200);
}

static void too_many_in_a_minute_are_given_up(void **state)
{
	struct restart restart = { 0 };

	(void)state;
	for (unsigned i = 0; i < RESTART_PER_MINUTE; i++)
		assert_true(restart_after(&restart, 1000 + i * 1000, 0) > 0);
	assert_int_equal(restart_after(&restart, 60999, 0), RESTART_GIVE_UP);
	/* The first of them is a minute ago. */
	assert_true(restart_after(&restart, 61000, 0) > 0);
	assert_int_equal(restart_after(&restart, 61001, 0), RESTART_GIVE_UP);
}

static void an_operator_wipes_the_slate(void **state)
{
	struct restart restart = { 0 };

	(void)state;
	for (unsigned i = 0; i < RESTART_PER_MINUTE; i++)
		(void)restart_after(&restart, 1000 + i, 0);
	restart_forget(&restart);
	assert_int_equal(restart_after(&restart, 2000, 0), RESTART_FIRST_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(delays_double_up_to_a_limit),
		cmocka_unit_test(a_worker_that_was_up_for_a_while_begins_anew),
		cmocka_unit_test(too_many_in_a_minute_are_given_up),
		cmocka_unit_test(an_operator_wipes_the_slate),
	};

	return cmocka_run_group_tests_name("restart", tests, NULL, NULL);
}
