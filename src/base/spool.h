/*
 * spool.h - lines of many threads into one file, by one thread that is nobody else's: a disk that is slow or full holds
 * up none of them.
 *
 * A thread that has lines to write opens a feed, a ring of its own, and writes them there; a feed that is full takes no
 * line, and whoever has it counts that. The spool's thread empties the feeds, some ten times a second while lines come,
 * sooner when one fills. Only whole lines get into a file: what a full disk has taken of a line is cut off again. Lines
 * that the disk does not take stay in their feed until it does; what it has not taken in the end is lost, and the log
 * tells how many lines.
 *
 * The file is appended to, and opened again when that is asked for: that is how it is rotated. Lines written before
 * spool_reopen() go to the old one.
 *
 * Thread: see each function.
 */
#ifndef RMSD_BASE_SPOOL_H
#define RMSD_BASE_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include "base/list.h"
#include "base/ring.h"

struct spool;

/* One thread's lines; any other may write them if both hold a lock while they do. */
struct spool_feed {
	struct ring ring;
	struct spool *spool;
	const _Atomic bool *idle; /* the spool's thread waits for a line */
	struct list_node node;
	_Atomic bool closed;
};

/* For the file called path; NULL: stderr. Nothing is open, and no thread there yet. 0 or a negative UV_ code. */
int spool_create(const char *path, struct spool **out);
/*
 * Opens the file for appending, and makes it (0640) if it is not there, as whom it will be opened again. 0 or a
 * negative UV_ code.
 */
int spool_open(struct spool *spool);
/* Starts the thread. 0 or a negative UV_ code. */
int spool_start(struct spool *spool);
/* Any thread. The file is opened again, soon. */
void spool_reopen(struct spool *spool);
/*
 * Writes what is in the feeds, at most for a second if it is not taken, and ends the thread. False: it does not end,
 * since it is stuck in a write; then nothing of it may be freed. Does nothing if there is no thread.
 */
bool spool_stop(struct spool *spool);
/* After spool_stop() was true; nobody uses a feed any more. Accepts NULL. */
void spool_destroy(struct spool *spool);

/* Any thread. NULL when out of memory. */
struct spool_feed *spool_open_feed(struct spool *spool);
/* What is in it is written all the same; the memory is the spool's. Accepts NULL. */
void spool_close_feed(struct spool_feed *feed);

/* For spool_put(): a feed is filling, or has the first line for a while. */
void spool_hurry(struct spool_feed *feed);

enum { SPOOL_HURRY = 256 * 1024 };

/* Where the next line, of at most RING_LINE_MAX bytes, is to be written; NULL: the feed is full. */
static inline char *spool_room(struct spool_feed *feed)
{
	return ring_room(&feed->ring);
}

/* It is, len bytes and its line end among them. */
static inline void spool_put(struct spool_feed *feed, size_t len)
{
	/* No barrier: a wake-up that is missed for want of one comes by itself within a second. */
	if (ring_put(&feed->ring, len) >= SPOOL_HURRY || atomic_load_explicit(feed->idle, memory_order_relaxed))
		spool_hurry(feed);
}

#endif
