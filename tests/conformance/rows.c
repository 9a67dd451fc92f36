/* rows.c - the .def files as one table, and the words that they are written in. */
#include "conformance/row.h"

/* NULs may be among the bytes: the length is the literal's. */
/* clang-format off */
#define REPEAT(text, n) { STEP_SEND, text, sizeof(text) - 1, n }
#define SEND(text) REPEAT(text, 1)
#define AWAIT { STEP_AWAIT, NULL, 0, 0 }
#define SHUT { STEP_SHUT, NULL, 0, 0 }
#define PAUSE { STEP_PAUSE, NULL, 0, 30 }
/* clang-format on */

#define ROW(section, name, expect, want, ...) { TOPIC, section, name, expect, want, 0, { __VA_ARGS__ } },
#define OWN(section, name, expect, want, ...) { TOPIC, section, name, expect, want, ROW_OWN, { __VA_ARGS__ } },
#define APP(section, name, expect, want, ...) { TOPIC, section, name, expect, want, ROW_APP, { __VA_ARGS__ } },

#define H "Host: a\r\n"
#define GET(target) "GET " target " HTTP/1.1\r\n" H "\r\n"
#define LINE(line) line "\r\n" H "\r\n"
#define FIELD(field) "GET / HTTP/1.1\r\n" H field "\r\n\r\n"
#define OLD(fields) "GET / HTTP/1.0\r\n" fields "\r\n"
#define POST(fields) "POST /echo HTTP/1.1\r\n" H fields "\r\n\r\n"
#define SIZED(length, body) POST("Content-Length: " length) body
#define CHUNKED(body) POST("Transfer-Encoding: chunked") body
#define LAST "0\r\n\r\n"

/* What stands behind a request that is refused: whoever answers it has let himself be fooled. */
#define EVIL "GET /smuggled HTTP/1.1\r\n" H "Connection: close\r\n\r\n"

/* Understood, answered, and the connection goes on. */
#define GOOD(section, name, bytes) ROW(section, name, "200 keep", NULL, SEND(bytes))
/* A body that arrives as it is meant. */
#define BODY(section, name, body, bytes) ROW(section, name, "ok keep", "body=" body, SEND(bytes))
/* Refused, and nothing behind it is looked at: where it ends is in doubt. */
#define BAD(section, name, status, bytes) ROW(section, name, #status " close", NULL, SEND(bytes EVIL))
/* Refused; where it ends is not in doubt, and who likes may go on. */
#define WRONG(section, name, status, bytes) \
	ROW(section, name, #status " close or " #status " ok close", NULL, SEND(bytes EVIL))
/* The same with a status that rmsd has and others need not. */
#define ALSO(section, name, status, others, bytes) \
	ROW(section, name, #status " close or " others " close or " others " ok close", NULL, SEND(bytes EVIL))
/* The RFC lets a recipient take it for what was probably meant; rmsd does not. */
#define DOUBT(section, name, status, bytes) ROW(section, name, #status " close or ok ok close", NULL, SEND(bytes EVIL))

/* clang-format off */
const struct row rows[] = {
#define TOPIC "request_line"
#include "conformance/request_line.def"
#undef TOPIC
#define TOPIC "target"
#include "conformance/target.def"
#undef TOPIC
#define TOPIC "host"
#include "conformance/host.def"
#undef TOPIC
#define TOPIC "fields"
#include "conformance/fields.def"
#undef TOPIC
#define TOPIC "framing"
#include "conformance/framing.def"
#undef TOPIC
#define TOPIC "chunked"
#include "conformance/chunked.def"
#undef TOPIC
#define TOPIC "trailers"
#include "conformance/trailers.def"
#undef TOPIC
#define TOPIC "methods"
#include "conformance/methods.def"
#undef TOPIC
#define TOPIC "expect"
#include "conformance/expect.def"
#undef TOPIC
#define TOPIC "persistence"
#include "conformance/persistence.def"
#undef TOPIC
#define TOPIC "responses"
#include "conformance/responses.def"
#undef TOPIC
#define TOPIC "limits"
#include "conformance/limits.def"
#undef TOPIC
};
/* clang-format on */

const size_t n_rows = sizeof(rows) / sizeof(rows[0]);
