/* test_conf_refused.c - what is refused: every error with its place, in the order of the file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/conf_file.h"

#define TIME "(a time, such as 500ms, 15s, 2m or 1h, from 10ms to 1h)\n"
#define LISTEN "(a list of :80, 127.0.0.1:80, [::1]:80 or unix:/path)\n"
#define PATH \
	"(a path as URLs spell it that begins with /: no ., .., %41 for A, ?, #, nor /: before a segment; at most " \
	"500 bytes)\n"
#define WORKERS "(auto or a number, from 1 to 64)\n"
#define PORTS "(other ones; auto: any free; 0: none)\n"
#define LISTED "(rmsd --print-options lists them)\n"
#define BYTES(s) s, sizeof(s) - 1

static const struct {
	const char *bytes;
	size_t len;
	const char *errors; /* NULL: it is accepted after all, as what stands near a refusal */
} bad_files[] = {
#include "conf_rows.def"
};

static void every_error_of_a_file_is_told_with_its_place(void **state)
{
	struct conf_file *fixture = *state;
	unsigned failed = 0;

	for (size_t i = 0; i < sizeof(bad_files) / sizeof(bad_files[0]); i++) {
		const char *expected = bad_files[i].errors ? bad_files[i].errors : "";
		struct conf *conf = conf_file_bytes(fixture, bad_files[i].bytes, bad_files[i].len, NULL);
		bool accepted = conf != NULL;

		conf_unref(conf);
		if (accepted == !*expected && !strcmp(fixture->errors.data, expected))
			continue;
		print_error("%s\ngives\n%sexpected\n%s\n", bad_files[i].bytes, fixture->errors.data, expected);
		failed++;
	}
	assert_int_equal(failed, 0);
}

static void ten_errors_are_ten_lines_in_the_order_of_the_file(void **state)
{
	struct conf_file *fixture = *state;
	const char *const overrides[] = { "workers=2", "backlog=x", NULL };
	struct conf *conf = conf_file_bytes(fixture,
		BYTES("worker:\n"
		      "  app3: {weight: 2}\n" /* only known once workers is */
		      "listen: [x]\n"
		      "workers: 65\n"
		      "frobnicate: 1\n"
		      "body_timeout: 10\n"
		      "log_level: loud\n"
		      "log_level: info\n"
		      "routes:\n"
		      "  a: {text: b}\n"
		      "  /: {text: b}\n"
		      "  /: {text: b}\n"
		      "balance: [ip_hash]\n"),
		overrides);

	assert_null(conf);
	assert_string_equal(fixture->errors.data,
		"FILE:2:3: worker.app3: no such worker (app1 to app2)\n"
		"FILE:3:10: listen: no port: \"x\" " LISTEN "FILE:4:10: workers: out of range: \"65\" " WORKERS
		"FILE:5:1: frobnicate: unknown key " LISTED "FILE:6:15: body_timeout: missing unit: \"10\" " TIME
		"FILE:7:12: log_level: not a choice: \"loud\" (error, warn, info or debug)\n"
		"FILE:8:1: log_level: duplicate key (once; the first is on line 7)\n"
		"FILE:10:3: routes.a: path does not begin with / " PATH
		"FILE:12:3: routes./: duplicate route (once; the first is on line 11)\n"
		"FILE:13:10: balance: wrong type, a list (least_conn, round_robin or ip_hash)\n"
		"-o backlog: not a number: \"x\" (a number, from 1 to 65535)\n");
}

static void every_error_of_an_override_is_told(void **state)
{
	static const struct {
		const char *override, *errors;
	} cases[] = {
		{ "", "-o \"\": no value (KEY=VALUE)\n" },
		{ "workers", "-o workers: no value (KEY=VALUE)\n" },
		{ "=3", "-o \"\": unknown key " LISTED },
		{ "wrokers=3", "-o wrokers: unknown key (did you mean workers?)\n" },
		{ "a\nb\xff=3", "-o \"a\\nb\\xff\": unknown key " LISTED },
		{ "routes=x", "-o routes: a block (only a file can set it)\n" },
		{ "worker=x", "-o worker: a block (only a file can set it)\n" },
		{ "workers=", "-o workers: not a number: \"\" " WORKERS },
		{ "workers=65", "-o workers: out of range: \"65\" " WORKERS },
		{ "listen=", "-o listen: no port: \"\" " LISTEN },
		{ "listen=:80,,x", "-o listen: no port: \"\" " LISTEN "-o listen: no port: \"x\" " LISTEN },
		{ "control_socket=/\xff",
			"-o control_socket: not text: \"/\\xff\" (an absolute path of at most 107 bytes)\n" },
		{ "worker_port=65535",
			"-o worker_port: the last worker's port is beyond 65535 (a number, to 65533; auto: any free; "
			"0: "
			"none)\n" },
		{ "admin_listen=:80", "-o admin_listen: the same as listen: \":80\" (another one)\n" },
		{ "listen=:9090", "-o listen: the same as admin_listen: \":9090\" (another one)\n" },
		{ "worker_port=80", "-o worker_port: app1's port is also listen's: \":80\" " PORTS },
		{ "backlog=-1", "-o backlog: out of range: \"-1\" (a number, from 1 to 65535)\n" },
	};
	struct conf_file *fixture = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *const overrides[] = { cases[i].override, NULL };

		assert_null(conf_file_load(fixture, NULL, overrides));
		assert_string_equal(fixture->errors.data, cases[i].errors);
	}
}

static void a_later_override_heals_no_earlier_error(void **state)
{
	const char *const overrides[] = { "workers=x", "workers=2", NULL };

	assert_null(conf_file_load(*state, NULL, overrides));
}

static void a_file_that_cannot_be_read_says_why(void **state)
{
	struct conf_file *fixture = *state;

	assert_null(conf_file_load(fixture, fixture->dir, NULL));
	assert_string_equal(fixture->errors.data, "FILE: is a directory (a YAML file)\n");
	unlink(fixture->file);
	assert_null(conf_file_load(fixture, fixture->file, NULL));
	assert_string_equal(fixture->errors.data, "FILE: no such file or directory\n");
}

/* A file of len bytes: head, then fill again and again. */
static struct conf *load_filled(struct conf_file *fixture, const char *head, const char *fill, size_t len)
{
	char *bytes = malloc(len);
	size_t head_len = strlen(head), fill_len = strlen(fill);
	struct conf *conf;

	assert_non_null(bytes);
	for (size_t i = 0; i < len; i++)
		bytes[i] = i < head_len ? head[i] : fill[(i - head_len) % fill_len];
	conf = conf_file_bytes(fixture, bytes, len, NULL);
	free(bytes);
	return conf;
}

static void a_file_of_a_megabyte_is_read_and_no_larger_one(void **state)
{
	struct conf_file *fixture = *state;
	struct conf *conf = load_filled(fixture, "workers: 7\n", "# long\n", 1 << 20);

	assert_non_null(conf);
	assert_int_equal(conf->workers, 7);
	conf_unref(conf);
	assert_null(load_filled(fixture, "workers: 7\n", "#\n", (1 << 20) + 1));
	assert_string_equal(fixture->errors.data, "FILE: is too large (a YAML file of at most 1 MB)\n");
	assert_null(load_filled(fixture, "", "#\n", 2 << 20));
	assert_string_equal(fixture->errors.data, "FILE: is too large (a YAML file of at most 1 MB)\n");
}

static void a_megabyte_of_brackets_or_commas_is_refused(void **state)
{
	struct conf_file *fixture = *state;
	static const struct {
		const char *head, *fill, *error;
	} cases[] = {
		{ "listen: ", "[", "nested too deeply" },
		{ "listen: ", "{", "nested too deeply" },
		{ "", "? ", "nested too deeply" },
		{ "listen: ", "- ", "syntax" },
		{ "workers: 3\nlisten: [", "a,\n", "too many values" },
		{ "workers: \"", "a", "syntax" },
		{ "workers: ", "a", "not a number: \"aaa" },
		{ "", "a", "wrong type, a text" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_null(load_filled(fixture, cases[i].head, cases[i].fill, 1 << 20));
		if (!strstr(fixture->errors.data, cases[i].error))
			fail_msg("%s...: %s", cases[i].fill, fixture->errors.data);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_error_of_a_file_is_told_with_its_place),
		cmocka_unit_test(ten_errors_are_ten_lines_in_the_order_of_the_file),
		cmocka_unit_test(every_error_of_an_override_is_told),
		cmocka_unit_test(a_later_override_heals_no_earlier_error),
		cmocka_unit_test(a_file_that_cannot_be_read_says_why),
		cmocka_unit_test(a_file_of_a_megabyte_is_read_and_no_larger_one),
		cmocka_unit_test(a_megabyte_of_brackets_or_commas_is_refused),
	};

	return cmocka_run_group_tests(tests, conf_file_make, conf_file_remove);
}
