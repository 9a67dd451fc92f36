/* rolling.c - the workers by /status, then one restart each. */
#include "rmsctl/rolling.h"

#include <stdio.h>
#include <string.h>

#include "rmsctl/table.h"

/* Each is told when it is done: the next may take its time. */
static void tell(const json_t *answer)
{
	struct outbuf line = { 0 };

	if (table_restart(answer, &line) == 0 && !line.failed) {
		fwrite(line.data, 1, line.len, stdout);
		fflush(stdout);
	}
	outbuf_finish(&line);
}

static enum exit_code restart(const struct task *task, const char *name, json_t *answers, struct outbuf *why)
{
	struct question question = {
		.socket = task->socket,
		.method = task->command->method,
		.json = true,
		.patience_s = command_patience_s(task),
	};
	struct outbuf target = { 0 }, reason = { 0 };
	json_t *answer = NULL;
	enum exit_code code;

	command_target(task, name, &target);
	if (target.failed) {
		outbuf_text(why, "out of memory");
		return EXIT_REFUSED;
	}
	question.target = target.data;
	code = answer_object(&question, &answer, &reason);
	outbuf_finish(&target);
	if (code == EXIT_DONE) {
		const char *state = json_string_value(json_object_get(answer, "state"));

		if (!state || strcmp(state, "up") != 0) {
			outbuf_text(&reason, "not up after the restart");
			code = EXIT_REFUSED;
		}
	}
	if (code != EXIT_DONE) {
		table_text(name, strlen(name), false, why);
		outbuf_printf(why, ": %.*s", (int)reason.len, reason.len ? reason.data : "");
	} else {
		if (!task->json)
			tell(answer);
		json_array_append(answers, answer);
	}
	outbuf_finish(&reason);
	json_decref(answer);
	return code;
}

enum exit_code rolling_restart(const struct task *task, struct outbuf *out, struct outbuf *why)
{
	const struct question question = {
		.socket = task->socket, .method = "GET", .target = "/status", .json = true, .patience_s = 10
	};
	struct task each = *task;
	json_t *status = NULL, *answers;
	const json_t *workers, *worker;
	enum exit_code code = answer_object(&question, &status, why);
	size_t i;

	if (code != EXIT_DONE)
		return code;
	answers = json_array();
	workers = json_object_get(status, "workers");
	if (!json_is_array(workers) || !answers)
		code = answer_reject(&question, why);
	json_array_foreach(workers, i, worker) {
		const char *name = json_string_value(json_object_get(worker, "name"));

		if (code == EXIT_DONE)
			code = name ? restart(&each, name, answers, why) : answer_reject(&question, why);
		else if (name)
			outbuf_printf(why, "; %s was not restarted", name);
		each.given[OPTION_if_generation] = NULL; /* our own changes count, too */
	}
	if (code == EXIT_DONE && task->json)
		answer_print(json_incref(answers), out);
	json_decref(answers);
	json_decref(status);
	return code;
}
