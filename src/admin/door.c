/* door.c - what every verb says and asks: answers in JSON, arguments, workers, who it is. */
#include "admin/door.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/log.h"
#include "conf/text.h"
#include "http/request.h"

struct admin *door_admin(const struct rms_request *req)
{
	return (struct admin *)rms_request_data(req);
}

bool door_post(struct admin *admin, struct door_mail *mail)
{
	return atomic_load_explicit(&admin->open, memory_order_acquire) &&
		mailbox_post(&admin->inbox, &mail->mail) == 0;
}

void door_quote(struct outbuf *out, const char *text)
{
	text_quote(out, text, strlen(text), SIZE_MAX);
}

void door_reply_json(struct rms_request *req, int status, struct outbuf *out)
{
	if (out->failed)
		rms_reply_text(req, 500, "out of memory\n");
	else
		rms_reply_bytes(req, status, "application/json", out->data, out->len);
	outbuf_finish(out);
}

void door_reply_error(struct rms_request *req, int status, uint64_t generation, const char *error)
{
	struct outbuf out = { 0 };

	outbuf_text(&out, "{\"ok\":false,\"error\":");
	door_quote(&out, error);
	outbuf_printf(&out, ",\"generation\":%llu}\n", (unsigned long long)generation);
	door_reply_json(req, status, &out);
}

static uint64_t generation_now(const struct rms_request *req)
{
	return fleet_generation(door_admin(req)->set.fleet);
}

void door_refuse(struct rms_request *req, int status, const char *format, ...)
{
	char error[512];
	va_list args;

	va_start(args, format);
	vsnprintf(error, sizeof(error), format, args);
	va_end(args);
	door_reply_error(req, status, generation_now(req), error);
}

bool door_read(struct rms_request *req, struct query *query, unsigned accepted, unsigned needed)
{
	struct outbuf error = { 0 };
	bool good = query_read(query, rms_request_query(req), &req->arena, accepted, needed, &error);

	if (!good)
		door_refuse(req, 400, "%s", error.failed ? "out of memory" : error.data);
	outbuf_finish(&error);
	return good;
}

int door_find_worker(struct rms_request *req, const char *name)
{
	struct fleet *fleet = door_admin(req)->set.fleet;
	struct outbuf names = { 0 };

	for (unsigned i = 0; i < fleet_size(fleet); i++)
		if (!strcmp(fleet_worker(fleet, i)->name, name))
			return (int)i;
	outbuf_printf(&names, "no worker is called %s; there are", name);
	for (unsigned i = 0; i < fleet_size(fleet); i++)
		outbuf_printf(&names, "%s %s", i ? "," : "", fleet_worker(fleet, i)->name);
	outbuf_append(&names, "", 1);
	door_reply_error(req, 404, generation_now(req), names.failed ? "no such worker" : names.data);
	outbuf_finish(&names);
	return -1;
}

void door_ask(struct rms_request *req, struct door_asker *asker)
{
	const char *query = rms_request_query(req);
	struct ucred peer = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(peer);

	getsockopt((int)(req->tag & UINT32_MAX), SOL_SOCKET, SO_PEERCRED, &peer, &len);
	asker->uid = (long)peer.uid;
	asker->pid = (long)peer.pid;
	log_quote(asker->arguments, sizeof(asker->arguments), query, strlen(query));
}

void door_audit(const struct door_asker *asker, const char *verb, const char *facts, ...)
{
	char text[256];
	va_list args;

	va_start(args, facts);
	vsnprintf(text, sizeof(text), facts, args);
	va_end(args);
	log_info("a control verb", "verb=%s uid=%ld pid=%ld arguments=%s %s", verb, asker->uid, asker->pid,
		asker->arguments, text);
}

void door_write_time(struct outbuf *out, uint64_t unix_ms)
{
	time_t seconds = (time_t)(unix_ms / 1000);
	struct tm tm;

	gmtime_r(&seconds, &tm);
	outbuf_printf(out, "\"%04d-%02d-%02dT%02d:%02d:%02d.%03uZ\"", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
		tm.tm_hour, tm.tm_min, tm.tm_sec, (unsigned)(unix_ms % 1000));
}

void door_write_moment(struct outbuf *out, uint64_t time_ns)
{
	struct timespec now;
	uint64_t unix_ns;

	clock_gettime(CLOCK_REALTIME, &now);
	unix_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec + time_ns - uv_hrtime();
	outbuf_printf(out, "\"time_ns\":%llu,\"time\":", (unsigned long long)time_ns);
	door_write_time(out, unix_ns / 1000000);
}
