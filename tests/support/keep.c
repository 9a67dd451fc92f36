/* keep.c - memory that a test need not free. */
#include "support/keep.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct kept {
	struct kept *next;
	void *memory;
};

static struct kept *all; /* what a leak checker finds everything by */

void *keep(void *memory)
{
	struct kept *kept = malloc(sizeof(*kept));

	assert_non_null(memory);
	assert_non_null(kept);
	kept->memory = memory;
	kept->next = all;
	all = kept;
	return memory;
}

char *keepf(const char *format, ...)
{
	char *text = NULL;
	va_list args;
	int len;

	va_start(args, format);
	len = vasprintf(&text, format, args);
	va_end(args);
	assert_true(len >= 0);
	return keep(text);
}
