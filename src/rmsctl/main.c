/* main.c - rmsctl: a verb to a request on the control socket; its answer to text or JSON, and to an exit code. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rmsctl/answer.h"
#include "rmsctl/command.h"
#include "rmsctl/drill.h"
#include "rmsctl/events.h"
#include "rmsctl/rolling.h"
#include "rmsctl/table.h"
#include "rmsctl/top.h"

/* Ours, and the server's if it told one. */
static void print_version(bool as_json, const json_t *status, struct outbuf *out)
{
	const char *version = json_string_value(json_object_get(status, "version"));

	if (as_json) {
		answer_print(json_pack("{s:s, s:s?}", "rmsctl", RMSD_VERSION, "rmsd", version), out);
	} else if (version) {
		outbuf_text(out, "rmsctl " RMSD_VERSION "\nrmsd ");
		table_text(version, strlen(version), false, out);
		outbuf_text(out, "\n");
	} else {
		outbuf_text(out, "rmsctl " RMSD_VERSION "\nrmsd: not reachable\n");
	}
}

static int print_sentence(const struct task *task, const json_t *answer, struct outbuf *out)
{
	switch (task->command->view) {
	case VIEW_workers: return table_workers(answer, out);
	case VIEW_status: return table_status(answer, out);
	case VIEW_faults: return table_faults(answer, out);
	case VIEW_fault: return table_fault(answer, out);
	case VIEW_cleared: return table_cleared(answer, out);
	case VIEW_restart: return table_restart(answer, out);
	case VIEW_stall: return table_stall(answer, task->given[OPTION_for], out);
	default: return table_change(answer, out);
	}
}

/* A good answer, printed; answer is its JSON, or NULL. 0, or EINVAL negated if it is not what the verb's answer is. */
static int print_reply(const struct task *task, const struct client_reply *reply, json_t *answer, struct outbuf *out)
{
	enum command_view view = task->command->view;

	if (view == VIEW_text && !task->json) {
		table_text(reply->body, reply->body_len, true, out);
		return 0;
	}
	if (view == VIEW_text && !answer)
		return answer_print(json_pack("{s:s%}", task->command->name, reply->body, reply->body_len), out);
	if (view == VIEW_status && !json_is_object(answer))
		return -EINVAL;
	if (view == VIEW_workers) {
		answer = json_object_get(answer, "workers");
		if (!json_is_array(answer))
			return -EINVAL;
	} else if (view != VIEW_status && view != VIEW_text && !json_is_true(json_object_get(answer, "ok"))) {
		return -EINVAL;
	}
	return task->json ? answer_print(json_incref(answer), out) : print_sentence(task, answer, out);
}

static enum exit_code run(const struct task *task, struct outbuf *out, struct outbuf *why)
{
	struct question question = {
		.socket = task->socket,
		.method = task->command->method,
		.json = task->json,
		.patience_s = command_patience_s(task),
	};
	struct client_reply reply = { 0 };
	struct outbuf target = { 0 };
	json_t *answer = NULL;
	enum exit_code code;

	command_target(task, NULL, &target);
	if (target.failed) {
		outbuf_text(why, "out of memory");
		return EXIT_REFUSED;
	}
	question.target = target.data;
	code = answer_get(&question, &reply, &answer, why);
	outbuf_finish(&target);
	if (task->command->view == VIEW_version) {
		print_version(task->json, answer, out);
		code = EXIT_DONE;
	} else if (code == EXIT_DONE && print_reply(task, &reply, answer, out) < 0) {
		code = answer_reject(&question, why);
	}
	json_decref(answer);
	client_reply_finish(&reply);
	return code;
}

/* A full disk or a closed pipe is a failure: what was asked for has not been told. */
static enum exit_code flush(const struct outbuf *out)
{
	if (out->failed) {
		fprintf(stderr, "rmsctl: out of memory\n");
		return EXIT_REFUSED;
	}
	if ((out->len && fwrite(out->data, 1, out->len, stdout) != out->len) || fclose(stdout) != 0) {
		fprintf(stderr, "rmsctl: standard output: %s\n", strerror(errno));
		return EXIT_REFUSED;
	}
	return EXIT_DONE;
}

/* What is opened later must not be taken for one that was closed: to read and to write there goes on to fail. */
static void hold_standard_descriptors(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			(void)open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

int main(int argc, char **argv)
{
	struct task task = { .socket = getenv("RMSD_SOCKET") };
	struct outbuf out = { 0 }, why = { 0 };
	enum exit_code code = EXIT_DONE;

	hold_standard_descriptors();
	signal(SIGPIPE, SIG_IGN); /* NOLINT: fails for a bad number alone */
	if (!task.socket || !*task.socket)
		task.socket = "/run/rmsd/rmsd.sock";
	if (!command_parse(argc, argv, &task, &why))
		code = EXIT_USAGE;
	else if (task.help)
		command_help(&out);
	else if (task.command->view == VIEW_drill)
		code = drill_run(&task, &out, &why);
	else if (task.command->view == VIEW_events)
		code = events_run(&task, &why);
	else if (task.command->view == VIEW_top)
		code = top_run(&task, &why);
	else if (task.given[OPTION_all])
		code = rolling_restart(&task, &out, &why);
	else
		code = run(&task, &out, &why);
	if (code == EXIT_DONE)
		code = flush(&out);
	else if (task.command && task.command->view == VIEW_drill)
		(void)flush(&out); /* a drill that failed has its report, too */
	if (code != EXIT_DONE && why.len)
		fprintf(stderr, "rmsctl: %.*s\n", (int)why.len, why.data);
	outbuf_finish(&out);
	outbuf_finish(&why);
	return (int)code;
}
