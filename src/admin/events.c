/* events.c - subscribers, and what they are told. */
#include <stdlib.h>
#include <string.h>

#include "admin/door.h"
#include "base/log.h"

enum { SECOND_MS = 1000, KEEP_ALIVE_SECONDS = 15 };

/* In its request's memory. */
struct subscriber {
	struct list_node node;
	struct admin *admin;
	struct rms_request *req;
	bool figures;
};

struct event_mail {
	struct door_mail mail;
	struct fleet_event event;
};

/* ---- subscribers ---- */

/* It is out of the list. */
static void end(struct subscriber *subscriber)
{
	struct events *events = &subscriber->admin->events;

	events->n--;
	rms_reply_end(subscriber->req);
}

static void drop(struct subscriber *subscriber)
{
	list_remove(&subscriber->node);
	end(subscriber);
}

/* False: it is to be dropped. */
static bool tell(struct subscriber *subscriber, const void *bytes, size_t len)
{
	size_t unsent = rms_reply_unsent(subscriber->req);

	if (unsent <= EVENTS_UNSENT)
		return rms_reply_write(subscriber->req, bytes, len);
	log_warn("a subscriber of events does not read: dropped", "unsent=%zu", unsent);
	return false;
}

/* figures: only to those who want them. */
static void tell_all(struct events *events, const void *bytes, size_t len, bool figures)
{
	struct list all;
	struct list_node *node;

	list_init(&all);
	list_splice(&all, &events->subscribers);
	while ((node = list_pop(&all))) {
		struct subscriber *subscriber = list_entry(node, struct subscriber, node);

		if ((figures && !subscriber->figures) || tell(subscriber, bytes, len))
			list_push(&events->subscribers, node);
		else
			end(subscriber);
	}
}

static void frame(struct outbuf *out, struct events *events, const char *name, const struct outbuf *data)
{
	outbuf_printf(out, "id: %llu\nevent: %s\ndata: ", (unsigned long long)++events->last_id, name);
	outbuf_append(out, data->data, data->len);
	outbuf_text(out, "\n\n");
	if (data->failed)
		out->failed = true;
}

/* One too long for its place is not kept. */
static void remember(struct events *events, const char *name, const struct outbuf *data)
{
	struct events_past *past = &events->past[events->next_past % EVENTS_PAST];

	if (data->failed || data->len >= sizeof(past->data))
		return;
	past->name = name;
	memcpy(past->data, data->data, data->len);
	past->data[data->len] = '\0';
	events->next_past++;
	if (events->n_past < EVENTS_PAST)
		events->n_past++;
}

void events_publish(struct admin *admin, const char *name, const struct outbuf *data)
{
	struct outbuf out = { 0 };

	remember(&admin->events, name, data);
	if (!admin->events.n)
		return;

	frame(&out, &admin->events, name, data);
	if (!out.failed)
		tell_all(&admin->events, out.data, out.len, false);
	outbuf_finish(&out);
}

/* ---- figures ---- */

static void frame_figures(struct admin *admin, struct outbuf *out)
{
	struct outbuf data = { 0 };

	figures_write(admin, &data);
	frame(out, &admin->events, "figures", &data);
	outbuf_finish(&data);
}

/* What there was before: the seconds, and the last events. */
static void frame_history(struct admin *admin, struct outbuf *out)
{
	struct events *events = &admin->events;
	struct outbuf data = { 0 };

	outbuf_text(&data, "{");
	door_write_moment(&data, uv_hrtime());
	outbuf_text(&data, ",");
	figures_write_history(admin, &data);
	outbuf_text(&data, ",\"events\":[");
	for (unsigned left = events->n_past; left; left--) {
		const struct events_past *past = &events->past[(events->next_past - left) % EVENTS_PAST];

		outbuf_printf(&data, "%s{\"kind\":\"%s\",\"data\":%s}", left == events->n_past ? "" : ",", past->name,
			past->data);
	}
	outbuf_text(&data, "]}");
	frame(out, events, "history", &data);
	outbuf_finish(&data);
}

static void on_second(uv_timer_t *timer)
{
	struct admin *admin = timer->data;
	struct outbuf out = { 0 };

	figures_end_second(admin);
	if (!admin->events.n)
		return;
	frame_figures(admin, &out);
	if (!out.failed)
		tell_all(&admin->events, out.data, out.len, true);
	outbuf_finish(&out);
	/* A comment, for those who get no figures and for what stands between, which closes a silent connection. */
	if (++admin->events.seconds % KEEP_ALIVE_SECONDS == 0)
		tell_all(&admin->events, ":\n\n", 3, false);
}

/* ---- /events ---- */

static void on_room(struct rms_request *req, void *arg)
{
	if (rms_request_gone(req))
		drop(arg);
}

/* The first bytes, so that it sees at once that it is heard. */
static void greet(struct subscriber *subscriber, bool history)
{
	struct outbuf out = { 0 };

	outbuf_text(&out, ": rmsd " RMSD_VERSION "\nretry: 1000\n\n");
	if (history)
		frame_history(subscriber->admin, &out);
	if (subscriber->figures)
		frame_figures(subscriber->admin, &out);
	if (out.failed || !tell(subscriber, out.data, out.len))
		drop(subscriber);
	outbuf_finish(&out);
}

void events_subscribe(struct rms_request *req, void *state)
{
	static const char type[] = "text/event-stream";
	struct admin *admin = door_admin(req);
	struct events *events = &admin->events;
	struct subscriber *subscriber;
	struct query query;

	(void)state;
	if (!door_read(req, &query, QUERY_BIT(QUERY_FIGURES) | QUERY_BIT(QUERY_HISTORY), 0))
		return;
	if (!strcmp(rms_request_method(req), "HEAD")) {
		rms_reply_bytes(req, 200, type, "", 0);
		return;
	}
	if (events->n == EVENTS_SUBSCRIBERS) {
		rms_reply_header(req, "Retry-After", "5");
		door_refuse(req, 503, "%d subscribers already, and there can be no more", EVENTS_SUBSCRIBERS);
		return;
	}
	subscriber = rms_request_alloc(req, sizeof(*subscriber));
	if (!subscriber) {
		door_refuse(req, 500, "out of memory");
		return;
	}
	*subscriber = (struct subscriber){
		.admin = admin,
		.req = req,
		.figures = !query.values[QUERY_FIGURES].given || query.values[QUERY_FIGURES].number,
	};
	rms_reply_header(req, "Cache-Control", "no-store");
	rms_reply_begin(req, 200, type);
	rms_reply_on_room(req, on_room, subscriber);
	list_push(&events->subscribers, &subscriber->node);
	events->n++;
	greet(subscriber, query.values[QUERY_HISTORY].number);
}

void events_open(struct admin *admin, uv_loop_t *loop)
{
	list_init(&admin->events.subscribers);
	uv_timer_init(loop, &admin->events.second);
	admin->events.second.data = admin;
	figures_end_second(admin);
	uv_timer_start(&admin->events.second, on_second, SECOND_MS, SECOND_MS);
}

void events_close(struct admin *admin)
{
	struct list all;
	struct list_node *node;

	uv_timer_stop(&admin->events.second);
	list_init(&all);
	list_splice(&all, &admin->events.subscribers);
	while ((node = list_pop(&all)))
		end(list_entry(node, struct subscriber, node));
}

/* ---- what the fleet tells ---- */

static void write_event(struct outbuf *out, const struct fleet_event *event)
{
	outbuf_text(out, "{");
	door_write_moment(out, event->time_ns);
	if (event->worker)
		outbuf_printf(out, ",\"worker\":\"%s\"", event->worker->name);
	if (event->kind == FLEET_STATE)
		outbuf_printf(out, ",\"state\":\"%s\",\"was\":\"%s\"", metrics_state_names[event->state],
			metrics_state_names[event->was]);
	else if (event->kind == FLEET_REHOMED)
		outbuf_printf(out, ",\"connections\":%u,\"reason\":\"%s\"", event->count,
			metrics_rehomed_names[event->reason]);
	outbuf_printf(out, ",\"generation\":%llu}", (unsigned long long)event->generation);
}

static void on_event(struct door_mail *mail, struct admin *admin)
{
	static const char *const names[] = {
		[FLEET_STATE] = "state", [FLEET_REHOMED] = "rehomed", [FLEET_EVEN] = "even"
	};
	struct event_mail *em = list_entry(mail, struct event_mail, mail);
	struct outbuf data = { 0 };

	atomic_fetch_sub_explicit(&admin->events_waiting, 1, memory_order_relaxed);
	write_event(&data, &em->event);
	events_publish(admin, names[em->event.kind], &data);
	outbuf_finish(&data);
	drill_see(admin, &em->event);
	free(em);
}

void events_tell(struct admin *admin, const struct fleet_event *event)
{
	struct event_mail *em = NULL;

	if (atomic_load_explicit(&admin->events_waiting, memory_order_relaxed) < EVENTS_WAITING)
		em = malloc(sizeof(*em));
	if (!em) {
		metrics_add(metrics_process_shard(admin->set.metrics), METRIC_events_dropped, 1);
		return;
	}
	*em = (struct event_mail){ .mail.arrive = on_event, .event = *event };
	atomic_fetch_add_explicit(&admin->events_waiting, 1, memory_order_relaxed);
	if (door_post(admin, &em->mail))
		return;
	atomic_fetch_sub_explicit(&admin->events_waiting, 1, memory_order_relaxed);
	free(em);
}
