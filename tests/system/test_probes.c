/* test_probes.c - static probes: which ones the program has, as docs/tracing.md says; and that a tracer sees them fire.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/daemon.h"
#include "support/keep.h"
#include "support/running.h"
#include "support/scratch.h"

enum { PATIENCE_MS = 30000 }; /* bpftrace compiles before it attaches */

static const struct {
	const char *name;
	unsigned arguments;
} probes[] = {
	{ "rehome", 3 },
	{ "request__end", 4 },
	{ "request__start", 5 },
	{ "stall", 2 },
};

enum { PROBES = sizeof(probes) / sizeof(probes[0]) };

static const char *scratch;
static pid_t tracer;

static bool is_built_in(void)
{
#ifdef RMSD_USDT
	return true;
#else
	return false;
#endif
}

static int make_scratch(void **state)
{
	(void)state;
	scratch = scratch_make();
	return 0;
}

static int clean_up(void **state)
{
	if (tracer)
		kill(tracer, SIGKILL);
	tracer = 0;
	scratch_remove(scratch);
	return daemon_cleanup(state);
}

static int find(const char *name, size_t len)
{
	for (int i = 0; i < PROBES; i++)
		if (strlen(probes[i].name) == len && memcmp(probes[i].name, name, len) == 0)
			return i;
	fail_msg("a probe that this test does not know: %.*s", (int)len, name);
	return -1;
}

/* "    Arguments: -4@%ebx 8@%rdx" has two. */
static unsigned count_arguments(const char *at)
{
	unsigned n = 0;

	for (size_t end = strcspn(at, "\n"), i = 0; i < end; i++)
		n += at[i] == '@';
	return n;
}

/* The compiler may have copied the code around a probe: then it has more than one note. */
static void the_program_has_the_probes_it_was_built_with(void **state)
{
	struct output *output = program_call("readelf", "-n", program_path("rmsd"), NULL);
	const char *note = output->out;
	unsigned found[PROBES] = { 0 };

	(void)state;
	assert_int_equal(output->status, 0);
	while ((note = strstr(note, "Provider: rmsd\n"))) {
		const char *name = strstr(note, "Name: "), *arguments = strstr(note, "Arguments: ");
		int i;

		assert_true(name && arguments);
		name += strlen("Name: ");
		i = find(name, strcspn(name, "\n"));
		found[i]++;
		assert_int_equal(count_arguments(arguments), probes[i].arguments);
		note = arguments;
	}
	for (int i = 0; i < PROBES; i++)
		if (!found[i] == is_built_in())
			fail_msg("%s: %u notes", probes[i].name, found[i]);
}

static void every_probe_is_explained(void **state)
{
	const char *page = program_file(RMSD_SOURCE_DIR "/docs/tracing.md", NULL);

	(void)state;
	for (int i = 0; i < PROBES; i++)
		if (!strstr(page, keepf("\n| `%s` |", probes[i].name)))
			fail_msg("docs/tracing.md does not explain %s", probes[i].name);
}

static char *path(const char *name)
{
	return keepf("%s/%s", scratch, name);
}

static unsigned count(const char *out, const char *text)
{
	unsigned n = 0;

	for (; (out = strstr(out, text)); out += strlen(text))
		n++;
	return n;
}

/* Waits until the tracer has told text this often; it takes from each processor when it comes to it. Returns all of it.
 */
static const char *await(const char *text, unsigned times)
{
	double until = wire_clock_ms() + PATIENCE_MS;

	for (;; pause_ms(5)) {
		const char *out = program_file(path("out"), NULL);

		if (count(out, text) >= times)
			return out;
		if (wire_clock_ms() > until)
			fail_msg("the tracer did not say \"%s\" %u times, but:\n%s%s", text, times, out,
				program_file(path("err"), NULL));
	}
}

#define ALONE "unshare", "--mount", "sh", "-c", mounted, "sh", "bpftrace"

static const char mounted[] =
	"mountpoint -q /sys/kernel/tracing || mount -t tracefs none /sys/kernel/tracing; exec \"$@\"";

/* It needs root, and a kernel that lets it. */
static void want_tracer(void)
{
	const char *argv[] = { ALONE, "-l", "tracepoint:sched:sched_switch", NULL };

	if (!is_built_in() || program_run(argv)->status != 0)
		skip();
}

/* bpftrace with tracefs in a name space of its own: nothing is mounted on the machine. */
static void trace(struct daemon *daemon)
{
	const char *usdt = keepf("usdt:%s:rmsd:", program_path("rmsd"));
	const char *script = keepf("%srequest__start { printf(\"start %%s %%s %%s %%d on %%d\\n\","
				   " str(arg1), str(arg2), str(arg3), arg4, arg0); }\n"
				   "%sstall { printf(\"stall %%s %%d\\n\", str(arg0), arg1 >= 200); }\n"
				   "%srehome { printf(\"rehome %%s %%s on %%d\\n\", str(arg1), str(arg2), arg0); }\n"
				   "%srequest__end { printf(\"end %%s %%d %%d on %%d\\n\","
				   " str(arg1), arg2, (nsecs - arg3) / 60000000000, arg0); }\n",
		usdt, usdt, usdt, usdt);
	const char *argv[] = { ALONE, "-p", keepf("%d", (int)daemon_pid(daemon)), "-e", script, NULL };

	tracer = program_start(argv, path("out"), path("err"));
}

/* It says that it attaches before it has, one place after the other: until each has told something. */
static void await_attached(struct daemon *daemon)
{
	static const char *const told[] = { "start app1 HEAD / 1", "end app1 200 0", "end app1 404 0",
		"end app1 501 0" };
	double until = wire_clock_ms() + PATIENCE_MS;

	for (size_t i = 0; i < sizeof(told) / sizeof(told[0]);) {
		struct wire *wire = wire_open(daemon_public(daemon));

		if (wire_clock_ms() > until)
			fail_msg("the tracer does not tell \"%s\": %s", told[i], program_file(path("err"), NULL));
		wire_put(wire, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
		assert_int_equal(wire_reply_head(wire)->status, 200);
		wire_close(wire);
		assert_int_equal(wire_get(daemon_public(daemon), "/none")->status, 404);
		assert_int_equal(wire_request(daemon_public(daemon), "NONSENSE", "/")->status, 501);
		pause_ms(5);
		i += strstr(program_file(path("out"), NULL), told[i]) != NULL;
	}
}

static void a_tracer_sees_each_probe_fire_with_its_arguments(void **state)
{
	struct daemon *daemon;
	struct wire *wire;
	const char *out, *connection;

	(void)state;
	want_tracer();
	daemon = daemon_start("rmsd", NULL, "workers=1", "faults=on", "stall_timeout=200ms", NULL);
	trace(daemon);
	wire = wire_open(daemon_public(daemon));
	await_attached(daemon);
	for (int i = 0; i < 3; i++) {
		wire_put(wire, "GET /?secret HTTP/1.1\r\nHost: a\r\n\r\n");
		assert_int_equal(wire_reply(wire)->status, 200);
	}
	daemon_await(daemon, "app1", "up", 1); /* the others have gone */
	daemon_do(daemon, "app1", "stall?for=5s&force=1");
	await("\nstall app1 1\n", 1);
	do {
		out = await("\nrehome app1 app1 on ", 1);
		connection = strstr(out, "\nrehome app1 app1 on ") + strlen("\nrehome app1 app1 on ");
	} while (!strchr(connection, '\n'));
	connection = keepf(" on %.*s\n", (int)strspn(connection, "0123456789"), connection);
	wire_expect_alive(wire);
	wire_close(wire);
	await(keepf("start app1 GET / 1%s", connection), 4);
	await(keepf("end app1 200 0%s", connection), 4);
	/* At its end it writes what is left. */
	assert_int_equal(kill(tracer, SIGINT), 0);
	(void)program_wait(tracer, PATIENCE_MS);
	tracer = 0;
	out = program_file(path("out"), NULL);
	assert_int_equal(count(out, "start app1 GET / 1"), 4);
	assert_int_equal(count(out, keepf("end app1 200 0%s", connection)), 4);
	assert_int_equal(count(out, "start app1 NONSENSE"), 0);
	assert_int_equal(count(out, "\nstall "), 1);
	assert_int_equal(count(out, "\nrehome "), 1);
	daemon_stop(daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_program_has_the_probes_it_was_built_with),
		cmocka_unit_test(every_probe_is_explained),
		cmocka_unit_test_setup_teardown(
			a_tracer_sees_each_probe_fire_with_its_arguments, make_scratch, clean_up),
	};

	return cmocka_run_group_tests_name("probes", tests, NULL, NULL);
}
