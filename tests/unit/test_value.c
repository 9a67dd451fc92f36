/* test_value.c - every type of option: what it takes, what it refuses and why, and how it is written again. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <cmocka.h>
#include "base/log.h"
#include "conf/text.h"
#include "conf/value.h"

#define LONG_48 "a23456789012345678901234567890123456789012345678"
#define LONG_107 "/" LONG_48 LONG_48 "1234567890"

struct parse_case {
	const struct value_type *type;
	const char *text, *min, *max;
	const char *wrong; /* NULL: it is taken */
	const char *again; /* as it is written */
};

static const struct parse_case parse_cases[] = {
	{ &value_type_count, "0", "0", "9", NULL, "0" },
	{ &value_type_count, "9", "0", "9", NULL, "9" },
	{ &value_type_count, "10", "0", "9", "out of range", NULL },
	{ &value_type_count, "0", "1", "9", "out of range", NULL },
	{ &value_type_count, "4294967295", "", "", NULL, "4294967295" },
	{ &value_type_count, "4294967296", "", "", "out of range", NULL },
	{ &value_type_count, "18446744073709551617", "", "", "out of range", NULL },
	{ &value_type_count, "", "0", "9", "not a number", NULL },
	{ &value_type_count, "-1", "0", "9", "out of range", NULL },
	{ &value_type_count, "-", "0", "9", "not a number", NULL },
	{ &value_type_count, "+1", "0", "9", "not a number", NULL },
	{ &value_type_count, " 1", "0", "9", "not a number", NULL },
	{ &value_type_count, "1 ", "0", "9", "not a number", NULL },
	{ &value_type_count, "1k", "0", "9", "not a number", NULL },
	{ &value_type_count, "0x1", "0", "9", "not a number", NULL },
	{ &value_type_bytes, "512", "256", "64k", NULL, "512" },
	{ &value_type_bytes, "16384", "256", "64k", NULL, "16k" },
	{ &value_type_bytes, "64k", "256", "64k", NULL, "64k" },
	{ &value_type_bytes, "65537", "256", "64k", "out of range", NULL },
	{ &value_type_bytes, "255", "256", "64k", "out of range", NULL },
	{ &value_type_bytes, "1024m", "0", "1g", NULL, "1g" },
	{ &value_type_bytes, "0", "0", "1g", NULL, "0" },
	{ &value_type_bytes, "18014398509481984k", "", "", "out of range", NULL },
	{ &value_type_bytes, "1kb", "0", "1g", "unknown unit", NULL },
	{ &value_type_bytes, "1K", "0", "1g", "unknown unit", NULL },
	{ &value_type_bytes, "k", "0", "1g", "not a number", NULL },
	{ &value_type_duration, "500ms", "10ms", "1h", NULL, "500ms" },
	{ &value_type_duration, "75s", "10ms", "1h", NULL, "75s" },
	{ &value_type_duration, "120s", "10ms", "1h", NULL, "2m" },
	{ &value_type_duration, "1h", "10ms", "1h", NULL, "1h" },
	{ &value_type_duration, "0s", "0s", "1h", NULL, "0ms" },
	{ &value_type_duration, "61m", "10ms", "1h", "out of range", NULL },
	{ &value_type_duration, "9ms", "10ms", "1h", "out of range", NULL },
	{ &value_type_duration, "15", "10ms", "1h", "missing unit", NULL },
	{ &value_type_duration, "0", "0s", "1h", "missing unit", NULL },
	{ &value_type_duration, "1d", "10ms", "1h", "unknown unit", NULL },
	{ &value_type_duration, "1.5s", "10ms", "1h", "unknown unit", NULL },
	{ &value_type_duration, "s", "10ms", "1h", "not a number", NULL },
	{ &value_type_workers, "64", "1", "64", NULL, "64" },
	{ &value_type_workers, "65", "1", "64", "out of range", NULL },
	{ &value_type_workers, "0", "1", "64", "out of range", NULL },
	{ &value_type_workers, "auto", "1", "1", NULL, "1" },
	{ &value_type_workers, "Auto", "1", "64", "not a number", NULL },
	{ &value_type_port, "auto", "0", "65535", NULL, "auto" },
	{ &value_type_port, "0", "0", "65535", NULL, "0" },
	{ &value_type_port, "65535", "0", "65535", NULL, "65535" },
	{ &value_type_port, "65536", "0", "65535", "out of range", NULL },
	{ &value_type_port, "-1", "0", "65535", "out of range", NULL },
	{ &value_type_path, "/run/rmsd.sock", "", "", NULL, "/run/rmsd.sock" },
	{ &value_type_path, LONG_107, "", "", NULL, LONG_107 },
	{ &value_type_path, LONG_107 "x", "", "", "path is too long", NULL },
	{ &value_type_path, "", "", "", "path is not absolute", NULL },
	{ &value_type_path, "run/x", "", "", "path is not absolute", NULL },
	{ &value_type_path, "/run/\n", "", "", "control character in a path", NULL },
	{ &value_type_log_file, "off", "", "", NULL, "off" },
	{ &value_type_log_file, "stderr", "", "", NULL, "stderr" },
	{ &value_type_log_file, "/var/log/a b", "", "", NULL, "/var/log/a b" },
	{ &value_type_log_file, LONG_107 "/longer", "", "", NULL, LONG_107 "/longer" },
	{ &value_type_log_file, "", "", "", "path is not absolute", NULL },
	{ &value_type_log_file, "on", "", "", "path is not absolute", NULL },
	{ &value_type_log_file, "/var/\x1b", "", "", "control character in a path", NULL },
	{ &value_type_access_format, "json", "", "", NULL, "json" },
	{ &value_type_access_format, "common", "", "", "not a choice", NULL },
	{ &value_type_name, "app", "", "", NULL, "app" },
	{ &value_type_name, "A-b_9", "", "", NULL, "A-b_9" },
	{ &value_type_name, LONG_48, "", "", NULL, LONG_48 },
	{ &value_type_name, LONG_48 "9", "", "", "name is too long", NULL },
	{ &value_type_name, "", "", "", "bad name", NULL },
	{ &value_type_name, "9a", "", "", "bad name", NULL },
	{ &value_type_name, "a.b", "", "", "bad name", NULL },
	{ &value_type_name, "\xc3\xa9t\xc3\xa9", "", "", "bad name", NULL },
	{ &value_type_header, "", "", "", NULL, "" },
	{ &value_type_header, "X-Worker", "", "", NULL, "X-Worker" },
	{ &value_type_header, "!#$%&'*+-.^_`|~9", "", "", NULL, "!#$%&'*+-.^_`|~9" },
	{ &value_type_header, "X Worker", "", "", "bad name", NULL },
	{ &value_type_header, "X:", "", "", "bad name", NULL },
	{ &value_type_header, "X\n", "", "", "bad name", NULL },
	{ &value_type_header, LONG_48 "9", "", "", "name is too long", NULL },
	{ &value_type_header, "Date", "", "", "a header that rmsd sets itself", NULL },
	{ &value_type_header, "content-LENGTH", "", "", "a header that rmsd sets itself", NULL },
	{ &value_type_header, "connection", "", "", "a header that rmsd sets itself", NULL },
	{ &value_type_header, "Content-Type", "", "", "a header that rmsd sets itself", NULL },
	{ &value_type_header, "Transfer-Encoding", "", "", "a header that rmsd sets itself", NULL },
	{ &value_type_header, "Allow", "", "", "a header that rmsd sets itself", NULL },
	{ &value_type_user, "", "", "", NULL, "" },
	{ &value_type_user, "root", "", "", NULL, "root" },
	{ &value_type_user, "root:root", "", "", NULL, "root:root" },
	{ &value_type_user, "4294967294", "", "", NULL, "4294967294" },
	{ &value_type_user, "0:4294967294", "", "", NULL, "0:4294967294" },
	{ &value_type_user, "4294967295", "", "", "unknown user", NULL },
	{ &value_type_user, "0:4294967295", "", "", "unknown group", NULL },
	{ &value_type_user, "-1", "", "", "unknown user", NULL },
	{ &value_type_user, "no such user", "", "", "unknown user", NULL },
	{ &value_type_user, ":root", "", "", "unknown user", NULL },
	{ &value_type_user, "root:", "", "", "unknown group", NULL },
	{ &value_type_user, "root:root:root", "", "", "unknown group", NULL },
	{ &value_type_user, "root:no such group", "", "", "unknown group", NULL },
	{ &value_type_header, "retry-after", "", "", "a header that rmsd sets itself", NULL },
	{ &value_type_balance, "round_robin", "", "", NULL, "round_robin" },
	{ &value_type_balance, "least", "", "", "not a choice", NULL },
	{ &value_type_balance, "", "", "", "not a choice", NULL },
	{ &value_type_log_level, "debug", "", "", NULL, "debug" },
	{ &value_type_log_level, "DEBUG", "", "", "not a choice", NULL },
	{ &value_type_restart, "on-failure", "", "", NULL, "on-failure" },
	{ &value_type_restart, "always", "", "", "not a choice", NULL },
	{ &value_type_flag, "on", "", "", NULL, "on" },
	{ &value_type_flag, "off", "", "", NULL, "off" },
	{ &value_type_flag, "yes", "", "", "not a choice", NULL },
	{ &value_type_log_format, "json", "", "", NULL, "json" },
	{ &value_type_address, ":80", "", "", NULL, ":80" },
	{ &value_type_address, ":0", "", "", NULL, ":0" },
	{ &value_type_address, "127.0.0.1:65535", "", "", NULL, "127.0.0.1:65535" },
	{ &value_type_address, "[::1]:80", "", "", NULL, "[::1]:80" },
	{ &value_type_address, "[::ffff:127.0.0.1]:80", "", "", NULL, "[::ffff:127.0.0.1]:80" },
	{ &value_type_address, "unix:/run/x", "", "", NULL, "unix:/run/x" },
	{ &value_type_address, "unix:" LONG_107, "", "", NULL, "unix:" LONG_107 },
	{ &value_type_address, "unix:" LONG_107 "x", "", "", "path is too long", NULL },
	{ &value_type_address, "unix:x", "", "", "path is not absolute", NULL },
	{ &value_type_address, "unix:/\t", "", "", "control character in a path", NULL },
	{ &value_type_address, "", "", "", "no port", NULL },
	{ &value_type_address, "80", "", "", "no port", NULL },
	{ &value_type_address, ":", "", "", "bad port", NULL },
	{ &value_type_address, ":65536", "", "", "bad port", NULL },
	{ &value_type_address, ":000080", "", "", "bad port", NULL },
	{ &value_type_address, ":80x", "", "", "bad port", NULL },
	{ &value_type_address, ":-1", "", "", "bad port", NULL },
	{ &value_type_address, "localhost:80", "", "", "host is not numeric", NULL },
	{ &value_type_address, "127.1:80", "", "", "host is not numeric", NULL },
	{ &value_type_address, "::1:80", "", "", "host is not numeric", NULL },
	{ &value_type_address, "[]:80", "", "", "host is not numeric", NULL },
	{ &value_type_address, "[:80", "", "", "host is not numeric", NULL },
	{ &value_type_address, "]:80", "", "", "host is not numeric", NULL },
	{ &value_type_address, "[127.0.0.1]:80", "", "", "host is not numeric", NULL },
	{ &value_type_address, "[::1]", "", "", "bad port", NULL },
	{ &value_type_address, "[" LONG_107 "]:80", "", "", "host is not numeric", NULL },
	{ &value_type_address, LONG_107 ":80", "", "", "host is not numeric", NULL },
};

static void every_value_is_taken_or_refused_for_its_reason(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(parse_cases) / sizeof(parse_cases[0]); i++) {
		const struct parse_case *c = &parse_cases[i];
		_Alignas(max_align_t) char value[sizeof(struct value_address)] = { 0 };
		const char *wrong = c->type->parse(c->type, c->text, c->min, c->max, value);
		struct outbuf again = { 0 };

		if (!wrong) {
			assert_true(c->type->print(c->type, value, 0, &again));
			assert_false(c->type->print(c->type, value, 1, &again));
		}
		outbuf_append(&again, "", 1);
		if ((wrong ? !c->wrong || strcmp(wrong, c->wrong) : !c->again || strcmp(again.data, c->again)) != 0)
			fail_msg("%s \"%s\": %s, expected %s", c->type->name, c->text, wrong ? wrong : again.data,
				c->wrong ? c->wrong : c->again);
		outbuf_finish(&again);
		if (c->type->finish)
			c->type->finish(value);
	}
}

static void choices_have_the_numbers_of_their_enums(void **state)
{
	int level, format;
	value_balance balance;

	(void)state;
	assert_null(value_type_log_level.parse(&value_type_log_level, "warn", "", "", &level));
	assert_null(value_type_log_format.parse(&value_type_log_format, "json", "", "", &format));
	assert_null(value_type_balance.parse(&value_type_balance, "ip_hash", "", "", &balance));
	assert_int_equal(level, LOG_WARN);
	assert_int_equal(format, LOG_JSON);
	assert_int_equal(balance, BALANCE_IP_HASH);
}

static struct value_address address_of(const char *text)
{
	struct value_address address = { 0 };

	assert_null(value_type_address.parse(&value_type_address, text, "", "", &address));
	return address;
}

static void addresses_become_what_bind_wants(void **state)
{
	struct value_address any = address_of(":80"), four = address_of("127.0.0.1:81"), six = address_of("[::1]:82"),
			     local = address_of("unix:/run/x");
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&any.sa;
	const struct sockaddr_in *in = (const struct sockaddr_in *)&four.sa;

	(void)state;
	assert_true(any.any_host);
	assert_int_equal(any.sa.ss_family, AF_INET6);
	assert_int_equal(any.sa_len, sizeof(struct sockaddr_in6));
	assert_int_equal(ntohs(in6->sin6_port), 80);
	assert_true(IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr));
	assert_false(four.any_host);
	assert_int_equal(four.sa.ss_family, AF_INET);
	assert_int_equal(ntohs(in->sin_port), 81);
	assert_int_equal(ntohl(in->sin_addr.s_addr), INADDR_LOOPBACK);
	in6 = (const struct sockaddr_in6 *)&six.sa;
	assert_int_equal(ntohs(in6->sin6_port), 82);
	assert_true(IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr));
	assert_string_equal(((const struct sockaddr_un *)&local.sa)->sun_path, "/run/x");
	assert_int_equal(local.sa_len, offsetof(struct sockaddr_un, sun_path) + sizeof("/run/x"));
}

static void addresses_clash_when_one_is_the_other_or_covers_it(void **state)
{
	static const struct {
		const char *a, *b;
		bool clash;
	} cases[] = {
		{ ":80", ":80", true },
		{ ":80", ":81", false },
		{ ":80", "[::]:80", true },
		{ ":80", "127.0.0.1:80", true },
		{ "[::1]:80", ":80", true },
		{ "0.0.0.0:80", "127.0.0.1:80", true },
		{ "127.0.0.1:80", "0.0.0.0:80", true },
		{ "127.0.0.1:80", "127.0.0.2:80", false },
		{ "[::]:80", "[::1]:80", true },
		{ "[::1]:80", "[::2]:80", false },
		{ "[::]:80", "0.0.0.0:80", false }, /* one for each family */
		{ ":80", "unix:/a", false },
		{ "[::1]:80", "[0:0::1]:80", true },
		{ ":0", ":0", false },
		{ "127.0.0.1:0", "127.0.0.1:0", false },
		{ "unix:/a", "unix:/a", true },
		{ "unix:/a", "unix:/b", false },
		{ "unix:/a", "unix:/ab", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct value_address a = address_of(cases[i].a), b = address_of(cases[i].b);

		if (value_address_clash(&a, &b) != cases[i].clash)
			fail_msg("%s and %s", cases[i].a, cases[i].b);
	}
}

static void a_list_of_addresses_grows_refuses_a_second_and_ends(void **state)
{
	struct value_addresses list = { 0 };
	const struct value_type *type = &value_type_addresses;
	struct outbuf out = { 0 };

	(void)state;
	assert_null(type->parse(type, ":0", "", "", &list));
	assert_null(type->parse(type, ":80", "", "", &list));
	assert_string_equal(type->parse(type, ":80", "", "", &list), "duplicate address");
	assert_string_equal(type->parse(type, "x", "", "", &list), "no port");
	assert_int_equal(list.n, 2);
	assert_true(type->print(type, &list, 1, &out));
	assert_int_equal(out.len, 3);
	assert_memory_equal(out.data, ":80", 3);
	assert_false(type->print(type, &list, 2, &out));
	while (list.n < 64)
		assert_null(type->parse(type, ":0", "", "", &list));
	assert_string_equal(type->parse(type, ":0", "", "", &list), "too many addresses");
	outbuf_finish(&out);
	type->finish(&list);
}

static void what_is_accepted_names_choices_and_bounds(void **state)
{
	struct outbuf out = { 0 };

	(void)state;
	value_accepts(&value_type_balance, "", "", &out);
	outbuf_text(&out, "; ");
	value_accepts(&value_type_count, "1", "9", &out);
	outbuf_text(&out, "; ");
	value_accepts(&value_type_log_format, "", "", &out);
	outbuf_append(&out, "", 1);
	assert_string_equal(out.data, "least_conn, round_robin or ip_hash; a number, from 1 to 9; text or json");
	outbuf_finish(&out);
}

static void text_ends_at_the_first_byte_that_is_none(void **state)
{
	static const struct {
		const char *bytes;
		size_t len, span;
	} cases[] = {
		{ "", 0, 0 },
		{ "ab\n\tc", 5, 5 },
		{ "a\0b", 3, 1 },
		{ "a\rb", 3, 1 },
		{ "a\x1b[1m", 5, 1 },
		{ "a\x7f", 2, 1 },
		{ "\xc3\xa9", 2, 2 },
		{ "\xc2\x85", 2, 0 }, /* a C1 control */
		{ "\xc3", 1, 0 },     /* cut */
		{ "\xc3(", 2, 0 },
		{ "\xa9", 1, 0 },     /* a continuation alone */
		{ "\xc0\xaf", 2, 0 }, /* overlong */
		{ "\xe0\x80\xaf", 3, 0 },
		{ "\xf0\x80\x80\xaf", 4, 0 },
		{ "\xed\xa0\x80", 3, 0 }, /* a surrogate */
		{ "\xef\xbf\xbf", 3, 0 }, /* no character */
		{ "\xe2\x82\xac\xf0\x9f\x98\x80", 7, 7 },
		{ "\xf4\x90\x80\x80", 4, 0 }, /* beyond Unicode */
		{ "\xff\xfe", 2, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		/* A block of just that size, so that a sanitizer sees a byte read too far. */
		char *copy = malloc(cases[i].len + !cases[i].len);
		size_t span;

		assert_non_null(copy);
		memcpy(copy, cases[i].bytes, cases[i].len);
		span = text_span(copy, cases[i].len, "\n\t");
		free(copy);
		if (span != cases[i].span)
			fail_msg("case %zu: %zu, expected %zu", i, span, cases[i].span);
	}
}

static void text_is_quoted_only_where_it_must_be(void **state)
{
	static const struct {
		const char *text;
		size_t max;
		const char *plain;
	} cases[] = {
		{ "least_conn", 60, "least_conn" },
		{ "/run/a-b.sock", 60, "/run/a-b.sock" },
		{ "", 60, "\"\"" },
		{ "-", 60, "\"-\"" },
		{ "~", 60, "\"~\"" },
		{ ":80", 60, "\":80\"" },
		{ "a: b", 60, "\"a: b\"" },
		{ "a\"b\\c\n\t\x01", 60, "\"a\\\"b\\\\c\\n\\t\\u0001\"" },
		{ "\xe2\x80\xa8\xef\xbb\xbf\xc3\xa9", 60, "\"\\u2028\\ufeff\xc3\xa9\"" },
		{ "\xff", 60, "\"\\xff\"" },
		{ "abcdef", 3, "\"abc...\"" },
		{ "ab\xc3\xa9"
		  "f",
			3, "\"ab\xc3\xa9...\"" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct outbuf out = { 0 };

		text_plain(&out, cases[i].text, strlen(cases[i].text), cases[i].max);
		outbuf_append(&out, "", 1);
		if (strcmp(out.data, cases[i].plain))
			fail_msg("%s, expected %s", out.data, cases[i].plain);
		outbuf_finish(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_value_is_taken_or_refused_for_its_reason),
		cmocka_unit_test(choices_have_the_numbers_of_their_enums),
		cmocka_unit_test(addresses_become_what_bind_wants),
		cmocka_unit_test(addresses_clash_when_one_is_the_other_or_covers_it),
		cmocka_unit_test(a_list_of_addresses_grows_refuses_a_second_and_ends),
		cmocka_unit_test(what_is_accepted_names_choices_and_bounds),
		cmocka_unit_test(text_ends_at_the_first_byte_that_is_none),
		cmocka_unit_test(text_is_quoted_only_where_it_must_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
