/*
 * routes.h - the routers of the workers: the app's routes, the texts of rmsd.conf, and /metrics on a worker's own port.
 *
 * Thread: built by main before any thread starts; constant afterwards.
 */
#ifndef RMSD_SERVER_ROUTES_H
#define RMSD_SERVER_ROUTES_H

#include "base/outbuf.h"
#include "conf/conf.h"
#include "http/router.h"
#include "http/slots.h"
#include "metrics/metrics.h"
#include <rms/app.h>

struct routes {
	struct rms_route *texts; /* of the conf */
	struct rms_route own[2]; /* of a worker's own port */
	struct router *routers[ROLES];
};

/* 0; UV_EINVAL, and error says which route cannot be; or UV_ENOMEM. Finish it in any case. Borrows all it is given. */
int routes_build(struct routes *routes, const struct rms_app *app, const struct conf *conf, struct metrics *metrics,
	struct outbuf *error);
void routes_finish(struct routes *routes);

#endif
