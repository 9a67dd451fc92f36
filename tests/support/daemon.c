/* daemon.c - an rmsd as a child process of the test. */
#include "support/daemon.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/keep.h"
#include "support/scrape.h"
#include "support/scratch.h"

enum { START_MS = 20000, STOP_MS = 60000, OVERRIDES_MAX = 24, WORKERS_MAX = 64, DAEMONS_MAX = 4 };

struct daemon {
	pid_t pid; /* 0 once it has been waited for */
	int status;
	const char *dir, *log_path, *socket, *public, *admin;
	struct {
		const char *name, *address;
	} workers[WORKERS_MAX];
	unsigned n_workers;
};

/* Those that the running test has started, for daemon_cleanup(). */
static struct daemon *running[DAEMONS_MAX];

bool daemon_sanitized(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	return true;
#else
	return getenv("RMSD_TEST_SCALE") != NULL;
#endif
}

unsigned test_scale(unsigned n)
{
	const char *percent = getenv("RMSD_TEST_SCALE");
	unsigned long scaled = percent ? n * strtoul(percent, NULL, 10) / 100 : n;

	return scaled ? (unsigned)scaled : 1;
}

/* Between two looks at something that announces its change to nobody. */
static void breathe(void)
{
	struct timespec pause = { .tv_nsec = 2000000 };

	nanosleep(&pause, NULL);
}

static bool alive(struct daemon *daemon)
{
	return daemon->pid && kill(daemon->pid, 0) == 0;
}

static void show_log(struct daemon *daemon)
{
	fprintf(stderr, "---- log of process %d\n%s----\n", (int)daemon->pid, daemon_log(daemon));
}

/* Does text set key at the top level? */
static bool sets(const char *text, const char *key)
{
	size_t len = strlen(key);
	const char *line;

	for (line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, key, len) && line[len] == ':')
			return true;
	}
	return false;
}

static void write_conf(struct daemon *daemon, const char *conf, const char *path)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(conf, file);
	if (*conf && conf[strlen(conf) - 1] != '\n')
		fputc('\n', file);
	if (!sets(conf, "listen"))
		fputs("listen: [\"127.0.0.1:0\"]\n", file);
	if (!sets(conf, "admin_listen"))
		fputs("admin_listen: 127.0.0.1:0\n", file);
	if (!sets(conf, "worker_port"))
		fputs("worker_port: auto\n", file);
	if (!sets(conf, "control_socket"))
		fprintf(file, "control_socket: %s/rmsd.sock\n", daemon->dir);
	assert_int_equal(fclose(file), 0);
}

static void await_ready(struct daemon *daemon)
{
	double until = wire_clock_ms() + START_MS;

	for (;;) {
		struct wire *wire = NULL;
		bool ready = false;

		if (kill(daemon->pid, 0) == 0 && wire_try(daemon->socket, NULL, &wire) == 0) {
			wire_put(wire, "GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n");
			ready = wire_reply(wire)->status == 200;
			wire_close(wire);
		}
		if (ready)
			return;
		if (wire_clock_ms() > until) {
			show_log(daemon);
			fail_msg("not ready within %d ms", START_MS);
		}
		siginfo_t info = { 0 };

		if (waitid(P_PID, (id_t)daemon->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid) {
			show_log(daemon);
			fail_msg("ended while starting, status %d", daemon_wait(daemon, 0));
		}
		breathe();
	}
}

static void read_addresses(struct daemon *daemon)
{
	json_t *status = daemon_status(daemon), *listeners = json_object_get(status, "listeners"), *item;
	size_t i;

	json_array_foreach(listeners, i, item) {
		const char *role = json_string_value(json_object_get(item, "role"));
		const char *worker = json_string_value(json_object_get(item, "worker"));
		const char *address = json_string_value(json_object_get(item, "address"));

		assert_non_null(role);
		assert_non_null(address);
		if (!strcmp(role, "public") && !daemon->public) {
			daemon->public = keepf("%s", address);
		} else if (!strcmp(role, "admin")) {
			daemon->admin = keepf("%s", address);
		} else if (!strcmp(role, "worker") && daemon->n_workers < WORKERS_MAX) {
			assert_non_null(worker);
			daemon->workers[daemon->n_workers].name = keepf("%s", worker);
			daemon->workers[daemon->n_workers++].address = keepf("%s", address);
		}
	}
	json_decref(status);
}

struct daemon *daemon_start(const char *program, const char *conf, ...)
{
	struct daemon *daemon = keep(calloc(1, sizeof(*daemon)));
	const char *argv[4 + 2 * OVERRIDES_MAX] = { program_path(program), "-c" };
	const char *value, *path;
	size_t n = 3, i;
	va_list args;

	daemon->dir = scratch_make();
	daemon->log_path = keepf("%s/log", daemon->dir);
	daemon->socket = keepf("unix:%s/rmsd.sock", daemon->dir);
	path = keepf("%s/rmsd.conf", daemon->dir);
	write_conf(daemon, conf ? conf : "routes:\n  /: {text: " DAEMON_TEXT "}\n", path);
	argv[2] = path;
	va_start(args, conf);
	while ((value = va_arg(args, const char *))) {
		assert_true(n + 3 < sizeof(argv) / sizeof(argv[0]));
		argv[n++] = "-o";
		argv[n++] = value;
		if (!strncmp(value, "control_socket=", 15))
			daemon->socket = keepf("unix:%s", value + 15);
	}
	va_end(args);
	for (i = 0; i < DAEMONS_MAX && running[i]; i++)
		;
	assert_true(i < DAEMONS_MAX);
	daemon->pid = program_start(argv, daemon->log_path, daemon->log_path);
	running[i] = daemon;
	await_ready(daemon);
	read_addresses(daemon);
	return daemon;
}

static void forget(struct daemon *daemon)
{
	size_t i;

	for (i = 0; i < DAEMONS_MAX; i++)
		if (running[i] == daemon)
			running[i] = NULL;
	scratch_remove(daemon->dir);
}

void daemon_stop(struct daemon *daemon)
{
	const char *log;

	if (daemon->pid) {
		daemon_signal(daemon, SIGTERM);
		daemon_wait(daemon, STOP_MS);
	}
	log = daemon_log(daemon);
	if (daemon->status != 0 || strstr(log, "Sanitizer") || strstr(log, "Assertion") ||
		strstr(log, "runtime error:")) {
		show_log(daemon);
		fail_msg("it ended with status %d", daemon->status);
	}
	forget(daemon);
}

int daemon_cleanup(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < DAEMONS_MAX; i++) {
		if (!running[i])
			continue;
		if (running[i]->pid) {
			kill(running[i]->pid, SIGKILL);
			program_wait(running[i]->pid, STOP_MS);
		}
		show_log(running[i]);
		forget(running[i]);
	}
	return 0;
}

pid_t daemon_pid(const struct daemon *daemon)
{
	return daemon->pid;
}

void daemon_signal(struct daemon *daemon, int signal)
{
	assert_true(alive(daemon));
	kill(daemon->pid, signal);
}

int daemon_wait(struct daemon *daemon, int ms)
{
	pid_t pid = daemon->pid;

	daemon->pid = 0;
	daemon->status = program_wait(pid, ms);
	return daemon->status;
}

/* Of a line that is being written a reader may see the first part. */
const char *daemon_log(struct daemon *daemon)
{
	char *log = program_file(daemon->log_path, NULL);
	char *end = strrchr(log, '\n');

	log[end ? end + 1 - log : 0] = '\0';
	return log;
}

const char *daemon_await_log(struct daemon *daemon, const char *text)
{
	double until = wire_clock_ms() + WIRE_PATIENCE_MS;
	const char *log = daemon_log(daemon);

	for (; !strstr(log, text); log = daemon_log(daemon))
		assert_true(wire_clock_ms() < until);
	return log;
}

const char *daemon_dir(const struct daemon *daemon)
{
	return daemon->dir;
}

const char *daemon_public(const struct daemon *daemon)
{
	assert_non_null(daemon->public);
	return daemon->public;
}

const char *daemon_admin(const struct daemon *daemon)
{
	assert_non_null(daemon->admin);
	return daemon->admin;
}

const char *daemon_socket(const struct daemon *daemon)
{
	return daemon->socket;
}

const char *daemon_worker(const struct daemon *daemon, const char *worker)
{
	unsigned i;

	for (i = 0; i < daemon->n_workers; i++)
		if (!strcmp(daemon->workers[i].name, worker))
			return daemon->workers[i].address;
	fail_msg("no worker %s among the listeners", worker);
	return NULL;
}

json_t *daemon_status(struct daemon *daemon)
{
	struct reply *reply = wire_get(daemon->socket, "/status");
	json_error_t error;
	json_t *json = json_loads(reply->body, 0, &error);

	if (reply->status != 200 || !json)
		fail_msg("/status: %s%s\n%s", reply->head, reply->body, error.text);
	return json;
}

static json_t *find_worker(json_t *status, const char *worker)
{
	json_t *item;
	size_t i;

	json_array_foreach(json_object_get(status, "workers"), i, item) {
		const char *name = json_string_value(json_object_get(item, "name"));

		if (name && !strcmp(name, worker))
			return item;
	}
	fail_msg("no worker %s in /status", worker);
	return NULL;
}

const char *daemon_state(struct daemon *daemon, const char *worker)
{
	json_t *status = daemon_status(daemon);
	const char *state = keepf("%s", json_string_value(json_object_get(find_worker(status, worker), "state")));

	json_decref(status);
	return state;
}

unsigned daemon_connections(struct daemon *daemon, const char *worker)
{
	json_t *status = daemon_status(daemon);
	json_int_t n = json_integer_value(json_object_get(find_worker(status, worker), "connections"));

	json_decref(status);
	return (unsigned)n;
}

void daemon_await(struct daemon *daemon, const char *worker, const char *state, int count)
{
	double until = wire_clock_ms() + WIRE_PATIENCE_MS;
	const char *now = "";
	unsigned connections = 0;

	while (wire_clock_ms() < until) {
		now = daemon_state(daemon, worker);
		connections = daemon_connections(daemon, worker);
		if (!strcmp(now, state) && (count < 0 || connections == (unsigned)count))
			return;
		breathe();
	}
	fail_msg("%s is %s with %u connections, %s with %d expected", worker, now, connections, state, count);
}

struct reply *daemon_verb(struct daemon *daemon, const char *worker, const char *verb)
{
	return wire_request(daemon->socket, "POST", keepf("/v1/workers/%s/%s", worker, verb));
}

void daemon_do(struct daemon *daemon, const char *worker, const char *verb)
{
	struct reply *reply = daemon_verb(daemon, worker, verb);
	json_t *json = json_loads(reply->body, 0, NULL);

	if (reply->status != 200 || !json_is_true(json_object_get(json, "ok")) ||
		!json_is_true(json_object_get(json, "changed")))
		fail_msg("%s %s: %s%s", verb, worker, reply->head, reply->body);
	json_decref(json);
}

struct output *daemon_ctl(struct daemon *daemon, ...)
{
	const char *argv[32] = { program_path("rmsctl"), "-s", daemon->socket + strlen("unix:") };
	size_t n = 3;
	va_list args;

	va_start(args, daemon);
	while (n < 31 && (argv[n] = va_arg(args, const char *)))
		n++;
	va_end(args);
	return program_run(argv);
}

const char *daemon_metrics(struct daemon *daemon)
{
	struct reply *reply = wire_get(daemon->admin, "/metrics");

	assert_int_equal(reply->status, 200);
	return reply->body;
}

double daemon_metric(struct daemon *daemon, const char *name, ...)
{
	const char *labels[8] = { NULL }, *text = daemon_metrics(daemon);
	unsigned n = 0, found = 0;
	va_list args;
	double sum;

	va_start(args, name);
	while (n < 7 && (labels[n] = va_arg(args, const char *)))
		n++;
	va_end(args);
	sum = scrape_sum(text, name, labels, &found);
	if (!found)
		fail_msg("no sample of %s{%s} in\n%s", name, labels[0] ? labels[0] : "", text);
	return sum;
}

void daemon_await_metric(struct daemon *daemon, const char *name, double value)
{
	double until = wire_clock_ms() + WIRE_PATIENCE_MS, now;

	while ((now = daemon_metric(daemon, name, NULL)) < value) {
		if (wire_clock_ms() > until)
			fail_msg("%s is %g, not %g", name, now, value);
		breathe();
	}
}

long daemon_rss_kb(struct daemon *daemon)
{
	const char *line = strstr(program_file(keepf("/proc/%d/status", (int)daemon->pid), NULL), "VmRSS:");

	assert_non_null(line);
	return strtol(line + 6, NULL, 10);
}

double daemon_cpu_ms(struct daemon *daemon)
{
	const char *stat = program_file(keepf("/proc/%d/stat", (int)daemon->pid), NULL);
	unsigned long user = 0, system = 0;

	/* Behind the name, which may hold anything. */
	stat = strrchr(stat, ')');
	assert_non_null(stat);
	assert_int_equal(sscanf(stat + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system), 2);
	return (double)(user + system) * 1e3 / (double)sysconf(_SC_CLK_TCK);
}

double daemon_thread_cpu_ms(struct daemon *daemon, const char *name)
{
	const char *path = keepf("/proc/%d/task", (int)daemon->pid);
	DIR *dir = opendir(path);
	const struct dirent *entry;
	double ms = -1;

	assert_non_null(dir);
	while (ms < 0 && (entry = readdir(dir)))
		if (!strcmp(program_file(keepf("%s/%s/comm", path, entry->d_name), NULL), keepf("%s\n", name)))
			ms = strtod(program_file(keepf("%s/%s/schedstat", path, entry->d_name), NULL), NULL) / 1e6;
	closedir(dir);
	assert_true(ms >= 0);
	return ms;
}

static unsigned count_entries(const char *path)
{
	DIR *dir = opendir(path);
	unsigned n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 2;
}

unsigned daemon_fds(struct daemon *daemon)
{
	return count_entries(keepf("/proc/%d/fd", (int)daemon->pid));
}

unsigned daemon_threads(struct daemon *daemon)
{
	return count_entries(keepf("/proc/%d/task", (int)daemon->pid));
}
