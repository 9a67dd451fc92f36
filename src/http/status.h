/*
 * status.h - status codes and their reason phrases, from status.def.
 *
 * Thread: any; constant.
 */
#ifndef RMSD_HTTP_STATUS_H
#define RMSD_HTTP_STATUS_H

#include <stddef.h>
#include <stdint.h>

/* "HTTP/1.1 404 Not Found\r\n" and its length; a code not in the table has the empty reason that RFC 9112 section 4
 * allows. code is 200 to 599. */
const char *status_line(int code, size_t *len);
/* "Not Found"; "" for a code not in the table. */
const char *status_reason(int code);
/* The codes that rmsd itself sends, ascending, ended by 0. */
const uint16_t *status_sent(void);

#endif
