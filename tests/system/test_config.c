/* test_config.c - a bad configuration starts nothing, and each error is told with its place and what is accepted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "support/keep.h"
#include "support/program.h"
#include "support/scratch.h"

static const char *scratch;

static int make_scratch(void **state)
{
	(void)state;
	scratch = scratch_make();
	return 0;
}

static int remove_scratch(void **state)
{
	(void)state;
	scratch_remove(scratch);
	return 0;
}

static const char *write_bytes(const void *bytes, size_t len)
{
	return scratch_write(scratch, "rmsd.conf", bytes, len);
}

#define WRITE(literal) write_bytes(literal, sizeof(literal) - 1)

static struct output *start(const char *path)
{
	return program_call(program_path("rmsd"), "-c", path, NULL);
}

static unsigned count_lines(const char *text)
{
	unsigned n = 0;

	while ((text = strchr(text, '\n'))) {
		text++;
		n++;
	}
	return n;
}

static void each_kind_of_error_is_told_with_its_place(void **state)
{
	static const struct {
		const char *conf;
		const char *place; /* what follows the file's name: ":LINE:COLUMN: KEY: " */
		const char *part;  /* stands somewhere behind it */
	} rows[] = {
		{ "workres: 3\n", ":1:1: workres: ", "workers" },
		{ "workers: 3\nkeepalive_timout: 3s\n", ":2:1: keepalive_timout: ", "keepalive_timeout" },
		{ "zzzzzzzzzzzz: 3\n", ":1:1: zzzzzzzzzzzz: ", "unknown" },
		{ "routes:\n  /: {txt: a}\n", ":2:7: ", "text" },
		{ "worker:\n  app1: {wieght: 2}\n", ":2:10: ", "weight" },
		{ "keepalive_timeout: 75\n", ":1:20: keepalive_timeout: ", "(" },
		{ "workers: three\n", ":1:10: workers: ", "(" },
		{ "backlog: many\n", ":1:10: backlog: ", "(" },
		{ "workers: 65\n", ":1:10: workers: ", "64" },
		{ "workers: 0\n", ":1:10: workers: ", "1" },
		{ "workers: -1\n", ":1:10: workers: ", "(" },
		{ "workers: 99999999999999999999\n", ":1:10: workers: ", "(" },
		{ "max_header_size: 16q\n", ":1:18: max_header_size: ", "(" },
		{ "max_header_size: 4g\n", ":1:18: max_header_size: ", "(" },
		{ "balance:  fastest\n", ":1:11: balance: ", "least_conn" },
		{ "log_level: loud\n", ":1:12: log_level: ", "info" },
		{ "admin_listen: nonsense\n", ":1:15: admin_listen: ", "(" },
		{ "admin_listen: :99999\n", ":1:15: admin_listen: ", "(" },
		{ "listen: [\":80\", \"300.0.0.1:80\"]\n", ":1:17: listen", "(" },
		{ "listen:\n  - :80\n  - example.org:80\n", ":3:5: listen", "(" },
		{ "control_socket: relative/path\n", ":1:17: control_socket: ", "(" },
		{ "workers: 2\nworkers: 3\n", ":2:1: workers: ", "1" },
		{ "routes:\n  /a: {text: x}\n  /a: {text: y}\n", ":3:3: ", "/a" },
		{ "routes:\n  a: {text: x}\n", ":2:3: ", "/" },
		{ "worker:\n  app7: {weight: 2}\n", ":2:3: ", "app1" },
		{ "worker:\n  app1: {weight: 0}\n", ":2:18: ", "1" },
		{ "workers: [1, 2]\n", ":1:10: workers: ", "(" },
		{ "routes: text\n", ":1:9: routes: ", "" },
		{ "workers: *a\n", ":1:10: ", "alias" },
		{ "workers: &a 3\n", ":1:10: ", "anchor" },
		{ "workers: !!int 3\n", ":1:10: ", "tag" },
		{ "workers: 3\n---\nworkers: 3\n", ":2:1: ", "document" },
		{ "listen: [\":80\"\nworkers: 3\n", ":", "" },
		{ "routes:\n  /: {text: \"unclosed}\n", ":", "" },
		{ "workers: 3\n\tbacklog: 5\n", ":2:1: ", "" },
		{ "- a list\n", ":1:1: ", "" },
		{ "worker_header: \"X Y\"\n", ":1:16: worker_header: ", "(" },
		{ "stall_time: 500ms\n", ":1:1: stall_time: ", "stall_timeout" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *path = write_bytes(rows[i].conf, strlen(rows[i].conf));
		const char *place = keepf("%s%s", path, rows[i].place);
		struct output *output = start(path);

		if (output->status != 1 || *output->out || strncmp(output->err, place, strlen(place)) != 0 ||
			!strstr(output->err + strlen(place), rows[i].part) || count_lines(output->err) != 1)
			print_error("%s---- status %d, %s ... %s expected:\n%s%s\n", rows[i].conf, output->status,
				place, rows[i].part, output->out, output->err);
		else
			continue;
		fail();
	}
}

static void ten_errors_are_ten_lines(void **state)
{
	static const char conf[] = "backlog: many\n"                    /* 1 */
				   "listen: [\"nowhere\"]\n"            /* 2 */
				   "keepalive_timeout: 75\n"            /* 3 */
				   "balance: fastest\n"                 /* 4 */
				   "no_such_key: 1\n"                   /* 5 */
				   "max_body_size: huge\n"              /* 6 */
				   "worker:\n  app9: {weight: 2}\n"     /* 8 */
				   "routes:\n  /a: {txt: x}\n"          /* 10 */
				   "  /b: {text: x}\n  /b: {text: y}\n" /* 12 */
				   "log_level: loud\n";                 /* 13 */
	static const unsigned lines[] = { 1, 2, 3, 4, 5, 6, 8, 10, 12, 13 };
	const char *path = write_bytes(conf, strlen(conf));
	struct output *output = start(path);
	size_t i;

	(void)state;
	assert_int_equal(output->status, 1);
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if (!strstr(output->err, keepf("%s:%u:", path, lines[i])))
			fail_msg("nothing of line %u in\n%s", lines[i], output->err);
	if (count_lines(output->err) != 10)
		fail_msg("ten lines expected:\n%s", output->err);
	/* The same with -t. */
	assert_string_equal(program_call(program_path("rmsd"), "-t", "-c", path, NULL)->err, output->err);
}

static void errors_of_overrides_are_told_with_those_of_the_file(void **state)
{
	const char *path = WRITE("workers: many\n");
	struct output *output = program_call(program_path("rmsd"), "-t", "-c", path, "-o", "backlog=few", "-o",
		"nonsense=1", "-o", "listen=:80,oops", NULL);

	(void)state;
	assert_int_equal(output->status, 1);
	assert_non_null(strstr(output->err, keepf("%s:1:10: workers: ", path)));
	assert_non_null(strstr(output->err, "-o backlog: "));
	assert_non_null(strstr(output->err, "-o nonsense: "));
	assert_non_null(strstr(output->err, "-o listen: "));
	assert_int_equal(count_lines(output->err), 4);
}

static void the_last_override_wins(void **state)
{
	const char *path = WRITE("workers: 5\n");
	struct output *output =
		program_call(program_path("rmsd"), "-T", "-c", path, "-o", "workers=6", "-o", "workers=7", NULL);

	(void)state;
	assert_int_equal(output->status, 0);
	assert_non_null(strstr(output->out, "workers: 7"));
}

static void what_is_no_configuration_is_refused(void **state)
{
	size_t len = 2 << 20;
	char *large = keep(malloc(len));
	struct output *output;
	const char *path;

	(void)state;
	path = WRITE("workers: 3\nworker_name: a\0b\n");
	output = start(path);
	assert_int_equal(output->status, 1);
	if (strncmp(output->err, keepf("%s:2:", path), strlen(path) + 3) != 0)
		fail_msg("NUL: %s", output->err);
	path = WRITE("workers: 3\nworker_name: \"a\\0b\"\n");
	assert_int_equal(start(path)->status, 1);
	path = WRITE("workers: \x01\n");
	assert_int_equal(start(path)->status, 1);
	path = WRITE("routes:\n  /: {text: \xff\xfe}\n");
	assert_int_equal(start(path)->status, 1);

	memset(large, '#', len);
	path = write_bytes(large, len);
	output = start(path);
	assert_int_equal(output->status, 1);
	assert_memory_equal(output->err, path, strlen(path));
	assert_int_equal(count_lines(output->err), 1);

	path = keepf("%s/directory", scratch);
	assert_int_equal(mkdir(path, 0755), 0);
	output = start(path);
	assert_int_equal(output->status, 1);
	assert_non_null(strstr(output->err, path));
	assert_non_null(strstr(output->err, "directory"));
}

/* What a person would write is taken as it was meant. */
static void all_ways_to_write_it_are_accepted(void **state)
{
	static const char *const confs[] = {
		"",
		"# nothing\n",
		"---\nworkers: 3\n...\n",
		"workers: auto\nworker_port: 0\n",
		"listen:\n  - 127.0.0.1:80\n  - \"[::1]:80\"\n  - unix:/tmp/x\n",
		"{workers: 2, backlog: 10}\n",
		"workers: \"2\"\n",
		"keepalive_timeout: 1h\nbody_timeout: 500ms\nheader_timeout: 2m\n",
		"max_header_size: 16k\nmax_body_size: 1m\nmax_uri_size: 100\n",
		"worker:\n  app2:\n    weight: 3\nworkers: 2\n",
		"workers: 2\nworker_name: web\nworker: {web1: {weight: 2}}\n",
		"\xef\xbb\xbfworkers: 3\n",
		"workers: 3\r\nbacklog: 10\r\n",
		"routes: {/: {text: hi}}\n",
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(confs) / sizeof(confs[0]); i++) {
		const char *path = write_bytes(confs[i], strlen(confs[i]));
		struct output *output = program_call(program_path("rmsd"), "-t", "-c", path, NULL);

		if (output->status != 0 || strcmp(output->out, keepf("%s: ok\n", path)) != 0)
			fail_msg("%s----\nstatus %d\n%s%s", confs[i], output->status, output->out, output->err);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_scratch, remove_scratch)
	const struct CMUnitTest tests[] = {
		TEST(each_kind_of_error_is_told_with_its_place),
		TEST(ten_errors_are_ten_lines),
		TEST(errors_of_overrides_are_told_with_those_of_the_file),
		TEST(the_last_override_wins),
		TEST(what_is_no_configuration_is_refused),
		TEST(all_ways_to_write_it_are_accepted),
	};
#undef TEST

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
