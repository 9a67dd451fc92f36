/* page.c - the live page's files, and who gets them. */
#include "admin/page.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "admin/door.h"
#include "base/gzip.h"

static const struct {
	const unsigned char *bytes;
	const size_t *len;
	const char *type;
} files[PAGE_FILES] = {
	[PAGE_HTML] = { page_index_html, &page_index_html_len, "text/html; charset=utf-8" },
	[PAGE_JS] = { page_page_js, &page_page_js_len, "text/javascript; charset=utf-8" },
	[PAGE_CSS] = { page_page_css, &page_page_css_len, "text/css; charset=utf-8" },
};

int page_init(struct page *page)
{
	for (unsigned i = 0; i < PAGE_FILES; i++) {
		gzip_append(&page->packed[i], files[i].bytes, *files[i].len);
		if (page->packed[i].failed)
			return UV_ENOMEM;
	}
	return 0;
}

void page_finish(struct page *page)
{
	for (unsigned i = 0; i < PAGE_FILES; i++)
		outbuf_finish(&page->packed[i]);
}

/* One element of Accept, to its comma; false for a quality of 0 (RFC 9110 section 12.4.2). */
static bool is_html(const char *at, size_t len)
{
	static const char html[] = "text/html";
	size_t name = strcspn(at, ",; \t");
	const char *q;

	if (name != sizeof(html) - 1 || strncasecmp(at, html, name) != 0)
		return false;
	for (q = at + name; (q = memchr(q, ';', len - (size_t)(q - at))) != NULL;) {
		q++;
		q += strspn(q, " \t");
		if ((*q == 'q' || *q == 'Q') && q[1] == '=')
			return strtod(q + 2, NULL) > 0;
	}
	return true;
}

bool page_is_wanted(const char *accept)
{
	for (const char *at = accept; at && *at;) {
		size_t len;

		at += strspn(at, ", \t");
		len = strcspn(at, ",");
		if (is_html(at, len))
			return true;
		at += len;
	}
	return false;
}

static void reply(struct rms_request *req, enum page_file file)
{
	const struct outbuf *packed = &door_admin(req)->page.packed[file];

	/* A browser asks again each time: another rmsd may have another page. */
	rms_reply_header(req, "Cache-Control", "no-cache");
	rms_reply_header(req, "X-Content-Type-Options", "nosniff");
	rms_reply_header(req, "Referrer-Policy", "no-referrer");
	rms_reply_header(req, "Content-Security-Policy",
		"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
	rms_reply_header(req, "Vary", file == PAGE_HTML ? "Accept, Accept-Encoding" : "Accept-Encoding");
	if (exposition_takes_gzip(rms_request_header(req, "Accept-Encoding"))) {
		rms_reply_header(req, "Content-Encoding", "gzip");
		rms_reply_bytes(req, 200, files[file].type, packed->data, packed->len);
	} else {
		rms_reply_bytes(req, 200, files[file].type, files[file].bytes, *files[file].len);
	}
}

void page_index(struct rms_request *req, void *state)
{
	(void)state;
	if (page_is_wanted(rms_request_header(req, "Accept"))) {
		reply(req, PAGE_HTML);
		return;
	}
	rms_reply_header(req, "Vary", "Accept, Accept-Encoding");
	rms_reply_text(req, 200,
		"rmsd " RMSD_VERSION "\n"
		"/         in a browser: the live page\n"
		"/metrics  what Prometheus scrapes\n"
		"/livez    200 while rmsd is alive\n"
		"/readyz   200 while it can answer requests\n"
		"/status   workers, listeners, totals: JSON\n"
		"/events   what happens, as it happens: server-sent events\n");
}

void page_script(struct rms_request *req, void *state)
{
	(void)state;
	reply(req, PAGE_JS);
}

void page_style(struct rms_request *req, void *state)
{
	(void)state;
	reply(req, PAGE_CSS);
}
