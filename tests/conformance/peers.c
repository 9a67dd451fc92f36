/* peers.c - nginx, HAProxy and Apache in the foreground, one process each, on a free port of 127.0.0.1. */
#include "conformance/peers.h"

#include <arpa/inet.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/daemon.h"
#include "support/keep.h"
#include "support/program.h"
#include "support/scratch.h"

enum { START_MS = 10000 };

/*
 * A static file at "/", so that its own rules for methods hold. What is posted to /echo goes to a server behind it, so
 * that it is read to its end first: a mere "return 200" would answer before.
 */
static const char nginx_conf[] =
	"daemon off; master_process off; pid @DIR@/pid; error_log @DIR@/errors;\n"
	"events { worker_connections 1024; }\n"
	"http {\n"
	"  access_log off; default_type text/plain;\n"
	"  client_body_temp_path @DIR@/t1; proxy_temp_path @DIR@/t2; fastcgi_temp_path @DIR@/t3;\n"
	"  uwsgi_temp_path @DIR@/t4; scgi_temp_path @DIR@/t5;\n"
	"  server {\n"
	"    listen 127.0.0.1:@PORT@; root @DIR@/www; index index.html;\n"
	"    location = /echo { proxy_ignore_client_abort on; proxy_pass http://unix:@DIR@/back; }\n"
	"  }\n"
	"  server { listen unix:@DIR@/back; return 200 \"read\\n\"; }\n"
	"}\n";

/*
 * It is a proxy and not an origin server: what one would do (404, 405 with Allow, 204 for OPTIONS, Date) is spelled out
 * for it. It reads bodies before it answers: http-buffer-request.
 */
static const char haproxy_conf[] =
	"global\n  maxconn 256\n  nbthread 1\n"
	"defaults\n  mode http\n  timeout client 10s\n  timeout connect 1s\n  timeout server 1s\n"
	"  option http-buffer-request\n"
	"frontend f # @DIR@\n  bind 127.0.0.1:@PORT@\n"
	"  http-after-response set-header Date %[date,http_date]\n"
	"  http-request return status 501 if METH_TRACE or METH_CONNECT\n"
	"  http-request return status 200 hdr Allow \"GET, HEAD, OPTIONS\" if METH_OPTIONS { url * / }\n"
	"  http-request return status 200 content-type text/plain string \"read\" if { path /echo } METH_POST\n"
	"  acl root path /\n  acl root url_reg ^http://[^/?]*$\n"
	"  http-request return status 404 content-type text/plain string \"none\" if !root\n"
	"  http-request return status 405 content-type text/plain string \"no\" hdr Allow \"GET, HEAD, OPTIONS\" if "
	"!METH_GET !METH_HEAD\n"
	"  http-request return status 200 content-type text/plain string \"" DAEMON_TEXT "\"\n";

/* Its own defaults, which are strict: HttpProtocolOptions Strict. Its default handler reads what is posted to a file.
 */
static const char apache_conf[] = "ServerRoot @DIR@\nServerName localhost\nListen 127.0.0.1:@PORT@\nPidFile @DIR@/pid\n"
				  "ErrorLog @DIR@/errors\nDefaultRuntimeDir @DIR@\n"
				  "LoadModule mpm_event_module @MODULES@/mod_mpm_event.so\n"
				  "LoadModule authz_core_module @MODULES@/mod_authz_core.so\n"
				  "LoadModule dir_module @MODULES@/mod_dir.so\n"
				  "User nobody\nGroup nogroup\nStartServers 1\nServerLimit 1\nThreadsPerChild 64\n"
				  "MaxRequestWorkers 64\nKeepAlive On\nMaxKeepAliveRequests 0\n"
				  "DocumentRoot @DIR@/www\nForceType text/plain\nDirectoryIndex index.html\n";

static const char *find_program(const char *name)
{
	const char *path = getenv("RMSD_TOOLS") ? keepf("%s/%s", getenv("RMSD_TOOLS"), name) : NULL;

	if (path && !access(path, X_OK))
		return path;
	path = keepf("/usr/sbin/%s", name);
	if (!access(path, X_OK))
		return path;
	fprintf(stderr, "NOT RUN: no %s in RMSD_TOOLS or /usr/sbin\n", name);
	return NULL;
}

/* .../usr/lib/apache2/modules for .../usr/sbin/apache2. */
static const char *apache_modules(const char *program)
{
	char real[PATH_MAX];
	char *end;

	assert_non_null(realpath(program, real));
	end = strstr(real, "/sbin/");
	assert_non_null(end);
	*end = 0;
	return keepf("%s/lib/apache2/modules", real);
}

static unsigned free_port(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	close(fd);
	return ntohs(sa.sin_port);
}

static void await_listening(struct peer_server *peer)
{
	double until = wire_clock_ms() + START_MS;
	struct wire *wire = NULL;

	while (wire_try(peer->address, NULL, &wire) < 0) {
		if (wire_clock_ms() > until)
			fail_msg("%s does not start: %s", peer->name, program_file(keepf("%s/log", peer->dir), NULL));
		poll(NULL, 0, 10);
	}
	wire_close(wire);
}

/* A configuration with its @WORDS@ replaced. */
static const char *fill(const char *text, const char *word, const char *by)
{
	const char *at = strstr(text, word);

	return at ? fill(keepf("%.*s%s%s", (int)(at - text), text, by, at + strlen(word)), word, by) : text;
}

static const char *first_line(const char *text)
{
	return keepf("%.*s", (int)strcspn(text, "\n"), text);
}

_Bool peer_start(struct peer_server *peer, const char *name)
{
	const char *program = find_program(name), *conf, *www;
	const char *argv[6] = { program };
	struct output *version;
	unsigned port;

	*peer = (struct peer_server){ .name = name };
	if (!program)
		return 0;
	port = free_port();
	peer->dir = scratch_make();
	peer->address = keepf("127.0.0.1:%u", port);
	www = keepf("%s/www", peer->dir);
	/* Apache's threads are nobody's. */
	assert_int_equal(chmod(peer->dir, 0755), 0);
	assert_int_equal(mkdir(www, 0755), 0);
	scratch_write_text(www, "index.html", DAEMON_TEXT);
	scratch_write_text(www, "echo", "read\n");
	version = program_call(program, "-v", NULL);
	peer->version = first_line(version->out[0] ? version->out : version->err);
	if (!strcmp(name, "nginx")) {
		conf = nginx_conf;
		argv[1] = "-c", argv[3] = "-e", argv[4] = keepf("%s/log", peer->dir);
	} else if (!strcmp(name, "haproxy")) {
		conf = haproxy_conf;
		argv[1] = "-db", argv[3] = "-f";
	} else {
		conf = fill(apache_conf, "@MODULES@", apache_modules(program));
		argv[1] = "-X", argv[3] = "-f";
	}
	conf = fill(fill(conf, "@DIR@", peer->dir), "@PORT@", keepf("%u", port));
	conf = scratch_write_text(peer->dir, "conf", conf);
	if (!strcmp(name, "nginx"))
		argv[2] = conf;
	else
		argv[2] = argv[3], argv[3] = conf;
	peer->pid = program_start(argv, keepf("%s/log", peer->dir), keepf("%s/log", peer->dir));
	await_listening(peer);
	return 1;
}

void peer_stop(struct peer_server *peer)
{
	if (!peer->pid)
		return;
	kill(peer->pid, SIGTERM);
	program_wait(peer->pid, START_MS);
	peer->pid = 0;
	scratch_remove(peer->dir);
}
