/*
 * head.h - what a complete request head must say, beyond the syntax that llhttp checks.
 *
 * Where the RFCs leave a choice the strict one is taken: a head that two servers could read in two ways is refused.
 *
 * Thread: any; no state but the message.
 */
#ifndef RMSD_HTTP_HEAD_H
#define RMSD_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>

struct message;

/*
 * Of a message whose target and fields are known, in bytes that hold the whole head: sets its method, minor, path,
 * query, chunked, keep_alive and expect_continue. False: refused, its error and reason are set. The parser's alone.
 */
bool head_check(struct message *message, const char *bytes);
/* The length of the token (RFC 9110 section 5.6.2) that bytes begins with, at most len. */
size_t head_token(const char *bytes, size_t len);

#endif
