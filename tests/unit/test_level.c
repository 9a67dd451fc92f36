/* test_level.c - worker/level: shares, and when they are worth moving connections for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "worker/level.h"

static struct level_side side(int64_t load, unsigned weight)
{
	return (struct level_side){ .up = true, .load = load, .weight = weight, .share = LEVEL_FULL };
}

static void shares_follow_the_weights(void **state)
{
	const struct level_side sides[] = { side(100, 1), side(100, 1), side(200, 2) };
	const struct level_side odd[] = { side(0, 1), side(50, 1), side(50, 1) };

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(level_surplus(sides, 3, i), 0);
	/* 33 and a third each: one of those that have it keeps the odd one. */
	assert_int_equal(level_surplus(odd, 3, 1), 16);
	assert_int_equal(level_surplus(odd, 3, 2), 17);
	assert_true(level_surplus(odd, 3, 0) < 0);
}

static void who_is_not_up_has_no_share(void **state)
{
	struct level_side sides[] = { side(60, 1), side(60, 1), side(1000, 1) };

	(void)state;
	sides[2].up = false;
	assert_int_equal(level_surplus(sides, 3, 0), 0);
	assert_false(level_uneven(sides, 3));
}

static void moving_surplus_ends(void **state)
{
	struct level_side sides[] = { side(997, 1), side(3, 3), side(11, 2), side(0, 1) };
	unsigned moves = 0;

	(void)state;
	for (;;) {
		unsigned from = 0, to = 0;

		while (from < 4 && level_surplus(sides, 4, from) <= 0)
			from++;
		if (from == 4)
			break;
		for (unsigned i = 1; i < 4; i++)
			if ((sides[i].load + 1) * sides[to].weight < (sides[to].load + 1) * sides[i].weight)
				to = i;
		assert_int_not_equal(from, to);
		sides[from].load--;
		sides[to].load++;
		assert_true(++moves < 2000);
	}
	assert_false(level_uneven(sides, 4));
	assert_true(sides[1].load >= 432 && sides[1].load <= 434);
}

static void a_little_unevenness_is_left_alone(void **state)
{
	const struct level_side one_off[] = { side(31, 1), side(30, 1), side(29, 1) };
	const struct level_side within[] = { side(1090, 1), side(1000, 1), side(910, 1) };
	const struct level_side beyond[] = { side(1120, 1), side(1000, 1), side(880, 1) };
	const struct level_side few[] = { side(1, 1), side(0, 1), side(0, 1) };
	const struct level_side few_uneven[] = { side(6, 1), side(0, 1), side(0, 1) };

	(void)state;
	assert_false(level_uneven(one_off, 3));
	assert_false(level_uneven(within, 3));
	assert_true(level_uneven(beyond, 3));
	assert_false(level_uneven(few, 3));
	assert_true(level_uneven(few_uneven, 3));
}

static void look(struct level_side *sides, unsigned n, unsigned looks)
{
	while (looks--)
		level_weigh(sides, n);
}

static void who_is_much_busier_gets_a_smaller_share_and_has_it_back_later(void **state)
{
	struct level_side sides[] = { side(100, 1), side(100, 1), side(100, 1) };

	(void)state;
	sides[0].busy = 900;
	sides[1].busy = sides[2].busy = 200;
	look(sides, 3, 19);
	assert_int_equal(sides[0].share, LEVEL_FULL);
	look(sides, 3, 1);
	assert_int_equal(sides[0].share, LEVEL_FULL - LEVEL_STEP);
	look(sides, 3, 1000);
	assert_int_equal(sides[0].share, LEVEL_LEAST);
	assert_int_equal(sides[1].share, LEVEL_FULL);
	assert_true(level_uneven(sides, 3));
	sides[0].busy = 200;
	look(sides, 3, 49);
	assert_int_equal(sides[0].share, LEVEL_LEAST);
	look(sides, 3, 1);
	assert_int_equal(sides[0].share, LEVEL_LEAST + LEVEL_STEP);
	look(sides, 3, 1000);
	assert_int_equal(sides[0].share, LEVEL_FULL);
}

static void load_that_all_share_changes_nothing(void **state)
{
	struct level_side sides[] = { side(100, 1), side(100, 1), side(100, 1) };

	(void)state;
	sides[0].busy = 1000;
	sides[1].busy = 900;
	sides[2].busy = 600;
	look(sides, 3, 1000);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(sides[i].share, LEVEL_FULL);
	/* Twice as busy as the others, but nobody suffers. */
	sides[0].busy = 400;
	sides[1].busy = sides[2].busy = 10;
	look(sides, 3, 1000);
	assert_int_equal(sides[0].share, LEVEL_FULL);
}

static void a_lone_worker_keeps_its_share(void **state)
{
	struct level_side sides[] = { side(100, 1), side(0, 1) };

	(void)state;
	sides[1].up = false;
	sides[0].busy = 1000;
	look(sides, 2, 1000);
	assert_int_equal(sides[0].share, LEVEL_FULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shares_follow_the_weights),
		cmocka_unit_test(who_is_not_up_has_no_share),
		cmocka_unit_test(moving_surplus_ends),
		cmocka_unit_test(a_little_unevenness_is_left_alone),
		cmocka_unit_test(who_is_much_busier_gets_a_smaller_share_and_has_it_back_later),
		cmocka_unit_test(load_that_all_share_changes_nothing),
		cmocka_unit_test(a_lone_worker_keeps_its_share),
	};

	return cmocka_run_group_tests_name("level", tests, NULL, NULL);
}
