/* reserve.c - marks, a probe, and some descriptors that are nothing but held. */
#include "front/reserve.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"

static uint64_t now_ms(void)
{
	return uv_hrtime() / 1000000;
}

/* Somebody may have lowered the limit of the running process. */
static void set_marks(struct reserve *reserve)
{
	struct rlimit now = { .rlim_cur = RLIM_INFINITY };
	int limit = reserve->limit;
	int kept = reserve->kept;

	if (getrlimit(RLIMIT_NOFILE, &now) == 0 && now.rlim_cur < (rlim_t)limit)
		limit = (int)now.rlim_cur;
	/* A tiny limit is for a test, or a mistake. */
	if (kept > limit / 8)
		kept = limit / 8;
	reserve->high = limit - kept;
	reserve->low = reserve->high - (kept + 1) / 2;
}

/* An open file each: where the system's table is full, a number alone would not do. */
static int hold_spares(struct reserve *reserve)
{
	while (reserve->n_spares < RESERVE_SPARES) {
		int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			return -errno;
		reserve->spares[reserve->n_spares++] = fd;
	}
	return 0;
}

static void drop_spares(struct reserve *reserve)
{
	while (reserve->n_spares)
		close(reserve->spares[--reserve->n_spares]);
}

static bool has_room(const struct reserve *reserve)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	/* Any other error, of a file that has gone, says nothing of descriptors. */
	if (fd < 0)
		return errno != EMFILE && errno != ENFILE && errno != ENOMEM;
	close(fd);
	return fd < reserve->low;
}

static void set_paused(struct reserve *reserve, bool paused)
{
	reserve->paused = paused;
	metrics_set(reserve->shard, METRIC_accept_paused, paused);
	reserve->changed(reserve->arg, paused);
}

static void on_tick(uv_timer_t *tick)
{
	struct reserve *reserve = tick->data;

	set_marks(reserve);
	/* Admin and control come first. */
	(void)hold_spares(reserve);
	if (reserve->paused) {
		if (!has_room(reserve))
			return;
		reserve->resumed_ms = now_ms();
		set_paused(reserve, false);
	}
	if (now_ms() - reserve->resumed_ms < RESERVE_QUIET_MS || reserve->n_spares < RESERVE_SPARES)
		return;
	if (reserve->since_ms)
		log_info("accepting goes on", "after_ms=%llu", (unsigned long long)(now_ms() - reserve->since_ms));
	reserve->is_short = false;
	reserve->since_ms = 0;
	uv_timer_stop(&reserve->tick);
}

static void run_short(struct reserve *reserve)
{
	reserve->is_short = true;
	if (!uv_is_active((uv_handle_t *)&reserve->tick))
		uv_timer_start(&reserve->tick, on_tick, RESERVE_TICK_MS, RESERVE_TICK_MS);
}

int reserve_open(struct reserve *reserve, uv_loop_t *loop, int limit, int kept, struct metrics_shard *shard,
	reserve_fn *changed, void *arg)
{
	*reserve = (struct reserve){ .limit = limit, .kept = kept, .shard = shard, .changed = changed, .arg = arg };
	uv_timer_init(loop, &reserve->tick);
	reserve->tick.data = reserve;
	set_marks(reserve);
	return hold_spares(reserve);
}

void reserve_close(struct reserve *reserve)
{
	/* Never opened. */
	if (!reserve->changed)
		return;
	drop_spares(reserve);
	uv_close((uv_handle_t *)&reserve->tick, NULL);
}

void reserve_pause(struct reserve *reserve, int err)
{
	if (reserve->paused)
		return;
	/* One line for a shortage, however often accepting goes on for a moment. */
	if (!reserve->since_ms) {
		reserve->since_ms = now_ms();
		log_warn("accepting pauses", "error=%s descriptors=%d kept=%d", uv_err_name(-err), reserve->limit,
			reserve->limit - reserve->high);
	}
	set_paused(reserve, true);
	run_short(reserve);
}

bool reserve_lend(struct reserve *reserve)
{
	if (!reserve->n_spares)
		return false;
	close(reserve->spares[--reserve->n_spares]);
	run_short(reserve);
	return true;
}
