/* test_trace.c - which ids and parents are taken over, and that those made differ where they must and not elsewhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/trace.h"

#define TRACE "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN "00f067aa0ba902b7"

struct judged {
	const char *text;
	bool good;
};

static void a_traceparent_is_good_to_the_letter_or_not_at_all(void **state)
{
	static const struct judged cases[] = {
		{ "00-" TRACE "-" SPAN "-01", true },
		{ "00-" TRACE "-" SPAN "-00", true },
		{ "00-" TRACE "-" SPAN "-ff", true },
		{ "00-00000000000000000000000000000001-0000000000000001-01", true },
		{ "", false },
		{ "00", false },
		{ "01-" TRACE "-" SPAN "-01", false },
		{ "ff-" TRACE "-" SPAN "-01", false },
		{ "0-" TRACE "-" SPAN "-001", false },
		{ "00-00000000000000000000000000000000-" SPAN "-01", false },
		{ "00-" TRACE "-0000000000000000-01", false },
		{ "00-4BF92f3577b34da6a3ce929d0e0e4736-" SPAN "-01", false },
		{ "00-" TRACE "-00F067aa0ba902b7-01", false },
		{ "00-" TRACE "-" SPAN "-0A", false },
		{ "00-" TRACE "-" SPAN "-1", false },
		{ "00-" TRACE "-" SPAN "-011", false },
		{ "00-" TRACE "-" SPAN "-01-", false },
		{ "00-" TRACE "-" SPAN "-01 ", false },
		{ " 00-" TRACE "-" SPAN "-01", false },
		{ "00_" TRACE "-" SPAN "-01", false },
		{ "00-" TRACE "_" SPAN "-01", false },
		{ "00-" TRACE "-" SPAN "_01", false },
		{ "00-g"
		  "bf92f3577b34da6a3ce929d0e0e4736-" SPAN "-01",
			false },
		{ "00-4bf92f3577b34da6a3ce929d0e0e473\n-" SPAN "-01", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (trace_parent_is_good(cases[i].text, strlen(cases[i].text)) != cases[i].good)
			fail_msg("%s", cases[i].text);
	/* The bytes behind it are not its own. */
	assert_false(trace_parent_is_good("00-" TRACE "-" SPAN "-01", TRACE_PARENT_LEN - 1));
}

static void an_id_is_taken_over_if_it_can_do_no_harm(void **state)
{
	static const struct judged cases[] = {
		{ "a", true },
		{ "7b1c6c3e-3f0d-4e0e-9d3b-8f6b2a1c0d4e", true },
		{ "!#$%&()*+,-./09:;<=>?@AZ[]^_`az{|}~", true },
		{ "", false },
		{ "a b", false },
		{ "a\tb", false },
		{ "a\"b", false },
		{ "a'b", false },
		{ "a\\b", false },
		{ "a\nb", false },
		{ "a\x7f", false },
		{ "\xc3\xa9", false },
	};
	char long_id[TRACE_ID_MAX + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (trace_id_is_good(cases[i].text, strlen(cases[i].text)) != cases[i].good)
			fail_msg("%s", cases[i].text);
	memset(long_id, 'x', sizeof(long_id));
	assert_true(trace_id_is_good(long_id, TRACE_ID_MAX));
	assert_false(trace_id_is_good(long_id, TRACE_ID_MAX + 1));
	assert_false(trace_id_is_good("a\0b", 3));
}

enum { PLACES = 30000 };

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, TRACE_ID_LEN);
}

static void each_place_has_an_id_of_its_own_and_always_the_same(void **state)
{
	static char ids[PLACES][TRACE_ID_LEN];
	char again[TRACE_ID_LEN];

	(void)state;
	trace_init();
	/* Neighbours in all three. */
	for (unsigned i = 0; i < PLACES; i++) {
		const struct trace_place place = { (int)(i % 30), 1000000 + i / 900, i / 30 % 30 };

		trace_make_id(&place, ids[i]);
		trace_make_id(&place, again);
		assert_memory_equal(ids[i], again, TRACE_ID_LEN);
		for (size_t j = 0; j < TRACE_ID_LEN; j++)
			assert_non_null(strchr("0123456789abcdef", ids[i][j]));
	}
	qsort(ids, PLACES, TRACE_ID_LEN, compare);
	for (unsigned i = 1; i < PLACES; i++)
		assert_memory_not_equal(ids[i - 1], ids[i], TRACE_ID_LEN);
	/* Another process makes others. */
	trace_make_id(&(struct trace_place){ 1, 1000000, 0 }, ids[0]);
	trace_init();
	trace_make_id(&(struct trace_place){ 1, 1000000, 0 }, again);
	assert_memory_not_equal(ids[0], again, TRACE_ID_LEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_traceparent_is_good_to_the_letter_or_not_at_all),
		cmocka_unit_test(an_id_is_taken_over_if_it_can_do_no_harm),
		cmocka_unit_test(each_place_has_an_id_of_its_own_and_always_the_same),
	};

	return cmocka_run_group_tests_name("trace", tests, NULL, NULL);
}
