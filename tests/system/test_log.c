/* test_log.c - whatever a client sends, a line of the log is one line, holds none of his secrets, and metrics none of
 * it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/daemon.h"
#include "support/keep.h"

/* CR LF, an escape sequence, quotes, a backslash, DEL, UTF-8 with a C1 control in it, and bytes that are no text. */
#define EVIL "a\r\n2026-01-01T00:00:00.000Z error forged x=1\x1b[31m\"'\\\x7f\xc3\xa9\xc2\x9b\xff"
/* The same where no line may end, and where a target goes on. */
#define EVIL_LINE "a\x1b[31m\"'\\\x7f\xc3\xa9\xc2\x9b\xff"
#define EVIL_ESCAPED "a%0d%0a2026%1b%5b31m%22%27%5c%7f%c3%a9%c2%9b%ff"
#define SECRET "s3cr3t-of-a-client"

/* Sent on a connection of its own, which is read to its end: what is answered is not looked at. */
static void say(const char *address, const char *bytes, size_t len)
{
	struct wire *wire = wire_open(address);
	char *reply;

	wire_send(wire, bytes, len);
	wire_shut(wire);
	(void)wire_read_all(wire, &reply, &len);
	wire_close(wire);
}

#define SAY(address, text) say(address, text, sizeof(text) - 1)

/* Every place of a request in which a client may put what it likes. */
static void say_evil(const char *address)
{
	SAY(address, EVIL);
	SAY(address, "GET /" EVIL " HTTP/1.1\r\nHost: a\r\n\r\n");
	SAY(address, "GET /" EVIL_LINE " HTTP/1.1\r\nHost: a\r\n\r\n");
	SAY(address, "GET /" EVIL_ESCAPED " HTTP/1.1\r\nHost: a\r\n\r\n");
	SAY(address, "GET /twice?" EVIL_ESCAPED " HTTP/1.1\r\nHost: a\r\n\r\n");
	SAY(address, "GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n");
	SAY(address, "GET /twice?\"'\\ HTTP/1.1\r\nHost: a\r\n\r\n");
	SAY(address, EVIL_LINE " / HTTP/1.1\r\nHost: a\r\n\r\n");
	SAY(address, "BREW / HTTP/1.1\r\nHost: a\r\n\r\n");
	SAY(address, "GET / " EVIL_LINE "\r\nHost: a\r\n\r\n");
	SAY(address, "GET / HTTP/1.1\r\nHost: " EVIL_LINE "\r\n\r\n");
	SAY(address, "GET / HTTP/1.1\r\nHost: a\r\n" EVIL_LINE ": b\r\n\r\n");
	SAY(address, "GET / HTTP/1.1\r\nHost: a\r\nX: " EVIL "\r\n\r\n");
	SAY(address, "GET /asked HTTP/1.1\r\nHost: a\r\nX-Test: \"'\\\xc3\xa9\xff\r\n\r\n");
	SAY(address, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n\r\n\x1b\"\xff");
	SAY(address, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" EVIL);
}

/* A verb with arguments; whatever the answer is, its body is one JSON object. */
static void order(struct daemon *daemon, const char *method, const char *target)
{
	struct reply *reply = wire_request(daemon_socket(daemon), method, target);
	json_t *json = json_loads(reply->body, JSON_REJECT_DUPLICATES, NULL);

	if (!json_is_object(json) || !json_is_boolean(json_object_get(json, "ok")))
		fail_msg("%s %s: %s%s", method, target, reply->head, reply->body);
	json_decref(json);
}

static void order_evil(struct daemon *daemon)
{
	order(daemon, "POST", "/v1/workers/" EVIL_ESCAPED "/kill");
	order(daemon, "POST", "/v1/workers/app2%00/kill?force=1%00");
	order(daemon, "POST", "/v1/workers/a%22%27%5c%c3%a9/kill");
	order(daemon, "POST", "/v1/workers/app2/kill?" EVIL_ESCAPED);
	order(daemon, "POST", "/v1/workers/app2/kill?%22%5c=\"'\\");
	order(daemon, "POST", "/v1/workers/app2/kill?force=" EVIL_ESCAPED);
	order(daemon, "POST", "/v1/workers/app2/kill?force=%22%5c%c3%a9");
	order(daemon, "POST", "/v1/workers/app2/drain?timeout=1s%22");
	order(daemon, "POST", "/v1/faults?ttl=1ms&status=500&path=/" EVIL_ESCAPED);
	order(daemon, "POST", "/v1/faults?ttl=1m&status=500&path=/none%20%22x%3d1%22%27%5c%c3%a9");
	order(daemon, "GET", "/v1/faults");
	order(daemon, "DELETE", "/v1/faults?id=%22%5c");
	order(daemon, "POST", "/v1/drill?action=%22%5c%c3%a9&worker=app1&for=1s");
	order(daemon, "POST", "/v1/drill?action=kill&worker=%22%5c%c3%a9&for=1s");
	order(daemon, "POST", "/v1/workers/app2/kill?force=1&&");
	order(daemon, "POST", "/v1/workers/app2/revive");
}

static void expect_text(const char *line, size_t len)
{
	unsigned year, month, day, hour, minute, second, ms;
	char level[8];
	bool quoted = false;

	if (sscanf(line, "%4u-%2u-%2uT%2u:%2u:%2u.%3uZ %7[a-z] ", &year, &month, &day, &hour, &minute, &second, &ms,
		    level) != 8 ||
		!strstr(" error warn info debug ", keepf(" %s ", level)) || year < 2026)
		fail_msg("no line of the log: %.*s", (int)len, line);
	for (size_t i = 0; i < len; i++) {
		quoted ^= line[i] == '"';
		i += quoted && line[i] == '\\';
	}
	if (quoted)
		fail_msg("a quote is open: %.*s", (int)len, line);
}

static void expect_json(const char *line, size_t len)
{
	static const char *const members[] = { "time", "level", "message" };
	json_t *json = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);

	for (size_t i = 0; i < 3; i++)
		if (!json_is_string(json_object_get(json, members[i])))
			fail_msg("no line of the log: %.*s", (int)len, line);
	json_decref(json);
}

/* Each line by itself, and no byte in it that a terminal would obey. */
static void expect_lines(const char *log, void (*expect)(const char *line, size_t len))
{
	for (const char *line = log, *end; *line; line = end + 1) {
		end = strchr(line, '\n');
		assert_non_null(end);
		for (const char *at = line; at < end; at++)
			if ((unsigned char)*at < 0x20 || (unsigned char)*at >= 0x7f)
				fail_msg("byte 0x%02x in: %.*s", (unsigned char)*at, (int)(end - line), line);
		expect(line, (size_t)(end - line));
	}
}

static void a_line_stays_one_line_whatever_is_sent(void **state)
{
	static const char *const formats[] = { "log_format=text", "log_format=json" };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct daemon *daemon = daemon_start(
			"testapp", "", "log_level=debug", "faults=on", "stall_timeout=300ms", formats[i], NULL);
		const char *log;

		say_evil(daemon_public(daemon));
		say_evil(daemon_worker(daemon, "app1"));
		say_evil(daemon_admin(daemon));
		say_evil(daemon_socket(daemon));
		order_evil(daemon);
		/* The one line of a client's that is shown. */
		SAY(daemon_public(daemon), "GET /spin/8000'%22%0a?a=" SECRET " HTTP/1.1\r\nHost: a\r\n\r\n");
		log = daemon_await_log(daemon, "/spin/8000'%22%0a?... HTTP/1.1");
		assert_non_null(strstr(log, "a request was refused"));
		assert_non_null(strstr(log, "a handler replied twice"));
		assert_non_null(strstr(log, "a control verb"));
		assert_non_null(strstr(log, "path=/none%20%22x%3d1%22%27%5c%c3%a9"));
		expect_lines(log, i ? expect_json : expect_text);
		daemon_stop(daemon);
	}
}

/* Credentials, cookies, a body, a query: of requests that are answered, refused, lost. */
static void no_secret_of_a_client_is_in_the_log(void **state)
{
#define FIELDS \
	"Host: a\r\nAuthorization: Bearer " SECRET "\r\nCookie: id=" SECRET "\r\nX-Test: " SECRET \
	"\r\nContent-Length: 18\r\n"
	static const char *const heads[] = {
		"POST /echo?token=" SECRET " HTTP/1.1\r\n" FIELDS,
		"POST /nowhere?token=" SECRET " HTTP/1.1\r\n" FIELDS,
		"PUT /echo?token=" SECRET " HTTP/1.1\r\n" FIELDS,
		"BREW /echo?token=" SECRET " HTTP/1.1\r\n" FIELDS,
		"POST /echo?token=" SECRET " HTTP/3.0\r\n" FIELDS,
		"POST /echo?token=" SECRET " HTTP/1.1\r\nX Y: " SECRET "\r\n" FIELDS,
		"POST /echo?token=" SECRET " HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" FIELDS,
		"POST /busy/6000?token=" SECRET " HTTP/1.1\r\n" FIELDS,
		"POST /stream/100000/2?token=" SECRET " HTTP/1.0\r\n" FIELDS,
	};
	struct daemon *daemon = daemon_start("testapp", "", "log_level=debug", "stall_timeout=300ms", NULL);
	struct wire *wires[sizeof(heads) / sizeof(heads[0])];
	const char *log;

	(void)state;
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		char first;

		wires[i] = wire_open(daemon_public(daemon));
		wire_putf(wires[i], "%s\r\n%s", heads[i], SECRET);
		assert_int_equal(wire_read(wires[i], &first, 1), 1);
	}
	/* The stream is cut: its worker is one of three. */
	for (unsigned i = 1; i <= 3; i++) {
		daemon_do(daemon, keepf("app%u", i), "kill?force=1");
		daemon_do(daemon, keepf("app%u", i), "revive");
	}
	log = daemon_await_log(daemon, "a streamed reply was cut short");
	assert_non_null(strstr(log, "request=\"POST /stream/100000/2?... HTTP/1.0\""));
	assert_non_null(strstr(log, "request=\"POST /busy/6000?... HTTP/1.1\""));
	assert_non_null(strstr(log, "a request was refused"));
	if (strstr(log, SECRET))
		fail_msg("%s", log);
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
		wire_close(wires[i]);
	daemon_stop(daemon);
}

/* Names and labels, without the values. */
static const char *series(const char *address)
{
	char *text = keep(strdup(wire_get(address, "/metrics")->body)), *line, *out = text, *rest = text;

	while ((line = strsep(&rest, "\n"))) {
		char *space = strrchr(line, ' ');

		if (*line == '#' || !space)
			continue;
		memmove(out, line, (size_t)(space - line));
		out += space - line;
		*out++ = '\n';
	}
	*out = '\0';
	return text;
}

static void nothing_sent_becomes_a_series(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", NULL);
	const char *addresses[] = { daemon_admin(daemon), daemon_worker(daemon, "app1") }, *before[2];

	(void)state;
	for (size_t i = 0; i < 2; i++)
		before[i] = series(addresses[i]);
	assert_non_null(strstr(before[0], "rmsd_http_responses_total{worker=\"app1\",code=\"404\"}\n"));
	say_evil(daemon_public(daemon));
	say_evil(daemon_worker(daemon, "app1"));
	for (unsigned i = 0; i < 50; i++) {
		SAY(daemon_public(daemon), "REPORT /x HTTP/1.1\r\nHost: evil.example\r\nUser-Agent: x\"}\r\n\r\n");
		(void)wire_get(daemon_public(daemon), keepf("/p%u?q=%u", i, i));
	}
	for (size_t i = 0; i < 2; i++)
		assert_string_equal(series(addresses[i]), before[i]);
	daemon_stop(daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_line_stays_one_line_whatever_is_sent, daemon_cleanup),
		cmocka_unit_test_teardown(no_secret_of_a_client_is_in_the_log, daemon_cleanup),
		cmocka_unit_test_teardown(nothing_sent_becomes_a_series, daemon_cleanup),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
