/* test_target.c - rmsctl/target: the address of a listener to what a client on this machine connects to. */
#include "rmsctl/target.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

static void a_listener_is_reached_by_its_own_address_or_the_loops(void **state)
{
	static const struct {
		const char *address;
		const char *texts[TARGETS_MAX];
	} cases[] = {
		{ ":80", { "127.0.0.1:80", "[::1]:80" } },
		{ "0.0.0.0:8080", { "127.0.0.1:8080" } },
		{ "[::]:80", { "[::1]:80", "127.0.0.1:80" } },
		{ "127.0.0.9:65535", { "127.0.0.9:65535" } },
		{ "10.1.2.3:1", { "10.1.2.3:1" } },
		{ "[::1]:80", { "[::1]:80" } },
		{ "[2001:db8::1]:443", { "[2001:db8::1]:443" } },
		{ "unix:/run/rmsd/http.sock", { "unix:/run/rmsd/http.sock" } },
		{ "", { NULL } },
		{ "80", { NULL } },
		{ ":0", { NULL } },
		{ ":65536", { NULL } },
		{ ":", { NULL } },
		{ ":8x", { NULL } },
		{ ":+80", { NULL } },
		{ "localhost:80", { NULL } },
		{ "[::1:80", { NULL } },
		{ "[127.0.0.1:80", { NULL } },
		{ "unix:relative", { NULL } },
		{ "0123456789012345678901234567890123456789012345678901234567890123456789:80", { NULL } },
	};
	struct target targets[TARGETS_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		unsigned n = target_choose(cases[i].address, targets), wanted = 0;

		while (wanted < TARGETS_MAX && cases[i].texts[wanted])
			wanted++;
		if (n != wanted)
			fail_msg("%s: %u", cases[i].address, n);
		for (unsigned j = 0; j < n; j++)
			assert_string_equal(targets[j].text, cases[i].texts[j]);
	}
}

static void a_target_is_a_socket_address(void **state)
{
	struct target targets[TARGETS_MAX];
	const struct sockaddr_in *in = (const struct sockaddr_in *)&targets[0].sa;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&targets[1].sa;
	const struct sockaddr_un *un = (const struct sockaddr_un *)&targets[0].sa;

	(void)state;
	target_choose(":5001", targets);
	assert_int_equal(in->sin_family, AF_INET);
	assert_int_equal(ntohl(in->sin_addr.s_addr), INADDR_LOOPBACK);
	assert_int_equal(ntohs(in->sin_port), 5001);
	assert_int_equal(targets[0].len, sizeof(*in));
	assert_string_equal(targets[0].host, "127.0.0.1:5001");
	assert_int_equal(in6->sin6_family, AF_INET6);
	assert_true(IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr));
	assert_int_equal(ntohs(in6->sin6_port), 5001);
	assert_int_equal(targets[1].len, sizeof(*in6));
	target_choose("unix:/a", targets);
	assert_int_equal(un->sun_family, AF_UNIX);
	assert_string_equal(un->sun_path, "/a");
	assert_string_equal(targets[0].host, "localhost");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_listener_is_reached_by_its_own_address_or_the_loops),
		cmocka_unit_test(a_target_is_a_socket_address),
	};

	return cmocka_run_group_tests_name("target", tests, NULL, NULL);
}
