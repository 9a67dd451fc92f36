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
/* Whether one was meant by the other: a third of the longer one's letters differ, or fewer. */
bool option_is_near(const char *name, size_t len, const char *known);
/* The key of the file's top level, an option or a block, that name was meant for; NULL: none is near. */
const char *option_nearest(const char *name, size_t len);

#endif
