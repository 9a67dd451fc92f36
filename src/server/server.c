/* server.c - start, run, stop. */
#include "server/server.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include <uv.h>

#include "base/log.h"
#include "base/schedule.h"
#include "http/access.h"
#include "http/status.h"
#include "http/trace.h"
#include "server/accept.h"
#include "server/bounds.h"
#include "server/privileges.h"
#include "server/state.h"

enum {
	STOP_TICK_MS = 5,
	CLOSE_IDLE_TICKS = 20, /* of these: how often connections that have just become idle are looked for */
	END_MS = 1000,         /* for threads to end, after which the process does not wait for them */
};

static uint64_t now_ms(void)
{
	return uv_hrtime() / 1000000;
}

/* ---- down ---- */

static void close_all(struct server *server)
{
	server->phase = PHASE_CLOSED;
	doors_close(&server->doors);
	reserve_close(&server->reserve);
	refusal_close(&server->refusal);
	if (server->signals.data)
		uv_close((uv_handle_t *)&server->signals, NULL);
	beat_close(&server->beat);
	uv_close((uv_handle_t *)&server->stopping, NULL);
}

static void on_admin_closed(void *arg)
{
	struct server *server = arg;

	close_all(server);
}

/* A thread that is stuck can be neither ended nor waited for; what it uses must not go away under it. */
static void end_without(struct server *server)
{
	log_warn("rmsd has stopped with threads that did not end", "threads=%u requests_cut=%u",
		fleet_running(server->fleet), server->cut);
	doors_close(&server->doors);
	access_log_stop(server->access_log);
	log_stop();
	_exit((int)server->result);
}

static void end(struct server *server)
{
	server->phase = PHASE_ENDING;
	server->deadline_ms = now_ms() + END_MS;
}

static void on_stopping(uv_timer_t *timer)
{
	struct server *server = timer->data;
	bool late = now_ms() >= server->deadline_ms;

	if (server->phase == PHASE_DRAINING) {
		if (++server->stop_ticks % CLOSE_IDLE_TICKS == 0)
			fleet_close_idle(server->fleet);
		if (late || fleet_connections(server->fleet) <= 0)
			end(server);
		return;
	}
	fleet_stop(server->fleet, &server->cut);
	if (fleet_running(server->fleet)) {
		if (late)
			end_without(server);
		return;
	}
	if (!admin_is_quiet(server->admin) && !late)
		return;
	uv_timer_stop(timer);
	if (server->cut)
		log_warn("rmsd has stopped", "requests_cut=%u", server->cut);
	else
		log_info("rmsd has stopped", "requests_cut=0");
	fleet_close(server->fleet);
	admin_close(server->admin, on_admin_closed, server);
}

static void begin_stop(struct server *server)
{
	server->phase = PHASE_DRAINING;
	pulse_slow(&server->pulse, false);
	server->deadline_ms = now_ms() + server->conf->shutdown_timeout;
	log_info("rmsd is stopping", "connections=%lld", (long long)fleet_connections(server->fleet));
	admin_drain(server->admin);
	doors_close_public(&server->doors);
	fleet_close_idle(server->fleet);
	uv_timer_start(&server->stopping, on_stopping, 0, STOP_TICK_MS);
}

static void on_shutdown(void *arg)
{
	struct server *server = arg;

	if (server->phase <= PHASE_RUNNING)
		begin_stop(server);
}

static void reopen_logs(struct server *server)
{
	if (server->access_log)
		access_log_reopen(server->access_log);
	else
		log_info("there is no log file to reopen", "");
}

static void on_signal(uv_poll_t *poll, int status, int events)
{
	struct server *server = poll->data;
	struct signalfd_siginfo info;

	(void)status;
	(void)events;
	while (read(server->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		switch (info.ssi_signo) {
		case SIGHUP: log_info("a reload is not there yet: restart rmsd for a new configuration", ""); break;
		case SIGUSR1: reopen_logs(server); break;
		case SIGUSR2: log_info("an upgrade in place is not there yet", ""); break;
		default:
			if (server->phase <= PHASE_RUNNING)
				begin_stop(server);
			else if (server->phase == PHASE_DRAINING)
				end(server);
			break;
		}
	}
}

/* ---- up ---- */

static void fail(struct server *server, const char *why)
{
	fprintf(stderr, "rmsd: %s\n", why);
	server->result = SERVER_NOT_STARTED;
}

/* Every worker has said whether it starts. */
static void serve(struct server *server)
{
	char why[256], word[256];
	int err;

	if (!accept_pick(server, 0)) {
		fail(server, "no worker could start");
		begin_stop(server);
		return;
	}
	err = doors_start_public(&server->doors);
	if (err < 0 || server->deaf) {
		if (server->deaf)
			snprintf(why, sizeof(why),
				"worker_port %s: address in use: try -o worker_port=auto, or 0 for none",
				server->deaf->address);
		fail(server, err < 0 ? uv_strerror(err) : why);
		begin_stop(server);
		return;
	}
	server->phase = PHASE_RUNNING;
	admin_serve(server->admin);
	for (unsigned i = 0; i < server->doors.n_status; i++)
		log_info("listening", "role=%s address=%s", server->doors.status[i].role,
			log_word(word, sizeof(word), server->doors.status[i].address));
	log_info("rmsd is up", "version=%s workers=%u max_connections=%lld descriptors=%d control_socket=%s",
		RMSD_VERSION, fleet_size(server->fleet), (long long)server->max_connections, server->limit,
		log_word(word, sizeof(word), server->conf->control_socket));
}

static int on_port(void *arg, struct worker *worker, bool open)
{
	struct server *server = arg;
	struct listener *own = &server->doors.workers[worker->index];
	int err = 0;

	if (own->fd < 0)
		return 0;
	if (open)
		err = listener_start(own);
	else
		listener_stop(own);
	if (err == 0)
		return 0;
	log_error("a worker's own port does not listen", "worker=%s error=%s", worker->name, uv_err_name(err));
	if (server->phase == PHASE_STARTING)
		server->deaf = own;
	return err;
}

static void on_event(void *arg, const struct fleet_event *event)
{
	struct server *server = arg;
	bool waiting = false;

	pulse_slow(&server->pulse, false);
	if (server->admin)
		admin_tell(server->admin, event);
	if (event->kind != FLEET_STATE || server->phase != PHASE_STARTING)
		return;
	for (unsigned i = 0; i < fleet_size(server->fleet); i++) {
		enum metrics_state state = worker_state(fleet_worker(server->fleet, i));

		waiting |= state == STATE_STARTING;
	}
	if (!waiting)
		serve(server);
}

static void on_beat(void *arg)
{
	struct server *server = arg;

	if (server->admin)
		admin_beat(server->admin);
	if (server->phase != PHASE_RUNNING)
		return;
	accept_relieve(server);
	pulse_slow(&server->pulse, fleet_is_calm(server->fleet));
}

/* All but those that tell of a fault in the program itself; for every thread that is started from here on. */
static int take_signals(struct server *server)
{
	sigset_t set;
	int err;

	sigfillset(&set);
	sigdelset(&set, SIGSEGV);
	sigdelset(&set, SIGBUS);
	sigdelset(&set, SIGFPE);
	sigdelset(&set, SIGILL);
	sigdelset(&set, SIGABRT);
	sigdelset(&set, SIGTRAP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	server->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (server->signal_fd < 0)
		return -errno;
	err = uv_poll_init(&server->loop, &server->signals, server->signal_fd);
	if (err < 0) {
		close(server->signal_fd);
		return err;
	}
	server->signals.data = server;
	return uv_poll_start(&server->signals, UV_READABLE, on_signal);
}

static int build_fleet(struct server *server)
{
	struct fleet_setup setup = {
		.conf = server->conf,
		.slots = server->slots,
		.limit = server->limit,
		.metrics = server->metrics,
		.app = server->app,
		.faults = &server->faults,
		.access_log = server->access_log,
		.hooks = { server, accept_pick_again, on_port, on_event, accept_refuse, on_shutdown },
	};
	int err;

	memcpy(setup.routers, server->routes.routers, sizeof(setup.routers));
	err = fleet_create(&setup, &server->pulse, &server->fleet);
	if (err < 0)
		return err;
	for (unsigned i = 0; i < fleet_size(server->fleet); i++)
		server->candidates[i].weight = fleet_worker(server->fleet, i)->weight;
	return 0;
}

static int open_doors(struct server *server, struct outbuf *error)
{
	struct doors_setup setup = {
		.conf = server->conf,
		.fleet = server->fleet,
		.reserve = &server->reserve,
		.loop = &server->loop,
		.owner = server,
		.on_publics = accept_public,
		.on_worker = accept_worker,
		.on_admin = accept_admin,
		.on_control = accept_control,
	};

	return doors_open(&server->doors, &setup, error);
}

static int start_admin(struct server *server)
{
	struct admin_setup setup = {
		.conf = server->conf,
		.slots = server->slots,
		.metrics = server->metrics,
		.fleet = server->fleet,
		.faults = &server->faults,
		.listeners = server->doors.status,
		.n_listeners = server->doors.n_status,
	};
	int err = admin_create(&setup, &server->loop, &server->admin);

	return err < 0 ? err : doors_start_admin(&server->doors);
}

static int build_metrics(struct server *server)
{
	unsigned n = server->conf->workers;
	char names[DISPATCH_MAX][VALUE_NAME_MAX + 8];
	const char *list[DISPATCH_MAX];

	for (unsigned i = 0; i < n; i++) {
		conf_worker_name(server->conf, i, names[i], sizeof(names[i]));
		list[i] = names[i];
	}
	server->metrics = metrics_create(list, n, status_sent());
	if (!server->metrics)
		return UV_ENOMEM;
	server->shard = metrics_process_shard(server->metrics);
	return 0;
}

/* All is bound: what wanted root is done. */
static int leave_root(struct server *server, struct outbuf *error)
{
	const struct value_user *user = &server->conf->user;
	int err = 0;

	if (privileges_to_drop(user))
		err = doors_hand_over(&server->doors, user->uid, user->gid, error);
	return err < 0 ? err : privileges_drop(user, error);
}

/* Not as root: whoever may write to its directory would choose the file. */
static int open_access_log(struct server *server, struct outbuf *error)
{
	int err = access_log_open(server->access_log);

	if (err < 0)
		outbuf_printf(error, "access_log %s: %s", server->conf->access_log, uv_strerror(err));
	return err;
}

/* Everything up to the first thread. */
static int build(struct server *server, struct outbuf *error)
{
	int err = privileges_check(&server->conf->user, error);

	if (err < 0)
		return err;
	bounds_raise_limit(server);
	server->slots = slots_create(server->limit);
	if (!server->slots)
		return UV_ENOMEM;
	err = build_metrics(server);
	if (!err)
		err = bounds_build(server);
	if (!err)
		err = access_log_create(server->conf, server->limit, &server->access_log);
	if (!err)
		err = routes_build(&server->routes, server->app, server->conf, server->metrics, error);
	if (!err)
		err = build_fleet(server);
	if (!err)
		err = open_doors(server, error);
	if (!err)
		err = leave_root(server, error);
	if (!err)
		err = open_access_log(server, error);
	return err;
}

/* Takes down what build() left: no thread runs. */
static void unbuild(struct server *server)
{
	if (server->fleet)
		fleet_close(server->fleet);
	close_all(server);
	uv_run(&server->loop, UV_RUN_DEFAULT);
}

static void finish(struct server *server)
{
	admin_destroy(server->admin);
	fleet_destroy(server->fleet);
	doors_finish(&server->doors);
	routes_finish(&server->routes);
	metrics_destroy(server->metrics);
	slots_destroy(server->slots);
	peers_destroy(server->peers);
	faults_finish(&server->faults);
	access_log_destroy(server->access_log);
	close(server->signal_fd);
	uv_loop_close(&server->loop);
}

enum server_exit server_run(const struct conf *conf, const struct rms_app *app)
{
	struct server *server = calloc(1, sizeof(*server));
	struct outbuf error = { 0 };
	enum server_exit result;
	int err = UV_ENOMEM;

	bounds_return_memory();
	if (!server || uv_loop_init(&server->loop) < 0) {
		fprintf(stderr, "rmsd: out of memory\n");
		free(server);
		return SERVER_NOT_STARTED;
	}
	server->conf = conf;
	server->app = app;
	server->doors.admin.fd = server->doors.control.fd = -1;
	pulse_init(&server->pulse, &server->loop);
	beat_init(&server->beat, &server->pulse, ADMIN_BEAT_MS, on_beat, server);
	uv_timer_init(&server->loop, &server->stopping);
	server->stopping.data = server;
	refusal_init(&server->refusal, &server->loop);
	faults_init(&server->faults);
	trace_init();
	err = take_signals(server);
	if (!err)
		err = build(server, &error);
	if (err < 0) {
		outbuf_append(&error, "", 1);
		fail(server, error.len > 1 && !error.failed ? error.data : uv_strerror(err));
		unbuild(server);
		goto done;
	}
	err = log_start((enum log_level)conf->log_level, (enum log_format)conf->log_format);
	if (!err)
		err = access_log_start(server->access_log);
	if (!err)
		err = start_admin(server);
	if (!err)
		err = fleet_start(server->fleet);
	if (err < 0) {
		fail(server, uv_strerror(err));
		log_stop();
		_exit((int)server->result);
	}
	schedule_batch();
	beat_start(&server->beat);
	bounds_tell(conf);
	privileges_tell(&conf->user);
	uv_run(&server->loop, UV_RUN_DEFAULT);
	access_log_stop(server->access_log);
	log_stop();
done:
	result = server->result;
	finish(server);
	outbuf_finish(&error);
	free(server);
	return result;
}
