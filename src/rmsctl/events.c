/* events.c - server-sent events to lines. */
#include "rmsctl/events.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rmsctl/stream.h"
#include "rmsctl/table.h"

struct listener {
	const struct task *task;
	char name[32]; /* of the event whose lines are being read; "": none so far */
	bool refused, done, unwritten;
	struct outbuf reason; /* refused */
};

static void add_string(const json_t *object, const char *key, struct outbuf *out)
{
	const char *text = json_string_value(json_object_get(object, key));

	table_text(text ? text : "-", text ? strlen(text) : 1, false, out);
}

static void add_count(const json_t *object, const char *key, const char *unit, struct outbuf *out)
{
	json_int_t n = json_integer_value(json_object_get(object, key));

	outbuf_printf(out, "%" JSON_INTEGER_FORMAT " %s%s", n, unit, n == 1 ? "" : "s");
}

static void add_figures(const json_t *data, struct outbuf *out)
{
	const json_t *totals = json_object_get(data, "totals"), *worker;
	size_t i;

	add_count(totals, "connections", "connection", out);
	outbuf_text(out, ", ");
	add_count(totals, "requests_total", "request", out);
	json_array_foreach(json_object_get(data, "workers"), i, worker) {
		outbuf_text(out, i ? ", " : "; ");
		add_string(worker, "name", out);
		outbuf_text(out, " ");
		add_string(worker, "state", out);
		outbuf_printf(
			out, " %" JSON_INTEGER_FORMAT, json_integer_value(json_object_get(worker, "connections")));
	}
}

static void add_drill(const json_t *data, struct outbuf *out)
{
	const json_t *passed = json_object_get(data, "passed");

	add_string(data, "action", out);
	outbuf_text(out, " ");
	add_string(data, "event", out);
	if (json_is_boolean(passed))
		outbuf_text(out, json_is_true(passed) ? ": passed" : ": failed");
	if (json_is_string(json_object_get(data, "error"))) {
		outbuf_text(out, ": ");
		add_string(data, "error", out);
	}
}

void events_line(const char *name, const json_t *data, struct outbuf *out)
{
	add_string(data, "time", out);
	outbuf_text(out, "  ");
	table_text(name, strlen(name), false, out);
	outbuf_printf(out, "%*s", strlen(name) < 9 ? (int)(9 - strlen(name)) : 1, "");
	if (json_is_string(json_object_get(data, "worker"))) {
		add_string(data, "worker", out);
		outbuf_text(out, "  ");
	}
	if (strcmp(name, "state") == 0) {
		add_string(data, "state", out);
		outbuf_text(out, ", was ");
		add_string(data, "was", out);
	} else if (strcmp(name, "rehomed") == 0) {
		add_count(data, "connections", "connection", out);
		outbuf_text(out, ", ");
		add_string(data, "reason", out);
	} else if (strcmp(name, "even") == 0) {
		outbuf_text(out, "each worker has its share");
	} else if (strcmp(name, "drill") == 0) {
		add_drill(data, out);
	} else if (strcmp(name, "figures") == 0) {
		add_figures(data, out);
	}
	outbuf_text(out, "\n");
}

/* One JSON object a line, its kind in it under a name that no event has itself. */
static void write_json(const char *name, json_t *data, struct outbuf *out)
{
	char *text;

	json_object_set_new(data, "kind", json_string(name));
	text = json_dumps(data, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(15));
	outbuf_text(out, text ? text : "{}");
	outbuf_text(out, "\n");
	free(text);
}

static void show(struct listener *listener, const char *line, size_t len)
{
	json_t *data = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	struct outbuf out = { 0 };

	if (json_is_object(data) && listener->task->json)
		write_json(listener->name, data, &out);
	else if (json_is_object(data))
		events_line(listener->name, data, &out);
	listener->unwritten =
		out.failed || (out.len && fwrite(out.data, 1, out.len, stdout) != out.len) || fflush(stdout) != 0;
	listener->done = listener->unwritten ||
		(!listener->task->given[OPTION_follow] && strcmp(listener->name, "figures") == 0);
	outbuf_finish(&out);
	json_decref(data);
}

static void on_line(const char *line, size_t len, void *arg)
{
	static const char event[] = "event: ", data[] = "data: ";
	struct listener *listener = arg;

	if (listener->done)
		return;
	if (len && *line == '{' && !*listener->name) {
		json_t *answer = json_loadb(line, len, 0, NULL);

		listener->refused = true;
		answer_refusal(0, answer, &listener->reason);
		json_decref(answer);
	} else if (len >= sizeof(event) && memcmp(line, event, sizeof(event) - 1) == 0) {
		(void)snprintf(listener->name, sizeof(listener->name), "%.*s", (int)(len - sizeof(event) + 1),
			line + sizeof(event) - 1);
	} else if (len >= sizeof(data) && memcmp(line, data, sizeof(data) - 1) == 0) {
		show(listener, line + sizeof(data) - 1, len - sizeof(data) + 1);
	}
}

enum exit_code events_run(const struct task *task, struct outbuf *why)
{
	struct listener listener = { .task = task };
	struct stream stream = { .fd = -1 };
	enum exit_code code = EXIT_DONE;
	int err =
		stream_open(&stream, task->socket, task->command->method, task->command->path, on_line, &listener, why);

	if (err < 0)
		return EXIT_UNREACHABLE;
	while (err == 0 && !listener.done && !stream.ended) {
		struct pollfd readable = { .fd = stream.fd, .events = POLLIN };

		if (poll(&readable, 1, -1) > 0)
			err = stream_read(&stream);
	}
	if (listener.refused) {
		outbuf_append(why, listener.reason.data, listener.reason.len);
		code = EXIT_REFUSED;
	} else if (listener.unwritten) {
		outbuf_printf(why, "standard output: %s", strerror(errno));
		code = EXIT_REFUSED;
	} else if (err == -EPROTO || (stream.ended && !listener.done && !*listener.name)) {
		outbuf_printf(why, "%s: not an answer of rmsd: no events", task->socket);
		code = EXIT_UNREACHABLE;
	} else if (!listener.done) {
		outbuf_printf(why, "%s: rmsd has ended", task->socket);
		code = EXIT_UNREACHABLE;
	}
	stream_close(&stream);
	outbuf_finish(&listener.reason);
	return code;
}
