/* test_semantics.c - what a request means: its path, its host, its expectation; how many of them a connection may make.
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

static void a_path_is_looked_up_by_its_one_spelling(void **state)
{
	static const struct {
		const char *target;
		int status;
		const char *body;
	} rows[] = {
		{ "/host?/../x", 200, "a /host?/../x\n" },
		{ "/%68ost", 200, "a /host?\n" },
		{ "/x/../host", 200, "a /host?\n" },
		{ "/x/%2e%2E/./host?%2e", 200, "a /host?%2e\n" },
		{ "/echo/%41%2f..%2fb", 200, "A%2f..%2fb" },
		{ "/echo/../host", 200, "a /host?\n" },
		{ "/echo/..", 200, NULL },
		{ "//host", 404, NULL },
		{ "/host/", 404, NULL },
		{ "/HOST", 404, NULL },
		{ "/..", 400, NULL },
		{ "/host/../../host", 400, NULL },
		{ "/%2e%2e/host", 400, NULL },
		{ "/host%00", 400, NULL },
		{ "/host%zz", 400, NULL },
	};
	struct daemon *daemon = daemon_start("testapp", "", NULL);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct wire *wire = wire_open(daemon_public(daemon));

		printf("%s\n", rows[i].target);
		wire_putf(wire, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", rows[i].target);
		reply_expect(wire_reply(wire), rows[i].status, rows[i].body);
		wire_close(wire);
	}
	daemon_stop(daemon);
}

static void the_host_of_an_absolute_target_is_the_one_that_counts(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", NULL);
	struct wire *wire = wire_open(daemon_public(daemon));

	(void)state;
	wire_put(wire, "GET http://right:81/host?q HTTP/1.1\r\nHost: wrong\r\n\r\n");
	reply_expect(wire_reply(wire), 200, "right:81 /host?q\n");
	wire_put(wire, "GET HTTP://right/x/../%68ost HTTP/1.1\r\nHost: wrong\r\n\r\n");
	reply_expect(wire_reply(wire), 200, "right /host?\n");
	wire_put(wire, "GET http://right HTTP/1.1\r\nHost: wrong\r\n\r\n");
	reply_expect(wire_reply(wire), 200, NULL);
	wire_put(wire, "GET http://right/host HTTP/1.1\r\n\r\n");
	reply_expect(wire_reply(wire), 400, NULL);
	wire_close(wire);
	daemon_stop(daemon);
}

static char *post(const char *path, const char *more)
{
	return keepf("POST %s HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n%s\r\n\r\n", path, more);
}

/* Nothing of its body is asked for, and nothing that follows is taken for a request. */
static void a_body_that_is_not_wanted_is_not_asked_for(void **state)
{
	static const struct {
		const char *path, *more;
		int status;
	} rows[] = {
		{ "/nowhere", "Content-Length: 5", 404 },
		{ "/nowhere", "Transfer-Encoding: chunked", 404 },
		{ "/host", "Content-Length: 5", 405 },
		{ "/echo", "Content-Length: 1025", 413 },
		{ "/echo", "Content-Length: 5\r\nExpect: 100-continue", 400 },
		{ "/x/../nowhere", "Content-Length: 5", 404 },
	};
	struct daemon *daemon = daemon_start("testapp", "", "max_body_size=1k", NULL);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct wire *wire = wire_open(daemon_public(daemon));
		struct reply *reply;

		printf("%s, %s\n", rows[i].path, rows[i].more);
		wire_put(wire, post(rows[i].path, rows[i].more));
		reply = wire_reply(wire);
		reply_expect(reply, rows[i].status, NULL);
		reply_expect_field(reply, "Connection", "close");
		if (rows[i].status == 405)
			reply_expect_field(reply, "Allow", "GET, HEAD, OPTIONS");
		wire_put(wire, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
		wire_expect_eof(wire);
		wire_close(wire);
	}
	daemon_stop(daemon);
}

static void a_body_that_is_wanted_is_asked_for_once(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", "max_body_size=1k", NULL);
	struct wire *wire = wire_open(daemon_public(daemon));

	(void)state;
	wire_put(wire, post("/x/../%65cho", "Content-Length: 1024"));
	assert_int_equal(wire_reply_head(wire)->status, 100);
	wire_put(wire, "half of it");
	wire_put(wire, keepf("%01014d", 7));
	reply_expect(wire_reply(wire), 200, keepf("half of it%01014d", 7));
	/* Who did not wait is not told to go on. */
	wire_putf(wire, "%shello", post("/echo", "Content-Length: 5"));
	reply_expect(wire_reply(wire), 200, "hello");
	wire_putf(wire, "%shello", post("/nowhere", "Content-Length: 5"));
	reply_expect(wire_reply(wire), 404, NULL);
	wire_put(wire, post("/echo", "Content-Length: 0"));
	reply_expect(wire_reply(wire), 200, "");
	wire_put(wire, "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: wonders\r\nContent-Length: 5\r\n\r\n");
	reply_expect(wire_reply(wire), 417, NULL);
	wire_expect_eof(wire);
	wire_close(wire);
	/* HTTP/1.0 knows no interim replies. */
	wire = wire_open(daemon_public(daemon));
	wire_put(wire, "POST /echo HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
	wire_put(wire, "ok");
	reply_expect(wire_reply(wire), 200, "ok");
	wire_close(wire);
	daemon_stop(daemon);
}

static void a_connection_may_make_so_many_requests(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", "keepalive_requests=3", NULL);
	struct wire *wire = wire_open(daemon_public(daemon));
	struct reply *reply = NULL;

	(void)state;
	/* One by one, deferred among them; then more than that in one piece. */
	for (int i = 0; i < 3; i++) {
		wire_putf(wire, "GET /slow/%d HTTP/1.1\r\nHost: a\r\n\r\n", i);
		reply = wire_reply(wire);
		reply_expect(reply, 200, NULL);
		assert_true(i == 2 || !reply_field(reply, "Connection"));
	}
	reply_expect_field(reply, "Connection", "close");
	wire_expect_eof(wire);
	wire_close(wire);
	wire = wire_open(daemon_public(daemon));
	for (int i = 0; i < 4; i++)
		wire_put(wire, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	for (int i = 0; i < 3; i++)
		reply = wire_reply(wire);
	reply_expect_field(reply, "Connection", "close");
	wire_expect_eof(wire);
	wire_close(wire);
	/* What the app streams, and what no handler answers, counts as well. */
	wire = wire_open(daemon_public(daemon));
	wire_put(wire, "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n");
	reply_expect(wire_reply(wire), 404, NULL);
	wire_put(wire, "GET /stream-now/1 HTTP/1.1\r\nHost: a\r\n\r\n");
	reply_expect(wire_reply(wire), 200, NULL);
	wire_put(wire, "GET /stream-now/1 HTTP/1.1\r\nHost: a\r\n\r\n");
	reply = wire_reply(wire);
	reply_expect_field(reply, "Connection", "close");
	wire_expect_eof(wire);
	wire_close(wire);
	daemon_stop(daemon);
}

static void a_connection_takes_its_count_along(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", "keepalive_requests=2", NULL);
	struct wire *wire = wire_open(daemon_public(daemon));
	struct reply *reply;

	(void)state;
	wire_put(wire, "GET /worker HTTP/1.1\r\nHost: a\r\n\r\n");
	reply = wire_reply(wire);
	daemon_do(daemon, keepf("%.4s", reply->body), "kill");
	wire_put(wire, "GET /worker HTTP/1.1\r\nHost: a\r\n\r\n");
	reply = wire_reply(wire);
	reply_expect_field(reply, "Connection", "close");
	wire_expect_eof(wire);
	wire_close(wire);
	daemon_stop(daemon);
}

/* A head with n fields, Host among them. */
static char *fields(unsigned n)
{
	char *text = keep(calloc(1, 64 + (size_t)n * 8));
	size_t len = (size_t)sprintf(text, "GET / HTTP/1.1\r\nHost: a\r\n");

	for (unsigned i = 1; i < n; i++)
		len += (size_t)sprintf(text + len, "X: %u\r\n", i % 10);
	strcpy(text + len, "\r\n");
	return text;
}

static void a_head_may_have_so_many_fields(void **state)
{
	static const unsigned limits[] = { 16, 100, 256 };

	(void)state;
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		unsigned n = limits[i];
		struct daemon *daemon = daemon_start("rmsd", NULL, keepf("max_header_fields=%u", n), NULL);
		struct wire *wire = wire_open(daemon_public(daemon));
		struct reply *reply;

		wire_put(wire, fields(n - 1));
		reply_expect(wire_reply(wire), 200, DAEMON_TEXT);
		wire_put(wire, fields(n));
		reply_expect(wire_reply(wire), 200, DAEMON_TEXT);
		wire_put(wire, fields(n + 1));
		reply = wire_reply(wire);
		reply_expect(reply, 431, NULL);
		reply_expect_field(reply, "Connection", "close");
		wire_expect_eof(wire);
		wire_close(wire);
		daemon_stop(daemon);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_path_is_looked_up_by_its_one_spelling, daemon_cleanup),
		cmocka_unit_test_teardown(the_host_of_an_absolute_target_is_the_one_that_counts, daemon_cleanup),
		cmocka_unit_test_teardown(a_body_that_is_not_wanted_is_not_asked_for, daemon_cleanup),
		cmocka_unit_test_teardown(a_body_that_is_wanted_is_asked_for_once, daemon_cleanup),
		cmocka_unit_test_teardown(a_connection_may_make_so_many_requests, daemon_cleanup),
		cmocka_unit_test_teardown(a_connection_takes_its_count_along, daemon_cleanup),
		cmocka_unit_test_teardown(a_head_may_have_so_many_fields, daemon_cleanup),
	};

	return cmocka_run_group_tests_name("semantics", tests, NULL, NULL);
}
