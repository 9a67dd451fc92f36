/* incarnation.c - the thread of a worker, from its first instruction to its last. */
#include "worker/incarnation.h"

#include <assert.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/schedule.h"

struct incarnation {
	struct service service;
	struct metrics_shard shard;
	uv_loop_t loop;
	uv_thread_t thread;
	const struct rms_app *app;
	bool batch;
	struct mailbox *control;
	void *owner;
	void *state;
	void *own_state; /* NULL: state is borrowed */
	char name[VALUE_NAME_MAX + 8];
	int tid;
	clockid_t clock;
	struct incarnation_loss loss;                   /* the control thread's */
	struct incarnation_mail started, failed, ended; /* each posted at most once */
};

static void post(struct incarnation *inc, struct incarnation_mail *mail, enum incarnation_news news)
{
	mail->news = news;
	mail->incarnation = inc;
	/* Refused only when the control loop is being taken down, and then nobody waits for it. */
	(void)mailbox_post(inc->control, &mail->mail);
}

static void close_handle(uv_handle_t *handle, void *arg)
{
	(void)arg;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

static bool has_to_leave(const struct incarnation *inc)
{
	return atomic_load_explicit(&inc->service.leave, memory_order_acquire);
}

static void on_thread(void *arg)
{
	struct incarnation *inc = arg;
	const struct rms_app *app = inc->app;
	bool running;

	pthread_setname_np(pthread_self(), inc->name);
	if (inc->batch)
		schedule_batch();
	inc->tid = gettid();
	pthread_getcpuclockid(pthread_self(), &inc->clock);
	running = !app->start || app->start(inc->state, &inc->loop, inc->name) == 0;
	if (running) {
		post(inc, &inc->started, INCARNATION_STARTED);
		while (!has_to_leave(inc) && pollset_turn(&inc->service.owner.pollset, true))
			;
	}
	/* Nobody told it to stop: the app has. What it serves is taken from it before it leaves. */
	if (!has_to_leave(inc)) {
		service_pause(&inc->service);
		post(inc, &inc->failed, INCARNATION_FAILED);
		while (!has_to_leave(inc))
			uv_run(&inc->loop, UV_RUN_ONCE);
	}
	service_abandon(&inc->service);
	if (running && app->stop)
		app->stop(inc->state);
	service_close(&inc->service);
	uv_walk(&inc->loop, close_handle, NULL);
	uv_run(&inc->loop, UV_RUN_DEFAULT);
	post(inc, &inc->ended, INCARNATION_ENDED);
}

int incarnation_start(const struct incarnation_setup *setup, struct incarnation **out)
{
	struct incarnation *inc = aligned_alloc(alignof(struct incarnation), sizeof(*inc));
	struct service_setup service = {
		.conf = setup->conf,
		.slots = setup->slots,
		.faults = setup->faults,
		.release = setup->release,
		.arg = setup->owner,
	};
	int err = UV_ENOMEM;

	if (!inc)
		return err;
	memset(inc, 0, offsetof(struct incarnation, service.read_buffer));
	memset((char *)inc + sizeof(inc->service), 0, sizeof(*inc) - sizeof(inc->service));
	strncpy(inc->name, setup->name, sizeof(inc->name) - 1);
	inc->app = setup->app;
	inc->batch = setup->batch;
	inc->control = setup->control;
	inc->owner = setup->owner;
	inc->state = setup->state;
	if (!inc->state) {
		inc->state = inc->own_state = calloc(1, inc->app->state_size ? inc->app->state_size : 1);
		if (!inc->state)
			goto free_inc;
	}
	err = uv_loop_init(&inc->loop);
	if (err < 0)
		goto free_state;
	memcpy(service.routers, setup->routers, sizeof(service.routers));
	service.worker = inc->name;
	service.state = inc->state;
	service.shard = &inc->shard;
	err = service_open(&inc->service, &service, &inc->loop);
	if (err < 0)
		goto close_loop;
	err = uv_thread_create(&inc->thread, on_thread, inc);
	if (err < 0)
		goto close_service;
	*out = inc;
	return 0;
close_service:
	service_close(&inc->service);
	uv_run(&inc->loop, UV_RUN_DEFAULT);
	service_finish(&inc->service);
close_loop:
	uv_loop_close(&inc->loop);
free_state:
	free(inc->own_state);
free_inc:
	free(inc);
	return err;
}

struct service *incarnation_service(struct incarnation *inc)
{
	return &inc->service;
}

struct metrics_shard *incarnation_shard(struct incarnation *inc)
{
	return &inc->shard;
}

void *incarnation_owner(struct incarnation *inc)
{
	return inc->owner;
}

struct incarnation_loss *incarnation_loss(struct incarnation *inc)
{
	return &inc->loss;
}

int incarnation_tid(struct incarnation *inc)
{
	return inc->tid;
}

clockid_t incarnation_clock(struct incarnation *inc)
{
	return inc->clock;
}

void incarnation_ask_to_leave(struct incarnation *inc)
{
	atomic_store_explicit(&inc->service.leave, true, memory_order_release);
}

void incarnation_wake(struct incarnation *inc)
{
	service_wake(&inc->service);
}

void incarnation_join(struct incarnation *inc)
{
	uv_thread_join(&inc->thread);
	service_finish(&inc->service);
}

void incarnation_free(struct incarnation *inc)
{
	uv_loop_close(&inc->loop);
	free(inc->own_state);
	free(inc);
}
