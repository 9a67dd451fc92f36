/* dump.c - a conf written again: as YAML, as JSON; and the page that explains every key. */
#include <stdint.h>
#include "conf/load.h"
#include "conf/text.h"

static void print_origin(const struct conf *conf, long origin, struct outbuf *out)
{
	if (origin == ORIGIN_DEFAULT)
		outbuf_text(out, "  # default\n");
	else if (origin == ORIGIN_OVERRIDE)
		outbuf_text(out, "  # -o\n");
	else
		outbuf_printf(out, "  # %s:%ld\n", conf->origins->file, origin);
}

typedef void quote_fn(struct outbuf *out, const char *bytes, size_t len, size_t max);

/* false: there is no item i. */
static bool print_item(
	const struct conf *conf, const struct option *option, uint32_t i, quote_fn *quote, struct outbuf *out)
{
	struct outbuf item = { 0 };
	bool there = option->type->print(option->type, option_value_of(option, conf), i, &item);

	if (there && i > 0)
		outbuf_text(out, ", ");
	if (there)
		quote(out, item.data, item.len, SIZE_MAX);
	out->failed = out->failed || item.failed;
	outbuf_finish(&item);
	return there;
}

static void print_value(const struct conf *conf, const struct option *option, quote_fn *quote, struct outbuf *out)
{
	if (!option->type->list) {
		print_item(conf, option, 0, quote, out);
		return;
	}
	outbuf_text(out, "[");
	for (uint32_t i = 0; print_item(conf, option, i, quote, out); i++)
		;
	outbuf_text(out, "]");
}

void conf_dump(const struct conf *conf, struct outbuf *out)
{
	const struct conf_origins *origins = conf->origins;

	for (unsigned i = 0; i < OPTION_COUNT; i++) {
		outbuf_printf(out, "%s: ", options[i].name);
		print_value(conf, &options[i], text_plain, out);
		print_origin(conf, origins->options[i], out);
	}
	outbuf_text(out, conf->n_routes > 0 ? "routes:" : "routes: {}");
	print_origin(conf, origins->routes, out);
	for (size_t i = 0; i < conf->n_routes; i++) {
		const struct conf_route *route = &conf->routes[i];

		outbuf_text(out, "  ");
		text_plain(out, route->path, strlen(route->path), SIZE_MAX);
		outbuf_text(out, ": {text: ");
		text_quote(out, route->text, route->text_len, SIZE_MAX);
		outbuf_text(out, "}");
		print_origin(conf, (long)route->line, out);
	}
	outbuf_text(out, conf->n_worker_blocks > 0 ? "worker:" : "worker: {}");
	print_origin(conf, origins->worker, out);
	for (size_t i = 0; i < conf->n_worker_blocks; i++) {
		const struct conf_worker *worker = &conf->worker_blocks[i];

		outbuf_printf(out, "  %s: {weight: %u}", worker->name, worker->weight);
		print_origin(conf, (long)worker->line, out);
	}
}

void conf_dump_json(const struct conf *conf, struct outbuf *out)
{
	outbuf_text(out, "{");
	for (unsigned i = 0; i < OPTION_COUNT; i++) {
		outbuf_printf(out, "\"%s\":", options[i].name);
		print_value(conf, &options[i], text_quote, out);
		outbuf_text(out, ",");
	}
	outbuf_text(out, "\"routes\":{");
	for (size_t i = 0; i < conf->n_routes; i++) {
		const struct conf_route *route = &conf->routes[i];

		outbuf_text(out, i > 0 ? "," : "");
		text_quote(out, route->path, strlen(route->path), SIZE_MAX);
		outbuf_text(out, ":{\"text\":");
		text_quote(out, route->text, route->text_len, SIZE_MAX);
		outbuf_text(out, "}");
	}
	outbuf_text(out, "},\"worker\":{");
	for (size_t i = 0; i < conf->n_worker_blocks; i++)
		outbuf_printf(out, "%s\"%s\":{\"weight\":\"%u\"}", i > 0 ? "," : "", conf->worker_blocks[i].name,
			conf->worker_blocks[i].weight);
	outbuf_text(out, "}}");
}

static void print_default(const struct option *option, struct outbuf *out)
{
	if (!*option->def)
		return;
	outbuf_text(out, option->type->list ? "`[" : "`");
	text_plain(out, option->def, strlen(option->def), SIZE_MAX);
	outbuf_text(out, option->type->list ? "]`" : "`");
}

void conf_print_options(struct outbuf *out)
{
	outbuf_text(out,
		"# rmsd.conf\n\n"
		"Written by `rmsd --print-options`.\n\n"
		"A YAML file of the keys below; what it leaves out has its default. `rmsd -t` checks it, `rmsd -T` "
		"prints\n"
		"what holds and whence, and `-o KEY=VALUE` on the command line sets any key but the blocks (a list "
		"with\n"
		"commas between its items). Sizes count in 1024s; times need their unit. What runs keeps what it was "
		"started\n"
		"with: there is no reload yet, so restart rmsd for a new value.\n\n"
		"| Key | Type | Default | Accepted | |\n"
		"| --- | --- | --- | --- | --- |\n");
	for (unsigned i = 0; i < OPTION_COUNT; i++) {
		const struct option *option = &options[i];

		outbuf_printf(out, "| `%s` | %s | ", option->name, option->type->name);
		print_default(option, out);
		outbuf_text(out, " | ");
		value_accepts(option->type, option->min, option->max, out);
		outbuf_printf(out, " | %s |\n", option->help);
	}
	outbuf_text(out,
		"\n"
		"An address is `:80` (IPv6 and IPv4, or IPv4 alone where there is no IPv6), `127.0.0.1:80`, `[::1]:80` "
		"or\n"
		"`unix:/path`; hosts are numeric, and port 0 is any free one. The workers' own ports are on the host "
		"of\n"
		"the first TCP address of `listen`.\n\n"
		"## routes\n\n"
		"What the stock app answers: a path, matched exactly and without its query, to one of\n\n"
		"- `text`: sent unchanged, as `text/plain; charset=utf-8`.\n\n"
		"A file without `routes` has the one route shown:\n\n"
		"```yaml\n"
		"routes:\n"
		"  /: {text: Hello from Cloud Application}\n"
		"```\n\n"
		"## worker\n\n"
		"Settings of one worker, by its name:\n\n"
		"- `weight`: its share of the connections against the others', from 1 to 100; 1 if it has none.\n\n"
		"```yaml\n"
		"worker:\n"
		"  app1: {weight: 2}\n"
		"```\n");
}
