/* test_conf.c - a file and overrides to a conf: what holds, every error with its place, and the way back to text. */
#include <ctype.h>
#include <errno.h>
#include <libgen.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <uv.h>
#include "base/log.h"
#include "conf/conf.h"

enum { OVERRIDES_MAX = 8 };

struct fixture {
	char dir[32], file[64];
	struct outbuf errors; /* of the last load, NUL-terminated; the file's name is FILE in it */
};

static int make_dir(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	if (!fixture)
		return -1;
	strcpy(fixture->dir, "/tmp/rmsd-conf-XXXXXX");
	if (!mkdtemp(fixture->dir))
		return -1;
	snprintf(fixture->file, sizeof(fixture->file), "%s/t.conf", fixture->dir);
	*state = fixture;
	return 0;
}

static int remove_dir(void **state)
{
	struct fixture *fixture = *state;

	unlink(fixture->file);
	rmdir(fixture->dir);
	outbuf_finish(&fixture->errors);
	free(fixture);
	return 0;
}

static void write_file(const struct fixture *fixture, const char *bytes, size_t len)
{
	FILE *stream = fopen(fixture->file, "w");

	assert_non_null(stream);
	assert_int_equal(fwrite(bytes, 1, len, stream), len);
	assert_int_equal(fclose(stream), 0);
}

static void shorten_names(struct fixture *fixture, const char *name)
{
	struct outbuf whole = fixture->errors;
	size_t len = strlen(name);

	fixture->errors = (struct outbuf){ 0 };
	outbuf_append(&whole, "", 1);
	for (const char *at = whole.data; *at;) {
		if (strncmp(at, name, len)) {
			outbuf_append(&fixture->errors, at++, 1);
		} else {
			outbuf_text(&fixture->errors, "FILE");
			at += len;
		}
	}
	outbuf_append(&fixture->errors, "", 1);
	outbuf_finish(&whole);
}

/* NULL if it was refused. overrides: ended by NULL, or NULL. */
static struct conf *load_named(struct fixture *fixture, const char *name, const char *const *overrides)
{
	struct conf *conf = NULL;
	size_t n = 0;
	int err;

	while (overrides && overrides[n])
		n++;
	outbuf_reset(&fixture->errors, 0);
	err = conf_load(name, overrides, n, &conf, &fixture->errors);
	assert_true(err == 0 || err == UV_EINVAL);
	assert_int_equal(err == 0, fixture->errors.len == 0);
	assert_int_equal(err == 0, conf != NULL);
	shorten_names(fixture, name ? name : "\177");
	return conf;
}

static struct conf *load_bytes(struct fixture *fixture, const char *bytes, size_t len, const char *const *overrides)
{
	write_file(fixture, bytes, len);
	return load_named(fixture, fixture->file, overrides);
}

static struct conf *load_text(struct fixture *fixture, const char *text, const char *const *overrides)
{
	struct conf *conf = load_bytes(fixture, text, strlen(text), overrides);

	if (!conf)
		fail_msg("%s", fixture->errors.data);
	return conf;
}

typedef void dump_fn(const struct conf *conf, struct outbuf *out);

/* The caller's to free. */
static char *dumped(dump_fn *dump, const struct conf *conf)
{
	struct outbuf out = { 0 };

	dump(conf, &out);
	outbuf_append(&out, "", 1);
	assert_false(out.failed);
	return out.data;
}

static void assert_same_conf(const struct conf *a, const struct conf *b)
{
	char *a_text = dumped(conf_dump_json, a), *b_text = dumped(conf_dump_json, b);

	assert_string_equal(a_text, b_text);
	free(a_text);
	free(b_text);
}

static void without_a_file_the_defaults_hold(void **state)
{
	struct conf *conf = load_named(*state, NULL, NULL);

	assert_non_null(conf);
	assert_int_equal(conf->listen.n, 1);
	assert_string_equal(conf->listen.items[0].text, ":80");
	assert_int_equal(conf->workers, 3);
	assert_string_equal(conf->worker_name, "app");
	assert_int_equal(conf->worker_port, 5001);
	assert_string_equal(conf->admin_listen.text, ":9090");
	assert_string_equal(conf->control_socket, "/run/rmsd/rmsd.sock");
	assert_int_equal(conf->balance, BALANCE_LEAST_CONN);
	assert_int_equal(conf->max_connections, 0);
	assert_int_equal(conf->max_header_size, 16 << 10);
	assert_int_equal(conf->max_uri_size, 8 << 10);
	assert_int_equal(conf->max_body_size, 1 << 20);
	assert_int_equal(conf->header_timeout, 10000);
	assert_int_equal(conf->body_timeout, 30000);
	assert_int_equal(conf->keepalive_timeout, 75000);
	assert_int_equal(conf->write_timeout, 30000);
	assert_int_equal(conf->shutdown_timeout, 30000);
	assert_int_equal(conf->backlog, 4096);
	assert_null(conf->worker_header);
	assert_int_equal(conf->log_level, LOG_INFO);
	assert_int_equal(conf->log_format, LOG_TEXT);
	assert_int_equal(conf->n_routes, 1);
	assert_string_equal(conf->routes[0].path, "/");
	assert_string_equal(conf->routes[0].text, "Hello from Cloud Application");
	assert_int_equal(conf->routes[0].text_len, strlen(conf->routes[0].text));
	assert_int_equal(conf->n_worker_blocks, 0);
	conf_unref(conf);
}

static void a_file_of_nothing_is_the_defaults(void **state)
{
	static const char *const files[] = { "", "\n", "# a comment\n", "---\n", "--- {}\n", "{}", "\xef\xbb\xbf",
		"%YAML 1.1\n---\n" };
	struct conf *defaults = load_named(*state, NULL, NULL);

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct conf *conf = load_text(*state, files[i], NULL);

		assert_same_conf(conf, defaults);
		conf_unref(conf);
	}
	conf_unref(defaults);
}

static void a_file_sets_what_it_names(void **state)
{
	struct conf *conf = load_text(*state,
		"\xef\xbb\xbflisten: [\":8080\", '127.0.0.1:0', \"unix:/run/x\"]\r\n"
		"workers: 2\r\n"
		"worker_port: auto\r\n"
		"worker_header: X-Worker\r\n"
		"header_timeout: 1500ms\r\n"
		"log_format: json\r\n"
		"routes:\r\n"
		"  /: {text: \"\"}\r\n"
		"  \"/a%20b\":\r\n"
		"    text: |\r\n"
		"      two\tcolumns\r\n"
		"      two lines\r\n"
		"  /c: {text: \"h\\u00e9\\n\"}\r\n"
		"worker:\r\n"
		"  app2: {weight: 100}\r\n"
		"  app1: {}\r\n",
		NULL);

	assert_int_equal(conf->listen.n, 3);
	assert_string_equal(conf->listen.items[2].text, "unix:/run/x");
	assert_int_equal(conf->workers, 2);
	assert_int_equal(conf->worker_port, VALUE_PORT_AUTO);
	assert_string_equal(conf->worker_header, "X-Worker");
	assert_int_equal(conf->header_timeout, 1500);
	assert_int_equal(conf->log_format, LOG_JSON);
	assert_int_equal(conf->n_routes, 3);
	assert_int_equal(conf->routes[0].text_len, 0);
	assert_string_equal(conf->routes[1].path, "/a%20b");
	assert_string_equal(conf->routes[1].text, "two\tcolumns\ntwo lines\n");
	assert_string_equal(conf->routes[2].text, "h\xc3\xa9\n");
	assert_int_equal(conf->routes[2].text_len, 4);
	assert_int_equal(conf_worker_weight(conf, 0), 1);
	assert_int_equal(conf_worker_weight(conf, 1), 100);
	conf_unref(conf);
}

static void routes_of_a_file_replace_the_default_even_with_none(void **state)
{
	struct conf *conf = load_text(*state, "routes: {}\n", NULL);

	assert_int_equal(conf->n_routes, 0);
	conf_unref(conf);
}

static void workers_auto_is_at_least_one(void **state)
{
	struct conf *conf = load_text(*state, "workers: auto\n", NULL);

	assert_in_range(conf->workers, 1, 64);
	conf_unref(conf);
}

static void a_worker_is_called_by_its_number(void **state)
{
	const char *const overrides[] = { "worker_name=a23456789012345678901234567890123456789012345678", "workers=64",
		NULL };
	struct conf *conf = load_named(*state, NULL, overrides);
	char name[VALUE_NAME_MAX + 4];

	assert_non_null(conf);
	conf_worker_name(conf, 63, name, sizeof(name));
	assert_string_equal(name, "a2345678901234567890123456789012345678901234567864");
	assert_int_equal(conf_worker_weight(conf, 63), 1);
	conf_unref(conf);
}

static void an_override_beats_the_file_and_the_last_beats_the_first(void **state)
{
	const char *const overrides[] = { "workers=4", "listen=:1,:2", "workers=5", "listen=unix:/a=b,:3",
		"worker_header=", NULL };
	struct conf *conf = load_text(
		*state, "workers: 2\nlisten: [\":9\"]\nworker_header: X\nworker: {app5: {weight: 7}}\n", overrides);

	assert_int_equal(conf->workers, 5);
	assert_int_equal(conf->listen.n, 2);
	assert_string_equal(conf->listen.items[0].text, "unix:/a=b");
	assert_string_equal(conf->listen.items[1].text, ":3");
	assert_null(conf->worker_header);
	assert_int_equal(conf_worker_weight(conf, 4), 7);
	conf_unref(conf);
}

#define TIME "(a time, such as 500ms, 15s, 2m or 1h, from 10ms to 1h)\n"
#define LISTEN "(a list of :80, 127.0.0.1:80, [::1]:80 or unix:/path)\n"
#define PATH "(visible ASCII that begins with /; no ?, #, nor /: before a segment; at most 500 bytes)\n"
#define WORKERS "(auto or a number, from 1 to 64)\n"
#define BYTES(s) s, sizeof(s) - 1

static const struct {
	const char *bytes;
	size_t len;
	const char *errors;
} bad_files[] = {
#include "conf_rows.def"
};

static void every_error_of_a_file_is_told_with_its_place(void **state)
{
	struct fixture *fixture = *state;

	unsigned failed = 0;

	for (size_t i = 0; i < sizeof(bad_files) / sizeof(bad_files[0]); i++) {
		struct conf *conf = load_bytes(fixture, bad_files[i].bytes, bad_files[i].len, NULL);

		if (!conf && !strcmp(fixture->errors.data, bad_files[i].errors))
			continue;
		print_error(
			"%s\ngives\n%sexpected\n%s\n", bad_files[i].bytes, fixture->errors.data, bad_files[i].errors);
		failed++;
	}
	assert_int_equal(failed, 0);
}

static void ten_errors_are_ten_lines_in_the_order_of_the_file(void **state)
{
	struct fixture *fixture = *state;
	const char *const overrides[] = { "workers=2", "backlog=x", NULL };
	struct conf *conf = load_bytes(fixture,
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
		"FILE:5:1: frobnicate: unknown key (did you mean balance?)\n"
		"FILE:6:15: body_timeout: missing unit: \"10\" " TIME
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
		{ "=3", "-o \"\": unknown key (did you mean listen?)\n" },
		{ "wrokers=3", "-o wrokers: unknown key (did you mean workers?)\n" },
		{ "a\nb\xff=3", "-o \"a\\nb\\xff\": unknown key (did you mean listen?)\n" },
		{ "routes=x", "-o routes: a block (only a file can set it)\n" },
		{ "worker=x", "-o worker: a block (only a file can set it)\n" },
		{ "workers=", "-o workers: not a number: \"\" " WORKERS },
		{ "workers=65", "-o workers: out of range: \"65\" " WORKERS },
		{ "listen=", "-o listen: no port: \"\" " LISTEN },
		{ "listen=:80,,x", "-o listen: no port: \"\" " LISTEN "-o listen: no port: \"x\" " LISTEN },
		{ "control_socket=/\xff",
			"-o control_socket: not text: \"/\\xff\" (an absolute path of at most 107 bytes)\n" },
		{ "worker_port=65535",
			"-o worker_port: the last worker's port is beyond 65535 (auto or a number, from 0 to "
			"65535)\n" },
		{ "admin_listen=:80",
			"-o admin_listen: listen has it too: \":80\" (:80, 127.0.0.1:80, [::1]:80 or unix:/path)\n" },
	};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *const overrides[] = { cases[i].override, NULL };

		assert_null(load_named(fixture, NULL, overrides));
		assert_string_equal(fixture->errors.data, cases[i].errors);
	}
}

static void a_later_override_heals_no_earlier_error(void **state)
{
	const char *const overrides[] = { "workers=x", "workers=2", NULL };

	assert_null(load_named(*state, NULL, overrides));
}

static void a_file_that_cannot_be_read_says_why(void **state)
{
	struct fixture *fixture = *state;

	assert_null(load_named(fixture, fixture->dir, NULL));
	assert_string_equal(fixture->errors.data, "FILE: is a directory (a YAML file of at most 1 MB)\n");
	unlink(fixture->file);
	assert_null(load_named(fixture, fixture->file, NULL));
	assert_string_equal(fixture->errors.data, "FILE: no such file or directory (a YAML file of at most 1 MB)\n");
}

/* A file of len bytes: head, then fill again and again. */
static struct conf *load_filled(struct fixture *fixture, const char *head, const char *fill, size_t len)
{
	char *bytes = malloc(len);
	size_t head_len = strlen(head), fill_len = strlen(fill);
	struct conf *conf;

	assert_non_null(bytes);
	for (size_t i = 0; i < len; i++)
		bytes[i] = i < head_len ? head[i] : fill[(i - head_len) % fill_len];
	conf = load_bytes(fixture, bytes, len, NULL);
	free(bytes);
	return conf;
}

static void a_file_of_a_megabyte_is_read_and_no_larger_one(void **state)
{
	struct fixture *fixture = *state;
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
	struct fixture *fixture = *state;
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

static void a_dump_loads_to_the_same_conf(void **state)
{
	static const struct {
		const char *file, *const overrides[3];
	} cases[] = {
		{ "", { NULL } },
		{ "routes: {}\n", { "worker_header=X-Worker", "listen=unix:/a b,:0", NULL } },
		{ "workers: auto\n"
		  "worker_port: auto\n"
		  "worker_name: no\n"
		  "control_socket: \"/run/a b: #\\\"\\\\\"\n"
		  "header_timeout: 1001ms\n"
		  "max_body_size: 1025\n"
		  "routes:\n"
		  "  /: {text: \"a\\\"b\\\\\\n\\t \\u2028\\uFEFF\xc3\xa9 \"}\n"
		  "  \"/{}[]\\\"\\\\:&*!|>'%@`\": {text: ''}\n"
		  "worker:\n"
		  "  no1: {weight: 9}\n",
			{ NULL } },
	};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct conf *conf = load_text(fixture, cases[i].file, cases[i].overrides), *again;
		char *text = dumped(conf_dump, conf);

		again = load_text(fixture, text, NULL);
		assert_same_conf(conf, again);
		free(text);
		conf_unref(again);
		conf_unref(conf);
	}
}

static void a_dump_tells_whence_each_value_came(void **state)
{
	struct fixture *fixture = *state;
	const char *const overrides[] = { "backlog=7", NULL };
	struct conf *conf = load_text(fixture,
		"workers: 2\n"
		"backlog: 6\n"
		"routes:\n"
		"  /: {text: a}\n"
		"worker:\n"
		"  app2: {weight: 9}\n",
		overrides);
	static const char *const lines[] = { "\nworkers: 2  # FILE:1\n", "\nbacklog: 7  # -o\n",
		"listen: [\":80\"]  # default\n", "\nroutes:  # FILE:3\n  /: {text: \"a\"}  # FILE:4\n",
		"\nworker:  # FILE:5\n  app2: {weight: 9}  # FILE:6\n" };
	char *text = dumped(conf_dump, conf);

	fixture->errors.len = 0;
	outbuf_text(&fixture->errors, text);
	shorten_names(fixture, fixture->file);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		if (!strstr(fixture->errors.data, lines[i]))
			fail_msg("no \"%s\" in\n%s", lines[i], fixture->errors.data);
	}
	free(text);
	conf_unref(conf);
}

static char *read_shipped(void)
{
	char source[] = __FILE__, path[4096];
	struct outbuf text = { 0 };
	FILE *stream;
	size_t got;

	snprintf(path, sizeof(path), "%s/../../rmsd.conf", dirname(source));
	stream = fopen(path, "r");
	if (!stream)
		fail_msg("%s: %s", path, strerror(errno));
	do {
		char *at = outbuf_reserve(&text, 4096);

		assert_non_null(at);
		got = fread(at, 1, 4096, stream);
		text.len += got;
	} while (got > 0);
	fclose(stream);
	outbuf_append(&text, "", 1);
	return text.data;
}

static void the_shipped_file_is_the_defaults(void **state)
{
	struct fixture *fixture = *state;
	char *shipped = read_shipped();
	struct conf *conf = load_text(fixture, shipped, NULL), *defaults = load_named(fixture, NULL, NULL);

	assert_same_conf(conf, defaults);
	conf_unref(conf);
	conf_unref(defaults);
	free(shipped);
}

static void every_option_is_in_the_shipped_file_behind_a_mark_with_its_default(void **state)
{
	static const char *const keys[] = {
#define OPTION(type, name, ...) #name,
#include "conf/options.def"
	};
	struct fixture *fixture = *state;
	char *shipped = read_shipped(), *origins;
	struct conf *conf, *defaults = load_named(fixture, NULL, NULL);

	/* A line "#key: ..." is meant to be freed of its #; one that begins "# " is prose. */
	for (char *at = shipped; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (at[0] == '#' && islower((unsigned char)at[1]))
			at[0] = '\n';
	}
	conf = load_text(fixture, shipped, NULL);
	assert_same_conf(conf, defaults);
	origins = dumped(conf_dump, conf);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		char start[64];
		const char *line;

		snprintf(start, sizeof(start), "%s: ", keys[i]);
		line = strstr(origins, start);
		assert_non_null(line);
		line = strstr(line, "  # ");
		assert_non_null(line);
		if (!strncmp(line, "  # default", 11))
			fail_msg("%s is not in rmsd.conf", keys[i]);
	}
	free(origins);
	conf_unref(conf);
	conf_unref(defaults);
	free(shipped);
}

static void the_page_has_a_row_for_every_option(void **state)
{
	struct outbuf page = { 0 };

	(void)state;
	conf_print_options(&page);
	outbuf_append(&page, "", 1);
#define OPTION(type, name, ...) assert_non_null(strstr(page.data, "| `" #name "` | "));
#include "conf/options.def"
	assert_non_null(strstr(page.data, "| `listen` | addresses | `[\":80\"]` | a list of :80"));
	assert_non_null(strstr(page.data,
		"| `header_timeout` | duration | `10s` | a time, such as 500ms, 15s, 2m or 1h, "
		"from 10ms to 1h | yes | "));
	outbuf_finish(&page);
}

static void a_conf_lives_until_its_last_reference(void **state)
{
	struct conf *conf = load_named(*state, NULL, NULL);

	assert_ptr_equal(conf_ref(conf), conf);
	conf_unref(conf);
	assert_int_equal(conf->workers, 3);
	conf_unref(conf);
	conf_unref(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_file_the_defaults_hold),
		cmocka_unit_test(a_file_of_nothing_is_the_defaults),
		cmocka_unit_test(a_file_sets_what_it_names),
		cmocka_unit_test(routes_of_a_file_replace_the_default_even_with_none),
		cmocka_unit_test(workers_auto_is_at_least_one),
		cmocka_unit_test(a_worker_is_called_by_its_number),
		cmocka_unit_test(an_override_beats_the_file_and_the_last_beats_the_first),
		cmocka_unit_test(every_error_of_a_file_is_told_with_its_place),
		cmocka_unit_test(ten_errors_are_ten_lines_in_the_order_of_the_file),
		cmocka_unit_test(every_error_of_an_override_is_told),
		cmocka_unit_test(a_later_override_heals_no_earlier_error),
		cmocka_unit_test(a_file_that_cannot_be_read_says_why),
		cmocka_unit_test(a_file_of_a_megabyte_is_read_and_no_larger_one),
		cmocka_unit_test(a_megabyte_of_brackets_or_commas_is_refused),
		cmocka_unit_test(a_dump_loads_to_the_same_conf),
		cmocka_unit_test(a_dump_tells_whence_each_value_came),
		cmocka_unit_test(the_shipped_file_is_the_defaults),
		cmocka_unit_test(every_option_is_in_the_shipped_file_behind_a_mark_with_its_default),
		cmocka_unit_test(the_page_has_a_row_for_every_option),
		cmocka_unit_test(a_conf_lives_until_its_last_reference),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
