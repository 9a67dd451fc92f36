/* test_page.c - the live page as its files are served: types, headers, packing; and the index for who asks for no page.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/daemon.h"
#include "support/keep.h"

#define HTML "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n"
#define POLICY \
	"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " \
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

enum { PAGE_MOST = 60000 };

static const struct file {
	const char *path, *source, *type;
} files[] = {
	{ "/", "index.html", "text/html; charset=utf-8" },
	{ "/page.js", "page.js", "text/javascript; charset=utf-8" },
	{ "/page.css", "page.css", "text/css; charset=utf-8" },
};
enum { FILES = sizeof(files) / sizeof(files[0]) };

static struct reply *ask(const char *address, const char *method, const char *path, const char *fields)
{
	struct wire *wire = wire_open(address);
	struct reply *reply;

	wire_putf(wire, "%s %s HTTP/1.1\r\nHost: a\r\n%s\r\n", method, path, fields);
	reply = strcmp(method, "HEAD") ? wire_reply(wire) : wire_reply_head(wire);
	wire_close(wire);
	return reply;
}

static const char *source(const struct file *file)
{
	return program_file(keepf("%s/src/admin/page/%s", RMSD_SOURCE_DIR, file->source), NULL);
}

static void expect_fields(const struct reply *reply, const struct file *file)
{
	assert_int_equal(reply->status, 200);
	reply_expect_field(reply, "Content-Type", file->type);
	reply_expect_field(reply, "Content-Security-Policy", POLICY);
	reply_expect_field(reply, "X-Content-Type-Options", "nosniff");
	reply_expect_field(reply, "Referrer-Policy", "no-referrer");
	reply_expect_field(reply, "Cache-Control", "no-cache");
}

static void the_files_are_those_of_the_tree(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);
	const char *const doors[] = { daemon_admin(daemon), daemon_socket(daemon) };
	size_t all = 0;

	(void)state;
	for (unsigned door = 0; door < 2; door++) {
		for (unsigned i = 0; i < FILES; i++) {
			struct reply *reply = ask(doors[door], "GET", files[i].path, HTML);

			expect_fields(reply, &files[i]);
			assert_null(reply_field(reply, "Content-Encoding"));
			assert_string_equal(reply->body, source(&files[i]));
			all += reply->body_len;
		}
	}
	assert_true(all / 2 < PAGE_MOST);
	daemon_stop(daemon);
}

static void a_head_has_the_fields_of_a_get(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);

	(void)state;
	for (unsigned i = 0; i < FILES; i++) {
		struct reply *reply = ask(daemon_admin(daemon), "HEAD", files[i].path, HTML);

		expect_fields(reply, &files[i]);
		reply_expect_field(reply, "Content-Length", keepf("%zu", strlen(source(&files[i]))));
		assert_int_equal(
			ask(daemon_admin(daemon), "POST", files[i].path, "Content-Length: 0\r\n")->status, 405);
	}
	daemon_stop(daemon);
}

static void who_takes_gzip_gets_it(void **state)
{
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);

	(void)state;
	for (unsigned i = 0; i < FILES; i++) {
		struct reply *reply =
			ask(daemon_admin(daemon), "GET", files[i].path, HTML "Accept-Encoding: gzip, br\r\n");
		const char *path = keepf("%s/packed", daemon_dir(daemon));
		FILE *file = fopen(path, "w");
		struct output *output;

		expect_fields(reply, &files[i]);
		reply_expect_field(reply, "Content-Encoding", "gzip");
		assert_non_null(strstr(reply_field(reply, "Vary"), "Accept-Encoding"));
		assert_true(reply->body_len < strlen(source(&files[i])));
		assert_non_null(file);
		assert_int_equal(fwrite(reply->body, 1, reply->body_len, file), reply->body_len);
		fclose(file);
		output = program_call("gzip", "-dc", path, NULL);
		assert_int_equal(output->status, 0);
		assert_string_equal(output->out, source(&files[i]));
		remove(path);
	}
	daemon_stop(daemon);
}

static void who_names_no_html_gets_the_index(void **state)
{
	static const char *const accepts[] = { "", "Accept: */*\r\n", "Accept: text/html;q=0, text/plain\r\n" };
	struct daemon *daemon = daemon_start("rmsd", NULL, NULL);

	(void)state;
	for (unsigned i = 0; i < sizeof(accepts) / sizeof(accepts[0]); i++) {
		struct reply *reply = ask(daemon_admin(daemon), "GET", "/", accepts[i]);

		assert_int_equal(reply->status, 200);
		reply_expect_field(reply, "Content-Type", "text/plain; charset=utf-8");
		assert_non_null(strstr(reply_field(reply, "Vary"), "Accept"));
		assert_non_null(strstr(reply->body, "/metrics"));
		assert_non_null(strstr(reply->body, "/events"));
	}
	daemon_stop(daemon);
}

/* Each address in them is of this server. */
static void the_files_name_no_other_host(void **state)
{
	(void)state;
	for (unsigned i = 0; i < FILES; i++) {
		const char *text = source(&files[i]);

		for (const char *at = text; (at = strstr(at, "//"));) {
			/* A name of a kind of document, which nobody fetches; and comments. */
			bool name = at - text >= 5 && !memcmp(at - 5, "http:", 5) && !strncmp(at, "//www.w3.org/", 13);

			if (at > text && at[-1] == ':' && !name)
				fail_msg("%s: %.40s", files[i].source, at - 5);
			at += 2;
		}
		assert_null(strstr(text, "innerHTML"));
		assert_null(strstr(text, " style="));
		assert_null(strstr(text, "eval("));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(the_files_are_those_of_the_tree, daemon_cleanup),
		cmocka_unit_test_teardown(a_head_has_the_fields_of_a_get, daemon_cleanup),
		cmocka_unit_test_teardown(who_takes_gzip_gets_it, daemon_cleanup),
		cmocka_unit_test_teardown(who_names_no_html_gets_the_index, daemon_cleanup),
		cmocka_unit_test(the_files_name_no_other_host),
	};

	return cmocka_run_group_tests_name("page", tests, NULL, NULL);
}
