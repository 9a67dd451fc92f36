/*
 * test_image.c - deploy/docker: the image is built and run by a real engine, podman, read-only and without privileges;
 * compose.yaml is one.
 *
 * Nothing is fetched. The builder's base image cannot be had without a registry, so its commands run on this machine,
 * in the context that the engine hands out; the stage behind them is built as it stands. The engine has a store and a
 * network of its own, and leaves neither behind.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/daemon.h"
#include "support/keep.h"
#include "support/scratch.h"

#define DOCKER RMSD_SOURCE_DIR "/deploy/docker"
#define SHIPPED DOCKER "/Dockerfile"
#define WORK RMSD_BINARY_DIR "/image"
#define READ_ONLY "--read-only", "--read-only-tmpfs=false", "--tmpfs=/run/rmsd:size=64k"
#define NO_PRIVILEGES "--cap-drop=ALL", "--security-opt=no-new-privileges"

enum { BUILD_MS = 600000, STOP_S = 20, ARGS_MAX = 40 };

static const char *dir;   /* of the engine */
static pid_t network;     /* a process that holds its network namespace */
static const char *enter; /* how to get there */

static bool have(const char *program)
{
	return program_call("sh", "-c", keepf("command -v %s", program), NULL)->status == 0;
}

/* Why not here; NULL: it can be tested. */
static const char *obstacle(void)
{
	static const char *const programs[] = { "podman", "runc", "unshare", "nsenter", "ip", "iptables", "strip" };
	size_t i;

	if (daemon_sanitized())
		return "sanitizers are not for images";
	if (geteuid() != 0)
		return "not root";
	for (i = 0; i < sizeof(programs) / sizeof(*programs); i++)
		if (!have(programs[i]))
			return keepf("no %s", programs[i]);
	if (program_call("pkg-config", "--exists", "libuv-static", NULL)->status != 0)
		return "no static libuv";
	return NULL;
}

/* podman, in its own network, with the arguments, ended by NULL. Its complaints of a missing systemd are no news. */
__attribute__((sentinel)) static struct output *engine(const char *verb, ...)
{
	const char *argv[ARGS_MAX] = { "nsenter", enter, "podman", "--root", keepf("%s/root", dir), "--runroot",
		keepf("%s/run", dir), "--tmpdir", keepf("%s/tmp", dir), "--network-config-dir", keepf("%s/net", dir),
		verb };
	size_t n = 12;
	va_list args;

	va_start(args, verb);
	while (n < ARGS_MAX - 1 && (argv[n] = va_arg(args, const char *)))
		n++;
	va_end(args);
	return program_run(argv);
}

static struct output *expect_done(struct output *output)
{
	if (output->status != 0)
		fail_msg("status %d\n%s%s", output->status, output->out, output->err);
	return output;
}

static void shell(const char *script)
{
	const char *log = keepf("%s/shell.log", dir);
	int status =
		program_wait(program_start((const char *const[]){ "sh", "-ec", script, NULL }, log, log), BUILD_MS);

	if (status != 0)
		fail_msg("%s: status %d\n%s", script, status, program_file(log, NULL));
}

static int open_engine(void **state)
{
	(void)state;
	if (obstacle())
		return 0;
	dir = scratch_make();
	network = program_start((const char *const[]){ "unshare", "--net", "sleep", "infinity", NULL }, NULL, NULL);
	enter = keepf("--net=/proc/%d/ns/net", (int)network);
	/* unshare has done its part when it is sleep. */
	shell(keepf("until [ \"$(cat /proc/%d/comm)\" = sleep ]; do sleep 0.01; done; nsenter %s ip link set lo up",
		(int)network, enter));
	setenv("CONTAINERS_CONF",
		scratch_write_text(dir, "containers.conf",
			"[containers]\ndefault_ulimits = [\"nofile=16384:16384\", \"nproc=4096:4096\"]\n"
			"[engine]\nruntime = \"runc\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n"),
		1);
	setenv("CONTAINERS_STORAGE_CONF",
		scratch_write_text(dir, "storage.conf",
			keepf("[storage]\ndriver = \"vfs\"\ngraphroot = \"%s/root\"\nrunroot = \"%s/run\"\n", dir,
				dir)),
		1);
	scratch_write_text(dir, "policy.json", "{\"default\": [{\"type\": \"insecureAcceptAnything\"}]}");
	return 0;
}

static int close_engine(void **state)
{
	(void)state;
	if (!dir)
		return 0;
	engine("rm", "--force", "--all", "--time=1", NULL);
	engine("image", "unmount", "--all", NULL);
	kill(network, SIGKILL);
	program_wait(network, WIRE_PATIENCE_MS);
	scratch_remove(dir);
	return 0;
}

static void build(const char *file, const char *name, const char *context)
{
	expect_done(engine("build", "--isolation=chroot", "--format=docker", "--pull-never",
		keepf("--signature-policy=%s/policy.json", dir), "-f", file, "-t", name, context, NULL));
}

/* What the builder would find in /src: the tree, less what .dockerignore keeps out. */
static void copy_context(void)
{
	const char *file = scratch_write_text(dir, "Context", "FROM scratch\nCOPY . /src\n"), *mount;

	build(file, "context", RMSD_SOURCE_DIR);
	mount = expect_done(engine("image", "mount", "context", NULL))->out;
	shell(keepf(
		"mkdir -p %s; rm -rf %s/src; cp -a '%.*s/src' %s", WORK, WORK, (int)strcspn(mount, "\n"), mount, WORK));
	engine("image", "unmount", "context", NULL);
}

/* The builder's commands, with other directories; they leave %s/context/out. */
static void run_builder(void)
{
	shell(keepf("sed -n '/^RUN cmake/,/^$/p' %s | sed 's/^RUN //; s|/src|$S|g; s|/build|$B|g; s|/out|$O|g' "
		    ">%s/builder\n"
		    "grep -q RMSD_STATIC=ON %s/builder\n"
		    "S=%s/src B=%s/build O=%s/context/out sh -e %s/builder",
		SHIPPED, dir, dir, WORK, WORK, dir, dir));
}

static void programs_need_nothing_else(const char *name)
{
	const char *path = keepf("%s/context/out/%s", dir, name);
	struct output *output = expect_done(program_call("readelf", "-hld", path, NULL));

	if (strstr(output->out, "INTERP") || strstr(output->out, "(NEEDED)"))
		fail_msg("%s is not static\n%s", name, output->out);
	assert_non_null(strstr(output->out, "DYN (Position-Independent Executable file)"));
	expect_done(program_call(path, "--version", NULL));
}

static struct output *get(const char *url)
{
	return program_call("nsenter", enter, "curl", "-sSf", "--max-time", "5", "--retry", "40", "--retry-delay", "0",
		"--retry-connrefused", "--retry-max-time", "20", url, NULL);
}

static const char *inspect(const char *what)
{
	struct output *output = expect_done(engine("inspect", "rmsd", "--format", what, NULL));

	output->out[strcspn(output->out, "\n")] = 0;
	return output->out;
}

/* Its process: nobody in particular, and allowed nothing. */
static void expect_harmless(void)
{
	const char *status = program_file(keepf("/proc/%s/status", inspect("{{.State.Pid}}")), NULL);

	if (!strstr(status, "\nUid:\t65532\t65532\t65532\t65532\n") || !strstr(status, "\nNoNewPrivs:\t1\n") ||
		!strstr(status, "\nCapPrm:\t0000000000000000\n") || !strstr(status, "\nCapBnd:\t0000000000000000\n"))
		fail_msg("%s", status);
}

static void expect_health(int status, const char *word)
{
	struct output *output = engine("healthcheck", "run", "rmsd", NULL);

	assert_int_equal(output->status, status);
	assert_string_equal(inspect("{{.State.Health.Status}}"), word);
}

static void it_serves_until_it_is_stopped(void)
{
	struct output *output;
	double begun;

	expect_done(engine("run", "--detach", "--name=rmsd", READ_ONLY, NO_PRIVILEGES,
		"--sysctl=net.ipv4.ip_unprivileged_port_start=0", "-p", "127.0.0.1:8080:80", "-p",
		"127.0.0.1:9091:9090", "-p", "127.0.0.1:5002:5002", "rmsd", NULL));
	output = get("http://127.0.0.1:8080/");
	if (output->status != 0 || strcmp(output->out, DAEMON_TEXT) != 0)
		fail_msg("%s%s\n%s", output->out, output->err, engine("logs", "rmsd", NULL)->err);
	assert_non_null(strstr(
		expect_done(get("http://127.0.0.1:9091/metrics"))->out, "\nrmsd_worker_up{worker=\"app3\"} 1\n"));
	assert_string_equal(expect_done(get("http://127.0.0.1:5002/"))->out, DAEMON_TEXT);
	expect_harmless();
	expect_health(0, "healthy");
	expect_done(engine("exec", "rmsd", "/rmsctl", "drill", "--kill", "app2", "--duration=2s", "--max-pause=60s",
		"--max-detect=60s", NULL));
	/* Somebody else's rmsctl is refused: no name for that user is to be found in the image. */
	output = engine("exec", "--user=1000", "rmsd", "/rmsctl", "workers", NULL);
	assert_int_equal(output->status, 3);
	assert_non_null(strstr(output->err, "permission denied: owned by 65532"));
	expect_done(engine("exec", "rmsd", "/rmsctl", "kill-worker", "app1", NULL));
	expect_health(0, "healthy");
	expect_done(engine("exec", "rmsd", "/rmsctl", "kill-worker", "app2", NULL));
	expect_done(engine("exec", "rmsd", "/rmsctl", "kill-worker", "--force", "app3", NULL));
	expect_health(1, "healthy"); /* not yet: it has three tries */
	expect_done(engine("exec", "rmsd", "/rmsctl", "revive-worker", "app3", NULL));
	expect_health(0, "healthy");
	begun = wire_clock_ms();
	expect_done(engine("stop", keepf("--time=%d", STOP_S), "rmsd", NULL));
	/* By SIGTERM, not by what comes after it. */
	assert_string_equal(inspect("{{.State.ExitCode}}"), "0");
	assert_true(wire_clock_ms() - begun < STOP_S * 1000);
}

static void the_image_runs_read_only_and_without_privileges(void **state)
{
	const char *why = obstacle(), *file;

	(void)state;
	if (why) {
		fprintf(stderr, "NOT RUN: %s\n", why);
		return;
	}
	shell(keepf("mkdir -p %s/context", dir));
	copy_context();
	run_builder();
	programs_need_nothing_else("rmsd");
	programs_need_nothing_else("rmsctl");
	file = keepf("%s/Dockerfile", dir);
	shell(keepf("sed -n '/^FROM scratch/,$p' %s | sed 's|^COPY --from=build /out/|COPY out/|' >%s", SHIPPED, file));
	build(file, "rmsd", keepf("%s/context", dir));
	printf("bytes of the image: %s",
		expect_done(engine("image", "inspect", "rmsd", "--format", "{{.Size}}", NULL))->out);
	it_serves_until_it_is_stopped();
}

/* Each file and directory that a container gets is there. */
static void expect_mounts(const char *text)
{
	unsigned found = 0;

	while ((text = strchr(text, '.'))) {
		size_t len = strcspn(text, ":\n\"");
		const char *path = keepf("%s/%.*s", DOCKER, (int)len, text);

		if ((!strncmp(text, "./", 2) || !strncmp(text, "../", 3)) && text[len] == ':' && text[len + 1] == '/') {
			if (access(path, R_OK) != 0)
				fail_msg("no %s", path);
			found++;
		}
		text += len;
	}
	assert_int_equal(found, 6);
}

static void compose_brings_up_the_whole_stack(void **state)
{
	static const char *const words[] = { "  rmsd:\n", "  prometheus:\n", "  grafana:\n", "  locust:\n",
		"ports: [\"80:80\", \"9090:9090\", \"5001-5003:5001-5003\"]\n", "ports: [\"9091:9090\"]",
		"ports: [\"8089:8089\"]\n", "ports: [\"3000:3000\"]\n", "read_only: true\n", "cap_drop: [ALL]\n" };
	const char *text = program_file(DOCKER "/compose.yaml", NULL), *at = text;
	unsigned restarts = 0;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (!strstr(text, words[i]))
			fail_msg("compose.yaml lacks %s", words[i]);
	while ((at = strstr(at, "\n    restart: always\n"))) {
		restarts++;
		at++;
	}
	assert_int_equal(restarts, 4);
	expect_mounts(text);
	if (have("docker-compose"))
		expect_done(program_call("docker-compose", "-f", DOCKER "/compose.yaml", "config", "-q", NULL));
	else
		fprintf(stderr, "NOT RUN: no docker-compose\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(compose_brings_up_the_whole_stack),
		cmocka_unit_test_setup_teardown(
			the_image_runs_read_only_and_without_privileges, open_engine, close_engine),
	};

	return cmocka_run_group_tests_name("image", tests, NULL, NULL);
}
