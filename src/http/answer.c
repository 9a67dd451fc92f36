/* answer.c - replies into the batch, and those that no handler makes. */
#include "http/answer.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/probe.h"
#include "http/access.h"
#include "http/loss.h"
#include "http/request.h"
#include "http/status.h"

/* The reply, with body_len bytes of body if it may have one, is in the batch. */
static void account(
	struct service *service, struct slot *slot, const struct reply *reply, uint64_t body_len, bool counted)
{
	PROBE(4, request__end, slots_fd(service->set.slots, slot), service->worker, reply->status, slot->started_ns);
	if (counted) {
		metrics_add(service->set.shard, METRIC_responses + METRICS_CODE(reply->status), 1);
		if (slot->owed++)
			slot->owed_rest_ns = slot->started_ns;
		else
			slot->owed_first_ns = slot->started_ns;
	}
	if (!reply->keep_alive) {
		slot->close_after = true;
		slot->closed_reason = CLOSED_KEEPALIVE_END;
	}
	if (counted && service->access)
		access_answered(service, slot, reply, body_len);
}

void answer_put(struct service *service, struct slot *slot, const struct reply *reply, bool counted)
{
	reply_write(&service->batch, reply, &service->stamp);
	account(service, slot, reply, reply->body_len, counted);
}

void answer_apart(struct service *service, struct slot *slot, struct reply *reply, bool counted)
{
	assert(!service->tail.len);
	reply_write_head(&service->batch, reply, &service->stamp);
	if (reply_has_body(reply) && reply->body_len) {
		service->tail = (struct tail){ reply->body, reply->body_len, reply->hold == HOLD_BLOCK };
		reply->hold = HOLD_LENT;
	}
	account(service, slot, reply, reply->body_len, counted);
}

void answer_end(struct service *service, struct slot *slot, const struct rms_request *req, bool counted)
{
	const struct outbuf *bytes = &req->stream.bytes;

	if (bytes->failed)
		service->batch.failed = true;
	else
		outbuf_append(&service->batch, bytes->data + req->stream.sent, bytes->len - req->stream.sent);
	account(service, slot, &req->reply, req->stream.written, counted);
}

void answer_status(struct service *service, struct slot *slot, struct reply *reply, const char *more)
{
	/* rmsctl and scripts read JSON, people read text. */
	bool json = slot->role == ROLE_CONTROL;
	char body[200];
	int n = snprintf(body, sizeof(body), json ? "{\"ok\":false,\"error\":\"%s%s%s\"}\n" : "%s%s%s\n",
		status_reason(reply->status), more ? ": " : "", more ? more : "");

	assert(n > 0 && n < (int)sizeof(body));
	reply->type = json ? "application/json" : "text/plain; charset=utf-8";
	reply->body = body;
	reply->body_len = (size_t)n;
	answer_put(service, slot, reply, true);
	reply->body = NULL; /* body ends here */
}

bool answer_is_to_head(const struct slot *slot)
{
	static const char method[] = "HEAD ";
	uint32_t at = slot->in_off;

	/* RFC 9112 section 2.2: a line too many in front. */
	if (slot->in_len - at >= 2 && !memcmp(slot->in + at, "\r\n", 2))
		at += 2;
	return slot->in_len - at >= sizeof(method) - 1 && !memcmp(slot->in + at, method, sizeof(method) - 1);
}

void answer_bad(struct service *service, struct slot *slot, const struct message *message)
{
	struct reply reply = {
		.status = message->error, .head_only = answer_is_to_head(slot), .cause = CAUSE_BAD_REQUEST
	};
	enum metrics_error error = ERROR_BAD_REQUEST;

	log_debug("a request was refused", "worker=%s status=%d reason=\"%s\"", service->worker, reply.status,
		message->reason);
	if (reply.status == 413 || reply.status == 414 || reply.status == 431) {
		error = ERROR_TOO_LARGE;
		reply.cause = CAUSE_TOO_LARGE;
	} else if (reply.status == 503) {
		/* Not its fault. */
		error = ERROR_MEMORY;
		reply.cause = CAUSE_MEMORY;
		reply.fields = ANSWER_RETRY_AFTER;
		reply.fields_len = sizeof(ANSWER_RETRY_AFTER) - 1;
	}
	metrics_add(service->set.shard, METRIC_errors + error, 1);
	answer_status(service, slot, &reply, message->reason);
	slot->closed_reason = CLOSED_ERROR;
	slot->linger = true;
}

void answer_lost(struct service *service, struct slot *slot, struct reply *reply)
{
	static const struct {
		enum metrics_error error;
		enum reply_cause cause;
		const char *text;
	} refusals[] = {
		[REFUSE_UNKNOWN] = { ERROR_OUTCOME_UNKNOWN, CAUSE_OUTCOME_UNKNOWN,
			"the worker was lost, the outcome is unknown" },
		[REFUSE_POISON] = { ERROR_POISON, CAUSE_POISON, "two workers in a row were lost with this request" },
		[REFUSE_BUDGET] = { ERROR_BUDGET, CAUSE_BUDGET,
			"the worker was lost with more requests than are run again, the outcome is unknown" },
	};

	/* No Retry-After (RFC 9110 section 10.2.3): something ran. */
	reply->status = 503;
	reply->cause = (uint8_t)refusals[slot->refuse].cause;
	metrics_add(service->set.shard, METRIC_errors + refusals[slot->refuse].error, 1);
	answer_status(service, slot, reply, refusals[slot->refuse].text);
	slot->refuse = REFUSE_NONE;
}

void answer_unhandled(struct service *service, struct slot *slot, const struct router_match *match, struct reply *reply)
{
	char allow[128];

	if (slot->refuse) {
		answer_lost(service, slot, reply);
		return;
	}
	reply->cause = CAUSE_NO_ROUTE;
	if (match->allow) {
		reply->fields = allow;
		reply->fields_len = (size_t)snprintf(allow, sizeof(allow), "Allow: %s\r\n", match->allow);
		reply->status = match->options ? 204 : 405;
		if (reply->status == 204)
			answer_put(service, slot, reply, true);
		else
			answer_status(service, slot, reply, NULL);
		reply->fields = NULL; /* allow ends here */
		return;
	}
	reply->status = 404;
	answer_status(service, slot, reply, NULL);
}
