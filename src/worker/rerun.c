/* rerun.c - the last word on a lost request. */
#include "worker/rerun.h"

#include "base/log.h"
#include "http/conn.h"

enum { LINE_SHOWN = 160 }; /* bytes of a request's line, in the log */

void rerun_begin(struct rerun *rerun)
{
	rerun->in_flight = 0;
	for (unsigned i = 0; i < fleet_size(rerun->fleet); i++)
		rerun->in_flight += metrics_worker_value(rerun->metrics, i, METRIC_in_flight);
}

/* Says which request was lost with from for good. */
static void log_lost(const struct worker *from, const struct slot *slot, const char *what)
{
	char line[LINE_SHOWN];

	log_warn(what, "worker=%s request=%s attempt=%u", from->name, conn_line(slot, line, sizeof(line)),
		(unsigned)slot->lost);
}

enum loss_fate rerun_judge(
	struct rerun *rerun, const struct worker *from, struct slot *slot, enum loss_kind kind, enum loss_fate fate)
{
	if (slot->refuse == REFUSE_POISON)
		log_lost(from, slot, "a request is not run again: two workers in a row were lost with it");
	if (!slot->again || kind == LOSS_ASKED || budget_take(&rerun->budget, uv_hrtime(), rerun->in_flight))
		return fate;
	slot->again = false;
	slot->refuse = REFUSE_BUDGET;
	return FATE_MOVES;
}

void rerun_account_cut(struct worker *from, struct slot *slot, int status)
{
	/* What the client got of it is a reply all the same. */
	if (slot->counted)
		metrics_add(from->control, METRIC_responses + METRICS_CODE(status), 1);
	metrics_add(from->control, METRIC_errors + ERROR_CUT, 1);
	log_lost(from, slot, "a streamed reply was cut short: its worker was lost");
}
