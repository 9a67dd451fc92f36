/* screen.c - lines that are clipped at the right, and a table whose columns leave when there is no room. */
#include "rmsctl/screen.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum tone { PLAIN, STRONG, DIM, GOOD, WARN, BAD, DRILL };

static const char *const tones[] = { [PLAIN] = "",
	[STRONG] = "\033[1m",
	[DIM] = "\033[2m",
	[GOOD] = "\033[32m",
	[WARN] = "\033[33m",
	[BAD] = "\033[1;31m",
	[DRILL] = "\033[36m" };

enum {
	LEVELS = 9,
	/* What workers leave free: of FEW_ROWS or more, room for events; of fewer, an empty row and the keys. */
	EVENT_ROWS = 5,
	FEW_ROWS = 15,
	FOOT_ROWS = 2,
	NOTICE_ROWS = 12, /* a screen that has them has a row for what may have to be said, too */
	SPARK_LEAST = 8,
};
static const char *const blocks[LEVELS] = { " ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };
static const char *const marks[LEVELS] = { " ", ".", ".", ":", "-", "=", "+", "*", "#" };

struct line {
	const struct screen *screen;
	struct outbuf *out;
	unsigned left; /* columns */
};

/* ---- what is shown ---- */

void screen_copy(char *to, size_t size, const char *text)
{
	size_t len = strlen(text);

	if (len >= size) {
		len = size - 1;
		while (len && ((unsigned char)text[len] & 0xC0) == 0x80)
			len--;
	}
	memcpy(to, text, len);
	to[len] = '\0';
}

void screen_add_second(struct screen_worker *worker, double requests)
{
	if (worker->n_seconds == SCREEN_SECONDS)
		memmove(worker->seconds, worker->seconds + 1, --worker->n_seconds * sizeof(*worker->seconds));
	worker->seconds[worker->n_seconds++] = requests;
}

void screen_add_event(struct screen *screen, const char *text)
{
	screen_copy(screen->events[screen->next_event], SCREEN_TEXT, text);
	screen->next_event = (screen->next_event + 1) % SCREEN_EVENTS;
	if (screen->n_events < SCREEN_EVENTS)
		screen->n_events++;
}

/* ---- lines ---- */

/* As much of text as there is room for; a character of it is a column. */
static void put(struct line *line, enum tone tone, const char *text)
{
	size_t len = 0;

	for (unsigned n = 0; text[len]; n++) {
		if (n == line->left)
			break;
		do
			len++;
		while (((unsigned char)text[len] & 0xC0) == 0x80);
	}
	if (!len)
		return;
	for (size_t i = 0; i < len; i++)
		line->left -= ((unsigned char)text[i] & 0xC0) != 0x80;
	if (line->screen->colour)
		outbuf_text(line->out, tones[tone]);
	outbuf_append(line->out, text, len);
	if (line->screen->colour && tone != PLAIN)
		outbuf_text(line->out, "\033[0m");
}

static void pad(struct line *line, unsigned n)
{
	char spaces[64];

	while (n && line->left) {
		unsigned now = n < sizeof(spaces) ? n : (unsigned)sizeof(spaces) - 1;

		memset(spaces, ' ', now);
		spaces[now] = '\0';
		put(line, PLAIN, spaces);
		n -= now;
	}
}

static struct line begin(const struct screen *screen, struct outbuf *out)
{
	return (struct line){ .screen = screen, .out = out, .left = screen->columns };
}

/*
 * The rest of the row is empty: of a full one it would be the last character. The last row has no end, which would
 * scroll.
 */
static void end(struct line *line, unsigned *row)
{
	outbuf_text(line->out, line->left ? "\033[K" : "");
	outbuf_text(line->out, ++*row < line->screen->rows ? "\r\n" : "");
}

static bool is_full(const struct screen *screen, unsigned row)
{
	return row >= screen->rows;
}

/* ---- values ---- */

static void write_rate(char *to, size_t size, double rate)
{
	(void)snprintf(to, size, rate > 0 && rate < 100 ? "%.1f" : "%.0f", rate);
}

static void write_seconds(char *to, size_t size, double s, bool utf8)
{
	if (isnan(s))
		(void)snprintf(to, size, "-");
	else if (s < 0.001)
		(void)snprintf(to, size, "%.0f%s", s * 1e6, utf8 ? "µs" : "us");
	else if (s < 1)
		(void)snprintf(to, size, s < 0.01 ? "%.2fms" : s < 0.1 ? "%.1fms" : "%.0fms", s * 1e3);
	else
		(void)snprintf(to, size, s < 9.995 ? "%.2fs" : "%.0fs", s);
}

static void write_age(char *to, size_t size, double age)
{
	unsigned long long s = age > 0 ? (unsigned long long)age : 0;

	if (s < 60)
		(void)snprintf(to, size, "%llus", s);
	else if (s < 3600)
		(void)snprintf(to, size, "%llum%02llus", s / 60, s % 60);
	else if (s < 86400)
		(void)snprintf(to, size, "%lluh%02llum", s / 3600, s / 60 % 60);
	else
		(void)snprintf(to, size, "%llud%02lluh", s / 86400, s / 3600 % 24);
}

static enum tone state_tone(const char *state)
{
	if (!strcmp(state, "up"))
		return GOOD;
	return !strcmp(state, "down") || !strcmp(state, "failed") ? BAD : WARN;
}

/* ---- the head ---- */

static bool is_up(const struct screen_worker *worker)
{
	return !strcmp(worker->state, "up");
}

static unsigned count_up(const struct screen *screen)
{
	unsigned up = 0;

	for (unsigned i = 0; i < screen->n_workers; i++)
		up += is_up(&screen->workers[i]);
	return up;
}

static void draw_title(const struct screen *screen, struct outbuf *out, unsigned *row)
{
	struct line line = begin(screen, out);
	char text[96], age[32];

	put(&line, STRONG, "rmsd ");
	if (!*screen->version) { /* it has not said a word yet */
		end(&line, row);
		return;
	}
	write_age(age, sizeof(age), screen->uptime_s);
	(void)snprintf(text, sizeof(text), "%s  ", screen->version);
	put(&line, PLAIN, text);
	put(&line, WARN, screen->draining ? "draining  " : "");
	(void)snprintf(text, sizeof(text), "up for %s  ", age);
	put(&line, PLAIN, text);
	(void)snprintf(text, sizeof(text), "%u of %u workers up", count_up(screen), screen->n_workers);
	put(&line, count_up(screen) == screen->n_workers ? PLAIN : BAD, text);
	(void)snprintf(text, sizeof(text), "%s UTC", screen->clock);
	if (line.left > strlen(text) + 2) {
		pad(&line, line.left - (unsigned)strlen(text));
		put(&line, DIM, text);
	}
	end(&line, row);
}

static void put_figure(struct line *line, const char *value, const char *name)
{
	put(line, STRONG, value);
	put(line, DIM, " ");
	put(line, DIM, name);
	put(line, PLAIN, "   ");
}

static void put_count(struct line *line, uint64_t value, const char *name)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	put_figure(line, text, name);
}

static void draw_totals(const struct screen *screen, struct outbuf *out, unsigned *row)
{
	const struct screen_figures *totals = &screen->totals;
	struct line line = begin(screen, out);
	char text[32];

	write_rate(text, sizeof(text), totals->requests);
	put_figure(&line, text, "req/s");
	write_seconds(text, sizeof(text), totals->p50, screen->utf8);
	put_figure(&line, text, "p50");
	write_seconds(text, sizeof(text), totals->p99, screen->utf8);
	put_figure(&line, text, "p99");
	put_count(&line, totals->connections, "conn");
	put_count(&line, totals->in_flight, "in flight");
	put_count(&line, totals->errors, "5xx");
	put_count(&line, totals->moved, "moved");
	end(&line, row);
}

static void draw_text(const struct screen *screen, enum tone tone, const char *text, struct outbuf *out, unsigned *row)
{
	struct line line = begin(screen, out);

	put(&line, tone, text);
	end(&line, row);
}

/* ---- the table ---- */

enum cell { NAME, STATE, FOR, RATE, P50, P99, CONNECTIONS, FLIGHT, BUSY, LAG, RESTARTS, ERRORS, MOVED, CELLS };

/* width: with the gap before it. least: columns that the screen must have, for it to be there. */
static const struct {
	const char *title;
	unsigned width, least;
} cells[CELLS] = {
	[NAME] = { "NAME", 8, 0 },
	[STATE] = { "STATE", 10, 0 },
	[FOR] = { "FOR", 8, 60 },
	[RATE] = { "REQ/S", 9, 0 },
	[P50] = { "P50", 9, 70 },
	[P99] = { "P99", 9, 0 },
	[CONNECTIONS] = { "CONN", 7, 50 },
	[FLIGHT] = { "FLIGHT", 8, 112 },
	[BUSY] = { "BUSY", 6, 64 },
	[LAG] = { "LAG", 9, 140 },
	[RESTARTS] = { "RESTARTS", 10, 96 },
	[ERRORS] = { "5XX", 8, 124 },
	[MOVED] = { "MOVED", 8, 132 },
};

static bool is_left(enum cell cell)
{
	return cell == NAME || cell == STATE;
}

static void put_cell(struct line *line, enum cell cell, unsigned width, enum tone tone, const char *text)
{
	unsigned len = 0;

	for (const char *c = text; *c; c++)
		len += ((unsigned char)*c & 0xC0) != 0x80;
	if (!is_left(cell))
		pad(line, width > len ? width - len : 1);
	put(line, tone, text);
	if (is_left(cell))
		pad(line, width > len ? width - len : 1);
}

/* The widest name has room. */
static unsigned cell_width(const struct screen *screen, enum cell cell)
{
	unsigned width = cells[cell].width;

	for (unsigned i = 0; cell == NAME && i < screen->n_workers; i++)
		if (strlen(screen->workers[i].name) + 2 > width)
			width = (unsigned)strlen(screen->workers[i].name) + 2;
	return width;
}

static void draw_heads(const struct screen *screen, struct outbuf *out, unsigned *row)
{
	struct line line = begin(screen, out);

	for (unsigned i = 0; i < CELLS; i++)
		if (screen->columns >= cells[i].least)
			put_cell(&line, (enum cell)i, cell_width(screen, (enum cell)i), DIM, cells[i].title);
	if (line.left > SPARK_LEAST + 2) {
		put(&line, PLAIN, "  ");
		put(&line, DIM, "EACH SECOND");
	}
	end(&line, row);
}

static void write_cell(
	const struct screen *screen, const struct screen_worker *worker, enum cell cell, char *to, size_t size)
{
	const struct screen_figures *figures = &worker->figures;
	const uint64_t counts[CELLS] = {
		[CONNECTIONS] = figures->connections,
		[FLIGHT] = figures->in_flight,
		[RESTARTS] = figures->restarts,
		[ERRORS] = figures->errors,
		[MOVED] = figures->moved,
	};

	switch (cell) {
	case NAME: screen_copy(to, size, worker->name); break;
	case STATE:
		screen_copy(to, size, worker->state);
		/* What is not as it should be is told from the rest without colours, too. */
		for (char *c = to; *c && strcmp(worker->state, "up") != 0; c++)
			*c = (char)toupper((unsigned char)*c);
		break;
	case FOR: write_age(to, size, worker->for_s); break;
	case RATE: write_rate(to, size, figures->requests); break;
	case P50: write_seconds(to, size, figures->p50, screen->utf8); break;
	case P99: write_seconds(to, size, figures->p99, screen->utf8); break;
	case BUSY: (void)snprintf(to, size, "%.0f%%", worker->busy * 100); break;
	case LAG: write_seconds(to, size, worker->lag_s, screen->utf8); break;
	default: (void)snprintf(to, size, "%llu", (unsigned long long)counts[cell]); break;
	}
}

static void draw_spark(struct line *line, const struct screen_worker *worker, double most)
{
	const char *const *levels = line->screen->utf8 ? blocks : marks;
	unsigned n = worker->n_seconds;
	struct outbuf text = { 0 };

	if (n > line->left)
		n = line->left;
	for (unsigned i = worker->n_seconds - n; i < worker->n_seconds; i++) {
		double level = ceil(worker->seconds[i] / most * (LEVELS - 1));

		outbuf_text(&text, levels[level < 0 ? 0 : level >= LEVELS ? LEVELS - 1 : (unsigned)level]);
	}
	outbuf_append(&text, "", 1);
	if (!text.failed)
		put(line, PLAIN, text.data);
	outbuf_finish(&text);
}

static void draw_worker(
	const struct screen *screen, const struct screen_worker *worker, double most, struct outbuf *out, unsigned *row)
{
	struct line line = begin(screen, out);

	for (unsigned i = 0; i < CELLS; i++) {
		enum tone tone = i == STATE ? state_tone(worker->state) : i == NAME ? STRONG : PLAIN;
		char text[SCREEN_NAME];

		if (screen->columns < cells[i].least)
			continue;
		write_cell(screen, worker, (enum cell)i, text, sizeof(text));
		put_cell(&line, (enum cell)i, cell_width(screen, (enum cell)i), tone, text);
	}
	if (line.left > SPARK_LEAST + 2) {
		put(&line, PLAIN, "  ");
		draw_spark(&line, worker, most);
	}
	end(&line, row);
}

/* n of them, in their order: those that are not up before all others. */
static void draw_some(const struct screen *screen, unsigned n, double most, struct outbuf *out, unsigned *row)
{
	unsigned lost = screen->n_workers - count_up(screen), up = lost < n ? n - lost : 0;

	for (unsigned i = 0; i < screen->n_workers && n && !is_full(screen, *row); i++) {
		const struct screen_worker *worker = &screen->workers[i];

		if (is_up(worker) && !up)
			continue;
		up -= is_up(worker);
		n--;
		draw_worker(screen, worker, most, out, row);
	}
}

static void draw_workers(const struct screen *screen, struct outbuf *out, unsigned *row)
{
	unsigned left = screen->rows > *row ? screen->rows - *row : 0;
	unsigned kept = left >= FEW_ROWS ? EVENT_ROWS : left >= FOOT_ROWS * 2 ? FOOT_ROWS : 0;
	unsigned room = left > kept ? left - kept : 1;
	unsigned n = screen->n_workers <= room ? screen->n_workers : room - 1;
	double most = 1;

	for (unsigned i = 0; i < screen->n_workers; i++)
		for (unsigned s = 0; s < screen->workers[i].n_seconds; s++)
			most = fmax(most, screen->workers[i].seconds[s]);
	draw_some(screen, n, most, out, row);
	if (n < screen->n_workers && !is_full(screen, *row)) {
		char text[64];

		(void)snprintf(text, sizeof(text), "and %u more: the terminal is too small", screen->n_workers - n);
		draw_text(screen, DIM, text, out, row);
	}
}

/* ---- all ---- */

static void draw_events(const struct screen *screen, struct outbuf *out, unsigned *row)
{
	unsigned room = screen->rows > *row + 1 ? screen->rows - *row - 1 : 0;
	unsigned n = screen->n_events < room ? screen->n_events : room;

	for (unsigned left = n; left; left--) {
		unsigned at = (screen->next_event + SCREEN_EVENTS - left) % SCREEN_EVENTS;

		draw_text(screen, PLAIN, screen->events[at], out, row);
	}
}

void screen_draw(const struct screen *screen, struct outbuf *out)
{
	const char *said = *screen->notice ? screen->notice : screen->drill;
	unsigned row = 0;

	outbuf_text(out, "\033[H");
	draw_title(screen, out, &row);
	if (!is_full(screen, row))
		draw_totals(screen, out, &row);
	if (!is_full(screen, row) && (*said || screen->rows >= NOTICE_ROWS))
		draw_text(screen, *screen->notice ? BAD : DRILL, said, out, &row);
	if (!is_full(screen, row))
		draw_heads(screen, out, &row);
	draw_workers(screen, out, &row);
	if (!is_full(screen, row))
		draw_text(screen, PLAIN, "", out, &row);
	draw_events(screen, out, &row);
	outbuf_text(out, "\033[J");
	if (!is_full(screen, row)) {
		struct line line = begin(screen, out);

		outbuf_printf(out, "\033[%u;1H", screen->rows);
		put(&line, DIM, "q quits");
	}
}
