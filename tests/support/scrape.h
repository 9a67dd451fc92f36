/*
 * scrape.h - numbers out of Prometheus' text format.
 *
 * A label is given as it stands in the text, worker="app1"; labels may stand in any order there.
 */
#ifndef RMSD_TESTS_SCRAPE_H
#define RMSD_TESTS_SCRAPE_H

/* The samples of name that carry all of the labels (ended by NULL): their sum; how many, unless n is NULL. */
double scrape_sum(const char *text, const char *name, const char *const labels[], unsigned *n);

#endif
