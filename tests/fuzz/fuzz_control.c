/*
 * fuzz_control.c - the control socket, from bytes to JSON: routes, arguments, faults, events and drills of admin/, on a
 * fleet whose threads have not begun and whose orders are closed, so that no verb gets further than to give its order.
 *
 * Input: a byte n, lengths of n % 16 pieces, then the bytes of the operator.
 */
#include "fuzz/fuzz.h"

#include <string.h>

#include <jansson.h>
#include <llhttp.h>

#include "base/beat.h"
#include "admin/door.h"
#include "fuzz/replies.h"
#include "fuzz/serving.h"
#include "http/request.h"
#include "http/router.h"

static struct admin admin;
static struct faults faults;
static char methods[REPLIES_MAX]; /* 'H': HEAD */
static unsigned n_asked;

static void get_status(struct rms_request *req, void *state)
{
	struct outbuf out = { 0 };

	(void)state;
	door_write_status(&admin, &out);
	door_reply_json(req, 200, &out);
}

static const struct rms_route pages[] = {
	{ .method = "GET", .path = "/status", .handle = get_status },
	{ .method = "GET", .path = "/events", .handle = events_subscribe },
	{ 0 },
};

static void add(struct router *router, const struct rms_route *rows)
{
	struct rms_route own[16] = { 0 };

	for (unsigned i = 0; rows[i].method; i++) {
		own[i] = rows[i];
		own[i].data = &admin;
	}
	FUZZ_CHECK(router_add(router, own, false, NULL) == 0, "no routes");
}

static struct worker *pick(void *arg, int fd)
{
	(void)arg;
	(void)fd;
	return NULL;
}

static void start_fleet(uv_loop_t *loop, struct slots *slots)
{
	static struct pulse pulse;
	static const char *const names[] = { "app1", "app2", "app3" };
	static const uint16_t codes[] = { 200, 0 };
	struct fleet_setup setup = {
		.conf = serving_conf(), .slots = slots, .limit = 1, .faults = &faults, .hooks = { .pick = pick }
	};
	int err;

	setup.metrics = metrics_create(names, 3, codes);
	FUZZ_CHECK(setup.metrics, "out of memory");
	pulse_init(&pulse, loop);
	err = fleet_create(&setup, &pulse, &admin.set.fleet);
	FUZZ_CHECK(err == 0, "%s", uv_strerror(err));
	/* From here on a verb hears that rmsd is shutting down. */
	fleet_close(admin.set.fleet);
	for (unsigned i = 0; i < fleet_size(admin.set.fleet); i++)
		atomic_store(&fleet_worker(admin.set.fleet, i)->state, i < 2 ? STATE_UP : STATE_DOWN);
	admin.set.conf = serving_conf();
	admin.set.slots = slots;
	admin.set.metrics = setup.metrics;
	admin.set.faults = &faults;
	admin.shard = metrics_admin_shard(setup.metrics);
	FUZZ_CHECK(figures_init(&admin.figures, 3) == 0, "out of memory");
	door_open_faults(&admin, loop);
	events_open(&admin, loop);
	/* Its seconds would be other ones in each run. */
	uv_timer_stop(&admin.events.second);
	drill_open(&admin, loop);
}

/* A stream of events would go on: it ends when nothing else is to do, and once it has ended there is no more. */
static bool attend(void)
{
	if (!admin.events.n)
		return false;
	events_close(&admin);
	admin.events.n = 0;
	uv_timer_stop(&admin.events.second);
	return true;
}

static void start(void)
{
	static const char *const overrides[] = { "max_header_size=1k", "max_body_size=64", "faults=on", "workers=3",
		"worker_port=0" };
	struct serving_setup setup = { .role = ROLE_CONTROL,
		.overrides = overrides,
		.n_overrides = 5,
		.attend = attend,
		.loop = uv_default_loop() };
	struct router *router = router_create(false);

	FUZZ_CHECK(router, "out of memory");
	faults_init(&faults);
	add(router, pages);
	add(router, drill_routes);
	add(router, door_verbs);
	add(router, door_fault_verbs);
	add(router, drill_verdict);
	setup.routers[ROLE_CONTROL] = router;
	serving_start(&setup);
	start_fleet(setup.loop, serving_slots());
}

static void read_requests(const char *bytes, size_t len)
{
	static struct message message;
	enum message_status status = MESSAGE_COMPLETE;

	for (n_asked = 0; len && status == MESSAGE_COMPLETE; n_asked++) {
		FUZZ_CHECK(n_asked < REPLIES_MAX, "too many requests");
		message_init(&message);
		status = message_feed(&message, serving_limits(), bytes, len);
		methods[n_asked] = replies_are_to_head(bytes, len) ? 'H' : ' ';
		message_finish(&message);
		bytes += message.length;
		len -= message.length;
	}
}

static bool has_body(void *arg, unsigned i)
{
	(void)arg;
	FUZZ_CHECK(i < n_asked, "reply %u to %u requests", i, n_asked);
	return methods[i] != 'H';
}

/* What rmsctl and scripts rely on. */
static void check_json(const struct reply_read *reply)
{
	json_t *json = json_loadb(reply->body.data, reply->body.len, JSON_REJECT_DUPLICATES, NULL);

	FUZZ_CHECK(
		json_is_object(json), "%d, and no JSON: %.*s", reply->status, (int)reply->body.len, reply->body.data);
	FUZZ_CHECK(
		reply->status < 400 || json_is_false(json_object_get(json, "ok")), "%d, and it is well", reply->status);
	FUZZ_CHECK(reply->status < 400 || json_is_string(json_object_get(json, "error")), "%d, and no reason",
		reply->status);
	json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct replies replies;
	static bool started;
	struct serving_plan plan = { 0 };
	struct serving_end_state end;
	struct outbuf bytes = { 0 };

	if (!size || size < 1 + (size_t)(data[0] % 16) || size > 4096)
		return 0;
	if (!started)
		start();
	started = true;
	plan.cuts = (struct fuzz_cuts){ data + 1, data[0] % 16 };
	plan.bytes = (const char *)data + 1 + plan.cuts.n;
	plan.len = size - 1 - plan.cuts.n;
	read_requests(plan.bytes, plan.len);
	serving_run(&plan, &bytes, &end);
	replies_read(&replies, bytes.data, bytes.len, has_body, NULL, false);
	for (unsigned i = 0; i < replies.n; i++) {
		const struct reply_read *reply = &replies.items[i];
		const char *head = reply->head.data;

		if (reply->body.len && memmem(head, reply->head.len, "application/json", 16))
			check_json(reply);
		else
			FUZZ_CHECK(reply->status < 400 || !reply->body.len, "%d, and no JSON", reply->status);
	}
	replies_finish(&replies);
	outbuf_finish(&bytes);
	/* The next input finds what this one found. */
	(void)faults_clear(&faults, 0);
	faults.last_id = 0;
	uv_timer_stop(&admin.expiry);
	admin.drill.phase = DRILL_NONE;
	return 0;
}
