/* value.c - the types of options: numbers with units, choices, words. */
#include "conf/value.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uv.h>
#include "base/log.h"
#include "conf/text.h"

/* control_socket becomes a sun_path, which ends with a NUL here. */
enum { PATH_LONGEST = 107, LOG_FILE_LONGEST = 1023 };

static const char *const bad_name = "bad name", *const no_memory = "out of memory";

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static const char *scale(const struct value_unit *units, const char *text, uint64_t *value)
{
	uint64_t n = 0;
	bool fits = true;
	const char *at = text;

	for (; is_digit(*at); at++)
		fits = fits && !__builtin_mul_overflow(n, 10, &n) &&
			!__builtin_add_overflow(n, (uint64_t)(*at - '0'), &n);
	if (at == text)
		return at[0] == '-' && is_digit(at[1]) ? "out of range" : "not a number";
	for (const struct value_unit *unit = units; unit->name; unit++) {
		if (strcmp(unit->name, at))
			continue;
		return fits && !__builtin_mul_overflow(n, unit->factor, value) ? NULL : "out of range";
	}
	if (!*at)
		return "missing unit";
	return units[1].name ? "unknown unit" : "not a number";
}

static const char *scale_within(
	const struct value_type *type, const char *text, const char *min, const char *max, uint64_t *value)
{
	uint64_t n, least = 0, most = UINT64_MAX;
	const char *wrong = scale(type->units, text, &n);

	if (wrong)
		return wrong;
	wrong = *min ? scale(type->units, min, &least) : NULL;
	assert(!wrong);
	wrong = *max ? scale(type->units, max, &most) : NULL;
	assert(!wrong);
	if (n < least || n > most)
		return "out of range";
	*value = n;
	return NULL;
}

static const char *parse_u64(
	const struct value_type *type, const char *text, const char *min, const char *max, void *value)
{
	return scale_within(type, text, min, max, value);
}

static const char *parse_u32(
	const struct value_type *type, const char *text, const char *min, const char *max, void *value)
{
	uint64_t n;
	const char *wrong = scale_within(type, text, min, max, &n);

	if (!wrong && n > UINT32_MAX)
		wrong = "out of range";
	if (!wrong)
		*(uint32_t *)value = (uint32_t)n;
	return wrong;
}

static const char *parse_workers(
	const struct value_type *type, const char *text, const char *min, const char *max, void *value)
{
	uint64_t most;
	unsigned processors;

	if (strcmp(text, "auto"))
		return parse_u32(type, text, min, max, value);
	processors = uv_available_parallelism();
	if (!scale(type->units, max, &most) && processors > most)
		processors = (unsigned)most;
	*(value_workers *)value = processors;
	return NULL;
}

static const char *parse_port(
	const struct value_type *type, const char *text, const char *min, const char *max, void *value)
{
	uint64_t n;
	const char *wrong;

	if (!strcmp(text, "auto")) {
		*(value_port *)value = VALUE_PORT_AUTO;
		return NULL;
	}
	wrong = scale_within(type, text, min, max, &n);
	if (!wrong)
		*(value_port *)value = (value_port)n;
	return wrong;
}

static void print_scaled(const struct value_unit *units, uint64_t n, struct outbuf *out)
{
	const struct value_unit *best = units;

	assert(units->name && units->factor == 1); /* so every n is a number of something */
	for (const struct value_unit *unit = units; unit->name; unit++) {
		if (n >= unit->factor && n % unit->factor == 0)
			best = unit;
	}
	outbuf_uint(out, n / best->factor);
	outbuf_text(out, best->name);
}

static bool print_u64(const struct value_type *type, const void *value, uint32_t i, struct outbuf *out)
{
	if (i == 0)
		print_scaled(type->units, *(const uint64_t *)value, out);
	return i == 0;
}

static bool print_u32(const struct value_type *type, const void *value, uint32_t i, struct outbuf *out)
{
	if (i == 0)
		print_scaled(type->units, *(const uint32_t *)value, out);
	return i == 0;
}

static bool print_port(const struct value_type *type, const void *value, uint32_t i, struct outbuf *out)
{
	value_port port = *(const value_port *)value;

	if (i == 0 && port == VALUE_PORT_AUTO)
		outbuf_text(out, "auto");
	else if (i == 0)
		print_scaled(type->units, (uint64_t)port, out);
	return i == 0;
}

static const char *parse_choice(
	const struct value_type *type, const char *text, const char *min, const char *max, void *value)
{
	(void)min;
	(void)max;
	for (int i = 0; type->choices[i]; i++) {
		if (!strcmp(text, type->choices[i])) {
			*(int *)value = i;
			return NULL;
		}
	}
	return "not a choice";
}

static bool print_choice(const struct value_type *type, const void *value, uint32_t i, struct outbuf *out)
{
	if (i == 0)
		outbuf_text(out, type->choices[*(const int *)value]);
	return i == 0;
}

static const char *keep(const char *text, void *value)
{
	char *copy = strdup(text);

	if (!copy)
		return no_memory;
	*(char **)value = copy;
	return NULL;
}

static bool print_word(const struct value_type *type, const void *value, uint32_t i, struct outbuf *out)
{
	const char *word = *(char *const *)value;

	(void)type;
	if (i == 0 && word)
		outbuf_text(out, word);
	return i == 0;
}

static void finish_word(void *value)
{
	free(*(char **)value);
}

static const char *keep_path(const char *text, size_t longest, void *value)
{
	size_t len = strlen(text);

	if (*text != '/')
		return "path is not absolute";
	if (len > longest)
		return "path is too long";
	if (text_span(text, len, "") < len)
		return "control character in a path";
	return keep(text, value);
}

static const char *parse_path(
	const struct value_type *type, const char *text, const char *min, const char *max, void *value)
{
	(void)type;
	(void)min;
	(void)max;
	return keep_path(text, PATH_LONGEST, value);
}

static const char off[] = "off";

static const char *parse_log_file(
	const struct value_type *type, const char *text, const char *min, const char *max, void *value)
{
	(void)type;
	(void)min;
	(void)max;
	if (!strcmp(text, off))
		return NULL;
	return strcmp(text, VALUE_LOG_STDERR) != 0 ? keep_path(text, LOG_FILE_LONGEST, value) : keep(text, value);
}

static bool print_log_file(const struct value_type *type, const void *value, uint32_t i, struct outbuf *out)
{
	const char *file = *(char *const *)value;

	(void)type;
	if (i == 0)
		outbuf_text(out, file ? file : off);
	return i == 0;
}

static const char *parse_name(
	const struct value_type *type, const char *text, const char *min, const char *max, void *value)
{
	(void)type;
	(void)min;
	(void)max;
	if (!is_letter(*text))
		return bad_name;
	for (const char *at = text; *at; at++) {
		if (!is_letter(*at) && !is_digit(*at) && *at != '-' && *at != '_')
			return bad_name;
	}
	return strlen(text) > VALUE_NAME_MAX ? "name is too long" : keep(text, value);
}

/* A token (RFC 9110 section 5.6.2) that no reply of rmsd has another use for. */
static const char *parse_header(
	const struct value_type *type, const char *text, const char *min, const char *max, void *value)
{
	static const char *const taken[] = { "Date", "Content-Length", "Connection", "Content-Type",
		"Transfer-Encoding", "Allow", "Retry-After" };

	(void)type;
	(void)min;
	(void)max;
	if (!*text)
		return NULL;
	for (const char *at = text; *at; at++) {
		if (!is_letter(*at) && !is_digit(*at) && !strchr("!#$%&'*+-.^_`|~", *at))
			return bad_name;
	}
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
		if (!strcasecmp(text, taken[i]))
			return "a header that rmsd sets itself";
	}
	return strlen(text) > VALUE_NAME_MAX ? "name is too long" : keep(text, value);
}

void value_accepts(const struct value_type *type, const char *min, const char *max, struct outbuf *out)
{
	if (type->accepts)
		outbuf_text(out, type->accepts);
	for (unsigned i = 0; type->choices && type->choices[i]; i++)
		outbuf_printf(out, "%s%s", i == 0 ? "" : type->choices[i + 1] ? ", " : " or ", type->choices[i]);
	if (*min && *max)
		outbuf_printf(out, ", from %s to %s", min, max);
}

static const struct value_unit plain_units[] = { { "", 1 }, { NULL, 0 } };
static const struct value_unit byte_units[] = { { "", 1 }, { "k", 1 << 10 }, { "m", 1 << 20 }, { "g", 1 << 30 },
	{ NULL, 0 } };
static const struct value_unit time_units[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 },
	{ NULL, 0 } };

static const char *const balances[] = {
	[BALANCE_LEAST_CONN] = "least_conn", [BALANCE_ROUND_ROBIN] = "round_robin", [BALANCE_IP_HASH] = "ip_hash", NULL
};
static const char *const restarts[] = { [RESTART_ON_FAILURE] = "on-failure", [RESTART_NEVER] = "never", NULL };
static const char *const flags[] = { [FLAG_OFF] = "off", [FLAG_ON] = "on", NULL };
static const char *const log_levels[] = {
	[LOG_ERROR] = "error", [LOG_WARN] = "warn", [LOG_INFO] = "info", [LOG_DEBUG] = "debug", NULL
};
static const char *const log_formats[] = { [LOG_TEXT] = "text", [LOG_JSON] = "json", NULL };
static const char *const access_formats[] = { [ACCESS_COMBINED] = "combined", [ACCESS_JSON] = "json", NULL };

const struct value_type value_type_count = {
	.name = "count",
	.accepts = "a number",
	.units = plain_units,
	.parse = parse_u32,
	.print = print_u32,
};
const struct value_type value_type_bytes = {
	.name = "bytes",
	.accepts = "bytes, such as 512, 16k or 1m",
	.units = byte_units,
	.parse = parse_u64,
	.print = print_u64,
};
const struct value_type value_type_duration = {
	.name = "duration",
	.accepts = "a time, such as 500ms, 15s, 2m or 1h",
	.units = time_units,
	.parse = parse_u64,
	.print = print_u64,
};
const struct value_type value_type_workers = {
	.name = "workers",
	.accepts = "auto or a number",
	.units = plain_units,
	.parse = parse_workers,
	.print = print_u32,
};
const struct value_type value_type_port = {
	.name = "port",
	.accepts = "auto or a number",
	.units = plain_units,
	.parse = parse_port,
	.print = print_port,
};
const struct value_type value_type_path = {
	.name = "path",
	.accepts = "an absolute path of at most 107 bytes",
	.parse = parse_path,
	.print = print_word,
	.finish = finish_word,
};
const struct value_type value_type_name = {
	.name = "name",
	.accepts = "a letter, then letters, digits, - and _, at most 48 in all",
	.parse = parse_name,
	.print = print_word,
	.finish = finish_word,
};
const struct value_type value_type_header = {
	.name = "header",
	.accepts = "a header's name of at most 48 bytes, such as X-Worker; or empty",
	.parse = parse_header,
	.print = print_word,
	.finish = finish_word,
};
const struct value_type value_type_balance = {
	.name = "choice",
	.choices = balances,
	.parse = parse_choice,
	.print = print_choice,
};
const struct value_type value_type_restart = {
	.name = "choice",
	.choices = restarts,
	.parse = parse_choice,
	.print = print_choice,
};
const struct value_type value_type_flag = {
	.name = "choice",
	.choices = flags,
	.parse = parse_choice,
	.print = print_choice,
};
const struct value_type value_type_log_level = {
	.name = "choice",
	.choices = log_levels,
	.parse = parse_choice,
	.print = print_choice,
};
const struct value_type value_type_log_format = {
	.name = "choice",
	.choices = log_formats,
	.parse = parse_choice,
	.print = print_choice,
};
const struct value_type value_type_access_format = {
	.name = "choice",
	.choices = access_formats,
	.parse = parse_choice,
	.print = print_choice,
};
const struct value_type value_type_log_file = {
	.name = "log file",
	.accepts = "off, stderr or an absolute path of at most 1023 bytes",
	.parse = parse_log_file,
	.print = print_log_file,
	.finish = finish_word,
};
