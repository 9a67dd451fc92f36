/*
 * test_unsent.c - a connection whose client has not taken the replies it has: it loses its worker, its time, the
 * memory for it or the server, and never a reply, nor the place of one.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/daemon.h"
#include "support/keep.h"
#include "support/pressure.h"
#include "support/running.h"
#include "support/scratch.h"

/*
 * Of a unix socket the kernel takes a little more than 200 KB. FIRST fills most of that, and behind it PIECES replies
 * are too much, and yet small enough each, and all of them, to wait in rmsd for the reply to what comes next.
 */
enum { KB = 1024, FIRST = 150, PIECE = 31, PIECES = 8, SECOND = PIECE * PIECES, LATE_MS = 200 };

static struct daemon *start_narrow(const char *dir, const char *header_timeout)
{
	/* A handler that blocks is not to be taken for a stall. */
	return daemon_start("testapp", "", keepf("listen=unix:%s/web.sock", dir), "worker_port=0", "stall_timeout=30s",
		header_timeout, NULL);
}

/* The worker of the only connection that there is. */
static const char *find_holder(struct daemon *daemon)
{
	double until = wire_clock_ms() + WIRE_PATIENCE_MS;

	for (unsigned i = 0; wire_clock_ms() < until; i++) {
		const char *name = keepf("app%u", i % 3 + 1);

		if (daemon_connections(daemon, name))
			return name;
	}
	fail_msg("no worker has a connection");
	return NULL;
}

/* In one text, so that they are read at once. */
static const char *pieces(void)
{
	char *all = "";

	for (unsigned i = 0; i < PIECES; i++)
		all = keepf("%sGET /big/%d" HEAD_END, all, PIECE);
	return all;
}

/*
 * A client that reads nothing: the replies of FIRST and the PIECES wait for it, behind them runs the request last, and
 * one more has not been read. Names its worker.
 */
static struct wire *begin_unread(struct daemon *daemon, const char *last, const char **worker)
{
	struct wire *wire = wire_open(daemon_public(daemon));

	wire_putf(wire, "GET /big/%d" HEAD_END, FIRST);
	daemon_await_metric(daemon, "rmsd_http_response_bytes_total", FIRST * KB);
	wire_putf(wire, "%s%s" HEAD_END, pieces(), last);
	/* Else it is one of those that is seen to run. */
	daemon_await_metric(daemon, "http_requests_total", 1 + PIECES);
	*worker = running_worker(daemon, NULL);
	wire_put(wire, BEHIND);
	return wire;
}

static void expect_big(struct wire *wire, size_t kb)
{
	const struct reply *reply = wire_reply(wire);

	reply_expect(reply, 200, NULL);
	assert_int_equal(reply->body_len, kb * KB);
	assert_int_equal(strspn(reply->body, "b"), kb * KB);
}

static void expect_pieces(struct wire *wire)
{
	for (unsigned i = 0; i < PIECES; i++)
		expect_big(wire, PIECE);
}

static void expect_both(struct daemon *daemon, struct wire *wire)
{
	/* Else the kernel has it all, and nothing was tried. */
	assert_true(daemon_metric(daemon, "rmsd_http_response_bytes_total", NULL) < (FIRST + SECOND) * KB);
	expect_big(wire, FIRST);
	expect_pieces(wire);
}

static struct wire *begin_head(struct daemon *daemon)
{
	double before = daemon_metric(daemon, "rmsd_http_request_bytes_total", NULL);
	struct wire *wire = wire_open(daemon_public(daemon));

	wire_put(wire, "GET / HT");
	daemon_await_metric(daemon, "rmsd_http_request_bytes_total", before + 8);
	return wire;
}

static void expect_late(struct wire *wire)
{
	reply_expect(wire_reply(wire), 408, NULL);
	wire_close(wire);
}

/*
 * What began before this and has header_timeout is late, and its worker was told: connections are looked at in turn, so
 * that the round that finds it is over when the second one here is late.
 */
static void outlast_header_timeout(struct daemon *daemon)
{
	for (unsigned i = 0; i < 2; i++) {
		struct wire *wire = wire_open(daemon_public(daemon));

		wire_put(wire, "GET / HT");
		expect_late(wire);
	}
}

static void no_time_for_a_head_runs_while_replies_are_unsent(void **state)
{
	const char *dir = scratch_make(), *worker;
	struct daemon *daemon = start_narrow(dir, keepf("header_timeout=%dms", LATE_MS));
	struct wire *wire = begin_unread(daemon, "GET /journal/1/defer/500", &worker);

	(void)state;
	daemon_do(daemon, worker, "kill");
	outlast_header_timeout(daemon);
	expect_both(daemon, wire);
	assert_int_equal(running_attempt(wire_reply(wire)), 2);
	reply_expect(wire_reply(wire), 200, "behind");
	wire_expect_alive(wire);
	assert_true(daemon_metric(daemon, "rmsd_requests_replayed_total", NULL) == 1);
	wire_close(wire);
	daemon_stop(daemon);
	scratch_remove(dir);
}

/* The same, where a shutdown shortens the time that a head has. */
static void a_shutdown_waits_for_unsent_replies_and_what_runs_behind_them(void **state)
{
	const char *dir = scratch_make(), *worker;
	struct daemon *daemon = start_narrow(dir, "header_timeout=60s");
	struct wire *heads[2], *wire;
	struct reply *reply;

	(void)state;
	/* One to be looked at before it, and one after it. */
	heads[0] = begin_head(daemon);
	wire = begin_unread(daemon, "GET /journal/1/defer/500", &worker);
	heads[1] = begin_head(daemon);
	daemon_do(daemon, worker, "kill");
	daemon_signal(daemon, SIGTERM);
	expect_late(heads[0]);
	expect_late(heads[1]);
	expect_big(wire, FIRST);
	expect_pieces(wire);
	reply = wire_reply(wire);
	assert_int_equal(running_attempt(reply), 2);
	reply_expect_field(reply, "Connection", "close");
	wire_expect_eof(wire);
	wire_close(wire);
	daemon_stop(daemon);
	scratch_remove(dir);
}

/* Parked until its first run had ended, or for as long as a client is to wait for that. */
static void a_parked_request_is_answered_behind_unsent_replies(void **state)
{
	static const struct {
		const char *request;
		bool ends;
	} rows[] = { { "PUT /journal/1/block/400", true }, { "DELETE /journal/2/block/400", true },
		{ "PUT /journal/3/block/2500", false } };

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *dir = scratch_make(), *worker;
		struct daemon *daemon = start_narrow(dir, keepf("header_timeout=%dms", LATE_MS));
		struct wire *wire = begin_unread(daemon, rows[i].request, &worker);

		daemon_do(daemon, worker, "kill");
		daemon_await_metric(daemon, "rmsd_connections_rehomed_total", 1);
		outlast_header_timeout(daemon);
		expect_both(daemon, wire);
		if (rows[i].ends)
			assert_int_equal(running_attempt(wire_reply(wire)), 2);
		else
			running_expect_refused(wire, "the outcome is unknown");
		reply_expect(wire_reply(wire), 200, "behind");
		wire_expect_alive(wire);
		running_expect_number(daemon, "/journal/total", rows[i].ends ? 2 : 1);
		running_expect_number(daemon, "/journal/overlaps", 0);
		wire_close(wire);
		daemon_stop(daemon);
		scratch_remove(dir);
	}
}

/* Whole replies of kb each, and of the last one as much as there is. */
static void expect_prefix(const char *bytes, size_t len, size_t kb)
{
	while (len) {
		const char *end = memmem(bytes, len, "\r\n\r\n", 4), *length;
		size_t head, body;

		/* The end of what came is in a head. */
		if (!end && len < 1000 && memcmp(bytes, "HTTP/1.1 200 OK\r\n", len < 17 ? len : 17) == 0)
			return;
		assert_non_null(end);
		head = (size_t)(end - bytes) + 4;
		if (strncmp(bytes, "HTTP/1.1 200 OK\r\n", 17) != 0)
			fail_msg("no reply begins here: %.60s", bytes);
		length = strstr(bytes, "\r\nContent-Length: ");
		assert_true(length && length < end);
		assert_int_equal(strtoul(length + 18, NULL, 10), kb * KB);
		bytes += head;
		len -= head;
		body = len < kb * KB ? len : kb * KB;
		if (strspn(bytes, "b") < body)
			fail_msg("in a body after %zu bytes: %.60s", strspn(bytes, "b"), bytes + strspn(bytes, "b"));
		bytes += body;
		len -= body;
	}
}

/* What cannot be kept of a reply cannot be gone on without: the next one would be taken for its rest. */
static void no_memory_for_a_reply_ends_its_connection(void **state)
{
	enum { KB_EACH = 2000 };
	struct daemon *daemon = daemon_start("testapp", "", "max_buffer_memory=1m", NULL);
	struct wire *wire = wire_open(daemon_public(daemon));
	enum wire_end end;
	char *bytes;
	size_t len;

	(void)state;
	wire_window(wire, 4 * KB);
	for (unsigned i = 0; i < 6; i++)
		wire_putf(wire, "GET /big/%d" HEAD_END, KB_EACH);
	wire_put(wire, "GET /slow/10" HEAD_END BEHIND);
	daemon_await_metric(daemon, "rmsd_http_errors_total", 1);
	assert_true(daemon_metric(daemon, "rmsd_http_errors_total", "reason=\"memory\"", NULL) >= 1);
	end = wire_read_all(wire, &bytes, &len);
	expect_prefix(bytes, len, KB_EACH);
	assert_int_equal(end, WIRE_RESET);
	wire_close(wire);
	assert_int_equal(wire_get(daemon_public(daemon), "/big/10")->body_len, 10 * KB);
	daemon_stop(daemon);
}

static void a_client_that_says_no_more_and_takes_nothing_costs_nothing_after_a_move(void **state)
{
	enum { N = 5 };
	const char *dir = scratch_make(), *worker;
	struct daemon *daemon = start_narrow(dir, "header_timeout=60s");
	struct wire *wire = wire_open(daemon_public(daemon));
	char *request = keepf("GET /big/%d" HEAD_END, SECOND);

	(void)state;
	for (unsigned i = 0; i < N; i++)
		wire_put(wire, request);
	wire_shut(wire);
	daemon_await_metric(daemon, "rmsd_http_response_bytes_total", 1);
	worker = find_holder(daemon);
	daemon_do(daemon, worker, "kill");
	assert_true(daemon_metric(daemon, "rmsd_connections_rehomed_total", NULL) == 1);
	pressure_expect_idle(daemon, LATE_MS);
	assert_true(daemon_metric(daemon, "rmsd_http_response_bytes_total", NULL) < SECOND * KB);
	for (unsigned i = 0; i < N; i++)
		expect_big(wire, SECOND);
	wire_expect_eof(wire);
	wire_close(wire);
	daemon_stop(daemon);
	scratch_remove(dir);
}

/* A connection that is closed with unread input is reset, and the reset may overtake the reply. */
static void the_last_reply_before_a_shutdown_arrives_whatever_was_not_read(void **state)
{
	struct daemon *daemon = daemon_start("testapp", "", NULL);
	const char *worker;
	struct wire *wire = running_begin(daemon, "GET /slow/1000" HEAD_END, &worker);
	struct reply *reply;

	(void)state;
	wire_put(wire, BEHIND);
	daemon_signal(daemon, SIGTERM);
	reply = wire_reply(wire);
	reply_expect(reply, 200, keepf("slept on %s\n", worker));
	reply_expect_field(reply, "Connection", "close");
	wire_expect_eof(wire);
	wire_close(wire);
	daemon_stop(daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(no_time_for_a_head_runs_while_replies_are_unsent, daemon_cleanup),
		cmocka_unit_test_teardown(
			a_shutdown_waits_for_unsent_replies_and_what_runs_behind_them, daemon_cleanup),
		cmocka_unit_test_teardown(a_parked_request_is_answered_behind_unsent_replies, daemon_cleanup),
		cmocka_unit_test_teardown(no_memory_for_a_reply_ends_its_connection, daemon_cleanup),
		cmocka_unit_test_teardown(
			a_client_that_says_no_more_and_takes_nothing_costs_nothing_after_a_move, daemon_cleanup),
		cmocka_unit_test_teardown(
			the_last_reply_before_a_shutdown_arrives_whatever_was_not_read, daemon_cleanup),
	};

	return cmocka_run_group_tests_name("unsent", tests, NULL, NULL);
}
