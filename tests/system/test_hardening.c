/* test_hardening.c - what an attacker finds: no root, no way in by the control socket, a program built to resist. */
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/daemon.h"
#include "support/keep.h"
#include "support/scratch.h"

/* A user without an entry, another one, and a group. */
#define USER "54321"
#define OTHER "54322"
#define GROUP "12345"

static const char *scratch; /* a directory of the running test, which anybody may pass through */

static int make_scratch(void **state)
{
	(void)state;
	scratch = scratch_make();
	return chmod(scratch, 0711);
}

static int remove_scratch(void **state)
{
	scratch_remove(scratch);
	return daemon_cleanup(state);
}

static void want_root(void)
{
	if (geteuid() != 0)
		skip();
}

/* A program as somebody else; where the build is closed to others there is nothing to test. */
static struct output *run_as(const char *uid, const char *const args[])
{
	const char *argv[24] = { "setpriv", keepf("--reuid=%s", uid), keepf("--regid=%s", uid), "--clear-groups" };
	size_t n = 4;
	struct output *output;

	while (n < 23 && (argv[n] = args[n - 4]))
		n++;
	output = program_run(argv);
	if (output->status == 126 || output->status == 127)
		skip();
	return output;
}

/* ---- user ---- */

/* "Uid" -> "54321\t54321\t54321\t54321", of one thread. */
static const char *status_of(const char *path, const char *key)
{
	char *at = strstr(program_file(path, NULL), keepf("\n%s:\t", key)), *end = at ? strchr(at + 1, '\n') : NULL;

	assert_non_null(end);
	*end = '\0';
	return at + strlen(key) + 3;
}

static void expect_status(struct daemon *daemon, const char *key, const char *value)
{
	const char *list = program_call("ls", keepf("/proc/%d/task", (int)daemon_pid(daemon)), NULL)->out;
	char *names = keep(strdup(list)), *name;
	unsigned n = 0;

	for (; (name = strsep(&names, "\n")) && *name; n++) {
		const char *path = keepf("/proc/%d/task/%s/status", (int)daemon_pid(daemon), name);

		if (strcmp(status_of(path, key), value) != 0)
			fail_msg("%s of thread %s: \"%s\", expected \"%s\"", key, name, status_of(path, key), value);
	}
	assert_true(n >= 4);
}

/* The first of n ports below 1024 in a row that nobody has. */
static unsigned find_low_ports(unsigned n)
{
	unsigned found = 0;

	for (unsigned port = 1023; port > 600; port--) {
		struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		found = bind(fd, (struct sockaddr *)&in, sizeof(in)) == 0 ? found + 1 : 0;
		close(fd);
		if (found == n)
			return port;
	}
	skip();
	return 0;
}

static void root_becomes_its_user_once_all_is_bound(void **state)
{
	const char *path, *rmsctl[] = { program_path("rmsctl"), "-s", NULL, "revive-worker", "app2", NULL };
	struct daemon *daemon;
	struct stat st;

	(void)state;
	want_root();
	rmsctl[2] = path = keepf("%s/made/rmsd.sock", scratch);
	daemon = daemon_start("rmsd", NULL, "user=" USER ":" GROUP, "workers=2", keepf("control_socket=%s", path),
		keepf("worker_port=%u", find_low_ports(2)), NULL);
	expect_status(daemon, "Uid", USER "\t" USER "\t" USER "\t" USER);
	expect_status(daemon, "Gid", GROUP "\t" GROUP "\t" GROUP "\t" GROUP);
	expect_status(daemon, "Groups", " ");
	expect_status(daemon, "CapEff", "0000000000000000");
	expect_status(daemon, "CapPrm", "0000000000000000");
	expect_status(daemon, "NoNewPrivs", "1");
	(void)daemon_await_log(
		daemon, "rmsd runs as its user user=" USER ":" GROUP " uid=" USER " gid=" GROUP " groups=0");
	assert_null(strstr(daemon_log(daemon), "runs as root"));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_uid, strtoul(USER, NULL, 10));
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stat(keepf("%s/made", scratch), &st), 0);
	assert_int_equal(st.st_uid, strtoul(USER, NULL, 10));
	assert_int_equal(st.st_gid, strtoul(GROUP, NULL, 10));
	/* A port below 1024 is listened on again without root; and it is the user himself who asks for it. */
	daemon_do(daemon, "app2", "kill");
	assert_int_equal(run_as(USER, rmsctl)->status, 0);
	daemon_await(daemon, "app2", "up", -1);
	assert_int_equal(wire_get(daemon_worker(daemon, "app2"), "/")->status, 200);
	daemon_stop(daemon);
	assert_int_equal(lstat(path, &st), -1);
}

/* Whoever may write to its directory could put a link there: root would open, and give away, what it points to. */
static void the_access_log_is_opened_by_the_user_and_never_by_root(void **state)
{
	const char *dir = keepf("%s/log", scratch), *path = keepf("%s/access.log", dir);
	const char *others = keepf("%s/others", scratch);
	uid_t uid = (uid_t)strtoul(USER, NULL, 10);
	struct output *output;
	struct daemon *daemon;
	struct stat st;

	(void)state;
	want_root();
	assert_int_equal(mkdir(dir, 0755), 0);
	assert_int_equal(chown(dir, uid, (gid_t)-1), 0);
	assert_int_equal(close(open(others, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), 0);
	assert_int_equal(symlink(others, path), 0);
	output = program_call(program_path("rmsd"), "-c", "/dev/null", "-o", "listen=127.0.0.1:0", "-o",
		"admin_listen=127.0.0.1:0", "-o", "worker_port=0", "-o", keepf("control_socket=%s/s", scratch), "-o",
		"user=" USER, "-o", keepf("access_log=%s", path), NULL);
	assert_int_equal(output->status, 3);
	if (!strstr(output->err, keepf("access_log %s: permission denied", path)))
		fail_msg("%s", output->err);
	assert_int_equal(stat(others, &st), 0);
	assert_int_equal(st.st_uid, 0);
	assert_int_equal(unlink(path), 0);
	daemon = daemon_start("rmsd", NULL, "user=" USER, keepf("access_log=%s", path), NULL);
	assert_int_equal(lstat(path, &st), 0);
	assert_int_equal(st.st_uid, uid);
	assert_int_equal(st.st_mode & 0777, 0640);
	daemon_stop(daemon);
}

static void a_user_by_name_has_his_groups(void **state)
{
	struct daemon *daemon;
	gid_t groups[64];
	int n = 64;
	char *expected = keepf("%s", "");

	(void)state;
	want_root();
	if (getgrouplist("nobody", 65534, groups, &n) < 0 ||
		!strstr(program_file("/etc/passwd", NULL), "\nnobody:x:65534:65534:"))
		skip();
	for (int i = 0; i < n; i++)
		expected = keepf("%s%u ", expected, (unsigned)groups[i]);
	daemon = daemon_start("rmsd", NULL, "user=nobody", NULL);
	expect_status(daemon, "Uid", "65534\t65534\t65534\t65534");
	expect_status(daemon, "Gid", "65534\t65534\t65534\t65534");
	expect_status(daemon, "Groups", expected);
	daemon_stop(daemon);
}

static void root_without_a_user_is_warned_and_gains_nothing_by_exec(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	const char *log = daemon_await_log(daemon, "rmsd is up");

	(void)state;
	assert_true((geteuid() == 0) == (strstr(log, "warn rmsd runs as root remedy=\"set user") != NULL));
	expect_status(daemon, "NoNewPrivs", "1");
	daemon_stop(daemon);
}

static void who_is_not_root_can_be_himself_alone(void **state)
{
	const char *argv[] = { program_path("rmsd"), "-o", NULL, "-o", "listen=127.0.0.1:0", "-o",
		"admin_listen=127.0.0.1:0", "-o", "worker_port=auto", "-o", "control_socket=/proc/none/rmsd.sock",
		NULL };
	static const struct {
		const char *user, *part;
	} rows[] = {
		{ "user=" OTHER, "rmsd is not root: start it as root or as that user, or leave user out" },
		{ "user=" USER ":" GROUP, "rmsd is not root: start it as root or as that user, or leave user out" },
		{ "user=root", "rmsd is not root: start it as root or as that user, or leave user out" },
		{ "user=" USER, "control_socket" }, /* the next thing that cannot be */
	};

	(void)state;
	want_root();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct output *output;

		argv[2] = rows[i].user;
		output = run_as(USER, argv);
		if (output->status != 3 || !strstr(output->err, rows[i].part) || strchr(output->err, '\n')[1])
			fail_msg("%s: %d %s", rows[i].user, output->status, output->err);
	}
}

/* The status that the control socket answers to somebody else. */
static int ask_as(uid_t uid, const char *address)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct wire *wire;

		if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0 ||
			wire_try(address, NULL, &wire) < 0)
			_exit(255);
		wire_put(wire, "GET /status HTTP/1.1\r\nHost: a\r\n\r\n");
		_exit(wire_reply(wire)->status - 200);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status) + 200;
}

static void nobody_else_may_ask_on_the_control_socket(void **state)
{
	const char *path, *rmsctl[] = { program_path("rmsctl"), "-s", NULL, "workers", NULL };
	struct daemon *daemon;
	struct output *output;

	(void)state;
	want_root();
	rmsctl[2] = path = keepf("%s/rmsd.sock", scratch);
	daemon = daemon_start("rmsd", NULL, "user=" USER, keepf("control_socket=%s", path), NULL);
	assert_int_equal(run_as(USER, rmsctl)->status, 0);
	output = run_as(OTHER, rmsctl);
	assert_int_equal(output->status, 3);
	assert_non_null(strstr(output->err, "permission denied"));
	/* Its mode kept him out; now his number has to. */
	assert_int_equal(chmod(path, 0666), 0);
	output = run_as(OTHER, rmsctl);
	assert_int_equal(output->status, 3);
	assert_string_equal(output->err, "rmsctl: permission denied: root and rmsd's own user may ask\n");
	assert_int_equal(ask_as((uid_t)strtoul(OTHER, NULL, 10), daemon_socket(daemon)), 403);
	assert_int_equal(ask_as((uid_t)strtoul(USER, NULL, 10), daemon_socket(daemon)), 200);
	(void)daemon_await_log(daemon, "warn the control socket was refused uid=" OTHER);
	daemon_stop(daemon);
}

/* ---- the build ---- */

static void expect_built_to_resist(const char *path)
{
	struct output *head = program_call("readelf", "-Wld", path, NULL);
	const char *stack = strstr(head->out, "GNU_STACK");

	if (head->status == 127)
		skip();
	assert_int_equal(head->status, 0);
	assert_non_null(strstr(program_call("readelf", "-h", path, NULL)->out, "DYN (Position-Independent Executable"));
	assert_non_null(strstr(head->out, "GNU_RELRO"));
	assert_non_null(strstr(head->out, "BIND_NOW"));
	assert_non_null(stack);
	assert_null(memmem(stack, strcspn(stack, "\n"), "RWE", 3));
	assert_null(strstr(head->out, "(RPATH)"));
	assert_null(strstr(head->out, "(RUNPATH)"));
	assert_null(strstr(head->out, "TEXTREL"));
}

/* What is asked for follows from the machine and the kind of build, not from the flags that are in question. */
static void the_programs_are_built_to_resist(void **state)
{
	static const char *const names[] = { "rmsd", "rmsctl", "testapp" };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *path = program_path(names[i]);
		const char *symbols;

		expect_built_to_resist(path);
		symbols = program_call("readelf", "--dyn-syms", "-W", path, NULL)->out;
		assert_non_null(strstr(symbols, "__stack_chk_fail"));
#ifdef __OPTIMIZE__
		if (!daemon_sanitized()) {
			assert_non_null(strstr(symbols, "__vsnprintf_chk"));
			assert_non_null(strstr(symbols, "__snprintf_chk"));
		}
#endif
#ifdef __x86_64__
		assert_non_null(strstr(program_call("readelf", "-n", path, NULL)->out, "SHSTK"));
		assert_non_null(
			strstr(program_call("objdump", "-d", "--disassemble=main", path, NULL)->out, "endbr64"));
#endif
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_scratch, remove_scratch)
	const struct CMUnitTest tests[] = {
		TEST(root_becomes_its_user_once_all_is_bound),
		TEST(the_access_log_is_opened_by_the_user_and_never_by_root),
		TEST(a_user_by_name_has_his_groups),
		TEST(root_without_a_user_is_warned_and_gains_nothing_by_exec),
		TEST(who_is_not_root_can_be_himself_alone),
		TEST(nobody_else_may_ask_on_the_control_socket),
		TEST(the_programs_are_built_to_resist),
	};
#undef TEST

	return cmocka_run_group_tests_name("hardening", tests, NULL, NULL);
}
