/* exchange.c - sends a row step by step, reading all the while; asks at the end whether the connection is kept. */
#include "conformance/exchange.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "conformance/replies.h"
#include "support/address.h"
#include "support/wire.h"

/* Not as much as a segment: a server that is asked something else behind it need not know it. */
static const char probe[] = "GET / HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n";

struct line {
	int fd;
	const struct row *row;
	struct outcome *outcome;
	struct replies replies;
	double until;
	bool over; /* the outcome's end is known */
	char *out; /* not sent yet; has room for the whole row */
	size_t out_len;
};

size_t row_len(const struct row *row)
{
	size_t len = 0;

	for (size_t i = 0; i < ROW_STEPS; i++)
		if (row->steps[i].kind == STEP_SEND)
			len += row->steps[i].len * row->steps[i].count;
	return len;
}

uint64_t row_heads(const struct row *row)
{
	uint64_t heads = 0;
	unsigned n = 0;

	for (const char *at = row->expect; at; at = strchr(at, ' ')) {
		at += *at == ' ';
		if (!strncmp(at, "or ", 3))
			break;
		if (*at == 'H')
			heads |= UINT64_C(1) << n;
		n += *at != '?' && strncmp(at, "100", 3) != 0;
	}
	return heads;
}

/* Takes what has come, waiting for it up to ms. */
static void take(struct line *line, int ms)
{
	struct outcome *outcome = line->outcome;
	struct pollfd p = { .fd = line->fd, .events = POLLIN };
	ssize_t n;

	if (line->over || poll(&p, 1, ms) <= 0)
		return;
	if (outcome->size - outcome->len < 8192) {
		outcome->size = outcome->size * 2 + 16384;
		outcome->bytes = realloc(outcome->bytes, outcome->size);
		if (!outcome->bytes)
			abort();
	}
	n = recv(line->fd, outcome->bytes + outcome->len, outcome->size - outcome->len - 1, 0);
	if (n <= 0) {
		line->over = true;
		outcome->end = n == 0 ? END_EOF : END_RESET;
	} else {
		outcome->len += (size_t)n;
	}
	outcome->bytes[outcome->len] = 0;
	replies_read(&line->replies, outcome->bytes, outcome->len, row_heads(line->row), line->over);
}

static int left_ms(const struct line *line)
{
	double left = line->until - wire_clock_ms();

	return left > 0 ? (int)left + 1 : 0;
}

/* Takes input until there are n replies, final ones or of any kind, or the connection is over, or it is too late. */
static void await_replies(struct line *line, size_t n, bool final)
{
	while (!line->over && !line->replies.error && (final ? line->replies.n_final : line->replies.n) < n) {
		int left = left_ms(line);

		if (!left)
			return;
		take(line, left);
	}
}

static void rest_us(long us)
{
	nanosleep(&(struct timespec){ .tv_nsec = us * 1000 }, NULL);
}

/* A server that has refused may have closed: what it said before is read all the same. */
static void put(struct line *line, const char *bytes, size_t len)
{
	while (len && left_ms(line)) {
		ssize_t n = send(line->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		struct pollfd p = { .fd = line->fd, .events = POLLOUT };

		if (n < 0 && errno != EAGAIN)
			return;
		if (n < 0) {
			take(line, 0);
			poll(&p, 1, 10);
			continue;
		}
		bytes += n;
		len -= (size_t)n;
	}
}

enum { CUTS = 3 };

/* Places of the piece that depend on nothing but the row. */
static void choose_cuts(const struct row *row, size_t len, size_t places[CUTS])
{
	uint32_t hash = 2166136261u;

	for (const char *c = row->name; *c; c++)
		hash = (hash ^ (unsigned char)*c) * 16777619u;
	for (int i = 0; i < CUTS; i++, hash = hash * 1664525u + 1013904223u)
		places[i] = (hash >> 8) % len;
}

/* The first cut behind from; len: there is none. */
static size_t next_cut(const size_t places[CUTS], size_t from, size_t len)
{
	size_t next = len;

	for (int i = 0; i < CUTS; i++)
		if (places[i] > from && places[i] < next)
			next = places[i];
	return next;
}

static void flush(struct line *line, enum cut cut)
{
	size_t places[CUTS] = { 0 }, from = 0;

	if (cut == CUT_THRICE && line->out_len)
		choose_cuts(line->row, line->out_len, places);
	while (from < line->out_len) {
		size_t to = cut == CUT_BYTES ? from + 1 : next_cut(places, from, line->out_len);

		put(line, line->out + from, to - from);
		from = to;
		if (from < line->out_len)
			rest_us(cut == CUT_THRICE ? 2000 : 20);
	}
	line->out_len = 0;
}

static void add(struct line *line, const struct step *step)
{
	for (unsigned i = 0; i < step->count; i++, line->out_len += step->len)
		memcpy(line->out + line->out_len, step->bytes, step->len);
}

/* Final replies of the longest choice that keeps the connection; 0 when there is none, or nothing more can be sent. */
static size_t kept_replies(const struct row *row)
{
	size_t n = 0, most = 0;
	const char *at;

	for (size_t i = 0; i < ROW_STEPS; i++)
		if (row->steps[i].kind == STEP_SHUT)
			return 0;
	for (at = row->expect; at; at = strchr(at, ' ')) {
		at += *at == ' ';
		if (!strncmp(at, "or ", 3) || !strncmp(at, "close", 5) || !strncmp(at, "wait", 4))
			n = 0;
		else if (!strncmp(at, "keep", 4) || !strncmp(at, "any", 3))
			most = n > most ? n : most;
		else
			n += *at != '?' && strncmp(at, "100", 3) != 0;
	}
	return most;
}

static bool says_close(const struct replies *replies)
{
	return replies->n && answer_has_word(&replies->list[replies->n - 1], "Connection", "close");
}

static void ask_whether_kept(struct line *line, size_t n)
{
	await_replies(line, n, true);
	if (line->over || line->replies.error || line->replies.n_final < n || says_close(&line->replies))
		return;
	line->outcome->probed = true;
	line->outcome->probe_at = line->outcome->len;
	put(line, probe, sizeof(probe) - 1);
}

static void run_steps(struct line *line, enum cut cut)
{
	size_t awaited = 0;

	for (size_t i = 0; i < ROW_STEPS; i++) {
		const struct step *step = &line->row->steps[i];

		if (step->kind == STEP_SEND) {
			add(line, step);
			continue;
		}
		flush(line, cut);
		if (step->kind == STEP_AWAIT)
			await_replies(line, ++awaited, false);
		else if (step->kind == STEP_SHUT)
			shutdown(line->fd, SHUT_WR);
		else if (step->kind == STEP_PAUSE)
			rest_us((long)step->count * 1000);
	}
	flush(line, cut);
}

static int dial(const char *address)
{
	struct sockaddr_storage sa;
	socklen_t len;
	int fd, one = 1;

	if (!address_parse(address, &sa, &len))
		return -1;
	fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, len) < 0) {
		close(fd);
		return -1;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

void exchange(const char *address, const struct row *row, enum cut cut, int patience_ms, struct outcome *outcome)
{
	char *room = malloc(row_len(row) + 1);
	struct line line = { .fd = dial(address), .row = row, .outcome = outcome, .out = room };
	size_t kept = kept_replies(row);

	*outcome = (struct outcome){ .end = END_UNREACHABLE };
	if (!room)
		abort();
	if (line.fd < 0)
		goto free_room;
	line.until = wire_clock_ms() + patience_ms;
	outcome->end = END_SILENCE;
	run_steps(&line, cut);
	if (kept)
		ask_whether_kept(&line, kept);
	while (!line.over && left_ms(&line))
		take(&line, left_ms(&line));
	close(line.fd);
free_room:
	free(room);
}

void outcome_finish(struct outcome *outcome)
{
	free(outcome->bytes);
}
