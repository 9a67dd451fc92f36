/* test_serve.c - what the stock server answers to a plain request, at each of its doors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "support/daemon.h"
#include "support/keep.h"
#include "support/scratch.h"

#define TEXT_ALLOW "GET, HEAD, OPTIONS"

static void get_answers_the_text_with_its_fields(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	struct reply *reply = wire_get(daemon_public(daemon), "/");
	struct tm tm = { 0 };
	const char *date;

	(void)state;
	reply_expect(reply, 200, DAEMON_TEXT);
	assert_memory_equal(reply->head, "HTTP/1.1 200 OK\r\n", 17);
	reply_expect_field(reply, "Content-Type", "text/plain; charset=utf-8");
	reply_expect_field(reply, "Content-Length", "28");
	assert_null(reply_field(reply, "X-Worker"));
	date = reply_field(reply, "Date");
	assert_non_null(date);
	assert_non_null(strptime(date, "%a, %d %b %Y %H:%M:%S GMT", &tm));
	assert_true(labs((long)(timegm(&tm) - time(NULL))) <= 3);
	daemon_stop(daemon);
}

static void head_has_the_same_fields_and_no_body(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	struct wire *wire = wire_open(daemon_public(daemon));
	struct reply *reply;

	(void)state;
	wire_put(wire, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\nHEAD /no HTTP/1.1\r\nHost: a\r\n\r\n");
	reply = wire_reply_head(wire);
	assert_int_equal(reply->status, 200);
	reply_expect_field(reply, "Content-Length", "28");
	reply_expect_field(reply, "Content-Type", "text/plain; charset=utf-8");
	assert_int_equal(wire_reply_head(wire)->status, 404);
	wire_expect_alive(wire);
	wire_close(wire);
	daemon_stop(daemon);
}

static void unknown_paths_and_methods_are_told_so(void **state)
{
	static const struct {
		const char *method, *path;
		int status;
		const char *allow;
	} rows[] = {
		{ "GET", "/nowhere", 404, NULL },
		{ "GET", "/metrics", 404, NULL },
		{ "GET", "//", 404, NULL },
		{ "POST", "/nowhere", 404, NULL },
		{ "POST", "/", 405, TEXT_ALLOW },
		{ "PUT", "/", 405, TEXT_ALLOW },
		{ "DELETE", "/", 405, TEXT_ALLOW },
		{ "PATCH", "/", 405, TEXT_ALLOW },
		{ "TRACE", "/", 405, TEXT_ALLOW },
		{ "PROPFIND", "/", 405, TEXT_ALLOW },
		{ "BREW", "/", 501, NULL },
		{ "GET", "/?a=b", 200, NULL },
		{ "GET", "/?", 200, NULL },
		{ "GET", "/?/nowhere", 200, NULL },
		{ "GET", "http://a/", 200, NULL },
		{ "GET", "/deep/one", 200, NULL },
		{ "GET", "/deep/one/", 404, NULL },
		{ "GET", "/deep", 404, NULL },
		{ "GET", "/Deep/one", 404, NULL },
	};
	struct daemon *daemon = daemon_start("rmsd", "routes:\n  /: {text: root}\n  /deep/one: {text: deep}\n", NULL);
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct reply *reply = wire_request(daemon_public(daemon), rows[i].method, rows[i].path);
		const char *allow = reply_field(reply, "Allow");

		if (reply->status != rows[i].status)
			fail_msg("%s %s: %s", rows[i].method, rows[i].path, reply->head);
		if (rows[i].allow && (!allow || strcmp(allow, rows[i].allow)))
			fail_msg("%s %s: Allow: %s", rows[i].method, rows[i].path, allow ? allow : "none");
	}
	daemon_stop(daemon);
}

static void options_tells_the_methods(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	struct wire *wire = wire_open(daemon_public(daemon));
	struct reply *reply;

	(void)state;
	wire_put(wire, "OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n");
	reply = wire_reply(wire);
	assert_true(reply->status == 200 || reply->status == 204);
	reply_expect_field(reply, "Allow", TEXT_ALLOW);
	assert_int_equal(reply->body_len, 0);
	wire_put(wire, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
	reply = wire_reply(wire);
	assert_true(reply->status == 200 || reply->status == 204);
	wire_expect_alive(wire);
	wire_close(wire);
	daemon_stop(daemon);
}

/* Whether the connection stays, and what the reply says about it. */
static void a_connection_stays_or_closes_as_was_asked(void **state)
{
	static const struct {
		const char *request, *connection;
		bool stays;
	} rows[] = {
		{ "GET / HTTP/1.1\r\nHost: a\r\n\r\n", NULL, true },
		{ "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", NULL, true },
		{ "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "close", false },
		{ "GET / HTTP/1.1\r\nHost: a\r\nconnection: Keep-Alive, Close\r\n\r\n", "close", false },
		{ "GET /no HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "close", false },
		{ "GET /no HTTP/1.1\r\nHost: a\r\n\r\n", NULL, true },
		{ "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", NULL, true },
		{ "GET / HTTP/1.0\r\n\r\n", NULL, false },
		{ "GET / HTTP/1.0\r\nHost: a\r\n\r\n", NULL, false },
		{ "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "keep-alive", true },
	};
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct wire *wire = wire_open(daemon_public(daemon));
		struct reply *reply;
		const char *connection;

		wire_put(wire, rows[i].request);
		reply = wire_reply(wire);
		connection = reply_field(reply, "Connection");
		if (rows[i].connection && (!connection || strcmp(connection, rows[i].connection)))
			fail_msg("%s: Connection: %s", rows[i].request, connection ? connection : "none");
		if (rows[i].stays)
			wire_expect_alive(wire);
		else
			wire_expect_eof(wire);
		wire_close(wire);
	}
	daemon_stop(daemon);
}

static void a_text_is_sent_unchanged(void **state)
{
	static const struct {
		const char *yaml, *text;
	} rows[] = {
		{ "{text: \"two\\nlines\\n\"}", "two\nlines\n" },
		{ "{text: 'Grüße, 世界'}", "Grüße, 世界" },
		{ "{text: \"  kept  \"}", "  kept  " },
		{ "{text: \"\"}", "" },
		{ "{text: 42}", "42" },
		{ "{text: \"100%d %s {}\"}", "100%d %s {}" },
		{ "\n    text: |\n      block\n      of text\n", "block\nof text\n" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct daemon *daemon =
			daemon_start("rmsd", keepf("workers: 1\nroutes:\n  /t: %s\n", rows[i].yaml), NULL);
		struct reply *reply = wire_get(daemon_public(daemon), "/t");

		reply_expect(reply, 200, rows[i].text);
		assert_int_equal(reply->body_len, strlen(rows[i].text));
		daemon_stop(daemon);
	}
}

static void a_long_text_arrives_whole(void **state)
{
	size_t len = 700000;
	char *text = keep(malloc(len + 1));
	struct daemon *daemon;
	struct reply *reply;
	size_t i;

	(void)state;
	for (i = 0; i < len; i++)
		text[i] = (char)('a' + i % 26);
	text[len] = 0;
	daemon = daemon_start("rmsd", keepf("routes:\n  /long: {text: %s}\n", text), NULL);
	reply = wire_get(daemon_public(daemon), "/long");
	assert_int_equal(reply->status, 200);
	assert_int_equal(reply->body_len, len);
	assert_memory_equal(reply->body, text, len);
	daemon_stop(daemon);
}

static void each_worker_answers_on_its_own_port(void **state)
{
	static const char *const names[] = { "app1", "app2", "app3" };
	struct daemon *daemon = daemon_start("rmsd", NULL, "worker_header=X-Worker", NULL);
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++) {
		struct reply *reply = wire_get(daemon_worker(daemon, names[i]), "/");

		reply_expect(reply, 200, DAEMON_TEXT);
		reply_expect_field(reply, "X-Worker", names[i]);
		reply = wire_get(daemon_worker(daemon, names[i]), "/metrics");
		assert_int_equal(reply->status, 200);
	}
	daemon_stop(daemon);
}

static void worker_header_names_the_worker_on_the_public_address(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, "worker_header=X-Served-By", "worker_name=web", NULL);
	unsigned seen[4] = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < 30; i++) {
		struct reply *reply = wire_get(daemon_public(daemon), i % 2 ? "/" : "/none");
		const char *worker = reply_field(reply, "X-Served-By");

		assert_non_null(worker);
		assert_memory_equal(worker, "web", 3);
		assert_in_range(worker[3], '1', '3');
		seen[worker[3] - '0']++;
	}
	assert_true(seen[1] && seen[2] && seen[3]);
	daemon_stop(daemon);
}

static void it_listens_on_all_addresses_given(void **state)
{
	const char *dir = scratch_make();
	struct daemon *daemon = daemon_start(
		"rmsd", NULL, keepf("listen=127.0.0.1:0,unix:%s/http.sock,127.0.0.2:0", dir), "worker_port=0", NULL);
	json_t *status = daemon_status(daemon), *item;
	unsigned public = 0;
	size_t i;

	(void)state;
	json_array_foreach(json_object_get(status, "listeners"), i, item) {
		const char *role = json_string_value(json_object_get(item, "role"));

		assert_string_not_equal(role, "worker");
		if (strcmp(role, "public") != 0)
			continue;
		public++;
		assert_true(json_is_null(json_object_get(item, "worker")));
		reply_expect(wire_get(json_string_value(json_object_get(item, "address")), "/"), 200, DAEMON_TEXT);
	}
	assert_int_equal(public, 3);
	json_array_foreach(json_object_get(status, "workers"), i, item)
		assert_true(json_is_null(json_object_get(item, "port")));
	json_decref(status);
	reply_expect(wire_get(keepf("unix:%s/http.sock", dir), "/"), 200, DAEMON_TEXT);
	daemon_stop(daemon);
	scratch_remove(dir);
}

static void admin_answers_get_and_head_alone(void **state)
{
	static const struct {
		const char *method, *path;
		int status;
	} rows[] = {
		{ "GET", "/livez", 200 },
		{ "GET", "/readyz", 200 },
		{ "GET", "/status", 200 },
		{ "GET", "/metrics", 200 },
		{ "GET", "/", 200 },
		{ "HEAD", "/status", 200 },
		{ "HEAD", "/metrics", 200 },
		{ "POST", "/status", 405 },
		{ "DELETE", "/metrics", 405 },
		{ "GET", "/nowhere", 404 },
		{ "POST", "/v1/workers/app1/kill", 404 },
		{ "POST", "/v1/shutdown", 404 },
	};
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct reply *reply = wire_request(daemon_admin(daemon), rows[i].method, rows[i].path);

		/* "Anything else 404, other methods 405": a POST to what is not there may be told either. */
		if (reply->status != rows[i].status &&
			!(reply->status == 405 && rows[i].status == 404 && rows[i].method[0] == 'P'))
			fail_msg("%s %s: %s", rows[i].method, rows[i].path, reply->head);
	}
	assert_string_equal(daemon_state(daemon, "app1"), "up");
	daemon_stop(daemon);
}

static void status_tells_the_whole_of_it(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	struct wire *wire = wire_open(daemon_public(daemon));
	json_t *status, *workers, *worker;
	json_int_t generation, pid;
	double uptime;
	const char *version, *text, *name, *worker_state, *since;
	json_int_t connections, requests, restarts, weight, port, in_flight, total;
	json_error_t error;
	int y, mo, d, h, mi, s, ms, end = 0;
	size_t i;
	json_int_t sum = 0;

	(void)state;
	wire_expect_alive(wire);
	status = daemon_status(daemon);
	if (json_unpack_ex(status, &error, 0, "{s:s,s:I,s:F,s:s,s:I,s:o,s:{s:I,s:I,s:I}}", "version", &version, "pid",
		    &pid, "uptime_seconds", &uptime, "state", &text, "generation", &generation, "workers", &workers,
		    "totals", "connections", &connections, "requests_total", &total, "in_flight", &in_flight))
		fail_msg("/status: %s", error.text);
	assert_int_equal(pid, daemon_pid(daemon));
	assert_string_equal(text, "up");
	assert_int_equal(connections, 1);
	assert_int_equal(total, 1);
	assert_int_equal(in_flight, 0);
	assert_int_equal(json_array_size(workers), 3);
	json_array_foreach(workers, i, worker) {
		if (json_unpack_ex(worker, &error, 0, "{s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:I}", "name", &name, "state",
			    &worker_state, "since", &since, "connections", &connections, "requests_total", &requests,
			    "restarts", &restarts, "weight", &weight, "port", &port))
			fail_msg("/status, worker %zu: %s", i, error.text);
		assert_string_equal(name, keepf("app%zu", i + 1));
		assert_string_equal(worker_state, "up");
		assert_int_equal(restarts, 0);
		assert_int_equal(weight, 1);
		assert_int_equal(port, atoi(strrchr(daemon_worker(daemon, name), ':') + 1));
		assert_int_equal(
			sscanf(since, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ%n", &y, &mo, &d, &h, &mi, &s, &ms, &end), 7);
		assert_int_equal(end, 24);
		sum += requests;
	}
	assert_int_equal(sum, 1);
	json_decref(status);
	wire_close(wire);
	daemon_stop(daemon);
}

static void what_the_app_is_asked_reaches_it(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", NULL);
	struct wire *wire = wire_open(daemon_public(daemon));
	struct reply *reply;

	(void)state;
	wire_put(wire, "GET /asked?b=%20c&d HTTP/1.1\r\nHost: a\r\nX-TEST: \t some value \t\r\n\r\n");
	reply = wire_reply(wire);
	reply_expect(reply, 200, "GET\n/asked\nb=%20c&d\nsome value\n");
	reply_expect_field(reply, "X-Answer", "given");
	wire_put(wire, "GET /asked HTTP/1.1\r\nHost: a\r\n\r\n");
	reply_expect(wire_reply(wire), 200, "GET\n/asked\n\n(none)\n");
	/* An empty value ends where it stands, not in the next line. */
	wire_put(wire, "GET /asked HTTP/1.1\r\nHost:\r\nX-Test:\r\nX-Next: n\r\n\r\n");
	reply_expect(wire_reply(wire), 200, "GET\n/asked\n\n\n");
	wire_put(wire, "GET /echo/seven HTTP/1.1\r\nHost: a\r\n\r\n");
	reply_expect(wire_reply(wire), 200, "seven");
	wire_close(wire);
	daemon_stop(daemon);
}

static void a_second_reply_is_dropped_and_logged(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", NULL);
	struct reply *reply = wire_get(daemon_public(daemon), "/twice");

	(void)state;
	reply_expect(reply, 200, "first");
	assert_null(reply_field(reply, "X-Late"));
	(void)daemon_await_log(daemon, "replied twice");
	daemon_stop(daemon);
}

/* A head that comes again is not looked up again: by another door it asks for something else all the same. */
static void the_same_head_asks_each_door_for_its_own(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", "workers=1", NULL);

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		reply_expect(wire_get(daemon_public(daemon), "/metrics"), 404, NULL);
		reply_expect(wire_get(daemon_worker(daemon, "app1"), "/metrics"), 200, NULL);
	}
	daemon_stop(daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(get_answers_the_text_with_its_fields, daemon_cleanup),
		cmocka_unit_test_teardown(head_has_the_same_fields_and_no_body, daemon_cleanup),
		cmocka_unit_test_teardown(unknown_paths_and_methods_are_told_so, daemon_cleanup),
		cmocka_unit_test_teardown(options_tells_the_methods, daemon_cleanup),
		cmocka_unit_test_teardown(a_connection_stays_or_closes_as_was_asked, daemon_cleanup),
		cmocka_unit_test_teardown(a_text_is_sent_unchanged, daemon_cleanup),
		cmocka_unit_test_teardown(a_long_text_arrives_whole, daemon_cleanup),
		cmocka_unit_test_teardown(each_worker_answers_on_its_own_port, daemon_cleanup),
		cmocka_unit_test_teardown(worker_header_names_the_worker_on_the_public_address, daemon_cleanup),
		cmocka_unit_test_teardown(it_listens_on_all_addresses_given, daemon_cleanup),
		cmocka_unit_test_teardown(admin_answers_get_and_head_alone, daemon_cleanup),
		cmocka_unit_test_teardown(status_tells_the_whole_of_it, daemon_cleanup),
		cmocka_unit_test_teardown(what_the_app_is_asked_reaches_it, daemon_cleanup),
		cmocka_unit_test_teardown(a_second_reply_is_dropped_and_logged, daemon_cleanup),
		cmocka_unit_test_teardown(the_same_head_asks_each_door_for_its_own, daemon_cleanup),
	};

	return cmocka_run_group_tests_name("serve", tests, NULL, NULL);
}
