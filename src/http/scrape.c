/* scrape.c - what Prometheus gets. */
#include "http/scrape.h"

#include <rms/rms.h>
#include "base/gzip.h"
#include "metrics/metrics.h"

void scrape_reply(struct rms_request *req, struct metrics *metrics, int worker)
{
	enum exposition form = exposition_choose(rms_request_header(req, "Accept"));
	struct outbuf plain = { 0 }, packed = { 0 };
	const struct outbuf *out = &plain;

	metrics_write(metrics, worker, form, &plain);
	rms_reply_header(req, "Vary", "Accept, Accept-Encoding");
	if (exposition_takes_gzip(rms_request_header(req, "Accept-Encoding")) && !plain.failed) {
		gzip_append(&packed, plain.data, plain.len);
		if (!packed.failed) {
			out = &packed;
			rms_reply_header(req, "Content-Encoding", "gzip");
		}
	}
	rms_reply_bytes(req, out->failed ? 500 : 200, exposition_type(form), out->data, out->failed ? 0 : out->len);
	outbuf_finish(&plain);
	outbuf_finish(&packed);
}
