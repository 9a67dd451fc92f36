/* test_log.c - base/log and base/log_line, through a pipe that stands for stderr. */
#include <fcntl.h>
#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>
#include <uv.h>

#include "base/log.h"
#include "base/outbuf.h"

enum { RING_SIZE = 1024 };

struct fixture {
	int real_stderr;
	int pipe; /* to read from */
	struct outbuf text;
};

static int setup(void **state)
{
	static struct fixture f;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) || fcntl(fds[1], F_SETPIPE_SZ, 1 << 20) < 0)
		return -1;
	fflush(stderr);
	f = (struct fixture){ .real_stderr = dup(STDERR_FILENO), .pipe = fds[0] };
	*state = &f;
	dup2(fds[1], STDERR_FILENO);
	return close(fds[1]);
}

static void restore_stderr(struct fixture *f)
{
	if (f->real_stderr < 0)
		return;
	dup2(f->real_stderr, STDERR_FILENO);
	close(f->real_stderr);
	f->real_stderr = -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	restore_stderr(f);
	log_stop();
	close(f->pipe);
	outbuf_finish(&f->text);
	return 0;
}

/* Everything written until now, NUL-terminated. Gives stderr back, so that what fails from here on is seen. */
static char *finish(struct fixture *f)
{
	ssize_t n;

	log_stop();
	restore_stderr(f);
	do {
		char *at = outbuf_reserve(&f->text, 65536);

		assert_non_null(at);
		n = read(f->pipe, at, 65536);
		assert_true(n >= 0);
		f->text.len += (size_t)n;
	} while (n);
	outbuf_append(&f->text, "", 1);
	return f->text.data;
}

static void assert_matches(const char *text, const char *pattern)
{
	regex_t regex;
	int err;

	assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
	err = regexec(&regex, text, 0, NULL, 0);
	regfree(&regex);
	if (err)
		fail_msg("\"%s\" does not match %s", text, pattern);
}

#define TIME "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{3}Z"

static void log_text_has_time_level_message_and_facts(void **state)
{
	assert_int_equal(log_start(LOG_INFO, LOG_TEXT), 0);
	log_info("worker is up", "worker=%s port=%u", "app2", 5002u);
	log_error("out of memory", "");
	assert_matches(
		finish(*state), "^" TIME " info worker is up worker=app2 port=5002\n" TIME " error out of memory\n$");
}

static void log_time_is_utc_and_now(void **state)
{
	time_t before = time(NULL), written;
	struct tm tm = { 0 };
	const char *rest;

	assert_int_equal(log_start(LOG_INFO, LOG_TEXT), 0);
	log_info("x", "");
	rest = strptime(finish(*state), "%Y-%m-%dT%H:%M:%S", &tm);
	assert_non_null(rest);
	written = timegm(&tm);
	assert_in_range(written, before, time(NULL));
}

static void log_leaves_out_what_is_below_its_level(void **state)
{
	assert_int_equal(log_start(LOG_WARN, LOG_TEXT), 0);
	assert_false(log_enabled(LOG_INFO));
	assert_true(log_enabled(LOG_WARN));
	log_debug("no", "");
	log_info("no", "");
	log_warn("yes", "");
	log_error("yes", "");
	assert_matches(finish(*state), "^[^ ]+ warn yes\n[^ ]+ error yes\n$");
}

static void log_writes_straight_before_start_and_after_stop(void **state)
{
	log_warn("before", "n=%d", 1);
	assert_int_equal(log_start(LOG_WARN, LOG_TEXT), 0);
	log_stop();
	log_warn("after", "n=%d", 2);
	assert_matches(finish(*state), "^[^ ]+ warn before n=1\n[^ ]+ warn after n=2\n$");
}

static void log_starts_once(void **state)
{
	assert_int_equal(log_start(LOG_INFO, LOG_TEXT), 0);
	assert_int_equal(log_start(LOG_INFO, LOG_TEXT), UV_EBUSY);
	log_stop();
	log_stop();
	assert_int_equal(log_start(LOG_INFO, LOG_TEXT), 0);
	log_info("again", "");
	assert_matches(finish(*state), "^[^ ]+ info again\n$");
}

enum { THREADS = 4, LINES = 250 };

static void write_lines(void *thread)
{
	for (int i = 0; i < LINES; i++)
		log_info("line", "thread=%d number=%d", *(int *)thread, i);
}

static void log_takes_lines_of_many_threads(void **state)
{
	uv_thread_t threads[THREADS];
	int numbers[THREADS], next[THREADS] = { 0 }, total = 0;

	_Static_assert(THREADS * LINES < RING_SIZE, "none may be lost");
	assert_int_equal(log_start(LOG_INFO, LOG_TEXT), 0);
	for (int i = 0; i < THREADS; i++) {
		numbers[i] = i;
		assert_int_equal(uv_thread_create(&threads[i], write_lines, &numbers[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		uv_thread_join(&threads[i]);
	for (char *line = strtok(finish(*state), "\n"); line; line = strtok(NULL, "\n"), total++) {
		int thread, number;

		assert_int_equal(sscanf(line, "%*s info line thread=%d number=%d", &thread, &number), 2);
		assert_in_range(thread, 0, THREADS - 1);
		assert_int_equal(number, next[thread]++);
	}
	assert_int_equal(total, THREADS * LINES);
	assert_int_equal(log_dropped(), 0);
}

static const struct {
	const char *bytes;
	const char *quoted;
} quotes[] = {
	{ "", "\"\"" },
	{ "plain text", "\"plain text\"" },
	{ "a\"b", "\"a\\\"b\"" },
	{ "a\\b", "\"a\\\\b\"" },
	{ "GET /\r\nx", "\"GET /\\x0d\\x0ax\"" },
	{ "\x1b[31m", "\"\\x1b[31m\"" },
	{ "\x7f\x80\xff", "\"\\x7f\\x80\\xff\"" },
	{ "caf\xc3\xa9", "\"caf\\xc3\\xa9\"" },
};

static void log_quote_escapes_what_would_end_a_value_or_a_line(void **state)
{
	char buf[64];

	(void)state;
	for (size_t i = 0; i < sizeof(quotes) / sizeof(quotes[0]); i++)
		assert_string_equal(
			log_quote(buf, sizeof(buf), quotes[i].bytes, strlen(quotes[i].bytes)), quotes[i].quoted);
	assert_string_equal(log_quote(buf, sizeof(buf), "a\0b", 3), "\"a\\x00b\"");
}

static void log_word_quotes_only_what_is_no_plain_word(void **state)
{
	static const char *const rows[][2] = {
		{ "unix:/run/a.sock", "unix:/run/a.sock" },
		{ "", "\"\"" },
		{ "a b", "\"a b\"" },
		{ "a\nb", "\"a\\x0ab\"" },
		{ "a\"b", "\"a\\\"b\"" },
		{ "\\", "\"\\\\\"" },
		{ "\xc3\xa9", "\"\\xc3\\xa9\"" },
		{ "\x7f", "\"\\x7f\"" },
	};
	char buf[64];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(log_word(buf, sizeof(buf), rows[i][0]), rows[i][1]);
}

static void log_quote_cuts_between_two_escapes(void **state)
{
	static const char bytes[] = "a\"\\\x01z\xff\n";
	static const char *const whole = "\"a\\\"\\\\\\x01z\\xff\\x0a\"";
	char buf[32];

	(void)state;
	for (size_t size = 0; size <= sizeof(buf); size++) {
		const char *quoted;
		size_t len;

		memset(buf, '#', sizeof(buf));
		quoted = log_quote(buf, size, bytes, sizeof(bytes) - 1);
		if (!size)
			continue;
		len = strnlen(quoted, size);
		assert_true(len < size);
		if (size > strlen(whole)) {
			assert_string_equal(quoted, whole);
		} else if (size > 5) {
			/* a whole number of bytes, and the mark */
			assert_matches(quoted, "^\"([^\\\"]|\\\\[\\\"]|\\\\x[0-9a-f]{2})*[.]{3}\"$");
			assert_memory_equal(quoted, whole, len - 4);
		} else {
			assert_string_equal(quoted, "");
		}
	}
}

static const struct {
	const char *facts;
	const char *json; /* the members behind time, level and message */
} facts_cases[] = {
	{ "", "{}" },
	{ "worker=app2 port=5002", "{\"worker\":\"app2\",\"port\":\"5002\"}" },
	{ "a=", "{\"a\":\"\"}" },
	{ "a= b=2", "{\"a\":\"\",\"b\":\"2\"}" },
	{ "alone", "{\"alone\":\"\"}" },
	{ "a=b=c", "{\"a\":\"b=c\"}" },
	{ "  a=1   b=2  ", "{\"a\":\"1\",\"b\":\"2\"}" },
	{ "q=\"two words\" r=x", "{\"q\":\"two words\",\"r\":\"x\"}" },
	{ "q=\"\" r=x", "{\"q\":\"\",\"r\":\"x\"}" },
	{ "q=\"a\\\"b\\\\c\"", "{\"q\":\"a\\\"b\\\\c\"}" },
	{ "q=\"\\x0d\\x0a\\x00\\xff\"", "{\"q\":\"\\r\\n\\u0000\\u00ff\"}" },
	{ "q=\"\\xzz\\q\"", "{\"q\":\"\\\\xzz\\\\q\"}" },
	{ "q=\"open", "{\"q\":\"open\"}" },
	{ "q=\"open\\", "{\"q\":\"open\\\\\"}" },
	{ "q=\"open\\x4", "{\"q\":\"open\\\\x4\"}" },
	{ "q=a\"b\\c", "{\"q\":\"a\\\"b\\\\c\"}" },
	{ "raw=\x01\xff", "{\"raw\":\"\\u0001\\u00ff\"}" },
	{ "k\"ey=1", "{\"k\\\"ey\":\"1\"}" },
};

static json_t *parse(const char *line)
{
	json_t *json = json_loads(line, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);

	if (!json)
		fail_msg("not JSON: %s", line);
	return json;
}

static void log_json_has_a_member_for_each_fact(void **state)
{
	enum { CASES = sizeof(facts_cases) / sizeof(facts_cases[0]) };
	char *line, *rest;

	assert_int_equal(log_start(LOG_INFO, LOG_JSON), 0);
	for (size_t i = 0; i < CASES; i++)
		log_info("it \"happened\"", "%s", facts_cases[i].facts);
	rest = finish(*state);
	for (size_t i = 0; i < CASES; i++) {
		json_t *json, *expected = parse(facts_cases[i].json);

		line = strsep(&rest, "\n");
		assert_non_null(rest);
		json = parse(line);
		assert_matches(json_string_value(json_object_get(json, "time")), "^" TIME "$");
		assert_string_equal(json_string_value(json_object_get(json, "level")), "info");
		assert_string_equal(json_string_value(json_object_get(json, "message")), "it \"happened\"");
		json_object_del(json, "time");
		json_object_del(json, "level");
		json_object_del(json, "message");
		if (!json_equal(json, expected))
			fail_msg("facts %s: %s", facts_cases[i].facts, line);
		json_decref(json);
		json_decref(expected);
	}
	assert_string_equal(rest, "");
}

static void log_json_carries_every_byte_that_was_quoted(void **state)
{
	enum { PART = 64 };
	char buf[8 * PART], *rest;

	assert_int_equal(log_start(LOG_INFO, LOG_JSON), 0);
	for (int first = 0; first < 256; first += PART) {
		char bytes[PART];

		for (int i = 0; i < PART; i++)
			bytes[i] = (char)(first + i);
		log_info("bytes", "q=%s", log_quote(buf, sizeof(buf), bytes, PART));
	}
	rest = finish(*state);
	for (int first = 0; first < 256; first += PART) {
		json_t *json = parse(strsep(&rest, "\n")), *q = json_object_get(json, "q");
		const unsigned char *utf8 = (const unsigned char *)json_string_value(q);

		for (int i = first; i < first + PART; i++) {
			int point = *utf8++;

			if (point >= 0xc0)
				point = (point & 0x1f) << 6 | (*utf8++ & 0x3f);
			assert_int_equal(point, i);
		}
		assert_ptr_equal(utf8, json_string_value(q) + json_string_length(q));
		json_decref(json);
	}
}

static void write_long_lines(void)
{
	static char value[5000], quoted[5000];

	memset(value, 'v', sizeof(value) - 1);
	log_info("long", "key=%s", value);
	memset(value, '\xff', sizeof(value) - 1);
	log_info("long", "key=%s", value);
	/* A cut may fall on any byte of an escape. */
	for (int i = 0; i < 4; i++)
		log_info("long", "%.*skey=%s", i, "pppp", log_quote(quoted, sizeof(quoted), value, sizeof(value) - 1));
	memset(value, '\x01', sizeof(value) - 1);
	for (size_t i = 1; i < sizeof(value) - 1; i += 2)
		value[i] = ' ';
	log_info("long", "%s", value);
	memset(value, 'k', sizeof(value) - 1);
	log_info("long", "%s=1", value);
}

static void log_cuts_a_long_line(void **state)
{
	int lines = 0;

	assert_int_equal(log_start(LOG_INFO, LOG_TEXT), 0);
	write_long_lines();
	for (char *line = strtok(finish(*state), "\n"); line; line = strtok(NULL, "\n"), lines++) {
		assert_in_range(strlen(line), 400, 600);
		assert_string_equal(line + strlen(line) - 3, "...");
	}
	assert_int_equal(lines, 8);
}

static void log_cuts_a_long_line_and_it_is_still_json(void **state)
{
	int lines = 0;

	assert_int_equal(log_start(LOG_INFO, LOG_JSON), 0);
	write_long_lines();
	for (char *line = strtok(finish(*state), "\n"); line; line = strtok(NULL, "\n"), lines++) {
		/* Two of the lines are nonsense that repeats a key; JSON has nothing against it. */
		json_t *json = json_loads(line, JSON_ALLOW_NUL, NULL);

		if (!json || !strstr(line, "..."))
			fail_msg("not JSON, or not marked: %s", line);
		json_decref(json);
	}
	assert_int_equal(lines, 8);
}

/* Nobody reads, and not one byte more fits. */
static void fill_pipe(void)
{
	char bytes[4096];
	int flags = fcntl(STDERR_FILENO, F_GETFL);

	memset(bytes, '\n', sizeof(bytes));
	assert_true(fcntl(STDERR_FILENO, F_SETPIPE_SZ, 4096) >= 4096);
	assert_int_equal(fcntl(STDERR_FILENO, F_SETFL, flags | O_NONBLOCK), 0);
	while (write(STDERR_FILENO, bytes, sizeof(bytes)) > 0)
		;
	assert_int_equal(fcntl(STDERR_FILENO, F_SETFL, flags), 0);
}

static void log_drops_and_counts_what_a_full_ring_cannot_take(void **state)
{
	enum { LOST = 50 };
	struct fixture *f = *state;
	int next = 0, told = 0;
	FILE *reader;
	char line[1024];

	fill_pipe();
	assert_int_equal(log_start(LOG_INFO, LOG_TEXT), 0);
	for (int i = 0; i < RING_SIZE + LOST; i++) /* nobody who logs waits: else this never ends */
		log_info("line", "number=%d", i);
	assert_int_equal(log_dropped(), LOST);

	reader = fdopen(dup(f->pipe), "r");
	assert_non_null(reader);
	while (next < RING_SIZE || told < LOST) {
		char *text = fgets(line, sizeof(line), reader);
		int number, count;

		assert_non_null(text);
		if (*text == '\n')
			continue;
		if (sscanf(text, "%*s info line number=%d", &number) == 1) {
			assert_int_equal(number, next++);
			continue;
		}
		/* At once, or in parts: the writer may have come to its first line when the ring was full already. */
		assert_matches(text, "^" TIME " warn lines were lost count=[0-9]+\n$");
		assert_int_equal(sscanf(text, "%*s warn lines were lost count=%d", &count), 1);
		told += count;
		assert_in_range(told, 1, LOST);
	}
	fclose(reader);
	log_info("last", "");
	assert_matches(finish(f), "^" TIME " info last\n$");
	assert_int_equal(log_dropped(), LOST);
}

static void log_stop_gives_up_on_a_stderr_that_nobody_reads(void **state)
{
	uint64_t start;

	(void)state;
	fill_pipe();
	assert_int_equal(log_start(LOG_INFO, LOG_TEXT), 0);
	log_info("one", "");
	log_info("two", "");
	start = uv_hrtime();
	log_stop();
	assert_in_range((uv_hrtime() - start) / 1000000, 900, 5000);
	assert_int_equal(log_dropped(), 2);
	log_info("three", ""); /* straight to where nobody reads: must return as well */
}

static void log_survives_a_stderr_that_is_gone(void **state)
{
	struct fixture *f = *state;

	close(STDERR_FILENO);
	assert_int_equal(log_start(LOG_INFO, LOG_TEXT), 0);
	log_info("one", "");
	log_stop();
	restore_stderr(f);
	assert_int_equal(log_dropped(), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(log_text_has_time_level_message_and_facts, setup, teardown),
		cmocka_unit_test_setup_teardown(log_time_is_utc_and_now, setup, teardown),
		cmocka_unit_test_setup_teardown(log_leaves_out_what_is_below_its_level, setup, teardown),
		cmocka_unit_test_setup_teardown(log_writes_straight_before_start_and_after_stop, setup, teardown),
		cmocka_unit_test_setup_teardown(log_starts_once, setup, teardown),
		cmocka_unit_test_setup_teardown(log_takes_lines_of_many_threads, setup, teardown),
		cmocka_unit_test(log_quote_escapes_what_would_end_a_value_or_a_line),
		cmocka_unit_test(log_word_quotes_only_what_is_no_plain_word),
		cmocka_unit_test(log_quote_cuts_between_two_escapes),
		cmocka_unit_test_setup_teardown(log_json_has_a_member_for_each_fact, setup, teardown),
		cmocka_unit_test_setup_teardown(log_json_carries_every_byte_that_was_quoted, setup, teardown),
		cmocka_unit_test_setup_teardown(log_cuts_a_long_line, setup, teardown),
		cmocka_unit_test_setup_teardown(log_cuts_a_long_line_and_it_is_still_json, setup, teardown),
		cmocka_unit_test_setup_teardown(log_drops_and_counts_what_a_full_ring_cannot_take, setup, teardown),
		cmocka_unit_test_setup_teardown(log_stop_gives_up_on_a_stderr_that_nobody_reads, setup, teardown),
		cmocka_unit_test_setup_teardown(log_survives_a_stderr_that_is_gone, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
