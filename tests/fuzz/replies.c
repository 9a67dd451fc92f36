/* replies.c - status line, fields, framing, body; one reply behind the other. */
#include "fuzz/replies.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

struct framing {
	unsigned lengths, codings, dates, connections;
	size_t length;
};

static void read_field(struct reply_read *reply, struct framing *framing, const char *line, size_t len)
{
	const char *colon = memchr(line, ':', len);
	const char *value, *end = line + len;
	size_t name_len, value_len;

	FUZZ_CHECK(colon && colon > line && colon + 1 < end && colon[1] == ' ', "a field: %.*s", (int)len, line);
	name_len = (size_t)(colon - line);
	value = colon + 2;
	value_len = (size_t)(end - value);
	for (size_t i = 0; i < name_len; i++)
		FUZZ_CHECK(isalnum((unsigned char)line[i]) || line[i] == '-', "a field: %.*s", (int)len, line);
	for (size_t i = 0; i < value_len; i++)
		FUZZ_CHECK((unsigned char)value[i] >= 0x20 && value[i] != 0x7f, "byte %d in a field", value[i]);
	if (name_len == 4 && !strncasecmp(line, "Date", 4)) {
		framing->dates++;
		return;
	}
	if (name_len == 10 && !strncasecmp(line, "Connection", 10)) {
		framing->connections++;
		reply->close = value_len == 5 && !memcmp(value, "close", 5);
		FUZZ_CHECK(
			reply->close || (value_len == 10 && !memcmp(value, "keep-alive", 10)), "%.*s", (int)len, line);
		return;
	}
	if (name_len == 14 && !strncasecmp(line, "Content-Length", 14)) {
		framing->lengths++;
		FUZZ_CHECK(value_len && value_len < 10, "%.*s", (int)len, line);
		for (size_t i = 0; i < value_len; i++) {
			FUZZ_CHECK(isdigit((unsigned char)value[i]), "%.*s", (int)len, line);
			framing->length = framing->length * 10 + (size_t)(value[i] - '0');
		}
	}
	if (name_len == 17 && !strncasecmp(line, "Transfer-Encoding", 17)) {
		framing->codings++;
		FUZZ_CHECK(value_len == 7 && !memcmp(value, "chunked", 7), "%.*s", (int)len, line);
	}
	outbuf_append(&reply->head, line, len);
	outbuf_text(&reply->head, "\n");
}

/* The bytes behind the head, or NULL: it is cut. */
static const char *read_head(struct reply_read *reply, struct framing *framing, const char *at, const char *end)
{
	for (unsigned lines = 0;; lines++) {
		const char *eol = at < end ? memmem(at, (size_t)(end - at), "\r\n", 2) : NULL;

		if (!eol)
			return NULL;
		if (lines == 0) {
			FUZZ_CHECK(eol - at > 13 && !memcmp(at, "HTTP/1.1 ", 9) && at[9] >= '1' && at[9] <= '5' &&
					isdigit((unsigned char)at[10]) && isdigit((unsigned char)at[11]) &&
					at[12] == ' ',
				"a status line: %.*s", (int)(eol - at), at);
			reply->status = (at[9] - '0') * 100 + (at[10] - '0') * 10 + at[11] - '0';
			outbuf_append(&reply->head, at, (size_t)(eol - at));
			outbuf_text(&reply->head, "\n");
		} else if (eol == at) {
			return eol + 2;
		} else {
			read_field(reply, framing, at, (size_t)(eol - at));
		}
		at = eol + 2;
	}
}

static const char *read_chunks(struct reply_read *reply, const char *at, const char *end)
{
	for (;;) {
		const char *eol = at < end ? memmem(at, (size_t)(end - at), "\r\n", 2) : NULL;
		size_t size = 0;

		if (!eol)
			return NULL;
		FUZZ_CHECK(eol > at && eol - at < 8, "a chunk line");
		for (; at < eol; at++) {
			FUZZ_CHECK(isxdigit((unsigned char)*at), "a chunk line");
			size = size * 16 + (size_t)(isdigit((unsigned char)*at) ? *at - '0' : (*at | 0x20) - 'a' + 10);
		}
		at += 2;
		if ((size_t)(end - at) < size + 2)
			return NULL;
		outbuf_append(&reply->body, at, size);
		at += size;
		FUZZ_CHECK(!memcmp(at, "\r\n", 2), "no line end behind a chunk");
		at += 2;
		if (!size)
			return at;
	}
}

/* The bytes behind the reply; NULL: it is cut. */
static const char *read_one(struct reply_read *reply, const char *at, const char *end, bool may_have_body)
{
	struct framing framing = { 0 };
	bool bodiless;

	at = read_head(reply, &framing, at, end);
	if (!at)
		return NULL;
	if (reply->status == 100) {
		FUZZ_CHECK(!framing.lengths && !framing.codings, "a 100 with a body");
		return at;
	}
	bodiless = reply->status == 204 || reply->status == 304;
	FUZZ_CHECK(framing.dates == 1 && framing.connections <= 1, "Date or Connection");
	FUZZ_CHECK(framing.lengths + framing.codings <= 1, "two framings");
	FUZZ_CHECK(reply->status != 204 || !(framing.lengths + framing.codings), "a framing of nothing");
	if (bodiless || !may_have_body)
		return at;
	if (framing.codings)
		return read_chunks(reply, at, end);
	if (!framing.lengths) {
		FUZZ_CHECK(reply->close, "no framing");
		reply->until_end = true;
		outbuf_append(&reply->body, at, (size_t)(end - at));
		return end;
	}
	if ((size_t)(end - at) < framing.length)
		return NULL;
	outbuf_append(&reply->body, at, framing.length);
	return at + framing.length;
}

bool replies_are_to_head(const char *bytes, size_t len)
{
	const size_t skip = len >= 2 && !memcmp(bytes, "\r\n", 2) ? 2 : 0;

	return len - skip >= 5 && !memcmp(bytes + skip, "HEAD ", 5);
}

void replies_read(struct replies *replies, const char *bytes, size_t len, bool (*has_body)(void *arg, unsigned i),
	void *arg, bool cut_short)
{
	const char *at = bytes, *end = len ? bytes + len : bytes;
	bool closed = false;

	replies->n = replies->continues = 0;
	while (at < end) {
		struct reply_read *reply = &replies->items[replies->n];

		FUZZ_CHECK(replies->n < REPLIES_MAX, "too many replies");
		FUZZ_CHECK(!closed, "bytes behind a reply that said it was the last: %.*s", (int)(end - at), at);
		*reply = (struct reply_read){ 0 };
		at = read_one(reply, at, end, has_body(arg, replies->n));
		if (!at) {
			FUZZ_CHECK(cut_short, "a reply is cut short");
			reply->cut = true;
			replies->n++;
			return;
		}
		if (reply->status == 100) {
			outbuf_finish(&reply->head);
			replies->continues++;
			continue;
		}
		closed = reply->close;
		replies->n++;
	}
}

void replies_finish(struct replies *replies)
{
	for (unsigned i = 0; i < replies->n; i++) {
		outbuf_finish(&replies->items[i].head);
		outbuf_finish(&replies->items[i].body);
	}
	replies->n = 0;
}
