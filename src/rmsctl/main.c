/* main.c - rmsctl: a verb to one request on the control socket; its answer to text or JSON, and to an exit code. */
#include "base/outbuf.h"
#include "rmsctl/client.h"
#include "rmsctl/table.h"
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum exit_code { EXIT_DONE, EXIT_REFUSED, EXIT_USAGE, EXIT_UNREACHABLE };
enum view { VIEW_status, VIEW_workers, VIEW_change, VIEW_text, VIEW_version };

struct command {
	const char *name, *method, *path, *argument, *help;
	enum view view;
};

static const struct command commands[] = {
#define COMMAND(name, method, path, argument, table, help) { #name, #method, path, argument, help, VIEW_##table },
#include "admin/commands.def"
};
enum { N_COMMANDS = sizeof(commands) / sizeof(*commands) };

/* What the command line asks for. */
struct task {
	const struct command *command;
	const char *socket, *name;
	bool json, force;
};

static void print_help(struct outbuf *out)
{
	outbuf_text(out, "rmsctl [-s SOCKET] [--json] COMMAND\n\n");
	for (size_t i = 0; i < N_COMMANDS; i++)
		outbuf_printf(out, "  %s%s%s\n        %s\n", commands[i].name, *commands[i].argument ? " " : "",
			commands[i].argument, commands[i].help);
	outbuf_text(out,
		"\n  -s SOCKET   the control socket; else $RMSD_SOCKET, else /run/rmsd/rmsd.sock\n"
		"  --json      print JSON\n"
		"  -h, --help  print this\n\n"
		"Exit status: 0 done; 1 refused or failed; 2 usage; 3 rmsd not reachable or no permission.\n");
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

/* The operands: a verb and what it takes. EXIT_DONE, or EXIT_USAGE and why. */
static enum exit_code read_operands(struct task *task, int n, char **operands, struct outbuf *why)
{
	int n_wanted;

	if (!*task->socket) {
		outbuf_text(why, "-s: the path is empty");
		return EXIT_USAGE;
	}
	if (n == 0) {
		outbuf_text(why, "no command (rmsctl --help lists them)");
		return EXIT_USAGE;
	}
	task->command = find_command(operands[0]);
	if (!task->command) {
		outbuf_printf(why, "%s: no such command (rmsctl --help lists them)", operands[0]);
		return EXIT_USAGE;
	}
	n_wanted = *task->command->argument ? 2 : 1;
	if (n < n_wanted || (n_wanted == 2 && !*operands[1]))
		outbuf_printf(why, "%s: a name is missing (%s %s)", operands[0], operands[0], task->command->argument);
	else if (n > n_wanted)
		outbuf_printf(why, "%s: one argument too many: %s", operands[0], operands[n_wanted]);
	else if (task->force && !strstr(task->command->argument, "--force"))
		outbuf_printf(why, "%s: does not take --force", operands[0]);
	if (why->len)
		return EXIT_USAGE;
	task->name = n_wanted == 2 ? operands[1] : "";
	return EXIT_DONE;
}

/* The path with the name in its place, percent-encoded, and the query. */
static void write_target(const struct task *task, struct outbuf *target)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
	const char *path = task->command->path;
	const char *hole = strstr(path, "{}");

	outbuf_append(target, path, hole ? (size_t)(hole - path) : strlen(path));
	if (hole) {
		for (const char *c = task->name; *c; c++)
			outbuf_printf(target, strchr(plain, *c) ? "%c" : "%%%02X", (unsigned char)*c);
		outbuf_text(target, hole + 2);
	}
	outbuf_text(target, task->force ? "?force=1" : "");
	outbuf_append(target, "", 1);
}

/* DEL is the one control character that jansson writes raw; in JSON it can stand in a string alone. */
static int on_json(const char *bytes, size_t len, void *data)
{
	struct outbuf *out = data;

	for (size_t i = 0; i < len; i++)
		if (bytes[i] == 0x7F)
			outbuf_text(out, "\\u007f");
		else
			outbuf_append(out, bytes + i, 1);
	return out->failed ? -1 : 0;
}

/* Takes json; NULL is a failure already. */
static int print_json(json_t *json, struct outbuf *out)
{
	int err = -EINVAL;

	if (json) {
		/* 15 digits: 1.8 stays 1.8. ASCII alone, so that no control character comes through. */
		json_dump_callback(json, on_json, out, JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(15));
		outbuf_text(out, "\n");
		err = 0;
	}
	json_decref(json);
	return err;
}

/* Ours, and the server's if it told one. */
static void print_version(bool as_json, const json_t *status, struct outbuf *out)
{
	const char *version = json_string_value(json_object_get(status, "version"));

	if (as_json) {
		print_json(json_pack("{s:s, s:s?}", "rmsctl", RMSD_VERSION, "rmsd", version), out);
	} else if (version) {
		outbuf_text(out, "rmsctl " RMSD_VERSION "\nrmsd ");
		table_text(version, strlen(version), false, out);
		outbuf_text(out, "\n");
	} else {
		outbuf_text(out, "rmsctl " RMSD_VERSION "\nrmsd: not reachable\n");
	}
}

/* A good answer, printed; answer is its JSON, or NULL. 0, or EINVAL negated if it is not what the verb's answer is. */
static int print_reply(const struct task *task, const struct client_reply *reply, json_t *answer, struct outbuf *out)
{
	enum view view = task->command->view;

	if (view == VIEW_text && !task->json) {
		table_text(reply->body, reply->body_len, true, out);
		return 0;
	}
	if (view == VIEW_text && !answer)
		return print_json(json_pack("{s:s%}", task->command->name, reply->body, reply->body_len), out);
	if (view == VIEW_change && !json_is_true(json_object_get(answer, "ok")))
		return -EINVAL;
	if (view == VIEW_status && !json_is_object(answer))
		return -EINVAL;
	if (view == VIEW_workers)
		answer = json_object_get(answer, "workers");
	if (view == VIEW_workers && !json_is_array(answer))
		return -EINVAL;
	if (task->json)
		return print_json(json_incref(answer), out);
	if (view == VIEW_workers)
		return table_workers(answer, out);
	return view == VIEW_status ? table_status(answer, out) : table_change(answer, out);
}

static enum exit_code explain_refusal(int status, const json_t *answer, struct outbuf *why)
{
	const json_t *error = json_object_get(answer, "error");

	if (json_is_string(error))
		table_text(json_string_value(error), json_string_length(error), false, why);
	else
		outbuf_printf(why, "refused with HTTP status %d", status);
	return status == 401 || status == 403 ? EXIT_UNREACHABLE : EXIT_REFUSED;
}

static enum exit_code run(const struct task *task, struct outbuf *out, struct outbuf *why)
{
	struct client_reply reply = { 0 };
	struct outbuf target = { 0 };
	enum exit_code code = EXIT_DONE;
	json_t *answer = NULL;
	int err;

	write_target(task, &target);
	if (target.failed) {
		outbuf_text(why, "out of memory");
		return EXIT_REFUSED;
	}
	err = client_request(task->socket, task->command->method, target.data, task->json, &reply, why);
	outbuf_finish(&target);
	if (err == 0)
		answer = json_loadb(reply.body, reply.body_len, JSON_REJECT_DUPLICATES, NULL);
	if (task->command->view == VIEW_version) {
		print_version(task->json, answer, out);
	} else if (err < 0) {
		code = EXIT_UNREACHABLE;
	} else if (reply.status > 299 || json_is_false(json_object_get(answer, "ok"))) {
		code = explain_refusal(reply.status, answer, why);
	} else if (print_reply(task, &reply, answer, out) < 0) {
		outbuf_printf(why, "%s: not an answer of rmsd: not the expected JSON", task->socket);
		code = EXIT_UNREACHABLE;
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

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "force", no_argument, NULL, 'f' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct task task = { .socket = getenv("RMSD_SOCKET") };
	struct outbuf out = { 0 }, why = { 0 };
	enum exit_code code = EXIT_DONE;
	bool help = false;
	int option;

	signal(SIGPIPE, SIG_IGN); /* NOLINT: fails for a bad number alone */
	if (!task.socket || !*task.socket)
		task.socket = "/run/rmsd/rmsd.sock";
	while ((option = getopt_long(argc, argv, "s:h", options, NULL)) != -1) {
		switch (option) {
		case 's': task.socket = optarg; break;
		case 'j': task.json = true; break;
		case 'f': task.force = true; break;
		case 'h': help = true; break;
		default: return EXIT_USAGE; /* getopt_long() has said why */
		}
	}
	if (help)
		print_help(&out);
	else
		code = read_operands(&task, argc - optind, argv + optind, &why);
	if (code == EXIT_DONE && !help)
		code = run(&task, &out, &why);
	if (code == EXIT_DONE)
		code = flush(&out);
	else if (why.len)
		fprintf(stderr, "rmsctl: %.*s\n", (int)why.len, why.data);
	outbuf_finish(&out);
	outbuf_finish(&why);
	return (int)code;
}
