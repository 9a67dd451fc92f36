/*
 * keep.h - memory that a test need not free: it stays reachable until the test program ends.
 *
 * Thread: the test's.
 */
#ifndef RMSD_TESTS_KEEP_H
#define RMSD_TESTS_KEEP_H

/* Takes memory and returns it; NULL fails the test. */
void *keep(void *memory);
/* A text as printf makes it, kept. */
__attribute__((format(printf, 1, 2))) char *keepf(const char *format, ...);

#endif
