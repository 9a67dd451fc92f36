/*
 * option.h - options.def as a table to walk, and the search for a key in it.
 *
 * Inside conf/ only.
 *
 * Thread: any; constant.
 */
#ifndef RMSD_CONF_OPTION_H
#define RMSD_CONF_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include "conf/conf.h"

enum option_id {
#define OPTION(type, name, ...) OPTION_##name,
#include "conf/options.def"
	OPTION_COUNT
};

struct option {
	const char *name, *def, *min, *max, *help;
	const struct value_type *type;
	size_t offset, size; /* of its value in struct conf */
	bool reloads;
};

extern const struct option options[OPTION_COUNT];

static inline void *option_value(const struct option *option, struct conf *conf)
{
	return (char *)conf + option->offset;
}

static inline const void *option_value_of(const struct option *option, const struct conf *conf)
{
	return (const char *)conf + option->offset;
}

/* OPTION_COUNT if there is none. */
enum option_id option_find(const char *name, size_t len);
/* The key of the file's top level, options and blocks, that takes the fewest changes to write. */
const char *option_nearest(const char *name, size_t len);

#endif
