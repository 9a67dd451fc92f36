/* transfer.c - recv and send, and the slot's buffers between them. */
#include "http/transfer.h"

#include <assert.h>
#include <errno.h>
#include <linux/sockios.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <uv.h>

#include "base/clock.h"
#include "http/request.h"

enum {
	BATCH_KEEP = 256 * 1024,
	STREAM_KEEP = 16 * 1024, /* of each streamed reply, so that many that say little now and then cost little */
	ROUND = 256,
};

static size_t round_up(size_t size)
{
	return (size + ROUND - 1) / ROUND * ROUND;
}

/* bytes in a block of their own; *cap is its size. NULL: out of memory, or more than most in all. */
static char *own(struct slots *slots, uint64_t most, const char *bytes, size_t len, uint32_t *cap)
{
	size_t size = round_up(len);
	char *copy;

	if (size > UINT32_MAX || !slots_charge(slots, size, most))
		return NULL;
	copy = malloc(size);
	if (!copy) {
		slots_credit(slots, size);
		return NULL;
	}
	memcpy(copy, bytes, len);
	*cap = (uint32_t)size;
	return copy;
}

static void free_input(struct slots *slots, struct slot *slot)
{
	if (slot->in_cap) {
		free(slot->in);
		slots_credit(slots, slot->in_cap);
	}
	slot->in = NULL;
	slot->in_off = slot->in_len = slot->in_cap = 0;
}

bool transfer_own_input(struct slots *slots, struct slot *slot, uint64_t most)
{
	uint32_t len = slot->in_len - slot->in_off;
	uint32_t cap;
	char *copy;

	if (!len) {
		free_input(slots, slot);
		return true;
	}
	if (slot->in_cap)
		return true;
	copy = own(slots, most, slot->in + slot->in_off, len, &cap);
	if (!copy)
		return false;
	slot->in = copy;
	slot->in_off = 0;
	slot->in_len = len;
	slot->in_cap = cap;
	return true;
}

void transfer_drop_input(struct slots *slots, struct slot *slot)
{
	free_input(slots, slot);
}

static bool own_output(struct slots *slots, struct slot *slot, uint64_t most)
{
	uint32_t cap;
	char *copy = own(slots, most, slot->out + slot->out_off, slot->out_len - slot->out_off, &cap);

	if (!copy)
		return false;
	slot->out = copy;
	slot->out_len -= slot->out_off;
	slot->out_off = 0;
	slot->out_cap = cap;
	slot->out_static = false;
	return true;
}

bool transfer_own_output(struct slots *slots, struct slot *slot)
{
	/* Of an empty batch nothing may stay. */
	if (!slot->out_len)
		slot->out = NULL;
	return slot->out_cap || slot->out_static || !slot->out_len || own_output(slots, slot, 0);
}

/* Behind the slot's own bytes. False: out of memory, or more than the service may in all; the block is as it was. */
static bool append(const struct service *service, char **block, uint32_t *off, uint32_t *len, uint32_t *cap,
	const char *bytes, size_t n)
{
	struct slots *slots = service->set.slots;
	size_t used = *len - *off;
	size_t size = round_up(used + n);
	char *grown = *block;

	if (*off) {
		memmove(*block, *block + *off, used);
		*off = 0;
		*len = (uint32_t)used;
	}
	if (!n)
		return true;
	if (size <= *cap)
		size = *cap;
	else if (size < (size_t)*cap * 2)
		size = (size_t)*cap * 2;
	if (size > UINT32_MAX)
		return false;
	if (size > *cap) {
		if (!slots_charge(slots, size - *cap, service_most(service)))
			return false;
		grown = realloc(*block, size);
		if (!grown) {
			slots_credit(slots, size - *cap);
			return false;
		}
	}
	memcpy(grown + used, bytes, n);
	*block = grown;
	*cap = (uint32_t)size;
	*len = (uint32_t)(used + n);
	return true;
}

static enum transfer failed(void)
{
	return errno == EAGAIN || errno == EINTR ? TRANSFER_BLOCKED : TRANSFER_BROKEN;
}

enum transfer transfer_receive(struct service *service, struct slot *slot, int fd)
{
	ssize_t n = recv(fd, service->read_buffer, SERVICE_READ_SIZE, 0);

	if (n < 0)
		return failed();
	if (n == 0)
		return TRANSFER_EOF;
	metrics_add(service->set.shard, METRIC_request_bytes, (uint64_t)n);
	slot->seen = true;
	slot->received_ns = service->turn_ns;
	if (slot->in_off == slot->in_len) {
		free_input(service->set.slots, slot);
		slot->in = service->read_buffer;
		slot->in_len = (uint32_t)n;
		slot->started_ns = service->turn_ns;
		return TRANSFER_DONE;
	}
	if (!append(service, &slot->in, &slot->in_off, &slot->in_len, &slot->in_cap, service->read_buffer, (size_t)n))
		return TRANSFER_FULL;
	return TRANSFER_DONE;
}

enum transfer transfer_discard(struct service *service, int fd)
{
	ssize_t n = recv(fd, service->read_buffer, SERVICE_READ_SIZE, 0);

	if (n < 0)
		return failed();
	return n ? TRANSFER_DONE : TRANSFER_EOF;
}

uint32_t transfer_unsent(int fd)
{
	int bytes = 0;

	return ioctl(fd, SIOCOUTQ, &bytes) < 0 ? 0 : (uint32_t)bytes;
}

/* Every reply owed is with the kernel. */
static void settle_debt(struct service *service, struct slot *slot)
{
	if (!slot->owed)
		return;
	service->now_ns = clock_ns();
	metrics_observe(service->set.shard, service->now_ns - slot->owed_first_ns, 1);
	if (slot->owed > 1)
		metrics_observe(service->set.shard, service->now_ns - slot->owed_rest_ns, slot->owed - 1);
	slot->owed = 0;
}

void transfer_drop_batch(struct service *service)
{
	outbuf_reset(&service->batch, BATCH_KEEP);
	if (service->tail.is_block)
		service_keep_block(service, (char *)service->tail.bytes);
	service->tail = (struct tail){ 0 };
}

static void free_output(struct service *service, struct slot *slot)
{
	if (slot->out_cap) {
		slots_credit(service->set.slots, slot->out_cap);
		if (slot->out_cap >= REPLY_APART)
			service_keep_block(service, slot->out);
		else
			free(slot->out);
	}
	slot->out = NULL;
	slot->out_off = slot->out_len = slot->out_cap = 0;
	slot->out_static = false;
}

/* What the kernel has not taken can be kept, or not: then it is lost. The batch is empty after it. */
static enum transfer kept(struct service *service, bool is_kept) REQUIRES(service->owner.lock)
{
	transfer_drop_batch(service);
	if (is_kept)
		return TRANSFER_BLOCKED;
	metrics_add(service->set.shard, METRIC_errors + ERROR_MEMORY, 1);
	return TRANSFER_BROKEN;
}

/* The batch from its byte n on, and the tail, behind what the slot has of its own. */
static bool keep_all(const struct service *service, struct slot *slot, size_t n)
{
	const struct outbuf *batch = &service->batch;
	const struct tail *tail = &service->tail;

	return append(service, &slot->out, &slot->out_off, &slot->out_len, &slot->out_cap, batch->data + n,
		       batch->len - n) &&
		append(service, &slot->out, &slot->out_off, &slot->out_len, &slot->out_cap, tail->bytes, tail->len);
}

/* The slot has nothing, and the kernel has taken n bytes of the batch. */
__attribute__((noinline)) static enum transfer keep_rest(struct service *service, struct slot *slot, size_t n)
	REQUIRES(service->owner.lock)
{
	return kept(service, keep_all(service, slot, n));
}

/* The tail from its byte n on, where it is; the slot has nothing. */
static bool keep_tail(struct service *service, struct slot *slot, size_t n)
{
	struct slots *slots = service->set.slots;
	struct tail *tail = &service->tail;
	size_t size = tail->is_block ? malloc_usable_size((char *)tail->bytes) : 0;
	bool fits = tail->len <= UINT32_MAX && size <= UINT32_MAX;

	if (tail->is_block && (!fits || !slots_charge(slots, size, service_most(service)))) {
		/* The rest alone may fit. */
		slot->out = own(slots, service_most(service), tail->bytes + n, tail->len - n, &slot->out_cap);
		slot->out_len = slot->out ? (uint32_t)(tail->len - n) : 0;
		return slot->out != NULL;
	}
	if (!fits)
		return false;
	slot->out = (char *)tail->bytes;
	slot->out_off = (uint32_t)n;
	slot->out_len = (uint32_t)tail->len;
	slot->out_cap = (uint32_t)size;
	slot->out_static = !tail->is_block;
	tail->is_block = false;
	return true;
}

/* The last bytes of a connection leave in one segment with its end: conn.c's shutdown(), in the same turn. */
static int flags_of(const struct slot *slot)
{
	return slot->close_after && !slot->request ? MSG_NOSIGNAL | MSG_MORE : MSG_NOSIGNAL;
}

/* The batch and its tail, when the slot has nothing. */
__attribute__((noinline)) static enum transfer send_apart(struct service *service, struct slot *slot, int fd)
	REQUIRES(service->owner.lock)
{
	struct iovec parts[] = {
		{ service->batch.data, service->batch.len },
		{ (char *)service->tail.bytes, service->tail.len },
	};
	const struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
	ssize_t sent = sendmsg(fd, &message, flags_of(slot));
	size_t n = sent > 0 ? (size_t)sent : 0;

	if (sent < 0 && failed() == TRANSFER_BROKEN) {
		transfer_drop_batch(service);
		return TRANSFER_BROKEN;
	}
	metrics_add(service->set.shard, METRIC_response_bytes, n);
	if (n < parts[0].iov_len)
		return keep_rest(service, slot, n);
	n -= parts[0].iov_len;
	if (n < parts[1].iov_len)
		return kept(service, keep_tail(service, slot, n));
	transfer_drop_batch(service);
	settle_debt(service, slot);
	return TRANSFER_DONE;
}

/* What the slot has of its own, and then all else. */
__attribute__((noinline)) static enum transfer send_own(struct service *service, struct slot *slot, int fd)
	REQUIRES(service->owner.lock)
{
	ssize_t n;

	if (service->batch.len) {
		bool is_kept = !slot->out_static || own_output(service->set.slots, slot, service_most(service));

		if (kept(service, is_kept && keep_all(service, slot, 0)) == TRANSFER_BROKEN)
			return TRANSFER_BROKEN;
	}
	n = send(fd, slot->out + slot->out_off, slot->out_len - slot->out_off, flags_of(slot));
	if (n < 0)
		return failed();
	metrics_add(service->set.shard, METRIC_response_bytes, (uint64_t)n);
	slot->out_off += (uint32_t)n;
	if (slot->out_off < slot->out_len)
		return TRANSFER_BLOCKED;
	free_output(service, slot);
	settle_debt(service, slot);
	return TRANSFER_DONE;
}

enum transfer transfer_send(struct service *service, struct slot *slot, int fd)
{
	struct outbuf *batch = &service->batch;
	ssize_t n;

	if (batch->failed) {
		transfer_drop_batch(service);
		return TRANSFER_BROKEN;
	}
	if (slot->out_len)
		return send_own(service, slot, fd);
	if (service->tail.len)
		return send_apart(service, slot, fd);
	if (!batch->len) {
		/* A streamed reply may be through before its end was said. */
		settle_debt(service, slot);
		return TRANSFER_DONE;
	}
	n = send(fd, batch->data, batch->len, flags_of(slot));
	if (n < 0 && failed() == TRANSFER_BROKEN) {
		outbuf_reset(batch, BATCH_KEEP);
		return TRANSFER_BROKEN;
	}
	if (n > 0)
		metrics_add(service->set.shard, METRIC_response_bytes, (uint64_t)n);
	if (n < (ssize_t)batch->len)
		return keep_rest(service, slot, n > 0 ? (size_t)n : 0);
	outbuf_reset(batch, BATCH_KEEP);
	settle_debt(service, slot);
	return TRANSFER_DONE;
}

enum transfer transfer_stream(struct service *service, struct slot *slot, int fd, struct stream *stream)
{
	struct outbuf *bytes = &stream->bytes;
	size_t left = bytes->len - stream->sent;
	ssize_t n;

	assert(!slot->out_len && !service->batch.len);
	if (bytes->failed)
		return TRANSFER_BROKEN;
	if (!left)
		return TRANSFER_DONE;
	n = send(fd, bytes->data + stream->sent, left, MSG_NOSIGNAL);
	if (n < 0)
		return failed();
	slot->streamed = true;
	metrics_add(service->set.shard, METRIC_response_bytes, (uint64_t)n);
	stream->sent += (size_t)n;
	left -= (size_t)n;
	if (!left) {
		outbuf_reset(bytes, STREAM_KEEP);
		stream->sent = 0;
		(void)service_charge(service, &stream->charged, bytes->cap);
		return TRANSFER_DONE;
	}
	if (stream->sent >= left) {
		memcpy(bytes->data, bytes->data + stream->sent, left);
		bytes->len = left;
		stream->sent = 0;
	}
	return TRANSFER_BLOCKED;
}
