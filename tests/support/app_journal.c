/* app_journal.c - handlers that keep books: which request ran how often, and whether two runs of it met. */
#include "support/app.h"

#include <stdatomic.h>
#include <unistd.h>

enum { IDS = 1 << 17 };

/* Over all workers and their incarnations. */
static _Atomic unsigned char runs[IDS], running[IDS];
static _Atomic unsigned long overlaps;

static unsigned long begin(const struct rms_request *req)
{
	unsigned long id = app_number(req, "id") % IDS;

	atomic_fetch_add(&runs[id], 1);
	if (atomic_fetch_add(&running[id], 1))
		atomic_fetch_add(&overlaps, 1);
	return id;
}

static void reply(struct rms_request *req)
{
	rms_reply_textf(req, 200, "%u %s\n", rms_request_attempt(req), rms_request_worker(req));
}

static void on_due(struct pending *pending)
{
	reply(pending->req);
	app_end(pending);
}

static void on_ended(struct pending *pending)
{
	atomic_fetch_sub(&running[pending->id], 1);
}

void app_journal_defer(struct rms_request *req, void *state)
{
	unsigned long id = begin(req);
	struct pending *pending = app_later(req, on_due, app_number(req, "ms"), false);

	(void)state;
	if (!pending)
		return;
	pending->id = id;
	pending->ended = on_ended;
}

static void spin(unsigned long ms)
{
	uint64_t until = uv_hrtime() + ms * 1000000;

	while (uv_hrtime() < until)
		usleep(500);
}

void app_journal_block(struct rms_request *req, void *state)
{
	unsigned long id = begin(req);

	(void)state;
	spin(app_number(req, "ms"));
	atomic_fetch_sub(&running[id], 1);
	reply(req);
}

void app_journal_twice(struct rms_request *req, void *state)
{
	unsigned long n = 0;

	(void)state;
	for (unsigned i = 0; i < IDS; i++)
		n += atomic_load_explicit(&runs[i], memory_order_relaxed) > 1;
	rms_reply_textf(req, 200, "%lu\n", n);
}

void app_journal_total(struct rms_request *req, void *state)
{
	unsigned long n = 0;

	(void)state;
	for (unsigned i = 0; i < IDS; i++)
		n += atomic_load_explicit(&runs[i], memory_order_relaxed);
	rms_reply_textf(req, 200, "%lu\n", n);
}

void app_journal_overlaps(struct rms_request *req, void *state)
{
	(void)state;
	rms_reply_textf(req, 200, "%lu\n", atomic_load(&overlaps));
}

void app_attempt(struct rms_request *req, void *state)
{
	(void)state;
	rms_reply_textf(req, 200, "%u\n", rms_request_attempt(req));
}

/* Turns without an end that anybody could wait for, but only the first time. */
void app_spin(struct rms_request *req, void *state)
{
	uint64_t until = uv_hrtime() + app_number(req, "ms") * 1000000;

	while (rms_request_attempt(req) == 1 && uv_hrtime() < until)
		;
	app_attempt(req, state);
}

void app_spin_always(struct rms_request *req, void *state)
{
	uint64_t until = uv_hrtime() + app_number(req, "ms") * 1000000;

	while (uv_hrtime() < until)
		;
	app_attempt(req, state);
}
