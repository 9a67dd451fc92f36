/* test_exposition.c - metrics/exposition: which form a scraper gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "metrics/exposition.h"

#define OPEN "application/openmetrics-text"
#define TEXT "text/plain"

static void a_scraper_gets_the_form_it_likes_best(void **state)
{
	static const struct {
		const char *accept;
		enum exposition form;
	} rows[] = {
		{ NULL, EXPOSITION_TEXT },
		{ "", EXPOSITION_TEXT },
		{ "*/*", EXPOSITION_TEXT },
		{ TEXT, EXPOSITION_TEXT },
		{ "text/html, image/png", EXPOSITION_TEXT },
		{ OPEN, EXPOSITION_OPENMETRICS },
		{ OPEN "; version=1.0.0", EXPOSITION_OPENMETRICS },
		{ OPEN ";version=\"1.0.0\"", EXPOSITION_OPENMETRICS },
		{ "Application/OpenMetrics-Text ; Version=1.0.0 ; charset=utf-8", EXPOSITION_OPENMETRICS },
		{ OPEN ";version=0.0.1", EXPOSITION_TEXT },
		{ OPEN ";version=2.0.0, " TEXT, EXPOSITION_TEXT },
		{ OPEN ";q=0", EXPOSITION_TEXT },
		{ OPEN ";q=0.5, " TEXT ";q=0.4", EXPOSITION_OPENMETRICS },
		{ OPEN ";q=0.4, " TEXT ";q=0.5", EXPOSITION_TEXT },
		{ OPEN ";q=0.499," TEXT ";q=0.5", EXPOSITION_TEXT },
		{ OPEN ";q=0.5, */*;q=0.1", EXPOSITION_OPENMETRICS },
		{ OPEN ";q=0.5, text/*", EXPOSITION_TEXT },
		/* An old Prometheus, and a new one. */
		{ OPEN ";version=1.0.0," OPEN ";version=0.0.1;q=0.75," TEXT ";version=0.0.4;q=0.5,*/*;q=0.1",
			EXPOSITION_OPENMETRICS },
		{ OPEN ";version=1.0.0;escaping=allow-utf-8;q=0.6," OPEN ";version=0.0.1;q=0.5," TEXT
		       ";version=1.0.0;escaping=allow-utf-8;q=0.4," TEXT ";version=0.0.4;q=0.3,*/*;q=0.2",
			EXPOSITION_OPENMETRICS },
		{ "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;q=0.9," TEXT
		  ";version=0.0.4;q=0.3",
			EXPOSITION_TEXT },
		/* What is no list harms nobody. */
		{ ",;,;=;q,;q=;=q", EXPOSITION_TEXT },
		{ OPEN ";q=x", EXPOSITION_OPENMETRICS },
		{ OPEN ";q=9.9.9, " TEXT, EXPOSITION_OPENMETRICS },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		printf("%s\n", rows[i].accept ? rows[i].accept : "(none)");
		assert_int_equal(exposition_choose(rows[i].accept), rows[i].form);
	}
}

static void gzip_is_for_who_asks(void **state)
{
	static const struct {
		const char *accept;
		bool gzip;
	} rows[] = {
		{ NULL, false },
		{ "", false },
		{ "gzip", true },
		{ "GZIP", true },
		{ "x-gzip", true },
		{ "deflate, gzip;q=0.5, br", true },
		{ "gzip;q=0", false },
		{ "gzip;q=0.000", false },
		{ "identity", false },
		{ "*", true },
		{ "*;q=0", false },
		{ "*, gzip;q=0", false },
		{ "gzipped", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		printf("%s\n", rows[i].accept ? rows[i].accept : "(none)");
		assert_int_equal(exposition_takes_gzip(rows[i].accept), rows[i].gzip);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_scraper_gets_the_form_it_likes_best),
		cmocka_unit_test(gzip_is_for_who_asks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
