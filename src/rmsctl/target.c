/* target.c - ":80", "127.0.0.1:80", "[::1]:80" and "unix:/path" to socket addresses. */
#include "rmsctl/target.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { PATIENCE_S = 10 };

static bool make_unix(const char *path, struct target *target)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&target->sa;
	size_t len = strlen(path);

	if (*path != '/' || len >= sizeof(un->sun_path))
		return false;
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, path, len + 1);
	target->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
	(void)snprintf(target->text, sizeof(target->text), "unix:%s", path);
	(void)snprintf(target->host, sizeof(target->host), "localhost");
	return true;
}

static bool make_tcp(const char *host, const char *port, struct target *target)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&target->sa;
	struct sockaddr_in *in = (struct sockaddr_in *)&target->sa;
	char *end;
	unsigned long n = strtoul(port, &end, 10);

	if (*port < '0' || *port > '9' || *end || n < 1 || n > UINT16_MAX)
		return false;
	if (inet_pton(AF_INET, host, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons((in_port_t)n);
		target->len = sizeof(*in);
		(void)snprintf(target->text, sizeof(target->text), "%s:%lu", host, n);
	} else if (inet_pton(AF_INET6, host, &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons((in_port_t)n);
		target->len = sizeof(*in6);
		(void)snprintf(target->text, sizeof(target->text), "[%s]:%lu", host, n);
	} else {
		return false;
	}
	memcpy(target->host, target->text, sizeof(target->host));
	return true;
}

unsigned target_choose(const char *address, struct target targets[TARGETS_MAX])
{
	static const char *const any[TARGETS_MAX] = { "127.0.0.1", "::1" };
	const char *colon = strrchr(address, ':');
	char host[INET6_ADDRSTRLEN];
	size_t len;

	memset(targets, 0, TARGETS_MAX * sizeof(*targets));
	if (strncmp(address, "unix:", 5) == 0)
		return make_unix(address + 5, &targets[0]);
	if (!colon)
		return 0;
	len = (size_t)(colon - address);
	if (len >= 2 && address[0] == '[' && colon[-1] == ']') {
		address++;
		len -= 2;
	}
	if (len >= sizeof(host))
		return 0;
	memcpy(host, address, len);
	host[len] = '\0';
	if (len == 0)
		return make_tcp(any[0], colon + 1, &targets[0]) && make_tcp(any[1], colon + 1, &targets[1]) ? 2 : 0;
	/* It may take IPv6 alone, or both. */
	if (strcmp(host, "::") == 0)
		return make_tcp(any[1], colon + 1, &targets[0]) && make_tcp(any[0], colon + 1, &targets[1]) ? 2 : 0;
	return make_tcp(strcmp(host, "0.0.0.0") == 0 ? any[0] : host, colon + 1, &targets[0]);
}

int target_connect(const struct target *target)
{
	const struct timeval timeout = { .tv_sec = PATIENCE_S };
	int fd = socket(target->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int err;

	if (fd < 0)
		return -errno;
	/* Of connect(): a listener that does not keep up drops what its backlog cannot hold. */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0)
		goto close_fd;
	while (connect(fd, (const struct sockaddr *)&target->sa, target->len) < 0)
		if (errno != EINTR)
			goto close_fd;
	return fd;
close_fd:
	err = errno == EAGAIN || errno == EINPROGRESS ? -ETIMEDOUT : -errno;
	close(fd);
	return err;
}
