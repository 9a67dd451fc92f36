/* replies.c - status lines, fields and bodies of replies; stricter than any client need be. */
#include "conformance/replies.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool is_line_end(const char *at)
{
	return at[0] == '\r' && at[1] == '\n';
}

static bool is_tchar(char c)
{
	return c && (isalnum((unsigned char)c) || strchr("!#$%&'*+-.^_`|~", c));
}

static const char *check_status_line(struct answer *answer)
{
	const char *at = answer->head;

	if (answer->head_len < 15 || memcmp(at, "HTTP/1.1 ", 9) != 0)
		return "no HTTP/1.1 status line";
	if (!isdigit((unsigned char)at[9]) || !isdigit((unsigned char)at[10]) || !isdigit((unsigned char)at[11]) ||
		at[12] != ' ')
		return "no status of three digits";
	answer->status = (at[9] - '0') * 100 + (at[10] - '0') * 10 + at[11] - '0';
	return answer->status >= 100 && answer->status < 600 ? NULL : "a status out of range";
}

/* Behind the head there are two bytes more, so that a line's end can be looked at. */
static const char *check_lines(const struct answer *answer)
{
	const char *end = answer->head + answer->head_len - 2, *at = answer->head;
	bool first = true;

	while (at < end) {
		const char *name = at;

		if (!first) {
			while (is_tchar(*at))
				at++;
			if (at == name || *at != ':')
				return "a field without a name";
		}
		first = false;
		while (at < end && !is_line_end(at)) {
			if ((unsigned char)*at < ' ' && *at != '\t')
				return "a control byte in a head";
			at++;
		}
		at += 2;
	}
	return NULL;
}

unsigned answer_field(const struct answer *answer, const char *name, char *value, size_t size)
{
	const char *end = answer->head + answer->head_len - 2;
	const char *at = memmem(answer->head, answer->head_len, "\r\n", 2);
	size_t len = strlen(name);
	unsigned n = 0;

	if (size)
		value[0] = 0;
	while (at && (at += 2) < end) {
		const char *last = memmem(at, (size_t)(end - at), "\r\n", 2);

		if ((size_t)(last - at) > len && !strncasecmp(at, name, len) && at[len] == ':') {
			const char *from = at + len + 1;
			const char *to = last;

			while (from < to && (*from == ' ' || *from == '\t'))
				from++;
			while (to > from && (to[-1] == ' ' || to[-1] == '\t'))
				to--;
			if (size)
				snprintf(value, size, "%.*s", (int)(to - from), from);
			n++;
		}
		at = last;
	}
	return n;
}

bool answer_has_word(const struct answer *answer, const char *name, const char *word)
{
	char value[1024], *left = value, *item;

	answer_field(answer, name, value, sizeof(value));
	while ((item = strsep(&left, ", \t")))
		if (!strcasecmp(item, word))
			return true;
	return false;
}

/* The length of the chunked body, 0 if it is not all here, or -1 when it is none. */
static long chunked_length(const char *bytes, size_t len)
{
	size_t at = 0;

	for (;;) {
		const char *line = memmem(bytes + at, len - at, "\r\n", 2);
		char *end;
		unsigned long size;

		if (!line)
			return 0;
		if (!isxdigit((unsigned char)bytes[at]))
			return -1;
		size = strtoul(bytes + at, &end, 16);
		if (end != line && *end != ';')
			return -1;
		at = (size_t)(line - bytes) + 2;
		if (size == 0) /* without trailers, as none of the servers sends any */
			return len - at < 2 ? 0 : memcmp(bytes + at, "\r\n", 2) ? -1 : (long)at + 2;
		if (len - at < size + 2)
			return 0;
		at += size + 2;
	}
}

/* The body: false when it is not all here, or with an error. */
static bool read_body(struct answer *answer, size_t left, bool head, bool ended, const char **error)
{
	char value[256], *end;
	unsigned lengths = answer_field(answer, "Content-Length", value, sizeof(value));
	unsigned long length = strtoul(value, &end, 10);
	long chunks;

	answer->chunked = answer_has_word(answer, "Transfer-Encoding", "chunked");
	if (lengths > 1 || (lengths && answer->chunked)) {
		*error = "framed twice";
		return false;
	}
	if (lengths && (*end || !isdigit((unsigned char)value[0]))) {
		*error = "a bad Content-Length";
		return false;
	}
	if (head || answer->status < 200 || answer->status == 204 || answer->status == 304)
		return true;
	if (answer->chunked) {
		chunks = chunked_length(answer->body, left);
		if (chunks < 0)
			*error = "a bad chunk";
		answer->body_len = chunks > 0 ? (size_t)chunks : 0;
		return chunks > 0;
	}
	answer->body_len = lengths ? length : left;
	return lengths ? left >= length : ended;
}

void replies_read(struct replies *replies, const char *bytes, size_t len, uint64_t heads, bool ended)
{
	size_t at = 0;

	replies->n = replies->n_final = 0;
	replies->error = NULL;
	while (at < len && replies->n < REPLIES_MAX) {
		struct answer *answer = &replies->list[replies->n];
		const char *end = memmem(bytes + at, len - at, "\r\n\r\n", 4);

		if (!end) {
			if (memcmp(bytes + at, "HTTP/1.1 ", len - at < 9 ? len - at : 9) != 0)
				replies->error = "no HTTP/1.1 status line";
			break;
		}
		*answer = (struct answer){ .head = bytes + at, .head_len = (size_t)(end - bytes) + 4 - at };
		answer->body = answer->head + answer->head_len;
		replies->error = check_status_line(answer);
		if (!replies->error)
			replies->error = check_lines(answer);
		if (replies->error ||
			!read_body(answer, len - at - answer->head_len, heads >> replies->n_final & 1, ended,
				&replies->error))
			break;
		at += answer->head_len + answer->body_len;
		replies->n++;
		replies->n_final += answer->status >= 200;
	}
	replies->partial = at < len;
}
