/* blocks.c - routes: and worker: of a file. */
#include <stdlib.h>
#include <string.h>
#include "base/path.h"
#include "conf/load.h"
#include "conf/text.h"

enum { PATH_LONGEST = 500 }; /* in quotes and escaped it must stay under the 1024 of a YAML key */

static const char accepted_path[] = "a path as URLs spell it that begins with /: no ., .., %41 for A, ?, #, nor /: "
				    "before a segment; at most 500 bytes";
static const char accepted_route[] = "a mapping with one of: text";
static const char accepted_worker[] = "a mapping with: weight";

static const char *find_fault(const struct yaml_node *key)
{
	if (key->text[0] != '/')
		return "path does not begin with /";
	if (key->len > PATH_LONGEST)
		return "path is too long";
	for (size_t i = 0; i < key->len; i++) {
		/* What no request's path has in it (RFC 3986 section 3.3). */
		if (key->text[i] <= ' ' || key->text[i] > '~' || strchr("?#\"<>\\^`{|}", key->text[i]))
			return "bad character in a path";
		/* Apps have parameters there (rms/app.h); a route of the file means its path exactly. */
		if (i > 0 && key->text[i] == ':' && key->text[i - 1] == '/')
			return "segment begins with :";
	}
	if (!path_is_normal(key->text, key->len))
		return "no request has this spelling of its path";
	return NULL;
}

static char *copy(struct load *load, const char *text, size_t len)
{
	char *bytes = malloc(len + 1);

	if (!bytes) {
		load->no_memory = true;
		return NULL;
	}
	memcpy(bytes, text, len);
	bytes[len] = '\0';
	return bytes;
}

static size_t count(const struct yaml_node *block)
{
	size_t n = 0;

	for (const struct yaml_node *entry = block->first; entry; entry = entry->next)
		n++;
	return n;
}

static void refuse_member(struct load *load, const struct yaml_node *key, const char *name, const char *accepted)
{
	if (option_is_near(key->text, key->len, name))
		yaml_error(&load->file, key, "unknown key (did you mean %s?)", name);
	else
		yaml_error(&load->file, key, "unknown key (%s)", accepted);
}

/* The value of the one key that an entry of a block can have; NULL: it is not there, or *told says that an error is. */
static const struct yaml_node *find_member(
	struct load *load, const struct yaml_node *map, const char *name, const char *accepted, bool *told)
{
	const struct yaml_node *found = NULL;

	*told = false;
	if (map->kind != YAML_MAP) {
		yaml_error(&load->file, map, "wrong type, %s (%s)", yaml_kind_name(map), accepted);
		*told = true;
		return NULL;
	}
	for (const struct yaml_node *entry = map->first; entry; entry = entry->next) {
		const struct yaml_node *key = entry->key, *twin = yaml_twin(entry);

		if (!key->bad && !twin && !strcmp(key->text, name)) {
			found = entry;
			continue;
		}
		*told = true;
		if (key->bad)
			continue;
		if (twin)
			yaml_error(&load->file, key, "duplicate key (once; the first is on line %zu)", twin->key->line);
		else
			refuse_member(load, key, name, accepted);
	}
	if (!found || (!found->bad && found->kind == YAML_TEXT))
		return found;
	*told = true;
	if (!found->bad)
		yaml_error(&load->file, found, "wrong type, %s (a text)", yaml_kind_name(found));
	return NULL;
}

static void load_route(struct load *load, const struct yaml_node *entry)
{
	struct conf *conf = load->conf;
	const struct yaml_node *key = entry->key, *twin = yaml_twin(entry), *text;
	const char *fault = find_fault(key);
	struct conf_route *route;
	bool told;

	if (twin)
		yaml_error(&load->file, key, "duplicate route (once; the first is on line %zu)", twin->key->line);
	else if (fault)
		yaml_error(&load->file, key, "%s (%s)", fault, accepted_path);
	text = entry->bad ? NULL : find_member(load, entry, "text", accepted_route, &told);
	if (!text && !entry->bad && !told && !entry->open)
		yaml_error(&load->file, entry, "nothing to answer with (%s)", accepted_route);
	if (!text || twin || fault)
		return;
	route = &conf->routes[conf->n_routes++];
	*route = (struct conf_route){ .line = key->line, .text_len = text->len };
	route->path = copy(load, key->text, key->len);
	route->text = copy(load, text->text, text->len);
}

void load_routes(struct load *load, const struct yaml_node *block)
{
	size_t n = count(block);

	if (block->kind != YAML_MAP) {
		yaml_error(&load->file, block, "wrong type, %s (a mapping of paths, each to %s)", yaml_kind_name(block),
			accepted_route);
		return;
	}
	if (!n)
		return;
	load->conf->routes = calloc(n, sizeof(*load->conf->routes));
	if (!load->conf->routes) {
		load->no_memory = true;
		return;
	}
	for (const struct yaml_node *entry = block->first; entry; entry = entry->next) {
		if (!entry->key->bad)
			load_route(load, entry);
	}
}

static void load_worker(struct load *load, const struct yaml_node *entry)
{
	struct conf *conf = load->conf;
	const struct yaml_node *key = entry->key, *twin = yaml_twin(entry), *weight;
	struct conf_worker *worker;
	value_count n = 1;
	bool told;

	if (twin)
		yaml_error(&load->file, key, "duplicate worker (once; the first is on line %zu)", twin->key->line);
	if (entry->bad)
		return;
	weight = find_member(load, entry, "weight", accepted_worker, &told);
	if (weight) {
		const char *wrong = value_type_count.parse(&value_type_count, weight->text, "1", "100", &n);
		struct outbuf shown = { 0 };

		text_quote(&shown, weight->text, weight->len, TEXT_SHOWN);
		if (wrong)
			yaml_error(&load->file, weight, "%s: %.*s (a number, from 1 to 100)", wrong, (int)shown.len,
				shown.data);
		outbuf_finish(&shown);
	}
	if (twin)
		return;
	worker = &conf->worker_blocks[conf->n_worker_blocks++];
	*worker = (struct conf_worker){ .line = key->line, .weight = n };
	worker->name = copy(load, key->text, key->len);
}

void load_workers(struct load *load, const struct yaml_node *block)
{
	size_t n = count(block);

	if (block->kind != YAML_MAP) {
		yaml_error(&load->file, block, "wrong type, %s (a mapping of workers' names, each to %s)",
			yaml_kind_name(block), accepted_worker);
		return;
	}
	load->worker = block;
	if (!n)
		return;
	load->conf->worker_blocks = calloc(n, sizeof(*load->conf->worker_blocks));
	if (!load->conf->worker_blocks) {
		load->no_memory = true;
		return;
	}
	for (const struct yaml_node *entry = block->first; entry; entry = entry->next) {
		if (!entry->key->bad)
			load_worker(load, entry);
	}
}

static bool worker_exists(const struct conf *conf, const char *name)
{
	char known[VALUE_NAME_MAX + 4];

	for (unsigned i = 0; i < conf->workers; i++) {
		conf_worker_name(conf, i, known, sizeof(known));
		if (!strcmp(known, name))
			return true;
	}
	return false;
}

void load_check_workers(struct load *load)
{
	const struct conf *conf = load->conf;
	char first[VALUE_NAME_MAX + 4], last[VALUE_NAME_MAX + 4];

	conf_worker_name(conf, 0, first, sizeof(first));
	conf_worker_name(conf, conf->workers - 1, last, sizeof(last));
	for (const struct yaml_node *entry = load->worker->first; entry; entry = entry->next) {
		if (entry->key->bad || worker_exists(conf, entry->key->text))
			continue;
		yaml_error(&load->file, entry->key, "no such worker (%s%s%s)", first, conf->workers > 1 ? " to " : "",
			conf->workers > 1 ? last : "");
	}
}
