/* option.c - the rows of options.def. */
#include "conf/option.h"

#include <string.h>

/* No known key is half as long. */
enum { KEY_COMPARED = 48 };

const struct option options[OPTION_COUNT] = {
#define OPTION(kind, key, standard, least, most, when, text) \
	{ .name = #key, \
		.def = standard, \
		.min = least, \
		.max = most, \
		.help = text, \
		.type = &value_type_##kind, \
		.offset = offsetof(struct conf, key), \
		.size = sizeof(value_##kind) },
#include "conf/options.def"
};

enum option_id option_find(const char *name, size_t len)
{
	unsigned i = 0;

	while (i < OPTION_COUNT && (strlen(options[i].name) != len || memcmp(options[i].name, name, len)))
		i++;
	return (enum option_id)i;
}

/* Levenshtein's: insertions, deletions and replacements that make one of the other. */
static size_t distance(const char *a, size_t a_len, const char *b)
{
	size_t row[KEY_COMPARED + 1], b_len = strnlen(b, KEY_COMPARED);

	for (size_t j = 0; j <= b_len; j++)
		row[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			size_t best = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			if (diagonal + 1 < best)
				best = diagonal + 1;
			row[j] = best;
		}
	}
	return row[b_len];
}

/* Rounded up, so that a key of four letters may have two swapped. */
static size_t tolerance(size_t len, const char *known)
{
	size_t longer = strlen(known) > len ? strlen(known) : len;

	return (longer + 2) / 3;
}

bool option_is_near(const char *name, size_t len, const char *known)
{
	return len <= KEY_COMPARED && distance(name, len, known) <= tolerance(len, known);
}

const char *option_nearest(const char *name, size_t len)
{
	static const char *const blocks[] = { "routes", "worker" };
	const char *nearest = NULL;
	size_t least = SIZE_MAX;

	if (len > KEY_COMPARED)
		return NULL;
	for (unsigned i = 0; i < OPTION_COUNT + 2; i++) {
		const char *known = i < OPTION_COUNT ? options[i].name : blocks[i - OPTION_COUNT];
		size_t d = distance(name, len, known);

		if (d < least && d <= tolerance(len, known)) {
			least = d;
			nearest = known;
		}
	}
	return nearest;
}
