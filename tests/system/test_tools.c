/* test_tools.c - the programs that users bring: curl, wrk, and a real Prometheus. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/daemon.h"
#include "support/keep.h"
#include "support/scratch.h"

enum { PATIENCE_MS = 30000 };

/* Between two looks at what a program of others does by the second. */
static void breathe(void)
{
	struct timespec pause = { .tv_nsec = 50000000 };

	nanosleep(&pause, NULL);
}

static void curl_gets_what_it_asks_for(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	const char *url = keepf("http://%s/", daemon_public(daemon));
	struct output *output;
	unsigned i;

	(void)state;
	output = program_call("curl", "-sS", url, NULL);
	assert_int_equal(output->status, 0);
	assert_string_equal(output->out, DAEMON_TEXT);
	output = program_call("curl", "-sSI", url, NULL);
	assert_int_equal(output->status, 0);
	assert_memory_equal(output->out, "HTTP/1.1 200 OK\r\n", 17);
	assert_non_null(strstr(output->out, "Content-Length: 28\r\n"));
	output = program_call("curl", "-sSi", "-d", "a=b", url, NULL);
	assert_int_equal(output->status, 0);
	assert_memory_equal(output->out, "HTTP/1.1 405 ", 13);
	assert_non_null(strstr(output->out, "Allow: GET, HEAD, OPTIONS\r\n"));
	output = program_call("curl", "-sS", "-0", url, url, NULL);
	assert_string_equal(output->out, DAEMON_TEXT DAEMON_TEXT);
	/* The control socket speaks HTTP too. */
	output = program_call("curl", "-sS", "--unix-socket", daemon_socket(daemon) + strlen("unix:"), "-X", "POST",
		"http://rmsd/v1/workers/app2/kill", NULL);
	assert_int_equal(output->status, 0);
	assert_non_null(strstr(output->out, "\"ok\":true"));
	for (i = 0; i < 50; i++)
		assert_string_equal(program_call("curl", "-sSf", url, NULL)->out, DAEMON_TEXT);
	daemon_stop(daemon);
}

static void wrk_sees_no_error(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	struct output *output =
		program_call("wrk", "-c100", "-t1", "-d2s", keepf("http://%s/", daemon_public(daemon)), NULL);
	const char *requests = strstr(output->out, " requests in ");
	double counted, served;

	(void)state;
	assert_int_equal(output->status, 0);
	assert_non_null(requests);
	if (strstr(output->out, "Socket errors") || strstr(output->out, "Non-2xx"))
		fail_msg("%s", output->out);
	while (requests > output->out && requests[-1] != ' ')
		requests--;
	counted = strtod(requests, NULL);
	served = daemon_metric(daemon, "http_requests_total", NULL);
	/* wrk does not count what is in flight at its end. */
	if (served < counted || served > counted + 100)
		fail_msg("wrk counted %.0f, rmsd %.0f", counted, served);
	daemon_stop(daemon);
}

/* An instant query; the first value of its result, or -1 when there is none. */
static double query(const char *prometheus, const char *expression)
{
	struct output *output = program_call("curl", "-sSG", keepf("http://%s/api/v1/query", prometheus),
		"--data-urlencode", keepf("query=%s", expression), NULL);
	json_t *json = json_loads(output->out, 0, NULL);
	json_t *result = json_object_get(json_object_get(json, "data"), "result");
	json_t *value = json_object_get(json_array_get(result, 0), "value");
	const char *text = json_string_value(json_array_get(value, 1));
	double number = text ? strtod(text, NULL) : -1;

	json_decref(json);
	return number;
}

static void await_query(const char *prometheus, const char *expression, double wanted)
{
	double until = wire_clock_ms() + PATIENCE_MS, now;

	while ((now = query(prometheus, expression)) != wanted) {
		if (wire_clock_ms() > until)
			fail_msg("%s is %g, not %g", expression, now, wanted);
		breathe();
	}
}

static void a_real_prometheus_sees_it_all(void **state)
{
	const char *file = program_tool("prometheus"), *dir, *conf, *log, *prometheus;
	struct daemon *daemon;
	struct client *client = NULL;
	struct account account;
	unsigned port = 20000 + (unsigned)getpid() % 9000;
	pid_t pid;

	(void)state;
	if (!file)
		return;
	daemon = daemon_start("rmsd", NULL, NULL);
	dir = daemon_dir(daemon);
	log = keepf("%s/prometheus.log", dir);
	prometheus = keepf("127.0.0.1:%u", port);
	conf = scratch_write_text(dir, "prometheus.yml",
		keepf("global: {scrape_interval: 1s}\nscrape_configs:\n"
		      "- job_name: rmsd\n  static_configs: [{targets: ['%s']}]\n"
		      "- job_name: rmsd-workers\n  static_configs: [{targets: ['%s', '%s', '%s']}]\n"
		      "  metric_relabel_configs: [{source_labels: [__name__], regex: up, action: keep}]\n",
			daemon_admin(daemon), daemon_worker(daemon, "app1"), daemon_worker(daemon, "app2"),
			daemon_worker(daemon, "app3")));
	pid = program_start(
		(const char *const[]){ file, keepf("--config.file=%s", conf), keepf("--storage.tsdb.path=%s/tsdb", dir),
			keepf("--web.listen-address=%s", prometheus), NULL },
		log, log);
	await_query(prometheus, "sum(up{job=\"rmsd-workers\"})", 3);
	await_query(prometheus, "sum(up{job=\"rmsd\"})", 1);
	{
		const struct client_plan plan = {
			.address = daemon_public(daemon),
			.path = "/",
			.connections = 50,
			.requests = test_scale(20000),
		};

		assert_int_equal(client_start(&plan, &client), 0);
	}
	client_join(client, &account);
	assert_true(account_clean(&account));
	await_query(prometheus, "sum(http_requests_total{job=\"rmsd\"})", (double)account.answered);
	daemon_do(daemon, "app2", "kill");
	await_query(prometheus, "sum(up{job=\"rmsd-workers\"})", 2);
	await_query(prometheus, keepf("up{job=\"rmsd-workers\",instance=\"%s\"}", daemon_worker(daemon, "app2")), 0);
	await_query(prometheus, "rmsd_worker_up{job=\"rmsd\",worker=\"app2\"}", 0);
	assert_true(query(prometheus, "up{job=\"rmsd\"}") == 1);
	daemon_do(daemon, "app2", "revive");
	await_query(prometheus, "sum(up{job=\"rmsd-workers\"})", 3);
	await_query(prometheus, "sum(rmsd_worker_up{job=\"rmsd\"})", 3);
	assert_true(query(prometheus, "sum(http_requests_total{job=\"rmsd\"})") == (double)account.answered);
	kill(pid, SIGTERM);
	program_wait(pid, PATIENCE_MS);
	daemon_stop(daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(curl_gets_what_it_asks_for, daemon_cleanup),
		cmocka_unit_test_teardown(wrk_sees_no_error, daemon_cleanup),
		cmocka_unit_test_teardown(a_real_prometheus_sees_it_all, daemon_cleanup),
	};

	return cmocka_run_group_tests_name("tools", tests, NULL, NULL);
}
