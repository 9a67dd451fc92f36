/*
 * pressure.h - what must hold however much is asked of a daemon.
 *
 * Thread: the test's.
 */
#ifndef RMSD_TESTS_PRESSURE_H
#define RMSD_TESTS_PRESSURE_H

#include "support/daemon.h"

/* How much slower everything is allowed to be here. */
double pressure_slack(void);
/* rmsctl status answers, and soon. */
void pressure_expect_rmsctl(struct daemon *daemon);
/* In ms to come, in which nobody asks it anything, it uses next to no processor time. */
void pressure_expect_idle(struct daemon *daemon, int ms);
/* The sum of all samples of name becomes value. */
void pressure_await_metric(struct daemon *daemon, const char *name, double value);
/* A whole 503 with Retry-After. */
void pressure_expect_503(struct wire *wire);
/* How often the log has what. */
unsigned pressure_logged(struct daemon *daemon, const char *what);

#endif
