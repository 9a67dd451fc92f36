/* client.c - connect, send, read one answer to its end; each failure told so that the operator can act. */
#include "rmsctl/client.h"

#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	HEAD_MAX = 16 * 1024,
	BODY_MAX = 16 * 1024 * 1024,
	READ_SIZE = 64 * 1024,
	STATUS_LINE_MIN = 12, /* "HTTP/1.1 200" */
};

/* What the head of an answer says about its end. */
struct head {
	int status;
	size_t len; /* 0: not complete yet */
	size_t length;
	bool has_length; /* else the answer ends with the connection */
};

static void explain_denial(const char *path, struct outbuf *why)
{
	const struct passwd *owner;
	struct stat st;

	if (stat(path, &st) < 0) {
		outbuf_printf(why, "%s: permission denied: its directory is closed to you, try sudo", path);
		return;
	}
	owner = getpwuid(st.st_uid);
	if (owner)
		outbuf_printf(why, "%s: permission denied: owned by %s, try sudo", path, owner->pw_name);
	else
		outbuf_printf(why, "%s: permission denied: owned by uid %u, try sudo", path, st.st_uid);
}

static void explain(const char *path, int err, unsigned patience_s, struct outbuf *why)
{
	struct stat st;

	switch (err) {
	case -ENOENT:
	case -ENOTDIR:
		outbuf_printf(
			why, "%s: no such socket: is rmsd running? (-s SOCKET or $RMSD_SOCKET names another)", path);
		break;
	case -EACCES:
	case -EPERM: explain_denial(path, why); break;
	case -ECONNREFUSED:
		/* connect() refuses a plain file in the same way as a socket that its process has left behind. */
		if (stat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
			outbuf_printf(why, "%s: not a socket", path);
		else
			outbuf_printf(why,
				"%s: no rmsd is listening (stale socket; -s SOCKET or $RMSD_SOCKET names another)",
				path);
		break;
	case -EAGAIN: outbuf_printf(why, "%s: no answer within %u s", path, patience_s); break;
	default: outbuf_printf(why, "%s: %s", path, strerror(-err)); break;
	}
}

/* The connected socket, or a negative errno. */
static int dial(const struct sockaddr_un *address, unsigned patience_s)
{
	const struct timeval timeout = { .tv_sec = patience_s };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int err;

	if (fd < 0)
		return -errno;
	/* The send time-out is also that of connect(), which waits while the backlog is full. */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0 ||
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0)
		goto close_fd;
	while (connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
		if (errno != EINTR)
			goto close_fd;
	return fd;
close_fd:
	err = -errno;
	close(fd);
	return err;
}

static int send_all(int fd, const char *bytes, size_t len)
{
	while (len) {
		ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);

		if (n >= 0) {
			bytes += n;
			len -= (size_t)n;
		} else if (errno == EPIPE) {
			break; /* Closed early; its reason may be there to read. */
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* One header line, without its line end. NULL, or what is wrong with it. */
static const char *parse_header(const char *line, size_t len, struct head *head)
{
	static const char length[] = "Content-Length", coding[] = "Transfer-Encoding";
	const char *colon = memchr(line, ':', len);
	const char *end = line + len;
	const char *at;
	size_t name_len;

	if (!colon || colon == line || memchr(line, ' ', (size_t)(colon - line)) || memchr(line, '\r', len) ||
		memchr(line, '\n', len) || memchr(line, '\0', len))
		return "a bad header";
	name_len = (size_t)(colon - line);
	if (name_len == sizeof(coding) - 1 && strncasecmp(line, coding, name_len) == 0)
		return "Transfer-Encoding, which rmsd never sends";
	if (name_len != sizeof(length) - 1 || strncasecmp(line, length, name_len) != 0)
		return NULL;
	for (at = colon + 1; at < end && (*at == ' ' || *at == '\t'); at++)
		;
	while (end > at && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	if (head->has_length || at == end)
		return "a bad Content-Length";
	for (; at < end; at++) {
		if (!is_digit(*at))
			return "a bad Content-Length";
		head->length = head->length * 10 + (size_t)(*at - '0');
		if (head->length > BODY_MAX)
			return "more than 16 MB";
	}
	head->has_length = true;
	return NULL;
}

/* text ends with the empty line. NULL, or what is wrong. */
static const char *parse_head(const char *text, size_t len, struct head *head)
{
	const char *end = text + len - 2; /* of the headers */
	const char *line, *next;
	const char *wrong;

	if (len < STATUS_LINE_MIN + 4 || memcmp(text, "HTTP/1.", 7) != 0 || (text[7] != '0' && text[7] != '1') ||
		text[8] != ' ' || text[9] < '2' || text[9] > '5' || !is_digit(text[10]) || !is_digit(text[11]) ||
		(text[12] != ' ' && text[12] != '\r'))
		return "no HTTP status line";
	head->status = (text[9] - '0') * 100 + (text[10] - '0') * 10 + (text[11] - '0');
	next = memmem(text, len, "\r\n", 2);
	for (line = next + 2; line < end; line = next + 2) {
		next = memmem(line, (size_t)(end - line), "\r\n", 2);
		wrong = parse_header(line, (size_t)(next - line), head);
		if (wrong)
			return wrong;
	}
	head->len = len;
	return NULL;
}

/* Judges what has come so far; *done once it is whole. NULL, or what is wrong. */
static const char *judge(const struct outbuf *bytes, bool ended, struct head *head, bool *done)
{
	const char *wrong;
	size_t body;

	if (ended && !bytes->len)
		return "the connection was closed without one";
	if (!head->len) {
		const char *blank = bytes->len ? memmem(bytes->data, bytes->len, "\r\n\r\n", 4) : NULL;

		if (blank) {
			wrong = parse_head(bytes->data, (size_t)(blank - bytes->data) + 4, head);
			if (wrong)
				return wrong;
		} else if (bytes->len > HEAD_MAX) {
			return "no end of its headers";
		} else {
			return ended ? "cut short" : NULL;
		}
	}
	body = bytes->len - head->len;
	if (body > BODY_MAX)
		return "more than 16 MB";
	if (head->has_length && body > head->length)
		return "bytes behind its end";
	if (ended && head->has_length && body < head->length)
		return "cut short";
	*done = ended || (head->has_length && body == head->length);
	return NULL;
}

/* Reads one answer to its end; *wrong is set with EPROTO, static. */
static int read_reply(int fd, struct head *head, struct outbuf *bytes, const char **wrong)
{
	bool done = false;

	while (!done) {
		char *at = outbuf_reserve(bytes, READ_SIZE);
		ssize_t n;

		if (!at)
			return -ENOMEM;
		n = recv(fd, at, READ_SIZE, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != ECONNRESET)
			return -errno;
		if (n > 0)
			bytes->len += (size_t)n;
		*wrong = judge(bytes, n <= 0, head, &done);
		if (*wrong)
			return -EPROTO;
	}
	return 0;
}

int client_send(const char *path, const char *method, const char *target, const char *fields, unsigned patience_s,
	struct outbuf *why)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct outbuf request = { 0 };
	int err, fd;

	if (strlen(path) >= sizeof(address.sun_path)) {
		outbuf_printf(why, "%s: path too long (a socket's has at most %zu bytes)", path,
			sizeof(address.sun_path) - 1);
		return -ENAMETOOLONG;
	}
	memcpy(address.sun_path, path, strlen(path));
	outbuf_printf(&request, "%s %s HTTP/1.1\r\nHost: rmsd\r\nConnection: close\r\n%s%s\r\n", method, target, fields,
		strcmp(method, "POST") == 0 ? "Content-Length: 0\r\n" : "");
	fd = request.failed ? -ENOMEM : dial(&address, patience_s);
	if (fd >= 0) {
		err = send_all(fd, request.data, request.len);
		if (err < 0) {
			close(fd);
			fd = err;
		}
	}
	if (fd < 0)
		explain(path, fd, patience_s, why);
	outbuf_finish(&request);
	return fd;
}

int client_request(const char *path, const char *method, const char *target, bool json, unsigned patience_s,
	struct client_reply *reply, struct outbuf *why)
{
	int fd = client_send(path, method, target, json ? "Accept: application/json\r\n" : "", patience_s, why);
	struct outbuf bytes = { 0 };
	struct head head = { 0 };
	const char *wrong = NULL;
	int err;

	if (fd < 0)
		return fd;
	err = read_reply(fd, &head, &bytes, &wrong);
	close(fd);
	if (wrong)
		outbuf_printf(why, "%s: not an answer of rmsd: %s", path, wrong);
	else if (err < 0)
		explain(path, err, patience_s, why);
	if (err == 0)
		*reply = (struct client_reply){ head.status, bytes.len - head.len, bytes.data + head.len, bytes };
	else
		outbuf_finish(&bytes);
	return err;
}

void client_reply_finish(struct client_reply *reply)
{
	outbuf_finish(&reply->bytes);
	*reply = (struct client_reply){ 0 };
}
