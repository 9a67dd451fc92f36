/*
 * process.h - what the kernel knows about this process.
 *
 * Thread: any.
 */
#ifndef RMSD_METRICS_PROCESS_H
#define RMSD_METRICS_PROCESS_H

#include <stdint.h>

/* When the process started, in ns since 1970; 0 if not known. */
uint64_t process_start_ns(void);
/* Sets the METRIC_process_* of cells, but the start; 0 what is not known. */
void process_read(uint64_t *cells);

#endif
