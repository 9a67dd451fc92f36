/*
 * exposition.h - which form of the metrics a scraper asks for.
 *
 * Of the forms that its Accept names, the one with the highest quality (RFC 9110 section 12.5.1); text 0.0.4 if it
 * names none of them, or nothing.
 *
 * Thread: any; no state.
 */
#ifndef RMSD_METRICS_EXPOSITION_H
#define RMSD_METRICS_EXPOSITION_H

#include <stdbool.h>

enum exposition {
	EXPOSITION_TEXT,        /* Prometheus' text 0.0.4 */
	EXPOSITION_OPENMETRICS, /* OpenMetrics 1.0.0 */
};

/* The values of Accept and Accept-Encoding; NULL: not sent. */
enum exposition exposition_choose(const char *accept);
bool exposition_takes_gzip(const char *accept_encoding);
/* For Content-Type. */
const char *exposition_type(enum exposition form);

#endif
