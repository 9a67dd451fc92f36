/*
 * app.c - an rmsd that answers with bodies of the sizes that a bench asks for, from memory.
 *
 * rmsd serves no files; an app of its users that has a page to send has it in memory for good, and gives it to
 * rms_reply_static(), as others give a file to the kernel.
 */
#include <rms/rms.h>
#include <stdlib.h>
#include <string.h>

enum { KILO = 1024, MOST = 1024 * KILO };

static const size_t k4 = (size_t)4 * KILO, k64 = (size_t)64 * KILO, m1 = MOST;
static char *bytes;

static void get_text(struct rms_request *req, void *state)
{
	(void)state;
	rms_reply_text(req, 200, "Hello from Cloud Application");
}

static void get_bytes(struct rms_request *req, void *state)
{
	const size_t *size = rms_request_data(req);

	(void)state;
	rms_reply_static(req, 200, "text/plain", bytes, *size);
}

static const struct rms_route routes[] = {
	{ "GET", "/", get_text, NULL, NULL },
	{ "GET", "/4k", get_bytes, &k4, NULL },
	{ "GET", "/64k", get_bytes, &k64, NULL },
	{ "GET", "/1m", get_bytes, &m1, NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};

static const struct rms_app app = { .name = "bench", .routes = routes };

int main(int argc, char **argv)
{
	bytes = malloc(MOST);
	if (!bytes)
		return 3;
	memset(bytes, 'x', MOST);
	return rms_main(argc, argv, &app);
}
