/* judge.c - reply by reply against what the oracle says of the requests. */
#include "support/judge.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { HEAD_MAX = 2048 };

struct answer {
	int status;
	bool close, has_length;
	size_t head_len, body_len, length; /* length: as the field says, body or not */
	const char *body;
};

enum parse { PARSE_NONE, PARSE_CUT, PARSE_WHOLE, PARSE_WRONG };

static enum parse parse_head(const char *at, size_t len, struct answer *answer)
{
	const char *end = memmem(at, len, "\r\n\r\n", 4), *line;
	char head[HEAD_MAX];

	if (!len)
		return PARSE_NONE;
	if (!end)
		return len < HEAD_MAX ? PARSE_CUT : PARSE_WRONG;
	*answer = (struct answer){ .head_len = (size_t)(end - at) + 4 };
	if (answer->head_len >= HEAD_MAX)
		return PARSE_WRONG;
	memcpy(head, at, answer->head_len);
	head[answer->head_len] = 0;
	if (strncmp(head, "HTTP/1.1 ", 9) != 0 || sscanf(head + 9, "%3d ", &answer->status) != 1)
		return PARSE_WRONG;
	answer->body = at + answer->head_len;
	for (line = strstr(head, "\r\n"); line && line[2]; line = strstr(line + 2, "\r\n")) {
		if (!strncasecmp(line + 2, "Content-Length: ", 16)) {
			answer->has_length = true;
			answer->body_len = answer->length = strtoul(line + 18, NULL, 10);
		}
		answer->close |= !strncasecmp(line + 2, "Connection: close\r\n", 19);
	}
	return PARSE_WHOLE;
}

static enum parse parse_answer(const char *at, size_t len, bool no_body, struct answer *answer)
{
	enum parse parsed = parse_head(at, len, answer);

	if (parsed != PARSE_WHOLE)
		return parsed;
	if (no_body || answer->status < 200 || answer->status == 204)
		answer->body_len = 0;
	else if (!answer->has_length)
		return PARSE_WRONG;
	return len - answer->head_len < answer->body_len ? PARSE_CUT : PARSE_WHOLE;
}

static bool body_is(const struct answer *answer, const void *body, size_t len)
{
	return answer->body_len == len && !memcmp(answer->body, body, len);
}

/* Whether the app's route for request answers 200, and then whether answer is its answer. */
static bool is_known(const struct oracle_request *request)
{
	const char *path = request->path;

	if (!request->plain_path || !request->known_method)
		return false;
	if (request->post)
		return !strcmp(path, "/echo") || !strcmp(path, "/upload");
	return !strncmp(path, "/echo/", 6) && path[6] && !strchr(path + 6, '/');
}

static bool is_its_answer(const struct oracle_request *request, const struct answer *answer)
{
	char text[64];
	unsigned long sum = 0;
	int n;

	if (answer->status != 200)
		return false;
	if (request->head)
		return answer->has_length;
	if (!request->post)
		return body_is(answer, request->path + 6, strlen(request->path + 6));
	if (!strcmp(request->path, "/echo"))
		return body_is(answer, request->body, request->body_len);
	for (size_t i = 0; i < request->body_len; i++)
		sum = sum * 31 + (unsigned char)request->body[i];
	n = snprintf(text, sizeof(text), "%lu bytes sum %lu left ", (unsigned long)request->body_len, sum);
	return answer->body_len > (size_t)n && !memcmp(answer->body, text, (size_t)n);
}

/* NULL, or what is wrong with serving request so. */
static const char *judge_served(const struct oracle_request *request, const struct answer *answer)
{
	if (is_known(request) && !is_its_answer(request, answer))
		return "not the answer to this request";
	if (!is_known(request) && request->known_method && request->plain_path && strcmp(request->path, "/") != 0 &&
		answer->status < 400)
		return "served, and there is no such route";
	if (request->close == ORACLE_CLOSES && !answer->close)
		return "the connection should close";
	/* A body that nobody wants, and that an expectation announced, may or may not come: such a connection ends. */
	if (request->close == ORACLE_KEEPS && answer->close && answer->status < 400 &&
		(is_known(request) || !request->expects))
		return "the connection should go on";
	return NULL;
}

/* A refusal of the server's own, for what its bytes are. */
static bool is_refusal(const struct oracle_request *request, const struct answer *answer)
{
	static const int codes[] = { 400, 404, 405, 413, 414, 417, 431, 501, 505 };

	/* OPTIONS tells what there is before a body that it does not want has come. */
	if (answer->status == 204 && !request->known_method)
		return answer->close;
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (answer->status == codes[i])
			return answer->close;
	return false;
}

/* An error with Connection: close for what could be served: where it is doubtful, or there is a body not wanted. */
static bool may_refuse(const struct oracle_request *request)
{
	return request->verdict != ORACLE_SERVE ||
		(!is_known(request) && (request->expects || request->body_len || request->close != ORACLE_KEEPS));
}

static void finish(struct judge_case *c, bool may_reset)
{
	if (c->whole < c->came_len)
		c->wrong = "bytes behind the last reply";
	else if (c->end == JUDGE_RESET && !may_reset)
		c->wrong = "a reset";
	c->complete = true;
}

static void count(struct judge_case *c, const struct oracle_request *request, bool refused)
{
	c->either += request->verdict == ORACLE_EITHER;
	if (refused)
		c->refused++;
	else
		c->served++;
}

/* No whole reply is left of what came. */
static void judge_rest(struct judge_case *c, const struct oracle_request *request, enum parse parsed)
{
	if (parsed == PARSE_NONE && request->verdict == ORACLE_PARTIAL) {
		c->partial++;
		finish(c, false);
	} else if (parsed == PARSE_WRONG) {
		c->wrong = "no reply that makes sense";
	} else if (c->end != JUDGE_OPEN) {
		c->wrong = parsed == PARSE_CUT ? "a reply that ends early" : "no reply";
	}
}

/* Whether HEAD comes first, but for the one empty line that is forgiven: the server knows, whatever is wrong behind. */
static bool begins_with_head(const char *at, size_t len)
{
	const size_t skip = len > 2 && !memcmp(at, "\r\n", 2) ? 2 : 0;

	return len - skip > 5 && !memcmp(at + skip, "HEAD ", 5);
}

void judge_replies(struct judge_case *c, struct oracle_request *request)
{
	struct answer answer = { 0 };

	while (c->at < c->sent_len) {
		const char *came;
		enum parse parsed;
		bool head = begins_with_head(c->sent + c->at, c->sent_len - c->at);
		bool refused, continued = false;

		oracle_read(c->sent + c->at, c->sent_len - c->at, request);
		for (;;) {
			came = c->came + c->whole;
			parsed = parse_answer(came, c->came_len - c->whole, head || request->head, &answer);
			if (parsed != PARSE_WHOLE || answer.status != 100)
				break;
			if (!request->expects || continued)
				c->wrong = "100 without an expectation";
			continued = true;
			c->whole += answer.head_len;
		}
		if (parsed != PARSE_WHOLE) {
			judge_rest(c, request, parsed);
			return;
		}
		c->whole += answer.head_len + answer.body_len;
		/* More empty lines are refused before HEAD is seen: then the reply has a body. */
		if (request->head && !head && answer.close && answer.status >= 400 &&
			c->came_len - c->whole == answer.length)
			c->whole = c->came_len;
		refused = request->verdict == ORACLE_REFUSE || request->verdict == ORACLE_PARTIAL;
		if (refused && !is_refusal(request, &answer))
			c->wrong = "served, and it was to be refused";
		else if (!refused && is_refusal(request, &answer) && may_refuse(request))
			refused = true;
		else if (!refused && !c->wrong)
			c->wrong = judge_served(request, &answer);
		if (c->wrong)
			return;
		count(c, request, refused);
		if (refused || answer.close) {
			finish(c, !refused);
			return;
		}
		c->at += request->len;
	}
	finish(c, false);
}
