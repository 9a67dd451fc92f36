/* test_top.c - rmsctl top: in tmux, as people have it; and on a terminal of our own, for how it leaves one. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/daemon.h"
#include "support/keep.h"
#include "support/running.h"
#include "support/scratch.h"
#include "support/terminal.h"

enum { PATIENCE_MS = 15000, SEEN_MS = 3000, USAGE = 2, UNREACHABLE = 3, COLUMNS = 110, ROWS = 30 };

/* ---- in tmux ---- */

static const char *scratch;
static const char *tmux; /* its socket; NULL: it does not run */

static bool have_tmux(void)
{
	bool have = program_call("sh", "-c", "command -v tmux", NULL)->status == 0;

	if (!have)
		fprintf(stderr, "NOT RUN: no tmux\n");
	return have;
}

static const char *screen(void)
{
	return program_call("tmux", "-S", tmux, "capture-pane", "-p", NULL)->out;
}

/* Waits until text is on the screen, or is no longer; how long that took. */
static double await(const char *text, bool there)
{
	double begun = wire_clock_ms();

	while ((strstr(screen(), text) != NULL) != there) {
		if (wire_clock_ms() - begun > PATIENCE_MS)
			fail_msg("%s \"%s\" in:\n%s", there ? "no" : "still", text, screen());
		pause_ms(50);
	}
	return wire_clock_ms() - begun;
}

static void type(const char *key)
{
	assert_int_equal(program_call("tmux", "-S", tmux, "send-keys", key, NULL)->status, 0);
}

/* The shell around it says how it ended. */
static void open_top(const char *socket, const char *environment)
{
	const char *command =
		keepf("env %s %s -s %s top; echo ended with $?; cat", environment, program_path("rmsctl"), socket);

	tmux = keepf("%s/tmux", scratch);
	assert_int_equal(program_call("tmux", "-S", tmux, "-f", "/dev/null", "new-session", "-d", "-x",
				 keepf("%d", COLUMNS), "-y", keepf("%d", ROWS), command, NULL)
				 ->status,
		0);
}

static void close_tmux(void)
{
	if (tmux)
		program_call("tmux", "-S", tmux, "kill-server", NULL);
	tmux = NULL;
}

static int set_up(void **state)
{
	(void)state;
	scratch = scratch_make();
	return 0;
}

static int clean_up(void **state)
{
	close_tmux();
	scratch_remove(scratch);
	return daemon_cleanup(state);
}

static void it_shows_workers_and_what_happens_to_them(void **state)
{
	struct daemon *daemon;
	double ms;

	(void)state;
	if (!have_tmux())
		skip();
	daemon = daemon_start("rmsd", NULL, NULL);
	open_top(daemon_socket(daemon) + strlen("unix:"), "LC_ALL=C.UTF-8");
	await("3 of 3 workers up", true);
	await("app3    up", true);
	await("q quits", true);
	await("RESTARTS", true);
	program_call("tmux", "-S", tmux, "resize-window", "-x", "60", "-y", "16", NULL);
	await("RESTARTS", false);
	await("q quits", true);
	daemon_do(daemon, "app2", "kill");
	ms = await("app2    DOWN", true);
	if (ms > SEEN_MS && !daemon_sanitized())
		fail_msg("the kill was seen after %.0f ms", ms);
	await("2 of 3 workers up", true);
	await("state    app2  down, was up", true);
	type("q");
	await("ended with 0", true);
	await("app2", false);
	close_tmux();
	daemon_stop(daemon);
}

static void it_says_that_rmsd_has_gone_and_comes_back(void **state)
{
	const char *socket = keepf("%s/socket", scratch), *option = keepf("control_socket=%s", socket);
	struct daemon *daemon;

	(void)state;
	if (!have_tmux())
		skip();
	daemon = daemon_start("rmsd", NULL, option, "workers=2", NULL);
	open_top(socket, "LC_ALL=C NO_COLOR=1");
	await("2 of 2 workers up", true);
	daemon_signal(daemon, SIGSTOP);
	await("rmsd says nothing: stale since", true);
	daemon_signal(daemon, SIGCONT);
	await("stale", false);
	daemon_stop(daemon);
	await("rmsd has gone: stale since", true);
	daemon = daemon_start("rmsd", NULL, option, "workers=4", NULL);
	await("4 of 4 workers up", true);
	await("rmsd has gone", false);
	type("C-c");
	await("ended with 0", true);
	close_tmux();
	daemon_stop(daemon);
}

/* ---- on a terminal of our own ---- */

static void open_terminal(struct terminal *terminal, struct daemon *daemon, const char *kind)
{
	terminal_open(terminal, COLUMNS, ROWS, kind, program_path("rmsctl"), "-s",
		daemon_socket(daemon) + strlen("unix:"), "top", NULL);
}

static bool is_raw(const struct terminal *terminal)
{
	struct termios now;

	assert_int_equal(tcgetattr(terminal->fd, &now), 0);
	return !(now.c_lflag & (ICANON | ECHO | ISIG));
}

static void expect_restored(const struct terminal *terminal)
{
	assert_non_null(strstr(terminal->seen, "\033[?1049h"));
	assert_non_null(strstr(terminal->seen, "\033[?7h\033[?25h\033[?1049l"));
	assert_false(is_raw(terminal));
}

static void the_terminal_is_restored_whatever_ends_it(void **state)
{
	static const int signals[] = { 0, SIGTERM, SIGINT, SIGHUP };
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	static struct terminal terminal;

	(void)state;
	for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		open_terminal(&terminal, daemon, "xterm");
		terminal_read(&terminal, PATIENCE_MS, "workers up");
		assert_true(is_raw(&terminal));
		if (signals[i])
			kill(terminal.pid, signals[i]);
		else
			assert_int_equal(write(terminal.fd, "q", 1), 1);
		terminal_read(&terminal, PATIENCE_MS, "\033[?1049l");
		assert_int_equal(program_wait(terminal.pid, PATIENCE_MS), -signals[i]);
		expect_restored(&terminal);
		close(terminal.fd);
	}
	daemon_stop(daemon);
}

/* Another has stopped it and lets it go on: nobody has touched the terminal meanwhile. */
static void a_stop_does_not_change_what_it_found(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	static struct terminal terminal;

	(void)state;
	open_terminal(&terminal, daemon, "xterm");
	terminal_read(&terminal, PATIENCE_MS, "workers up");
	kill(terminal.pid, SIGSTOP);
	terminal.len = 0;
	kill(terminal.pid, SIGCONT);
	terminal_read(&terminal, PATIENCE_MS, "\033[?1049h");
	assert_int_equal(write(terminal.fd, "q", 1), 1);
	terminal_read(&terminal, PATIENCE_MS, "\033[?1049l");
	assert_int_equal(program_wait(terminal.pid, PATIENCE_MS), 0);
	expect_restored(&terminal);
	close(terminal.fd);
	daemon_stop(daemon);
}

static void a_dumb_terminal_is_usage(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	static struct terminal terminal;

	(void)state;
	open_terminal(&terminal, daemon, "dumb");
	terminal_read(&terminal, PATIENCE_MS, "rmsctl: top: a dumb terminal");
	assert_int_equal(program_wait(terminal.pid, PATIENCE_MS), USAGE);
	assert_null(strstr(terminal.seen, "\033"));
	close(terminal.fd);
	daemon_stop(daemon);
}

/* It is there, and takes the connection. */
static void a_silent_rmsd_is_told(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	static struct terminal terminal;

	(void)state;
	daemon_signal(daemon, SIGSTOP);
	open_terminal(&terminal, daemon, "xterm");
	terminal_read(&terminal, PATIENCE_MS, "rmsd says nothing");
	daemon_signal(daemon, SIGCONT);
	terminal_read(&terminal, PATIENCE_MS, "3 of 3 workers up");
	assert_int_equal(write(terminal.fd, "q", 1), 1);
	assert_int_equal(program_wait(terminal.pid, PATIENCE_MS), 0);
	close(terminal.fd);
	daemon_stop(daemon);
}

/* What rmsctl opens must not take their places: it would read its keys from rmsd. */
static void a_standard_input_that_is_closed_is_none(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	static struct terminal terminal;

	(void)state;
	terminal_open(&terminal, COLUMNS, ROWS, "xterm", "/bin/sh", "-c",
		keepf("exec %s -s %s top <&-", program_path("rmsctl"), daemon_socket(daemon) + strlen("unix:")), NULL);
	terminal_read(&terminal, PATIENCE_MS, "3 of 3 workers up");
	kill(terminal.pid, SIGTERM);
	assert_int_equal(program_wait(terminal.pid, PATIENCE_MS), -SIGTERM);
	close(terminal.fd);
	daemon_stop(daemon);
}

static void no_terminal_and_json_are_usage(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	struct output *output = daemon_ctl(daemon, "top", NULL);

	(void)state;
	assert_int_equal(output->status, USAGE);
	assert_string_equal(output->out, "");
	assert_string_equal(
		output->err, "rmsctl: top: standard output is not a terminal (events --follow has the same figures)\n");
	output = daemon_ctl(daemon, "--json", "top", NULL);
	assert_int_equal(output->status, USAGE);
	assert_string_equal(
		output->err, "rmsctl: top: is for people: no --json (events --follow has the same figures)\n");
	daemon_stop(daemon);
}

/* Before it touches the terminal. */
static void no_rmsd_is_told_at_once(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	static struct terminal terminal;

	(void)state;
	assert_int_equal(unlink(daemon_socket(daemon) + strlen("unix:")), 0);
	open_terminal(&terminal, daemon, "xterm");
	terminal_read(&terminal, PATIENCE_MS, "rmsctl: ");
	assert_int_equal(program_wait(terminal.pid, PATIENCE_MS), UNREACHABLE);
	assert_null(strstr(terminal.seen, "\033["));
	close(terminal.fd);
	daemon_stop(daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(it_shows_workers_and_what_happens_to_them, set_up, clean_up),
		cmocka_unit_test_setup_teardown(it_says_that_rmsd_has_gone_and_comes_back, set_up, clean_up),
		cmocka_unit_test_teardown(the_terminal_is_restored_whatever_ends_it, daemon_cleanup),
		cmocka_unit_test_teardown(a_stop_does_not_change_what_it_found, daemon_cleanup),
		cmocka_unit_test_teardown(a_dumb_terminal_is_usage, daemon_cleanup),
		cmocka_unit_test_teardown(a_silent_rmsd_is_told, daemon_cleanup),
		cmocka_unit_test_teardown(a_standard_input_that_is_closed_is_none, daemon_cleanup),
		cmocka_unit_test_teardown(no_terminal_and_json_are_usage, daemon_cleanup),
		cmocka_unit_test_teardown(no_rmsd_is_told_at_once, daemon_cleanup),
	};

	return cmocka_run_group_tests_name("top", tests, NULL, NULL);
}
