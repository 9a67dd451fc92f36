/*
 * router.h - method and path to a handler and its parameters; no I/O.
 *
 * A trie by segment: cost grows with the path, not with the number of routes. A literal segment is preferred to a
 * parameter, also where that means stepping back. It is given paths in their one spelling (path.h) and
 * matches them byte by byte: "//" is not "/", "/a/" is not "/a".
 *
 * Thread: built on one; constant and shared by all afterwards.
 */
#ifndef RMSD_HTTP_ROUTER_H
#define RMSD_HTTP_ROUTER_H

#include <rms/app.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct router;

enum { ROUTER_PARAMS_MAX = 8 };

struct router_route {
	rms_handler_fn *handle;
	rms_body_fn *body; /* NULL: the handler gets the body whole */
	const void *data;
	const char *const *param_names; /* the route's, in order; n_params of them */
	unsigned n_params;
	bool uncounted; /* its answers are in no request counter */
};

struct router_match {
	const struct router_route *route; /* NULL: no such path, or not with this method */
	const char *allow;                /* if the path exists: "GET, HEAD, OPTIONS", whatever the method; else NULL */
	bool options;                     /* no route, and the answer is allow (RFC 9110 section 9.3.7) */
	struct {
		const char *at; /* within path */
		size_t len;
	} params[ROUTER_PARAMS_MAX];
};

/* options: whether OPTIONS is answered on every path, and on "*". NULL when out of memory. */
struct router *router_create(bool options);
void router_destroy(struct router *router); /* accepts NULL */
/*
 * Adds routes up to the one whose method is NULL; copies paths, borrows data. A GET route answers HEAD. The path is
 * matched first, and then the method among the routes of that path. 0; UV_EINVAL: a path without a leading '/' or not
 * in its one spelling, an unknown method, an empty parameter name or more than ROUTER_PARAMS_MAX; UV_EEXIST: the same
 * method and path twice, whatever the parameters' names; UV_ENOMEM. *bad (may be NULL) is the row.
 */
int router_add(struct router *router, const struct rms_route *routes, bool uncounted, const struct rms_route **bad);
/* Whether a route of it wants its bodies by the piece. */
bool router_takes_pieces(const struct router *router);
/* method: enum llhttp_method. The match is lent path's bytes. */
void router_find(const struct router *router, int method, const char *path, size_t len, struct router_match *match);

#endif
