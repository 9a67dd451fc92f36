/*
 * fuzz_reply.c - what rmsctl reads of a server: one answer, a stream of events, the stream of a drill; and what it
 * prints of it, in which a terminal must find no control character.
 *
 * Input: a byte that says which, a byte n, lengths of n % 16 pieces, then the bytes of the server. socket(), connect()
 * and recv() of rmsctl's own objects are linked to those here: the socket is one end of a pair whose other end has said
 * all that there is.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "fuzz/fuzz.h"

#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rmsctl/answer.h"
#include "rmsctl/events.h"
#include "rmsctl/lease.h"
#include "rmsctl/steady.h"
#include "rmsctl/table.h"

static struct fuzz_cuts cuts;
static size_t n_pieces;
static int ends[2];

/* The names that --wrap asks for. */
int open_end(int domain, int type, int protocol) __asm__("__wrap_socket");
int use_end(int fd, const struct sockaddr *address, socklen_t len) __asm__("__wrap_connect");
ssize_t take_piece(int fd, void *bytes, size_t len, int flags) __asm__("__wrap_recv");
ssize_t real_recv(int fd, void *bytes, size_t len, int flags) __asm__("__real_recv");

int open_end(int domain, int type, int protocol)
{
	(void)domain;
	(void)type;
	(void)protocol;
	return ends[0];
}

int use_end(int fd, const struct sockaddr *address, socklen_t len)
{
	(void)fd;
	(void)address;
	(void)len;
	return 0;
}

ssize_t take_piece(int fd, void *bytes, size_t len, int flags)
{
	return real_recv(fd, bytes, fuzz_piece(&cuts, n_pieces++, len), flags);
}

static void say(const uint8_t *bytes, size_t len)
{
	FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, "no socket");
	FUZZ_CHECK(send(ends[1], bytes, len, MSG_NOSIGNAL) == (ssize_t)len, "not sent");
	FUZZ_CHECK(shutdown(ends[1], SHUT_WR) == 0, "not ended");
	n_pieces = 0;
}

static void check_shown(const struct outbuf *out, const char *but)
{
	for (size_t i = 0; i < out->len; i++) {
		unsigned char c = (unsigned char)out->data[i];

		FUZZ_CHECK((c >= 0x20 && c != 0x7f) || (c && strchr(but, c)), "byte %d is shown", c);
		FUZZ_CHECK(c != 0xc2 || i + 1 == out->len || (unsigned char)out->data[i + 1] >= 0xa0, "a C1 is shown");
	}
}

static int stall_for_4s(const json_t *answer, struct outbuf *out)
{
	return table_stall(answer, "4s", out);
}

static int workers_of(const json_t *answer, struct outbuf *out)
{
	return table_workers(json_object_get(answer, "workers"), out);
}

static void print_all(json_t *answer)
{
	static int (*const prints[])(const json_t *json, struct outbuf *out) = { table_workers, workers_of,
		table_status, table_change, table_restart, stall_for_4s, table_fault, table_cleared, table_faults };
	static const char *const names[] = { "state", "rehomed", "even", "drill", "figures", "\x1b[2J" };
	struct outbuf out = { 0 };
	const char *address;

	for (size_t i = 0; i < sizeof(prints) / sizeof(prints[0]); i++) {
		outbuf_reset(&out, SIZE_MAX);
		(void)prints[i](answer, &out);
		check_shown(&out, "\n");
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		outbuf_reset(&out, SIZE_MAX);
		events_line(names[i], answer, &out);
		check_shown(&out, "\n");
	}
	outbuf_reset(&out, SIZE_MAX);
	(void)steady_judge(answer, "app1", false, &address, &out);
	check_shown(&out, "");
	outbuf_reset(&out, SIZE_MAX);
	(void)answer_print(json_incref(answer), &out);
	check_shown(&out, "\n");
	outbuf_finish(&out);
}

static void read_answer(bool json)
{
	const struct question question = {
		.socket = "socket", .method = "GET", .target = "/status", .json = json, .patience_s = 1
	};
	struct client_reply reply = { 0 };
	struct outbuf why = { 0 }, out = { 0 };
	json_t *answer = NULL;
	enum exit_code code = answer_get(&question, &reply, &answer, &why);

	FUZZ_CHECK((code == EXIT_DONE) == (why.len == 0), "%d: %.*s", code, (int)why.len, why.len ? why.data : "");
	check_shown(&why, "");
	if (code == EXIT_DONE) {
		FUZZ_CHECK(reply.status >= 200 && reply.status <= 299, "%d", reply.status);
		table_text(reply.body, reply.body_len, true, &out);
		check_shown(&out, "\n\t");
		if (answer)
			print_all(answer);
	}
	json_decref(answer);
	client_reply_finish(&reply);
	outbuf_finish(&why);
	outbuf_finish(&out);
}

static void listen_to_events(bool json, bool follow)
{
	static const struct command command = {
		.name = "events", .method = "GET", .path = "/events", .view = VIEW_events
	};
	struct task task = { .command = &command, .socket = "socket", .json = json };
	struct outbuf why = { 0 };
	enum exit_code code;

	task.given[OPTION_follow] = follow ? "1" : NULL;
	code = events_run(&task, &why);
	FUZZ_CHECK((code == EXIT_DONE) == (why.len == 0), "%d: %.*s", code, (int)why.len, why.len ? why.data : "");
	check_shown(&why, "");
	outbuf_finish(&why);
}

static void hold_lease(void)
{
	struct lease lease;

	lease_init(&lease, "app2");
	lease_open(&lease, "socket", "/v1/drill");
	while (lease.state == LEASE_RUNNING)
		lease_read(&lease);
	FUZZ_CHECK(lease.state != LEASE_NONE, "no lease");
	if (lease.state != LEASE_ENDED) {
		FUZZ_CHECK(lease.error.len, "no error");
		lease.error.len--;
		check_shown(&lease.error, "");
	}
	lease_finish(&lease);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool quiet;

	if (size < 2 || size < 2 + (size_t)(data[1] % 16))
		return 0;
	if (!quiet) {
		/* Events are printed as they come. */
		FUZZ_CHECK(freopen("/dev/null", "w", stdout), "no /dev/null");
		quiet = true;
	}
	cuts = (struct fuzz_cuts){ data + 2, data[1] % 16 };
	say(data + 2 + cuts.n, size - 2 - cuts.n);
	switch (data[0] % 4) {
	case 0: hold_lease(); break;
	case 1: listen_to_events(data[0] & 4, data[0] & 8); break;
	default: read_answer(data[0] & 4); break;
	}
	close(ends[1]);
	return 0;
}
