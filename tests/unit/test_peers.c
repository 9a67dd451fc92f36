/* test_peers.c - front/peers: who is one client, and how many connections it has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cmocka.h>

#include "front/peers.h"

static const struct sockaddr *address(const char *text)
{
	static struct sockaddr_storage sa;
	struct sockaddr_in *in = (struct sockaddr_in *)&sa;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&sa;

	sa = (struct sockaddr_storage){ .ss_family = AF_INET };
	if (inet_pton(AF_INET, text, &in->sin_addr) == 1)
		return (const struct sockaddr *)&sa;
	sa.ss_family = AF_INET6;
	assert_int_equal(inet_pton(AF_INET6, text, &in6->sin6_addr), 1);
	return (const struct sockaddr *)&sa;
}

static void leave(struct peers *peers, uint32_t index)
{
	atomic_fetch_sub(&peers_counts(peers)[index], 1);
}

static void a_client_has_as_many_as_the_limit_and_no_more(void **state)
{
	struct peers *peers = peers_create(100);
	uint32_t first = 0, index = 0;

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		assert_true(peers_add(peers, address("10.0.0.1"), 3, &first));
	assert_int_not_equal(first, 0);
	assert_false(peers_add(peers, address("10.0.0.1"), 3, &index));
	assert_int_equal(index, 0);
	/* Others are not its fault, and it may come back. */
	assert_true(peers_add(peers, address("10.0.0.2"), 3, &index));
	leave(peers, first);
	assert_true(peers_add(peers, address("10.0.0.1"), 3, &index));
	assert_int_equal(index, first);
	assert_false(peers_add(peers, address("10.0.0.1"), 3, &index));
	peers_destroy(peers);
}

static void a_client_is_an_address_or_a_network_of_ipv6(void **state)
{
	static const struct {
		const char *a, *b;
		bool same;
	} rows[] = {
		{ "10.0.0.1", "10.0.0.1", true },
		{ "10.0.0.1", "10.0.0.2", false },
		{ "10.0.0.1", "::ffff:10.0.0.1", true },
		{ "::ffff:10.0.0.1", "::ffff:10.0.0.2", false },
		{ "2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true },
		{ "2001:db8:1:2::1", "2001:db8:1:3::1", false },
		/* The same bits, but one of them is no network. */
		{ "0.0.0.0", "::1", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct peers *peers = peers_create(10);
		uint32_t index;

		assert_true(peers_add(peers, address(rows[i].a), 1, &index));
		if (peers_add(peers, address(rows[i].b), 1, &index) == rows[i].same)
			fail_msg("%s and %s", rows[i].a, rows[i].b);
		peers_destroy(peers);
	}
}

static void clients_of_a_unix_socket_are_not_counted(void **state)
{
	struct peers *peers = peers_create(10);
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	uint32_t index = 7;

	(void)state;
	for (unsigned i = 0; i < 5; i++)
		assert_true(peers_add(peers, (const struct sockaddr *)&un, 1, &index));
	assert_int_equal(index, 0);
	assert_int_equal(peers_known(peers), 0);
	peers_destroy(peers);
}

/* A million clients, one after the other, take no more memory than those of a moment. */
static void clients_that_have_gone_are_forgotten(void **state)
{
	enum { MOST = 50 };
	struct peers *peers = peers_create(MOST);
	uint32_t here[MOST] = { 0 };

	(void)state;
	for (unsigned i = 0; i < 1000000; i++) {
		struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(i) };
		uint32_t *place = &here[i % MOST];

		if (*place)
			leave(peers, *place);
		assert_true(peers_add(peers, (const struct sockaddr *)&in, 1, place));
		assert_int_not_equal(*place, 0);
	}
	assert_true(peers_known(peers) >= MOST);
	assert_true(peers_known(peers) <= 2 * MOST + 2);
	/* Those that are here are still counted. */
	for (unsigned i = 1000000 - MOST; i < 1000000; i++) {
		struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(i) };
		uint32_t index;

		assert_false(peers_add(peers, (const struct sockaddr *)&in, 1, &index));
	}
	peers_destroy(peers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_client_has_as_many_as_the_limit_and_no_more),
		cmocka_unit_test(a_client_is_an_address_or_a_network_of_ipv6),
		cmocka_unit_test(clients_of_a_unix_socket_are_not_counted),
		cmocka_unit_test(clients_that_have_gone_are_forgotten),
	};

	return cmocka_run_group_tests_name("peers", tests, NULL, NULL);
}
