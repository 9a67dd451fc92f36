/* wire.c - raw bytes to and from a server, with deadlines. */
#include "support/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/address.h"
#include "support/keep.h"

struct wire {
	int fd;
	char *bytes; /* received and not yet taken */
	size_t len;
	size_t size;
};

double wire_clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

int wire_try(const char *address, const char *source, struct wire **out)
{
	struct sockaddr_storage sa;
	socklen_t len;
	struct wire *wire;
	int one = 1, err;

	if (!address_parse(address, &sa, &len))
		return -EINVAL;
	wire = calloc(1, sizeof(*wire));
	if (!wire)
		return -ENOMEM;
	wire->fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (wire->fd < 0)
		goto free_wire;
	if (source) {
		struct sockaddr_in from = { .sin_family = AF_INET };

		if (inet_pton(AF_INET, source, &from.sin_addr) != 1 ||
			bind(wire->fd, (struct sockaddr *)&from, sizeof(from)) < 0)
			goto close_fd;
	}
	if (connect(wire->fd, (struct sockaddr *)&sa, len) < 0)
		goto close_fd;
	if (sa.ss_family != AF_UNIX)
		setsockopt(wire->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	*out = wire;
	return 0;
close_fd:
	err = -errno;
	close(wire->fd);
	free(wire);
	return err;
free_wire:
	err = -errno;
	free(wire);
	return err;
}

struct wire *wire_open(const char *address)
{
	struct wire *wire = NULL;
	int err = wire_try(address, NULL, &wire);

	if (err < 0)
		fail_msg("connect to %s: %s", address, strerror(-err));
	return wire;
}

void wire_close(struct wire *wire)
{
	if (!wire)
		return;
	close(wire->fd);
	free(wire->bytes);
	free(wire);
}

void wire_reset(struct wire *wire)
{
	struct linger now = { .l_onoff = 1 };

	setsockopt(wire->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	wire_close(wire);
}

int wire_fd(const struct wire *wire)
{
	return wire->fd;
}

void wire_window(struct wire *wire, int size)
{
	setsockopt(wire->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
}

long wire_push(struct wire *wire, const void *bytes, size_t len)
{
	ssize_t n = send(wire->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	return n;
}

void wire_send(struct wire *wire, const void *bytes, size_t len)
{
	const char *at = bytes;
	double until = wire_clock_ms() + WIRE_PATIENCE_MS;

	while (len) {
		long n = wire_push(wire, at, len);
		struct pollfd p = { .fd = wire->fd, .events = POLLOUT };

		if (n < 0)
			fail_msg("send: %s", strerror((int)-n));
		at += n;
		len -= (size_t)n;
		if (len && wire_clock_ms() > until)
			fail_msg("the server takes no bytes: %zu left", len);
		if (len)
			poll(&p, 1, 1000);
	}
}

void wire_put(struct wire *wire, const char *text)
{
	wire_send(wire, text, strlen(text));
}

void wire_putf(struct wire *wire, const char *format, ...)
{
	va_list args;
	char *text = NULL;
	int len;

	va_start(args, format);
	len = vasprintf(&text, format, args);
	va_end(args);
	assert_true(len >= 0);
	wire_send(wire, text, (size_t)len);
	free(text);
}

void wire_shut(struct wire *wire)
{
	shutdown(wire->fd, SHUT_WR);
}

/* More bytes: how many, 0 at the end of the stream, or a negative errno; -ETIMEDOUT once ms have gone by. */
static long fill(struct wire *wire, int ms)
{
	struct pollfd p = { .fd = wire->fd, .events = POLLIN };
	ssize_t n;

	if (wire->size - wire->len < 65536) {
		wire->size = wire->size * 2 + 65536;
		wire->bytes = realloc(wire->bytes, wire->size);
		assert_non_null(wire->bytes);
	}
	if (poll(&p, 1, ms) == 0)
		return -ETIMEDOUT;
	n = recv(wire->fd, wire->bytes + wire->len, wire->size - wire->len, 0);
	if (n < 0)
		return -errno;
	wire->len += (size_t)n;
	return n;
}

static void fill_more(struct wire *wire, const char *what, double until)
{
	double left = until - wire_clock_ms();
	long n = fill(wire, left > 0 ? (int)left : 0);

	if (n == 0)
		fail_msg("%s: the connection ended after %zu bytes: %.*s", what, wire->len,
			(int)(wire->len < 300 ? wire->len : 300), wire->bytes);
	if (n < 0)
		fail_msg("%s: %s after %zu bytes: %.*s", what, strerror((int)-n), wire->len,
			(int)(wire->len < 300 ? wire->len : 300), wire->bytes);
}

static void drop(struct wire *wire, size_t len)
{
	memmove(wire->bytes, wire->bytes + len, wire->len - len);
	wire->len -= len;
}

/* The line that begins at offset at, and where the next one does. */
static const char *take_line(struct wire *wire, size_t at, size_t *next, double until)
{
	const char *end = NULL;

	while (wire->len < at || !(end = memmem(wire->bytes + at, wire->len - at, "\r\n", 2)))
		fill_more(wire, "a line of a chunked body", until);
	*next = (size_t)(end - wire->bytes) + 2;
	return wire->bytes + at;
}

/* A chunked body whose first chunk is at offset at, decoded into reply. Returns where it ends. */
static size_t read_chunks(struct wire *wire, size_t at, struct reply *reply, double until)
{
	size_t size = 0;

	for (;;) {
		size_t begin, end, len;
		char *rest;

		len = strtoul(take_line(wire, at, &begin, until), &rest, 16);
		if (rest == wire->bytes + at || rest[0] != '\r')
			fail_msg("not a chunk: %.20s", wire->bytes + at);
		while (wire->len < begin + len)
			fill_more(wire, "a chunk", until);
		if (take_line(wire, begin + len, &end, until), end != begin + len + 2)
			fail_msg("a chunk that is longer than it says: %.20s", wire->bytes + begin + len);
		if (!len)
			return end;
		if (reply->body_len + len >= size) {
			size = 2 * (reply->body_len + len + 1);
			reply->body = realloc(reply->body, size);
			assert_non_null(reply->body);
		}
		memcpy(reply->body + reply->body_len, wire->bytes + begin, len);
		reply->body_len += len;
		reply->body[reply->body_len] = 0;
		reply->chunks++;
		at = end;
	}
}

static struct reply *read_reply(struct wire *wire, bool has_body)
{
	double until = wire_clock_ms() + WIRE_PATIENCE_MS;
	struct reply *reply = keep(calloc(1, sizeof(*reply)));
	const char *length;
	char *end = NULL;
	size_t head_len;

	while (!wire->len || !(end = memmem(wire->bytes, wire->len, "\r\n\r\n", 4)))
		fill_more(wire, "a reply's head", until);
	head_len = (size_t)(end - wire->bytes) + 4;
	reply->head = keep(strndup(wire->bytes, head_len));
	if (sscanf(reply->head, "HTTP/1.%*1[01] %3d ", &reply->status) != 1)
		fail_msg("not a status line: %s", reply->head);
	length = reply_field(reply, "Content-Length");
	if (has_body && reply_field(reply, "Transfer-Encoding")) {
		size_t whole;

		reply_expect_field(reply, "Transfer-Encoding", "chunked");
		assert_null(length);
		reply->body = calloc(1, 1);
		whole = read_chunks(wire, head_len, reply, until);
		keep(reply->body);
		drop(wire, whole);
		return reply;
	}
	if (!length && has_body && reply->status != 204 && reply->status != 304)
		fail_msg("a reply without Content-Length: %s", reply->head);
	if (has_body && length)
		reply->body_len = strtoul(length, NULL, 10);
	while (wire->len < head_len + reply->body_len)
		fill_more(wire, "a reply's body", until);
	reply->body = keep(calloc(1, reply->body_len + 1));
	memcpy(reply->body, wire->bytes + head_len, reply->body_len);
	drop(wire, head_len + reply->body_len);
	return reply;
}

struct reply *wire_reply(struct wire *wire)
{
	return read_reply(wire, true);
}

struct reply *wire_reply_head(struct wire *wire)
{
	return read_reply(wire, false);
}

size_t wire_read(struct wire *wire, void *bytes, size_t size)
{
	if (!wire->len) {
		long n = fill(wire, WIRE_PATIENCE_MS);

		if (n < 0)
			fail_msg("read: %s", strerror((int)-n));
	}
	if (size > wire->len)
		size = wire->len;
	memcpy(bytes, wire->bytes, size);
	drop(wire, size);
	return size;
}

enum wire_end wire_read_all(struct wire *wire, char **bytes, size_t *len)
{
	double until = wire_clock_ms() + WIRE_PATIENCE_MS;
	long n = 1;

	while (n > 0 && wire_clock_ms() < until)
		n = fill(wire, WIRE_PATIENCE_MS);
	*len = wire->len;
	*bytes = keep(calloc(1, wire->len + 1));
	memcpy(*bytes, wire->bytes, wire->len);
	drop(wire, wire->len);
	if (n == 0)
		return WIRE_EOF;
	return n == -ETIMEDOUT || n > 0 ? WIRE_QUIET : WIRE_RESET;
}

enum wire_end wire_end(struct wire *wire, int ms)
{
	long n;

	if (wire->len)
		return WIRE_BYTES;
	n = fill(wire, ms);
	if (n == -ETIMEDOUT)
		return WIRE_QUIET;
	if (n < 0)
		return WIRE_RESET;
	return n ? WIRE_BYTES : WIRE_EOF;
}

void wire_expect_eof(struct wire *wire)
{
	static const char *const names[] = { "EOF", "a reset", "bytes", "silence" };
	enum wire_end end = wire_end(wire, WIRE_PATIENCE_MS);

	if (end != WIRE_EOF)
		fail_msg("EOF expected, %s came: %.*s", names[end], (int)wire->len, wire->bytes);
}

void wire_expect_alive(struct wire *wire)
{
	struct reply *reply;

	wire_put(wire, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	reply = wire_reply(wire);
	assert_int_equal(reply->status, 200);
}

const char *reply_field(const struct reply *reply, const char *name)
{
	const char *line = strstr(reply->head, "\r\n");
	size_t len = strlen(name);

	for (; line && line[2] != '\r'; line = strstr(line + 2, "\r\n")) {
		const char *value = line + 2 + len + 1, *end = strstr(line + 2, "\r\n");

		if (strncasecmp(line + 2, name, len) || line[2 + len] != ':')
			continue;
		while (*value == ' ' || *value == '\t')
			value++;
		while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
			end--;
		return keep(strndup(value, (size_t)(end - value)));
	}
	return NULL;
}

void reply_expect(const struct reply *reply, int status, const char *body)
{
	if (reply->status != status)
		fail_msg("status %d expected: %s%s", status, reply->head, reply->body);
	if (body)
		assert_string_equal(reply->body, body);
}

void reply_expect_field(const struct reply *reply, const char *name, const char *value)
{
	const char *field = reply_field(reply, name);

	if (!field || strcmp(field, value) != 0)
		fail_msg("%s: %s expected: %s", name, value, reply->head);
}

struct reply *wire_request(const char *address, const char *method, const char *path)
{
	struct wire *wire = wire_open(address);
	struct reply *reply;

	wire_putf(wire, "%s %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", method, path);
	reply = read_reply(wire, strcmp(method, "HEAD") != 0);
	wire_close(wire);
	return reply;
}

struct reply *wire_get(const char *address, const char *path)
{
	return wire_request(address, "GET", path);
}
