/* answer.c - asks, tells refusals from answers, and prints JSON so that a terminal may have it. */
#include "rmsctl/answer.h"

#include <errno.h>

#include "rmsctl/table.h"

enum { REASON_MAX = 200 };

/* DEL is the one control character that jansson writes raw; in JSON it can stand in a string alone. */
static int on_json(const char *bytes, size_t len, void *data)
{
	struct outbuf *out = data;

	for (size_t i = 0; i < len; i++)
		if (bytes[i] == 0x7F)
			outbuf_text(out, "\\u007f");
		else
			outbuf_append(out, bytes + i, 1);
	return out->failed ? -1 : 0;
}

int answer_print(json_t *json, struct outbuf *out)
{
	int err = -EINVAL;

	if (json) {
		/* 15 digits: 1.8 stays 1.8. ASCII alone, so that no control character comes through. */
		json_dump_callback(json, on_json, out, JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(15));
		outbuf_text(out, "\n");
		err = 0;
	}
	json_decref(json);
	return err;
}

enum exit_code answer_refusal(int status, const json_t *answer, struct outbuf *why)
{
	const json_t *error = json_object_get(answer, "error");

	if (json_is_string(error))
		table_text(json_string_value(error), json_string_length(error), false, why);
	else
		outbuf_printf(why, "refused with HTTP status %d", status);
	return status == 401 || status == 403 ? EXIT_UNREACHABLE : EXIT_REFUSED;
}

enum exit_code answer_reject(const struct question *question, struct outbuf *why)
{
	outbuf_printf(why, "%s: not an answer of rmsd: not the expected JSON", question->socket);
	return EXIT_UNREACHABLE;
}

/* A reason in plain words, as that of /readyz: its first line. */
static void write_reason(const struct client_reply *reply, struct outbuf *why)
{
	size_t len = 0;

	while (len < reply->body_len && len < REASON_MAX && reply->body[len] != '\n')
		len++;
	if (len)
		outbuf_text(why, ": ");
	table_text(reply->body, len, false, why);
}

enum exit_code answer_get(
	const struct question *question, struct client_reply *reply, json_t **answer, struct outbuf *why)
{
	struct client_reply got = { 0 };
	enum exit_code code;
	json_t *json;

	if (client_request(question->socket, question->method, question->target, question->json, question->patience_s,
		    &got, why) < 0)
		return EXIT_UNREACHABLE;
	json = json_loadb(got.body, got.body_len, JSON_REJECT_DUPLICATES, NULL);
	if (got.status > 299 || json_is_false(json_object_get(json, "ok"))) {
		code = answer_refusal(got.status, json, why);
		if (!json)
			write_reason(&got, why);
		json_decref(json);
		client_reply_finish(&got);
		return code;
	}
	*reply = got;
	*answer = json;
	return EXIT_DONE;
}

enum exit_code answer_object(const struct question *question, json_t **answer, struct outbuf *why)
{
	struct client_reply reply;
	json_t *json;
	enum exit_code code = answer_get(question, &reply, &json, why);

	if (code != EXIT_DONE)
		return code;
	client_reply_finish(&reply);
	if (!json_is_object(json)) {
		json_decref(json);
		return answer_reject(question, why);
	}
	*answer = json;
	return EXIT_DONE;
}
