/* faults.c - /v1/faults: add, list, clear; and the end of those whose time is over. */
#include <stdio.h>
#include <string.h>

#include "admin/door.h"
#include "http/fault.h"

enum { EXPIRY_MS = 20 };

/* For the metric and the timer; called after each change. */
static void show_active(struct admin *admin)
{
	unsigned active = atomic_load_explicit(&admin->set.faults->active, memory_order_relaxed);

	metrics_set(admin->shard, METRIC_faults_active, active);
	if (!active)
		uv_timer_stop(&admin->expiry);
}

static void on_expiry(uv_timer_t *timer)
{
	struct admin *admin = timer->data;

	(void)faults_expire(admin->set.faults, uv_hrtime());
	show_active(admin);
}

void door_open_faults(struct admin *admin, uv_loop_t *loop)
{
	uv_timer_init(loop, &admin->expiry);
	admin->expiry.data = admin;
}

/* Whether faults are on, and the generation is the one that the operator has seen; if not, it has been answered. */
static bool may(struct rms_request *req, const struct query *query)
{
	const struct query_value *wanted = &query->values[QUERY_IF_GENERATION];
	const struct admin *admin = door_admin(req);
	uint64_t generation = fleet_generation(admin->set.fleet);

	if (admin->set.conf->faults == FLAG_OFF)
		door_refuse(req, 409, "%s", DOOR_FAULTS_OFF);
	else if (wanted->given && wanted->number != generation)
		door_refuse(req, 409, "the generation is %llu, not %llu: somebody was faster",
			(unsigned long long)generation, (unsigned long long)wanted->number);
	else
		return true;
	return false;
}

/* Copies what is not too long. */
static bool copy(char *to, size_t size, const struct query_value *value)
{
	return !value->given || snprintf(to, size, "%s", value->text) < (int)size;
}

/* The query to a fault; false: the request has been answered. */
static bool read_fault(struct rms_request *req, const struct query *query, struct fault *fault)
{
	const struct query_value *values = query->values;
	const char *path = values[QUERY_PATH].text;

	if (values[QUERY_DELAY].given == values[QUERY_STATUS].given) {
		door_refuse(req, 400, "a fault has either a delay or a status");
		return false;
	}
	if (values[QUERY_WORKER].given && door_find_worker(req, values[QUERY_WORKER].text) < 0)
		return false;
	*fault = (struct fault){
		.status = (int)values[QUERY_STATUS].number,
		.delay_ms = values[QUERY_DELAY].number,
		.percent = values[QUERY_PERCENT].given ? (unsigned)values[QUERY_PERCENT].number : 100,
		.until_ns = uv_hrtime() + values[QUERY_TTL].number * 1000000,
	};
	if ((path && *path != '/') || !copy(fault->path, sizeof(fault->path), &values[QUERY_PATH])) {
		door_refuse(
			req, 400, "path: not a prefix of one (begins with /, at most %d bytes)", FAULT_PATH_MAX - 1);
		return false;
	}
	/* Of a worker that there is. */
	(void)copy(fault->worker, sizeof(fault->worker), &values[QUERY_WORKER]);
	return true;
}

static void reply(struct rms_request *req, const char *key, unsigned value)
{
	struct outbuf out = { 0 };

	outbuf_printf(&out, "{\"ok\":true,\"%s\":%u,\"generation\":%llu}\n", key, value,
		(unsigned long long)fleet_generation(door_admin(req)->set.fleet));
	door_reply_json(req, 200, &out);
}

static void post_faults(struct rms_request *req, void *state)
{
	enum {
		NEEDED = QUERY_BIT(QUERY_TTL),
		ACCEPTED = NEEDED | QUERY_BIT(QUERY_IF_GENERATION) | QUERY_BIT(QUERY_DELAY) | QUERY_BIT(QUERY_STATUS) |
			QUERY_BIT(QUERY_PERCENT) | QUERY_BIT(QUERY_WORKER) | QUERY_BIT(QUERY_PATH),
	};
	struct admin *admin = door_admin(req);
	struct door_asker asker;
	struct fault fault;
	struct query query;
	unsigned id;

	(void)state;
	if (!door_read(req, &query, ACCEPTED, NEEDED) || !may(req, &query) || !read_fault(req, &query, &fault))
		return;
	id = faults_add(admin->set.faults, &fault);
	if (!id) {
		door_refuse(req, 409, "there are %d faults already, and there can be no more", FAULTS_MAX);
		return;
	}
	show_active(admin);
	uv_timer_start(&admin->expiry, on_expiry, EXPIRY_MS, EXPIRY_MS);
	door_ask(req, &asker);
	door_audit(&asker, "fault-add", "status=200 fault=%u", id);
	reply(req, "id", id);
}

static void delete_faults(struct rms_request *req, void *state)
{
	struct admin *admin = door_admin(req);
	struct door_asker asker;
	struct query query;
	unsigned id, cleared;

	(void)state;
	if (!door_read(req, &query, QUERY_BIT(QUERY_ID) | QUERY_BIT(QUERY_IF_GENERATION), 0) || !may(req, &query))
		return;
	id = (unsigned)query.values[QUERY_ID].number;
	cleared = faults_clear(admin->set.faults, id);
	if (id && !cleared) {
		door_refuse(req, 404, "no fault %u", id);
		return;
	}
	show_active(admin);
	door_ask(req, &asker);
	door_audit(&asker, "fault-clear", "status=200 cleared=%u", cleared);
	reply(req, "cleared", cleared);
}

static void write_or_null(struct outbuf *out, const char *key, const char *text)
{
	outbuf_printf(out, ",\"%s\":", key);
	if (*text)
		door_quote(out, text);
	else
		outbuf_text(out, "null");
}

static void write_fault(struct outbuf *out, const struct fault *fault, uint64_t now_ns)
{
	outbuf_printf(out, "{\"id\":%u", fault->id);
	if (fault->status)
		outbuf_printf(out, ",\"delay_ms\":null,\"status\":%d", fault->status);
	else
		outbuf_printf(out, ",\"delay_ms\":%llu,\"status\":null", (unsigned long long)fault->delay_ms);
	outbuf_printf(out, ",\"percent\":%u", fault->percent);
	write_or_null(out, "worker", fault->worker);
	write_or_null(out, "path", fault->path);
	outbuf_printf(out, ",\"ttl_ms\":%llu,\"hits\":%llu}", (unsigned long long)(fault->until_ns - now_ns) / 1000000,
		(unsigned long long)fault->hits);
}

static void get_faults(struct rms_request *req, void *state)
{
	struct admin *admin = door_admin(req);
	struct fault faults[FAULTS_MAX];
	uint64_t now_ns = uv_hrtime();
	struct outbuf out = { 0 };
	struct query query;
	unsigned n;

	(void)state;
	if (!door_read(req, &query, 0, 0) || !may(req, &query))
		return;
	n = faults_list(admin->set.faults, now_ns, faults);
	outbuf_text(&out, "{\"ok\":true,\"faults\":[");
	for (unsigned i = 0; i < n; i++) {
		outbuf_text(&out, i ? "," : "");
		write_fault(&out, &faults[i], now_ns);
	}
	outbuf_printf(&out, "],\"generation\":%llu}\n", (unsigned long long)fleet_generation(admin->set.fleet));
	door_reply_json(req, 200, &out);
}

const struct rms_route door_fault_verbs[] = {
	{ .method = "POST", .path = "/v1/faults", .handle = post_faults },
	{ .method = "GET", .path = "/v1/faults", .handle = get_faults },
	{ .method = "DELETE", .path = "/v1/faults", .handle = delete_faults },
	{ 0 },
};
