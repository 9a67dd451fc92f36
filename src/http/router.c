/* router.c - a trie of path segments, its literal children sorted; all of it in one arena. */
#include "http/router.h"

#include <stdlib.h>
#include <string.h>

#include <llhttp.h>
#include <uv.h>

#include "base/arena.h"
#include "base/path.h"

/* A route, in the list of its node. */
struct entry {
	struct router_route route;
	int method;
	struct entry *next;
};

/* The end of one segment. A path exists here if entries is not NULL. */
struct node {
	const char *segment; /* not NUL-terminated; a parameter's has no bytes */
	size_t len;
	struct node **children; /* literals, sorted by compare() */
	size_t n_children, cap;
	struct node *param; /* any segment but ""; its name is the route's, not the node's */
	struct entry *entries;
	const char *allow;
};

struct router {
	struct arena arena;
	struct node root; /* what precedes the first '/' */
	bool options, takes_pieces;
	_Alignas(max_align_t) char first[1024];
};

static const char *const method_names[] = {
#define NAME(number, name, string) [number] = #string,
	HTTP_METHOD_MAP(NAME)
#undef NAME
};

enum { METHODS = sizeof(method_names) / sizeof(method_names[0]) };

/* The order of Allow: these, then the others by number, then OPTIONS. */
static const int common_methods[] = { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT, HTTP_PATCH, HTTP_DELETE };

_Static_assert(METHODS <= 64, "a set of methods is a 64-bit word");

struct router *router_create(bool options)
{
	struct router *router = calloc(1, sizeof(*router));

	if (router) {
		arena_init(&router->arena, router->first, sizeof(router->first));
		router->options = options;
	}
	return router;
}

void router_destroy(struct router *router)
{
	if (!router)
		return;
	arena_reset(&router->arena);
	free(router);
}

static int find_method(const char *name)
{
	for (int i = 0; i < METHODS; i++)
		if (method_names[i] && !strcmp(method_names[i], name))
			return i;
	return UV_EINVAL;
}

/* Any total order will do: by length first is the cheapest. */
static int compare(const struct node *node, const char *segment, size_t len)
{
	if (node->len != len)
		return node->len < len ? -1 : 1;
	return memcmp(node->segment, segment, len);
}

/* The child, or NULL and where it would be. */
static struct node *find_child(const struct node *node, const char *segment, size_t len, size_t *place)
{
	size_t low = 0, high = node->n_children;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = compare(node->children[middle], segment, len);

		if (!order)
			return node->children[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*place = low;
	return NULL;
}

static struct node *add_node(struct router *router, const char *segment, size_t len)
{
	struct node *node = arena_alloc(&router->arena, sizeof(*node));
	char *copy = arena_copy(&router->arena, segment, len);

	if (!node || !copy)
		return NULL;
	*node = (struct node){ .segment = copy, .len = len };
	return node;
}

static struct node *add_child(struct router *router, struct node *parent, const char *segment, size_t len)
{
	size_t place = 0;
	struct node *child = find_child(parent, segment, len, &place);

	if (child)
		return child;
	if (parent->n_children == parent->cap) {
		size_t cap = parent->cap ? parent->cap * 2 : 4;
		struct node **children = arena_alloc(&router->arena, cap * sizeof(struct node *));

		if (!children)
			return NULL;
		if (parent->n_children)
			memcpy(children, parent->children, parent->n_children * sizeof(struct node *));
		parent->children = children;
		parent->cap = cap;
	}
	child = add_node(router, segment, len);
	if (!child)
		return NULL;
	memmove(parent->children + place + 1, parent->children + place,
		(parent->n_children - place) * sizeof(struct node *));
	parent->children[place] = child;
	parent->n_children++;
	return child;
}

/* The segment that begins at at; path is NUL-terminated. */
static size_t segment_len(const char *at)
{
	return strcspn(at, "/");
}

static int count_params(const char *path, unsigned *n_params)
{
	unsigned n = 0;

	if (path[0] != '/' || !path_is_normal(path, strlen(path)))
		return UV_EINVAL;
	for (const char *at = path + 1;; at++) {
		size_t len = segment_len(at);

		if (at[0] == ':') {
			if (len == 1 || n == ROUTER_PARAMS_MAX)
				return UV_EINVAL;
			n++;
		}
		at += len;
		if (!*at)
			break;
	}
	*n_params = n;
	return 0;
}

/* Makes the path's nodes; names gets its parameters' names. NULL when out of memory. */
static struct node *add_path(struct router *router, const char *path, const char **names)
{
	struct node *node = &router->root;

	for (const char *at = path + 1;; at++) {
		size_t len = segment_len(at);

		if (at[0] == ':') {
			*names = arena_copy(&router->arena, at + 1, len - 1);
			if (!*names++)
				return NULL;
			if (!node->param)
				node->param = add_node(router, "", 0);
			node = node->param;
		} else {
			node = add_child(router, node, at, len);
		}
		if (!node)
			return NULL;
		at += len;
		if (!*at)
			return node;
	}
}

static char *append_method(char *at, uint64_t *methods, int method)
{
	if (!(*methods >> method & 1))
		return at;
	*methods &= ~(UINT64_C(1) << method);
	return stpcpy(stpcpy(at, method_names[method]), ", ");
}

static int write_allow(struct router *router, struct node *node)
{
	uint64_t methods = router->options ? UINT64_C(1) << HTTP_OPTIONS : 0;
	size_t size = sizeof("HEAD, OPTIONS, ");
	char *allow, *at;

	for (const struct entry *entry = node->entries; entry; entry = entry->next) {
		methods |= UINT64_C(1) << entry->method;
		size += strlen(method_names[entry->method]) + 2;
	}
	if (methods >> HTTP_GET & 1)
		methods |= UINT64_C(1) << HTTP_HEAD;
	allow = arena_alloc(&router->arena, size);
	if (!allow)
		return UV_ENOMEM;
	at = allow;
	for (size_t i = 0; i < sizeof(common_methods) / sizeof(common_methods[0]); i++)
		at = append_method(at, &methods, common_methods[i]);
	for (int i = 0; i < METHODS; i++)
		if (method_names[i] && i != HTTP_OPTIONS)
			at = append_method(at, &methods, i);
	at = append_method(at, &methods, HTTP_OPTIONS);
	at[-2] = '\0';
	node->allow = allow;
	return 0;
}

static const struct entry *find_entry(const struct node *node, int method)
{
	const struct entry *entry = node->entries;

	while (entry && entry->method != method)
		entry = entry->next;
	return entry;
}

static int add_route(struct router *router, const struct rms_route *row, bool uncounted)
{
	const int method = find_method(row->method);
	const char **names;
	struct entry *entry;
	struct node *node;
	unsigned n_params;
	int err = count_params(row->path, &n_params);

	if (err < 0)
		return err;
	if (method < 0)
		return method;
	names = arena_alloc(&router->arena, (n_params + 1) * sizeof(*names));
	entry = arena_alloc(&router->arena, sizeof(*entry));
	if (!names || !entry)
		return UV_ENOMEM;
	node = add_path(router, row->path, names);
	if (!node)
		return UV_ENOMEM;
	if (find_entry(node, method))
		return UV_EEXIST;
	*entry = (struct entry){
		.route = { row->handle, row->body, row->data, names, n_params, uncounted },
		.method = method,
		.next = node->entries,
	};
	node->entries = entry;
	router->takes_pieces |= row->body != NULL;
	return write_allow(router, node);
}

int router_add(struct router *router, const struct rms_route *routes, bool uncounted, const struct rms_route **bad)
{
	for (const struct rms_route *row = routes; row->method; row++) {
		int err = add_route(router, row, uncounted);

		if (err < 0) {
			if (bad)
				*bad = row;
			return err;
		}
	}
	return 0;
}

bool router_takes_pieces(const struct router *router)
{
	return router->takes_pieces;
}

/*
 * The node of the path from at, the first byte of a segment, to end. It goes no deeper than the longest route, and n
 * stays below ROUTER_PARAMS_MAX, since no route has more.
 */
static const struct node *walk(
	const struct node *node, const char *at, const char *end, unsigned n, struct router_match *match)
{
	const char *slash = memchr(at, '/', (size_t)(end - at));
	const char *last = slash ? slash : end;
	const size_t len = (size_t)(last - at);
	size_t place;
	const struct node *next[2] = { find_child(node, at, len, &place), len ? node->param : NULL };

	for (int i = 0; i < 2; i++) {
		const struct node *found = next[i];

		if (!found)
			continue;
		if (slash)
			found = walk(found, slash + 1, end, n + (unsigned)i, match);
		else if (!found->entries)
			found = NULL;
		if (!found)
			continue;
		if (i) {
			match->params[n].at = at;
			match->params[n].len = len;
		}
		return found;
	}
	return NULL;
}

void router_find(const struct router *router, int method, const char *path, size_t len, struct router_match *match)
{
	const struct node *node = NULL;
	const struct entry *entry;

	match->route = NULL;
	match->allow = NULL;
	match->options = false;
	if (len && path[0] == '/')
		node = walk(&router->root, path + 1, path + len, 0, match);
	if (node) {
		match->allow = node->allow;
		entry = find_entry(node, method);
		if (!entry && method == HTTP_HEAD)
			entry = find_entry(node, HTTP_GET);
		if (entry)
			match->route = &entry->route;
	} else if (len == 1 && path[0] == '*' && method == HTTP_OPTIONS && router->options) {
		match->allow = "GET, HEAD, OPTIONS";
	}
	match->options = match->allow && !match->route && method == HTTP_OPTIONS && router->options;
}
