/* verbs.c - a request on the control socket to an order for the control thread, and its result to an answer. */
#include <stdlib.h>
#include <string.h>

#include "admin/door.h"

struct verb_order {
	struct fleet_order order;
	struct door_mail back;
	struct admin *admin;
	struct rms_request *req;
	struct door_asker asker;
};

/* By enum fleet_verb. */
static const struct {
	const char *name;
	unsigned accepted, needed; /* arguments */
} verbs[FLEET_VERBS] = {
#define GUARDED QUERY_BIT(QUERY_IF_GENERATION)
#define FORCED (GUARDED | QUERY_BIT(QUERY_FORCE))
	[FLEET_KILL] = { "kill", FORCED, 0 },
	[FLEET_REVIVE] = { "revive", FORCED, 0 },
	[FLEET_DRAIN] = { "drain", FORCED | QUERY_BIT(QUERY_TIMEOUT) | QUERY_BIT(QUERY_WAIT), 0 },
	[FLEET_RESTART] = { "restart", FORCED | QUERY_BIT(QUERY_TIMEOUT), 0 },
	[FLEET_STALL] = { "stall", FORCED | QUERY_BIT(QUERY_FOR), QUERY_BIT(QUERY_FOR) },
	[FLEET_SHUTDOWN] = { "shutdown", GUARDED, 0 },
};

static const char *worker_name(const struct verb_order *vo)
{
	if (vo->order.verb == FLEET_SHUTDOWN)
		return "-";
	return fleet_worker(vo->admin->set.fleet, vo->order.worker)->name;
}

static void reply_done(const struct verb_order *vo)
{
	const struct fleet_order *order = &vo->order;
	struct outbuf out = { 0 };

	outbuf_text(&out, "{\"ok\":true");
	if (order->verb != FLEET_SHUTDOWN)
		outbuf_printf(&out, ",\"worker\":\"%s\",\"state\":\"%s\",\"was\":\"%s\"", worker_name(vo),
			metrics_state_names[order->state], metrics_state_names[order->was]);
	outbuf_printf(&out, ",\"changed\":%s,\"rehomed\":%u,\"cut\":%u,\"duration_ms\":%.3f,\"generation\":%llu}\n",
		order->changed ? "true" : "false", order->rehomed, order->cut, (double)order->duration_ns / 1e6,
		(unsigned long long)order->generation);
	door_reply_json(vo->req, 200, &out);
}

static void on_answer(struct door_mail *mail, struct admin *admin)
{
	struct verb_order *vo = list_entry(mail, struct verb_order, back);
	const struct fleet_order *order = &vo->order;

	(void)admin;
	door_audit(&vo->asker, verbs[order->verb].name, "worker=%s status=%d changed=%s rehomed=%u cut=%u ms=%.3f",
		worker_name(vo), order->status, order->changed ? "yes" : "no", order->rehomed, order->cut,
		(double)order->duration_ns / 1e6);
	if (order->error[0])
		door_reply_error(vo->req, order->status, order->generation, order->error);
	else
		reply_done(vo);
	free(vo);
}

/* On the control thread. */
static void on_done(struct fleet_order *order)
{
	struct verb_order *vo = (struct verb_order *)order;

	/* Refused: the admin thread is ending, and frees its requests itself. */
	if (!door_post(vo->admin, &vo->back))
		free(vo);
}

/* The worker that the path names; -1: it has been answered. */
static int named_worker(struct rms_request *req)
{
	const char *param = rms_request_param(req, "name");
	size_t len = param ? strlen(param) : 0;
	char *name = param ? rms_request_alloc(req, len + 1) : NULL;

	if (!name) {
		door_refuse(req, 500, "out of memory");
		return -1;
	}
	memcpy(name, param, len + 1);
	if (!query_decode(name)) {
		door_refuse(req, 400, "the worker's name is not percent-encoded text");
		return -1;
	}
	return door_find_worker(req, name);
}

static void order(struct rms_request *req, enum fleet_verb verb)
{
	struct admin *admin = door_admin(req);
	struct query query;
	struct verb_order *vo;
	int worker = verb == FLEET_SHUTDOWN ? 0 : named_worker(req);

	if (worker < 0 || !door_read(req, &query, verbs[verb].accepted, verbs[verb].needed))
		return;
	vo = calloc(1, sizeof(*vo));
	if (!vo) {
		door_refuse(req, 500, "out of memory");
		return;
	}
	vo->order = (struct fleet_order){
		.verb = verb,
		.worker = (unsigned)worker,
		.force = query.values[QUERY_FORCE].number,
		.wait = query.values[QUERY_WAIT].number,
		.timeout_ms = query.values[QUERY_TIMEOUT].number,
		.for_ms = query.values[QUERY_FOR].number,
		.if_generation = query.values[QUERY_IF_GENERATION].given,
		.generation_wanted = query.values[QUERY_IF_GENERATION].number,
		.done = on_done,
	};
	vo->back.arrive = on_answer;
	vo->admin = admin;
	vo->req = req;
	door_ask(req, &vo->asker);
	if (fleet_post(admin->set.fleet, &vo->order) < 0) {
		door_refuse(req, 409, "rmsd is shutting down");
		free(vo);
	}
}

static void post_kill(struct rms_request *req, void *state)
{
	(void)state;
	order(req, FLEET_KILL);
}

static void post_revive(struct rms_request *req, void *state)
{
	(void)state;
	order(req, FLEET_REVIVE);
}

static void post_drain(struct rms_request *req, void *state)
{
	(void)state;
	order(req, FLEET_DRAIN);
}

static void post_restart(struct rms_request *req, void *state)
{
	(void)state;
	order(req, FLEET_RESTART);
}

static void post_stall(struct rms_request *req, void *state)
{
	(void)state;
	order(req, FLEET_STALL);
}

static void post_shutdown(struct rms_request *req, void *state)
{
	(void)state;
	order(req, FLEET_SHUTDOWN);
}

static void get_config(struct rms_request *req, void *state)
{
	const struct admin *admin = door_admin(req);
	const char *accept = rms_request_header(req, "Accept");
	struct outbuf out = { 0 };

	(void)state;
	if (accept && strstr(accept, "application/json")) {
		conf_dump_json(admin->set.conf, &out);
		outbuf_text(&out, "\n");
		door_reply_json(req, 200, &out);
		return;
	}
	conf_dump(admin->set.conf, &out);
	rms_reply_bytes(req, out.failed ? 500 : 200, "text/plain; charset=utf-8", out.data, out.len);
	outbuf_finish(&out);
}

const struct rms_route door_verbs[] = {
	{ .method = "POST", .path = "/v1/workers/:name/kill", .handle = post_kill },
	{ .method = "POST", .path = "/v1/workers/:name/revive", .handle = post_revive },
	{ .method = "POST", .path = "/v1/workers/:name/drain", .handle = post_drain },
	{ .method = "POST", .path = "/v1/workers/:name/restart", .handle = post_restart },
	{ .method = "POST", .path = "/v1/workers/:name/stall", .handle = post_stall },
	{ .method = "POST", .path = "/v1/shutdown", .handle = post_shutdown },
	{ .method = "GET", .path = "/v1/config", .handle = get_config },
	{ 0 },
};
