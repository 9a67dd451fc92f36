/*
 * table.h - what rmsd answers, as text for people.
 *
 * Nothing that the server sends reaches a terminal raw: control characters and bytes that are not UTF-8 are printed
 * as \xNN. A field that is missing or null is a "-", so that an older or newer server is still readable.
 *
 * Thread: the only one; no state.
 */
#ifndef RMSD_RMSCTL_TABLE_H
#define RMSD_RMSCTL_TABLE_H

#include "base/outbuf.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Bytes as they may be shown; with lines, tabs and line ends stay what they are. */
void table_text(const char *bytes, size_t len, bool lines, struct outbuf *out);

/* Each returns 0, or EINVAL negated when the answer is not of its form; out may then hold a part. */
int table_workers(const json_t *workers, struct outbuf *out); /* the array */
int table_status(const json_t *status, struct outbuf *out);
/* One sentence on what a verb has changed. */
int table_change(const json_t *answer, struct outbuf *out);
int table_restart(const json_t *answer, struct outbuf *out);
int table_stall(const json_t *answer, const char *duration, struct outbuf *out); /* as it was asked for */
int table_fault(const json_t *answer, struct outbuf *out);
int table_cleared(const json_t *answer, struct outbuf *out);
/* The whole answer. */
int table_faults(const json_t *answer, struct outbuf *out);

#endif
