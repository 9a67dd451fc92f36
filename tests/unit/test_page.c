/* test_page.c - admin/page: who gets the page, and who the index. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "admin/page.h"

static void the_page_is_for_who_names_html(void **state)
{
	static const struct {
		const char *accept;
		bool wanted;
	} rows[] = {
		{ NULL, false },
		{ "", false },
		{ "*/*", false },
		{ "text/*", false },
		{ "text/plain", false },
		{ "text/htmlx", false },
		{ "text/html", true },
		{ "Text/HTML", true },
		{ " text/html ", true },
		{ "text/html;charset=utf-8", true },
		{ "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true },
		{ "application/json, text/html;q=0.1", true },
		{ "text/html;q=0", false },
		{ "text/html; q=0.000, text/plain", false },
		{ "text/html;level=1;q=0", false },
		{ "text/plain;x=text/html", false },
		{ ",,text/html", true },
		{ ";text/html", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (page_is_wanted(rows[i].accept) != rows[i].wanted)
			fail_msg("Accept: %s", rows[i].accept ? rows[i].accept : "(none)");
}

static void all_files_are_there_and_small(void **state)
{
	struct page page = { 0 };
	size_t sum = page_index_html_len + page_page_js_len + page_page_css_len, packed = 0;

	(void)state;
	assert_int_equal(page_init(&page), 0);
	for (unsigned i = 0; i < PAGE_FILES; i++)
		packed += page.packed[i].len;
	assert_true(sum > packed && packed > 0);
	assert_true(sum < 60000);
	page_finish(&page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_page_is_for_who_names_html),
		cmocka_unit_test(all_files_are_there_and_small),
	};

	return cmocka_run_group_tests_name("page", tests, NULL, NULL);
}
