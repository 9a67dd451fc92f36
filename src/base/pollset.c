/* pollset.c - epoll_ctl from anywhere, epoll_wait on the loop's thread. */
#include "base/pollset.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* Not an fd: no other tag is so large. */
static const uint64_t LOOP_TAG = UINT64_MAX;

/* uv_run() clears the flag of uv_stop() and does not tell. */
static void note_stop(struct pollset *set)
{
	set->stopped |= set->loop->stop_flag != 0;
}

static void on_check(uv_check_t *check)
{
	note_stop(check->data);
}

static int control(const struct pollset *set, int op, int fd, uint32_t events, uint64_t tag)
{
	struct epoll_event event = { .events = events, .data.u64 = tag };

	return epoll_ctl(set->epfd, op, fd, &event) < 0 ? -errno : 0;
}

int pollset_open(struct pollset *set, uv_loop_t *loop, pollset_fn *on_events, void *owner)
{
	int epfd = epoll_create1(EPOLL_CLOEXEC);
	int err;

	if (epfd < 0)
		return -errno;
	set->epfd = epfd;
	err = control(set, EPOLL_CTL_ADD, uv_backend_fd(loop), EPOLLIN, LOOP_TAG);
	if (err < 0) {
		close(epfd);
		return err;
	}
	set->loop = loop;
	set->first = set->n = 0;
	set->due = set->stopped = false;
	set->on_events = on_events;
	set->owner = owner;
	uv_check_init(loop, &set->check);
	set->check.data = set;
	uv_check_start(&set->check, on_check);
	uv_unref((uv_handle_t *)&set->check);
	return 0;
}

/* The newest events into ready, but for the loop's own. */
static void take_events(struct pollset *set, int timeout)
{
	int n = epoll_wait(set->epfd, set->ready, POLLSET_BATCH, timeout);

	/* What is called now may start timers, which count from there. */
	uv_update_time(set->loop);
	set->first = 0;
	set->n = n < 0 ? 0 : n;
	for (int i = 0; i < set->n; i++) {
		if (set->ready[i].data.u64 != LOOP_TAG)
			continue;
		set->due = true;
		set->n--;
		memmove(set->ready + i, set->ready + i + 1, (size_t)(set->n - i) * sizeof(set->ready[0]));
		break;
	}
}

/* False: it is over. */
static bool turn_loop(struct pollset *set)
{
	set->due = false;
	note_stop(set);
	return uv_run(set->loop, UV_RUN_NOWAIT) && !set->stopped;
}

/* In ms, -1 for ever. 0 also when there is a handle of which the loop's own set does not know yet, or one to close. */
static int loop_timeout(const uv_loop_t *loop)
{
#if UV_VERSION_HEX < 0x012c00
	/* libuv before 1.44 leaves out the former. */
	if (loop->watcher_queue[0] != (const void *)loop->watcher_queue)
		return 0;
#endif
	return uv_backend_timeout(loop);
}

bool pollset_turn(struct pollset *set, bool wait)
{
	int timeout = loop_timeout(set->loop);

	if (timeout > 0) {
		/* It counts from the loop's time, and what was called since then has taken some. */
		uv_update_time(set->loop);
		timeout = loop_timeout(set->loop);
	}
	if (set->due || !timeout) {
		if (!turn_loop(set))
			return false;
		/* Something was done: it is for the caller to say whether to wait for more. */
		if (!set->n && loop_timeout(set->loop))
			return true;
		timeout = 0;
	}
	if (!set->n)
		take_events(set, wait ? timeout : 0);
	/* What the thread was told comes before what clients have sent at the same time. */
	if (set->n && set->due && !turn_loop(set))
		return false;
	if (set->n) {
		int done = set->on_events(set->owner, set->ready + set->first, set->n);

		set->first += done;
		set->n -= done;
		/* Who cannot finish a batch is to let the timers in. */
		set->due |= set->n != 0;
	}
	return true;
}

void pollset_close(struct pollset *set)
{
	uv_close((uv_handle_t *)&set->check, NULL);
}

void pollset_finish(struct pollset *set)
{
	if (set->epfd >= 0)
		close(set->epfd);
	set->epfd = -1;
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
