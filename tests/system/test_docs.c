/* test_docs.c - the documents say what the programs do: pages, the example and its command, the verbs. */
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/daemon.h"
#include "support/keep.h"
#include "support/wire.h"

/* What the example is linked with must be of the same kind as librms.a. */
#ifdef __clang__
#define COMPILER "clang"
#else
#define COMPILER "cc"
#endif
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZE "-fsanitize=address,undefined"
#elif defined(__SANITIZE_THREAD__)
#define SANITIZE "-fsanitize=thread"
#else
#define SANITIZE ""
#endif

static const char *scratch;

static int make_scratch(void **state)
{
	(void)state;
	scratch = mkdtemp(keepf("/tmp/rmsd-docs-XXXXXX"));
	return scratch ? 0 : -1;
}

static int remove_scratch(void **state)
{
	daemon_cleanup(state);
	program_call("rm", "-rf", scratch, NULL);
	return 0;
}

static const char *source(const char *path)
{
	const char *text = program_file(keepf("%s/%s", RMSD_SOURCE_DIR, path), NULL);

	if (!*text)
		fail_msg("%s: missing or empty", path);
	return text;
}

static void expect_page(const char *path, const char *option)
{
	struct output *output = program_call(program_path("rmsd"), option, NULL);

	assert_int_equal(output->status, 0);
	if (strcmp(output->out, source(path)) != 0)
		fail_msg("%s is not what rmsd says now: rmsd %s > %s", path, option, path);
}

static void generated_pages_are_what_the_program_prints(void **state)
{
	(void)state;
	expect_page("docs/config.md", "--print-options");
	expect_page("docs/metrics.md", "--print-metrics");
}

static void the_shipped_configuration_is_accepted(void **state)
{
	const char *path = RMSD_SOURCE_DIR "/rmsd.conf";
	struct output *output = program_call(program_path("rmsd"), "-t", "-c", path, NULL);

	(void)state;
	assert_string_equal(output->err, "");
	assert_string_equal(output->out, keepf("%s: ok\n", path));
	assert_int_equal(output->status, 0);
}

/* A text with the first what in it replaced, which must be there. */
static const char *replace(const char *text, const char *what, const char *with)
{
	const char *at = strstr(text, what);

	if (!at)
		fail_msg("no %s in: %s", what, text);
	return keepf("%.*s%s%s", (int)(at - text), text, with, at + strlen(what));
}

/* What README.md compiles the example with, for this build and into scratch. */
static const char *compile_command(const char *readme, const char *program)
{
	const char *at = strstr(readme, "\n    cc "), *end = strstr(readme, "\n    build/hello ");
	const char *command;

	assert_true(at && end && at < end);
	at += strlen("\n    cc");
	command = keepf("%.*s", (int)(end - at), at);
	command = replace(command, " build/librms.a", keepf(" %s/librms.a", RMSD_BINARY_DIR));
	command = replace(command, "-o build/hello", keepf("-o %s", program));
	return keepf("cd %s && %s %s%s", RMSD_SOURCE_DIR, COMPILER, SANITIZE, command);
}

static void the_example_compiles_as_the_readme_says_and_answers(void **state)
{
	const char *readme = source("README.md");
	const char *program = keepf("%s/hello", scratch);
	struct daemon *daemon;
	struct output *output;
	struct reply *reply;

	(void)state;
	if (!strstr(readme, keepf("```c\n%s```\n", source("docs/examples/hello.c"))))
		fail_msg("README.md does not show docs/examples/hello.c as it is");
	output = program_call("sh", "-c", compile_command(readme, program), NULL);
	if (output->status != 0 || *output->err)
		fail_msg("status %d\n%s", output->status, output->err);
	setenv("RMSD_TESTAPP", program, 1);
	daemon = daemon_start("testapp", "", NULL);
	reply = wire_get(daemon_public(daemon), "/hello/World");
	assert_int_equal(reply->status, 200);
	assert_memory_equal(reply->body, "hello World, guest 1 of app", strlen("hello World, guest 1 of app"));
	daemon_stop(daemon);
}

/* The verb that text begins with, of one word or two; NULL: none is. */
static const char *find_verb(const char *table, const char *text)
{
	size_t one = strspn(text, "abcdefghijklmnopqrstuvwxyz-");
	size_t two = text[one] == ' ' ? one + 1 + strspn(text + one + 1, "abcdefghijklmnopqrstuvwxyz-") : one;
	const char *verb = keepf("%.*s", (int)one, text);

	if (strstr(table, keepf("\nCOMMAND(%s,", verb)))
		return verb;
	verb = keepf("%.*s", (int)two, text);
	return strstr(table, keepf("\nCOMMAND(%s,", verb)) ? verb : NULL;
}

/* What follows each "rmsctl ", past its options. */
static void expect_verbs(const char *table, const char *path)
{
	const char *at = source(path);
	unsigned found = 0;

	while ((at = strstr(at, "rmsctl "))) {
		at += strlen("rmsctl ");
		while (*at == '-') {
			/* -s takes a value, --json does not. */
			at += at[1] == 's' ? strlen("-s ") : 0;
			at += strcspn(at, " \n`");
			at += *at == ' ';
		}
		if (*at < 'a' || *at > 'z')
			continue;
		if (!find_verb(table, at))
			fail_msg("%s: rmsctl has no verb %.20s", path, at);
		found++;
	}
	if (!found)
		fail_msg("%s names no verb", path);
}

static void verbs_that_are_named_exist(void **state)
{
	const char *table = source("src/admin/commands.def");

	(void)state;
	expect_verbs(table, "README.md");
	expect_verbs(table, "docs/operations.md");
	expect_verbs(table, "docs/runbook.md");
	expect_verbs(table, "deploy/README.md");
}

static void every_verb_is_explained(void **state)
{
	const char *at = source("src/admin/commands.def"), *page = source("docs/operations.md");
	unsigned found = 0;

	(void)state;
	while ((at = strstr(at, "\nCOMMAND("))) {
		const char *verb;

		at += strlen("\nCOMMAND(");
		verb = keepf("%.*s", (int)strcspn(at, ","), at);
		if (!strstr(page, keepf("\n    rmsctl %s ", verb)))
			fail_msg("docs/operations.md does not explain rmsctl %s", verb);
		found++;
	}
	assert_true(found > 0);
}

/* A histogram has three series, by the ends of their names. */
static bool is_metric(const char *table, const char *name)
{
	static const char *const ends[] = { "", "_bucket", "_count", "_sum" };

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		size_t len = strlen(name), end = strlen(ends[i]);

		if (len > end && strcmp(name + len - end, ends[i]) == 0 &&
			strstr(table, keepf("\n| `%.*s` |", (int)(len - end), name)))
			return true;
	}
	return false;
}

static void metrics_that_are_named_exist(void **state)
{
	const char *table = source("docs/metrics.md");
	unsigned found = 0;
	glob_t pages = { 0 };

	(void)state;
	assert_int_equal(glob(RMSD_SOURCE_DIR "/docs/*.md", 0, NULL, &pages), 0);
	assert_int_equal(glob(RMSD_SOURCE_DIR "/deploy/README.md", GLOB_APPEND, NULL, &pages), 0);
	for (size_t i = 0; i < pages.gl_pathc; i++) {
		const char *at = program_file(pages.gl_pathv[i], NULL);

		for (; (at = strstr(at, "`rmsd_")); found++) {
			const char *name;

			at++;
			name = keepf("%.*s", (int)strspn(at, "abcdefghijklmnopqrstuvwxyz_"), at);
			if (!is_metric(table, name))
				fail_msg("%s: there is no metric %s", pages.gl_pathv[i], name);
		}
	}
	assert_true(found > 0);
	globfree(&pages);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(generated_pages_are_what_the_program_prints),
		cmocka_unit_test(the_shipped_configuration_is_accepted),
		cmocka_unit_test_setup_teardown(
			the_example_compiles_as_the_readme_says_and_answers, make_scratch, remove_scratch),
		cmocka_unit_test(verbs_that_are_named_exist),
		cmocka_unit_test(every_verb_is_explained),
		cmocka_unit_test(metrics_that_are_named_exist),
	};

	return cmocka_run_group_tests_name("docs", tests, NULL, NULL);
}
