/*
 * number.h - numbers as they stand on a command line.
 *
 * Thread: any; no state.
 */
#ifndef RMSD_RMSCTL_NUMBER_H
#define RMSD_RMSCTL_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

/* Digits alone; false: not that, or too large. *end is behind them. */
bool number_read(const char *text, uint64_t *value, const char **end);
/* 500ms, 15s, 2m, 1h, as in rmsd.conf. NULL; or what is wrong, in rmsd's words, and *ms is not to be used. */
const char *number_read_duration(const char *text, uint64_t least_ms, uint64_t most_ms, uint64_t *ms);

#endif
