/* test_table.c - rmsctl/table: columns and sentences for people, and nothing raw from the server in them. */
#include "rmsctl/table.h"

#include <errno.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
	struct outbuf out;
	json_t *json;
};

static int set_up(void **state)
{
	static struct fixture fixture;

	fixture = (struct fixture){ 0 };
	*state = &fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	outbuf_finish(&f->out);
	json_decref(f->json);
	return 0;
}

static const json_t *parse(struct fixture *f, const char *text)
{
	json_decref(f->json);
	f->json = json_loads(text, 0, NULL);
	assert_non_null(f->json);
	outbuf_reset(&f->out, SIZE_MAX);
	return f->json;
}

static void assert_out(struct fixture *f, const char *expected)
{
	outbuf_append(&f->out, "", 1);
	assert_false(f->out.failed);
	assert_string_equal(f->out.data, expected);
}

static void text_escapes_what_a_terminal_must_not_get(void **state)
{
	static const struct {
		const char *in;
		size_t len;
		bool lines;
		const char *out;
	} cases[] = {
		{ "plain text ~", 12, false, "plain text ~" },
		{ "a\nb\tc", 5, true, "a\nb\tc" },
		{ "a\nb\tc", 5, false, "a\\x0ab\\x09c" },
		{ "\x1b[2J", 4, true, "\\x1b[2J" },
		{ "a\rb", 3, true, "a\\x0db" },
		{ "a\0b", 3, true, "a\\x00b" },
		{ "\x7f", 1, true, "\\x7f" },
		{ "gr\xc3\xbc\xc3\x9f", 6, false, "gr\xc3\xbc\xc3\x9f" },
		{ "\xe2\x82\xac \xf0\x9f\x98\x80", 8, false, "\xe2\x82\xac \xf0\x9f\x98\x80" },
		{ "\xc2\x9b"
		  "2J",
			4, true, "\\xc2\\x9b2J" },               /* C1: CSI */
		{ "\xc2\xa0", 2, false, "\xc2\xa0" },            /* the first behind C1 */
		{ "\x9b", 1, false, "\\x9b" },                   /* a lone continuation */
		{ "\xc0\x9b", 2, false, "\\xc0\\x9b" },          /* ESC, overlong */
		{ "\xe0\x80\x9b", 3, false, "\\xe0\\x80\\x9b" }, /* the same, longer */
		{ "\xed\xa0\x80", 3, false, "\\xed\\xa0\\x80" }, /* a surrogate */
		{ "\xf4\x90\x80\x80", 4, false, "\\xf4\\x90\\x80\\x80" },
		{ "\xe2\x82", 2, false, "\\xe2\\x82" }, /* cut short */
		{ "\xe2\x82z", 3, false, "\\xe2\\x82z" },
		{ "", 0, false, "" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		outbuf_reset(&f->out, SIZE_MAX);
		table_text(cases[i].in, cases[i].len, cases[i].lines, &f->out);
		outbuf_append(&f->out, "", 1);
		if (strcmp(f->out.data, cases[i].out) != 0)
			fail_msg("case %zu: got %s, not %s", i, f->out.data, cases[i].out);
	}
}

static void workers_stand_in_aligned_columns(void **state)
{
	struct fixture *f = *state;
	const json_t *workers = parse(f,
		"[{\"name\":\"app1\",\"state\":\"up\",\"since\":\"2025-01-02T03:04:05.678Z\",\"connections\":334,"
		"\"requests_total\":123456789012,\"restarts\":0,\"weight\":1,\"port\":5001},"
		"{\"name\":\"gr\xc3\xbc\xc3\x9f"
		"e2\",\"state\":\"starting\",\"since\":\"2025-01-02T03:04:05.678Z\",\"connections\":0,"
		"\"requests_total\":7,\"restarts\":12,\"weight\":100,\"port\":null}]");

	assert_int_equal(table_workers(workers, &f->out), 0);
	assert_out(f,
		"NAME    STATE     SINCE                     CONNECTIONS      REQUESTS  RESTARTS  WEIGHT  PORT\n"
		"app1    up        2025-01-02T03:04:05.678Z          334  123456789012         0       1  5001\n"
		"gr\xc3\xbc\xc3\x9f"
		"e2  starting  2025-01-02T03:04:05.678Z            0             7        12     100     -\n");
}

static void workers_without_fields_or_with_odd_ones_are_still_a_table(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(table_workers(parse(f, "[]"), &f->out), 0);
	assert_out(f, "NAME  STATE  SINCE  CONNECTIONS  REQUESTS  RESTARTS  WEIGHT  PORT\n");
	assert_int_equal(
		table_workers(
			parse(f, "[{\"name\":\"a\\u001bb\",\"state\":\"\",\"weight\":[1],\"port\":true}]"), &f->out),
		0);
	assert_out(f,
		"NAME    STATE  SINCE  CONNECTIONS  REQUESTS  RESTARTS  WEIGHT  PORT\n"
		"a\\x1bb  -      -                -         -         -       -     -\n");
}

static void status_shows_the_server_then_its_workers(void **state)
{
	struct fixture *f = *state;
	const json_t *status = parse(f,
		"{\"version\":\"0.1.0\",\"pid\":4242,\"uptime_seconds\":15128.9,\"state\":\"up\",\"generation\":8,"
		"\"listeners\":[{\"role\":\"public\",\"worker\":null,\"address\":\"[::]:80\"},"
		"{\"role\":\"worker\",\"worker\":\"app1\",\"address\":\"[::]:5001\"},"
		"{\"role\":\"admin\",\"worker\":null,\"address\":\"[::]:9090\"}],"
		"\"workers\":[{\"name\":\"app1\",\"state\":\"up\",\"since\":\"now\",\"connections\":3,"
		"\"requests_total\":9,\"restarts\":0,\"weight\":1,\"port\":5001}],"
		"\"totals\":{\"connections\":3,\"requests_total\":9,\"in_flight\":1}}");

	assert_int_equal(table_status(status, &f->out), 0);
	assert_out(f,
		"version      0.1.0\n"
		"pid          4242\n"
		"state        up\n"
		"uptime       4 h 12 min\n"
		"generation   8\n"
		"public       [::]:80\n"
		"worker app1  [::]:5001\n"
		"admin        [::]:9090\n"
		"connections  3\n"
		"requests     9\n"
		"in flight    1\n"
		"\n"
		"NAME  STATE  SINCE  CONNECTIONS  REQUESTS  RESTARTS  WEIGHT  PORT\n"
		"app1  up     now              3         9         0       1  5001\n");
}

static void status_gives_the_uptime_in_two_units(void **state)
{
	static const struct {
		const char *seconds, *line;
	} cases[] = {
		{ "0", "uptime       0 s\n" },
		{ "59.999", "uptime       59 s\n" },
		{ "60", "uptime       1 min 0 s\n" },
		{ "3599", "uptime       59 min 59 s\n" },
		{ "3600", "uptime       1 h 0 min\n" },
		{ "86399", "uptime       23 h 59 min\n" },
		{ "86400", "uptime       1 d 0 h\n" },
		{ "31626061", "uptime       366 d 1 h\n" },
		{ "\"soon\"", "uptime       -\n" },
	};
	struct fixture *f = *state;
	char text[80];

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		snprintf(text, sizeof(text), "{\"uptime_seconds\":%s,\"workers\":[]}", cases[i].seconds);
		assert_int_equal(table_status(parse(f, text), &f->out), 0);
		outbuf_append(&f->out, "", 1);
		if (!strstr(f->out.data, cases[i].line))
			fail_msg("%s s: no \"%s\" in\n%s", cases[i].seconds, cases[i].line, f->out.data);
	}
}

static void change_is_one_sentence(void **state)
{
	static const struct {
		const char *answer, *sentence;
	} cases[] = {
		{ "{\"ok\":true,\"worker\":\"app2\",\"state\":\"down\",\"changed\":true,\"rehomed\":334,\"duration_"
		  "ms\":1.84,"
		  "\"generation\":8}",
			"app2 is down: 334 connections moved in 1.8 ms\n" },
		{ "{\"ok\":true,\"worker\":\"app2\",\"state\":\"down\",\"changed\":true,\"rehomed\":1,\"duration_ms\":"
		  "2}",
			"app2 is down: 1 connection moved in 2.0 ms\n" },
		{ "{\"ok\":true,\"worker\":\"app2\",\"state\":\"down\",\"changed\":true,\"rehomed\":0}",
			"app2 is down: 0 connections moved\n" },
		{ "{\"ok\":true,\"worker\":\"app2\",\"state\":\"down\",\"changed\":false,\"rehomed\":0,\"duration_ms\":"
		  "0.0}",
			"app2 was down already\n" },
		{ "{\"ok\":true,\"worker\":\"app2\",\"state\":\"up\",\"changed\":true,\"rehomed\":0,\"duration_ms\":0."
		  "9}",
			"app2 is up\n" },
		{ "{\"ok\":true,\"worker\":\"app2\",\"state\":\"up\",\"changed\":false}", "app2 was up already\n" },
		{ "{\"ok\":true,\"worker\":\"a\\nb\",\"state\":\"up\",\"changed\":true}", "a\\x0ab is up\n" },
		{ "{\"ok\":true,\"worker\":null,\"state\":\"draining\",\"changed\":true}", "shutting down\n" },
		{ "{\"ok\":true}", "shutting down\n" },
		{ "{\"ok\":true,\"state\":\"draining\",\"changed\":false}", "shutting down already\n" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_int_equal(table_change(parse(f, cases[i].answer), &f->out), 0);
		outbuf_append(&f->out, "", 1);
		if (strcmp(f->out.data, cases[i].sentence) != 0)
			fail_msg("%s: got %s", cases[i].answer, f->out.data);
	}
}

static int stall_for_4s(const json_t *answer, struct outbuf *out)
{
	return table_stall(answer, "4s", out);
}

static void every_verb_has_its_sentence(void **state)
{
	static const struct {
		int (*print)(const json_t *json, struct outbuf *out);
		const char *answer, *sentence;
	} cases[] = {
		{ table_change, "{\"ok\":true,\"worker\":\"app2\",\"state\":\"draining\",\"changed\":true}",
			"app2 is draining\n" },
		{ table_restart, "{\"worker\":\"app2\",\"rehomed\":1,\"duration_ms\":12.34}",
			"app2 was restarted in 12.3 ms: 1 connection moved\n" },
		{ table_restart, "{\"worker\":\"app2\"}", "app2 was restarted\n" },
		{ table_restart, "{\"worker\":\"app2\",\"was\":\"up\"}", "app2 was restarted\n" },
		{ table_restart, "{\"worker\":\"app2\",\"was\":\"down\",\"rehomed\":0,\"duration_ms\":1}",
			"app2 was down and is up\n" },
		{ stall_for_4s, "{\"worker\":\"app2\",\"changed\":true}", "app2 is made to hang for 4s\n" },
		{ stall_for_4s, "{\"worker\":\"app2\",\"changed\":false}", "app2 was made to hang already\n" },
		{ table_fault, "{\"id\":3}", "fault 3 holds\n" },
		{ table_cleared, "{\"cleared\":0}", "there was no fault\n" },
		{ table_cleared, "{\"cleared\":1}", "1 fault ended\n" },
		{ table_cleared, "{\"cleared\":2}", "2 faults ended\n" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_int_equal(cases[i].print(parse(f, cases[i].answer), &f->out), 0);
		outbuf_append(&f->out, "", 1);
		if (strcmp(f->out.data, cases[i].sentence) != 0)
			fail_msg("%s: got %s", cases[i].answer, f->out.data);
	}
}

static void faults_stand_in_aligned_columns(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(table_faults(parse(f,
					      "{\"faults\":[{\"id\":3,\"delay_ms\":100,\"status\":null,\"percent\":50,"
					      "\"worker\":null,\"path\":\"/a\","
					      "\"ttl_ms\":59001,\"hits\":12},{\"id\":14,\"delay_ms\":null,\"status\":"
					      "503,\"percent\":100,"
					      "\"worker\":\"app2\",\"path\":null,\"ttl_ms\":1,\"hits\":0},{}]}"),
				 &f->out),
		0);
	assert_out(f,
		"ID  KIND          PERCENT  WORKER  PATH        TTL  HITS\n"
		" 3  delay 100 ms       50  -       /a    1 min 0 s    12\n"
		"14  status 503        100  app2    -           1 s     0\n"
		" -  -                   -  -       -             -     -\n");
	assert_int_equal(table_faults(parse(f, "{\"faults\":[]}"), &f->out), 0);
	assert_out(f, "ID  KIND  PERCENT  WORKER  PATH  TTL  HITS\n");
}

static void an_answer_of_another_form_is_refused(void **state)
{
	static const struct {
		int (*print)(const json_t *json, struct outbuf *out);
		const char *answer;
	} cases[] = {
		{ table_workers, "{}" },
		{ table_workers, "[1]" },
		{ table_status, "[]" },
		{ table_status, "{\"workers\":{}}" },
		{ table_status, "{\"workers\":[[]]}" },
		{ table_change, "[]" },
		{ table_restart, "{\"worker\":2}" },
		{ stall_for_4s, "{}" },
		{ table_fault, "{\"id\":\"3\"}" },
		{ table_cleared, "{}" },
		{ table_faults, "[]" },
		{ table_faults, "{\"faults\":[3]}" },
		{ table_change, "{\"worker\":\"app2\",\"state\":\"up\"}" },
		{ table_change, "{\"ok\":1,\"worker\":\"app2\",\"state\":\"up\"}" },
		{ table_change, "{\"ok\":true,\"worker\":\"app2\"}" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		if (cases[i].print(parse(f, cases[i].answer), &f->out) != -EINVAL)
			fail_msg("case %zu was taken: %s", i, cases[i].answer);
	assert_int_equal(table_workers(NULL, &f->out), -EINVAL);
	assert_int_equal(table_status(NULL, &f->out), -EINVAL);
	assert_int_equal(table_change(NULL, &f->out), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(text_escapes_what_a_terminal_must_not_get, set_up, tear_down),
		cmocka_unit_test_setup_teardown(workers_stand_in_aligned_columns, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			workers_without_fields_or_with_odd_ones_are_still_a_table, set_up, tear_down),
		cmocka_unit_test_setup_teardown(status_shows_the_server_then_its_workers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(status_gives_the_uptime_in_two_units, set_up, tear_down),
		cmocka_unit_test_setup_teardown(change_is_one_sentence, set_up, tear_down),
		cmocka_unit_test_setup_teardown(every_verb_has_its_sentence, set_up, tear_down),
		cmocka_unit_test_setup_teardown(faults_stand_in_aligned_columns, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_answer_of_another_form_is_refused, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
