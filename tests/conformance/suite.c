/* suite.c - threads that take one row after another; what does not hold is printed in the order of the rows. */
#include "conformance/suite.h"

#include <ctype.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conformance/exchange.h"

enum {
	THREADS = 24,
	SHOWN = 600,      /* bytes of what was sent and of what came */
	BYTES_MOST = 600, /* a row that is longer is not cut into bytes */
};

struct result {
	bool run, failed;
	enum cut cut; /* with which it failed */
	char why[VERDICT_SIZE];
	struct outcome outcome;
};

struct work {
	const struct suite *suite;
	_Atomic size_t next;
	struct result *results;
};

static void try_row(const struct suite *suite, const struct row *row, struct result *result)
{
	result->run = true;
	for (enum cut cut = CUT_NOT; cut < (suite->cuts ? CUT_KINDS : CUT_THRICE); cut++) {
		if (cut == CUT_BYTES && row_len(row) > BYTES_MOST)
			continue;
		exchange(suite->address, row, cut, suite->patience_ms, &result->outcome);
		result->cut = cut;
		result->failed = !verdict_accept(row, &result->outcome, &suite->demands, result->why);
		if (result->failed)
			return;
		outcome_finish(&result->outcome);
	}
}

static void *take_rows(void *arg)
{
	struct work *work = arg;
	size_t i;

	while ((i = atomic_fetch_add(&work->next, 1)) < n_rows)
		if (!(rows[i].flags & work->suite->skip))
			try_row(work->suite, &rows[i], &work->results[i]);
	return NULL;
}

static void show(const char *bytes, size_t len)
{
	for (size_t i = 0; i < len && i < SHOWN; i++) {
		unsigned char c = (unsigned char)bytes[i];

		if (c == '\r' || c == '\n' || c == '\t')
			printf("\\%c", c == '\r' ? 'r' : c == '\n' ? 'n' : 't');
		else if (isprint(c) && c != '\\')
			putchar(c);
		else
			printf("\\x%02x", c);
	}
	puts(len > SHOWN ? " ..." : "");
}

static void show_steps(const struct row *row)
{
	for (size_t i = 0; i < ROW_STEPS; i++) {
		const struct step *step = &row->steps[i];

		if (step->kind == STEP_SEND) {
			printf("    sent %u x ", step->count);
			show(step->bytes, step->len);
		} else if (step->kind) {
			puts(step->kind == STEP_AWAIT             ? "    waited for a reply"
					: step->kind == STEP_SHUT ? "    half-closed"
								  : "    paused");
		}
	}
}

/* Of others one line a row: a table. Of rmsd everything. */
static void report(const struct suite *suite, const struct row *row, const struct result *result)
{
	static const char *const cuts[] = { "", ", cut at three places", ", cut into bytes" };

	printf("  %-8s %-12s %-10s %s: %s expected, %s%s\n", suite->name, row->topic, row->section, row->name,
		row->expect, result->why, cuts[result->cut]);
	if (!suite->demands.first)
		return;
	show_steps(row);
	fputs("    got ", stdout);
	show(result->outcome.bytes, result->outcome.len);
}

unsigned suite_run(const struct suite *suite, unsigned *run)
{
	struct work work = { .suite = suite, .results = calloc(n_rows, sizeof(struct result)) };
	pthread_t threads[THREADS];
	unsigned n = 0, failed = 0;

	if (!work.results)
		abort();
	for (; n < THREADS && pthread_create(&threads[n], NULL, take_rows, &work) == 0; n++)
		;
	while (n)
		pthread_join(threads[--n], NULL);
	*run = 0;
	for (size_t i = 0; i < n_rows; i++) {
		*run += work.results[i].run;
		if (!work.results[i].failed)
			continue;
		failed++;
		report(suite, &rows[i], &work.results[i]);
		outcome_finish(&work.results[i].outcome);
	}
	printf("%s: %u of %u rows do not hold\n", suite->name, failed, *run);
	fflush(stdout);
	free(work.results);
	return failed;
}
