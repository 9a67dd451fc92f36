/* restart.c - delays that double, and a limit to how many. */
#include "worker/restart.h"

enum { MINUTE_MS = 60000 };

int restart_after(struct restart *restart, uint64_t now_ms, uint64_t up_ms)
{
	uint64_t oldest = restart->failed_ms[restart->next];
	int delay = RESTART_FIRST_MS;

	if (up_ms >= RESTART_CALM_MS)
		restart->failures = 0;
	if (oldest && now_ms - oldest < MINUTE_MS)
		return RESTART_GIVE_UP;
	restart->failed_ms[restart->next] = now_ms;
	restart->next = (restart->next + 1) % RESTART_PER_MINUTE;
	for (unsigned i = 0; i < restart->failures && delay < RESTART_MOST_MS; i++)
		delay *= 2;
	restart->failures++;
	return delay < RESTART_MOST_MS ? delay : RESTART_MOST_MS;
}

void restart_forget(struct restart *restart)
{
	*restart = (struct restart){ 0 };
}
