/*
 * program.h - run a program to its end, as a shell would, and keep all that it said.
 *
 * Thread: the test's.
 */
#ifndef RMSD_TESTS_PROGRAM_H
#define RMSD_TESTS_PROGRAM_H

#include <stddef.h>
#include <sys/types.h>

enum { PROGRAM_PATIENCE_MS = 180000 };

/* What a program left. Kept until the test program ends: nothing to free. */
struct output {
	int status; /* the exit status, or minus the signal that ended it */
	char *out;  /* what it wrote, NUL-terminated */
	char *err;
	size_t out_len;
};

/* The file of "rmsd", "rmsctl" or "testapp": from $RMSD_BINARY, $RMSCTL_BINARY, $RMSD_TESTAPP, else as built. */
const char *program_path(const char *name);
/* One of the tools unpacked for tests (prometheus, promtool), in $RMSD_TOOLS; NULL and a line on stderr: not there. */
const char *program_tool(const char *name);
/* Runs argv[0] with the rest, NULL-terminated; fails the test when it does not end in time. */
struct output *program_run(const char *const argv[]);
/* The same with the arguments in place, ended by NULL. */
__attribute__((sentinel)) struct output *program_call(const char *file, ...);
/* Starts it and returns at once; out and err are files to write, or NULL for our own. It dies with us. */
pid_t program_start(const char *const argv[], const char *out, const char *err);
/* Programs started from now on may have n descriptors; 0: as many as we. */
void program_limit_files(unsigned n);
/* Waits for its end: the status as above, or fails the test after ms. */
int program_wait(pid_t pid, int ms);
/* What a file holds, NUL-terminated; kept as above. "" if there is none. */
char *program_file(const char *path, size_t *len);

#endif
