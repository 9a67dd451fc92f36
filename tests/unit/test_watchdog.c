/* test_watchdog.c - worker/watchdog: what is a stall and what is not, from what was seen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "worker/watchdog.h"

enum { MS = 1000000, TICK = 25 * MS, TIMEOUT = 500 * MS };

/* How many looks of this kind it takes; 0: not within a thousand. */
static unsigned looks_until_stalled(struct watch *watch, struct watch_sight sight)
{
	for (unsigned i = 1; i <= 1000; i++)
		if (watch_note(watch, &sight, TIMEOUT))
			return i;
	return 0;
}

static void a_thread_that_computes_is_stalled(void **state)
{
	struct watch watch = { 0 };

	(void)state;
	assert_int_equal(looks_until_stalled(&watch, (struct watch_sight){ .span_ns = TICK, .worked_ns = TICK }), 20);
}

static void a_thread_that_sleeps_in_a_call_is_stalled(void **state)
{
	struct watch watch = { 0 };

	(void)state;
	assert_int_equal(looks_until_stalled(&watch, (struct watch_sight){ .span_ns = TICK, .asleep = true }), 20);
}

static void half_of_the_time_is_enough_and_less_is_not(void **state)
{
	struct watch watch = { 0 };

	(void)state;
	assert_int_equal(
		looks_until_stalled(&watch, (struct watch_sight){ .span_ns = TICK, .worked_ns = TICK / 2 }), 20);
	watch = (struct watch){ 0 };
	/* A third of a processor: it takes as long as it takes to have used half of the time. */
	assert_int_equal(
		looks_until_stalled(&watch, (struct watch_sight){ .span_ns = TICK, .worked_ns = TICK / 4 }), 40);
}

static void a_thread_that_gets_no_processor_is_not(void **state)
{
	struct watch watch = { 0 };

	(void)state;
	assert_int_equal(looks_until_stalled(&watch, (struct watch_sight){ .span_ns = TICK }), 0);
}

static void a_beat_begins_anew(void **state)
{
	struct watch watch = { 0 };
	const struct watch_sight busy = { .span_ns = TICK, .worked_ns = TICK },
				 beat = { .span_ns = TICK, .beat = true };

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		for (unsigned j = 0; j < 19; j++)
			assert_false(watch_note(&watch, &busy, TIMEOUT));
		assert_false(watch_note(&watch, &beat, TIMEOUT));
		assert_false(watch.silent);
	}
}

static void a_late_look_does_not_count(void **state)
{
	struct watch watch = { 0 };

	(void)state;
	assert_int_equal(looks_until_stalled(&watch,
				 (struct watch_sight){ .span_ns = 10 * TICK, .worked_ns = 10 * TICK, .late = true }),
		0);
	assert_int_equal(looks_until_stalled(&watch, (struct watch_sight){ .span_ns = TICK, .worked_ns = TICK }), 20);
}

static void looks_are_frequent_enough_to_be_in_time(void **state)
{
	static const uint64_t timeouts[] = { 50, 100, 500, 2000, 3600000 };

	(void)state;
	for (unsigned i = 0; i < sizeof(timeouts) / sizeof(*timeouts); i++) {
		uint64_t period = watchdog_period_ms(timeouts[i]);

		assert_in_range(period, 5, 25);
		assert_true(2 * period <= 50 && period <= timeouts[i] / 10);
		assert_in_range(watchdog_span_ns(timeouts[i] * MS), period * MS, 2 * TICK);
	}
	assert_false(watchdog_is_late(0));
	assert_false(watchdog_is_late(10));
	assert_true(watchdog_is_late(30));
}

static void a_ping_without_an_answer_is_told_until_the_next_beat(void **state)
{
	struct watch watch = { 0 };

	(void)state;
	(void)watch_note(&watch, &(struct watch_sight){ .span_ns = TICK }, TIMEOUT);
	assert_true(watch.silent && !watch.unanswered);
	(void)watch_note(&watch, &(struct watch_sight){ .span_ns = TICK, .pinged = true }, TIMEOUT);
	assert_true(watch.unanswered);
	(void)watch_note(&watch, &(struct watch_sight){ .span_ns = TICK, .pinged = true, .late = true }, TIMEOUT);
	assert_true(watch.unanswered);
	(void)watch_note(&watch, &(struct watch_sight){ .span_ns = TICK, .beat = true }, TIMEOUT);
	assert_false(watch.silent || watch.unanswered);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_thread_that_computes_is_stalled),
		cmocka_unit_test(a_thread_that_sleeps_in_a_call_is_stalled),
		cmocka_unit_test(half_of_the_time_is_enough_and_less_is_not),
		cmocka_unit_test(a_thread_that_gets_no_processor_is_not),
		cmocka_unit_test(a_beat_begins_anew),
		cmocka_unit_test(a_late_look_does_not_count),
		cmocka_unit_test(looks_are_frequent_enough_to_be_in_time),
		cmocka_unit_test(a_ping_without_an_answer_is_told_until_the_next_beat),
	};

	return cmocka_run_group_tests_name("watchdog", tests, NULL, NULL);
}
