/*
 * lock.h - a mutex that clang's thread safety analysis understands.
 *
 * REQUIRES and the rest say in the code which functions need which lock; a clang build checks every call
 * (-Wthread-safety), gcc ignores them. What a lock guards is said in a comment: C lets clang name no sibling field.
 */
#ifndef RMSD_BASE_LOCK_H
#define RMSD_BASE_LOCK_H

#include <pthread.h>
#include <stdbool.h>

#ifdef __clang__
#define RMSD_TS(x) __attribute__((x))
#else
#define RMSD_TS(x)
#endif
#define CAPABILITY(name) RMSD_TS(capability(name))
#define REQUIRES(lock) RMSD_TS(requires_capability(lock))
#define ACQUIRES(lock) RMSD_TS(acquire_capability(lock))
#define TRY_ACQUIRES(lock) RMSD_TS(try_acquire_capability(true, lock))
#define RELEASES(lock) RMSD_TS(release_capability(lock))
#define UNCHECKED RMSD_TS(no_thread_safety_analysis)

struct CAPABILITY("mutex") lock {
	pthread_mutex_t mutex;
};

void lock_init(struct lock *lock);
void lock_finish(struct lock *lock);
void lock_acquire(struct lock *lock) ACQUIRES(lock);
bool lock_try(struct lock *lock) TRY_ACQUIRES(lock);
void lock_release(struct lock *lock) RELEASES(lock);

#endif
