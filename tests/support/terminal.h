/*
 * terminal.h - a program on a terminal of its own, and what it writes there.
 *
 * Thread: the test's.
 */
#ifndef RMSD_TESTS_TERMINAL_H
#define RMSD_TESTS_TERMINAL_H

#include <stddef.h>
#include <sys/types.h>

struct terminal {
	int fd;
	pid_t pid;
	char seen[1 << 19]; /* NUL-terminated */
	size_t len;
};

/* kind: TERM. The program and its arguments, ended by NULL. The caller closes fd and waits for pid. */
__attribute__((sentinel)) void terminal_open(
	struct terminal *terminal, unsigned columns, unsigned rows, const char *kind, const char *file, ...);
/* Reads until text has come, or, if it is NULL, until nobody has the terminal open any more; fails the test after ms.
 */
void terminal_read(struct terminal *terminal, int ms, const char *text);

#endif
