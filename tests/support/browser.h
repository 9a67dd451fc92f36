/*
 * browser.h - Chromium without a window, driven through chromedriver (W3C WebDriver over HTTP).
 *
 * Thread: the test's.
 */
#ifndef RMSD_TESTS_BROWSER_H
#define RMSD_TESTS_BROWSER_H

#include <stdbool.h>

#include <jansson.h>

struct browser;

/* NULL, and a line on stderr: it is not installed. That fails the test if $RMSD_REQUIRE_CHROMIUM is set. */
struct browser *browser_open(void);
/* Accepts NULL. To be called after a failed test, too: a browser goes on by itself. */
void browser_close(struct browser *browser);
/* The size of its window, which may be a phone's; and what a page is told that its reader prefers. */
void browser_set(struct browser *browser, unsigned width, unsigned height, bool dark);
/* What the page before has left in the console and among the requests is forgotten. */
void browser_go(struct browser *browser, const char *url);
/* What a function body returns, kept. */
json_t *browser_eval(struct browser *browser, const char *script);
/* Waits until an expression is true; how many milliseconds that took. */
double browser_await(struct browser *browser, const char *expression, int ms);
/* The console so far, since the last call; an array of {"level","message",...}, kept. */
json_t *browser_console(struct browser *browser);
/* The URLs that were asked for so far, since the last call; an array of strings, kept. */
json_t *browser_requests(struct browser *browser);

#endif
