/* listener.c - sockets that accept. */
#include "front/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"

static void on_readable(uv_poll_t *poll, int status, int events);

static void watch(struct listener *listener)
{
	if (listener->listening && !listener->held)
		uv_poll_start(&listener->poll, UV_READABLE, on_readable);
}

static void on_resume(uv_timer_t *timer)
{
	watch(timer->data);
}

/*
 * Not one descriptor or buffer more to be had: asking again at once would only burn the processor. The doors that share
 * a reserve pause until there is room again; one that it is for has its spares, and then tries again by and by, so that
 * a public door never takes what it waits for. True: try again now.
 */
static bool run_short(struct listener *listener, int err)
{
	char word[256];

	if (!listener->first) {
		reserve_pause(listener->reserve, err);
		return false;
	}
	if ((err == EMFILE || err == ENFILE) && reserve_lend(listener->reserve))
		return true;
	if (!listener->failing)
		log_warn("nobody can be accepted", "address=%s error=%s",
			log_word(word, sizeof(word), listener->address), uv_err_name(-err));
	listener->failing = true;
	uv_poll_stop(&listener->poll);
	uv_timer_start(&listener->resume, on_resume, LISTENER_PAUSE_MS, 0);
	return false;
}

static void note_success(struct listener *listener)
{
	char word[256];

	if (!listener->failing)
		return;
	listener->failing = false;
	log_info("somebody can be accepted again", "address=%s", log_word(word, sizeof(word), listener->address));
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct listener *listener = poll->data;
	struct sockaddr_storage peer;

	(void)status;
	(void)events;
	/* What is accepted may end it: the door pauses, or closes. */
	for (int i = 0; i < LISTENER_BATCH && listener->listening && !listener->held; i++) {
		socklen_t len = sizeof(peer);
		int fd = accept4(listener->fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			note_success(listener);
			listener->accepted(listener, fd, (const struct sockaddr *)&peer);
			continue;
		}
		if ((errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) &&
			run_short(listener, errno))
			continue;
		/* Anything else is one client's trouble, or EAGAIN: the next turn comes if there is more. */
		return;
	}
}

/* The file of a unix socket that nobody listens on any more. */
static int remove_stale(const struct sockaddr_un *un, socklen_t len)
{
	struct stat st;
	int fd, err;

	if (stat(un->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return UV_EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	err = connect(fd, (const struct sockaddr *)un, len) < 0 ? errno : 0;
	close(fd);
	if (err != ECONNREFUSED)
		return UV_EADDRINUSE;
	return unlink(un->sun_path) < 0 ? -errno : 0;
}

static int bind_unix(int fd, const struct value_address *address, unsigned mode)
{
	const struct sockaddr_un *un = (const struct sockaddr_un *)&address->sa;
	int err = remove_stale(un, address->sa_len);
	mode_t old;

	if (err < 0)
		return err;
	/* Born with the right mode: nobody may slip in before a chmod. */
	old = umask(0777 & ~mode);
	err = bind(fd, (const struct sockaddr *)un, address->sa_len) < 0 ? -errno : 0;
	umask(old);
	return err;
}

static int bind_tcp(int fd, const struct value_address *address)
{
	int on = 1, off = 0;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	/* Inherited by what is accepted. A reply leaves in one piece; the next one must not wait for an ACK. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	/*
	 * Replies that a client does not take wait with us, where write_timeout and max_buffer_memory hold, and not by
	 * the megabyte in the kernel.
	 */
	setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &(int){ LISTENER_UNSENT }, sizeof(int));
	if (address->sa.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, address->any_host ? &off : &on, sizeof(on));
	return bind(fd, (const struct sockaddr *)&address->sa, address->sa_len) < 0 ? -errno : 0;
}

static void note_address(struct listener *listener, const struct value_address *address)
{
	struct sockaddr_storage sa = address->sa;
	socklen_t len = sizeof(sa);
	char host[INET6_ADDRSTRLEN] = "";

	if (address->sa.ss_family == AF_UNIX) {
		const struct sockaddr_un *un = (const struct sockaddr_un *)&address->sa;

		memcpy(listener->unix_path, un->sun_path, sizeof(listener->unix_path));
		snprintf(listener->address, sizeof(listener->address), "unix:%s", un->sun_path);
		return;
	}
	(void)getsockname(listener->fd, (struct sockaddr *)&sa, &len);
	if (sa.ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&sa;

		listener->port = ntohs(in6->sin6_port);
		inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
	} else {
		const struct sockaddr_in *in = (const struct sockaddr_in *)&sa;

		listener->port = ntohs(in->sin_port);
		inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
	}
	if (address->any_host)
		snprintf(listener->address, sizeof(listener->address), ":%u", listener->port);
	else
		snprintf(listener->address, sizeof(listener->address), sa.ss_family == AF_INET6 ? "[%s]:%u" : "%s:%u",
			host, listener->port);
}

/* ":80" on a machine without IPv6. */
static struct value_address as_ipv4(const struct value_address *address)
{
	struct value_address v4 = *address;
	struct sockaddr_in in = { .sin_family = AF_INET };

	in.sin_port = ((const struct sockaddr_in6 *)&address->sa)->sin6_port;
	memcpy(&v4.sa, &in, sizeof(in));
	v4.sa_len = sizeof(in);
	return v4;
}

static int open_bound(const struct value_address *address, unsigned mode)
{
	int fd = socket(address->sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int err;

	if (fd < 0)
		return -errno;
	err = address->sa.ss_family == AF_UNIX ? bind_unix(fd, address, mode) : bind_tcp(fd, address);
	if (err < 0) {
		close(fd);
		return err;
	}
	return fd;
}

/*
 * A port that the system chose is given back at shutdown(), and one that was asked for is not: so asks for the one it
 * chose, before anybody else can have it.
 */
static int open_fixed(const struct value_address *address, unsigned mode)
{
	struct value_address fixed = *address;
	int fd = open_bound(address, mode);
	int chosen = fd;

	/* sin_port and sin6_port stand in the same place. */
	if (fd < 0 || address->sa.ss_family == AF_UNIX || ((const struct sockaddr_in *)&address->sa)->sin_port)
		return fd;
	if (getsockname(chosen, (struct sockaddr *)&fixed.sa, &fixed.sa_len) == 0)
		fd = open_bound(&fixed, mode);
	close(chosen);
	return fd;
}

int listener_bind(struct listener *listener, const struct value_address *address, int backlog, unsigned mode,
	struct reserve *reserve, bool first, uv_loop_t *loop, listener_fn *accepted, void *owner)
{
	struct value_address v4;
	int fd = open_fixed(address, mode);
	int err;

	if ((fd == UV_EAFNOSUPPORT || fd == UV_EADDRNOTAVAIL) && address->any_host) {
		v4 = as_ipv4(address);
		fd = open_fixed(&v4, mode);
	}
	if (fd < 0)
		return fd;
	*listener = (struct listener){
		.fd = fd,
		.backlog = backlog,
		.accepted = accepted,
		.owner = owner,
		.reserve = reserve,
		.first = first,
		.held = !first && reserve->paused,
	};
	note_address(listener, address);
	err = uv_poll_init(loop, &listener->poll, fd);
	if (err < 0)
		goto close_fd;
	uv_timer_init(loop, &listener->resume);
	listener->poll.data = listener->resume.data = listener;
	return 0;
close_fd:
	close(fd);
	listener->fd = -1;
	return err;
}

/*
 * With it another process may listen on an address that is bound and does not listen; without it, nobody may listen
 * again while old connections of the address linger. So it is on from listen() to shutdown(), and off otherwise.
 */
static void set_reuse(const struct listener *listener, int on)
{
	if (!listener->unix_path[0])
		setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
}

int listener_listen(struct listener *listener)
{
	if (listener->listening)
		return 0;
	set_reuse(listener, 1);
	return listen(listener->fd, listener->backlog) < 0 ? -errno : 0;
}

int listener_start(struct listener *listener)
{
	int err = listener_listen(listener);

	if (err < 0 || listener->listening)
		return err;
	listener->listening = true;
	watch(listener);
	return 0;
}

void listener_hold(struct listener *listener, bool hold)
{
	if (!listener->accepted || listener->fd < 0)
		return;
	listener->held = hold;
	if (hold)
		uv_poll_stop(&listener->poll);
	else
		watch(listener);
}

void listener_stop(struct listener *listener)
{
	if (!listener->listening)
		return;
	listener->listening = false;
	uv_timer_stop(&listener->resume);
	/* Out of the set first: a socket that no longer listens reports a hang-up for ever. */
	uv_poll_stop(&listener->poll);
	shutdown(listener->fd, SHUT_RDWR);
	set_reuse(listener, 0);
}

void listener_close(struct listener *listener)
{
	if (!listener->accepted || listener->fd < 0)
		return;
	uv_close((uv_handle_t *)&listener->poll, NULL);
	uv_close((uv_handle_t *)&listener->resume, NULL);
	close(listener->fd);
	listener->fd = -1;
	listener->listening = false;
	if (listener->unix_path[0])
		unlink(listener->unix_path);
}
