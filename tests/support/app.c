/* app.c - the app that system tests run: handlers that echo, wait, block, and answer at length. */
#include "support/app.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Over all workers and their incarnations: tells a request that ran twice from two requests. */
static _Atomic unsigned long total_counted;

unsigned long app_number(const struct rms_request *req, const char *param)
{
	return strtoul(rms_request_param(req, param), NULL, 10);
}

static void get_root(struct rms_request *req, void *state)
{
	(void)state;
	rms_reply_text(req, 200, "testapp\n");
}

static void get_echo(struct rms_request *req, void *state)
{
	(void)state;
	rms_reply_text(req, 200, rms_request_param(req, "n"));
}

static void post_echo(struct rms_request *req, void *state)
{
	size_t len;
	const char *body = rms_request_body(req, &len);

	(void)state;
	rms_reply_bytes(req, 200, "application/octet-stream", body, len);
}

static void free_pending(uv_handle_t *handle)
{
	free(handle);
}

void app_end(struct pending *pending)
{
	*pending->link = pending->next;
	if (pending->next)
		pending->next->link = pending->link;
	if (pending->ended)
		pending->ended(pending);
	uv_close((uv_handle_t *)&pending->timer, free_pending);
}

static void on_timer(uv_timer_t *timer)
{
	struct pending *pending = (struct pending *)timer;

	pending->due(pending);
}

struct pending *app_later(struct rms_request *req, void (*due)(struct pending *pending), unsigned long ms, bool repeat)
{
	struct testapp *app = rms_request_state(req);
	struct pending *pending = calloc(1, sizeof(*pending));

	if (!pending || uv_timer_init(rms_request_loop(req), &pending->timer) < 0) {
		free(pending);
		rms_reply_text(req, 500, "out of memory\n");
		return NULL;
	}
	pending->req = req;
	pending->app = app;
	pending->due = due;
	pending->link = &app->pending;
	pending->next = app->pending;
	if (pending->next)
		pending->next->link = &pending->next;
	app->pending = pending;
	uv_timer_start(&pending->timer, on_timer, ms, repeat ? ms : 0);
	return pending;
}

static void on_due(struct pending *pending)
{
	rms_reply_textf(pending->req, 200, "slept on %s\n", rms_request_worker(pending->req));
	app_end(pending);
}

static void defer(struct rms_request *req, void *state)
{
	(void)state;
	(void)app_later(req, on_due, app_number(req, "ms"), false);
}

/* Holds the worker's thread, as a handler that computes or makes a blocking call does. */
static void block(struct rms_request *req, void *state)
{
	unsigned long ms = app_number(req, "ms");
	uint64_t until = uv_hrtime() + ms * 1000000;

	(void)state;
	while (uv_hrtime() < until)
		usleep(500);
	rms_reply_textf(req, 200, "was busy on %s\n", rms_request_worker(req));
}

/* Mostly quick; now and then long enough to be killed inside. Reads what it was lent until its end. */
static void get_jitter(struct rms_request *req, void *state)
{
	struct testapp *app = state;
	const char *n = rms_request_param(req, "n");
	unsigned long turn = app->counted++ * 2654435761u % 1024, loops = turn < 4 ? 40 : turn < 24 ? 2 : 0;
	size_t len = strlen(n);

	while (loops--) {
		usleep(500);
		if (strlen(n) != len || strcmp(rms_request_method(req), "GET") != 0)
			abort();
	}
	rms_reply_text(req, 200, n);
}

static void post_count(struct rms_request *req, void *state)
{
	struct testapp *app = state;

	app->counted++;
	atomic_fetch_add(&total_counted, 1);
	rms_reply_textf(req, 200, "%lu\n", app->counted);
}

static void get_count(struct rms_request *req, void *state)
{
	const struct testapp *app = state;

	rms_reply_textf(req, 200, "%lu\n", app->counted);
}

static void get_total(struct rms_request *req, void *state)
{
	(void)state;
	rms_reply_textf(req, 200, "%lu\n", atomic_load(&total_counted));
}

static void get_big(struct rms_request *req, void *state)
{
	size_t len = app_number(req, "kb") * 1024;
	char *bytes = malloc(len + 1);

	(void)state;
	if (!bytes) {
		rms_reply_text(req, 500, "out of memory\n");
		return;
	}
	memset(bytes, 'b', len);
	rms_reply_bytes(req, 200, "application/octet-stream", bytes, len);
	free(bytes);
}

static void get_never(struct rms_request *req, void *state)
{
	(void)req;
	(void)state;
}

static void get_twice(struct rms_request *req, void *state)
{
	(void)state;
	rms_reply_text(req, 200, "first");
	rms_reply_header(req, "X-Late", "yes");
	rms_reply_text(req, 500, "second");
}

/* What an app does that cannot go on. */
static void get_fail(struct rms_request *req, void *state)
{
	(void)state;
	uv_stop(rms_request_loop(req));
	rms_reply_text(req, 200, "this was the last one\n");
}

static void get_worker(struct rms_request *req, void *state)
{
	(void)state;
	rms_reply_text(req, 200, rms_request_worker(req));
}

static _Atomic int held_descriptors[4096];
static _Atomic unsigned n_held;

/* An app that leaks descriptors, or has many files open. */
static void post_hold(struct rms_request *req, void *state)
{
	unsigned long n = app_number(req, "n"), got = 0;

	(void)state;
	for (; got < n && atomic_load(&n_held) < sizeof(held_descriptors) / sizeof(held_descriptors[0]); got++) {
		int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			break;
		held_descriptors[atomic_fetch_add(&n_held, 1)] = fd;
	}
	rms_reply_textf(req, 200, "%lu\n", got);
}

static void post_let_go(struct rms_request *req, void *state)
{
	unsigned n = atomic_load(&n_held);

	(void)state;
	atomic_store(&n_held, 0);
	for (unsigned i = 0; i < n; i++)
		close(held_descriptors[i]);
	rms_reply_textf(req, 200, "%u\n", n);
}

/* What reached the handler, a line each. */
static void get_asked(struct rms_request *req, void *state)
{
	const char *field = rms_request_header(req, "x-test");

	(void)state;
	rms_reply_header(req, "X-Answer", "given");
	rms_reply_textf(req, 200, "%s\n%s\n%s\n%s\n", rms_request_method(req), rms_request_path(req),
		rms_request_query(req), field ? field : "(none)");
}

static void get_host(struct rms_request *req, void *state)
{
	const char *host = rms_request_header(req, "host");

	(void)state;
	rms_reply_textf(req, 200, "%s %s?%s\n", host ? host : "(none)", rms_request_path(req), rms_request_query(req));
}

static void reply_trace(struct rms_request *req)
{
	const char *parent = rms_request_traceparent(req);

	rms_reply_header(req, "X-Request-Id", rms_request_id(req));
	rms_reply_textf(req, 200, "%s %s\n", rms_request_id(req), parent ? parent : "-");
}

/* How it is recognised. */
static void get_trace(struct rms_request *req, void *state)
{
	(void)state;
	reply_trace(req);
}

static void on_trace_due(struct pending *pending)
{
	reply_trace(pending->req);
	app_end(pending);
}

/* The first attempt takes its time, and has said what it is known by. */
static char first_id[200];

static void get_trace_later(struct rms_request *req, void *state)
{
	(void)state;
	if (rms_request_attempt(req) == 1) {
		strncpy(first_id, rms_request_id(req), sizeof(first_id) - 1);
		(void)app_later(req, on_trace_due, app_number(req, "ms"), false);
		return;
	}
	rms_reply_header(req, "X-First-Id", first_id);
	reply_trace(req);
}

static void stop(void *state)
{
	struct testapp *app = state;

	while (app->pending)
		app_end(app->pending);
}

static const struct rms_route routes[] = {
	{ "GET", "/", get_root, NULL, NULL },
	{ "GET", "/echo/:n", get_echo, NULL, NULL },
	{ "POST", "/echo", post_echo, NULL, NULL },
	{ "GET", "/jitter/:n", get_jitter, NULL, NULL },
	{ "GET", "/slow/:ms", defer, NULL, NULL },
	{ "POST", "/slow/:ms", defer, NULL, NULL },
	{ "GET", "/busy/:ms", block, NULL, NULL },
	{ "POST", "/busy/:ms", block, NULL, NULL },
	{ "POST", "/count", post_count, NULL, NULL },
	{ "GET", "/count", get_count, NULL, NULL },
	{ "GET", "/total", get_total, NULL, NULL },
	{ "GET", "/big/:kb", get_big, NULL, NULL },
	{ "GET", "/fixed/:kb", app_fixed, NULL, NULL },
	{ "GET", "/later/:kb/:ms", app_later_large, NULL, NULL },
	{ "GET", "/large-twice/:status", app_large_twice, NULL, NULL },
	{ "GET", "/never", get_never, NULL, NULL },
	{ "GET", "/twice", get_twice, NULL, NULL },
	{ "GET", "/fail", get_fail, NULL, NULL },
	{ "GET", "/worker", get_worker, NULL, NULL },
	{ "GET", "/asked", get_asked, NULL, NULL },
	{ "GET", "/host", get_host, NULL, NULL },
	{ "GET", "/trace", get_trace, NULL, NULL },
	{ "GET", "/trace/:ms", get_trace_later, NULL, NULL },
	{ "POST", "/hold/:n", post_hold, NULL, NULL },
	{ "POST", "/let-go", post_let_go, NULL, NULL },
	{ "GET", "/journal/:id/defer/:ms", app_journal_defer, NULL, NULL },
	{ "POST", "/journal/:id/defer/:ms", app_journal_defer, NULL, NULL },
	{ "PUT", "/journal/:id/defer/:ms", app_journal_defer, NULL, NULL },
	{ "DELETE", "/journal/:id/defer/:ms", app_journal_defer, NULL, NULL },
	{ "GET", "/journal/:id/block/:ms", app_journal_block, NULL, NULL },
	{ "POST", "/journal/:id/block/:ms", app_journal_block, NULL, NULL },
	{ "PUT", "/journal/:id/block/:ms", app_journal_block, NULL, NULL },
	{ "DELETE", "/journal/:id/block/:ms", app_journal_block, NULL, NULL },
	{ "GET", "/journal/twice", app_journal_twice, NULL, NULL },
	{ "GET", "/journal/overlaps", app_journal_overlaps, NULL, NULL },
	{ "GET", "/journal/total", app_journal_total, NULL, NULL },
	{ "GET", "/attempt", app_attempt, NULL, NULL },
	{ "GET", "/spin/:ms", app_spin, NULL, NULL },
	{ "GET", "/spin-always/:ms", app_spin_always, NULL, NULL },
	{ "GET", "/stream/:kb/:ms", app_stream, NULL, NULL },
	{ "POST", "/stream/:kb/:ms", app_stream, NULL, NULL },
	{ "GET", "/stream-behind/:kb/:ms", app_stream_behind, NULL, NULL },
	{ "GET", "/stream-now/:n", app_stream_now, NULL, NULL },
	{ "GET", "/stream-status/:n", app_stream_status, NULL, NULL },
	{ "GET", "/stream-wrong", app_stream_wrong, NULL, NULL },
	{ "GET", "/pump/:kb", app_stream_pump, NULL, NULL },
	{ "GET", "/streams", app_streams, NULL, NULL },
	{ "POST", "/upload", app_upload, NULL, app_upload_piece },
	{ "PUT", "/upload/:ms", app_upload_later, NULL, app_upload_piece },
	{ "POST", "/upload/slowly/:ms", app_upload, NULL, app_upload_slowly },
	{ "POST", "/upload/stream", app_upload_stream, NULL, app_upload_piece },
	{ "POST", "/upload/refused", app_upload, NULL, app_upload_refused },
	{ "POST", "/upload/refused-later", app_upload, NULL, app_upload_refused_later },
	{ NULL, NULL, NULL, NULL, NULL },
};

static const struct rms_app app = {
	.name = "testapp",
	.state_size = sizeof(struct testapp),
	.routes = routes,
	.stop = stop,
};

int main(int argc, char **argv)
{
	app_large_init();
	return rms_main(argc, argv, &app);
}
