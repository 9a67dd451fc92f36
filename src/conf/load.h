/*
 * load.h - a conf in the making: what conf_load() and the reader of blocks share.
 *
 * Inside conf/ only.
 *
 * Thread: the caller's.
 */
#ifndef RMSD_CONF_LOAD_H
#define RMSD_CONF_LOAD_H

#include <stdbool.h>
#include "conf/conf.h"
#include "conf/option.h"
#include "conf/yaml.h"

enum { ORIGIN_DEFAULT = 0, ORIGIN_OVERRIDE = -1 };

/* Of each option, and of the two blocks: ORIGIN_DEFAULT, ORIGIN_OVERRIDE or a line of file. */
struct conf_origins {
	char *file; /* NULL: none; without control characters */
	long options[OPTION_COUNT];
	long routes, worker;
};

struct load {
	struct conf *conf;
	struct yaml_file file;
	struct outbuf override_errors;
	const struct yaml_node *nodes[OPTION_COUNT]; /* whence an option has its value; NULL: not from the file */
	bool bad[OPTION_COUNT];                      /* its value was refused */
	const struct yaml_node *worker;              /* the block; NULL: none */
	bool no_memory;
};

/* Refuses what an option has. node: where that stands in the file; NULL: in an override. */
__attribute__((format(printf, 4, 5))) void load_tell(
	struct load *load, enum option_id id, const struct yaml_node *node, const char *format, ...);

/* The blocks, from their values in the file. */
void load_routes(struct load *load, const struct yaml_node *block);
void load_workers(struct load *load, const struct yaml_node *block);
/* Once the workers' names are known. */
void load_check_workers(struct load *load);
/* Once all is read: what must hold between options. Says nothing of a value that was refused, or not reached. */
void load_check(struct load *load);

#endif
