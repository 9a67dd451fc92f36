/* test_access_line.c - a line of the access log, whatever the request looked like: its form, its escapes, its length.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/ring.h"
#include "http/access_line.h"

#define PARENT "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

/* Kept until the next call. */
static const char *line(const char *head, size_t len, bool json)
{
	static char buf[RING_LINE_MAX + 1];
	/* A copy without a byte behind it: a sanitizer sees who reads on. */
	char *copy = malloc(len ? len : 1);
	struct access_stamp stamp = { .second = -1 };
	struct access_facts facts = {
		.stamp = &stamp,
		.client = "192.0.2.7",
		.client_len = 9,
		.worker = "app1",
		.worker_len = 4,
		.head = copy,
		.head_len = len,
		.status = 200,
		.body_len = 28,
		.duration_ns = 1000042999,
		.cause = CAUSE_OK,
		.attempts = 1,
	};
	size_t n;

	assert_non_null(copy);
	memcpy(copy, head, len);
	access_stamp_update(&stamp, 1795701336, json);
	n = access_line_make(buf, &facts, json);
	free(copy);
	assert_true(n <= RING_LINE_MAX);
	assert_int_equal(buf[n - 1], '\n');
	buf[n] = '\0';
	return buf;
}

#define LINE(head, json) line(head, sizeof(head) - 1, json)

static void the_combined_format_is_apaches_with_ours_behind_it(void **state)
{
	(void)state;
	assert_string_equal(LINE("GET /a HTTP/1.1\r\nHost: a\r\nReferer: http://b/\r\nUser-Agent:  x/1 (y) \r\n"
				 "x-request-id: my-id\r\nTraceParent: " PARENT "\r\n\r\n",
				    false),
		"192.0.2.7 - - [26/Nov/2026:13:55:36 +0000] \"GET /a HTTP/1.1\" 200 28 \"http://b/\" \"x/1 (y)\" "
		"id=my-id worker=app1 duration=1.000042 cause=ok attempts=1 trace=" PARENT "\n");
}

static void json_says_the_same(void **state)
{
	(void)state;
	assert_string_equal(LINE("GET /a HTTP/1.1\r\nHost: a\r\nReferer: http://b/\r\nUser-Agent:  x/1 (y) \r\n"
				 "x-request-id: my-id\r\nTraceParent: " PARENT "\r\n\r\n",
				    true),
		"{\"time\":\"2026-11-26T13:55:36Z\",\"client\":\"192.0.2.7\",\"method\":\"GET\",\"target\":\"/a\","
		"\"version\":\"HTTP/1.1\",\"status\":200,\"bytes\":28,\"referer\":\"http://b/\",\"agent\":\"x/1 (y)\","
		"\"id\":\"my-id\",\"worker\":\"app1\",\"duration\":1.000042,\"cause\":\"ok\",\"attempts\":1,"
		"\"trace\":\"" PARENT "\"}\n");
}

struct shown {
	const char *head;
	const char *text; /* that the line holds */
};

static void each_field_is_found_or_left_out(void **state)
{
	static const struct shown cases[] = {
		{ "GET / HTTP/1.1\r\n\r\n", "200 28 \"-\" \"-\" id=" },
		{ "GET / HTTP/1.1\r\n\r\n", " trace=-\n" },
		{ "\r\nGET / HTTP/1.1\r\n\r\n", "] \"GET / HTTP/1.1\" 200" },
		{ "GET / HTTP/1.1\nUser-Agent: x\n\n", "\"GET / HTTP/1.1\" 200 28 \"-\" \"x\" id" },
		{ "GET / HTTP/1.1\r\nUser-Agent:\r\n\r\n", "\"-\" \"\" id=" },
		{ "GET / HTTP/1.1\r\nUser-Agent: first\r\nUser-Agent: second\r\n\r\n", "\"first\" id=" },
		{ "GET / HTTP/1.1\r\nUser-Agents: x\r\nUser-Agen: y\r\n\r\n", "\"-\" \"-\" id=" },
		{ "GET / HTTP/1.1\r\nX: 1\r\nReferer : x\r\n\r\n", "28 \"-\" \"-\" id=" },
		{ "GET / HTTP/1.1\r\n\r\nUser-Agent: a body's\r\n", "28 \"-\" \"-\" id=" },
		{ "GET / HTTP/1.1\r\nX-Request-Id: \t a \t\r\n\r\n", " id=a worker=" },
		{ "GET / HTTP/1.1\r\nTraceparent: " PARENT "\r\n\r\n", " trace=" PARENT "\n" },
		{ "GET / HTTP/1.1\r\nTraceparent: " PARENT "0\r\n\r\n", " trace=-\n" },
		{ "GET / HTTP/1.1\r\nTraceparent: " PARENT "\r\ntraceparent: " PARENT "\r\n\r\n", " trace=-\n" },
		{ "GET /a?b=c HTTP/1.1\r\n\r\n", "\"GET /a?... HTTP/1.1\" 200" },
		{ "GET /a?b=c", "\"GET /a?...\" 200" },
		{ "/a?b=c d", "\"/a?...\" 200" },
		{ "GET /a?b=c d?e HTTP/1.1\r\n\r\n", "\"GET /a?... HTTP/1.1\" 200" },
		{ "GET /a?b=c d\r\n\r\n", "\"GET /a?...\" 200" },
		{ "a?b=c d HTTP/1.1\r\n\r\n", "\"a?...\" 200" },
		{ "GET http://me:mine@b/c?d HTTP/1.1\r\n\r\n", "\"GET http://...@b/c?... HTTP/1.1\" 200" },
		{ "GET http://me:@@b HTTP/1.1\r\n\r\n", "\"GET http://...@b HTTP/1.1\" 200" },
		{ "GET http://b/@c HTTP/1.1\r\n\r\n", "\"GET http://b/@c HTTP/1.1\" 200" },
		{ "GET /@a?://b@c HTTP/1.1\r\n\r\n", "\"GET /@a?... HTTP/1.1\" 200" },
		{ "GET / HTTP/1.1\r\nReferer: http://me:mine@b/?c@d\r\n\r\n", " \"http://...@b/?...\" \"-\"" },
		{ "GET / HTTP/1.1\r\nReferer: //me:mine@b/c\r\n\r\n", " \"//...@b/c\" \"-\"" },
		{ "GET / HTTP/1.1\r\nReferer: /b//c@d\r\n\r\n", " \"/b//c@d\" \"-\"" },
		{ "GET //me:mine@b/c HTTP/1.1\r\n\r\n", "\"GET //...@b/c HTTP/1.1\" 200" },
		{ "GET /b/@c HTTP/1.1\r\n\r\n", "\"GET /b/@c HTTP/1.1\" 200" },
		{ "CONNECT me:mine@b:443 HTTP/1.1\r\n\r\n", "\"CONNECT ...@b:443 HTTP/1.1\" 200" },
		{ "GET / HTTP/1.1\rAuthorization: Basic eDp5\r\n\r\n", "\"GET / HTTP/1.1\\x0d\" 200" },
		{ "GET / HTTP/1.1\r\nReferer: http://b/c?d=e\r\n\r\n", " \"http://b/c?...\" \"-\"" },
		{ "GET / HTTP/1.1\r\nUser-Agent: x (http://a@b/?y) z\r\n\r\n", " \"-\" \"x (http://a@b/?y) z\"" },
		{ "", "] \"-\" 200" },
		{ "\r\n", "] \"-\" 200" },
		{ "\n", "] \"-\" 200" },
		{ " ", "] \" \" 200" },
		{ "  ", "] \"  \" 200" },
		{ "GET", "] \"GET\" 200" },
		{ "GET / HTTP/1.1\r\nUser", "\"GET / HTTP/1.1\" 200 28 \"-\" \"-\"" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *made = line(cases[i].head, strlen(cases[i].head), false);

		if (!strstr(made, cases[i].text))
			fail_msg("%s: no %s in %s", cases[i].head, cases[i].text, made);
	}
}

/* Each byte that there is, in each place, on each step of eight. */
static void a_line_is_one_line_of_printable_ascii(void **state)
{
	static const char *const places[] = { "%s", "GET /%s HTTP/1.1\r\n\r\n", "%s / HTTP/1.1\r\n\r\n",
		"GET / %s\r\n\r\n", "GET / HTTP/1.1\r\nUser-Agent: %s\r\n\r\n", "GET / HTTP/1.1\r\nReferer: %s\r\n\r\n",
		"GET / HTTP/1.1\r\nX-Request-Id: %s\r\n\r\n", "GET / HTTP/1.1\r\nTraceparent: %s\r\n\r\n" };

	(void)state;
	for (unsigned n = 0; n < 256u * 8 * 8; n++) {
		const char *place = places[n / 256 % 8], *hole = strchr(place, '%');
		char head[128], wanted[32];
		size_t at = (size_t)(hole - place);
		json_t *json;
		const char *made;

		memcpy(head, place, at);
		memset(head + at, 'x', 16);
		head[at + n / 2048] = (char)(n % 256);
		memcpy(head + at + 16, hole + 2, strlen(hole + 2));
		made = line(head, at + 16 + strlen(hole + 2), false);
		for (const char *c = made; c[1]; c++)
			if (*c < ' ' || *c >= 0x7f)
				fail_msg("byte 0x%02x in %s", (unsigned char)*c, made);
		if (n / 256 % 8 == 4 && n % 256 != ' ' && n % 256 != '\t' && n % 256 != '\n') {
			unsigned char c = (unsigned char)(n % 256);

			if (c == '\\' || c == '"')
				snprintf(wanted, sizeof(wanted), "\\%c", c);
			else
				snprintf(wanted, sizeof(wanted), c < ' ' || c >= 0x7f ? "\\x%02x" : "%c", c);
			if (!strstr(made, wanted))
				fail_msg("no %s in %s", wanted, made);
		}
		made = line(head, at + 16 + strlen(hole + 2), true);
		json = json_loads(made, JSON_REJECT_DUPLICATES, NULL);
		if (!json || strlen(made) != strcspn(made, "\n") + 1)
			fail_msg("%s", made);
		json_decref(json);
	}
}

static void json_holds_the_text_that_the_other_format_shows(void **state)
{
	json_t *json = json_loads(
		LINE("GET /\xc3\xa9\"\\ HTTP/1.1\r\nUser-Agent: \x1b[31m\r\n\r\n", true), JSON_REJECT_DUPLICATES, NULL);

	(void)state;
	assert_string_equal(json_string_value(json_object_get(json, "target")), "/\\xc3\\xa9\"\\");
	assert_string_equal(json_string_value(json_object_get(json, "agent")), "\\x1b[31m");
	assert_true(json_is_null(json_object_get(json, "referer")));
	json_decref(json);
}

/* All that a client may make long, as long as it likes. */
static void a_long_request_is_cut(void **state)
{
	enum { LONG = 20000 };
	static const char *const fields[] = { "Referer", "User-Agent", "X-Request-Id", "Traceparent" };
	static const char fills[] = { 'x', '\x01', '"', '?', ' ', '\xff', ':' };
	char *head = malloc(8 * LONG);

	(void)state;
	assert_non_null(head);
	for (size_t i = 0; i < 2 * sizeof(fills); i++) {
		char *at = head;

		memset(at, fills[i / 2], LONG);
		at[LONG / 2] = at[LONG - 10] = ' ';
		at += LONG;
		for (size_t j = 0; j < 4; j++) {
			at += sprintf(at, "\r\n%s: ", fields[j]);
			memset(at, fills[i / 2], LONG);
			at += LONG;
		}
		assert_true(strlen(line(head, (size_t)(at - head), i % 2)) <= RING_LINE_MAX);
	}
	free(head);
	assert_non_null(strstr(LINE("GET /aaaaaaaaaaaaaaaaaaaa", false), "\"GET /aaaaaaaaaaaaaaaaaaaa\""));
}

static void the_stamp_is_that_of_its_second(void **state)
{
	struct access_stamp stamp = { .second = -1 };

	(void)state;
	access_stamp_update(&stamp, 0, false);
	assert_memory_equal(stamp.text, "01/Jan/1970:00:00:00 +0000", stamp.len);
	access_stamp_update(&stamp, 1709251199, false);
	assert_memory_equal(stamp.text, "29/Feb/2024:23:59:59 +0000", stamp.len);
	access_stamp_update(&stamp, 1709251200, true);
	assert_memory_equal(stamp.text, "2024-03-01T00:00:00Z", stamp.len);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_combined_format_is_apaches_with_ours_behind_it),
		cmocka_unit_test(json_says_the_same),
		cmocka_unit_test(each_field_is_found_or_left_out),
		cmocka_unit_test(a_line_is_one_line_of_printable_ascii),
		cmocka_unit_test(json_holds_the_text_that_the_other_format_shows),
		cmocka_unit_test(a_long_request_is_cut),
		cmocka_unit_test(the_stamp_is_that_of_its_second),
	};

	return cmocka_run_group_tests_name("access_line", tests, NULL, NULL);
}
