/* top.c - a terminal, a stream of events and signals in one poll(); a stream that ends is opened again. */
#include "rmsctl/top.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "rmsctl/events.h"
#include "rmsctl/screen.h"
#include "rmsctl/stream.h"
#include "rmsctl/table.h"

enum { RETRY_MS = 1000, STALE_MS = 3000, COLUMNS = 80, ROWS = 24, CTRL_C = 3 };

struct top {
	const struct task *task;
	struct screen screen;
	struct stream stream;
	char event[32];        /* whose data comes next */
	long long second_ns;   /* the last second that is in the screen */
	double came_ms;        /* the last figures */
	double tried_ms;       /* the last attempt to reach rmsd */
	char since[16];        /* when they stopped, as the clock showed it */
	struct outbuf refusal; /* in place of events */
	bool heard, changed;   /* figures have come at all; what is shown is not what is known */
	struct termios before; /* raw: as we found the terminal */
	bool raw;
};

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* ---- what comes, to the screen ---- */

/* A text of the server's, as a terminal may have it. */
static void copy_text(char *to, size_t size, const json_t *text)
{
	struct outbuf out = { 0 };

	if (json_is_string(text))
		table_text(json_string_value(text), json_string_length(text), false, &out);
	outbuf_append(&out, "", 1);
	screen_copy(to, size, out.failed ? "" : out.data);
	outbuf_finish(&out);
}

static double number(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

static uint64_t whole(const json_t *object, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(object, key));

	return n > 0 ? (uint64_t)n : 0;
}

/* RFC 3339 in UTC to Unix time; NaN if it is not that. */
static double unix_time(const json_t *text)
{
	struct tm tm = { 0 };
	double seconds;

	if (!json_is_string(text) ||
		sscanf(json_string_value(text), "%4d-%2d-%2dT%2d:%2d:%lf", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
			&tm.tm_hour, &tm.tm_min, &seconds) != 6) /* NOLINT: digits are bounded by their widths */
		return (double)NAN;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	return (double)timegm(&tm) + seconds;
}

static struct screen_figures read_figures(const json_t *object)
{
	return (struct screen_figures){
		.requests = fmax(0, number(object, "requests_per_second")),
		.p50 = number(object, "p50_seconds"),
		.p99 = number(object, "p99_seconds"),
		.connections = whole(object, "connections"),
		.in_flight = whole(object, "in_flight"),
		.errors = whole(object, "errors_total"),
		.moved = whole(object, "rehomed_total"),
		.restarts = whole(object, "restarts"),
	};
}

/* What is known of another one is forgotten. */
static void name_worker(struct screen_worker *worker, const json_t *text)
{
	char name[SCREEN_NAME];

	copy_text(name, sizeof(name), text);
	if (strcmp(name, worker->name) == 0)
		return;
	*worker = (struct screen_worker){ 0 };
	screen_copy(worker->name, sizeof(worker->name), name);
}

static void read_worker(struct screen_worker *worker, const json_t *object, double now)
{
	name_worker(worker, json_object_get(object, "name"));
	copy_text(worker->state, sizeof(worker->state), json_object_get(object, "state"));
	worker->for_s = fmax(0, now - unix_time(json_object_get(object, "since")));
	worker->busy = fmax(0, number(object, "busy_ratio"));
	worker->lag_s = number(object, "loop_lag_seconds");
	worker->figures = read_figures(object);
}

static void read_drill(struct screen *screen, const json_t *drill)
{
	char action[16], worker[SCREEN_NAME], phase[16];

	*screen->drill = '\0';
	if (!json_is_object(drill))
		return;
	copy_text(action, sizeof(action), json_object_get(drill, "action"));
	copy_text(worker, sizeof(worker), json_object_get(drill, "worker"));
	copy_text(phase, sizeof(phase), json_object_get(drill, "phase"));
	(void)snprintf(screen->drill, sizeof(screen->drill), "Drill: %s %s, %s", action, worker, phase);
}

static void take_clock(struct screen *screen, const json_t *data)
{
	char time[32];

	/* "2026-11-24T03:49:02.988Z" */
	copy_text(time, sizeof(time), json_object_get(data, "time"));
	if (strlen(time) >= 19)
		(void)snprintf(screen->clock, sizeof(screen->clock), "%.8s", time + 11);
}

static void take_figures(struct top *top, const json_t *data)
{
	struct screen *screen = &top->screen;
	const json_t *workers = json_object_get(data, "workers"), *worker, *server = json_object_get(data, "server");
	long long second_ns = json_integer_value(json_object_get(data, "second_ns"));
	size_t i;

	take_clock(screen, data);
	copy_text(screen->version, sizeof(screen->version), json_object_get(data, "version"));
	screen->draining = json_is_string(server) && strcmp(json_string_value(server), "draining") == 0;
	screen->uptime_s = fmax(0, number(data, "uptime_seconds"));
	screen->totals = read_figures(json_object_get(data, "totals"));
	screen->n_workers = 0;
	json_array_foreach(workers, i, worker) {
		if (i == SCREEN_WORKERS)
			break;
		read_worker(&screen->workers[i], worker, unix_time(json_object_get(data, "time")));
		if (second_ns && second_ns != top->second_ns)
			screen_add_second(&screen->workers[i], screen->workers[i].figures.requests);
		screen->n_workers++;
	}
	read_drill(screen, json_object_get(data, "drill"));
	top->second_ns = second_ns;
	top->came_ms = now_ms();
	top->heard = true;
}

static void take_event(struct top *top, const char *name, const json_t *data)
{
	struct screen *screen = &top->screen;
	struct outbuf line = { 0 };
	char state[16], worker[SCREEN_NAME];

	events_line(name, data, &line);
	/* A day is not told: "2026-11-24T03:49:02.988Z  state    app2  down, was up" */
	if (!line.failed && line.len > 25 && line.data[10] == 'T') {
		line.data[line.len - 1] = '\0';
		memmove(line.data + 19, line.data + 24, line.len - 24);
		screen_add_event(screen, line.data + 11);
	}
	outbuf_finish(&line);
	if (strcmp(name, "state") != 0)
		return;
	copy_text(worker, sizeof(worker), json_object_get(data, "worker"));
	copy_text(state, sizeof(state), json_object_get(data, "state"));
	for (unsigned i = 0; i < screen->n_workers; i++)
		if (strcmp(screen->workers[i].name, worker) == 0) {
			screen_copy(screen->workers[i].state, sizeof(screen->workers[i].state), state);
			screen->workers[i].for_s = 0;
		}
}

/* What was shown before another connection to rmsd began is told again. */
static void take_history(struct top *top, const json_t *data)
{
	const json_t *names = json_object_get(data, "workers"), *name, *row, *event;
	struct screen *screen = &top->screen;
	size_t i, worker;

	screen->n_events = 0;
	json_array_foreach(json_object_get(data, "events"), i, event) {
		char kind[16];

		copy_text(kind, sizeof(kind), json_object_get(event, "kind"));
		take_event(top, kind, json_object_get(event, "data"));
	}
	json_array_foreach(names, worker, name) {
		struct screen_worker *at = &screen->workers[worker];

		if (worker == SCREEN_WORKERS)
			break;
		name_worker(at, name);
		at->n_seconds = 0;
		json_array_foreach(json_object_get(data, "seconds"), i, row)
			screen_add_second(at, json_number_value(json_array_get(row, 1 + worker * 3)));
	}
	/* The last second of it is the one that the first figures tell, too. */
	i = json_array_size(json_object_get(data, "seconds"));
	for (worker = 0; i && worker < SCREEN_WORKERS; worker++)
		if (screen->workers[worker].n_seconds)
			screen->workers[worker].n_seconds--;
	top->second_ns = 0;
}

static void take(struct top *top, const char *line, size_t len)
{
	json_t *data = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);

	if (!json_is_object(data)) {
		json_decref(data);
		return;
	}
	if (strcmp(top->event, "figures") == 0)
		take_figures(top, data);
	else if (strcmp(top->event, "history") == 0)
		take_history(top, data);
	else
		take_event(top, top->event, data);
	top->changed = true;
	json_decref(data);
}

static void on_line(const char *line, size_t len, void *arg)
{
	static const char event[] = "event: ", data[] = "data: ";
	struct top *top = arg;

	if (len && *line == '{' && !*top->event) {
		json_t *answer = json_loadb(line, len, 0, NULL);

		outbuf_reset(&top->refusal, SIZE_MAX);
		answer_refusal(0, answer, &top->refusal);
		json_decref(answer);
	} else if (len >= sizeof(event) && memcmp(line, event, sizeof(event) - 1) == 0) {
		(void)snprintf(top->event, sizeof(top->event), "%.*s", (int)(len - sizeof(event) + 1),
			line + sizeof(event) - 1);
	} else if (len >= sizeof(data) && memcmp(line, data, sizeof(data) - 1) == 0) {
		take(top, line + sizeof(data) - 1, len - sizeof(data) + 1);
	}
}

/* ---- the connection ---- */

static int reach(struct top *top, struct outbuf *why)
{
	top->tried_ms = now_ms();
	*top->event = '\0';
	return stream_open(&top->stream, top->task->socket, "GET", top->task->command->path, on_line, top, why);
}

static void lose(struct top *top)
{
	stream_close(&top->stream);
	top->stream = (struct stream){ .fd = -1 };
}

/* What stands above the workers when their figures are old. */
static void judge(struct top *top)
{
	char notice[SCREEN_TEXT] = "";

	if (top->stream.fd < 0 && top->refusal.len)
		(void)snprintf(notice, sizeof(notice), "%.*s: trying again", (int)top->refusal.len, top->refusal.data);
	else if (top->stream.fd < 0)
		(void)snprintf(
			notice, sizeof(notice), "rmsd has gone: stale since %s UTC, trying again", top->screen.clock);
	else if (top->heard && now_ms() - top->came_ms > STALE_MS)
		(void)snprintf(notice, sizeof(notice), "rmsd says nothing: stale since %s UTC", top->screen.clock);
	else if (!top->heard && now_ms() - top->tried_ms > STALE_MS)
		(void)snprintf(notice, sizeof(notice), "rmsd says nothing");
	if (strcmp(notice, top->screen.notice) != 0) {
		screen_copy(top->screen.notice, sizeof(top->screen.notice), notice);
		top->changed = true;
	}
}

/* ---- the terminal ---- */

static void write_all(const char *bytes, size_t len)
{
	while (len) {
		ssize_t n = write(STDOUT_FILENO, bytes, len);

		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return;
		bytes += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
}

static void measure(struct screen *screen)
{
	struct winsize size;

	screen->columns = COLUMNS;
	screen->rows = ROWS;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col && size.ws_row) {
		screen->columns = size.ws_col;
		screen->rows = size.ws_row;
	}
}

/*
 * The alternate screen, no cursor, no wrapping; keys come as they are pressed, Ctrl-C too. Once more after we were
 * stopped: a shell may have set the terminal up for itself meanwhile, or nobody has touched it.
 */
static void enter(struct top *top)
{
	static const char begin[] = "\033[?1049h\033[?25l\033[?7l\033[2J";
	struct termios raw;

	if (top->raw || tcgetattr(STDIN_FILENO, &top->before) == 0) {
		raw = top->before;
		raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG | IEXTEN);
		raw.c_iflag &= ~(tcflag_t)(IXON | ICRNL);
		raw.c_cc[VMIN] = 1;
		raw.c_cc[VTIME] = 0;
		top->raw = tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw) == 0;
	}
	write_all(begin, sizeof(begin) - 1);
}

static void leave(struct top *top)
{
	static const char end[] = "\033[?7h\033[?25h\033[?1049l";

	write_all(end, sizeof(end) - 1);
	if (top->raw)
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &top->before);
}

static void draw(struct top *top)
{
	struct outbuf out = { 0 };

	screen_draw(&top->screen, &out);
	if (!out.failed)
		write_all(out.data, out.len);
	outbuf_finish(&out);
	top->changed = false;
}

/* ---- the loop ---- */

/* Whether q, Q or Ctrl-C was among what was typed, or nobody can type any more. */
static bool is_over(struct pollfd *typed)
{
	char keys[64];
	ssize_t n = read(STDIN_FILENO, keys, sizeof(keys));

	if (n <= 0 && !(n < 0 && errno == EINTR)) {
		typed->fd = -1;
		return isatty(STDOUT_FILENO) && isatty(STDIN_FILENO);
	}
	for (ssize_t i = 0; i < n; i++)
		if (keys[i] == 'q' || keys[i] == 'Q' || keys[i] == CTRL_C)
			return true;
	return false;
}

/* 0, or the signal that ends us. */
static int take_signal(struct top *top, int fd)
{
	struct signalfd_siginfo info;

	if (read(fd, &info, sizeof(info)) != sizeof(info))
		return 0;
	if (info.ssi_signo != SIGWINCH && info.ssi_signo != SIGCONT)
		return (int)info.ssi_signo;
	if (info.ssi_signo == SIGCONT)
		enter(top);
	measure(&top->screen);
	top->changed = true;
	return 0;
}

/* 0: as asked; else the signal. */
static int show(struct top *top, int signals, struct outbuf *why)
{
	struct pollfd fds[] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .fd = signals, .events = POLLIN },
		{ .events = POLLIN } };
	int signal = 0;

	while (!signal) {
		judge(top);
		if (top->changed && (top->heard || *top->screen.notice))
			draw(top);
		fds[2].fd = top->stream.fd;
		fds[2].revents = 0;
		if (poll(fds, 3, RETRY_MS) < 0 && errno != EINTR)
			break;
		if (fds[0].revents && is_over(&fds[0]))
			break;
		if (fds[1].revents)
			signal = take_signal(top, signals);
		if (fds[2].revents && (stream_read(&top->stream) < 0 || top->stream.ended))
			lose(top);
		/* Who never says a word is no rmsd, or has too many listeners. */
		if (top->stream.fd < 0 && !top->heard)
			break;
		if (top->stream.fd < 0 && now_ms() - top->tried_ms >= RETRY_MS) {
			outbuf_reset(&top->refusal, SIZE_MAX);
			outbuf_reset(why, SIZE_MAX);
			(void)reach(top, why);
		}
	}
	return signal;
}

enum exit_code top_run(const struct task *task, struct outbuf *why)
{
	static struct top top; /* large */
	const char *no_colour = getenv("NO_COLOR"), *terminal = getenv("TERM");
	sigset_t caught, former;
	enum exit_code code = EXIT_DONE;
	int signals, signal_seen;
	bool gone;

	if (task->json) {
		outbuf_text(why, "top: is for people: no --json (events --follow has the same figures)");
		return EXIT_USAGE;
	}
	if (!isatty(STDOUT_FILENO)) {
		outbuf_text(why, "top: standard output is not a terminal (events --follow has the same figures)");
		return EXIT_USAGE;
	}
	if (terminal && strcmp(terminal, "dumb") == 0) {
		outbuf_text(
			why, "top: a dumb terminal has no screen to draw on (events --follow has the same figures)");
		return EXIT_USAGE;
	}
	top = (struct top){ .task = task, .stream.fd = -1 };
	if (reach(&top, why) < 0)
		return EXIT_UNREACHABLE;
	(void)setlocale(LC_CTYPE, ""); /* NOLINT: no other thread */
	top.screen.utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	top.screen.colour = !no_colour || !*no_colour;
	measure(&top.screen);
	sigemptyset(&caught);
	for (const int *s = (const int[]){ SIGWINCH, SIGCONT, SIGTERM, SIGINT, SIGHUP, SIGQUIT, 0 }; *s; s++)
		sigaddset(&caught, *s);
	sigprocmask(SIG_BLOCK, &caught, &former);
	signals = signalfd(-1, &caught, SFD_CLOEXEC | SFD_NONBLOCK);
	enter(&top);
	signal_seen = show(&top, signals, why);
	leave(&top);
	gone = top.stream.fd < 0;
	lose(&top);
	if (signals >= 0)
		close(signals);
	sigprocmask(SIG_SETMASK, &former, NULL);
	if (signal_seen)
		raise(signal_seen); /* to end as whoever sent it expects */
	outbuf_reset(why, SIZE_MAX);
	if (top.refusal.len && !top.heard) {
		outbuf_append(why, top.refusal.data, top.refusal.len);
		code = EXIT_REFUSED;
	} else if (gone && !top.heard) {
		outbuf_printf(why, "%s: not an answer of rmsd: no events", task->socket);
		code = EXIT_UNREACHABLE;
	}
	outbuf_finish(&top.refusal);
	return code;
}
