/*
 * test_rmsctl.c - the rmsctl binary against a server of our own that answers whatever a case says: what it asks, what
 * it prints, and its exit code for every way in which things go wrong.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "support/keep.h"
#include "support/program.h"
#include "support/scratch.h"

enum { DONE, REFUSED, USAGE, UNREACHABLE };

#define OK_HEAD "HTTP/1.1 200 OK\r\nConnection: close\r\n"
#define STATUS \
	"{\"version\":\"9.8.7\",\"pid\":42,\"uptime_seconds\":61,\"state\":\"up\",\"generation\":3,\"listeners\":[]," \
	"\"workers\":[{\"name\":\"app1\",\"state\":\"up\",\"since\":\"2025-01-02T03:04:05.678Z\",\"connections\":1," \
	"\"requests_total\":2,\"restarts\":0,\"weight\":1,\"port\":null}]," \
	"\"totals\":{\"connections\":1,\"requests_total\":2,\"in_flight\":0}}"
#define KILLED \
	"{\"ok\":true,\"worker\":\"app2\",\"state\":\"down\",\"changed\":true,\"rehomed\":334,\"duration_ms\":1.8," \
	"\"generation\":8}"

/* A socket that takes one connection, reads one request, and answers. */
struct fake {
	const char *dir, *path;
	int listener;
	pthread_t thread;
	const char *answer;
	size_t answer_len;
	bool unread;        /* answers and closes without having read the request */
	char request[8192]; /* "" if nobody came */
};

static void *serve(void *data)
{
	struct fake *fake = data;
	int fd = accept(fake->listener, NULL, NULL);
	size_t len = 0, sent = 0;
	ssize_t n;

	if (fd < 0)
		return NULL;
	while (!fake->unread && !strstr(fake->request, "\r\n\r\n")) {
		n = read(fd, fake->request + len, sizeof(fake->request) - 1 - len);
		if (n <= 0)
			break;
		len += (size_t)n;
		fake->request[len] = '\0';
	}
	while (sent < fake->answer_len) {
		n = send(fd, fake->answer + sent, fake->answer_len - sent, MSG_NOSIGNAL);
		if (n <= 0)
			break;
		sent += (size_t)n;
	}
	close(fd);
	return NULL;
}

static void start(struct fake *fake, const char *answer, size_t len)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	memcpy(address.sun_path, fake->path, strlen(fake->path));
	unlink(fake->path);
	fake->answer = answer;
	fake->answer_len = len;
	fake->request[0] = '\0';
	fake->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fake->listener >= 0);
	assert_int_equal(bind(fake->listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fake->listener, 1), 0);
	assert_int_equal(pthread_create(&fake->thread, NULL, serve, fake), 0);
}

/* Leaves a stale socket. */
static void stop(struct fake *fake)
{
	shutdown(fake->listener, SHUT_RDWR); /* wakes an accept() to which nobody came */
	pthread_join(fake->thread, NULL);
	close(fake->listener);
}

/* One run of rmsctl, its words separated by a space, against one answer. */
static struct output *ask_bytes(struct fake *fake, const char *words, const char *answer, size_t len)
{
	const char *argv[16] = { program_path("rmsctl"), "-s", fake->path };
	char *rest = keepf("%s", words);
	struct output *output;
	size_t n = 3;

	while (n < 15 && (argv[n] = strsep(&rest, " ")))
		n++;
	start(fake, answer, len);
	output = program_run(argv);
	stop(fake);
	return output;
}

static struct output *ask(struct fake *fake, const char *words, const char *answer)
{
	return ask_bytes(fake, words, answer, strlen(answer));
}

/* An answer with status and body. */
static const char *reply(int status, const char *body)
{
	return keepf("HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", status,
		strlen(body), body);
}

static bool is_one_line(const char *text)
{
	return *text && strchr(text, '\n') == text + strlen(text) - 1;
}

/* Nothing on stdout, and one line on stderr that holds word. */
static void expect_failure(const char *label, const struct output *output, int status, const char *word)
{
	if (output->status != status || *output->out || strncmp(output->err, "rmsctl: ", 8) != 0 ||
		!is_one_line(output->err) || !strstr(output->err, word))
		fail_msg("%s: wanted exit %d and one line with \"%s\"; got exit %d, stdout \"%s\", stderr \"%s\"",
			label, status, word, output->status, output->out, output->err);
}

static void expect_output(const char *label, const struct output *output, const char *text)
{
	if (output->status != DONE || strcmp(output->out, text) != 0 || *output->err)
		fail_msg("%s: wanted \"%s\"; got exit %d, stdout \"%s\", stderr \"%s\"", label, text, output->status,
			output->out, output->err);
}

static int set_up(void **state)
{
	struct fake *fake = keep(calloc(1, sizeof(*fake)));

	fake->dir = scratch_make();
	fake->path = keepf("%s/sock", fake->dir);
	unsetenv("RMSD_SOCKET");
	*state = fake;
	return 0;
}

static int tear_down(void **state)
{
	struct fake *fake = *state;

	scratch_remove(fake->dir);
	return 0;
}

static void each_verb_is_one_request(void **state)
{
	static const struct {
		const char *words, *line, *answer;
	} cases[] = {
		{ "status", "GET /status", STATUS },
		{ "workers", "GET /status", STATUS },
		{ "kill-worker app2", "POST /v1/workers/app2/kill", KILLED },
		{ "kill-worker app2 --force", "POST /v1/workers/app2/kill?force=1", KILLED },
		{ "--force kill-worker --json app2", "POST /v1/workers/app2/kill?force=1", KILLED },
		{ "revive-worker app2", "POST /v1/workers/app2/revive", KILLED },
		{ "revive-worker ../a%b?c\xc3\xa9\n", "POST /v1/workers/..%2Fa%25b%3Fc%C3%A9%0A/revive", KILLED },
		{ "kill-worker -- -s", "POST /v1/workers/-s/kill", KILLED },
		{ "fault add --status 503 --ttl 1s", "POST /v1/faults?status=503&ttl=1s", "{\"ok\":true,\"id\":1}" },
		{ "fault clear 3", "DELETE /v1/faults?id=3", "{\"ok\":true,\"cleared\":1}" },
		{ "metrics", "GET /metrics", "a 1\n" },
		{ "config", "GET /v1/config", "workers: 3\n" },
		{ "shutdown", "POST /v1/shutdown", "{\"ok\":true}" },
		{ "version", "GET /status", STATUS },
	};
	struct fake *fake = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct output *output = ask(fake, cases[i].words, reply(200, cases[i].answer));
		const char *line = keepf("%s HTTP/1.1\r\nHost: rmsd\r\nConnection: close\r\n", cases[i].line);

		if (output->status != DONE || strncmp(fake->request, line, strlen(line)) != 0)
			fail_msg("%s: exit %d, asked \"%s\", %s", cases[i].words, output->status, fake->request,
				output->err);
		if (!!strstr(fake->request, "Accept: application/json\r\n") != !!strstr(cases[i].words, "--json"))
			fail_msg("%s: asked \"%s\"", cases[i].words, fake->request);
	}
}

static void people_get_tables_and_sentences(void **state)
{
	struct fake *fake = *state;

	expect_output("workers", ask(fake, "workers", reply(200, STATUS)),
		"NAME  STATE  SINCE                     CONNECTIONS  REQUESTS  RESTARTS  WEIGHT  PORT\n"
		"app1  up     2025-01-02T03:04:05.678Z            1         2         0       1     -\n");
	assert_non_null(strstr(ask(fake, "status", reply(200, STATUS))->out, "uptime       1 min 1 s\n"));
	expect_output("kill-worker", ask(fake, "kill-worker app2", reply(200, KILLED)),
		"app2 is down: 334 connections moved in 1.8 ms\n");
	expect_output(
		"shutdown", ask(fake, "shutdown", reply(200, "{\"ok\":true,\"changed\":true}")), "shutting down\n");
	expect_output("metrics", ask(fake, "metrics", reply(200, "# HELP a b\na{x=\"\\\"\"} 1\n")),
		"# HELP a b\na{x=\"\\\"\"} 1\n");
	expect_output("config", ask(fake, "config", reply(200, "workers: 3 # default\n")), "workers: 3 # default\n");
}

static void json_is_valid_on_every_verb(void **state)
{
	static const struct {
		const char *words, *answer, *json;
	} cases[] = {
		{ "--json workers", STATUS,
			"[{\"name\":\"app1\",\"state\":\"up\",\"since\":\"2025-01-02T03:04:05.678Z\",\"connections\":1,"
			"\"requests_total\":2,\"restarts\":0,\"weight\":1,\"port\":null}]" },
		{ "status --json", STATUS, STATUS },
		{ "kill-worker app2 --json", KILLED, KILLED },
		{ "revive-worker app2 --json", KILLED, KILLED },
		{ "shutdown --json", "{\"ok\":true}", "{\"ok\":true}" },
		{ "metrics --json", "a{b=\"c\"} 1\n", "{\"metrics\":\"a{b=\\\"c\\\"} 1\\n\"}" },
		{ "metrics --json", "", "{\"metrics\":\"\"}" },
		{ "config --json", "{\"workers\":\"3\"}", "{\"workers\":\"3\"}" },
		{ "version --json", STATUS, "{\"rmsctl\":\"" RMSD_VERSION "\",\"rmsd\":\"9.8.7\"}" },
	};
	struct fake *fake = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct output *output = ask(fake, cases[i].words, reply(200, cases[i].answer));
		json_t *got = json_loads(output->out, 0, NULL), *wanted = json_loads(cases[i].json, 0, NULL);

		if (output->status != DONE || !got || !json_equal(got, wanted))
			fail_msg("%s: exit %d: %s%s", cases[i].words, output->status, output->out, output->err);
		json_decref(got);
		json_decref(wanted);
	}
	assert_non_null(strstr(ask(fake, "kill-worker app2 --json", reply(200, KILLED))->out, "\"duration_ms\": 1.8,"));
}

static void version_is_told_without_a_server(void **state)
{
	struct fake *fake = *state;
	const char *rmsctl = program_path("rmsctl");

	expect_output("up", ask(fake, "version", reply(200, STATUS)), "rmsctl " RMSD_VERSION "\nrmsd 9.8.7\n");
	expect_output("down", program_call(rmsctl, "-s", fake->path, "version", NULL),
		"rmsctl " RMSD_VERSION "\nrmsd: not reachable\n");
	expect_output("-V", program_call(rmsctl, "-s", fake->path, "-V", NULL),
		"rmsctl " RMSD_VERSION "\nrmsd: not reachable\n");
	expect_output("--version", ask(fake, "--version", reply(200, STATUS)), "rmsctl " RMSD_VERSION "\nrmsd 9.8.7\n");
	expect_output("down, json", program_call(rmsctl, "--json", "version", "-s", fake->path, NULL),
		"{\n  \"rmsctl\": \"" RMSD_VERSION "\",\n  \"rmsd\": null\n}\n");
}

static void control_bytes_never_reach_the_terminal(void **state)
{
	struct fake *fake = *state;

	expect_output(
		"text", ask(fake, "config", reply(200, "a: \x1b[2J\x7f\xc2\x9b\n")), "a: \\x1b[2J\\x7f\\xc2\\x9b\n");
	expect_output("change",
		ask(fake, "shutdown --json", reply(200, "{\"ok\":true,\"state\":\"\\u001b\x7f\xc2\x9b\"}")),
		"{\n  \"ok\": true,\n  \"state\": \"\\u001B\\u007f\\u009B\"\n}\n");
	expect_failure("error", ask(fake, "shutdown", reply(409, "{\"ok\":false,\"error\":\"a\\u001b[2J\\nb\"}")),
		REFUSED, "a\\x1b[2J\\x0ab");
}

static void a_refusal_is_exit_1_with_the_servers_reason(void **state)
{
	struct fake *fake = *state;

	expect_failure("404",
		ask(fake, "kill-worker app9",
			reply(404, "{\"ok\":false,\"error\":\"no worker app9: there are app1, app2\"}")),
		REFUSED, "rmsctl: no worker app9: there are app1, app2\n");
	expect_failure("409",
		ask(fake, "kill-worker app1 --json",
			reply(409, "{\"ok\":false,\"error\":\"app1 is the last worker up\"}")),
		REFUSED, "app1 is the last worker up");
	expect_failure(
		"200, not ok", ask(fake, "shutdown", reply(200, "{\"ok\":false,\"error\":\"no\"}")), REFUSED, "no");
	expect_failure("no reason", ask(fake, "status", reply(503, "busy")), REFUSED, "HTTP status 503");
	expect_failure("peer credentials",
		ask(fake, "status", reply(403, "{\"ok\":false,\"error\":\"uid 7 may not\"}")), UNREACHABLE,
		"uid 7 may not");
}

static void an_answer_without_length_ends_with_the_connection(void **state)
{
	struct fake *fake = *state;

	expect_output("1.1", ask(fake, "metrics", OK_HEAD "\r\na 1\n"), "a 1\n");
	expect_output("1.0", ask(fake, "metrics", "HTTP/1.0 200\r\n\r\na 1\n"), "a 1\n");
	expect_output("odd spaces", ask(fake, "metrics", OK_HEAD "content-length: \t4 \r\n\r\na 1\n"), "a 1\n");
}

static void a_malformed_answer_is_exit_3(void **state)
{
	static const struct {
		const char *answer, *word;
	} cases[] = {
		{ "", "closed" },
		{ "SSH-2.0-OpenSSH\r\n\r\n", "no HTTP status line" },
		{ "HTTP/2.0 200 OK\r\n\r\n", "no HTTP status line" },
		{ "HTTP/1.1 100 Continue\r\n\r\n", "no HTTP status line" },
		{ "HTTP/1.1 200 OK\r\nDate: x\r\n", "cut short" },
		{ OK_HEAD "Content-Length: 10\r\n\r\n{}", "cut short" },
		{ OK_HEAD "Content-Length: 2\r\n\r\n{}x", "bytes behind its end" },
		{ OK_HEAD "Content-Length: 0\r\nContent-Length: 2\r\n\r\n{}", "bad Content-Length" },
		{ OK_HEAD "Content-Length:\r\n\r\n{}", "bad Content-Length" },
		{ OK_HEAD "Content-Length: +2\r\n\r\n{}", "bad Content-Length" },
		{ OK_HEAD "Content-Length: 2, 2\r\n\r\n{}", "bad Content-Length" },
		{ OK_HEAD "Content-Length: 16777217\r\n\r\n{}", "more than 16 MB" },
		{ OK_HEAD "Content-Length: 18446744073709551618\r\n\r\n{}", "more than 16 MB" },
		{ OK_HEAD "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "Transfer-Encoding" },
		{ OK_HEAD "no colon\r\n\r\n{}", "bad header" },
		{ OK_HEAD ": no name\r\n\r\n{}", "bad header" },
		{ OK_HEAD "Content-Length : 2\r\n\r\n{}", "bad header" },
		{ OK_HEAD " folded: 2\r\n\r\n{}", "bad header" },
		{ OK_HEAD "a: b\nc: d\r\n\r\n{}", "bad header" },
		{ OK_HEAD "\r\n", "not the expected JSON" },
		{ OK_HEAD "\r\nplain", "not the expected JSON" },
		{ OK_HEAD "\r\n{}", "not the expected JSON" },
		{ OK_HEAD "\r\n{\"workers\":[]} x", "not the expected JSON" },
		{ OK_HEAD "\r\n{\"workers\":[],\"workers\":[]}", "not the expected JSON" },
		{ OK_HEAD "\r\n{\"workers\":[1]}", "not the expected JSON" },
	};
	struct fake *fake = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		expect_failure(keepf("case %zu: %s", i, cases[i].answer), ask(fake, "workers", cases[i].answer),
			UNREACHABLE, cases[i].word);
	expect_failure("bytes that no JSON can hold", ask(fake, "metrics --json", reply(200, "a \xff\n")), UNREACHABLE,
		"not the expected JSON");
}

static void an_answer_without_end_is_given_up(void **state)
{
	const size_t size = 17 * 1024 * 1024;
	char *endless = keep(malloc(size));
	struct fake *fake = *state;

	memset(endless, 'x', size);
	memcpy(endless, OK_HEAD "\r\n", strlen(OK_HEAD "\r\n"));
	expect_failure("body", ask_bytes(fake, "metrics", endless, size), UNREACHABLE, "more than 16 MB");
	memcpy(endless, OK_HEAD "a:", strlen(OK_HEAD "a:"));
	expect_failure("head", ask_bytes(fake, "metrics", endless, size), UNREACHABLE, "no end of its headers");
}

/* A server that refuses at once may close before it has read: its reason still counts. */
static void an_early_refusal_is_read(void **state)
{
	struct fake *fake = *state;

	fake->unread = true;
	expect_failure("early", ask(fake, "status", reply(403, "{\"error\":\"not you\"}")), UNREACHABLE, "not you");
}

static void an_unreachable_server_is_exit_3_with_the_cause(void **state)
{
	const char *rmsctl = program_path("rmsctl");
	struct fake *fake = *state;
	const char *deep = keepf("%s/none/sock", fake->dir);

	expect_failure("none", program_call(rmsctl, "-s", fake->path, "status", NULL), UNREACHABLE,
		keepf("rmsctl: %s: no such socket: is rmsd running? (-s SOCKET or $RMSD_SOCKET names another)\n",
			fake->path));
	expect_failure("no directory", program_call(rmsctl, "-s", deep, "status", NULL), UNREACHABLE, "no such socket");
	start(fake, "", 0);
	stop(fake);
	expect_failure("stale", program_call(rmsctl, "-s", fake->path, "status", NULL), UNREACHABLE,
		"no rmsd is listening (stale socket; -s SOCKET or $RMSD_SOCKET names another)\n");
	unlink(fake->path);
	scratch_write_text(fake->dir, "sock", "");
	expect_failure("file", program_call(rmsctl, "-s", fake->path, "status", NULL), UNREACHABLE, "not a socket");
	expect_failure(
		"long", program_call(rmsctl, "-s", keepf("/%0107d", 0), "status", NULL), UNREACHABLE, "path too long");
}

static void a_closed_socket_names_its_owner(void **state)
{
	const char *rmsctl = program_path("rmsctl");
	struct fake *fake = *state;
	const struct output *output;

	start(fake, "", 0);
	assert_int_equal(chmod(fake->path, 0), 0);
	if (geteuid() == 0) /* Root without its capabilities is refused as anybody is. */
		output = program_call("setpriv", "--bounding-set=-all", rmsctl, "-s", fake->path, "workers", NULL);
	else
		output = program_call(rmsctl, "-s", fake->path, "workers", NULL);
	stop(fake);
	expect_failure("mode 0", output, UNREACHABLE,
		keepf("%s: permission denied: owned by %s", fake->path, geteuid() ? "" : "root, "));
	assert_non_null(strstr(output->err, ", try sudo\n"));
}

static void the_socket_comes_from_the_option_then_the_environment(void **state)
{
	const char *rmsctl = program_path("rmsctl");
	struct fake *fake = *state;
	const char *other = keepf("%s/other", fake->dir);

	setenv("RMSD_SOCKET", other, 1);
	expect_failure("environment", program_call(rmsctl, "status", NULL), UNREACHABLE, other);
	expect_failure("option", program_call(rmsctl, "status", "-s", fake->path, NULL), UNREACHABLE, fake->path);
	setenv("RMSD_SOCKET", "", 1);
	assert_int_equal(program_call(rmsctl, "version", NULL)->status, DONE);
	unsetenv("RMSD_SOCKET");
}

static void a_wrong_command_line_is_exit_2(void **state)
{
	static const struct {
		const char *words, *word;
	} cases[] = {
		{ "", "no such command" },
		{ "kill app2", "kill: no such command" },
		{ "kill-worker", "a name is missing (kill-worker NAME [--force] [--if-generation N])" },
		{ "kill-worker ", "a name is missing" },
		{ "kill-worker app1 app2", "one argument too many: app2" },
		{ "workers app1", "one argument too many: app1" },
		{ "revive-worker app1 --force", "does not take --force" },
		{ "status -s ", "the path is empty" },
	};
	const char *rmsctl = program_path("rmsctl");
	struct fake *fake = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		expect_failure(keepf("\"%s\"", cases[i].words), ask(fake, cases[i].words, ""), USAGE, cases[i].word);
		assert_string_equal(fake->request, "");
	}
	expect_failure("nothing", program_call(rmsctl, NULL), USAGE, "no command");
	assert_int_equal(program_call(rmsctl, "--frob", "status", NULL)->status, USAGE);
	assert_int_equal(program_call(rmsctl, "status", "-s", NULL)->status, USAGE);
}

static void help_lists_every_verb(void **state)
{
	static const char *const names[] = {
#define COMMAND(name, method, path, argument, table, help) "\n  " #name,
#include "admin/commands.def"
	};
	const struct output *output = program_call(program_path("rmsctl"), "--help", NULL);

	(void)state;
	assert_int_equal(output->status, DONE);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strstr(output->out, names[i]))
			fail_msg("no %s in\n%s", names[i], output->out);
}

static void output_that_cannot_be_written_is_exit_1(void **state)
{
	const char *const full[] = { program_path("rmsctl"), "--help", NULL };
	struct fake *fake = *state;
	const char *err = keepf("%s/err", fake->dir);
	int status = program_wait(program_start(full, "/dev/full", err), PROGRAM_PATIENCE_MS);
	const char *words = program_file(err, NULL);

	assert_int_equal(status, REFUSED);
	assert_true(is_one_line(words));
	assert_non_null(strstr(words, "rmsctl: standard output: No space left on device"));
	expect_failure("closed", program_call("/bin/sh", "-c", "exec \"$0\" --help >&-", full[0], NULL), REFUSED,
		"standard output");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(each_verb_is_one_request),
		TEST(people_get_tables_and_sentences),
		TEST(json_is_valid_on_every_verb),
		TEST(version_is_told_without_a_server),
		TEST(control_bytes_never_reach_the_terminal),
		TEST(a_refusal_is_exit_1_with_the_servers_reason),
		TEST(an_answer_without_length_ends_with_the_connection),
		TEST(a_malformed_answer_is_exit_3),
		TEST(an_answer_without_end_is_given_up),
		TEST(an_early_refusal_is_read),
		TEST(an_unreachable_server_is_exit_3_with_the_cause),
		TEST(a_closed_socket_names_its_owner),
		TEST(the_socket_comes_from_the_option_then_the_environment),
		TEST(a_wrong_command_line_is_exit_2),
		TEST(help_lists_every_verb),
		TEST(output_that_cannot_be_written_is_exit_1),
	};

	return cmocka_run_group_tests_name("rmsctl", tests, NULL, NULL);
}
