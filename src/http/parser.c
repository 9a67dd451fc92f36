/*
 * parser.c - head and trailers to llhttp line by line, a chunked body to chunks.c, any other body by its length.
 *
 * llhttp is given no line before its last byte is there. So spans come in one piece, and of two mistakes the first is
 * found first however the bytes were cut: line by line, within a line the raw scan's before llhttp's, and what the
 * head means (head.h) when it is complete. Each limit is tied to one byte's position for the same reason.
 */
#include "http/parser.h"

#include <assert.h>
#include <endian.h>
#include <string.h>
#include <strings.h>

#include "http/head.h"

#if LLHTTP_VERSION_MAJOR < 9 && LLHTTP_STRICT_MODE != 1
#error "llhttp before 9 needs -DLLHTTP_STRICT_MODE=1, here and for its own sources: loose, it lets requests be smuggled"
#endif

enum phase { HEAD, BODY, CHUNKS, TRAILER, DONE };

enum { BODY_MAX = 1 << 30 }; /* offsets are 32 bits, and a chunked body may be twice its size */

/* What a look at the raw lines found. */
struct scan {
	size_t lines;       /* offset behind the last complete line before the mistake, if there is one */
	bool end;           /* that line is the empty one */
	int status;         /* a mistake: the status to refuse with; else 0 */
	const char *reason; /* with status */
};

static enum message_status refuse(struct message *message, int status, const char *reason)
{
	message->error = (uint16_t)status;
	message->reason = reason;
	return MESSAGE_BAD;
}

static struct message *message_of(llhttp_t *llhttp)
{
	return (struct message *)(void *)((char *)llhttp - offsetof(struct message, llhttp));
}

static struct message_span span(const struct message *message, const char *at, size_t len)
{
	return (struct message_span){ (uint32_t)(at - message->base), (uint32_t)len };
}

static uint64_t body_max(const struct message *message)
{
	return message->limits->body_size < BODY_MAX ? message->limits->body_size : BODY_MAX;
}

/* Behind it is a byte, since lines come complete: the CR of a line without a version, which llhttp takes for 0.9. */
static int on_url(llhttp_t *llhttp, const char *at, size_t len)
{
	struct message *message = message_of(llhttp);

	message->target = span(message, at, len);
	if (at[len] == ' ')
		return 0;
	refuse(message, 400, "no HTTP version");
	return HPE_USER;
}

/* What a trailer says of the framing is a lie or a trap (RFC 9110 section 6.5.1); llhttp 9 refuses some of it. */
static int check_trailer(struct message *message, const char *name, size_t len)
{
	if ((len != 14 || strncasecmp(name, "content-length", 14) != 0) &&
		(len != 17 || strncasecmp(name, "transfer-encoding", 17) != 0))
		return 0;
	refuse(message, 400, "framing in the trailers");
	return HPE_USER;
}

/* Trailers are dropped: what they could change has been decided. */
static int on_field(llhttp_t *llhttp, const char *at, size_t len)
{
	struct message *message = message_of(llhttp);
	struct message_field *field;

	if (message->head_done)
		return check_trailer(message, at, len);
	if (message->n_fields == message->limits->fields) {
		refuse(message, 431, "too many fields");
		return HPE_USER;
	}
	field = &message->fields[message->n_fields++];
	field->name = span(message, at, len);
	field->value = span(message, at + len, 0);
	return 0;
}

static int on_value(llhttp_t *llhttp, const char *at, size_t len)
{
	struct message *message = message_of(llhttp);

	if (message->head_done)
		return 0;
	while (len && (at[len - 1] == ' ' || at[len - 1] == '\t'))
		len--;
	/* An empty one may be told where the next line begins; it stays behind its name, as on_field() left it. */
	if (len)
		message->fields[message->n_fields - 1].value = span(message, at, len);
	return 0;
}

static int on_headers_complete(llhttp_t *llhttp)
{
	(void)llhttp;
	return HPE_PAUSED;
}

/* Of chunked messages only: the others are paused for good at the end of their head. */
static int on_message_complete(llhttp_t *llhttp)
{
	message_of(llhttp)->phase = DONE;
	return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
	.on_url = on_url,
	.on_header_field = on_field,
	.on_header_value = on_value,
	.on_headers_complete = on_headers_complete,
	.on_message_complete = on_message_complete,
};

void message_init(struct message *message)
{
	/* One by one: gcc makes a memset of this size a rep stos, which takes longer than all of these. */
	message->fed = message->scanned = message->length = message->head_len = message->n_fields = 0;
	message->target = message->path = message->query = message->authority = message->body =
		(struct message_span){ 0, 0 };
	message->chunked_body = (struct outbuf){ 0 };
	message->method = message->minor = 0;
	message->error = 0;
	message->reason = NULL;
	message->head_done = message->keep_alive = message->chunked = false;
	message->path_spelled = message->expect_continue = false;
	message->phase = HEAD;
	message->section = 0;
	llhttp_init(&message->llhttp, HTTP_REQUEST, &settings);
}

void message_finish(struct message *message)
{
	outbuf_finish(&message->chunked_body);
}

/* The first byte below 0x20, or end. Eight at a time: a byte less than 0x20 borrows into its top bit. */
static inline const char *find_control(const char *at, const char *end)
{
	const uint64_t ones = 0x0101010101010101;

	for (; end - at >= (ptrdiff_t)sizeof(uint64_t); at += sizeof(uint64_t)) {
		uint64_t word, low;

		memcpy(&word, at, sizeof(word));
		word = le64toh(word); /* the first byte lowest: the borrow spoils only bytes behind a hit */
		low = (word - ones * 0x20) & ~word & ones * 0x80;
		if (low)
			return at + __builtin_ctzll(low) / 8;
	}
	while (at < end && (unsigned char)*at >= 0x20)
		at++;
	return at;
}

/* Whether the target of a request line, which may be cut, has more than max bytes. */
static bool target_too_long(const char *line, uint32_t len, uint32_t max)
{
	const char *target, *space;

	if (len <= max)
		return false;
	target = memchr(line, ' ', len);
	if (!target)
		return false;
	target++;
	len -= (uint32_t)(target - line);
	space = memchr(target, ' ', len);
	return (space ? (uint32_t)(space - target) : len) > max;
}

static void refuse_line(struct scan *scan, const char *reason)
{
	scan->status = 400;
	scan->reason = reason;
}

/* Complete lines from fed on, up to the empty line that ends the head or the trailers, or to a mistake. */
static void scan_lines(struct message *message, const char *bytes, size_t len, struct scan *scan)
{
	const size_t limit = (size_t)message->section + message->limits->header_size;
	const char *end = bytes + (len < limit ? len : limit);
	const char *line = bytes + message->fed, *at = bytes + message->scanned;
	bool request_line = message->phase == HEAD && !message->target.len;

	scan->end = false;
	scan->status = 0;
	while (line < end) {
		if (*line <= ':' && (*line == ' ' || *line == '\t' || *line == ':')) {
			refuse_line(scan, *line == ':' ? "empty field name" : "folded line");
			break;
		}
		at = find_control(at, end);
		if (end - at < 2 || memcmp(at, "\r\n", 2) != 0) {
			if (at == end || (*at == '\r' && at + 1 == end))
				break;
			if (*at == '\t') {
				at++;
				continue;
			}
			refuse_line(scan, "bare CR, bare LF or control byte");
			break;
		}
		if (at > line) {
			if (request_line && target_too_long(line, (uint32_t)(at - line), message->limits->uri_size))
				break;
			request_line = false;
		} else if (!request_line) {
			scan->end = true;
			line = at += 2;
			break;
		} else if (at > bytes) {
			refuse_line(scan, "empty lines before the request");
			break;
		}
		line = at += 2;
	}
	message->scanned = (uint32_t)(at - bytes);
	scan->lines = (size_t)(line - bytes);
	/* The excess byte of a target comes before whatever ended the scan. */
	if (request_line && target_too_long(line, (uint32_t)(at - line), message->limits->uri_size)) {
		scan->status = 414;
		scan->reason = "target too long";
	} else if (!scan->status && !scan->end && len > limit) {
		scan->status = 431;
		scan->reason = message->phase == HEAD ? "head too large" : "trailers too large";
	}
}

static llhttp_errno_t feed_lines(struct message *message, const char *bytes, size_t len, struct scan *scan)
{
	const size_t fed = message->fed;

	scan_lines(message, bytes, len, scan);
	if (scan->lines == fed)
		return HPE_OK;
	message->fed = (uint32_t)scan->lines;
	return llhttp_execute(&message->llhttp, bytes + fed, scan->lines - fed);
}

/*
 * behind: the byte behind the target. llhttp expects HTTP/2 of PRI, whatever version the line names: in HTTP/1 it is a
 * method that nobody has.
 */
static enum message_status refuse_version(struct message *message, const char *behind)
{
	if (message->llhttp.method == HTTP_PRI && behind[sizeof(" HTTP/") - 1] == '1')
		return refuse(message, 501, "method not implemented");
	return refuse(message, 505, "HTTP version not supported");
}

/* llhttp knows a list of methods and of versions, and has one error for what is not on it and what is none at all. */
static enum message_status refuse_head(struct message *message, llhttp_errno_t err, const char *bytes)
{
	const char *line = bytes + (bytes[0] == '\r' ? 2 : 0);
	const char *behind = bytes + message->target.at + message->target.len;
	const size_t left = (size_t)(bytes + message->fed - behind);
	size_t token;

	if (err == HPE_INVALID_METHOD) {
		token = head_token(line, (size_t)(bytes + message->fed - line));
		if (token && line[token] == ' ')
			return refuse(message, 501, "method not implemented");
	}
	/* RTSP's, in a request that says HTTP. */
	if (err == HPE_INVALID_CONSTANT && message->llhttp.method >= HTTP_SOURCE &&
		message->llhttp.method <= HTTP_FLUSH)
		return refuse(message, 501, "method not implemented");
	if (err == HPE_INVALID_VERSION && left >= sizeof(" HTTP/2.0\r\n") - 1 && !memcmp(behind, " HTTP/", 6) &&
		behind[6] >= '0' && behind[6] <= '9' && behind[7] == '.' && behind[8] >= '0' && behind[8] <= '9' &&
		behind[9] == '\r')
		return refuse_version(message, behind);
	return refuse(message, 400, llhttp_get_error_reason(&message->llhttp));
}

static enum message_status feed_body(struct message *message, size_t len)
{
	if (len < message->length)
		return MESSAGE_PARTIAL;
	message->phase = DONE;
	return MESSAGE_COMPLETE;
}

static enum message_status feed_trailer(struct message *message, const char *bytes, size_t len)
{
	struct scan scan;
	llhttp_errno_t err = feed_lines(message, bytes, len, &scan);

	if (message->phase == DONE) {
		message->length = message->fed;
		return MESSAGE_COMPLETE;
	}
	if (message->error)
		return MESSAGE_BAD;
	if (err)
		return refuse(message, 400, llhttp_get_error_reason(&message->llhttp));
	if (scan.status)
		return refuse(message, scan.status, scan.reason);
	return MESSAGE_PARTIAL;
}

/* llhttp sees of a chunked body what it is all the same to it: an empty one, and the trailers. */
static enum message_status feed_chunks(struct message *message, const char *bytes, size_t len)
{
	const struct chunks_limits limits = { body_max(message), message->limits->header_size };
	size_t used = len - message->fed;
	enum chunks_verdict verdict =
		chunks_feed(&message->chunks, &limits, bytes + message->fed, &used, &message->chunked_body);

	if (verdict == CHUNKS_BAD)
		return refuse(message, message->chunks.error, message->chunks.reason);
	message->fed += (uint32_t)used;
	if (verdict == CHUNKS_PARTIAL)
		return MESSAGE_PARTIAL;
	if (llhttp_execute(&message->llhttp, "0\r\n", 3) != HPE_OK)
		return refuse(message, 400, llhttp_get_error_reason(&message->llhttp));
	message->phase = TRAILER;
	message->section = message->scanned = message->fed;
	return feed_trailer(message, bytes, len);
}

static enum message_status feed_head(struct message *message, const char *bytes, size_t len)
{
	struct scan scan;
	llhttp_errno_t err = feed_lines(message, bytes, len, &scan);

	if (message->error)
		return MESSAGE_BAD;
	if (err && err != HPE_PAUSED)
		return refuse_head(message, err, bytes);
	if (err == HPE_OK) {
		if (scan.status)
			return refuse(message, scan.status, scan.reason);
		/* The one head that llhttp does not end: PRI's. */
		return scan.end ? refuse_version(message, bytes + message->target.at + message->target.len)
				: MESSAGE_PARTIAL;
	}
	assert(err == HPE_PAUSED && scan.end);
	if (!head_check(message, bytes))
		return MESSAGE_BAD;
	if (message->llhttp.content_length > body_max(message))
		return refuse(message, 413, "body too large");
	message->head_done = true;
	message->head_len = message->fed;
	if (message->chunked) {
		llhttp_resume(&message->llhttp);
		message->phase = CHUNKS;
		message->chunks = (struct chunks){ 0 };
		return feed_chunks(message, bytes, len);
	}
	message->phase = BODY;
	message->body = (struct message_span){ message->fed, (uint32_t)message->llhttp.content_length };
	message->length = message->fed + message->body.len;
	return feed_body(message, len);
}

enum message_status message_feed(
	struct message *message, const struct message_limits *limits, const char *bytes, size_t len)
{
	assert(len >= message->fed && len <= UINT32_MAX);
	assert(limits->fields <= MESSAGE_FIELDS_MAX);
	if (message->error)
		return MESSAGE_BAD;
	message->limits = limits;
	message->base = bytes;
	if (message->phase == HEAD)
		return feed_head(message, bytes, len);
	switch (message->phase) {
	case BODY: return feed_body(message, len);
	case CHUNKS: return feed_chunks(message, bytes, len);
	case TRAILER: return feed_trailer(message, bytes, len);
	default: return MESSAGE_COMPLETE;
	}
}
