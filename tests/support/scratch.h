/*
 * scratch.h - a directory of a test, and files in it.
 *
 * Thread: the test's.
 */
#ifndef RMSD_TESTS_SCRATCH_H
#define RMSD_TESTS_SCRATCH_H

#include <stddef.h>

/* A fresh one; its name is kept. */
const char *scratch_make(void);
/* With all that is in it. */
void scratch_remove(const char *dir);
/* Writes a file there; its path is kept. */
const char *scratch_write(const char *dir, const char *name, const void *bytes, size_t len);
const char *scratch_write_text(const char *dir, const char *name, const char *text);

#endif
