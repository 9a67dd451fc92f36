/* app_stream.c - handlers whose replies are streams, or that take bodies by the piece. */
#include "support/app.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KB = 1024, HIGH = 256 * KB };

/* Over all workers and their incarnations. */
static _Atomic unsigned long begun, told, ended, unsent_most;

/* Once, when nobody takes it any more; a stream that is written by its own timer ends by that. */
static void on_gone(struct rms_request *req, void *arg)
{
	struct pending *pending = arg;

	if (!rms_request_gone(req))
		return;
	atomic_fetch_add(&told, 1);
	atomic_fetch_add(&ended, 1);
	rms_reply_end(req);
	app_end(pending);
}

static void write_kb(struct pending *pending)
{
	char kb[KB];

	memset(kb, 's', sizeof(kb));
	if (!rms_reply_write(pending->req, kb, sizeof(kb)))
		return;
	if (--pending->left)
		return;
	atomic_fetch_add(&ended, 1);
	rms_reply_end(pending->req);
	app_end(pending);
}

/* /stream/:kb/:ms: a KB each ms. The head goes out at once, the first KB with it if now. */
static void stream(struct rms_request *req, bool now)
{
	struct pending *pending = app_later(req, write_kb, app_number(req, "ms"), true);

	if (!pending)
		return;
	atomic_fetch_add(&begun, 1);
	pending->left = app_number(req, "kb");
	rms_reply_header(req, "X-Streamed", "yes");
	rms_reply_on_room(req, on_gone, pending);
	rms_reply_begin(req, 200, "text/plain");
	if (now)
		write_kb(pending);
}

void app_stream(struct rms_request *req, void *state)
{
	(void)state;
	stream(req, true);
}

static void begin_late(struct pending *pending)
{
	struct rms_request *req = pending->req;

	app_end(pending);
	stream(req, false);
}

/* The same, begun from a callback. */
void app_stream_behind(struct rms_request *req, void *state)
{
	(void)state;
	(void)app_later(req, begin_late, 1, false);
}

/* /stream-now/:n: begun, written and ended in the handler. */
void app_stream_now(struct rms_request *req, void *state)
{
	unsigned long n = app_number(req, "n");

	(void)state;
	rms_reply_begin(req, 200, "text/plain");
	for (unsigned long i = 0; i < n; i++) {
		rms_reply_write(req, "", 0);
		rms_reply_write(req, "piece\n", 6);
	}
	rms_reply_end(req);
}

/* /stream-status/:n: a stream with that status. */
void app_stream_status(struct rms_request *req, void *state)
{
	(void)state;
	rms_reply_begin(req, (int)app_number(req, "n"), NULL);
	rms_reply_write(req, "body", 4);
	rms_reply_end(req);
}

/* All that an app can do wrong with a stream: none of it shows. */
void app_stream_wrong(struct rms_request *req, void *state)
{
	(void)state;
	rms_reply_write(req, "before", 6);
	rms_reply_end(req);
	rms_reply_begin(req, 200, "text/plain");
	rms_reply_begin(req, 500, "text/html");
	rms_reply_header(req, "X-Late", "yes");
	rms_reply_text(req, 404, "another");
	rms_reply_write(req, "right", 5);
	rms_reply_end(req);
	rms_reply_write(req, "after", 5);
	rms_reply_end(req);
}

/* Writes while there is room, and never has much waiting. */
static void pump(struct rms_request *req, void *arg)
{
	struct pending *pending = arg;
	char kb[KB];

	if (rms_request_gone(req)) {
		on_gone(req, arg);
		return;
	}
	memset(kb, 'p', sizeof(kb));
	while (pending->left && rms_reply_unsent(req) < HIGH) {
		/* on_gone() is called for that. */
		if (!rms_reply_write(req, kb, sizeof(kb)))
			return;
		pending->left--;
	}
	if (rms_reply_unsent(req) > atomic_load(&unsent_most))
		atomic_store(&unsent_most, rms_reply_unsent(req));
	if (pending->left)
		return;
	atomic_fetch_add(&ended, 1);
	rms_reply_end(req);
	app_end(pending);
}

static void on_nothing(struct pending *pending)
{
	(void)pending;
}

/* /pump/:kb: as fast as the client takes it. */
void app_stream_pump(struct rms_request *req, void *state)
{
	struct pending *pending = app_later(req, on_nothing, 3600 * 1000, false);

	(void)state;
	if (!pending)
		return;
	atomic_fetch_add(&begun, 1);
	pending->left = app_number(req, "kb");
	rms_reply_on_room(req, pump, pending);
	rms_reply_begin(req, 200, NULL);
	pump(req, pending);
}

/* How many streams were begun, ended, and told that nobody takes them any more; the most that waited unsent. */
void app_streams(struct rms_request *req, void *state)
{
	(void)state;
	rms_reply_textf(req, 200, "begun=%lu ended=%lu told=%lu unsent=%lu\n", atomic_load(&begun), atomic_load(&ended),
		atomic_load(&told), atomic_load(&unsent_most));
}

/* Of an upload. */
struct sum {
	unsigned long bytes, pieces, sum;
};

static struct sum *sum_of(struct rms_request *req)
{
	void **context = rms_request_context(req);

	if (!*context) {
		*context = rms_request_alloc(req, sizeof(struct sum));
		if (*context)
			memset(*context, 0, sizeof(struct sum));
	}
	return *context;
}

void app_upload_piece(struct rms_request *req, void *state, const void *bytes, size_t len)
{
	struct sum *sum = sum_of(req);
	const unsigned char *at = bytes;

	(void)state;
	sum->bytes += len;
	sum->pieces++;
	for (size_t i = 0; i < len; i++)
		sum->sum = sum->sum * 31 + at[i];
}

/* Long enough to be killed inside; what it was lent is read at its end. */
void app_upload_slowly(struct rms_request *req, void *state, const void *bytes, size_t len)
{
	usleep((useconds_t)app_number(req, "ms") * 1000);
	app_upload_piece(req, state, bytes, len);
}

void app_upload(struct rms_request *req, void *state)
{
	const struct sum *sum = sum_of(req);
	size_t len;

	(void)state;
	(void)rms_request_body(req, &len);
	rms_reply_textf(req, 200, "%lu bytes sum %lu left %zu attempt %u\n", sum->bytes, sum->sum, len,
		rms_request_attempt(req));
}

static void reply_upload(struct pending *pending)
{
	app_upload(pending->req, pending->app);
	app_end(pending);
}

/* Answers a while after the last piece. */
void app_upload_later(struct rms_request *req, void *state)
{
	(void)state;
	(void)app_later(req, reply_upload, app_number(req, "ms"), false);
}

/* Answers with a stream. */
void app_upload_stream(struct rms_request *req, void *state)
{
	const struct sum *sum = sum_of(req);

	(void)state;
	rms_reply_begin(req, 200, NULL);
	if (sum->bytes)
		rms_reply_write(req, "some", 4);
	rms_reply_end(req);
}

void app_upload_refused(struct rms_request *req, void *state, const void *bytes, size_t len)
{
	(void)state;
	(void)bytes;
	(void)len;
	rms_reply_text(req, 403, "not you\n");
}

static void refuse(struct pending *pending)
{
	rms_reply_text(pending->req, 403, "not you, after a while\n");
	app_end(pending);
}

/* Its client has gone meanwhile. */
static void drop_refusal(struct rms_request *req, void *arg)
{
	if (!rms_request_gone(req))
		return;
	rms_reply_text(req, 403, "nobody is there\n");
	app_end(arg);
}

void app_upload_refused_later(struct rms_request *req, void *state, const void *bytes, size_t len)
{
	(void)state;
	(void)bytes;
	(void)len;
	if (*rms_request_context(req))
		return;
	*rms_request_context(req) = app_later(req, refuse, 20, false);
	rms_reply_on_room(req, drop_refusal, *rms_request_context(req));
}
