/* log_line.c - printf's facts to text or JSON; and the quoting that makes a value of a peer's bytes one fact. */
#include "base/log_line.h"

#include <stdio.h>
#include <string.h>

/* No line outgrows its buffer: JSON makes at most six bytes of one, and the frame is less than the rest. */
_Static_assert(LOG_LINE_SIZE > 6 * LOG_TEXT_SIZE + 200, "an entry may not fit in a line");

static const char *const level_names[] = { "error", "warn", "info", "debug" };

void log_entry_fill(struct log_entry *entry, enum log_level level, const char *message, const char *facts, va_list args)
{
	size_t len = strnlen(message, LOG_TEXT_SIZE / 2);
	size_t room = LOG_TEXT_SIZE - len - 1;
	int n;

	clock_gettime(CLOCK_REALTIME, &entry->time);
	entry->level = level;
	entry->facts = (unsigned)len + 1;
	memcpy(entry->text, message, len);
	entry->text[len] = '\0';
	n = vsnprintf(entry->text + entry->facts, room, facts, args);
	if (n < 0)
		entry->text[entry->facts] = '\0';
	else if ((size_t)n >= room)
		memcpy(entry->text + LOG_TEXT_SIZE - sizeof("..."), "...", sizeof("..."));
}

static void add(struct log_line *line, const char *text, size_t len)
{
	memcpy(line->data + line->len, text, len);
	line->len += len;
}

static void add_text(struct log_line *line, const char *text)
{
	add(line, text, strlen(text));
}

/* Bytes that are not ASCII are taken for Latin-1, so that the line is good JSON whatever they were. */
static void add_json(struct log_line *line, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)bytes[i];
		char escape[8];

		if (c == '"' || c == '\\') {
			add(line, "\\", 1);
			add(line, bytes + i, 1);
		} else if (c < 0x20 || c >= 0x7f) {
			snprintf(escape, sizeof(escape), "\\u%04x", c);
			add_text(line, escape);
		} else {
			add(line, bytes + i, 1);
		}
	}
}

/* The value of a hexadecimal digit; 16 or more if it is none. */
static unsigned hex(char c)
{
	return c >= '0' && c <= '9' ? (unsigned)(c - '0') : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10) : 16u;
}

/* One byte of what log_quote() made; the address behind it. A backslash that a cut left alone stands for itself. */
static const char *unquote(const char *at, char *byte)
{
	*byte = *at;
	if (*at != '\\')
		return at + 1;
	if (at[1] == '"' || at[1] == '\\') {
		*byte = at[1];
		return at + 2;
	}
	if (at[1] == 'x' && hex(at[2]) < 16 && hex(at[3]) < 16) {
		*byte = (char)(hex(at[2]) << 4 | hex(at[3]));
		return at + 4;
	}
	return at + 1;
}

/* The first of facts, as a member behind others; the address behind it. */
static const char *add_fact(struct log_line *line, const char *facts)
{
	size_t len = strcspn(facts, "= ");
	char byte;

	add_text(line, ",\"");
	add_json(line, facts, len);
	add_text(line, "\":\"");
	facts += len;
	if (*facts == '=')
		facts++;
	if (*facts == '"') {
		facts++;
		while (*facts && *facts != '"') {
			facts = unquote(facts, &byte);
			add_json(line, &byte, 1);
		}
		facts += *facts == '"';
	} else {
		len = strcspn(facts, " ");
		add_json(line, facts, len);
		facts += len;
	}
	add_text(line, "\"");
	return facts + strspn(facts, " ");
}

void log_line_make(struct log_line *line, const struct log_entry *entry, enum log_format format)
{
	const char *facts = entry->text + entry->facts;
	char when[sizeof("2026-11-24T02:17:33.")], ms[16];
	struct tm tm;

	gmtime_r(&entry->time.tv_sec, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S.", &tm);
	snprintf(ms, sizeof(ms), "%03ldZ", entry->time.tv_nsec / 1000000);
	line->len = 0;
	if (format == LOG_TEXT) {
		add_text(line, when);
		add_text(line, ms);
		add_text(line, " ");
		add_text(line, level_names[entry->level]);
		add_text(line, " ");
		add_text(line, entry->text);
		add_text(line, *facts ? " " : "");
		add_text(line, facts);
		add_text(line, "\n");
		return;
	}
	add_text(line, "{\"time\":\"");
	add_text(line, when);
	add_text(line, ms);
	add_text(line, "\",\"level\":\"");
	add_text(line, level_names[entry->level]);
	add_text(line, "\",\"message\":\"");
	add_json(line, entry->text, strlen(entry->text));
	add_text(line, "\"");
	facts += strspn(facts, " ");
	while (*facts)
		facts = add_fact(line, facts);
	add_text(line, "}\n");
}

const char *log_quote(char *buf, size_t size, const char *bytes, size_t len)
{
	static const char cut[] = "...\"", digits[] = "0123456789abcdef";
	size_t at = 0, safe = 1; /* safe: behind the last byte that cut still fits after */

	if (size <= sizeof(cut)) {
		if (size)
			buf[0] = '\0';
		return buf;
	}
	buf[at++] = '"';
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)bytes[i];
		bool plain = c >= 0x20 && c < 0x7f;
		size_t need = !plain ? 4 : c == '"' || c == '\\' ? 2 : 1;

		if (at + need + sizeof("\"") > size) {
			memcpy(buf + safe, cut, sizeof(cut));
			return buf;
		}
		if (need > 1)
			buf[at++] = '\\';
		if (plain) {
			buf[at++] = (char)c;
		} else {
			buf[at++] = 'x';
			buf[at++] = digits[c >> 4];
			buf[at++] = digits[c & 15];
		}
		if (at + sizeof(cut) <= size)
			safe = at;
	}
	buf[at++] = '"';
	buf[at] = '\0';
	return buf;
}

const char *log_word(char *buf, size_t size, const char *text)
{
	size_t len = 0;

	while (text[len] > ' ' && text[len] < 0x7f && text[len] != '"' && text[len] != '\\')
		len++;
	return len && !text[len] ? text : log_quote(buf, size, text, strlen(text));
}
