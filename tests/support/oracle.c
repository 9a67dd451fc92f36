/* oracle.c - one pass over the lines of a head, then one over its body. */
#include "support/oracle.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

/* A piece of the stream. */
struct piece {
	const char *at;
	size_t len;
};

/* What the fields of a head say. */
struct facts {
	unsigned hosts, lengths, codings, expects;
	struct piece host, length, coding, expect;
	bool close, keep_alive, odd_connection;
};

enum line { LINE_WHOLE, LINE_CUT, LINE_BAD };

static void refuse(struct oracle_request *request, const char *why)
{
	request->verdict = ORACLE_REFUSE;
	request->why = why;
}

static void doubt(struct oracle_request *request, const char *why)
{
	if (request->verdict == ORACLE_SERVE) {
		request->verdict = ORACLE_EITHER;
		request->why = why;
	}
}

static void cut(struct oracle_request *request, const char *why)
{
	request->verdict = ORACLE_PARTIAL;
	request->why = why;
}

static bool is_token(char c)
{
	return c > ' ' && c < 127 && !strchr("\"(),/:;<=>?@[\\]{}", c);
}

static bool all_tokens(struct piece p)
{
	for (size_t i = 0; i < p.len; i++)
		if (!is_token(p.at[i]))
			return false;
	return p.len > 0;
}

static bool is(struct piece p, const char *text)
{
	return p.len == strlen(text) && !strncasecmp(p.at, text, p.len);
}

static bool contains(struct piece p, const char *text)
{
	size_t n = strlen(text);

	for (size_t i = 0; i + n <= p.len; i++)
		if (!strncasecmp(p.at + i, text, n))
			return true;
	return false;
}

/* Without white space around it; *tabs: some of it was HTAB. */
static struct piece trim(struct piece p, bool *tabs)
{
	*tabs = false;
	for (; p.len && (*p.at == ' ' || *p.at == '\t'); p.at++, p.len--)
		*tabs |= *p.at == '\t';
	for (; p.len && (p.at[p.len - 1] == ' ' || p.at[p.len - 1] == '\t'); p.len--)
		*tabs |= p.at[p.len - 1] == '\t';
	return p;
}

/* The line at *rest, which goes on behind it. LF ends none but behind CR, and no other control byte is in one. */
static enum line take_line(struct piece *rest, struct piece *line)
{
	size_t i = 0;

	while (i < rest->len && ((unsigned char)rest->at[i] >= ' ' || rest->at[i] == '\t'))
		i++;
	if (i == rest->len || (rest->at[i] == '\r' && i + 1 == rest->len))
		return LINE_CUT;
	if (rest->at[i] != '\r' || rest->at[i + 1] != '\n')
		return LINE_BAD;
	*line = (struct piece){ rest->at, i };
	rest->at += i + 2;
	rest->len -= i + 2;
	return LINE_WHOLE;
}

static bool digits(struct piece p)
{
	for (size_t i = 0; i < p.len; i++)
		if (!isdigit((unsigned char)p.at[i]))
			return false;
	return true;
}

/* [ host [ ":" port ] ]: 1 good, 0 bad, -1 not known here. */
static int judge_host(struct piece p)
{
	const char *colon = memchr(p.at, ':', p.len);
	struct piece name = { p.at, colon ? (size_t)(colon - p.at) : p.len };

	for (size_t i = 0; i < p.len; i++)
		if ((unsigned char)p.at[i] >= 127 || strchr(" \t/@#?\\\"<>^`{|}", p.at[i]))
			return 0;
	for (size_t i = 0; i < name.len; i++)
		if (!isalnum((unsigned char)name.at[i]) && !strchr("-.", name.at[i]))
			return -1;
	if (!colon)
		return 1;
	if (!name.len)
		return -1;
	return digits((struct piece){ colon + 1, p.len - name.len - 1 });
}

static bool has_bad_escape(struct piece p)
{
	for (size_t i = 0; i < p.len; i++)
		if (p.at[i] == '%' &&
			(i + 2 >= p.len || !isxdigit((unsigned char)p.at[i + 1]) ||
				!isxdigit((unsigned char)p.at[i + 2])))
			return true;
	return false;
}

static void read_path(struct oracle_request *request, struct piece target)
{
	const char *question = memchr(target.at, '?', target.len);
	struct piece path = { target.at, question ? (size_t)(question - target.at) : target.len };

	request->plain_path = path.len && *path.at == '/' && path.len < sizeof(request->path);
	for (size_t i = 0; i < path.len; i++)
		if (!isalnum((unsigned char)path.at[i]) && !strchr("/-_~", path.at[i]))
			request->plain_path = false;
	if (contains(path, "."))
		doubt(request, "dots in the path");
	if (request->plain_path)
		memcpy(request->path, path.at, path.len);
}

static void read_target(struct oracle_request *request, struct piece method, struct piece target)
{
	for (size_t i = 0; i < target.len; i++)
		if (target.at[i] <= ' ' || target.at[i] >= 127 || strchr("#\"<>\\^`{|}", target.at[i])) {
			refuse(request, "a byte that no target has");
			return;
		}
	if (has_bad_escape(target)) {
		refuse(request, "a bad escape");
		return;
	}
	if (is(target, "*") && is(method, "OPTIONS"))
		return;
	if (contains(target, "%00")) {
		if (*target.at == '/')
			refuse(request, "the end of a string");
		else
			doubt(request, "the end of a string, perhaps in an authority");
	}
	if (contains(target, "%2e"))
		doubt(request, "dots in the path");
	if (*target.at == '/') {
		read_path(request, target);
		return;
	}
	if (!contains((struct piece){ target.at, target.len < 7 ? target.len : 7 }, "http://")) {
		/* https:// names another server's scheme; whether one answers is its own decision. */
		if (contains((struct piece){ target.at, target.len < 8 ? target.len : 8 }, "https://"))
			doubt(request, "https");
		else
			refuse(request, "no path");
		return;
	}
	target.at += 7;
	target.len -= 7;
	const char *slash = memchr(target.at, '/', target.len);
	struct piece authority = { target.at, slash ? (size_t)(slash - target.at) : target.len };

	if (!authority.len || !slash || judge_host(authority) != 1) {
		doubt(request, "an authority");
		return;
	}
	read_path(request, (struct piece){ slash, target.len - authority.len });
}

static void read_request_line(struct oracle_request *request, struct piece line, int *minor)
{
	const char *space = memchr(line.at, ' ', line.len);
	struct piece method = { line.at, space ? (size_t)(space - line.at) : line.len };
	struct piece rest = { line.at + method.len + 1, space ? line.len - method.len - 1 : 0 };
	const char *second = memchr(rest.at, ' ', rest.len);
	struct piece target = { rest.at, second ? (size_t)(second - rest.at) : rest.len };
	struct piece version = { rest.at + target.len + 1, second ? rest.len - target.len - 1 : 0 };

	request->head = method.len == 4 && !memcmp(method.at, "HEAD", 4);
	request->post = method.len == 4 && !memcmp(method.at, "POST", 4);
	request->known_method = request->head || request->post || (method.len == 3 && !memcmp(method.at, "GET", 3));
	if (!all_tokens(method) || !target.len || version.len != 8 || memcmp(version.at, "HTTP/", 5) != 0 ||
		!isdigit((unsigned char)version.at[5]) || version.at[6] != '.' ||
		!isdigit((unsigned char)version.at[7])) {
		refuse(request, "no request line");
		return;
	}
	if (version.at[5] != '1') {
		refuse(request, "another version");
		return;
	}
	*minor = version.at[7] - '0';
	if (*minor > 1)
		doubt(request, "a minor version to come");
	if (!request->known_method)
		doubt(request, "another method");
	read_target(request, method, target);
}

static void read_connection(struct facts *facts, struct piece value)
{
	while (value.len) {
		const char *comma = memchr(value.at, ',', value.len);
		struct piece item = { value.at, comma ? (size_t)(comma - value.at) : value.len };
		size_t taken = item.len + (comma != NULL);
		bool tabs;

		item = trim(item, &tabs);
		facts->close |= is(item, "close");
		facts->keep_alive |= is(item, "keep-alive");
		facts->odd_connection |= (item.len && !all_tokens(item)) || is(item, "upgrade");
		value.at += taken;
		value.len -= taken;
	}
}

/* NULL facts: a trailer's. */
static void read_field(struct oracle_request *request, struct facts *facts, struct piece line)
{
	const char *colon = memchr(line.at, ':', line.len);
	struct piece name = { line.at, colon ? (size_t)(colon - line.at) : line.len };
	struct piece value = { line.at + name.len + 1, colon ? line.len - name.len - 1 : 0 };
	bool tabs, frames;

	if (!colon || !all_tokens(name)) {
		refuse(request, "no field");
		return;
	}
	value = trim(value, &tabs);
	frames = is(name, "content-length") || is(name, "transfer-encoding");
	if (memchr(value.at, 127, value.len))
		doubt(request, "DEL in a value");
	if (frames && tabs)
		doubt(request, "a tab around what frames the body");
	if (!facts) {
		if (frames || is(name, "host") || is(name, "connection"))
			doubt(request, "a field that is no trailer");
		return;
	}
	if (is(name, "host"))
		facts->hosts++, facts->host = value;
	else if (is(name, "content-length"))
		facts->lengths++, facts->length = value;
	else if (is(name, "transfer-encoding"))
		facts->codings++, facts->coding = value;
	else if (is(name, "expect"))
		facts->expects++, facts->expect = value;
	else if (is(name, "connection"))
		read_connection(facts, value);
	else if (is(name, "proxy-connection") || is(name, "upgrade"))
		doubt(request, "a field of proxies");
}

static void judge_facts(struct oracle_request *request, const struct facts *facts, int minor)
{
	int host = facts->hosts ? judge_host(facts->host) : -2;

	if (facts->hosts > 1 || (minor && !facts->hosts) || host == 0)
		refuse(request, "Host");
	else if (host == -1)
		doubt(request, "an odd Host");
	if (facts->lengths > 1 || facts->codings > 1 || (facts->lengths && facts->codings))
		refuse(request, "framed twice");
	if (facts->lengths && (!facts->length.len || !digits(facts->length)))
		refuse(request, "a length that is no number");
	if (facts->codings && (!minor || !is(facts->coding, "chunked")))
		refuse(request, "another coding, or of HTTP/1.0");
	if (facts->expects && !minor)
		doubt(request, "expectations of HTTP/1.0");
	else if (facts->expects > 1 || (facts->expects && !is(facts->expect, "100-continue")))
		refuse(request, "another expectation");
	request->expects = facts->expects > 0;
	if (facts->odd_connection)
		request->close = ORACLE_MAY_CLOSE;
	else if (facts->close || (!minor && !facts->keep_alive))
		request->close = ORACLE_CLOSES;
}

/* 0 if refused or cut, else *size is what the number says. */
static bool read_size(struct oracle_request *request, struct piece p, unsigned base, uint64_t *size)
{
	*size = 0;
	if (p.len > 16)
		doubt(request, "many digits");
	for (size_t i = 0; i < p.len; i++) {
		int c = tolower((unsigned char)p.at[i]);

		*size = *size * base + (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
		if (*size > ORACLE_BODY_MAX) {
			refuse(request, "too large");
			return false;
		}
	}
	return true;
}

/* ";" token [ "=" token ] */
static bool is_extension(struct piece p)
{
	const char *equals = memchr(p.at, '=', p.len);
	size_t name = equals ? (size_t)(equals - p.at) : p.len;

	return *p.at == ';' && all_tokens((struct piece){ p.at + 1, name - 1 }) &&
		(!equals || all_tokens((struct piece){ equals + 1, p.len - name - 1 }));
}

static void read_chunk_line(struct oracle_request *request, struct piece line, uint64_t *size)
{
	size_t n = 0;

	while (n < line.len && isxdigit((unsigned char)line.at[n]))
		n++;
	if (!n || (n < line.len && !strchr("; \t", line.at[n]))) {
		refuse(request, "no chunk size");
		return;
	}
	if (n < line.len && !is_extension((struct piece){ line.at + n, line.len - n }))
		doubt(request, "a strange extension");
	read_size(request, (struct piece){ line.at, n }, 16, size);
}

static void read_trailers(struct oracle_request *request, struct piece *rest)
{
	struct piece line;

	for (;;) {
		switch (rest->len && strchr(" \t:", *rest->at) ? LINE_BAD : take_line(rest, &line)) {
		case LINE_CUT: cut(request, "trailers"); return;
		case LINE_BAD: refuse(request, "a bad line of trailers"); return;
		default: break;
		}
		if (!line.len)
			return;
		if (request->verdict != ORACLE_REFUSE)
			read_field(request, NULL, line);
	}
}

static void read_chunks(struct oracle_request *request, struct piece *rest)
{
	for (;;) {
		struct piece line;
		uint64_t size = 0;

		switch (take_line(rest, &line)) {
		case LINE_CUT: cut(request, "a chunk's line"); return;
		case LINE_BAD: refuse(request, "a bad chunk line"); return;
		default: break;
		}
		read_chunk_line(request, line, &size);
		if (request->verdict == ORACLE_REFUSE)
			return;
		if (!size) {
			read_trailers(request, rest);
			return;
		}
		if (request->body_len + size > ORACLE_BODY_MAX) {
			refuse(request, "too large");
			return;
		}
		if (rest->len <= size || (rest->len == size + 1 && rest->at[size] == '\r')) {
			cut(request, "a chunk");
			return;
		}
		if (rest->at[size] != '\r' || rest->at[size + 1] != '\n') {
			refuse(request, "more than the chunk");
			return;
		}
		memcpy(request->body + request->body_len, rest->at, size);
		request->body_len += size;
		rest->at += size + 2;
		rest->len -= size + 2;
	}
}

static void read_body(struct oracle_request *request, const struct facts *facts, struct piece *rest)
{
	uint64_t size;

	if (facts->codings) {
		read_chunks(request, rest);
	} else if (facts->lengths && read_size(request, facts->length, 10, &size)) {
		if (size > rest->len) {
			cut(request, "a body");
			return;
		}
		memcpy(request->body, rest->at, size);
		request->body_len = size;
		rest->at += size;
		rest->len -= size;
	}
}

void oracle_read(const char *bytes, size_t len, struct oracle_request *request)
{
	struct piece rest = { bytes, len }, line;
	struct facts facts = { 0 };
	unsigned lines = 0, empty = 0;
	int minor = 1;

	memset(request, 0, offsetof(struct oracle_request, body));
	request->why = "";
	request->len = len;
	/* RFC 9112 section 2.2: one empty line before a request is none of it; more, who knows. */
	while (rest.len >= 2 && !memcmp(rest.at, "\r\n", 2)) {
		rest.at += 2;
		rest.len -= 2;
		if (++empty > 1)
			doubt(request, "empty lines");
	}
	for (;; lines++) {
		if (rest.len && strchr(" \t:", *rest.at) && *rest.at) {
			refuse(request, "a line that begins so");
			return;
		}
		switch (take_line(&rest, &line)) {
		case LINE_CUT: cut(request, "a head"); return;
		case LINE_BAD: refuse(request, "a control byte"); return;
		default: break;
		}
		if (!line.len)
			break;
		/* Where a line is wrong, a server may refuse at once, or wait for the rest. */
		if (request->verdict == ORACLE_REFUSE)
			continue;
		if (!lines)
			read_request_line(request, line, &minor);
		else
			read_field(request, &facts, line);
	}
	if (lines > 90)
		doubt(request, "many fields");
	if (request->verdict != ORACLE_REFUSE)
		judge_facts(request, &facts, minor);
	if (request->verdict != ORACLE_REFUSE)
		read_body(request, &facts, &rest);
	if (request->verdict == ORACLE_SERVE || request->verdict == ORACLE_EITHER)
		request->len = (size_t)(rest.at - bytes);
}
