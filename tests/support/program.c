/* program.c - run a program to its end and keep what it said. */
#include "support/program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/keep.h"

enum { ARGS_MAX = 64 };

const char *program_path(const char *name)
{
	static const struct {
		const char *name, *env, *built;
	} programs[] = {
		{ "rmsd", "RMSD_BINARY", RMSD_BINARY },
		{ "rmsctl", "RMSCTL_BINARY", RMSCTL_BINARY },
		{ "testapp", "RMSD_TESTAPP", RMSD_TESTAPP },
	};
	size_t i;

	for (i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		if (!strcmp(programs[i].name, name))
			return getenv(programs[i].env) ? getenv(programs[i].env) : programs[i].built;
	fail_msg("no program %s", name);
	return NULL;
}

const char *program_tool(const char *name)
{
	const char *dir = getenv("RMSD_TOOLS");
	static const char *const places[] = { "", "bin/", "usr/bin/" };
	size_t i;

	for (i = 0; dir && i < sizeof(places) / sizeof(places[0]); i++) {
		const char *path = keepf("%s/%s%s", dir, places[i], name);

		if (!access(path, X_OK))
			return path;
	}
	fprintf(stderr, "NOT RUN: no %s under RMSD_TOOLS=%s\n", name, dir ? dir : "(unset)");
	return NULL;
}

char *program_file(const char *path, size_t *len)
{
	size_t size = 65536, have = 0;
	char *text = malloc(size + 1);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	assert_non_null(text);
	while (fd >= 0 && (n = read(fd, text + have, size - have)) > 0) {
		have += (size_t)n;
		if (have == size) {
			size *= 2;
			text = realloc(text, size + 1);
			assert_non_null(text);
		}
	}
	if (fd >= 0)
		close(fd);
	text[have] = 0;
	if (len)
		*len = have;
	return keep(text);
}

/* In the child: the file becomes descriptor to. */
static void redirect(const char *file, int to)
{
	int fd;

	if (!file)
		return;
	fd = open(file, O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (fd < 0 || dup2(fd, to) < 0)
		_exit(126);
	close(fd);
}

/* Of the programs started from now on; 0: ours. */
static unsigned file_limit;

void program_limit_files(unsigned n)
{
	file_limit = n;
}

pid_t program_start(const char *const argv[], const char *out, const char *err)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (file_limit) {
		struct rlimit limit = { file_limit, file_limit };

		if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
			_exit(126);
	}
	redirect("/dev/null", STDIN_FILENO);
	redirect(out, STDOUT_FILENO);
	redirect(err, STDERR_FILENO);
	execvp(argv[0], (char *const *)(uintptr_t)argv);
	fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

int program_wait(pid_t pid, int ms)
{
	struct pollfd p = { .events = POLLIN };
	int status, ready;

	p.fd = (int)syscall(SYS_pidfd_open, pid, 0);
	assert_true(p.fd >= 0);
	ready = poll(&p, 1, ms);
	close(p.fd);
	if (ready != 1) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		fail_msg("process %d did not end within %d ms", (int)pid, ms);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

struct output *program_run(const char *const argv[])
{
	struct output *output = keep(calloc(1, sizeof(*output)));
	char out[] = "/tmp/rmsd-out-XXXXXX", err[] = "/tmp/rmsd-err-XXXXXX";
	int out_fd = mkstemp(out), err_fd = mkstemp(err);

	assert_true(out_fd >= 0 && err_fd >= 0);
	close(out_fd);
	close(err_fd);
	output->status = program_wait(program_start(argv, out, err), PROGRAM_PATIENCE_MS);
	output->out = program_file(out, &output->out_len);
	output->err = program_file(err, NULL);
	unlink(out);
	unlink(err);
	return output;
}

struct output *program_call(const char *file, ...)
{
	const char *argv[ARGS_MAX] = { file };
	size_t n = 1;
	va_list args;

	va_start(args, file);
	while (n < ARGS_MAX - 1 && (argv[n] = va_arg(args, const char *)))
		n++;
	va_end(args);
	return program_run(argv);
}
