/*
 * pace.c - a load at a constant rate, by the client of rmsctl's drills: how long each request took since it was due.
 *
 * A client that sends when it has its reply measures nothing while the server stalls, and calls that a good latency.
 * This one has a time for each request, and what waits for a connection waits from then on. Prints one line of JSON.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "rmsctl/load.h"

enum {
	BATCH = 256,
	TICK_NS = 200000, /* a faster rate sends more than one request a tick */
	WAIT_MS = 250,
	TIMER = 1 << 20, /* no connection's number */
	MOST_ROWS = 20 * 1000 * 1000,
};

static const char usage[] = "usage: pace [-c CONNECTIONS] [-d SECONDS] [-g GRACE_MS] -r RATE ADDRESS [PATH]\n"
			    "GRACE_MS: for what is owed at the end (5000). 0: it is given up, and not called a "
			    "failure: with a rate that is\n"
			    "beyond anything, what is answered is the capacity.\n"
			    "Exit 0 if all was answered, 1 if not, 2 usage.\n";

struct pace {
	struct load_plan plan;
	struct target targets[TARGETS_MAX];
	struct load *load;
	unsigned seconds, grace_ms;
	int epoll, timer;
};

static int open_timer(struct pace *pace)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = TIMER };
	uint64_t tick = 1000000000ULL / pace->plan.rate;
	struct itimerspec spec = { .it_value = { .tv_nsec = 1 } };

	if (tick < TICK_NS)
		tick = TICK_NS;
	if (tick > WAIT_MS * 1000000ULL)
		tick = WAIT_MS * 1000000ULL;
	spec.it_interval.tv_nsec = (long)tick;
	pace->epoll = epoll_create1(EPOLL_CLOEXEC);
	pace->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	/* A default thread's timers may be 50 us late. */
	(void)prctl(PR_SET_TIMERSLACK, 1);
	if (pace->epoll < 0 || pace->timer < 0 || epoll_ctl(pace->epoll, EPOLL_CTL_ADD, pace->timer, &event) < 0)
		return -1;
	return timerfd_settime(pace->timer, 0, &spec, NULL);
}

static void run(struct pace *pace)
{
	struct epoll_event events[BATCH];
	uint64_t now = load_clock_ns(), end = now + pace->seconds * 1000000000ULL, ticks;

	load_begin(pace->load, now);
	do {
		int n = epoll_wait(pace->epoll, events, BATCH, WAIT_MS);

		for (int i = 0; i < n; i++) {
			if (events[i].data.u64 == TIMER)
				(void)!read(pace->timer, &ticks, sizeof(ticks));
			else
				load_event(pace->load, events[i].data.u64, events[i].events);
		}
		now = load_clock_ns();
		load_turn(pace->load, now < end ? now : end - 1, now);
	} while (now < end || (!load_is_done(pace->load) && now < end + pace->grace_ms * 1000000ULL));
	load_give_up(pace->load, now);
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* The least value that so many of a thousand do not exceed; 0: there are none. */
static uint32_t quantile(const uint32_t *us, uint32_t n, unsigned of_thousand)
{
	return n ? us[((uint64_t)n * of_thousand + 999) / 1000 - 1] : 0;
}

/* Sorted; the caller's to free. NULL: out of memory. */
static uint32_t *take_latencies(const struct samples *samples, uint32_t *n)
{
	uint32_t *us = malloc(((size_t)samples->n + 1) * sizeof(*us));

	*n = 0;
	if (!us)
		return NULL;
	for (uint32_t k = 0; k < samples->n; k++)
		if (samples->rows[k].outcome == OUTCOME_answered)
			us[(*n)++] = samples->rows[k].us;
	qsort(us, *n, sizeof(*us), compare);
	return us;
}

static int tell(const struct pace *pace)
{
	const struct load_books *books = load_books(pace->load);
	uint64_t failed = load_failed(books);
	uint32_t n, *us = take_latencies(&books->samples, &n);

	if (!us) {
		fputs("pace: out of memory\n", stderr);
		return 1;
	}
	if (!pace->grace_ms)
		failed -= books->by[OUTCOME_timeout] + books->by[OUTCOME_unsent];
	printf("{\"rate\": %u, \"seconds\": %u, \"due\": %" PRIu32 ", \"answered\": %" PRIu32 ", \"failed\": %" PRIu64,
		pace->plan.rate, pace->seconds, books->samples.n, n, failed);
	printf(", \"p50_us\": %" PRIu32 ", \"p99_us\": %" PRIu32 ", \"p999_us\": %" PRIu32 ", \"worst_us\": %" PRIu32,
		quantile(us, n, 500), quantile(us, n, 990), quantile(us, n, 999), quantile(us, n, 1000));
	printf(", \"pause_us\": %" PRIu64 ", \"late_us\": %" PRIu64 "}\n", books->pause_ns / 1000,
		books->late_ns / 1000);
	free(us);
	return failed ? 1 : 0;
}

/* 0, or 2: usage. */
static int read_arguments(struct pace *pace, int argc, char **argv, const char **path)
{
	int option;

	while ((option = getopt(argc, argv, "c:d:g:r:h")) != -1) {
		switch (option) {
		case 'c': pace->plan.connections = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'd': pace->seconds = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'g': pace->grace_ms = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'r': pace->plan.rate = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'h': fputs(usage, stdout); exit(0);
		default: return 2;
		}
	}
	if (argc - optind < 1 || argc - optind > 2 || !pace->plan.connections || !pace->plan.rate || !pace->seconds ||
		(uint64_t)pace->plan.rate * pace->seconds >= MOST_ROWS ||
		target_choose(argv[optind], pace->targets) == 0)
		return 2;
	*path = argc - optind == 2 ? argv[optind + 1] : "/";
	return 0;
}

int main(int argc, char **argv)
{
	struct pace pace = { .plan = { .connections = 64 }, .seconds = 10, .grace_ms = 5000 };
	struct outbuf request = { 0 }, why = { 0 };
	const char *path;
	int status = 1;

	if (read_arguments(&pace, argc, argv, &path) != 0) {
		fputs(usage, stderr);
		return 2;
	}
	outbuf_printf(&request, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, pace.targets[0].host);
	pace.plan.target = &pace.targets[0];
	pace.plan.request = request.data;
	pace.plan.request_len = request.len;
	pace.plan.most = pace.plan.rate * pace.seconds + 1;
	if (open_timer(&pace) < 0)
		perror("pace");
	else if (load_create(&pace.plan, pace.epoll, &pace.load, &why) < 0)
		fprintf(stderr, "pace: %.*s\n", (int)why.len, why.data);
	else {
		run(&pace);
		status = tell(&pace);
	}
	load_destroy(pace.load);
	outbuf_finish(&request);
	outbuf_finish(&why);
	return status;
}
