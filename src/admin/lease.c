/* lease.c - who asks for a drill, whether it may begin, and what was thought of it in the end. */
#include <stdlib.h>
#include <string.h>

#include "admin/door.h"

static const char stopping[] = "rmsd is shutting down";

static void call_off(struct admin *admin, int status, uint64_t generation, const char *error)
{
	struct drill *drill = &admin->drill;

	drill->phase = DRILL_NONE;
	metrics_set(admin->shard, METRIC_drill_running, 0);
	outbuf_finish(&drill->early);
	door_reply_error(drill->req, status, generation, error);
	drill->req = NULL;
}

static void on_injected(struct door_mail *mail, struct admin *admin)
{
	struct drill_order *given = list_entry(mail, struct drill_order, back);
	const struct fleet_order *order = &given->order;
	struct drill *drill = &admin->drill;

	/* Not when the thread is ending. */
	if (drill->phase != DRILL_ORDERED) {
		free(given);
		return;
	}
	door_audit(&given->asker, "drill", "action=%s worker=%s status=%d rehomed=%u", drill_action(drill),
		drill->worker->name, order->status, order->rehomed);
	drill->injected_ns = order->begun_ns;
	if (order->error[0]) {
		call_off(admin, order->status, order->generation, order->error);
	} else if (!order->changed) {
		call_off(admin, 409, order->generation, "somebody else was faster");
	} else {
		drill_hold(admin);
	}
	free(given);
}

static bool find_verb(const char *name, enum fleet_verb *verb)
{
	static const struct {
		const char *name;
		enum fleet_verb verb;
	} actions[] = { { "kill", FLEET_KILL }, { "stall", FLEET_STALL }, { "drain", FLEET_DRAIN } };

	for (size_t i = 0; i < sizeof(actions) / sizeof(*actions); i++) {
		if (strcmp(actions[i].name, name) != 0)
			continue;
		*verb = actions[i].verb;
		return true;
	}
	return false;
}

/* Whether a drill of worker may begin; if not, it has been answered. */
static bool may_begin(struct rms_request *req, const struct worker *worker)
{
	const struct drill *drill = &door_admin(req)->drill;
	enum metrics_state state = worker_state(worker);

	if (drill->stopping)
		door_refuse(req, 409, "%s", stopping);
	else if (drill->phase != DRILL_NONE)
		door_refuse(req, 409, "another drill runs: %s of %s", drill_action(drill), drill->worker->name);
	else if (state != STATE_UP)
		door_refuse(req, 409, "%s is %s: a drill begins with a worker that is up", worker->name,
			metrics_state_names[state]);
	else
		return true;
	return false;
}

static void begin(struct rms_request *req, struct worker *worker, enum fleet_verb verb, uint64_t for_ms, bool force)
{
	struct admin *admin = door_admin(req);
	struct drill *drill = &admin->drill;

	drill->phase = DRILL_ORDERED;
	drill->number++;
	drill->req = req;
	drill->verb = verb;
	drill->worker = worker;
	drill->for_ms = for_ms;
	drill->generation = fleet_generation(admin->set.fleet);
	drill->begun_ns = uv_hrtime();
	drill->injected_ns = drill->lost_ns = drill->rehomed_ns = drill->back_ns = drill->even_ns = 0;
	drill->undone = drill->aborted = false;
	metrics_set(admin->shard, METRIC_drill_running, 1);
	if (!drill_order(admin, req, verb, verb == FLEET_STALL ? for_ms : 0, force, on_injected))
		call_off(admin, 409, drill->generation, stopping);
}

static void post_drill(struct rms_request *req, void *state)
{
	enum {
		NEEDED = QUERY_BIT(QUERY_ACTION) | QUERY_BIT(QUERY_WORKER) | QUERY_BIT(QUERY_FOR),
		ACCEPTED = NEEDED | QUERY_BIT(QUERY_FORCE),
	};
	struct query query;
	enum fleet_verb verb;
	struct worker *worker;
	int index;

	(void)state;
	if (!door_read(req, &query, ACCEPTED, NEEDED))
		return;
	if (!find_verb(query.values[QUERY_ACTION].text, &verb)) {
		door_refuse(req, 400, "action: not a choice (kill, stall or drain)");
		return;
	}
	index = door_find_worker(req, query.values[QUERY_WORKER].text);
	if (index < 0)
		return;
	worker = fleet_worker(door_admin(req)->set.fleet, (unsigned)index);
	if (may_begin(req, worker))
		begin(req, worker, verb, query.values[QUERY_FOR].number, query.values[QUERY_FORCE].number);
}

static void post_verdict(struct rms_request *req, void *state)
{
	struct admin *admin = door_admin(req);
	struct drill *drill = &admin->drill;
	struct door_asker asker;
	struct outbuf out = { 0 };
	struct query query;
	bool passed;

	(void)state;
	if (!door_read(req, &query, QUERY_BIT(QUERY_PASSED), QUERY_BIT(QUERY_PASSED)))
		return;
	if (!drill->unjudged) {
		door_refuse(req, 409, "no drill waits for a verdict");
		return;
	}
	passed = query.values[QUERY_PASSED].number;
	drill->unjudged = false;
	metrics_add(admin->shard, METRIC_drills + (passed ? DRILL_PASSED : DRILL_FAILED), 1);
	door_ask(req, &asker);
	door_audit(&asker, "drill-verdict", "status=200");
	drill_mark(admin, "verdict", uv_hrtime(), passed ? ",\"passed\":true" : ",\"passed\":false");
	outbuf_printf(
		&out, "{\"ok\":true,\"generation\":%llu}\n", (unsigned long long)fleet_generation(admin->set.fleet));
	door_reply_json(req, 200, &out);
}

const struct rms_route drill_routes[] = {
	{ .method = "POST", .path = "/v1/drill", .handle = post_drill },
	{ 0 },
};

const struct rms_route drill_verdict[] = {
	{ .method = "POST", .path = "/v1/drill/verdict", .handle = post_verdict },
	{ 0 },
};
