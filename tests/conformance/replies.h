/*
 * replies.h - the bytes that a server sent, taken apart into replies.
 *
 * Thread: any; no state.
 */
#ifndef RMSD_TESTS_CONFORMANCE_REPLIES_H
#define RMSD_TESTS_CONFORMANCE_REPLIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { REPLIES_MAX = 64 };

struct answer {
	int status;
	const char *head; /* lent by the bytes; with its empty line */
	size_t head_len;
	const char *body; /* as on the wire */
	size_t body_len;
	bool chunked;
};

struct replies {
	struct answer list[REPLIES_MAX]; /* the whole ones */
	size_t n, n_final;
	bool partial;      /* bytes are left that are not a whole reply */
	const char *error; /* bytes are left that can't be one; else NULL */
};

/* heads: bit i is set when the i-th final reply answers HEAD. ended: nothing more will come. */
void replies_read(struct replies *replies, const char *bytes, size_t len, uint64_t heads, bool ended);
/* How often the field is there, and the value of the last one in value, without white space around it. */
unsigned answer_field(const struct answer *answer, const char *name, char *value, size_t size);
/* Whether a field that is a list has the word. */
bool answer_has_word(const struct answer *answer, const char *name, const char *word);

#endif
