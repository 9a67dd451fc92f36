/* outbuf.c - one block, doubled when full. */
#include "base/outbuf.h"

#include <stdio.h>
#include <stdlib.h>

enum { FIRST_CAP = 1024, DIGITS = 20 };

void outbuf_finish(struct outbuf *out)
{
	free(out->data);
	*out = (struct outbuf){ 0 };
}

void outbuf_reset(struct outbuf *out, size_t keep)
{
	if (out->cap > keep)
		outbuf_finish(out);
	out->len = 0;
	out->failed = false;
}

char *outbuf_reserve(struct outbuf *out, size_t n)
{
	size_t cap = out->cap ? out->cap : FIRST_CAP;
	char *data;

	if (out->failed)
		return NULL;
	if (n <= out->cap - out->len)
		return out->data + out->len;
	while (cap - out->len < n) {
		if (cap > SIZE_MAX / 2)
			goto fail;
		cap *= 2;
	}
	data = realloc(out->data, cap);
	if (!data)
		goto fail;
	out->data = data;
	out->cap = cap;
	return data + out->len;
fail:
	out->failed = true;
	return NULL;
}

void outbuf_append(struct outbuf *out, const void *bytes, size_t n)
{
	char *at = n ? outbuf_reserve(out, n) : NULL;

	if (!at)
		return;
	memcpy(at, bytes, n);
	out->len += n;
}

void outbuf_uint(struct outbuf *out, uint64_t value)
{
	char digits[DIGITS];
	size_t i = DIGITS;

	do {
		digits[--i] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	outbuf_append(out, digits + i, DIGITS - i);
}

void outbuf_vprintf(struct outbuf *out, const char *format, va_list args)
{
	va_list again;
	char *at;
	int n;

	va_copy(again, args);
	n = vsnprintf(NULL, 0, format, again);
	va_end(again);
	if (n < 0) {
		out->failed = true;
		return;
	}
	at = outbuf_reserve(out, (size_t)n + 1);
	if (!at)
		return;
	vsnprintf(at, (size_t)n + 1, format, args);
	out->len += (size_t)n;
}

void outbuf_printf(struct outbuf *out, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	outbuf_vprintf(out, format, args);
	va_end(args);
}
