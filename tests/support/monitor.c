/* monitor.c - Prometheus on a port of its own, and what it answers. */
#include "support/monitor.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/keep.h"
#include "support/scratch.h"

#define SHIPPED RMSD_SOURCE_DIR "/deploy/prometheus"

enum { MONITOR_PATIENCE_MS = 30000 };

struct monitor {
	pid_t pid;
	const char *address, *log;
};

/* One that the kernel has just found free: Prometheus does not tell which it got for 0. */
static unsigned free_port(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(in);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&in, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	close(fd);
	return ntohs(in.sin_port);
}

/* The shipped configuration, with each "_interval: 5s" a "_interval: 1s". */
static const char *hurried(void)
{
	char *text = program_file(SHIPPED "/prometheus.yml", NULL), *at = text;
	unsigned found = 0;

	while ((at = strstr(at, "_interval: 5s"))) {
		at[strlen("_interval: ")] = '1';
		found++;
	}
	assert_int_equal(found, 2);
	return text;
}

/* Answers are there before the first scrape is: a query that fails is a query too early. */
double monitor_ask(struct monitor *monitor, const char *query)
{
	struct output *output = program_call("curl", "-sSG", keepf("http://%s/api/v1/query", monitor->address),
		"--data-urlencode", keepf("query=%s", query), NULL);
	json_t *json = json_loads(output->out, 0, NULL);
	json_t *result = json_object_get(json_object_get(json, "data"), "result");
	json_t *value = json_object_get(json_array_get(result, 0), "value");
	const char *text = json_string_value(json_array_get(value, 1));
	double number = text ? strtod(text, NULL) : -1;

	json_decref(json);
	return number;
}

double monitor_await(struct monitor *monitor, const char *query, double wanted)
{
	double begun = wire_clock_ms(), now;
	struct timespec pause = { .tv_nsec = 50000000 };

	while ((now = monitor_ask(monitor, query)) != wanted) {
		if (wire_clock_ms() - begun > MONITOR_PATIENCE_MS)
			fail_msg("%s is %g, not %g\n%s", query, now, wanted, program_file(monitor->log, NULL));
		nanosleep(&pause, NULL);
	}
	return wire_clock_ms() - begun;
}

struct monitor *monitor_start(struct daemon *daemon)
{
	const char *file = program_tool("prometheus"), *dir = daemon_dir(daemon);
	struct monitor *monitor = keep(calloc(1, sizeof(*monitor)));

	if (!file)
		return NULL;
	monitor->address = keepf("127.0.0.1:%u", free_port());
	monitor->log = keepf("%s/prometheus.log", dir);
	assert_int_equal(program_call("mkdir", keepf("%s/targets", dir), NULL)->status, 0);
	assert_int_equal(program_call("cp", "-r", SHIPPED "/rules", dir, NULL)->status, 0);
	scratch_write_text(dir, "prometheus.yml", hurried());
	scratch_write_text(dir, "targets/rmsd.yml", keepf("- targets: ['%s']\n", daemon_admin(daemon)));
	scratch_write_text(dir, "targets/workers.yml",
		keepf("- targets: ['%s', '%s', '%s']\n", daemon_worker(daemon, "app1"), daemon_worker(daemon, "app2"),
			daemon_worker(daemon, "app3")));
	monitor->pid = program_start((const char *const[]){ file, keepf("--config.file=%s/prometheus.yml", dir),
					     keepf("--storage.tsdb.path=%s/tsdb", dir),
					     keepf("--web.listen-address=%s", monitor->address), NULL },
		monitor->log, monitor->log);
	monitor_await(monitor, "up{job=\"rmsd\"}", 1);
	monitor_await(monitor, "sum(up{job=\"rmsd-workers\"})", 3);
	return monitor;
}

void monitor_stop(struct monitor *monitor)
{
	kill(monitor->pid, SIGTERM);
	program_wait(monitor->pid, MONITOR_PATIENCE_MS);
}

const char *monitor_address(const struct monitor *monitor)
{
	return monitor->address;
}
