/* test_access_file.c - the file of the access log: rotated, full, not there; and no line lost that had room. */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "support/access.h"
#include "support/client.h"
#include "support/keep.h"
#include "support/running.h"
#include "support/scratch.h"

static const char *dir, *path;

static int make_dir(void **state)
{
	(void)state;
	dir = scratch_make();
	path = keepf("%s/access.log", dir);
	return 0;
}

static int remove_dir(void **state)
{
	int err = daemon_cleanup(state);

	(void)umount2(dir, MNT_DETACH);
	scratch_remove(dir);
	return err;
}

static struct client *load(struct daemon *daemon, unsigned connections, unsigned depth)
{
	struct client_plan plan = { .address = daemon_public(daemon), .path = "/echo/", .echo = true };
	struct client *client;

	plan.connections = connections;
	plan.depth = depth;
	assert_int_equal(client_start(&plan, &client), 0);
	assert_true(client_await_answered(client, connections, WIRE_PATIENCE_MS));
	return client;
}

static void await_more(struct client *client, unsigned n)
{
	assert_true(client_await_answered(client, client_answered(client) + test_scale(n), WIRE_PATIENCE_MS));
}

static uint64_t finish(struct client *client)
{
	struct account account;

	client_stop(client);
	client_join(client, &account);
	if (!account_complete(&account) || account.status[200] != account.answered)
		account_print(&account, stderr);
	assert_true(account_complete(&account) && account.status[200] == account.answered);
	return account.answered;
}

static void a_rotation_loses_no_line(void **state)
{
	enum { TIMES = 3 };
	struct daemon *daemon = daemon_start("testapp", "", keepf("access_log=%s", path), NULL);
	struct client *client = load(daemon, 8, 2);
	uint64_t answered, lines = 0;
	struct stat st;

	(void)state;
	for (unsigned i = 0; i < TIMES; i++) {
		await_more(client, 500);
		assert_int_equal(rename(path, keepf("%s.%u", path, i)), 0);
		daemon_signal(daemon, SIGUSR1);
		/* The new one is there. */
		for (double until = wire_clock_ms() + WIRE_PATIENCE_MS; stat(path, &st) < 0; pause_ms(5))
			assert_true(wire_clock_ms() < until);
	}
	assert_int_equal(st.st_mode & 0777, 0640);
	await_more(client, 500);
	answered = finish(client);
	assert_true(daemon_metric(daemon, "http_requests_total", NULL) == (double)answered);
	assert_true(access_made(daemon) == (double)answered);
	assert_non_null(strstr(daemon_await_log(daemon, "the access log was opened again"), keepf("path=%s", path)));
	/* What is in the rings comes out at the end. */
	daemon_stop(daemon);
	for (unsigned i = 0; i <= TIMES; i++) {
		const char *text = program_file(i < TIMES ? keepf("%s.%u", path, i) : path, NULL);

		assert_true(*text);
		lines += access_count(text);
	}
	assert_int_equal(lines, answered);
}

static void a_file_that_cannot_be_opened_again_goes_on(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", keepf("access_log=%s", path), NULL);

	(void)state;
	(void)wire_get(daemon_public(daemon), "/echo/1");
	(void)access_await(path, 1);
	assert_int_equal(rename(path, keepf("%s.old", path)), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	daemon_signal(daemon, SIGUSR1);
	(void)daemon_await_log(daemon, "cannot be opened again");
	(void)wire_get(daemon_public(daemon), "/echo/1");
	(void)access_await(keepf("%s.old", path), 2);
	daemon_stop(daemon);
}

static void workers_that_come_and_go_leave_their_lines(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", keepf("access_log=%s", path), NULL);
	struct client *client = load(daemon, 12, 3);
	uint64_t answered;
	double made;

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		const char *worker = keepf("app%u", i % 3 + 1);

		await_more(client, 200);
		daemon_do(daemon, worker, "kill");
		await_more(client, 200);
		daemon_do(daemon, worker, "revive");
	}
	answered = finish(client);
	assert_true(access_dropped(daemon) == 0);
	made = access_made(daemon);
	assert_true(made == (double)answered);
	daemon_stop(daemon);
	assert_int_equal(access_count(program_file(path, NULL)), answered);
}

/* A disk of size, "64k", that is this test's alone. False: nobody may mount one here. */
static bool mount_small(const char *size)
{
	static bool apart;

	if (!apart && (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0))
		return false;
	apart = true;
	return mount("tmpfs", dir, "tmpfs", 0, keepf("size=%s", size)) == 0;
}

/* Requests with long lines, so that not many are needed. */
static void ask_at_length(struct daemon *daemon, unsigned n)
{
	struct wire *wire = wire_open(daemon_public(daemon));
	char fill[900];

	memset(fill, 'x', sizeof(fill) - 1);
	fill[sizeof(fill) - 1] = '\0';
	for (unsigned i = 0; i < n; i++) {
		wire_putf(wire, "GET /echo/%s HTTP/1.1\r\nHost: a\r\nUser-Agent: %.400s\r\nReferer: %.400s\r\n\r\n",
			fill, fill, fill);
		assert_int_equal(wire_reply(wire)->status, 200);
	}
	wire_close(wire);
}

static void a_full_disk_costs_lines_and_no_request(void **state)
{
	/* Of 2 KB: more than the disk and the ring have room for. */
	enum { FIRST = 3000, THEN = 50 };
	struct daemon *daemon;
	const char *text;
	double dropped, made;

	(void)state;
	if (!mount_small("64k")) {
		fprintf(stderr, "no disk can be mounted here: skipped\n");
		skip();
	}
	daemon = daemon_start("testapp", "", keepf("access_log=%s", path), "workers=1", NULL);
	ask_at_length(daemon, FIRST);
	dropped = access_dropped(daemon);
	made = access_made(daemon);
	assert_true(dropped > 0 && made > 0 && made + dropped == FIRST);
	assert_non_null(strstr(daemon_await_log(daemon, "the access log cannot be written"), "error=ENOSPC"));
	/* What it has is whole lines. */
	assert_true(access_count(program_file(path, NULL)) > 0);
	assert_int_equal(mount(NULL, dir, NULL, MS_REMOUNT, "size=64m"), 0);
	(void)access_await(path, (unsigned)made);
	(void)daemon_await_log(daemon, "the access log is written again");
	ask_at_length(daemon, THEN);
	assert_true(access_dropped(daemon) == dropped);
	text = access_await(path, (unsigned)made + THEN);
	for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
		assert_memory_equal(line, "127.0.0.1 - - [", 15);
		assert_memory_equal(strchr(line, '\n') - 7, "trace=-", 7);
	}
	daemon_stop(daemon);
}

/* It is not waited for until the end of days; and each line is in the file, or told to be lost. */
static void a_full_disk_does_not_hold_up_the_end(void **state)
{
	enum { ASKED = 20 };
	struct daemon *daemon;
	const char *told;
	unsigned lost;

	(void)state;
	if (!mount_small("8k"))
		skip();
	daemon = daemon_start("testapp", "", keepf("access_log=%s", path), NULL);
	ask_at_length(daemon, ASKED);
	daemon_do(daemon, "app2", "kill");
	daemon_do(daemon, "app2", "revive");
	(void)daemon_await_log(daemon, "the access log cannot be written");
	daemon_signal(daemon, SIGTERM);
	assert_int_equal(daemon_wait(daemon, WIRE_PATIENCE_MS), 0);
	told = strstr(daemon_log(daemon), "lines of the access log are lost");
	assert_non_null(told);
	assert_int_equal(sscanf(strstr(told, " lines="), " lines=%u", &lost), 1);
	assert_int_equal(access_count(program_file(path, NULL)) + lost, ASKED);
	daemon_stop(daemon);
}

static void a_file_that_is_not_there_stops_the_start(void **state)
{
	struct output *output = program_call(program_path("testapp"), "-c", "/dev/null", "-o", "listen=127.0.0.1:0",
		"-o", "admin_listen=127.0.0.1:0", "-o", "worker_port=0", "-o", keepf("control_socket=%s/s", dir), "-o",
		keepf("access_log=%s/none/access.log", dir), NULL);

	(void)state;
	assert_int_equal(output->status, 3);
	if (!strstr(output->err, keepf("access_log %s/none/access.log: no such file or directory", dir)))
		fail_msg("%s", output->err);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_dir, remove_dir)
	const struct CMUnitTest tests[] = {
		TEST(a_rotation_loses_no_line),
		TEST(a_file_that_cannot_be_opened_again_goes_on),
		TEST(workers_that_come_and_go_leave_their_lines),
		TEST(a_full_disk_costs_lines_and_no_request),
		TEST(a_full_disk_does_not_hold_up_the_end),
		TEST(a_file_that_is_not_there_stops_the_start),
	};

	return cmocka_run_group_tests_name("access_file", tests, NULL, NULL);
}
