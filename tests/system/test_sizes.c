/*
 * test_sizes.c - each limit of a size, one byte below it, at it and one above; whole, with the last byte on its own,
 * and behind another request.
 */
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

enum { HEADER = 1024, URI = 900, BODY = 1000 };

#define CHUNKED "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

static char *fill(char byte, size_t n)
{
	char *text = keep(malloc(n + 1));

	memset(text, byte, n);
	text[n] = 0;
	return text;
}

/* Each makes a request in which what is limited has n bytes. */

static char *head_of_one_field(size_t n)
{
	static const char before[] = "GET / HTTP/1.1\r\nHost: a\r\nX: ";

	return keepf("%s%s\r\n\r\n", before, fill('x', n - strlen(before) - 4));
}

static char *fields(size_t n, const char *before, const char *after)
{
	static const char field[] = "X-Name: value\r\n";
	const size_t len = strlen(field), around = strlen(before) + strlen(after);
	char *text = keep(calloc(1, n + 1));
	size_t at;

	strcpy(text, before);
	for (at = strlen(before); at + 2 * len + strlen(after) <= n; at += len)
		strcpy(text + at, field);
	/* The last one takes what is left. */
	assert_true(n > around + 2 * len);
	sprintf(text + at, "Y: %s\r\n%s", fill('y', n - at - strlen(after) - 5), after);
	assert_int_equal(strlen(text), n);
	return text;
}

static char *head_of_many_fields(size_t n)
{
	return fields(n, "GET / HTTP/1.1\r\nHost: a\r\n", "\r\n");
}

static char *target(size_t n)
{
	return keepf("GET /?%s HTTP/1.1\r\nHost: a\r\n\r\n", fill('q', n - 2));
}

static char *absolute_target(size_t n)
{
	return keepf("GET http://a/?%s HTTP/1.1\r\nHost: a\r\n\r\n", fill('q', n - strlen("http://a/?")));
}

static char *body_of_known_length(size_t n)
{
	return keepf("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n%s", n, fill('b', n));
}

static char *body_in_a_chunk(size_t n)
{
	return keepf(CHUNKED "%zx\r\n%s\r\n0\r\n\r\n", n, fill('b', n));
}

static char *body_in_chunks(size_t n)
{
	char *text = keep(calloc(1, strlen(CHUNKED) + 4 * n));
	size_t at = (size_t)sprintf(text, CHUNKED);

	for (; n > 9; n -= 9)
		at += (size_t)sprintf(text + at, "9\r\nbbbbbbbbb\r\n");
	sprintf(text + at, "%zx\r\n%s\r\n0\r\n\r\n", n, fill('b', n));
	return text;
}

static char *body_by_the_piece(size_t n)
{
	return keepf("POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%zx\r\n%s\r\n0\r\n\r\n", n,
		fill('b', n));
}

static char *trailer(size_t n)
{
	return keepf(CHUNKED "0\r\nX: %s\r\n\r\n", fill('t', n - 7));
}

static char *trailers(size_t n)
{
	return keepf(CHUNKED "1\r\nb\r\n0\r\n%s", fields(n, "", "\r\n"));
}

/* Chunk lines, with the data: the data pays for as many bytes again. n: that of the lines, less that of the data. */
static char *extension(size_t n)
{
	return keepf(CHUNKED "0;%s\r\n\r\n", fill('e', n - 4));
}

static char *extension_behind_data(size_t n)
{
	/* "5 CRLF", "CRLF" */
	return keepf(CHUNKED "5\r\nhello\r\n0;%s\r\n\r\n", fill('e', n + 5 - 5 - 4));
}

static char *extensions(size_t n)
{
	/* 100 lines of one byte of data each cost 9 more than that. */
	char *text = keep(calloc(1, strlen(CHUNKED) + 2 * n + 4096));
	size_t at = (size_t)sprintf(text, CHUNKED), i;

	for (i = 0; i < 100; i++)
		at += (size_t)sprintf(text + at, "1;eeee\r\nb\r\n");
	sprintf(text + at, "0;%s\r\n\r\n", fill('e', n - 900 - 4));
	return text;
}

static const struct {
	const char *name;
	char *(*make)(size_t n);
	size_t limit;
	int status; /* of more */
} rows[] = {
	{ "head of one field", head_of_one_field, HEADER, 431 },
	{ "head of many fields", head_of_many_fields, HEADER, 431 },
	{ "target", target, URI, 414 },
	{ "target in absolute-form", absolute_target, URI, 414 },
	{ "body of a known length", body_of_known_length, BODY, 413 },
	{ "body in a chunk", body_in_a_chunk, BODY, 413 },
	{ "body in chunks", body_in_chunks, BODY, 413 },
	{ "body by the piece", body_by_the_piece, BODY, 413 },
	{ "one trailer", trailer, HEADER, 431 },
	{ "many trailers", trailers, HEADER, 431 },
	{ "chunk extension", extension, HEADER, 413 },
	{ "chunk extension behind data", extension_behind_data, HEADER, 413 },
	{ "chunk extensions", extensions, HEADER, 413 },
};

enum way { WHOLE, LAST_BYTE_ALONE, BEHIND_ANOTHER, BYTE_BY_BYTE, WAYS };

static void send_so(struct wire *wire, const char *text, enum way way)
{
	size_t len = strlen(text), i;

	if (way == BEHIND_ANOTHER) {
		wire_putf(wire, "GET /echo/before HTTP/1.1\r\nHost: a\r\n\r\n%s", text);
		reply_expect(wire_reply(wire), 200, "before");
	} else if (way == BYTE_BY_BYTE) {
		for (i = 0; i < len; i++)
			wire_send(wire, text + i, 1);
	} else if (way == LAST_BYTE_ALONE) {
		wire_send(wire, text, len - 1);
		/* Nothing, until it is there. */
		assert_int_equal(wire_end(wire, 5), WIRE_QUIET);
		wire_send(wire, text + len - 1, 1);
	} else {
		wire_put(wire, text);
	}
}

static void within(struct daemon *daemon, const char *name, const char *text, enum way way)
{
	struct wire *wire = wire_open(daemon_public(daemon));
	struct reply *reply;

	send_so(wire, text, way);
	reply = wire_reply(wire);
	if (reply->status != 200)
		fail_msg("%s: 200 expected: %s%s", name, reply->head, reply->body);
	/* And the connection goes on behind its last byte. */
	wire_expect_alive(wire);
	wire_close(wire);
}

static void beyond(struct daemon *daemon, const char *name, const char *text, enum way way, int status)
{
	struct wire *wire = wire_open(daemon_public(daemon));
	struct reply *reply;

	if (way == LAST_BYTE_ALONE || way == BYTE_BY_BYTE)
		way = WHOLE; /* it may be refused before its end */
	send_so(wire, text, way);
	reply = wire_reply(wire);
	if (reply->status != status)
		fail_msg("%s: %d expected: %s%s", name, status, reply->head, reply->body);
	reply_expect_field(reply, "Connection", "close");
	wire_expect_eof(wire);
	wire_close(wire);
}

static void each_size_may_be_as_large_as_its_limit_and_no_larger(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", keepf("max_header_size=%d", HEADER),
		keepf("max_uri_size=%d", URI), keepf("max_body_size=%d", BODY), NULL);
	size_t i;
	int way;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (way = 0; way < WAYS; way++) {
			within(daemon, keepf("%s, below, way %d", rows[i].name, way), rows[i].make(rows[i].limit - 1),
				(enum way)way);
			within(daemon, keepf("%s, at, way %d", rows[i].name, way), rows[i].make(rows[i].limit),
				(enum way)way);
			beyond(daemon, keepf("%s, above, way %d", rows[i].name, way), rows[i].make(rows[i].limit + 1),
				(enum way)way, rows[i].status);
		}
	}
	daemon_stop(daemon);
}

/* What can only become too large is not waited for: it would be bytes that somebody has to keep. */
static void what_is_too_large_is_refused_before_its_end(void **state)
{
	static const struct {
		const char *name, *before;
		char byte;
		size_t n;
		int status;
	} unended[] = {
		{ "target", "GET /", 'x', URI, 414 },
		{ "method", "", 'M', HEADER + 1, 431 },
		{ "field name", "GET / HTTP/1.1\r\n", 'N', HEADER, 431 },
		{ "value", "GET / HTTP/1.1\r\nHost: ", 'v', HEADER, 431 },
		{ "chunk extension", CHUNKED "1;", 'e', HEADER, 413 },
		{ "chunk size", CHUNKED, '0', HEADER + 1, 413 },
		{ "trailer", CHUNKED "0\r\nX: ", 't', HEADER, 431 },
		{ "announced body", "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n", 'b', 0, 413 },
		{ "announced chunk", CHUNKED "3e9\r\n", 'b', 0, 413 },
		{ "announced second chunk", CHUNKED "1\r\nb\r\n3e8\r\n", 'b', 0, 413 },
	};
	struct daemon *daemon = daemon_start("testapp", "", keepf("max_header_size=%d", HEADER),
		keepf("max_uri_size=%d", URI), keepf("max_body_size=%d", BODY), NULL);
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(unended) / sizeof(unended[0]); i++)
		beyond(daemon, unended[i].name, keepf("%s%s", unended[i].before, fill(unended[i].byte, unended[i].n)),
			WHOLE, unended[i].status);
	daemon_stop(daemon);
}

static void no_bodies_at_all_may_be_the_limit(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", "max_body_size=0", NULL);

	(void)state;
	within(daemon, "no length", "POST /echo HTTP/1.1\r\nHost: a\r\n\r\n", WHOLE);
	within(daemon, "length 0", "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", WHOLE);
	within(daemon, "no chunk", CHUNKED "0\r\n\r\n", WHOLE);
	beyond(daemon, "length 1", "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nb", WHOLE, 413);
	beyond(daemon, "a chunk", CHUNKED "1\r\nb\r\n0\r\n\r\n", WHOLE, 413);
	daemon_stop(daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(each_size_may_be_as_large_as_its_limit_and_no_larger, daemon_cleanup),
		cmocka_unit_test_teardown(what_is_too_large_is_refused_before_its_end, daemon_cleanup),
		cmocka_unit_test_teardown(no_bodies_at_all_may_be_the_limit, daemon_cleanup),
	};

	return cmocka_run_group_tests_name("sizes", tests, NULL, NULL);
}
