/* steady.c - /readyz, /status, one connection; the faults, and one request. */
#include "rmsctl/steady.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "rmsctl/table.h"

enum { PATIENCE_S = 10, PROBE_S = 2, STATUS_END = 12 /* of "HTTP/1.1 200" */ };

static void add_text(const char *text, struct outbuf *why)
{
	table_text(text, strlen(text), false, why);
}

static void list_names(const json_t *workers, struct outbuf *why)
{
	const json_t *worker;
	size_t i;

	json_array_foreach(workers, i, worker) {
		const char *name = json_string_value(json_object_get(worker, "name"));

		outbuf_text(why, i ? ", " : " ");
		add_text(name ? name : "?", why);
	}
}

static enum exit_code judge_workers(const json_t *workers, const char *worker, bool force, struct outbuf *why)
{
	const char *state = NULL;
	const json_t *one;
	unsigned others = 0;
	size_t i;

	json_array_foreach(workers, i, one) {
		const char *its_name = json_string_value(json_object_get(one, "name"));
		const char *its_state = json_string_value(json_object_get(one, "state"));

		if (its_name && strcmp(its_name, worker) == 0)
			state = its_state ? its_state : "in no state";
		else if (its_state && strcmp(its_state, "up") == 0)
			others++;
	}
	if (!state) {
		outbuf_text(why, "no worker is called ");
		add_text(worker, why);
		outbuf_text(why, "; there are");
		list_names(workers, why);
	} else if (strcmp(state, "up") != 0) {
		outbuf_printf(why, "%s is ", worker);
		add_text(state, why);
		outbuf_text(why, ", not up");
	} else if (!others && !force) {
		outbuf_printf(why, "%s is the only worker that is up (--force goes on all the same)", worker);
	} else {
		return EXIT_DONE;
	}
	return EXIT_ABORTED;
}

enum exit_code steady_judge(
	const json_t *status, const char *worker, bool force, const char **address, struct outbuf *why)
{
	const json_t *listeners = json_object_get(status, "listeners"), *listener;
	enum exit_code code = judge_workers(json_object_get(status, "workers"), worker, force, why);
	size_t i;

	if (code != EXIT_DONE)
		return code;
	json_array_foreach(listeners, i, listener) {
		const char *role = json_string_value(json_object_get(listener, "role"));

		*address = json_string_value(json_object_get(listener, "address"));
		if (*address && role && strcmp(role, "public") == 0)
			return EXIT_DONE;
	}
	outbuf_text(why, "rmsd has no public listener");
	return EXIT_ABORTED;
}

static enum exit_code check_ready(const char *socket, struct outbuf *why)
{
	struct client_reply reply = { 0 };
	enum exit_code code = EXIT_DONE;

	if (client_request(socket, "GET", "/readyz", false, PATIENCE_S, &reply, why) < 0)
		return EXIT_UNREACHABLE;
	if (reply.status != 200) {
		size_t len = reply.body_len;

		while (len && (reply.body[len - 1] == '\n' || reply.body[len - 1] == '\r'))
			len--;
		code = reply.status == 401 || reply.status == 403 ? EXIT_UNREACHABLE : EXIT_ABORTED;
		outbuf_text(why, "rmsd is not ready: ");
		table_text(reply.body, len, false, why);
	}
	client_reply_finish(&reply);
	return code;
}

static enum exit_code find_target(const char *address, struct target *target, struct outbuf *why)
{
	struct target targets[TARGETS_MAX];
	unsigned n = target_choose(address, targets);
	int err = -EINVAL;

	for (unsigned i = 0; i < n; i++) {
		err = target_connect(&targets[i]);
		if (err < 0)
			continue;
		close(err);
		*target = targets[i];
		return EXIT_DONE;
	}
	outbuf_text(why, "the listener ");
	add_text(address, why);
	outbuf_printf(why, " takes no connection: %s", strerror(-err));
	return EXIT_ABORTED;
}

enum exit_code steady_check(
	const char *socket, const char *worker, bool force, struct target *target, struct outbuf *why)
{
	const struct question question = {
		.socket = socket, .method = "GET", .target = "/status", .json = true, .patience_s = PATIENCE_S
	};
	enum exit_code code = check_ready(socket, why);
	const char *address = NULL;
	json_t *status = NULL;

	if (code != EXIT_DONE)
		return code;
	code = answer_object(&question, &status, why);
	if (code != EXIT_DONE)
		return code == EXIT_REFUSED ? EXIT_ABORTED : code;
	code = steady_judge(status, worker, force, &address, why);
	if (code == EXIT_DONE)
		code = find_target(address, target, why);
	json_decref(status);
	return code;
}

enum exit_code steady_check_faults(const char *socket, struct outbuf *why)
{
	const struct question question = {
		.socket = socket, .method = "GET", .target = "/v1/faults", .json = true, .patience_s = PATIENCE_S
	};
	json_t *faults = NULL;
	enum exit_code code = answer_object(&question, &faults, why);

	json_decref(faults);
	return code == EXIT_REFUSED ? EXIT_ABORTED : code;
}

enum exit_code steady_probe(
	const struct target *target, const char *path, const struct outbuf *request, struct outbuf *why)
{
	const struct timeval timeout = { .tv_sec = PROBE_S };
	char line[STATUS_END] = "";
	int fd = target_connect(target);

	/* Each that fails here fails the load, too. */
	if (fd < 0)
		return EXIT_DONE;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	if (send(fd, request->data, request->len, MSG_NOSIGNAL) == (ssize_t)request->len)
		(void)recv(fd, line, sizeof(line), MSG_WAITALL);
	close(fd);
	if (memcmp(line, "HTTP/1.", 7) != 0 || (memcmp(line + 8, " 404", 4) != 0 && memcmp(line + 8, " 405", 4) != 0))
		return EXIT_DONE;
	outbuf_printf(why, "%s answers %.3s: try --path", path, line + 9);
	return EXIT_ABORTED;
}
