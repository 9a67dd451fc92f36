/* rms_main.c - the body of every rmsd program: arguments, configuration, server, exit status. */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <rms/rms.h>
#include "conf/conf.h"
#include "metrics/metrics.h"
#include "server/server.h"

static const char default_file[] = "/etc/rmsd/rmsd.conf";

static const char usage[] =
	"usage: rmsd [-c FILE] [-o KEY=VALUE]... [-t | -T] [--print-options | --print-metrics] [-V] [-h]\n"
	"  -c FILE           the configuration (default /etc/rmsd/rmsd.conf, if it is there)\n"
	"  -o KEY=VALUE      sets a key, the last one wins; a list is comma-separated: -o listen=:8080,:8081\n"
	"  -t                checks the configuration and says so\n"
	"  -T                prints the configuration in use, and where each value came from\n"
	"  --print-options   prints every key of the configuration, as a page\n"
	"  --print-metrics   prints every metric, as a page\n"
	"  -V, --version     prints the version\n"
	"  -h, --help        prints this\n";

enum { PRINT_OPTIONS = 256, PRINT_METRICS };

enum action { RUN, CHECK, DUMP, OPTIONS, METRICS, VERSION, HELP };

struct command_line {
	const char *file; /* NULL: none was named */
	const char **overrides;
	size_t n_overrides;
	enum action action;
	bool contrary; /* two actions were asked for */
};

static const struct option long_options[] = {
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ "print-options", no_argument, NULL, PRINT_OPTIONS },
	{ "print-metrics", no_argument, NULL, PRINT_METRICS },
	{ 0 },
};

static void choose(struct command_line *line, enum action action)
{
	line->contrary |= line->action != RUN && line->action != action;
	line->action = action;
}

/* false: the usage was wrong, and has been told. */
static bool read_command_line(int argc, char **argv, struct command_line *line)
{
	int c;

	while ((c = getopt_long(argc, argv, "c:o:tTVh", long_options, NULL)) != -1) {
		switch (c) {
		case 'c': line->file = optarg; break;
		case 'o': line->overrides[line->n_overrides++] = optarg; break;
		case 't': choose(line, CHECK); break;
		case 'T': choose(line, DUMP); break;
		case 'V': choose(line, VERSION); break;
		case 'h': choose(line, HELP); break;
		case PRINT_OPTIONS: choose(line, OPTIONS); break;
		case PRINT_METRICS: choose(line, METRICS); break;
		default: fprintf(stderr, "try '%s --help'\n", argv[0]); return false;
		}
	}
	if (line->contrary) {
		fprintf(stderr, "%s: only one of -t, -T, -V, -h and --print-... at a time\ntry '%s --help'\n", argv[0],
			argv[0]);
		return false;
	}
	if (optind < argc) {
		fprintf(stderr, "%s: unexpected argument: %s\ntry '%s --help'\n", argv[0], argv[optind], argv[0]);
		return false;
	}
	return true;
}

/* Everything to standard output, or the reason to standard error. Takes out. */
static int print(struct outbuf *out)
{
	int status = SERVER_OK;

	if (out->failed || fwrite(out->data, 1, out->len, stdout) != out->len || fflush(stdout) != 0) {
		fprintf(stderr, "rmsd: standard output: %s\n", strerror(out->failed ? ENOMEM : errno));
		status = SERVER_NOT_STARTED;
	}
	outbuf_finish(out);
	return status;
}

static int act(const struct command_line *line, const char *file, const struct conf *conf, const struct rms_app *app)
{
	struct outbuf out = { 0 };

	if (line->action == RUN)
		return (int)server_run(conf, app);
	if (line->action == CHECK)
		outbuf_printf(&out, "%s: ok\n", file ? file : "the defaults");
	else
		conf_dump(conf, &out);
	return print(&out);
}

static int load_and_act(const struct command_line *line, const struct rms_app *app)
{
	const char *file = line->file ? line->file : access(default_file, F_OK) == 0 ? default_file : NULL;
	struct outbuf errors = { 0 };
	struct conf *conf;
	int err = conf_load(file, line->overrides, line->n_overrides, &conf, &errors);
	int status;

	if (err < 0) {
		if (errors.len)
			fwrite(errors.data, 1, errors.len, stderr);
		else
			fprintf(stderr, "rmsd: out of memory\n");
		outbuf_finish(&errors);
		return SERVER_BAD_CONF;
	}
	outbuf_finish(&errors);
	status = act(line, file, conf, app);
	conf_unref(conf);
	return status;
}

int rms_main(int argc, char **argv, const struct rms_app *app)
{
	struct command_line line = { .overrides = calloc((size_t)argc + 1, sizeof(char *)) };
	struct outbuf out = { 0 };
	int status = SERVER_USAGE;

	if (!line.overrides) {
		fprintf(stderr, "rmsd: out of memory\n");
		return SERVER_NOT_STARTED;
	}
	if (!read_command_line(argc, argv, &line))
		goto done;
	switch (line.action) {
	case VERSION: outbuf_printf(&out, "rmsd %s\n", RMSD_VERSION); break;
	case HELP: outbuf_text(&out, usage); break;
	case OPTIONS: conf_print_options(&out); break;
	case METRICS: metrics_print(&out); break;
	default: status = load_and_act(&line, app); goto done;
	}
	status = print(&out);
done:
	free(line.overrides);
	return status;
}
