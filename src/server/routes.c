/* routes.c - who answers what; the handlers here are written on include/rms, as any app's. */
#include "server/routes.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>
#include <rms/rms.h>
#include "http/request.h"
#include "http/scrape.h"
#include "http/service.h"
#include "worker/fleet.h"

static void get_text(struct rms_request *req, void *state)
{
	const struct conf_route *route = rms_request_data(req);

	(void)state;
	rms_reply_text(req, 200, route->text);
}

/* The series of the worker that answers, alone. */
static void get_own_metrics(struct rms_request *req, void *state)
{
	const struct worker *worker = req->service->set.arg;

	(void)state;
	scrape_reply(req, (struct metrics *)rms_request_data(req), (int)worker->index);
}

/* The app's own, then those of the conf. The default text gives way to an app that has routes. */
static int add_all(struct router *router, const struct rms_app *app, struct rms_route *texts, struct outbuf *error)
{
	const struct rms_route *bad;
	int err = 0;

	if (app->routes) {
		err = router_add(router, app->routes, false, &bad);
		if (err < 0) {
			outbuf_printf(error, "the app's route %s %s: %s", bad->method, bad->path, uv_strerror(err));
			return err;
		}
	}
	err = router_add(router, texts, false, &bad);
	if (err == UV_EEXIST)
		outbuf_printf(error, "routes: %s: the app itself answers there", bad->path);
	else if (err < 0)
		outbuf_printf(error, "routes: %s: %s", bad->path, uv_strerror(err));
	return err;
}

static bool is_own_metrics(const struct rms_route *route)
{
	return !strcmp(route->method, "GET") && !strcmp(route->path, "/metrics");
}

/* The same routes, less the one that a worker's own port answers itself. */
static int add_rest(struct router *router, const struct rms_route *routes)
{
	int err = 0;

	for (; routes && routes->method && !err; routes++) {
		const struct rms_route one[2] = { *routes };

		if (!is_own_metrics(routes))
			err = router_add(router, one, false, NULL);
	}
	return err;
}

static struct rms_route *make_texts(const struct rms_app *app, const struct conf *conf)
{
	struct rms_route *texts = calloc(conf->n_routes + 1, sizeof(*texts));
	size_t n = 0;

	if (!texts)
		return NULL;
	for (size_t i = 0; i < conf->n_routes; i++) {
		const struct conf_route *route = &conf->routes[i];

		if (!route->line && app->routes)
			continue;
		texts[n++] =
			(struct rms_route){ .method = "GET", .path = route->path, .handle = get_text, .data = route };
	}
	return texts;
}

int routes_build(struct routes *routes, const struct rms_app *app, const struct conf *conf, struct metrics *metrics,
	struct outbuf *error)
{
	struct router *shared = router_create(true);
	struct router *own = router_create(true);
	int err;

	*routes = (struct routes){
		.own = { { .method = "GET", .path = "/metrics", .handle = get_own_metrics, .data = metrics } }
	};
	routes->routers[ROLE_PUBLIC] = shared;
	routes->routers[ROLE_WORKER] = own;
	routes->texts = make_texts(app, conf);
	if (!shared || !own || !routes->texts)
		return UV_ENOMEM;
	err = add_all(shared, app, routes->texts, error);
	if (err < 0)
		return err;
	err = router_add(own, routes->own, true, NULL);
	if (err < 0)
		return err;
	err = add_rest(own, app->routes);
	return err < 0 ? err : add_rest(own, routes->texts);
}

void routes_finish(struct routes *routes)
{
	for (int role = 0; role < ROLES; role++)
		router_destroy(routes->routers[role]);
	free(routes->texts);
}
