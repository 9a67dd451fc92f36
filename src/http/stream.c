/* stream.c - a reply in pieces, framed, kept in its request until its connection takes it. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "http/request.h"
#include "http/service.h"

enum { FRAME = 20 }; /* more than the longest chunk line and the line end behind the data */

static const char last_chunk[] = "0\r\n\r\n";

void stream_drop(struct rms_request *req)
{
	outbuf_finish(&req->stream.bytes);
	req->stream.sent = 0;
	(void)service_charge(req->service, &req->stream.charged, 0);
}

/* The bytes have grown. Too much of them, with all that others keep, and the reply cannot go on. */
static void account(struct rms_request *req)
{
	struct stream *stream = &req->stream;

	if (service_charge(req->service, &stream->charged, stream->bytes.cap))
		return;
	metrics_add(req->service->set.shard, METRIC_errors + ERROR_MEMORY, 1);
	stream_drop(req);
	stream->bytes.failed = true;
}

/* What the app did in a call goes to the connection when it returns; else the loop sees to it. */
static void hand_over(struct rms_request *req)
{
	if (!req->in_handler)
		service_due(req->service, req);
}

/* An app's mistake that must not take the process down. */
static bool is_open(const struct rms_request *req, const char *what)
{
	char path[80];

	if (req->stream.begun && !req->replied)
		return true;
	log_error("a handler streams to a reply that is not open, it is dropped", "call=%s method=%s path=%s", what,
		req->method, log_quote(path, sizeof(path), req->path, strlen(req->path)));
	return false;
}

void rms_reply_begin(struct rms_request *req, int status, const char *type)
{
	struct service *service = req->service;
	struct reply *reply = &req->reply;

	if (reply_is_late(req))
		return;
	reply->status = reply_check_status(status);
	reply->type = reply_own_type(req, type);
	reply->framing = reply->old_client ? FRAMING_CLOSE : FRAMING_CHUNKED;
	if ((reply->framing == FRAMING_CLOSE && reply_has_body(reply)) ||
		atomic_load_explicit(&service->closing, memory_order_relaxed))
		reply->keep_alive = false;
	req->stream.begun = true;
	reply_stamp_update(&service->stamp);
	reply_write_head(&req->stream.bytes, reply, &service->stamp);
	account(req);
	hand_over(req);
}

/* One chunk (RFC 9112 section 7.1). */
static void put_chunk(struct outbuf *out, const void *bytes, size_t len)
{
	char *at = outbuf_reserve(out, len + FRAME);

	if (!at)
		return;
	at += snprintf(at, FRAME, "%zx\r\n", len);
	memcpy(at, bytes, len);
	memcpy(at + len, "\r\n", 2);
	out->len = (size_t)(at + len + 2 - out->data);
}

bool rms_reply_write(struct rms_request *req, const void *bytes, size_t len)
{
	struct outbuf *out = &req->stream.bytes;

	if (!is_open(req, "write") || req->gone || !reply_has_body(&req->reply))
		return false;
	/* A chunk of 0 would be the last one. */
	if (!len)
		return true;
	if (req->reply.framing == FRAMING_CHUNKED)
		put_chunk(out, bytes, len);
	else
		outbuf_append(out, bytes, len);
	req->stream.written += len;
	account(req);
	hand_over(req);
	return !out->failed;
}

void rms_reply_end(struct rms_request *req)
{
	if (!is_open(req, "end"))
		return;
	if (req->reply.framing == FRAMING_CHUNKED && reply_has_body(&req->reply))
		outbuf_append(&req->stream.bytes, last_chunk, sizeof(last_chunk) - 1);
	account(req);
	req->replied = true;
	hand_over(req);
}

size_t rms_reply_unsent(const struct rms_request *req)
{
	return req->stream.bytes.len - req->stream.sent;
}

void rms_reply_on_room(struct rms_request *req, rms_room_fn *fn, void *arg)
{
	req->stream.on_room = fn;
	req->stream.on_room_arg = arg;
	if (req->gone)
		service_owe(req->service, req);
}
