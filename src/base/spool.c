/*
 * spool.c - the thread that writes, and what it does when it cannot.
 *
 * It sleeps in poll() on an eventfd, with a time-out. While lines come nobody has to wake it. The first line after a
 * pause does, and a feed that is filling, with one system call.
 */
#include "base/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "base/lock.h"
#include "base/log.h"

enum {
	BATCH_MS = 100,   /* between two looks while lines come */
	IDLE_MS = 1000,   /* and while none do, if nobody wakes it */
	RETRY_MS = 500,   /* when the file does not take them */
	STOP_MS = 1000,   /* what is in the feeds has this long to be written in the end */
	TELL_MS = 60000,  /* between two warnings */
	POLL_MS = 50,     /* how soon a stop is seen while a pipe takes nothing */
	PIECE = 4096,     /* PIPE_BUF: a pipe takes so much whole, or not at all */
	FILE_MODE = 0640, /* it tells who asked for what */
};

struct spool {
	char *path; /* NULL: stderr */
	pthread_t thread;
	bool started;
	int wakeup; /* an eventfd */
	_Atomic bool asleep, reopen, stop;
	_Atomic bool idle;           /* the next line is to wake it */
	_Atomic int64_t deadline_ms; /* when it gives up; INT64_MAX: never */
	struct lock lock;            /* guards the list alone: nothing is written under it */
	struct list feeds;

	/* The thread's. */
	int fd;
	bool regular;                  /* a file of its own, of which a part may be cut off */
	struct spool_feed *unfinished; /* the rest of its oldest line comes next: of that, a pipe has done bytes */
	size_t done;
	bool failing;
	bool told; /* that it is */
	int64_t failing_ms, told_ms;
	uint64_t lost; /* lines of feeds that were closed while it failed */
};

static int64_t now_ms(void)
{
	return (int64_t)(uv_hrtime() / 1000000);
}

static int open_file(const char *path)
{
	/* A pipe must not hold up the thread; to a file it is all the same. */
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, FILE_MODE);

	return fd < 0 ? -errno : fd;
}

static void use(struct spool *spool, int fd)
{
	struct stat st;

	spool->fd = fd;
	spool->regular = spool->path && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

int spool_create(const char *path, struct spool **out)
{
	struct spool *spool = calloc(1, sizeof(*spool));
	int err = UV_ENOMEM;

	if (!spool)
		return err;
	spool->fd = -1;
	spool->path = path ? strdup(path) : NULL;
	if (path && !spool->path)
		goto free_spool;
	spool->wakeup = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (spool->wakeup < 0) {
		err = -errno;
		goto free_spool;
	}
	atomic_init(&spool->deadline_ms, INT64_MAX);
	lock_init(&spool->lock);
	list_init(&spool->feeds);
	*out = spool;
	return 0;
free_spool:
	free(spool->path);
	free(spool);
	return err;
}

int spool_open(struct spool *spool)
{
	int fd = spool->path ? open_file(spool->path) : STDERR_FILENO;

	if (fd < 0)
		return fd;
	use(spool, fd);
	return 0;
}

/* ---- feeds ---- */

struct spool_feed *spool_open_feed(struct spool *spool)
{
	struct spool_feed *feed = aligned_alloc(alignof(struct spool_feed), sizeof(*feed));

	if (!feed)
		return NULL;
	ring_init(&feed->ring);
	feed->spool = spool;
	feed->idle = &spool->idle;
	atomic_init(&feed->closed, false);
	lock_acquire(&spool->lock);
	list_push(&spool->feeds, &feed->node);
	lock_release(&spool->lock);
	return feed;
}

void spool_close_feed(struct spool_feed *feed)
{
	/* The last access: the thread may free it. */
	if (feed)
		atomic_store_explicit(&feed->closed, true, memory_order_release);
}

static void wake(struct spool *spool)
{
	uint64_t one = 1;

	/* It can only be full of wake-ups. */
	while (write(spool->wakeup, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

void spool_hurry(struct spool_feed *feed)
{
	struct spool *spool = feed->spool;
	struct ring *ring = &feed->ring;
	_Atomic bool *flag = &spool->idle;

	ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
	if (atomic_load_explicit(&ring->head, memory_order_relaxed) - ring->tail_seen >= SPOOL_HURRY)
		flag = &spool->asleep;
	if (atomic_load_explicit(flag, memory_order_relaxed) && atomic_exchange(flag, false))
		wake(spool);
}

/* The first feed, or the one behind feed; NULL: there is none. Only this thread takes one out of the list. */
static struct spool_feed *next_feed(struct spool *spool, struct spool_feed *feed)
{
	struct list_node *node;

	lock_acquire(&spool->lock);
	node = feed ? feed->node.next : spool->feeds.head.next;
	lock_release(&spool->lock);
	return node == &spool->feeds.head ? NULL : list_entry(node, struct spool_feed, node);
}

static void free_feed(struct spool *spool, struct spool_feed *feed)
{
	lock_acquire(&spool->lock);
	list_remove(&feed->node);
	lock_release(&spool->lock);
	free(feed);
}

static uint64_t count_lines(const struct iovec pieces[2])
{
	uint64_t n = 0;

	for (int i = 0; i < 2; i++)
		for (const char *at = pieces[i].iov_base, *end = at + pieces[i].iov_len; at < end; at++)
			n += *at == '\n';
	return n;
}

/* ---- writing ---- */

static void fail(struct spool *spool, int err)
{
	int64_t now = now_ms();

	if (!spool->failing)
		spool->failing_ms = now;
	spool->failing = true;
	if (spool->told_ms && now - spool->told_ms < TELL_MS)
		return;
	spool->told = true;
	spool->told_ms = now;
	log_warn("the access log cannot be written: lines that find no room are dropped", "path=%s error=%s",
		spool->path ? spool->path : "stderr", uv_err_name(-err));
}

static void recover(struct spool *spool)
{
	if (spool->told || spool->lost)
		log_info("the access log is written again", "path=%s after_ms=%lld lines_of_lost_workers_dropped=%llu",
			spool->path ? spool->path : "stderr", (long long)(now_ms() - spool->failing_ms),
			(unsigned long long)spool->lost);
	spool->failing = spool->told = false;
	spool->lost = 0;
}

/*
 * What is no file is asked before each piece: a pipe that is full is nothing to tell of, and stderr, which is others',
 * too, is not made non-blocking. False: it takes nothing.
 */
static bool await_room(struct spool *spool)
{
	int64_t until = now_ms() + RETRY_MS;

	do {
		struct pollfd out = { .fd = spool->fd, .events = POLLOUT };

		if (poll(&out, 1, POLL_MS) > 0)
			return true;
	} while (now_ms() < until && now_ms() < atomic_load(&spool->deadline_ms));
	fail(spool, EAGAIN);
	return false;
}

/* Bytes of the pieces up to the end of the last line that ends within the first n; 0: none does. */
static size_t whole_lines(const struct iovec pieces[2], size_t n)
{
	size_t first = pieces[0].iov_len;
	const char *end;

	if (n > first) {
		end = memrchr(pieces[1].iov_base, '\n', n - first);
		if (end)
			return first + (size_t)(end + 1 - (const char *)pieces[1].iov_base);
		n = first;
	}
	end = memrchr(pieces[0].iov_base, '\n', n);
	return end ? (size_t)(end + 1 - (const char *)pieces[0].iov_base) : 0;
}

/* The pieces without their first skip bytes, and at most most bytes of that. */
static void window(const struct iovec from[2], struct iovec to[2], size_t skip, size_t most)
{
	for (int i = 0; i < 2; i++) {
		size_t off = skip < from[i].iov_len ? skip : from[i].iov_len;
		size_t len = from[i].iov_len - off < most ? from[i].iov_len - off : most;

		to[i] = (struct iovec){ (char *)from[i].iov_base + off, len };
		skip -= off;
		most -= len;
	}
}

/* A file has taken a part of a line, of n bytes: it is as if it had not. */
static void cut_off(struct spool *spool, size_t n)
{
	struct stat st;

	if (fstat(spool->fd, &st) == 0 && st.st_size >= (off_t)n && ftruncate(spool->fd, st.st_size - (off_t)n) < 0)
		fail(spool, errno);
}

/* One write of what feed has, which is something. False: not all of it was taken. */
static bool write_some(struct spool *spool, struct spool_feed *feed)
{
	struct iovec all[2], part[2];
	size_t most = ring_peek(&feed->ring, all) - spool->done, taken, whole;
	ssize_t n;

	if (!spool->regular && most > PIECE) {
		most = whole_lines(all, spool->done + PIECE);
		most = most > spool->done ? most - spool->done : PIECE;
	}
	window(all, part, spool->done, most);
	if (!spool->regular && !await_room(spool))
		return false;
	n = writev(spool->fd, part, 2);
	if (n < 0 && errno == EINTR)
		return true;
	if (n <= 0) {
		fail(spool, n < 0 ? errno : ENOSPC);
		return false;
	}
	taken = spool->done + (size_t)n;
	whole = whole_lines(all, taken);
	ring_take(&feed->ring, whole);
	spool->done = taken - whole;
	if (spool->done && spool->regular) {
		cut_off(spool, spool->done);
		spool->done = 0;
	}
	spool->unfinished = spool->done ? feed : NULL;
	/* Of a file, that is its end; of a pipe, that its reader is slow. */
	if ((size_t)n < most && spool->regular) {
		fail(spool, ENOSPC);
		return false;
	}
	return true;
}

/* What it has now; what comes meanwhile waits, or one thread could keep the others waiting. */
static bool write_feed(struct spool *spool, struct spool_feed *feed, bool *any)
{
	const struct ring *ring = &feed->ring;
	uint64_t end = atomic_load_explicit(&ring->head, memory_order_acquire);

	/* A line that came meanwhile, and was taken in part, is finished: done is of this feed's alone. */
	while (spool->done || atomic_load_explicit(&ring->tail, memory_order_relaxed) < end) {
		*any = true;
		if (!write_some(spool, feed))
			return false;
	}
	return true;
}

/* Every feed. True: there was something. */
static bool write_all(struct spool *spool)
{
	struct spool_feed *feed, *next;
	bool any = false, good = true;

	/* A pipe has a part of its line. */
	if (spool->unfinished)
		good = write_feed(spool, spool->unfinished, &any);
	for (feed = next_feed(spool, NULL); feed; feed = next) {
		/* Before its bytes: what was written before it was closed is seen. */
		bool closed = atomic_load_explicit(&feed->closed, memory_order_acquire);
		struct iovec pieces[2];

		next = next_feed(spool, feed);
		good = good && write_feed(spool, feed, &any);
		if (!closed || spool->unfinished == feed)
			continue;
		/* Workers that come and go while the disk is full must not fill the memory. */
		if (ring_peek(&feed->ring, pieces)) {
			if (good && !spool->failing)
				continue;
			spool->lost += count_lines(pieces);
		}
		free_feed(spool, feed);
	}
	if (good && any && spool->failing)
		recover(spool);
	return any;
}

static void open_again(struct spool *spool)
{
	int fd = spool->path ? open_file(spool->path) : -1;

	if (!spool->path)
		return;
	if (fd < 0) {
		log_warn("the access log cannot be opened again, the old file goes on", "path=%s error=%s", spool->path,
			uv_err_name(fd));
		return;
	}
	close(spool->fd);
	use(spool, fd);
	/* The line that the old one has in part comes whole. */
	spool->unfinished = NULL;
	spool->done = 0;
	log_info("the access log was opened again", "path=%s", spool->path);
}

static void nap(struct spool *spool, int ms, bool idle)
{
	struct pollfd wakeup = { .fd = spool->wakeup, .events = POLLIN };
	uint64_t count;

	/* Who fills a ring that is not taken cannot be helped by a look sooner. */
	if (!spool->failing) {
		atomic_store(&spool->idle, idle);
		atomic_store(&spool->asleep, true);
	}
	if (!atomic_load(&spool->stop) && !atomic_load(&spool->reopen))
		(void)poll(&wakeup, 1, ms);
	atomic_store(&spool->asleep, false);
	atomic_store(&spool->idle, false);
	while (read(spool->wakeup, &count, sizeof(count)) < 0 && errno == EINTR)
		;
}

/* Nobody will write them any more. */
static void tell_lost(struct spool *spool)
{
	for (struct spool_feed *feed = next_feed(spool, NULL); feed; feed = next_feed(spool, feed)) {
		struct iovec pieces[2];

		if (ring_peek(&feed->ring, pieces))
			spool->lost += count_lines(pieces);
	}
	if (spool->lost)
		log_warn("lines of the access log are lost: it could not be written to the end", "path=%s lines=%llu",
			spool->path ? spool->path : "stderr", (unsigned long long)spool->lost);
}

static void *run(void *arg)
{
	struct spool *spool = arg;

	pthread_setname_np(pthread_self(), "access log");
	for (;;) {
		/* Asked first: what was written before is seen, and goes to the old file. */
		bool stopping = atomic_load(&spool->stop);
		bool reopening = atomic_exchange(&spool->reopen, false);
		bool any = write_all(spool);

		if (reopening)
			open_again(spool);
		if (stopping && (!any || now_ms() >= atomic_load(&spool->deadline_ms)))
			break;
		if (stopping) {
			(void)poll(NULL, 0, spool->failing ? POLL_MS : 0);
			continue;
		}
		if (!any && !spool->failing)
			nap(spool, IDLE_MS, true);
		/* More lines will follow the one that has just come. */
		nap(spool, spool->failing ? RETRY_MS : BATCH_MS, false);
	}
	tell_lost(spool);
	return NULL;
}

int spool_start(struct spool *spool)
{
	int err = pthread_create(&spool->thread, NULL, run, spool);

	spool->started = err == 0;
	return -err;
}

void spool_reopen(struct spool *spool)
{
	atomic_store(&spool->reopen, true);
	wake(spool);
}

bool spool_stop(struct spool *spool)
{
	struct timespec late;

	if (!spool->started)
		return true;
	clock_gettime(CLOCK_REALTIME, &late);
	/* Once: what is late then stays stuck. */
	if (!atomic_load(&spool->stop)) {
		atomic_store(&spool->deadline_ms, now_ms() + STOP_MS);
		atomic_store(&spool->stop, true);
		wake(spool);
		late.tv_sec += STOP_MS / 1000 + 1;
	}
	spool->started = pthread_timedjoin_np(spool->thread, NULL, &late) != 0;
	return !spool->started;
}

void spool_destroy(struct spool *spool)
{
	struct list_node *node, *next;

	if (!spool)
		return;
	for (node = spool->feeds.head.next; node != &spool->feeds.head; node = next) {
		next = node->next;
		free(list_entry(node, struct spool_feed, node));
	}
	if (spool->path && spool->fd >= 0)
		close(spool->fd);
	close(spool->wakeup);
	lock_finish(&spool->lock);
	free(spool->path);
	free(spool);
}
