/* answer.c - replies into the batch, and those that no handler makes. */
#include "http/answer.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "http/conn.h"
#include "http/status.h"

void answer_put(struct service *service, struct slot *slot, const struct reply *reply, bool counted)
{
	struct metrics_shard *shard = service->set.shard;

	reply_write(&service->batch, reply, &service->stamp);
	if (counted) {
		metrics_add(shard, METRIC_responses + METRICS_CODE(reply->status), 1);
		if (slot->owed++)
			slot->owed_rest_ns = slot->started_ns;
		else
			slot->owed_first_ns = slot->started_ns;
	}
	if (!reply->keep_alive) {
		slot->close_after = true;
		slot->closed_reason = CLOSED_KEEPALIVE_END;
	}
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

void answer_bad(struct service *service, struct slot *slot, const struct message *message)
{
	struct reply reply = { .status = message->error, .head_only = message->method == HTTP_HEAD };
	bool too_large = reply.status == 413 || reply.status == 414 || reply.status == 431;

	log_debug("a request was refused", "worker=%s status=%d reason=\"%s\"", service->worker, reply.status,
		message->reason);
	metrics_add(service->set.shard, METRIC_errors + (too_large ? ERROR_TOO_LARGE : ERROR_BAD_REQUEST), 1);
	answer_status(service, slot, &reply, message->reason);
	slot->closed_reason = CLOSED_ERROR;
	slot->linger = true;
}

bool answer_unhandled(struct service *service, struct slot *slot, const struct router_match *match, struct reply *reply)
{
	char allow[128];

	if (slot->refuse) {
		reply->status = 503;
		if (slot->refuse == REFUSE_TRY_AGAIN) {
			reply->fields = "Retry-After: 1\r\n";
			reply->fields_len = strlen(reply->fields);
		}
		slot->refuse = REFUSE_NONE;
		metrics_add(service->set.shard, METRIC_errors + ERROR_OUTCOME_UNKNOWN, 1);
		answer_status(service, slot, reply, "the worker was lost, the outcome is unknown");
		return true;
	}
	if (match->route)
		return false;
	if (match->allow) {
		reply->fields = allow;
		reply->fields_len = (size_t)snprintf(allow, sizeof(allow), "Allow: %s\r\n", match->allow);
		reply->status = match->options ? 204 : 405;
		if (reply->status == 204)
			answer_put(service, slot, reply, true);
		else
			answer_status(service, slot, reply, NULL);
		reply->fields = NULL; /* allow ends here */
		return true;
	}
	reply->status = 404;
	answer_status(service, slot, reply, NULL);
	return true;
}
