/* drill.c - steady state, load, fault, verdict: in that order, around one epoll loop. */
#include "rmsctl/drill.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "rmsctl/outcome.h"
#include "rmsctl/steady.h"

/* Numbers of the epoll set that are no connection's. */
enum source { SOURCE_STREAM = 1 << 20, SOURCE_TIMER, SOURCE_SIGNAL };

enum {
	BATCH = 256,
	TICK_MIN_NS = 200000, /* a faster rate sends more than one request a tick */
	PROGRESS_MS = 250,
	BEGIN_MS = 10000, /* for rmsd to inject, once asked */
	END_MS = 10000,   /* for rmsd to end the drill, behind its duration */
	GRACE_MS = 5000,  /* for replies that are owed at the end */
	ROWS_MAX = 20 * 1000 * 1000,
};

struct drill {
	const struct task *task;
	struct drill_plan plan;
	struct target target;
	struct outbuf request;
	struct load *load;
	struct lease lease;
	int epoll, timer, signals;
	uint64_t start_ns, end_ns; /* of the load, as planned */
	uint64_t stop_ns;          /* nothing is due any more; 0: it runs */
	uint64_t asked_ns;         /* the fault was asked for; 0: not yet */
	uint64_t told_ns;          /* progress */
	bool interrupted, on_terminal;
};

static uint64_t ns(uint64_t ms)
{
	return ms * 1000000;
}

static const char early[] = "interrupted, nothing was done yet";
/* Its JSON, made beforehand: a signal handler may do no more than write it. */
static struct outbuf early_json;

/* Before the loop there is nothing to revert. */
static void on_early_signal(int signal)
{
	static const char prefix[] = "rmsctl: aborted: ";

	(void)signal;
	if (early_json.len)
		(void)!write(STDOUT_FILENO, early_json.data, early_json.len);
	(void)!write(STDERR_FILENO, prefix, sizeof(prefix) - 1);
	(void)!write(STDERR_FILENO, early, sizeof(early) - 1);
	(void)!write(STDERR_FILENO, "\n", 1);
	_exit(EXIT_ABORTED);
}

static void await_early_signals(const struct drill *drill)
{
	const struct sigaction action = { .sa_handler = on_early_signal };
	const struct report_abort aborted = { .plan = &drill->plan, .why = early };

	if (drill->task->json)
		answer_print(report_json_aborted(&aborted), &early_json);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

static void make_plan(struct drill *drill)
{
	static const enum command_option options[] = {
		[DRILL_KILL] = OPTION_kill, [DRILL_STALL] = OPTION_stall, [DRILL_DRAIN] = OPTION_drain
	};
	const struct task *task = drill->task;
	struct drill_plan *plan = &drill->plan;

	/* One of them is given: the verb takes none without. */
	for (int action = DRILL_KILL; action <= DRILL_DRAIN; action++) {
		if (!task->given[options[action]])
			continue;
		plan->action = (enum drill_action)action;
		plan->worker = task->given[options[action]];
	}
	plan->path = command_text(task, OPTION_path);
	plan->address = drill->target.text;
	plan->duration_ms = task->numbers[OPTION_duration];
	plan->connections = (unsigned)task->numbers[OPTION_connections];
	plan->rate = (unsigned)task->numbers[OPTION_rate];
	plan->max_failed = task->numbers[OPTION_max_failed];
	plan->max_pause_ms = task->numbers[OPTION_max_pause];
	plan->max_detect_ms = task->numbers[OPTION_max_detect];
}

static void watch(const struct drill *drill, int fd, enum source source)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = source };
	int err = epoll_ctl(drill->epoll, EPOLL_CTL_ADD, fd, &event);

	assert(err == 0 || errno == ENOMEM || errno == ENOSPC);
	(void)err;
}

/* A tick for each request, from the start on. */
static int start_timer(const struct drill *drill)
{
	uint64_t tick = 1000000000ULL / drill->plan.rate;
	struct itimerspec spec = { .it_value = { .tv_nsec = 1 } };

	if (tick < TICK_MIN_NS)
		tick = TICK_MIN_NS;
	if (tick > ns(PROGRESS_MS))
		tick = ns(PROGRESS_MS);
	spec.it_interval.tv_nsec = (long)tick;
	return timerfd_settime(drill->timer, 0, &spec, NULL) < 0 ? -errno : 0;
}

/* All that the loop needs. 0 or a negative errno. */
static int open_sources(struct drill *drill)
{
	drill->epoll = epoll_create1(EPOLL_CLOEXEC);
	drill->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (drill->epoll < 0 || drill->timer < 0)
		return -errno;
	watch(drill, drill->timer, SOURCE_TIMER);
	/* Ticks when they are due: a default thread's timers may be 50 us late. */
	(void)prctl(PR_SET_TIMERSLACK, 1);
	return 0;
}

/* From here on a signal comes through the loop. */
static int take_signals(struct drill *drill)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	drill->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (drill->signals < 0)
		return -errno;
	watch(drill, drill->signals, SOURCE_SIGNAL);
	return 0;
}

static uint64_t share_ms(const struct drill *drill, unsigned percent)
{
	return drill->plan.duration_ms * percent / 100;
}

static void ask(struct drill *drill, uint64_t now)
{
	struct outbuf target = { 0 };

	drill->asked_ns = now;
	outbuf_printf(&target, "%s?action=%s&worker=", drill->task->command->path, drill_actions[drill->plan.action]);
	command_encode(drill->plan.worker, &target);
	outbuf_printf(&target, "&for=%llums%s", (unsigned long long)share_ms(drill, 40),
		drill->task->given[OPTION_force] ? "&force=1" : "");
	outbuf_append(&target, "", 1);
	if (!target.failed)
		lease_open(&drill->lease, drill->task->socket, target.data);
	if (drill->lease.state == LEASE_RUNNING)
		watch(drill, drill->lease.stream.fd, SOURCE_STREAM);
	outbuf_finish(&target);
}

static void tell_progress(struct drill *drill, uint64_t now)
{
	const struct load_books *books = load_books(drill->load);
	const struct lease_times *times = &drill->lease.times;
	const char *phase = "before";

	if (!drill->on_terminal || now < drill->told_ns + ns(PROGRESS_MS))
		return;
	drill->told_ns = now;
	if (times->injected)
		phase = times->reverting ? "after" : "during";
	fprintf(stderr, "\r\033[K%5.1f s  %s: %u requests due, %llu answered, %llu failed",
		(double)(now - drill->start_ns) / 1e9, phase, books->samples.n,
		(unsigned long long)books->by[OUTCOME_answered], (unsigned long long)load_failed(books));
	fflush(stderr);
}

/* Nothing has been injected, and nothing will be; or all of rmsd goes, as it was asked to: there is no verdict. */
static bool is_aborted(const struct drill *drill, uint64_t now)
{
	if (drill->interrupted || drill->lease.state == LEASE_STOPPED)
		return true;
	if (!drill->asked_ns || drill->lease.times.injected)
		return false;
	return drill->lease.state != LEASE_RUNNING || now >= drill->asked_ns + ns(BEGIN_MS);
}

/* One step of the plan, if its time has come; false: all is over. */
static bool step(struct drill *drill, uint64_t now)
{
	if (is_aborted(drill, now))
		return false;
	if (!drill->asked_ns && now >= drill->start_ns + ns(share_ms(drill, 20)))
		ask(drill, now);
	if (!drill->stop_ns && now >= drill->end_ns &&
		(drill->lease.state != LEASE_RUNNING || now >= drill->end_ns + ns(END_MS)))
		drill->stop_ns = now;
	if (!drill->stop_ns || (!load_is_done(drill->load) && now < drill->stop_ns + ns(GRACE_MS)))
		return true;
	load_give_up(drill->load, now);
	return false;
}

/* The load lasts as long as planned, and longer only while the fault does. */
static uint64_t due_until(const struct drill *drill, uint64_t now)
{
	if (drill->stop_ns)
		return 0;
	return now < drill->end_ns || drill->lease.state == LEASE_RUNNING ? now : drill->end_ns - 1;
}

static void take_event(struct drill *drill, const struct epoll_event *event)
{
	uint64_t ticks;

	switch (event->data.u64) {
	case SOURCE_STREAM:
		lease_read(&drill->lease);
		if (drill->lease.state != LEASE_RUNNING)
			lease_close(&drill->lease);
		break;
	case SOURCE_TIMER: (void)!read(drill->timer, &ticks, sizeof(ticks)); break;
	case SOURCE_SIGNAL: drill->interrupted = true; break;
	default: load_event(drill->load, event->data.u64, event->events); break;
	}
}

static void loop(struct drill *drill)
{
	struct epoll_event events[BATCH];
	uint64_t now;

	drill->start_ns = load_clock_ns();
	drill->end_ns = drill->start_ns + ns(drill->plan.duration_ms);
	load_begin(drill->load, drill->start_ns);
	do {
		int n = epoll_wait(drill->epoll, events, BATCH, PROGRESS_MS);

		for (int i = 0; i < n; i++)
			take_event(drill, &events[i]);
		now = load_clock_ns();
		load_turn(drill->load, due_until(drill, now), now);
		tell_progress(drill, now);
	} while (step(drill, now));
	if (drill->on_terminal)
		fprintf(stderr, "\r\033[K");
	lease_close(&drill->lease);
}

static enum exit_code abort_with(const char *reason, struct outbuf *why)
{
	outbuf_text(why, reason);
	return EXIT_ABORTED;
}

/* What an operator wants to know of a drill in the middle: how far it was, and whether the worker is out. */
static void tell_interruption(const struct drill *drill, struct outbuf *why)
{
	const struct drill_plan *plan = &drill->plan;

	outbuf_printf(why, "%s after %u of %llu requests", drill->interrupted ? "interrupted" : drill->lease.error.data,
		load_books(drill->load)->samples.n, (unsigned long long)(plan->duration_ms * plan->rate / 1000));
	if (!drill->interrupted)
		return;
	if (!drill->asked_ns)
		outbuf_printf(why, ", nothing was done to %s yet", plan->worker);
	else if (drill->lease.state == LEASE_ENDED)
		outbuf_printf(why, ", %s is back", plan->worker);
	else
		outbuf_printf(why, ", rmsd brings %s back", plan->worker);
}

/* The load, and the fault in it. EXIT_DONE: it can be judged. */
static enum exit_code carry_out(struct drill *drill, struct outbuf *why)
{
	uint64_t rows = (drill->plan.duration_ms + END_MS + GRACE_MS) * drill->plan.rate / 1000 + 1;
	const struct load_plan plan = {
		.target = &drill->target,
		.request = drill->request.data,
		.request_len = drill->request.len,
		.connections = drill->plan.connections,
		.rate = drill->plan.rate,
		.most = (uint32_t)rows,
	};
	int err;

	if (drill->request.failed)
		return abort_with("out of memory", why);
	if (rows > ROWS_MAX)
		return abort_with("--duration times --rate: more than 20 million requests", why);
	err = open_sources(drill);
	if (err == 0 && load_create(&plan, drill->epoll, &drill->load, why) < 0)
		return EXIT_ABORTED;
	if (err == 0)
		err = take_signals(drill);
	if (err == 0)
		err = start_timer(drill);
	if (err < 0)
		return abort_with(strerror(-err), why);
	loop(drill);
	if (drill->interrupted || drill->lease.state == LEASE_STOPPED) {
		tell_interruption(drill, why);
		return EXIT_ABORTED;
	}
	if (drill->lease.times.injected)
		return EXIT_DONE;
	return abort_with(drill->lease.error.len ? drill->lease.error.data : "rmsd did not begin the drill", why);
}

static enum exit_code judge(const struct drill *drill, struct outbuf *out, struct outbuf *why)
{
	struct verdict verdict;
	const struct report report = {
		.plan = &drill->plan,
		.books = load_books(drill->load),
		.lease = &drill->lease,
		.verdict = &verdict,
		.stop_ns = drill->stop_ns,
	};

	if (verdict_judge(&drill->plan, report.books, &drill->lease, drill->stop_ns, &verdict) < 0)
		return abort_with("out of memory", why);
	return outcome_tell(drill->task, &report, out, why);
}

/* There is no verdict, and reason says why. */
static void tell_abort(const struct drill *drill, struct outbuf *reason, struct outbuf *out, struct outbuf *why)
{
	struct report_abort aborted = { .plan = &drill->plan };

	outbuf_append(reason, "", 1);
	aborted.why = reason->failed ? "out of memory" : reason->data;
	if (drill->start_ns)
		aborted.load_ns = load_clock_ns() - drill->start_ns;
	outcome_abort(drill->task, &aborted, out, why);
}

static void finish(struct drill *drill)
{
	/* Where the loop has not begun, nothing is left that a signal could interrupt. */
	signal(SIGINT, SIG_DFL);  /* NOLINT: fails for a bad number alone */
	signal(SIGTERM, SIG_DFL); /* NOLINT */
	outbuf_finish(&early_json);
	load_destroy(drill->load);
	lease_finish(&drill->lease);
	outbuf_finish(&drill->request);
	close(drill->epoll);
	close(drill->timer);
	close(drill->signals);
}

static void write_request(const struct drill *drill, const char *field, struct outbuf *out)
{
	outbuf_printf(out, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: rmsctl-drill/%s\r\n%s\r\n", drill->plan.path,
		drill->target.host, RMSD_VERSION, field);
}

/* What there is to know before any load. */
static enum exit_code check(struct drill *drill, struct outbuf *why)
{
	const struct task *task = drill->task;
	struct outbuf request = { 0 };
	enum exit_code code =
		steady_check(task->socket, drill->plan.worker, task->given[OPTION_force] != NULL, &drill->target, why);

	if (code == EXIT_DONE && drill->plan.action == DRILL_STALL)
		code = steady_check_faults(task->socket, why);
	if (code != EXIT_DONE)
		return code;
	write_request(drill, "Connection: close\r\n", &request);
	if (!request.failed)
		code = steady_probe(&drill->target, drill->plan.path, &request, why);
	outbuf_finish(&request);
	return code;
}

enum exit_code drill_run(const struct task *task, struct outbuf *out, struct outbuf *why)
{
	struct drill drill = { .task = task, .epoll = -1, .timer = -1, .signals = -1 };
	struct outbuf reason = { 0 };
	enum exit_code code;

	make_plan(&drill);
	if (!outcome_can_tell(task, why))
		return EXIT_USAGE;
	await_early_signals(&drill);
	lease_init(&drill.lease, drill.plan.worker);
	drill.on_terminal = isatty(STDERR_FILENO);
	code = check(&drill, &reason);
	if (code == EXIT_DONE) {
		write_request(&drill, "", &drill.request);
		code = outcome_begin(task, &drill.plan, &reason);
	}
	if (code == EXIT_DONE)
		code = carry_out(&drill, &reason);
	if (code == EXIT_DONE) {
		code = judge(&drill, out, &reason);
		outbuf_append(why, reason.data, reason.len);
	} else {
		outbuf_text(why, code == EXIT_ABORTED ? "aborted: " : "");
		tell_abort(&drill, &reason, out, why);
	}
	finish(&drill);
	outbuf_finish(&reason);
	return code;
}
