/*
 * fuzz_path.c - base/path: one spelling, which is its own, is never longer, and has no dot segment.
 *
 * Input: a path.
 */
#include "fuzz/fuzz.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "base/path.h"

static int hex(char c)
{
	return isdigit((unsigned char)c) ? c - '0' : (c | 0x20) - 'a' + 10;
}

static bool has_whole_escapes(const char *path, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (path[i] != '%')
			continue;
		if (len - i < 3 || !isxdigit((unsigned char)path[i + 1]) || !isxdigit((unsigned char)path[i + 2]))
			return false;
	}
	return true;
}

static bool is_unreserved(int c)
{
	return isalnum(c) || (c && strchr("-._~", c));
}

/* One that is slow and plain: decode, then copy segment by segment. -1: it climbs. */
static long normalise(char *out, const char *path, size_t len)
{
	size_t n = 0, kept = 0, at = 0;

	for (size_t i = 0; i < len; i++) {
		int c = path[i] == '%' ? hex(path[i + 1]) * 16 + hex(path[i + 2]) : 0;

		if (path[i] == '%' && c < 0x80 && is_unreserved(c)) {
			out[n++] = (char)c;
			i += 2;
		} else {
			out[n++] = path[i];
		}
	}
	/* Each segment with the '/' before it. */
	while (at < n) {
		size_t end = at + 1;
		bool last;

		while (end < n && out[end] != '/')
			end++;
		last = end == n;
		if (end - at == 2 && out[at + 1] == '.') {
			if (last)
				out[kept++] = '/';
		} else if (end - at == 3 && out[at + 1] == '.' && out[at + 2] == '.') {
			if (!kept)
				return -1;
			while (out[--kept] != '/')
				;
			if (last)
				out[kept++] = '/';
		} else {
			memmove(out + kept, out + at, end - at);
			kept += end - at;
		}
		at = end;
	}
	return (long)kept;
}

static void check_normal(const char *path, size_t len)
{
	FUZZ_CHECK(len && path[0] == '/', "no slash");
	for (size_t i = 0; i < len; i++) {
		size_t n = path[i] == '/' ? strspn(path + i + 1, ".") : 0;
		char behind = path[i + 1 + n];

		FUZZ_CHECK(!n || n > 2 || (behind && behind != '/'), "a dot segment in %s", path);
	}
}

/* What is made of path, and of that again. */
static void check_spelling(char *path, size_t size, const char *plain, long plain_len)
{
	char *made = malloc(size + 1), *twice = malloc(size + 1);
	long len;

	FUZZ_CHECK(made && twice, "out of memory");
	len = path_normalise(made, path, size);
	FUZZ_CHECK((path_normalise(NULL, path, size) < 0) == (len < 0), "another verdict");
	FUZZ_CHECK(len <= (long)size, "longer: %ld of %zu", len, size);
	FUZZ_CHECK((len < 0) == (plain_len < 0) && (len < 0 || (len == plain_len && !memcmp(made, plain, (size_t)len))),
		"%.*s", (int)size, path);
	if (len >= 0) {
		made[len] = '\0';
		check_normal(made, (size_t)len);
		FUZZ_CHECK(path_normalise(twice, made, (size_t)len) == len && !memcmp(twice, made, (size_t)len), "%s",
			made);
		/* A NUL's escape is no part of a path that is normal. */
		FUZZ_CHECK(strstr(made, "%00") || path_is_normal(made, (size_t)len), "%s", made);
		FUZZ_CHECK(!path_is_normal(path, size) || (len == (long)size && !memcmp(made, path, size)), "%.*s",
			(int)size, path);
		FUZZ_CHECK(path_normalise(path, path, size) == len && !memcmp(path, made, (size_t)len),
			"not in place: %s", made);
	}
	free(made);
	free(twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *path = (const char *)data;
	char *block, *plain;

	if (!size || path[0] != '/' || !has_whole_escapes(path, size) || memchr(path, '\0', size))
		return 0;
	block = malloc(size);
	plain = malloc(size + 1);
	FUZZ_CHECK(block && plain, "out of memory");
	memcpy(block, path, size);
	check_spelling(block, size, plain, normalise(plain, path, size));
	free(block);
	free(plain);
	return 0;
}
