/* beat.c - timers on the multiples of their periods. */
#include "base/beat.h"

static uint64_t next_ms(const struct beat *beat)
{
	uint64_t now_ms = uv_now(beat->pulse->loop);
	uint64_t period_ms = beat->pulse->slow ? BEAT_SLOW_MS : beat->period_ms;

	return now_ms - now_ms % period_ms + period_ms;
}

static void on_timer(uv_timer_t *timer)
{
	struct beat *beat = timer->data;
	uint64_t now_ms = uv_hrtime() / 1000000;

	beat->late_ms = now_ms > beat->due_ms ? now_ms - beat->due_ms : 0;
	/* It stays on the multiples however late this is. */
	beat_start(beat);
	beat->call(beat->arg);
}

void beat_start(struct beat *beat)
{
	beat->due_ms = next_ms(beat);
	/* Cannot fail but for a NULL callback or a timer that is closing. */
	uv_timer_start(&beat->timer, on_timer, beat->due_ms - uv_now(beat->pulse->loop), 0);
}

void beat_init(struct beat *beat, struct pulse *pulse, uint64_t period_ms, void (*call)(void *arg), void *arg)
{
	*beat = (struct beat){ .pulse = pulse, .period_ms = period_ms, .call = call, .arg = arg };
	uv_timer_init(pulse->loop, &beat->timer);
	beat->timer.data = beat;
	list_push(&pulse->beats, &beat->node);
}

void beat_close(struct beat *beat)
{
	list_remove(&beat->node);
	uv_close((uv_handle_t *)&beat->timer, NULL);
}

void pulse_init(struct pulse *pulse, uv_loop_t *loop)
{
	*pulse = (struct pulse){ .loop = loop };
	list_init(&pulse->beats);
}

void pulse_slow(struct pulse *pulse, bool slow)
{
	if (pulse->slow == slow)
		return;
	pulse->slow = slow;
	for (struct list_node *node = pulse->beats.head.next; node != &pulse->beats.head; node = node->next) {
		struct beat *beat = list_entry(node, struct beat, node);

		if (uv_is_active((uv_handle_t *)&beat->timer) && next_ms(beat) < beat->due_ms)
			beat_start(beat);
	}
}
