/* test_command.c - rmsctl/command: each verb takes what its line says and nothing else, and becomes one target. */
#include "rmsctl/command.h"

#include <getopt.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { WORDS_MAX = 24 };

struct fixture {
	struct task task;
	struct outbuf why, target;
	char line[512];
	char *argv[WORDS_MAX + 1];
	int argc;
};

static int set_up(void **state)
{
	static struct fixture fixture;

	fixture = (struct fixture){ 0 };
	*state = &fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	outbuf_finish(&f->why);
	outbuf_finish(&f->target);
	return 0;
}

/* The line's words, separated by a space each. */
static bool parse(struct fixture *f, const char *line)
{
	char *rest = f->line;

	assert_true(strlen(line) < sizeof(f->line));
	strcpy(f->line, line);
	f->argc = 1;
	f->argv[0] = (char *)(uintptr_t) "rmsctl";
	while (f->argc < WORDS_MAX && (f->argv[f->argc] = strsep(&rest, " ")))
		f->argc++;
	f->argv[f->argc] = NULL;
	f->task = (struct task){ .socket = "/default" };
	outbuf_reset(&f->why, SIZE_MAX);
	optind = 0; /* getopt begins anew */
	return command_parse(f->argc, f->argv, &f->task, &f->why);
}

static const char *target(struct fixture *f, const char *name)
{
	outbuf_reset(&f->target, SIZE_MAX);
	command_target(&f->task, name, &f->target);
	assert_false(f->target.failed);
	return f->target.data;
}

static void a_line_becomes_a_target(void **state)
{
	static const struct {
		const char *line, *target;
	} cases[] = {
		{ "status", "/status" },
		{ "kill-worker app2", "/v1/workers/app2/kill" },
		{ "--force kill-worker app2 --if-generation 7", "/v1/workers/app2/kill?force=1&if_generation=7" },
		{ "drain-worker app2 --timeout 30s --wait", "/v1/workers/app2/drain?timeout=30s&wait=1" },
		{ "restart-worker app2 --timeout=1m", "/v1/workers/app2/restart?timeout=1m" },
		{ "stall-worker app2 --for 4s", "/v1/workers/app2/stall?for=4s" },
		{ "fault add --delay 100ms --percent 50 --ttl 1h", "/v1/faults?delay=100ms&percent=50&ttl=1h" },
		{ "fault --ttl 1s add --status 503 --worker app2 --path /a?b&c=d",
			"/v1/faults?status=503&worker=app2&path=%2Fa%3Fb%26c%3Dd&ttl=1s" },
		{ "fault list", "/v1/faults" },
		{ "fault clear", "/v1/faults" },
		{ "fault clear 3", "/v1/faults?id=3" },
		{ "fault clear --if-generation 0 3", "/v1/faults?id=3&if_generation=0" },
		{ "fault clear --if-generation 0", "/v1/faults?if_generation=0" },
		{ "kill-worker a/b%\xc3\xa9", "/v1/workers/a%2Fb%25%C3%A9/kill" },
		{ "kill-worker -- -x", "/v1/workers/-x/kill" },
		{ "events --follow", "/events" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		if (!parse(f, cases[i].line))
			fail_msg("%s: %.*s", cases[i].line, (int)f->why.len, f->why.data);
		if (strcmp(target(f, NULL), cases[i].target) != 0)
			fail_msg("%s: %s", cases[i].line, f->target.data);
	}
}

static void a_name_of_ours_stands_for_the_operand(void **state)
{
	struct fixture *f = *state;

	assert_true(parse(f, "restart-worker --all --timeout 2s"));
	assert_string_equal(target(f, "app 1"), "/v1/workers/app%201/restart?timeout=2s");
}

static void what_a_verb_does_not_take_or_needs_is_told(void **state)
{
	static const struct {
		const char *line, *why;
	} cases[] = {
		{ "frob", "frob: no such command" },
		{ "fault", "fault: a word is missing (fault add, fault list, fault clear)" },
		{ "fault frob", "fault frob: no such command (fault add, fault list, fault clear)" },
		{ "fault clear x", "fault clear: x: not the number of a fault (fault clear [ID] [--if-generation N])" },
		{ "fault clear 0", "fault clear: 0: not the number of a fault" },
		{ "fault clear 4294967296", "fault clear: 4294967296: not the number of a fault" },
		{ "fault clear 3x", "fault clear: 3x: not the number of a fault" },
		{ "faults", "faults: no such command" },
		{ "-s", "-s: its value is missing" },
		{ "-s  status", "-s: the path is empty" },
		{ "-qs x status", "-q: no such option" },
		{ "--frob status", "--frob: no such option" },
		{ "--json=1 status", "--json=1: no such option" },
		{ "kill-worker", "kill-worker: a name is missing (kill-worker NAME [--force] [--if-generation N])" },
		{ "kill-worker ", "kill-worker: a name is missing" },
		{ "kill-worker a b", "kill-worker: one argument too many: b" },
		{ "status a", "status: one argument too many: a" },
		{ "fault list 3", "fault list: one argument too many: 3" },
		{ "revive-worker a --force", "revive-worker: does not take --force" },
		{ "kill-worker a --ttl 1s", "kill-worker: does not take --ttl" },
		{ "status --if-generation 1", "status: does not take --if-generation" },
		{ "kill-worker a --if-generation", "--if-generation: its value is missing" },
		{ "restart-worker", "restart-worker: a name or --all is missing" },
		{ "restart-worker a --all", "restart-worker: only one of a name or --all" },
		{ "stall-worker a", "stall-worker: --for is missing" },
		{ "fault add --ttl 1s", "fault add: --delay or --status is missing" },
		{ "fault add --delay 1s", "fault add: --ttl is missing" },
		{ "fault add --delay 1s --status 503 --ttl 1s", "fault add: only one of --delay or --status" },
		{ "drill", "drill: --kill or --stall or --drain is missing" },
		{ "drill --kill a --drain b", "drill: only one of --kill or --stall or --drain" },
		{ "drill --kill a b", "drill: one argument too many: b" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		if (parse(f, cases[i].line))
			fail_msg("%s: was taken", cases[i].line);
		if (f->why.len < strlen(cases[i].why) || memcmp(f->why.data, cases[i].why, strlen(cases[i].why)) != 0 ||
			memchr(f->why.data, '\n', f->why.len))
			fail_msg("%s: %.*s", cases[i].line, (int)f->why.len, f->why.data);
	}
}

static void a_value_is_checked_before_anything_is_asked(void **state)
{
	static const struct {
		const char *line;
		bool good;
	} cases[] = {
		{ "drain-worker a --timeout 1ms", true },
		{ "drain-worker a --timeout 1h", true },
		{ "drain-worker a --timeout 0s", false },
		{ "drain-worker a --timeout 2h", false },
		{ "drain-worker a --timeout 30", false },
		{ "drain-worker a --timeout s", false },
		{ "drain-worker a --timeout 1d", false },
		{ "drain-worker a --timeout -1s", false },
		{ "drain-worker a --timeout 1.5s", false },
		{ "drain-worker a --timeout 18446744073709551617s", false },
		{ "drain-worker a --timeout 18446744073709551615h", false },
		{ "kill-worker a --if-generation 18446744073709551615", true },
		{ "kill-worker a --if-generation 18446744073709551616", false },
		{ "kill-worker a --if-generation 0x7", false },
		{ "kill-worker a --if-generation ", false },
		{ "fault add --ttl 1s --status 199", false },
		{ "fault add --ttl 1s --status 200", true },
		{ "fault add --ttl 1s --status 599", true },
		{ "fault add --ttl 1s --status 600", false },
		{ "fault add --ttl 1s --delay 1s --percent 0", false },
		{ "fault add --ttl 1s --delay 1s --percent 100", true },
		{ "fault add --ttl 1s --delay 1s --percent 101", false },
		{ "fault add --ttl 1s --delay 1s --path a", false },
		{ "fault add --ttl 1s --delay 1s --worker ", false },
		{ "drill --kill ", false },
		{ "drill --kill a --path /a\r", false },
		{ "drill --kill a --path /a?b=c", true },
		{ "drill --kill a --duration 999ms", false },
		{ "drill --kill a --duration 1s", true },
		{ "drill --kill a --rate 0", false },
		{ "drill --kill a --connections 0", false },
		{ "drill --kill a --max-failed 0", true },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		if (parse(f, cases[i].line) != cases[i].good)
			fail_msg("%s: %.*s", cases[i].line, (int)f->why.len, f->why.len ? f->why.data : "taken");
}

static void a_bad_time_is_told_from_one_out_of_range(void **state)
{
	static const struct {
		const char *text, *wrong;
	} cases[] = {
		{ "30", "missing unit" },
		{ "30x", "unknown unit" },
		{ "1.5s", "unknown unit" },
		{ "s", "not a number" },
		{ "2h", "out of range" },
		{ "0s", "out of range" },
		{ "-1s", "out of range" },
		{ "99999999999999999999s", "out of range" },
		{ "18446744073709551615h", "out of range" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char line[128], why[192];

		snprintf(line, sizeof(line), "drain-worker a --timeout %s", cases[i].text);
		snprintf(why, sizeof(why), "--timeout %s: %s (a time, such as 500ms, 15s or 2m, from 1ms to 1h)",
			cases[i].text, cases[i].wrong);
		assert_false(parse(f, line));
		if (f->why.len != strlen(why) || memcmp(f->why.data, why, f->why.len) != 0)
			fail_msg("%.*s", (int)f->why.len, f->why.data);
	}
}

static void what_is_not_given_has_its_fallback(void **state)
{
	struct fixture *f = *state;

	assert_true(parse(f, "drill --stall app2 --max-pause 2s --json -s /else"));
	assert_true(f->task.json);
	assert_string_equal(f->task.socket, "/else");
	assert_string_equal(f->task.given[OPTION_stall], "app2");
	assert_null(f->task.given[OPTION_kill]);
	assert_int_equal(f->task.numbers[OPTION_duration], 10000);
	assert_int_equal(f->task.numbers[OPTION_connections], 50);
	assert_int_equal(f->task.numbers[OPTION_rate], 500);
	assert_int_equal(f->task.numbers[OPTION_max_failed], 0);
	assert_int_equal(f->task.numbers[OPTION_max_pause], 2000);
	assert_int_equal(f->task.numbers[OPTION_max_detect], 1000);
	assert_string_equal(command_text(&f->task, OPTION_path), "/");
}

static void who_waits_for_a_worker_waits_longer(void **state)
{
	static const struct {
		const char *line;
		unsigned seconds;
	} cases[] = {
		{ "status", 10 },
		{ "drain-worker a --timeout 1m", 10 },
		{ "drain-worker a --timeout 1m --wait", 70 },
		{ "drain-worker a --wait", 40 },
		{ "restart-worker a", 40 },
		{ "restart-worker --all --timeout 1500ms", 12 },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_true(parse(f, cases[i].line));
		if (command_patience_s(&f->task) != cases[i].seconds)
			fail_msg("%s: %u s", cases[i].line, command_patience_s(&f->task));
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_line_becomes_a_target),
		TEST(a_name_of_ours_stands_for_the_operand),
		TEST(what_a_verb_does_not_take_or_needs_is_told),
		TEST(a_value_is_checked_before_anything_is_asked),
		TEST(a_bad_time_is_told_from_one_out_of_range),
		TEST(what_is_not_given_has_its_fallback),
		TEST(who_waits_for_a_worker_waits_longer),
	};

	return cmocka_run_group_tests_name("command", tests, NULL, NULL);
}
