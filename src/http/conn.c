/* conn.c - a connection from its first byte to its last. */
#include "http/conn.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "http/access.h"
#include "http/answer.h"
#include "http/handling.h"
#include "http/request.h"
#include "http/transfer.h"

enum {
	FLUSH_AT = 256 * 1024, /* bytes of replies that are sent before more are made */
	ROOM = 16 * 1024,      /* so few bytes of a streamed reply left, and the app may go on */
};

static uint64_t after(const struct service *service, uint64_t ms)
{
	return service->turn_ns / 1000000 + ms;
}

static void want(struct service *service, struct slot *slot, int fd, uint32_t events)
{
	if (!slot->in_set || slot->interest == events)
		return;
	slot->interest = events;
	/* No event of those would bring it back. The one that comes unasked does, and it ends. */
	if (pollset_mod(&service->owner.pollset, fd, events, slot_tag(slot, fd)) < 0)
		shutdown(fd, SHUT_RDWR);
}

/* The last access to the slot. */
static void end(struct service *service, struct slot *slot, int fd, unsigned reason, bool reset)
	REQUIRES(service->owner.lock)
{
	struct metrics_shard *shard = service->set.shard;

	/* Nobody is to take a part of a reply for the whole. */
	reset |= slot->streamed;
	if (service->access)
		access_ended(service, slot, reason);
	handling_abandon(service, slot);
	transfer_drop_batch(service);
	metrics_add(shard, METRIC_connections_closed + reason, 1);
	metrics_sub(shard, METRIC_connections, 1);
	if (reset)
		slots_reset(service->set.slots, fd);
	else
		slots_close(service->set.slots, fd);
}

static void close_now(struct service *service, struct slot *slot, int fd, unsigned reason) REQUIRES(service->owner.lock)
{
	end(service, slot, fd, reason, reason == CLOSED_ERROR);
}

/* Everything is sent and nothing more will be read for an answer. */
static void say_goodbye(struct service *service, struct slot *slot, int fd) REQUIRES(service->owner.lock)
{
	bool unread = slot->linger || slot->in_off < slot->in_len;

	/* Closing with unread input makes the kernel send a reset, which may overtake the reply (RFC 9112 9.6). */
	shutdown(fd, SHUT_WR);
	if (!unread || slot->eof) {
		end(service, slot, fd, slot->closed_reason, false);
		return;
	}
	slot->in_off = slot->in_len;
	transfer_drop_input(service->set.slots, slot);
	handling_drop_message(service->set.slots, slot);
	slot_enter(slot, CONN_CLOSING, after(service, CONN_LINGER_MS));
	want(service, slot, fd, EPOLLIN);
}

/* At a request boundary: lets the connection go to another worker if the control thread wants some. */
static bool release(struct service *service, struct slot *slot, int fd) REQUIRES(service->owner.lock)
{
	uint32_t wanted = atomic_load_explicit(&service->release_wanted, memory_order_relaxed);

	if (!wanted || slot->role != ROLE_PUBLIC)
		return false;
	/* A count that the control thread has just changed wins. */
	if (!atomic_compare_exchange_strong_explicit(
		    &service->release_wanted, &wanted, wanted - 1, memory_order_relaxed, memory_order_relaxed))
		return false;
	metrics_sub(service->set.shard, METRIC_connections, 1);
	slot->moved =
		atomic_load_explicit(&service->draining, memory_order_relaxed) ? REHOMED_DRAIN : REHOMED_REBALANCE;
	slots_take(&service->owner, slot);
	service->set.release(service, fd);
	return true;
}

/*
 * Sends what the slot's request, deferred, has streamed; its own replies are out. event: the client takes bytes, or has
 * sent some. Each piece that it takes is a new start for its time-out.
 */
static void flow(struct service *service, struct slot *slot, int fd, bool event) REQUIRES(service->owner.lock)
{
	struct rms_request *req = slot->request;
	size_t before = rms_reply_unsent(req), left;
	enum transfer sent = TRANSFER_DONE;

	if (req->stream.begun && !req->gone)
		sent = transfer_stream(service, slot, fd, &req->stream);
	left = rms_reply_unsent(req);
	if (left < before && left <= ROOM)
		service_owe(service, req);
	if (sent == TRANSFER_BROKEN) {
		close_now(service, slot, fd, CLOSED_ERROR);
	} else if (sent == TRANSFER_BLOCKED) {
		if (left < before || !slot_deadline(slot)) {
			slot->unsent = transfer_unsent(fd);
			slot_enter(slot, CONN_HANDLING, after(service, service->set.conf->write_timeout));
		}
		want(service, slot, fd, EPOLLOUT);
	} else {
		slot_enter(slot, CONN_HANDLING, 0);
		/* Bytes behind a deferred request wait in the kernel: that is the back pressure. */
		if (event || (slot->interest & EPOLLOUT))
			want(service, slot, fd, 0);
	}
}

static unsigned reason_to_end(const struct service *service)
{
	return atomic_load_explicit(&service->closing, memory_order_relaxed) ? CLOSED_SHUTDOWN : CLOSED_WORKER;
}

/*
 * RFC 9112 section 2.2: some clients end a request with a line too many. It begins nothing; but it stays, so that what
 * comes behind it is read as if it had come with it.
 */
static bool is_line_too_many(const struct slot *slot)
{
	return !slot->message && slot->in_len - slot->in_off == 2 && !memcmp(slot->in + slot->in_off, "\r\n", 2);
}

/* There is no memory to wait for the rest of slot's request, or to keep the one that its handler has. */
static void refuse_full(struct service *service, struct slot *slot) REQUIRES(service->owner.lock)
{
	struct reply reply = { .status = 503, .head_only = answer_is_to_head(slot), .cause = CAUSE_MEMORY };

	/* RFC 9110 section 10.2.3: not where something ran, here or with a worker that was lost. */
	if (!slot->request && !slot->lost && !slot->refuse) {
		reply.fields = ANSWER_RETRY_AFTER;
		reply.fields_len = sizeof(ANSWER_RETRY_AFTER) - 1;
	}
	metrics_add(service->set.shard, METRIC_errors + ERROR_MEMORY, 1);
	handling_abandon(service, slot);
	handling_drop_message(service->set.slots, slot);
	answer_status(service, slot, &reply, "too much waits in buffers");
	transfer_drop_input(service->set.slots, slot);
	slot->linger = true;
}

/* Input that the slot has borrowed becomes its own, or it is refused. What sent: of what is to be sent then. */
static enum transfer keep_input(struct service *service, struct slot *slot, int fd, enum transfer sent)
	REQUIRES(service->owner.lock)
{
	if (sent == TRANSFER_BROKEN || transfer_own_input(service->set.slots, slot, service_most(service)))
		return sent;
	if (slot->streamed)
		return TRANSFER_BROKEN;
	if (is_line_too_many(slot)) {
		transfer_drop_input(service->set.slots, slot);
		return sent;
	}
	refuse_full(service, slot);
	return transfer_send(service, slot, fd);
}

/* Ends the slot's turn: sends what there is, makes it whole in itself, and says what it waits for. */
static void settle(struct service *service, struct slot *slot, int fd) REQUIRES(service->owner.lock)
{
	const struct conf *conf = service->set.conf;
	enum transfer sent = keep_input(service, slot, fd, transfer_send(service, slot, fd));
	bool begun;

	if (sent == TRANSFER_BROKEN) {
		close_now(service, slot, fd, CLOSED_ERROR);
		return;
	}
	begun = slot->in_off < slot->in_len && !is_line_too_many(slot);
	if (sent == TRANSFER_BLOCKED) {
		slot->unsent = transfer_unsent(fd);
		slot_enter(slot, is_handled(slot) ? CONN_HANDLING : CONN_WRITING, after(service, conf->write_timeout));
		want(service, slot, fd, EPOLLOUT);
	} else if (is_handled(slot)) {
		flow(service, slot, fd, false);
	} else if (slot->close_after) {
		say_goodbye(service, slot, fd);
	} else if (slot->eof && !slot->queued) {
		close_now(service, slot, fd, CLOSED_CLIENT);
	} else if (begun) {
		/* A head has one deadline from its first byte; a body, one from each piece. */
		if (slot->message && slot->message->head_done)
			slot_enter(slot, CONN_READING, after(service, conf->body_timeout));
		else if (slot->state != CONN_READING || slot->queued)
			slot_enter(slot, CONN_READING, after(service, conf->header_timeout));
		if (slot->feeding || !release(service, slot, fd))
			want(service, slot, fd, EPOLLIN);
	} else if (service_is_ending(service, slot)) {
		close_now(service, slot, fd, reason_to_end(service));
	} else {
		slot_enter(
			slot, CONN_IDLE, after(service, slot->seen ? conf->keepalive_timeout : conf->header_timeout));
		if (!release(service, slot, fd))
			want(service, slot, fd, EPOLLIN);
	}
}

/* A parse with room for as many fields as there may be. */
static size_t message_size(const struct service *service)
{
	return offsetof(struct message, fields) + service->limits.fields * sizeof(struct message_field);
}

/* The rest of the request is still to come: its parse goes with the slot. False: there is no memory for it. */
static bool keep_message(struct service *service, struct slot *slot)
{
	struct message *message = slot->message;
	const struct message *parsed = message ? message : &service->recent.message;
	size_t charged = message ? message->charged : 0;

	if (!service_charge(service, &charged, message_size(service) + parsed->chunked_body.cap))
		return false;
	if (!message) {
		message = malloc(message_size(service));
		if (!message) {
			slots_credit(service->set.slots, charged);
			return false;
		}
		memcpy(message, parsed, offsetof(struct message, fields) + parsed->n_fields * sizeof(*parsed->fields));
		/* What it owned is the slot's. */
		message_init(&service->recent.message);
		slot->message = message;
	}
	message->charged = charged;
	return true;
}

/* The head of a request is here, and not all of its body. False: somebody has taken the slot. */
static bool take_part(struct service *service, struct slot *slot, int fd) REQUIRES(service->owner.lock)
{
	struct reply reply = { .head_only = slot->message->method == HTTP_HEAD };

	if (!slot->refuse)
		return handling_feed(service, slot, fd);
	/* Its worker was lost with the first part: what is still to come is of no use. */
	answer_lost(service, slot, &reply);
	slot->linger = true;
	return true;
}

/* Runs the requests that are here whole, then settles the slot; unless it is taken from under a handler. */
static void run(struct service *service, struct slot *slot, int fd) REQUIRES(service->owner.lock)
{
	unsigned budget = CONN_REQUESTS;

	while (slot->in_off < slot->in_len && !is_handled(slot) && !slot->close_after && !service->batch.failed) {
		struct message *message = slot->message;
		enum message_status status;
		const char *bytes;
		uint32_t len;

		if (is_line_too_many(slot))
			break;
		if (service->batch.len >= FLUSH_AT || service->tail.len) {
			enum transfer sent = transfer_send(service, slot, fd);

			/* Replies are lost: no other may take their place. */
			if (sent == TRANSFER_BROKEN) {
				close_now(service, slot, fd, CLOSED_ERROR);
				return;
			}
			/* By the time that the slot settles the client may have taken it: then no event will come. */
			if (sent == TRANSFER_BLOCKED) {
				service_queue(service, slot, slot_tag(slot, fd));
				break;
			}
		}
		if (!budget--) {
			service_queue(service, slot, slot_tag(slot, fd));
			break;
		}
		bytes = slot->in + slot->in_off;
		len = slot->in_len - slot->in_off;
		if (message) {
			status = message_feed(message, &service->limits, bytes, len);
		} else {
			message = &service->recent.message;
			status = recent_feed(&service->recent, &service->limits, bytes, len);
		}
		if (status == MESSAGE_COMPLETE) {
			if (!handling_run(service, slot, fd, message))
				return;
			continue;
		}
		if (status == MESSAGE_BAD) {
			handling_abandon(service, slot);
			answer_bad(service, slot, message);
			message_finish(&service->recent.message);
		} else if (!keep_message(service, slot)) {
			message_finish(&service->recent.message);
			refuse_full(service, slot);
		} else if (slot->message->head_done && !take_part(service, slot, fd)) {
			return;
		}
		break;
	}
	settle(service, slot, fd);
}

static void discard(struct service *service, struct slot *slot, int fd) REQUIRES(service->owner.lock)
{
	enum transfer received = transfer_discard(service, fd);

	if (received == TRANSFER_EOF || received == TRANSFER_BROKEN)
		end(service, slot, fd, slot->closed_reason, received == TRANSFER_BROKEN);
}

void conn_accepted(struct slot *slot, const struct conf *conf)
{
	atomic_store_explicit(&slot->deadline_ms, uv_hrtime() / 1000000 + conf->header_timeout, memory_order_relaxed);
}

void conn_event(struct service *service, struct slot *slot, int fd, uint32_t events)
{
	const uint32_t over = EPOLLERR | EPOLLHUP;
	enum transfer received;

	if (slot->state == CONN_CLOSING) {
		discard(service, slot, fd);
		return;
	}
	if (slot->request && (events & over)) {
		close_now(service, slot, fd, CLOSED_CLIENT);
		return;
	}
	if (slot->out_len) {
		if (!(events & (EPOLLOUT | over))) {
			/* Just given, with EPOLLIN too (slots_give()): nothing is read before the client takes this. */
			want(service, slot, fd, EPOLLOUT);
			return;
		}
		switch (transfer_send(service, slot, fd)) {
		case TRANSFER_DONE: break;
		case TRANSFER_BLOCKED:
			/* Each piece that the client takes is a new start. */
			slot->unsent = transfer_unsent(fd);
			slot_enter(slot, slot->state, after(service, service->set.conf->write_timeout));
			return;
		default: close_now(service, slot, fd, CLOSED_ERROR); return;
		}
	}
	if (is_handled(slot)) {
		flow(service, slot, fd, true);
		return;
	}
	if (!slot->queued && !slot->eof && !slot->close_after && (events & (EPOLLIN | over))) {
		received = transfer_receive(service, slot, fd);
		if (received == TRANSFER_BROKEN) {
			close_now(service, slot, fd, slot->in_len || !(events & over) ? CLOSED_ERROR : CLOSED_CLIENT);
			return;
		}
		if (received == TRANSFER_FULL) {
			refuse_full(service, slot);
			settle(service, slot, fd);
			return;
		}
		slot->eof = received == TRANSFER_EOF;
		if (slot->state == CONN_IDLE)
			slot->started_ns = service->turn_ns;
	}
	run(service, slot, fd);
}

void conn_ready(struct service *service, struct slot *slot, int fd)
{
	if (slot->state != CONN_CLOSING && !is_handled(slot) && !slot->out_len)
		run(service, slot, fd);
}

void conn_answer(struct service *service, struct slot *slot, int fd, struct rms_request *req)
{
	enum transfer sent = TRANSFER_DONE;

	handling_answer(service, slot, req);
	if (slot->out_len)
		sent = transfer_send(service, slot, fd);
	if (sent == TRANSFER_BROKEN)
		close_now(service, slot, fd, CLOSED_ERROR);
	else if (sent == TRANSFER_BLOCKED)
		settle(service, slot, fd);
	else
		/* Also when replies before it have left with it just now: no event comes for the requests behind it. */
		run(service, slot, fd);
}

void conn_stream(struct service *service, struct slot *slot, int fd)
{
	/* It cannot go on, and nobody needs to wait until the client takes what there was. */
	if (is_handled(slot) && slot->request->stream.bytes.failed)
		close_now(service, slot, fd, CLOSED_ERROR);
	/* Replies before it, or the client, or the rest of the request come first: their event brings the rest. */
	else if (is_handled(slot) && !slot->out_len && !(slot->interest & EPOLLOUT))
		flow(service, slot, fd, false);
}

/* The kernel wants more only when much of its buffer is free; a slow client may have taken some all the same. */
static void expire_writing(struct service *service, struct slot *slot, int fd) REQUIRES(service->owner.lock)
{
	uint32_t unsent = transfer_unsent(fd);

	if (unsent >= slot->unsent) {
		end(service, slot, fd, CLOSED_TIMEOUT, true);
		return;
	}
	slot->unsent = unsent;
	slot_enter(slot, slot->state, after(service, service->set.conf->write_timeout));
}

/* Whether slot, which is waiting for input, has some that its owner was too busy to see: then it has its turn now. */
static bool run_unseen(struct service *service, struct slot *slot, int fd) REQUIRES(service->owner.lock)
{
	enum transfer received = slot->queued || slot->eof ? TRANSFER_BLOCKED : transfer_receive(service, slot, fd);

	if (received == TRANSFER_FULL) {
		refuse_full(service, slot);
		settle(service, slot, fd);
	} else if (received == TRANSFER_DONE) {
		run(service, slot, fd);
	}
	return received == TRANSFER_FULL || received == TRANSFER_DONE;
}

static bool is_expired(const struct service *service, const struct slot *slot)
{
	uint64_t deadline = slot_deadline(slot);

	return deadline && deadline <= after(service, 0);
}

void conn_expire(struct service *service, struct slot *slot, int fd)
{
	struct reply reply = { .status = 408, .cause = CAUSE_TIMEOUT };
	uint64_t tag = slot_tag(slot, fd);

	if (!is_expired(service, slot))
		return;
	/* Also of one that was taken from under its handler: it waits for its client to take what is said already. */
	if (slot->out_len) {
		expire_writing(service, slot, fd);
		return;
	}
	if (slot->state == CONN_IDLE || slot->state == CONN_READING) {
		/* Bytes that were here in time count; a head that is not whole with them is late all the same. */
		if (run_unseen(service, slot, fd) &&
			(service->owner.revoked || owner_find(&service->owner, tag) != slot ||
				slot->state != CONN_READING || !is_expired(service, slot)))
			return;
	}
	switch ((enum conn_state)slot->state) {
	case CONN_READING:
		metrics_add(service->set.shard, METRIC_errors + ERROR_TIMEOUT, 1);
		handling_abandon(service, slot);
		reply.head_only = answer_is_to_head(slot);
		answer_status(service, slot, &reply, "the request did not come in time");
		slot->closed_reason = CLOSED_TIMEOUT;
		slot->linger = true;
		settle(service, slot, fd);
		break;
	/* A handler may take its time; the client may not, with the replies before it. */
	case CONN_HANDLING:
	case CONN_WRITING: expire_writing(service, slot, fd); break;
	case CONN_CLOSING: close_now(service, slot, fd, slot->closed_reason); break;
	case CONN_IDLE: close_now(service, slot, fd, CLOSED_TIMEOUT); break;
	}
}

void conn_hang_up(struct service *service, struct slot *slot, int fd)
{
	uint64_t soon = after(service, CONN_LINGER_MS);

	if (slot->state == CONN_IDLE) {
		if (!run_unseen(service, slot, fd))
			close_now(service, slot, fd, reason_to_end(service));
	} else if (slot->state == CONN_READING && slot_deadline(slot) > soon) {
		slot_enter(slot, CONN_READING, soon);
	}
}
