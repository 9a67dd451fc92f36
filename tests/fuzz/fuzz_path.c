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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *path = (const char *)data;
	char *block, *out, *again, *plain;
	long len, other;

	if (!size || path[0] != '/' || !has_whole_escapes(path, size) || memchr(path, '\0', size))
		return 0;
	block = malloc(size);
	out = malloc(size + 1);
	again = malloc(size + 1);
	plain = malloc(size + 1);
	FUZZ_CHECK(block && out && again && plain, "out of memory");
	memcpy(block, path, size);
	len = path_normalise(out, block, size);
	FUZZ_CHECK((path_normalise(NULL, block, size) < 0) == (len < 0), "another verdict");
	FUZZ_CHECK(len <= (long)size, "longer: %ld of %zu", len, size);
	other = normalise(plain, path, size);
	FUZZ_CHECK((len < 0) == (other < 0) && (len < 0 || (len == other && !memcmp(out, plain, (size_t)len))),
		"%.*s: %.*s, not %.*s", (int)size, path, (int)len, len < 0 ? "" : out, (int)other, plain);
	if (len >= 0) {
		out[len] = '\0';
		check_normal(out, (size_t)len);
		FUZZ_CHECK(
			path_normalise(again, out, (size_t)len) == len && !memcmp(again, out, (size_t)len), "%s", out);
		FUZZ_CHECK(path_normalise(block, block, size) == len && !memcmp(block, out, (size_t)len),
			"not in place: %s", out);
		/* %00 is a byte that no normal path may stand for. */
		if (!strstr(out, "%00"))
			FUZZ_CHECK(path_is_normal(out, (size_t)len), "%s", out);
		if (path_is_normal(path, size))
			FUZZ_CHECK(len == (long)size && !memcmp(out, path, size), "%.*s", (int)size, path);
	}
	free(block);
	free(out);
	free(again);
	free(plain);
	return 0;
}
