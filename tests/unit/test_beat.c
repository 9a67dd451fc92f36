/* test_beat.c - base/beat, on a real loop: when the next one is due. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/beat.h"

enum { SHORT_MS = 10, LONG_MS = 50 };

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

static uint64_t due(const struct beat *beat)
{
	return uv_now(beat->timer.loop) + uv_timer_get_due_in(&beat->timer);
}

/* At the next multiple of its period. */
static void expect_due(const struct beat *beat, uint64_t period_ms)
{
	assert_true(uv_is_active((const uv_handle_t *)&beat->timer));
	assert_int_equal(beat_period_ms(beat), period_ms);
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

static void a_slow_pulse_has_all_of_them_come_at_once(void **state)
{
	struct fixture *f = *state;

	beat_start(&f->often);
	beat_start(&f->seldom);
	pulse_slow(&f->pulse, true);
	expect_due(&f->often, BEAT_SLOW_MS);
	expect_due(&f->seldom, BEAT_SLOW_MS);
	assert_int_equal(due(&f->often), due(&f->seldom));
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(f->called, 1);
	expect_due(&f->often, BEAT_SLOW_MS);
}

static void one_that_is_roused_does_not_wait_for_its_slow_beat(void **state)
{
	struct fixture *f = *state;

	beat_start(&f->often);
	beat_start(&f->seldom);
	pulse_slow(&f->pulse, true);
	pulse_slow(&f->pulse, false);
	expect_due(&f->often, SHORT_MS);
	expect_due(&f->seldom, LONG_MS);
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
		cmocka_unit_test_setup_teardown(what_is_no_news_changes_nothing, set_up, take_down),
		cmocka_unit_test_setup_teardown(one_that_was_not_started_stays_so, set_up, take_down),
	};

	return cmocka_run_group_tests_name("beat", tests, NULL, NULL);
}
