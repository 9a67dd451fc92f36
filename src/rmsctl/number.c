/* number.c - digits, and their units. */
#include "rmsctl/number.h"

#include <stddef.h>
#include <string.h>

bool number_read(const char *text, uint64_t *value, const char **end)
{
	bool fits = true;
	uint64_t n = 0;

	for (*end = text; **end >= '0' && **end <= '9'; ++*end)
		fits = fits && !__builtin_mul_overflow(n, 10, &n) &&
			!__builtin_add_overflow(n, (uint64_t)(**end - '0'), &n);
	*value = n;
	return fits && *end > text;
}

const char *number_read_duration(const char *text, uint64_t least_ms, uint64_t most_ms, uint64_t *ms)
{
	static const struct {
		const char *name;
		uint64_t factor;
	} units[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 } };
	const char *end;
	uint64_t n;
	bool fits = number_read(text, &n, &end);

	if (end == text)
		return *text == '-' && text[1] >= '0' && text[1] <= '9' ? "out of range" : "not a number";
	if (!*end)
		return "missing unit";
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
		if (strcmp(end, units[i].name) != 0)
			continue;
		fits = fits && !__builtin_mul_overflow(n, units[i].factor, ms);
		return fits && *ms >= least_ms && *ms <= most_ms ? NULL : "out of range";
	}
	return "unknown unit";
}
