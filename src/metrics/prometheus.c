/*
 * prometheus.c - one table of families, made of metrics.def, walked for the exposition and for the docs.
 *
 * Numbers are written digit by digit from integers: exact, quick, and the same in every locale.
 */
#include "metrics/prometheus.h"

#include <string.h>

#include "metrics/metrics.h"

enum kind { KIND_counter, KIND_gauge, KIND_histogram, KIND_info };
enum scope { WORKER, PROCESS, SYSTEM };
enum unit { ONES, NANOS };

/* Text 0.0.4 knows no info: it is a gauge there. */
static const char *const kind_names[] = { "counter", "gauge", "histogram", "gauge" };
static const char *const open_kind_names[] = { "counter", "gauge", "histogram", "info" };
/* What the name of a family's sample has behind the family's own name in OpenMetrics. */
static const char *const open_suffixes[] = { "_total", "", "", "_info" };

struct label {
	const char *key;           /* NULL: no label but the worker's */
	const char *const *values; /* NULL: the values are status codes */
	const bool *later;         /* of each value, that nothing sets it yet; NULL: all are there */
};

struct family {
	const char *name, *help; /* the samples' name */
	const struct label *label;
	unsigned cell, count;
	enum kind kind;
	enum scope scope;
	enum unit unit;
};

/* clang-format off */
#define VALUE(name, text) false,
#define LATER(name, text) true,
#define LABEL(id, key, values) static const bool later_##id[] = { values };
#include "metrics/metrics.def"

#define VALUE(name, text) text,
#define LABEL(id, key, values) \
	const char *const metrics_##id##_names[] = { values }; \
	static const struct label label_##id = { key, metrics_##id##_names, later_##id };
#include "metrics/metrics.def"
static const struct label label_none = { NULL, NULL, NULL };
static const struct label label_code = { "code", NULL, NULL };
static const struct label label_le = { "le", histogram_le, NULL };

static const struct family families[] = {
#define METRIC(kind, cell, name, scope, label, unit, help) \
	{ name, help, &label_##label, METRIC_##cell, METRICS_VALUES_##label, KIND_##kind, scope, unit },
#include "metrics/metrics.def"
};
/* clang-format on */

enum { FAMILIES = sizeof(families) / sizeof(families[0]) };

static void write_number(struct outbuf *out, enum unit unit, uint64_t value)
{
	enum { NANOS_PER_ONE = 1000000000 };
	char fraction[] = ".000000000";
	unsigned rest, len = 0;

	if (unit == ONES) {
		outbuf_uint(out, value);
		return;
	}
	outbuf_uint(out, value / NANOS_PER_ONE);
	rest = (unsigned)(value % NANOS_PER_ONE);
	for (unsigned i = 9; rest; i--, rest /= 10) {
		fraction[i] = (char)('0' + rest % 10);
		if (!len && fraction[i] != '0')
			len = i + 1;
	}
	outbuf_append(out, fraction, len);
}

/* suffix: of the family's name; worker, or key and text: "" or NULL if there is no such label. */
static void write_sample(struct outbuf *out, const struct family *family, const char *suffix, const char *worker,
	const char *key, const char *text, enum unit unit, uint64_t value)
{
	outbuf_text(out, family->name);
	outbuf_text(out, suffix);
	if (*worker || key) {
		outbuf_text(out, "{");
		outbuf_text(out, worker);
		if (key) {
			if (*worker)
				outbuf_text(out, ",");
			outbuf_text(out, key);
			outbuf_text(out, "=\"");
			outbuf_text(out, text);
			outbuf_text(out, "\"");
		}
		outbuf_text(out, "}");
	}
	outbuf_text(out, " ");
	write_number(out, unit, value);
	outbuf_text(out, "\n");
}

static void write_histogram(struct outbuf *out, const struct family *family, const char *worker,
	const uint64_t *buckets, enum exposition form)
{
	const char *const *le = form == EXPOSITION_OPENMETRICS ? histogram_le_canonical : histogram_le;
	uint64_t cumulative[HISTOGRAM_BUCKETS];

	histogram_cumulate(buckets, cumulative);
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		write_sample(out, family, "_bucket", worker, "le", le[i], ONES, cumulative[i]);
	write_sample(out, family, "_sum", worker, NULL, NULL, family->unit, buckets[HISTOGRAM_BUCKETS]);
	write_sample(out, family, "_count", worker, NULL, NULL, ONES, cumulative[HISTOGRAM_BUCKETS - 1]);
}

static void write_codes(
	struct outbuf *out, const struct family *family, const char *worker, const bool *codes, const uint64_t *values)
{
	for (unsigned i = 0; i < family->count; i++) {
		unsigned code = METRICS_CODE_MIN + i;
		const char text[] = { (char)('0' + code / 100), (char)('0' + code / 10 % 10), (char)('0' + code % 10),
			'\0' };

		if (codes[i] || values[i])
			write_sample(out, family, "", worker, family->label->key, text, family->unit, values[i]);
	}
}

static void write_series(struct outbuf *out, const struct family *family, const char *worker, const bool *codes,
	const uint64_t *cells, enum exposition form)
{
	const struct label *label = family->label;
	const uint64_t *values = cells + family->cell;

	if (family->kind == KIND_histogram)
		write_histogram(out, family, worker, values, form);
	else if (label == &label_code)
		write_codes(out, family, worker, codes, values);
	else
		for (unsigned i = 0; i < family->count; i++)
			write_sample(out, family, "", worker, label->key, label->key ? label->values[i] : NULL,
				family->unit, values[i]);
}

static void write_line(struct outbuf *out, const char *word, const char *name, size_t name_len, const char *text)
{
	outbuf_text(out, "# ");
	outbuf_text(out, word);
	outbuf_text(out, " ");
	outbuf_append(out, name, name_len);
	outbuf_text(out, " ");
	outbuf_text(out, text);
	outbuf_text(out, "\n");
}

static bool ends_with(const char *name, size_t len, const char *suffix)
{
	size_t n = strlen(suffix);

	return len >= n && !memcmp(name + len - n, suffix, n);
}

static void write_head(struct outbuf *out, const struct family *family, enum exposition form)
{
	const char *name = family->name;
	size_t len = strlen(name);

	if (form == EXPOSITION_TEXT) {
		write_line(out, "HELP", name, len, family->help);
		write_line(out, "TYPE", name, len, kind_names[family->kind]);
		return;
	}
	if (ends_with(name, len, open_suffixes[family->kind]))
		len -= strlen(open_suffixes[family->kind]);
	write_line(out, "TYPE", name, len, open_kind_names[family->kind]);
	if (ends_with(name, len, "_seconds"))
		write_line(out, "UNIT", name, len, "seconds");
	else if (ends_with(name, len, "_bytes"))
		write_line(out, "UNIT", name, len, "bytes");
	write_line(out, "HELP", name, len, family->help);
}

void prometheus_write(const struct prometheus_snapshot *snapshot, enum exposition form, struct outbuf *out)
{
	for (const struct family *family = families; family < families + FAMILIES; family++) {
		const uint64_t *process = snapshot->process;

		if (family->scope == WORKER) {
			write_head(out, family, form);
			for (unsigned i = 0; i < snapshot->workers; i++)
				write_series(out, family, snapshot->rows[i].label, snapshot->codes,
					snapshot->rows[i].cells, form);
		} else if (process && (family->scope == PROCESS || process[family->cell])) {
			write_head(out, family, form);
			write_series(out, family, "", snapshot->codes, process, form);
		}
	}
	if (form == EXPOSITION_OPENMETRICS)
		outbuf_text(out, "# EOF\n");
}

static bool any_is_late(void)
{
	for (const struct family *family = families; family < families + FAMILIES; family++)
		for (unsigned i = 0; family->label->later && i < family->count; i++)
			if (family->label->later[i])
				return true;
	return false;
}

void metrics_print(struct outbuf *out)
{
	outbuf_text(out,
		"# Metrics\n\n"
		"Written by `rmsd --print-metrics`. Every series exists from the start, and none is reset when a\n"
		"worker is killed and revived. `/metrics` on `admin_listen` has them all; on a worker's own port,\n"
		"those of that worker.");
	if (any_is_late())
		outbuf_text(out, " What a value marked *not yet* stands for is not built yet: its series stay 0.");
	outbuf_text(out,
		"\n\n"
		"| name | type | labels | what it tells |\n"
		"|---|---|---|---|\n");
	for (const struct family *family = families; family < families + FAMILIES; family++) {
		const struct label *label = family->label;

		outbuf_printf(out, "| `%s` | %s | ", family->name, kind_names[family->kind]);
		if (family->scope == WORKER)
			outbuf_text(out, label->key ? "`worker`, " : "`worker`");
		if (label->key)
			outbuf_printf(out, "`%s`", label->key);
		/* Neither a version nor 400 codes: the values that a query is written with. */
		if (label->values && label != &label_version) {
			for (unsigned i = 0; i < family->count - (label == &label_le); i++)
				outbuf_printf(out, "%s %s%s", i ? "," : ":", label->values[i],
					label->later && label->later[i] ? " (not yet)" : "");
		}
		outbuf_printf(out, " | %s |\n", family->help);
	}
}
