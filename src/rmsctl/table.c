/* table.c - aligned columns and sentences from the JSON of the control socket. */
#include "rmsctl/table.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum { MAX_COLUMNS = 8, GAP = 2 };

/* Cells gathered first, since a column is as wide as its widest. */
struct grid {
	size_t n_columns;
	unsigned right;      /* bit per column: aligned to the right */
	struct outbuf cells; /* row by row, each ends with a NUL; table_text() lets none into a cell */
};

/* The length of the character at s if a terminal may have it, else 0: invalid UTF-8, C0, DEL, C1. */
static size_t printable(const unsigned char *s, size_t len)
{
	static const uint32_t least[] = { 0, 0, 0xA0, 0x800, 0x10000 }; /* below: overlong; below 0xA0 also C1 */
	uint32_t point;
	size_t n;

	if (s[0] < 0x80)
		return s[0] >= 0x20 && s[0] != 0x7F;
	if (s[0] < 0xC2 || s[0] > 0xF4)
		return 0;
	n = s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : 4;
	if (n > len)
		return 0;
	point = s[0] & (0x7FU >> n);
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xC0) != 0x80)
			return 0;
		point = point << 6 | (s[i] & 0x3FU);
	}
	return point < least[n] || point > 0x10FFFF || (point >= 0xD800 && point < 0xE000) ? 0 : n;
}

void table_text(const char *bytes, size_t len, bool lines, struct outbuf *out)
{
	const unsigned char *s = (const unsigned char *)bytes;

	for (size_t i = 0; i < len;) {
		size_t n = lines && (s[i] == '\n' || s[i] == '\t') ? 1 : printable(s + i, len - i);

		if (n)
			outbuf_append(out, s + i, n);
		else
			outbuf_printf(out, "\\x%02x", s[i]);
		i += n ? n : 1;
	}
}

static void append_value(const json_t *value, struct outbuf *out)
{
	if (json_is_string(value) && json_string_length(value))
		table_text(json_string_value(value), json_string_length(value), false, out);
	else if (json_is_integer(value))
		outbuf_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else if (json_is_real(value))
		outbuf_printf(out, "%.1f", json_real_value(value));
	else
		outbuf_text(out, "-");
}

static void add_text(struct grid *grid, const char *text)
{
	outbuf_append(&grid->cells, text, strlen(text) + 1);
}

static void add_value(struct grid *grid, const json_t *value)
{
	append_value(value, &grid->cells);
	outbuf_append(&grid->cells, "", 1);
}

static size_t text_width(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		width += ((unsigned char)*text & 0xC0) != 0x80;
	return width;
}

/* Prints the rows and empties the grid. */
static void print(struct grid *grid, struct outbuf *out)
{
	size_t widths[MAX_COLUMNS] = { 0 };
	const char *at, *end;
	size_t i;

	assert(grid->n_columns > 0);
	if (grid->cells.failed) {
		out->failed = true;
		goto finish_cells;
	}
	end = grid->cells.data + grid->cells.len;
	for (at = grid->cells.data, i = 0; at < end; at += strlen(at) + 1, i = (i + 1) % grid->n_columns)
		if (text_width(at) > widths[i])
			widths[i] = text_width(at);
	for (at = grid->cells.data, i = 0; at < end; at += strlen(at) + 1, i = (i + 1) % grid->n_columns) {
		int pad = (int)(widths[i] - text_width(at));
		bool last = i + 1 == grid->n_columns;

		if (grid->right >> i & 1)
			outbuf_printf(out, "%*s%s%*s", pad, "", at, last ? 0 : GAP, "");
		else
			outbuf_printf(out, "%s%*s", at, last ? 0 : pad + GAP, "");
		if (last)
			outbuf_text(out, "\n");
	}
finish_cells:
	outbuf_finish(&grid->cells);
}

int table_workers(const json_t *workers, struct outbuf *out)
{
	static const struct {
		const char *title, *key;
		bool right;
	} columns[] = {
		{ "NAME", "name", false },
		{ "STATE", "state", false },
		{ "SINCE", "since", false },
		{ "CONNECTIONS", "connections", true },
		{ "REQUESTS", "requests_total", true },
		{ "RESTARTS", "restarts", true },
		{ "WEIGHT", "weight", true },
		{ "PORT", "port", true },
	};
	struct grid grid = { .n_columns = sizeof(columns) / sizeof(*columns) };
	const json_t *worker;
	size_t i, j;

	if (!json_is_array(workers))
		return -EINVAL;
	json_array_foreach(workers, i, worker)
		if (!json_is_object(worker))
			return -EINVAL;
	for (j = 0; j < grid.n_columns; j++) {
		add_text(&grid, columns[j].title);
		grid.right |= (unsigned)columns[j].right << j;
	}
	json_array_foreach(workers, i, worker)
		for (j = 0; j < grid.n_columns; j++)
			add_value(&grid, json_object_get(worker, columns[j].key));
	print(&grid, out);
	return 0;
}

/* The two largest units: a person asks for the order of magnitude. */
static void add_time(struct grid *grid, int64_t s)
{
	if (s < 60)
		outbuf_printf(&grid->cells, "%" PRId64 " s", s);
	else if (s < 3600)
		outbuf_printf(&grid->cells, "%" PRId64 " min %" PRId64 " s", s / 60, s % 60);
	else if (s < 86400)
		outbuf_printf(&grid->cells, "%" PRId64 " h %" PRId64 " min", s / 3600, s / 60 % 60);
	else
		outbuf_printf(&grid->cells, "%" PRId64 " d %" PRId64 " h", s / 86400, s / 3600 % 24);
	outbuf_append(&grid->cells, "", 1);
}

static void add_row(struct grid *grid, const char *label, const json_t *object, const char *key)
{
	add_text(grid, label);
	add_value(grid, json_object_get(object, key));
}

static void add_listeners(struct grid *grid, const json_t *listeners)
{
	const json_t *listener;
	size_t i;

	json_array_foreach(listeners, i, listener) {
		const json_t *worker = json_object_get(listener, "worker");

		append_value(json_object_get(listener, "role"), &grid->cells);
		if (json_is_string(worker)) {
			outbuf_text(&grid->cells, " ");
			append_value(worker, &grid->cells);
		}
		outbuf_append(&grid->cells, "", 1);
		add_value(grid, json_object_get(listener, "address"));
	}
}

int table_status(const json_t *status, struct outbuf *out)
{
	const json_t *workers = json_object_get(status, "workers");
	const json_t *totals = json_object_get(status, "totals");
	const json_t *uptime = json_object_get(status, "uptime_seconds");
	struct grid grid = { .n_columns = 2 };

	if (!json_is_array(workers))
		return -EINVAL;
	add_row(&grid, "version", status, "version");
	add_row(&grid, "pid", status, "pid");
	add_row(&grid, "state", status, "state");
	add_text(&grid, "uptime");
	if (json_is_number(uptime))
		add_time(&grid, (int64_t)json_number_value(uptime));
	else
		add_text(&grid, "-");
	add_row(&grid, "generation", status, "generation");
	add_listeners(&grid, json_object_get(status, "listeners"));
	add_row(&grid, "connections", totals, "connections");
	add_row(&grid, "requests", totals, "requests_total");
	add_row(&grid, "in flight", totals, "in_flight");
	print(&grid, out);
	outbuf_text(out, "\n");
	return table_workers(workers, out);
}

static void append_moved(const json_t *rehomed, struct outbuf *out)
{
	json_int_t n = json_integer_value(rehomed);

	outbuf_printf(out, ": %" JSON_INTEGER_FORMAT " connection%s moved", n, n == 1 ? "" : "s");
}

static void append_duration(const json_t *duration, struct outbuf *out)
{
	if (json_is_number(duration))
		outbuf_printf(out, " in %.1f ms", json_number_value(duration));
}

/* Streams half sent, and connections to the worker's own port. */
static void append_cut(const json_t *answer, struct outbuf *out)
{
	json_int_t n = json_integer_value(json_object_get(answer, "cut"));

	if (n > 0)
		outbuf_printf(out, "; %" JSON_INTEGER_FORMAT " could not move and %s closed", n, n == 1 ? "is" : "are");
}

int table_change(const json_t *answer, struct outbuf *out)
{
	const json_t *worker = json_object_get(answer, "worker");
	const json_t *state = json_object_get(answer, "state");
	const json_t *rehomed = json_object_get(answer, "rehomed");
	const json_t *duration = json_object_get(answer, "duration_ms");
	bool already = json_is_false(json_object_get(answer, "changed"));

	if (!json_is_true(json_object_get(answer, "ok")))
		return -EINVAL;
	if (!json_is_string(worker)) {
		outbuf_printf(out, "shutting down%s\n", already ? " already" : "");
		return 0;
	}
	if (!json_is_string(state))
		return -EINVAL;
	append_value(worker, out);
	outbuf_text(out, already ? " was " : " is ");
	append_value(state, out);
	if (already) {
		outbuf_text(out, " already");
	} else if (strcmp(json_string_value(state), "down") == 0 && json_is_integer(rehomed)) {
		append_moved(rehomed, out);
		append_duration(duration, out);
		append_cut(answer, out);
	}
	outbuf_text(out, "\n");
	return 0;
}

int table_restart(const json_t *answer, struct outbuf *out)
{
	const json_t *worker = json_object_get(answer, "worker");
	const json_t *rehomed = json_object_get(answer, "rehomed");
	const json_t *was = json_object_get(answer, "was");

	if (!json_is_string(worker))
		return -EINVAL;
	append_value(worker, out);
	/* One that was not up had nothing to lose, and somebody may have wanted it so. */
	if (json_is_string(was) && strcmp(json_string_value(was), "up") != 0) {
		outbuf_text(out, " was ");
		append_value(was, out);
		outbuf_text(out, " and is up\n");
		return 0;
	}
	outbuf_text(out, " was restarted");
	append_duration(json_object_get(answer, "duration_ms"), out);
	if (json_is_integer(rehomed))
		append_moved(rehomed, out);
	append_cut(answer, out);
	outbuf_text(out, "\n");
	return 0;
}

int table_stall(const json_t *answer, const char *duration, struct outbuf *out)
{
	const json_t *worker = json_object_get(answer, "worker");

	if (!json_is_string(worker))
		return -EINVAL;
	append_value(worker, out);
	if (json_is_false(json_object_get(answer, "changed")))
		outbuf_text(out, " was made to hang already\n");
	else
		outbuf_printf(out, " is made to hang for %s\n", duration);
	return 0;
}

int table_fault(const json_t *answer, struct outbuf *out)
{
	const json_t *id = json_object_get(answer, "id");

	if (!json_is_integer(id))
		return -EINVAL;
	outbuf_printf(out, "fault %" JSON_INTEGER_FORMAT " holds\n", json_integer_value(id));
	return 0;
}

int table_cleared(const json_t *answer, struct outbuf *out)
{
	const json_t *cleared = json_object_get(answer, "cleared");

	if (!json_is_integer(cleared))
		return -EINVAL;
	if (json_integer_value(cleared) == 0)
		outbuf_text(out, "there was no fault\n");
	else
		outbuf_printf(out, "%" JSON_INTEGER_FORMAT " fault%s ended\n", json_integer_value(cleared),
			json_integer_value(cleared) == 1 ? "" : "s");
	return 0;
}

static void add_kind(struct grid *grid, const json_t *fault)
{
	const json_t *delay = json_object_get(fault, "delay_ms"), *status = json_object_get(fault, "status");

	outbuf_text(&grid->cells, json_is_number(delay) ? "delay " : json_is_number(status) ? "status " : "");
	append_value(json_is_number(delay) ? delay : status, &grid->cells);
	outbuf_text(&grid->cells, json_is_number(delay) ? " ms" : "");
	outbuf_append(&grid->cells, "", 1);
}

int table_faults(const json_t *answer, struct outbuf *out)
{
	static const char *const titles[] = { "ID", "KIND", "PERCENT", "WORKER", "PATH", "TTL", "HITS" };
	struct grid grid = { .n_columns = sizeof(titles) / sizeof(*titles),
		.right = 1U << 0 | 1U << 2 | 1U << 5 | 1U << 6 };
	const json_t *faults = json_object_get(answer, "faults"), *fault;
	size_t i;

	if (!json_is_array(faults))
		return -EINVAL;
	json_array_foreach(faults, i, fault)
		if (!json_is_object(fault))
			return -EINVAL;
	for (i = 0; i < grid.n_columns; i++)
		add_text(&grid, titles[i]);
	json_array_foreach(faults, i, fault) {
		const json_t *ttl = json_object_get(fault, "ttl_ms");

		add_value(&grid, json_object_get(fault, "id"));
		add_kind(&grid, fault);
		add_value(&grid, json_object_get(fault, "percent"));
		add_value(&grid, json_object_get(fault, "worker"));
		add_value(&grid, json_object_get(fault, "path"));
		if (json_is_number(ttl))
			add_time(&grid, ((int64_t)json_number_value(ttl) + 999) / 1000);
		else
			add_value(&grid, ttl);
		add_value(&grid, json_object_get(fault, "hits"));
	}
	print(&grid, out);
	return 0;
}
