/* account.c - judging and printing the books that the accounting client kept. */
#include "support/client.h"

#include <inttypes.h>

bool account_complete(const struct account *a)
{
	return a->sent == a->answered && a->sent > 0 && !a->short_connections && !a->over && !a->wrong &&
		!a->malformed && !a->trailing && !a->closed && !a->reset && !a->connect_errors;
}

bool account_clean(const struct account *a)
{
	return account_complete(a) && a->status[200] == a->answered;
}

void account_print(const struct account *a, FILE *file)
{
	const char *comma = "";
	unsigned i;

	fprintf(file, "{\"sent\":%" PRIu64 ",\"answered\":%" PRIu64 ",\"status\":{", a->sent, a->answered);
	for (i = 0; i < 600; i++) {
		if (!a->status[i])
			continue;
		fprintf(file, "%s\"%u\":%" PRIu64, comma, i, a->status[i]);
		comma = ",";
	}
	fprintf(file,
		"},\"connected\":%" PRIu64 ",\"short_connections\":%" PRIu64 ",\"over\":%" PRIu64 ",\"wrong\":%" PRIu64
		",\"malformed\":%" PRIu64 ",\"trailing\":%" PRIu64 ",\"closed\":%" PRIu64 ",\"reset\":%" PRIu64
		",\"connect_errors\":%" PRIu64,
		a->connected, a->short_connections, a->over, a->wrong, a->malformed, a->trailing, a->closed, a->reset,
		a->connect_errors);
	fprintf(file, ",\"p50_us\":%u,\"p99_us\":%u,\"worst_us\":%u,\"pause_ms\":%u,\"seconds\":%.3f}\n", a->p50_us,
		a->p99_us, a->worst_us, a->pause_ms, a->seconds);
}
