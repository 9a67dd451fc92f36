/*
 * daemon.h - an rmsd, or another program built on librms, as a child process of the test.
 *
 * It starts on free ports of 127.0.0.1 with its control socket in a directory of its own, is ready when it says so on
 * that socket, and must end with status 0 and without a word of an assertion or a sanitizer. What it logged is printed
 * when it does not.
 *
 * Thread: the test's. The address functions may be called by any while it runs.
 */
#ifndef RMSD_TESTS_DAEMON_H
#define RMSD_TESTS_DAEMON_H

#include <stdbool.h>
#include <sys/types.h>

#include <jansson.h>

#include "support/program.h"
#include "support/wire.h"

#define DAEMON_TEXT "Hello from Cloud Application"

struct daemon;

/*
 * Starts "rmsd" or "testapp" and waits until it is ready. conf: its file, to which what it leaves out of listen,
 * admin_listen, worker_port and control_socket is appended; NULL: one route, "/" with DAEMON_TEXT. Then -o for each
 * "KEY=VALUE", ended by NULL.
 */
__attribute__((sentinel)) struct daemon *daemon_start(const char *program, const char *conf, ...);
/* SIGTERM, waits, and expects status 0 and a clean log. The addresses are gone then. */
void daemon_stop(struct daemon *daemon);
/* A teardown for cmocka: kills what a failed test left running and prints its log. */
int daemon_cleanup(void **state);

pid_t daemon_pid(const struct daemon *daemon);
void daemon_signal(struct daemon *daemon, int signal);
/* Waits for its end and returns the exit status, or minus the signal; daemon_stop() then has nothing left to do. */
int daemon_wait(struct daemon *daemon, int ms);
/* Its log so far, whole lines. */
const char *daemon_log(struct daemon *daemon);
/* The log once text is in it: a thread of its own writes it, a moment after the event. */
const char *daemon_await_log(struct daemon *daemon, const char *text);
/* Its directory; a test may put files there. */
const char *daemon_dir(const struct daemon *daemon);

/* Addresses for wire_open(). */
const char *daemon_public(const struct daemon *daemon);
const char *daemon_admin(const struct daemon *daemon);
const char *daemon_socket(const struct daemon *daemon);
const char *daemon_worker(const struct daemon *daemon, const char *worker);

/* /status, over the control socket; the caller owns it: json_decref(). */
json_t *daemon_status(struct daemon *daemon);
/* The state of a worker: "up". */
const char *daemon_state(struct daemon *daemon, const char *worker);
/* Its connections, by /status. */
unsigned daemon_connections(struct daemon *daemon, const char *worker);
/* Waits until a worker is in state and, where count is not negative, has that many connections. */
void daemon_await(struct daemon *daemon, const char *worker, const char *state, int count);
/* POST /v1/workers/WORKER/VERB, where VERB may carry a query; the reply, whatever its status. */
struct reply *daemon_verb(struct daemon *daemon, const char *worker, const char *verb);
/* The same, and it must have been done: 200, ok and changed. */
void daemon_do(struct daemon *daemon, const char *worker, const char *verb);
/* rmsctl -s SOCKET and the arguments, ended by NULL. */
__attribute__((sentinel)) struct output *daemon_ctl(struct daemon *daemon, ...);

/* The sum of all samples of name that carry the labels, ended by NULL; no such sample fails the test. */
__attribute__((sentinel)) double daemon_metric(struct daemon *daemon, const char *name, ...);
/* Waits until the sum of all samples of name is value or more. */
void daemon_await_metric(struct daemon *daemon, const char *name, double value);
/* /metrics of admin. */
const char *daemon_metrics(struct daemon *daemon);

/* From /proc. */
long daemon_rss_kb(struct daemon *daemon);
unsigned daemon_fds(struct daemon *daemon);
/* Processor time that it has used so far. */
double daemon_cpu_ms(struct daemon *daemon);
/* The same of the thread of that name, to the microsecond. */
double daemon_thread_cpu_ms(struct daemon *daemon, const char *name);
unsigned daemon_threads(struct daemon *daemon);

/* Is it one that a sanitizer slows down and makes larger? */
bool daemon_sanitized(void);
/* n, scaled by $RMSD_TEST_SCALE per cent if that is set; at least 1. */
unsigned test_scale(unsigned n);

#endif
