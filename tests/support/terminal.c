/* terminal.c - forkpty(), and a buffer. */
#include "support/terminal.h"

#include <poll.h>
#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/wire.h"

enum { ARGUMENTS = 8 };

void terminal_open(struct terminal *terminal, unsigned columns, unsigned rows, const char *kind, const char *file, ...)
{
	struct winsize size = { .ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns };
	char *argv[ARGUMENTS + 1] = { (char *)(uintptr_t)file };
	va_list args;

	va_start(args, file);
	for (unsigned i = 1; i < ARGUMENTS && (argv[i] = va_arg(args, char *)); i++)
		;
	va_end(args);
	terminal->len = 0;
	terminal->seen[0] = '\0';
	terminal->pid = forkpty(&terminal->fd, NULL, NULL, &size);
	assert_true(terminal->pid >= 0);
	if (!terminal->pid) {
		/* Whoever started the test in the background may ignore them. */
		signal(SIGINT, SIG_DFL);
		signal(SIGHUP, SIG_DFL);
		setenv("TERM", kind, 1);
		execv(file, argv);
		_exit(127);
	}
}

void terminal_read(struct terminal *terminal, int ms, const char *text)
{
	double until = wire_clock_ms() + ms;
	size_t begun = terminal->len;
	ssize_t n;

	do {
		struct pollfd readable = { .fd = terminal->fd, .events = POLLIN };
		double left = until - wire_clock_ms();

		assert_true(terminal->len < sizeof(terminal->seen) - 1);
		if (left <= 0 || poll(&readable, 1, (int)left + 1) <= 0)
			fail_msg("no %s in: %s", text ? text : "end", terminal->seen + begun);
		n = read(terminal->fd, terminal->seen + terminal->len, sizeof(terminal->seen) - 1 - terminal->len);
		terminal->len += n > 0 ? (size_t)n : 0;
		terminal->seen[terminal->len] = '\0';
	} while (n > 0 && !(text && strstr(terminal->seen, text)));
	if (text && !strstr(terminal->seen, text))
		fail_msg("no %s in: %s", text, terminal->seen);
}
