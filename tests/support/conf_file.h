/*
 * conf_file.h - a file for conf_load(), and what it said of it.
 *
 * Thread: the test's.
 */
#ifndef RMSD_TESTS_CONF_FILE_H
#define RMSD_TESTS_CONF_FILE_H

#include <stddef.h>
#include "conf/conf.h"

struct conf_file {
	char dir[32], file[64];
	struct outbuf errors; /* of the last load, NUL-terminated; the file's name is FILE in it */
};

/* A setup and a teardown for cmocka: *state is a conf_file. */
int conf_file_make(void **state);
int conf_file_remove(void **state);

/* NULL if it was refused, which errors must tell. overrides: ended by NULL, or NULL. */
struct conf *conf_file_load(struct conf_file *fixture, const char *name, const char *const *overrides);
/* The same of a file of those bytes. */
struct conf *conf_file_bytes(struct conf_file *fixture, const char *bytes, size_t len, const char *const *overrides);
/* The same of a text that must be accepted. */
struct conf *conf_file_text(struct conf_file *fixture, const char *text, const char *const *overrides);
/* name is FILE in what errors hold. */
void conf_file_shorten(struct conf_file *fixture, const char *name);

#endif
