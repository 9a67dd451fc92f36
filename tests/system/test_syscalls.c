/*
 * test_syscalls.c - each system call of a request's path fails once, in each position with the first error that it has
 * and in every second one with the others (with a sanitizer in every third one; memory in each always): no crash, no
 * leak, no connection that hangs, no slot or descriptor lost, no spin; and the next request is answered.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/broken.h"
#include "support/daemon.h"
#include "support/running.h"

/* Every time-out of the server is longer: what only a time-out would end has hung. */
enum { PATIENCE_MS = 10000, POSITIONS_MAX = 2000, IDLE_MS = 200 };

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define LAST(path) "GET " path " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

struct fixture {
	struct broken *broken;
	struct daemon *daemon;
	unsigned fds;
	char file[64];
};

static int setup(void **state)
{
	static struct fixture f;
	void *memory;
	int fd;

	strcpy(f.file, "/tmp/rmsd-broken-XXXXXX");
	fd = mkstemp(f.file);
	if (fd < 0 || ftruncate(fd, sizeof(*f.broken)) < 0)
		return -1;
	memory = mmap(NULL, sizeof(*f.broken), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (memory == MAP_FAILED)
		return -1;
	f.broken = memory;
	setenv(BROKEN_FILE, f.file, 1);
	setenv("RMSD_TESTAPP", RMSD_TESTAPP_BROKEN, 1);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	(void)daemon_cleanup(NULL);
	munmap(f->broken, sizeof(*f->broken));
	unlink(f->file);
	return 0;
}

static void start(struct fixture *f)
{
	f->daemon = daemon_start("testapp", "", "workers=2", "header_timeout=60s", "body_timeout=60s",
		"write_timeout=60s", "log_level=error", NULL);
	f->fds = daemon_fds(f->daemon);
}

static void arm(struct fixture *f, enum broken_call call, long position, int error)
{
	atomic_store(&f->broken->hits, 0);
	atomic_store(&f->broken->error, error);
	atomic_store(&f->broken->left, position);
	atomic_store(&f->broken->call, call);
}

/* Whether the position was reached. */
static bool disarm(struct fixture *f)
{
	atomic_store(&f->broken->call, BROKEN_NONE);
	return atomic_load(&f->broken->hits) > 0;
}

/*
 * What a client can see that is right: the beginning of the replies that it is owed; all of them, if the last one says
 * that it is the last. What the server could not do, it answers with an error.
 */
static void check_replies(const char *bytes, const char *what, unsigned owed)
{
	static const char status_line[] = "HTTP/1.1 ";
	const char *last = NULL;
	unsigned n = 0;

	if (*bytes && strncmp(bytes, status_line, strnlen(bytes, sizeof(status_line) - 1)) != 0)
		fail_msg("%s gets no HTTP: %.20s", what, bytes);
	for (const char *at = bytes; (at = strstr(at, status_line)); at++)
		if (strncmp(at, "HTTP/1.1 100", 12) != 0) {
			last = at;
			n++;
		}
	if (n > owed || (n < owed && last && !strncmp(last, "HTTP/1.1 200", 12) && strstr(last, "Connection: close")))
		fail_msg("%s gets %u replies, and is owed %u", what, n, owed);
}

/* To the end of what comes. */
static void take_all(int fd, const char *what, unsigned owed)
{
	enum { SIZE = 8 << 20 };
	static char bytes[SIZE];
	size_t total = 0;
	ssize_t got = 1;

	while (got > 0) {
		struct pollfd readable = { .fd = fd, .events = POLLIN };
		int n = poll(&readable, 1, PATIENCE_MS);

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			fail_msg("%s hangs behind %zu bytes", what, total);
		got = recv(fd, bytes + total, sizeof(bytes) - 1 - total, 0);
		total += got > 0 ? (size_t)got : 0;
		assert_true(total < sizeof(bytes) - 1);
	}
	bytes[total] = '\0';
	check_replies(bytes, what, owed);
}

static unsigned count_requests(const char *bytes)
{
	unsigned n = 0;

	for (; (bytes = strstr(bytes, " HTTP/1.1\r\n")); bytes++)
		n++;
	return n;
}

static void give(int fd, const char *bytes)
{
	/* It may have been closed. */
	(void)!send(fd, bytes, strlen(bytes), MSG_NOSIGNAL);
}

/* A connection that says its parts, a moment apart so that each is read alone, and reads to the end. */
static void talk(const char *address, const char *const *parts)
{
	struct wire *wire = wire_open(address);
	unsigned owed = 0;

	for (int i = 0; parts[i]; i++) {
		owed += count_requests(parts[i]);
		if (i)
			pause_ms(1);
		give(wire_fd(wire), parts[i]);
	}
	take_all(wire_fd(wire), parts[0], owed);
	wire_close(wire);
}

/* Takes little until much waits. */
static void read_slowly(const char *address, const char *request)
{
	struct wire *wire = wire_open(address);

	wire_window(wire, 128 * 1024);
	give(wire_fd(wire), request);
	pause_ms(2);
	take_all(wire_fd(wire), request, count_requests(request));
	wire_close(wire);
}

static void serve(struct fixture *f)
{
	static const char last[] = LAST("/");
	static const char *const talks[][6] = {
		{ GET("/echo/1"), LAST("/echo/2") },
		{ GET("/") GET("/slow/1") GET("/worker") LAST("/") },
		{ "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc", "def", last },
		{ "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "3\r\nd",
			"ef\r\n", "0\r\n\r\n", last },
		{ "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n", "abc", "def", last },
		{ "PUT /upload/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n", "abc",
			last },
		{ GET("/stream/2/1") LAST("/stream-now/3") },
		{ GET("/big/300") GET("/big/300") GET("/worker"), last },
		{ GET("/") GET("/fixed/300") GET("/later/300/1") GET("/worker"), last },
		{ GET("/no HTTP/9"), GET("/") },
	};

	for (size_t i = 0; i < sizeof(talks) / sizeof(talks[0]); i++)
		talk(daemon_public(f->daemon), talks[i]);
	read_slowly(daemon_public(f->daemon), LAST("/big/4000"));
	read_slowly(daemon_public(f->daemon), LAST("/fixed/3000"));
	read_slowly(daemon_public(f->daemon), LAST("/pump/4000"));
}

/* More than a worker takes of one connection in a turn: the rest waits in its queue, which a new worker has to make. */
static void overfill(struct fixture *f)
{
	enum { N = 40 };
	char many[N * sizeof(GET("/")) + sizeof(LAST("/"))];
	const char *const parts[] = { many, NULL };
	char *at = many;

	for (int i = 0; i < N; i++)
		at = stpcpy(at, GET("/"));
	strcpy(at, LAST("/"));
	talk(daemon_public(f->daemon), parts);
}

/* Kills a worker under connections of all kinds, and brings it back; the verbs may fail as well. */
static void lose(struct fixture *f)
{
	static const char *const begun[] = { GET("/"), "GET / HT", GET("/slow/3"),
		"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc",
		"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc", GET("/stream/4/1") };
	static const char *const rest[] = { LAST("/"), "TP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", LAST("/"),
		"def" LAST("/"), "def" LAST("/"), LAST("/") };
	enum { N = sizeof(begun) / sizeof(begun[0]) };
	static const char *const verbs[] = { "kill", "revive" };
	struct wire *wires[2 * N];

	for (int i = 0; i < 2 * N; i++) {
		wires[i] = wire_open(daemon_public(f->daemon));
		give(wire_fd(wires[i]), begun[i % N]);
	}
	pause_ms(1);
	for (int i = 0; i < 2; i++) {
		char verb[128];
		const char *const parts[] = { verb, NULL };

		snprintf(verb, sizeof(verb),
			"POST /v1/workers/app1/%s HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n"
			"Connection: close\r\n\r\n",
			verbs[i]);
		talk(daemon_socket(f->daemon), parts);
	}
	for (int i = 0; i < 2 * N; i++)
		give(wire_fd(wires[i]), rest[i % N]);
	for (int i = 0; i < 2 * N; i++) {
		take_all(wire_fd(wires[i]), begun[i % N], i % N == 1 ? 1 : 2);
		wire_close(wires[i]);
	}
	overfill(f);
	overfill(f);
}

/* Both workers serve; a verb that failed is given again. */
static void restore(struct fixture *f)
{
	double end = wire_clock_ms() + PATIENCE_MS;

	while (strcmp(daemon_state(f->daemon, "app1"), "up") != 0) {
		if (wire_clock_ms() > end)
			fail_msg("app1 is %s", daemon_state(f->daemon, "app1"));
		(void)daemon_verb(f->daemon, "app1", "revive");
		pause_ms(1);
	}
}

static double cpu_ms(struct fixture *f)
{
	char name[64], *text, *at;
	unsigned long user = 0, system = 0;

	snprintf(name, sizeof(name), "/proc/%d/stat", (int)daemon_pid(f->daemon));
	text = program_file(name, &(size_t){ 0 });
	at = strrchr(text, ')');
	assert_non_null(at);
	assert_int_equal(sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system), 2);
	return (double)(user + system) * 1000 / (double)sysconf(_SC_CLK_TCK);
}

static void expect_nothing_lost(struct fixture *f)
{
	double end = wire_clock_ms() + PATIENCE_MS;

	for (;;) {
		double open = daemon_metric(f->daemon, "rmsd_connections", NULL);
		double running = running_count(f->daemon, NULL);
		unsigned fds = daemon_fds(f->daemon);

		if (open == 0 && running == 0 && fds <= f->fds)
			return;
		if (wire_clock_ms() > end)
			fail_msg("%g connections and %g requests are left, %u descriptors, not %u", open, running, fds,
				f->fds);
		pause_ms(2);
	}
}

static void expect_no_spin(struct fixture *f)
{
	double before = cpu_ms(f), spent;

	pause_ms(IDLE_MS);
	spent = cpu_ms(f) - before;
	if (spent > IDLE_MS / 2.0)
		fail_msg("%g ms of the processor in %d ms of nothing", spent, IDLE_MS);
}

/* Every position, until the scenario is through without having come to it; of further errors, and where it is slow,
 * some. */
static void break_each(struct fixture *f, enum broken_call call, const char *name, const int *errors,
	void (*scenario)(struct fixture *f))
{
	unsigned runs = 0;

	for (int e = 0; errors[e] >= 0; e++) {
		const long step = daemon_sanitized() ? 3 : call == BROKEN_MALLOC || !e ? 1 : 2;
		bool reached = true;
		unsigned hits = 0;

		for (long position = 1 + e % step; reached && position < POSITIONS_MAX; position += step) {
			arm(f, call, position, errors[e]);
			scenario(f);
			reached = disarm(f);
			hits += reached;
			if (scenario == lose)
				restore(f);
			reply_expect(wire_get(daemon_public(f->daemon), "/"), 200, NULL);
			runs++;
		}
		assert_false(reached);
		if (!hits)
			fail_msg("no %s was ever broken with %s", name, errors[e] ? strerror(errors[e]) : "one byte");
		expect_nothing_lost(f);
	}
	expect_no_spin(f);
	print_message("%s: %u runs\n", name, runs);
}

static const int accept_errors[] = { EMFILE, ENFILE, ENOMEM, ENOBUFS, ECONNABORTED, EINTR, EAGAIN, -1 };
static const int recv_errors[] = { ECONNRESET, EINTR, EAGAIN, ENOMEM, ETIMEDOUT, 0, -1 };
static const int send_errors[] = { ECONNRESET, EPIPE, EINTR, EAGAIN, ENOMEM, 0, -1 };
static const int epoll_errors[] = { ENOMEM, ENOSPC, -1 };
static const int malloc_errors[] = { ENOMEM, -1 };

static void one_failing_call_costs_at_most_its_connection(void **state)
{
	struct fixture *f = *state;

	start(f);
	break_each(f, BROKEN_ACCEPT, "accept4", accept_errors, serve);
	break_each(f, BROKEN_RECV, "recv", recv_errors, serve);
	break_each(f, BROKEN_SEND, "send", send_errors, serve);
	break_each(f, BROKEN_EPOLL, "epoll_ctl", epoll_errors, serve);
	break_each(f, BROKEN_MALLOC, "malloc", malloc_errors, serve);
	daemon_stop(f->daemon);
}

static void one_failing_call_in_a_kill_loses_no_slot(void **state)
{
	static const int recv_few[] = { ECONNRESET, 0, -1 }, send_few[] = { EPIPE, 0, -1 },
			 epoll_few[] = { ENOMEM, -1 };
	struct fixture *f = *state;

	start(f);
	break_each(f, BROKEN_RECV, "recv", recv_few, lose);
	break_each(f, BROKEN_SEND, "send", send_few, lose);
	break_each(f, BROKEN_EPOLL, "epoll_ctl", epoll_few, lose);
	break_each(f, BROKEN_MALLOC, "malloc", malloc_errors, lose);
	daemon_stop(f->daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_failing_call_costs_at_most_its_connection, setup, teardown),
		cmocka_unit_test_setup_teardown(one_failing_call_in_a_kill_loses_no_slot, setup, teardown),
	};

	return cmocka_run_group_tests_name("syscalls", tests, NULL, NULL);
}
