/* peer.c - one connection of the accounting client: requests out, replies in, books kept. */
#include "support/peer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	HEAD_MAX = 16384,
	PIECE_NS = 1000000, /* between two pieces of a request */
};

uint64_t peer_clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void peer_watch(struct client *c, struct peer *p, bool output)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = p };

	if (output)
		event.events |= EPOLLOUT;
	if (p->watching_output != output)
		epoll_ctl(c->epoll, EPOLL_CTL_MOD, p->fd, &event);
	p->watching_output = output;
}

void peer_lose(struct client *c, struct peer *p, uint64_t *reason)
{
	(*reason)++;
	c->account.trailing += p->in_len;
	c->outstanding -= p->made - p->answered;
	c->open--;
	p->in_len = 0;
	p->granted = 0;
	close(p->fd);
	p->fd = -1;
}

void peer_flush(struct client *c, struct peer *p)
{
	while (!p->broken && p->out_len - p->out_at > p->held) {
		ssize_t n = send(p->fd, p->out + p->out_at, p->out_len - p->out_at - p->held, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN) {
			peer_watch(c, p, true);
			return;
		}
		if (n < 0) { /* what can still be read tells how it ended */
			p->broken = true;
			break;
		}
		p->out_at += (size_t)n;
		p->written += (uint64_t)n;
		while (p->sent < p->made && p->flights[p->sent % c->plan.depth].end <= p->written)
			p->sent++;
	}
	peer_watch(c, p, false);
	if (p->out_at == p->out_len)
		p->out_at = p->out_len = 0;
}

static void compose(struct client *c, struct peer *p, uint64_t now)
{
	size_t room = strlen(c->plan.path) + 80, len;
	struct flight *flight = &p->flights[p->made % c->plan.depth];

	if (p->out_at && p->out_size - p->out_len < room) {
		memmove(p->out, p->out + p->out_at, p->out_len - p->out_at);
		p->out_len -= p->out_at;
		p->out_at = 0;
	}
	if (p->out_size - p->out_len < room) {
		p->out_size = p->out_size * 2 + room;
		p->out = realloc(p->out, p->out_size);
		if (!p->out)
			abort();
	}
	len = (size_t)snprintf(p->out + p->out_len, room, "GET %s%s%llu HTTP/1.1\r\nHost: a\r\n\r\n", c->plan.path,
		c->plan.echo ? "" : "?n=", (unsigned long long)p->made);
	p->out_len += len;
	p->composed += len;
	flight->end = p->composed;
	flight->begun = now;
	p->made++;
	if (!c->outstanding++)
		c->quiet_since = now;
	if (p->split) {
		c->random = c->random * 1664525u + 1013904223u;
		p->held = 1 + (c->random >> 8) % (len - 1);
	}
}

static void queue_held(struct client *c, struct peer *p, uint64_t now)
{
	if (!p->held || p->queued)
		return;
	p->queued = true;
	p->due = now + PIECE_NS;
	p->next = NULL;
	if (c->held_last)
		c->held_last->next = p;
	else
		c->held_first = p;
	c->held_last = p;
}

void peer_make(struct client *c, struct peer *p, uint64_t now)
{
	while (p->granted && !p->held) {
		p->granted--;
		compose(c, p, now);
	}
	peer_flush(c, p);
	queue_held(c, p, now);
}

void peer_grant(struct client *c, struct peer *p, unsigned n)
{
	uint64_t left = n;

	if (c->stop_ns)
		return;
	if (c->plan.requests && c->plan.requests - c->made < left)
		left = c->plan.requests - c->made;
	if (c->plan.each && c->plan.each - (p->made + p->granted) < left)
		left = c->plan.each - (p->made + p->granted);
	p->granted += (unsigned)left;
	c->made += left;
}

static bool is_length(const char *line, const char *end)
{
	return end - line > 15 && (*line | 32) == 'c' && !strncasecmp(line, "Content-Length:", 15);
}

/* One whole reply at bytes: its length, 0 if it is not whole yet, -1 if it is no reply. */
static long parse(const char *bytes, size_t len, int *status, const char **body, size_t *body_len)
{
	const char *end, *line, *next;
	long length = -1;

	if (memcmp(bytes, "HTTP/1.1 ", len < 9 ? len : 9) != 0)
		return -1;
	end = memmem(bytes, len, "\r\n\r\n", 4);
	if (!end)
		return len > HEAD_MAX ? -1 : 0;
	*status = atoi(bytes + 9);
	if (*status < 200 || *status > 599)
		return -1;
	for (line = bytes; line < end; line = next) {
		next = (const char *)memchr(line, '\n', (size_t)(end + 2 - line)) + 1;
		if (is_length(line, next))
			length = atol(line + 15);
	}
	if (length < 0 && *status != 204 && *status != 304)
		return -1;
	*body = end + 4;
	*body_len = length > 0 ? (size_t)length : 0;
	if (*body + *body_len > bytes + len)
		return 0;
	return *body + *body_len - bytes;
}

static bool is_expected(struct client *c, const struct peer *p, const char *body, size_t len)
{
	char number[24];

	if (c->plan.echo)
		return len == (size_t)snprintf(number, sizeof(number), "%llu", (unsigned long long)p->answered) &&
			!memcmp(body, number, len);
	if (!c->first_body_known && len <= PEER_BODY_MAX) {
		memcpy(c->first_body, body, len);
		c->first_body_len = len;
		c->first_body_known = true;
	}
	return len == c->first_body_len && !memcmp(body, c->first_body, len);
}

static void note_reply(struct client *c, struct peer *p, int status, bool expected, uint64_t now)
{
	if (p->answered == p->made) {
		c->account.over++;
		return;
	}
	latency_add(&c->latency, (now - p->flights[p->answered % c->plan.depth].begun) / 1000);
	/* An answer to a request of which the server has not got the end: not that request's. */
	if (p->answered == p->sent || (status == 200 && !expected))
		c->account.wrong++;
	p->answered++;
	c->account.status[status]++;
	c->account.answered++;
	c->outstanding--;
	if (now - c->quiet_since > c->longest_pause)
		c->longest_pause = now - c->quiet_since;
	c->quiet_since = now;
	if (!c->plan.rate)
		peer_grant(c, p, 1);
}

void peer_read(struct client *c, struct peer *p)
{
	size_t len = p->in_len, at = 0;
	ssize_t n;
	uint64_t now;

	memcpy(c->input, p->in, p->in_len);
	n = recv(p->fd, c->input + len, PEER_INPUT_SIZE - len, 0);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		peer_lose(c, p, n == 0 ? &c->account.closed : &c->account.reset);
		return;
	}
	len += (size_t)n;
	now = peer_clock_ns();
	while (at < len) {
		const char *body = NULL;
		size_t body_len = 0;
		int status = 0;
		long used = parse(c->input + at, len - at, &status, &body, &body_len);

		if (used < 0 || (used == 0 && len - at == PEER_INPUT_SIZE)) {
			peer_lose(c, p, &c->account.malformed);
			return;
		}
		if (!used)
			break;
		note_reply(c, p, status, is_expected(c, p, body, body_len), now);
		at += (size_t)used;
	}
	if (len - at > p->in_len || !p->in) {
		p->in = realloc(p->in, len - at + 256);
		if (!p->in)
			abort();
	}
	memcpy(p->in, c->input + at, len - at);
	p->in_len = len - at;
	peer_make(c, p, now);
}
