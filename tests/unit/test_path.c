/* test_path.c - each path has one spelling. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/path.h"

struct row {
	const char *path, *want; /* NULL: it climbs above the root */
};

static const struct row rows[] = {
	{ "/", "/" },
	{ "/a/b", "/a/b" },
	{ "//", "//" },
	{ "//a//", "//a//" },
	{ "/a/", "/a/" },
	/* Escapes of unreserved characters alone. */
	{ "/%41%7a%30%2D%2e%5F%7e", "/Az0-._~" },
	{ "/%61/%2F/%2f", "/a/%2F/%2f" },
	{ "/%25%32%65", "/%252e" },
	{ "/%20%3f%C3%a9%7F%0a", "/%20%3f%C3%a9%7F%0a" },
	{ "/%5b%40%60%7B", "/%5b%40%60%7B" },
	/* Dot segments, however they are spelled. */
	{ "/.", "/" },
	{ "/./", "/" },
	{ "/./a", "/a" },
	{ "/a/.", "/a/" },
	{ "/a/..", "/" },
	{ "/a/../", "/" },
	{ "/a/../b", "/b" },
	{ "/a/b/../../c", "/c" },
	{ "/a/b/..", "/a/" },
	{ "/a/b/../.", "/a/" },
	{ "/a/%2e%2E/b", "/b" },
	{ "/a/.%2e", "/" },
	{ "/%2e", "/" },
	{ "//..", "/" },
	{ "//../a", "/a" },
	{ "/a//../b", "/a/b" },
	/* RFC 3986 section 5.2.4. */
	{ "/a/b/c/./../../g", "/a/g" },
	/* No dot segments. */
	{ "/...", "/..." },
	{ "/.a/..b/c.", "/.a/..b/c." },
	{ "/a/%2e%2e%2fb", "/a/..%2fb" },
	{ "/%2e%2e%2e", "/..." },
	/* Above the root. */
	{ "/..", NULL },
	{ "/../a", NULL },
	{ "/./..", NULL },
	{ "/a/../..", NULL },
	{ "/a/../../b", NULL },
	{ "/%2e%2e/a", NULL },
	{ "/%2e./a", NULL },
};

static void a_path_has_one_spelling(void **state)
{
	char out[64];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		size_t len = strlen(row->path);
		long want = row->want ? (long)strlen(row->want) : -1;

		printf("%s\n", row->path);
		assert_int_equal(path_normalise(out, row->path, len) < 0, !row->want);
		assert_int_equal(path_normalise(NULL, row->path, len) < 0, !row->want);
		if (!row->want)
			continue;
		assert_int_equal(path_normalise(out, row->path, len), want);
		assert_memory_equal(out, row->want, (size_t)want);
		/* In place, and then once more: nothing is left to do. */
		memcpy(out, row->path, len);
		assert_int_equal(path_normalise(out, out, len), want);
		assert_memory_equal(out, row->want, (size_t)want);
		assert_int_equal(path_normalise(out, out, (size_t)want), want);
		assert_memory_equal(out, row->want, (size_t)want);
	}
}

/* From a block of just its size, where the address sanitizer sees a byte too many. */
static void nothing_behind_a_path_is_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t len = strlen(rows[i].path);
		char *block = malloc(len);

		assert_non_null(block);
		memcpy(block, rows[i].path, len);
		path_normalise(block, block, len);
		free(block);
	}
}

static void the_one_spelling_is_told_from_others(void **state)
{
	static const char *const bad[] = { "/%", "/%4", "/%zz", "/%00", "/a%2", "/%2g" };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool same = rows[i].want && !strcmp(rows[i].path, rows[i].want);

		printf("%s\n", rows[i].path);
		assert_int_equal(path_is_normal(rows[i].path, strlen(rows[i].path)), same);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(path_is_normal(bad[i], strlen(bad[i])));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_path_has_one_spelling),
		cmocka_unit_test(the_one_spelling_is_told_from_others),
		cmocka_unit_test(nothing_behind_a_path_is_read),
	};

	return cmocka_run_group_tests_name("path", tests, NULL, NULL);
}
