/* loss.c - the table of losses. */
#include "http/loss.h"

#include <llhttp.h>

enum slot_repeat loss_repeat(unsigned method)
{
	switch (method) {
	case HTTP_GET:
	case HTTP_HEAD:
	case HTTP_OPTIONS:
	case HTTP_TRACE: return REPEAT_ALWAYS;
	case HTTP_PUT:
	case HTTP_DELETE: return REPEAT_ENDED;
	default: return REPEAT_NEVER;
	}
}

static enum loss_fate refuse(struct slot *slot, enum loss_refusal refusal)
{
	slot->refuse = (uint8_t)refusal;
	return FATE_MOVES;
}

enum loss_fate loss_decide(struct slot *slot, enum loss_kind kind)
{
	if (slot->lost < UINT8_MAX)
		slot->lost++;
	if (slot->streamed)
		return FATE_RESET;
	if (slot->feeding || slot->repeat == REPEAT_NEVER || (slot->repeat == REPEAT_ENDED && kind == LOSS_STALL))
		return refuse(slot, REFUSE_UNKNOWN);
	if (kind != LOSS_ASKED) {
		if (slot->suspect)
			return refuse(slot, REFUSE_POISON);
		slot->suspect = true;
	}
	slot->again = true;
	return slot->repeat == REPEAT_ENDED ? FATE_WAITS : FATE_MOVES;
}
