/*
 * text.h - which bytes may stand in a configuration, and how they are shown again.
 *
 * Thread: any; no state.
 */
#ifndef RMSD_CONF_TEXT_H
#define RMSD_CONF_TEXT_H

#include <stddef.h>
#include "base/outbuf.h"

/* How much of a wrong text an error message repeats. */
enum { TEXT_SHOWN = 60 };

/* The leading bytes that are UTF-8 without control characters, those of controls excepted; len if all are. */
size_t text_span(const char *bytes, size_t len, const char *controls);
/*
 * In double quotes, as YAML and JSON both read it; of more than max bytes the first ones and "...". What text_span()
 * refuses is shown as \xNN, which YAML alone can read.
 */
void text_quote(struct outbuf *out, const char *bytes, size_t len, size_t max);
/* The same, but without quotes where YAML needs none. */
void text_plain(struct outbuf *out, const char *bytes, size_t len, size_t max);

#endif
