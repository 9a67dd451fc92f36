/* admin.c - the admin thread: its routes and the pages that only read. */
#include <stdlib.h>
#include <string.h>
#include <uv.h>
#include "admin/door.h"
#include "base/log.h"
#include "http/conn.h"
#include "http/router.h"
#include "http/scrape.h"

enum {
	BEAT_LATE_MS = 2000, /* then the control loop is not alive */
	ROUTES_MAX = 16,
};

static void get_metrics(struct rms_request *req, void *state)
{
	(void)state;
	metrics_set(door_admin(req)->shard, METRIC_buffer_bytes, slots_buffered(door_admin(req)->set.slots));
	scrape_reply(req, door_admin(req)->set.metrics, METRICS_ALL);
}

static void get_livez(struct rms_request *req, void *state)
{
	uint64_t beat = atomic_load_explicit(&door_admin(req)->beat_ms, memory_order_relaxed);

	(void)state;
	if (uv_hrtime() / 1000000 - beat >= BEAT_LATE_MS)
		rms_reply_text(req, 503, "the control loop does not turn\n");
	else if (fleet_is_stuck(door_admin(req)->set.fleet))
		rms_reply_text(req, 503, "a worker is stalled, and too many threads are stuck to replace it\n");
	else
		rms_reply_text(req, 200, "ok\n");
}

static void get_readyz(struct rms_request *req, void *state)
{
	struct admin *admin = door_admin(req);

	(void)state;
	if (atomic_load_explicit(&admin->draining, memory_order_relaxed))
		rms_reply_text(req, 503, "shutting down\n");
	else if (!atomic_load_explicit(&admin->serving, memory_order_relaxed))
		rms_reply_text(req, 503, "starting\n");
	else if (!fleet_up(admin->set.fleet))
		rms_reply_text(req, 503, "no worker is up\n");
	else
		rms_reply_text(req, 200, "ok\n");
}

static void get_status(struct rms_request *req, void *state)
{
	struct outbuf out = { 0 };

	(void)state;
	door_write_status(door_admin(req), &out);
	door_reply_json(req, 200, &out);
}

static const struct rms_route pages[] = {
	{ .method = "GET", .path = "/", .handle = page_index },
	{ .method = "GET", .path = "/page.js", .handle = page_script },
	{ .method = "GET", .path = "/page.css", .handle = page_style },
	{ .method = "GET", .path = "/metrics", .handle = get_metrics },
	{ .method = "GET", .path = "/livez", .handle = get_livez },
	{ .method = "GET", .path = "/readyz", .handle = get_readyz },
	{ .method = "GET", .path = "/status", .handle = get_status },
	{ .method = "GET", .path = "/events", .handle = events_subscribe },
	{ 0 },
};

/* Adds routes whose data is admin. waited: a stop of the server waits for an answer that is on its way. */
static int add(struct router *router, const struct rms_route *routes, const struct admin *admin, bool waited)
{
	struct rms_route own[ROUTES_MAX] = { 0 };

	for (unsigned i = 0; routes[i].method; i++) {
		own[i] = routes[i];
		own[i].data = admin;
	}
	return router_add(router, own, !waited, NULL);
}

static int build_routers(struct admin *admin)
{
	const struct rms_route *const verbs[] = { door_verbs, door_fault_verbs, drill_verdict, NULL };
	struct router *read_only = router_create(false);
	struct router *control = router_create(false);
	int err = UV_ENOMEM;

	admin->routers[ROLE_ADMIN] = read_only;
	admin->routers[ROLE_CONTROL] = control;
	if (!read_only || !control)
		return err;
	err = add(read_only, pages, admin, false);
	if (!err)
		err = add(control, pages, admin, false);
	if (!err)
		err = add(control, drill_routes, admin, false);
	for (unsigned i = 0; verbs[i] && !err; i++)
		err = add(control, verbs[i], admin, true);
	return err;
}

static void deliver(struct mail *mail, void *owner)
{
	struct door_mail *door_mail = list_entry(mail, struct door_mail, mail);

	door_mail->arrive(door_mail, owner);
}

/* The app's state is the one struct admin. */
static int start(void *state, struct uv_loop_s *loop, const char *worker)
{
	struct admin *admin = state;
	int err;

	(void)worker;
	door_open_faults(admin, loop);
	events_open(admin, loop);
	drill_open(admin, loop);
	err = mailbox_init(&admin->inbox, loop, deliver, admin);
	/* The workers begin meanwhile; who could be told of that is not there yet. */
	atomic_store_explicit(&admin->open, err == 0, memory_order_release);
	return err;
}

static void stop(void *state)
{
	struct admin *admin = state;

	drill_close(admin);
	events_close(admin);
	mailbox_close(&admin->inbox, NULL);
}

static const struct rms_app app = { .name = "admin", .start = start, .stop = stop };

static void on_news(struct mail *mail, void *arg)
{
	struct admin *admin = arg;
	struct incarnation_mail *news = list_entry(mail, struct incarnation_mail, mail);

	if (news->news != INCARNATION_ENDED)
		return;
	incarnation_join(admin->incarnation);
	incarnation_free(admin->incarnation);
	admin->incarnation = NULL;
	mailbox_close(&admin->news, NULL);
	if (admin->closed)
		admin->closed(admin->closed_arg);
}

int admin_create(const struct admin_setup *setup, uv_loop_t *loop, struct admin **out)
{
	struct admin *admin = calloc(1, sizeof(*admin));
	struct incarnation_setup inc = {
		.conf = setup->conf,
		.slots = setup->slots,
		.app = &app,
		.name = "admin",
		.owner = admin,
	};
	int err = UV_ENOMEM;

	if (!admin)
		return err;
	admin->set = *setup;
	admin->shard = metrics_admin_shard(setup->metrics);
	admin->started_ms = uv_hrtime() / 1000000;
	admin_beat(admin);
	err = build_routers(admin);
	if (err < 0)
		goto destroy;
	err = figures_init(&admin->figures, fleet_size(setup->fleet));
	if (!err)
		err = page_init(&admin->page);
	if (err < 0)
		goto destroy;
	err = mailbox_init(&admin->news, loop, on_news, admin);
	if (err < 0)
		goto destroy;
	memcpy(inc.routers, admin->routers, sizeof(inc.routers));
	inc.control = &admin->news;
	inc.state = admin;
	err = incarnation_start(&inc, &admin->incarnation);
	if (err < 0)
		goto close_news;
	fleet_watch(setup->fleet, incarnation_service(admin->incarnation));
	*out = admin;
	return 0;
close_news:
	mailbox_close(&admin->news, NULL);
	uv_run(loop, UV_RUN_NOWAIT);
destroy:
	admin_destroy(admin);
	return err;
}

int64_t admin_connections(const struct admin *admin)
{
	/* It counts those that it closes down from 0. */
	return incarnation_service(admin->incarnation)->given +
		(int64_t)metrics_get(incarnation_shard(admin->incarnation), METRIC_connections);
}

void admin_give(struct admin *admin, int fd)
{
	struct service *service = incarnation_service(admin->incarnation);

	if (slots_give(admin->set.slots, &service->owner, fd, false) == 0)
		service->given++;
	else
		slots_close(admin->set.slots, fd);
}

void admin_beat(struct admin *admin)
{
	atomic_store_explicit(&admin->beat_ms, uv_hrtime() / 1000000, memory_order_relaxed);
}

void admin_serve(struct admin *admin)
{
	atomic_store_explicit(&admin->serving, true, memory_order_relaxed);
}

void admin_tell(struct admin *admin, const struct fleet_event *event)
{
	events_tell(admin, event);
}

static void on_drained(struct door_mail *mail, struct admin *admin)
{
	(void)mail;
	drill_stop(admin);
}

void admin_drain(struct admin *admin)
{
	atomic_store_explicit(&admin->draining, true, memory_order_relaxed);
	admin->drained.arrive = on_drained;
	(void)door_post(admin, &admin->drained);
}

bool admin_is_quiet(const struct admin *admin)
{
	return !metrics_get(incarnation_shard(admin->incarnation), METRIC_in_flight);
}

void admin_close(struct admin *admin, void (*closed)(void *arg), void *arg)
{
	struct service *service = incarnation_service(admin->incarnation);
	struct slots *slots = admin->set.slots;

	admin->closed = closed;
	admin->closed_arg = arg;
	incarnation_ask_to_leave(admin->incarnation);
	lock_acquire(&service->owner.lock);
	service->owner.revoked = true;
	for (int fd = 0; fd < slots_end(slots); fd++) {
		struct slot *slot = slots_at(slots, fd);
		enum loss_fate fate;
		bool now;

		if (slot_owner(slot) != service->owner.id)
			continue;
		fate = conn_detach(service, slot, LOSS_ASKED, &now);
		slots_take(&service->owner, slot);
		if (fate == FATE_RESET)
			slots_reset(slots, fd);
		else
			slots_close(slots, fd);
	}
	lock_release(&service->owner.lock);
	incarnation_wake(admin->incarnation);
}

void admin_destroy(struct admin *admin)
{
	if (!admin)
		return;
	router_destroy(admin->routers[ROLE_ADMIN]);
	router_destroy(admin->routers[ROLE_CONTROL]);
	figures_finish(&admin->figures);
	page_finish(&admin->page);
	free(admin);
}
