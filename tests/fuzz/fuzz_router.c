/*
 * fuzz_router.c - http/router against a matcher that is slow and plain: same route, same parameters, same Allow.
 *
 * Input: lines. "METHOD PATH" adds a route up to the first empty line, and asks for one behind it. Routes refused must
 * be those that router.h refuses.
 */
#include "fuzz/fuzz.h"

#include <stdbool.h>
#include <string.h>

#include <llhttp.h>
#include <uv.h>

#include "base/path.h"
#include "http/router.h"

enum { ROUTES_MAX = 24, SEGMENTS_MAX = 256, LINE_MAX_LEN = 255, ROUTER_METHODS = 64 };

struct segment {
	const char *at;
	size_t len;
};

struct path {
	struct segment segments[SEGMENTS_MAX];
	unsigned n;
};

struct row {
	char text[LINE_MAX_LEN + 1];
	const char *path;
	struct path split;
	int method;
};

static struct row rows[ROUTES_MAX];
static unsigned n_rows;
static bool options;

static int method_of(const char *name)
{
	static const char *const names[ROUTER_METHODS] = {
#define NAME(number, mapped, string) [number] = #string,
		HTTP_METHOD_MAP(NAME)
#undef NAME
	};

	for (int i = 0; i < ROUTER_METHODS; i++)
		if (names[i] && !strcmp(names[i], name))
			return i;
	return -1;
}

/* false: it has too many segments to be looked at here. */
static bool split(const char *path, size_t len, struct path *out)
{
	const char *end = path + len, *at = path + 1;

	out->n = 0;
	for (;;) {
		const char *slash = memchr(at, '/', (size_t)(end - at));
		const char *last = slash ? slash : end;

		if (out->n == SEGMENTS_MAX)
			return false;
		out->segments[out->n++] = (struct segment){ at, (size_t)(last - at) };
		if (!slash)
			return true;
		at = slash + 1;
	}
}

static bool is_param(struct segment segment)
{
	return segment.len && segment.at[0] == ':';
}

static bool same(struct segment one, struct segment two)
{
	return one.len == two.len && !memcmp(one.at, two.at, one.len);
}

static bool same_shape(const struct path *one, const struct path *two)
{
	if (one->n != two->n)
		return false;
	for (unsigned i = 0; i < one->n; i++) {
		struct segment a = one->segments[i], b = two->segments[i];

		if (is_param(a) != is_param(b) || (!is_param(a) && !same(a, b)))
			return false;
	}
	return true;
}

/* What router_add() is to say of row. */
static int judge(const struct row *row)
{
	unsigned params = 0;

	for (unsigned i = 0; i < row->split.n; i++) {
		if (!is_param(row->split.segments[i]))
			continue;
		if (row->split.segments[i].len == 1 || ++params > ROUTER_PARAMS_MAX)
			return UV_EINVAL;
	}
	if (row->method < 0 || !path_is_normal(row->path, strlen(row->path)))
		return UV_EINVAL;
	for (unsigned i = 0; i < n_rows; i++)
		if (rows[i].method == row->method && same_shape(&rows[i].split, &row->split))
			return UV_EEXIST;
	return 0;
}

static void on_request(struct rms_request *req, void *state)
{
	(void)req;
	(void)state;
}

static void add(struct router *router, const char *line, size_t len)
{
	struct row *row = &rows[n_rows];
	char *space;
	int err;

	if (n_rows == ROUTES_MAX || len > LINE_MAX_LEN || memchr(line, '\0', len))
		return;
	memcpy(row->text, line, len);
	row->text[len] = '\0';
	space = strchr(row->text, ' ');
	if (!space)
		return;
	*space = '\0';
	row->path = space + 1;
	row->method = method_of(row->text);
	const struct rms_route route[] = {
		{ .method = row->text, .path = row->path, .handle = on_request, .data = row },
		{ 0 },
	};
	err = router_add(router, route, false, NULL);
	if (row->path[0] != '/') {
		FUZZ_CHECK(err == UV_EINVAL, "%s %s: %d", row->text, row->path, err);
		return;
	}
	if (!split(row->path, strlen(row->path), &row->split))
		FUZZ_CHECK(false, "a line of that length has fewer segments");
	FUZZ_CHECK(err == judge(row), "%s %s: %d, not %d", row->text, row->path, err, judge(row));
	if (!err)
		n_rows++;
}

static bool matches(const struct path *pattern, const struct path *path)
{
	if (pattern->n != path->n)
		return false;
	for (unsigned i = 0; i < path->n; i++) {
		struct segment want = pattern->segments[i], is = path->segments[i];

		if (is_param(want) ? !is.len : !same(want, is))
			return false;
	}
	return true;
}

/* Of two that match the same path: a literal goes before a parameter, the first difference decides. */
static bool is_better(const struct path *one, const struct path *two)
{
	for (unsigned i = 0; i < one->n; i++)
		if (is_param(one->segments[i]) != is_param(two->segments[i]))
			return !is_param(one->segments[i]);
	return false;
}

static const struct row *find_row(const struct path *shape, int method)
{
	for (unsigned i = 0; i < n_rows; i++)
		if (rows[i].method == method && same_shape(&rows[i].split, shape))
			return &rows[i];
	return NULL;
}

static void check_allow(const char *allow, const struct path *shape)
{
	static const int first[] = { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT, HTTP_PATCH, HTTP_DELETE };
	uint64_t left = options ? UINT64_C(1) << HTTP_OPTIONS : 0, got = 0;
	size_t n = 0;

	for (unsigned i = 0; i < n_rows; i++)
		if (same_shape(&rows[i].split, shape))
			left |= UINT64_C(1) << rows[i].method;
	if (left >> HTTP_GET & 1)
		left |= UINT64_C(1) << HTTP_HEAD;
	for (const char *at = allow; *at; n++) {
		size_t len = strcspn(at, ",");
		char name[32];
		int method;

		FUZZ_CHECK(len < sizeof(name), "Allow: %s", allow);
		memcpy(name, at, len);
		name[len] = '\0';
		method = method_of(name);
		FUZZ_CHECK(method >= 0 && !(got >> method & 1), "Allow: %s", allow);
		/* The common ones first, in their order. */
		for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++)
			FUZZ_CHECK(method != first[i] || !(left & ~got) || n <= i, "Allow: %s", allow);
		got |= UINT64_C(1) << method;
		at += len;
		if (*at) {
			FUZZ_CHECK(!strncmp(at, ", ", 2) && at[2], "Allow: %s", allow);
			at += 2;
		}
	}
	FUZZ_CHECK(got == left, "Allow: %s", allow);
}

static void check_match(const struct router_match *match, const struct row *row, const struct path *path)
{
	unsigned n = 0;

	FUZZ_CHECK(match->route && match->route->data == row, "another route");
	for (unsigned i = 0; i < path->n; i++) {
		struct segment want = row->split.segments[i], is = path->segments[i];

		if (!is_param(want))
			continue;
		FUZZ_CHECK(n < match->route->n_params, "too few parameters");
		FUZZ_CHECK(match->params[n].at == is.at && match->params[n].len == is.len, "parameter %u", n);
		FUZZ_CHECK(strlen(match->route->param_names[n]) == want.len - 1 &&
				!memcmp(match->route->param_names[n], want.at + 1, want.len - 1),
			"the name of parameter %u", n);
		n++;
	}
	FUZZ_CHECK(match->route->n_params == n, "too many parameters");
}

static void ask(const struct router *router, const char *line, size_t len)
{
	const char *space = memchr(line, ' ', len);
	const struct row *row;
	const struct path *best = NULL;
	struct router_match match;
	struct path path;
	char name[32], *block;
	size_t path_len;
	int method;

	if (!space || (size_t)(space - line) >= sizeof(name))
		return;
	memcpy(name, line, (size_t)(space - line));
	name[space - line] = '\0';
	method = method_of(name);
	path_len = len - (size_t)(space + 1 - line);
	if (method < 0)
		return;
	block = malloc(path_len ? path_len : 1);
	FUZZ_CHECK(block, "out of memory");
	memcpy(block, space + 1, path_len);
	router_find(router, method, block, path_len, &match);
	if (path_len && block[0] == '/' && split(block, path_len, &path))
		for (unsigned i = 0; i < n_rows; i++)
			if (matches(&rows[i].split, &path) && (!best || is_better(&rows[i].split, best)))
				best = &rows[i].split;
	if (!best) {
		bool server = options && method == HTTP_OPTIONS && path_len == 1 && block[0] == '*';

		FUZZ_CHECK(
			!match.route && !match.allow == !server && match.options == server, "a route out of nothing");
	} else {
		FUZZ_CHECK(match.allow, "no route");
		check_allow(match.allow, best);
		row = find_row(best, method);
		if (!row && method == HTTP_HEAD)
			row = find_row(best, HTTP_GET);
		if (row)
			check_match(&match, row, &path);
		else
			FUZZ_CHECK(!match.route, "a route for another method");
		FUZZ_CHECK(match.options == (!row && options && method == HTTP_OPTIONS), "OPTIONS");
	}
	free(block);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *at = (const char *)data, *end = at + size;
	struct router *router;
	bool asking = false;

	n_rows = 0;
	options = size && data[size - 1] != '!';
	router = router_create(options);
	FUZZ_CHECK(router, "out of memory");
	while (at < end) {
		const char *eol = memchr(at, '\n', (size_t)(end - at));
		size_t len = (size_t)((eol ? eol : end) - at);

		if (!len)
			asking = true;
		else if (asking)
			ask(router, at, len);
		else
			add(router, at, len);
		at += len + 1;
	}
	router_destroy(router);
	return 0;
}
