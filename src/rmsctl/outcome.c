/* outcome.c - a page or an object to stdout, JUnit XML to a file, the verdict to rmsd. */
#include "rmsctl/outcome.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

bool outcome_can_tell(const struct task *task, struct outbuf *why)
{
	const char *path = task->given[OPTION_junit];
	int err = path ? report_try(path) : 0;

	if (err < 0)
		outbuf_printf(why, "--junit %s: %s", path, strerror(-err));
	return err == 0;
}

enum exit_code outcome_begin(const struct task *task, const struct drill_plan *plan, struct outbuf *why)
{
	struct outbuf line = { 0 };
	enum exit_code code = EXIT_DONE;

	if (task->json)
		return EXIT_DONE;
	report_head(plan, &line);
	if (line.failed || fwrite(line.data, 1, line.len, stdout) != line.len || fflush(stdout) != 0) {
		outbuf_printf(why, "standard output: %s", strerror(errno));
		code = EXIT_REFUSED;
	}
	outbuf_finish(&line);
	return code;
}

static bool is_utf8(void)
{
	return setlocale(LC_CTYPE, "") && strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

/* For rmsd's metrics. It may be gone, and the verdict stands. */
static void send_verdict(const struct task *task, bool passed)
{
	const struct question question = {
		.socket = task->socket,
		.method = "POST",
		.target = passed ? "/v1/drill/verdict?passed=1" : "/v1/drill/verdict?passed=0",
		.json = true,
		.patience_s = 10,
	};
	struct outbuf unheard = { 0 };
	json_t *answer = NULL;

	if (answer_object(&question, &answer, &unheard) == EXIT_DONE)
		json_decref(answer);
	outbuf_finish(&unheard);
}

/* One of report and aborted. Whether it is there now, or none was asked for. */
static bool write_junit(
	const struct task *task, const struct report *report, const struct report_abort *aborted, struct outbuf *why)
{
	const char *path = task->given[OPTION_junit];
	struct outbuf xml = { 0 };
	int err;

	if (!path)
		return true;
	if (report)
		report_junit(report, &xml);
	else
		report_junit_aborted(aborted, &xml);
	err = report_write(path, &xml);
	outbuf_finish(&xml);
	if (err < 0)
		outbuf_printf(why, "%s%s: %s", why->len ? "; " : "", path, strerror(-err));
	return err == 0;
}

enum exit_code outcome_tell(
	const struct task *task, const struct report *report, struct outbuf *out, struct outbuf *why)
{
	send_verdict(task, report->verdict->passed);
	if (task->json)
		answer_print(report_json(report), out);
	else
		report_text(report, is_utf8(), out);
	return write_junit(task, report, NULL, why) && report->verdict->passed ? EXIT_DONE : EXIT_REFUSED;
}

void outcome_abort(const struct task *task, const struct report_abort *aborted, struct outbuf *out, struct outbuf *why)
{
	outbuf_text(why, aborted->why);
	if (task->json)
		answer_print(report_json_aborted(aborted), out);
	(void)write_junit(task, NULL, aborted, why);
}
