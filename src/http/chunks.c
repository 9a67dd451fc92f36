/* chunks.c - the grammar of chunk lines as a state machine. */
#include "http/chunks.h"

#include <stdbool.h>

#include "http/head.h"

/*
 *	chunk-size [ BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] ]... CRLF
 *	chunk-data CRLF
 */
enum state {
	SIZE,
	SPACE, /* before a ';' */
	EXTENSION,
	NAME,
	NAME_SPACE, /* before a '=' or a ';' */
	VALUE,
	TOKEN,
	QUOTED,
	PAIR, /* behind a '\' in quotes */
	UNQUOTED,
	LINE_END,
	DATA,
	DATA_CR,
	DATA_LF,
};

static enum chunks_verdict refuse(struct chunks *chunks, uint16_t error, const char *reason)
{
	chunks->error = error;
	chunks->reason = reason;
	return CHUNKS_BAD;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

/* What may stand in quotes, or behind a '\' there: all but control bytes (RFC 9110 section 5.6.4). */
static bool is_text(char c)
{
	return c == '\t' || ((unsigned char)c >= ' ' && c != 0x7f);
}

static bool is_token(char c)
{
	return head_token(&c, 1) == 1;
}

/* Behind a size, a name or a value that may end there. space: the state that a blank leads to. */
static int leave(char c, int space)
{
	if (c == '\r')
		return LINE_END;
	if (c == ';')
		return EXTENSION;
	return is_space(c) ? space : -1;
}

/* The state behind c in the value of an extension; -1: c must not stand there. */
static int step_value(enum state state, char c)
{
	switch (state) {
	case VALUE: return is_space(c) ? VALUE : c == '"' ? QUOTED : is_token(c) ? TOKEN : -1;
	case TOKEN: return is_token(c) ? TOKEN : leave(c, SPACE);
	case QUOTED: return c == '"' ? UNQUOTED : c == '\\' ? PAIR : is_text(c) ? QUOTED : -1;
	case PAIR: return is_text(c) ? QUOTED : -1;
	default: return leave(c, SPACE);
	}
}

/* The same before and in its name. */
static int step_name(enum state state, char c)
{
	switch (state) {
	case SPACE: return is_space(c) ? SPACE : c == ';' ? EXTENSION : -1;
	case EXTENSION: return is_space(c) ? EXTENSION : is_token(c) ? NAME : -1;
	case NAME: return is_token(c) ? NAME : c == '=' ? VALUE : leave(c, NAME_SPACE);
	default: return is_space(c) ? NAME_SPACE : c == '=' ? VALUE : c == ';' ? EXTENSION : -1;
	}
}

static int step_size(struct chunks *chunks, char c)
{
	int value = digit(c);

	if (value < 0)
		return chunks->any ? leave(c, SPACE) : -1;
	chunks->any = true;
	chunks->left = chunks->left >> 60 ? UINT64_MAX : chunks->left << 4 | (unsigned)value;
	return SIZE;
}

/* The same of all that is no data. */
static int step(struct chunks *chunks, char c)
{
	switch ((enum state)chunks->state) {
	case SIZE: return step_size(chunks, c);
	case SPACE:
	case EXTENSION:
	case NAME:
	case NAME_SPACE: return step_name((enum state)chunks->state, c);
	case LINE_END: return c == '\n' ? DATA : -1;
	case DATA_CR: return c == '\r' ? DATA_LF : -1;
	case DATA_LF: return c == '\n' ? SIZE : -1;
	default: return step_value((enum state)chunks->state, c);
	}
}

enum chunks_verdict chunks_feed(
	struct chunks *chunks, const struct chunks_limits *limits, const char *bytes, size_t *len, struct outbuf *data)
{
	const char *at = bytes, *end = bytes + *len;

	while (at < end) {
		int next;

		if (chunks->state == DATA) {
			size_t n = (size_t)(end - at);

			if (n > chunks->left)
				n = (size_t)chunks->left;
			outbuf_append(data, at, n);
			if (data->failed)
				return refuse(chunks, 503, "out of memory");
			at += n;
			chunks->left -= n;
			if (!chunks->left)
				chunks->state = DATA_CR;
			continue;
		}
		next = step(chunks, *at);
		if (next < 0)
			return refuse(chunks, 400, "bad chunk");
		at++;
		if (++chunks->framing > limits->framing + data->len)
			return refuse(chunks, 413, "too much chunk framing");
		chunks->state = (uint8_t)next;
		if (next != DATA)
			continue;
		chunks->any = false;
		if (chunks->left > limits->data - data->len)
			return refuse(chunks, 413, "chunked body too large");
		if (!chunks->left) {
			*len = (size_t)(at - bytes);
			return CHUNKS_END;
		}
	}
	return CHUNKS_PARTIAL;
}
