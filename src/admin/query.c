/* query.c - "key=value&key=value" to values, by a table of keys. */
#include "admin/query.h"

#include <string.h>

#include "conf/text.h"
#include "conf/value.h"

struct key {
	const char *name;
	const struct value_type *type; /* a count or a duration; NULL: any text but "" */
	const char *min, *max;
};

static const struct key keys[QUERY_NAMES] = {
	[QUERY_ACTION] = { "action", NULL, "", "" },
	[QUERY_DELAY] = { "delay", &value_type_duration, "1ms", "1h" },
	[QUERY_FIGURES] = { "figures", &value_type_count, "0", "1" },
	[QUERY_FOR] = { "for", &value_type_duration, "1ms", "1h" },
	[QUERY_FORCE] = { "force", &value_type_count, "0", "1" },
	[QUERY_HISTORY] = { "history", &value_type_count, "0", "1" },
	[QUERY_ID] = { "id", &value_type_count, "1", "4294967295" },
	[QUERY_IF_GENERATION] = { "if_generation", &value_type_count, "0", "4294967295" },
	[QUERY_PASSED] = { "passed", &value_type_count, "0", "1" },
	[QUERY_PATH] = { "path", NULL, "", "" },
	[QUERY_PERCENT] = { "percent", &value_type_count, "1", "100" },
	[QUERY_STATUS] = { "status", &value_type_count, "200", "599" },
	[QUERY_TIMEOUT] = { "timeout", &value_type_duration, "1ms", "1h" },
	[QUERY_TTL] = { "ttl", &value_type_duration, "1ms", "1h" },
	[QUERY_WAIT] = { "wait", &value_type_count, "0", "1" },
	[QUERY_WORKER] = { "worker", NULL, "", "" },
};

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool query_decode(char *text)
{
	char *to = text;
	size_t len;

	for (const char *at = text; *at; to++) {
		if (*at != '%') {
			*to = *at++;
			continue;
		}
		if (digit(at[1]) < 0 || digit(at[2]) < 0)
			return false;
		*to = (char)(digit(at[1]) * 16 + digit(at[2]));
		at += 3;
	}
	*to = '\0';
	len = (size_t)(to - text);
	/* A %00 is no text either. */
	return text_span(text, len, "") == len;
}

/* "force, timeout" */
static void name_all(struct outbuf *out, unsigned set)
{
	const char *between = "";

	for (unsigned i = 0; i < QUERY_NAMES; i++) {
		if (!(set & QUERY_BIT(i)))
			continue;
		outbuf_printf(out, "%s%s", between, keys[i].name);
		between = ", ";
	}
}

/* The key of len bytes at name, if it is accepted; else error says what is. */
static int find(const char *name, size_t len, unsigned accepted, struct outbuf *error)
{
	enum { SHOWN = 40 };

	for (unsigned i = 0; i < QUERY_NAMES; i++)
		if ((accepted & QUERY_BIT(i)) && strlen(keys[i].name) == len && !memcmp(keys[i].name, name, len))
			return (int)i;
	outbuf_text(error, "unknown argument ");
	for (size_t i = 0; i < len && i < SHOWN; i++)
		outbuf_append(error, name[i] > ' ' && name[i] <= '~' ? &name[i] : "?", 1);
	outbuf_text(error, accepted ? " (accepted: " : " (none is accepted");
	name_all(error, accepted);
	outbuf_text(error, ")");
	return -1;
}

static const char *read_value(const struct key *key, struct query_value *value)
{
	uint32_t count = 0;
	const char *wrong;

	if (!key->type)
		return *value->text ? NULL : "empty";
	if (key->type == &value_type_duration)
		return key->type->parse(key->type, value->text, key->min, key->max, &value->number);
	wrong = key->type->parse(key->type, value->text, key->min, key->max, &count);
	value->number = count;
	return wrong;
}

/* One "key=value" of len bytes. */
static bool read_one(
	struct query *query, const char *at, size_t len, struct arena *arena, unsigned accepted, struct outbuf *error)
{
	const char *equals = memchr(at, '=', len);
	size_t name_len = equals ? (size_t)(equals - at) : len;
	int name = find(at, name_len, accepted, error);
	struct query_value *value;
	const char *wrong;
	char *text;

	if (name < 0)
		return false;
	value = &query->values[name];
	text = equals ? arena_copy(arena, equals + 1, len - name_len - 1) : arena_copy(arena, "", 0);
	if (!text)
		wrong = "out of memory";
	else if (value->given)
		wrong = "given twice";
	else if (!query_decode(text))
		wrong = "not percent-encoded text";
	else {
		*value = (struct query_value){ .given = true, .text = text };
		wrong = read_value(&keys[name], value);
	}
	if (!wrong)
		return true;
	outbuf_printf(error, "%s: %s", keys[name].name, wrong);
	if (keys[name].type) {
		outbuf_text(error, " (");
		value_accepts(keys[name].type, keys[name].min, keys[name].max, error);
		outbuf_text(error, ")");
	}
	return false;
}

bool query_read(struct query *query, const char *text, struct arena *arena, unsigned accepted, unsigned needed,
	struct outbuf *error)
{
	bool good = true;
	unsigned missing = needed;

	*query = (struct query){ 0 };
	while (*text && good) {
		size_t len = strcspn(text, "&");

		good = !len || read_one(query, text, len, arena, accepted, error);
		text += len + (text[len] == '&');
	}
	for (unsigned i = 0; i < QUERY_NAMES; i++)
		if (query->values[i].given)
			missing &= ~QUERY_BIT(i);
	if (good && missing) {
		outbuf_text(error, "missing: ");
		name_all(error, missing);
		good = false;
	}
	outbuf_append(error, "", 1);
	return good;
}
