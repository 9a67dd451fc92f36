/* barrage.c - some threads, each with an epoll set of connections that send and are judged. */
#include "support/barrage.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/address.h"
#include "support/judge.h"
#include "support/mutation.h"
#include "support/peer.h"

enum {
	STREAM_MAX = 8000, /* below every limit of sizes: the oracle knows none */
	CAME_MAX = 65536,
	PIECES_MAX = 5,
	EVENTS = 64,
	THREADS_MAX = 8,
};

enum manner { HALF_CLOSES, STAYS, RESETS };

/* One connection. */
struct shot {
	int fd; /* -1: none */
	enum manner manner;
	bool whole, shut; /* sent in one piece; half-closed */
	uint64_t index, deadline_ns;
	struct mutation_random random;
	size_t len, sent, came_len, until; /* until: RESETS after so many bytes */
	size_t mutated[PIECES_MAX];        /* where the mutated requests begin */
	unsigned n_mutated;
	char stream[STREAM_MAX], came[CAME_MAX];
};

struct crew {
	struct barrage *barrage;
	pthread_t thread;
	int epoll;
	struct shot *shots;
	struct oracle_request request;
	struct barrage_result result;
};

struct barrage {
	struct barrage_plan plan; /* Constant while the threads run */
	struct sockaddr_storage sa;
	socklen_t sa_len;
	struct crew crews[THREADS_MAX];

	/* Any thread */
	_Atomic uint64_t requests, next;
	_Atomic bool stopping;
	pthread_mutex_t lock; /* guards failure */
	char *failure;
};

static void compose(struct shot *shot)
{
	struct mutation_random *random = &shot->random;
	unsigned pieces = 1 + mutation_below(random, 4), surely = mutation_below(random, pieces);
	char bytes[MUTATION_MAX];

	shot->len = 0;
	shot->n_mutated = 0;
	for (unsigned i = 0; i <= pieces; i++) {
		unsigned number = (unsigned)(shot->index * 8 + i);
		size_t len = mutation_request(mutation_below(random, mutation_seeds()), number, bytes);

		/* The last one is whole, and says where a stream that was split wrongly goes on. */
		if (i < pieces && (i == surely || mutation_below(random, 2))) {
			shot->mutated[shot->n_mutated++] = shot->len;
			len = mutation_apply(random, bytes, len);
		}
		if (shot->len + len > STREAM_MAX)
			break;
		memcpy(shot->stream + shot->len, bytes, len);
		shot->len += len;
	}
	if (!mutation_below(random, 8))
		shot->len = 1 + mutation_below(random, (unsigned)shot->len);
}

static size_t escape(char *to, size_t size, const char *bytes, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len && n + 8 < size; i++) {
		unsigned char c = (unsigned char)bytes[i];

		if (c == '\n')
			n += (size_t)sprintf(to + n, "\\n\n");
		else if (c == '\r')
			n += (size_t)sprintf(to + n, "\\r");
		else if (c < ' ' || c >= 127 || c == '\\')
			n += (size_t)sprintf(to + n, "\\x%02x", c);
		else
			to[n++] = (char)c;
	}
	to[n] = 0;
	return n;
}

static void fail(struct crew *crew, struct shot *shot, const char *what, size_t at)
{
	enum { SIZE = 4 * (STREAM_MAX + CAME_MAX) + 4096 };
	struct barrage *barrage = crew->barrage;
	char *text = malloc(SIZE);
	size_t n;

	atomic_store(&barrage->stopping, true);
	if (!text)
		return;
	n = (size_t)snprintf(text, SIZE,
		"%s (%s)\nRMSD_SEED=%llu, stream %llu, %s, judged up to byte %zu of %zu, %zu sent\n---- sent\n", what,
		crew->request.why, (unsigned long long)barrage->plan.seed, (unsigned long long)shot->index,
		(const char *[]){ "half-closed", "left open", "reset" }[shot->manner], at, shot->len, shot->sent);
	n += escape(text + n, SIZE - n, shot->stream, at);
	n += (size_t)snprintf(text + n, SIZE - n, "\n---- judged up to here\n");
	n += escape(text + n, SIZE - n, shot->stream + at, shot->len - at);
	n += (size_t)snprintf(text + n, SIZE - n, "\n---- came\n");
	escape(text + n, SIZE - n, shot->came, shot->came_len);
	pthread_mutex_lock(&barrage->lock);
	if (barrage->failure)
		free(text);
	else
		barrage->failure = text;
	pthread_mutex_unlock(&barrage->lock);
}

static void fire(struct crew *crew, struct shot *shot)
{
	struct barrage *barrage = crew->barrage;
	struct sockaddr_in from = { .sin_family = AF_INET };
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT, .data.ptr = shot };
	int one = 1;
	unsigned dice;

	shot->fd = -1;
	if (atomic_load(&barrage->stopping))
		return;
	shot->index = atomic_fetch_add(&barrage->next, 1);
	shot->random = mutation_seed(barrage->plan.seed, shot->index);
	compose(shot);
	dice = mutation_below(&shot->random, 100);
	shot->manner = dice < 80 ? HALF_CLOSES : dice < 92 ? STAYS : RESETS;
	shot->whole = mutation_below(&shot->random, 2);
	shot->until = mutation_below(&shot->random, (unsigned)shot->len + 1);
	shot->shut = false;
	shot->sent = shot->came_len = 0;
	shot->deadline_ns = peer_clock_ns() + barrage->plan.patience_ms * 1000000ull;
	shot->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (shot->fd < 0) {
		fail(crew, shot, "no socket", 0);
		return;
	}
	/* Ports are taken for a while by each connection that ends: one address has too few. */
	from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 256 + mutation_below(&shot->random, 256));
	setsockopt(shot->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	setsockopt(shot->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (bind(shot->fd, (struct sockaddr *)&from, sizeof(from)) < 0 ||
		(connect(shot->fd, (struct sockaddr *)&barrage->sa, barrage->sa_len) < 0 && errno != EINPROGRESS) ||
		epoll_ctl(crew->epoll, EPOLL_CTL_ADD, shot->fd, &event) < 0)
		fail(crew, shot, strerror(errno), 0);
}

/* Its books are closed, and another takes its place. */
static void finish(struct crew *crew, struct shot *shot, const struct judge_case *c)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < shot->n_mutated; i++)
		n += shot->mutated[i] <= c->at;
	crew->result.requests += n;
	crew->result.connections++;
	crew->result.served += c->served;
	crew->result.refused += c->refused;
	crew->result.partial += c->partial;
	crew->result.either += c->either;
	close(shot->fd);
	if (atomic_fetch_add(&crew->barrage->requests, n) + n >= crew->barrage->plan.requests)
		atomic_store(&crew->barrage->stopping, true);
	fire(crew, shot);
}

static void shut(struct crew *crew, struct shot *shot)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = shot };

	epoll_ctl(crew->epoll, EPOLL_CTL_MOD, shot->fd, &event);
	shutdown(shot->fd, SHUT_WR);
	shot->shut = true;
}

static void judge(struct crew *crew, struct shot *shot, enum judge_end end)
{
	struct judge_case c = {
		.sent = shot->stream, .sent_len = shot->len, .came = shot->came, .came_len = shot->came_len, .end = end
	};

	judge_replies(&c, &crew->request);
	if (c.wrong)
		fail(crew, shot, c.wrong, c.at);
	else if (end != JUDGE_OPEN)
		finish(crew, shot, &c);
	else if (c.complete && !shot->shut)
		shut(crew, shot);
}

/* The client that crashes: what came until then must be right as far as it goes. */
static void reset(struct crew *crew, struct shot *shot)
{
	struct judge_case c = {
		.sent = shot->stream, .sent_len = shot->len, .came = shot->came, .came_len = shot->came_len
	};
	struct linger now = { .l_onoff = 1 };

	judge_replies(&c, &crew->request);
	if (c.wrong) {
		fail(crew, shot, c.wrong, c.at);
		return;
	}
	setsockopt(shot->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	crew->result.resets++;
	finish(crew, shot, &c);
}

/* One cut. False: the shot is over. */
static bool push(struct crew *crew, struct shot *shot)
{
	size_t n = shot->len - shot->sent;
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = shot };

	if (!shot->whole && n)
		n = 1 + mutation_below(&shot->random, (unsigned)(n < 80 ? n : 80));
	if (n) {
		ssize_t sent = send(shot->fd, shot->stream + shot->sent, n, MSG_NOSIGNAL);

		if (sent < 0 && errno != EAGAIN)
			shot->sent = shot->len; /* it has closed: what it said tells whether it may */
		else if (sent > 0)
			shot->sent += (size_t)sent;
	}
	if (shot->manner == RESETS && shot->sent >= shot->until) {
		reset(crew, shot);
		return false;
	}
	if (shot->sent < shot->len)
		return true;
	if (shot->manner == HALF_CLOSES)
		shut(crew, shot);
	else
		epoll_ctl(crew->epoll, EPOLL_CTL_MOD, shot->fd, &event);
	/* Where no reply is due, none tells that the time has come. */
	if (shot->manner == STAYS)
		judge(crew, shot, JUDGE_OPEN);
	return !atomic_load(&crew->barrage->stopping);
}

static void pull(struct crew *crew, struct shot *shot)
{
	ssize_t n = recv(shot->fd, shot->came + shot->came_len, CAME_MAX - shot->came_len, 0);

	if (n < 0 && (errno == EAGAIN || errno == ENOTCONN))
		return;
	if (n <= 0) {
		judge(crew, shot, n ? JUDGE_RESET : JUDGE_EOF);
		return;
	}
	shot->came_len += (size_t)n;
	if (shot->manner == STAYS && shot->sent == shot->len)
		judge(crew, shot, JUDGE_OPEN);
	else if (shot->came_len == CAME_MAX)
		fail(crew, shot, "replies without end", 0);
}

static void check_deadlines(struct crew *crew)
{
	uint64_t now = peer_clock_ns();

	for (unsigned i = 0; i < crew->barrage->plan.connections; i++)
		if (crew->shots[i].fd >= 0 && crew->shots[i].deadline_ns < now)
			fail(crew, &crew->shots[i], "it hangs", 0);
}

static void *run(void *arg)
{
	struct crew *crew = arg;
	struct barrage *barrage = crew->barrage;
	uint64_t checked = 0;

	for (unsigned i = 0; i < barrage->plan.connections; i++)
		fire(crew, &crew->shots[i]);
	while (!atomic_load(&barrage->stopping)) {
		struct epoll_event events[EVENTS];
		int n = epoll_wait(crew->epoll, events, EVENTS, 100);

		for (int i = 0; i < n && !atomic_load(&barrage->stopping); i++) {
			struct shot *shot = events[i].data.ptr;

			if ((events[i].events & EPOLLOUT) && !push(crew, shot))
				continue;
			if (events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP))
				pull(crew, shot);
		}
		if (peer_clock_ns() - checked > 100000000) {
			check_deadlines(crew);
			checked = peer_clock_ns();
		}
	}
	for (unsigned i = 0; i < barrage->plan.connections; i++)
		if (crew->shots[i].fd >= 0)
			close(crew->shots[i].fd);
	return NULL;
}

struct barrage *barrage_start(const struct barrage_plan *plan)
{
	struct barrage *barrage = calloc(1, sizeof(*barrage));

	if (!barrage)
		return NULL;
	barrage->plan = *plan;
	pthread_mutex_init(&barrage->lock, NULL);
	if (plan->threads > THREADS_MAX || !address_parse(plan->address, &barrage->sa, &barrage->sa_len))
		return NULL;
	for (unsigned i = 0; i < plan->threads; i++) {
		struct crew *crew = &barrage->crews[i];

		crew->barrage = barrage;
		crew->shots = calloc(plan->connections, sizeof(*crew->shots));
		crew->epoll = epoll_create1(EPOLL_CLOEXEC);
		if (!crew->shots || crew->epoll < 0 || pthread_create(&crew->thread, NULL, run, crew) != 0)
			return NULL;
	}
	return barrage;
}

uint64_t barrage_requests(const struct barrage *barrage)
{
	return atomic_load(&barrage->requests);
}

bool barrage_over(const struct barrage *barrage)
{
	return atomic_load(&barrage->stopping);
}

void barrage_join(struct barrage *barrage, struct barrage_result *result)
{
	*result = (struct barrage_result){ 0 };
	for (unsigned i = 0; i < barrage->plan.threads; i++) {
		struct crew *crew = &barrage->crews[i];

		pthread_join(crew->thread, NULL);
		close(crew->epoll);
		free(crew->shots);
		result->requests += crew->result.requests;
		result->connections += crew->result.connections;
		result->served += crew->result.served;
		result->refused += crew->result.refused;
		result->partial += crew->result.partial;
		result->either += crew->result.either;
		result->resets += crew->result.resets;
	}
	result->failure = barrage->failure;
	pthread_mutex_destroy(&barrage->lock);
	free(barrage);
}
