/*
 * test_rmsctl_rolling.c - rmsctl's verbs of more than one request or more than one answer, against a server of our own
 * that plays a list: restart-worker --all, events, and answers that take their time.
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
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "support/keep.h"
#include "support/program.h"
#include "support/scratch.h"

enum { DONE, REFUSED, USAGE, UNREACHABLE };

#define IS(name, state) "{\"name\":\"" name "\",\"state\":\"" state "\"}"
#define STATUS "{\"workers\":[" IS("app1", "up") "," IS("app2", "up") "," IS("app3", "up") "]}"
#define SOME_UP "{\"workers\":[" IS("app1", "down") "," IS("app2", "up") "," IS("app3", "failed") "]}"
#define UP(name) \
	"{\"ok\":true,\"worker\":\"" name "\",\"state\":\"up\",\"changed\":true,\"rehomed\":3,\"duration_ms\":12.3," \
	"\"generation\":8}"
#define STREAM "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
#define FIGURES \
	"id: 1\nevent: figures\ndata: {\"time_ns\":1,\"time\":\"2025-01-02T03:04:05.678Z\",\"generation\":7," \
	"\"workers\":[{\"name\":\"app1\",\"state\":\"up\",\"connections\":4},{\"name\":\"app2\",\"state\":\"down\"," \
	"\"connections\":0}],\"totals\":{\"connections\":4,\"requests_total\":1}}\n\n"

/* Answers one connection after another, and keeps the request lines. */
struct player {
	const char *dir, *path;
	int listener;
	pthread_t thread;
	const char *answers[8]; /* NULL-terminated */
	unsigned delay_ms;      /* before each */
	char lines[8][128];
	unsigned n;
};

static void *play(void *data)
{
	struct player *player = data;
	char request[2048];
	int fd;

	while (player->answers[player->n] && (fd = accept(player->listener, NULL, NULL)) >= 0) {
		const char *answer = player->answers[player->n];
		ssize_t n = recv(fd, request, sizeof(request) - 1, 0); /* one piece: it is short */

		request[n > 0 ? n : 0] = '\0';
		(void)snprintf(player->lines[player->n], sizeof(player->lines[0]), "%.*s",
			(int)(strcspn(request, "\r") < 127 ? strcspn(request, "\r") : 127), request);
		player->n++;
		usleep(player->delay_ms * 1000);
		(void)!send(fd, answer, strlen(answer), MSG_NOSIGNAL);
		close(fd);
	}
	return NULL;
}

static int set_up(void **state)
{
	struct player *player = keep(calloc(1, sizeof(*player)));
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	player->dir = scratch_make();
	player->path = keepf("%s/sock", player->dir);
	memcpy(address.sun_path, player->path, strlen(player->path));
	player->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(player->listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(player->listener, 4), 0);
	*state = player;
	return 0;
}

static int tear_down(void **state)
{
	struct player *player = *state;

	close(player->listener);
	scratch_remove(player->dir);
	return 0;
}

static const char *reply(int status, const char *body)
{
	return keepf("HTTP/1.1 %d X\r\nContent-Length: %zu\r\n\r\n%s", status, strlen(body), body);
}

/* rmsctl with these words, against the player's answers. */
static struct output *run(struct player *player, const char *words)
{
	const char *argv[16] = { program_path("rmsctl"), "-s", player->path };
	char *rest = keepf("%s", words);
	struct output *output;
	size_t n = 3;

	while (n < 15 && (argv[n] = strsep(&rest, " ")))
		n++;
	assert_int_equal(pthread_create(&player->thread, NULL, play, player), 0);
	output = program_run(argv);
	shutdown(player->listener, SHUT_RDWR);
	pthread_join(player->thread, NULL);
	return output;
}

static void expect(const struct output *output, int status, const char *out, const char *err)
{
	if (output->status != status || strcmp(output->out, out) != 0 || strcmp(output->err, err) != 0)
		fail_msg("wanted exit %d, \"%s\", \"%s\"; got %d, \"%s\", \"%s\"", status, out, err, output->status,
			output->out, output->err);
}

static void all_are_restarted_one_after_another(void **state)
{
	struct player *player = *state;

	player->answers[0] = reply(200, STATUS);
	player->answers[1] = reply(200, UP("app1"));
	player->answers[2] = reply(200, UP("app2"));
	player->answers[3] = reply(200, UP("app3"));
	expect(run(player, "restart-worker --all --timeout 5s --if-generation 7"), DONE,
		"app1 was restarted in 12.3 ms: 3 connections moved\n"
		"app2 was restarted in 12.3 ms: 3 connections moved\n"
		"app3 was restarted in 12.3 ms: 3 connections moved\n",
		"");
	assert_int_equal(player->n, 4);
	assert_string_equal(player->lines[0], "GET /status HTTP/1.1");
	assert_string_equal(player->lines[1], "POST /v1/workers/app1/restart?if_generation=7&timeout=5s HTTP/1.1");
	/* Its own restart has changed the generation. */
	assert_string_equal(player->lines[2], "POST /v1/workers/app2/restart?timeout=5s HTTP/1.1");
	assert_string_equal(player->lines[3], "POST /v1/workers/app3/restart?timeout=5s HTTP/1.1");
}

static void all_as_json_are_an_array_of_answers(void **state)
{
	struct player *player = *state;
	struct output *output;
	json_t *array;

	player->answers[0] = reply(200, "{\"workers\":[" IS("app1", "up") "," IS("app2", "up") "]}");
	player->answers[1] = reply(200, UP("app1"));
	player->answers[2] = reply(200, UP("app2"));
	output = run(player, "--json restart-worker --all");
	array = json_loads(output->out, 0, NULL);
	assert_int_equal(output->status, DONE);
	assert_int_equal(json_array_size(array), 2);
	assert_string_equal(json_string_value(json_object_get(json_array_get(array, 1), "worker")), "app2");
	json_decref(array);
}

/* Who took them down on purpose does not want them back because of an upgrade. */
static void who_is_not_up_is_left_alone(void **state)
{
	struct player *player = *state;
	json_t *array;

	player->answers[0] = reply(200, SOME_UP);
	player->answers[1] = reply(200, UP("app2"));
	expect(run(player, "restart-worker --all"), DONE,
		"app1 is down: left alone\n"
		"app2 was restarted in 12.3 ms: 3 connections moved\n"
		"app3 is failed: left alone\n",
		"");
	assert_int_equal(player->n, 2);
	tear_down(state);
	set_up(state);
	player = *state;
	player->answers[0] = reply(200, SOME_UP);
	player->answers[1] = reply(200, UP("app2"));
	array = json_loads(run(player, "restart-worker --all --json")->out, 0, NULL);
	assert_int_equal(json_array_size(array), 3);
	assert_true(json_is_true(json_object_get(json_array_get(array, 0), "skipped")));
	assert_string_equal(json_string_value(json_object_get(json_array_get(array, 2), "state")), "failed");
	json_decref(array);
}

static void the_first_failure_ends_a_rolling_restart(void **state)
{
	static const struct {
		int status;
		const char *answer, *err;
	} cases[] = {
		{ 409, "{\"ok\":false,\"error\":\"it does not start\",\"generation\":9}",
			"rmsctl: app2: it does not start; app3 was not restarted\n" },
		{ 409, "{\"ok\":false,\"error\":\"app2 did not start: the app's start() refused\",\"generation\":9}",
			"rmsctl: app2 did not start: the app's start() refused; app3 was not restarted\n" },
		{ 200, "{\"ok\":true,\"worker\":\"app2\",\"state\":\"failed\",\"changed\":true,\"generation\":9}",
			"rmsctl: app2: not up after the restart; app3 was not restarted\n" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct player *player = *state;

		player->answers[0] = reply(200, STATUS);
		player->answers[1] = reply(200, UP("app1"));
		player->answers[2] = reply(cases[i].status, cases[i].answer);
		expect(run(player, "restart-worker --all"), REFUSED,
			"app1 was restarted in 12.3 ms: 3 connections moved\n", cases[i].err);
		assert_int_equal(player->n, 3);
		tear_down(state);
		set_up(state);
	}
}

/* Longer than any other answer may take. */
static void a_restart_is_waited_for(void **state)
{
	struct player *player = *state;

	player->answers[0] = reply(200, UP("app2"));
	player->delay_ms = 10500;
	expect(run(player, "restart-worker app2 --timeout 1s"), DONE,
		"app2 was restarted in 12.3 ms: 3 connections moved\n", "");
}

static void another_answer_is_not_waited_for(void **state)
{
	struct player *player = *state;

	player->answers[0] = reply(200, UP("app2"));
	player->delay_ms = 10500;
	expect(run(player, "drain-worker app2 --timeout 30s"), UNREACHABLE, "",
		keepf("rmsctl: %s: no answer within 10 s\n", player->path));
}

static void events_print_the_figures_of_now(void **state)
{
	struct player *player = *state;

	player->answers[0] = STREAM ": rmsd\nretry: 1000\n\n" FIGURES "event: even\ndata: {\"time\":\"later\"}\n\n";
	expect(run(player, "events"), DONE,
		"2025-01-02T03:04:05.678Z  figures  4 connections, 1 request; app1 up 4, app2 down 0\n", "");
	assert_string_equal(player->lines[0], "GET /events HTTP/1.1");
}

static void events_that_are_followed_are_a_line_each(void **state)
{
	struct player *player = *state;

	player->answers[0] = STREAM FIGURES
		"event: state\ndata: {\"time\":\"T\",\"worker\":\"app2\",\"state\":\"up\",\"was\":\"down\"}\n\n"
		"event: rehomed\ndata: {\"time\":\"T\",\"worker\":\"app2\",\"connections\":17,\"reason\":\"kill\"}\n\n"
		"event: even\ndata: {\"time\":\"T\"}\n\n"
		"event: drill\ndata: {\"time\":\"T\",\"worker\":\"app2\",\"event\":\"verdict\",\"action\":\"kill\","
		"\"passed\":false}\n\n"
		"event: a\x1b[2Jb\ndata: {\"time\":\"T\",\"worker\":\"c\\u001bd\"}\n\n";
	expect(run(player, "events --follow"), UNREACHABLE,
		"2025-01-02T03:04:05.678Z  figures  4 connections, 1 request; app1 up 4, app2 down 0\n"
		"T  state    app2  up, was down\n"
		"T  rehomed  app2  17 connections, kill\n"
		"T  even     each worker has its share\n"
		"T  drill    app2  kill verdict: failed\n"
		"T  a\\x1b[2Jb   c\\x1bd  \n",
		keepf("rmsctl: %s: rmsd has ended\n", player->path));
}

static void events_as_json_are_an_object_a_line(void **state)
{
	static const char first[] = "{\"time\":\"T\",\"x\":1.5,\"kind\":\"even\"}\n{";
	struct player *player = *state;
	struct output *output;

	player->answers[0] = STREAM "event: even\ndata: {\"time\":\"T\",\"x\":1.5}\n\n" FIGURES;
	output = run(player, "--json events");
	assert_int_equal(output->status, DONE);
	if (strncmp(output->out, first, strlen(first)) != 0)
		fail_msg("%s", output->out);
}

static void events_that_are_refused_are_told(void **state)
{
	struct player *player = *state;

	player->answers[0] = reply(503, "{\"ok\":false,\"error\":\"too many listen already\"}\n");
	expect(run(player, "events"), REFUSED, "", "rmsctl: too many listen already\n");
}

static void what_is_no_stream_of_events_is_exit_3(void **state)
{
	struct player *player = *state;

	player->answers[0] = reply(200, "hello\n");
	expect(run(player, "events"), UNREACHABLE, "",
		keepf("rmsctl: %s: not an answer of rmsd: no events\n", player->path));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(all_are_restarted_one_after_another),
		TEST(all_as_json_are_an_array_of_answers),
		TEST(who_is_not_up_is_left_alone),
		TEST(the_first_failure_ends_a_rolling_restart),
		TEST(a_restart_is_waited_for),
		TEST(another_answer_is_not_waited_for),
		TEST(events_print_the_figures_of_now),
		TEST(events_that_are_followed_are_a_line_each),
		TEST(events_as_json_are_an_object_a_line),
		TEST(events_that_are_refused_are_told),
		TEST(what_is_no_stream_of_events_is_exit_3),
	};

	return cmocka_run_group_tests_name("rmsctl rolling", tests, NULL, NULL);
}
