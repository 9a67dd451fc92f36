/*
 * parser.h - bytes to a message, through llhttp; size limits; no I/O.
 *
 * A message is fed the bytes of one request, in as many pieces as they come; it keeps offsets from the request's first
 * byte, not pointers, so the bytes may move between two feeds and a message may be copied with its connection. The
 * caller keeps all bytes of the request together until it is answered: they are what another worker starts from. The
 * verdict depends on the bytes alone, never on the pieces in which they came.
 *
 * Beside llhttp the raw head is looked at (RFC 9112 section 2.2): bare CR, bare LF, NUL and obs-fold are refused, which
 * llhttp's callbacks hide or its version decides. What a good head must say is head.h's.
 *
 * Thread: any, one at a time; no state but the message.
 */
#ifndef RMSD_HTTP_PARSER_H
#define RMSD_HTTP_PARSER_H

#include "base/outbuf.h"
#include <llhttp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "http/chunks.h"

enum { MESSAGE_FIELDS_MAX = 256 };

struct message_span {
	uint32_t at, len; /* from the request's first byte */
};

struct message_field {
	struct message_span name, value;
};

/* Together they bound the bytes of one request: three times header_size and twice body_size. */
struct message_limits {
	uint32_t header_size; /* request line and fields, with their line ends: 431; the trailers once more */
	uint32_t uri_size;    /* 414 */
	uint32_t fields;      /* of the head: 431; at most MESSAGE_FIELDS_MAX */
	uint64_t body_size;   /* decoded: 413; more than 1 GiB counts as 1 GiB */
};

enum message_status {
	MESSAGE_PARTIAL,  /* wants more bytes */
	MESSAGE_COMPLETE, /* length bytes are this request's; what follows is the next one's */
	MESSAGE_BAD,      /* refused: error is the status to answer before closing */
};

struct message {
	llhttp_t llhttp;
	uint32_t fed;      /* bytes used of head, chunked body and trailers: whole lines of the first and the last */
	uint32_t scanned;  /* bytes of the head, then of the trailers, looked at raw */
	uint32_t length;   /* bytes of the whole request in the input: once complete, or head_done and not chunked */
	uint32_t head_len; /* when head_done: bytes of the head, its empty line included */
	uint32_t n_fields;
	struct message_span target;      /* as sent: origin-form, absolute-form or * */
	struct message_span path, query; /* within target, as sent; query without its '?' */
	struct message_span authority;   /* of a target in absolute-form; it is then the value of Host, too */
	struct message_span body;        /* in the input, unless chunked */
	struct chunks chunks;            /* if chunked */
	struct outbuf chunked_body;      /* and decoded: the message's own memory */
	uint8_t method;                  /* enum llhttp_method */
	uint8_t minor;                   /* HTTP/1.minor */
	uint16_t error;                  /* MESSAGE_BAD: 400, 413, 414, 417, 431, 501, 503 (no memory) or 505 */
	const char *reason;              /* MESSAGE_BAD: what was wrong, for the log: a constant */
	bool head_done;                  /* the head is complete and was found good; a body may be missing */
	bool keep_alive;                 /* RFC 9112 section 9.3, decided by the head alone */
	bool chunked;
	bool path_spelled;    /* the path has another spelling: path_normalise() before it is looked up */
	bool expect_continue; /* RFC 9110 section 10.1.1 */
	size_t charged;       /* its connection's: what it counts for in the process's account (slots_charge()) */
	/* The parser's own. */
	uint8_t phase;
	uint32_t section;                    /* where the head or the trailers begin */
	const struct message_limits *limits; /* these two are good during a feed alone */
	const char *base;
	/* Last, and left as it is by message_init(): the first n_fields are good. */
	struct message_field fields[MESSAGE_FIELDS_MAX];
};

/* A fresh message; frees nothing, so finish the last one first. */
void message_init(struct message *message);
/* Frees what the message owns; it must be initialised again before the next feed. Accepts zeroed memory. */
void message_finish(struct message *message);
/* bytes: all of the request received so far, len of them, what has been fed before included and unchanged. */
enum message_status message_feed(
	struct message *message, const struct message_limits *limits, const char *bytes, size_t len);

#endif
