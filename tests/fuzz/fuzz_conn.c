/*
 * fuzz_conn.c - the request path, from bytes through http/conn, router and handlers to replies: each is sound, none is
 * too many, and the same bytes cut otherwise have the same replies.
 *
 * Input: a byte of flags (1: the connection moves between two workers behind each piece, 2: while requests are
 * deferred, 4: the client is silent at its end, 8: it goes away, 16: it reads late), a byte n, lengths of n % 16
 * pieces, then the bytes of the client.
 *
 * The bytes come once in one piece and then as the input says. What may differ between the two:
 *  - 100 Continue comes only when the body was not there with the head.
 *  - A request whose body is not here yet may be refused by its head, and then the connection closes behind the reply;
 *    with the whole body, the same reply may leave it open. So may an app's reply that comes before the body is whole.
 *  - A connection that moved may have a 503 in the place of a reply, where its request must not run twice, and the
 *    connection then closes if a part of that was here alone; a reply that had begun to stream is cut short by a reset.
 *  - A client that is silent at the end has a 408 more.
 */
#include "fuzz/fuzz.h"

#include <string.h>

#include <llhttp.h>

#include "fuzz/replies.h"
#include "fuzz/serving.h"
#include "http/request.h"
#include "http/router.h"

enum {
	FLAG_MOVES = 1,
	FLAG_DEFERRED = 2,
	FLAG_EXPIRE = 4,
	FLAG_GONE = 8,
	FLAG_LATE = 16,
	INPUT_MAX = 4096,
	WAITING_MAX = 1024
};

/* ---- the app ---- */

static struct rms_request *waiting[WAITING_MAX];
static unsigned n_waiting;

static void wait_for_attention(struct rms_request *req)
{
	FUZZ_CHECK(n_waiting < WAITING_MAX, "too many deferred requests");
	waiting[n_waiting++] = req;
}

static void get_text(struct rms_request *req, void *state)
{
	(void)state;
	rms_reply_text(req, 200, "text\n");
}

/* More than what is sent apart, and yet not much. */
static char big[160 * 256];

static size_t big_len(const struct rms_request *req)
{
	unsigned long n = strtoul(rms_request_param(req, "n"), NULL, 10);

	return n * 256 < sizeof(big) ? n * 256 : sizeof(big);
}

static void get_big(struct rms_request *req, void *state)
{
	(void)state;
	rms_reply_bytes(req, 200, NULL, big, big_len(req));
}

static void get_static(struct rms_request *req, void *state)
{
	(void)state;
	rms_reply_static(req, 200, "text/plain", big, big_len(req));
}

/* All that it is lent, so that what should not be read is. */
static void get_asked(struct rms_request *req, void *state)
{
	const char *field = rms_request_header(req, "x");

	(void)state;
	rms_reply_textf(req, 200, "%s %s %s %s %s\n", rms_request_method(req), rms_request_path(req),
		rms_request_query(req), rms_request_param(req, "p"), field ? field : "(none)");
}

static void post_echo(struct rms_request *req, void *state)
{
	size_t len;
	const char *body = rms_request_body(req, &len);

	(void)state;
	rms_reply_bytes(req, 200, "application/octet-stream", body, len);
}

static void defer(struct rms_request *req, void *state)
{
	(void)state;
	wait_for_attention(req);
}

static void stream(struct rms_request *req, void *state)
{
	(void)state;
	rms_reply_begin(req, 200, "text/plain");
	rms_reply_write(req, "first ", 6);
	wait_for_attention(req);
}

static void stream_now(struct rms_request *req, void *state)
{
	(void)state;
	rms_reply_begin(req, 200, NULL);
	rms_reply_write(req, "all of it", 9);
	rms_reply_end(req);
}

/* Of an upload: its bytes and a sum of them, and not in how many pieces they came. */
struct sum {
	unsigned long bytes, sum;
};

static void on_piece(struct rms_request *req, void *state, const void *bytes, size_t len)
{
	void **context = rms_request_context(req);
	struct sum *sum = *context;

	(void)state;
	if (!sum) {
		sum = *context = rms_request_alloc(req, sizeof(*sum));
		FUZZ_CHECK(sum, "out of memory");
		*sum = (struct sum){ 0 };
	}
	FUZZ_CHECK(len, "an empty piece");
	sum->bytes += len;
	for (size_t i = 0; i < len; i++)
		sum->sum = sum->sum * 31 + ((const unsigned char *)bytes)[i];
}

static void upload(struct rms_request *req, void *state)
{
	const struct sum *sum = *rms_request_context(req);

	(void)state;
	rms_reply_textf(req, 200, "%lu bytes, sum %lu\n", sum ? sum->bytes : 0, sum ? sum->sum : 0);
}

static void refuse_piece(struct rms_request *req, void *state, const void *bytes, size_t len)
{
	(void)state;
	(void)bytes;
	(void)len;
	rms_reply_text(req, 403, "not you\n");
}

static bool attend(void)
{
	unsigned n = n_waiting;

	n_waiting = 0;
	for (unsigned i = 0; i < n; i++) {
		struct rms_request *req = waiting[i];

		if (req->stream.begun) {
			rms_reply_write(req, "last", 4);
			rms_reply_end(req);
		} else {
			rms_reply_text(req, 200, "later\n");
		}
	}
	return n > 0;
}

static const struct rms_route routes[] = {
	{ "GET", "/", get_text, NULL, NULL },
	{ "GET", "/b/:n", get_big, NULL, NULL },
	{ "GET", "/t/:n", get_static, NULL, NULL },
	{ "GET", "/p/:p", get_asked, NULL, NULL },
	{ "POST", "/", post_echo, NULL, NULL },
	{ "PUT", "/", defer, NULL, NULL },
	{ "GET", "/d", defer, NULL, NULL },
	{ "POST", "/d", defer, NULL, NULL },
	{ "GET", "/s", stream, NULL, NULL },
	{ "POST", "/s", stream, NULL, NULL },
	{ "GET", "/n", stream_now, NULL, NULL },
	{ "POST", "/u", upload, NULL, on_piece },
	{ "PUT", "/u", defer, NULL, on_piece },
	{ "POST", "/r", upload, NULL, refuse_piece },
	{ 0 },
};

/* ---- what is to be answered, by the parser alone ---- */

struct asked {
	bool head; /* HEAD has no body in its reply */
	bool echo; /* its body is its reply's */
	const char *body;
	size_t body_len;
};

static struct {
	struct asked items[REPLIES_MAX];
	unsigned n;   /* replies that there are to be, if none closes */
	bool partial; /* bytes behind them begin one more */
	char chunked[INPUT_MAX];
	size_t chunked_len;
} asked;

static bool is_echo(const struct message *m, const char *bytes)
{
	return m->method == HTTP_POST && m->path.len == 1 && bytes[m->path.at] == '/';
}

static void read_requests(const char *bytes, size_t len)
{
	static struct message message;

	asked.n = 0;
	asked.partial = false;
	asked.chunked_len = 0;
	while (len) {
		struct asked *item = &asked.items[asked.n];
		enum message_status status;

		FUZZ_CHECK(asked.n < REPLIES_MAX - 1, "too many requests");
		message_init(&message);
		status = message_feed(&message, serving_limits(), bytes, len);
		*item = (struct asked){ .head = replies_are_to_head(bytes, len) };
		if (status == MESSAGE_COMPLETE && is_echo(&message, bytes)) {
			item->echo = true;
			item->body = bytes + message.body.at;
			item->body_len = message.body.len;
			if (message.chunked) {
				item->body = asked.chunked + asked.chunked_len;
				item->body_len = message.chunked_body.len;
				if (item->body_len)
					memcpy(asked.chunked + asked.chunked_len, message.chunked_body.data,
						item->body_len);
				asked.chunked_len += item->body_len;
			}
		}
		message_finish(&message);
		if (status == MESSAGE_PARTIAL) {
			asked.partial = true;
			return;
		}
		asked.n++;
		if (status == MESSAGE_BAD)
			return;
		bytes += message.length;
		len -= message.length;
	}
}

static bool has_body(void *arg, unsigned i)
{
	(void)arg;
	FUZZ_CHECK(i < asked.n + asked.partial, "reply %u to %u requests", i, asked.n);
	return !asked.items[i].head;
}

/* ---- */

static struct replies whole, cut;

static void check_bodies(const struct replies *replies)
{
	for (unsigned i = 0; i < replies->n; i++) {
		const struct reply_read *reply = &replies->items[i];
		const struct asked *item = &asked.items[i];

		if (i >= asked.n || !item->echo || reply->status != 200)
			continue;
		FUZZ_CHECK(reply->body.len == item->body_len &&
				(!item->body_len || !memcmp(reply->body.data, item->body, item->body_len)),
			"another body");
	}
}

static bool may_come_early(int status)
{
	/* 204: of OPTIONS. */
	return status == 204 || status == 403 || status == 404 || status == 405 || status == 413 || status == 417;
}

static bool equal(const struct outbuf *one, const struct outbuf *two)
{
	return one->len == two->len && (!one->len || !memcmp(one->data, two->data, one->len));
}

static void compare(unsigned flags, bool reset)
{
	unsigned n = whole.n < cut.n ? whole.n : cut.n;

	for (unsigned i = 0; i < n; i++) {
		const struct reply_read *one = &whole.items[i], *two = &cut.items[i];

		/* A body that ends with its connection tells by the reset that it is not whole. */
		if (two->cut || (two->until_end && reset))
			return;
		if ((flags & FLAG_MOVES) && two->status == 503) {
			if (two->close)
				return;
			continue;
		}
		FUZZ_CHECK(equal(&one->head, &two->head) && equal(&one->body, &two->body),
			"reply %u: %.*s%.*s, in pieces %.*s%.*s", i, (int)one->head.len, one->head.data,
			(int)one->body.len, one->body.data, (int)two->head.len, two->head.data, (int)two->body.len,
			two->body.data);
		FUZZ_CHECK(one->close == two->close || may_come_early(one->status), "reply %u: one of them closes", i);
		if (one->close || two->close)
			return;
	}
	if (reset)
		return;
	if ((flags & (FLAG_EXPIRE | FLAG_MOVES)) && cut.n == n + 1 &&
		(cut.items[n].status == 408 || cut.items[n].status == 503))
		return;
	FUZZ_CHECK(whole.n == cut.n || asked.partial, "%u replies, in pieces %u", whole.n, cut.n);
}

static void run(const struct serving_plan *plan, struct replies *replies, struct serving_end_state *end)
{
	struct outbuf bytes = { 0 };

	serving_run(plan, &bytes, end);
	FUZZ_CHECK(n_waiting == 0, "deferred requests are left");
	replies_read(replies, bytes.data, bytes.len, has_body, NULL, end->reset || plan->end == SERVING_GONE);
	check_bodies(replies);
	outbuf_finish(&bytes);
}

static void start(void)
{
	static const char *const overrides[] = { "max_header_size=512", "max_uri_size=96", "max_body_size=64",
		"access_log=/dev/null" };
	struct serving_setup setup = { .role = ROLE_PUBLIC,
		.overrides = overrides,
		.n_overrides = 4,
		.attend = attend,
		.loop = uv_default_loop() };
	struct router *router = router_create(true);

	FUZZ_CHECK(router && router_add(router, routes, false, NULL) == 0, "no routes");
	setup.routers[ROLE_PUBLIC] = router;
	serving_start(&setup);
	/* So that a piece in another's place is seen. */
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 2654435761U >> 24);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool started;
	struct serving_plan plan = { 0 };
	struct serving_end_state end;
	unsigned flags;

	if (size < 2 || size < 2 + (size_t)(data[1] % 16) || size > INPUT_MAX)
		return 0;
	if (!started)
		start();
	started = true;
	flags = data[0];
	plan.bytes = (const char *)data + 2 + data[1] % 16;
	plan.len = size - 2 - data[1] % 16;
	read_requests(plan.bytes, plan.len);
	run(&plan, &whole, &end);
	FUZZ_CHECK(whole.n == asked.n || (whole.n && whole.items[whole.n - 1].close), "%u replies to %u requests",
		whole.n, asked.n);
	plan.cuts = (struct fuzz_cuts){ data + 2, data[1] % 16 };
	plan.moves = flags & FLAG_MOVES;
	plan.deferred = flags & FLAG_DEFERRED;
	plan.late = flags & FLAG_LATE;
	plan.end = flags & FLAG_GONE ? SERVING_GONE : flags & FLAG_EXPIRE ? SERVING_EXPIRE : SERVING_SHUT;
	run(&plan, &cut, &end);
	if (plan.end != SERVING_GONE)
		compare(flags, end.reset);
	replies_finish(&whole);
	replies_finish(&cut);
	return 0;
}
