/*
 * page.h - the live page at / of admin: three files that are part of the program.
 *
 * To who does not ask for text/html, such as curl, / is a short text index. Nothing in the page comes from elsewhere:
 * the policy sent with it forbids that, and any script or style that is not in the two files beside it.
 *
 * Thread: the admin thread, except page_init() and page_finish().
 */
#ifndef RMSD_ADMIN_PAGE_H
#define RMSD_ADMIN_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <rms/rms.h>
#include "base/outbuf.h"

enum page_file { PAGE_HTML, PAGE_JS, PAGE_CSS, PAGE_FILES };

/* The files, packed. */
struct page {
	struct outbuf packed[PAGE_FILES];
};

/* 0 or UV_ENOMEM, and then there is something for page_finish() all the same. */
int page_init(struct page *page);
void page_finish(struct page *page); /* accepts zeroed memory */

/* Whether the value of Accept (NULL: not sent) names text/html. */
bool page_is_wanted(const char *accept);

/* Handlers of /, /page.js and /page.css. */
void page_index(struct rms_request *req, void *state);
void page_script(struct rms_request *req, void *state);
void page_style(struct rms_request *req, void *state);

/* Written by embed.cmake. */
extern const unsigned char page_index_html[], page_page_js[], page_page_css[];
extern const size_t page_index_html_len, page_page_js_len, page_page_css_len;

#endif
