/*
 * test_deploy.c - the files of deploy/ for Prometheus, Alertmanager, Grafana and Locust: each is taken by its program,
 * and finds in a running rmsd what it looks for. test_image.c has deploy/docker.
 */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/daemon.h"
#include "support/keep.h"
#include "support/monitor.h"
#include "support/scratch.h"

#define DEPLOY RMSD_SOURCE_DIR "/deploy"
#define RULES DEPLOY "/prometheus/rules/rmsd.yml"
#define OVERVIEW DEPLOY "/grafana/dashboards/overview.json"
#define FAILOVER DEPLOY "/grafana/dashboards/failover.json"
#define QUERIES RMSD_SOURCE_DIR "/tests/support/queries"
#define LOCUST "/usr/bin/locust"

enum { SOON_MS = 3000, KILLS = 3 };

static void expect_good(struct output *output)
{
	if (output->status != 0 || strstr(output->out, "FAILED"))
		fail_msg("status %d\n%s%s", output->status, output->out, output->err);
}

static void prometheus_takes_its_files(void **state)
{
	const char *promtool = program_tool("promtool"), *dir;

	(void)state;
	if (!promtool)
		return;
	expect_good(program_call(promtool, "check", "config", DEPLOY "/prometheus/prometheus.yml", NULL));
	expect_good(program_call(promtool, "check", "rules", RULES, NULL));
	/* As compose.yaml lays them out. */
	dir = scratch_make();
	expect_good(program_call("cp", "-r", DEPLOY "/prometheus/prometheus.yml", DEPLOY "/prometheus/rules",
		DEPLOY "/docker/targets", dir, NULL));
	expect_good(program_call(promtool, "check", "config", keepf("%s/prometheus.yml", dir), NULL));
	scratch_remove(dir);
}

static void rules_say_what_their_tests_expect(void **state)
{
	const char *promtool = program_tool("promtool");

	(void)state;
	/* None of our code runs here, and it takes a while: once is enough. */
	if (!promtool || daemon_sanitized())
		return;
	expect_good(program_call(promtool, "test", "rules", DEPLOY "/prometheus/rules/rmsd_test.yml", NULL));
	expect_good(program_call(promtool, "test", "rules", DEPLOY "/prometheus/rules/rmsd_days_test.yml", NULL));
}

/* What stands in text behind from, up to the first character of to. */
static const char *section(const char *text, const char *from, const char *to)
{
	const char *at = strstr(text, from), *end;

	if (!at)
		return NULL;
	at += strlen(from);
	end = strstr(at, to);
	return end ? keepf("%.*s", (int)(end + 1 - at), at) : at;
}

/* Does a case of the rules' tests ask for the alert, and get expected? */
static bool is_tested(const char *tests, const char *alert, const char *expected)
{
	return strstr(tests, keepf("\n    alertname: %s\n    exp_alerts:%s\n", alert, expected)) != NULL;
}

static void every_alert_tells_what_to_do_and_is_tested(void **state)
{
	const char *at = program_file(RULES, NULL), *runbook = program_file(RMSD_SOURCE_DIR "/docs/runbook.md", NULL);
	const char *tests = keepf("%s%s", program_file(DEPLOY "/prometheus/rules/rmsd_test.yml", NULL),
		program_file(DEPLOY "/prometheus/rules/rmsd_days_test.yml", NULL));
	unsigned found = 0, i;

	(void)state;
	for (; (at = strstr(at, "\n  - alert: ")); found++) {
		char *alert, *anchor;
		const char *rule, *severity, *book;

		at += strlen("\n  - alert: ");
		alert = keepf("%.*s", (int)strcspn(at, "\n"), at);
		rule = section(at, "\n", "\n  - alert: ");
		anchor = keepf("%s", alert);
		for (i = 0; anchor[i]; i++)
			anchor[i] = (char)tolower((unsigned char)anchor[i]);
		severity = section(rule, "labels: {severity: ", "}");
		if (!strstr(rule, "\n      summary: ") || !strstr(rule, "\n      description: ") ||
			!strstr(rule, keepf("\n      runbook_url: docs/runbook.md#%s\n", anchor)) || !severity)
			fail_msg("%s lacks a part:\n%s", alert, rule);
		book = section(runbook, keepf("\n## %s\n", alert), "\n## ");
		if (!book || !strstr(book, "o:**") || strncmp(book, severity, strlen(severity) - 1) != 0)
			fail_msg("docs/runbook.md: %s: %s", alert, book ? book : "no section");
		if (!is_tested(tests, alert, "") || !is_tested(tests, alert, " []"))
			fail_msg("%s: no test in which it fires, or none in which it does not", alert);
	}
	assert_in_range(found, 20, 60);
}

static void the_runbook_explains_each_refusal(void **state)
{
	const char *metrics = program_file(RMSD_SOURCE_DIR "/docs/metrics.md", NULL);
	const char *runbook = program_file(RMSD_SOURCE_DIR "/docs/runbook.md", NULL), *shedding, *reasons;
	size_t len;

	(void)state;
	shedding = section(runbook, "\n## RmsdShedding\n", "\n## ");
	reasons = section(metrics, "\n| `rmsd_requests_shed_total` | counter | `reason`: ", " |");
	assert_non_null(shedding);
	assert_non_null(reasons);
	for (; *(reasons += strspn(reasons, ", ")); reasons += len) {
		const char *reason;

		len = strcspn(reasons, ", ");
		reason = keepf("`%.*s`:", (int)len, reasons);
		if (!strstr(shedding, reason))
			fail_msg("docs/runbook.md: RmsdShedding: nothing about %s", reason);
	}
}

static const char *receiver(const char *amtool, const char *severity)
{
	struct output *output = program_call(amtool, "config", "routes", "test", "--config.file",
		DEPLOY "/prometheus/alertmanager.yml", keepf("severity=%s", severity), NULL);

	assert_int_equal(output->status, 0);
	output->out[strcspn(output->out, "\n")] = 0;
	return output->out;
}

static void alertmanager_pages_nobody_for_what_is_only_worth_seeing(void **state)
{
	const char *amtool = program_tool("amtool");

	(void)state;
	if (!amtool)
		return;
	expect_good(program_call(amtool, "check-config", DEPLOY "/prometheus/alertmanager.yml", NULL));
	assert_string_equal(receiver(amtool, "info"), "nobody");
	assert_string_equal(receiver(amtool, "page"), "page");
	assert_string_equal(receiver(amtool, "ticket"), "ticket");
}

static struct client *load(struct daemon *daemon)
{
	const struct client_plan plan = {
		.address = daemon_public(daemon),
		.path = "/",
		.connections = 20,
		.rate = 200,
	};
	struct client *client = NULL;

	assert_int_equal(client_start(&plan, &client), 0);
	assert_true(client_await_answered(client, 20, WIRE_PATIENCE_MS));
	return client;
}

/* Kills a worker; how long until Prometheus has seen it and its alert fires; then brings it back. */
static double loss_to_alert_ms(struct daemon *daemon, struct monitor *monitor)
{
	double ms;

	monitor_await(monitor, "sum(rmsd_worker_up)", 3);
	daemon_do(daemon, "app2", "kill");
	ms = monitor_await(monitor, "rmsd_worker_up{worker=\"app2\"}", 0);
	ms += monitor_await(monitor,
		"ALERTS{alertname=\"RmsdWorkerDown\",worker=\"app2\",severity=\"info\",alertstate=\"firing\"}", 1);
	/* Nobody is woken yet. */
	assert_true(monitor_ask(monitor, "ALERTS{severity=\"page\",alertstate=\"firing\"}") < 0);
	assert_true(monitor_ask(monitor, "sum(up{job=\"rmsd\"})") == 1);
	monitor_await(monitor, "sum(up{job=\"rmsd-workers\"})", 2);
	daemon_do(daemon, "app2", "revive");
	monitor_await(monitor, "sum(up{job=\"rmsd-workers\"})", 3);
	return ms;
}

static void expect_queries(struct monitor *monitor, double since)
{
	const char *seconds = keepf("%.0f", (wire_clock_ms() - since) / 1000 + 1);
	const char *dir = scratch_make(), *broken;
	struct output *output;

	output = program_call("python3", QUERIES, monitor_address(monitor), seconds, OVERVIEW, FAILOVER, NULL);
	if (output->status != 0)
		fail_msg("%s%s", output->out, output->err);
	printf("%s", output->out);
	/* It would have said so. */
	broken = keepf("%s/broken.json", dir);
	output = program_call("sh", "-c",
		keepf("sed 's/rmsd_requests_replayed_total/rmsd_requests_repeated_total/; s/\"x\": 12/\"x\": 11/' %s "
		      ">%s",
			FAILOVER, broken),
		NULL);
	assert_int_equal(output->status, 0);
	output = program_call("python3", QUERIES, monitor_address(monitor), seconds, broken, NULL);
	assert_int_equal(output->status, 1);
	assert_non_null(strstr(output->err, "Replayed: no data: "));
	assert_non_null(strstr(output->err, " lies over "));
	scratch_remove(dir);
}

static void prometheus_sees_each_request_each_loss_and_each_drill(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	struct monitor *monitor = monitor_start(daemon);
	double since = wire_clock_ms(), before, best = 1e9;
	struct account account;
	struct client *client;
	unsigned i;

	(void)state;
	if (!monitor) {
		daemon_stop(daemon);
		return;
	}
	assert_int_equal(daemon_ctl(daemon, "drill", "--kill", "app1", "--duration=8s", "--connections=10",
				 "--rate=100", "--max-pause=60s", "--max-detect=60s", NULL)
				 ->status,
		0);
	monitor_await(monitor, "rmsd_drills_total{result=\"passed\"}", 1);
	before = daemon_metric(daemon, "http_requests_total", NULL);
	client = load(daemon);
	/* The best of some: what the machine does beside this is no fault of the rules. */
	for (i = 0; i < KILLS && best > SOON_MS; i++) {
		double ms = loss_to_alert_ms(daemon, monitor);

		best = ms < best ? ms : best;
	}
	printf("an alert %.0f ms after the loss\n", best);
	if (!daemon_sanitized())
		assert_in_range((int)best, 0, SOON_MS);
	expect_queries(monitor, since);
	client_stop(client);
	client_join(client, &account);
	assert_true(account_clean(&account));
	monitor_await(monitor, "sum(http_requests_total)", before + (double)account.answered);
	monitor_await(monitor, "sum(rmsd_http_responses_total{code=\"200\"})", before + (double)account.answered);
	monitor_await(monitor, "sum(rmsd_http_request_duration_seconds_count)", before + (double)account.answered);
	assert_true(
		monitor_ask(monitor, "count(http_requests_total)") == 3); /* once, not by the workers' ports again */
	monitor_stop(monitor);
	daemon_stop(daemon);
}

static void locust_finds_no_failure(void **state)
{
	struct daemon *daemon;
	struct output *output;
	const char *line;
	char *failures;
	double requests;

	(void)state;
	if (access(LOCUST, X_OK) != 0) {
		fprintf(stderr, "NOT RUN: no %s\n", LOCUST);
		return;
	}
	daemon = daemon_start("rmsd", NULL, NULL);
	output = program_call(LOCUST, "-f", RMSD_SOURCE_DIR "/bench/locustfile.py", "--headless", "-u", "20", "-r",
		"20", "-t", "4s", "--stop-timeout", "10", "--host", keepf("http://%s", daemon_public(daemon)), NULL);
	/* The total of its last table: requests, then failures. */
	line = strstr(output->err, "Shutting down");
	line = line ? strstr(line, "\n         Aggregated ") : NULL;
	if (output->status != 0 || !line)
		fail_msg("status %d\n%s%s", output->status, output->out, output->err);
	requests = strtod(line + strlen("\n         Aggregated "), &failures);
	assert_true(requests >= 20);
	assert_true(strtod(failures, NULL) == 0);
	assert_true(daemon_metric(daemon, "http_requests_total", NULL) == requests);
	daemon_stop(daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prometheus_takes_its_files),
		cmocka_unit_test(rules_say_what_their_tests_expect),
		cmocka_unit_test(every_alert_tells_what_to_do_and_is_tested),
		cmocka_unit_test(the_runbook_explains_each_refusal),
		cmocka_unit_test(alertmanager_pages_nobody_for_what_is_only_worth_seeing),
		cmocka_unit_test_teardown(prometheus_sees_each_request_each_loss_and_each_drill, daemon_cleanup),
		cmocka_unit_test_teardown(locust_finds_no_failure, daemon_cleanup),
	};

	return cmocka_run_group_tests_name("deploy", tests, NULL, NULL);
}
