/*
 * test_agreement.c - the live page, rmsctl top, Prometheus and those who ask count the same requests.
 *
 * A load with a beginning and an end, so that what each of them counted does not hang on where its seconds begin. It
 * lasts RMSD_AGREE_S seconds.
 */
#include <math.h>
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
#include "support/lines.h"
#include "support/monitor.h"
#include "support/terminal.h"

enum { PATIENCE_MS = 20000, SECONDS = 5, SECONDS_MOST = 120, RATE = 400, WORKERS = 3, TRIES = 3, ROWS = 7, IDLE = 2 };

static const double PERMITTED = 0.01;

/* Of each second with requests in it, and one before: as the page has them. */
struct page {
	double rates[SECONDS_MOST + 20], lengths[SECONDS_MOST + 20];
	unsigned n;
	double workers[WORKERS]; /* requests: rates times lengths */
};

static unsigned seconds(void)
{
	const char *given = getenv("RMSD_AGREE_S");
	unsigned n = given ? (unsigned)strtoul(given, NULL, 10) : SECONDS;

	assert_in_range(n, 1, SECONDS_MOST);
	return n;
}

/* ---- the page ---- */

/* Reads what /events told, up to the seconds in which there was no request any more. */
static struct page read_page(struct lines *lines)
{
	struct page page = { .n = 0 };
	long before_ns = 0;
	unsigned idle = 0;

	while (idle < IDLE) {
		json_t *data = lines_event(lines, "figures", PATIENCE_MS, NULL), *worker;
		long second_ns = lines_number(data, "second_ns");
		double length = (double)(second_ns - before_ns) / 1e9;
		double rate =
			json_number_value(json_object_get(json_object_get(data, "totals"), "requests_per_second"));
		size_t i;

		idle = page.n && rate == 0 ? idle + 1 : 0;
		if (before_ns && rate > 0) {
			assert_in_range(page.n, 0, SECONDS_MOST + 19);
			page.rates[page.n] = rate;
			page.lengths[page.n++] = length;
			json_array_foreach(json_object_get(data, "workers"), i, worker)
				page.workers[i] +=
					json_number_value(json_object_get(worker, "requests_per_second")) * length;
		}
		before_ns = second_ns;
	}
	return page;
}

static double page_requests(const struct page *page)
{
	double sum = 0;

	for (unsigned i = 0; i < page->n; i++)
		sum += page->rates[i] * page->lengths[i];
	return sum;
}

/* ---- the terminal ---- */

/* The rows of a screen that have figures in them, without what moves the cursor; and where the next screen begins. */
static const char *next_screen(const char *at, char *rows, size_t size)
{
	unsigned n = 0;
	size_t len = 0;

	at = strstr(at, "\033[H");
	if (!at)
		return NULL;
	for (at += 3; *at && n < ROWS && strncmp(at, "\033[H", 3) != 0; at++) {
		if (*at == '\033') {
			at += strcspn(at, "ABCDEFGHJKfhlm");
			if (!*at)
				return NULL;
			continue;
		}
		n += *at == '\n';
		assert_true(len + 1 < size);
		rows[len++] = *at;
	}
	rows[len] = '\0';
	return n == ROWS ? at : NULL;
}

/* Requests a second, as top showed them one second after the other, up to the idle ones; how many; 0: not all yet. */
static unsigned read_top(const char *text, double *rates, unsigned most)
{
	char rows[4096], before[4096] = "";
	unsigned n = 0, idle = 0;

	while ((text = next_screen(text, rows, sizeof(rows)))) {
		const char *line = strchr(rows, '\n');
		double rate = line ? strtod(line + 1, NULL) : -1;

		/* The same second may be drawn again, for another reason. */
		if (strcmp(rows, before) == 0)
			continue;
		strcpy(before, rows);
		idle = n && rate == 0 ? idle + 1 : 0;
		if (idle == IDLE)
			return n;
		if (rate > 0) {
			assert_true(n < most);
			rates[n++] = rate;
		}
	}
	return 0;
}

/* Reads the terminal until its load is over: nobody else does, and top waits for whoever reads. */
static unsigned await_top(struct terminal *terminal, double *rates, unsigned most)
{
	double until = wire_clock_ms() + (double)seconds() * 1000 + PATIENCE_MS;
	unsigned n;

	while (!(n = read_top(terminal->seen, rates, most))) {
		size_t len = terminal->len;

		assert_true(wire_clock_ms() < until);
		/* Whatever comes. */
		terminal_read(terminal, PATIENCE_MS, "rmsd ");
		assert_true(terminal->len > len);
	}
	return n;
}

/* ---- both, and Prometheus ---- */

static void expect_close(const char *who, double counted, double prometheus)
{
	printf("%s: %.1f requests, Prometheus: %.0f, %+.3f %%\n", who, counted, prometheus,
		(counted / prometheus - 1) * 100);
	if (fabs(counted - prometheus) > prometheus * PERMITTED)
		fail_msg("%s has counted %.1f requests, Prometheus %.0f", who, counted, prometheus);
}

/* False: top was too late for a second, and its seconds are not those of the page. */
static bool compare(struct daemon *daemon, struct monitor *monitor)
{
	const struct client_plan plan = {
		.address = daemon_public(daemon),
		.path = "/",
		.connections = 20,
		.rate = RATE,
		.duration_ms = seconds() * 1000,
	};
	struct lines *lines = lines_open(daemon_admin(daemon), "GET", "/events");
	double shown[SECONDS_MOST + 20], top = 0, before = daemon_metric(daemon, "http_requests_total", NULL), all;
	static struct terminal terminal;
	double by_worker[WORKERS];
	struct account account;
	struct client *client = NULL;
	struct page page;
	unsigned n;

	for (unsigned i = 0; i < WORKERS; i++)
		by_worker[i] = daemon_metric(daemon, "http_requests_total", keepf("worker=\"app%u\"", i + 1), NULL);
	terminal_open(&terminal, 110, 30, "xterm", program_path("rmsctl"), "-s",
		daemon_socket(daemon) + strlen("unix:"), "top", NULL);
	terminal_read(&terminal, PATIENCE_MS, "3 of 3 workers up");
	assert_int_equal(client_start(&plan, &client), 0);
	n = await_top(&terminal, shown, SECONDS_MOST + 20);
	client_join(client, &account);
	assert_true(account_clean(&account));
	page = read_page(lines);
	monitor_await(monitor, "sum(http_requests_total)", before + (double)account.answered);
	all = monitor_ask(monitor, "sum(http_requests_total)") - before;
	expect_close("the page", page_requests(&page), all);
	for (unsigned i = 0; i < WORKERS; i++)
		expect_close(keepf("the page, app%u", i + 1), page.workers[i],
			monitor_ask(monitor, keepf("http_requests_total{worker=\"app%u\"}", i + 1)) - by_worker[i]);
	for (unsigned i = 0; i < n && n == page.n; i++)
		top += shown[i] * page.lengths[i];
	if (n == page.n)
		expect_close("rmsctl top", top, all);
	assert_int_equal(write(terminal.fd, "q", 1), 1);
	assert_int_equal(program_wait(terminal.pid, PATIENCE_MS), 0);
	close(terminal.fd);
	lines_close(lines);
	return n == page.n;
}

static void page_and_terminal_agree_with_prometheus(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	struct monitor *monitor = monitor_start(daemon);
	unsigned tries = 1;

	(void)state;
	if (monitor) {
		while (!compare(daemon, monitor))
			if (tries++ == TRIES)
				fail_msg("top was late in each of %d tries", TRIES);
		monitor_stop(monitor);
	}
	daemon_stop(daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(page_and_terminal_agree_with_prometheus, daemon_cleanup),
	};

	return cmocka_run_group_tests_name("agreement", tests, NULL, NULL);
}
