/* test_page_in_chromium.c - the live page in a real browser: what it shows, how soon, and what it asks for. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "support/browser.h"
#include "support/daemon.h"
#include "support/keep.h"

enum { PATIENCE_MS = 20000, SEEN_MS = 2000, FILES = 4, PHONE = 360 };

#define STATES "[...document.querySelectorAll('#cards [data-key=state]')].map((e) => e.textContent).join()"
#define STALE "!document.getElementById('stale').hidden"

static struct browser *browser;

static int open_browser(void **state)
{
	(void)state;
	browser = browser_open();
	return 0;
}

static int close_browser(void **state)
{
	(void)state;
	browser_close(browser);
	return 0;
}

/* A daemon's page, with its workers on it. */
static struct daemon *open_page(unsigned width, bool dark)
{
	struct daemon *daemon;

	if (!browser)
		skip();
	daemon = daemon_start("rmsd", NULL, NULL);
	browser_set(browser, width, 900, dark);
	browser_go(browser, keepf("http://%s/", daemon_admin(daemon)));
	browser_await(browser, STATES " === 'up,up,up'", PATIENCE_MS);
	return daemon;
}

static void expect_quiet_console(void)
{
	json_t *console = browser_console(browser);

	if (json_array_size(console))
		fail_msg("%s", json_dumps(console, 0));
}

/* All that was asked for is of daemon; and that is the page, its two files and the events. */
static void expect_own_requests(struct daemon *daemon)
{
	const char *origin = keepf("http://%s/", daemon_admin(daemon));
	json_t *urls = browser_requests(browser), *url;
	unsigned own = 0;
	size_t i;

	json_array_foreach(urls, i, url) {
		const char *text = json_string_value(url);

		if (!strncmp(text, origin, strlen(origin)))
			own++;
		else if (strncmp(text, "data:", 5) != 0)
			fail_msg("the page asks for %s", text);
	}
	if (own != FILES)
		fail_msg("%u requests: %s", own, json_dumps(urls, 0));
}

static void a_kill_is_seen_as_it_happens(void **state)
{
	struct daemon *daemon = open_page(1280, false);
	struct wire *wires[6];
	double ms;

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		wires[i] = wire_open(daemon_public(daemon));
		wire_expect_alive(wires[i]);
	}
	browser_await(
		browser, "document.querySelector('#totals [data-key=connections]').textContent === '6'", PATIENCE_MS);
	daemon_do(daemon, "app2", "kill");
	ms = browser_await(browser, STATES " === 'up,down,up'", PATIENCE_MS);
	if (ms > SEEN_MS && !daemon_sanitized())
		fail_msg("the kill was seen after %.0f ms", ms);
	browser_await(
		browser, "document.getElementById('events').textContent.includes('app2 is down, was up')", PATIENCE_MS);
	browser_await(browser, "document.body.textContent.includes('1 connection flew to app3')", PATIENCE_MS);
	browser_await(
		browser, "document.body.textContent.includes('2 connections flew to other workers')", PATIENCE_MS);
	browser_await(browser, "document.querySelector('#totals [data-key=up]').textContent === '2 of 3'", PATIENCE_MS);
	daemon_do(daemon, "app2", "revive");
	browser_await(browser, STATES " === 'up,up,up'", PATIENCE_MS);
	/* The strips have their text, and the marks theirs. */
	browser_await(browser, "document.getElementById('summary').textContent.includes('once a worker stopped')",
		PATIENCE_MS);
	browser_await(
		browser, "document.getElementById('strips').textContent.includes('app2 down, 2 moved')", PATIENCE_MS);
	expect_quiet_console();
	expect_own_requests(daemon);
	for (unsigned i = 0; i < 6; i++)
		wire_close(wires[i]);
	daemon_stop(daemon);
}

static void who_comes_later_sees_what_was_before(void **state)
{
	struct daemon *daemon = open_page(1280, true);

	(void)state;
	daemon_do(daemon, "app1", "kill");
	daemon_do(daemon, "app1", "revive");
	browser_await(browser, "document.getElementById('events').textContent.includes('app1 is down')", PATIENCE_MS);
	browser_go(browser, keepf("http://%s/", daemon_admin(daemon)));
	browser_await(browser, "document.getElementById('events').textContent.includes('app1 is down')", PATIENCE_MS);
	browser_await(browser, "model.seconds.length > 1", PATIENCE_MS);
	/* Each event once, though it is told again to whoever asks for the history. */
	assert_int_equal(json_integer_value(browser_eval(browser,
				 "return [...document.querySelectorAll('#events li')].filter((e) => "
				 "e.textContent.includes('app1 is down')).length")),
		1);
	assert_true(json_is_true(browser_eval(browser, "return matchMedia('(prefers-color-scheme: dark)').matches")));
	assert_string_equal(
		json_string_value(browser_eval(browser, "return getComputedStyle(document.body).backgroundColor")),
		"rgb(18, 20, 24)");
	expect_quiet_console();
	daemon_stop(daemon);
}

static void figures_that_are_old_are_said_to_be(void **state)
{
	struct daemon *daemon = open_page(1280, false);
	const char *address = keepf("admin_listen=%s", daemon_admin(daemon));

	(void)state;
	assert_false(json_is_true(browser_eval(browser, "return " STALE)));
	daemon_signal(daemon, SIGSTOP);
	browser_await(browser, STALE, PATIENCE_MS);
	daemon_signal(daemon, SIGCONT);
	browser_await(browser, "document.getElementById('stale').hidden", PATIENCE_MS);
	expect_quiet_console();
	daemon_stop(daemon);
	browser_await(browser, STALE, PATIENCE_MS);
	browser_await(browser, "document.getElementById('stale').textContent.startsWith('Stale since ')", PATIENCE_MS);
	daemon = daemon_start("rmsd", NULL, address, "workers=2", NULL);
	browser_await(browser, "document.getElementById('stale').hidden && " STATES " === 'up,up'", PATIENCE_MS);
	daemon_stop(daemon);
}

/* Nothing is wider than the screen, and the keyboard reaches what it has to. */
static void a_phone_and_a_keyboard_are_enough(void **state)
{
	struct daemon *daemon = open_page(PHONE, false);

	(void)state;
	assert_int_equal(json_integer_value(browser_eval(browser, "return innerWidth")), PHONE);
	browser_await(browser, "document.documentElement.scrollWidth <= innerWidth", PATIENCE_MS);
	browser_await(browser, "model.seconds.length > 1", PATIENCE_MS);
	browser_eval(browser,
		"const strips = document.getElementById('strips'); strips.focus();"
		"strips.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowLeft' }))");
	browser_await(browser, "document.activeElement.id === 'strips'", PATIENCE_MS);
	browser_await(browser, "document.getElementById('readout').textContent.includes('app3: ')", PATIENCE_MS);
	expect_quiet_console();
	daemon_stop(daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_kill_is_seen_as_it_happens, daemon_cleanup),
		cmocka_unit_test_teardown(who_comes_later_sees_what_was_before, daemon_cleanup),
		cmocka_unit_test_teardown(figures_that_are_old_are_said_to_be, daemon_cleanup),
		cmocka_unit_test_teardown(a_phone_and_a_keyboard_are_enough, daemon_cleanup),
	};

	return cmocka_run_group_tests_name("page in chromium", tests, open_browser, close_browser);
}
