/* test_pollset.c - base/pollset, over socket pairs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <uv.h>

#include "base/pollset.h"

enum { PAIRS = POLLSET_BATCH * 2 + 5 };

struct watch {
	uv_loop_t loop;
	uv_async_t alive;
	uv_timer_t timer;
	unsigned fired;
	bool stops; /* the loop, from where it is called */
	struct pollset set;
	unsigned seen[PAIRS]; /* events by tag */
	uint32_t last;        /* the bits of the last one */
	unsigned turns;
	int largest;       /* most events of one turn */
	int most;          /* to deal with in a turn; 0: all */
	unsigned lasts_ms; /* a turn's events */
};

struct fixture {
	struct watch a, b;
	int pairs[PAIRS][2];
};

static int on_events(void *owner, const struct epoll_event *events, int n)
{
	struct watch *watch = owner;
	int most = watch->most && watch->most < n ? watch->most : n;

	watch->turns++;
	if (n > watch->largest)
		watch->largest = n;
	for (int i = 0; i < most; i++) {
		watch->seen[events[i].data.u64]++;
		watch->last = events[i].events;
	}
	usleep(watch->lasts_ms * 1000);
	return most;
}

static void on_timer(uv_timer_t *timer)
{
	struct watch *watch = timer->data;

	watch->fired++;
	if (watch->stops)
		uv_stop(&watch->loop);
}

static bool open_watch(struct watch *watch)
{
	watch->timer.data = watch;
	return uv_loop_init(&watch->loop) == 0 && uv_async_init(&watch->loop, &watch->alive, NULL) == 0 &&
		uv_timer_init(&watch->loop, &watch->timer) == 0 &&
		pollset_open(&watch->set, &watch->loop, on_events, watch) == 0 &&
		/* The first is the loop's, which has not seen its handles yet. */
		pollset_turn(&watch->set, false);
}

static int close_watch(struct watch *watch)
{
	pollset_close(&watch->set);
	uv_close((uv_handle_t *)&watch->alive, NULL);
	uv_close((uv_handle_t *)&watch->timer, NULL);
	uv_run(&watch->loop, UV_RUN_DEFAULT);
	pollset_finish(&watch->set);
	return uv_loop_close(&watch->loop);
}

static void turn(struct watch *watch, bool wait)
{
	assert_true(pollset_turn(&watch->set, wait));
}

static int setup(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	*state = &f;
	for (int i = 0; i < PAIRS; i++) {
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, f.pairs[i]))
			return -1;
	}
	return open_watch(&f.a) && open_watch(&f.b) ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	int err = close_watch(&f->a) || close_watch(&f->b);

	for (int i = 0; i < PAIRS; i++) {
		close(f->pairs[i][0]);
		close(f->pairs[i][1]);
	}
	return err;
}

static void send_byte(struct fixture *f, int pair)
{
	assert_int_equal(write(f->pairs[pair][1], "x", 1), 1);
}

static void take_byte(struct fixture *f, int pair)
{
	char byte;

	assert_int_equal(read(f->pairs[pair][0], &byte, 1), 1);
}

static void pollset_reports_the_tag_until_the_bytes_are_read(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(pollset_add(&f->a.set, f->pairs[0][0], EPOLLIN, 7), 0);
	turn(&f->a, false);
	assert_int_equal(f->a.turns, 0);
	send_byte(f, 0);
	turn(&f->a, true);
	assert_int_equal(f->a.seen[7], 1);
	assert_int_equal(f->a.last, EPOLLIN);
	turn(&f->a, true);
	assert_int_equal(f->a.seen[7], 2);
	take_byte(f, 0);
	turn(&f->a, false);
	assert_int_equal(f->a.seen[7], 2);
}

static void pollset_changes_what_it_waits_for(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(pollset_add(&f->a.set, f->pairs[0][0], EPOLLIN | EPOLLOUT, 1), 0);
	turn(&f->a, true);
	assert_int_equal(f->a.last, EPOLLOUT);
	assert_int_equal(pollset_mod(&f->a.set, f->pairs[0][0], EPOLLIN, 2), 0);
	turn(&f->a, false);
	assert_int_equal(f->a.turns, 1);
	send_byte(f, 0);
	turn(&f->a, true);
	assert_int_equal(f->a.seen[2], 1);
}

static void pollset_tells_whether_an_fd_is_inside(void **state)
{
	struct fixture *f = *state;
	int fd = f->pairs[0][0];

	assert_int_equal(pollset_mod(&f->a.set, fd, EPOLLIN, 0), UV_ENOENT);
	assert_int_equal(pollset_del(&f->a.set, fd), UV_ENOENT);
	assert_int_equal(pollset_add(&f->a.set, fd, EPOLLIN, 0), 0);
	assert_int_equal(pollset_add(&f->a.set, fd, EPOLLIN, 0), UV_EEXIST);
	assert_int_equal(pollset_del(&f->a.set, fd), 0);
	assert_int_equal(pollset_del(&f->a.set, fd), UV_ENOENT);
}

static void pollset_hands_an_fd_to_another_loop_with_its_bytes(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(pollset_add(&f->a.set, f->pairs[0][0], EPOLLIN, 3), 0);
	send_byte(f, 0);
	assert_int_equal(pollset_del(&f->a.set, f->pairs[0][0]), 0);
	assert_int_equal(pollset_add(&f->b.set, f->pairs[0][0], EPOLLIN, 4), 0);
	turn(&f->a, false);
	turn(&f->b, true);
	assert_int_equal(f->a.turns, 0);
	assert_int_equal(f->b.seen[4], 1);
}

static void pollset_starves_nobody_beyond_a_batch(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < PAIRS; i++) {
		assert_int_equal(pollset_add(&f->a.set, f->pairs[i][0], EPOLLIN, (uint64_t)i), 0);
		send_byte(f, i);
	}
	/* Nobody reads, so all stay ready; three batches reach all of them all the same. */
	while (f->a.turns < 3)
		turn(&f->a, true);
	assert_int_equal(f->a.largest, POLLSET_BATCH);
	for (int i = 0; i < PAIRS; i++)
		assert_true(f->a.seen[i] > 0);
}

static void add_first_pair(void *arg)
{
	struct fixture *f = arg;

	if (!pollset_add(&f->a.set, f->pairs[0][0], EPOLLIN, 5))
		(void)!write(f->pairs[0][1], "x", 1);
}

/* Of events that all stay ready, a turn that is cut short must not serve the same ones again and again. */
static void pollset_brings_what_was_not_dealt_with_first(void **state)
{
	struct fixture *f = *state;

	f->a.most = 3;
	for (int i = 0; i < 8; i++) {
		assert_int_equal(pollset_add(&f->a.set, f->pairs[i][0], EPOLLIN, (uint64_t)i), 0);
		send_byte(f, i);
	}
	for (int i = 0; i < 3; i++)
		turn(&f->a, true);
	for (int i = 0; i < 8; i++)
		assert_int_equal(f->a.seen[i], 1);
}

static void pollset_wakes_its_loop_for_an_fd_of_another_thread(void **state)
{
	struct fixture *f = *state;
	uv_thread_t thread;

	assert_int_equal(uv_thread_create(&thread, add_first_pair, f), 0);
	turn(&f->a, true); /* waits, as long as it takes */
	uv_thread_join(&thread);
	assert_int_equal(f->a.seen[5], 1);
}

static void pollset_leaves_fds_open_when_it_ends(void **state)
{
	struct fixture *f = *state;
	static struct watch watch;

	assert_true(open_watch(&watch));
	assert_int_equal(pollset_add(&watch.set, f->pairs[0][0], EPOLLIN, 0), 0);
	send_byte(f, 0);
	assert_int_equal(close_watch(&watch), 0);
	assert_int_equal(watch.turns, 0);
	assert_int_equal(watch.set.epfd, -1);
	pollset_finish(&watch.set);
	take_byte(f, 0);
}

/* A bound on turns, not on time: the loop's timers are asked in each. */
static void timers_fire_between_events_that_never_end(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(pollset_add(&f->a.set, f->pairs[0][0], EPOLLIN, 0), 0);
	send_byte(f, 0);
	turn(&f->a, true);
	assert_int_equal(uv_timer_start(&f->a.timer, on_timer, 1, 1), 0);
	while (f->a.fired < 3)
		turn(&f->a, true);
	assert_true(f->a.seen[0] >= 3);
}

static void a_timer_ends_a_wait_without_events(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(uv_timer_start(&f->a.timer, on_timer, 1, 0), 0);
	while (!f->a.fired)
		turn(&f->a, true);
	assert_int_equal(f->a.turns, 0);
}

static void a_timer_counts_from_the_event_that_starts_it(void **state)
{
	enum { LATE_MS = 50 };
	struct fixture *f = *state;
	uint64_t started;

	assert_int_equal(pollset_add(&f->a.set, f->pairs[0][0], EPOLLIN, 0), 0);
	turn(&f->a, false);
	usleep(LATE_MS * 1000);
	send_byte(f, 0);
	started = uv_hrtime();
	turn(&f->a, true); /* on_events() could have started it */
	assert_int_equal(uv_timer_start(&f->a.timer, on_timer, LATE_MS, 0), 0);
	while (!f->a.fired)
		turn(&f->a, true);
	/* A clock that had stood still would let it fire at once. */
	assert_true(uv_hrtime() - started >= (LATE_MS - 2) * UINT64_C(1000000));
}

/* It became due meanwhile: a wait for it would come on top of that. */
static void a_timer_does_not_wait_again_for_the_time_that_events_took(void **state)
{
	enum { SOON_MS = 10 };
	struct fixture *f = *state;

	assert_int_equal(pollset_add(&f->a.set, f->pairs[0][0], EPOLLIN, 0), 0);
	send_byte(f, 0);
	assert_int_equal(uv_timer_start(&f->a.timer, on_timer, SOON_MS, 0), 0);
	f->a.lasts_ms = 2 * SOON_MS;
	while (!f->a.turns)
		turn(&f->a, true);
	turn(&f->a, true);
	assert_int_equal(f->a.fired, 1);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct watch *watch = poll->data;

	assert_int_equal(status, 0);
	assert_int_equal(events, UV_READABLE);
	watch->fired++;
	uv_close((uv_handle_t *)poll, NULL);
}

/* The loop tells its own set of it when it turns, and nothing else may make it. */
static void a_handle_that_events_start_is_waited_for(void **state)
{
	struct fixture *f = *state;
	static uv_poll_t poll;

	send_byte(f, 0);
	assert_int_equal(uv_poll_init(&f->a.loop, &poll, f->pairs[0][0]), 0);
	poll.data = &f->a;
	assert_int_equal(uv_poll_start(&poll, UV_READABLE, on_poll), 0); /* on_events() could have started it */
	turn(&f->a, false);
	turn(&f->a, false);
	assert_int_equal(f->a.fired, 1);
}

static void it_is_over_when_the_loop_is_stopped_or_has_nothing_left(void **state)
{
	struct fixture *f = *state;
	static struct watch idle;

	uv_stop(&f->a.loop); /* as a handler of on_events() does */
	assert_false(pollset_turn(&f->a.set, true));
	f->b.stops = true;
	assert_int_equal(uv_timer_start(&f->b.timer, on_timer, 0, 0), 0);
	while (pollset_turn(&f->b.set, true))
		;
	assert_int_equal(f->b.fired, 1);
	assert_true(open_watch(&idle));
	uv_unref((uv_handle_t *)&idle.alive);
	assert_false(pollset_turn(&idle.set, true));
	assert_int_equal(close_watch(&idle), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(pollset_reports_the_tag_until_the_bytes_are_read, setup, teardown),
		cmocka_unit_test_setup_teardown(pollset_changes_what_it_waits_for, setup, teardown),
		cmocka_unit_test_setup_teardown(pollset_tells_whether_an_fd_is_inside, setup, teardown),
		cmocka_unit_test_setup_teardown(pollset_hands_an_fd_to_another_loop_with_its_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(pollset_starves_nobody_beyond_a_batch, setup, teardown),
		cmocka_unit_test_setup_teardown(pollset_brings_what_was_not_dealt_with_first, setup, teardown),
		cmocka_unit_test_setup_teardown(pollset_wakes_its_loop_for_an_fd_of_another_thread, setup, teardown),
		cmocka_unit_test_setup_teardown(pollset_leaves_fds_open_when_it_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(timers_fire_between_events_that_never_end, setup, teardown),
		cmocka_unit_test_setup_teardown(a_timer_ends_a_wait_without_events, setup, teardown),
		cmocka_unit_test_setup_teardown(a_timer_counts_from_the_event_that_starts_it, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_timer_does_not_wait_again_for_the_time_that_events_took, setup, teardown),
		cmocka_unit_test_setup_teardown(a_handle_that_events_start_is_waited_for, setup, teardown),
		cmocka_unit_test_setup_teardown(
			it_is_over_when_the_loop_is_stopped_or_has_nothing_left, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
