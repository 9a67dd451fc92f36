/* accept.c - who gets a connection that came in. */
#include "server/accept.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "http/access.h"
#include "http/conn.h"
#include "server/state.h"
#include "worker/evict.h"

enum {
	EVICTED_LOG_MS = 10000, /* between two lines about it */
	ADMIN_ROOM = 4,         /* of admin's connections: kept free as long as somebody is idle */
};

struct worker *accept_pick(struct server *server, uint64_t key)
{
	struct fleet *fleet = server->fleet;
	unsigned n = fleet_size(fleet);
	int index;

	for (unsigned i = 0; i < n; i++) {
		struct worker *worker = fleet_worker(fleet, i);

		server->candidates[i].up = worker_state(worker) == STATE_UP;
		server->candidates[i].load = worker_load(worker);
	}
	index = dispatch_pick(server->conf->balance, server->candidates, n, key);
	return index < 0 ? NULL : fleet_worker(fleet, (unsigned)index);
}

/* For a connection that changes hands: its address is asked only if it matters. */
struct worker *accept_pick_again(void *arg, int fd)
{
	struct server *server = arg;
	struct sockaddr_storage peer = { 0 };
	socklen_t len = sizeof(peer);
	uint64_t key = 0;

	if (server->conf->balance == BALANCE_IP_HASH && getpeername(fd, (struct sockaddr *)&peer, &len) == 0)
		key = dispatch_key((const struct sockaddr *)&peer);
	return accept_pick(server, key);
}

static void shed(struct server *server, int fd, unsigned reason, const char *why)
{
	metrics_add(server->shard, METRIC_shed + reason, 1);
	refusal_send(&server->refusal, fd, why);
}

/* Or else fd is refused. */
static bool has_room(struct server *server, int fd)
{
	bool short_of_fds = reserve_is_reached(&server->reserve, fd);

	if (!short_of_fds && fleet_connections(server->fleet) < server->max_connections)
		return true;
	shed(server, fd, SHED_MAX_CONNECTIONS, "Service Unavailable: too many connections\n");
	if (short_of_fds)
		reserve_pause(&server->reserve, EMFILE);
	return false;
}

/* Opens fd's slot, and counts it for its client; or else fd is refused. */
static bool open_slot(struct server *server, int fd, enum slot_role role, const struct sockaddr *peer)
{
	uint32_t index = 0;
	struct slot *slot;

	if (server->peers && !peers_add(server->peers, peer, server->conf->max_connections_per_ip, &index)) {
		shed(server, fd, SHED_PER_IP, "Service Unavailable: too many connections from your address\n");
		return false;
	}
	slot = slots_open(server->slots, fd, role);
	slot->peer = index;
	access_log_client(server->access_log, fd, peer);
	conn_accepted(slot, server->conf);
	return true;
}

enum { ROOM_MOST = 512 };

/* A sixteenth is kept free, as long as somebody is idle; of many, so many that a rush does not fill it in a tick. */
static int64_t part(int64_t max_connections)
{
	int64_t sixteenth = max_connections / 16;

	if (sixteenth > ROOM_MOST)
		return ROOM_MOST;
	return sixteenth ? sixteenth : 1;
}

void accept_relieve(struct server *server)
{
	int64_t at_once = part(server->max_connections);
	int64_t over = fleet_connections(server->fleet) - (server->max_connections - at_once);
	uint64_t now_ms = uv_hrtime() / 1000000;
	unsigned evicted;

	if (server->reserve.paused)
		over = at_once;
	if (over > 0 && now_ms - server->relieved_ms >= EVICT_TICK_MS) {
		server->relieved_ms = now_ms;
		evicted = fleet_evict(server->fleet, EVICT_CLIENTS, (unsigned)(over < at_once ? over : at_once));
		metrics_add(server->shard, METRIC_evicted, evicted);
		server->evicted += evicted;
	}
	if (server->evicted && now_ms - server->evicted_log_ms >= EVICTED_LOG_MS) {
		log_info("idle connections were closed to make room", "connections=%u", server->evicted);
		server->evicted = 0;
		server->evicted_log_ms = now_ms;
	}
}

void accept_refuse(void *arg, int fd)
{
	shed(arg, fd, SHED_NO_WORKER, "Service Unavailable: no worker is up\n");
}

static void give(struct server *server, struct worker *worker, int fd)
{
	pulse_slow(&server->pulse, false);
	fleet_give(server->fleet, worker, fd);
}

void accept_public(struct listener *listener, int fd, const struct sockaddr *peer)
{
	struct server *server = listener->owner;
	struct worker *worker;

	if (!has_room(server, fd))
		return;
	worker = accept_pick(server, dispatch_key(peer));
	if (!worker) {
		accept_refuse(server, fd);
		return;
	}
	if (!open_slot(server, fd, ROLE_PUBLIC, peer))
		return;
	give(server, worker, fd);
}

/* A worker's own port: the connection is pinned to it. */
void accept_worker(struct listener *listener, int fd, const struct sockaddr *peer)
{
	struct server *server = listener->owner;
	struct worker *worker = fleet_worker(server->fleet, (unsigned)(listener - server->doors.workers));

	if (worker_state(worker) != STATE_UP) {
		close(fd);
		return;
	}
	if (!has_room(server, fd) || !open_slot(server, fd, ROLE_WORKER, peer))
		return;
	give(server, worker, fd);
}

/* Who leaves connections open there must not keep others out. */
static void relieve_admin(struct server *server, bool full)
{
	uint64_t now_ms = uv_hrtime() / 1000000;

	if (now_ms - server->admin_relieved_ms >= EVICT_TICK_MS) {
		server->admin_relieved_ms = now_ms;
		(void)fleet_evict(server->fleet, EVICT_ADMIN, ADMIN_ROOM);
	}
	if (full && now_ms - server->admin_full_log_ms >= EVICTED_LOG_MS) {
		server->admin_full_log_ms = now_ms;
		log_warn("admin has all the connections that it may have: new ones are answered 503", "");
	}
}

/* Whoever holds connections to the side door must not use up the descriptors; the control socket has some of its own.
 */
static void admin_take(struct server *server, int fd, enum slot_role role, int64_t most)
{
	int64_t n = admin_connections(server->admin);
	bool full = n >= most || fd >= server->limit;

	if (full || n >= most - ADMIN_ROOM)
		relieve_admin(server, full);
	if (full) {
		refusal_send(&server->refusal, fd, "Service Unavailable: too many connections\n");
		return;
	}
	conn_accepted(slots_open(server->slots, fd, role), server->conf);
	admin_give(server->admin, fd);
}

void accept_admin(struct listener *listener, int fd, const struct sockaddr *peer)
{
	struct server *server = listener->owner;

	(void)peer;
	admin_take(server, fd, ROLE_ADMIN, ADMIN_CONNECTIONS - ADMIN_CONTROL);
}

/* The socket's mode lets in root and our own user; this says so even if somebody changes the mode. */
void accept_control(struct listener *listener, int fd, const struct sockaddr *peer)
{
	static const char denied[] =
		"{\"ok\":false,\"error\":\"permission denied: root and rmsd's own user may ask\"}\n";
	struct server *server = listener->owner;
	struct reply reply = {
		.status = 403, .type = "application/json", .body = denied, .body_len = sizeof(denied) - 1
	};
	struct ucred cred = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(cred);

	(void)peer;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0 || (cred.uid != 0 && cred.uid != geteuid())) {
		log_warn("the control socket was refused", "uid=%ld pid=%ld", (long)cred.uid, (long)cred.pid);
		refusal_reply(&server->refusal, fd, &reply);
		return;
	}
	admin_take(server, fd, ROLE_CONTROL, ADMIN_CONNECTIONS);
}
