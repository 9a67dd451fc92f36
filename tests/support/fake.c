/* fake.c - two threads, each one poll() loop or one request after another. */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/fake.h"
#include "support/keep.h"
#include "support/program.h"

enum { PEERS_MAX = 128, TURN_MS = 5, IDLE_MS = 20 };

struct fake_peer {
	int fd;
	char in[4096];
	size_t len;
	uint64_t close_ns; /* 0: not to be closed */
};

struct fake_threads {
	pthread_t control, public;
	int control_fd, public_fd, stop[2];
	unsigned port;
	struct fake_peer peers[PEERS_MAX];
	unsigned n_peers;
};

static uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void put(int fd, const char *text)
{
	(void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
}

/* One line of the stream: its JSON, which a chunk may cut anywhere. */
static void tell(struct fake *fake, int fd, const char *format, ...)
{
	char line[512], chunk[600];
	va_list args;
	size_t half;

	va_start(args, format);
	(void)vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	half = strlen(line) / 2;
	if (fake->plan.without_length)
		(void)snprintf(chunk, sizeof(chunk), "%s\n", line);
	else
		(void)snprintf(chunk, sizeof(chunk), "%zx\r\n%.*s\r\n%zx\r\n%s\n\r\n", half, (int)half, line,
			strlen(line) - half + 1, line + half);
	put(fd, chunk);
}

/* Whether the client is still there after that time. */
static bool hold(int fd, unsigned ms)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN | POLLRDHUP };

	return poll(&poll_fd, 1, (int)ms) == 0;
}

static void event(struct fake *fake, int fd, const char *what)
{
	tell(fake, fd, "{\"event\":\"%s\",\"time_ns\":%llu,\"worker\":\"app2\",\"action\":\"kill\",\"generation\":8}",
		what, (unsigned long long)clock_ns());
}

static void state_event(struct fake *fake, int fd, const char *worker, const char *now, const char *was)
{
	tell(fake, fd, "{\"event\":\"state\",\"time_ns\":%llu,\"worker\":\"%s\",\"state\":\"%s\",\"was\":\"%s\"}",
		(unsigned long long)clock_ns(), worker, now, was);
}

static void play(struct fake *fake, int fd)
{
	const char *duration = strstr(fake->drill, "&for=");

	put(fd, "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nConnection: close\r\n");
	put(fd, fake->plan.without_length ? "\r\n" : "Transfer-Encoding: chunked\r\n\r\n");
	event(fake, fd, "begun");
	if (fake->plan.no_injection) {
		tell(fake, fd, "{\"event\":\"end\",\"time_ns\":1,\"ok\":false,\"error\":\"the thread cannot start\"}");
		put(fd, fake->plan.without_length ? "" : "0\r\n\r\n");
		return;
	}
	event(fake, fd, "injected");
	fake->injected_ns = clock_ns();
	fake->injected = fake->holding = true;
	usleep(fake->plan.detect_ms * 1000);
	state_event(fake, fd, "app2", "down", "up");
	tell(fake, fd, "{\"event\":\"rehomed\",\"time_ns\":%llu,\"worker\":\"app2\",\"connections\":3}",
		(unsigned long long)clock_ns());
	if (fake->plan.stops) {
		tell(fake, fd,
			"{\"event\":\"end\",\"time_ns\":%llu,\"ok\":false,\"error\":\"rmsd is shutting "
			"down\",\"aborted\":true}",
			(unsigned long long)clock_ns());
		put(fd, fake->plan.without_length ? "" : "0\r\n\r\n");
		fake->holding = false;
		return;
	}
	fake->left = !hold(fd, duration ? (unsigned)atoi(duration + 5) : 0);
	fake->holding = false;
	if (fake->left || fake->plan.cut)
		return;
	event(fake, fd, "reverting");
	state_event(fake, fd, "app1", "up", "down"); /* nobody's business */
	if (!fake->plan.no_return)
		state_event(fake, fd, "app2", "up", "down");
	event(fake, fd, "even");
	event(fake, fd, "a novelty");
	if (fake->plan.ends_badly)
		tell(fake, fd, "{\"event\":\"end\",\"time_ns\":%llu,\"ok\":false,\"error\":\"it did not come back\"}",
			(unsigned long long)clock_ns());
	else
		tell(fake, fd, "{\"event\":\"end\",\"time_ns\":%llu,\"ok\":true}", (unsigned long long)clock_ns());
	put(fd, fake->plan.without_length ? "" : "0\r\n\r\n");
}

static void answer(int fd, int status, const char *body)
{
	char head[128];

	(void)snprintf(head, sizeof(head), "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n\r\n", status, strlen(body));
	put(fd, head);
	put(fd, body);
}

static void answer_status(const struct fake *fake, int fd)
{
	const struct fake_plan *plan = &fake->plan;
	char body[1024], address[32];

	(void)snprintf(address, sizeof(address), ":%u", fake->threads->port);
	(void)snprintf(body, sizeof(body),
		"{\"version\":\"1\",\"state\":\"up\",\"generation\":7,\"listeners\":["
		"{\"role\":\"admin\",\"worker\":null,\"address\":\"127.0.0.1:1\"},"
		"{\"role\":\"public\",\"worker\":null,\"address\":\"%s\"}],\"workers\":["
		"{\"name\":\"app1\",\"state\":\"%s\"},{\"name\":\"app2\",\"state\":\"%s\"}]}",
		plan->listener ? plan->listener : address, plan->alone ? "down" : "up",
		plan->state ? plan->state : "up");
	answer(fd, 200, body);
}

static void serve_control(struct fake *fake, int fd)
{
	char request[1024] = "";
	size_t len = 0;

	while (!strstr(request, "\r\n\r\n")) {
		ssize_t n = read(fd, request + len, sizeof(request) - 1 - len);

		if (n <= 0)
			return;
		len += (size_t)n;
		request[len] = '\0';
	}
	if (strncmp(request, "GET /readyz ", 12) == 0) {
		answer(fd, fake->plan.readyz ? fake->plan.readyz : 200,
			fake->plan.readyz ? "no worker is up\n" : "ok\n");
	} else if (strncmp(request, "GET /status ", 12) == 0) {
		answer_status(fake, fd);
	} else if (strncmp(request, "POST /v1/drill/verdict?", 23) == 0) {
		(void)snprintf(
			fake->verdict, sizeof(fake->verdict), "%.*s", (int)strcspn(request + 23, " "), request + 23);
		answer(fd, 200, "{\"ok\":true}\n");
	} else if (strncmp(request, "POST /v1/drill?", 15) == 0) {
		(void)snprintf(fake->drill, sizeof(fake->drill), "%.*s", (int)strcspn(request, "\r"), request);
		if (fake->plan.refusal)
			answer(fd, fake->plan.refusal,
				"{\"ok\":false,\"error\":\"another drill runs\",\"generation\":7}\n");
		else
			play(fake, fd);
	} else if (strncmp(request, "GET /v1/faults ", 15) == 0) {
		answer(fd, fake->plan.faults_off ? 409 : 200,
			fake->plan.faults_off ? "{\"ok\":false,\"error\":\"faults are off\"}\n" : "{\"ok\":true}\n");
	} else {
		answer(fd, 404, "{\"ok\":false,\"error\":\"what?\"}\n");
	}
}

static void *run_control(void *arg)
{
	struct fake *fake = arg;
	int fd;

	while ((fd = accept(fake->threads->control_fd, NULL, NULL)) >= 0) {
		serve_control(fake, fd);
		close(fd);
	}
	return NULL;
}

static void drop(struct fake_threads *threads, unsigned i, bool reset)
{
	const struct linger linger = { .l_onoff = 1 };

	if (reset)
		setsockopt(threads->peers[i].fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(threads->peers[i].fd);
	threads->peers[i] = threads->peers[--threads->n_peers];
}

/* Answers one request or does what the plan has in mind for it; false: peer i is gone. */
static bool serve_request(struct fake *fake, unsigned i)
{
	static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
	struct fake_peer *peer = &fake->threads->peers[i];
	enum fake_deed deed = FAKE_ANSWER;
	uint64_t number;

	if (strstr(peer->in, "\r\nConnection: close\r\n")) {
		answer(peer->fd, fake->plan.probe ? fake->plan.probe : 200, "probe");
		drop(fake->threads, i, false);
		return false;
	}
	number = ++fake->requests;

	if (fake->plan.deed_at &&
		(number == fake->plan.deed_at || (fake->plan.deed_always && number > fake->plan.deed_at)))
		deed = fake->plan.deed;
	switch (deed) {
	case FAKE_ANSWER: put(peer->fd, ok); return true;
	case FAKE_STATUS: answer(peer->fd, 503, "no"); return true;
	case FAKE_LOSE: return true;
	case FAKE_CLOSE: put(peer->fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no"); break;
	case FAKE_RESET: break;
	case FAKE_GARBAGE: put(peer->fd, "SSH-2.0-no\r\n"); return true;
	case FAKE_TWICE:
		put(peer->fd,
			"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
		return true;
	case FAKE_GOODBYE: put(peer->fd, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"); break;
	case FAKE_CHUNKED:
		put(peer->fd,
			"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n");
		put(peer->fd, "ok\r\n0\r\n\r\n");
		return true;
	case FAKE_UNTIL_END: put(peer->fd, "HTTP/1.0 200 OK\r\n\r\nok"); break;
	case FAKE_IDLE:
		put(peer->fd, ok);
		peer->close_ns = clock_ns() + IDLE_MS * 1000000;
		return true;
	}
	drop(fake->threads, i, deed == FAKE_RESET);
	return false;
}

/* Reads what peer i has sent; false: it is gone. */
static bool serve_peer(struct fake *fake, unsigned i)
{
	struct fake_peer *peer = &fake->threads->peers[i];
	ssize_t n = recv(peer->fd, peer->in + peer->len, sizeof(peer->in) - 1 - peer->len, MSG_DONTWAIT);
	char *end;

	if (n < 0 && errno == EAGAIN)
		return true;
	if (n <= 0) {
		drop(fake->threads, i, false);
		return false;
	}
	peer->len += (size_t)n;
	peer->in[peer->len] = '\0';
	end = strstr(peer->in, "\r\n\r\n");
	if (!end)
		return true;
	peer->len = 0; /* the drill has one request on its way */
	return serve_request(fake, i);
}

static bool is_pausing(const struct fake *fake)
{
	return fake->plan.pause_ms && fake->injected &&
		clock_ns() < fake->injected_ns + fake->plan.pause_ms * 1000000ULL;
}

static void accept_peers(struct fake_threads *threads)
{
	int fd;

	while (threads->n_peers < PEERS_MAX &&
		(fd = accept4(threads->public_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0)
		threads->peers[threads->n_peers++] = (struct fake_peer){ .fd = fd };
}

static void serve_peers(struct fake *fake)
{
	struct fake_threads *threads = fake->threads;

	for (unsigned i = threads->n_peers; i-- > 0;) {
		if (!serve_peer(fake, i))
			continue;
		if (threads->peers[i].close_ns && clock_ns() >= threads->peers[i].close_ns)
			drop(threads, i, false);
	}
}

static void *run_public(void *arg)
{
	struct fake *fake = arg;
	struct fake_threads *threads = fake->threads;
	struct pollfd fds[PEERS_MAX + 2];

	for (;;) {
		fds[0] = (struct pollfd){ .fd = threads->stop[0], .events = POLLIN };
		fds[1] = (struct pollfd){ .fd = threads->public_fd, .events = POLLIN };
		for (unsigned i = 0; i < threads->n_peers; i++)
			fds[i + 2] = (struct pollfd){ .fd = threads->peers[i].fd, .events = POLLIN };
		poll(fds, threads->n_peers + 2, TURN_MS);
		if (fds[0].revents)
			return NULL;
		if (fake->plan.dies && fake->injected) {
			close(threads->public_fd);
			while (threads->n_peers)
				drop(threads, 0, true);
			return NULL;
		}
		accept_peers(threads);
		if (is_pausing(fake))
			usleep(TURN_MS * 1000);
		else
			serve_peers(fake);
	}
}

static void listen_control(struct fake *fake, const char *dir)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	fake->socket = keepf("%s/sock", dir);
	memcpy(address.sun_path, fake->socket, strlen(fake->socket));
	fake->threads->control_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fake->threads->control_fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fake->threads->control_fd, 8), 0);
}

static void listen_public(struct fake_threads *threads)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(in);

	threads->public_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(threads->public_fd, (struct sockaddr *)&in, len), 0);
	assert_int_equal(listen(threads->public_fd, PEERS_MAX), 0);
	assert_int_equal(getsockname(threads->public_fd, (struct sockaddr *)&in, &len), 0);
	threads->port = ntohs(in.sin_port);
}

struct fake *fake_start(const char *dir, const struct fake_plan *plan)
{
	struct fake *fake = keep(calloc(1, sizeof(*fake)));

	fake->plan = *plan;
	fake->threads = keep(calloc(1, sizeof(*fake->threads)));
	listen_control(fake, dir);
	listen_public(fake->threads);
	assert_int_equal(pipe(fake->threads->stop), 0);
	assert_int_equal(pthread_create(&fake->threads->control, NULL, run_control, fake), 0);
	assert_int_equal(pthread_create(&fake->threads->public, NULL, run_public, fake), 0);
	return fake;
}

void fake_stop(struct fake *fake)
{
	struct fake_threads *threads = fake->threads;

	shutdown(threads->control_fd, SHUT_RDWR); /* wakes accept() */
	close(threads->stop[1]);
	pthread_join(threads->control, NULL);
	pthread_join(threads->public, NULL);
	while (threads->n_peers)
		drop(threads, 0, false);
	close(threads->control_fd);
	if (!(fake->plan.dies && fake->injected))
		close(threads->public_fd);
	close(threads->stop[0]);
	unlink(fake->socket);
}

struct output *fake_drill(struct fake *fake, const char *json, const char *extra)
{
	struct output *output = program_call(program_path("rmsctl"), "-s", fake->socket, "drill", "--kill", "app2",
		FAKE_SHORT, json ? json : "--connections=10", extra, NULL);

	fake_stop(fake);
	return output;
}
