/*
 * path.h - one spelling for each path, before anything is looked up by it.
 *
 * RFC 3986 section 6.2.2: an escape of an unreserved character is that character ("%7Euser", "%2e%2e"), and dot
 * segments are removed (section 5.2.4). All else stays as sent: "%2F" is no segment's end, and an empty segment ("//")
 * is a segment like any other. What would climb above the root is refused.
 *
 * Thread: any; no state.
 */
#ifndef RMSD_BASE_PATH_H
#define RMSD_BASE_PATH_H

#include <stdbool.h>
#include <stddef.h>

/* Whether a path that begins with '/' is its own one spelling, with whole escapes and none of NUL. */
bool path_is_normal(const char *path, size_t len);
/*
 * Of a path that begins with '/' and whose escapes are whole: its one spelling, never longer, into out, which may be
 * path itself, or NULL to ask for the verdict alone. The length in out; negative: it climbs above the root.
 */
long path_normalise(char *out, const char *path, size_t len);

#endif
