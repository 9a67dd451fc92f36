/* yaml_error.c - the errors of a YAML file, kept in its order. */
#include <stdarg.h>
#include <string.h>
#include "conf/text.h"
#include "conf/yaml.h"

struct error {
	struct list_node node;
	size_t line, column; /* line 0: of the file as a whole */
	const char *text;
};

static void print_path(struct outbuf *out, const struct yaml_node *node)
{
	if (node->parent && node->parent->parent)
		print_path(out, node->parent);
	if (!node->key || node->key->kind != YAML_TEXT)
		return;
	if (out->len > 0)
		outbuf_text(out, ".");
	text_plain(out, node->key->text, node->key->len, TEXT_SHOWN);
}

static void add_error(struct yaml_file *file, size_t line, size_t column, const struct outbuf *text)
{
	struct list_node *after = file->errors.head.prev;
	struct error *error;

	error = arena_alloc(&file->arena, sizeof(*error));
	if (error)
		error->text = arena_copy(&file->arena, text->data, text->len);
	if (!error || !error->text || text->failed) {
		file->no_memory = true;
		return;
	}
	error->line = line;
	error->column = column;
	/* Most come in order, so the search for the place is short. */
	while (after != &file->errors.head) {
		const struct error *before = list_entry(after, struct error, node);

		if (before->line < line || (before->line == line && before->column <= column))
			break;
		after = after->prev;
	}
	error->node.prev = after;
	error->node.next = after->next;
	after->next->prev = &error->node;
	after->next = &error->node;
}

void yaml_error(struct yaml_file *file, const struct yaml_node *at, const char *format, ...)
{
	struct outbuf text = { 0 };
	va_list args;

	if (at->line > 0) {
		print_path(&text, at);
		outbuf_text(&text, text.len > 0 ? ": " : "file: ");
	}
	va_start(args, format);
	outbuf_vprintf(&text, format, args);
	va_end(args);
	add_error(file, at->line, at->column, &text);
	outbuf_finish(&text);
}

void yaml_print_errors(const struct yaml_file *file, struct outbuf *out)
{
	for (const struct list_node *at = file->errors.head.next; at != &file->errors.head; at = at->next) {
		const struct error *error = list_entry(at, const struct error, node);

		if (error->line > 0)
			outbuf_printf(out, "%s:%zu:%zu: %s\n", file->name, error->line, error->column, error->text);
		else
			outbuf_printf(out, "%s: %s\n", file->name, error->text);
	}
}

const struct yaml_node *yaml_twin(const struct yaml_node *entry)
{
	for (const struct yaml_node *other = entry->parent->first; other != entry; other = other->next) {
		if (other->key->kind == YAML_TEXT && other->key->len == entry->key->len &&
			!memcmp(other->key->text, entry->key->text, entry->key->len))
			return other;
	}
	return NULL;
}

const char *yaml_kind_name(const struct yaml_node *node)
{
	static const char *const names[] = { "a text", "a list", "a mapping" };

	return names[node->kind];
}
