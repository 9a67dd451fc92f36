/*
 * test_conformance.c - rmsd, and others for comparison, against the rows of tests/conformance.
 *
 * Twice against rmsd: the stock one, which has a text at "/", and one with an app, which tells by its echo what it took
 * for the body.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "conformance/peers.h"
#include "conformance/row.h"
#include "conformance/suite.h"
#include "support/daemon.h"

enum { OWN_PATIENCE_MS = 60000, PEER_PATIENCE_MS = 8000 };

static const char *const names[] = { "nginx", "haproxy", "apache2" };
enum { PEERS = sizeof(names) / sizeof(names[0]) };

static struct peer_server peers[PEERS];

/* Of the table, those without one of these flags. */
static unsigned count_rows(unsigned skip)
{
	unsigned n = 0;

	for (size_t i = 0; i < n_rows; i++)
		n += !(rows[i].flags & skip);
	return n;
}

static void expect_all(struct daemon *daemon, const char *name, bool echo)
{
	const struct suite suite = { .name = name,
		.address = daemon_public(daemon),
		.demands = { .first = true, .echo = echo },
		.cuts = true,
		.skip = echo ? 0 : ROW_APP,
		.patience_ms = OWN_PATIENCE_MS };
	unsigned run, failed = suite_run(&suite, &run);

	assert_int_equal(failed, 0);
	assert_int_equal(run, count_rows(suite.skip));
	daemon_stop(daemon);
}

static void all_rows_hold_for_the_stock_rmsd(void **state)
{
	(void)state;
	expect_all(daemon_start("rmsd", NULL, NULL), "rmsd", false);
}

static void all_rows_hold_for_an_app(void **state)
{
	(void)state;
	expect_all(daemon_start("testapp", "", NULL), "testapp", true);
}

/* If no other server had a deviation, the rows would not tell anything. */
static void other_servers_deviate(void **state)
{
	(void)state;
	for (unsigned i = 0; i < PEERS; i++) {
		struct suite suite = { .skip = ROW_OWN, .patience_ms = PEER_PATIENCE_MS };
		unsigned run;

		if (!peer_start(&peers[i], names[i]))
			continue;
		printf("%s\n", peers[i].version);
		suite.name = peers[i].name;
		suite.address = peers[i].address;
		assert_true(suite_run(&suite, &run) > 0);
		peer_stop(&peers[i]);
	}
}

static int clean_up(void **state)
{
	for (unsigned i = 0; i < PEERS; i++)
		peer_stop(&peers[i]);
	return daemon_cleanup(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(all_rows_hold_for_the_stock_rmsd, clean_up),
		cmocka_unit_test_teardown(all_rows_hold_for_an_app, clean_up),
		cmocka_unit_test_teardown(other_servers_deviate, clean_up),
	};

	return cmocka_run_group_tests_name("conformance", tests, NULL, NULL);
}
