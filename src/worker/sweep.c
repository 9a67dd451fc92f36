/* sweep.c - a slice of the table each tick. */
#include "worker/sweep.h"

#include <assert.h>

#include "worker/mover.h"

static struct service *find(const struct sweep *sweep, uint32_t id)
{
	for (unsigned i = 0; i < sweep->n_services; i++)
		if (sweep->services[i]->owner.id == id)
			return sweep->services[i];
	return NULL;
}

void sweep_look_at(struct sweep *sweep, int fd, uint64_t now_ms)
{
	struct slot *slot = slots_at(sweep->slots, fd);
	uint64_t deadline = slot_deadline(slot);
	uint64_t word;
	struct service *service;

	if (!deadline || deadline > now_ms)
		return;
	word = atomic_load_explicit(&slot->word, memory_order_acquire);
	if (!word || mover_expire(sweep->mover, slot))
		return;
	/* Not found: its owner is being revoked, and the next one will be looked at. */
	service = find(sweep, (uint32_t)word);
	if (service)
		service_kick(service, (word & ~(uint64_t)UINT32_MAX) | (uint32_t)fd);
}

static void on_beat(void *arg)
{
	struct sweep *sweep = arg;
	uint64_t now_ms = uv_hrtime() / 1000000;
	int end = slots_end(sweep->slots);
	bool whole = sweep->beat.pulse->slow; /* seldom: all at once */
	int begin = whole ? 0 : sweep->next;
	int stop = begin + end / SWEEP_SLICES + 1;

	if (stop > end || whole)
		stop = end;
	for (int fd = begin; fd < stop; fd++)
		sweep_look_at(sweep, fd, now_ms);
	sweep->next = stop < end ? stop : 0;
}

void sweep_start(struct sweep *sweep, struct slots *slots, struct mover *mover, struct pulse *pulse)
{
	*sweep = (struct sweep){ .slots = slots, .mover = mover };
	beat_init(&sweep->beat, pulse, SWEEP_TICK_MS, on_beat, sweep);
	beat_start(&sweep->beat);
}

void sweep_close(struct sweep *sweep)
{
	beat_close(&sweep->beat);
}

void sweep_add(struct sweep *sweep, struct service *service)
{
	assert(sweep->n_services < SWEEP_SERVICES);
	sweep->services[sweep->n_services++] = service;
}

void sweep_drop(struct sweep *sweep, struct service *service)
{
	for (unsigned i = 0; i < sweep->n_services; i++)
		if (sweep->services[i] == service) {
			sweep->services[i] = sweep->services[--sweep->n_services];
			return;
		}
}
