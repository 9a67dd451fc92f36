/* address.c - the types of options that say where to listen. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include "conf/text.h"
#include "conf/value.h"

/* More listeners than that are a mistake. */
enum { ADDRESSES_MAX = 64 };

static const char *parse_unix(const char *path, struct value_address *address)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&address->sa;
	size_t len = strlen(path);

	if (*path != '/')
		return "path is not absolute";
	if (len >= sizeof(un->sun_path))
		return "path is too long";
	if (text_span(path, len, "") < len)
		return "control character in a path";
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, path, len + 1);
	address->sa_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
	return NULL;
}

/* Five digits at most, which a number that wraps would need more than. */
static const char *parse_digits(const char *text, in_port_t *port)
{
	unsigned n = 0;
	size_t len = strspn(text, "0123456789");

	if (len < 1 || len > 5 || text[len])
		return "bad port";
	for (size_t i = 0; i < len; i++)
		n = n * 10 + (unsigned)(text[i] - '0');
	if (n > UINT16_MAX)
		return "bad port";
	*port = htons((uint16_t)n);
	return NULL;
}

static const char *parse_tcp(const char *text, struct value_address *address)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&address->sa;
	struct sockaddr_in *in = (struct sockaddr_in *)&address->sa;
	const char *colon = strrchr(text, ':'), *wrong;
	char host[INET6_ADDRSTRLEN];
	size_t len;
	in_port_t port;

	if (!colon)
		return "no port";
	wrong = parse_digits(colon + 1, &port);
	if (wrong)
		return wrong;
	len = (size_t)(colon - text);
	address->any_host = len == 0;
	if (len == 0 || (text[0] == '[' && text[len - 1] == ']')) {
		if (len > 0) {
			text++;
			len -= 2;
		}
		in6->sin6_family = AF_INET6;
		in6->sin6_port = port;
		address->sa_len = sizeof(*in6);
	} else {
		in->sin_family = AF_INET;
		in->sin_port = port;
		address->sa_len = sizeof(*in);
	}
	if (address->any_host)
		return NULL;
	if (len >= sizeof(host))
		return "host is not numeric";
	memcpy(host, text, len);
	host[len] = '\0';
	if (inet_pton(address->sa.ss_family, host,
		    address->sa.ss_family == AF_INET ? (void *)&in->sin_addr : (void *)&in6->sin6_addr) != 1)
		return "host is not numeric";
	return NULL;
}

static const char *parse_address(
	const struct value_type *type, const char *text, const char *min, const char *max, void *value)
{
	struct value_address address = { 0 };
	const char *wrong;
	size_t len;

	(void)type;
	(void)min;
	(void)max;
	wrong = strncmp(text, "unix:", 5) ? parse_tcp(text, &address) : parse_unix(text + 5, &address);
	if (wrong)
		return wrong;
	len = strlen(text);
	if (len >= sizeof(address.text))
		return "address is too long";
	memcpy(address.text, text, len);
	*(struct value_address *)value = address;
	return NULL;
}

static bool print_address(const struct value_type *type, const void *value, uint32_t i, struct outbuf *out)
{
	(void)type;
	if (i == 0)
		outbuf_text(out, ((const struct value_address *)value)->text);
	return i == 0;
}

static const char *parse_item(
	const struct value_type *type, const char *text, const char *min, const char *max, void *value)
{
	struct value_addresses *list = value;
	struct value_address address, *items;
	const char *wrong = parse_address(type, text, min, max, &address);

	if (wrong)
		return wrong;
	if (list->n == ADDRESSES_MAX)
		return "too many addresses";
	for (uint32_t i = 0; i < list->n; i++) {
		if (value_address_clash(&list->items[i], &address))
			return strcmp(list->items[i].text, text) ? "another one covers it" : "duplicate address";
	}
	items = realloc(list->items, (list->n + 1) * sizeof(*items));
	if (!items)
		return "out of memory";
	items[list->n++] = address;
	list->items = items;
	return NULL;
}

static bool print_item(const struct value_type *type, const void *value, uint32_t i, struct outbuf *out)
{
	const struct value_addresses *list = value;

	return i < list->n && print_address(type, &list->items[i], 0, out);
}

static void finish_list(void *value)
{
	free(((struct value_addresses *)value)->items);
}

bool value_address_clash(const struct value_address *a, const struct value_address *b)
{
	const struct sockaddr_in *a4 = (const struct sockaddr_in *)&a->sa, *b4 = (const struct sockaddr_in *)&b->sa;
	const struct sockaddr_in6 *a6 = (const struct sockaddr_in6 *)&a->sa, *b6 = (const struct sockaddr_in6 *)&b->sa;

	if (a->sa.ss_family == AF_UNIX || b->sa.ss_family == AF_UNIX)
		return a->sa.ss_family == b->sa.ss_family &&
			!strcmp(((const struct sockaddr_un *)&a->sa)->sun_path,
				((const struct sockaddr_un *)&b->sa)->sun_path);
	/* Of any family the port is in the same place. */
	if (a4->sin_port != b4->sin_port || a4->sin_port == 0)
		return false;
	if (a->any_host || b->any_host)
		return true;
	if (a->sa.ss_family != b->sa.ss_family)
		return false;
	if (a->sa.ss_family == AF_INET)
		return a4->sin_addr.s_addr == b4->sin_addr.s_addr || a4->sin_addr.s_addr == INADDR_ANY ||
			b4->sin_addr.s_addr == INADDR_ANY;
	return IN6_ARE_ADDR_EQUAL(&a6->sin6_addr, &b6->sin6_addr) || IN6_IS_ADDR_UNSPECIFIED(&a6->sin6_addr) ||
		IN6_IS_ADDR_UNSPECIFIED(&b6->sin6_addr);
}

#define ADDRESS ":80, 127.0.0.1:80, [::1]:80 or unix:/path"

const struct value_type value_type_address = {
	.name = "address",
	.accepts = ADDRESS,
	.parse = parse_address,
	.print = print_address,
};
const struct value_type value_type_addresses = {
	.name = "addresses",
	.accepts = "a list of " ADDRESS,
	.list = true,
	.parse = parse_item,
	.print = print_item,
	.finish = finish_list,
};
