/* test_router.c - http/router: one row per path asked, and what cannot be added. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <llhttp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "http/router.h"

static void handle(struct rms_request *req, void *state)
{
	(void)req;
	(void)state;
}

/* data is the route's own path, by which it is known. */
#define ROUTE(method, path) \
	{ \
		method, path, handle, method " " path, NULL \
	}

static const struct rms_route routes[] = {
	ROUTE("GET", "/"),
	ROUTE("GET", "/a"),
	ROUTE("POST", "/a"),
	ROUTE("GET", "/a/"),
	ROUTE("DELETE", "/a/b"),
	ROUTE("GET", "/a/:x"),
	ROUTE("POST", "/a/:x"),
	ROUTE("GET", "/a/b/c"),
	ROUTE("GET", "/a/:x/d"),
	ROUTE("GET", "/a/:y/e/:z"),
	ROUTE("HEAD", "/head"),
	ROUTE("OPTIONS", "/options"),
	ROUTE("M-SEARCH", "/many"),
	ROUTE("PUT", "/many"),
	ROUTE("PATCH", "/many"),
	ROUTE("DELETE", "/many"),
	ROUTE("POST", "/many"),
	ROUTE("GET", "/many"),
	ROUTE("GET", "/p/:1/:2/:3/:4/:5/:6/:7/:8"),
	ROUTE("GET", "/x:y"),
	ROUTE("GET", "//double"),
	{ 0 },
};

struct row {
	int method;
	const char *path;
	const char *route;  /* data of the route; NULL: none */
	const char *params; /* "name=value|" in order */
	const char *allow;
};

static const struct row rows[] = {
	{ HTTP_GET, "/", "GET /", "", "GET, HEAD, OPTIONS" },
	{ HTTP_HEAD, "/", "GET /", "", "GET, HEAD, OPTIONS" },
	{ HTTP_OPTIONS, "/", NULL, "", "GET, HEAD, OPTIONS" },
	{ HTTP_POST, "/", NULL, "", "GET, HEAD, OPTIONS" },
	{ HTTP_FLUSH, "/", NULL, "", "GET, HEAD, OPTIONS" },
	{ HTTP_GET, "/a", "GET /a", "", "GET, HEAD, POST, OPTIONS" },
	{ HTTP_POST, "/a", "POST /a", "", "GET, HEAD, POST, OPTIONS" },
	{ HTTP_GET, "/a/", "GET /a/", "", "GET, HEAD, OPTIONS" },
	{ HTTP_DELETE, "/a/b", "DELETE /a/b", "", "DELETE, OPTIONS" },
	{ HTTP_GET, "/a/b", NULL, "", "DELETE, OPTIONS" },
	{ HTTP_HEAD, "/a/b", NULL, "", "DELETE, OPTIONS" },
	{ HTTP_GET, "/a/c", "GET /a/:x", "x=c|", "GET, HEAD, POST, OPTIONS" },
	{ HTTP_POST, "/a/%62", "POST /a/:x", "x=%62|", "GET, HEAD, POST, OPTIONS" },
	{ HTTP_GET, "/a/:x", "GET /a/:x", "x=:x|", "GET, HEAD, POST, OPTIONS" },
	{ HTTP_GET, "/a/b/c", "GET /a/b/c", "", "GET, HEAD, OPTIONS" },
	{ HTTP_GET, "/a/b/d", "GET /a/:x/d", "x=b|", "GET, HEAD, OPTIONS" },
	{ HTTP_GET, "/a/b/e/f", "GET /a/:y/e/:z", "y=b|z=f|", "GET, HEAD, OPTIONS" },
	{ HTTP_GET, "/a/b/e/", NULL, "", NULL },
	{ HTTP_GET, "/a//d", NULL, "", NULL },
	{ HTTP_GET, "/a/b/e", NULL, "", NULL },
	{ HTTP_GET, "/a/b/c/", NULL, "", NULL },
	{ HTTP_GET, "/A", NULL, "", NULL },
	{ HTTP_GET, "/aa", NULL, "", NULL },
	{ HTTP_GET, "//", NULL, "", NULL },
	{ HTTP_GET, "//double", "GET //double", "", "GET, HEAD, OPTIONS" },
	{ HTTP_GET, "/double", NULL, "", NULL },
	{ HTTP_GET, "", NULL, "", NULL },
	{ HTTP_OPTIONS, "*", NULL, "", "GET, HEAD, OPTIONS" },
	{ HTTP_GET, "*", NULL, "", NULL },
	{ HTTP_OPTIONS, "/nowhere", NULL, "", NULL },
	{ HTTP_OPTIONS, "*x", NULL, "", NULL },
	{ HTTP_GET, "a", NULL, "", NULL },
	{ HTTP_GET, "/x:y", "GET /x:y", "", "GET, HEAD, OPTIONS" },
	{ HTTP_HEAD, "/head", "HEAD /head", "", "HEAD, OPTIONS" },
	{ HTTP_GET, "/head", NULL, "", "HEAD, OPTIONS" },
	{ HTTP_OPTIONS, "/options", "OPTIONS /options", "", "OPTIONS" },
	{ HTTP_PUT, "/many", "PUT /many", "", "GET, HEAD, POST, PUT, PATCH, DELETE, M-SEARCH, OPTIONS" },
	{ HTTP_GET, "/p/a/b/c/d/e/f/g/h", "GET /p/:1/:2/:3/:4/:5/:6/:7/:8", "1=a|2=b|3=c|4=d|5=e|6=f|7=g|8=h|",
		"GET, HEAD, OPTIONS" },
	{ HTTP_GET, "/p/a/b/c/d/e/f/g/h/i", NULL, "", NULL },
};

static int setup(void **state)
{
	struct router *router = router_create(true);

	assert_non_null(router);
	*state = router;
	return 0;
}

static int teardown(void **state)
{
	router_destroy(*state);
	return 0;
}

/* The path is asked for in memory of its own size: nothing may be read behind it. */
static const struct router_route *find(
	const struct router *router, int method, const char *path, char *params, const char **allow)
{
	const size_t len = strlen(path);
	char *copy = malloc(len);
	struct router_match match;

	memset(&match, 0xa5, sizeof(match));
	if (len)
		memcpy(copy, path, len);
	router_find(router, method, copy, len, &match);
	*params = '\0';
	for (unsigned i = 0; match.route && i < match.route->n_params; i++)
		params += sprintf(
			params, "%s=%.*s|", match.route->param_names[i], (int)match.params[i].len, match.params[i].at);
	free(copy);
	*allow = match.allow;
	return match.route;
}

static int same(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static void router_finds_what_the_table_says(void **state)
{
	struct router *router = *state;
	int failed = 0;

	assert_int_equal(router_add(router, routes, false, NULL), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		char params[256];
		const char *allow;
		const struct router_route *route = find(router, row->method, row->path, params, &allow);
		const char *data = route ? route->data : NULL;

		if (same(data, row->route) && same(params, row->params) && same(allow, row->allow))
			continue;
		failed++;
		print_error("%s %s: route %s, params %s, allow %s\n", llhttp_method_name((llhttp_method_t)row->method),
			row->path, data ? data : "-", params, allow ? allow : "-");
	}
	assert_int_equal(failed, 0);
}

static void router_finds_nothing_when_empty(void **state)
{
	char params[8];
	const char *allow;

	assert_null(find(*state, HTTP_GET, "/", params, &allow));
	assert_null(allow);
}

static void router_copies_paths(void **state)
{
	char path[] = "/copied/:name";
	const struct rms_route one[] = { { "GET", path, handle, NULL, NULL }, { 0 } };
	char params[32];
	const char *allow;

	assert_int_equal(router_add(*state, one, true, NULL), 0);
	memset(path, 'z', sizeof(path) - 1);
	assert_non_null(find(*state, HTTP_GET, "/copied/v", params, &allow));
	assert_string_equal(params, "name=v|");
}

static void router_keeps_what_the_route_gave(void **state)
{
	static const struct rms_route plain[] = { ROUTE("GET", "/plain"), { 0 } };
	static const struct rms_route quiet[] = { ROUTE("GET", "/quiet"), { 0 } };
	const struct router_route *route;
	char params[8];
	const char *allow;

	assert_int_equal(router_add(*state, plain, false, NULL), 0);
	assert_int_equal(router_add(*state, quiet, true, NULL), 0);
	route = find(*state, HTTP_GET, "/plain", params, &allow);
	assert_non_null(route);
	assert_false(route->uncounted);
	assert_ptr_equal(route->handle, handle);
	route = find(*state, HTTP_GET, "/quiet", params, &allow);
	assert_non_null(route);
	assert_true(route->uncounted);
	assert_ptr_equal(route->data, quiet[0].data);
}

static void router_refuses_bad_routes(void **state)
{
	static const struct {
		struct rms_route row;
		int err;
	} bad[] = {
		{ ROUTE("GET", ""), UV_EINVAL },
		{ ROUTE("GET", "a"), UV_EINVAL },
		{ ROUTE("GET", "*"), UV_EINVAL },
		{ ROUTE("GET", "/a/../b"), UV_EINVAL },
		{ ROUTE("GET", "/%41"), UV_EINVAL },
		{ ROUTE("GET", "/%zz"), UV_EINVAL },
		{ ROUTE("GET", "/:"), UV_EINVAL },
		{ ROUTE("GET", "/a/:/b"), UV_EINVAL },
		{ ROUTE("GET", "/:1/:2/:3/:4/:5/:6/:7/:8/:9"), UV_EINVAL },
		{ ROUTE("get", "/b"), UV_EINVAL },
		{ ROUTE("FOO", "/b"), UV_EINVAL },
		{ ROUTE("", "/b"), UV_EINVAL },
		{ ROUTE("GET", "/"), UV_EEXIST },
		{ ROUTE("GET", "/a/:other"), UV_EEXIST },
	};

	assert_int_equal(router_add(*state, routes, false, NULL), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const struct rms_route table[] = { { "PUT", "/good", handle, NULL, NULL }, bad[i].row, { 0 } };
		const struct rms_route *row = NULL;
		struct router *router = router_create(true);
		int err;

		assert_non_null(router);
		assert_int_equal(router_add(router, routes, false, NULL), 0);
		err = router_add(router, table, false, &row);
		if (err != bad[i].err)
			print_error("%s %s: %d\n", bad[i].row.method, bad[i].row.path, err);
		assert_int_equal(err, bad[i].err);
		assert_ptr_equal(row, &table[1]);
		router_destroy(router);
	}
}

/* Enough that the children of one node are searched and grow, added in an order that is not theirs. */
static void router_holds_many_routes(void **state)
{
	enum { MANY = 1000 };
	char path[32], params[8];
	const char *allow;

	for (unsigned i = 0; i < MANY; i++) {
		const struct rms_route one[] = { { "GET", path, handle, NULL, NULL }, { 0 } };

		sprintf(path, "/%u", i * 7919 % MANY);
		assert_int_equal(router_add(*state, one, false, NULL), 0);
	}
	for (unsigned i = 0; i < 2 * MANY; i++) {
		sprintf(path, "/%u", i);
		assert_int_equal(find(*state, HTTP_GET, path, params, &allow) != NULL, i < MANY);
	}
}

static void router_tells_when_allow_is_the_answer(void **state)
{
	static const struct {
		int method;
		const char *path;
		bool options;
	} cases[] = {
		{ HTTP_OPTIONS, "/a", true },
		{ HTTP_OPTIONS, "*", true },
		{ HTTP_OPTIONS, "/options", false },
		{ HTTP_OPTIONS, "/nowhere", false },
		{ HTTP_PUT, "/a", false },
		{ HTTP_GET, "/a", false },
	};
	struct router_match match;

	assert_int_equal(router_add(*state, routes, false, NULL), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		router_find(*state, cases[i].method, cases[i].path, strlen(cases[i].path), &match);
		if (match.options != cases[i].options)
			print_error("%s %s\n", llhttp_method_name((llhttp_method_t)cases[i].method), cases[i].path);
		assert_int_equal(match.options, cases[i].options);
	}
}

static void router_without_options_knows_only_its_routes(void **state)
{
	struct router *router = router_create(false);
	char params[8];
	const char *allow;

	(void)state;
	assert_non_null(router);
	assert_int_equal(router_add(router, routes, false, NULL), 0);
	assert_null(find(router, HTTP_OPTIONS, "/", params, &allow));
	assert_string_equal(allow, "GET, HEAD");
	assert_non_null(find(router, HTTP_OPTIONS, "/options", params, &allow));
	assert_string_equal(allow, "OPTIONS");
	assert_null(find(router, HTTP_OPTIONS, "*", params, &allow));
	assert_null(allow);
	router_destroy(router);
}

static void router_destroy_accepts_null(void **state)
{
	(void)state;
	router_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(router_finds_what_the_table_says, setup, teardown),
		cmocka_unit_test_setup_teardown(router_finds_nothing_when_empty, setup, teardown),
		cmocka_unit_test_setup_teardown(router_copies_paths, setup, teardown),
		cmocka_unit_test_setup_teardown(router_keeps_what_the_route_gave, setup, teardown),
		cmocka_unit_test_setup_teardown(router_refuses_bad_routes, setup, teardown),
		cmocka_unit_test_setup_teardown(router_holds_many_routes, setup, teardown),
		cmocka_unit_test_setup_teardown(router_tells_when_allow_is_the_answer, setup, teardown),
		cmocka_unit_test(router_without_options_knows_only_its_routes),
		cmocka_unit_test(router_destroy_accepts_null),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
