/* test_spool.c - base/spool: which file a line gets into. What it does with a full disk is for system.access_file. */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/spool.h"

static void put_line(struct spool_feed *feed, const char *line)
{
	char *at = spool_room(feed);

	assert_non_null(at);
	memcpy(at, line, strlen(line));
	spool_put(feed, strlen(line));
}

static void fill(char line[RING_LINE_MAX])
{
	memset(line, 'x', RING_LINE_MAX - 2);
	strcpy(line + RING_LINE_MAX - 2, "\n");
}

/* -1: there is no such file. */
static off_t size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) < 0 ? -1 : st.st_size;
}

/* Also one of a feed that was looked at already, while the thread is busy with those behind it. */
static void what_was_written_before_a_rotation_goes_to_the_old_file(void **state)
{
	enum { TIMES = 5, FEEDS = 4, LINES = RING_SIZE / RING_LINE_MAX - 2 };
	char dir[] = "/tmp/test_spool.XXXXXX";
	char path[64], moved[64], many[RING_LINE_MAX];

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/log", dir);
	snprintf(moved, sizeof(moved), "%s/old", dir);
	fill(many);
	for (unsigned i = 0; i < TIMES; i++) {
		struct spool_feed *first, *feed = NULL;
		struct spool *spool;

		assert_int_equal(spool_create(path, &spool), 0);
		assert_int_equal(spool_open(spool), 0);
		first = spool_open_feed(spool);
		assert_non_null(first);
		for (unsigned j = 0; j < FEEDS * LINES; j++) {
			if (j % LINES == 0)
				feed = spool_open_feed(spool);
			assert_non_null(feed);
			put_line(feed, many);
		}
		assert_int_equal(spool_start(spool), 0);
		while (!size_of(path))
			;
		put_line(first, "a\n");
		assert_int_equal(rename(path, moved), 0);
		spool_reopen(spool);
		while (size_of(path) < 0)
			;
		assert_true(spool_stop(spool));
		spool_destroy(spool);
		assert_int_equal(size_of(moved), FEEDS * LINES * strlen(many) + 2);
		assert_int_equal(size_of(path), 0);
		assert_int_equal(unlink(path), 0);
	}
	assert_int_equal(unlink(moved), 0);
	assert_int_equal(rmdir(dir), 0);
}

struct reader {
	int fd;
	size_t bytes;
};

static void *read_slowly(void *arg)
{
	struct reader *reader = arg;
	char piece[4096];
	ssize_t n;

	while ((n = read(reader->fd, piece, sizeof(piece))) > 0) {
		reader->bytes += (size_t)n;
		usleep(100);
	}
	return NULL;
}

/* A pipe that is full for a moment takes nothing then, as a full disk does; but it is none. */
static void a_pipe_that_is_read_slowly_gets_the_lines_of_who_has_ended(void **state)
{
	enum { LINES = 200 }; /* several times what a pipe holds */
	char dir[] = "/tmp/test_spool.XXXXXX";
	char path[64], many[RING_LINE_MAX];
	struct reader reader = { 0 };
	struct spool_feed *feed;
	struct spool *spool;
	pthread_t thread;
	int both;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/pipe", dir);
	fill(many);
	assert_int_equal(mkfifo(path, 0600), 0);
	/* One end cannot be opened before the other. */
	both = open(path, O_RDWR);
	reader.fd = open(path, O_RDONLY);
	assert_true(both >= 0 && reader.fd >= 0);
	assert_int_equal(spool_create(path, &spool), 0);
	assert_int_equal(spool_open(spool), 0);
	close(both);
	assert_int_equal(pthread_create(&thread, NULL, read_slowly, &reader), 0);
	feed = spool_open_feed(spool);
	assert_non_null(feed);
	for (unsigned i = 0; i < LINES; i++)
		put_line(feed, many);
	spool_close_feed(feed);
	assert_int_equal(spool_start(spool), 0);
	assert_true(spool_stop(spool));
	spool_destroy(spool);
	pthread_join(thread, NULL);
	close(reader.fd);
	assert_int_equal(reader.bytes, LINES * strlen(many));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pipe_that_is_read_slowly_gets_the_lines_of_who_has_ended),
		cmocka_unit_test(what_was_written_before_a_rotation_goes_to_the_old_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
