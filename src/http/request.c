/* request.c - copies of a message, and the questions that a handler asks of them. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

#include "base/path.h"
#include "http/request.h"
#include "http/service.h"
#include "http/trace.h"

struct rms_request *request_create(void)
{
	struct rms_request *req = malloc(sizeof(*req));

	if (!req)
		return NULL;
	memset(req, 0, offsetof(struct rms_request, first));
	arena_init(&req->arena, req->first, sizeof(req->first));
	return req;
}

void request_destroy(struct rms_request *req)
{
	if (!req)
		return;
	request_empty(req);
	free(req);
}

void request_empty(struct rms_request *req)
{
	arena_reset(&req->arena);
	/* Most requests have none of these. */
	if (req->chunked_body.data)
		outbuf_finish(&req->chunked_body);
	if (req->reply.hold == HOLD_BLOCK) {
		free((char *)req->reply.body);
		req->reply.hold = HOLD_LENT;
	}
	if (req->stream.begun || req->stream.on_room) {
		stream_drop(req);
		req->stream = (struct stream){ 0 };
	}
	req->stream.bytes.failed = false;
	req->fed = 0;
	req->context = NULL;
	req->id = NULL;
	req->fault = NULL;
	req->in_handler = req->replied = req->live = req->due = req->gone = false;
}

/* The span's bytes as a text, in the copy of the head: the byte behind them is a delimiter and may go. */
static char *text_at(char *head, struct message_span span)
{
	head[span.at + span.len] = '\0';
	return head + span.at;
}

bool request_fill(struct rms_request *req, const struct message *message, const char *base)
{
	size_t head_len = message->head_len;
	size_t fields_size = message->n_fields * sizeof(*req->fields);

	req->fields = arena_alloc(&req->arena, fields_size + head_len);
	if (!req->fields)
		return false;
	memcpy(req->fields, message->fields, fields_size);
	req->head = (char *)req->fields + fields_size;
	memcpy(req->head, base, head_len);
	req->n_fields = message->n_fields;
	req->method = llhttp_method_name(message->method);
	req->query = message->query.len ? text_at(req->head, message->query) : "";
	req->path = message->path.len ? text_at(req->head, message->path) : "/";
	req->body = "";
	req->body_len = 0;
	/* In absolute-form its first byte is the one behind the authority, which a NUL may have to end. */
	if (message->authority.len)
		req->path = arena_copy(&req->arena, req->path, message->path.len);
	if (!req->path)
		return false;
	if (message->path_spelled)
		req->path[path_normalise(req->path, req->path, message->path.len)] = '\0';
	return true;
}

bool request_fill_body(struct rms_request *req, struct message *message, const char *base)
{
	if (message->chunked) {
		req->chunked_body = message->chunked_body;
		message->chunked_body = (struct outbuf){ 0 };
		outbuf_append(&req->chunked_body, "", 1);
		req->body = req->chunked_body.data;
		req->body_len = req->chunked_body.len - 1;
		return !req->chunked_body.failed;
	}
	if (!message->body.len)
		return true;
	req->body_len = message->body.len;
	req->body = arena_copy(&req->arena, base + message->body.at, req->body_len);
	return req->body != NULL;
}

const char *rms_request_method(const struct rms_request *req)
{
	return req->method;
}

const char *rms_request_path(const struct rms_request *req)
{
	return req->path;
}

const char *rms_request_query(const struct rms_request *req)
{
	return req->query;
}

const char *rms_request_param(const struct rms_request *req, const char *name)
{
	const struct router_route *route = req->match.route;

	for (unsigned i = 0; i < route->n_params; i++)
		if (!strcmp(route->param_names[i], name))
			/* The arena is the request's memory, not its value. */
			return arena_copy(
				(struct arena *)&req->arena, req->match.params[i].at, req->match.params[i].len);
	return NULL;
}

const char *rms_request_header(const struct rms_request *req, const char *name)
{
	size_t len = strlen(name);

	for (uint32_t i = 0; i < req->n_fields; i++) {
		const struct message_field *field = &req->fields[i];

		if (field->name.len == len && !strncasecmp(req->head + field->name.at, name, len))
			return text_at(req->head, field->value);
	}
	return NULL;
}

const char *rms_request_id(struct rms_request *req)
{
	char id[TRACE_ID_LEN];

	if (req->id)
		return req->id;
	req->id = rms_request_header(req, "X-Request-Id");
	if (req->id && trace_id_is_good(req->id, strlen(req->id)))
		return req->id;
	trace_make_id(&(struct trace_place){ (int)(req->tag & UINT32_MAX), req->started_ns, req->served }, id);
	req->id = arena_copy(&req->arena, id, sizeof(id));
	return req->id;
}

const char *rms_request_traceparent(const struct rms_request *req)
{
	static const char name[] = "traceparent";
	const struct message_field *found = NULL;

	/* Two of them are none: nobody could say which one is meant. */
	for (uint32_t i = 0; i < req->n_fields; i++) {
		const struct message_field *field = &req->fields[i];

		if (field->name.len != sizeof(name) - 1 ||
			strncasecmp(req->head + field->name.at, name, field->name.len) != 0)
			continue;
		if (found)
			return NULL;
		found = field;
	}
	if (!found || !trace_parent_is_good(req->head + found->value.at, found->value.len))
		return NULL;
	return text_at(req->head, found->value);
}

const char *rms_request_body(const struct rms_request *req, size_t *len)
{
	*len = req->body_len;
	return req->body;
}

const void *rms_request_data(const struct rms_request *req)
{
	return req->match.route->data;
}

const char *rms_request_worker(const struct rms_request *req)
{
	return req->service->worker;
}

struct uv_loop_s *rms_request_loop(const struct rms_request *req)
{
	return req->service->loop;
}

void *rms_request_state(const struct rms_request *req)
{
	return req->service->state;
}

void *rms_request_alloc(struct rms_request *req, size_t size)
{
	return arena_alloc(&req->arena, size);
}

void **rms_request_context(struct rms_request *req)
{
	return &req->context;
}

unsigned rms_request_attempt(const struct rms_request *req)
{
	return req->attempt;
}

bool rms_request_gone(const struct rms_request *req)
{
	/* What has been said holds: no reply is sent after it, also if the connection has not been taken yet. */
	if (atomic_load_explicit(&req->service->leave, memory_order_relaxed))
		((struct rms_request *)req)->gone = true;
	return req->gone;
}
