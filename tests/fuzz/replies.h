/*
 * replies.h - the bytes that a server sent, read back as strictly as can be.
 *
 * Thread: one.
 */
#ifndef RMSD_TESTS_REPLIES_H
#define RMSD_TESTS_REPLIES_H

#include <stdbool.h>

#include "base/outbuf.h"
#include "fuzz/fuzz.h"

enum { REPLIES_MAX = 512 };

struct reply_read {
	int status;
	bool close;         /* it says that it is the last one */
	bool cut;           /* the bytes end before it does */
	bool until_end;     /* its body ends with the connection */
	struct outbuf head; /* status line and fields, without Date and Connection */
	struct outbuf body; /* decoded */
};

struct replies {
	struct reply_read items[REPLIES_MAX];
	unsigned n;
	unsigned continues; /* 100s */
};

/* Whether the request that bytes begin with, be it bad or not whole, is for HEAD: no reply to it has a body. */
bool replies_are_to_head(const char *bytes, size_t len);
/*
 * Reads all of them; whatever is not HTTP/1.1 ends the process. has_body(arg, i): whether the request that reply i
 * answers lets it have one. cut_short: the last one may lack its end.
 */
void replies_read(struct replies *replies, const char *bytes, size_t len, bool (*has_body)(void *arg, unsigned i),
	void *arg, bool cut_short);
void replies_finish(struct replies *replies);

#endif
