/*
 * address.h - text to a socket address: "127.0.0.1:8080", "[::1]:8080", ":8080" (of 127.0.0.1) or "unix:/path".
 *
 * Thread: any; no state.
 */
#ifndef RMSD_TESTS_ADDRESS_H
#define RMSD_TESTS_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

/* False if text is none of these. */
bool address_parse(const char *text, struct sockaddr_storage *sa, socklen_t *len);

#endif
