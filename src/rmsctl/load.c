/* load.c - connections on an epoll set, replies through llhttp, each request's outcome into its row. */
#include "rmsctl/load.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <llhttp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
	READ_SIZE = 64 * 1024,
	DESCRIPTORS_BESIDE = 16, /* standard streams, epoll, timer, signals, control socket */
	NO_REQUEST = INT32_MAX,  /* a peer that is idle */
};

/* CLOSED -> CONNECTING -> OPEN, and from both back. It is opened blocking at first. */
enum peer_state { PEER_CLOSED, PEER_CONNECTING, PEER_OPEN };

struct peer {
	llhttp_t llhttp;
	int fd;
	enum peer_state state;
	uint32_t request; /* its row, or NO_REQUEST; then the peer is in the ring */
	uint32_t written; /* bytes of the request */
	bool wants_out;   /* EPOLLOUT is asked for */
	bool begun;       /* a reply has begun */
	bool complete;    /* and ended */
	bool over;        /* and then came more */
	bool keep;        /* the connection stays open behind it */
	int status;
};

struct load {
	struct load_plan plan;
	struct load_books books;
	llhttp_settings_t settings;
	int epoll;
	struct peer *peers;
	uint32_t *ring; /* the idle ones: the longest idle at first */
	unsigned idle_first, n_idle;
	uint32_t given;       /* rows whose request has a connection, or is through */
	uint32_t done;        /* rows that have their outcome */
	bool waiting;         /* a reply is owed, or what was owed has failed and none has come since */
	uint64_t progress_ns; /* the last reply, or when the waiting began */
	char input[READ_SIZE];
};

uint64_t load_clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void push_idle(struct load *load, struct peer *p)
{
	unsigned at = (load->idle_first + load->n_idle++) % load->plan.connections;

	load->ring[at] = (uint32_t)(p - load->peers);
}

static struct peer *pop_idle(struct load *load)
{
	struct peer *p = &load->peers[load->ring[load->idle_first]];

	load->idle_first = (load->idle_first + 1) % load->plan.connections;
	load->n_idle--;
	return p;
}

static void settle(struct load *load, uint32_t row, enum outcome outcome, uint64_t now_ns)
{
	uint64_t due = samples_due_ns(&load->books.samples, row);
	uint64_t us = now_ns > due ? (now_ns - due) / 1000 : 0;

	load->books.samples.rows[row].us = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
	load->books.samples.rows[row].outcome = (uint8_t)outcome;
	load->books.by[outcome]++;
	load->done++;
}

/* No reply for as long as this? */
static void note_pause(struct load *load, uint64_t now_ns)
{
	if (now_ns > load->progress_ns && now_ns - load->progress_ns > load->books.pause_ns)
		load->books.pause_ns = now_ns - load->progress_ns;
}

static int on_begin(llhttp_t *llhttp)
{
	struct peer *p = llhttp->data;

	p->over = p->over || p->complete || p->request == NO_REQUEST;
	p->begun = true;
	return 0;
}

static int on_complete(llhttp_t *llhttp)
{
	struct peer *p = llhttp->data;

	p->status = llhttp_get_status_code(llhttp);
	p->complete = p->status >= 200; /* else the real reply follows */
	p->keep = llhttp_should_keep_alive(llhttp);
	return 0;
}

static void watch(struct load *load, struct peer *p, int how, bool out)
{
	struct epoll_event event = {
		.events = EPOLLIN | EPOLLRDHUP | (out ? EPOLLOUT : 0),
		.data.u64 = (uint64_t)(p - load->peers),
	};
	int err = epoll_ctl(load->epoll, how, p->fd, &event);

	assert(err == 0 || errno == ENOMEM || errno == ENOSPC); /* then its request times out, and says so */
	(void)err;
	p->wants_out = out;
}

static void close_peer(struct peer *p)
{
	close(p->fd);
	p->fd = -1;
	p->state = PEER_CLOSED;
}

/* The request that p has on its way got its outcome; p is idle again, open or not. */
static void finish(struct load *load, struct peer *p, enum outcome outcome, uint64_t now_ns)
{
	assert(p->request != NO_REQUEST);
	settle(load, p->request, outcome, now_ns);
	p->request = NO_REQUEST;
	push_idle(load, p);
}

/* The connection is of no more use. */
static void lose(struct load *load, struct peer *p, enum outcome outcome, uint64_t now_ns)
{
	close_peer(p);
	if (p->request != NO_REQUEST)
		finish(load, p, outcome, now_ns);
	else
		load->books.closed_idle++;
}

static void write_request(struct load *load, struct peer *p, uint64_t now_ns)
{
	size_t left = load->plan.request_len - p->written;
	ssize_t n = send(p->fd, load->plan.request + p->written, left, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n >= 0)
		p->written += (uint32_t)n;
	else if (errno != EAGAIN && errno != EINTR) {
		lose(load, p, errno == ECONNRESET ? OUTCOME_reset : OUTCOME_closed, now_ns);
		return;
	}
	if (p->wants_out != (p->written < load->plan.request_len))
		watch(load, p, EPOLL_CTL_MOD, !p->wants_out);
}

static void start_parser(struct load *load, struct peer *p)
{
	llhttp_init(&p->llhttp, HTTP_RESPONSE, &load->settings);
	p->llhttp.data = p;
	p->begun = p->complete = p->over = false;
}

/* Opens p's connection again; its request goes out when that is done. */
static void reconnect(struct load *load, struct peer *p, uint64_t now_ns)
{
	const struct target *target = load->plan.target;

	p->fd = socket(target->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (p->fd < 0) {
		finish(load, p, OUTCOME_connect, now_ns);
		return;
	}
	p->state = PEER_CONNECTING;
	if (connect(p->fd, (const struct sockaddr *)&target->sa, target->len) < 0 && errno != EINPROGRESS) {
		lose(load, p, OUTCOME_connect, now_ns);
		return;
	}
	start_parser(load, p);
	watch(load, p, EPOLL_CTL_ADD, true);
}

static void give(struct load *load, struct peer *p, uint32_t row, uint64_t now_ns)
{
	p->request = row;
	p->written = 0;
	load->books.sent++;
	if (p->state == PEER_CLOSED)
		reconnect(load, p, now_ns);
	else
		write_request(load, p, now_ns);
}

/* A whole reply has come. */
static void take_reply(struct load *load, struct peer *p, uint64_t now_ns)
{
	if (p->over || p->written < load->plan.request_len) {
		lose(load, p, OUTCOME_malformed, now_ns);
		return;
	}
	note_pause(load, now_ns);
	load->progress_ns = now_ns;
	p->begun = p->complete = false;
	if (!p->keep)
		close_peer(p); /* it said so: no one is to blame */
	if (p->status < STATUSES)
		load->books.statuses[p->status]++;
	finish(load, p, p->status < 400 ? OUTCOME_answered : OUTCOME_status, now_ns);
	load->waiting = load->done < load->books.samples.n;
}

/* The stream has ended, or is broken. */
static void end(struct load *load, struct peer *p, int err, uint64_t now_ns)
{
	/* A reply without a length ends so. */
	if (err == 0 && p->begun && llhttp_finish(&p->llhttp) == HPE_OK && p->complete) {
		p->keep = false;
		take_reply(load, p, now_ns);
		return;
	}
	lose(load, p, err == ECONNRESET ? OUTCOME_reset : OUTCOME_closed, now_ns);
}

static void read_reply(struct load *load, struct peer *p, uint64_t now_ns)
{
	ssize_t n = recv(p->fd, load->input, sizeof(load->input), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		end(load, p, n < 0 ? errno : 0, now_ns);
		return;
	}
	if (llhttp_execute(&p->llhttp, load->input, (size_t)n) != HPE_OK || (p->over && !p->complete))
		lose(load, p, OUTCOME_malformed, now_ns);
	else if (p->complete)
		take_reply(load, p, now_ns);
}

void load_event(struct load *load, uint64_t number, uint32_t events)
{
	struct peer *p = &load->peers[number];
	uint64_t now_ns = load_clock_ns();

	assert(number < load->plan.connections && p->state != PEER_CLOSED);
	if (p->state == PEER_CONNECTING) {
		socklen_t len = sizeof(int);
		int err = 0;

		getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &err, &len);
		if (err) {
			lose(load, p, OUTCOME_connect, now_ns);
			return;
		}
		p->state = PEER_OPEN;
	}
	if (events & EPOLLOUT && p->request != NO_REQUEST)
		write_request(load, p, now_ns);
	if (events & ~(uint32_t)EPOLLOUT && p->state == PEER_OPEN)
		read_reply(load, p, now_ns);
}

static uint64_t next_due_ns(const struct load *load)
{
	return samples_due_ns(&load->books.samples, load->books.samples.n);
}

void load_turn(struct load *load, uint64_t due_ns, uint64_t now_ns)
{
	struct samples *samples = &load->books.samples;

	if (samples->n < samples->size && next_due_ns(load) <= due_ns) {
		if (now_ns - next_due_ns(load) > load->books.late_ns)
			load->books.late_ns = now_ns - next_due_ns(load);
		if (!load->waiting)
			load->progress_ns = next_due_ns(load);
		load->waiting = true;
		do
			samples->n++;
		while (samples->n < samples->size && next_due_ns(load) <= due_ns);
	}
	/* A peer that cannot connect is idle again at once: each gets one request a turn at the most. */
	for (unsigned n = load->n_idle; n > 0 && load->given < samples->n; n--)
		give(load, pop_idle(load), load->given++, now_ns);
}

void load_begin(struct load *load, uint64_t now_ns)
{
	load->books.samples.start_ns = now_ns;
	load->progress_ns = now_ns;
}

bool load_is_done(const struct load *load)
{
	return load->done == load->books.samples.n;
}

void load_give_up(struct load *load, uint64_t now_ns)
{
	if (load->waiting)
		note_pause(load, now_ns);
	for (unsigned i = 0; i < load->plan.connections; i++)
		if (load->peers[i].request != NO_REQUEST)
			lose(load, &load->peers[i], OUTCOME_timeout, now_ns);
	while (load->given < load->books.samples.n)
		settle(load, load->given++, OUTCOME_unsent, now_ns);
	assert(load_is_done(load));
}

const struct load_books *load_books(const struct load *load)
{
	return &load->books;
}

/* Descriptors for all connections: the soft limit up to the hard one. */
static int raise_limit(unsigned connections, struct outbuf *why)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 0;
	if (limit.rlim_max < connections + DESCRIPTORS_BESIDE) {
		outbuf_printf(why, "%u connections are more than the limit of %llu descriptors (ulimit -Hn) allows",
			connections, (unsigned long long)limit.rlim_max);
		return -EMFILE;
	}
	limit.rlim_cur = limit.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &limit) < 0 ? -errno : 0;
}

static int connect_all(struct load *load, struct outbuf *why)
{
	for (unsigned i = 0; i < load->plan.connections; i++) {
		struct peer *p = &load->peers[i];
		int fd = target_connect(load->plan.target);

		if (fd < 0) {
			outbuf_printf(why, "%s: %s (connection %u of %u)", load->plan.target->text, strerror(-fd),
				i + 1, load->plan.connections);
			return fd;
		}
		p->fd = fd;
		p->state = PEER_OPEN;
		start_parser(load, p);
		watch(load, p, EPOLL_CTL_ADD, false);
		push_idle(load, p);
	}
	return 0;
}

static void *map(size_t size)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

int load_create(const struct load_plan *plan, int epoll, struct load **out, struct outbuf *why)
{
	struct load *load;
	int err = raise_limit(plan->connections, why);

	if (err < 0)
		return err;
	load = calloc(1, sizeof(*load));
	if (!load)
		goto no_memory;
	load->plan = *plan;
	load->epoll = epoll;
	llhttp_settings_init(&load->settings);
	load->settings.on_message_begin = on_begin;
	load->settings.on_message_complete = on_complete;
	load->peers = calloc(plan->connections, sizeof(*load->peers));
	load->ring = calloc(plan->connections, sizeof(*load->ring));
	load->books.samples.rows = map(plan->most * sizeof(struct sample));
	load->books.samples.size = plan->most;
	load->books.samples.rate = plan->rate;
	if (!load->peers || !load->ring || !load->books.samples.rows)
		goto no_memory;
	for (unsigned i = 0; i < plan->connections; i++) {
		load->peers[i].fd = -1;
		load->peers[i].request = NO_REQUEST;
	}
	err = connect_all(load, why);
	if (err < 0) {
		load_destroy(load);
		return err;
	}
	*out = load;
	return 0;
no_memory:
	load_destroy(load);
	outbuf_text(why, "out of memory");
	return -ENOMEM;
}

void load_destroy(struct load *load)
{
	if (!load)
		return;
	for (unsigned i = 0; load->peers && i < load->plan.connections; i++)
		if (load->peers[i].fd >= 0)
			close(load->peers[i].fd);
	if (load->books.samples.rows)
		munmap(load->books.samples.rows, load->plan.most * sizeof(struct sample));
	free(load->ring);
	free(load->peers);
	free(load);
}
