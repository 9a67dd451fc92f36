/* fault.c - which fault hits a request, and the handlers that stand in for its own. */
#include "http/fault.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "http/request.h"
#include "http/service.h"
#include "http/status.h"

/* A request that was hit; in its arena. */
struct fault_hit {
	struct list_node node; /* of the delays that wait */
	struct rms_request *req;
	unsigned id;
	int status;
	uint64_t due_ns, until_ns; /* a delay does not outlive its fault's time */
};

static const uint64_t NS_PER_MS = 1000000;

/* ---- the table ---- */

void faults_init(struct faults *faults)
{
	*faults = (struct faults){ 0 };
	lock_init(&faults->lock);
}

void faults_finish(struct faults *faults)
{
	lock_finish(&faults->lock);
}

static unsigned count(const struct faults *faults)
{
	return atomic_load_explicit(&faults->active, memory_order_relaxed);
}

static void set_count(struct faults *faults, unsigned n)
{
	atomic_store_explicit(&faults->active, n, memory_order_relaxed);
}

/* Keeps the faults with another id than this (0: all ids are other) that end after now_ns. */
static void keep_others(struct faults *faults, unsigned id, uint64_t now_ns) REQUIRES(faults->lock)
{
	unsigned n = count(faults), kept = 0;

	for (unsigned i = 0; i < n; i++)
		if (faults->table[i].id != id && faults->table[i].until_ns > now_ns)
			faults->table[kept++] = faults->table[i];
	set_count(faults, kept);
}

unsigned faults_add(struct faults *faults, const struct fault *fault)
{
	unsigned n, id = 0;

	assert(fault->percent >= 1 && fault->percent <= 100 && (fault->status != 0) != (fault->delay_ms != 0));
	lock_acquire(&faults->lock);
	n = count(faults);
	if (n < FAULTS_MAX) {
		id = ++faults->last_id;
		faults->table[n] = *fault;
		faults->table[n].id = id;
		faults->table[n].hits = 0;
		faults->table[n].owed = 0;
		set_count(faults, n + 1);
	}
	lock_release(&faults->lock);
	return id;
}

unsigned faults_clear(struct faults *faults, unsigned id)
{
	unsigned before, after;

	lock_acquire(&faults->lock);
	before = count(faults);
	if (id)
		keep_others(faults, id, 0);
	else
		set_count(faults, 0);
	after = count(faults);
	lock_release(&faults->lock);
	return before - after;
}

unsigned faults_expire(struct faults *faults, uint64_t now_ns)
{
	unsigned left;

	lock_acquire(&faults->lock);
	keep_others(faults, 0, now_ns);
	left = count(faults);
	lock_release(&faults->lock);
	return left;
}

unsigned faults_list(struct faults *faults, uint64_t now_ns, struct fault copies[FAULTS_MAX])
{
	unsigned n = 0;

	lock_acquire(&faults->lock);
	for (unsigned i = 0; i < count(faults); i++)
		if (faults->table[i].until_ns > now_ns)
			copies[n++] = faults->table[i];
	lock_release(&faults->lock);
	return n;
}

static bool looks_at(const struct fault *fault, const char *worker, const char *path, uint64_t now_ns)
{
	return fault->until_ns > now_ns && (!*fault->worker || !strcmp(fault->worker, worker)) &&
		!strncmp(path, fault->path, strlen(fault->path));
}

bool faults_choose(struct faults *faults, const char *worker, const char *path, uint64_t now_ns, struct fault *chosen)
{
	bool hit = false;

	lock_acquire(&faults->lock);
	for (unsigned i = 0; i < count(faults) && !hit; i++) {
		struct fault *fault = &faults->table[i];

		if (!looks_at(fault, worker, path, now_ns))
			continue;
		fault->owed += fault->percent;
		if (fault->owed < 100)
			continue;
		fault->owed -= 100;
		fault->hits++;
		*chosen = *fault;
		hit = true;
	}
	lock_release(&faults->lock);
	return hit;
}

/* ---- a request that is hit ---- */

static void name_fault(struct rms_request *req)
{
	char id[16];

	snprintf(id, sizeof(id), "%u", req->fault->id);
	rms_reply_header(req, "X-Rmsd-Fault", id);
}

static void reply_status(struct rms_request *req, void *state)
{
	(void)state;
	name_fault(req);
	req->reply.cause = CAUSE_FAULT;
	rms_reply_textf(req, req->fault->status, "%s: fault %u, injected for a drill\n",
		status_reason(req->fault->status), req->fault->id);
}

static void on_due(uv_timer_t *timer);

/* For the first that waits. */
static void start_timer(struct service *service)
{
	const struct fault_hit *first = list_entry(service->delays.waiting.head.next, struct fault_hit, node);
	uint64_t now_ns = uv_hrtime();
	uint64_t wait_ns = first->due_ns > now_ns ? first->due_ns - now_ns : 0;

	/* The timer counts from the loop's idea of now, which may be old: then on_due() is early and starts it anew. */
	uv_timer_start(&service->delays.timer, on_due, (wait_ns + NS_PER_MS - 1) / NS_PER_MS, 0);
}

static void wait_in_turn(struct service *service, struct fault_hit *hit)
{
	struct list_node *head = &service->delays.waiting.head, *at = head;

	/* Most are due after all others. */
	while (at->prev != head && list_entry(at->prev, struct fault_hit, node)->due_ns > hit->due_ns)
		at = at->prev;
	list_insert(at, &hit->node);
	if (head->next == &hit->node)
		start_timer(service);
}

/* Returns without a reply: the request is deferred. */
static void delay(struct rms_request *req, void *state)
{
	(void)state;
	name_fault(req);
	req->fault->due_ns += uv_hrtime();
	if (req->fault->due_ns > req->fault->until_ns)
		req->fault->due_ns = req->fault->until_ns;
	wait_in_turn(req->service, req->fault);
}

/* Does its client still wait here for an answer? */
static bool is_wanted(struct service *service, const struct rms_request *req)
{
	const struct slot *slot;
	bool wanted;

	lock_acquire(&service->owner.lock);
	slot = service->owner.revoked ? NULL : owner_find(&service->owner, req->tag);
	wanted = slot && slot->request == req;
	lock_release(&service->owner.lock);
	return wanted;
}

static void on_due(uv_timer_t *timer)
{
	struct service *service = timer->data;
	uint64_t now_ns = uv_hrtime();

	while (!list_empty(&service->delays.waiting)) {
		struct fault_hit *hit = list_entry(service->delays.waiting.head.next, struct fault_hit, node);
		struct rms_request *req = hit->req;

		if (hit->due_ns > now_ns) {
			start_timer(service);
			return;
		}
		list_remove(&hit->node);
		if (is_wanted(service, req))
			req->match.route->handle(req, service->state);
		else
			rms_reply_text(req, 503, ""); /* dropped; and with it the request */
		service_beat(service);
	}
}

void fault_apply(struct service *service, struct rms_request *req)
{
	struct fault chosen;
	struct fault_hit *hit;

	if (req->match.route->uncounted ||
		!faults_choose(service->set.faults, service->worker, req->path, uv_hrtime(), &chosen))
		return;
	hit = arena_alloc(&req->arena, sizeof(*hit));
	if (!hit)
		return;
	*hit = (struct fault_hit){
		.req = req,
		.id = chosen.id,
		.status = chosen.status,
		.due_ns = chosen.delay_ms * NS_PER_MS,
		.until_ns = chosen.until_ns,
	};
	req->fault = hit;
	req->handle = chosen.status ? reply_status : delay;
	metrics_add(service->set.shard, METRIC_faults_injected + (chosen.status ? FAULT_STATUS : FAULT_DELAY), 1);
}

void delays_open(struct service *service)
{
	list_init(&service->delays.waiting);
	uv_timer_init(service->loop, &service->delays.timer);
	service->delays.timer.data = service;
}

void delays_close(struct service *service)
{
	uv_close((uv_handle_t *)&service->delays.timer, NULL);
}
