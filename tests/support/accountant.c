/* accountant.c - the accounting client as a command: one line of JSON, and status 0 only if the books are clean. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/client.h"

static const char usage[] =
	"usage: accountant [-c CONNECTIONS] [-d SECONDS] [-p DEPTH] [-r RATE] [--split PERCENT] [--each N]\n"
	"                  [--until-requests N] [--echo] [--seed N] HOST PORT PATH\n"
	"Sends GETs, each reply bringing the next, and keeps exact books: prints them as JSON. Exit 0 if every "
	"request\n"
	"sent was answered with 200 in its turn and no connection was lost; 1 if not; 2 usage.\n";

static const struct option options[] = {
	{ "split", required_argument, NULL, 's' },
	{ "each", required_argument, NULL, 'e' },
	{ "until-requests", required_argument, NULL, 'n' },
	{ "echo", no_argument, NULL, 'E' },
	{ "seed", required_argument, NULL, 'S' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

int main(int argc, char **argv)
{
	struct client_plan plan = { .connections = 100, .depth = 1 };
	struct client *client;
	struct account account;
	char address[128];
	double seconds = 0;
	int option, err;

	while ((option = getopt_long(argc, argv, "c:d:p:r:h", options, NULL)) != -1) {
		switch (option) {
		case 'c': plan.connections = (unsigned)atoi(optarg); break;
		case 'd': seconds = atof(optarg); break;
		case 'p': plan.depth = (unsigned)atoi(optarg); break;
		case 'r': plan.rate = (unsigned)atoi(optarg); break;
		case 's': plan.split_percent = (unsigned)atoi(optarg); break;
		case 'e': plan.each = (unsigned)atoi(optarg); break;
		case 'n': plan.requests = strtoull(optarg, NULL, 10); break;
		case 'E': plan.echo = true; break;
		case 'S': plan.seed = (unsigned)atoi(optarg); break;
		case 'h': fputs(usage, stdout); return 0;
		default: fputs(usage, stderr); return 2;
		}
	}
	if (argc - optind != 3 || !plan.connections) {
		fputs(usage, stderr);
		return 2;
	}
	if (seconds <= 0 && !plan.requests)
		seconds = 10;
	plan.duration_ms = (unsigned)(seconds * 1000);
	snprintf(address, sizeof(address), strchr(argv[optind], ':') ? "[%s]:%s" : "%s:%s", argv[optind],
		argv[optind + 1]);
	plan.address = address;
	plan.path = argv[optind + 2];
	err = client_start(&plan, &client);
	if (err < 0) {
		fprintf(stderr, "accountant: %s: %s\n", address, strerror(-err));
		return 1;
	}
	client_join(client, &account);
	account_print(&account, stdout);
	return account_clean(&account) ? 0 : 1;
}
