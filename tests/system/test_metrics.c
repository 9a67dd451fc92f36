/* test_metrics.c - the numbers are exact, survive their worker, and are what Prometheus accepts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/daemon.h"
#include "support/keep.h"
#include "support/pressure.h"
#include "support/scrape.h"
#include "support/scratch.h"

enum { SCRAPES = 200 };

static const char *const none[] = { NULL };

static double sum(const char *text, const char *name)
{
	return scrape_sum(text, name, none, NULL);
}

static void run_client(struct daemon *daemon, uint64_t requests, struct account *account)
{
	const struct client_plan plan = {
		.address = daemon_public(daemon),
		.path = "/",
		.connections = 60,
		.depth = 3,
		.split_percent = 25,
		.requests = requests,
	};
	struct client *client = NULL;

	assert_int_equal(client_start(&plan, &client), 0);
	client_join(client, account);
	assert_true(account_clean(account));
	assert_int_equal(account->answered, requests);
}

static void requests_are_counted_exactly(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	unsigned n = test_scale(20000);
	struct account account;
	const char *text;

	(void)state;
	run_client(daemon, n, &account);
	/* The time of the last is known when it is sent, and by then its client may have it. */
	pressure_await_metric(daemon, "rmsd_http_request_duration_seconds_count", n);
	text = daemon_metrics(daemon);
	assert_true(sum(text, "http_requests_total") == n);
	assert_true(sum(text, "rmsd_http_responses_total") == n);
	assert_true(daemon_metric(daemon, "rmsd_http_responses_total", "code=\"200\"", NULL) == n);
	assert_true(sum(text, "rmsd_http_request_duration_seconds_count") == n);
	assert_true(daemon_metric(daemon, "rmsd_http_request_duration_seconds_bucket", "le=\"+Inf\"", NULL) == n);
	assert_true(sum(text, "rmsd_http_request_duration_seconds_sum") > 0);
	assert_true(sum(text, "rmsd_connections_accepted_total") == 60);
	assert_true(sum(text, "rmsd_http_requests_in_flight") == 0);
	assert_true(sum(text, "rmsd_http_request_bytes_total") > 30. * n);
	assert_true(sum(text, "rmsd_http_response_bytes_total") > 100. * n);
	assert_true(sum(text, "rmsd_worker_up") == 3);
	daemon_stop(daemon);
}

static void every_kind_of_answer_is_counted_by_its_code(void **state)
{
	static const struct {
		const char *request;
		const char *label;
	} rows[] = {
		{ "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "code=\"200\"" },
		{ "GET /no HTTP/1.1\r\nHost: a\r\n\r\n", "code=\"404\"" },
		{ "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "code=\"405\"" },
		{ "((((\r\n\r\n", "code=\"400\"" },
		{ "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999\r\n\r\n", "code=\"413\"" },
	};
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct wire *wire = wire_open(daemon_public(daemon));

		assert_true(daemon_metric(daemon, "rmsd_http_responses_total", rows[i].label, NULL) == 0);
		wire_put(wire, rows[i].request);
		wire_reply(wire);
		if (daemon_metric(daemon, "rmsd_http_responses_total", rows[i].label, NULL) != 1)
			fail_msg("%s is not 1 after %s", rows[i].label, rows[i].request);
		assert_true(sum(daemon_metrics(daemon), "http_requests_total") == (double)(i + 1));
		assert_true(sum(daemon_metrics(daemon), "rmsd_http_responses_total") == (double)(i + 1));
		wire_close(wire);
	}
	daemon_stop(daemon);
}

/* Each le is at least the one before, for each worker; and the last is the count. */
static void histogram_buckets_are_cumulative(void **state)
{
	static const char *const bounds[] = { "0.0001", "0.00025", "0.0005", "0.001", "0.0025", "0.005", "0.01",
		"0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf" };
	struct daemon *daemon = daemon_start("testapp", "", "workers=1", NULL);
	double last = 0;
	size_t i;

	(void)state;
	wire_get(daemon_public(daemon), "/echo/1");
	wire_get(daemon_public(daemon), "/slow/30");
	wire_get(daemon_public(daemon), "/slow/120");
	for (i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
		double now = daemon_metric(
			daemon, "rmsd_http_request_duration_seconds_bucket", keepf("le=\"%s\"", bounds[i]), NULL);

		assert_true(now >= last);
		if (!strcmp(bounds[i], "0.025"))
			assert_true(now <= 1);
		if (!strcmp(bounds[i], "0.1"))
			assert_true(now <= 2);
		last = now;
	}
	assert_true(last == 3);
	/* The app's two timers count in milliseconds, from when their loop last looked at the clock. */
	assert_true(daemon_metric(daemon, "rmsd_http_request_duration_seconds_sum", NULL) >= 0.14);
	daemon_stop(daemon);
}

static void all_series_exist_from_the_start_at_zero(void **state)
{
	static const struct {
		const char *name, *label;
		unsigned n;
		double sum;
	} rows[] = {
		{ "http_requests_total", NULL, 3, 0 },
		{ "http_requests_total", "worker=\"app3\"", 1, 0 },
		{ "rmsd_http_responses_total", "code=\"200\"", 3, 0 },
		{ "rmsd_http_responses_total", "code=\"404\"", 3, 0 },
		{ "rmsd_http_responses_total", "code=\"503\"", 3, 0 },
		{ "rmsd_http_request_duration_seconds_count", NULL, 3, 0 },
		{ "rmsd_http_requests_in_flight", NULL, 3, 0 },
		{ "rmsd_http_request_bytes_total", NULL, 3, 0 },
		{ "rmsd_http_response_bytes_total", NULL, 3, 0 },
		{ "rmsd_connections", NULL, 3, 0 },
		{ "rmsd_connections_accepted_total", NULL, 3, 0 },
		{ "rmsd_connections_closed_total", "reason=\"client\"", 3, 0 },
		{ "rmsd_connections_closed_total", "reason=\"worker\"", 3, 0 },
		{ "rmsd_connections_rehomed_total", "reason=\"kill\"", 3, 0 },
		{ "rmsd_requests_shed_total", "reason=\"no_worker\"", 1, 0 },
		{ "rmsd_requests_shed_total", "reason=\"max_connections\"", 1, 0 },
		{ "rmsd_worker_up", NULL, 3, 3 },
		{ "rmsd_worker_state", "state=\"up\"", 3, 3 },
		{ "rmsd_worker_state", "state=\"down\"", 3, 0 },
		{ "rmsd_worker_state", NULL, 18, 3 },
		{ "rmsd_worker_restarts_total", "reason=\"revive\"", 3, 0 },
		{ "rmsd_build_info", NULL, 1, 1 },
		{ "process_open_fds", NULL, 1, -1 },
		{ "process_max_fds", NULL, 1, -1 },
		{ "process_resident_memory_bytes", NULL, 1, -1 },
		{ "process_virtual_memory_bytes", NULL, 1, -1 },
		{ "process_cpu_seconds_total", NULL, 1, -1 },
		{ "process_start_time_seconds", NULL, 1, -1 },
	};
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	const char *text = daemon_metrics(daemon);
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *const labels[] = { rows[i].label, NULL };
		unsigned n = 0;
		double value = scrape_sum(text, rows[i].name, labels, &n);

		if (n != rows[i].n || (rows[i].sum >= 0 && value != rows[i].sum))
			fail_msg("%s{%s}: %u series, sum %g; %u and %g expected", rows[i].name,
				rows[i].label ? rows[i].label : "", n, value, rows[i].n, rows[i].sum);
	}
	assert_true(sum(text, "process_open_fds") >= 10);
	daemon_stop(daemon);
}

/* Every counter line of before is in after, and not less. */
static void expect_monotonic(const char *before, const char *after)
{
	char *lines = keep(strdup(before)), *line, *rest = lines;

	while ((line = strsep(&rest, "\n")) && *line) {
		char *space = strrchr(line, ' ');
		const char *found, *value;

		if (*line == '#' || !strstr(line, "_total"))
			continue;
		assert_non_null(space);
		space[1] = 0;
		found = strstr(after, keepf("\n%s", line));
		value = strstr(before, keepf("\n%s", line));
		if (!found)
			fail_msg("%s is gone", line);
		assert_non_null(value);
		if (strtod(found + 1 + strlen(line), NULL) < strtod(value + 1 + strlen(line), NULL))
			fail_msg("%s went back: %.20s then %.20s", line, value + 1 + strlen(line),
				found + 1 + strlen(line));
	}
}

static void counters_survive_kill_and_revive(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	unsigned n = test_scale(3000), turn;
	struct account account;
	const char *before, *after;

	(void)state;
	run_client(daemon, n, &account);
	before = daemon_metrics(daemon);
	for (turn = 1; turn <= 3; turn++) {
		const char *worker = keepf("app%u", turn), *label = keepf("worker=\"app%u\"", turn);
		double mine = daemon_metric(daemon, "http_requests_total", label, NULL);

		daemon_do(daemon, worker, "kill");
		after = daemon_metrics(daemon);
		expect_monotonic(before, after);
		before = after;
		assert_true(daemon_metric(daemon, "http_requests_total", label, NULL) == mine);
		assert_true(daemon_metric(daemon, "rmsd_worker_up", label, NULL) == 0);
		assert_true(daemon_metric(daemon, "rmsd_worker_state", label, "state=\"down\"", NULL) == 1);
		assert_true(daemon_metric(daemon, "rmsd_worker_state", label, NULL) == 1);
		daemon_do(daemon, worker, "revive");
		daemon_await(daemon, worker, "up", -1);
		after = daemon_metrics(daemon);
		expect_monotonic(before, after);
		before = after;
		assert_true(daemon_metric(daemon, "http_requests_total", label, NULL) == mine);
		assert_true(daemon_metric(daemon, "rmsd_worker_restarts_total", label, "reason=\"revive\"", NULL) == 1);
		run_client(daemon, n, &account);
		assert_true(daemon_metric(daemon, "http_requests_total", NULL) == n * (turn + 1));
		pressure_await_metric(daemon, "rmsd_http_request_duration_seconds_count", n * (turn + 1));
	}
	daemon_stop(daemon);
}

static void a_workers_port_tells_of_that_worker_alone(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	struct account account;
	const char *text, *line;
	struct reply *reply;
	double at_admin;

	(void)state;
	run_client(daemon, 600, &account);
	reply = wire_get(daemon_worker(daemon, "app2"), "/metrics");
	reply_expect(reply, 200, NULL);
	reply_expect_field(reply, "Content-Type", "text/plain; version=0.0.4; charset=utf-8");
	text = reply->body;
	at_admin = daemon_metric(daemon, "http_requests_total", "worker=\"app2\"", NULL);
	assert_true(sum(text, "http_requests_total") == at_admin);
	assert_null(strstr(text, "process_"));
	assert_null(strstr(text, "rmsd_build_info"));
	for (line = text; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		if (*line != '#' && !memmem(line, strcspn(line, "\n"), "worker=\"app2\"", 13))
			fail_msg("not of app2: %.*s", (int)strcspn(line, "\n"), line);
	}
	/* Scrapes count nowhere. */
	assert_true(daemon_metric(daemon, "http_requests_total", NULL) == 600);
	assert_int_equal(wire_get(daemon_worker(daemon, "app2"), "/")->status, 200);
	assert_true(daemon_metric(daemon, "http_requests_total", "worker=\"app2\"", NULL) == at_admin + 1);
	daemon_stop(daemon);
}

static void what_happens_while_a_request_runs_is_in_flight(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", NULL);
	struct wire *wire = wire_open(daemon_public(daemon));
	double until = wire_clock_ms() + WIRE_PATIENCE_MS;

	(void)state;
	wire_put(wire, "GET /slow/400 HTTP/1.1\r\nHost: a\r\n\r\n");
	while (daemon_metric(daemon, "rmsd_http_requests_in_flight", NULL) != 1)
		assert_true(wire_clock_ms() < until);
	assert_true(daemon_metric(daemon, "rmsd_connections", NULL) == 1);
	assert_true(daemon_metric(daemon, "http_requests_total", NULL) == 0);
	wire_close(wire);
	while (daemon_metric(daemon, "rmsd_connections", NULL) != 0)
		assert_true(wire_clock_ms() < until);
	while (daemon_metric(daemon, "rmsd_http_requests_in_flight", NULL) != 0)
		assert_true(wire_clock_ms() < until);
	daemon_stop(daemon);
}

static struct reply *scrape(const char *address, const char *fields)
{
	struct wire *wire = wire_open(address);
	struct reply *reply;

	wire_putf(wire, "GET /metrics HTTP/1.1\r\nHost: a\r\n%sConnection: close\r\n\r\n", fields);
	reply = wire_reply(wire);
	wire_close(wire);
	reply_expect(reply, 200, NULL);
	reply_expect_field(reply, "Vary", "Accept, Accept-Encoding");
	return reply;
}

static void a_scraper_gets_openmetrics_if_it_asks(void **state)
{
	static const char open[] = "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n";
	static const char parse[] = "import sys\n"
				    "from prometheus_client.openmetrics import parser\n"
				    "for f in parser.text_string_to_metric_families(open(sys.argv[1]).read()):\n"
				    "    for s in f.samples:\n"
				    "        if s.name == 'http_requests_total': print(s.labels['worker'], s.value)\n";
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	const char *const doors[] = { daemon_admin(daemon), daemon_worker(daemon, "app1") };
	struct wire *wire = wire_open(daemon_worker(daemon, "app1"));
	struct output *output;
	struct reply *reply;

	(void)state;
	wire_put(wire, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	reply_expect(wire_reply(wire), 200, NULL);
	wire_close(wire);
	for (size_t i = 0; i < 2; i++) {
		const char *path = keepf("%s/openmetrics%zu", daemon_dir(daemon), i);
		FILE *file = fopen(path, "w");

		reply = scrape(doors[i], open);
		reply_expect_field(reply, "Content-Type", "application/openmetrics-text; version=1.0.0; charset=utf-8");
		assert_string_equal(reply->body + reply->body_len - 7, "\n# EOF\n");
		assert_non_null(file);
		assert_int_equal(fwrite(reply->body, 1, reply->body_len, file), reply->body_len);
		assert_int_equal(fclose(file), 0);
		/* What others read it with. */
		output = program_call("/usr/bin/python3", "-c", parse, path, NULL);
		if (output->status)
			fail_msg("%s", output->err);
		assert_string_equal(output->out, i ? "app1 1\n" : "app1 1\napp2 0\napp3 0\n");
	}
	reply = scrape(doors[0], "");
	reply_expect_field(reply, "Content-Type", "text/plain; version=0.0.4; charset=utf-8");
	daemon_stop(daemon);
}

static void a_scraper_gets_gzip_if_it_asks(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	struct output *plain, *packed;
	const char *url = keepf("http://%s/metrics", daemon_admin(daemon));

	(void)state;
	packed = program_call("curl", "-sSf", "--compressed", url, NULL);
	assert_int_equal(packed->status, 0);
	plain = program_call("curl", "-sSf", url, NULL);
	assert_int_equal(plain->status, 0);
	assert_memory_equal(plain->out, packed->out, 100);
	assert_non_null(strstr(packed->out, "\nprocess_threads "));
	reply_expect_field(scrape(daemon_admin(daemon), "Accept-Encoding: gzip\r\n"), "Content-Encoding", "gzip");
	assert_null(reply_field(scrape(daemon_admin(daemon), "Accept-Encoding: br\r\n"), "Content-Encoding"));
	daemon_stop(daemon);
}

/* Eight workers: what Prometheus has to keep, and what a scrape has to carry. */
static void the_series_of_eight_workers_are_few(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, "workers=8", NULL);
	struct reply *reply = scrape(daemon_admin(daemon), "");
	unsigned series = 0;

	(void)state;
	for (const char *line = reply->body; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
		series += *line && *line != '#';
	printf("%u series, %zu bytes\n", series, reply->body_len);
	assert_in_range(series, 8 * 40, 1000);
	assert_in_range(reply->body_len, 1, 120 * 1024);
	daemon_stop(daemon);
}

/* Of processor time, in the form and the coding that cost most. */
static void a_scrape_of_eight_workers_costs_under_two_milliseconds(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, "workers=8", NULL);
	struct wire *wire = wire_open(daemon_admin(daemon));
	double used = daemon_thread_cpu_ms(daemon, "admin");

	(void)state;
	for (unsigned i = 0; i < SCRAPES; i++) {
		wire_put(wire,
			"GET /metrics HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n"
			"Accept: application/openmetrics-text\r\n\r\n");
		assert_int_equal(wire_reply(wire)->status, 200);
	}
	used = (daemon_thread_cpu_ms(daemon, "admin") - used) / SCRAPES;
	printf("%.3f ms\n", used);
	assert_true(used > 0);
	if (!daemon_sanitized())
		assert_true(used < 2);
	wire_close(wire);
	daemon_stop(daemon);
}

static void promtool_has_nothing_to_say(void **state)
{
	const char *promtool = program_tool("promtool");
	struct daemon *daemon;
	struct output *output;
	struct account account;
	const char *path, *views[2];
	size_t i;

	(void)state;
	if (!promtool)
		return;
	daemon = daemon_start("rmsd", NULL, NULL);
	run_client(daemon, 1000, &account);
	views[0] = daemon_metrics(daemon);
	views[1] = wire_get(daemon_worker(daemon, "app1"), "/metrics")->body;
	for (i = 0; i < 2; i++) {
		path = scratch_write_text(daemon_dir(daemon), "metrics", views[i]);
		output = program_call("/bin/sh", "-c", keepf("'%s' check metrics <'%s'", promtool, path), NULL);
		if (output->status || output->out[0] || output->err[0])
			fail_msg("promtool: %d %s%s", output->status, output->out, output->err);
	}
	daemon_stop(daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(requests_are_counted_exactly, daemon_cleanup),
		cmocka_unit_test_teardown(every_kind_of_answer_is_counted_by_its_code, daemon_cleanup),
		cmocka_unit_test_teardown(histogram_buckets_are_cumulative, daemon_cleanup),
		cmocka_unit_test_teardown(all_series_exist_from_the_start_at_zero, daemon_cleanup),
		cmocka_unit_test_teardown(counters_survive_kill_and_revive, daemon_cleanup),
		cmocka_unit_test_teardown(a_workers_port_tells_of_that_worker_alone, daemon_cleanup),
		cmocka_unit_test_teardown(what_happens_while_a_request_runs_is_in_flight, daemon_cleanup),
		cmocka_unit_test_teardown(a_scraper_gets_openmetrics_if_it_asks, daemon_cleanup),
		cmocka_unit_test_teardown(a_scraper_gets_gzip_if_it_asks, daemon_cleanup),
		cmocka_unit_test_teardown(the_series_of_eight_workers_are_few, daemon_cleanup),
		cmocka_unit_test_teardown(a_scrape_of_eight_workers_costs_under_two_milliseconds, daemon_cleanup),
		cmocka_unit_test_teardown(promtool_has_nothing_to_say, daemon_cleanup),
	};

	return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
