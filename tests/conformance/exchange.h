/*
 * exchange.h - one row on a connection of its own: what is sent, in which pieces, and all that came back.
 *
 * Thread: any; an outcome is its caller's.
 */
#ifndef RMSD_TESTS_CONFORMANCE_EXCHANGE_H
#define RMSD_TESTS_CONFORMANCE_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conformance/row.h"

/* How each piece of a row is cut on its way. */
enum cut { CUT_NOT, CUT_THRICE, CUT_BYTES, CUT_KINDS };

enum outcome_end { END_EOF, END_RESET, END_SILENCE, END_UNREACHABLE };

struct outcome {
	char *bytes; /* all that came, with a NUL that is not counted */
	size_t len, size;
	enum outcome_end end;
	bool probed;     /* the connection seemed to be kept, so one request more was sent: */
	size_t probe_at; /* what of bytes was here before */
};

/* The bytes of all its steps. */
size_t row_len(const struct row *row);
/* heads and the end of a row's first choice, see replies.h. */
uint64_t row_heads(const struct row *row);

/* What comes is waited for until patience_ms have gone by. Frees with outcome_finish(). */
void exchange(const char *address, const struct row *row, enum cut cut, int patience_ms, struct outcome *outcome);
void outcome_finish(struct outcome *outcome);

#endif
