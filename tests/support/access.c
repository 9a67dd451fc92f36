/* access.c - waiting for lines, and taking them apart. */
#include "support/access.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "support/keep.h"
#include "support/program.h"
#include "support/running.h"

unsigned access_count(const char *text)
{
	unsigned n = 0;

	for (const char *end; *text; text = end + 1, n++) {
		end = strchr(text, '\n');
		if (!end)
			fail_msg("a line has no end: %s", text);
	}
	return n;
}

const char *access_await(const char *path, unsigned n)
{
	double until = wire_clock_ms() + WIRE_PATIENCE_MS;
	const char *text;
	unsigned lines;

	/* A write may be seen half-way: only at its end is it judged. */
	for (;;) {
		size_t len;

		text = program_file(path, &len);
		if (!len || text[len - 1] == '\n') {
			lines = access_count(text);
			if (lines == n)
				return text;
			if (lines > n)
				fail_msg("%u lines, %u expected: %s", lines, n, text);
		}
		if (wire_clock_ms() > until)
			fail_msg("not %u lines: %s", n, text);
		pause_ms(20);
	}
}

const char *access_line(const char *text, unsigned n)
{
	while (n--) {
		text = strchr(text, '\n');
		assert_non_null(text);
		text++;
	}
	return keepf("%.*s", (int)strcspn(text, "\n"), text);
}

const char *access_value(const char *line, const char *name)
{
	const char *at = strstr(line, keepf(" %s=", name));

	if (!at)
		fail_msg("no %s in: %s", name, line);
	at += strlen(name) + 2;
	return keepf("%.*s", (int)strcspn(at, " \n"), at);
}

json_t *access_json(const char *text, unsigned n)
{
	const char *line = access_line(text, n);
	json_t *json = json_loads(line, JSON_REJECT_DUPLICATES, NULL);

	if (!json_is_object(json))
		fail_msg("no JSON: %s", line);
	return json;
}

double access_made(struct daemon *daemon)
{
	return daemon_metric(daemon, "rmsd_access_log_lines_total", NULL);
}

double access_dropped(struct daemon *daemon)
{
	return daemon_metric(daemon, "rmsd_access_log_dropped_total", NULL);
}
