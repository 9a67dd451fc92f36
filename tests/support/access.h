/*
 * access.h - a daemon's access log, read while it is written.
 *
 * Thread: the test's.
 */
#ifndef RMSD_TESTS_ACCESS_H
#define RMSD_TESTS_ACCESS_H

#include <jansson.h>

#include "support/daemon.h"

/* Lines of a text; one that has no end fails the test. */
unsigned access_count(const char *text);
/* What the file holds once that is n lines; kept. More of them fail the test. */
const char *access_await(const char *path, unsigned n);
/* The value behind name in a line of the combined format, or the rest of the line there; kept. */
const char *access_value(const char *line, const char *name);
/* The nth line, from 0, kept without its end. */
const char *access_line(const char *text, unsigned n);
/* The same as an object, kept. */
json_t *access_json(const char *text, unsigned n);
/* Made and dropped so far, by the metrics. */
double access_made(struct daemon *daemon);
double access_dropped(struct daemon *daemon);

#endif
