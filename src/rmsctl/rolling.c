/* rolling.c - the workers by /status, then one restart each. */
#include "rmsctl/rolling.h"

#include <stdio.h>
#include <string.h>

#include "rmsctl/table.h"

/* Each is told when it is done: the next may take its time. Takes line. */
static void print(struct outbuf *line)
{
	if (line->len && !line->failed) {
		fwrite(line->data, 1, line->len, stdout);
		fflush(stdout);
	}
	outbuf_finish(line);
}

static void tell(const json_t *answer)
{
	struct outbuf line = { 0 };

	if (table_restart(answer, &line) == 0)
		print(&line);
	else
		outbuf_finish(&line);
}

/* It is not up: an operator took it down, or it is failed, and that is not for us to end. */
static void pass_over(const struct task *task, const char *name, const char *state, json_t *answers)
{
	struct outbuf line = { 0 };

	json_array_append_new(answers,
		json_pack("{s:s, s:s, s:b, s:b}", "worker", name, "state", state, "changed", false, "skipped", true));
	if (task->json)
		return;
	table_text(name, strlen(name), false, &line);
	outbuf_text(&line, " is ");
	table_text(state, strlen(state), false, &line);
	outbuf_text(&line, ": left alone\n");
	print(&line);
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
		/* rmsd's reason mostly begins with it. */
		if (reason.len <= strlen(name) || memcmp(reason.data, name, strlen(name)) != 0 ||
			reason.data[strlen(name)] != ' ') {
			table_text(name, strlen(name), false, why);
			outbuf_text(why, ": ");
		}
		outbuf_append(why, reason.len ? reason.data : "", reason.len);
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
		const char *state = json_string_value(json_object_get(worker, "state"));

		if (code == EXIT_DONE && (!name || !state)) {
			code = answer_reject(&question, why);
			continue;
		}
		if (code == EXIT_DONE && strcmp(state, "up") != 0) {
			pass_over(task, name, state, answers);
			continue;
		}
		if (code == EXIT_DONE)
			code = restart(&each, name, answers, why);
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
