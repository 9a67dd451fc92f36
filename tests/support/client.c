/* client.c - many connections on one epoll set: connect, start, stop, and the totals. */
#include "support/client.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "support/address.h"
#include "support/peer.h"

enum {
	EVENTS = 512,
	CONNECTING_MAX = 128, /* at once, so that no backlog overflows and costs a second */
	LINGER_NS = 20000000, /* in which a reply too many would show */
};

static void release_held(struct client *c, uint64_t now)
{
	while (c->held_first && c->held_first->due <= now) {
		struct peer *p = c->held_first;

		c->held_first = p->next;
		if (!c->held_first)
			c->held_last = NULL;
		p->queued = false;
		p->held = 0;
		if (p->fd >= 0)
			peer_make(c, p, now);
	}
}

static void grant_by_rate(struct client *c, uint64_t now)
{
	uint64_t allowed = (uint64_t)((double)(now - c->start_ns) / 1e9 * c->plan.rate);
	unsigned tried;

	for (tried = 0; tried < c->plan.connections && c->made < allowed; tried++) {
		struct peer *p = &c->peers[c->turn++ % c->plan.connections];

		if (p->fd < 0 || p->made - p->answered + p->granted >= c->plan.depth)
			continue;
		peer_grant(c, p, 1);
		peer_make(c, p, now);
	}
}

static void on_event(struct client *c, struct peer *p, uint32_t events)
{
	int err = 0, one = 1;
	socklen_t len = sizeof(err);

	if (p->fd < 0)
		return;
	if (p->connecting) {
		p->connecting = false;
		c->connecting--;
		getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &err, &len);
		if (err) {
			peer_lose(c, p, &c->account.connect_errors);
			return;
		}
		setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		c->account.connected++;
		p->watching_output = true;
		peer_watch(c, p, false);
		return;
	}
	if (events & EPOLLOUT)
		peer_flush(c, p);
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		peer_read(c, p);
}

static void connect_some(struct client *c)
{
	while (c->opened < c->plan.connections && c->connecting < CONNECTING_MAX) {
		struct peer *p = &c->peers[c->opened++];
		struct epoll_event event = { .events = EPOLLIN | EPOLLOUT, .data.ptr = p };

		p->fd = socket(c->sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (p->fd < 0) {
			c->account.connect_errors++;
			continue;
		}
		c->open++;
		if ((connect(p->fd, (struct sockaddr *)&c->sa, c->sa_len) < 0 && errno != EINPROGRESS) ||
			epoll_ctl(c->epoll, EPOLL_CTL_ADD, p->fd, &event) < 0) {
			peer_lose(c, p, &c->account.connect_errors);
			continue;
		}
		p->connecting = true;
		c->connecting++;
	}
}

static void start(struct client *c)
{
	unsigned i;

	c->start_ns = peer_clock_ns();
	c->quiet_since = c->start_ns;
	for (i = 0; i < c->plan.connections && !c->plan.rate; i++) {
		if (c->peers[i].fd < 0)
			continue;
		peer_grant(c, &c->peers[i], c->plan.depth);
		peer_make(c, &c->peers[i], peer_clock_ns());
	}
	atomic_store(&c->started, true);
}

static void stop(struct client *c, uint64_t now)
{
	unsigned i;

	c->stop_ns = now;
	for (i = 0; i < c->plan.connections; i++)
		c->peers[i].granted = 0;
}

static void grant_once_more(struct client *c, uint64_t now)
{
	c->plan.each++;
	for (unsigned i = 0; i < c->plan.connections; i++) {
		if (c->peers[i].fd < 0)
			continue;
		peer_grant(c, &c->peers[i], 1);
		peer_make(c, &c->peers[i], now);
	}
}

static void turn_once(struct client *c)
{
	struct epoll_event events[EVENTS];
	int n = epoll_wait(c->epoll, events, EVENTS, c->held_first || c->plan.rate ? 1 : 5), i;
	uint64_t now = peer_clock_ns();

	for (i = 0; i < n; i++)
		on_event(c, events[i].data.ptr, events[i].events);
	release_held(c, now);
	atomic_store_explicit(&c->answered, c->account.answered, memory_order_relaxed);
	if (!c->start_ns) {
		connect_some(c);
		if (c->opened == c->plan.connections && !c->connecting)
			start(c);
		return;
	}
	if (c->plan.rate)
		grant_by_rate(c, now);
	if (atomic_exchange(&c->once_more, false))
		grant_once_more(c, now);
	if (!c->stop_ns &&
		(atomic_load(&c->stopping) || !c->open ||
			(c->plan.duration_ms && now - c->start_ns >= c->plan.duration_ms * 1000000ull) ||
			(c->plan.requests && c->made >= c->plan.requests && !c->outstanding)))
		stop(c, now);
}

static void close_books(struct client *c)
{
	struct account *a = &c->account;
	unsigned i;

	for (i = 0; i < c->plan.connections; i++) {
		struct peer *p = &c->peers[i];

		a->sent += p->sent;
		a->short_connections += p->answered < p->sent;
		a->trailing += p->in_len;
		if (p->fd >= 0)
			close(p->fd);
		free(p->out);
		free(p->in);
		free(p->flights);
	}
	if (c->outstanding && peer_clock_ns() - c->quiet_since > c->longest_pause)
		c->longest_pause = peer_clock_ns() - c->quiet_since;
	a->p50_us = (unsigned)latency_quantile(&c->latency, 0.5);
	a->p99_us = (unsigned)latency_quantile(&c->latency, 0.99);
	a->worst_us = (unsigned)c->latency.worst;
	a->pause_ms = (unsigned)(c->longest_pause / 1000000);
	a->seconds = (double)(c->stop_ns - c->start_ns) / 1e9;
}

static void *run(void *arg)
{
	struct client *c = arg;
	uint64_t until;

	while (!c->stop_ns)
		turn_once(c);
	until = c->stop_ns + c->plan.patience_ms * 1000000ull;
	while (c->outstanding && c->open && peer_clock_ns() < until)
		turn_once(c);
	until = peer_clock_ns() + LINGER_NS;
	while (c->open && peer_clock_ns() < until)
		turn_once(c);
	close_books(c);
	atomic_store(&c->ended, true);
	return NULL;
}

int client_start(const struct client_plan *plan, struct client **out)
{
	struct client *c = calloc(1, sizeof(*c));
	struct rlimit files;
	unsigned i;
	int err = -ENOMEM;

	if (!c)
		return err;
	c->plan = *plan;
	c->plan.depth = plan->depth ? plan->depth : 1;
	c->plan.patience_ms = plan->patience_ms ? plan->patience_ms : 10000;
	c->random = plan->seed;
	c->epoll = -1;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	c->peers = calloc(plan->connections, sizeof(*c->peers));
	c->input = malloc(PEER_INPUT_SIZE);
	if (!c->peers || !c->input)
		goto free_client;
	for (i = 0; i < plan->connections; i++) {
		c->peers[i].fd = -1;
		c->peers[i].split = (i * 100ull / plan->connections * 37) % 100 < plan->split_percent;
		c->peers[i].flights = calloc(c->plan.depth, sizeof(struct flight));
		c->peers[i].in = malloc(256);
		if (!c->peers[i].flights || !c->peers[i].in)
			goto free_client;
	}
	err = address_parse(plan->address, &c->sa, &c->sa_len) ? 0 : -EINVAL;
	if (err < 0)
		goto free_client;
	c->epoll = epoll_create1(EPOLL_CLOEXEC);
	err = c->epoll < 0 ? -errno : -pthread_create(&c->thread, NULL, run, c);
	if (err < 0)
		goto free_client;
	*out = c;
	return 0;
free_client:
	for (i = 0; c->peers && i < plan->connections; i++) {
		free(c->peers[i].flights);
		free(c->peers[i].in);
	}
	if (c->epoll >= 0)
		close(c->epoll);
	free(c->peers);
	free(c->input);
	free(c);
	return err;
}

static bool pause_until(double until_ms)
{
	struct timespec pause = { .tv_nsec = 1000000 };

	nanosleep(&pause, NULL);
	return (double)peer_clock_ns() / 1e6 < until_ms;
}

bool client_await_connected(struct client *client, unsigned ms)
{
	double until = (double)peer_clock_ns() / 1e6 + ms;

	while (!atomic_load(&client->started))
		if (!pause_until(until))
			return false;
	return true;
}

bool client_await_answered(struct client *client, uint64_t n, unsigned ms)
{
	double until = (double)peer_clock_ns() / 1e6 + ms;

	while (client_answered(client) < n)
		if (atomic_load(&client->ended) || !pause_until(until))
			return client_answered(client) >= n;
	return true;
}

uint64_t client_answered(const struct client *client)
{
	return atomic_load_explicit(&client->answered, memory_order_relaxed);
}

void client_once_more(struct client *client)
{
	atomic_store(&client->once_more, true);
}

void client_stop(struct client *client)
{
	atomic_store(&client->stopping, true);
}

void client_join(struct client *client, struct account *account)
{
	pthread_join(client->thread, NULL);
	*account = client->account;
	close(client->epoll);
	free(client->peers);
	free(client->input);
	free(client);
}
