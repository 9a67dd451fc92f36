/* text.c - UTF-8 and quoting. */
#include "conf/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* The length of the character at s and its code; 0 if it is not one that Unicode and YAML allow. */
static size_t decode(const unsigned char *s, size_t left, uint32_t *code)
{
	static const struct {
		unsigned char lead, mask;
		uint32_t least;
	} forms[] = { { 0x00, 0x80, 0 }, { 0xc0, 0xe0, 0x80 }, { 0xe0, 0xf0, 0x800 }, { 0xf0, 0xf8, 0x10000 } };
	uint32_t value;
	size_t n = 0;

	while (n < 4 && (s[0] & forms[n].mask) != forms[n].lead)
		n++;
	if (n == 4 || n >= left)
		return 0;
	value = s[0] & (unsigned char)~forms[n].mask;
	for (size_t i = 1; i <= n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		value = value << 6 | (s[i] & 0x3f);
	}
	/* Overlong forms, the C1 controls, surrogates, the two that are no characters, and beyond Unicode. */
	if (value < forms[n].least || (value >= 0x7f && value <= 0x9f) || (value >= 0xd800 && value <= 0xdfff) ||
		value == 0xfffe || value == 0xffff || value > 0x10ffff)
		return 0;
	*code = value;
	return n + 1;
}

size_t text_span(const char *bytes, size_t len, const char *controls)
{
	size_t at = 0;

	while (at < len) {
		uint32_t code;
		size_t n = decode((const unsigned char *)bytes + at, len - at, &code);

		if (!n || (code < ' ' && (!code || !strchr(controls, (int)code))))
			break;
		at += n;
	}
	return at;
}

static void quote_one(struct outbuf *out, const char *at, size_t n, uint32_t code)
{
	if (!n)
		outbuf_printf(out, "\\x%02x", (unsigned char)*at);
	else if (code == '"' || code == '\\')
		outbuf_printf(out, "\\%c", (char)code);
	else if (code == '\n')
		outbuf_text(out, "\\n");
	else if (code == '\t')
		outbuf_text(out, "\\t");
	/* Two that YAML folds as line breaks, and the byte order mark, which readers drop. */
	else if (code < ' ' || code == 0x2028 || code == 0x2029 || code == 0xfeff)
		outbuf_printf(out, "\\u%04x", code);
	else
		outbuf_append(out, at, n);
}

void text_quote(struct outbuf *out, const char *bytes, size_t len, size_t max)
{
	size_t at = 0;

	outbuf_text(out, "\"");
	while (at < len && at < max) {
		uint32_t code = 0;
		size_t n = decode((const unsigned char *)bytes + at, len - at, &code);

		quote_one(out, bytes + at, n, code);
		at += n ? n : 1;
	}
	outbuf_text(out, at < len ? "...\"" : "\"");
}

static bool letter_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

void text_plain(struct outbuf *out, const char *bytes, size_t len, size_t max)
{
	bool plain = len > 0 && len <= max && (letter_or_digit(bytes[0]) || bytes[0] == '/');

	for (size_t i = 1; plain && i < len; i++)
		plain = letter_or_digit(bytes[i]) || memchr("/._-", bytes[i], 4);
	if (plain)
		outbuf_append(out, bytes, len);
	else
		text_quote(out, bytes, len, max);
}
