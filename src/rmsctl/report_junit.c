/* report_junit.c - the report as the XML that CI servers read, and its way to a file. */
#include "rmsctl/report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rmsctl/table.h"

/* As on a terminal: without control characters, which XML cannot hold at all. */
static void write_text(const char *text, struct outbuf *out)
{
	struct outbuf shown = { 0 };

	table_text(text, strlen(text), false, &shown);
	out->failed = out->failed || shown.failed;
	for (size_t i = 0; i < shown.len; i++) {
		switch (shown.data[i]) {
		case '&': outbuf_text(out, "&amp;"); break;
		case '<': outbuf_text(out, "&lt;"); break;
		case '>': outbuf_text(out, "&gt;"); break;
		case '"': outbuf_text(out, "&quot;"); break;
		default: outbuf_append(out, shown.data + i, 1); break;
		}
	}
	outbuf_finish(&shown);
}

static void write_head(const struct drill_plan *plan, unsigned tests, unsigned failures, unsigned errors,
	double seconds, struct outbuf *out)
{
	outbuf_text(
		out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"rmsctl drill --");
	write_text(drill_actions[plan->action], out);
	outbuf_text(out, " ");
	write_text(plan->worker, out);
	outbuf_printf(out, "\" tests=\"%u\" failures=\"%u\" errors=\"%u\" skipped=\"0\" time=\"%.3f\">\n", tests,
		failures, errors, seconds);
}

static void write_case(const struct drill_plan *plan, const char *name, struct outbuf *out)
{
	outbuf_printf(out, "    <testcase classname=\"rmsd.drill.%s.", drill_actions[plan->action]);
	write_text(plan->worker, out);
	outbuf_printf(out, "\" name=\"%s\"", name);
}

void report_junit(const struct report *report, struct outbuf *out)
{
	const struct verdict *verdict = report->verdict;
	double seconds = (double)(report->stop_ns - report->books->samples.start_ns) / 1e9;
	unsigned failures = 0;

	for (int i = 0; i < CHECKS; i++)
		failures += !verdict->checks[i].passed;
	write_head(report->plan, CHECKS, failures, 0, seconds, out);
	for (int i = 0; i < CHECKS; i++) {
		const struct check *check = &verdict->checks[i];

		write_case(report->plan, check_names[i], out);
		outbuf_text(out, check->passed ? ">\n      <system-out>" : ">\n      <failure message=\"");
		write_text(check->text, out);
		outbuf_text(out, check->passed ? "</system-out>\n" : "\"/>\n");
		outbuf_text(out, "    </testcase>\n");
	}
	outbuf_text(out, "  </testsuite>\n</testsuites>\n");
}

void report_junit_aborted(const struct report_abort *aborted, struct outbuf *out)
{
	write_head(aborted->plan, 1, 0, 1, (double)aborted->load_ns / 1e9, out);
	write_case(aborted->plan, aborted->load_ns ? "drill" : "start", out);
	outbuf_printf(out, " time=\"%.3f\">\n      <error message=\"", (double)aborted->load_ns / 1e9);
	write_text(aborted->why, out);
	outbuf_text(out, "\"/>\n    </testcase>\n  </testsuite>\n</testsuites>\n");
}

static int write_all(int fd, const struct outbuf *bytes)
{
	size_t at = 0;

	while (at < bytes->len) {
		ssize_t n = write(fd, bytes->data + at, bytes->len - at);

		if (n >= 0)
			at += (size_t)n;
		else if (errno != EINTR)
			return -errno;
	}
	return 0;
}

/* A file beside path, of which *name is NUL-terminated. Its descriptor, or a negative errno and there is none. */
static int open_beside(const char *path, struct outbuf *name)
{
	int fd;

	outbuf_printf(name, "%s.XXXXXX", path);
	outbuf_append(name, "", 1);
	if (name->failed)
		return -ENOMEM;
	fd = mkostemp(name->data, O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int report_write(const char *path, const struct outbuf *bytes)
{
	struct outbuf name = { 0 };
	mode_t mask = umask(0);
	int fd, err;

	umask(mask);
	fd = bytes->failed ? -ENOMEM : open_beside(path, &name);
	err = fd < 0 ? fd : write_all(fd, bytes);
	if (fd < 0)
		goto finish_name;
	if (fchmod(fd, 0666 & ~mask) < 0 && err == 0)
		err = -errno;
	if (close(fd) < 0 && err == 0)
		err = -errno;
	if (err == 0 && rename(name.data, path) < 0)
		err = -errno;
	if (err < 0)
		unlink(name.data);
finish_name:
	outbuf_finish(&name);
	return err;
}

int report_try(const char *path)
{
	struct outbuf name = { 0 };
	struct stat st;
	int fd;

	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return -EISDIR;
	fd = open_beside(path, &name);
	if (fd >= 0) {
		close(fd);
		unlink(name.data);
	}
	outbuf_finish(&name);
	return fd < 0 ? fd : 0;
}
