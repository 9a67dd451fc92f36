/* test_fault.c - http/fault: which requests a table of faults hits, and for how long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/fault.h"

enum { NOW = 1000000, LATER = 2000000 };

static int set_up(void **state)
{
	struct faults *faults = malloc(sizeof(*faults));

	if (!faults)
		return -1;
	faults_init(faults);
	*state = faults;
	return 0;
}

static int tear_down(void **state)
{
	faults_finish(*state);
	free(*state);
	return 0;
}

/* A status that ends at LATER. */
static struct fault status(int code, unsigned percent)
{
	return (struct fault){ .status = code, .percent = percent, .until_ns = LATER };
}

static struct fault at(struct fault fault, const char *worker, const char *path)
{
	snprintf(fault.worker, sizeof(fault.worker), "%s", worker);
	snprintf(fault.path, sizeof(fault.path), "%s", path);
	return fault;
}

static unsigned add(struct faults *faults, struct fault fault)
{
	unsigned id = faults_add(faults, &fault);

	assert_true(id > 0);
	return id;
}

/* The id of the fault that hits; 0: none. */
static unsigned hit(struct faults *faults, const char *worker, const char *path, uint64_t now)
{
	struct fault chosen = { 0 };

	return faults_choose(faults, worker, path, now, &chosen) ? chosen.id : 0;
}

static unsigned hits_of(struct faults *faults, unsigned n)
{
	unsigned hits = 0;

	while (n--)
		hits += hit(faults, "app1", "/", NOW) != 0;
	return hits;
}

static void an_empty_table_costs_a_look_and_hits_nothing(void **state)
{
	struct faults *faults = *state;

	assert_false(faults_active(NULL));
	assert_false(faults_active(faults));
	assert_int_equal(hit(faults, "app1", "/", NOW), 0);
}

static void a_percentage_is_exact_over_a_thousand(void **state)
{
	static const unsigned percents[] = { 1, 3, 7, 33, 50, 66, 99, 100 };
	struct faults *faults = *state;

	for (size_t i = 0; i < sizeof(percents) / sizeof(*percents); i++) {
		unsigned id = add(faults, status(503, percents[i]));

		assert_int_equal(hits_of(faults, 1000), percents[i] * 10);
		assert_int_equal(faults_clear(faults, id), 1);
	}
}

/* Not the first fifty of a hundred. */
static void hits_are_spread_evenly(void **state)
{
	struct faults *faults = *state;

	add(faults, status(503, 50));
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(hits_of(faults, 2), 1);
}

static void the_second_fault_looks_at_what_the_first_left(void **state)
{
	struct faults *faults = *state;
	unsigned first = add(faults, status(503, 50)), second = add(faults, status(500, 50)), counts[3] = { 0 };

	for (unsigned i = 0; i < 1000; i++)
		counts[hit(faults, "app1", "/", NOW)]++;
	assert_int_equal(counts[first], 500);
	assert_int_equal(counts[second], 250);
}

static void worker_and_prefix_say_what_a_fault_looks_at(void **state)
{
	static const struct {
		const char *worker, *prefix, *path;
		bool hit;
	} rows[] = {
		{ "", "", "/", true },
		{ "", "", "*", true },
		{ "app1", "", "/", true },
		{ "app2", "", "/", false },
		{ "app", "", "/", false },
		{ "app11", "", "/", false },
		{ "", "/api", "/api", true },
		{ "", "/api", "/api/v1", true },
		{ "", "/api", "/apiary", true },
		{ "", "/api/", "/api", false },
		{ "", "/api", "/ap", false },
		{ "", "/api", "/API", false },
		{ "app1", "/api", "/api", true },
		{ "app2", "/api", "/api", false },
	};
	struct faults *faults = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		unsigned id = add(faults, at(status(503, 100), rows[i].worker, rows[i].prefix));

		if (hit(faults, "app1", rows[i].path, NOW) != (rows[i].hit ? id : 0))
			fail_msg("%s of \"%s\" on \"%s\"", rows[i].path, rows[i].prefix, rows[i].worker);
		faults_clear(faults, 0);
	}
}

/* Who is not looked at does not count towards the percentage. */
static void others_do_not_use_up_a_percentage(void **state)
{
	struct faults *faults = *state;
	unsigned hits = 0;

	add(faults, at(status(503, 50), "app1", ""));
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(hit(faults, "app2", "/", NOW), 0);
		hits += hit(faults, "app1", "/", NOW) != 0;
	}
	assert_int_equal(hits, 50);
}

static void a_fault_ends_at_its_time(void **state)
{
	struct faults *faults = *state;
	struct fault copies[FAULTS_MAX], longer = status(500, 100);
	unsigned first = add(faults, status(503, 100)), second;

	longer.until_ns = LATER + 1;
	second = add(faults, longer);
	assert_int_equal(hit(faults, "app1", "/", LATER - 1), first);
	assert_int_equal(hit(faults, "app1", "/", LATER), second);
	assert_int_equal(hit(faults, "app1", "/", LATER + 1), 0);
	assert_int_equal(faults_list(faults, LATER, copies), 1);
	assert_int_equal(copies[0].id, second);
	assert_int_equal(faults_expire(faults, LATER - 1), 2);
	assert_int_equal(faults_expire(faults, LATER), 1);
	assert_true(faults_active(faults));
	assert_int_equal(faults_expire(faults, LATER + 1), 0);
	assert_false(faults_active(faults));
}

static void a_full_table_takes_no_more(void **state)
{
	struct faults *faults = *state;
	struct fault one = status(503, 100), copies[FAULTS_MAX];
	unsigned id = 0;

	for (unsigned i = 0; i < FAULTS_MAX; i++)
		id = add(faults, one);
	assert_int_equal(faults_add(faults, &one), 0);
	assert_int_equal(faults_list(faults, NOW, copies), FAULTS_MAX);
	assert_int_equal(faults_clear(faults, 3), 1);
	assert_int_equal(faults_clear(faults, 3), 0);
	assert_int_equal(add(faults, one), id + 1);
	assert_int_equal(faults_clear(faults, 0), FAULTS_MAX);
	assert_false(faults_active(faults));
}

static void a_list_tells_what_was_hit(void **state)
{
	struct faults *faults = *state;
	struct fault copies[FAULTS_MAX];

	add(faults, at(status(503, 100), "app1", "/a"));
	add(faults, (struct fault){ .delay_ms = 20, .percent = 25, .until_ns = LATER });
	for (unsigned i = 0; i < 8; i++)
		(void)hit(faults, "app1", "/b", NOW);
	(void)hit(faults, "app1", "/a", NOW);
	assert_int_equal(faults_list(faults, NOW, copies), 2);
	assert_int_equal(copies[0].hits, 1);
	assert_string_equal(copies[0].worker, "app1");
	assert_string_equal(copies[0].path, "/a");
	assert_int_equal(copies[1].hits, 2);
	assert_int_equal(copies[1].delay_ms, 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_empty_table_costs_a_look_and_hits_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_percentage_is_exact_over_a_thousand, set_up, tear_down),
		cmocka_unit_test_setup_teardown(hits_are_spread_evenly, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_second_fault_looks_at_what_the_first_left, set_up, tear_down),
		cmocka_unit_test_setup_teardown(worker_and_prefix_say_what_a_fault_looks_at, set_up, tear_down),
		cmocka_unit_test_setup_teardown(others_do_not_use_up_a_percentage, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_fault_ends_at_its_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_full_table_takes_no_more, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_list_tells_what_was_hit, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("fault", tests, NULL, NULL);
}
