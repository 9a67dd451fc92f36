/*
 * log_line.h - how one event looks on stderr: as text, or as JSON.
 *
 * Thread: any; it only formats.
 */
#ifndef RMSD_BASE_LOG_LINE_H
#define RMSD_BASE_LOG_LINE_H

#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include "base/log.h"

enum {
	LOG_TEXT_SIZE = 480,
	LOG_LINE_SIZE = PIPE_BUF, /* a pipe that polls writable takes as much, and unmixed with others' */
};

/* An event as it waits in the ring. */
struct log_entry {
	struct timespec time;
	enum log_level level;
	unsigned facts;           /* where in text they begin: behind the message and its NUL */
	char text[LOG_TEXT_SIZE]; /* what does not fit is cut, and ends in "..." */
};

struct log_line {
	size_t len;
	char data[LOG_LINE_SIZE]; /* ends in a newline */
};

/* An event of now. */
__attribute__((format(printf, 4, 0))) void log_entry_fill(
	struct log_entry *entry, enum log_level level, const char *message, const char *facts, va_list args);
void log_line_make(struct log_line *line, const struct log_entry *entry, enum log_format format);

#endif
