/* test_verbs.c - the arguments of verbs, the generation in every answer, and what is logged of a change. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/daemon.h"
#include "support/keep.h"
#include "support/lines.h"

/* The JSON of a verb's answer, which must have that status. */
static json_t *ask(struct daemon *daemon, const char *worker, const char *verb, int status)
{
	struct reply *reply = daemon_verb(daemon, worker, verb);
	json_t *json = keep(json_loads(reply->body, 0, NULL));

	if (reply->status != status || json_is_true(json_object_get(json, "ok")) != (status == 200))
		fail_msg("%s of %s: not %d but %s%s", verb, worker, status, reply->head, reply->body);
	return json;
}

static void expect_error(struct daemon *daemon, const char *worker, const char *verb, int status, const char *word)
{
	const char *error = lines_text(ask(daemon, worker, verb, status), "error");

	if (!strstr(error, word))
		fail_msg("%s of %s: \"%s\", not \"%s\"", verb, worker, error, word);
}

static void each_verb_names_the_arguments_it_takes(void **state)
{
	static const struct {
		const char *verb, *word;
	} rows[] = {
		{ "kill?timeout=1s", "unknown argument timeout (accepted: force, if_generation)" },
		{ "kill?force=yes", "force: not a number (a number, from 0 to 1)" },
		{ "kill?force=1&force=1", "force: given twice" },
		{ "revive?wait=1", "unknown argument wait (accepted: force, if_generation)" },
		{ "drain?for=1s", "unknown argument for (accepted: force, if_generation, timeout, wait)" },
		{ "drain?timeout=30", "timeout: missing unit" },
		{ "drain?timeout=0s", "timeout: out of range" },
		{ "restart?wait=1", "unknown argument wait (accepted: force, if_generation, timeout)" },
		{ "stall", "missing: for" },
		{ "stall?for=2h", "for: out of range" },
		{ "kill?if_generation=-1", "if_generation: out of range" },
		{ "kill?if_generation=x", "if_generation: not a number" },
	};
	struct daemon *daemon = daemon_start("rmsd", NULL, "faults=on", NULL);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		expect_error(daemon, "app2", rows[i].verb, 400, rows[i].word);
	assert_int_equal(wire_request(daemon_socket(daemon), "POST", "/v1/shutdown?force=1")->status, 400);
	assert_string_equal(daemon_state(daemon, "app2"), "up");
	daemon_stop(daemon);
}

static void a_worker_is_named_percent_encoded(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);

	(void)state;
	assert_string_equal(lines_text(ask(daemon, "%61pp%32", "kill", 200), "worker"), "app2");
	expect_error(daemon, "app4", "kill", 404, "no worker is called app4; there are app1, app2, app3");
	expect_error(daemon, "a%22%5cb", "revive", 404, "no worker is called a\"\\b;");
	expect_error(daemon, "%FF", "kill", 400, "not percent-encoded text");
	daemon_stop(daemon);
}

static void every_answer_carries_the_generation(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	json_t *status = keep(daemon_status(daemon));
	long before = lines_number(status, "generation"), after;

	(void)state;
	assert_int_equal(lines_number(ask(daemon, "app4", "kill", 404), "generation"), before);
	assert_int_equal(lines_number(ask(daemon, "app1", "kill?x=1", 400), "generation"), before);
	after = lines_number(ask(daemon, "app1", "kill", 200), "generation");
	assert_true(after > before);
	/* What holds already changes nothing. */
	assert_int_equal(lines_number(ask(daemon, "app1", "kill", 200), "generation"), after);
	assert_true(lines_number(ask(daemon, "app2", "kill", 200), "generation") > after);
	after = lines_number(keep(daemon_status(daemon)), "generation");
	assert_int_equal(lines_number(ask(daemon, "app3", "kill", 409), "generation"), after);
	daemon_stop(daemon);
}

/* Two operators have seen the same, and act on it: the second is told. */
static void a_verb_for_another_generation_is_refused(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, "faults=on", NULL);
	long seen = lines_number(keep(daemon_status(daemon)), "generation"), now;

	(void)state;
	now = lines_number(ask(daemon, "app1", keepf("kill?if_generation=%ld", seen), 200), "generation");
	assert_true(now != seen);
	expect_error(daemon, "app2", keepf("kill?if_generation=%ld", seen), 409,
		keepf("the generation is %ld, not %ld", now, seen));
	expect_error(daemon, "app2", keepf("drain?if_generation=%ld", seen), 409, "the generation is");
	expect_error(daemon, "app2", keepf("restart?if_generation=%ld&force=1", seen), 409, "the generation is");
	expect_error(daemon, "app2", keepf("stall?for=1s&if_generation=%ld", seen), 409, "the generation is");
	expect_error(daemon, "app1", keepf("revive?if_generation=%ld", seen), 409, "the generation is");
	assert_string_equal(daemon_state(daemon, "app2"), "up");
	ask(daemon, "app1", keepf("revive?if_generation=%ld", now), 200);
	daemon_stop(daemon);
}

static unsigned count(const char *text, const char *word)
{
	unsigned n = 0;

	for (; (text = strstr(text, word)); text += strlen(word))
		n++;
	return n;
}

static void each_change_is_one_line_in_the_log(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	const char *log;

	(void)state;
	ask(daemon, "app1", "drain?timeout=2s&wait=1", 200);
	/* Who asks for a restart is told that it was none. */
	assert_string_equal(lines_text(ask(daemon, "app1", "restart", 200), "was"), "down");
	ask(daemon, "app2", "kill?force=1", 200);
	ask(daemon, "app2", "kill?force=2", 400);
	log = daemon_await_log(daemon, "verb=kill");
	assert_int_equal(count(log, "a control verb"), 3);
	assert_non_null(strstr(log,
		keepf("a control verb verb=drain uid=%ld pid=%ld arguments=\"timeout=2s&wait=1\" worker=app1 "
		      "status=200 changed=yes rehomed=0 cut=0 ms=",
			(long)geteuid(), (long)getpid())));
	assert_non_null(strstr(log, "verb=restart "));
	assert_non_null(strstr(log, "arguments=\"force=1\" worker=app2 status=200 changed=yes"));
	daemon_stop(daemon);
}

/* As the health check of a container does. */
static void ready_tells_by_its_exit_status(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	struct output *output = daemon_ctl(daemon, "ready", NULL);

	(void)state;
	assert_int_equal(output->status, 0);
	assert_string_equal(output->out, "ok\n");
	ask(daemon, "app1", "kill", 200);
	ask(daemon, "app2", "kill", 200);
	assert_int_equal(daemon_ctl(daemon, "ready", NULL)->status, 0);
	ask(daemon, "app3", "kill?force=1", 200);
	output = daemon_ctl(daemon, "ready", NULL);
	assert_int_equal(output->status, 1);
	assert_string_equal(output->out, "");
	assert_string_equal(output->err, "rmsctl: refused with HTTP status 503: no worker is up\n");
	ask(daemon, "app1", "revive", 200);
	daemon_await(daemon, "app1", "up", -1);
	assert_int_equal(daemon_ctl(daemon, "ready", NULL)->status, 0);
	daemon_signal(daemon, SIGTERM);
	daemon_wait(daemon, WIRE_PATIENCE_MS);
	assert_int_equal(daemon_ctl(daemon, "ready", NULL)->status, 3);
	daemon_stop(daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(each_verb_names_the_arguments_it_takes, daemon_cleanup),
		cmocka_unit_test_teardown(a_worker_is_named_percent_encoded, daemon_cleanup),
		cmocka_unit_test_teardown(every_answer_carries_the_generation, daemon_cleanup),
		cmocka_unit_test_teardown(a_verb_for_another_generation_is_refused, daemon_cleanup),
		cmocka_unit_test_teardown(each_change_is_one_line_in_the_log, daemon_cleanup),
		cmocka_unit_test_teardown(ready_tells_by_its_exit_status, daemon_cleanup),
	};

	return cmocka_run_group_tests_name("verbs", tests, NULL, NULL);
}
