/*
 * conf.h - what the operator has set: rmsd.conf and -o over the defaults, as one immutable struct.
 *
 * A conf is reference-counted and never changed once loaded: a reload makes a new one, and running requests keep the
 * one they began with. The options stand once, in options.def; the struct, the parsing, the checks, -T and the page of
 * docs follow from it.
 *
 * Thread: conf_load() any one; conf_ref() and conf_unref() any; the fields are read-only.
 */
#ifndef RMSD_CONF_CONF_H
#define RMSD_CONF_CONF_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include "base/outbuf.h"
#include "conf/value.h"

/* One entry of routes:. */
struct conf_route {
	char *path; /* begins with '/' */
	char *text; /* sent unchanged */
	size_t text_len;
	size_t line; /* of the file; 0: the default */
};

/* One entry of worker:. */
struct conf_worker {
	char *name;
	unsigned weight; /* 1 to 100 */
	size_t line;     /* of the file */
};

struct conf {
#define OPTION(type, name, ...) value_##type name;
#include "conf/options.def"
	struct conf_route *routes;
	size_t n_routes;
	struct conf_worker *worker_blocks;
	size_t n_worker_blocks;
	_Atomic unsigned refs;
	struct conf_origins *origins; /* where each value came from, for conf_dump() */
};

/*
 * Loads file (NULL: no file, defaults only) and then the overrides, each "KEY=VALUE", in order, the last one wins.
 * 0, and *out holds one reference; or UV_EINVAL, and errors holds every error found, a line each:
 * "FILE:LINE:COLUMN: key: what is wrong (what is accepted)", "FILE: ..." of the file as a whole, or "-o KEY: ...";
 * or UV_ENOMEM.
 */
int conf_load(
	const char *file, const char *const *overrides, size_t n_overrides, struct conf **out, struct outbuf *errors);
struct conf *conf_ref(struct conf *conf);
void conf_unref(struct conf *conf); /* accepts NULL */

/* The name of worker index, "app1" for 0: into buf of VALUE_NAME_MAX + 4 bytes. */
void conf_worker_name(const struct conf *conf, unsigned index, char *buf, size_t size);
/* Its weight: that of its block, else 1. */
unsigned conf_worker_weight(const struct conf *conf, unsigned index);

/* Where it answers alone: on the host of the first TCP address of listen, or on loopback if there is none. */
struct value_address conf_worker_address(const struct conf *conf, unsigned index);

/* A file that conf_load() accepts and that gives this conf; each value's origin as a comment. */
void conf_dump(const struct conf *conf, struct outbuf *out);
/* The same as one JSON object: key to value as text, lists as arrays, routes and worker as objects. */
void conf_dump_json(const struct conf *conf, struct outbuf *out);
/* The page of docs: docs/config.md. */
void conf_print_options(struct outbuf *out);

#endif
