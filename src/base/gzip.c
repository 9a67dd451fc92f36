/* gzip.c - zlib, in one go. */
#include "base/gzip.h"

#include <limits.h>
#define ZLIB_CONST /* it only reads its input */
#include <zlib.h>

enum {
	GZIP_WINDOW = 15 + 16, /* zlib's largest, with a gzip header about it */
	GZIP_MEMORY = 8,
};

void gzip_append(struct outbuf *out, const void *bytes, size_t len)
{
	z_stream stream = { 0 };
	char *room;
	uLong most;

	if (len > UINT_MAX ||
		deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY, Z_DEFAULT_STRATEGY) != Z_OK) {
		out->failed = true;
		return;
	}
	most = deflateBound(&stream, len);
	room = outbuf_reserve(out, most);
	if (room && most <= UINT_MAX) {
		stream.next_in = bytes;
		stream.avail_in = (uInt)len;
		stream.next_out = (Bytef *)room;
		stream.avail_out = (uInt)most;
		if (deflate(&stream, Z_FINISH) == Z_STREAM_END)
			out->len += stream.total_out;
		else
			out->failed = true;
	}
	deflateEnd(&stream);
}
