/*
 * broken.c - accept4, recv, send, sendmsg, epoll_ctl and malloc of rmsd's own objects, linked into a testapp by --wrap:
 * one call of a kind fails, with the error that the test asks for. libuv and the C library keep theirs.
 */
#include "support/broken.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static struct broken *plan;

__attribute__((constructor)) static void map_plan(void)
{
	const char *name = getenv(BROKEN_FILE);
	int fd = name ? open(name, O_RDWR | O_CLOEXEC) : -1;
	void *memory = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(*plan), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (memory != MAP_FAILED)
		plan = memory;
	if (fd >= 0)
		close(fd);
}

/* Whether this call is the one; then errno is set. */
static bool breaks(enum broken_call call)
{
	if (!plan || atomic_load(&plan->call) != (int)call || atomic_fetch_sub(&plan->left, 1) != 1)
		return false;
	atomic_fetch_add(&plan->hits, 1);
	errno = atomic_load(&plan->error);
	return true;
}

/* The names that --wrap asks for. */
int broken_accept(int fd, struct sockaddr *peer, socklen_t *len, int flags) __asm__("__wrap_accept4");
int real_accept(int fd, struct sockaddr *peer, socklen_t *len, int flags) __asm__("__real_accept4");
ssize_t broken_recv(int fd, void *bytes, size_t len, int flags) __asm__("__wrap_recv");
ssize_t real_recv(int fd, void *bytes, size_t len, int flags) __asm__("__real_recv");
ssize_t broken_send(int fd, const void *bytes, size_t len, int flags) __asm__("__wrap_send");
ssize_t real_send(int fd, const void *bytes, size_t len, int flags) __asm__("__real_send");
ssize_t broken_sendmsg(int fd, const struct msghdr *message, int flags) __asm__("__wrap_sendmsg");
ssize_t real_sendmsg(int fd, const struct msghdr *message, int flags) __asm__("__real_sendmsg");
int broken_epoll(int epfd, int op, int fd, struct epoll_event *event) __asm__("__wrap_epoll_ctl");
int real_epoll(int epfd, int op, int fd, struct epoll_event *event) __asm__("__real_epoll_ctl");
void *broken_malloc(size_t size) __asm__("__wrap_malloc");
void *real_malloc(size_t size) __asm__("__real_malloc");
void *broken_calloc(size_t n, size_t size) __asm__("__wrap_calloc");
void *real_calloc(size_t n, size_t size) __asm__("__real_calloc");
void *broken_realloc(void *block, size_t size) __asm__("__wrap_realloc");
void *real_realloc(void *block, size_t size) __asm__("__real_realloc");

int broken_accept(int fd, struct sockaddr *peer, socklen_t *len, int flags)
{
	return breaks(BROKEN_ACCEPT) ? -1 : real_accept(fd, peer, len, flags);
}

ssize_t broken_recv(int fd, void *bytes, size_t len, int flags)
{
	if (!breaks(BROKEN_RECV))
		return real_recv(fd, bytes, len, flags);
	return errno ? -1 : real_recv(fd, bytes, 1, flags);
}

ssize_t broken_send(int fd, const void *bytes, size_t len, int flags)
{
	if (!breaks(BROKEN_SEND))
		return real_send(fd, bytes, len, flags);
	return errno ? -1 : real_send(fd, bytes, 1, flags);
}

ssize_t broken_sendmsg(int fd, const struct msghdr *message, int flags)
{
	if (!breaks(BROKEN_SEND))
		return real_sendmsg(fd, message, flags);
	return errno ? -1 : real_send(fd, message->msg_iov[0].iov_base, 1, flags);
}

/* To take a descriptor out needs nothing that could be missing. */
int broken_epoll(int epfd, int op, int fd, struct epoll_event *event)
{
	return op != EPOLL_CTL_DEL && breaks(BROKEN_EPOLL) ? -1 : real_epoll(epfd, op, fd, event);
}

void *broken_malloc(size_t size)
{
	return breaks(BROKEN_MALLOC) ? NULL : real_malloc(size);
}

void *broken_calloc(size_t n, size_t size)
{
	return breaks(BROKEN_MALLOC) ? NULL : real_calloc(n, size);
}

void *broken_realloc(void *block, size_t size)
{
	return breaks(BROKEN_MALLOC) ? NULL : real_realloc(block, size);
}
