/* lock.c - a pthread mutex; a failure of one is a broken program, so each is asserted in every build. */
#include "base/lock.h"

#include <errno.h>
#include <stdlib.h>

static void must(int err)
{
	if (err)
		abort();
}

void lock_init(struct lock *lock)
{
	must(pthread_mutex_init(&lock->mutex, NULL));
}

void lock_finish(struct lock *lock)
{
	must(pthread_mutex_destroy(&lock->mutex));
}

void lock_acquire(struct lock *lock) UNCHECKED
{
	must(pthread_mutex_lock(&lock->mutex));
}

bool lock_try(struct lock *lock) UNCHECKED
{
	int err = pthread_mutex_trylock(&lock->mutex);

	if (err && err != EBUSY)
		abort();
	return !err;
}

void lock_release(struct lock *lock) UNCHECKED
{
	must(pthread_mutex_unlock(&lock->mutex));
}
