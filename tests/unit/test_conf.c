/* test_conf.c - a good file and overrides to a conf: what holds, whence, and the way back to text. */
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

#include <cmocka.h>

#include "base/log.h"
#include "support/conf_file.h"

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
	struct conf *conf = conf_file_load(*state, NULL, NULL);

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
	assert_int_equal(conf->max_connections_per_ip, 0);
	assert_int_equal(conf->max_buffer_memory, 0);
	assert_int_equal(conf->max_header_size, 16 << 10);
	assert_int_equal(conf->max_uri_size, 8 << 10);
	assert_int_equal(conf->max_header_fields, 100);
	assert_int_equal(conf->keepalive_requests, 0);
	assert_int_equal(conf->max_body_size, 1 << 20);
	assert_int_equal(conf->header_timeout, 10000);
	assert_int_equal(conf->body_timeout, 30000);
	assert_int_equal(conf->keepalive_timeout, 75000);
	assert_int_equal(conf->write_timeout, 30000);
	assert_int_equal(conf->shutdown_timeout, 30000);
	assert_int_equal(conf->stall_timeout, 500);
	assert_int_equal(conf->restart, RESTART_ON_FAILURE);
	assert_int_equal(conf->rebalance, FLAG_ON);
	assert_int_equal(conf->faults, FLAG_OFF);
	assert_int_equal(conf->backlog, 4096);
	assert_null(conf->worker_header);
	assert_null(conf->user.text);
	assert_int_equal(conf->log_level, LOG_INFO);
	assert_int_equal(conf->log_format, LOG_TEXT);
	assert_null(conf->access_log);
	assert_int_equal(conf->access_log_format, ACCESS_COMBINED);
	assert_int_equal(conf->access_log_sample, 1);
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
	struct conf *defaults = conf_file_load(*state, NULL, NULL);

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct conf *conf = conf_file_text(*state, files[i], NULL);

		assert_same_conf(conf, defaults);
		conf_unref(conf);
	}
	conf_unref(defaults);
}

static void a_file_sets_what_it_names(void **state)
{
	struct conf *conf = conf_file_text(*state,
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
	struct conf *conf = conf_file_text(*state, "routes: {}\n", NULL);

	assert_int_equal(conf->n_routes, 0);
	conf_unref(conf);
}

static void workers_auto_is_at_least_one(void **state)
{
	struct conf *conf = conf_file_text(*state, "workers: auto\n", NULL);

	assert_in_range(conf->workers, 1, 64);
	conf_unref(conf);
}

static void a_worker_is_called_by_its_number(void **state)
{
	const char *const overrides[] = { "worker_name=a23456789012345678901234567890123456789012345678", "workers=64",
		NULL };
	struct conf *conf = conf_file_load(*state, NULL, overrides);
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
	struct conf *conf = conf_file_text(
		*state, "workers: 2\nlisten: [\":9\"]\nworker_header: X\nworker: {app5: {weight: 7}}\n", overrides);

	assert_int_equal(conf->workers, 5);
	assert_int_equal(conf->listen.n, 2);
	assert_string_equal(conf->listen.items[0].text, "unix:/a=b");
	assert_string_equal(conf->listen.items[1].text, ":3");
	assert_null(conf->worker_header);
	assert_int_equal(conf_worker_weight(conf, 4), 7);
	conf_unref(conf);
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
		  "  \"/[]:&*!'%25@,;=:\": {text: ''}\n"
		  "worker:\n"
		  "  no1: {weight: 9}\n",
			{ NULL } },
	};
	struct conf_file *fixture = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct conf *conf = conf_file_text(fixture, cases[i].file, cases[i].overrides), *again;
		char *text = dumped(conf_dump, conf);

		again = conf_file_text(fixture, text, NULL);
		assert_same_conf(conf, again);
		free(text);
		conf_unref(again);
		conf_unref(conf);
	}
}

static void a_dump_tells_whence_each_value_came(void **state)
{
	struct conf_file *fixture = *state;
	const char *const overrides[] = { "backlog=7", NULL };
	struct conf *conf = conf_file_text(fixture,
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
	conf_file_shorten(fixture, fixture->file);
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
	struct conf_file *fixture = *state;
	char *shipped = read_shipped();
	struct conf *conf = conf_file_text(fixture, shipped, NULL), *defaults = conf_file_load(fixture, NULL, NULL);

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
	struct conf_file *fixture = *state;
	char *shipped = read_shipped(), *origins;
	struct conf *conf, *defaults = conf_file_load(fixture, NULL, NULL);

	/* A line "#key: ..." is meant to be freed of its #; one that begins "# " is prose. */
	for (char *at = shipped; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (at[0] == '#' && islower((unsigned char)at[1]))
			at[0] = '\n';
	}
	conf = conf_file_text(fixture, shipped, NULL);
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
		"from 10ms to 1h | For "));
	outbuf_finish(&page);
}

static void a_conf_lives_until_its_last_reference(void **state)
{
	struct conf *conf = conf_file_load(*state, NULL, NULL);

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
		cmocka_unit_test(a_dump_loads_to_the_same_conf),
		cmocka_unit_test(a_dump_tells_whence_each_value_came),
		cmocka_unit_test(the_shipped_file_is_the_defaults),
		cmocka_unit_test(every_option_is_in_the_shipped_file_behind_a_mark_with_its_default),
		cmocka_unit_test(the_page_has_a_row_for_every_option),
		cmocka_unit_test(a_conf_lives_until_its_last_reference),
	};

	return cmocka_run_group_tests(tests, conf_file_make, conf_file_remove);
}
