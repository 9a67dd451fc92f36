/*
 * yaml.h - a YAML file as a tree of texts, lists and mappings that know their line and column; and every error in it.
 *
 * What configurations do not need is refused: aliases, anchors, tags, a second document, keys that are not text,
 * control characters however they are written. An error does not end the reading, only broken syntax does; then the
 * nodes before it are there all the same, so that they can be checked too.
 *
 * Inside conf/ only.
 *
 * Thread: the caller's.
 */
#ifndef RMSD_CONF_YAML_H
#define RMSD_CONF_YAML_H

#include <stdbool.h>
#include <stddef.h>
#include "base/arena.h"
#include "base/list.h"
#include "base/outbuf.h"

enum yaml_kind { YAML_TEXT, YAML_LIST, YAML_MAP };

struct yaml_node {
	enum yaml_kind kind;
	bool bad;            /* refused, and told so: there is no more to say of it */
	bool open;           /* the syntax broke inside it: more may have been meant */
	size_t line, column; /* from 1 */
	const char *text;    /* of a text: NUL-terminated, without any other control character than \n and \t */
	size_t len;
	struct yaml_node *key;                          /* of an entry of a mapping; a key is its own */
	struct yaml_node *parent, *next, *first, *last; /* a mapping's children are its values */
	struct yaml_node *pending;                      /* while reading: the key whose value comes next */
};

struct yaml_file {
	const char *name;       /* borrowed */
	struct yaml_node *root; /* NULL: there is nothing in it, or nothing that could be read */
	struct list errors;     /* in the order of the file */
	bool incomplete;        /* the reading ended before the file did */
	bool no_memory;
	struct arena arena;
	char first[512];
};

/* Reads name to its end; what was wrong is among the errors. Everything lives until yaml_finish(). */
void yaml_read(struct yaml_file *file, const char *name);
void yaml_finish(struct yaml_file *file);
/* Adds an error at a node, to be told after the node's keys. */
__attribute__((format(printf, 3, 4))) void yaml_error(
	struct yaml_file *file, const struct yaml_node *at, const char *format, ...);
/* "FILE:LINE:COLUMN: key: what is wrong" for each error, a line each. */
void yaml_print_errors(const struct yaml_file *file, struct outbuf *out);
/* An earlier entry of the same mapping with the same key; NULL if there is none. */
const struct yaml_node *yaml_twin(const struct yaml_node *entry);
/* "a text", "a list", "a mapping" */
const char *yaml_kind_name(const struct yaml_node *node);

#endif
