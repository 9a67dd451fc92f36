/* yaml.c - libyaml's events to a tree. */
#include "conf/yaml.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>
#include <yaml.h>
#include "conf/text.h"

enum {
	FILE_MAX = 1 << 20,
	NODES_MAX = 10000, /* a megabyte of commas would be half a million */
	DEPTH_MAX = 16,    /* the deepest that means something is four */
};

struct reader {
	struct yaml_file *file;
	struct yaml_node *current; /* the innermost open list or mapping; NULL: none */
	unsigned depth, n_nodes, n_documents;
	bool cut; /* what libyaml sees ends before the file, by our doing */
};

static void *keep(struct yaml_file *file, void *memory)
{
	file->no_memory = file->no_memory || !memory;
	return memory;
}

static struct yaml_node place(const yaml_mark_t *mark)
{
	return (struct yaml_node){ .line = mark->line + 1, .column = mark->column + 1 };
}

/* A node where the event is, as the child, the key or the value that its place makes it. NULL: give up. */
static struct yaml_node *add_node(struct reader *reader, enum yaml_kind kind, const yaml_mark_t *mark)
{
	struct yaml_node *parent = reader->current, *node;

	if (reader->n_nodes == NODES_MAX) {
		struct yaml_node at = place(mark);

		yaml_error(reader->file, &at, "too many values (at most %d)", NODES_MAX);
		return NULL;
	}
	reader->n_nodes++;
	node = keep(reader->file, arena_alloc(&reader->file->arena, sizeof(*node)));
	if (!node)
		return NULL;
	*node = place(mark);
	node->kind = kind;
	node->text = "";
	node->parent = parent;
	if (!parent) {
		reader->file->root = node;
		return node;
	}
	if (parent->kind == YAML_MAP && !parent->pending) {
		node->key = node;
		parent->pending = node;
		if (kind != YAML_TEXT) {
			yaml_error(reader->file, node, "wrong type of key, %s (a text)", yaml_kind_name(node));
			node->bad = true;
		}
		return node;
	}
	node->key = parent->pending;
	parent->pending = NULL;
	if (parent->last)
		parent->last->next = node;
	else
		parent->first = node;
	parent->last = node;
	return node;
}

static void refuse_extras(
	struct reader *reader, const struct yaml_node *node, const yaml_char_t *anchor, const yaml_char_t *tag)
{
	if (anchor)
		yaml_error(reader->file, node, "anchor (a value in full)");
	if (tag)
		yaml_error(reader->file, node, "tag (a value alone)");
}

static bool add_alias(struct reader *reader, const yaml_event_t *event)
{
	struct yaml_node *node = add_node(reader, YAML_TEXT, &event->start_mark);

	if (!node)
		return false;
	yaml_error(reader->file, node, "alias (a value in full)");
	node->bad = true;
	return true;
}

static bool add_text(struct reader *reader, const yaml_event_t *event)
{
	struct yaml_node *node = add_node(reader, YAML_TEXT, &event->start_mark);
	const char *text = (const char *)event->data.scalar.value;
	size_t len = event->data.scalar.length, good = text_span(text, len, "\n\t");

	if (!node)
		return false;
	node->text = keep(reader->file, arena_copy(&reader->file->arena, text, len));
	if (!node->text)
		return false;
	node->len = len;
	refuse_extras(reader, node, event->data.scalar.anchor, event->data.scalar.tag);
	if (good < len) {
		/* Only an escape can have made it: the file's own bytes have been looked at. */
		node->len = good;
		yaml_error(reader->file, node, "control character (text; of controls, \\n and \\t)");
		node->bad = true;
	}
	return true;
}

static bool begin(struct reader *reader, enum yaml_kind kind, const yaml_event_t *event)
{
	struct yaml_node *node = add_node(reader, kind, &event->start_mark);

	if (!node)
		return false;
	if (kind == YAML_LIST)
		refuse_extras(reader, node, event->data.sequence_start.anchor, event->data.sequence_start.tag);
	else
		refuse_extras(reader, node, event->data.mapping_start.anchor, event->data.mapping_start.tag);
	if (++reader->depth > DEPTH_MAX) {
		yaml_error(reader->file, node, "nested too deeply (at most %d levels)", DEPTH_MAX);
		return false;
	}
	node->open = true;
	reader->current = node;
	return true;
}

/* false: no event after this one is wanted. */
static bool take_event(struct reader *reader, const yaml_event_t *event)
{
	struct yaml_node at = place(&event->start_mark);

	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (reader->n_documents++ == 0)
			return true;
		yaml_error(reader->file, &at, "second document (one)");
		return false;
	case YAML_ALIAS_EVENT: return add_alias(reader, event);
	case YAML_SCALAR_EVENT: return add_text(reader, event);
	case YAML_SEQUENCE_START_EVENT: return begin(reader, YAML_LIST, event);
	case YAML_MAPPING_START_EVENT: return begin(reader, YAML_MAP, event);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		assert(reader->current);
		reader->current->open = false;
		reader->current = reader->current->parent;
		reader->depth--;
		return true;
	default: return event->type != YAML_STREAM_END_EVENT;
	}
}

static void refuse_syntax(struct reader *reader, const yaml_parser_t *parser, size_t len)
{
	struct yaml_node at = place(&parser->problem_mark), from = place(&parser->context_mark);
	bool at_end = parser->problem_mark.index >= len;

	reader->file->incomplete = true;
	if (parser->error == YAML_MEMORY_ERROR) {
		reader->file->no_memory = true;
		return;
	}
	if (reader->cut && at_end)
		return;
	/* What never ends is told where it begins. */
	if (at_end && parser->context)
		at = from;
	at.parent = reader->current;
	at.key = reader->current ? reader->current->pending : NULL;
	if (parser->context)
		yaml_error(reader->file, &at, "syntax: %s %s that begins at %zu:%zu (YAML)",
			parser->problem ? parser->problem : "broken", parser->context, from.line, from.column);
	else
		yaml_error(reader->file, &at, "syntax: %s (YAML)", parser->problem ? parser->problem : "broken");
}

static void parse(struct reader *reader, const char *bytes, size_t len)
{
	yaml_parser_t parser;
	bool more = true;

	if (!yaml_parser_initialize(&parser)) {
		reader->file->no_memory = true;
		return;
	}
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)bytes, len);
	while (more) {
		yaml_event_t event;

		if (!yaml_parser_parse(&parser, &event)) {
			refuse_syntax(reader, &parser, len);
			break;
		}
		more = take_event(reader, &event);
		if (!more && event.type != YAML_STREAM_END_EVENT && event.type != YAML_DOCUMENT_START_EVENT)
			reader->file->incomplete = true;
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
}

/* Looks at the bytes before libyaml does, which would not say where a bad one is. Returns how much may be parsed. */
static size_t check_bytes(struct reader *reader, const char *bytes, size_t len)
{
	size_t good = text_span(bytes, len, "\t\n\r"), line_start = 0;
	struct yaml_node at = { .line = 1, .column = 1 };
	unsigned char bad;

	if (good == len)
		return len;
	for (size_t i = 0; i < good; i++) {
		if (bytes[i] == '\n' || (bytes[i] == '\r' && bytes[i + 1] != '\n')) {
			at.line++;
			line_start = i + 1;
		}
	}
	/* Columns count characters, and a character has one byte that does not continue another. */
	for (size_t i = line_start; i < good; i++)
		at.column += ((unsigned char)bytes[i] & 0xc0) != 0x80;
	bad = (unsigned char)bytes[good];
	if (bad < 0x80)
		yaml_error(reader->file, &at, "control byte 0x%02x (UTF-8 text)", bad);
	else
		yaml_error(reader->file, &at, "byte 0x%02x is not text (UTF-8 text)", bad);
	reader->cut = true;
	reader->file->incomplete = true;
	return line_start;
}

/* *bytes is the caller's to free. */
static int read_whole(const char *name, char **bytes, size_t *len)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC), err = 0;
	char *block = NULL;
	size_t n = 0;
	ssize_t got = 1;

	if (fd < 0)
		return uv_translate_sys_error(errno);
	block = malloc(FILE_MAX + 1);
	if (!block) {
		err = UV_ENOMEM;
		goto close_fd;
	}
	while (got != 0 && n <= FILE_MAX) {
		got = read(fd, block + n, FILE_MAX + 1 - n);
		if (got < 0 && errno != EINTR) {
			err = uv_translate_sys_error(errno);
			goto close_fd;
		}
		n += got > 0 ? (size_t)got : 0;
	}
	if (n > FILE_MAX) {
		err = UV_EFBIG;
		goto close_fd;
	}
	*bytes = block;
	*len = n;
	block = NULL;
close_fd:
	free(block);
	close(fd);
	return err;
}

void yaml_read(struct yaml_file *file, const char *name)
{
	static const char mark[] = "\xef\xbb\xbf"; /* of UTF-8, as some editors write it */
	struct reader reader = { .file = file };
	const struct yaml_node whole = { 0 };
	char *bytes = NULL, *text;
	size_t len = 0;
	int err;

	*file = (struct yaml_file){ .name = name };
	list_init(&file->errors);
	arena_init(&file->arena, file->first, sizeof(file->first));
	err = read_whole(name, &bytes, &len);
	if (err < 0) {
		const char *why = uv_strerror(err);

		if (err == UV_EISDIR)
			why = "is a directory (a YAML file)";
		else if (err == UV_EFBIG)
			why = "is too large (a YAML file of at most 1 MB)";
		file->incomplete = true;
		file->no_memory = err == UV_ENOMEM;
		yaml_error(file, &whole, "%s", why);
		return;
	}
	assert(bytes);
	text = bytes;
	if (len >= 3 && !memcmp(bytes, mark, 3)) {
		text += 3;
		len -= 3;
	}
	parse(&reader, text, check_bytes(&reader, text, len));
	free(bytes);
}

void yaml_finish(struct yaml_file *file)
{
	arena_reset(&file->arena);
}
