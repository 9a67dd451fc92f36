/*
 * chunks.h - a chunked body (RFC 9112 section 7.1) to its data, up to where the trailers begin.
 *
 * Byte by byte, so that the verdict depends on the bytes alone, never on the pieces in which they came; data is copied
 * in runs. Extensions are read by their grammar and ignored, whatever they say.
 *
 * Thread: any; no state but the struct.
 */
#ifndef RMSD_HTTP_CHUNKS_H
#define RMSD_HTTP_CHUNKS_H

#include <stddef.h>
#include <stdint.h>
#include "base/outbuf.h"

/* Zeroed: the beginning of a body. */
struct chunks {
	uint64_t left;      /* bytes of this chunk's data still to come, or its size so far */
	uint64_t framing;   /* bytes so far that were no data */
	uint8_t state, any; /* any: a digit of the size was seen */
	uint16_t error;     /* CHUNKS_BAD: 400, 413, or 503 (no memory) */
	const char *reason; /* with error: a constant */
};

struct chunks_limits {
	uint64_t data;
	uint64_t framing; /* and as much again as there is data: chunks of five bytes never reach that */
};

enum chunks_verdict { CHUNKS_PARTIAL, CHUNKS_END, CHUNKS_BAD };

/*
 * Appends to data what there is of it in bytes. *len: in, how many are there; out, how many were used: all of them, but
 * at CHUNKS_END, when what is left is the trailers', and at CHUNKS_BAD.
 */
enum chunks_verdict chunks_feed(
	struct chunks *chunks, const struct chunks_limits *limits, const char *bytes, size_t *len, struct outbuf *data);

#endif
