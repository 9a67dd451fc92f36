/* serving.c - pieces of bytes to a service, turn by turn, and its connection from one service to the other. */
#include "fuzz/serving.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "http/conn.h"
#include "http/request.h"

enum { FDS = 256, TURNS_MAX = 5000 };

static struct {
	struct serving_setup set;
	struct conf *conf;
	struct slots *slots;
	struct metrics_shard shard;
	struct service services[2];
} server;

/* Of the run. */
static struct {
	unsigned with; /* the service that has the connection */
	int fd, peer;  /* peer -1: closed */
	bool late;
	struct outbuf *replies;
	struct serving_end_state *end;
} client;

static void release(struct service *service, int fd)
{
	(void)service;
	FUZZ_CHECK(false, "connection %d was let go, and nobody asked for it", fd);
}

void serving_start(const struct serving_setup *setup)
{
	struct outbuf errors = { 0 };
	struct service_setup service = { .worker = "app1", .shard = &server.shard, .release = release };
	int err = log_start(LOG_ERROR, LOG_TEXT);

	FUZZ_CHECK(err == 0, "no log");
	server.set = *setup;
	err = conf_load(NULL, setup->overrides, setup->n_overrides, &server.conf, &errors);
	FUZZ_CHECK(err == 0, "%.*s", (int)errors.len, errors.data);
	server.slots = slots_create(FDS);
	FUZZ_CHECK(server.slots, "out of memory");
	service.conf = server.conf;
	service.slots = server.slots;
	service.faults = setup->faults;
	memcpy(service.routers, setup->routers, sizeof(service.routers));
	for (int i = 0; i < 2; i++) {
		err = service_open(&server.services[i], &service, setup->loop);
		FUZZ_CHECK(err == 0, "%s", uv_strerror(err));
	}
}

struct conf *serving_conf(void)
{
	return server.conf;
}

struct slots *serving_slots(void)
{
	return server.slots;
}

const struct message_limits *serving_limits(void)
{
	return &server.services[0].limits;
}

static struct slot *the_slot(void)
{
	return slots_at(server.slots, client.fd);
}

static bool is_open(void)
{
	return slot_owner(the_slot()) != 0;
}

static uint64_t beats(void)
{
	return atomic_load(&server.services[0].beats) + atomic_load(&server.services[1].beats);
}

static bool read_replies(void)
{
	enum { SIZE = 16 * 1024 };
	bool some = false;

	while (client.peer >= 0) {
		char *at = outbuf_reserve(client.replies, SIZE);
		ssize_t n;

		FUZZ_CHECK(at, "out of memory");
		n = recv(client.peer, at, SIZE, 0);
		if (n <= 0)
			break;
		client.replies->len += (size_t)n;
		some = true;
	}
	return some;
}

/* Turns the loop until nothing comes of it. */
static void settle(bool attend)
{
	for (unsigned turns = 0;; turns++) {
		uint64_t before = beats();
		bool more;

		FUZZ_CHECK(turns < TURNS_MAX, "it spins");
		/* The first of two may but find that the loop has something to do. */
		for (unsigned i = 0; i < 4; i++)
			(void)pollset_turn(&server.services[i % 2].owner.pollset, false);
		more = !client.late && read_replies();
		if (more || beats() != before)
			continue;
		/* Both before the next turn: room in the kernel, and an answer that wants it. */
		more = client.late && read_replies();
		more |= attend && server.set.attend && server.set.attend();
		if (!more)
			return;
	}
}

/* As a kill of its worker would. */
static void move(void)
{
	struct service *from = &server.services[client.with];
	struct slot *slot = the_slot();
	struct rms_request *req = slot->request;
	bool now = false, counted = slot->counted, feeding = slot->feeding;
	enum loss_fate fate;
	int err;

	if (!is_open() || slot->state == CONN_CLOSING)
		return;
	lock_acquire(&from->owner.lock);
	fate = conn_detach(from, slot, LOSS_ASKED, &now);
	slots_take(&from->owner, slot);
	lock_release(&from->owner.lock);
	/* An upload's handler would never be called; the end of the worker's thread frees the request. */
	if (feeding) {
		FUZZ_CHECK(req->live, "nobody would free an upload");
		service_spare(from, req);
	}
	if (req && counted)
		metrics_sub(&server.shard, METRIC_in_flight, 1);
	FUZZ_CHECK(fate != FATE_CLOSES, "out of memory");
	if (fate == FATE_RESET) {
		client.end->reset = true;
		metrics_sub(&server.shard, METRIC_connections, 1);
		slots_reset(server.slots, client.fd);
		return;
	}
	client.with = !client.with;
	err = slots_give(server.slots, &server.services[client.with].owner, client.fd, now);
	FUZZ_CHECK(err == 0, "%s", uv_strerror(err));
}

static void expire(void)
{
	struct service *service = &server.services[client.with];

	/* Each may come to another, the last of them to the end. */
	for (int i = 0; i < 8 && is_open(); i++) {
		if (slot_deadline(the_slot()))
			atomic_store(&the_slot()->deadline_ms, 1);
		service_kick(service, slot_tag(the_slot(), client.fd));
		settle(true);
	}
}

static void open_client(void)
{
	const int little = 1;
	int ends[2];
	struct slot *slot;
	int err;

	FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0, "no socket");
	FUZZ_CHECK(ends[0] < FDS && ends[1] < FDS, "descriptors leak: %d", ends[1]);
	if (client.late)
		setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &little, sizeof(little));
	client.fd = ends[0];
	client.peer = ends[1];
	client.with = 0;
	slot = slots_open(server.slots, client.fd, server.set.role);
	metrics_add(&server.shard, METRIC_connections, 1);
	conn_accepted(slot, server.conf);
	err = slots_give(server.slots, &server.services[0].owner, client.fd, false);
	FUZZ_CHECK(err == 0, "%s", uv_strerror(err));
}

static void send_pieces(const struct serving_plan *plan)
{
	size_t sent = 0;

	for (size_t i = 0; sent < plan->len; i++) {
		size_t len = fuzz_piece(&plan->cuts, i, plan->len - sent);
		ssize_t n = send(client.peer, plan->bytes + sent, len, MSG_NOSIGNAL);

		/* The server has closed. */
		if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
			return;
		/* It does not read while a handler has a request; but they are all answered. */
		FUZZ_CHECK(n == (ssize_t)len, "%zd of %zu bytes: %s", n, len, strerror(errno));
		sent += len;
		settle(!plan->deferred);
		if (plan->moves)
			move();
		if (plan->deferred)
			settle(true);
	}
}

/* Nothing of the connection is left. */
static void check_gone(void)
{
	for (int i = 0; i < 2; i++) {
		struct service *service = &server.services[i];

		FUZZ_CHECK(list_empty(&service->live) && list_empty(&service->due) && list_empty(&service->owed),
			"a request is left");
		FUZZ_CHECK(service->n_ready == 0 && service->batch.len == 0, "work is left");
	}
	FUZZ_CHECK(metrics_get(&server.shard, METRIC_connections) == 0, "connections are miscounted");
	FUZZ_CHECK(metrics_get(&server.shard, METRIC_in_flight) == 0, "running requests are miscounted: %lld",
		(long long)metrics_get(&server.shard, METRIC_in_flight));
}

void serving_run(const struct serving_plan *plan, struct outbuf *replies, struct serving_end_state *end)
{
	client.replies = replies;
	client.end = end;
	client.late = plan->late;
	*end = (struct serving_end_state){ 0 };
	open_client();
	send_pieces(plan);
	if (plan->end == SERVING_SHUT) {
		shutdown(client.peer, SHUT_WR);
	} else if (plan->end == SERVING_EXPIRE) {
		expire();
	} else {
		close(client.peer);
		client.peer = -1;
	}
	settle(true);
	FUZZ_CHECK(!is_open(), "the connection is still open, in state %d", the_slot()->state);
	check_gone();
	if (client.peer >= 0)
		close(client.peer);
}
