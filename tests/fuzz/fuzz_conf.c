/*
 * fuzz_conf.c - rmsd.conf and -o: what is accepted is accepted again as -T writes it, and means the same.
 *
 * Input: the file; behind a NUL, overrides with NULs between them.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "fuzz/fuzz.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <uv.h>

#include "conf/conf.h"

enum { OVERRIDES_MAX = 16 };

static struct conf *load(const void *bytes, size_t len, const char *const *overrides, size_t n, struct outbuf *errors)
{
	static int fd = -1;
	struct conf *conf = NULL;
	char name[40];
	int err;

	if (fd < 0)
		fd = memfd_create("rmsd.conf", MFD_CLOEXEC);
	FUZZ_CHECK(fd >= 0 && ftruncate(fd, 0) == 0 && pwrite(fd, bytes, len, 0) == (ssize_t)len, "no file");
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	err = conf_load(name, overrides, n, &conf, errors);
	FUZZ_CHECK(err == 0 || err == UV_EINVAL, "%d", err);
	FUZZ_CHECK((err == 0) == (conf != NULL) && (err == 0) == (errors->len == 0), "%d, and %zu bytes of errors", err,
		errors->len);
	return conf;
}

/* Errors are lines of text for a terminal. */
static void check_errors(const struct outbuf *errors)
{
	for (size_t i = 0; i < errors->len; i++)
		FUZZ_CHECK((unsigned char)errors->data[i] >= 0x20 || errors->data[i] == '\n', "byte %d in an error",
			errors->data[i]);
	FUZZ_CHECK(!errors->len || errors->data[errors->len - 1] == '\n', "an error without a line end");
}

static struct outbuf dump(const struct conf *conf, void (*write)(const struct conf *conf, struct outbuf *out))
{
	struct outbuf out = { 0 };

	write(conf, &out);
	FUZZ_CHECK(!out.failed, "out of memory");
	return out;
}

static void check_equal(const struct outbuf *one, const struct outbuf *two)
{
	FUZZ_CHECK(one->len == two->len && !memcmp(one->data, two->data, one->len), "this:\n%.*s\nand this:\n%.*s",
		(int)one->len, one->data, (int)two->len, two->data);
}

/* conf, and what -T says of it, and what -T says of that. */
static void check_dump(const struct conf *conf)
{
	struct outbuf errors = { 0 }, first = dump(conf, conf_dump), json = dump(conf, conf_dump_json);
	struct outbuf second, third, json_again;
	struct conf *again = load(first.data, first.len, NULL, 0, &errors), *once_more;

	FUZZ_CHECK(again, "refused: %.*s\n%.*s", (int)errors.len, errors.data, (int)first.len, first.data);
	json_again = dump(again, conf_dump_json);
	check_equal(&json, &json_again);
	/* Comments tell another origin in the first one. */
	second = dump(again, conf_dump);
	once_more = load(second.data, second.len, NULL, 0, &errors);
	FUZZ_CHECK(once_more, "refused: %.*s", (int)errors.len, errors.data);
	third = dump(once_more, conf_dump);
	check_equal(&second, &third);
	conf_unref(again);
	conf_unref(once_more);
	outbuf_finish(&first);
	outbuf_finish(&second);
	outbuf_finish(&third);
	outbuf_finish(&json);
	outbuf_finish(&json_again);
	outbuf_finish(&errors);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size ? memchr(data, '\0', size) : NULL;
	size_t file_len = end ? (size_t)(end - data) : size, n = 0;
	const char *overrides[OVERRIDES_MAX];
	struct outbuf errors = { 0 };
	struct conf *conf;
	char *text = NULL;

	if (end) {
		size_t len = size - file_len - 1;

		text = malloc(len + 1);
		FUZZ_CHECK(text, "out of memory");
		memcpy(text, end + 1, len);
		text[len] = '\0';
		for (const char *at = text; at < text + len && n < OVERRIDES_MAX; at += strlen(at) + 1)
			overrides[n++] = at;
	}
	conf = load(data, file_len, overrides, n, &errors);
	check_errors(&errors);
	if (conf)
		check_dump(conf);
	conf_unref(conf);
	outbuf_finish(&errors);
	free(text);
	return 0;
}
