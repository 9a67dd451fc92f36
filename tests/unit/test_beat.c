/* test_beat.c - base/beat, on a real loop: when the next one is due. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/beat.h"

enum { SHORT_MS = 25, LONG_MS = 50 };

struct fixture {
	uv_loop_t loop;
	struct pulse pulse;
	struct beat often, seldom;
	unsigned called; /* often */
};

static void on_often(void *arg)
{
	struct fixture *f = arg;

	f->called++;
	uv_stop(&f->loop);
}

static void on_seldom(void *arg)
{
	(void)arg;
}

static int set_up(void **state)
{
	static struct fixture fixture;
	struct fixture *f = &fixture;

	*f = (struct fixture){ 0 };
	assert_int_equal(uv_loop_init(&f->loop), 0);
	pulse_init(&f->pulse, &f->loop);
	beat_init(&f->often, &f->pulse, SHORT_MS, on_often, f);
	beat_init(&f->seldom, &f->pulse, LONG_MS, on_seldom, f);
	*state = f;
	return 0;
}

static int take_down(void **state)
{
	struct fixture *f = *state;

	beat_close(&f->often);
	beat_close(&f->seldom);
	assert_int_equal(uv_run(&f->loop, UV_RUN_DEFAULT), 0);
	return uv_loop_close(&f->loop);
}

/* As libuv has it. */
static uint64_t due(const struct beat *beat)
{
	return uv_now(beat->timer.loop) + uv_timer_get_due_in(&beat->timer);
}

/* At the next multiple of its period. */
static void expect_due(const struct beat *beat, uint64_t period_ms)
{
	assert_true(uv_is_active((const uv_handle_t *)&beat->timer));
	assert_int_equal(due(beat) % period_ms, 0);
	assert_in_range(due(beat) - uv_now(beat->timer.loop), 1, period_ms);
}

static void beats_come_at_the_multiples_of_their_periods(void **state)
{
	struct fixture *f = *state;

	beat_start(&f->often);
	beat_start(&f->seldom);
	for (unsigned i = 1; i <= 8; i++) {
		expect_due(&f->often, SHORT_MS);
		expect_due(&f->seldom, LONG_MS);
		uv_run(&f->loop, UV_RUN_DEFAULT);
		assert_int_equal(f->called, i);
	}
}

/* Turns the loop until both have come once more. */
static void let_both_come(struct fixture *f)
{
	uint64_t often = f->often.due_ms, seldom = f->seldom.due_ms;

	while (f->often.due_ms == often || f->seldom.due_ms == seldom)
		uv_run(&f->loop, UV_RUN_ONCE);
}

static void a_slow_pulse_has_all_of_them_come_at_once(void **state)
{
	struct fixture *f = *state;

	beat_start(&f->often);
	beat_start(&f->seldom);
	pulse_slow(&f->pulse, true);
	let_both_come(f);
	expect_due(&f->often, BEAT_SLOW_MS);
	expect_due(&f->seldom, BEAT_SLOW_MS);
	assert_int_equal(due(&f->often), due(&f->seldom));
	let_both_come(f);
	expect_due(&f->often, BEAT_SLOW_MS);
}

static void one_that_is_roused_does_not_wait_for_its_slow_beat(void **state)
{
	struct fixture *f = *state;

	beat_start(&f->often);
	beat_start(&f->seldom);
	pulse_slow(&f->pulse, true);
	let_both_come(f);
	pulse_slow(&f->pulse, false);
	expect_due(&f->often, SHORT_MS);
	expect_due(&f->seldom, LONG_MS);
}

/* A short connection now and then, and nobody else: each finds the pulse slow and leaves it so. */
static void a_pulse_that_changes_all_the_time_puts_no_beat_off(void **state)
{
	struct fixture *f = *state;
	bool slow = true;

	beat_start(&f->often);
	beat_start(&f->seldom);
	for (unsigned i = 0; i < 5; i++) {
		uint64_t first = f->seldom.due_ms;

		assert_in_range(first, uv_now(&f->loop) + 1, uv_now(&f->loop) + LONG_MS);
		do {
			pulse_slow(&f->pulse, slow);
			slow = !slow;
			assert_int_equal(f->seldom.due_ms, first);
			assert_int_equal(due(&f->seldom), first);
			uv_update_time(&f->loop);
		} while (uv_now(&f->loop) < first);
		/* It is due, and has not come yet. */
		pulse_slow(&f->pulse, !f->pulse.slow);
		assert_int_equal(f->seldom.due_ms, first);
		pulse_slow(&f->pulse, false);
		while (f->seldom.due_ms == first)
			uv_run(&f->loop, UV_RUN_ONCE);
	}
}

static void one_that_comes_late_says_by_how_much(void **state)
{
	struct fixture *f = *state;
	uint64_t due_ms, came_ms;

	beat_start(&f->often);
	due_ms = f->often.due_ms;
	while (uv_hrtime() / 1000000 < due_ms + 3 * SHORT_MS)
		;
	uv_run(&f->loop, UV_RUN_NOWAIT);
	came_ms = uv_hrtime() / 1000000;
	assert_int_equal(f->called, 1);
	assert_in_range(f->often.late_ms, 3 * SHORT_MS, came_ms - due_ms);
	expect_due(&f->often, SHORT_MS);
}

/* Somebody who says often that there is work must not put off the beats again and again. */
static void what_is_no_news_changes_nothing(void **state)
{
	struct fixture *f = *state;
	uint64_t first;

	beat_start(&f->often);
	first = due(&f->often);
	do {
		pulse_slow(&f->pulse, false);
		assert_int_equal(due(&f->often), first);
		uv_update_time(&f->loop);
	} while (uv_now(&f->loop) < first);
	assert_int_equal(uv_timer_get_due_in(&f->often.timer), 0);
}

static void one_that_was_not_started_stays_so(void **state)
{
	struct fixture *f = *state;

	beat_start(&f->often);
	pulse_slow(&f->pulse, true);
	pulse_slow(&f->pulse, false);
	assert_false(uv_is_active((uv_handle_t *)&f->seldom.timer));
	pulse_slow(&f->pulse, true);
	beat_start(&f->seldom);
	expect_due(&f->seldom, BEAT_SLOW_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(beats_come_at_the_multiples_of_their_periods, set_up, take_down),
		cmocka_unit_test_setup_teardown(a_slow_pulse_has_all_of_them_come_at_once, set_up, take_down),
		cmocka_unit_test_setup_teardown(one_that_is_roused_does_not_wait_for_its_slow_beat, set_up, take_down),
		cmocka_unit_test_setup_teardown(a_pulse_that_changes_all_the_time_puts_no_beat_off, set_up, take_down),
		cmocka_unit_test_setup_teardown(one_that_comes_late_says_by_how_much, set_up, take_down),
		cmocka_unit_test_setup_teardown(what_is_no_news_changes_nothing, set_up, take_down),
		cmocka_unit_test_setup_teardown(one_that_was_not_started_stays_so, set_up, take_down),
	};

	return cmocka_run_group_tests_name("beat", tests, NULL, NULL);
}
