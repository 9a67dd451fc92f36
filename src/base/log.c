/*
 * log.c - a ring of events, and the thread that writes them out.
 *
 * A logging thread formats its facts, reads the clock, and copies both into the ring under a lock that is held for
 * nothing else; the calendar, the JSON and the system call are the writer's. The writer polls before it writes, so that
 * it can be stopped while nobody reads stderr; O_NONBLOCK would do that to every process that shares the open file.
 */
#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include <uv.h>

#include "base/lock.h"
#include "base/log_line.h"

enum {
	RING_SIZE = 1024,
	STOP_MS = 1000, /* what is in the ring has this long to be written */
	POLL_MS = 50,   /* how soon the writer sees that it shall stop */
	DIRECT_MS = 100 /* while there is no writer, how long a line waits for stderr */
};

static struct {
	struct lock lock; /* guards all down to changed */
	unsigned head;
	unsigned count;
	bool running; /* from log_start() to log_stop() */
	bool alive;   /* until the writer is about to end */
	uint64_t dropped;
	uint64_t reported;
	pthread_cond_t changed;           /* the ring is no longer empty; running and alive; by CLOCK_MONOTONIC */
	struct log_entry ring[RING_SIZE]; /* the one at head is the writer's while count is not 0 */
	pthread_t writer;
	_Atomic int64_t deadline_ms; /* when the writer gives up */
	_Atomic enum log_level level;
	_Atomic enum log_format format;
} state = { .lock = { PTHREAD_MUTEX_INITIALIZER }, .level = LOG_INFO };

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* False: stderr is gone, or did not take the line in time. */
static bool write_line(const struct log_line *line, const _Atomic int64_t *deadline_ms)
{
	for (size_t done = 0; done < line->len;) {
		struct pollfd stderr_poll = { .fd = STDERR_FILENO, .events = POLLOUT };
		int64_t left_ms = atomic_load(deadline_ms) - now_ms();
		ssize_t n;

		if (left_ms <= 0)
			return false;
		if (poll(&stderr_poll, 1, left_ms < POLL_MS ? (int)left_ms : POLL_MS) <= 0)
			continue;
		n = write(STDERR_FILENO, line->data + done, line->len - done);
		if (n >= 0)
			done += (size_t)n;
		else if (errno != EINTR && errno != EAGAIN)
			return false;
	}
	return true;
}

static bool write_entry(const struct log_entry *entry, const _Atomic int64_t *deadline_ms)
{
	struct log_line line;

	log_line_make(&line, entry, atomic_load(&state.format));
	return write_line(&line, deadline_ms);
}

__attribute__((format(printf, 3, 4))) static bool write_now(
	enum log_level level, const char *message, const char *facts, ...)
{
	struct log_entry entry;
	va_list args;

	va_start(args, facts);
	log_entry_fill(&entry, level, message, facts, args);
	va_end(args);
	return write_entry(&entry, &state.deadline_ms);
}

static void *write_all(void *unused)
{
	lock_acquire(&state.lock);
	for (;;) {
		uint64_t lost = state.dropped - state.reported;
		const struct log_entry *entry = &state.ring[state.head];
		bool told, written;

		if (!state.count && !state.running)
			break;
		if (!state.count) {
			pthread_cond_wait(&state.changed, &state.lock.mutex);
			continue;
		}
		lock_release(&state.lock);
		told = lost && write_now(LOG_WARN, "lines were lost", "count=%llu", (unsigned long long)lost);
		written = write_entry(entry, &state.deadline_ms);
		lock_acquire(&state.lock);
		state.reported += told ? lost : 0;
		state.dropped += !written;
		state.head = (state.head + 1) % RING_SIZE;
		state.count--;
	}
	state.alive = false;
	pthread_cond_broadcast(&state.changed);
	lock_release(&state.lock);
	return unused;
}

int log_start(enum log_level level, enum log_format format)
{
	pthread_condattr_t attr;
	int err = 0;

	lock_acquire(&state.lock);
	if (state.alive) {
		err = UV_EBUSY;
		goto release;
	}
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&state.changed, &attr);
	pthread_condattr_destroy(&attr);
	atomic_store(&state.deadline_ms, INT64_MAX);
	atomic_store(&state.level, level);
	atomic_store(&state.format, format);
	err = -pthread_create(&state.writer, NULL, write_all, NULL);
	if (err)
		goto destroy_changed;
	state.dropped = state.reported = 0;
	state.running = state.alive = true;
	goto release;
destroy_changed:
	pthread_cond_destroy(&state.changed);
release:
	lock_release(&state.lock);
	return err;
}

void log_stop(void)
{
	int64_t end_ms = now_ms() + STOP_MS;
	/* A little later than the writer's own end: what is late then is stuck in write(). */
	int64_t late_ms = end_ms + POLL_MS + POLL_MS;
	const struct timespec late = { .tv_sec = late_ms / 1000, .tv_nsec = late_ms % 1000 * 1000000 };
	bool ended;

	lock_acquire(&state.lock);
	if (!state.running) {
		lock_release(&state.lock);
		return;
	}
	state.running = false;
	atomic_store(&state.deadline_ms, end_ms);
	pthread_cond_broadcast(&state.changed);
	while (state.alive && !pthread_cond_timedwait(&state.changed, &state.lock.mutex, &late))
		;
	ended = !state.alive;
	lock_release(&state.lock);
	if (ended) {
		pthread_join(state.writer, NULL);
		pthread_cond_destroy(&state.changed);
	} else {
		pthread_detach(state.writer);
	}
}

bool log_enabled(enum log_level level)
{
	return level <= atomic_load_explicit(&state.level, memory_order_relaxed);
}

uint64_t log_dropped(void)
{
	uint64_t dropped;

	lock_acquire(&state.lock);
	dropped = state.dropped;
	lock_release(&state.lock);
	return dropped;
}

void log_write(enum log_level level, const char *message, const char *facts, ...)
{
	struct log_entry entry;
	va_list args;
	bool running;

	va_start(args, facts);
	log_entry_fill(&entry, level, message, facts, args);
	va_end(args);
	lock_acquire(&state.lock);
	running = state.running;
	if (running && state.count == RING_SIZE) {
		state.dropped++;
	} else if (running) {
		state.ring[(state.head + state.count) % RING_SIZE] = entry;
		if (!state.count++)
			pthread_cond_broadcast(&state.changed);
	}
	lock_release(&state.lock);
	if (!running) {
		const _Atomic int64_t deadline_ms = now_ms() + DIRECT_MS;

		(void)write_entry(&entry, &deadline_ms);
	}
}
