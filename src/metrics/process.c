/* process.c - /proc/self, getrlimit() and clocks. */
#include "metrics/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "metrics/cells.h"

static const uint64_t NS_PER_S = 1000000000;

struct stat_fields { /* some of /proc/self/stat, in its order */
	uint64_t threads;
	uint64_t start_ticks;
	uint64_t virtual_bytes;
	uint64_t resident_pages;
};

static bool read_stat(struct stat_fields *fields)
{
	struct stat_fields got;
	char text[1024];
	ssize_t n = -1;
	int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	const char *rest;

	if (fd >= 0) {
		n = read(fd, text, sizeof(text) - 1);
		close(fd);
	}
	if (n <= 0)
		return false;
	text[n] = '\0';
	/* The second field, the name, is in parentheses and may hold any byte, spaces and parentheses too. */
	rest = strrchr(text, ')');
	/* Fields 20, 22, 23 and 24 of proc(5). */
	if (!rest ||
		sscanf(rest + 1,
			" %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %lu %*d %lu %lu %lu",
			&got.threads, &got.start_ticks, &got.virtual_bytes, &got.resident_pages) != 4)
		return false;
	*fields = got;
	return true;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	return clock_gettime(clock, &now) ? 0 : (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t process_start_ns(void)
{
	long ticks_per_s = sysconf(_SC_CLK_TCK);
	struct stat_fields fields;

	if (ticks_per_s <= 0 || !read_stat(&fields))
		return 0;
	return clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_BOOTTIME) +
		fields.start_ticks * (NS_PER_S / (uint64_t)ticks_per_s);
}

static uint64_t count_fds(void)
{
	static const char path[] = "/proc/self/fd";
	uint64_t count = 0;
	struct stat st;
	DIR *dir;

	/* Since Linux 6.2 the size of the directory is the answer; before, it is 0 and each entry is counted. */
	if (!stat(path, &st) && st.st_size > 0)
		return (uint64_t)st.st_size;
	dir = opendir(path);
	if (!dir)
		return 0;
	for (const struct dirent *entry; (entry = readdir(dir));)
		count += entry->d_name[0] != '.';
	closedir(dir);
	return count - 1; /* dir's own */
}

static uint64_t limit(__rlimit_resource_t resource)
{
	struct rlimit limit;

	return getrlimit(resource, &limit) ? 0 : limit.rlim_cur;
}

void process_read(uint64_t *cells)
{
	struct stat_fields fields = { 0 };

	(void)read_stat(&fields);
	cells[METRIC_process_threads] = fields.threads;
	cells[METRIC_process_virtual_memory] = fields.virtual_bytes;
	cells[METRIC_process_resident_memory] = fields.resident_pages * (uint64_t)sysconf(_SC_PAGESIZE);
	cells[METRIC_process_cpu] = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	cells[METRIC_process_open_fds] = count_fds();
	cells[METRIC_process_max_fds] = limit(RLIMIT_NOFILE);
	cells[METRIC_process_virtual_memory_max] = limit(RLIMIT_AS);
}
