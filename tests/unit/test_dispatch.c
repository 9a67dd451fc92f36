/* test_dispatch.c - front/dispatch: who gets the next connection. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <arpa/inet.h>
#include <netinet/in.h>

#include <cmocka.h>

#include "front/dispatch.h"

static struct dispatch_candidate up(unsigned weight, int64_t load)
{
	return (struct dispatch_candidate){ .up = true, .weight = weight, .load = load };
}

static void dispatch_picks_the_least_loaded_for_its_weight(void **state)
{
	static const struct {
		const char *label;
		struct {
			bool up;
			unsigned weight;
			int64_t load;
		} in[3];
		int want;
	} cases[] = {
		{ "the least", { { true, 1, 3 }, { true, 1, 2 }, { true, 1, 4 } }, 1 },
		{ "never one that is down", { { true, 1, 3 }, { false, 1, 0 }, { true, 1, 4 } }, 0 },
		{ "none is up", { { false, 1, 0 }, { false, 1, 0 }, { false, 1, 0 } }, DISPATCH_NONE },
		{ "five of ten are less than one of one", { { true, 1, 1 }, { true, 10, 5 }, { true, 1, 1 } }, 1 },
		{ "a tie goes to the heavier first", { { true, 1, 1 }, { true, 2, 3 }, { true, 1, 9 } }, 1 },
		{ "large loads do not overflow",
			{ { true, 100, 1 << 20 }, { true, 99, 1 << 20 }, { true, 1, 1 << 20 } }, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dispatch_candidate c[3];
		int got;

		for (int k = 0; k < 3; k++) {
			c[k] = up(cases[i].in[k].weight, cases[i].in[k].load);
			c[k].up = cases[i].in[k].up;
		}
		got = dispatch_pick(BALANCE_LEAST_CONN, c, 3, 0);
		if (got != cases[i].want)
			fail_msg("%s: picked %d, not %d", cases[i].label, got, cases[i].want);
	}
}

static void dispatch_breaks_ties_in_turn(void **state)
{
	struct dispatch_candidate c[3] = { up(1, 0), up(1, 0), up(1, 0) };
	int seen[3] = { 0 };

	(void)state;
	for (int i = 0; i < 300; i++)
		seen[dispatch_pick(BALANCE_LEAST_CONN, c, 3, 0)]++;
	assert_int_equal(seen[0], 100);
	assert_int_equal(seen[1], 100);
	assert_int_equal(seen[2], 100);
}

static void dispatch_fills_in_proportion_to_weights(void **state)
{
	struct dispatch_candidate c[3] = { up(1, 0), up(2, 0), up(5, 0) };

	(void)state;
	for (int i = 0; i < 800; i++)
		c[dispatch_pick(BALANCE_LEAST_CONN, c, 3, 0)].load++;
	assert_int_equal(c[0].load, 100);
	assert_int_equal(c[1].load, 200);
	assert_int_equal(c[2].load, 500);
}

static void round_robin_ignores_load_and_spreads_a_heavy_one(void **state)
{
	struct dispatch_candidate c[3] = { up(1, 900), up(1, 0), up(2, 50) };
	int order[8];

	(void)state;
	for (int i = 0; i < 8; i++)
		order[i] = dispatch_pick(BALANCE_ROUND_ROBIN, c, 3, 0);
	for (int i = 0; i < 7; i++)
		assert_false(order[i] == order[i + 1] && order[i] != 2);
	for (int k = 0; k < 2; k++) {
		int n[3] = { 0 };

		for (int i = 4 * k; i < 4 * k + 4; i++)
			n[order[i]]++;
		assert_int_equal(n[0], 1);
		assert_int_equal(n[1], 1);
		assert_int_equal(n[2], 2);
	}
}

static uint64_t key_of(const char *text)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };

	if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
		return dispatch_key((const struct sockaddr *)&in);
	assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
	return dispatch_key((const struct sockaddr *)&in6);
}

static void ip_hash_keeps_an_address_with_its_worker_and_moves_only_the_lost_ones(void **state)
{
	struct dispatch_candidate c[3] = { up(1, 0), up(1, 9), up(1, 0) };
	int before[256], count[3] = { 0 };

	(void)state;
	for (int i = 0; i < 256; i++) {
		char text[32];

		snprintf(text, sizeof(text), "10.1.2.%d", i);
		before[i] = dispatch_pick(BALANCE_IP_HASH, c, 3, key_of(text));
		assert_int_equal(dispatch_pick(BALANCE_IP_HASH, c, 3, key_of(text)), before[i]);
		count[before[i]]++;
	}
	for (int k = 0; k < 3; k++)
		assert_in_range(count[k], 50, 120);
	c[1].up = false;
	for (int i = 0; i < 256; i++) {
		char text[32];
		int now;

		snprintf(text, sizeof(text), "10.1.2.%d", i);
		now = dispatch_pick(BALANCE_IP_HASH, c, 3, key_of(text));
		assert_int_not_equal(now, 1);
		if (before[i] != 1)
			assert_int_equal(now, before[i]);
	}
}

static void ip_hash_gives_in_proportion_to_weights(void **state)
{
	struct dispatch_candidate c[2] = { up(1, 0), up(3, 0) };
	int count[2] = { 0 };

	(void)state;
	for (uint64_t key = 1; key <= 4000; key++)
		count[dispatch_pick(BALANCE_IP_HASH, c, 2, key)]++;
	assert_in_range(count[1], 2850, 3150);
}

static void a_mapped_address_is_its_ipv4_address(void **state)
{
	(void)state;
	assert_true(key_of("127.0.0.1") == key_of("::ffff:127.0.0.1"));
	assert_false(key_of("127.0.0.1") == key_of("127.0.0.2"));
	assert_false(key_of("2001:db8::1") == key_of("2001:db8::2"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dispatch_picks_the_least_loaded_for_its_weight),
		cmocka_unit_test(dispatch_breaks_ties_in_turn),
		cmocka_unit_test(dispatch_fills_in_proportion_to_weights),
		cmocka_unit_test(round_robin_ignores_load_and_spreads_a_heavy_one),
		cmocka_unit_test(ip_hash_keeps_an_address_with_its_worker_and_moves_only_the_lost_ones),
		cmocka_unit_test(ip_hash_gives_in_proportion_to_weights),
		cmocka_unit_test(a_mapped_address_is_its_ipv4_address),
	};

	return cmocka_run_group_tests_name("dispatch", tests, NULL, NULL);
}
