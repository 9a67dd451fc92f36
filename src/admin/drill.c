/* drill.c - one drill at a time: what is ordered, what is watched, what is undone. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "admin/door.h"
#include "base/log.h"
#include "worker/level.h"

enum {
	UP_MS = 10000,     /* for the worker to be up again */
	EVEN_MS = 5000,    /* and then to have its share */
	UNSENT = 64 * 1024 /* bytes that its client may be behind */
};

static const uint64_t NS_PER_MS = 1000000;

const char *drill_action(const struct drill *drill)
{
	static const char *const actions[] = {
		[FLEET_KILL] = "kill", [FLEET_STALL] = "stall", [FLEET_DRAIN] = "drain"
	};

	return actions[drill->verb];
}

static void revert(struct admin *admin);
static void finish(struct admin *admin, const char *error);

/* ---- what its client and /events are told ---- */

static void lose_client(struct admin *admin)
{
	struct drill *drill = &admin->drill;
	struct rms_request *req = drill->req;

	drill->req = NULL;
	drill->aborted = true;
	rms_reply_end(req);
	log_warn("a drill's client has gone", "action=%s worker=%s", drill_action(drill), drill->worker->name);
	if (drill->phase == DRILL_HELD)
		revert(admin);
}

static void tell(struct admin *admin, const struct outbuf *line)
{
	struct drill *drill = &admin->drill;

	if (drill->phase == DRILL_ORDERED)
		outbuf_append(&drill->early, line->data, line->len);
	else if (drill->req &&
		(line->failed || rms_reply_unsent(drill->req) > UNSENT ||
			!rms_reply_write(drill->req, line->data, line->len)))
		lose_client(admin);
}

/* A line to the client: format begins with a comma, or is "". */
__attribute__((format(printf, 4, 5))) static void say(
	struct admin *admin, const char *event, uint64_t time_ns, const char *format, ...)
{
	struct outbuf line = { 0 };
	va_list args;

	outbuf_printf(&line, "{\"event\":\"%s\",\"time_ns\":%llu", event, (unsigned long long)time_ns);
	va_start(args, format);
	outbuf_vprintf(&line, format, args);
	va_end(args);
	outbuf_text(&line, "}\n");
	tell(admin, &line);
	outbuf_finish(&line);
}

void drill_mark(struct admin *admin, const char *event, uint64_t time_ns, const char *more)
{
	const struct drill *drill = &admin->drill;
	struct outbuf data = { 0 };

	outbuf_text(&data, "{");
	door_write_moment(&data, time_ns);
	outbuf_printf(&data, ",\"event\":\"%s\",\"action\":\"%s\",\"worker\":\"%s\"%s}", event, drill_action(drill),
		drill->worker->name, more);
	events_publish(admin, "drill", &data);
	outbuf_finish(&data);
}

/* ---- orders ---- */

/* On the control thread. */
static void on_done(struct fleet_order *order)
{
	struct drill_order *given = (struct drill_order *)order;

	/* Refused: the admin thread is ending, and the drill with it. */
	if (!door_post(given->admin, &given->back))
		free(given);
}

bool drill_order(struct admin *admin, struct rms_request *req, enum fleet_verb verb, uint64_t for_ms, bool force,
	void (*arrive)(struct door_mail *, struct admin *))
{
	struct drill_order *given = calloc(1, sizeof(*given));

	if (!given)
		return false;
	given->order = (struct fleet_order){
		.verb = verb,
		.worker = admin->drill.worker->index,
		.force = force,
		.for_ms = for_ms,
		.done = on_done,
	};
	given->back.arrive = arrive;
	given->admin = admin;
	given->number = admin->drill.number;
	if (req)
		door_ask(req, &given->asker);
	if (fleet_post(admin->set.fleet, &given->order) == 0)
		return true;
	free(given);
	return false;
}

/* ---- the end ---- */

static uint64_t since(uint64_t from_ns, uint64_t to_ns)
{
	return to_ns > from_ns ? to_ns - from_ns : 0;
}

static void count_end(struct admin *admin)
{
	struct drill *drill = &admin->drill;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	metrics_set(admin->shard, METRIC_drill_running, 0);
	metrics_set(admin->shard, METRIC_drill_detect, since(drill->injected_ns, drill->lost_ns));
	metrics_set(admin->shard, METRIC_drill_recover, since(drill->injected_ns, drill->rehomed_ns));
	metrics_set(admin->shard, METRIC_drill_ended, (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec);
	/* The one before, if this is the first to come and nobody has judged it; and this one. */
	metrics_add(admin->shard, METRIC_drills + DRILL_ABORTED, drill->unjudged + drill->aborted);
	drill->unjudged = !drill->aborted;
}

/* error NULL: as it should be. */
static void finish(struct admin *admin, const char *error)
{
	struct drill *drill = &admin->drill;
	uint64_t now_ns = uv_hrtime();
	struct outbuf outcome = { 0 };

	if (!error && drill->aborted)
		error = "its client has gone";
	drill->phase = DRILL_NONE;
	uv_timer_stop(&drill->timer);
	outbuf_text(&outcome, error ? ",\"ok\":false,\"error\":" : ",\"ok\":true");
	if (error)
		door_quote(&outcome, error);
	outbuf_text(&outcome, drill->aborted ? ",\"aborted\":true" : "");
	outbuf_append(&outcome, "", 1);
	if (!outcome.failed) {
		say(admin, "end", now_ns, "%s", outcome.data);
		drill_mark(admin, "end", now_ns, outcome.data);
	}
	outbuf_finish(&outcome);
	if (drill->req)
		rms_reply_end(drill->req);
	drill->req = NULL;
	outbuf_finish(&drill->early);
	count_end(admin);
	log_info("a drill has ended", "action=%s worker=%s ok=%s aborted=%s detect_ms=%.3f recover_ms=%.3f why=\"%s\"",
		drill_action(drill), drill->worker->name, error ? "no" : "yes", drill->aborted ? "yes" : "no",
		(double)since(drill->injected_ns, drill->lost_ns) / 1e6,
		(double)since(drill->injected_ns, drill->rehomed_ns) / 1e6, error ? error : "");
}

__attribute__((format(printf, 2, 3))) static void fail(struct admin *admin, const char *format, ...)
{
	char error[160];
	va_list args;

	va_start(args, format);
	vsnprintf(error, sizeof(error), format, args);
	va_end(args);
	finish(admin, error);
}

/* Whether the fleet will say that the shares are even. */
static bool will_even(const struct admin *admin)
{
	return admin->set.conf->rebalance == FLAG_ON && fleet_up(admin->set.fleet) > 1;
}

/* By a look of our own, for when nothing had to move and so nobody says it. */
static bool are_even(const struct admin *admin)
{
	struct fleet *fleet = admin->set.fleet;
	struct level_side sides[LEVEL_SIDES] = { 0 };

	for (unsigned i = 0; i < fleet_size(fleet); i++) {
		const struct worker *worker = fleet_worker(fleet, i);

		sides[i] = (struct level_side){
			.up = worker_state(worker) == STATE_UP,
			.load = (int64_t)metrics_worker_value(admin->set.metrics, i, METRIC_connections),
			.weight = worker->weight,
			.share = LEVEL_FULL,
		};
	}
	return !level_uneven(sides, fleet_size(fleet));
}

/* ---- the way back ---- */

static void on_timer(uv_timer_t *timer);

/* The worker may be up again; what the order to revive it has come to is known. */
static void look_back(struct admin *admin)
{
	struct drill *drill = &admin->drill;

	if (drill->phase != DRILL_REVERTING || !drill->undone || worker_state(drill->worker) != STATE_UP)
		return;
	if (!drill->lost_ns || drill->even_ns || !will_even(admin)) {
		finish(admin, NULL);
		return;
	}
	drill->phase = DRILL_EVENING;
	uv_timer_start(&drill->timer, on_timer, EVEN_MS, 0);
}

static void on_reverted(struct door_mail *mail, struct admin *admin)
{
	struct drill_order *given = list_entry(mail, struct drill_order, back);
	struct drill *drill = &admin->drill;

	if (given->number == drill->number && drill->phase == DRILL_REVERTING) {
		drill->undone = true;
		/* A stalled worker may be another one by now: then there is no stall to end. */
		if (given->order.error[0] && drill->verb != FLEET_STALL)
			finish(admin, given->order.error);
		else
			look_back(admin);
	}
	free(given);
}

static void revert(struct admin *admin)
{
	struct drill *drill = &admin->drill;
	enum fleet_verb verb = drill->verb == FLEET_STALL ? FLEET_STALL : FLEET_REVIVE;
	uint64_t now_ns = uv_hrtime();

	drill->phase = DRILL_REVERTING;
	uv_timer_start(&drill->timer, on_timer, UP_MS, 0);
	log_info("a drill is undone", "action=%s worker=%s after_ms=%.3f", drill_action(drill), drill->worker->name,
		(double)since(drill->injected_ns, now_ns) / 1e6);
	say(admin, "reverting", now_ns, "%s", "");
	drill_mark(admin, "reverting", now_ns, "");
	if (!drill_order(admin, NULL, verb, 0, false, on_reverted))
		fail(admin, "the order to bring %s back could not be given", drill->worker->name);
}

static void on_timer(uv_timer_t *timer)
{
	struct admin *admin = timer->data;
	struct drill *drill = &admin->drill;

	switch (drill->phase) {
	case DRILL_HELD: revert(admin); break;
	case DRILL_REVERTING: fail(admin, "%s was not up again within %d s", drill->worker->name, UP_MS / 1000); break;
	case DRILL_EVENING:
		if (are_even(admin))
			finish(admin, NULL);
		else
			fail(admin, "%s was up again, and had not its share of the connections within %d s",
				drill->worker->name, EVEN_MS / 1000);
		break;
	case DRILL_NONE:
	case DRILL_ORDERED: break;
	}
}

/* ---- what happens meanwhile ---- */

/* What the drill took out is up before its time: then it proves nothing. */
static void look_early(struct admin *admin)
{
	const struct drill *drill = &admin->drill;

	if (drill->phase == DRILL_HELD && drill->verb != FLEET_STALL && drill->back_ns)
		fail(admin, "%s was revived by somebody else", drill->worker->name);
}

static void see_state(struct admin *admin, const struct fleet_event *event)
{
	struct drill *drill = &admin->drill;

	if (event->state == STATE_UP)
		drill->back_ns = event->time_ns;
	else if (event->was == STATE_UP)
		drill->back_ns = drill->even_ns = 0;
	if (!drill->lost_ns && event->was == STATE_UP)
		drill->lost_ns = event->time_ns;
	say(admin, "state", event->time_ns, ",\"worker\":\"%s\",\"state\":\"%s\",\"was\":\"%s\",\"generation\":%llu",
		drill->worker->name, metrics_state_names[event->state], metrics_state_names[event->was],
		(unsigned long long)event->generation);
	look_early(admin);
	look_back(admin);
}

void drill_see(struct admin *admin, const struct fleet_event *event)
{
	struct drill *drill = &admin->drill;

	if (drill->phase == DRILL_NONE || event->time_ns < drill->begun_ns)
		return;
	if (event->kind != FLEET_EVEN && event->worker != drill->worker)
		return;
	switch (event->kind) {
	case FLEET_STATE: see_state(admin, event); break;
	case FLEET_REHOMED:
		if (!drill->rehomed_ns)
			drill->rehomed_ns = event->time_ns;
		say(admin, "rehomed", event->time_ns, ",\"worker\":\"%s\",\"connections\":%u", drill->worker->name,
			event->count);
		break;
	case FLEET_EVEN:
		if (!drill->lost_ns || !drill->back_ns)
			break;
		drill->even_ns = event->time_ns;
		say(admin, "even", event->time_ns, "%s", "");
		if (drill->phase == DRILL_EVENING)
			finish(admin, NULL);
		break;
	}
}

static void on_room(struct rms_request *req, void *arg)
{
	struct admin *admin = arg;

	if (rms_request_gone(req) && admin->drill.req == req)
		lose_client(admin);
}

/* ---- the beginning and the end of all ---- */

void drill_hold(struct admin *admin)
{
	struct drill *drill = &admin->drill;
	uint64_t held_ms = since(drill->injected_ns, uv_hrtime()) / NS_PER_MS;

	drill->phase = DRILL_HELD;
	uv_update_time(drill->timer.loop); /* or else the timer counts from when the loop began this turn */
	uv_timer_start(&drill->timer, on_timer, drill->for_ms > held_ms ? drill->for_ms - held_ms : 0, 0);
	rms_reply_begin(drill->req, 200, "application/x-ndjson");
	rms_reply_on_room(drill->req, on_room, admin);
	say(admin, "begun", drill->begun_ns, ",\"worker\":\"%s\",\"action\":\"%s\",\"generation\":%llu",
		drill->worker->name, drill_action(drill), (unsigned long long)drill->generation);
	drill_mark(admin, "begun", drill->begun_ns, "");
	say(admin, "injected", drill->injected_ns, "%s", "");
	drill_mark(admin, "injected", drill->injected_ns, "");
	if (drill->early.len || drill->early.failed)
		tell(admin, &drill->early);
	outbuf_finish(&drill->early);
	if (drill->req && rms_request_gone(drill->req))
		lose_client(admin);
	else if (drill->stopping && drill->phase != DRILL_NONE)
		drill_stop(admin);
	else
		look_early(admin);
}

void drill_open(struct admin *admin, uv_loop_t *loop)
{
	uv_timer_init(loop, &admin->drill.timer);
	admin->drill.timer.data = admin;
}

void drill_stop(struct admin *admin)
{
	struct drill *drill = &admin->drill;

	drill->stopping = true;
	/* One that is ordered ends when the order comes back. */
	if (drill->phase == DRILL_NONE || drill->phase == DRILL_ORDERED)
		return;
	drill->aborted = true;
	finish(admin, "rmsd is shutting down");
}

void drill_close(struct admin *admin)
{
	admin->drill.phase = DRILL_NONE;
	outbuf_finish(&admin->drill.early);
	if (admin->drill.req)
		rms_reply_end(admin->drill.req);
	admin->drill.req = NULL;
}
