/*
 * gzip.h - bytes to one gzip member (RFC 1952), quickly rather than small.
 *
 * Thread: any; no state.
 */
#ifndef RMSD_BASE_GZIP_H
#define RMSD_BASE_GZIP_H

#include "base/outbuf.h"

/* Appends; out fails when out of memory. */
void gzip_append(struct outbuf *out, const void *bytes, size_t len);

#endif
