/* schedule.c - one system call. */
#include "base/schedule.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include "base/log.h"

void schedule_batch(void)
{
	struct sched_param param = { 0 };
	static _Atomic bool told;

	/* On Linux pid 0 is the calling thread. */
	if (sched_setscheduler(0, SCHED_BATCH | SCHED_RESET_ON_FORK, &param) < 0 && !atomic_exchange(&told, true))
		log_warn("SCHED_BATCH was refused, workers are scheduled normally", "error=\"%s\"", strerror(errno));
}
