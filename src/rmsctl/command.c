/* command.c - getopt's options and operands against the rows of admin/commands.def; a task to a request's target. */
#include "rmsctl/command.h"

#include <assert.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "rmsctl/number.h"

enum kind { KIND_flag, KIND_count, KIND_duration, KIND_name, KIND_path, KIND_file };
enum where { WHERE_query, WHERE_local };

enum { FIRST_LONG = 256 }; /* what getopt_long() says for the first row: no letter */
/* Of an answer: rmsd needs milliseconds. Of a drain, what it takes at the most if nobody says. */
enum { PATIENCE_S = 10, DRAIN_S = 30 };

static const struct command commands[] = {
#define COMMAND(name, method, path, takes, view, help) { #name, #method, path, takes, help, VIEW_##view },
#include "admin/commands.def"
};
enum { N_COMMANDS = sizeof(commands) / sizeof(*commands) };

static const struct row {
	const char *key; /* of the query */
	enum where where;
	enum kind kind;
	uint64_t least, most;
	const char *fallback, *help;
} rows[] = {
#define OPTION(name, where, kind, least, most, fallback, help) \
	{ #name, WHERE_##where, KIND_##kind, least, most, fallback, help },
#include "admin/commands.def"
};

/* One thing that a verb takes. */
struct item {
	int option;    /* -1: the operand */
	bool numbered; /* the operand is a number */
	bool optional;
	bool joined; /* by | to the one before */
};

/* "if_generation" is --if-generation. */
static bool is_called(const struct row *row, const char *text, size_t len)
{
	if (strlen(row->key) != len)
		return false;
	for (size_t i = 0; i < len; i++)
		if ((row->key[i] == '_' ? '-' : row->key[i]) != text[i])
			return false;
	return true;
}

static int find_option(const char *text, size_t len)
{
	for (int i = 0; i < N_OPTIONS; i++)
		if (is_called(&rows[i], text, len))
			return i;
	return -1;
}

static void write_name(const struct row *row, struct outbuf *out)
{
	outbuf_text(out, "--");
	for (const char *c = row->key; *c; c++)
		outbuf_append(out, *c == '_' ? "-" : c, 1);
}

/* The next word of takes, without its brackets; *optional: it had one. */
static bool next_word(const char **at, const char **word, size_t *len, bool *optional)
{
	*at += strspn(*at, " ");
	*optional = **at == '[';
	*word = *at + *optional;
	*len = strcspn(*word, " ]");
	*at = *word + *len;
	*at += strspn(*at, "]");
	return *len > 0;
}

/* The next of what a verb takes; *at begins at its takes. */
static bool next_item(const char **at, struct item *item)
{
	const char *word;
	size_t len;
	bool bracket;

	*item = (struct item){ .option = -1 };
	if (!next_word(at, &word, &len, &item->optional))
		return false;
	if (*word == '|') {
		item->joined = true;
		next_word(at, &word, &len, &item->optional);
	}
	if (*word != '-') {
		item->numbered = len == 2 && memcmp(word, "ID", 2) == 0;
		return true;
	}
	item->option = find_option(word + 2, len - 2);
	assert(item->option >= 0); /* each option that a verb takes has a row */
	if (rows[item->option].kind != KIND_flag)
		next_word(at, &word, &len, &bracket);
	return true;
}

static bool is_given(const struct task *task, const struct item *item)
{
	return item->option < 0 ? task->operand != NULL : task->given[item->option] != NULL;
}

/* What an operator should have written instead. */
static void write_usage(const struct command *command, struct outbuf *out)
{
	outbuf_printf(out, " (%s%s%s)", command->name, *command->takes ? " " : "", command->takes);
}

/* No more than the verb takes? */
static bool check_surplus(const struct task *task, struct outbuf *why)
{
	uint64_t taken = 0;
	const char *at = task->command->takes;
	struct item item;

	while (next_item(&at, &item))
		taken |= item.option < 0 ? 0 : 1ULL << item.option;
	for (int i = 0; i < N_OPTIONS; i++) {
		if (!task->given[i] || taken >> i & 1)
			continue;
		outbuf_printf(why, "%s: does not take ", task->command->name);
		write_name(&rows[i], why);
		return false;
	}
	return true;
}

static void write_item(const struct item *item, struct outbuf *why)
{
	if (item->option < 0)
		outbuf_text(why, "a name");
	else
		write_name(&rows[item->option], why);
}

/* The item at at, and all that are joined to it. */
static void write_group(const char *at, struct outbuf *why)
{
	struct item item;

	for (bool first = true; next_item(&at, &item) && (first || item.joined); first = false) {
		outbuf_text(why, first ? "" : " or ");
		write_item(&item, why);
	}
}

/* All that the verb needs, and of alternatives one? */
static bool check_needs(const struct task *task, struct outbuf *why)
{
	const char *at = task->command->takes, *group = at, *behind;
	struct item item;
	bool more = next_item(&at, &item);

	while (more) {
		bool optional = item.optional;
		unsigned n = 0;

		do {
			n += is_given(task, &item);
			behind = at;
			more = next_item(&at, &item);
		} while (more && item.joined);
		if (n > 1 || (n == 0 && !optional)) {
			outbuf_printf(why, "%s: %s", task->command->name, n ? "only one of " : "");
			write_group(group, why);
			outbuf_text(why, n ? "" : " is missing");
			write_usage(task->command, why);
			return false;
		}
		group = behind;
	}
	return true;
}

static bool takes_operand(const struct command *command)
{
	const char *at = command->takes;
	struct item item;

	while (next_item(&at, &item))
		if (item.option < 0)
			return true;
	return false;
}

/* A number where the verb wants one? */
static bool check_operand(const struct task *task, struct outbuf *why)
{
	const char *at = task->command->takes, *end;
	struct item item;
	uint64_t n;

	while (next_item(&at, &item)) {
		if (!item.numbered || !task->operand ||
			(number_read(task->operand, &n, &end) && !*end && n >= 1 && n <= UINT32_MAX))
			continue;
		outbuf_printf(why, "%s: %s: not the number of a fault", task->command->name, task->operand);
		write_usage(task->command, why);
		return false;
	}
	return true;
}

static const char *const wanted[] = {
	[KIND_count] = "a number",
	[KIND_duration] = "a time, such as 500ms, 15s or 2m",
	[KIND_name] = "a name",
	[KIND_path] = "a path that begins with / and has no spaces",
	[KIND_file] = "a file",
};

static bool read_value(const struct row *row, const char *text, uint64_t *number)
{
	const char *end;

	switch (row->kind) {
	case KIND_flag: return true;
	case KIND_count:
		return number_read(text, number, &end) && !*end && *number >= row->least && *number <= row->most;
	case KIND_duration: return !number_read_duration(text, row->least, row->most, number);
	case KIND_name:
	case KIND_file: return *text != '\0';
	case KIND_path:
		for (end = text; *end > ' ' && *end < 0x7F; end++)
			;
		return *text == '/' && !*end;
	}
	return false;
}

/* A value that was given, or the fallback; text is NULL if neither. */
static bool take_value(struct task *task, int option, const char *text, struct outbuf *why)
{
	const struct row *row = &rows[option];
	char bounds[64] = "";

	if (read_value(row, text, &task->numbers[option]))
		return true;
	write_name(row, why);
	if (row->kind == KIND_count && row->most < UINT32_MAX)
		(void)snprintf(bounds, sizeof(bounds), " from %llu to %llu", (unsigned long long)row->least,
			(unsigned long long)row->most);
	if (row->kind == KIND_duration)
		outbuf_printf(why, " %s: %s (%s, from %s to 1h)", text,
			number_read_duration(text, row->least, row->most, &task->numbers[option]), wanted[row->kind],
			row->least < 1000 ? "1ms" : "1s");
	else
		outbuf_printf(why, " %s: not %s%s", text, wanted[row->kind], bounds);
	return false;
}

/* Every row a long option of getopt's, and ours. */
static void make_long_options(struct option *options, char names[][32])
{
	static const struct option own[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 },
	};

	for (int i = 0; i < N_OPTIONS; i++) {
		assert(strlen(rows[i].key) < sizeof(names[i]));
		memcpy(names[i], rows[i].key, strlen(rows[i].key) + 1);
		for (char *c = names[i]; *c; c++)
			if (*c == '_')
				*c = '-';
		options[i] = (struct option){ names[i], rows[i].kind == KIND_flag ? no_argument : required_argument,
			NULL, FIRST_LONG + i };
	}
	memcpy(options + N_OPTIONS, own, sizeof(own));
}

/* The options, wherever they stand. */
static bool read_options(int argc, char **argv, struct task *task, struct outbuf *why)
{
	struct option options[N_OPTIONS + 4];
	char names[N_OPTIONS][32];
	int option;

	make_long_options(options, names);
	opterr = 0;
	while ((option = getopt_long(argc, argv, ":s:hV", options, NULL)) != -1) {
		switch (option) {
		case 's': task->socket = optarg; break;
		case 'j': task->json = true; break;
		case 'h': task->help = true; break;
		case 'V': task->version = true; break;
		case ':': outbuf_printf(why, "%s: its value is missing", argv[optind - 1]); return false;
		case '?':
			if (strncmp(argv[optind - 1], "--", 2) != 0) /* one letter, perhaps of several */
				outbuf_printf(why, "-%c", optopt);
			else
				outbuf_text(why, argv[optind - 1]);
			outbuf_text(why, ": no such option (rmsctl --help lists them)");
			return false;
		default:
			task->given[option - FIRST_LONG] = optarg ? optarg : "1";
			if (!take_value(task, option - FIRST_LONG, task->given[option - FIRST_LONG], why))
				return false;
		}
	}
	return true;
}

/* A verb of one word or two. */
static const struct command *find_command(int n, char **words, int *used)
{
	for (size_t i = 0; i < N_COMMANDS; i++) {
		const char *space = strchr(commands[i].name, ' ');
		size_t len = space ? (size_t)(space - commands[i].name) : strlen(commands[i].name);

		if (strlen(words[0]) != len || memcmp(words[0], commands[i].name, len) != 0)
			continue;
		*used = space ? 2 : 1;
		if (!space || (n > 1 && strcmp(words[1], space + 1) == 0))
			return &commands[i];
	}
	return NULL;
}

/* No verb. The first of two words may be right: then there are others. */
static void explain_unknown(int n, char **words, struct outbuf *why)
{
	size_t len = strlen(words[0]);
	bool first = true;

	for (size_t i = 0; i < N_COMMANDS; i++) {
		if (strncmp(commands[i].name, words[0], len) != 0 || commands[i].name[len] != ' ')
			continue;
		if (first && n > 1)
			outbuf_printf(why, "%s %s: no such command (", words[0], words[1]);
		else if (first)
			outbuf_printf(why, "%s: a word is missing (", words[0]);
		outbuf_printf(why, first ? "%s" : ", %s", commands[i].name);
		first = false;
	}
	if (first)
		outbuf_printf(why, "%s: no such command (rmsctl --help lists them)", words[0]);
	else
		outbuf_text(why, ")");
}

bool command_parse(int argc, char **argv, struct task *task, struct outbuf *why)
{
	char verb[] = "version", *version[] = { verb };
	char **words;
	int n, used = 0;

	_Static_assert(N_OPTIONS < 64, "a bit each in check_surplus()");
	for (int i = 0; i < N_OPTIONS; i++)
		if (*rows[i].fallback && !take_value(task, i, rows[i].fallback, why))
			return false;
	if (!read_options(argc, argv, task, why))
		return false;
	if (task->help)
		return true;
	words = task->version ? version : argv + optind;
	n = task->version ? 1 : argc - optind;
	if (!*task->socket) {
		outbuf_text(why, "-s: the path is empty");
		return false;
	}
	if (n == 0) {
		outbuf_text(why, "no command (rmsctl --help lists them)");
		return false;
	}
	task->command = find_command(n, words, &used);
	if (!task->command) {
		explain_unknown(n, words, why);
		return false;
	}
	if (n > used && takes_operand(task->command) && *words[used])
		task->operand = words[used];
	if (n > used + takes_operand(task->command)) {
		outbuf_printf(why, "%s: one argument too many: %s", task->command->name,
			words[used + takes_operand(task->command)]);
		return false;
	}
	return check_surplus(task, why) && check_needs(task, why) && check_operand(task, why);
}

const char *command_text(const struct task *task, enum command_option option)
{
	return task->given[option] ? task->given[option] : rows[option].fallback;
}

void command_encode(const char *text, struct outbuf *out)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

	for (const char *c = text; *c; c++)
		outbuf_printf(out, strchr(plain, *c) ? "%c" : "%%%02X", (unsigned char)*c);
}

void command_target(const struct task *task, const char *name, struct outbuf *target)
{
	const char *path = task->command->path, *operand = name ? name : task->operand;
	const char *hole = strstr(path, "{}"), *query = strchr(path, '?');
	char separator = '?';

	if (!hole) {
		outbuf_text(target, path);
	} else if (operand) {
		outbuf_append(target, path, (size_t)(hole - path));
		command_encode(operand, target);
		outbuf_text(target, hole + 2);
		separator = query ? '&' : '?';
	} else {
		outbuf_append(target, path, query ? (size_t)(query - path) : strlen(path));
	}
	for (int i = 0; i < N_OPTIONS; i++) {
		if (!task->given[i] || rows[i].where != WHERE_query)
			continue;
		outbuf_printf(target, "%c%s=", separator, rows[i].key);
		command_encode(task->given[i], target);
		separator = '&';
	}
	outbuf_append(target, "", 1);
}

unsigned command_patience_s(const struct task *task)
{
	uint64_t ms = task->given[OPTION_timeout] ? task->numbers[OPTION_timeout] : DRAIN_S * 1000ULL;

	if (task->command->view != VIEW_restart && !task->given[OPTION_wait])
		return PATIENCE_S;
	return (unsigned)((ms + 999) / 1000) + PATIENCE_S;
}

void command_help(struct outbuf *out)
{
	outbuf_text(out, "rmsctl [-s SOCKET] [--json] COMMAND\n\n");
	for (size_t i = 0; i < N_COMMANDS; i++)
		outbuf_printf(out, "  %s%s%s\n        %s\n", commands[i].name, *commands[i].takes ? " " : "",
			commands[i].takes, commands[i].help);
	outbuf_text(out, "\n");
	for (int i = 0; i < N_OPTIONS; i++) {
		struct outbuf name = { 0 };

		write_name(&rows[i], &name);
		outbuf_printf(out, "  %-16.*s %s", (int)name.len, name.len ? name.data : "", rows[i].help);
		outbuf_printf(out, *rows[i].fallback ? " (%s)\n" : "\n", rows[i].fallback);
		outbuf_finish(&name);
	}
	outbuf_text(out,
		"\n  -s SOCKET        the control socket; else $RMSD_SOCKET, else /run/rmsd/rmsd.sock\n"
		"  --json           print JSON\n"
		"  -V, --version    as version\n"
		"  -h, --help       print this\n\n"
		"D is a time: 500ms, 15s, 2m, 1h.\n"
		"Exit status: 0 done, or a drill passed; 1 refused or failed; 2 usage; 3 rmsd not reachable or no\n"
		"permission; 4 a drill was aborted.\n");
}
