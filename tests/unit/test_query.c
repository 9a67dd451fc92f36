/* test_query.c - admin/query: the arguments of a verb. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "admin/query.h"

enum {
	FORCE = QUERY_BIT(QUERY_FORCE),
	TIMEOUT = QUERY_BIT(QUERY_TIMEOUT),
	WORKER = QUERY_BIT(QUERY_WORKER),
};

struct fixture {
	struct arena arena;
	struct query query;
	struct outbuf error;
	char first[1024];
};

static int set_up(void **state)
{
	static struct fixture fixture;

	memset(&fixture, 0, sizeof(fixture));
	arena_init(&fixture.arena, fixture.first, sizeof(fixture.first));
	*state = &fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	arena_reset(&f->arena);
	outbuf_finish(&f->error);
	return 0;
}

static bool read_query(struct fixture *f, const char *text, unsigned accepted, unsigned needed)
{
	outbuf_reset(&f->error, 0);
	return query_read(&f->query, text, &f->arena, accepted, needed, &f->error);
}

static void expect_good(struct fixture *f, const char *text, unsigned accepted)
{
	if (!read_query(f, text, accepted, 0))
		fail_msg("\"%s\": %s", text, f->error.data);
}

static void percent_codes_are_decoded(void **state)
{
	static const struct {
		const char *text, *decoded; /* NULL: it is refused */
	} rows[] = {
		{ "", "" },
		{ "app2", "app2" },
		{ "%61pp2", "app2" },
		{ "a%2Fb%2fc", "a/b/c" },
		{ "%25", "%" },
		{ "100%25%41", "100%A" },
		{ "a+b", "a+b" },
		{ "%C3%A9", "\xc3\xa9" },
		{ "a%26b%3Dc", "a&b=c" },
		{ "%", NULL },
		{ "%4", NULL },
		{ "a%4", NULL },
		{ "%g1", NULL },
		{ "%1g", NULL },
		{ "%%41", NULL },
		{ "%00", NULL },
		{ "a%00b", NULL },
		{ "%0a", NULL },
		{ "%ff", NULL },
		{ "%C3", NULL },
		{ "\x01", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char text[64];
		bool good;

		snprintf(text, sizeof(text), "%s", rows[i].text);
		good = query_decode(text);
		if (good != !!rows[i].decoded || (good && strcmp(text, rows[i].decoded) != 0))
			fail_msg("\"%s\": %s \"%s\"", rows[i].text, good ? "decoded to" : "refused,", text);
	}
}

static void values_are_read_by_their_type(void **state)
{
	struct fixture *f = *state;

	expect_good(f, "force=1&timeout=2m&worker=app%32", FORCE | TIMEOUT | WORKER);
	assert_int_equal(f->query.values[QUERY_FORCE].number, 1);
	assert_int_equal(f->query.values[QUERY_TIMEOUT].number, 120000);
	assert_string_equal(f->query.values[QUERY_WORKER].text, "app2");
	assert_false(f->query.values[QUERY_PATH].given);
}

static void what_is_not_given_is_zero(void **state)
{
	struct fixture *f = *state;

	expect_good(f, "", FORCE | WORKER);
	assert_false(f->query.values[QUERY_FORCE].given);
	assert_int_equal(f->query.values[QUERY_FORCE].number, 0);
	assert_null(f->query.values[QUERY_WORKER].text);
	expect_good(f, "&&force=0&", FORCE);
	assert_true(f->query.values[QUERY_FORCE].given);
}

static void what_is_wrong_is_told_with_what_is_accepted(void **state)
{
	static const struct {
		const char *text, *error;
		unsigned accepted, needed;
	} rows[] = {
		{ "force=2", "force: out of range (a number, from 0 to 1)", FORCE, 0 },
		{ "force=yes", "force: not a number (a number, from 0 to 1)", FORCE, 0 },
		{ "force", "force: not a number (a number, from 0 to 1)", FORCE, 0 },
		{ "force=", "force: not a number (a number, from 0 to 1)", FORCE, 0 },
		{ "force=1&force=1", "force: given twice (a number, from 0 to 1)", FORCE, 0 },
		{ "worker=", "worker: empty", WORKER, 0 },
		{ "worker=%", "worker: not percent-encoded text", WORKER, 0 },
		{ "forse=1", "unknown argument forse (accepted: force, timeout)", FORCE | TIMEOUT, 0 },
		{ "FORCE=1", "unknown argument FORCE (accepted: force)", FORCE, 0 },
		{ "=1", "unknown argument  (accepted: force)", FORCE, 0 },
		{ "a\x01\xff=1", "unknown argument a?? (accepted: force)", FORCE, 0 },
		{ "wait=1", "unknown argument wait (none is accepted)", 0, 0 },
		{ "force=1", "missing: timeout, worker", FORCE | TIMEOUT | WORKER, TIMEOUT | WORKER },
		{ "", "missing: worker", WORKER, WORKER },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (read_query(f, rows[i].text, rows[i].accepted, rows[i].needed) ||
			strcmp(f->error.data, rows[i].error) != 0)
			fail_msg("\"%s\": \"%s\", not \"%s\"", rows[i].text, f->error.data, rows[i].error);
}

static void durations_need_a_unit_and_a_sane_length(void **state)
{
	static const char *const bad[] = { "timeout=5", "timeout=0ms", "timeout=61m", "timeout=-1s", "timeout=1d" };
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_false(read_query(f, bad[i], TIMEOUT, 0));
		assert_non_null(strstr(f->error.data, "from 1ms to 1h"));
	}
	expect_good(f, "timeout=1h", TIMEOUT);
	assert_int_equal(f->query.values[QUERY_TIMEOUT].number, 3600000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(percent_codes_are_decoded),
		cmocka_unit_test_setup_teardown(values_are_read_by_their_type, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_not_given_is_zero, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_wrong_is_told_with_what_is_accepted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(durations_need_a_unit_and_a_sane_length, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("query", tests, NULL, NULL);
}
