/*
 * recent.h - the last request that was here whole, with its parse: the same bytes again need no parser.
 *
 * Most of what a parse costs is spent on heads that were read a moment ago: those of probes and of clients that poll,
 * of proxies that rewrite them all into one form, of load tests. The verdict on a head depends on its bytes alone
 * (parser.h), so that what was found once holds, and no check is left out. A head that differs costs one comparison and
 * one copy more.
 *
 * Thread: any, one at a time.
 */
#ifndef RMSD_HTTP_RECENT_H
#define RMSD_HTTP_RECENT_H

#include "http/parser.h"

struct router_route;

enum { RECENT_MAX = 2048 };

struct recent {
	uint32_t len; /* of head; 0: none */
	char head[RECENT_MAX];
	struct message message; /* of those bytes; else of the bytes fed last */
	/* With len, what they were found to ask for at the door called role; NULL: not known. */
	const struct router_route *route;
	uint8_t role;
};

/*
 * bytes: what is here of a request, len of them, from its first; limits: always the same. The verdict on them; message
 * is their parse, the caller's until the next call.
 */
enum message_status recent_feed(
	struct recent *recent, const struct message_limits *limits, const char *bytes, size_t len);

#endif
