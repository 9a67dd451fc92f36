/*
 * test_cost.c - what a request and a connection cost, against the ceilings of cost.def: counts, and no times.
 *
 * A count is that of a long run less that of a short one, so that start and end cancel. The server is stopped while the
 * requests of a round are sent: how many it finds at once is part of what each one costs, and must not depend on who
 * else uses the machine.
 */
#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/daemon.h"
#include "support/keep.h"
#include "support/scratch.h"

enum { CONNECTIONS = 64, DEPTH = 16, SHORT = 8, IDLE = 10000, REQUEST_MAX = 2048, ATTEMPTS = 5 };

/* What is counted, of all threads together. */
struct gauge {
	const char *name;
	const char *command; /* that the server runs under; the file it writes is appended. NULL: none */
	const char *before;  /* what stands in front of the count there; NULL: it is that of strace's last line */
};

static const struct gauge instructions = { "instructions",
	"valgrind --tool=callgrind --vgdb=no --callgrind-out-file=/dev/null --log-file=", "Collected : " };
static const struct gauge system_calls = { "system calls", "strace -D -f -qq -c -U calls,name -o ", NULL };
static const struct gauge allocations = { "allocations",
	"env LD_PRELOAD='" RMSD_ALLOCATIONS "' ALLOCATIONS=", "allocations: " };
static const struct gauge resident = { "resident bytes", NULL, NULL };

/* Who asks for what. In a round each connection sends depth requests; then all replies are read. */
struct load {
	const char *name;
	unsigned connections, depth;
	unsigned rounds;    /* that a long run has more than a short one */
	bool differs;       /* each request has a target of its own: none is the last one again, whose parse is there */
	bool closes;        /* each request has a connection of its own */
	const char *fields; /* beside Host */
};

#define BROWSER \
	"Connection: keep-alive\r\nCache-Control: max-age=0\r\n" \
	"sec-ch-ua: \"Chromium\";v=\"124\", \"Google Chrome\";v=\"124\", \"Not-A.Brand\";v=\"99\"\r\n" \
	"sec-ch-ua-mobile: ?0\r\nsec-ch-ua-platform: \"Linux\"\r\nUpgrade-Insecure-Requests: 1\r\n" \
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 " \
	"Safari/537.36\r\n" \
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8\r\n" \
	"Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-User: ?1\r\nSec-Fetch-Dest: document\r\n" \
	"Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en;q=0.9,de;q=0.8\r\n" \
	"Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n"

static const struct load same = { "request", CONNECTIONS, 1, 60, false, false, "" };
static const struct load alone = { "request of the only connection", 1, 1, 2000, false, false, "" };
static const struct load pipelined = { "request, 16 pipelined", CONNECTIONS, DEPTH, 8, false, false, "" };
static const struct load other = { "request unlike the last", CONNECTIONS, 1, 60, true, false, "" };
static const struct load browser = { "browser's request", CONNECTIONS, 1, 60, false, false, BROWSER };
static const struct load browsers = { "browser's request unlike the last", CONNECTIONS, 1, 60, true, false, BROWSER };
static const struct load once = { "connection of one request", CONNECTIONS, 1, 60, false, true,
	"Connection: close\r\n" };
static const struct load idle = { "connection that is idle", IDLE, 1, 0, false, false, "" };

static const struct cost {
	const struct gauge *gauge;
	const struct load *load;
	double ceiling, seen;
} costs[] = {
#define COST(gauge, load, ceiling, seen) { &(gauge), &(load), ceiling, seen },
#include "cost.def"
};

enum { COSTS = sizeof(costs) / sizeof(costs[0]) };

static const char *scratch, *server;
static FILE *report;

static int open_report(void **state)
{
	(void)state;
	server = program_path("rmsd");
	report = fopen(RMSD_BINARY_DIR "/cost.txt", "w");
	return report ? 0 : -1;
}

static int close_report(void **state)
{
	(void)state;
	return fclose(report);
}

static int make_scratch(void **state)
{
	(void)state;
	scratch = scratch_make();
	return 0;
}

static int clean_up(void **state)
{
	setenv("RMSD_BINARY", server, 1);
	scratch_remove(scratch);
	return daemon_cleanup(state);
}

/* Between two looks at something that announces its change to nobody. */
static void breathe(void)
{
	struct timespec pause = { .tv_nsec = 100000 };

	nanosleep(&pause, NULL);
}

/* Until no thread of it runs: what is sent from now on is found at once. */
static void hold(struct daemon *daemon)
{
	double until = wire_clock_ms() + WIRE_PATIENCE_MS;
	siginfo_t info = { 0 };

	daemon_signal(daemon, SIGSTOP);
	while (waitid(P_PID, (id_t)daemon_pid(daemon), &info, WSTOPPED | WNOHANG) == 0 && !info.si_pid) {
		if (wire_clock_ms() > until)
			fail_msg("it does not stop");
		breathe();
	}
	assert_int_equal(info.si_status, SIGSTOP);
}

static void let_go(struct daemon *daemon)
{
	daemon_signal(daemon, SIGCONT);
}

static size_t write_request(const struct daemon *daemon, const struct load *load, char *out, size_t size)
{
	static unsigned serial;
	char query[32] = "";
	int len;

	if (load->differs)
		snprintf(query, sizeof(query), "?n=%08u", ++serial);
	len = snprintf(out, size, "GET /%s HTTP/1.1\r\nHost: %s\r\n%s\r\n", query, daemon_public(daemon), load->fields);
	assert_true(len > 0 && (size_t)len < size);
	return (size_t)len;
}

static void ask(const struct daemon *daemon, const struct load *load, struct wire *wire)
{
	char bytes[DEPTH * REQUEST_MAX];
	size_t len = 0;

	for (unsigned i = 0; i < load->depth; i++)
		len += write_request(daemon, load, bytes + len, sizeof(bytes) - len);
	wire_send(wire, bytes, len);
}

/* Replies of len bytes in all, of which the first is 200. */
static void take(struct wire *wire, size_t len)
{
	static const char begin[] = "HTTP/1.1 200 ";
	char bytes[4096];
	size_t n = wire_read(wire, bytes, len < sizeof(bytes) ? len : sizeof(bytes));

	if (n < sizeof(begin) || memcmp(bytes, begin, sizeof(begin) - 1) != 0)
		fail_msg("not a reply of 200: %.*s", (int)n, bytes);
	while ((len -= n)) {
		n = wire_read(wire, bytes, len < sizeof(bytes) ? len : sizeof(bytes));
		assert_true(n > 0);
	}
}

/* Of any reply of the load: they are all alike. */
static size_t reply_len(const struct daemon *daemon, const struct load *load, struct wire *wire)
{
	const struct load one = { .connections = 1, .depth = 1, .differs = load->differs, .fields = load->fields };
	struct reply *reply;

	ask(daemon, &one, wire);
	reply = wire_reply(wire);
	reply_expect(reply, 200, DAEMON_TEXT);
	return strlen(reply->head) + reply->body_len;
}

/* Does each thread of it wait for something? */
static bool is_quiet(struct daemon *daemon)
{
	char path[64];
	DIR *tasks;
	bool quiet = true;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)daemon_pid(daemon));
	tasks = opendir(path);
	assert_non_null(tasks);
	for (const struct dirent *task; quiet && (task = readdir(tasks));) {
		char stat[sizeof(path) + sizeof(task->d_name) + 8], state = 'S';
		FILE *file;

		snprintf(stat, sizeof(stat), "%s/%s/stat", path, task->d_name);
		file = *task->d_name == '.' ? NULL : fopen(stat, "r");
		if (!file)
			continue;
		quiet = fscanf(file, "%*d (%*[^)]) %c", &state) == 1 && state == 'S';
		fclose(file);
	}
	closedir(tasks);
	return quiet;
}

/* Until it has nothing to do, and fds descriptors; 0: any number. How many it has then. */
static unsigned await_quiet(struct daemon *daemon, unsigned fds)
{
	double until = wire_clock_ms() + WIRE_PATIENCE_MS;

	while (!is_quiet(daemon) || (fds && daemon_fds(daemon) != fds)) {
		if (wire_clock_ms() > until)
			fail_msg("it has %u descriptors, not %u, or does not rest", daemon_fds(daemon), fds);
		breathe();
	}
	return daemon_fds(daemon);
}

/*
 * They are all with the worker before the first of them says something: a worker that finds a connection readable
 * before control has quite given it away looks again and again, for as long as control is kept from going on.
 */
static void connect_again(struct daemon *daemon, struct wire *wires[], unsigned n, unsigned fds)
{
	hold(daemon);
	for (unsigned i = 0; i < n; i++) {
		wire_close(wires[i]);
		wires[i] = wire_open(daemon_public(daemon));
	}
	let_go(daemon);
	(void)await_quiet(daemon, fds + n);
}

static void drive(struct daemon *daemon, const struct load *load, unsigned rounds)
{
	unsigned n = load->connections, fds;
	struct wire *wires[CONNECTIONS];
	size_t len = 0;

	fds = await_quiet(daemon, 0);
	for (unsigned i = 0; i < n; i++) {
		wires[i] = wire_open(daemon_public(daemon));
		len = reply_len(daemon, load, wires[i]);
	}
	for (unsigned round = 0; round < rounds; round++) {
		if (load->closes)
			connect_again(daemon, wires, n, fds);
		if (n > 1)
			hold(daemon);
		for (unsigned i = 0; i < n; i++)
			ask(daemon, load, wires[i]);
		if (n > 1)
			let_go(daemon);
		for (unsigned i = 0; i < n; i++) {
			take(wires[i], load->depth * len);
			if (load->closes)
				wire_expect_eof(wires[i]);
		}
	}
	for (unsigned i = 0; i < n; i++)
		wire_close(wires[i]);
}

/* A number as valgrind writes it, 1,234. */
static double read_number(const char *at)
{
	double n = 0;

	for (; (*at >= '0' && *at <= '9') || *at == ','; at++)
		if (*at != ',')
			n = n * 10 + (*at - '0');
	return n;
}

/* What was counted, by what the gauge's program wrote; false: it has not written all of it. */
static bool read_count(const struct gauge *gauge, const char *text, double *count)
{
	const char *at = strstr(text, gauge->before ? gauge->before : "total\n");

	if (!at)
		return false;
	if (gauge->before) {
		*count = read_number(at + strlen(gauge->before));
		return strchr(at, '\n') != NULL;
	}
	while (at > text && at[-1] != '\n')
		at--;
	*count = strtod(at, NULL);
	return true;
}

/* The server's program, so that daemon_start() runs it under the gauge's. */
static void put_under(const struct gauge *gauge, const char *path)
{
	const char *text = keepf("#!/bin/sh\nexec %s'%s' '%s' \"$@\"\n", gauge->command, path, server);
	const char *script = scratch_write_text(scratch, "under", text);

	assert_int_equal(chmod(script, 0755), 0);
	setenv("RMSD_BINARY", script, 1);
}

/* What the gauge counts from the server's start to its end. */
static double run(const struct gauge *gauge, const struct load *load, unsigned rounds)
{
	static unsigned runs;
	const char *path = keepf("%s/count%u", scratch, ++runs);
	double until, count = 0;
	struct daemon *daemon;

	put_under(gauge, path);
	daemon = daemon_start("rmsd", NULL, "workers=1", "log_level=error", "stall_timeout=1h", NULL);
	drive(daemon, load, rounds);
	daemon_stop(daemon);
	until = wire_clock_ms() + WIRE_PATIENCE_MS;
	while (!read_count(gauge, program_file(path, NULL), &count)) {
		if (wire_clock_ms() > until)
			fail_msg("no count of %s: %s", gauge->name, program_file(path, NULL));
		breathe();
	}
	assert_true(count > 0);
	return count;
}

/*
 * Of a request: what the server does whatever the load is cancels. Threads that get in each other's way on a busy
 * machine do more than they need to, and never less: what is above its ceiling is counted again, and the least of each
 * holds.
 */
static double count_each(const struct cost *cost)
{
	const struct load *load = cost->load;
	double few = INFINITY, many = INFINITY, each = INFINITY;

	for (unsigned i = 0; i < ATTEMPTS && each > cost->ceiling; i++) {
		few = fmin(few, run(cost->gauge, load, SHORT));
		many = fmin(many, run(cost->gauge, load, SHORT + load->rounds));
		each = (many - few) / (load->rounds * load->connections * load->depth);
	}
	return each;
}

/* Of a connection that has been answered once. Each is kept open by no more than its descriptor. */
static double count_idle(const struct cost *cost)
{
	unsigned n = cost->load->connections;
	struct daemon *daemon = daemon_start("rmsd", NULL, "workers=1", "log_level=error", NULL);
	int *fds = keep(calloc(n, sizeof(*fds)));
	struct wire *wire = wire_open(daemon_public(daemon));
	size_t len = reply_len(daemon, cost->load, wire);
	long before = daemon_rss_kb(daemon), after;

	wire_close(wire);
	for (unsigned i = 0; i < n; i++) {
		wire = wire_open(daemon_public(daemon));
		ask(daemon, cost->load, wire);
		take(wire, len);
		fds[i] = dup(wire_fd(wire));
		assert_true(fds[i] >= 0);
		wire_close(wire);
	}
	assert_int_equal(daemon_connections(daemon, "app1"), n);
	after = daemon_rss_kb(daemon);
	for (unsigned i = 0; i < n; i++)
		close(fds[i]);
	daemon_stop(daemon);
	return (double)(after - before) * 1024 / n;
}

static void print(FILE *file, const struct cost *cost, double count)
{
	fprintf(file, "cost: %-15s of a %-34s %9.2f, ceiling %9.2f, then %9.2f\n", cost->gauge->name, cost->load->name,
		count, cost->ceiling, cost->seen);
}

/* All rows of a gauge are counted before one fails. */
static void expect_below_ceilings(const struct gauge *gauge)
{
	unsigned rows = 0, above = 0;

	for (unsigned i = 0; i < COSTS; i++) {
		const struct cost *cost = &costs[i];
		double count;

		if (cost->gauge != gauge)
			continue;
		count = gauge->command ? count_each(cost) : count_idle(cost);
		print(stdout, cost, count);
		print(report, cost, count);
		rows++;
		above += count > cost->ceiling;
	}
	assert_true(rows > 0);
	if (above)
		fail_msg("%s: %u of %u above their ceilings", gauge->name, above, rows);
}

static void no_request_takes_more_instructions_than_its_ceiling(void **state)
{
	(void)state;
	expect_below_ceilings(&instructions);
}

static void no_request_takes_more_system_calls_than_its_ceiling(void **state)
{
	(void)state;
	expect_below_ceilings(&system_calls);
}

static void no_request_allocates(void **state)
{
	(void)state;
	expect_below_ceilings(&allocations);
}

static void no_idle_connection_takes_more_memory_than_its_ceiling(void **state)
{
	struct rlimit limit;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	expect_below_ceilings(&resident);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			no_request_takes_more_instructions_than_its_ceiling, make_scratch, clean_up),
		cmocka_unit_test_setup_teardown(
			no_request_takes_more_system_calls_than_its_ceiling, make_scratch, clean_up),
		cmocka_unit_test_setup_teardown(no_request_allocates, make_scratch, clean_up),
		cmocka_unit_test_setup_teardown(
			no_idle_connection_takes_more_memory_than_its_ceiling, make_scratch, clean_up),
	};

	return cmocka_run_group_tests_name("cost", tests, open_report, close_report);
}
