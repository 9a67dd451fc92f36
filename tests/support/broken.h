/*
 * broken.h - system calls that fail when a test says so: shared by testapp_broken, whose calls they are, and its test.
 *
 * The file named by $RMSD_BROKEN, mapped by both.
 *
 * Thread: any; the test arms only what is disarmed.
 */
#ifndef RMSD_TESTS_BROKEN_H
#define RMSD_TESTS_BROKEN_H

#include <stdatomic.h>

enum broken_call { BROKEN_NONE, BROKEN_ACCEPT, BROKEN_RECV, BROKEN_SEND, BROKEN_EPOLL, BROKEN_MALLOC };

struct broken {
	_Atomic int call;  /* enum broken_call: the one that is counted */
	_Atomic long left; /* until one fails: at 1 the next does */
	_Atomic int error; /* errno; 0: it takes or gives one byte */
	_Atomic int hits;
};

#define BROKEN_FILE "RMSD_BROKEN"

#endif
