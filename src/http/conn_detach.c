/* conn_detach.c - the part of conn.h that whoever takes a connection calls. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "http/conn.h"
#include "http/request.h"
#include "http/transfer.h"

void conn_resume(struct slot *slot, const struct conf *conf)
{
	uint64_t now_ms = uv_hrtime() / 1000000;

	if (slot->out_len) {
		/* Whatever the client takes until the deadline is less than that. */
		slot->unsent = UINT32_MAX;
		slot_enter(slot, CONN_WRITING, now_ms + conf->write_timeout);
	} else {
		slot_enter(slot, CONN_READING, now_ms + conf->header_timeout);
	}
}

const char *conn_line(const struct slot *slot, char *buf, size_t size)
{
	const char *bytes = slot->in + slot->in_off;
	size_t len = slot->in_len - slot->in_off;
	const char *end = len ? memmem(bytes, len, "\r\n", 2) : NULL;
	size_t line = end ? (size_t)(end - bytes) : len;
	const char *query = line ? memchr(bytes, '?', line) : NULL;
	const char *version = query ? memchr(query, ' ', line - (size_t)(query - bytes)) : NULL;
	char without[CONN_LINE_MAX];

	if (!query)
		return log_quote(buf, size, line ? bytes : "", line);
	snprintf(without, sizeof(without), "%.*s?...%.*s", (int)(query - bytes), bytes,
		version ? (int)(bytes + line - version) : 0, version ? version : "");
	return log_quote(buf, size, without, strlen(without));
}

enum loss_fate conn_detach(struct service *service, struct slot *slot, enum loss_kind kind, bool *now)
{
	enum loss_fate fate = FATE_MOVES;

	/* No bound: nothing is lost by a move. */
	if (!transfer_own_input(service->set.slots, slot, 0) || !transfer_own_output(service->set.slots, slot))
		return FATE_CLOSES;
	if (slot->request) {
		fate = loss_decide(slot, kind);
		slot->request = NULL;
		slot->deferred = slot->feeding = slot->streamed = false;
		slot->running_len = 0;
		conn_resume(slot, service->set.conf);
	}
	*now = slot->state != CONN_CLOSING && (slot->in_len || slot->out_len || slot->eof);
	return fate;
}
