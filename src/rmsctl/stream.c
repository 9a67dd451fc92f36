/* stream.c - the body of a reply, through llhttp, cut into lines. */
#include "rmsctl/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rmsctl/client.h"

enum { READ_SIZE = 16 * 1024, LINE_MAX_SIZE = 128 * 1024, PATIENCE_S = 10 };

static void end_line(struct stream *stream)
{
	stream->fn(stream->line.len ? stream->line.data : "", stream->line.len, stream->arg);
	outbuf_reset(&stream->line, LINE_MAX_SIZE);
}

static int on_headers(llhttp_t *llhttp)
{
	struct stream *stream = llhttp->data;

	stream->status = llhttp_get_status_code(llhttp);
	return 0;
}

static int on_body(llhttp_t *llhttp, const char *at, size_t len)
{
	struct stream *stream = llhttp->data;

	while (len) {
		const char *end = memchr(at, '\n', len);
		size_t n = end ? (size_t)(end - at) : len;

		if (stream->line.len + n > LINE_MAX_SIZE)
			return HPE_USER;
		outbuf_append(&stream->line, at, n);
		if (stream->line.failed)
			return HPE_USER;
		if (!end)
			return 0;
		end_line(stream);
		at += n + 1;
		len -= n + 1;
	}
	return 0;
}

static int on_complete(llhttp_t *llhttp)
{
	struct stream *stream = llhttp->data;

	if (stream->line.len)
		end_line(stream);
	stream->ended = true;
	return 0;
}

int stream_open(struct stream *stream, const char *path, const char *method, const char *target, stream_fn *fn,
	void *arg, struct outbuf *why)
{
	int fd = client_send(path, method, target, "", PATIENCE_S, why);
	int flags;

	if (fd < 0)
		return fd;
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
		int err = -errno;

		close(fd);
		outbuf_printf(why, "%s: %s", path, strerror(-err));
		return err;
	}
	*stream = (struct stream){ .fd = fd, .fn = fn, .arg = arg };
	llhttp_settings_init(&stream->settings);
	stream->settings.on_headers_complete = on_headers;
	stream->settings.on_body = on_body;
	stream->settings.on_message_complete = on_complete;
	llhttp_init(&stream->llhttp, HTTP_RESPONSE, &stream->settings);
	stream->llhttp.data = stream;
	return 0;
}

int stream_read(struct stream *stream)
{
	char bytes[READ_SIZE];
	ssize_t n = recv(stream->fd, bytes, sizeof(bytes), 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0 && errno != ECONNRESET)
		return -errno;
	if (n > 0)
		return llhttp_execute(&stream->llhttp, bytes, (size_t)n) == HPE_OK || stream->ended ? 0 : -EPROTO;
	/* An answer without a length ends with its connection. */
	if (n == 0 && stream->status && llhttp_finish(&stream->llhttp) == HPE_OK && stream->ended)
		return 0;
	return -ECONNRESET;
}

void stream_close(struct stream *stream)
{
	if (stream->fd >= 0)
		close(stream->fd);
	outbuf_finish(&stream->line);
	stream->fd = -1;
}
