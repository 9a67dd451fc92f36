/*
 * outbuf.h - bytes appended to one growing block.
 *
 * An append that runs out of memory sets failed and from then on does nothing, so that a writer of many small pieces
 * checks once, at its end.
 *
 * Thread: the owner's.
 */
#ifndef RMSD_BASE_OUTBUF_H
#define RMSD_BASE_OUTBUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct outbuf {
	char *data;
	size_t len, cap;
	bool failed;
};

/* Zeroed memory is an empty outbuf. Frees the block; the outbuf is empty and usable again. */
void outbuf_finish(struct outbuf *out);
/* Empties it; keeps a block of at most keep bytes. */
void outbuf_reset(struct outbuf *out, size_t keep);
/* Room for n more bytes, to be written at the address returned and then added to len; NULL when out of memory. */
char *outbuf_reserve(struct outbuf *out, size_t n);
void outbuf_append(struct outbuf *out, const void *bytes, size_t n);
void outbuf_uint(struct outbuf *out, uint64_t value);
__attribute__((format(printf, 2, 3))) void outbuf_printf(struct outbuf *out, const char *format, ...);
void outbuf_vprintf(struct outbuf *out, const char *format, va_list args);

static inline void outbuf_text(struct outbuf *out, const char *text)
{
	outbuf_append(out, text, strlen(text));
}

#endif
