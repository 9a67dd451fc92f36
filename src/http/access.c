/* access.c - which requests have a line, and what it is made of. */
#include "http/access.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <uv.h>

#include "base/clock.h"
#include "base/spool.h"
#include "conf/conf.h"
#include "http/access_line.h"
#include "http/request.h"
#include "http/service.h"

enum { STATUS_CLIENT_GONE = 499 }; /* as nginx writes it */

struct client {
	uint8_t len;
	char text[INET6_ADDRSTRLEN];
};

struct access_log {
	bool json;
	uint32_t sample;
	int limit;
	struct spool *spool;
	struct client *clients; /* by descriptor */
};

struct access {
	const struct access_log *log;
	struct spool_feed *feed;
	struct access_stamp stamp;
	uint32_t passed; /* requests without a line since the last one that had one for being its turn */
	size_t worker_len;
};

int access_log_create(const struct conf *conf, int limit, struct access_log **out)
{
	const char *file = conf->access_log;
	struct access_log *log;
	void *clients;
	int err;

	*out = NULL;
	if (!file)
		return 0;
	log = calloc(1, sizeof(*log));
	if (!log)
		return UV_ENOMEM;
	err = spool_create(strcmp(file, VALUE_LOG_STDERR) != 0 ? file : NULL, &log->spool);
	if (err < 0)
		goto free_log;
	/* The memory is the kernel's until a row is used. */
	clients = mmap(NULL, (size_t)limit * sizeof(*log->clients), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (clients == MAP_FAILED) {
		err = UV_ENOMEM;
		goto destroy_spool;
	}
	log->clients = clients;
	log->json = conf->access_log_format == ACCESS_JSON;
	log->sample = conf->access_log_sample;
	log->limit = limit;
	*out = log;
	return 0;
destroy_spool:
	spool_destroy(log->spool);
free_log:
	free(log);
	return err;
}

int access_log_open(struct access_log *log)
{
	return log ? spool_open(log->spool) : 0;
}

int access_log_start(struct access_log *log)
{
	return log ? spool_start(log->spool) : 0;
}

void access_log_reopen(struct access_log *log)
{
	if (log)
		spool_reopen(log->spool);
}

void access_log_stop(struct access_log *log)
{
	if (log)
		(void)spool_stop(log->spool);
}

void access_log_destroy(struct access_log *log)
{
	/* A thread that is stuck in a write still uses it. */
	if (!log || !spool_stop(log->spool))
		return;
	spool_destroy(log->spool);
	munmap(log->clients, (size_t)log->limit * sizeof(*log->clients));
	free(log);
}

/* An IPv4 address is one, also where it came by an IPv6 socket. */
static const char *address_text(const struct sockaddr *peer, char *buf, socklen_t size)
{
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)peer;
	const struct sockaddr_in *in = (const struct sockaddr_in *)peer;

	if (peer->sa_family == AF_INET)
		return inet_ntop(AF_INET, &in->sin_addr, buf, size);
	if (peer->sa_family != AF_INET6)
		return "unix:";
	if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
		return inet_ntop(AF_INET, in6->sin6_addr.s6_addr + 12, buf, size);
	return inet_ntop(AF_INET6, &in6->sin6_addr, buf, size);
}

void access_log_client(struct access_log *log, int fd, const struct sockaddr *peer)
{
	char buf[INET6_ADDRSTRLEN];
	struct client *client;
	const char *text;

	if (!log)
		return;
	client = &log->clients[fd];
	text = address_text(peer, buf, sizeof(buf));
	client->len = (uint8_t)strlen(text);
	memcpy(client->text, text, client->len);
}

struct access *access_open(struct access_log *log, const char *worker)
{
	struct access *access = calloc(1, sizeof(*access));

	if (!access)
		return NULL;
	access->log = log;
	access->feed = spool_open_feed(log->spool);
	access->stamp.second = -1;
	access->worker_len = strlen(worker);
	if (access->feed)
		return access;
	free(access);
	return NULL;
}

void access_close(struct access *access)
{
	if (!access)
		return;
	spool_close_feed(access->feed);
	free(access);
}

static void write_line(struct service *service, struct metrics_shard *shard, const struct slot *slot, long second,
	struct access_facts *facts)
{
	struct access *access = service->access;
	const struct access_log *log = access->log;
	int fd = slots_fd(service->set.slots, slot);
	const struct client *client = &log->clients[fd];
	char *at = spool_room(access->feed);

	if (!at) {
		metrics_add(shard, METRIC_access_dropped, 1);
		return;
	}
	access_stamp_update(&access->stamp, second, log->json);
	facts->stamp = &access->stamp;
	facts->client = client->text;
	facts->client_len = client->len;
	facts->worker = service->worker;
	facts->worker_len = access->worker_len;
	facts->head_len = slot->in_len - slot->in_off;
	facts->head = facts->head_len ? slot->in + slot->in_off : "";
	facts->place = (struct trace_place){ fd, slot->started_ns, slot->served };
	facts->duration_ns = clock_ns() - slot->started_ns;
	spool_put(access->feed, access_line_make(at, facts, log->json));
	metrics_add(shard, METRIC_access_lines, 1);
}

/* One of so many, but what somebody will look for is never left out. */
static bool is_left_out(struct access *access, const struct reply *reply)
{
	if (access->log->sample == 1 || reply->status >= 500 || reply->cause > CAUSE_NO_ROUTE)
		return false;
	if (++access->passed < access->log->sample)
		return true;
	access->passed = 0;
	return false;
}

void access_answered(struct service *service, const struct slot *slot, const struct reply *reply, uint64_t body_len)
{
	struct access_facts facts = {
		.status = reply->status,
		.body_len = reply_has_body(reply) ? body_len : 0,
		.cause = (enum reply_cause)reply->cause,
		/* One that is refused was not run again. */
		.attempts = slot->lost + (slot->refuse ? 0u : 1u),
	};

	if (!is_left_out(service->access, reply))
		write_line(service, service->set.shard, slot, service->stamp.second, &facts);
}

void access_unanswered(struct service *service, struct metrics_shard *shard, const struct slot *slot, int status,
	enum reply_cause cause, unsigned ran)
{
	struct access_facts facts = {
		.status = status                ? status
			: cause == CAUSE_CLIENT ? STATUS_CLIENT_GONE
						: 0,
		.cause = cause,
		.attempts = ran,
	};

	/* The service's own stamp is its thread's alone. */
	write_line(service, shard, slot, time(NULL), &facts);
}

void access_ended(struct service *service, const struct slot *slot, unsigned reason)
{
	static const enum reply_cause causes[] = {
		[CLOSED_CLIENT] = CAUSE_CLIENT,
		[CLOSED_KEEPALIVE_END] = CAUSE_BROKEN,
		[CLOSED_TIMEOUT] = CAUSE_UNTAKEN,
		[CLOSED_ERROR] = CAUSE_BROKEN,
		[CLOSED_WORKER] = CAUSE_SHUTDOWN,
		[CLOSED_SHUTDOWN] = CAUSE_SHUTDOWN,
	};
	const struct rms_request *req = slot->request;
	int status = slot->streamed ? req->reply.status : 0;

	/* One that is to close has its answer. */
	if (req ? slot->counted : slot->lost && !slot->close_after)
		access_unanswered(
			service, service->set.shard, slot, status, causes[reason], slot->lost + (req ? 1u : 0u));
}
