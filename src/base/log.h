/*
 * log.h - levelled key=value lines into a bounded ring, written to stderr by one thread.
 *
 * Nobody who logs waits for whoever reads stderr: a full ring drops the line and counts it, and the writer tells how
 * many were lost as soon as it can. One line an event: a short sentence first, then its facts.
 *
 *	log_info("worker is up", "worker=%s port=%u", name, port);
 *	text:  2026-11-24T02:17:33.123Z info worker is up worker=app2 port=5002
 *	json:  {"time":"2026-11-24T02:17:33.123Z","level":"info","message":"worker is up","worker":"app2","port":"5002"}
 *
 * The facts are a printf format of space-separated key=value pairs. A value that may hold spaces, quotes or control
 * bytes, as everything from a peer may, is written with %s of log_quote(): "..." with \" \\ and \xNN escapes, so that a
 * line stays a line.
 *
 * Thread: any, from log_start() to log_stop(); before and after, lines go straight to stderr.
 */
#ifndef RMSD_BASE_LOG_H
#define RMSD_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_TEXT, LOG_JSON };

/* 0 or a negative UV_ code. */
int log_start(enum log_level level, enum log_format format);
/* Writes what is in the ring, at most for a second if stderr does not take it, and ends the writer. */
void log_stop(void);
bool log_enabled(enum log_level level);
/* Lines lost since the start. */
uint64_t log_dropped(void);
/* message is a constant sentence without control bytes; facts may be "". */
__attribute__((format(printf, 3, 4))) void log_write(enum log_level level, const char *message, const char *facts, ...);

#define log_at(level, ...) (log_enabled(level) ? log_write(level, __VA_ARGS__) : (void)0)
#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_at(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)

/* len bytes, quoted and escaped, into buf of size bytes; cut with "..." when too long. Returns buf. */
const char *log_quote(char *buf, size_t size, const char *bytes, size_t len);
/* text itself if it is one plain word, which needs no quotes; else quoted into buf, as above. */
const char *log_word(char *buf, size_t size, const char *text);

#endif
