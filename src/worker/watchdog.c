/* watchdog.c - beats, processor time, and whether a thread sleeps. */
#include "worker/watchdog.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "worker/incarnation.h"

enum {
	PERIODS = 20, /* looks in a stall_timeout */
	PERIOD_LEAST_MS = 5,
	PERIOD_MOST_MS = 25,
	LATE_MS = 25,
	PING_PART = 4, /* silent for that part of stall_timeout: it is pinged */
};

bool watch_note(struct watch *watch, const struct watch_sight *sight, uint64_t timeout_ns)
{
	if (sight->beat) {
		watch->silent = watch->unanswered = false;
		watch->silent_ns = watch->worked_ns = watch->slept_ns = 0;
		return false;
	}
	watch->silent = true;
	watch->unanswered = sight->pinged;
	if (sight->late)
		return false;
	watch->silent_ns += sight->span_ns;
	watch->worked_ns += sight->worked_ns;
	if (sight->asleep)
		watch->slept_ns += sight->span_ns;
	return watch->silent_ns >= timeout_ns && 2 * (watch->worked_ns + watch->slept_ns) >= timeout_ns;
}

uint64_t watchdog_period_ms(uint64_t timeout_ms)
{
	uint64_t period = timeout_ms / PERIODS;

	if (period < PERIOD_LEAST_MS)
		return PERIOD_LEAST_MS;
	return period < PERIOD_MOST_MS ? period : PERIOD_MOST_MS;
}

uint64_t watchdog_span_ns(uint64_t timeout_ns)
{
	return (watchdog_period_ms(timeout_ns / 1000000) + LATE_MS) * 1000000;
}

bool watchdog_is_late(uint64_t late_ms)
{
	return late_ms > LATE_MS;
}

/* proc(5): the state is the letter behind the command's name, which may itself hold parentheses. */
static bool is_asleep(int tid)
{
	char path[64], line[512];
	const char *name_end;
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, line, sizeof(line) - 1);
		close(fd);
	}
	if (n <= 0)
		return false;
	line[n] = '\0';
	name_end = strrchr(line, ')');
	return name_end && name_end[1] == ' ' && (name_end[2] == 'S' || name_end[2] == 'D');
}

static uint64_t cpu_ns(clockid_t clock)
{
	struct timespec used;

	if (clock_gettime(clock, &used) < 0)
		return 0;
	return (uint64_t)used.tv_sec * 1000000000 + (uint64_t)used.tv_nsec;
}

bool watchdog_look(
	struct watch *watch, struct incarnation *incarnation, uint64_t span_ns, bool late, uint64_t timeout_ns)
{
	struct service *service = incarnation_service(incarnation);
	uint64_t beats = atomic_load_explicit(&service->beats, memory_order_relaxed);
	uint64_t most_ns = watchdog_span_ns(timeout_ns);
	struct watch_sight sight = { .span_ns = span_ns < most_ns ? span_ns : most_ns, .late = late };
	uint64_t used;

	if (watch->life != service->owner.id)
		*watch = (struct watch){ .life = service->owner.id };
	sight.beat = beats != watch->beats;
	watch->beats = beats;
	if (!sight.beat) {
		sight.pinged = atomic_load_explicit(&service->pinged_ns, memory_order_relaxed) != 0;
		used = cpu_ns(incarnation_clock(incarnation));
		if (watch->silent)
			sight.worked_ns = used - watch->cpu_ns;
		watch->cpu_ns = used;
		sight.asleep = sight.pinged && is_asleep(incarnation_tid(incarnation));
		if (!sight.pinged && watch->silent_ns + span_ns >= timeout_ns / PING_PART)
			service_ping(service);
	}
	return watch_note(watch, &sight, timeout_ns);
}
