/*
 * wire.h - raw bytes to and from a server: what a test that looks at the protocol itself is written with.
 *
 * Every wait has a deadline; whatever should not happen fails the running test with what was seen instead. An address
 * is one of address.h.
 *
 * Thread: the test's; a wire by one thread at a time.
 */
#ifndef RMSD_TESTS_WIRE_H
#define RMSD_TESTS_WIRE_H

#include <stdbool.h>
#include <stddef.h>

enum { WIRE_PATIENCE_MS = 15000 };

/* A whole reply. Replies are kept until the test program ends: nothing to free. */
struct reply {
	int status;
	char *head; /* status line and fields as received, with the empty line */
	char *body; /* ends with a NUL that is not counted */
	size_t body_len;
	unsigned chunks; /* in which the body came, if it was chunked */
};

/* How a connection ended, if it did. */
enum wire_end { WIRE_EOF, WIRE_RESET, WIRE_BYTES, WIRE_QUIET };

struct wire;

struct wire *wire_open(const char *address);
/* From a source address of ours, such as 127.0.0.9; NULL: any. 0 and a wire, or a negative errno. */
int wire_try(const char *address, const char *source, struct wire **out);
/* Accepts NULL. */
void wire_close(struct wire *wire);
/* Closes by RST: what a client that crashed looks like. */
void wire_reset(struct wire *wire);
int wire_fd(const struct wire *wire);
/* Keeps the kernel from taking more than about size bytes that were not read. Before the first bytes arrive. */
void wire_window(struct wire *wire, int size);

void wire_send(struct wire *wire, const void *bytes, size_t len);
void wire_put(struct wire *wire, const char *text);
__attribute__((format(printf, 2, 3))) void wire_putf(struct wire *wire, const char *format, ...);
/* As much as the kernel takes now; 0 or more bytes, or a negative errno. */
long wire_push(struct wire *wire, const void *bytes, size_t len);
/* No more from us; replies still come. */
void wire_shut(struct wire *wire);

/* Reads one reply; its body by Content-Length, or decoded if it is chunked. */
struct reply *wire_reply(struct wire *wire);
/* Reads one reply that has no body, whatever its Content-Length: the answer to HEAD. */
struct reply *wire_reply_head(struct wire *wire);
/* Up to size bytes as they come; 0 at the end of the stream. */
size_t wire_read(struct wire *wire, void *bytes, size_t size);
/* All that comes until the connection ends, kept, with a NUL that is not counted; and how it ends. */
enum wire_end wire_read_all(struct wire *wire, char **bytes, size_t *len);
/* Waits for the end of the connection, or for bytes, or until ms have gone by. */
enum wire_end wire_end(struct wire *wire, int ms);
/* The connection ends without another byte. */
void wire_expect_eof(struct wire *wire);
/* The connection is open and says nothing: a request sent on it now is answered with 200. */
void wire_expect_alive(struct wire *wire);

/* A field's value without white space around it; NULL: there is none. Kept as the reply is. */
const char *reply_field(const struct reply *reply, const char *name);
void reply_expect_field(const struct reply *reply, const char *name, const char *value);
void reply_expect(const struct reply *reply, int status, const char *body);

/* A request of its own connection. */
struct reply *wire_get(const char *address, const char *path);
struct reply *wire_request(const char *address, const char *method, const char *path);

/* Milliseconds of the monotonic clock. */
double wire_clock_ms(void);

#endif
