/*
 * reply.h - a reply to bytes: status line, fields, body framing; implements rms/reply.h.
 *
 * Thread: the owner's.
 */
#ifndef RMSD_HTTP_REPLY_H
#define RMSD_HTTP_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <rms/reply.h>
#include "base/outbuf.h"

enum {
	REPLY_DATE_LEN = 37, /* "Date: Tue, 24 Nov 2026 02:17:33 GMT\r\n" */
	REPLY_TYPE_MAX = 64,
	REPLY_START_MAX = 384,   /* status line, stamp and a type shorter than that */
	REPLY_APART = 32 * 1024, /* so large a body of an app's is not copied behind its head */
};

struct rms_request;

/* How the client knows where the body ends (RFC 9112 section 6.3). */
enum reply_framing { FRAMING_LENGTH, FRAMING_CHUNKED, FRAMING_CLOSE };

/* How the request ended. */
enum reply_cause {
#define CAUSE(name, text) CAUSE_##name,
#include "http/causes.def"
};

/* Whose a body's bytes are. */
enum reply_hold {
	HOLD_LENT,   /* to be copied */
	HOLD_BLOCK,  /* from malloc(), and whoever has the reply frees it */
	HOLD_STATIC, /* nobody's: they outlive the process's connections */
};

/* What to send. All but a body that is not just lent is borrowed until reply_write() has returned. */
struct reply {
	int status;
	enum reply_framing framing;
	bool head_only;     /* the request was a HEAD */
	bool keep_alive;    /* the connection stays */
	bool old_client;    /* HTTP/1.0: staying must be said */
	uint8_t cause;      /* enum reply_cause, for the access log */
	uint8_t hold;       /* enum reply_hold, of the body */
	const char *type;   /* Content-Type; NULL: none */
	const char *fields; /* more field lines, each ended by CRLF; NULL: none */
	size_t fields_len;
	const char *body;
	size_t body_len;
};

/* What every reply of a connection's owner carries: "Date: ...\r\n", then perhaps the worker's name. */
struct reply_stamp {
	char fields[REPLY_DATE_LEN + 160];
	size_t len;
	long second; /* of the date */
	/* How the last reply began, since the next may well begin the same: status line, fields, Content-Type. */
	char start[REPLY_START_MAX];
	size_t start_len; /* 0: none */
	int start_status;
	bool start_is_text;
	char start_type[REPLY_TYPE_MAX];
};

/* worker_header NULL: none. */
void reply_stamp_init(struct reply_stamp *stamp, const char *worker_header, const char *worker);
/* Makes the date current; cheap when the second is the same. */
void reply_stamp_update(struct reply_stamp *stamp);
/* Appends the whole reply (RFC 9112 section 4). */
void reply_write(struct outbuf *out, const struct reply *reply, struct reply_stamp *stamp);
/* Appends status line and fields. */
void reply_write_head(struct outbuf *out, const struct reply *reply, struct reply_stamp *stamp);
/* Whether a body may follow the head. */
bool reply_has_body(const struct reply *reply);

/* For stream.c. Whether req has its reply, or has begun it: an app's mistake, which is logged. */
bool reply_is_late(const struct rms_request *req);
/* status; 500, and a line in the log, if the app's is none. */
int reply_check_status(int status);
/* The request's own copy of a media type; NULL if it cannot be sent. */
const char *reply_own_type(struct rms_request *req, const char *type);

#endif
