/*
 * monitor.h - a real Prometheus that watches a daemon with the files of deploy/prometheus.
 *
 * Thread: the test's.
 */
#ifndef RMSD_TESTS_MONITOR_H
#define RMSD_TESTS_MONITOR_H

#include "support/daemon.h"

struct monitor;

/*
 * Starts it on a copy of the shipped files, in which only the intervals (1 s) and the targets are others. NULL and a
 * line on stderr: there is no Prometheus here. It dies with the test.
 */
struct monitor *monitor_start(struct daemon *daemon);
void monitor_stop(struct monitor *monitor);
/* HOST:PORT of its HTTP interface. */
const char *monitor_address(const struct monitor *monitor);
/* An instant query: the first value of its answer, or -1 where there is none. */
double monitor_ask(struct monitor *monitor, const char *query);
/* Waits until a query has that answer; fails the test if it has not within half a minute. Milliseconds it took. */
double monitor_await(struct monitor *monitor, const char *query, double wanted);

#endif
