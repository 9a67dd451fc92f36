/* test_access_log.c - what a line of the access log says: of each request, however it ended, and of nobody's secrets.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/access.h"
#include "support/keep.h"
#include "support/running.h"
#include "support/scratch.h"

#define PARENT "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

static const char *dir, *path;

static int make_dir(void **state)
{
	(void)state;
	dir = scratch_make();
	path = keepf("%s/access.log", dir);
	return 0;
}

static int remove_dir(void **state)
{
	int err = daemon_cleanup(state);

	scratch_remove(dir);
	return err;
}

static struct daemon *start(const char *more)
{
	return daemon_start("testapp", "", keepf("access_log=%s", path), "worker_header=X-Worker", more, NULL);
}

static struct reply *ask(struct daemon *daemon, const char *head)
{
	struct wire *wire = wire_open(daemon_public(daemon));
	struct reply *reply;

	wire_put(wire, head);
	reply = wire_reply(wire);
	wire_close(wire);
	return reply;
}

static void a_combined_line_is_apaches_with_ours_behind_it(void **state)
{
	struct daemon *daemon = start(NULL);
	struct reply *reply = ask(daemon,
		"GET /trace?token=secret HTTP/1.1\r\nHost: a\r\nUser-Agent: a/1\r\n"
		"Referer: http://b/?c\r\ntraceparent: " PARENT "\r\n\r\n");
	char day[16], wanted[512];
	const char *line;
	unsigned year, hour, minute, second;

	(void)state;
	line = access_line(access_await(path, 1), 0);
	assert_int_equal(sscanf(line, "127.0.0.1 - - [%15[^:]:%2u:%2u:%2u +0000]", day, &hour, &minute, &second), 4);
	assert_int_equal(sscanf(day, "%*2u/%*3[A-Za-z]/%4u", &year), 1);
	assert_true(year >= 2026 && hour < 24 && minute < 60 && second < 61);
	snprintf(wanted, sizeof(wanted),
		"] \"GET /trace?... HTTP/1.1\" 200 %zu \"http://b/?...\" \"a/1\" id=%s worker=%s duration=0.",
		reply->body_len, reply_field(reply, "X-Request-Id"), reply_field(reply, "X-Worker"));
	if (!strstr(line, wanted))
		fail_msg("no %s in %s", wanted, line);
	assert_string_equal(access_value(line, "cause"), "ok");
	assert_string_equal(access_value(line, "attempts"), "1");
	assert_string_equal(access_value(line, "trace"), PARENT);
	assert_int_equal(strlen(access_value(line, "id")), 32);
	assert_null(strstr(line, "secret"));
	daemon_stop(daemon);
}

static void a_json_line_is_one_object(void **state)
{
	struct daemon *daemon = start("access_log_format=json");
	struct reply *reply = ask(daemon, "GET /trace?a=b HTTP/1.1\r\nHost: a\r\nX-Request-Id: mine\r\n\r\n");
	char *client, *method, *target, *version, *id, *worker, *cause;
	int status, bytes, attempts;
	double duration;
	json_t *json = access_json(access_await(path, 1), 0);

	(void)state;
	assert_int_equal(
		json_unpack(json, "{s:s, s:s, s:s, s:s, s:i, s:i, s:s, s:s, s:f, s:s, s:i}", "client", &client,
			"method", &method, "target", &target, "version", &version, "status", &status, "bytes", &bytes,
			"id", &id, "worker", &worker, "duration", &duration, "cause", &cause, "attempts", &attempts),
		0);
	assert_string_equal(client, "127.0.0.1");
	assert_string_equal(method, "GET");
	assert_string_equal(target, "/trace?...");
	assert_string_equal(version, "HTTP/1.1");
	assert_int_equal(status, 200);
	assert_int_equal(bytes, reply->body_len);
	assert_string_equal(id, "mine");
	assert_string_equal(worker, reply_field(reply, "X-Worker"));
	assert_true(duration > 0 && duration < WIRE_PATIENCE_MS);
	assert_string_equal(cause, "ok");
	assert_int_equal(attempts, 1);
	assert_true(json_is_null(json_object_get(json, "referer")));
	assert_true(json_is_null(json_object_get(json, "agent")));
	assert_true(json_is_null(json_object_get(json, "trace")));
	json_decref(json);
	daemon_stop(daemon);
}

/* The app and the log say the same; an id that is not fit to be shown is not taken over. */
static void an_id_is_the_clients_or_a_new_one(void **state)
{
	static const struct {
		const char *field, *id;
	} rows[] = { { "X-Request-Id: a-b_c.9", "a-b_c.9" }, { "x-request-id:  padded  ", "padded" },
		{ "X-Request-Id: two words", NULL }, { "X-Request-Id: a\"b", NULL }, { "X-Request-Id: a\\b", NULL },
		{ "X-Request-Id: \xc3\xa9", NULL }, { "X-Request-Id:", NULL }, { "X-None: a", NULL } };
	enum { ROWS = sizeof(rows) / sizeof(rows[0]) };
	struct daemon *daemon = start("workers=1");
	struct wire *wire = wire_open(daemon_public(daemon));
	const char *ids[ROWS], *log;

	(void)state;
	/* All at once, and on one connection. */
	for (size_t i = 0; i < ROWS; i++)
		wire_putf(wire, "GET /trace HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n", rows[i].field);
	for (size_t i = 0; i < ROWS; i++) {
		const struct reply *reply = wire_reply(wire);

		ids[i] = reply_field(reply, "X-Request-Id");
		reply_expect(reply, 200, keepf("%s -\n", ids[i]));
		if (rows[i].id)
			assert_string_equal(ids[i], rows[i].id);
		else
			assert_int_equal(strspn(ids[i], "0123456789abcdef"), 32);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(ids[i], ids[j]);
	}
	wire_close(wire);
	log = access_await(path, ROWS);
	for (unsigned i = 0; i < ROWS; i++)
		assert_string_equal(access_value(access_line(log, i), "id"), ids[i]);
	daemon_stop(daemon);
}

static void a_request_that_runs_again_has_one_line_and_one_id(void **state)
{
	static const char *const fields[] = { "", "X-Request-Id: mine\r\ntraceparent: " PARENT "\r\n" };
	struct daemon *daemon = start(NULL);

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		const char *worker, *line;
		struct wire *wire = running_begin(
			daemon, keepf("GET /trace/60000 HTTP/1.1\r\nHost: a\r\n%s\r\n", fields[i]), &worker);
		const struct reply *reply;

		daemon_do(daemon, worker, "kill");
		reply = wire_reply(wire);
		reply_expect(reply, 200, NULL);
		wire_close(wire);
		line = access_line(access_await(path, i + 1), i);
		assert_string_equal(access_value(line, "id"), reply_field(reply, "X-Request-Id"));
		assert_string_equal(access_value(line, "id"), reply_field(reply, "X-First-Id"));
		assert_string_equal(access_value(line, "attempts"), "2");
		assert_string_equal(access_value(line, "cause"), "ok");
		assert_string_equal(access_value(line, "worker"), reply_field(reply, "X-Worker"));
		assert_string_not_equal(access_value(line, "worker"), worker);
		assert_string_equal(access_value(line, "trace"), i ? PARENT : "-");
		daemon_do(daemon, worker, "revive");
	}
	daemon_stop(daemon);
}

/* Of n lines, that number i. */
static void expect_nth(
	unsigned n, unsigned i, const char *request, const char *status, const char *cause, const char *attempts)
{
	const char *line = access_line(access_await(path, n), i);

	if (!strstr(line, keepf("] \"%s\" %s ", request, status)))
		fail_msg("not %s %s: %s", request, status, line);
	assert_string_equal(access_value(line, "cause"), cause);
	assert_string_equal(access_value(line, "attempts"), attempts);
}

/* Of n lines, the last. */
static void expect_line(unsigned n, const char *request, const char *status, const char *cause, const char *attempts)
{
	expect_nth(n, n - 1, request, status, cause, attempts);
}

static void what_is_refused_says_why(void **state)
{
	static const struct {
		const char *bytes, *request, *status, *cause;
	} rows[] = {
		{ "GET /echo/1 HTTP/1.1\r\nHost: a\r\n\r\n", "GET /echo/1 HTTP/1.1", "200", "ok" },
		{ "GET /stream-status/503 HTTP/1.1\r\nHost: a\r\n\r\n", "GET /stream-status/503 HTTP/1.1", "503",
			"ok" },
		{ "GET /none HTTP/1.1\r\nHost: a\r\n\r\n", "GET /none HTTP/1.1", "404", "no_route" },
		{ "DELETE /echo HTTP/1.1\r\nHost: a\r\n\r\n", "DELETE /echo HTTP/1.1", "405", "no_route" },
		{ "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1", "400", "bad_request" },
		{ "G\x01T \"\r\n\r\n", "G\\x01T \\\"", "400", "bad_request" },
		{ "GET / HTTP/3.0\r\nHost: a\r\n\r\n", "GET / HTTP/3.0", "505", "bad_request" },
		{ "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 999999\r\n\r\n", "POST /echo HTTP/1.1", "413",
			"too_large" },
		{ "POST /none HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n",
			"POST /none HTTP/1.1", "404", "no_route" },
		{ "GET /late HTTP/1.1\r\nHo", "GET /late HTTP/1.1", "408", "timeout" },
		{ "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab", "POST /echo HTTP/1.1", "408",
			"timeout" },
		{ "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab", "POST /upload HTTP/1.1", "408",
			"timeout" },
		{ "GET /fault HTTP/1.1\r\nHost: a\r\n\r\n", "GET /fault HTTP/1.1", "404", "no_route" },
		{ "GET /echo/fault HTTP/1.1\r\nHost: a\r\n\r\n", "GET /echo/fault HTTP/1.1", "418", "fault" },
	};
	struct daemon *daemon = daemon_start("testapp", "", keepf("access_log=%s", path), "max_body_size=1k",
		"header_timeout=200ms", "body_timeout=200ms", "faults=on", "workers=1", NULL);
	unsigned n = 0;

	(void)state;
	reply_expect(wire_request(daemon_socket(daemon), "POST", "/v1/faults?ttl=5m&status=418&path=/echo/fault"), 200,
		NULL);
	for (; n < sizeof(rows) / sizeof(rows[0]); n++) {
		struct reply *reply = ask(daemon, rows[n].bytes);

		assert_int_equal(reply->status, atoi(rows[n].status));
	}
	for (unsigned i = 0; i < n; i++)
		expect_nth(n, i, rows[i].request, rows[i].status, rows[i].cause, "1");
	assert_true(daemon_metric(daemon, "http_requests_total", NULL) == n);
	assert_true(access_made(daemon) == n && access_dropped(daemon) == 0);
	daemon_stop(daemon);
}

static void what_finds_no_memory_says_so(void **state)
{
	struct daemon *daemon = start("max_buffer_memory=1");

	(void)state;
	assert_int_equal(ask(daemon, "GET /part HTTP/1.1\r\n")->status, 503);
	expect_line(1, "GET /part HTTP/1.1", "503", "memory", "1");
	daemon_stop(daemon);
}

static void what_ends_without_an_answer_says_how(void **state)
{
	struct daemon *daemon = start("write_timeout=300ms");
	const char *worker;
	struct wire *wire = running_begin(daemon, "GET /never HTTP/1.1\r\nHost: a\r\n\r\n", &worker);
	char first;

	(void)state;
	wire_reset(wire);
	expect_line(1, "GET /never HTTP/1.1", "499", "client", "1");
	wire = running_begin(daemon, "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab", &worker);
	wire_reset(wire);
	expect_line(2, "POST /upload HTTP/1.1", "499", "client", "1");
	wire = wire_open(daemon_public(daemon));
	wire_window(wire, 4096);
	wire_put(wire, "GET /pump/8000 HTTP/1.1\r\nHost: a\r\n\r\n");
	expect_line(3, "GET /pump/8000 HTTP/1.1", "200", "untaken", "1");
	wire_close(wire);
	wire = running_begin(daemon, "GET /stream/100000/2 HTTP/1.1\r\nHost: a\r\n\r\n", &worker);
	assert_int_equal(wire_read(wire, &first, 1), 1);
	daemon_do(daemon, worker, "kill");
	expect_line(4, "GET /stream/100000/2 HTTP/1.1", "200", "cut", "1");
	wire_close(wire);
	running_await(daemon, 0);
	wire = running_begin(daemon, "POST /slow/60000 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", &worker);
	daemon_do(daemon, worker, "kill");
	reply_expect(wire_reply(wire), 503, NULL);
	expect_line(5, "POST /slow/60000 HTTP/1.1", "503", "outcome_unknown", "1");
	wire_close(wire);
	wire = running_begin(daemon, "GET /never HTTP/1.1\r\nHost: a\r\n\r\n", &worker);
	daemon_signal(daemon, SIGTERM);
	(void)daemon_await_log(daemon, "rmsd is stopping");
	daemon_signal(daemon, SIGTERM);
	assert_int_equal(daemon_wait(daemon, WIRE_PATIENCE_MS), 0);
	expect_line(6, "GET /never HTTP/1.1", "000", "shutdown", "1");
	wire_close(wire);
	daemon_stop(daemon);
}

static void poison_is_told_with_its_attempts(void **state)
{
	struct daemon *daemon = start("stall_timeout=300ms");

	(void)state;
	assert_int_equal(ask(daemon, "GET /spin-always/10000 HTTP/1.1\r\nHost: a\r\n\r\n")->status, 503);
	expect_line(1, "GET /spin-always/10000 HTTP/1.1", "503", "poison", "2");
	daemon_stop(daemon);
}

/* A handler that takes its time at a stretch: the loop looked at no clock meanwhile. */
static void the_duration_is_the_handlers_too(void **state)
{
	struct daemon *daemon = start(NULL);

	(void)state;
	(void)wire_get(daemon_public(daemon), "/busy/100");
	(void)wire_get(daemon_public(daemon), "/slow/100");
	for (unsigned i = 0; i < 2; i++)
		assert_true(strtod(access_value(access_line(access_await(path, 2), i), "duration"), NULL) >= 0.099);
	daemon_stop(daemon);
}

static void a_sample_leaves_out_no_failure(void **state)
{
	enum { N = 100, ONE_OF = 10 };
	struct daemon *daemon = daemon_start(
		"testapp", "", keepf("access_log=%s", path), "workers=1", keepf("access_log_sample=%u", ONE_OF), NULL);
	const char *log;
	unsigned n = 0, failed = 0;

	(void)state;
	for (unsigned i = 0; i < N; i++)
		reply_expect(wire_get(daemon_public(daemon), "/echo/1"), 200, "1");
	for (unsigned i = 0; i < 5; i++) {
		(void)wire_get(daemon_public(daemon), "/stream-status/500");
		(void)ask(daemon, "nothing\r\n\r\n");
	}
	log = access_await(path, N / ONE_OF + 10);
	for (; n < N / ONE_OF + 10; n++)
		failed += !!strstr(access_line(log, n), "HTTP/1.1\" 500 ") ||
			!!strstr(access_line(log, n), "bad_request");
	assert_int_equal(failed, 10);
	assert_true(access_made(daemon) == N / ONE_OF + 10);
	daemon_stop(daemon);
}

/* Whoever asks there is no client of the app. */
static void what_is_in_no_request_counter_has_no_line(void **state)
{
	struct daemon *daemon = start(NULL);

	(void)state;
	reply_expect(wire_get(daemon_admin(daemon), "/status"), 200, NULL);
	reply_expect(wire_get(daemon_socket(daemon), "/status"), 200, NULL);
	reply_expect(wire_get(daemon_worker(daemon, "app2"), "/metrics"), 200, NULL);
	reply_expect(wire_get(daemon_worker(daemon, "app2"), "/echo/1"), 200, "1");
	assert_string_equal(access_value(access_line(access_await(path, 1), 0), "worker"), "app2");
	daemon_stop(daemon);
	expect_line(1, "GET /echo/1 HTTP/1.1", "200", "ok", "1");
}

static void nothing_that_is_sent_forges_a_line(void **state)
{
	static const char *const evil[] = {
		"GET /a%0a127.0.0.1 HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /\x1b[31m\"'\\\x7f\xc3\xa9\xc2\x9b\xff HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET / HTTP/1.1\nHost: a\nUser-Agent: x\n\n",
		"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: \"a\\ \xff\x80 cause=ok\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: a\rb\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nReferer: \xe2\x80\xa8\"\r\nX-Request-Id: a\"} {\r\n\r\n",
		"\"} { \"/\" HTTP/1.1\r\n\r\n",
	};
	enum { N = sizeof(evil) / sizeof(evil[0]) };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct daemon *daemon = start(i ? "access_log_format=json" : "access_log_format=combined");
		const char *log;

		for (unsigned j = 0; j < N; j++)
			(void)ask(daemon, evil[j]);
		log = access_await(path, N);
		for (const char *c = log; *c; c++)
			if ((*c < ' ' && *c != '\n') || *c >= 0x7f)
				fail_msg("byte 0x%02x in %s", (unsigned char)*c, log);
		for (unsigned j = 0; j < N; j++) {
			if (i)
				json_decref(access_json(log, j));
			else
				assert_memory_equal(access_line(log, j), "127.0.0.1 - - [", 15);
		}
		daemon_stop(daemon);
		assert_int_equal(remove(path), 0);
	}
}

static void it_may_go_to_stderr(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", "access_log=stderr", NULL);

	(void)state;
	reply_expect(wire_get(daemon_public(daemon), "/echo/1"), 200, "1");
	(void)daemon_await_log(daemon, "\n127.0.0.1 - - [");
	(void)daemon_await_log(daemon, "] \"GET /echo/1 HTTP/1.1\" 200 1 ");
	daemon_stop(daemon);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_dir, remove_dir)
	const struct CMUnitTest tests[] = {
		TEST(a_combined_line_is_apaches_with_ours_behind_it),
		TEST(a_json_line_is_one_object),
		TEST(an_id_is_the_clients_or_a_new_one),
		TEST(a_request_that_runs_again_has_one_line_and_one_id),
		TEST(what_is_refused_says_why),
		TEST(what_finds_no_memory_says_so),
		TEST(what_ends_without_an_answer_says_how),
		TEST(poison_is_told_with_its_attempts),
		TEST(the_duration_is_the_handlers_too),
		TEST(a_sample_leaves_out_no_failure),
		TEST(what_is_in_no_request_counter_has_no_line),
		TEST(nothing_that_is_sent_forges_a_line),
		TEST(it_may_go_to_stderr),
	};

	return cmocka_run_group_tests_name("access_log", tests, NULL, NULL);
}
