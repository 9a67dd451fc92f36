/* transfer.c - recv and send, and the slot's buffers between them. */
#include "http/transfer.h"

#include <assert.h>
#include <errno.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <uv.h>

#include "base/clock.h"
#include "http/request.h"

enum {
	BATCH_KEEP = 256 * 1024,
	STREAM_KEEP = 16 * 1024, /* of each streamed reply, so that many that say little now and then cost little */
	ROUND = 256,
};

/* bytes in a block of their own; *cap is its size. NULL: out of memory, or more than most in all. */
static char *own(struct slots *slots, uint64_t most, const char *bytes, size_t len, uint32_t *cap)
{
	size_t size = (len + ROUND - 1) / ROUND * ROUND;
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

bool transfer_own_output(struct slots *slots, struct slot *slot)
{
	uint32_t cap;
	char *copy;

	if (slot->out_cap || !slot->out_len)
		return true;
	copy = own(slots, 0, slot->out + slot->out_off, slot->out_len - slot->out_off, &cap);
	if (!copy)
		return false;
	slot->out = copy;
	slot->out_len -= slot->out_off;
	slot->out_off = 0;
	slot->out_cap = cap;
	return true;
}

/* Behind the slot's own bytes. False: out of memory, or more than the service may in all; the block is as it was. */
static bool append(const struct service *service, char **block, uint32_t *off, uint32_t *len, uint32_t *cap,
	const char *bytes, size_t n)
{
	struct slots *slots = service->set.slots;
	size_t used = *len - *off;
	size_t size = *cap ? *cap : ROUND;
	char *grown = *block;

	if (*off) {
		memmove(*block, *block + *off, used);
		*off = 0;
		*len = (uint32_t)used;
	}
	while (size < used + n)
		size *= 2;
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

/* The kernel has taken n of len bytes; keeps the rest in the slot. */
static enum transfer keep_rest(struct service *service, struct slot *slot, size_t n)
{
	struct outbuf *batch = &service->batch;

	if (!slot->out_cap) {
		slot->out =
			own(service->set.slots, service_most(service), batch->data + n, batch->len - n, &slot->out_cap);
		slot->out_len = (uint32_t)(batch->len - n);
		slot->out_off = 0;
	} else {
		slot->out_off += (uint32_t)n;
	}
	outbuf_reset(batch, BATCH_KEEP);
	if (!slot->out) {
		slot->out_len = slot->out_cap = 0;
		metrics_add(service->set.shard, METRIC_errors + ERROR_MEMORY, 1);
		return TRANSFER_BROKEN;
	}
	return TRANSFER_BLOCKED;
}

enum transfer transfer_send(struct service *service, struct slot *slot, int fd)
{
	struct outbuf *batch = &service->batch;
	const char *bytes = batch->data;
	size_t len = batch->len;
	ssize_t n;

	if (batch->failed) {
		outbuf_reset(batch, BATCH_KEEP);
		return TRANSFER_BROKEN;
	}
	if (slot->out_cap) {
		if (len && !append(service, &slot->out, &slot->out_off, &slot->out_len, &slot->out_cap, bytes, len)) {
			metrics_add(service->set.shard, METRIC_errors + ERROR_MEMORY, 1);
			return TRANSFER_BROKEN;
		}
		bytes = slot->out + slot->out_off;
		len = slot->out_len - slot->out_off;
	}
	if (!len) {
		/* A streamed reply may be through before its end was said. */
		settle_debt(service, slot);
		return TRANSFER_DONE;
	}
	n = send(fd, bytes, len, MSG_NOSIGNAL);
	if (n < 0 && failed() == TRANSFER_BROKEN) {
		outbuf_reset(batch, BATCH_KEEP);
		return TRANSFER_BROKEN;
	}
	if (n > 0)
		metrics_add(service->set.shard, METRIC_response_bytes, (uint64_t)n);
	if (n < (ssize_t)len)
		return keep_rest(service, slot, n > 0 ? (size_t)n : 0);
	if (slot->out_cap) {
		free(slot->out);
		slots_credit(service->set.slots, slot->out_cap);
	}
	slot->out = NULL;
	slot->out_off = slot->out_len = slot->out_cap = 0;
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
