/*
 * report.h - a drill told: to people, as JSON, as JUnit XML.
 *
 * Thread: the only one; no state.
 */
#ifndef RMSD_RMSCTL_REPORT_H
#define RMSD_RMSCTL_REPORT_H

#include "rmsctl/verdict.h"
#include <jansson.h>

/* All of it is borrowed. */
struct report {
	const struct drill_plan *plan;
	const struct load_books *books;
	const struct lease *lease;
	const struct verdict *verdict;
	uint64_t stop_ns; /* the load had ended */
};

/* The first line of the page, which is known before the load. */
void report_head(const struct drill_plan *plan, struct outbuf *out);
/* The rest of a page for a terminal; utf8: it can show more than ASCII. */
void report_text(const struct report *report, bool utf8, struct outbuf *out);
/* One object, as docs/operations.md has it; NULL: out of memory. */
json_t *report_json(const struct report *report);
/* One test case a check. */
void report_junit(const struct report *report, struct outbuf *out);
/* Of a drill without a verdict. */
struct report_abort {
	const struct drill_plan *plan;
	uint64_t load_ns; /* that the load lasted; 0: it had not begun */
	const char *why;  /* NUL-terminated */
};

/* The same of a drill that was aborted: one object with the reason; one test case, in error. */
json_t *report_json_aborted(const struct report_abort *aborted);
void report_junit_aborted(const struct report_abort *aborted, struct outbuf *out);
/* Writes bytes to path so that whoever reads it sees all of them or what was there before. 0 or a negative errno. */
int report_write(const char *path, const struct outbuf *bytes);
/* Whether it could, by the same means; path is left as it is. */
int report_try(const char *path);

#endif
