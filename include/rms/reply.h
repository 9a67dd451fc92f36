/*
 * reply.h - answer a request, exactly once: in the handler, or later; at once, or as a stream. A second reply in the
 * handler is dropped, with a line in the log.
 *
 * A handler that returns without a reply has deferred it. It may then reply from any callback on the same loop; until
 * then the connection waits. The worker may have been killed meanwhile: the reply is then dropped in silence, and req
 * may be used until that reply all the same.
 *
 * A reply takes req: after it, or after rms_reply_end(), req and all that it lent are gone, except that inside the
 * handler they stay until it returns. Date, Content-Length or Transfer-Encoding, and Connection are added (RFC 9110
 * sections 6.6.1, 8.6; RFC 9112 sections 6.1, 9). A reply to HEAD has the same fields and no body.
 *
 * Thread: the worker's that ran the handler.
 */
#ifndef RMS_REPLY_H
#define RMS_REPLY_H

#include <stdbool.h>
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
/*
 * The same without a copy of the bytes: they stay as they are until the process ends, whatever becomes of the worker.
 * So not for memory of its state.
 */
void rms_reply_static(struct rms_request *req, int status, const char *type, const void *bytes, size_t len);

/*
 * A reply whose end is not known at its beginning: begin, write as often as there is something, end. Chunked to
 * HTTP/1.1 (RFC 9112 section 7.1), ended by the end of the connection to 1.0 (section 6.3). In the handler or later, or
 * partly both; what is written in the handler goes out when it returns.
 *
 * A reply that has no body, to HEAD, or 204 or 304, is whole once it is begun: nobody takes more of it.
 *
 * When the worker is lost before the kernel has had a byte of it, the request runs again as any other would; after that
 * the connection is reset, so that no client takes the part for the whole.
 */

/* type as in rms_reply_bytes(), with the fields set so far. */
void rms_reply_begin(struct rms_request *req, int status, const char *type);
/*
 * Copies len bytes, however many wait already: who writes much looks at rms_reply_unsent(), and goes on when on_room
 * says so. false: nobody takes them any more, or memory ran out: end it.
 */
bool rms_reply_write(struct rms_request *req, const void *bytes, size_t len);
/* Always to be called, also when nobody takes it any more. */
void rms_reply_end(struct rms_request *req);
/* Bytes written that the kernel has not taken, framing included. */
size_t rms_reply_unsent(const struct rms_request *req);

typedef void rms_room_fn(struct rms_request *req, void *arg);

/*
 * From a callback of its own on the loop, until rms_reply_end(): each time the kernel has taken all but little of what
 * was written; and once when nobody takes it any more, which rms_request_gone() then says. A client that is gone shows
 * when something is written to it, or when it resets; one that has only closed its side still gets its reply.
 */
void rms_reply_on_room(struct rms_request *req, rms_room_fn *fn, void *arg);

#endif
