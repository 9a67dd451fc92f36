/*
 * running.h - requests that are in their app's hands, when their worker is to be lost.
 *
 * Thread: the test's.
 */
#ifndef RMSD_TESTS_RUNNING_H
#define RMSD_TESTS_RUNNING_H

#include "support/daemon.h"

/* What ends each head, and a request that is to be answered after the one in question. */
#define HEAD_END " HTTP/1.1\r\nHost: a\r\n\r\n"
#define BEHIND "GET /echo/behind" HEAD_END

void pause_ms(long ms);
/* Requests that handlers have or have deferred; worker NULL: of all. */
double running_count(struct daemon *daemon, const char *worker);
/* Waits until there are n of them. */
void running_await(struct daemon *daemon, unsigned n);
/* Waits until a worker other than but (NULL: any) has one, and names it. */
const char *running_worker(struct daemon *daemon, const char *but);
/* Sends bytes on a connection of its own, and names the worker that runs what they ask for. */
struct wire *running_begin(struct daemon *daemon, const char *bytes, const char **worker);

/* The reply to GET path is n and a line end. */
void running_expect_number(struct daemon *daemon, const char *path, unsigned long n);
/* The attempt that answered, by the app. */
unsigned running_attempt(const struct reply *reply);
/* A 503 with text in it comes; the connection goes on, and no Retry-After says that nothing ran. */
void running_expect_refused(struct wire *wire, const char *text);

/* daemon_stop() once it has no more threads than that: a stuck one is left behind, which a sanitizer does not like. */
void running_stop(struct daemon *daemon, unsigned threads);

#endif
