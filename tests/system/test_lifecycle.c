/* test_lifecycle.c - the command line, the start, the signals, the end. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/daemon.h"
#include "support/keep.h"
#include "support/scratch.h"

static const char *scratch; /* a directory of the running test */

static int make_scratch(void **state)
{
	(void)state;
	scratch = scratch_make();
	return 0;
}

static int remove_scratch(void **state)
{
	scratch_remove(scratch);
	return daemon_cleanup(state);
}

static const char *good_conf(void)
{
	return scratch_write_text(scratch, "good.conf",
		"listen: [\"127.0.0.1:0\"]\nworkers: 2\nworker_port: auto\n"
		"admin_listen: 127.0.0.1:0\nkeepalive_timeout: 20s\n"
		"worker:\n  app2: {weight: 3}\n"
		"routes:\n  /: {text: Hello from Cloud Application}\n  /b: {text: \"x: y\\n\"}\n");
}

static void a_good_file_is_ok(void **state)
{
	const char *path = good_conf();
	struct output *output = program_call(program_path("rmsd"), "-t", "-c", path, NULL);

	(void)state;
	assert_string_equal(output->err, "");
	assert_string_equal(output->out, keepf("%s: ok\n", path));
	assert_int_equal(output->status, 0);
}

static void a_dump_is_a_file_that_dumps_to_the_same_values(void **state)
{
	const char *path = good_conf(), *again, *line;
	struct output *first = program_call(program_path("rmsd"), "-T", "-c", path, "-o", "body_timeout=7s", NULL);
	struct output *second;
	char *left, *right;

	(void)state;
	assert_int_equal(first->status, 0);
	assert_non_null(strstr(first->out, "# default"));
	assert_non_null(strstr(first->out, keepf("# %s:5", path)));
	assert_non_null(strstr(first->out, "# -o"));
	again = scratch_write_text(scratch, "again.conf", first->out);
	second = program_call(program_path("rmsd"), "-T", "-c", again, NULL);
	assert_int_equal(second->status, 0);
	/* The origins differ, the values must not. */
	left = keep(strdup(first->out));
	right = keep(strdup(second->out));
	while ((line = strsep(&left, "\n"))) {
		const char *other = strsep(&right, "\n");
		const char *a = strstr(line, " # "), *b = other ? strstr(other, " # ") : NULL;

		assert_non_null(other);
		if (a && b) {
			while (a > line && a[-1] == ' ')
				a--;
			while (b > other && b[-1] == ' ')
				b--;
			assert_int_equal(a - line, b - other);
			assert_memory_equal(line, other, (size_t)(a - line));
		} else {
			assert_string_equal(line, other);
		}
	}
	assert_non_null(strstr(second->out, "body_timeout: 7s"));
	assert_int_equal(program_call(program_path("rmsd"), "-t", "-c", again, NULL)->status, 0);
}

static void the_command_line_is_checked(void **state)
{
	static const struct {
		const char *args[6];
		int status;
		const char *out, *err; /* a part of it; NULL: nothing at all */
	} rows[] = {
		{ { "-V" }, 0, "rmsd", NULL },
		{ { "--version" }, 0, "rmsd", NULL },
		{ { "-h" }, 0, "-o KEY=VALUE", NULL },
		{ { "--help" }, 0, "-o KEY=VALUE", NULL },
		{ { "--print-options" }, 0, "keepalive_timeout", NULL },
		{ { "--print-metrics" }, 0, "http_requests_total", NULL },
		{ { "-x" }, 2, NULL, "" },
		{ { "--no-such" }, 2, NULL, "" },
		{ { "argument" }, 2, NULL, "" },
		{ { "-c" }, 2, NULL, "" },
		{ { "-o" }, 2, NULL, "" },
		{ { "-t", "-o", "no_such_key=1" }, 1, NULL, "-o no_such_key: " },
		{ { "-t", "-o", "workers=many" }, 1, NULL, "-o workers: " },
		{ { "-t", "-o", "keepalive_timeout=75" }, 1, NULL, "-o keepalive_timeout: " },
		{ { "-t", "-c", "/nowhere/rmsd.conf" }, 1, NULL, "/nowhere/rmsd.conf" },
		{ { "-c", "/nowhere/rmsd.conf" }, 1, NULL, "/nowhere/rmsd.conf" },
	};
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *argv[8] = { program_path("rmsd") };
		struct output *output;

		for (k = 0; k < 6 && rows[i].args[k]; k++)
			argv[k + 1] = rows[i].args[k];
		output = program_run(argv);
		if (output->status != rows[i].status ||
			(rows[i].out ? !strstr(output->out, rows[i].out) : *output->out) ||
			(rows[i].err ? !*output->err || !strstr(output->err, rows[i].err) : *output->err))
			fail_msg("rmsd %s %s %s: status %d\n%s%s", argv[1], argv[2] ? argv[2] : "",
				argv[3] ? argv[3] : "", output->status, output->out, output->err);
	}
}

/* Runs rmsd with the good file and one key more; it cannot start. */
static void expect_no_start(const char *override, const char *part, const char *hint)
{
	struct output *output = program_call(program_path("rmsd"), "-c", good_conf(), "-o",
		keepf("control_socket=%s/mine.sock", scratch), "-o", override, NULL);

	if (output->status != 3 || !strstr(output->err, part) || !strstr(output->err, hint))
		fail_msg("-o %s: status %d, \"%s\" and \"%s\" expected in\n%s", override, output->status, part, hint,
			output->err);
}

static void a_port_in_use_is_said_with_what_to_do(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);

	(void)state;
	expect_no_start(keepf("listen=%s", daemon_public(daemon)), "address in use", "listen=");
	expect_no_start(keepf("admin_listen=%s", daemon_admin(daemon)), "address in use", "try -o admin_listen=");
	expect_no_start(keepf("worker_port=%s", strrchr(daemon_worker(daemon, "app1"), ':') + 1), "address in use",
		"worker_port=");
	reply_expect(wire_get(daemon_public(daemon), "/"), 200, DAEMON_TEXT);
	daemon_stop(daemon);
}

static void a_live_control_socket_is_left_alone(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	struct output *output = program_call(program_path("rmsd"), "-c", good_conf(), "-o",
		keepf("control_socket=%s", daemon_socket(daemon) + strlen("unix:")), NULL);

	(void)state;
	assert_int_equal(output->status, 3);
	assert_non_null(strstr(output->err, daemon_socket(daemon) + strlen("unix:")));
	assert_int_equal(daemon_ctl(daemon, "status", NULL)->status, 0);
	daemon_stop(daemon);
}

static void a_stale_control_socket_is_replaced(void **state)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct daemon *daemon;
	const char *path = keepf("%s/stale.sock", scratch);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct stat st;

	(void)state;
	snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	close(fd);
	daemon = daemon_start("rmsd", NULL, keepf("control_socket=%s", path), NULL);
	assert_int_equal(daemon_ctl(daemon, "status", NULL)->status, 0);
	daemon_stop(daemon);
	assert_int_equal(lstat(path, &st), -1);
}

/* Something that is no socket is nobody's to remove. */
static void a_file_in_the_sockets_place_is_kept(void **state)
{
	const char *path = scratch_write_text(scratch, "precious", "data\n");
	struct output *output =
		program_call(program_path("rmsd"), "-c", good_conf(), "-o", keepf("control_socket=%s", path), NULL);

	(void)state;
	assert_int_equal(output->status, 3);
	assert_string_equal(program_file(path, NULL), "data\n");
}

static void the_sockets_directory_is_made_and_the_socket_is_private(void **state)
{
	const char *path = keepf("%s/made/rmsd.sock", scratch);
	struct daemon *daemon;
	struct stat st;
	mode_t mask = umask(077);

	(void)state;
	daemon = daemon_start("rmsd", NULL, keepf("control_socket=%s", path), NULL);
	umask(mask);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stat(keepf("%s/made", scratch), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	daemon_stop(daemon);
}

static void sigterm_lets_running_requests_finish(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", NULL);
	struct wire *running[6], *idle[6], *refused = NULL;
	const char *address = daemon_public(daemon);
	double until = wire_clock_ms() + WIRE_PATIENCE_MS, begun;
	unsigned i;

	(void)state;
	for (i = 0; i < 6; i++) {
		idle[i] = wire_open(address);
		wire_expect_alive(idle[i]);
		running[i] = wire_open(i < 4 ? address : daemon_worker(daemon, "app1"));
		wire_put(running[i], "GET /slow/600 HTTP/1.1\r\nHost: a\r\n\r\n");
	}
	while (daemon_metric(daemon, "rmsd_http_requests_in_flight", NULL) != 6)
		assert_true(wire_clock_ms() < until);
	begun = wire_clock_ms();
	daemon_signal(daemon, SIGTERM);
	for (i = 0; i < 6; i++)
		wire_expect_eof(idle[i]);
	/* Idle ones did not wait for the running ones. */
	assert_true(wire_clock_ms() - begun < 550 || daemon_sanitized());
	assert_true(wire_try(address, NULL, &refused) < 0);
	for (i = 0; i < 6; i++) {
		struct reply *reply = wire_reply(running[i]);

		assert_int_equal(reply->status, 200);
		reply_expect_field(reply, "Connection", "close");
		wire_expect_eof(running[i]);
		wire_close(running[i]);
		wire_close(idle[i]);
	}
	assert_int_equal(daemon_wait(daemon, 10000), 0);
	daemon_stop(daemon);
}

static void shutdown_timeout_ends_the_waiting(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", "shutdown_timeout=500ms", NULL);
	struct wire *wire = wire_open(daemon_public(daemon));
	double begun;

	(void)state;
	wire_put(wire, "GET /never HTTP/1.1\r\nHost: a\r\n\r\n");
	while (daemon_metric(daemon, "rmsd_http_requests_in_flight", NULL) != 1)
		;
	begun = wire_clock_ms();
	daemon_signal(daemon, SIGTERM);
	assert_int_equal(daemon_wait(daemon, 10000), 0);
	assert_true(wire_clock_ms() - begun >= 450);
	wire_close(wire);
	daemon_stop(daemon);
}

static void a_second_signal_ends_it_now(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", NULL);
	struct wire *wire = wire_open(daemon_public(daemon)), *idle = wire_open(daemon_public(daemon));
	double begun;

	(void)state;
	wire_expect_alive(idle);
	wire_put(wire, "GET /never HTTP/1.1\r\nHost: a\r\n\r\n");
	while (daemon_metric(daemon, "rmsd_http_requests_in_flight", NULL) != 1)
		;
	begun = wire_clock_ms();
	daemon_signal(daemon, SIGINT);
	wire_expect_eof(idle);
	daemon_signal(daemon, SIGINT);
	assert_int_equal(daemon_wait(daemon, 10000), 0);
	assert_true(wire_clock_ms() - begun < 5000);
	assert_non_null(strstr(daemon_log(daemon), "cut"));
	wire_close(idle);
	wire_close(wire);
	daemon_stop(daemon);
}

static void an_idle_server_ends_at_once(void **state)
{
	static const int signals[] = { SIGTERM, SIGINT };
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		struct daemon *daemon = daemon_start("rmsd", NULL, "header_timeout=1s", NULL);
		struct wire *idle = wire_open(daemon_public(daemon)), *half = wire_open(daemon_public(daemon));
		struct wire *admin = wire_open(daemon_admin(daemon));
		double begun;

		wire_expect_alive(idle);
		wire_put(half, "GET / HT");
		wire_put(admin, "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n");
		wire_reply(admin);
		begun = wire_clock_ms();
		daemon_signal(daemon, signals[i]);
		assert_int_equal(daemon_wait(daemon, 25000), 0);
		if (!daemon_sanitized() && wire_clock_ms() - begun > 5000)
			fail_msg("it took %g ms", wire_clock_ms() - begun);
		wire_close(idle);
		wire_close(half);
		wire_close(admin);
		daemon_stop(daemon);
	}
}

static void signals_for_what_is_not_built_do_not_end_it(void **state)
{
	static const int signals[] = { SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE };
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		daemon_signal(daemon, signals[i]);
		reply_expect(wire_get(daemon_public(daemon), "/"), 200, DAEMON_TEXT);
	}
	daemon_stop(daemon);
}

static void rmsctl_shutdown_is_a_sigterm(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);

	(void)state;
	assert_int_equal(daemon_ctl(daemon, "shutdown", NULL)->status, 0);
	assert_int_equal(daemon_wait(daemon, 20000), 0);
	daemon_stop(daemon);
}

static void it_can_be_started_again_at_once(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	const char *listen = keepf("listen=%s", daemon_public(daemon));
	unsigned i;

	(void)state;
	for (i = 0; i < 3; i++) {
		struct wire *wire;

		wire = wire_open(daemon_public(daemon));
		wire_expect_alive(wire);
		daemon_stop(daemon);
		wire_close(wire);
		daemon = daemon_start("rmsd", NULL, listen, NULL);
	}
	daemon_stop(daemon);
}

static void the_log_is_one_line_an_event(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, "log_format=json", NULL);
	const char *line, *next;
	char *log;
	unsigned n = 0;

	(void)state;
	daemon_do(daemon, "app2", "kill");
	log = keep(strdup(daemon_await_log(daemon, "\"kill\"")));
	for (line = log; *line; line = next + 1, n++) {
		json_t *json;

		next = strchr(line, '\n');
		assert_non_null(next);
		json = json_loadb(line, (size_t)(next - line), 0, NULL);
		if (!json_is_object(json))
			fail_msg("not a JSON object: %.*s", (int)(next - line), line);
		json_decref(json);
	}
	assert_true(n >= 2);
	/* The audit line of the verb. */
	assert_non_null(strstr(log, "kill"));
	assert_non_null(strstr(log, "app2"));
	assert_non_null(strstr(log, "uid"));
	daemon_stop(daemon);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_scratch, remove_scratch)
	const struct CMUnitTest tests[] = {
		TEST(a_good_file_is_ok),
		TEST(a_dump_is_a_file_that_dumps_to_the_same_values),
		TEST(the_command_line_is_checked),
		TEST(a_port_in_use_is_said_with_what_to_do),
		TEST(a_live_control_socket_is_left_alone),
		TEST(a_stale_control_socket_is_replaced),
		TEST(a_file_in_the_sockets_place_is_kept),
		TEST(the_sockets_directory_is_made_and_the_socket_is_private),
		TEST(sigterm_lets_running_requests_finish),
		TEST(shutdown_timeout_ends_the_waiting),
		TEST(a_second_signal_ends_it_now),
		TEST(an_idle_server_ends_at_once),
		TEST(signals_for_what_is_not_built_do_not_end_it),
		TEST(rmsctl_shutdown_is_a_sigterm),
		TEST(it_can_be_started_again_at_once),
		TEST(the_log_is_one_line_an_event),
	};
#undef TEST

	return cmocka_run_group_tests_name("lifecycle", tests, NULL, NULL);
}
