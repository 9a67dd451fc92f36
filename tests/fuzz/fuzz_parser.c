/*
 * fuzz_parser.c - http/parser: one verdict however the bytes are cut, and none but a sound message is complete.
 *
 * Input: a byte n, lengths of n % 16 pieces, then the bytes of requests.
 */
#include "fuzz/fuzz.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "http/parser.h"

/* Small, so that an input can go over each of them. */
static const struct message_limits limits = { .header_size = 512, .uri_size = 64, .fields = 20, .body_size = 48 };

/* A message whose struct and whose bytes move between any two feeds, with nothing behind the bytes. */
struct trial {
	struct message *message;
	char *bytes;
};

static void trial_init(struct trial *trial)
{
	trial->message = malloc(sizeof(*trial->message));
	FUZZ_CHECK(trial->message, "out of memory");
	memset(trial->message, 0xa5, sizeof(*trial->message));
	message_init(trial->message);
	trial->bytes = NULL;
}

static enum message_status feed(struct trial *trial, const char *input, size_t len)
{
	struct message *moved = malloc(sizeof(*moved));
	char *bytes = malloc(len ? len : 1);

	FUZZ_CHECK(moved && bytes, "out of memory");
	memcpy(moved, trial->message, sizeof(*moved));
	free(trial->message);
	free(trial->bytes);
	memcpy(bytes, input, len);
	trial->message = moved;
	trial->bytes = bytes;
	return message_feed(moved, &limits, bytes, len);
}

static void trial_finish(struct trial *trial)
{
	message_finish(trial->message);
	free(trial->message);
	free(trial->bytes);
}

static bool spans_equal(struct message_span one, struct message_span two)
{
	return one.at == two.at && one.len == two.len;
}

static void compare(
	const struct message *one, enum message_status first, const struct message *two, enum message_status second)
{
	FUZZ_CHECK(first == second, "whole %d, in pieces %d", first, second);
	FUZZ_CHECK(one->error == two->error, "whole %d, in pieces %d", one->error, two->error);
	FUZZ_CHECK(!one->reason == !two->reason, "a reason in one of two");
	FUZZ_CHECK(!one->reason || !strcmp(one->reason, two->reason), "%s, and %s", one->reason, two->reason);
	FUZZ_CHECK(one->head_done == two->head_done, "the head");
	if (!one->head_done)
		return;
	FUZZ_CHECK(one->method == two->method && one->minor == two->minor, "the request line");
	FUZZ_CHECK(one->head_len == two->head_len && one->n_fields == two->n_fields, "the head");
	FUZZ_CHECK(spans_equal(one->target, two->target), "the target");
	FUZZ_CHECK(spans_equal(one->path, two->path) && spans_equal(one->query, two->query), "the path");
	FUZZ_CHECK(one->keep_alive == two->keep_alive && one->chunked == two->chunked &&
			one->expect_continue == two->expect_continue,
		"the flags");
	for (uint32_t i = 0; i < one->n_fields; i++)
		FUZZ_CHECK(spans_equal(one->fields[i].name, two->fields[i].name) &&
				spans_equal(one->fields[i].value, two->fields[i].value),
			"field %u", i);
	if (first != MESSAGE_COMPLETE)
		return;
	FUZZ_CHECK(one->length == two->length && spans_equal(one->body, two->body), "the body");
	FUZZ_CHECK(one->chunked_body.len == two->chunked_body.len, "the chunked body");
	FUZZ_CHECK(!one->chunked_body.len ||
			!memcmp(one->chunked_body.data, two->chunked_body.data, one->chunked_body.len),
		"the chunked body");
}

/* ---- what a sound head is, told apart by another reader than the product's ---- */

struct facts {
	unsigned hosts, lengths, codings;
	uint64_t length;
	bool chunked;
};

static bool name_is(const char *line, size_t len, const char *name)
{
	return len == strlen(name) && !strncasecmp(line, name, len);
}

static void read_field(const char *line, size_t len, struct facts *facts)
{
	const char *colon = memchr(line, ':', len);
	const char *value, *end = line + len;
	size_t name_len;

	FUZZ_CHECK(colon && colon > line, "a field line without a name");
	name_len = (size_t)(colon - line);
	for (size_t i = 0; i < name_len; i++)
		FUZZ_CHECK(isalnum((unsigned char)line[i]) || strchr("!#$%&'*+-.^_`|~", line[i]), "no token");
	for (value = colon + 1; value < end && (*value == ' ' || *value == '\t'); value++)
		;
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	if (name_is(line, name_len, "Host")) {
		facts->hosts++;
	} else if (name_is(line, name_len, "Content-Length")) {
		facts->lengths++;
		FUZZ_CHECK(value < end, "an empty Content-Length");
		for (facts->length = 0; value < end; value++) {
			FUZZ_CHECK(*value >= '0' && *value <= '9', "Content-Length");
			facts->length = facts->length * 10 + (uint64_t)(*value - '0');
			FUZZ_CHECK(facts->length <= limits.body_size, "Content-Length beyond the limit");
		}
	} else if (name_is(line, name_len, "Transfer-Encoding")) {
		facts->codings++;
		facts->chunked = name_is(value, (size_t)(end - value), "chunked");
		FUZZ_CHECK(facts->chunked, "Transfer-Encoding is not chunked alone");
	}
}

/* RFC 9112: lines end with CRLF, none is folded, and how long the message is has one meaning. */
static void check_head(const struct message *m, const char *bytes)
{
	const char *at = bytes, *end = bytes + m->head_len;
	struct facts facts = { 0 };
	unsigned lines = 0;

	FUZZ_CHECK(m->head_len <= limits.header_size, "a head of %u", m->head_len);
	if (m->head_len > 2 && !memcmp(at, "\r\n", 2))
		at += 2;
	while (at < end) {
		const char *eol = memmem(at, (size_t)(end - at), "\r\n", 2);

		FUZZ_CHECK(eol, "a head without its end");
		for (const char *c = at; c < eol; c++)
			FUZZ_CHECK((unsigned char)*c >= 0x20 || *c == '\t', "byte %d in a line", *c);
		if (eol == at) {
			FUZZ_CHECK(eol + 2 == end, "an empty line in the head");
			break;
		}
		FUZZ_CHECK(*at != ' ' && *at != '\t', "a folded line");
		if (lines++)
			read_field(at, (size_t)(eol - at), &facts);
		at = eol + 2;
	}
	FUZZ_CHECK(lines - 1 == m->n_fields, "%u lines, %u fields", lines, m->n_fields);
	FUZZ_CHECK(facts.hosts <= 1 && facts.lengths <= 1 && facts.codings <= 1, "a field twice");
	FUZZ_CHECK(facts.hosts == 1 || m->minor == 0, "no Host");
	FUZZ_CHECK(!facts.lengths || !facts.codings, "two framings");
	FUZZ_CHECK(facts.chunked == m->chunked, "the framing");
	FUZZ_CHECK(m->minor == 1 || !m->chunked, "a coding in HTTP/1.0");
	if (!m->chunked)
		FUZZ_CHECK(m->body.len == facts.length && m->length == m->head_len + facts.length, "the length");
	FUZZ_CHECK(m->target.len && m->target.len <= limits.uri_size, "a target of %u", m->target.len);
	FUZZ_CHECK(m->path.at + m->path.len <= m->head_len && m->query.at + m->query.len <= m->head_len, "the path");
}

static void check_sound(const struct message *m, enum message_status status, const char *bytes, size_t len)
{
	static const uint16_t errors[] = { 400, 413, 414, 417, 431, 501, 503, 505 };
	bool known = status != MESSAGE_BAD;

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		known |= m->error == errors[i];
	FUZZ_CHECK(known && (status == MESSAGE_BAD) == (m->reason != NULL), "status %d, error %d", status, m->error);
	if (m->head_done)
		check_head(m, bytes);
	if (status != MESSAGE_COMPLETE)
		return;
	FUZZ_CHECK(m->head_done && m->length >= m->head_len && m->length <= len, "the length");
	FUZZ_CHECK(m->chunked_body.len <= limits.body_size, "a chunked body of %zu", m->chunked_body.len);
	FUZZ_CHECK(m->length <= 3 * (size_t)limits.header_size + 2 * limits.body_size, "a request of %u", m->length);
}

/* One message; the bytes that are behind it. */
static size_t run(const char *input, size_t len, const struct fuzz_cuts *cuts)
{
	enum message_status whole, pieces = MESSAGE_PARTIAL;
	struct trial one, two;
	size_t fed = 0, rest = 0;

	trial_init(&one);
	trial_init(&two);
	whole = feed(&one, input, len);
	check_sound(one.message, whole, one.bytes, len);
	for (size_t i = 0; fed < len && pieces == MESSAGE_PARTIAL; i++) {
		fed += fuzz_piece(cuts, i, len - fed);
		pieces = feed(&two, input, fed);
	}
	compare(one.message, whole, two.message, pieces);
	if (whole == MESSAGE_COMPLETE)
		rest = len - one.message->length;
	trial_finish(&one);
	trial_finish(&two);
	return rest;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t single[] = { 0 };
	const struct fuzz_cuts bytewise = { single, 1 };
	struct fuzz_cuts cuts;
	const char *input;
	size_t len;

	if (!size || size < 1 + (size_t)(data[0] % 16))
		return 0;
	cuts = (struct fuzz_cuts){ data + 1, data[0] % 16 };
	input = (const char *)data + 1 + cuts.n;
	len = size - 1 - cuts.n;
	for (size_t rest = len; rest; rest = run(input + len - rest, rest, &cuts))
		if (len < 1024)
			(void)run(input + len - rest, rest, &bytewise);
	return 0;
}
