/* level.c - who has too many connections, and when it is worth moving them. */
#include "worker/level.h"

#include <assert.h>

#include "worker/fleet.h"
#include "worker/mover.h"

enum {
	FAST_TICKS = 1000,
	SLOW_TICKS = 5000,
	UNEVEN_LOOKS = 5,  /* half a second */
	HOT_LOOKS = 20,    /* two seconds */
	COOL_LOOKS = 50,   /* five */
	BUSY_LEAST = 500,  /* of LEVEL_FULL: below, nobody suffers */
	SURPLUS_LEAST = 2, /* connections */
	QUIET_TICKS = 400, /* most of a second without a move: nothing will */
	FIXED_LOOKS = 300, /* half a minute: what would not move is tried again */
	LOOKS_MOST = 3,    /* for which one stands: a slow beat */
	LOOK_NS = LEVEL_LOOK_MS * 1000000,
};

static int64_t claim(const struct level_side *side)
{
	return side->up ? (int64_t)side->weight * side->share : 0;
}

int64_t level_surplus(const struct level_side *sides, unsigned n, unsigned i)
{
	int64_t total = 0, claims = 0, left, share = 0;

	for (unsigned j = 0; j < n; j++) {
		total += sides[j].up ? sides[j].load : 0;
		claims += claim(&sides[j]);
	}
	assert(claims > 0 && sides[i].up);
	left = total;
	for (unsigned j = 0; j < n; j++)
		left -= total * claim(&sides[j]) / claims;
	/* What cannot be shared out evenly stays where it is: one connection each, to the first that have it. */
	for (unsigned j = 0; j <= i; j++) {
		share = total * claim(&sides[j]) / claims;
		if (sides[j].up && sides[j].load > share && left > 0) {
			left--;
			share++;
		}
	}
	return sides[i].load - share;
}

bool level_uneven(const struct level_side *sides, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		int64_t surplus = sides[i].up ? level_surplus(sides, n, i) - sides[i].fixed : 0;

		if (surplus >= SURPLUS_LEAST && surplus * 10 > sides[i].load - surplus)
			return true;
	}
	return false;
}

static unsigned busy_rest(const struct level_side *sides, unsigned n, unsigned but)
{
	unsigned sum = 0, up = 0;

	for (unsigned i = 0; i < n; i++) {
		if (i == but || !sides[i].up)
			continue;
		sum += sides[i].busy;
		up++;
	}
	return up ? sum / up : LEVEL_FULL;
}

void level_weigh(struct level_side *sides, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct level_side *side = &sides[i];
		unsigned rest = busy_rest(sides, n, i);
		bool hot = side->up && side->busy > BUSY_LEAST && side->busy > 2 * rest;
		bool cool = !side->up || side->busy < rest + rest / 4 + LEVEL_STEP;

		side->hot = hot ? side->hot + 1 : 0;
		side->cool = cool ? side->cool + 1 : 0;
		if (side->hot == HOT_LOOKS) {
			side->hot = 0;
			if (side->share > LEVEL_LEAST)
				side->share -= LEVEL_STEP;
		}
		if (side->cool == COOL_LOOKS) {
			side->cool = 0;
			if (side->share < LEVEL_FULL)
				side->share += LEVEL_STEP;
		}
	}
}

static void refresh(struct level *level)
{
	for (unsigned i = 0; i < fleet_size(level->fleet); i++) {
		struct worker *worker = fleet_worker(level->fleet, i);

		level->sides[i].up = worker_state(worker) == STATE_UP;
		level->sides[i].load = worker_load(worker);
	}
}

struct worker *level_receiver(void *arg, int fd)
{
	struct level *level = arg;
	unsigned n = fleet_size(level->fleet), best = n;

	if (level->hashed)
		return fleet_pick(level->fleet, fd);
	refresh(level);
	for (unsigned i = 0; i < n; i++)
		if (level->sides[i].up &&
			(best == n ||
				(level->sides[i].load + 1) * claim(&level->sides[best]) <
					(level->sides[best].load + 1) * claim(&level->sides[i])))
			best = i;
	return best < n ? fleet_worker(level->fleet, best) : NULL;
}

static void end_sheds(struct level *level)
{
	for (unsigned i = 0; i < fleet_size(level->fleet); i++) {
		struct worker *worker = fleet_worker(level->fleet, i);

		if (worker_state(worker) == STATE_UP)
			mover_end_shed(worker);
	}
}

void level_end(struct level *level)
{
	uv_timer_stop(&level->tick);
	level->newcomer = NULL;
	level->fast = false;
	level->uneven = 0;
	end_sheds(level);
}

/* Takes from each worker what it has above its share. False: nobody has too many. */
static bool take_surplus(struct level *level)
{
	unsigned n = fleet_size(level->fleet);
	unsigned left = level->fast ? UINT32_MAX : LEVEL_SLOW;
	bool any = false;

	refresh(level);
	for (unsigned i = 0; i < n && left; i++) {
		int64_t surplus = level->sides[i].up ? level_surplus(level->sides, n, i) - level->sides[i].fixed : 0;
		unsigned most = surplus < (int64_t)left ? (unsigned)(surplus > 0 ? surplus : 0) : left;

		if (!level->sides[i].up)
			continue;
		if (!most) {
			mover_end_shed(fleet_worker(level->fleet, i));
			continue;
		}
		any = true;
		left -= most;
		mover_shed(level->mover, fleet_worker(level->fleet, i), NULL, most, REHOMED_REBALANCE);
	}
	return any;
}

/* With ip_hash the share is what the hash says: moves those that it gives to the newcomer. */
static bool take_hashed(struct level *level)
{
	bool left = false;

	for (unsigned i = 0; i < fleet_size(level->fleet); i++) {
		struct worker *worker = fleet_worker(level->fleet, i);

		if (worker != level->newcomer && worker_state(worker) == STATE_UP)
			left |= mover_shed(level->mover, worker, level->newcomer, MOVER_AT_ONCE, REHOMED_REBALANCE) > 0;
	}
	return left;
}

/* Nothing has moved for long: what is still too much is fixed, until it is tried again. */
static bool is_futile(struct level *level)
{
	uint64_t moved = 0;

	for (unsigned i = 0; i < fleet_size(level->fleet); i++)
		moved += fleet_worker(level->fleet, i)->moved_away;
	level->quiet = moved == level->moved ? level->quiet + 1 : 0;
	level->moved = moved;
	if (level->quiet < QUIET_TICKS)
		return false;
	for (unsigned i = 0; i < fleet_size(level->fleet); i++) {
		int64_t surplus = level->sides[i].up ? level_surplus(level->sides, fleet_size(level->fleet), i) : 0;

		level->sides[i].fixed = surplus > 0 ? surplus : 0;
	}
	return true;
}

static void forget_fixed(struct level *level)
{
	level->looks = 0;
	for (unsigned i = 0; i < LEVEL_SIDES; i++)
		level->sides[i].fixed = 0;
}

static void on_tick(uv_timer_t *timer)
{
	struct level *level = timer->data;
	bool up = fleet_up(level->fleet) > 1;
	bool left = false, in_time = level->ticks_left > 0;

	if (level->hashed)
		up = up && level->newcomer && worker_state(level->newcomer) == STATE_UP;
	if (up && in_time) {
		level->ticks_left--;
		left = level->hashed ? take_hashed(level) : take_surplus(level);
	}
	if (left && !is_futile(level))
		return;
	level_end(level);
	if (up && in_time && !left)
		fleet_tell_even(level->fleet);
}

static void begin(struct level *level, bool fast)
{
	level->fast = fast;
	level->quiet = 0;
	level->ticks_left = fast ? FAST_TICKS : SLOW_TICKS;
	uv_timer_start(&level->tick, on_tick, 0, LEVEL_TICK_MS);
}

void level_welcome(struct level *level, struct worker *worker)
{
	level->sides[worker->index].share = LEVEL_FULL;
	level->sides[worker->index].hot = level->sides[worker->index].cool = 0;
	if (!level->enabled)
		return;
	level->newcomer = worker;
	forget_fixed(level);
	begin(level, true);
}

/*
 * How busy each worker was since the last look; a worker that is another one since then was not. Returns for how many
 * looks this one stands.
 */
static unsigned measure(struct level *level)
{
	uint64_t now = uv_hrtime(), span = now - level->looked_ns;
	uint64_t looks = (span + LOOK_NS / 2) / LOOK_NS;

	looks = looks < 1 ? 1 : looks > LOOKS_MOST ? LOOKS_MOST : looks;
	level->looked_ns = now;
	for (unsigned i = 0; i < fleet_size(level->fleet); i++) {
		struct worker *worker = fleet_worker(level->fleet, i);
		const struct service *service = worker->now ? incarnation_service(worker->now) : NULL;
		uint64_t busy = service ? atomic_load_explicit(&service->busy_ns, memory_order_relaxed) : 0;
		uint64_t part = 0;

		if (service && service->owner.id == level->lives[i] && span)
			part = (busy - level->busy_ns[i]) * LEVEL_FULL / span;
		level->lives[i] = service ? service->owner.id : 0;
		level->busy_ns[i] = busy;
		if (part > LEVEL_FULL)
			part = LEVEL_FULL;
		for (uint64_t n = 0; n < looks; n++)
			level->sides[i].busy = (7 * level->sides[i].busy + (unsigned)part + 4) / 8;
		metrics_set(worker->control, METRIC_busy_ratio, (uint64_t)level->sides[i].busy * 1000000);
	}
	return (unsigned)looks;
}

static void on_look(void *arg)
{
	struct level *level = arg;
	unsigned looks = measure(level);

	refresh(level);
	if (!level->enabled || level->hashed || uv_is_active((uv_handle_t *)&level->tick))
		return;
	level->looks += looks;
	if (level->looks >= FIXED_LOOKS)
		forget_fixed(level);
	while (looks--)
		level_weigh(level->sides, fleet_size(level->fleet));
	level->uneven = level_uneven(level->sides, fleet_size(level->fleet)) ? level->uneven + 1 : 0;
	if (level->uneven >= UNEVEN_LOOKS)
		begin(level, false);
}

void level_start(
	struct level *level, struct fleet *fleet, struct mover *mover, const struct conf *conf, struct pulse *pulse)
{
	*level = (struct level){
		.fleet = fleet,
		.mover = mover,
		.enabled = conf->rebalance == FLAG_ON,
		.hashed = conf->balance == BALANCE_IP_HASH,
		.looked_ns = uv_hrtime(),
	};
	for (unsigned i = 0; i < fleet_size(fleet); i++) {
		level->sides[i].weight = fleet_worker(fleet, i)->weight;
		level->sides[i].share = LEVEL_FULL;
	}
	uv_timer_init(pulse->loop, &level->tick);
	level->tick.data = level;
	beat_init(&level->look, pulse, LEVEL_LOOK_MS, on_look, level);
	beat_start(&level->look);
}

void level_close(struct level *level)
{
	beat_close(&level->look);
	uv_close((uv_handle_t *)&level->tick, NULL);
}
