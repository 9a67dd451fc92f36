/* conn.c - a connection from its first byte to its last. */
#include "http/conn.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "http/answer.h"
#include "http/request.h"
#include "http/transfer.h"

enum { FLUSH_AT = 256 * 1024 }; /* bytes of replies that are sent before more are made */

static void enter(struct slot *slot, enum conn_state state, uint64_t deadline_ms)
{
	assert(slot->state != CONN_CLOSING || state == CONN_CLOSING);
	assert((state == CONN_HANDLING) == (slot->request != NULL));
	slot->state = (uint8_t)state;
	atomic_store_explicit(&slot->deadline_ms, deadline_ms, memory_order_relaxed);
}

static uint64_t after(const struct service *service, uint64_t ms)
{
	return service->turn_ns / 1000000 + ms;
}

static void want(struct service *service, struct slot *slot, int fd, uint32_t events)
{
	if (!slot->in_set || slot->interest == events)
		return;
	slot->interest = events;
	pollset_mod(&service->owner.pollset, fd, events, slot_tag(slot, fd));
}

static void drop_message(struct slot *slot)
{
	if (!slot->message)
		return;
	message_finish(slot->message);
	free(slot->message);
	slot->message = NULL;
}

/* The last access to the slot. */
static void close_now(struct service *service, struct slot *slot, int fd, unsigned reason)
{
	struct metrics_shard *shard = service->set.shard;

	assert(!slot->request);
	outbuf_reset(&service->batch, FLUSH_AT);
	metrics_add(shard, METRIC_connections_closed + reason, 1);
	metrics_sub(shard, METRIC_connections, 1);
	slots_close(service->set.slots, fd);
}

/* What was sent and not taken goes too: without that the kernel would hold it for minutes. */
static void reset_now(struct service *service, struct slot *slot, int fd, unsigned reason)
{
	struct linger linger = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close_now(service, slot, fd, reason);
}

/* Everything is sent and nothing more will be read for an answer. */
static void say_goodbye(struct service *service, struct slot *slot, int fd)
{
	bool unread = slot->linger || slot->in_off < slot->in_len;

	if (!unread || slot->eof) {
		close_now(service, slot, fd, slot->closed_reason);
		return;
	}
	/* Closing with unread input makes the kernel send a reset, which may overtake the reply (RFC 9112 9.6). */
	shutdown(fd, SHUT_WR);
	slot->in_off = slot->in_len;
	transfer_own_input(slot);
	drop_message(slot);
	enter(slot, CONN_CLOSING, after(service, CONN_LINGER_MS));
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
	slots_take(&service->owner, slot);
	service->set.release(service, fd);
	return true;
}

/* The slot's request is over, or nobody is left to answer: a reply that comes finds another tag and is dropped. */
static void forget_request(struct service *service, struct slot *slot)
{
	slot->request = NULL;
	slot->deferred = false;
	if (slot->counted)
		metrics_sub(service->set.shard, METRIC_in_flight, 1);
}

/* As close_now(), also while a handler has deferred a request of it. */
static void break_off(struct service *service, struct slot *slot, int fd, unsigned reason)
{
	if (slot->request)
		forget_request(service, slot);
	close_now(service, slot, fd, reason);
}

/* Ends the slot's turn: sends what there is, makes it whole in itself, and says what it waits for. */
static void settle(struct service *service, struct slot *slot, int fd) REQUIRES(service->owner.lock)
{
	const struct conf *conf = service->set.conf;
	enum transfer sent = transfer_send(service, slot, fd);
	bool begun;

	if (sent == TRANSFER_BROKEN || !transfer_own_input(slot)) {
		break_off(service, slot, fd, CLOSED_ERROR);
		return;
	}
	begun = slot->in_off < slot->in_len;
	if (sent == TRANSFER_BLOCKED) {
		slot->unsent = transfer_unsent(fd);
		enter(slot, slot->request ? CONN_HANDLING : CONN_WRITING, after(service, conf->write_timeout));
		want(service, slot, fd, EPOLLOUT);
	} else if (slot->request) {
		enter(slot, CONN_HANDLING, 0);
	} else if (slot->close_after) {
		say_goodbye(service, slot, fd);
	} else if (slot->eof && !slot->queued) {
		close_now(service, slot, fd, CLOSED_CLIENT);
	} else if (begun) {
		/* A head has one deadline from its first byte; a body, one from each piece. */
		if (slot->message && slot->message->head_done)
			enter(slot, CONN_READING, after(service, conf->body_timeout));
		else if (slot->state != CONN_READING || slot->queued)
			enter(slot, CONN_READING, after(service, conf->header_timeout));
		if (!release(service, slot, fd))
			want(service, slot, fd, EPOLLIN);
	} else if (atomic_load_explicit(&service->closing, memory_order_relaxed)) {
		close_now(service, slot, fd, CLOSED_SHUTDOWN);
	} else {
		enter(slot, CONN_IDLE, after(service, slot->seen ? conf->keepalive_timeout : conf->header_timeout));
		if (!release(service, slot, fd))
			want(service, slot, fd, EPOLLIN);
	}
}

static void commit(struct service *service, struct slot *slot, struct rms_request *req)
{
	if (atomic_load_explicit(&service->closing, memory_order_relaxed))
		req->reply.keep_alive = false;
	answer_put(service, slot, &req->reply, !req->match.route->uncounted);
}

/* The request at in_off has its answer. */
static void consume(struct slot *slot, uint32_t len)
{
	slot->in_off += len;
	slot->running_len = 0;
	slot->started_ns = slot->received_ns;
	enter(slot, CONN_IDLE, 0);
}

static bool is_idempotent(unsigned method)
{
	return method == HTTP_GET || method == HTTP_HEAD || method == HTTP_OPTIONS || method == HTTP_TRACE;
}

/*
 * Calls the handler, without the lock. Before that the slot is made to show all that a taker needs: the request's bytes
 * are still in its input, the batch's replies are its output. False: somebody has taken it; touch nothing.
 */
static bool call(struct service *service, struct slot *slot, int fd, struct rms_request *req, bool rerun)
	REQUIRES(service->owner.lock)
{
	assert(!slot->out_cap);
	slot->out = service->batch.data;
	slot->out_len = (uint32_t)service->batch.len;
	slot->rerun = rerun;
	slot->deferred = false;
	slot->request = req;
	enter(slot, CONN_HANDLING, 0);
	req->tag = slot_tag(slot, fd);
	req->in_handler = true;
	/* A scrape of a worker's own port must not see itself; a verb on the control socket is waited for. */
	slot->counted = !req->match.route->uncounted || slot->role == ROLE_CONTROL;
	if (slot->counted)
		metrics_add(service->set.shard, METRIC_in_flight, 1);
	if (slot->again)
		metrics_add(service->set.shard, METRIC_replayed, 1);
	slot->again = false;
	lock_release(&service->owner.lock);
	req->handle(req, service->state);
	req->in_handler = false;
	service_beat(service);
	lock_acquire(&service->owner.lock);
	if (!req->replied) {
		req->live = true;
		list_push(&service->live, &req->node);
	}
	if (service->owner.revoked) {
		if (req->replied)
			service_spare(service, req);
		outbuf_reset(&service->batch, 0);
		return false;
	}
	assert(owner_find(&service->owner, req->tag) == slot);
	slot->out = NULL;
	slot->out_len = 0;
	if (!req->replied) {
		slot->deferred = true;
		return true;
	}
	forget_request(service, slot);
	commit(service, slot, req);
	service_spare(service, req);
	return true;
}

/* A whole request. False: as call(). */
static bool handle(struct service *service, struct slot *slot, int fd, struct message *message)
	REQUIRES(service->owner.lock)
{
	const struct router *router = service->set.routers[slot->role];
	struct rms_request *req = service_request(service);
	uint32_t len = message->length;
	unsigned method = message->method;
	bool closing = atomic_load_explicit(&service->closing, memory_order_relaxed);
	struct reply reply = {
		.head_only = method == HTTP_HEAD,
		.keep_alive = message->keep_alive && !closing,
		.old_client = message->minor == 0,
	};

	if (!req || !request_fill(req, message, slot->in + slot->in_off)) {
		request_destroy(req);
		message_finish(&service->scratch);
		reply.status = 500;
		reply.keep_alive = false;
		metrics_add(service->set.shard, METRIC_errors + ERROR_INTERNAL, 1);
		answer_status(service, slot, &reply, "out of memory");
		consume(slot, len);
		return true;
	}
	req->service = service;
	req->reply = reply;
	router_find(router, (int)method, req->path, strlen(req->path), &req->match);
	if (answer_unhandled(service, slot, &req->match, &reply)) {
		service_spare(service, req);
		drop_message(slot);
		consume(slot, len);
		return true;
	}
	req->handle = req->match.route->handle;
	if (faults_active(service->set.faults))
		fault_apply(service, req);
	drop_message(slot);
	slot->running_len = len;
	if (!call(service, slot, fd, req, is_idempotent(method)))
		return false;
	if (!slot->request)
		consume(slot, len);
	return true;
}

/* The rest of the request is still to come: its parse goes with the slot. */
static bool keep_message(struct service *service, struct slot *slot)
{
	struct message *message = slot->message;

	if (!message) {
		message = malloc(sizeof(*message));
		if (!message)
			return false;
		*message = service->scratch;
		/* What scratch owned is the slot's. */
		message_init(&service->scratch);
		slot->message = message;
	}
	if (message->head_done && message->expect_continue) {
		message->expect_continue = false;
		outbuf_text(&service->batch, "HTTP/1.1 100 Continue\r\n\r\n");
	}
	return true;
}

/* Runs the requests that are here whole, then settles the slot; unless it is taken from under a handler. */
static void run(struct service *service, struct slot *slot, int fd) REQUIRES(service->owner.lock)
{
	unsigned budget = CONN_REQUESTS;

	while (slot->in_off < slot->in_len && !slot->request && !slot->close_after) {
		struct message *message = slot->message;
		enum message_status status;

		/* RFC 9112 section 2.2: some clients end a request with a line too many; it begins nothing. */
		if (!message && slot->in_len - slot->in_off == 2 && !memcmp(slot->in + slot->in_off, "\r\n", 2)) {
			slot->in_off = slot->in_len;
			break;
		}

		if (service->batch.len >= FLUSH_AT && transfer_send(service, slot, fd) != TRANSFER_DONE)
			break;
		if (!budget--) {
			service_queue(service, slot, slot_tag(slot, fd));
			break;
		}
		if (!message) {
			message = &service->scratch;
			message_init(message);
		}
		status = message_feed(message, &service->limits, slot->in + slot->in_off, slot->in_len - slot->in_off);
		if (status == MESSAGE_COMPLETE) {
			if (!handle(service, slot, fd, message))
				return;
			continue;
		}
		if (status == MESSAGE_BAD) {
			answer_bad(service, slot, message);
			message_finish(&service->scratch);
		} else if (!keep_message(service, slot)) {
			slot->close_after = true;
		}
		break;
	}
	settle(service, slot, fd);
}

static void discard(struct service *service, struct slot *slot, int fd) REQUIRES(service->owner.lock)
{
	enum transfer received = transfer_discard(service, fd);

	if (received == TRANSFER_EOF || received == TRANSFER_BROKEN)
		close_now(service, slot, fd, slot->closed_reason);
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
		break_off(service, slot, fd, CLOSED_CLIENT);
		return;
	}
	if (slot->out_len) {
		if (!(events & (EPOLLOUT | over)))
			return;
		switch (transfer_send(service, slot, fd)) {
		case TRANSFER_DONE: break;
		case TRANSFER_BLOCKED:
			/* Each piece that the client takes is a new start. */
			slot->unsent = transfer_unsent(fd);
			enter(slot, slot->state, after(service, service->set.conf->write_timeout));
			return;
		default: break_off(service, slot, fd, CLOSED_ERROR); return;
		}
	}
	if (slot->request) {
		/* Bytes behind a deferred request wait in the kernel: that is the back pressure. */
		want(service, slot, fd, 0);
		if (slot_deadline(slot))
			enter(slot, CONN_HANDLING, 0);
		return;
	}
	if (!slot->queued && !slot->eof && !slot->close_after && (events & (EPOLLIN | over))) {
		received = transfer_receive(service, slot, fd);
		if (received == TRANSFER_BROKEN) {
			close_now(service, slot, fd, slot->in_len || !(events & over) ? CLOSED_ERROR : CLOSED_CLIENT);
			return;
		}
		slot->eof = received == TRANSFER_EOF;
	}
	run(service, slot, fd);
}

void conn_ready(struct service *service, struct slot *slot, int fd)
{
	if (slot->state != CONN_CLOSING && !slot->request && !slot->out_len)
		run(service, slot, fd);
}

void conn_answer(struct service *service, struct slot *slot, int fd, struct rms_request *req)
{
	assert(slot->request == req);
	forget_request(service, slot);
	commit(service, slot, req);
	consume(slot, slot->running_len);
	if (slot->out_len)
		settle(service, slot, fd);
	else
		run(service, slot, fd);
}

/* The kernel wants more only when much of its buffer is free; a slow client may have taken some all the same. */
static void expire_writing(struct service *service, struct slot *slot, int fd)
{
	uint32_t unsent = transfer_unsent(fd);

	if (unsent >= slot->unsent) {
		if (slot->request)
			forget_request(service, slot);
		reset_now(service, slot, fd, CLOSED_TIMEOUT);
		return;
	}
	slot->unsent = unsent;
	enter(slot, slot->state, after(service, service->set.conf->write_timeout));
}

/* Whether slot, which is waiting for input, has some that its owner was too busy to see: then it has its turn now. */
static bool run_unseen(struct service *service, struct slot *slot, int fd) REQUIRES(service->owner.lock)
{
	if (slot->queued || slot->eof || transfer_receive(service, slot, fd) != TRANSFER_DONE)
		return false;
	run(service, slot, fd);
	return true;
}

static bool is_expired(const struct service *service, const struct slot *slot)
{
	uint64_t deadline = slot_deadline(slot);

	return deadline && deadline <= after(service, 0);
}

void conn_expire(struct service *service, struct slot *slot, int fd)
{
	struct reply reply = { .status = 408 };
	uint64_t tag = slot_tag(slot, fd);

	if (!is_expired(service, slot))
		return;
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
			close_now(service, slot, fd, CLOSED_SHUTDOWN);
	} else if (slot->state == CONN_READING && slot_deadline(slot) > soon) {
		enter(slot, CONN_READING, soon);
	}
}

int conn_detach(struct service *service, struct slot *slot, bool *now)
{
	if (!transfer_own_input(slot) || !transfer_own_output(slot))
		return UV_ENOMEM;
	if (slot->request) {
		if (slot->deferred)
			slot->refuse = REFUSE_TRY_AGAIN;
		else if (!slot->rerun)
			slot->refuse = REFUSE_UNKNOWN;
		else
			slot->again = true;
		slot->request = NULL;
		slot->running_len = 0;
		enter(slot, CONN_READING, uv_hrtime() / 1000000 + service->set.conf->header_timeout);
	}
	*now = slot->state != CONN_CLOSING && (slot->in_len || slot->out_len || slot->eof);
	return 0;
}
