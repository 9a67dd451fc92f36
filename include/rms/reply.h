/*
 * reply.h - answer a request, exactly once: in the handler, or later. A second reply in the handler is dropped, with a
 * line in the log.
 *
 * A handler that returns without a reply has deferred it. It may then reply from any callback on the same loop; until
 * then the connection waits. The worker may have been killed meanwhile: the reply is then dropped in silence, and req
 * may be used until that reply all the same.
 *
 * A reply takes req: after it, req and all that it lent are gone, except that inside the handler they stay until it
 * returns. Date, Content-Length and Connection are added (RFC 9110 sections 6.6.1, 8.6; RFC 9112 section 9). A reply to
 * HEAD has the same fields and no body.
 *
 * Thread: the worker's that ran the handler.
 */
#ifndef RMS_REPLY_H
#define RMS_REPLY_H

#include <stddef.h>

struct rms_request;

/*
 * Adds a field to the reply to come; copies both. Ignored, with a line in the log, if name is not a token (RFC 9110
 * section 5.1), value holds a control byte, or the field is one that the server adds itself.
 */
void rms_reply_header(struct rms_request *req, const char *name, const char *value);
/* text, NUL-terminated, as text/plain; charset=utf-8. Copies it. status: 200 to 599. */
void rms_reply_text(struct rms_request *req, int status, const char *text);
/* The same, formatted as printf does. */
__attribute__((format(printf, 3, 4))) void rms_reply_textf(
	struct rms_request *req, int status, const char *format, ...);
/* len bytes of a media type (RFC 9110 section 8.3); copies both. type NULL: no Content-Type. */
void rms_reply_bytes(struct rms_request *req, int status, const char *type, const void *bytes, size_t len);

#endif
