/* scratch.c - a directory of a test, and files in it. */
#include "support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/keep.h"
#include "support/program.h"

const char *scratch_make(void)
{
	char *dir = keepf("/tmp/rmsd-test-XXXXXX");

	assert_non_null(mkdtemp(dir));
	return dir;
}

void scratch_remove(const char *dir)
{
	program_call("rm", "-rf", dir, NULL);
}

const char *scratch_write(const char *dir, const char *name, const void *bytes, size_t len)
{
	const char *path = keepf("%s/%s", dir, name);
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
	return path;
}

const char *scratch_write_text(const char *dir, const char *name, const char *text)
{
	return scratch_write(dir, name, text, strlen(text));
}
