/*
 * state.h - what server.c and accept.c know together, and nobody else.
 *
 * Thread: the control thread.
 */
#ifndef RMSD_SERVER_STATE_H
#define RMSD_SERVER_STATE_H

#include <uv.h>

#include "admin/admin.h"
#include "base/beat.h"
#include "front/dispatch.h"
#include "front/peers.h"
#include "front/refusal.h"
#include "front/reserve.h"
#include "server/doors.h"
#include "server/routes.h"
#include "server/server.h"

enum phase { PHASE_STARTING, PHASE_RUNNING, PHASE_DRAINING, PHASE_ENDING, PHASE_CLOSED };

struct server {
	const struct conf *conf;
	const struct rms_app *app;
	uv_loop_t loop;
	enum phase phase;
	enum server_exit result;
	int limit; /* of descriptors */
	int64_t max_connections;
	struct slots *slots;
	struct metrics *metrics;
	struct metrics_shard *shard; /* the process's */
	struct routes routes;
	struct faults faults;
	struct access_log *access_log; /* NULL: none */
	struct fleet *fleet;
	struct admin *admin;
	struct doors doors;
	struct listener *deaf; /* a worker's own, that would not listen at the start; NULL: none */
	struct refusal refusal;
	struct reserve reserve;
	struct peers *peers;                           /* NULL: max_connections_per_ip is 0 */
	unsigned evicted;                              /* and not logged yet */
	uint64_t relieved_ms, evicted_log_ms;          /* when accept_relieve() last looked, and last logged */
	uint64_t admin_relieved_ms, admin_full_log_ms; /* the same of admin's */
	struct dispatch_candidate candidates[DISPATCH_MAX];
	int signal_fd;
	uv_poll_t signals;
	struct pulse pulse; /* slow while fleet_is_calm() */
	struct beat beat;
	uv_timer_t stopping;
	uint64_t deadline_ms; /* of the phase */
	unsigned cut, stop_ticks;
};

#endif
