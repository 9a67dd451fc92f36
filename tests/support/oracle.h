/*
 * oracle.h - what a strict server must make of bytes: RFC 9112 once more, small, slow and independent of src/http.
 *
 * It splits a stream into requests and says of each whether it must be served, must be refused, or whether a server may
 * do either; where it may, the framing is known all the same, so that what comes behind stays comparable. It knows no
 * limit of sizes but that of the body: streams shorter than the head's limit are its business.
 *
 * Thread: any; no state.
 */
#ifndef RMSD_TESTS_ORACLE_H
#define RMSD_TESTS_ORACLE_H

#include <stdbool.h>
#include <stddef.h>

enum {
	ORACLE_BODY_MAX = 1 << 20,
	ORACLE_PATH_MAX = 128,
	ORACLE_DECODED_MAX = 16384,
};

enum oracle_verdict {
	ORACLE_SERVE,   /* whole and right */
	ORACLE_EITHER,  /* served, or refused and the connection closed */
	ORACLE_REFUSE,  /* an error, and nothing more on this connection */
	ORACLE_PARTIAL, /* the bytes end within it: no reply, or an error and nothing more */
};

enum oracle_close { ORACLE_KEEPS, ORACLE_CLOSES, ORACLE_MAY_CLOSE };

struct oracle_request {
	enum oracle_verdict verdict;
	size_t len; /* bytes of it, with empty lines before it; of all that there is when it is refused or partial */
	enum oracle_close close;
	bool known_method; /* GET, HEAD or POST */
	bool head, post, expects;
	bool plain_path; /* path is in its one spelling */
	char path[ORACLE_PATH_MAX];
	size_t body_len;
	char body[ORACLE_DECODED_MAX]; /* decoded */
	const char *why;               /* of a verdict that is not ORACLE_SERVE */
};

/* The request that begins at bytes; len is more than 0. */
void oracle_read(const char *bytes, size_t len, struct oracle_request *request);

#endif
