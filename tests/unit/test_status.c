/* test_status.c - http/status: the table and the codes that are not in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "http/status.h"

static void every_code_has_a_line_of_its_reason(void **state)
{
	(void)state;
	for (int code = 200; code <= 599; code++) {
		char want[128];
		size_t len = 0;
		const char *line = status_line(code, &len);

		sprintf(want, "HTTP/1.1 %d %s\r\n", code, status_reason(code));
		assert_string_equal(line, want);
		assert_int_equal(len, strlen(want));
	}
}

static void reasons_are_those_of_the_rfc(void **state)
{
	(void)state;
	assert_string_equal(status_reason(200), "OK");
	assert_string_equal(status_reason(404), "Not Found");
	assert_string_equal(status_reason(413), "Content Too Large");
	assert_string_equal(status_reason(511), "Network Authentication Required");
}

static void code_without_a_row_has_an_empty_reason(void **state)
{
	size_t len = 0;

	(void)state;
	assert_string_equal(status_reason(299), "");
	assert_string_equal(status_line(299, &len), "HTTP/1.1 299 \r\n");
	assert_string_equal(status_line(599, &len), "HTTP/1.1 599 \r\n");
	assert_int_equal(len, 15);
}

static void sent_codes_ascend_and_hold_those_of_the_parser(void **state)
{
	static const uint16_t needed[] = { 200, 400, 404, 405, 408, 413, 414, 417, 431, 500, 501, 503, 505 };
	const uint16_t *sent = status_sent();
	size_t found = 0;

	(void)state;
	for (size_t i = 0; sent[i]; i++) {
		assert_true(!i || sent[i - 1] < sent[i]);
		assert_string_not_equal(status_reason(sent[i]), "");
		for (size_t k = 0; k < sizeof(needed) / sizeof(needed[0]); k++)
			found += needed[k] == sent[i];
	}
	assert_int_equal(found, sizeof(needed) / sizeof(needed[0]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_code_has_a_line_of_its_reason),
		cmocka_unit_test(reasons_are_those_of_the_rfc),
		cmocka_unit_test(code_without_a_row_has_an_empty_reason),
		cmocka_unit_test(sent_codes_ascend_and_hold_those_of_the_parser),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
