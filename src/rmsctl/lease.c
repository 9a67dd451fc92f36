/* lease.c - lines of JSON to times. */
#include "rmsctl/lease.h"

#include <errno.h>
#include <jansson.h>

#include "rmsctl/table.h"

/* What comes behind the end counts no more. */
static void end_with(struct lease *lease, enum lease_state state, const char *error)
{
	if (lease->state != LEASE_RUNNING && lease->state != LEASE_NONE)
		return;
	lease->state = state;
	table_text(error, strlen(error), false, &lease->error);
	outbuf_append(&lease->error, "", 1);
}

static void fail(struct lease *lease, const char *error)
{
	end_with(lease, LEASE_FAILED, error);
}

static void take_state(struct lease *lease, uint64_t now, const char *state)
{
	bool up = strcmp(state, "up") == 0;

	if (!up && !lease->times.detected && lease->times.injected)
		lease->times.detected = now;
	if (up && lease->times.detected && !lease->times.back)
		lease->times.back = now;
}

static void take_end(struct lease *lease, uint64_t now, const json_t *event)
{
	const char *error = json_string_value(json_object_get(event, "error"));

	lease->times.end = now;
	if (json_is_true(json_object_get(event, "ok")))
		lease->state = LEASE_ENDED;
	else
		end_with(lease, json_is_true(json_object_get(event, "aborted")) ? LEASE_STOPPED : LEASE_FAILED,
			error ? error : "rmsd did not say why");
}

/* Events that are not known are of a newer rmsd. */
static void take_event(struct lease *lease, const json_t *event)
{
	struct lease_times *times = &lease->times;
	const char *what = json_string_value(json_object_get(event, "event"));
	const char *worker = json_string_value(json_object_get(event, "worker"));
	const char *state = json_string_value(json_object_get(event, "state"));
	uint64_t now = (uint64_t)json_integer_value(json_object_get(event, "time_ns"));
	bool ours = worker && strcmp(worker, lease->worker) == 0;

	if (strcmp(what, "begun") == 0)
		times->begun = now;
	else if (strcmp(what, "injected") == 0)
		times->injected = now;
	else if (strcmp(what, "reverting") == 0)
		times->reverting = now;
	else if (strcmp(what, "state") == 0 && ours && state)
		take_state(lease, now, state);
	else if (strcmp(what, "rehomed") == 0 && ours && !times->reverting) {
		times->rehomed = now;
		lease->connections += (uint64_t)json_integer_value(json_object_get(event, "connections"));
	} else if (strcmp(what, "even") == 0 && times->back && !times->even)
		times->even = now;
	else if (strcmp(what, "end") == 0)
		take_end(lease, now, event);
}

void lease_take(struct lease *lease, const char *line, size_t len)
{
	json_t *event = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);

	if (json_is_false(json_object_get(event, "ok")) && !json_object_get(event, "event")) {
		const char *error = json_string_value(json_object_get(event, "error"));

		fail(lease, error ? error : "refused");
	} else if (!json_is_string(json_object_get(event, "event")) ||
		json_integer_value(json_object_get(event, "time_ns")) <= 0) {
		fail(lease, "not an answer of rmsd");
	} else {
		take_event(lease, event);
	}
	json_decref(event);
}

static void on_line(const char *line, size_t len, void *arg)
{
	lease_take(arg, line, len);
}

void lease_init(struct lease *lease, const char *worker)
{
	*lease = (struct lease){ .worker = worker, .stream.fd = -1 };
}

void lease_open(struct lease *lease, const char *socket, const char *target)
{
	struct outbuf why = { 0 };

	if (stream_open(&lease->stream, socket, "POST", target, on_line, lease, &why) == 0) {
		lease->state = LEASE_RUNNING;
	} else {
		outbuf_append(&why, "", 1);
		fail(lease, why.failed ? "out of memory" : why.data);
	}
	outbuf_finish(&why);
}

void lease_read(struct lease *lease)
{
	int err = stream_read(&lease->stream);

	if (err == -EPROTO)
		fail(lease, "not an answer of rmsd");
	else if (err < 0)
		fail(lease, "the control connection was lost");
	else if (lease->stream.ended)
		/* Whole, but without the drill's end: a crash would have cut it short. */
		end_with(lease, LEASE_STOPPED, "rmsd is shutting down");
}

void lease_close(struct lease *lease)
{
	stream_close(&lease->stream);
}

void lease_finish(struct lease *lease)
{
	lease_close(lease);
	outbuf_finish(&lease->error);
}
