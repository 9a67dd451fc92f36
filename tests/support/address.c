/* address.c - text to a socket address. */
#include "support/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

bool address_parse(const char *text, struct sockaddr_storage *sa, socklen_t *len)
{
	struct sockaddr_in *in = (struct sockaddr_in *)sa;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)sa;
	struct sockaddr_un *un = (struct sockaddr_un *)sa;
	const char *colon = strrchr(text, ':');
	char host[64];
	size_t host_len;

	memset(sa, 0, sizeof(*sa));
	if (!strncmp(text, "unix:", 5)) {
		if (strlen(text + 5) >= sizeof(un->sun_path))
			return false;
		un->sun_family = AF_UNIX;
		memcpy(un->sun_path, text + 5, strlen(text + 5));
		*len = sizeof(*un);
		return true;
	}
	if (!colon || colon - text >= (long)sizeof(host))
		return false;
	host_len = (size_t)(colon - text);
	memcpy(host, text, host_len);
	host[host_len] = 0;
	if (host_len > 1 && host[0] == '[') {
		host[host_len - 1] = 0;
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons((uint16_t)atoi(colon + 1));
		*len = sizeof(*in6);
		return inet_pton(AF_INET6, host + 1, &in6->sin6_addr) == 1;
	}
	in->sin_family = AF_INET;
	in->sin_port = htons((uint16_t)atoi(colon + 1));
	*len = sizeof(*in);
	return inet_pton(AF_INET, host_len ? host : "127.0.0.1", &in->sin_addr) == 1;
}
