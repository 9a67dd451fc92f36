/*
 * access_line.c - a request's head, looked through once, and the line written by hand: printf would cost more than all
 * the rest.
 */
#include "http/access_line.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/ring.h"

/* Bytes of the line that each may have, escaped. */
enum { LINE_SHOWN = 1024, FIELD_SHOWN = 512, REST_SHOWN = 768 };

_Static_assert(LINE_SHOWN + 2 * FIELD_SHOWN + TRACE_ID_MAX + TRACE_PARENT_LEN + REST_SHOWN < RING_LINE_MAX,
	"a line has room for all of them");

struct text {
	const char *at;
	size_t len;
};

struct head {
	struct text line, referer, agent, id, parent;
	bool parents; /* there is more than one */
};

static const char *const cause_names[] = {
#define CAUSE(name, text) [CAUSE_##name] = (text),
#include "http/causes.def"
};

void access_stamp_update(struct access_stamp *stamp, long second, bool json)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t then = second;
	struct tm tm;
	int n;

	if (stamp->second == second)
		return;
	gmtime_r(&then, &tm);
	if (json)
		n = snprintf(stamp->text, sizeof(stamp->text), "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900,
			tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
	else
		n = snprintf(stamp->text, sizeof(stamp->text), "%02d/%.3s/%04d:%02d:%02d:%02d +0000", tm.tm_mday,
			months + 3 * (ptrdiff_t)tm.tm_mon, tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
	stamp->second = second;
	stamp->len = n < 0 ? 0 : (size_t)n < sizeof(stamp->text) ? (size_t)n : sizeof(stamp->text) - 1;
}

/* ---- reading ---- */

/* The value of a field line, behind a name of name bytes, without the white space around it. */
static struct text value_of(const char *line, size_t len, size_t name)
{
	const char *at = line + name + 1, *end = line + len;

	while (at < end && (*at == ' ' || *at == '\t'))
		at++;
	while (end > at && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	return (struct text){ at, (size_t)(end - at) };
}

static bool is_field(const char *line, size_t len, const char *name, size_t name_len)
{
	return len > name_len && line[name_len] == ':' && !strncasecmp(line, name, name_len);
}

#define IS_FIELD(line, len, name) is_field(line, len, name, sizeof(name) - 1)

/* The first of each name, as rms_request_header() gives it. */
static void read_field(struct head *head, const char *line, size_t len)
{
	struct text value;

	switch (len ? *line | 0x20 : 0) {
	case 'r':
		if (!head->referer.at && IS_FIELD(line, len, "Referer"))
			head->referer = value_of(line, len, sizeof("Referer") - 1);
		break;
	case 'u':
		if (!head->agent.at && IS_FIELD(line, len, "User-Agent"))
			head->agent = value_of(line, len, sizeof("User-Agent") - 1);
		break;
	case 'x':
		if (!head->id.at && IS_FIELD(line, len, "X-Request-Id"))
			head->id = value_of(line, len, sizeof("X-Request-Id") - 1);
		break;
	case 't':
		if (!IS_FIELD(line, len, "traceparent"))
			break;
		value = value_of(line, len, sizeof("traceparent") - 1);
		head->parents = head->parent.at != NULL;
		head->parent = value;
		break;
	default: break;
	}
}

/* Up to a CR that ends no line, and with it: what is behind may be meant as a field, with a secret. */
static size_t line_len(const char *line, size_t len)
{
	const char *stray = memchr(line, '\r', len);

	return stray ? (size_t)(stray + 1 - line) : len;
}

/* Up to the empty line, or as far as it goes: of a request that was refused it may be anything. */
static struct head read_head(const char *at, size_t len)
{
	const char *end;
	struct head head = { 0 };
	bool first = true;

	if (!len)
		return head;
	end = at + len;
	/* RFC 9112 section 2.2: a line too many in front. */
	if (len >= 2 && at[0] == '\r' && at[1] == '\n')
		at += 2;
	while (at < end) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		const char *next = stop ? stop + 1 : end;
		size_t n = (size_t)((stop ? stop : end) - at);

		if (n && at[n - 1] == '\r')
			n--;
		if (first)
			head.line = (struct text){ at, line_len(at, n) };
		else if (!n)
			break;
		else
			read_field(&head, at, n);
		first = false;
		at = next;
	}
	if (!trace_id_is_good(head.id.at, head.id.len))
		head.id = (struct text){ 0 };
	if (head.parents || !trace_parent_is_good(head.parent.at, head.parent.len))
		head.parent = (struct text){ 0 };
	return head;
}

/* ---- writing ---- */

static char *put(char *at, const char *bytes, size_t len)
{
	memcpy(at, bytes, len);
	return at + len;
}

#define PUT(at, literal) put(at, literal, sizeof(literal) - 1)

static char *put_uint(char *at, uint64_t value)
{
	char digits[20];
	size_t i = sizeof(digits);

	do {
		digits[--i] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	return put(at, digits + i, sizeof(digits) - i);
}

/* Seconds with six decimals. */
static char *put_seconds(char *at, uint64_t ns)
{
	uint64_t us = ns / 1000;
	uint32_t part = (uint32_t)(us % 1000000);

	at = put_uint(at, us / 1000000);
	*at = '.';
	for (int i = 6; i > 0; i--) {
		at[i] = (char)('0' + part % 10);
		part /= 10;
	}
	return at + 7;
}

static bool is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

/* Whether eight bytes are plain, all at once; false may also mean that only most of them are. */
static bool are_plain(const char *at)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), highs = ones << 7;
	uint64_t x, quote, slash, del;

	memcpy(&x, at, sizeof(x));
	quote = x ^ ones * '"';
	slash = x ^ ones * '\\';
	del = x ^ ones * 0x7f;
	return !((x | (x - ones * 0x20) | (quote - ones) | (slash - ones) | (del - ones)) & highs);
}

/* One byte that is not plain. In JSON the text that it holds is what the other format shows. */
static char *put_escaped(char *at, unsigned char c, bool json)
{
	static const char digits[] = "0123456789abcdef";

	*at++ = '\\';
	if (c == '"' || c == '\\') {
		*at++ = (char)c;
		return at;
	}
	if (json)
		*at++ = '\\';
	*at++ = 'x';
	*at++ = digits[c >> 4];
	*at++ = digits[c & 15];
	return at;
}

/* Not beyond end, which leaves room for "..." when there is more. */
static char *put_text(char *at, const char *end, struct text text, bool json)
{
	const char *from = text.at, *stop;

	if (!text.len)
		return at;
	stop = from + text.len;
	while (from != stop) {
		if (end - at < 16) {
			/* There may be just enough; it is cut all the same. */
			return PUT(at, "...");
		}
		if (stop - from >= 8 && are_plain(from)) {
			at = put(at, from, 8);
			from += 8;
		} else if (is_plain((unsigned char)*from)) {
			*at++ = *from++;
		} else {
			at = put_escaped(at, (unsigned char)*from++, json);
		}
	}
	return at;
}

/* Up to the last '@' of an authority: the name and password in front of a host. Empty: there is none. */
static struct text find_user(struct text text)
{
	const char *host, *path, *user;
	size_t len;

	if (!memchr(text.at, '@', text.len))
		return (struct text){ 0 };
	host = memmem(text.at, text.len, "://", 3);
	if (host)
		host += 3;
	else if (text.len > 1 && text.at[0] == '/' && text.at[1] == '/')
		host = text.at + 2;
	else
		host = text.at; /* of CONNECT; a path's own slash ends it at once */
	len = text.len - (size_t)(host - text.at);
	path = memchr(host, '/', len);
	user = memrchr(host, '@', path ? (size_t)(path - host) : len);
	return user ? (struct text){ host, (size_t)(user + 1 - host) } : (struct text){ 0 };
}

/* Dots stand for what may be secret: a name and password, and what stands behind a '?'. */
static char *put_without_secrets(char *at, const char *end, struct text text, bool json)
{
	const char *query = text.len ? memchr(text.at, '?', text.len) : NULL;
	struct text user;

	if (query)
		text.len = (size_t)(query - text.at);
	user = text.len ? find_user(text) : text;
	if (user.len) {
		at = put_text(at, end, (struct text){ text.at, (size_t)(user.at - text.at) }, json);
		at = PUT(at, "...@");
		text.len -= (size_t)(user.at + user.len - text.at);
		text.at = user.at + user.len;
	}
	at = put_text(at, end, text, json);
	return query ? PUT(at, "?...") : at;
}

static char *put_id(char *at, const struct head *head, const struct access_facts *facts)
{
	if (head->id.at)
		return put(at, head->id.at, head->id.len);
	trace_make_id(&facts->place, at);
	return at + TRACE_ID_LEN;
}

/* method SP target SP version; of what is no such line, target is all of it. */
struct request_line {
	struct text method, target, version;
};

/* What stands behind a '?' and a space is no version unless it looks like one. */
static struct request_line split(struct text line)
{
	static const char name[] = "HTTP/";
	const char *first = line.len ? memchr(line.at, ' ', line.len) : NULL;
	const char *last = first ? memrchr(line.at, ' ', line.len) : NULL;
	struct text version;

	if (first == last || memchr(line.at, '?', (size_t)(first - line.at)))
		return (struct request_line){ .target = line };
	version = (struct text){ last + 1, line.len - (size_t)(last + 1 - line.at) };
	if (version.len < sizeof(name) - 1 || memcmp(version.at, name, sizeof(name) - 1) != 0)
		return (struct request_line){ .target = line };
	return (struct request_line){
		.method = { line.at, (size_t)(first - line.at) },
		.target = { first + 1, (size_t)(last - first - 1) },
		.version = version,
	};
}

static char *put_quoted(char *at, struct text text, bool is_link)
{
	*at++ = '"';
	if (!text.at)
		*at++ = '-';
	else if (is_link)
		at = put_without_secrets(at, at + FIELD_SHOWN, text, false);
	else
		at = put_text(at, at + FIELD_SHOWN, text, false);
	return PUT(at, "\" ");
}

static char *put_combined(char *at, const struct head *head, const struct access_facts *facts)
{
	struct request_line line = split(head->line);
	const char *end;

	at = put(at, facts->client, facts->client_len);
	at = PUT(at, " - - [");
	at = put(at, facts->stamp->text, facts->stamp->len);
	at = PUT(at, "] \"");
	end = at + LINE_SHOWN;
	if (line.method.at) {
		at = put_text(at, end - FIELD_SHOWN, line.method, false);
		*at++ = ' ';
	}
	at = head->line.len ? put_without_secrets(at, end - 64, line.target, false) : PUT(at, "-");
	if (line.version.at) {
		*at++ = ' ';
		at = put_text(at, end, line.version, false);
	}
	at = PUT(at, "\" ");
	if (facts->status < 100)
		at = PUT(at, "00");
	at = put_uint(at, (uint64_t)facts->status);
	*at++ = ' ';
	at = put_uint(at, facts->body_len);
	*at++ = ' ';
	at = put_quoted(at, head->referer, true);
	at = put_quoted(at, head->agent, false);
	at = PUT(at, "id=");
	at = put_id(at, head, facts);
	at = PUT(at, " worker=");
	at = put(at, facts->worker, facts->worker_len);
	at = PUT(at, " duration=");
	at = put_seconds(at, facts->duration_ns);
	at = PUT(at, " cause=");
	at = put(at, cause_names[facts->cause], strlen(cause_names[facts->cause]));
	at = PUT(at, " attempts=");
	at = put_uint(at, facts->attempts);
	at = PUT(at, " trace=");
	at = head->parent.at ? put(at, head->parent.at, head->parent.len) : PUT(at, "-");
	*at++ = '\n';
	return at;
}

static char *put_member(char *at, struct text text, bool is_link)
{
	if (!text.at)
		return PUT(at, "null");
	*at++ = '"';
	if (is_link)
		at = put_without_secrets(at, at + FIELD_SHOWN, text, true);
	else
		at = put_text(at, at + FIELD_SHOWN, text, true);
	*at++ = '"';
	return at;
}

static char *put_json(char *at, const struct head *head, const struct access_facts *facts)
{
	struct request_line line = split(head->line);
	const char *end;

	at = PUT(at, "{\"time\":\"");
	at = put(at, facts->stamp->text, facts->stamp->len);
	at = PUT(at, "\",\"client\":\"");
	at = put(at, facts->client, facts->client_len);
	at = PUT(at, "\",\"method\":\"");
	end = at + LINE_SHOWN;
	at = put_text(at, end - FIELD_SHOWN, line.method, true);
	at = PUT(at, "\",\"target\":\"");
	at = put_without_secrets(at, end - 64, line.target, true);
	at = PUT(at, "\",\"version\":\"");
	at = put_text(at, end, line.version, true);
	at = PUT(at, "\",\"status\":");
	at = put_uint(at, (uint64_t)facts->status);
	at = PUT(at, ",\"bytes\":");
	at = put_uint(at, facts->body_len);
	at = PUT(at, ",\"referer\":");
	at = put_member(at, head->referer, true);
	at = PUT(at, ",\"agent\":");
	at = put_member(at, head->agent, false);
	at = PUT(at, ",\"id\":\"");
	at = put_id(at, head, facts);
	at = PUT(at, "\",\"worker\":\"");
	at = put(at, facts->worker, facts->worker_len);
	at = PUT(at, "\",\"duration\":");
	at = put_seconds(at, facts->duration_ns);
	at = PUT(at, ",\"cause\":\"");
	at = put(at, cause_names[facts->cause], strlen(cause_names[facts->cause]));
	at = PUT(at, "\",\"attempts\":");
	at = put_uint(at, facts->attempts);
	at = PUT(at, ",\"trace\":");
	if (head->parent.at) {
		*at++ = '"';
		at = put(at, head->parent.at, head->parent.len);
		*at++ = '"';
	} else {
		at = PUT(at, "null");
	}
	return PUT(at, "}\n");
}

size_t access_line_make(char *at, const struct access_facts *facts, bool json)
{
	struct head head = read_head(facts->head, facts->head_len);
	char *end = json ? put_json(at, &head, facts) : put_combined(at, &head, facts);

	assert(end - at <= RING_LINE_MAX);
	return (size_t)(end - at);
}
