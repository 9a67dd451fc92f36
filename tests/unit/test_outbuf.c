/* test_outbuf.c - base/outbuf. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/outbuf.h"

static int setup(void **state)
{
	static struct outbuf out;

	out = (struct outbuf){ 0 };
	*state = &out;
	return 0;
}

static int teardown(void **state)
{
	outbuf_finish(*state);
	return 0;
}

static void assert_holds(const struct outbuf *out, const char *text)
{
	assert_false(out->failed);
	assert_int_equal(out->len, strlen(text));
	assert_memory_equal(out->data, text, out->len);
}

static void outbuf_keeps_bytes_in_order(void **state)
{
	struct outbuf *out = *state;

	outbuf_text(out, "GET ");
	outbuf_append(out, "/path", 3);
	outbuf_uint(out, 42);
	outbuf_printf(out, " %s/%d", "x", 7);
	assert_holds(out, "GET /pa42 x/7");
}

static void outbuf_appends_nothing_to_nothing(void **state)
{
	struct outbuf *out = *state;

	outbuf_append(out, NULL, 0);
	outbuf_text(out, "");
	assert_false(out->failed);
	assert_int_equal(out->len, 0);
}

static void outbuf_grows_and_keeps_what_it_has(void **state)
{
	struct outbuf *out = *state;

	for (unsigned i = 0; i < 20000; i++)
		outbuf_append(out, &(char){ (char)(i % 127) }, 1);
	assert_int_equal(out->len, 20000);
	for (unsigned i = 0; i < 20000; i++)
		assert_int_equal(out->data[i], i % 127);
}

static void outbuf_writes_every_length_of_number(void **state)
{
	struct outbuf *out = *state;
	char expected[32];

	for (uint64_t value = 0;; value = value * 10 + 9) {
		outbuf_reset(out, SIZE_MAX);
		outbuf_uint(out, value);
		snprintf(expected, sizeof(expected), "%ju", (uintmax_t)value);
		assert_holds(out, expected);
		outbuf_reset(out, SIZE_MAX);
		outbuf_uint(out, value + 1);
		snprintf(expected, sizeof(expected), "%ju", (uintmax_t)value + 1);
		assert_holds(out, expected);
		if (value > UINT64_MAX / 10 - 1)
			break;
	}
	outbuf_reset(out, SIZE_MAX);
	outbuf_uint(out, UINT64_MAX);
	assert_holds(out, "18446744073709551615");
}

static void outbuf_prints_across_the_end_of_its_block(void **state)
{
	struct outbuf *out = *state;
	char expected[5001];

	for (int i = 0; i < 500; i++) {
		outbuf_printf(out, "%09d ", i);
		snprintf(expected + 10 * i, sizeof(expected) - 10 * (size_t)i, "%09d ", i);
	}
	assert_holds(out, expected);
}

static void outbuf_reserves_room_without_using_it(void **state)
{
	struct outbuf *out = *state;
	char *at;

	outbuf_text(out, "ab");
	at = outbuf_reserve(out, 3000);
	assert_non_null(at);
	assert_int_equal(out->len, 2);
	memset(at, 'c', 3000);
	out->len += 1;
	assert_holds(out, "abc");
}

static void outbuf_that_failed_stays_as_it_was(void **state)
{
	struct outbuf *out = *state;

	outbuf_text(out, "ab");
	assert_null(outbuf_reserve(out, SIZE_MAX));
	assert_true(out->failed);
	outbuf_text(out, "c");
	outbuf_uint(out, 1);
	outbuf_printf(out, "%d", 1);
	assert_int_equal(out->len, 2);
	assert_memory_equal(out->data, "ab", 2);
	outbuf_reset(out, SIZE_MAX);
	outbuf_text(out, "d");
	assert_holds(out, "d");
}

static void outbuf_reset_keeps_a_small_block_alone(void **state)
{
	struct outbuf *out = *state;
	const char *data;

	outbuf_text(out, "ab");
	data = out->data;
	outbuf_reset(out, out->cap);
	assert_ptr_equal(out->data, data);
	assert_int_equal(out->len, 0);
	outbuf_reset(out, out->cap - 1);
	assert_null(out->data);
	assert_int_equal(out->cap, 0);
	outbuf_text(out, "c");
	assert_holds(out, "c");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(outbuf_keeps_bytes_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(outbuf_appends_nothing_to_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(outbuf_grows_and_keeps_what_it_has, setup, teardown),
		cmocka_unit_test_setup_teardown(outbuf_writes_every_length_of_number, setup, teardown),
		cmocka_unit_test_setup_teardown(outbuf_prints_across_the_end_of_its_block, setup, teardown),
		cmocka_unit_test_setup_teardown(outbuf_reserves_room_without_using_it, setup, teardown),
		cmocka_unit_test_setup_teardown(outbuf_that_failed_stays_as_it_was, setup, teardown),
		cmocka_unit_test_setup_teardown(outbuf_reset_keeps_a_small_block_alone, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
