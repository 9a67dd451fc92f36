/*
 * transfer.h - bytes between a connection's slot and its socket.
 *
 * The common case copies nothing that it need not: a request is received into the service's read buffer and lent to the
 * slot from there, replies gather in the service's batch and leave in one send; a large body is not copied into it, but
 * sent from where it is, behind it. Only what is left over when a turn ends becomes the slot's own memory: of a large
 * body the block itself, and of a static one nothing, since it may stay where it is.
 *
 * Thread: the owner's, under its lock; transfer_own_*() also who takes the slot, under that lock.
 */
#ifndef RMSD_HTTP_TRANSFER_H
#define RMSD_HTTP_TRANSFER_H

#include <stdbool.h>
#include "http/service.h"

struct stream;

enum transfer {
	TRANSFER_DONE,    /* received: at least a byte; sent: everything */
	TRANSFER_BLOCKED, /* nothing there; or the kernel has not taken all, and the rest is the slot's own */
	TRANSFER_FULL,    /* received: but there is no memory for it, and it is lost */
	TRANSFER_EOF,     /* received: the client has closed its side */
	TRANSFER_BROKEN,  /* reset, or out of memory: close it */
};

/* Appends what one recv gives to the slot's input. */
enum transfer transfer_receive(struct service *service, struct slot *slot, int fd) REQUIRES(service->owner.lock);
/* Sends the slot's own output, then the batch and its tail; empties both. Counts the replies that are through. */
enum transfer transfer_send(struct service *service, struct slot *slot, int fd) REQUIRES(service->owner.lock);
/* Throws away the batch and its tail. */
void transfer_drop_batch(struct service *service) REQUIRES(service->owner.lock);
/* Sends what a streamed reply has, when nothing is before it. BLOCKED: the rest is still the stream's. */
enum transfer transfer_stream(struct service *service, struct slot *slot, int fd, struct stream *stream)
	REQUIRES(service->owner.lock);
/* Bytes that the kernel has taken and the client has not. */
uint32_t transfer_unsent(int fd);
/* Receives and throws away. DONE: there may be more. */
enum transfer transfer_discard(struct service *service, int fd) REQUIRES(service->owner.lock);

/*
 * Input and output that the slot borrows become its own; input that is used up is freed. false: out of memory, or of
 * the most that connections may keep (0: no bound). A reply is never lost for that.
 */
bool transfer_own_input(struct slots *slots, struct slot *slot, uint64_t most);
bool transfer_own_output(struct slots *slots, struct slot *slot);
void transfer_drop_input(struct slots *slots, struct slot *slot);

#endif
