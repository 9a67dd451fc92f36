/* path.c - escapes that need not be, and dot segments, taken out of a path in one pass. */
#include "base/path.h"

#include <stdbool.h>
#include <string.h>

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

static int hex(char c)
{
	return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

static bool is_unreserved(int c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
		(c && c < 0x80 && strchr("-._~", c));
}

/* The next character of a path; *len: the bytes that it is taken from, and that stay if it is a '%'. */
static int next(const char *at, size_t *len)
{
	int c;

	*len = 1;
	if (*at != '%')
		return *at;
	c = 16 * hex(at[1]) + hex(at[2]);
	*len = 3;
	return is_unreserved(c) ? c : '%';
}

/* 1 for ".", 2 for "..", however they are spelled; 0 for any other segment. */
static int count_dots(const char *at, const char *end)
{
	int dots = 0;

	while (at < end) {
		size_t len;

		if (next(at, &len) != '.' || ++dots > 2)
			return 0;
		at += len;
	}
	return dots;
}

static size_t copy_segment(char *out, const char *at, const char *end)
{
	char *to = out;

	while (at < end) {
		size_t len;
		int c = next(at, &len);

		if (c == '%') {
			memmove(to, at, len);
			to += len;
		} else {
			*to++ = (char)c;
		}
		at += len;
	}
	return (size_t)(to - out);
}

bool path_is_normal(const char *path, size_t len)
{
	const char *end = path + len;

	for (const char *at = path; at < end; at++) {
		size_t n;

		if (*at != '%')
			continue;
		if (end - at < 3 || !is_hex(at[1]) || !is_hex(at[2]) || (at[1] == '0' && at[2] == '0') ||
			next(at, &n) != '%')
			return false;
	}
	for (const char *segment = path + 1, *slash; segment; segment = slash ? slash + 1 : NULL) {
		slash = memchr(segment, '/', (size_t)(end - segment));
		if (count_dots(segment, slash ? slash : end))
			return false;
	}
	return true;
}

long path_normalise(char *out, const char *path, size_t len)
{
	const char *at = path, *end = path + len;
	size_t used = 0;
	unsigned depth = 0;

	while (at < end) {
		const char *segment = at + 1; /* behind its '/' */
		const char *slash = memchr(segment, '/', (size_t)(end - segment));
		int dots;

		at = slash ? slash : end;
		dots = count_dots(segment, at);
		if (dots == 2) {
			if (!depth--)
				return -1;
			if (out)
				while (out[--used] != '/')
					;
		}
		if (!dots) {
			depth++;
			if (out) {
				out[used++] = '/';
				used += copy_segment(out + used, segment, at);
			}
		} else if (out && at == end) {
			out[used++] = '/';
		}
	}
	return (long)used;
}
