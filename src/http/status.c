/* status.c - status.def as tables indexed by code. */
#include "http/status.h"

#include <assert.h>

enum { FIRST = 200, LAST = 599, BARE_LEN = sizeof("HTTP/1.1 200 \r\n") - 1 };

struct line {
	const char *text; /* NULL: no such row */
	size_t len;
	const char *reason;
};

static const struct line lines[LAST - FIRST + 1] = {
#define LINE(code, reason) "HTTP/1.1 " #code " " reason "\r\n"
#define STATUS(code, reason, sender) [code - FIRST] = { LINE(code, reason), sizeof(LINE(code, reason)) - 1, reason },
#include "http/status.def"
};

/* For the codes without a row: the same lines with the reason left out. */
static const char bare[LAST - FIRST + 1][BARE_LEN + 1] = {
#define ONE(code) "HTTP/1.1 " #code " \r\n",
#define TEN(ht) \
	ONE(ht##0) ONE(ht##1) ONE(ht##2) ONE(ht##3) ONE(ht##4) ONE(ht##5) ONE(ht##6) ONE(ht##7) ONE(ht##8) ONE(ht##9)
#define HUNDRED(h) TEN(h##0) TEN(h##1) TEN(h##2) TEN(h##3) TEN(h##4) TEN(h##5) TEN(h##6) TEN(h##7) TEN(h##8) TEN(h##9)
	HUNDRED(2) HUNDRED(3) HUNDRED(4) HUNDRED(5)
};

static const uint16_t sent[] = {
#define SENT(code) code,
#define APP(code)
#define STATUS(code, reason, sender) sender(code)
#include "http/status.def"
	0,
};

const char *status_line(int code, size_t *len)
{
	const struct line *line = &lines[code - FIRST];

	assert(code >= FIRST && code <= LAST);
	*len = line->text ? line->len : BARE_LEN;
	return line->text ? line->text : bare[code - FIRST];
}

const char *status_reason(int code)
{
	assert(code >= FIRST && code <= LAST);
	return lines[code - FIRST].text ? lines[code - FIRST].reason : "";
}

const uint16_t *status_sent(void)
{
	return sent;
}
