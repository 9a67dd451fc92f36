/*
 * floor.c - the least that a server can do: two threads, an epoll set each, a constant reply for each empty line.
 *
 * What it costs is the kernel's share of any server that is measured beside it. It parses nothing, has no time-outs and
 * believes its clients: a bench may, nobody else should.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
	THREADS = 2,
	BATCH = 256,
	BACKLOG = 16384,
	INPUT = 64 * 1024,
	MOST_REPLIES = 64, /* of one read: pipelined */
	DESCRIPTORS = 20000,
};

static const char usage[] = "usage: floor [-c] [-b BYTES] PORT\n"
			    "  -c  close each connection behind its first reply\n"
			    "  -b  the reply's body has so many bytes, in place of its text\n";
static const char text[] = "Hello from Cloud Application";

/* Constant while the threads run. */
static bool closes;
static char *reply;
static size_t reply_len;

/* What a client has not taken yet of a large reply; by descriptor. Only the thread that has the connection looks. */
static size_t owed[DESCRIPTORS];

struct port {
	int listener;
	int epoll;
	char input[INPUT];
};

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void watch(int epoll, int how, int fd, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.fd = fd };

	if (epoll_ctl(epoll, how, fd, &event) < 0)
		fail("epoll_ctl");
}

static void accept_all(const struct port *port)
{
	int fd, on = 1;

	while ((fd = accept4(port->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		if (fd >= DESCRIPTORS) {
			close(fd);
			continue;
		}
		owed[fd] = 0;
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		watch(port->epoll, EPOLL_CTL_ADD, fd, EPOLLIN);
	}
}

/* Replies end where an empty line does; one that came in two pieces is seen if its last four bytes came together. */
static unsigned count_heads(const char *at, size_t len)
{
	const char *end = at + len, *found;
	unsigned n = 0;

	while (n < MOST_REPLIES && (found = memmem(at, (size_t)(end - at), "\r\n\r\n", 4)) != NULL) {
		n++;
		at = found + 4;
	}
	return n;
}

static void write_owed(const struct port *port, int fd)
{
	struct iovec parts[MOST_REPLIES];
	int n = 0;
	/* The first may be half gone. */
	size_t first = owed[fd] % reply_len;
	bool waited = first != 0;
	ssize_t written;

	if (first)
		parts[n++] = (struct iovec){ .iov_base = reply + reply_len - first, .iov_len = first };
	for (size_t left = owed[fd] - first; left && n < MOST_REPLIES; left -= reply_len)
		parts[n++] = (struct iovec){ .iov_base = reply, .iov_len = reply_len };
	written = n == 1 ? send(fd, parts[0].iov_base, parts[0].iov_len, MSG_NOSIGNAL) : writev(fd, parts, n);
	if (written < 0 && errno != EAGAIN) {
		close(fd);
		return;
	}
	if (written > 0)
		owed[fd] -= (size_t)written;
	if (!owed[fd] && closes)
		close(fd);
	else if (owed[fd] || waited)
		watch(port->epoll, EPOLL_CTL_MOD, fd, owed[fd] ? EPOLLOUT : EPOLLIN);
}

static void serve(struct port *port, int fd, uint32_t events)
{
	ssize_t n;

	if (events & EPOLLOUT) {
		write_owed(port, fd);
		return;
	}
	n = recv(fd, port->input, sizeof(port->input), 0);
	if (n <= 0) {
		if (n == 0 || errno != EAGAIN)
			close(fd);
		return;
	}
	owed[fd] += count_heads(port->input, (size_t)n) * reply_len;
	if (owed[fd])
		write_owed(port, fd);
}

static void *run(void *arg)
{
	struct epoll_event events[BATCH];
	struct port *port = arg;

	for (;;) {
		int n = epoll_wait(port->epoll, events, BATCH, -1);

		for (int i = 0; i < n; i++) {
			if (events[i].data.fd == port->listener)
				accept_all(port);
			else
				serve(port, events[i].data.fd, events[i].events);
		}
	}
	return NULL;
}

static void open_port(struct port *port, uint16_t number)
{
	const struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons(number), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)
	};
	int on = 1;

	port->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	port->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (port->listener < 0 || port->epoll < 0)
		fail("socket");
	(void)setsockopt(port->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	(void)setsockopt(port->listener, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	if (bind(port->listener, (const struct sockaddr *)&address, sizeof(address)) < 0)
		fail("bind");
	if (listen(port->listener, BACKLOG) < 0)
		fail("listen");
	watch(port->epoll, EPOLL_CTL_ADD, port->listener, EPOLLIN);
}

static void make_reply(size_t bytes)
{
	static const char date[] = "Thu, 01 Jan 1970 00:00:00 GMT"; /* as long as a true one */
	size_t head;

	reply = malloc(bytes + 256);
	if (!reply)
		fail("malloc");
	head = (size_t)sprintf(reply,
		"HTTP/1.1 200 OK\r\nDate: %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: "
		"%zu\r\n%s\r\n",
		date, bytes, closes ? "Connection: close\r\n" : "");
	memset(reply + head, 'x', bytes);
	if (bytes == sizeof(text) - 1)
		memcpy(reply + head, text, bytes);
	reply_len = head + bytes;
}

int main(int argc, char **argv)
{
	static struct port ports[THREADS];
	struct rlimit limit;
	size_t bytes = sizeof(text) - 1;
	pthread_t thread;
	int option;

	while ((option = getopt(argc, argv, "cb:")) != -1) {
		switch (option) {
		case 'c': closes = true; break;
		case 'b': bytes = strtoul(optarg, NULL, 10); break;
		default: fputs(usage, stderr); return 2;
		}
	}
	if (argc - optind != 1) {
		fputs(usage, stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
	make_reply(bytes);
	for (int i = 0; i < THREADS; i++)
		open_port(&ports[i], (uint16_t)atoi(argv[optind]));
	for (int i = 1; i < THREADS; i++)
		if (pthread_create(&thread, NULL, run, &ports[i]) != 0)
			fail("pthread_create");
	run(&ports[0]);
	return 0;
}
