#include <rms/rms.h>

/* One per worker, zeroed by the server. A worker is one thread: no locks. */
struct hello { unsigned long greeted; };

static void get_hello(struct rms_request *req, void *state)
{
	struct hello *hello = state;

	rms_reply_textf(req, 200, "hello %s, guest %lu of %s\n",
		rms_request_param(req, "name"), ++hello->greeted, rms_request_worker(req));
}

static const struct rms_route routes[] = {
	{ .method = "GET", .path = "/hello/:name", .handle = get_hello },
	{ 0 },
};

static const struct rms_app app = { .name = "hello", .state_size = sizeof(struct hello), .routes = routes };

int main(int argc, char **argv)
{
	return rms_main(argc, argv, &app);
}
