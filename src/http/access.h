/*
 * access.h - the access log: a line for each request that was answered, or that ended without an answer.
 *
 * The process has one struct access_log: where lines go, and each client's address as text, by its descriptor. Each
 * service has a struct access, its feed of lines. Nothing here waits: a line that finds no room is dropped and counted.
 * A line is made when a reply is, so it does not tell whether the client has taken it.
 *
 * Requests of admin and the control socket have no line, nor a scrape of a worker's own port, nor a connection that was
 * refused before a worker had it: none of those is in the request counters either.
 *
 * Thread: see each function.
 */
#ifndef RMSD_HTTP_ACCESS_H
#define RMSD_HTTP_ACCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include "http/reply.h"
#include "metrics/metrics.h"

struct access;
struct access_log;
struct conf;
struct service;
struct slot;

/*
 * Control thread, before there are others; limit: of descriptors. conf is borrowed. 0, *out NULL if the log is off; or
 * a negative UV_ code.
 */
int access_log_create(const struct conf *conf, int limit, struct access_log **out);
/* All of these accept NULL. The first two: 0 or a negative UV_ code. */
int access_log_open(struct access_log *log);
int access_log_start(struct access_log *log);
void access_log_reopen(struct access_log *log);
/* Writes out what there is, at most for a second, and ends the thread; lines that come later are lost. */
void access_log_stop(struct access_log *log);
/* No service uses it any more. */
void access_log_destroy(struct access_log *log);
/* Control thread, before the slot of fd is given to anybody. */
void access_log_client(struct access_log *log, int fd, const struct sockaddr *peer);

/* For service.c. NULL when out of memory. */
struct access *access_open(struct access_log *log, const char *worker);
/* Its lines are written all the same. Accepts NULL. */
void access_close(struct access *access);

/*
 * The owner's thread, under its lock: the slot's first request has its reply, with body_len bytes of body, if it may
 * have one.
 */
void access_answered(struct service *service, const struct slot *slot, const struct reply *reply, uint64_t body_len);
/*
 * Who has the owner's lock: it will have none. shard: the caller's own. status: of the part that was sent; 0: nothing.
 * ran: so many attempts, all told.
 */
void access_unanswered(struct service *service, struct metrics_shard *shard, const struct slot *slot, int status,
	enum reply_cause cause, unsigned ran);
/*
 * The owner's thread, under its lock: the connection ends, METRIC_connections_closed + reason. A request of it that was
 * begun, here or with a worker that was lost, gets no answer, or only a part of one.
 */
void access_ended(struct service *service, const struct slot *slot, unsigned reason);

#endif
