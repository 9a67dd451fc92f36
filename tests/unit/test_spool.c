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
#include <sys/uio.h>
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

/* What the next two calls of writev() do; 0 of them: nothing more. */
static struct {
	unsigned calls;
	void (*first)(void);
	size_t most; /* of the second: so many bytes are taken */
} script;

/* In place of libc's. A terminal, or a socket, takes a part of a line where a pipe would take none. */
ssize_t writev(int fd, const struct iovec *pieces, int n) /* NOLINT: its names are libc's own */
{
	struct iovec part = pieces[0];

	switch (script.calls) {
	case 2: script.first(); break;
	case 1:
		part.iov_len = script.most;
		pieces = &part;
		n = 1;
		break;
	default: return pwritev2(fd, pieces, n, -1, 0);
	}
	script.calls--;
	return pwritev2(fd, pieces, n, -1, 0);
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

static struct spool_feed *busy;

static void put_third(void)
{
	put_line(busy, "the third\n");
}

/* It comes when the others were counted already: what is next is its rest all the same, and no other feed's line. */
static void a_line_that_is_taken_in_part_is_finished_before_another(void **state)
{
	enum { LONG = 3000 };
	char dir[] = "/tmp/test_spool.XXXXXX";
	char path[64], line[LONG + 1], said[4 * LONG];
	struct spool_feed *other;
	struct spool *spool;
	size_t len = 0;
	ssize_t n;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/pipe", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	fd = open(path, O_RDWR | O_NONBLOCK);
	assert_true(fd >= 0);
	assert_int_equal(spool_create(path, &spool), 0);
	assert_int_equal(spool_open(spool), 0);
	busy = spool_open_feed(spool);
	other = spool_open_feed(spool);
	assert_non_null(busy);
	assert_non_null(other);
	memset(line, 'x', LONG - 1);
	strcpy(line + LONG - 1, "\n");
	put_line(busy, line);
	put_line(busy, line);
	put_line(other, "the other's\n");
	script.first = put_third;
	script.most = LONG + 5;
	script.calls = 2;
	assert_int_equal(spool_start(spool), 0);
	assert_true(spool_stop(spool));
	spool_destroy(spool);
	while ((n = read(fd, said + len, sizeof(said) - 1 - len)) > 0)
		len += (size_t)n;
	said[len] = '\0';
	close(fd);
	assert_true(len > 2 * LONG);
	assert_string_equal(said + (size_t)2 * LONG, "the third\nthe other's\n");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_that_is_taken_in_part_is_finished_before_another),
		cmocka_unit_test(a_pipe_that_is_read_slowly_gets_the_lines_of_who_has_ended),
		cmocka_unit_test(what_was_written_before_a_rotation_goes_to_the_old_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
