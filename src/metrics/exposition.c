/* exposition.c - the two lists of a scraper that say what it takes. */
#include "metrics/exposition.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

enum { QUALITY_ONE = 1000 };

struct text {
	const char *at;
	size_t len;
};

static bool same(struct text text, const char *word)
{
	return strlen(word) == text.len && !strncasecmp(text.at, word, text.len);
}

static struct text trim(struct text text)
{
	while (text.len && (*text.at == ' ' || *text.at == '\t')) {
		text.at++;
		text.len--;
	}
	while (text.len && (text.at[text.len - 1] == ' ' || text.at[text.len - 1] == '\t'))
		text.len--;
	return text;
}

/* What stands before the next of mark, or all; takes it, and the mark, from rest. */
static struct text cut(struct text *rest, char mark)
{
	const char *found = memchr(rest->at, mark, rest->len);
	struct text part = { rest->at, found ? (size_t)(found - rest->at) : rest->len };
	size_t used = part.len + (found != NULL);

	rest->at += used;
	rest->len -= used;
	return trim(part);
}

/* "0.75": in thousandths; what is none counts as 1. */
static int parse_quality(struct text text)
{
	int quality = 0, unit = QUALITY_ONE;

	for (size_t i = 0; i < text.len && unit; i++) {
		if (text.at[i] == '.' && i == 1)
			continue;
		if (text.at[i] < '0' || text.at[i] > '9')
			return QUALITY_ONE;
		quality += (text.at[i] - '0') * unit;
		unit /= 10;
	}
	return quality < QUALITY_ONE ? quality : QUALITY_ONE;
}

/* An element of a list: its name, its quality, and the value of one parameter, empty if it is not there. */
static int parse_element(struct text element, const char *parameter, struct text *name, struct text *value)
{
	int quality = QUALITY_ONE;

	*name = cut(&element, ';');
	*value = (struct text){ "", 0 };
	while (element.len) {
		struct text right = cut(&element, ';');
		struct text left = cut(&right, '=');

		right = trim(right);
		if (right.len >= 2 && right.at[0] == '"' && right.at[right.len - 1] == '"')
			right = (struct text){ right.at + 1, right.len - 2 };
		if (same(left, "q"))
			quality = parse_quality(right);
		else if (same(left, parameter))
			*value = right;
	}
	return quality;
}

enum exposition exposition_choose(const char *accept)
{
	struct text rest = { accept, accept ? strlen(accept) : 0 };
	int text = 0, open = 0;

	while (rest.len) {
		struct text name, version;
		int quality = parse_element(cut(&rest, ','), "version", &name, &version);

		if (same(name, "application/openmetrics-text") && (!version.len || same(version, "1.0.0")))
			open = quality > open ? quality : open;
		else if (same(name, "*/*") || same(name, "text/*") ||
			(same(name, "text/plain") && (!version.len || same(version, "0.0.4"))))
			text = quality > text ? quality : text;
	}
	return open && open >= text ? EXPOSITION_OPENMETRICS : EXPOSITION_TEXT;
}

bool exposition_takes_gzip(const char *accept_encoding)
{
	struct text rest = { accept_encoding, accept_encoding ? strlen(accept_encoding) : 0 };
	bool any = false;

	while (rest.len) {
		struct text name, none;
		int quality = parse_element(cut(&rest, ','), "", &name, &none);

		if (same(name, "gzip") || same(name, "x-gzip"))
			return quality > 0;
		if (same(name, "*"))
			any = quality > 0;
	}
	return any;
}

const char *exposition_type(enum exposition form)
{
	return form == EXPOSITION_OPENMETRICS ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
					      : "text/plain; version=0.0.4; charset=utf-8";
}
