/* test_prometheus.c - metrics/prometheus: the format, whole, and the page of docs. */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "metrics/metrics.h"
#include "metrics/prometheus.h"

struct fixture {
	bool codes[METRICS_VALUES_code];
	uint64_t process[METRICS_CELLS];
	struct prometheus_row rows[2];
	struct prometheus_snapshot snapshot;
	struct outbuf out;
};

static int setup(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	f.codes[METRICS_CODE(200)] = f.codes[METRICS_CODE(503)] = true;
	f.rows[0].label = "worker=\"app1\"";
	f.rows[1].label = "worker=\"app2\"";
	f.snapshot =
		(struct prometheus_snapshot){ .codes = f.codes, .process = f.process, .rows = f.rows, .workers = 2 };
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	outbuf_finish(&f->out);
	return 0;
}

static char *write_as(struct fixture *f, enum exposition form)
{
	outbuf_reset(&f->out, SIZE_MAX);
	prometheus_write(&f->snapshot, form, &f->out);
	outbuf_append(&f->out, "", 1);
	assert_false(f->out.failed);
	return f->out.data;
}

static char *write_all(struct fixture *f)
{
	return write_as(f, EXPOSITION_TEXT);
}

static void assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("missing: %s", part);
}

static void prometheus_writes_a_family_in_one_piece(void **state)
{
	struct fixture *f = *state;

	f->rows[0].cells[METRIC_connections_closed + CLOSED_TIMEOUT] = 3;
	f->rows[1].cells[METRIC_connections_closed + CLOSED_SHUTDOWN] = UINT64_C(9007199254740993);
	assert_has(write_all(f),
		"\n"
		"# TYPE rmsd_connections_closed_total counter\n"
		"rmsd_connections_closed_total{worker=\"app1\",reason=\"client\"} 0\n"
		"rmsd_connections_closed_total{worker=\"app1\",reason=\"keepalive_end\"} 0\n"
		"rmsd_connections_closed_total{worker=\"app1\",reason=\"timeout\"} 3\n"
		"rmsd_connections_closed_total{worker=\"app1\",reason=\"error\"} 0\n"
		"rmsd_connections_closed_total{worker=\"app1\",reason=\"worker\"} 0\n"
		"rmsd_connections_closed_total{worker=\"app1\",reason=\"shutdown\"} 0\n"
		"rmsd_connections_closed_total{worker=\"app2\",reason=\"client\"} 0\n"
		"rmsd_connections_closed_total{worker=\"app2\",reason=\"keepalive_end\"} 0\n"
		"rmsd_connections_closed_total{worker=\"app2\",reason=\"timeout\"} 0\n"
		"rmsd_connections_closed_total{worker=\"app2\",reason=\"error\"} 0\n"
		"rmsd_connections_closed_total{worker=\"app2\",reason=\"worker\"} 0\n"
		"rmsd_connections_closed_total{worker=\"app2\",reason=\"shutdown\"} 9007199254740993\n"
		"# HELP ");
}

static void prometheus_writes_a_histogram(void **state)
{
	struct fixture *f = *state;

	f->snapshot.workers = 1;
	f->rows[0].cells[METRIC_duration + 2] = 5;
	f->rows[0].cells[METRIC_duration + HISTOGRAM_BUCKETS - 1] = 1;
	f->rows[0].cells[METRIC_duration + HISTOGRAM_BUCKETS] = 12001500000;
#define BUCKET "rmsd_http_request_duration_seconds_bucket{worker=\"app1\",le="
	assert_has(write_all(f),
		"\n"
		"# TYPE rmsd_http_request_duration_seconds histogram\n" BUCKET "\"0.0001\"} 0\n" BUCKET
		"\"0.00025\"} 0\n" BUCKET "\"0.0005\"} 5\n" BUCKET "\"0.001\"} 5\n" BUCKET "\"0.0025\"} 5\n" BUCKET
		"\"0.005\"} 5\n" BUCKET "\"0.01\"} 5\n" BUCKET "\"0.025\"} 5\n" BUCKET "\"0.05\"} 5\n" BUCKET
		"\"0.1\"} 5\n" BUCKET "\"0.25\"} 5\n" BUCKET "\"0.5\"} 5\n" BUCKET "\"1\"} 5\n" BUCKET
		"\"2.5\"} 5\n" BUCKET "\"5\"} 5\n" BUCKET "\"10\"} 5\n" BUCKET "\"+Inf\"} 6\n"
		"rmsd_http_request_duration_seconds_sum{worker=\"app1\"} 12.0015\n"
		"rmsd_http_request_duration_seconds_count{worker=\"app1\"} 6\n"
		"# HELP ");
}

static void openmetrics_names_families_its_own_way(void **state)
{
	struct fixture *f = *state;
	char *text;
	size_t len;

	f->process[METRIC_build] = 1;
	f->process[METRIC_process_cpu] = 1500000000;
	f->rows[0].cells[METRIC_requests] = 7;
	f->rows[0].cells[METRIC_duration] = 2;
	text = write_as(f, EXPOSITION_OPENMETRICS);
	len = strlen(text);
	/* The family is named without what its samples end in, TYPE comes first, the unit is told. */
	assert_has(text, "# TYPE http_requests counter\n# HELP http_requests Requests answered");
	assert_has(text, "\nhttp_requests_total{worker=\"app1\"} 7\n");
	assert_has(text, "# TYPE rmsd_build info\n# HELP rmsd_build ");
	assert_has(text, "\nrmsd_build_info{version=");
	assert_has(text, "# TYPE rmsd_http_request_bytes counter\n# UNIT rmsd_http_request_bytes bytes\n");
	assert_has(text, "# TYPE process_cpu_seconds counter\n# UNIT process_cpu_seconds seconds\n");
	assert_has(text, "\nprocess_cpu_seconds_total 1.5\n");
	assert_has(text, "# TYPE rmsd_connections gauge\n# HELP rmsd_connections ");
	/* Floats are canonical. */
	assert_has(text, "{worker=\"app1\",le=\"0.0001\"} 2\n");
	assert_has(text, "{worker=\"app1\",le=\"1.0\"} 2\n");
	assert_has(text, "{worker=\"app1\",le=\"10.0\"} 2\n");
	assert_has(text, "{worker=\"app1\",le=\"+Inf\"} 2\n");
	assert_null(strstr(text, "le=\"1\""));
	assert_null(strstr(text, "\n\n"));
	assert_string_equal(text + len - 7, "\n# EOF\n");
}

static void prometheus_writes_seconds_exactly(void **state)
{
	static const struct {
		uint64_t ns;
		const char *text;
	} cases[] = {
		{ 0, "0" },
		{ 1, "0.000000001" },
		{ 10, "0.00000001" },
		{ 999999999, "0.999999999" },
		{ 1000000000, "1" },
		{ 1000000001, "1.000000001" },
		{ 1500000000, "1.5" },
		{ 1010101010, "1.01010101" },
		{ 60000000000, "60" },
		{ UINT64_C(1795486653123000000), "1795486653.123" },
		{ INT64_MAX, "9223372036.854775807" },
	};
	struct fixture *f = *state;

	/* Under a locale with a decimal comma, where there is one: nothing may change. */
	(void)setlocale(LC_ALL, "de_DE.UTF-8");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char line[128];

		f->rows[0].cells[METRIC_duration + HISTOGRAM_BUCKETS] = cases[i].ns;
		snprintf(line, sizeof(line), "_sum{worker=\"app1\"} %s\n", cases[i].text);
		assert_has(write_all(f), line);
	}
	(void)setlocale(LC_ALL, "C");
}

static void prometheus_leaves_out_what_has_no_figure(void **state)
{
	struct fixture *f = *state;

	assert_null(strstr(write_all(f), "process_open_fds"));
	f->process[METRIC_process_open_fds] = 7;
	assert_has(write_all(f), "\n# TYPE process_open_fds gauge\nprocess_open_fds 7\n");
	f->snapshot.process = NULL;
	assert_null(strstr(write_all(f), "process_open_fds"));
	assert_null(strstr(f->out.data, "rmsd_build_info"));
	assert_null(strstr(f->out.data, "rmsd_requests_shed_total"));
}

static int ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);

	return len >= end_len && !strcmp(text + len - end_len, end);
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The rules of the format that a scraper fails by, over everything that is written. */
static void prometheus_keeps_the_rules_of_the_format(void **state)
{
	enum { MOST = 4000 };
	static const char *series[MOST];
	struct fixture *f = *state;
	char family[128] = "", type[32] = "";
	size_t count = 0, families = 0;
	char *text, *line;

	for (unsigned i = 0; i < METRICS_CELLS; i++)
		f->process[i] = f->rows[0].cells[i] = f->rows[1].cells[i] = i + 1;
	text = write_all(f);
	assert_true(ends_with(text, "\n"));
	while ((line = strsep(&text, "\n")) && text) {
		char name[128];

		assert_true(strlen(line) > 0);
		if (!strncmp(line, "# HELP ", 7)) {
			assert_int_equal(sscanf(line, "# HELP %127s %*s", family), 1);
			assert_null(strchr(line, '\\'));
			assert_true(ends_with(line, ".")); /* a sentence */
			line = strsep(&text, "\n");
			assert_int_equal(sscanf(line, "# TYPE %127s %31s", name, type), 2);
			assert_string_equal(name, family);
			assert_int_equal(!strcmp(type, "counter"), ends_with(name, "_total"));
			assert_false(
				ends_with(name, "_count") || ends_with(name, "_sum") || ends_with(name, "_bucket"));
			series[count++] = line;
			families++;
			continue;
		}
		assert_int_equal(sscanf(line, "%127[a-z_]", name), 1);
		if (!strcmp(type, "histogram"))
			assert_true(ends_with(name, "_count") || ends_with(name, "_sum") || ends_with(name, "_bucket"));
		assert_int_equal(strncmp(name, family, strlen(family)), 0);
		assert_true(!strcmp(name, family) || !strcmp(type, "histogram"));
		*strrchr(line, ' ') = '\0';
		assert_true(count < MOST);
		series[count++] = line;
	}
	assert_true(families > 20);
	qsort(series, count, sizeof(series[0]), compare);
	for (size_t i = 1; i < count; i++)
		assert_string_not_equal(series[i], series[i - 1]);
}

static void prometheus_is_the_same_twice(void **state)
{
	struct fixture *f = *state;
	char *first = strdup(write_all(f));

	assert_string_equal(write_all(f), first);
	free(first);
}

static void prometheus_docs_have_a_row_for_each_family(void **state)
{
	struct fixture *f = *state;
	struct outbuf docs = { 0 };
	char *text;

	for (unsigned i = 0; i < METRICS_CELLS; i++)
		f->process[i] = 1;
	text = write_all(f);
	metrics_print(&docs);
	outbuf_append(&docs, "", 1);
	assert_false(docs.failed);
	while ((text = strstr(text, "# TYPE "))) {
		char name[128], type[32], row[192];

		assert_int_equal(sscanf(text, "# TYPE %127s %31s", name, type), 2);
		snprintf(row, sizeof(row), "\n| `%s` | %s | ", name, type);
		assert_has(docs.data, row);
		text++;
	}
	assert_has(docs.data,
		"| `rmsd_worker_state` | gauge | `worker`, `state`: starting, up, draining, stalled, down, failed | ");
	assert_has(docs.data, "| `rmsd_http_responses_total` | counter | `worker`, `code` | ");
	assert_has(docs.data, "| `rmsd_build_info` | gauge | `version` | ");
	/* What no row has is not explained. */
	assert_true(!strstr(docs.data, " (not yet)") == !strstr(docs.data, "*not yet*"));
	outbuf_finish(&docs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(prometheus_writes_a_family_in_one_piece, setup, teardown),
		cmocka_unit_test_setup_teardown(prometheus_writes_a_histogram, setup, teardown),
		cmocka_unit_test_setup_teardown(openmetrics_names_families_its_own_way, setup, teardown),
		cmocka_unit_test_setup_teardown(prometheus_writes_seconds_exactly, setup, teardown),
		cmocka_unit_test_setup_teardown(prometheus_leaves_out_what_has_no_figure, setup, teardown),
		cmocka_unit_test_setup_teardown(prometheus_keeps_the_rules_of_the_format, setup, teardown),
		cmocka_unit_test_setup_teardown(prometheus_is_the_same_twice, setup, teardown),
		cmocka_unit_test_setup_teardown(prometheus_docs_have_a_row_for_each_family, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
