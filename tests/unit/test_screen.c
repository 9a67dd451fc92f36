/* test_screen.c - rmsctl/screen: what is shown, at every size, and that it never scrolls. */
#include "rmsctl/screen.h"

#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS_MAX = 100, COLUMNS_MAX = 300 };

struct fixture {
	struct screen screen;
	struct outbuf out;
	char text[ROWS_MAX][COLUMNS_MAX * 4]; /* a terminal's rows, without colours */
	bool coloured;
};

static void add_worker(struct screen *screen, const char *name, const char *state, double requests)
{
	struct screen_worker *worker = &screen->workers[screen->n_workers++];

	*worker = (struct screen_worker){ .for_s = 192, .busy = 0.341, .lag_s = 0.00005 };
	screen_copy(worker->name, sizeof(worker->name), name);
	screen_copy(worker->state, sizeof(worker->state), state);
	worker->figures = (struct screen_figures){
		.requests = requests,
		.p50 = requests > 0 ? 0.000051 : (double)NAN,
		.p99 = requests > 0 ? 0.00123 : (double)NAN,
		.connections = 17,
		.restarts = 2,
	};
	for (unsigned i = 0; i < SCREEN_SECONDS + 5; i++)
		screen_add_second(worker, i % 2 ? requests : 0);
}

static int set_up(void **state)
{
	static struct fixture f;

	f = (struct fixture){ .screen = { .rows = 24, .columns = 80, .utf8 = true } };
	strcpy(f.screen.version, "0.1.0");
	strcpy(f.screen.clock, "12:03:04");
	f.screen.uptime_s = 3700;
	f.screen.totals = (struct screen_figures){ .requests = 1234.4, .p50 = 0.25, .p99 = 2.5, .connections = 34 };
	add_worker(&f.screen, "app1", "up", 1203);
	add_worker(&f.screen, "app2", "down", 0);
	screen_add_event(&f.screen, "12:03:01  state    app2  down, was up");
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	outbuf_finish(&f->out);
	return 0;
}

/* What a terminal of that size would show; fails if it would scroll or wrap. */
static void draw(struct fixture *f)
{
	unsigned row = 0, column = 0;
	size_t used = 0;
	const char *at;

	outbuf_reset(&f->out, SIZE_MAX);
	memset(f->text, 0, sizeof(f->text));
	f->coloured = false;
	screen_draw(&f->screen, &f->out);
	outbuf_append(&f->out, "", 1);
	assert_false(f->out.failed);
	for (at = f->out.data; *at; at++) {
		if (*at == '\033') {
			unsigned to = 0;

			assert_int_equal(at[1], '[');
			at += 2;
			sscanf(at, "%u", &to);
			at += strspn(at, "0123456789;");
			f->coloured = f->coloured || *at == 'm';
			/* Of a full row, erasing to its end takes the last character. */
			assert_true(*at != 'K' || column < f->screen.columns);
			if (*at == 'H') {
				row = to ? to - 1 : 0;
				column = 0;
				used = 0;
			}
		} else if (*at == '\r') {
			column = 0;
			used = 0;
		} else if (*at == '\n') {
			row++;
			assert_true(row < f->screen.rows);
		} else {
			if (((unsigned char)*at & 0xC0) != 0x80)
				column++;
			assert_true(column <= f->screen.columns);
			f->text[row][used++] = *at;
			f->text[row][used] = '\0';
		}
	}
}

static bool shows(const struct fixture *f, const char *text)
{
	for (unsigned i = 0; i < ROWS_MAX; i++)
		if (strstr(f->text[i], text))
			return true;
	return false;
}

static void expect(const struct fixture *f, const char *text)
{
	if (!shows(f, text))
		fail_msg("no \"%s\" in: %s", text, f->out.data);
}

static void all_that_is_known_is_shown(void **state)
{
	struct fixture *f = *state;

	draw(f);
	expect(f, "rmsd 0.1.0  up for 1h01m  1 of 2 workers up");
	expect(f, "12:03:04 UTC");
	expect(f, "1234 req/s   250ms p50   2.50s p99   34 conn");
	expect(f, "app1    up           3m12s     1203     51µs   1.23ms     17   34%  ");
	expect(f, "app2    DOWN         3m12s        0        -        -     17   34%");
	expect(f, "█ █ █");
	expect(f, "12:03:01  state    app2  down, was up");
	expect(f, "q quits");
	assert_false(f->coloured);
}

static void a_wide_screen_has_more_columns(void **state)
{
	struct fixture *f = *state;

	draw(f);
	assert_false(shows(f, "RESTARTS"));
	f->screen.columns = 160;
	draw(f);
	expect(f, "BUSY      LAG  RESTARTS     5XX   MOVED  EACH SECOND");
	f->screen.columns = 40;
	draw(f);
	assert_false(shows(f, "P50"));
	expect(f, "app2    DOWN");
}

static void it_fits_every_size(void **state)
{
	struct fixture *f = *state;

	strcpy(f->screen.drill, "Drill: kill app2, held");
	while (f->screen.n_workers < SCREEN_WORKERS)
		add_worker(&f->screen, "a worker with quite a long name", "stalled", 5);
	for (unsigned i = 0; i < SCREEN_EVENTS + 3; i++)
		screen_add_event(&f->screen, "an event whose text is longer than many terminals are wide: ä ö ü ß");
	for (f->screen.rows = 1; f->screen.rows < ROWS_MAX; f->screen.rows += f->screen.rows < 12 ? 1 : 9)
		for (f->screen.columns = 1; f->screen.columns < COLUMNS_MAX; f->screen.columns += 7)
			draw(f);
}

static void workers_without_room_are_counted(void **state)
{
	struct fixture *f = *state;

	while (f->screen.n_workers < 20)
		add_worker(&f->screen, "app", "up", 5);
	f->screen.rows = 14;
	draw(f);
	expect(f, "and 13 more: the terminal is too small");
	expect(f, "q quits");
}

static void a_small_screen_is_for_workers_first(void **state)
{
	struct fixture *f = *state;

	add_worker(&f->screen, "app3", "up", 5);
	for (unsigned i = 0; i < 10; i++)
		screen_add_event(&f->screen, "12:03:02  even     each worker has its share");
	f->screen.rows = 9;
	draw(f);
	expect(f, "app1    up");
	expect(f, "app2    DOWN");
	expect(f, "app3    up");
	expect(f, "q quits");
	f->screen.rows = 5;
	draw(f);
	expect(f, "app2    DOWN");
}

static void who_is_not_up_is_never_left_out_for_who_is(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 30; i++)
		add_worker(&f->screen, "app", "up", 5);
	add_worker(&f->screen, "last", "stalled", 0);
	draw(f);
	expect(f, "app1    up");
	expect(f, "app2    DOWN");
	expect(f, "last    STALLED");
	expect(f, "and 19 more: the terminal is too small");
}

static void a_server_that_drains_is_told(void **state)
{
	struct fixture *f = *state;

	f->screen.draining = true;
	draw(f);
	expect(f, "rmsd 0.1.0  draining  up for 1h01m  1 of 2 workers up");
}

static void before_the_first_figures_none_are_shown(void **state)
{
	struct fixture *f = *state;

	f->screen.n_workers = 0;
	*f->screen.version = '\0';
	strcpy(f->screen.notice, "rmsd says nothing");
	draw(f);
	expect(f, "rmsd says nothing");
	assert_false(shows(f, "of 0 workers"));
}

static void ascii_is_for_who_has_no_utf8(void **state)
{
	struct fixture *f = *state;

	f->screen.utf8 = false;
	draw(f);
	expect(f, "# # #");
	expect(f, "51us");
	for (const char *at = f->out.data; *at; at++)
		assert_true((unsigned char)*at < 0x80);
}

static void states_have_colours(void **state)
{
	struct fixture *f = *state;

	f->screen.colour = true;
	draw(f);
	assert_non_null(strstr(f->out.data, "\033[32mup\033[0m"));
	assert_non_null(strstr(f->out.data, "\033[1;31mDOWN\033[0m"));
}

static void a_notice_is_said_before_a_drill(void **state)
{
	struct fixture *f = *state;

	strcpy(f->screen.drill, "Drill: kill app2, held");
	draw(f);
	expect(f, "Drill: kill app2, held");
	strcpy(f->screen.notice, "rmsd has gone");
	draw(f);
	expect(f, "rmsd has gone");
	assert_false(shows(f, "Drill"));
}

static void a_copy_is_cut_between_characters(void **state)
{
	char room[6];

	(void)state;
	screen_copy(room, sizeof(room), "abcdefg");
	assert_string_equal(room, "abcde");
	screen_copy(room, sizeof(room), "abcdö");
	assert_string_equal(room, "abcd");
	screen_copy(room, sizeof(room), "abcö");
	assert_string_equal(room, "abcö");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(all_that_is_known_is_shown),
		TEST(a_wide_screen_has_more_columns),
		TEST(it_fits_every_size),
		TEST(workers_without_room_are_counted),
		TEST(a_small_screen_is_for_workers_first),
		TEST(who_is_not_up_is_never_left_out_for_who_is),
		TEST(a_server_that_drains_is_told),
		TEST(before_the_first_figures_none_are_shown),
		TEST(ascii_is_for_who_has_no_utf8),
		TEST(states_have_colours),
		TEST(a_notice_is_said_before_a_drill),
		TEST(a_copy_is_cut_between_characters),
	};

	return cmocka_run_group_tests_name("screen", tests, NULL, NULL);
}
