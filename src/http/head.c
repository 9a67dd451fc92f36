/*
 * head.c - request line, Host, framing, persistence and Expect by RFC 9110 and 9112; targets by RFC 3986.
 *
 * Loops over targets and hosts have no bound of their own: behind either is a SP, HTAB or CR, which is in no class.
 */
#include "http/head.h"

#include <arpa/inet.h>
#include <string.h>

#include <llhttp.h>

#include "http/parser.h"
#include "base/path.h"

enum {
	TOKEN = 1,  /* tchar */
	NAME = 2,   /* reg-name, without its escapes */
	TARGET = 4, /* path and query, without escapes, '?' and '.'; [ and ] too, which browsers send bare */
	HEX = 8,
	DIGIT = 16,
	NT = NAME | TARGET,
	TNT = TOKEN | NT,
	XD = TNT | HEX,
	XDD = XD | DIGIT,
	DOT = TOKEN | NAME,
};

/* clang-format off */
static const uint8_t class_of[256] = {
	/*          !      "    #      $    %      &    '    (   )   *    +    ,   -    .    / */
	[' '] = 0,  TNT,   0,   TOKEN, TNT, TOKEN, TNT, TNT, NT, NT, TNT, TNT, NT, TNT, DOT, TARGET,
	/* 0         1    2    3    4    5    6    7    8    9    :       ;   <  =   >  ? */
	['0'] = XDD, XDD, XDD, XDD, XDD, XDD, XDD, XDD, XDD, XDD, TARGET, NT, 0, NT, 0, 0,
	/* @ */
	['@'] = TARGET,
	['A'] = XD, XD,  XD,  XD,  XD,  XD,
	['G'] = TNT, TNT, TNT, TNT, TNT, TNT, TNT, TNT, TNT, TNT, TNT, TNT, TNT, TNT, TNT, TNT, TNT, TNT, TNT, TNT,
	/*              \  ]       ^      _    ` */
	['['] = TARGET, 0, TARGET, TOKEN, TNT, TOKEN,
	['a'] = XD, XD,  XD,  XD,  XD,  XD,
	['g'] = TNT, TNT, TNT, TNT, TNT, TNT, TNT, TNT, TNT, TNT, TNT, TNT, TNT, TNT, TNT, TNT, TNT, TNT, TNT, TNT,
	['|'] = TOKEN, ['~'] = TNT,
};
/* clang-format on */

/* The fields that matter here; NULL: not sent. None may be sent twice but Connection. */
struct facts {
	const struct message_field *host, *length, *coding, *expect;
	bool close, keep_alive;
};

static bool refuse(struct message *message, uint16_t status, const char *reason)
{
	message->error = status;
	message->reason = reason;
	return false;
}

static bool in_class(char c, unsigned class)
{
	return class_of[(unsigned char)c] & class;
}

size_t head_token(const char *bytes, size_t len)
{
	size_t i = 0;

	while (i < len && in_class(bytes[i], TOKEN))
		i++;
	return i;
}

/*
 * lower is in lower case and len bytes long; four at a time. That | also folds some control bytes does no harm: the
 * head holds none but HTAB.
 */
static bool same(const char *at, const char *lower, size_t len)
{
	for (; len >= sizeof(uint32_t); at += sizeof(uint32_t), lower += sizeof(uint32_t), len -= sizeof(uint32_t)) {
		uint32_t word, want;

		memcpy(&word, at, sizeof(word));
		memcpy(&want, lower, sizeof(want));
		if ((word | 0x20202020) != want)
			return false;
	}
	for (; len; at++, lower++, len--)
		if ((*at | 0x20) != *lower)
			return false;
	return true;
}

#define SAME(at, len, literal) ((len) == sizeof(literal) - 1 && same(at, literal, sizeof(literal) - 1))

/* Of any byte but NUL, which ends the text to whoever decodes it into a C string. */
static bool escape_good(const char *at)
{
	return at[0] == '%' && in_class(at[1], HEX) && in_class(at[2], HEX) && (at[1] != '0' || at[2] != '0');
}

/* What stands in brackets is an IPv6 address; IPvFuture is not here yet. */
static const char *skip_literal(const char *at)
{
	char text[INET6_ADDRSTRLEN] = "";
	struct in6_addr address;
	size_t len = 0;

	for (at++; (in_class(*at, HEX) || *at == ':' || *at == '.') && len < sizeof(text) - 1; at++)
		text[len++] = *at;
	return *at == ']' && inet_pton(AF_INET6, text, &address) == 1 ? at + 1 : NULL;
}

/* uri-host [ ":" port ], RFC 3986 section 3.2.2, as far as it goes. */
static const char *skip_host(const char *at)
{
	const char *start = at;

	if (*at == '[') {
		at = skip_literal(at);
		if (!at)
			return start;
	} else {
		while (in_class(*at, NAME))
			at++;
		while (escape_good(at))
			for (at += 3; in_class(*at, NAME); at++)
				;
	}
	if (at > start && *at == ':')
		for (at++; in_class(*at, DIGIT); at++)
			;
	return at;
}

/* path-absolute [ "?" query ], or the query alone, from at to the target's end. */
static bool split_path(struct message *message, const char *bytes, const char *at)
{
	const char *start = at, *question = NULL;
	const char *end = bytes + message->target.at + message->target.len;

	for (;;) {
		while (in_class(*at, TARGET))
			at++;
		if (at == end)
			break;
		if (*at == '.') {
			message->path_spelled |= at[-1] == '/' && !question;
			at++;
		} else if (*at == '?') {
			if (!question)
				question = at;
			at++;
		} else if (escape_good(at)) {
			message->path_spelled |= !question;
			at += 3;
		} else {
			return false;
		}
	}
	if (!question)
		question = end;
	message->path.at = (uint32_t)(start - bytes);
	message->path.len = (uint32_t)(question - start);
	if (question < end)
		question++;
	message->query.at = (uint32_t)(question - bytes);
	message->query.len = (uint32_t)(end - question);
	return !message->path_spelled || path_normalise(NULL, start, message->path.len) >= 0;
}

/* RFC 9112 section 3.2. authority-form is CONNECT's alone, which never comes here. */
static bool split_target(struct message *message, const char *bytes)
{
	const char *target = bytes + message->target.at;
	const char *host, *behind;

	if (target[0] == '/')
		return split_path(message, bytes, target);
	if (target[0] == '*') {
		message->path = message->target;
		message->query = (struct message_span){ message->target.at + 1, 0 };
		return message->target.len == 1 && message->method == HTTP_OPTIONS;
	}
	if (message->target.len > 7 && same(target, "http://", 7))
		host = target + 7;
	else if (message->target.len > 8 && same(target, "https://", 8))
		host = target + 8;
	else
		return false;
	behind = skip_host(host);
	if (behind == host || !strchr("/? ", *behind) || !split_path(message, bytes, behind))
		return false;
	message->authority = (struct message_span){ (uint32_t)(host - bytes), (uint32_t)(behind - host) };
	if (!message->path.len) /* is "/": the one before the host */
		message->path = (struct message_span){ (uint32_t)(host - 1 - bytes), 1 };
	return true;
}

static void note_connection(struct facts *facts, const char *at, size_t len)
{
	const char *end = at + len;

	while (at < end) {
		const char *comma = memchr(at, ',', (size_t)(end - at));
		const char *last = comma ? comma : end;

		while (at < last && (*at == ' ' || *at == '\t'))
			at++;
		len = head_token(at, (size_t)(last - at));
		facts->close |= SAME(at, len, "close");
		facts->keep_alive |= SAME(at, len, "keep-alive");
		at = last + 1;
	}
}

static bool once(const struct message_field **fact, const struct message_field *field)
{
	if (*fact)
		return false;
	*fact = field;
	return true;
}

/* False: it was there before. */
static bool note_field(struct facts *facts, const struct message_field *field, const char *bytes)
{
	const char *name = bytes + field->name.at;

	switch (field->name.len) {
	case 4: return !same(name, "host", 4) || once(&facts->host, field);
	case 6: return !same(name, "expect", 6) || once(&facts->expect, field);
	case 10:
		if (same(name, "connection", 10))
			note_connection(facts, bytes + field->value.at, field->value.len);
		return true;
	case 14: return !same(name, "content-length", 14) || once(&facts->length, field);
	case 17: return !same(name, "transfer-encoding", 17) || once(&facts->coding, field);
	default: return true;
	}
}

/* Single spaces, which llhttp does not insist on, and HTTP. */
static bool check_request_line(struct message *message, const char *bytes)
{
	const char *target = bytes + message->target.at;
	const char *version = target + message->target.len;

	/* From HTTP_SOURCE on: other protocols', and QUERY, which llhttp 8 does not know. */
	if (message->method == HTTP_CONNECT || message->method >= HTTP_SOURCE)
		return refuse(message, 501, "method not implemented");
	if (target[-2] == ' ' || version[1] != 'H')
		return refuse(message, 400, "bad request line");
	if (message->llhttp.http_major != 1)
		return refuse(message, 505, "HTTP version not supported");
	return true;
}

static bool host_good(const struct message_field *host, const char *bytes)
{
	const char *at = bytes + host->value.at;

	/* Empty is good: who has no authority to name sends it so (RFC 9112 section 3.2). */
	return skip_host(at) == at + host->value.len;
}

static bool length_good(const struct message_field *length, const char *bytes)
{
	const char *at = bytes + length->value.at;
	const char *end = at + length->value.len;

	if (at == end)
		return false;
	while (in_class(*at, DIGIT))
		at++;
	if (at != end)
		return false;
	/* llhttp 9 lets a tab end it, 8 does not: one verdict. */
	while (*at == ' ')
		at++;
	return *at == '\r';
}

/* Whether the last of a list of codings is chunked. */
static bool ends_chunked(const char *coding, size_t len)
{
	const size_t n = sizeof("chunked") - 1;

	return len > n && strchr(" \t,", coding[len - n - 1]) && same(coding + len - n, "chunked", n);
}

/* RFC 9112 section 6.1. A coding before chunked could be implemented; if chunked is not last, there is no length. */
static bool check_coding(struct message *message, const struct facts *facts, const char *bytes)
{
	const char *coding = bytes + facts->coding->value.at;
	const uint32_t len = facts->coding->value.len;
	size_t token;

	if (facts->length || !message->minor)
		return refuse(message, 400, "Transfer-Encoding with Content-Length or HTTP/1.0");
	message->chunked = SAME(coding, len, "chunked");
	if (message->chunked)
		return true;
	token = head_token(coding, len);
	if (!token || SAME(coding, token, "chunked") || !strchr(" \t,;", coding[token]) || !ends_chunked(coding, len))
		return refuse(message, 400, "bad Transfer-Encoding");
	return refuse(message, 501, "transfer coding not implemented");
}

/* RFC 9110 section 10.1.1. HTTP/1.0 has no expectations: ignored there. */
static bool check_expect(struct message *message, const struct message_field *expect, const char *bytes)
{
	if (!message->minor)
		return true;
	message->expect_continue = SAME(bytes + expect->value.at, expect->value.len, "100-continue");
	return message->expect_continue || refuse(message, 417, "unknown expectation");
}

bool head_check(struct message *message, const char *bytes)
{
	struct facts facts = { 0 };

	message->method = message->llhttp.method;
	message->minor = message->llhttp.http_minor;
	if (!check_request_line(message, bytes))
		return false;
	for (uint32_t i = 0; i < message->n_fields; i++)
		if (!note_field(&facts, &message->fields[i], bytes))
			return refuse(message, 400, "field sent twice");
	if (facts.length && !length_good(facts.length, bytes))
		return refuse(message, 400, "bad Content-Length");
	if (facts.coding && !check_coding(message, &facts, bytes))
		return false;
	if (facts.host ? !host_good(facts.host, bytes) : message->minor)
		return refuse(message, 400, "bad Host");
	if (!split_target(message, bytes))
		return refuse(message, 400, "bad request target");
	/* RFC 9112 section 3.2.2: Host is ignored then. */
	if (facts.host && message->authority.len)
		message->fields[facts.host - message->fields].value = message->authority;
	if (facts.expect && !check_expect(message, facts.expect, bytes))
		return false;
	message->keep_alive = !facts.close && (message->minor || facts.keep_alive);
	return true;
}
