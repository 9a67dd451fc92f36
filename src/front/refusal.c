/* refusal.c - say no, in full. */
#include "front/refusal.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/answer.h"

static void drop(struct refusal *refusal, unsigned index)
{
	close(refusal->kept[index].fd);
	refusal->n--;
	memmove(&refusal->kept[index], &refusal->kept[index + 1], (refusal->n - index) * sizeof(refusal->kept[0]));
}

/* Throws away what has come. True: the client has closed. */
static bool is_over(int fd)
{
	char waste[4096];
	ssize_t n = sizeof(waste);

	for (int i = 0; i < 16 && n == (ssize_t)sizeof(waste); i++)
		n = recv(fd, waste, sizeof(waste), MSG_DONTWAIT);
	return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

static void on_timer(uv_timer_t *timer)
{
	struct refusal *refusal = timer->data;
	uint64_t now_ms = uv_hrtime() / 1000000;

	for (unsigned i = refusal->n; i-- > 0;)
		if (is_over(refusal->kept[i].fd) || refusal->kept[i].until_ms <= now_ms)
			drop(refusal, i);
	if (!refusal->n)
		uv_timer_stop(timer);
}

void refusal_init(struct refusal *refusal, uv_loop_t *loop)
{
	uv_timer_init(loop, &refusal->timer);
	refusal->timer.data = refusal;
	refusal->n = 0;
	reply_stamp_init(&refusal->stamp, NULL, "");
}

void refusal_close(struct refusal *refusal)
{
	while (refusal->n)
		drop(refusal, refusal->n - 1);
	uv_close((uv_handle_t *)&refusal->timer, NULL);
}

void refusal_send(struct refusal *refusal, int fd, const char *why)
{
	struct reply reply = {
		.status = 503,
		.type = "text/plain; charset=utf-8",
		.fields = ANSWER_RETRY_AFTER,
		.fields_len = sizeof(ANSWER_RETRY_AFTER) - 1,
		.body = why,
		.body_len = strlen(why),
	};

	refusal_reply(refusal, fd, &reply);
}

void refusal_reply(struct refusal *refusal, int fd, const struct reply *reply)
{
	struct outbuf out = { 0 };

	reply_stamp_update(&refusal->stamp);
	reply_write(&out, reply, &refusal->stamp);
	/* What has come is read first; the socket's buffer is empty, so the reply fits or the client is gone. */
	(void)is_over(fd); /* a client that has closed its side still expects an answer */
	if (out.failed || send(fd, out.data, out.len, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)out.len) {
		close(fd);
		goto done;
	}
	shutdown(fd, SHUT_WR);
	if (refusal->n == REFUSAL_KEPT) {
		/* Closed with bytes unread, it would be reset. */
		(void)is_over(refusal->kept[0].fd);
		drop(refusal, 0);
	}
	refusal->kept[refusal->n].fd = fd;
	refusal->kept[refusal->n++].until_ms = uv_hrtime() / 1000000 + REFUSAL_MS;
	if (!uv_is_active((uv_handle_t *)&refusal->timer))
		uv_timer_start(&refusal->timer, on_timer, REFUSAL_TICK_MS, REFUSAL_TICK_MS);
done:
	outbuf_finish(&out);
}
