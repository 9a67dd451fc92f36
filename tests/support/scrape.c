/* scrape.c - numbers out of Prometheus' text format. */
#include "support/scrape.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Is label one of those between the braces? A label ends its value with a quote, so no longer one contains it. */
static bool carries(const char *braces, size_t len, const char *label)
{
	const char *found = memmem(braces, len, label, strlen(label));

	return found && (found[-1] == '{' || found[-1] == ',');
}

double scrape_sum(const char *text, const char *name, const char *const labels[], unsigned *n)
{
	size_t name_len = strlen(name);
	const char *line, *next;
	double sum = 0;
	unsigned found = 0;

	for (line = text; line && *line; line = next) {
		const char *end = strchr(line, '\n'), *value = line + name_len, *const * label;
		const char *braces_end;
		bool all = true;

		next = end ? end + 1 : NULL;
		if (strncmp(line, name, name_len) || (*value != ' ' && *value != '{'))
			continue;
		braces_end = *value == '{' ? strchr(value, '}') : value;
		if (!braces_end)
			continue;
		for (label = labels; *label; label++)
			all = all && carries(value, (size_t)(braces_end - value), *label);
		if (!all)
			continue;
		sum += strtod(braces_end + (*value == '{'), NULL);
		found++;
	}
	if (n)
		*n = found;
	return sum;
}
