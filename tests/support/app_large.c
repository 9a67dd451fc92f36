/* app_large.c - the part of testapp with large bodies: static ones, those of a deferred reply, and some too many. */
#include <stdlib.h>
#include <string.h>

#include "support/app.h"

enum { KB = 1024, MOST = 4000 * KB };

static char *fixed;

void app_large_init(void)
{
	fixed = malloc(MOST);
	if (!fixed)
		abort();
	/* Each eight bytes say where they are. */
	for (size_t i = 0; i < MOST; i += 8) {
		for (size_t j = 0, at = i / 8; j < 8; j++, at /= 10)
			fixed[i + 7 - j] = (char)('0' + at % 10);
	}
}

static size_t size(const struct rms_request *req)
{
	size_t kb = app_number(req, "kb");

	return kb * KB < MOST ? kb * KB : MOST;
}

void app_fixed(struct rms_request *req, void *state)
{
	(void)state;
	rms_reply_static(req, 200, "text/plain", fixed, size(req));
}

static void on_due(struct pending *pending)
{
	rms_reply_bytes(pending->req, 200, "text/plain", fixed, size(pending->req));
	app_end(pending);
}

/* Made later. */
void app_later_large(struct rms_request *req, void *state)
{
	(void)state;
	(void)app_later(req, on_due, app_number(req, "ms"), false);
}

/* The first reply stands; a status that cannot be sent has no body. */
void app_large_twice(struct rms_request *req, void *state)
{
	(void)state;
	rms_reply_bytes(req, (int)app_number(req, "status"), "text/plain", fixed, 100 * (size_t)KB);
	rms_reply_bytes(req, 201, "text/plain", fixed, 200 * (size_t)KB);
	rms_reply_static(req, 202, "text/plain", fixed, 300 * (size_t)KB);
}
