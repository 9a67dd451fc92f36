/* lines.c - chunks to lines (RFC 9112 section 7.1). */
#include "support/lines.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/keep.h"

enum { SIZE = 1 << 20 };

struct lines {
	struct wire *wire;
	char raw[SIZE], text[SIZE]; /* as received; without the framing */
	size_t raw_len, text_len;
	bool ended;
};

/* More bytes. */
static void receive(struct lines *lines, int ms)
{
	size_t n;

	if (wire_end(lines->wire, ms) == WIRE_QUIET)
		fail_msg("nothing for %d ms behind \"%.*s\"", ms, (int)lines->text_len, lines->text);
	assert_true(lines->raw_len < SIZE);
	n = wire_read(lines->wire, lines->raw + lines->raw_len, SIZE - lines->raw_len);
	if (!n)
		fail_msg("the connection ended within a reply, behind \"%.*s\"", (int)lines->text_len, lines->text);
	lines->raw_len += n;
}

static void drop(char *bytes, size_t *len, size_t n)
{
	*len -= n;
	memmove(bytes, bytes + n, *len);
}

/* Decodes the first chunk; false: it is not here whole. */
static bool decode(struct lines *lines)
{
	const char *end = memmem(lines->raw, lines->raw_len, "\r\n", 2);
	size_t head, size;
	char *stop;

	if (!end)
		return false;
	size = strtoul(lines->raw, &stop, 16);
	if (stop != end)
		fail_msg("no chunk: \"%.*s\"", (int)lines->raw_len, lines->raw);
	head = (size_t)(end - lines->raw) + 2;
	if (lines->raw_len < head + size + 2)
		return false;
	assert_memory_equal(lines->raw + head + size, "\r\n", 2);
	assert_true(lines->text_len + size <= SIZE);
	memcpy(lines->text + lines->text_len, lines->raw + head, size);
	lines->text_len += size;
	lines->ended = !size;
	drop(lines->raw, &lines->raw_len, head + size + 2);
	return true;
}

struct lines *lines_open(const char *address, const char *method, const char *path)
{
	struct lines *lines = calloc(1, sizeof(*lines));
	const char *end;

	assert_non_null(lines);
	lines->wire = wire_open(address);
	wire_putf(lines->wire, "%s %s HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", method, path);
	do {
		receive(lines, WIRE_PATIENCE_MS);
		end = memmem(lines->raw, lines->raw_len, "\r\n\r\n", 4);
	} while (!end);
	if (strncmp(lines->raw, "HTTP/1.1 200 ", 13) != 0 ||
		!memmem(lines->raw, (size_t)(end - lines->raw), "\r\nTransfer-Encoding: chunked", 28))
		fail_msg("%s %s: %.*s", method, path, (int)lines->raw_len, lines->raw);
	drop(lines->raw, &lines->raw_len, (size_t)(end - lines->raw) + 4);
	return lines;
}

void lines_close(struct lines *lines)
{
	if (!lines)
		return;
	wire_close(lines->wire);
	free(lines);
}

void lines_reset(struct lines *lines)
{
	wire_reset(lines->wire);
	free(lines);
}

struct wire *lines_wire(struct lines *lines)
{
	return lines->wire;
}

const char *lines_next(struct lines *lines, int ms)
{
	const char *end, *line;
	size_t len;

	while (!(end = memchr(lines->text, '\n', lines->text_len)) && !lines->ended)
		if (!decode(lines))
			receive(lines, ms);
	if (!end) {
		assert_int_equal(lines->text_len, 0);
		return NULL;
	}
	len = (size_t)(end - lines->text);
	line = keepf("%.*s", (int)len, lines->text);
	drop(lines->text, &lines->text_len, len + 1);
	return line;
}

static json_t *parse(const char *text)
{
	json_t *json = json_loads(text, 0, NULL);

	if (!json_is_object(json))
		fail_msg("no JSON object: %s", text);
	return keep(json);
}

json_t *lines_json(struct lines *lines, int ms)
{
	const char *line = lines_next(lines, ms);

	return line ? parse(line) : NULL;
}

json_t *lines_event(struct lines *lines, const char *name, int ms, long *id)
{
	const char *line, *event = "", *data = "";
	double until = wire_clock_ms() + ms;
	long number = 0;

	while ((line = lines_next(lines, ms))) {
		if (wire_clock_ms() > until)
			fail_msg("no event %s within %d ms", name, ms);
		if (!strncmp(line, "id: ", 4))
			number = strtol(line + 4, NULL, 10);
		else if (!strncmp(line, "event: ", 7))
			event = line + 7;
		else if (!strncmp(line, "data: ", 6))
			data = line + 6;
		else if (!*line && !strcmp(event, name))
			break;
		else if (!*line)
			event = data = "";
	}
	if (!line)
		return NULL;
	if (id)
		*id = number;
	return parse(data);
}

long lines_number(const json_t *json, const char *key)
{
	const json_t *value = json_object_get(json, key);

	if (!json_is_integer(value))
		fail_msg("no number %s in %s", key, json_dumps(json, 0));
	return (long)json_integer_value(value);
}

const char *lines_text(const json_t *json, const char *key)
{
	const json_t *value = json_object_get(json, key);

	if (!json_is_string(value))
		fail_msg("no text %s in %s", key, json_dumps(json, 0));
	return json_string_value(value);
}
