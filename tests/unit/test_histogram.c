/* test_histogram.c - metrics/histogram. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "metrics/histogram.h"

static void histogram_puts_a_bound_in_its_own_bucket(void **state)
{
	(void)state;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		assert_int_equal(histogram_bucket(histogram_bounds[i]), i);
		assert_int_equal(histogram_bucket(histogram_bounds[i] - 1), i);
		if (i + 1 < HISTOGRAM_BUCKETS)
			assert_int_equal(histogram_bucket(histogram_bounds[i] + 1), i + 1);
	}
	assert_int_equal(histogram_bucket(0), 0);
	assert_int_equal(histogram_bucket(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
}

static void histogram_finds_what_a_plain_search_finds(void **state)
{
	uint64_t ns = 1;

	(void)state;
	for (int i = 0; i < 100000; i++) {
		unsigned expected = 0;
		uint64_t value;

		ns = ns * 6364136223846793005u + 1442695040888963407u;
		value = ns >> (20 + ns % 44);
		while (value > histogram_bounds[expected])
			expected++;
		assert_int_equal(histogram_bucket(value), expected);
	}
}

static void histogram_labels_tell_the_bounds(void **state)
{
	(void)state;
	for (unsigned i = 0; i + 1 < HISTOGRAM_BUCKETS; i++)
		assert_int_equal(llround(strtod(histogram_le[i], NULL) * 1e9), histogram_bounds[i]);
	assert_string_equal(histogram_le[HISTOGRAM_BUCKETS - 1], "+Inf");
	assert_int_equal(histogram_bounds[HISTOGRAM_BUCKETS - 1], UINT64_MAX);
}

static void histogram_bounds_ascend(void **state)
{
	(void)state;
	for (unsigned i = 1; i < HISTOGRAM_BUCKETS; i++)
		assert_true(histogram_bounds[i] > histogram_bounds[i - 1]);
}

static void histogram_cumulates_to_the_count_of_all(void **state)
{
	uint64_t buckets[HISTOGRAM_BUCKETS], cumulative[HISTOGRAM_BUCKETS];

	(void)state;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		buckets[i] = i + 1;
	histogram_cumulate(buckets, cumulative);
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		assert_int_equal(cumulative[i], (i + 1) * (i + 2) / 2);
}

/* As Prometheus' histogram_quantile() has them: straight lines from bound to bound, the first from 0. */
static void histogram_quantiles_are_those_of_prometheus(void **state)
{
	static const struct {
		uint64_t buckets[HISTOGRAM_BUCKETS];
		double q, expected;
	} rows[] = {
		{ { 100 }, 0.5, 0.00005 },
		{ { 100 }, 0.99, 0.000099 },
		{ { 100 }, 1, 0.0001 },
		{ { [2] = 8 }, 0.5, 0.000375 },
		{ { 10, 0, 10 }, 0.5, 0.0001 },
		{ { 10, 0, 10 }, 0.99, 0.000495 },
		{ { 1, [9] = 99 }, 0.99, 0.05 + 0.05 * 98 / 99 },
		{ { [16] = 1 }, 0.5, 10 },
		{ { 99, [16] = 1 }, 0.99, 0.0001 },
		{ { 98, [16] = 2 }, 0.99, 10 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		double value = histogram_quantile(rows[i].buckets, rows[i].q);

		if (fabs(value - rows[i].expected) > 1e-12)
			fail_msg("row %zu: %.9f, expected %.9f", i, value, rows[i].expected);
	}
	assert_true(isnan(histogram_quantile((const uint64_t[HISTOGRAM_BUCKETS]){ 0 }, 0.5)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(histogram_puts_a_bound_in_its_own_bucket),
		cmocka_unit_test(histogram_finds_what_a_plain_search_finds),
		cmocka_unit_test(histogram_labels_tell_the_bounds),
		cmocka_unit_test(histogram_bounds_ascend),
		cmocka_unit_test(histogram_cumulates_to_the_count_of_all),
		cmocka_unit_test(histogram_quantiles_are_those_of_prometheus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
