/* recent.c - one head remembered. */
#include "http/recent.h"

enum message_status recent_feed(
	struct recent *recent, const struct message_limits *limits, const char *bytes, size_t len)
{
	struct message *message = &recent->message;
	enum message_status status;

	if (recent->len && recent->len <= len && !memcmp(recent->head, bytes, recent->len))
		return MESSAGE_COMPLETE;
	recent->len = 0;
	message_init(message);
	status = message_feed(message, limits, bytes, len);
	/* One with a body says nothing of the next one's; nor does a chunked one, which owns memory. */
	if (status == MESSAGE_COMPLETE && message->length == message->head_len && !message->chunked &&
		message->head_len <= RECENT_MAX) {
		memcpy(recent->head, bytes, message->head_len);
		recent->len = message->head_len;
		recent->route = NULL;
	}
	return status;
}
