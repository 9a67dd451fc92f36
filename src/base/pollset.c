/* pollset.c - epoll_ctl from anywhere, epoll_wait on the loop's thread. */
#include "base/pollset.h"

#include <assert.h>
#include <errno.h>
#include <unistd.h>

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct pollset *set = poll->data;
	int done;

	(void)status;
	(void)events;
	if (!set->n) {
		set->first = 0;
		set->n = epoll_wait(set->epfd, set->ready, POLLSET_BATCH, 0);
		if (set->n < 0)
			set->n = 0;
	}
	if (!set->n)
		return;
	done = set->on_events(set->owner, set->ready + set->first, set->n);
	set->first += done;
	set->n -= done;
}

int pollset_open(struct pollset *set, uv_loop_t *loop, pollset_fn *on_events, void *owner)
{
	int epfd = epoll_create1(EPOLL_CLOEXEC);
	int err;

	if (epfd < 0)
		return -errno;
	err = uv_poll_init(loop, &set->poll, epfd);
	if (err < 0)
		goto close_epfd;
	set->epfd = epfd;
	set->first = set->n = 0;
	set->poll.data = set;
	set->on_events = on_events;
	set->owner = owner;
	err = uv_poll_start(&set->poll, UV_READABLE, on_readable);
	assert(!err);
	return 0;
close_epfd:
	close(epfd);
	return err;
}

void pollset_close(struct pollset *set, uv_close_cb closed)
{
	uv_close((uv_handle_t *)&set->poll, closed);
}

void pollset_finish(struct pollset *set)
{
	if (set->epfd >= 0)
		close(set->epfd);
	set->epfd = -1;
}

static int control(const struct pollset *set, int op, int fd, uint32_t events, uint64_t tag)
{
	struct epoll_event event = { .events = events, .data.u64 = tag };

	return epoll_ctl(set->epfd, op, fd, &event) < 0 ? -errno : 0;
}

int pollset_add(const struct pollset *set, int fd, uint32_t events, uint64_t tag)
{
	return control(set, EPOLL_CTL_ADD, fd, events, tag);
}

int pollset_mod(const struct pollset *set, int fd, uint32_t events, uint64_t tag)
{
	return control(set, EPOLL_CTL_MOD, fd, events, tag);
}

int pollset_del(const struct pollset *set, int fd)
{
	return control(set, EPOLL_CTL_DEL, fd, 0, 0);
}
