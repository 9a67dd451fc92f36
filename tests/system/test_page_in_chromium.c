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
#include "support/running.h"

enum { PATIENCE_MS = 20000, SEEN_MS = 2000, FILES = 4, PHONE = 320 };

#define STATES "[...document.querySelectorAll('#cards [data-key=state]')].map((e) => e.textContent).join()"
#define STALE "!document.getElementById('stale').hidden"

/* Of all that is written on the page, what stands out least from what is behind it: WCAG's ratio, and the text. */
#define FAINTEST \
	"const parse = (text) => {" \
	"	const n = text.match(/[\\d.e-]+/g).map(Number), unit = text.startsWith('color(') ? 1 : 255;" \
	"	return { rgb: n.slice(0, 3).map((v) => v / unit), a: n.length > 3 ? n[3] : 1 };" \
	"};" \
	"const over = (top, rgb) => rgb.map((v, i) => top.rgb[i] * top.a + v * (1 - top.a));" \
	"const light = (rgb) => rgb.map((v) => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)" \
	"	.reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);" \
	"const up = (e) => e ? [e, ...up(e.parentElement)] : [];" \
	"const behind = (e) => up(e).map((n) => parse(getComputedStyle(n).backgroundColor)).filter(({ a }) => a)" \
	"	.reduceRight((rgb, top) => over(top, rgb), [1, 1, 1]);" \
	"const all = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);" \
	"while (walker.nextNode()) {" \
	"	const text = walker.currentNode.data.trim(), e = walker.currentNode.parentElement;" \
	"	if (!text || !e.checkVisibility() || e.closest('.unseen, .skip, noscript, title')) continue;" \
	"	const style = getComputedStyle(e), ink = parse(e instanceof SVGElement ? style.fill : style.color);" \
	"	for (const n of up(e)) ink.a *= getComputedStyle(n).opacity;" \
	"	const rgb = behind(e), both = [light(rgb), light(over(ink, rgb))].sort((a, b) => a - b);" \
	"	all.push([(both[1] + .05) / (both[0] + .05), text]);" \
	"}" \
	"return all.length > 50 ? all.sort((a, b) => a[0] - b[0])[0] : [0, 'too little on the page'];"

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
static struct daemon *open_page_of(const char *program, const char *config, unsigned width, bool dark)
{
	struct daemon *daemon;

	if (!browser)
		skip();
	daemon = daemon_start(program, config, NULL);
	browser_set(browser, width, 900, dark);
	browser_go(browser, keepf("http://%s/", daemon_admin(daemon)));
	browser_await(browser, STATES " === 'up,up,up'", PATIENCE_MS);
	return daemon;
}

static struct daemon *open_page(unsigned width, bool dark)
{
	return open_page_of("rmsd", NULL, width, dark);
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

/* A page that nobody looks at has only its title to say it with. */
static void a_tab_in_the_background_tells_in_its_title(void **state)
{
	struct daemon *daemon = open_page(1280, false);

	(void)state;
	browser_await(browser, "document.title === 'rmsd'", PATIENCE_MS);
	browser_eval(browser, "Object.defineProperty(document, 'hidden', { get: () => true })");
	daemon_do(daemon, "app3", "kill");
	browser_await(browser, "document.title === '1 not up · rmsd'", PATIENCE_MS);
	daemon_signal(daemon, SIGSTOP);
	browser_await(browser, "document.title === 'stale · rmsd'", PATIENCE_MS);
	daemon_signal(daemon, SIGCONT);
	browser_await(browser, "document.title === '1 not up · rmsd'", PATIENCE_MS);
	expect_quiet_console();
	daemon_stop(daemon);
}

/* Its end waits for a request. */
static void a_server_that_drains_says_so(void **state)
{
	struct daemon *daemon = open_page_of("testapp", "", 1280, false);
	struct wire *wire = wire_open(daemon_public(daemon));

	(void)state;
	browser_await(
		browser, "/^[^ ]+ · up for \\d+ s$/.test(document.getElementById('about').textContent)", PATIENCE_MS);
	wire_put(wire, "GET /slow/60000" HEAD_END);
	running_await(daemon, 1);
	daemon_signal(daemon, SIGTERM);
	browser_await(
		browser, "document.getElementById('about').textContent.includes(' · draining, up for ')", PATIENCE_MS);
	daemon_signal(daemon, SIGTERM);
	wire_close(wire);
	assert_int_equal(daemon_wait(daemon, PATIENCE_MS), 0);
	daemon_stop(daemon);
}

static void losses_that_come_together_have_one_label(void **state)
{
	struct daemon *daemon = open_page(1280, false);
	struct wire *wires[6];

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		wires[i] = wire_open(daemon_public(daemon));
		wire_expect_alive(wires[i]);
	}
	/* Two each; then three. */
	daemon_do(daemon, "app1", "kill");
	daemon_do(daemon, "app2", "kill");
	browser_await(browser, "document.getElementById('strips').textContent.includes('2 workers down, 5 moved')",
		PATIENCE_MS);
	/* What another one moved is not put down to the one that is named. */
	assert_string_equal(
		json_string_value(browser_eval(browser,
			"const marks = [['rehomed', 'app3', 13], ['state', 'app1'], ['rehomed', 'app1', 14]]"
			"	.map(([kind, worker, connections]) =>"
			"		markOf({ kind, ms: 0, data: { worker, connections, state: 'down', was: 'up' } "
			"}));"
			"return label({ marks, top: marks[1] })")),
		"app1 down, 14 moved");
	for (unsigned i = 0; i < 6; i++)
		wire_close(wires[i]);
	daemon_stop(daemon);
}

/* WCAG 2.2, 1.4.3: 4.5 to 1. */
static void what_is_written_stands_out(void **state)
{
	struct daemon *daemon = open_page(1280, false);
	json_t *faintest;

	(void)state;
	daemon_do(daemon, "app1", "kill");
	daemon_do(daemon, "app2", "drain");
	browser_await(browser, STATES " === 'down,down,up'", PATIENCE_MS);
	browser_await(browser, "document.querySelectorAll('#strips .label').length > 0", PATIENCE_MS);
	for (unsigned dark = 0; dark < 2; dark++) {
		browser_set(browser, 1280, 900, dark);
		browser_await(browser, "document.getAnimations().length === 0", PATIENCE_MS);
		faintest = browser_eval(browser, FAINTEST);
		if (json_number_value(json_array_get(faintest, 0)) < 4.5)
			fail_msg("%s: %s", dark ? "dark" : "light", json_dumps(faintest, 0));
	}
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
	/* The second that is read stays, however long its reader takes. */
	browser_eval(browser,
		"window.read = document.getElementById('readout').textContent, window.n = model.seconds.length");
	browser_await(browser, "model.seconds.length > n + 1", PATIENCE_MS);
	assert_true(json_is_true(
		browser_eval(browser, "return document.getElementById('readout').textContent === window.read")));
	/* No text lies over another. */
	assert_int_equal(json_integer_value(browser_eval(browser,
				 "const boxes = [...document.querySelectorAll('#strips text')].map((e) => "
				 "e.getBoundingClientRect());"
				 "return boxes.filter((a, i) => boxes.some((b, j) => j > i && a.left < b.right && "
				 "b.left < a.right &&"
				 "	a.top + 3 < b.bottom && b.top + 3 < a.bottom)).length")),
		0);
	expect_quiet_console();
	daemon_stop(daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_kill_is_seen_as_it_happens, daemon_cleanup),
		cmocka_unit_test_teardown(who_comes_later_sees_what_was_before, daemon_cleanup),
		cmocka_unit_test_teardown(figures_that_are_old_are_said_to_be, daemon_cleanup),
		cmocka_unit_test_teardown(a_tab_in_the_background_tells_in_its_title, daemon_cleanup),
		cmocka_unit_test_teardown(a_server_that_drains_says_so, daemon_cleanup),
		cmocka_unit_test_teardown(losses_that_come_together_have_one_label, daemon_cleanup),
		cmocka_unit_test_teardown(what_is_written_stands_out, daemon_cleanup),
		cmocka_unit_test_teardown(a_phone_and_a_keyboard_are_enough, daemon_cleanup),
	};

	return cmocka_run_group_tests_name("page in chromium", tests, open_browser, close_browser);
}
