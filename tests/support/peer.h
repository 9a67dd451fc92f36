/*
 * peer.h - one connection of the accounting client: requests out, replies in, books kept.
 *
 * Thread: the client's, but where struct client says otherwise.
 */
#ifndef RMSD_TESTS_PEER_H
#define RMSD_TESTS_PEER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "support/client.h"
#include "support/latency.h"

enum {
	PEER_INPUT_SIZE = 1 << 18,
	PEER_BODY_MAX = 65536, /* of the body that all replies must equal */
};

/* A request on its way. */
struct flight {
	uint64_t end;   /* where it ends in the stream of its connection */
	uint64_t begun; /* when its first byte was to be written, in ns */
};

struct peer {
	int fd; /* -1: not open */
	bool connecting, split, broken, watching_output, queued;
	unsigned granted;           /* requests that it may make and has not made */
	uint64_t made;              /* requests composed */
	uint64_t sent;              /* fully written */
	uint64_t answered;          /* fully read */
	uint64_t composed, written; /* bytes of its stream */
	char *out;                  /* composed and not written: from out_at to out_len, of which */
	size_t out_at, out_len, out_size;
	size_t held; /* the last so many bytes wait for their time */
	char *in;    /* read, and less than a reply */
	size_t in_len;
	struct flight *flights; /* a ring of depth */
	uint64_t due;           /* when held bytes go */
	struct peer *next;      /* in the queue of those with held bytes */
};

struct client {
	struct client_plan plan; /* Constant while the thread runs */
	struct sockaddr_storage sa;
	socklen_t sa_len;
	pthread_t thread;
	struct peer *peers;

	/* Any thread */
	_Atomic uint64_t answered;
	_Atomic bool started, ended, once_more, stopping;

	/* The client's thread */
	int epoll;
	struct account account;
	struct latency latency;
	unsigned opened, connecting, open;
	uint64_t made, outstanding, start_ns, stop_ns, quiet_since, longest_pause;
	unsigned turn; /* whose request is next at a given rate */
	struct peer *held_first, *held_last;
	char first_body[PEER_BODY_MAX];
	size_t first_body_len;
	bool first_body_known;
	unsigned random;
	char *input;
};

/* Nanoseconds of the monotonic clock. */
uint64_t peer_clock_ns(void);
/* Waits for input, and for room to write if output. */
void peer_watch(struct client *c, struct peer *p, bool output);
/* Gives the connection up and books it under reason. */
void peer_lose(struct client *c, struct peer *p, uint64_t *reason);
/* Writes what is neither written nor held. */
void peer_flush(struct client *c, struct peer *p);
/* Up to n requests more for p: as many of them as the plan's limits allow. */
void peer_grant(struct client *c, struct peer *p, unsigned n);
/* Makes the requests granted: all of them, or one at a time where each goes out in two pieces. */
void peer_make(struct client *c, struct peer *p, uint64_t now);
/* Reads once, books every reply and makes the requests that they bring. */
void peer_read(struct client *c, struct peer *p);

#endif
