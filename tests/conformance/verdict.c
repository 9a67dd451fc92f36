/* verdict.c - replies against EXPECT and WANT of a row. */
#include "conformance/verdict.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "conformance/replies.h"

struct seen {
	const struct row *row;
	const struct outcome *outcome;
	struct replies replies;
	size_t n; /* of the replies, those to the row and not to the probe */
	bool kept;
};

static void look(struct seen *seen)
{
	const struct outcome *outcome = seen->outcome;
	bool ended = outcome->end == END_EOF || outcome->end == END_RESET;
	struct replies before;

	replies_read(&seen->replies, outcome->bytes, outcome->len, row_heads(seen->row), ended);
	seen->n = seen->replies.n;
	if (!outcome->probed)
		return;
	replies_read(&before, outcome->bytes, outcome->probe_at, row_heads(seen->row), false);
	seen->n = before.n;
	/* One answer to the probe, which asked for the end. */
	seen->kept = seen->replies.n == before.n + 1 && outcome->end == END_EOF &&
		seen->replies.list[before.n].status == 200;
}

/*
 * Once it has been read, the reply before the probe can't be lost by a reset; and who has asked for the end, was
 * served, and goes on sending, may find the connection gone.
 */
static bool may_reset(const struct seen *seen)
{
	const struct replies *replies = &seen->replies;

	return (seen->outcome->probed && replies->n == seen->n) ||
		(replies->n && replies->list[replies->n - 1].status < 400);
}

static bool ends_well(const struct seen *seen)
{
	bool reset = seen->outcome->end == END_RESET && !may_reset(seen);

	return !seen->replies.error && !seen->replies.partial && !reset && seen->outcome->end <= END_RESET &&
		(seen->kept || seen->replies.n == seen->n);
}

static void describe(const struct seen *seen, char *text, size_t size)
{
	static const char *const ends[] = { "close", "reset", "silence", "unreachable" };
	size_t at = 0;

	text[0] = 0;
	for (size_t i = 0; i < (seen->kept ? seen->n : seen->replies.n) && at < size; i++)
		at += (size_t)snprintf(text + at, size - at, "%d ", seen->replies.list[i].status);
	if (at < size && seen->replies.partial)
		at += (size_t)snprintf(
			text + at, size - at, "(%s) ", seen->replies.error ? seen->replies.error : "a reply cut short");
	if (at < size)
		snprintf(text + at, size - at, "%s", seen->kept ? "keep" : ends[seen->outcome->end]);
}

/* One word of EXPECT: "400|501", "H200", "ok". */
static bool status_fits(const char *word, size_t len, int status, bool strict_ok)
{
	const char *end = word + len;

	word += *word == '?' || *word == 'H';
	for (;;) {
		if (!strncmp(word, "ok", 2) && (status == 200 || (!strict_ok && (status == 404 || status == 405))))
			return true;
		if (strtol(word, NULL, 10) == status)
			return true;
		word = memchr(word, '|', (size_t)(end - word));
		if (!word)
			return false;
		word++;
	}
}

/* One choice of EXPECT; the next one begins at *next, or it is NULL. */
static bool choice_fits(const struct seen *seen, const char *at, bool echo, const char **next)
{
	size_t i = 0;
	bool fits = true, waits = false;

	*next = NULL;
	while (*at) {
		size_t len = strcspn(at, " ");

		if (len == 2 && !strncmp(at, "or", 2)) {
			*next = at + 3;
			break;
		}
		if (!strncmp(at, "any", 3))
			;
		else if (!strncmp(at, "wait", 4))
			waits = true;
		else if (!strncmp(at, "keep", 4) || !strncmp(at, "close", 5))
			fits &= seen->kept == (*at == 'k');
		else if (i < seen->n && status_fits(at, len, seen->replies.list[i].status, echo))
			i++;
		else
			fits &= *at == '?';
		at += len + (at[len] == ' ');
	}
	fits &= waits ? seen->outcome->end == END_SILENCE && !seen->replies.partial : ends_well(seen);
	return fits && i == seen->n;
}

static bool expected(const struct seen *seen, const struct demands *demands)
{
	const char *next = seen->row->expect;

	do {
		if (choice_fits(seen, next, demands->echo, &next))
			return true;
	} while (next && !demands->first);
	return false;
}

static bool is_date(const char *value)
{
	struct tm tm = { 0 };
	char again[64];
	const char *end = strptime(value, "%a, %d %b %Y %H:%M:%S GMT", &tm);

	if (!end || *end)
		return false;
	strftime(again, sizeof(again), "%a, %d %b %Y %H:%M:%S GMT", &tm);
	return !strcmp(value, again) && llabs((long long)timegm(&tm) - (long long)time(NULL)) < 60;
}

/* Line by line but for Date; the lines are in the same order. */
static bool same_fields(const struct answer *a, const struct answer *b)
{
	const char *p = a->head, *q = b->head;

	while (p < a->head + a->head_len && q < b->head + b->head_len) {
		size_t len = strcspn(p, "\n") + 1;

		if (len != strcspn(q, "\n") + 1 || (strncasecmp(p, "Date:", 5) != 0 && memcmp(p, q, len) != 0))
			return false;
		p += len;
		q += len;
	}
	return p == a->head + a->head_len && q == b->head + b->head_len;
}

static bool wanted(const struct seen *seen, const char *want, bool echo)
{
	size_t i = seen->n - 1;
	const struct answer *answer;
	char name[64], value[2048];
	size_t len;

	if (want[0] >= '0' && want[0] <= '9' && want[1] == ':') {
		i = (size_t)(want[0] - '0');
		want += 2;
	}
	if (i >= seen->n)
		return false;
	answer = &seen->replies.list[i];
	if (!strcmp(want, "same"))
		return seen->n == 2 && same_fields(answer - 1, answer);
	if (!strncmp(want, "body=", 5))
		return !echo ||
			(answer->body_len == strlen(want + 5) && !memcmp(answer->body, want + 5, answer->body_len));
	if (!strcmp(want, "date"))
		return answer_field(answer, "Date", value, sizeof(value)) == 1 && is_date(value);
	if (want[0] == '!')
		return answer_field(answer, want + 1, value, sizeof(value)) == 0;
	len = strcspn(want, "=~");
	snprintf(name, sizeof(name), "%.*s", (int)len, want);
	if (!answer_field(answer, name, value, sizeof(value)))
		return false;
	if (want[len] == '=')
		return !strcasecmp(value, want + len + 1);
	return want[len] != '~' || strcasestr(value, want + len + 1);
}

static bool half_closes(const struct row *row)
{
	for (size_t i = 0; i < ROW_STEPS; i++)
		if (row->steps[i].kind == STEP_SHUT)
			return true;
	return false;
}

/* What every reply of rmsd has, whatever the row is about; NULL or what is missing. */
static const char *lacks(const struct seen *seen)
{
	char value[256];

	for (size_t i = 0; i < seen->replies.n; i++) {
		const struct answer *answer = &seen->replies.list[i];
		bool last = i + 1 == seen->replies.n, close = answer_has_word(answer, "Connection", "close");

		if (answer->status < 200)
			continue;
		if (answer_field(answer, "Date", value, sizeof(value)) != 1 || !is_date(value))
			return "a reply without a good Date";
		if (answer->status == 204 && answer_field(answer, "Content-Length", value, 0))
			return "a 204 with Content-Length";
		if (answer->status != 204 && answer->status != 304 && !answer->chunked &&
			!answer_field(answer, "Content-Length", value, sizeof(value)))
			return "a reply without a length";
		if (answer->body_len && !answer_field(answer, "Content-Type", value, sizeof(value)))
			return "a body without Content-Type";
		if (answer->status >= 400 && !answer->body_len && !(row_heads(seen->row) >> i & 1))
			return "an error without a body";
		if (close && !last)
			return "a reply behind one that said close";
		if (answer->status >= 400 && last && !seen->kept && !close && !half_closes(seen->row))
			return "an end after an error that did not say close";
	}
	return NULL;
}

bool verdict_accept(
	const struct row *row, const struct outcome *outcome, const struct demands *demands, char why[VERDICT_SIZE])
{
	struct seen seen = { .row = row, .outcome = outcome };
	char wants[256], *left = wants, *want;
	const char *lack;

	look(&seen);
	describe(&seen, why, VERDICT_SIZE);
	if (!expected(&seen, demands))
		return false;
	snprintf(wants, sizeof(wants), "%s", row->want ? row->want : "");
	while ((want = strsep(&left, ";"))) {
		size_t len = strlen(why);

		if (*want && !wanted(&seen, want, demands->echo)) {
			snprintf(why + len, VERDICT_SIZE - len, ", not as it should be: %s", want);
			return false;
		}
	}
	lack = demands->first ? lacks(&seen) : NULL;
	if (lack) {
		size_t len = strlen(why);

		snprintf(why + len, VERDICT_SIZE - len, ", %s", lack);
	}
	return !lack;
}
