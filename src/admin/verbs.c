/* verbs.c - a request on the control socket to an order for the control thread, and its result to an answer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "admin/door.h"
#include "base/log.h"
#include "conf/text.h"
#include "http/request.h"

struct verb_order {
	struct fleet_order order;
	struct mail back;
	struct admin *admin;
	struct rms_request *req;
	struct ucred peer;
};

static const char *const verb_names[] = {
	[FLEET_KILL] = "kill",
	[FLEET_REVIVE] = "revive",
	[FLEET_SHUTDOWN] = "shutdown",
};

/* {"ok":false,"error":"..."} */
static void reply_error(struct rms_request *req, int status, const char *error)
{
	struct outbuf out = { 0 };

	outbuf_text(&out, "{\"ok\":false,\"error\":");
	text_quote(&out, error, strlen(error), SIZE_MAX);
	outbuf_text(&out, "}\n");
	door_reply_json(req, status, &out);
}

static void reply_done(struct verb_order *vo)
{
	const struct fleet_order *order = &vo->order;
	struct outbuf out = { 0 };

	outbuf_text(&out, "{\"ok\":true");
	if (order->verb != FLEET_SHUTDOWN)
		outbuf_printf(&out, ",\"worker\":\"%s\",\"state\":\"%s\"",
			fleet_worker(vo->admin->set.fleet, order->worker)->name, metrics_state_names[order->state]);
	outbuf_printf(&out, ",\"changed\":%s,\"rehomed\":%u,\"duration_ms\":%.3f,\"generation\":%llu}\n",
		order->changed ? "true" : "false", order->rehomed, (double)order->duration_ns / 1e6,
		(unsigned long long)order->generation);
	door_reply_json(vo->req, 200, &out);
}

/* Who asked for what, and what came of it. */
static void audit(const struct verb_order *vo)
{
	const struct fleet_order *order = &vo->order;
	const char *worker =
		order->verb == FLEET_SHUTDOWN ? "-" : fleet_worker(vo->admin->set.fleet, order->worker)->name;

	log_info("a control verb", "verb=%s worker=%s uid=%ld pid=%ld status=%d changed=%s force=%s rehomed=%u ms=%.3f",
		verb_names[order->verb], worker, (long)vo->peer.uid, (long)vo->peer.pid, order->status,
		order->changed ? "yes" : "no", order->force ? "yes" : "no", order->rehomed,
		(double)order->duration_ns / 1e6);
}

void door_answer_order(struct mail *mail, void *arg)
{
	struct verb_order *vo = list_entry(mail, struct verb_order, back);

	(void)arg;
	audit(vo);
	if (vo->order.error[0])
		reply_error(vo->req, vo->order.status, vo->order.error);
	else
		reply_done(vo);
	free(vo);
}

/* On the control thread. */
static void on_done(struct fleet_order *order)
{
	struct verb_order *vo = (struct verb_order *)order;

	/* Refused: the admin thread is ending, and frees its requests itself. */
	if (mailbox_post(&vo->admin->inbox, &vo->back) < 0)
		free(vo);
}

/* The value of key in the query, or NULL. */
static const char *find_argument(struct rms_request *req, const char *key)
{
	size_t len = strlen(key);
	const char *at = rms_request_query(req);

	while (*at) {
		size_t n = strcspn(at, "&");

		if (n > len && !memcmp(at, key, len) && at[len] == '=')
			return arena_copy(&req->arena, at + len + 1, n - len - 1);
		at += n + (at[n] == '&');
	}
	return NULL;
}

static int find_worker(struct fleet *fleet, const char *name)
{
	for (unsigned i = 0; i < fleet_size(fleet); i++)
		if (!strcmp(fleet_worker(fleet, i)->name, name))
			return (int)i;
	return -1;
}

static void reply_unknown(struct rms_request *req, struct fleet *fleet, const char *name)
{
	struct outbuf text = { 0 };

	outbuf_printf(&text, "no worker is called %s; there are", name);
	for (unsigned i = 0; i < fleet_size(fleet); i++)
		outbuf_printf(&text, "%s %s", i ? "," : "", fleet_worker(fleet, i)->name);
	outbuf_append(&text, "", 1);
	reply_error(req, 404, text.failed ? "no such worker" : text.data);
	outbuf_finish(&text);
}

static void order(struct rms_request *req, enum fleet_verb verb)
{
	struct admin *admin = (struct admin *)rms_request_data(req);
	struct fleet *fleet = admin->set.fleet;
	const char *force = find_argument(req, "force");
	struct verb_order *vo;
	socklen_t len = sizeof(vo->peer);
	int worker = 0;

	if (force && strcmp(force, "1") != 0 && strcmp(force, "0") != 0) {
		reply_error(req, 400, "force: 1 or 0");
		return;
	}
	if (verb != FLEET_SHUTDOWN) {
		const char *name = rms_request_param(req, "name");

		worker = name ? find_worker(fleet, name) : -1;
		if (worker < 0) {
			reply_unknown(req, fleet, name ? name : "");
			return;
		}
	}
	vo = calloc(1, sizeof(*vo));
	if (!vo) {
		reply_error(req, 500, "out of memory");
		return;
	}
	vo->order.verb = verb;
	vo->order.worker = (unsigned)worker;
	vo->order.force = force && *force == '1';
	vo->order.done = on_done;
	vo->admin = admin;
	vo->req = req;
	getsockopt((int)(req->tag & UINT32_MAX), SOL_SOCKET, SO_PEERCRED, &vo->peer, &len);
	if (fleet_post(fleet, &vo->order) < 0) {
		reply_error(req, 409, "rmsd is shutting down");
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

static void post_shutdown(struct rms_request *req, void *state)
{
	(void)state;
	order(req, FLEET_SHUTDOWN);
}

static void get_config(struct rms_request *req, void *state)
{
	const struct admin *admin = rms_request_data(req);
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
	{ .method = "POST", .path = "/v1/shutdown", .handle = post_shutdown },
	{ .method = "GET", .path = "/v1/config", .handle = get_config },
	{ 0 },
};
