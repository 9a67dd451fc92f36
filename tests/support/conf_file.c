/* conf_file.c - written to a directory of its own, loaded, and its name taken out of what is said. */
#include "support/conf_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <uv.h>

int conf_file_make(void **state)
{
	struct conf_file *fixture = calloc(1, sizeof(*fixture));

	if (!fixture)
		return -1;
	strcpy(fixture->dir, "/tmp/rmsd-conf-XXXXXX");
	if (!mkdtemp(fixture->dir))
		return -1;
	snprintf(fixture->file, sizeof(fixture->file), "%s/t.conf", fixture->dir);
	*state = fixture;
	return 0;
}

int conf_file_remove(void **state)
{
	struct conf_file *fixture = *state;

	unlink(fixture->file);
	rmdir(fixture->dir);
	outbuf_finish(&fixture->errors);
	free(fixture);
	return 0;
}

static void write_file(const struct conf_file *fixture, const char *bytes, size_t len)
{
	FILE *stream = fopen(fixture->file, "w");

	assert_non_null(stream);
	assert_int_equal(fwrite(bytes, 1, len, stream), len);
	assert_int_equal(fclose(stream), 0);
}

void conf_file_shorten(struct conf_file *fixture, const char *name)
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

struct conf *conf_file_load(struct conf_file *fixture, const char *name, const char *const *overrides)
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
	conf_file_shorten(fixture, name ? name : "\177");
	return conf;
}

struct conf *conf_file_bytes(struct conf_file *fixture, const char *bytes, size_t len, const char *const *overrides)
{
	write_file(fixture, bytes, len);
	return conf_file_load(fixture, fixture->file, overrides);
}

struct conf *conf_file_text(struct conf_file *fixture, const char *text, const char *const *overrides)
{
	struct conf *conf = conf_file_bytes(fixture, text, strlen(text), overrides);

	if (!conf)
		fail_msg("%s", fixture->errors.data);
	return conf;
}
