/* browser.c - requests to chromedriver, each with its answer. */
#include "support/browser.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/keep.h"
#include "support/program.h"
#include "support/running.h"
#include "support/scratch.h"
#include "support/wire.h"

enum { START_MS = 30000 };

struct browser {
	const char *dir, *address, *session;
	pid_t driver;
};

/* The value of the answer, kept; failing the test if there is none. */
static json_t *call(const struct browser *browser, const char *method, const char *path, json_t *body)
{
	char *text = body ? keep(json_dumps(body, JSON_COMPACT)) : keepf("%s", "");
	struct wire *wire = wire_open(browser->address);
	struct reply *reply;
	json_t *answer;

	wire_putf(wire, "%s %s%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n", method,
		browser->session ? keepf("/session/%s", browser->session) : "", path, strlen(text));
	wire_put(wire, text);
	reply = wire_reply(wire);
	wire_close(wire);
	json_decref(body);
	answer = json_loads(reply->body, 0, NULL);
	if (reply->status != 200 || !json_is_object(answer))
		fail_msg("%s %s: %d %s", method, path, reply->status, reply->body);
	keep(answer);
	return json_object_get(answer, "value");
}

static bool is_installed(void)
{
	return program_call("sh", "-c", "command -v chromedriver && command -v chromium", NULL)->status == 0;
}

static void start_driver(struct browser *browser)
{
	static const char said[] = "started successfully on port ";
	const char *log = keepf("%s/log", browser->dir), *at;
	double until = wire_clock_ms() + START_MS;

	browser->driver = program_start((const char *[]){ "chromedriver", "--port=0", NULL }, log, log);
	while (!(at = strstr(program_file(log, NULL), said))) {
		if (wire_clock_ms() > until)
			fail_msg("chromedriver: %s", program_file(log, NULL));
		pause_ms(20);
	}
	browser->address = keepf("127.0.0.1:%d", atoi(at + strlen(said)));
}

/* As root it has no sandbox; without the rest it looks for hosts of its maker. */
static json_t *capabilities(const struct browser *browser)
{
	return json_pack("{s:{s:{s:{s:[s,s,s,s,s,s,s,s,s]},s:{s:s,s:s}}}}", "capabilities", "alwaysMatch",
		"goog:chromeOptions", "args", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
		"--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		keepf("--user-data-dir=%s/profile", browser->dir), "goog:loggingPrefs", "browser", "ALL", "performance",
		"ALL");
}

struct browser *browser_open(void)
{
	struct browser *browser = keep(calloc(1, sizeof(*browser)));
	json_t *value;

	if (!is_installed()) {
		fprintf(stderr, "NOT RUN: no chromium, or no chromedriver\n");
		if (getenv("RMSD_REQUIRE_CHROMIUM"))
			fail_msg("RMSD_REQUIRE_CHROMIUM is set");
		return NULL;
	}
	browser->dir = scratch_make();
	start_driver(browser);
	value = call(browser, "POST", "/session", capabilities(browser));
	browser->session = json_string_value(json_object_get(value, "sessionId"));
	assert_non_null(browser->session);
	return browser;
}

void browser_close(struct browser *browser)
{
	if (!browser)
		return;
	if (browser->session)
		call(browser, "DELETE", "", NULL);
	kill(browser->driver, SIGTERM);
	program_wait(browser->driver, START_MS);
	scratch_remove(browser->dir);
}

void browser_set(struct browser *browser, unsigned width, unsigned height, bool dark)
{
	call(browser, "POST", "/goog/cdp/execute",
		json_pack("{s:s,s:{s:[{s:s,s:s}]}}", "cmd", "Emulation.setEmulatedMedia", "params", "features", "name",
			"prefers-color-scheme", "value", dark ? "dark" : "light"));
	/* No window is as narrow as a phone; a page may be. */
	call(browser, "POST", "/goog/cdp/execute",
		json_pack("{s:s,s:{s:i,s:i,s:i,s:b}}", "cmd", "Emulation.setDeviceMetricsOverride", "params", "width",
			(int)width, "height", (int)height, "deviceScaleFactor", 1, "mobile", 0));
}

void browser_go(struct browser *browser, const char *url)
{
	call(browser, "POST", "/url", json_pack("{s:s}", "url", "about:blank"));
	browser_requests(browser);
	browser_console(browser);
	call(browser, "POST", "/url", json_pack("{s:s}", "url", url));
}

json_t *browser_eval(struct browser *browser, const char *script)
{
	return call(browser, "POST", "/execute/sync", json_pack("{s:s,s:[]}", "script", script, "args"));
}

double browser_await(struct browser *browser, const char *expression, int ms)
{
	const char *script = keepf("return Boolean(%s)", expression);
	double begun = wire_clock_ms();

	while (!json_is_true(browser_eval(browser, script))) {
		if (wire_clock_ms() - begun > ms)
			fail_msg("not within %d ms: %s; the page: %s", ms, expression,
				json_string_value(browser_eval(browser, "return document.body.innerText")));
		pause_ms(20);
	}
	return wire_clock_ms() - begun;
}

json_t *browser_console(struct browser *browser)
{
	return call(browser, "POST", "/se/log", json_pack("{s:s}", "type", "browser"));
}

json_t *browser_requests(struct browser *browser)
{
	json_t *log = call(browser, "POST", "/se/log", json_pack("{s:s}", "type", "performance"));
	json_t *urls = keep(json_array()), *entry;
	size_t i;

	json_array_foreach(log, i, entry) {
		json_t *text = json_object_get(entry, "message");
		json_t *all = keep(json_loads(json_string_value(text), 0, NULL)), *message, *params;

		message = json_object_get(all, "message");
		params = json_object_get(message, "params");
		if (!strcmp(json_string_value(json_object_get(message, "method")), "Network.requestWillBeSent"))
			json_array_append(urls, json_object_get(json_object_get(params, "request"), "url"));
	}
	return urls;
}
