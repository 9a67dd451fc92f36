/*
 * lines.h - a streamed reply, read line by line as it comes.
 *
 * Thread: the test's.
 */
#ifndef RMSD_TESTS_LINES_H
#define RMSD_TESTS_LINES_H

#include <stdbool.h>

#include <jansson.h>

#include "support/wire.h"

struct lines;

/* Asks; the answer must be 200 and chunked. */
struct lines *lines_open(const char *address, const char *method, const char *path);
/* Accepts NULL. */
void lines_close(struct lines *lines);
/* As a client that crashes does. */
void lines_reset(struct lines *lines);
/* The next line without its end, kept; NULL: the reply has come to its end, which must be within ms. */
const char *lines_next(struct lines *lines, int ms);
/* A line that is a JSON object; kept. NULL as above. */
json_t *lines_json(struct lines *lines, int ms);
/* The data of the next server-sent event of that name, others skipped; kept. Its id, if not NULL, is stored. */
json_t *lines_event(struct lines *lines, const char *name, int ms, long *id);
struct wire *lines_wire(struct lines *lines);
/* What a key of a JSON object holds; it must be there. */
long lines_number(const json_t *json, const char *key);
const char *lines_text(const json_t *json, const char *key);

#endif
