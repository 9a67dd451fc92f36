/*
 * loss.h - what becomes of the request that runs on a connection whose worker is lost.
 *
 *	the request                                  asked           failure                 stall
 *	its reply is streamed, part of it sent       reset           reset                   reset
 *	its body has gone to the handler in part     503             503                     503
 *	GET HEAD OPTIONS TRACE                       runs again      runs again, once        runs again, once
 *	PUT DELETE                                   runs again *    runs again, once *      503
 *	any other                                    503             503                     503
 *
 * In its handler or deferred is the same. The asterisk: when the first attempt's thread has ended, so that nothing of
 * it comes after the second. A thread that is stuck cannot be known to end.
 *
 * Thread: any; it looks at the slot alone.
 */
#ifndef RMSD_HTTP_LOSS_H
#define RMSD_HTTP_LOSS_H

#include "http/slots.h"

enum loss_kind {
	LOSS_ASKED,   /* an operator's kill, or a drain whose time was over: no request is suspected */
	LOSS_STALL,   /* the thread is stuck in some handler */
	LOSS_FAILURE, /* the thread ends by itself */
};

enum loss_fate {
	FATE_MOVES,  /* goes on at once with another owner */
	FATE_WAITS,  /* the same, when the old owner's thread has ended */
	FATE_RESET,  /* can only be reset */
	FATE_CLOSES, /* can only be closed: out of memory */
};

/* Why the next owner answers the request with 503 instead of running it: slot.refuse. */
enum loss_refusal {
	REFUSE_NONE,
	REFUSE_UNKNOWN, /* it may have taken effect, and a second time would be one too many */
	REFUSE_POISON,  /* the second worker in a row that was lost with it */
	REFUSE_BUDGET,  /* too many were lost at once to run them all again */
};

/*
 * Decides, and marks the slot for the next owner: again, suspect, refuse, lost. slot has a running request.
 */
enum loss_fate loss_decide(struct slot *slot, enum loss_kind kind);
/* enum llhttp_method. */
enum slot_repeat loss_repeat(unsigned method);

#endif
