/* reply.c - what a handler says, kept in its request until the connection takes it; and how it looks on the wire. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "http/reply.h"
#include "base/log.h"
#include "http/service.h"
#include "http/request.h"
#include "http/status.h"

static const char text_plain[] = "text/plain; charset=utf-8";

void reply_stamp_init(struct reply_stamp *stamp, const char *worker_header, const char *worker)
{
	char *rest = stamp->fields + REPLY_DATE_LEN;
	int n = 0;

	stamp->second = -1;
	stamp->start_len = 0;
	if (worker_header)
		n = snprintf(rest, sizeof(stamp->fields) - REPLY_DATE_LEN, "%s: %s\r\n", worker_header, worker);
	stamp->len = REPLY_DATE_LEN + (size_t)n;
	reply_stamp_update(stamp);
}

void reply_stamp_update(struct reply_stamp *stamp)
{
	/* By hand: strftime() would ask the locale for the names (RFC 9110 section 5.6.7 fixes them). */
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct timespec now;
	struct tm tm;
	char line[80];

	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	if (now.tv_sec == stamp->second)
		return;
	stamp->second = now.tv_sec;
	gmtime_r(&now.tv_sec, &tm);
	snprintf(line, sizeof(line), "Date: %.3s, %02d %.3s %04d %02d:%02d:%02d GMT\r\n",
		days + 3 * (ptrdiff_t)tm.tm_wday, tm.tm_mday, months + 3 * (ptrdiff_t)tm.tm_mon, tm.tm_year + 1900,
		tm.tm_hour, tm.tm_min, tm.tm_sec);
	memcpy(stamp->fields, line, REPLY_DATE_LEN);
	stamp->start_len = 0;
}

static char *put(char *at, const char *bytes, size_t len)
{
	memcpy(at, bytes, len);
	return at + len;
}

static char *put_uint(char *at, size_t value)
{
	size_t len = 1;
	char *end;

	for (size_t rest = value; rest >= 10; rest /= 10)
		len++;
	end = at += len;
	do {
		*--at = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	return end;
}

#define PUT(at, literal) put(at, literal, sizeof(literal) - 1)

/* RFC 9110 sections 8.6, 15.3.6 and 15.4.5: a 204 has no length, a 205 a length of 0, a 304 no body. */
static bool is_bodiless(const struct reply *reply)
{
	return reply->status == 204 || reply->status == 304;
}

bool reply_has_body(const struct reply *reply)
{
	return !is_bodiless(reply) && reply->status != 205 && !reply->head_only;
}

static bool starts_again(const struct reply_stamp *stamp, const struct reply *reply)
{
	if (!stamp->start_len || stamp->start_status != reply->status || !reply->type)
		return false;
	/* Most are text. Of other types the bytes count: the next request's may be at the same place. */
	return (reply->type == text_plain && stamp->start_is_text) || !strcmp(stamp->start_type, reply->type);
}

/* Status line, stamp and type; kept in the stamp, if it can be. */
static char *put_start(char *at, const struct reply *reply, size_t type_len, struct reply_stamp *stamp)
{
	const char *start = at;
	size_t line_len;
	const char *line = status_line(reply->status, &line_len);

	at = put(at, line, line_len);
	at = put(at, stamp->fields, stamp->len);
	if (!reply->type)
		return at;
	at = PUT(at, "Content-Type: ");
	at = put(at, reply->type, type_len);
	at = PUT(at, "\r\n");
	stamp->start_len = 0;
	if (type_len < REPLY_TYPE_MAX && at - start <= REPLY_START_MAX) {
		memcpy(stamp->start_type, reply->type, type_len + 1);
		memcpy(stamp->start, start, (size_t)(at - start));
		stamp->start_len = (size_t)(at - start);
		stamp->start_status = reply->status;
		stamp->start_is_text = reply->type == text_plain;
	}
	return at;
}

/* Status line and fields, then room bytes that are free. */
static char *put_head(struct outbuf *out, const struct reply *reply, struct reply_stamp *stamp, size_t room)
{
	const bool again = starts_again(stamp, reply);
	const size_t type_len = again || !reply->type ? 0 : strlen(reply->type);
	char *at = outbuf_reserve(out, REPLY_START_MAX + type_len + reply->fields_len + room + 128);

	if (!at)
		return NULL;
	at = again ? put(at, stamp->start, stamp->start_len) : put_start(at, reply, type_len, stamp);
	if (reply->fields_len)
		at = put(at, reply->fields, reply->fields_len);
	if (!is_bodiless(reply)) {
		if (reply->framing == FRAMING_LENGTH || reply->status == 205) {
			at = PUT(at, "Content-Length: ");
			at = put_uint(at, reply->status == 205 ? 0 : reply->body_len);
			at = PUT(at, "\r\n");
		} else if (reply->framing == FRAMING_CHUNKED) {
			at = PUT(at, "Transfer-Encoding: chunked\r\n");
		}
	}
	if (!reply->keep_alive)
		at = PUT(at, "Connection: close\r\n");
	else if (reply->old_client)
		at = PUT(at, "Connection: keep-alive\r\n");
	return PUT(at, "\r\n");
}

void reply_write(struct outbuf *out, const struct reply *reply, struct reply_stamp *stamp)
{
	size_t body_len = reply_has_body(reply) ? reply->body_len : 0;
	char *at = put_head(out, reply, stamp, body_len);

	if (!at)
		return;
	if (body_len)
		at = put(at, reply->body, body_len);
	out->len = (size_t)(at - out->data);
}

void reply_write_head(struct outbuf *out, const struct reply *reply, struct reply_stamp *stamp)
{
	char *at = put_head(out, reply, stamp, 0);

	if (at)
		out->len = (size_t)(at - out->data);
}

static bool is_token(const char *name)
{
	static const char others[] = "!#$%&'*+-.^_`|~";

	if (!*name)
		return false;
	for (; *name; name++) {
		bool alnum = (*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z') ||
			(*name >= '0' && *name <= '9');

		if (!alnum && !strchr(others, *name))
			return false;
	}
	return true;
}

static bool is_value(const char *value)
{
	for (; *value; value++)
		if (((unsigned char)*value < ' ' && *value != '\t') || *value == 0x7f)
			return false;
	return true;
}

static bool is_ours(const char *name)
{
	static const char *const ours[] = { "Connection", "Content-Length", "Content-Type", "Date",
		"Transfer-Encoding" };

	for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++)
		if (!strcasecmp(name, ours[i]))
			return true;
	return false;
}

/* An app's mistake that must not take the process down: the first reply stands. */
__attribute__((cold, noinline)) static void log_late(const struct rms_request *req)
{
	char path[80];

	log_error("a handler replied twice, the second is dropped", "method=%s path=%s", req->method,
		log_quote(path, sizeof(path), req->path, strlen(req->path)));
}

bool reply_is_late(const struct rms_request *req)
{
	bool late = req->replied || req->stream.begun;

	if (late)
		log_late(req);
	return late;
}

void rms_reply_header(struct rms_request *req, const char *name, const char *value)
{
	size_t name_len = strlen(name), value_len = strlen(value);
	size_t old = req->reply.fields_len, len = old + name_len + value_len + 4;
	char *fields, *at;

	if (reply_is_late(req))
		return;
	if (!is_token(name) || !is_value(value) || is_ours(name)) {
		char quoted[80];

		log_warn("an app set a reply field that it may not", "field=%s",
			log_quote(quoted, sizeof(quoted), name, name_len));
		return;
	}
	fields = arena_alloc(&req->arena, len);
	if (!fields)
		return;
	at = put(fields, req->reply.fields ? req->reply.fields : "", old);
	at = put(at, name, name_len);
	at = PUT(at, ": ");
	at = put(at, value, value_len);
	PUT(at, "\r\n");
	req->reply.fields = fields;
	req->reply.fields_len = len;
}

int reply_check_status(int status)
{
	if (status >= 200 && status <= 599)
		return status;
	log_error("an app's reply cannot be sent", "status=%d", status);
	return 500;
}

const char *reply_own_type(struct rms_request *req, const char *type)
{
	return type && is_value(type) ? arena_copy(&req->arena, type, strlen(type)) : NULL;
}

/* Memory for a body; *hold: what becomes of it. */
static char *make_room(struct rms_request *req, size_t size, enum reply_hold *hold)
{
	*hold = size < REPLY_APART ? HOLD_LENT : HOLD_BLOCK;
	return *hold == HOLD_LENT ? arena_alloc(&req->arena, size) : service_take_block(req->service, size);
}

/* The copies are made; the reply is the connection's. */
static void finish(
	struct rms_request *req, int status, const char *type, const char *body, size_t len, enum reply_hold hold)
{
	if (reply_is_late(req)) {
		if (hold == HOLD_BLOCK)
			free((char *)body);
		return;
	}
	/* No copy: out of memory. */
	if (len && !body)
		status = 0;
	req->reply.status = reply_check_status(status);
	req->reply.type = type;
	req->reply.body = body;
	req->reply.hold = (uint8_t)hold;
	req->reply.body_len = req->reply.status == status ? len : 0;
	req->replied = true;
	if (!req->in_handler)
		service_due(req->service, req);
}

/* Of len bytes. */
static void finish_copy(struct rms_request *req, int status, const char *type, const void *bytes, size_t len)
{
	enum reply_hold hold;
	char *body = make_room(req, len, &hold);

	if (body && len)
		memcpy(body, bytes, len);
	finish(req, status, type, body, len, hold);
}

void rms_reply_text(struct rms_request *req, int status, const char *text)
{
	finish_copy(req, status, text_plain, text, strlen(text));
}

void rms_reply_textf(struct rms_request *req, int status, const char *format, ...)
{
	enum reply_hold hold = HOLD_LENT;
	va_list args, again;
	char *body;
	int n;

	va_start(args, format);
	va_copy(again, args);
	n = vsnprintf(NULL, 0, format, again);
	va_end(again);
	body = n >= 0 ? make_room(req, (size_t)n + 1, &hold) : NULL;
	if (body)
		vsnprintf(body, (size_t)n + 1, format, args);
	va_end(args);
	finish(req, status, text_plain, body, n > 0 ? (size_t)n : 0, hold);
}

void rms_reply_bytes(struct rms_request *req, int status, const char *type, const void *bytes, size_t len)
{
	finish_copy(req, status, reply_own_type(req, type), bytes, len);
}

void rms_reply_static(struct rms_request *req, int status, const char *type, const void *bytes, size_t len)
{
	finish(req, status, reply_own_type(req, type), bytes, len, len < REPLY_APART ? HOLD_LENT : HOLD_STATIC);
}
