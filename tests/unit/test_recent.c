/* test_recent.c - http/recent: what is remembered never changes a verdict, whatever came before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/recent.h"

static const struct message_limits limits = { .header_size = 4096, .uri_size = 64, .fields = 100, .body_size = 32 };

#define GET(target) "GET " target " HTTP/1.1\r\nHost: a\r\n\r\n"
#define CHUNKED "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
#define POST "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n"

static const char *const inputs[] = {
	GET("/"),
	GET("/a"),
	GET("/") GET("/a"),
	"GET / HTTP/1.1\r\nHost: a\r\n\r",
	"GET / HTTP/1.1\r\nHost: a\r\nX: a longer one\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: b\r\n\r\n",
	"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET / HTTP/1.0\r\n\r\n",
	"\r\n" GET("/"),
	GET("/%2e%2e/"),
	GET("/a/../b?x"),
	GET("bad"),
	"GET / HTTP/1.1\r\n\r\n",
	POST,
	POST "ab",
	POST "cd",
	POST "cd" GET("/"),
	CHUNKED,
	CHUNKED "1\r\nx\r\n0\r\n\r\n",
	CHUNKED "1\r\ny\r\n0\r\n\r\n",
	"",
};

enum { N = sizeof(inputs) / sizeof(inputs[0]) };

static struct recent *setup_recent(void)
{
	struct recent *recent = calloc(1, sizeof(*recent));

	assert_non_null(recent);
	return recent;
}

static void finish(struct recent *recent)
{
	message_finish(&recent->message);
	free(recent);
}

static void expect_span(struct message_span a, struct message_span b)
{
	assert_int_equal(a.at, b.at);
	assert_int_equal(a.len, b.len);
}

static void expect_as_if_alone(struct recent *recent, const char *input, size_t len)
{
	struct recent *fresh = setup_recent();
	enum message_status status =
		message_feed((message_init(&fresh->message), &fresh->message), &limits, input, len);
	const struct message *a = &recent->message, *b = &fresh->message;

	assert_int_equal(recent_feed(recent, &limits, input, len), status);
	assert_int_equal(a->error, b->error);
	if (status == MESSAGE_COMPLETE) {
		assert_int_equal(a->length, b->length);
		assert_int_equal(a->head_len, b->head_len);
		assert_int_equal(a->method, b->method);
		assert_int_equal(a->minor, b->minor);
		assert_int_equal(a->keep_alive, b->keep_alive);
		assert_int_equal(a->chunked, b->chunked);
		assert_int_equal(a->path_spelled, b->path_spelled);
		assert_int_equal(a->chunked_body.len, b->chunked_body.len);
		if (b->chunked_body.len)
			assert_memory_equal(a->chunked_body.data, b->chunked_body.data, b->chunked_body.len);
		expect_span(a->path, b->path);
		expect_span(a->query, b->query);
		assert_int_equal(a->n_fields, b->n_fields);
		for (uint32_t i = 0; i < b->n_fields; i++) {
			expect_span(a->fields[i].name, b->fields[i].name);
			expect_span(a->fields[i].value, b->fields[i].value);
		}
	}
	/* Who gets the message frees what it owns before the next one. */
	message_finish(&recent->message);
	finish(fresh);
}

static void each_pair_is_judged_as_if_alone(void **state)
{
	(void)state;
	for (unsigned i = 0; i < N; i++) {
		for (unsigned j = 0; j < N; j++) {
			struct recent *recent = setup_recent();

			expect_as_if_alone(recent, inputs[i], strlen(inputs[i]));
			expect_as_if_alone(recent, inputs[j], strlen(inputs[j]));
			expect_as_if_alone(recent, inputs[j], strlen(inputs[j]));
			expect_as_if_alone(recent, inputs[i], strlen(inputs[i]));
			finish(recent);
		}
	}
}

static void each_cut_is_judged_as_if_alone(void **state)
{
	struct recent *recent = setup_recent();

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		for (size_t len = 0; len <= strlen(inputs[i]); len++) {
			/* From the heap, and no longer than that: the sanitizer sees a look behind it. */
			char *copy = malloc(len + 1);

			assert_non_null(copy);
			memcpy(copy, inputs[i], len);
			copy[len] = '\0';
			expect_as_if_alone(recent, inputs[0], strlen(inputs[0]));
			expect_as_if_alone(recent, copy, len);
			free(copy);
		}
	}
	finish(recent);
}

static void only_what_is_whole_short_and_has_no_body_is_remembered(void **state)
{
	static char head[2 * RECENT_MAX];
	const char *begin = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
	struct recent *recent = setup_recent();

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		enum message_status status = recent_feed(recent, &limits, inputs[i], strlen(inputs[i]));
		const struct message *message = &recent->message;
		bool plain = status == MESSAGE_COMPLETE && message->length == message->head_len && !message->chunked;

		assert_int_equal(recent->len, plain ? message->head_len : 0);
		message_finish(&recent->message);
	}
	for (size_t len = RECENT_MAX - 1; len <= RECENT_MAX + 1; len++) {
		memset(head, 'x', len);
		memcpy(head, begin, strlen(begin));
		memcpy(head + len - 4, "\r\n\r\n", 4);
		expect_as_if_alone(recent, head, len);
		assert_int_equal(recent->len, len <= RECENT_MAX ? len : 0);
	}
	finish(recent);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_pair_is_judged_as_if_alone),
		cmocka_unit_test(each_cut_is_judged_as_if_alone),
		cmocka_unit_test(only_what_is_whole_short_and_has_no_body_is_remembered),
	};

	return cmocka_run_group_tests_name("recent", tests, NULL, NULL);
}
