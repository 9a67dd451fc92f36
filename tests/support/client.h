/*
 * client.h - the accounting client: many connections, and exact books on each. The judge of every test of failover.
 *
 * A load generator that drops what it does not understand cannot see a connection left waiting for ever, a reply too
 * many or two in the wrong order. This one counts, per connection, every request fully written and every reply fully
 * read, and looks at each reply: whole, its body as expected, in its turn.
 *
 * Thread: client_start() begins one of its own; all functions may be called from the thread that called it. None of
 * this needs a test framework.
 */
#ifndef RMSD_TESTS_CLIENT_H
#define RMSD_TESTS_CLIENT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* What to do. Borrowed texts, which outlive the client. */
struct client_plan {
	const char *address; /* "127.0.0.1:8080" */
	/* The request's target. With echo, the number of the request on its connection is appended to it, and the
	 * reply's body must be that number; without, "?n=" and the number, and the body must be the same each time. */
	const char *path;
	bool echo;
	unsigned connections;
	unsigned depth;         /* requests in flight on each; 0: 1 */
	unsigned split_percent; /* of the connections send each request in two pieces, a millisecond apart */
	unsigned rate;          /* requests a second in all; 0: each reply brings the next request */
	unsigned each;          /* requests of each connection, then it is idle; 0: no such limit */
	uint64_t requests;      /* in all, then stop; 0: no such limit */
	unsigned duration_ms;   /* then stop; 0: until client_stop() */
	unsigned patience_ms;   /* for the replies outstanding when it stops; 0: 10,000 */
	unsigned seed;          /* of where requests are split */
};

/* The books. Complete after client_join(). */
struct account {
	uint64_t sent;     /* requests fully written */
	uint64_t answered; /* replies fully read that were owed */
	uint64_t status[600];
	uint64_t short_connections; /* that got fewer replies than they sent requests */
	uint64_t over;              /* replies that nobody had asked for */
	uint64_t wrong;     /* replies whose body is not what it should be: lost, doubled or in another's place */
	uint64_t malformed; /* connections on which something came that is no reply; given up */
	uint64_t trailing;  /* bytes left that are no whole reply */
	uint64_t closed;    /* connections that the server closed */
	uint64_t reset;     /* or reset */
	uint64_t connect_errors;
	uint64_t connected;
	unsigned p50_us, p99_us, worst_us; /* from the request's first byte written to the reply's last byte read */
	unsigned pause_ms;                 /* the longest time in which no reply came, while some were owed */
	double seconds;                    /* from the first request to the stop */
};

struct client;

/* Connects, then starts. 0 and a client, or a negative errno. */
int client_start(const struct client_plan *plan, struct client **out);
/* Waits until all are connected (or failed to be) and the first requests are written; false after ms. */
bool client_await_connected(struct client *client, unsigned ms);
/* Waits until n replies in all have come; false after ms or when the client has ended before. */
bool client_await_answered(struct client *client, uint64_t n, unsigned ms);
/* Replies so far. */
uint64_t client_answered(const struct client *client);
/* With each: one request more of each connection. */
void client_once_more(struct client *client);
/* No more requests from now on; those sent are still waited for. */
void client_stop(struct client *client);
/* Waits for its end, closes the connections, frees it. */
void client_join(struct client *client, struct account *account);

/* Every request answered with 200 in its turn and every connection still open? */
bool account_clean(const struct account *account);
/* The same, whatever the replies' status was. */
bool account_complete(const struct account *account);
/* One line of JSON. */
void account_print(const struct account *account, FILE *file);

#endif
