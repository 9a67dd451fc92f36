/* load.c - the file, then the overrides, over the defaults. */
#include "conf/load.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>
#include "conf/text.h"

void load_tell(struct load *load, enum option_id id, const struct yaml_node *node, const char *format, ...)
{
	struct outbuf why = { 0 };
	va_list args;

	load->bad[id] = true;
	va_start(args, format);
	outbuf_vprintf(&why, format, args);
	va_end(args);
	outbuf_append(&why, "", 1);
	if (why.failed)
		load->no_memory = true;
	else if (node)
		yaml_error(&load->file, node, "%s", why.data);
	else
		outbuf_printf(&load->override_errors, "-o %s: %s\n", options[id].name, why.data);
	outbuf_finish(&why);
}

/* "WRONG: TEXT (what is accepted)" */
static void refuse(
	struct load *load, enum option_id id, const struct yaml_node *node, const char *wrong, const char *text)
{
	const struct option *option = &options[id];
	struct outbuf tail = { 0 };

	if (text) {
		outbuf_text(&tail, ": ");
		text_quote(&tail, text, strlen(text), TEXT_SHOWN);
	}
	outbuf_text(&tail, " (");
	value_accepts(option->type, option->min, option->max, &tail);
	outbuf_append(&tail, ")", sizeof(")"));
	if (tail.failed)
		load->no_memory = true;
	else
		load_tell(load, id, node, "%s%s", wrong, tail.data);
	outbuf_finish(&tail);
}

static void add_text(struct load *load, enum option_id id, const struct yaml_node *node, const char *text)
{
	const struct option *option = &options[id];
	const char *wrong =
		option->type->parse(option->type, text, option->min, option->max, option_value(option, load->conf));

	if (wrong)
		refuse(load, id, node, wrong, text);
}

static void begin_value(struct load *load, enum option_id id, const struct yaml_node *node, long origin)
{
	const struct option *option = &options[id];
	void *value = option_value(option, load->conf);

	if (option->type->finish)
		option->type->finish(value);
	memset(value, 0, option->size);
	load->nodes[id] = node;
	load->bad[id] = false;
	load->conf->origins->options[id] = origin;
}

static void set_defaults(struct load *load)
{
	for (unsigned i = 0; i < OPTION_COUNT; i++) {
		const struct option *option = &options[i];
		const char *wrong = option->type->parse(
			option->type, option->def, option->min, option->max, option_value(option, load->conf));

		/* Memory can be short; a default that its own row refuses is a mistake of the table. */
		assert(!wrong || option->type->finish);
		load->no_memory = load->no_memory || wrong;
	}
}

static void read_option(struct load *load, enum option_id id, const struct yaml_node *node)
{
	bool list = options[id].type->list;

	begin_value(load, id, node, (long)node->key->line);
	if (node->bad) {
		load->bad[id] = true;
		return;
	}
	if (node->kind != (list ? YAML_LIST : YAML_TEXT)) {
		char wrong[80];

		snprintf(wrong, sizeof(wrong), "wrong type, %s%s", yaml_kind_name(node),
			list ? ", where a list is wanted, e.g. [\":80\"]" : "");
		refuse(load, id, node, wrong, NULL);
		return;
	}
	if (!list) {
		add_text(load, id, node, node->text);
		return;
	}
	for (const struct yaml_node *item = node->first; item; item = item->next) {
		if (item->bad)
			load->bad[id] = true;
		else if (item->kind != YAML_TEXT)
			refuse(load, id, item, "wrong type of item", NULL);
		else
			add_text(load, id, item, item->text);
	}
	if (!node->first && !node->open)
		refuse(load, id, node, "empty list", NULL);
}

/* node: the key in the file; NULL: of an override, whose name stands in the line already. */
static void refuse_key(struct load *load, const struct yaml_node *node, const char *name, size_t len)
{
	const char *nearest = option_nearest(name, len);
	const char *known = nearest ? nearest : "rmsd --print-options lists them";
	const char *before = nearest ? "did you mean " : "", *after = nearest ? "?" : "";

	if (node)
		yaml_error(&load->file, node, "unknown key (%s%s%s)", before, known, after);
	else
		outbuf_printf(&load->override_errors, ": unknown key (%s%s%s)\n", before, known, after);
}

static void read_entry(struct load *load, const struct yaml_node *entry)
{
	const struct yaml_node *key = entry->key, *twin = yaml_twin(entry);
	enum option_id id = option_find(key->text, key->len);
	struct conf *conf = load->conf;

	if (twin)
		yaml_error(&load->file, key, "duplicate key (once; the first is on line %zu)", twin->key->line);
	else if (id < OPTION_COUNT)
		read_option(load, id, entry);
	else if (!strcmp(key->text, "routes")) {
		conf->origins->routes = (long)key->line;
		if (!entry->bad)
			load_routes(load, entry);
	} else if (!strcmp(key->text, "worker")) {
		conf->origins->worker = (long)key->line;
		if (!entry->bad)
			load_workers(load, entry);
	} else
		refuse_key(load, key, key->text, key->len);
}

static void read_file(struct load *load)
{
	const struct yaml_node *root = load->file.root;

	/* A file of comments alone is no document, and "---" alone an empty text. Out of memory, a node has no text. */
	if (load->file.no_memory || !root || root->bad || (root->kind == YAML_TEXT && root->len == 0))
		return;
	if (root->kind != YAML_MAP) {
		yaml_error(&load->file, root, "wrong type, %s (a mapping: key: value)", yaml_kind_name(root));
		return;
	}
	for (const struct yaml_node *entry = root->first; entry; entry = entry->next) {
		if (!entry->key->bad)
			read_entry(load, entry);
	}
}

/* A list is its items with commas between; the text is split in place. */
static void override(struct load *load, enum option_id id, char *text)
{
	begin_value(load, id, NULL, ORIGIN_OVERRIDE);
	if (text_span(text, strlen(text), "") < strlen(text)) {
		refuse(load, id, NULL, "not text", text);
		return;
	}
	if (!options[id].type->list) {
		add_text(load, id, NULL, text);
		return;
	}
	for (char *item = text, *comma; item; item = comma) {
		comma = strchr(item, ',');
		if (comma)
			*comma++ = '\0';
		add_text(load, id, NULL, item);
	}
}

static void read_override(struct load *load, const char *text)
{
	struct outbuf *errors = &load->override_errors;
	const char *equals = strchr(text, '=');
	size_t len = equals ? (size_t)(equals - text) : strlen(text);
	enum option_id id = option_find(text, len);
	char *value;

	if (equals && id < OPTION_COUNT) {
		value = strdup(equals + 1);
		load->no_memory = load->no_memory || !value;
		if (value)
			override(load, id, value);
		free(value);
		return;
	}
	outbuf_text(errors, "-o ");
	text_plain(errors, text, len, TEXT_SHOWN);
	if (!equals)
		outbuf_text(errors, ": no value (KEY=VALUE)\n");
	else if ((len == 6 && !memcmp(text, "routes", len)) || (len == 6 && !memcmp(text, "worker", len)))
		outbuf_text(errors, ": a block (only a file can set it)\n");
	else
		refuse_key(load, NULL, text, len);
}

static void set_default_route(struct load *load)
{
	static const char text[] = "Hello from Cloud Application";
	struct conf_route *route = calloc(1, sizeof(*route));

	load->conf->routes = route;
	if (route) {
		load->conf->n_routes = 1;
		*route = (struct conf_route){ .path = strdup("/"), .text = strdup(text), .text_len = sizeof(text) - 1 };
	}
	if (!route || !route->path || !route->text)
		load->no_memory = true;
}

static char *copy_name(const char *file)
{
	char *name = strdup(file);
	size_t len = strlen(file), at = name ? text_span(name, len, "") : len;

	while (at < len) {
		name[at++] = '?';
		at += text_span(name + at, len - at, "");
	}
	return name;
}

int conf_load(
	const char *file, const char *const *overrides, size_t n_overrides, struct conf **out, struct outbuf *errors)
{
	struct load load = { 0 };
	int err = UV_ENOMEM;

	list_init(&load.file.errors);
	load.conf = calloc(1, sizeof(*load.conf));
	if (!load.conf)
		return err;
	atomic_init(&load.conf->refs, 1);
	load.conf->origins = calloc(1, sizeof(*load.conf->origins));
	if (!load.conf->origins)
		goto unref_conf;
	set_defaults(&load);
	if (file) {
		load.conf->origins->file = copy_name(file);
		load.no_memory = load.no_memory || !load.conf->origins->file;
		yaml_read(&load.file, file);
		read_file(&load);
	}
	if (!load.conf->origins->routes)
		set_default_route(&load);
	for (size_t i = 0; i < n_overrides; i++)
		read_override(&load, overrides[i]);
	load_check(&load);
	yaml_print_errors(&load.file, errors);
	outbuf_append(errors, load.override_errors.data, load.override_errors.len);
	if (load.no_memory || load.file.no_memory || load.override_errors.failed)
		goto finish_file;
	err = list_empty(&load.file.errors) && load.override_errors.len == 0 ? 0 : UV_EINVAL;
finish_file:
	outbuf_finish(&load.override_errors);
	if (file)
		yaml_finish(&load.file);
	if (!err) {
		*out = load.conf;
		return 0;
	}
unref_conf:
	conf_unref(load.conf);
	return err;
}
