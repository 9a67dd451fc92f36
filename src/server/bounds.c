/* bounds.c - from the limits of the system and of the configuration to those of the server. */
#include "server/bounds.h"

#include <malloc.h>
#include <sys/resource.h>

#include "base/log.h"
#include "http/parser.h"

enum {
	MEMORY_APART = 256 * 1024, /* a block from this size on goes back to the system when it is freed */
	MEMORY_KEPT = 512 * 1024,  /* and of others what an arena has free at its end, from this size on */
	LIMIT_MAX = 1048576,       /* descriptors used, however many there may be */
	RESERVE = 64 + REFUSAL_KEPT + ADMIN_CONNECTIONS, /* the first: the log, libraries, an accept on its way */
	RESERVE_ENDING = 4 * 8, /* threads beyond the workers' own that have lost their connections */
	RESERVE_WORKER = 8,     /* a loop and its set, twice while one ends and one starts; its listener */
	KEPT = ADMIN_CONNECTIONS +
		16, /* of the reserve, in which no client gets: the rest is for what comes and goes */
};

/*
 * glibc raises both for good, up to 32 MiB and twice that, to the largest block that was ever freed: one large body,
 * and what a peak took stays with the process.
 */
void bounds_return_memory(void)
{
#ifdef M_TRIM_THRESHOLD
	mallopt(M_MMAP_THRESHOLD, MEMORY_APART);
	mallopt(M_TRIM_THRESHOLD, MEMORY_KEPT);
#endif
}

void bounds_raise_limit(struct server *server)
{
	const struct conf *conf = server->conf;
	struct rlimit limit = { 0 };
	int reserve = RESERVE + RESERVE_ENDING + RESERVE_WORKER * (int)conf->workers + (int)conf->listen.n;
	int most;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	getrlimit(RLIMIT_NOFILE, &limit);
	server->limit = limit.rlim_cur < LIMIT_MAX ? (int)limit.rlim_cur : LIMIT_MAX;
	/* A tiny limit is for a test, or a mistake: half of it then. */
	most = server->limit > 2 * reserve ? server->limit - reserve : server->limit / 2;
	server->max_connections =
		conf->max_connections && (int)conf->max_connections < most ? (int)conf->max_connections : most;
}

static void on_reserve(void *arg, bool paused)
{
	struct server *server = arg;

	doors_hold_public(&server->doors, paused);
}

int bounds_build(struct server *server)
{
	if (server->conf->max_connections_per_ip) {
		server->peers = peers_create((unsigned)server->limit);
		if (!server->peers)
			return UV_ENOMEM;
		slots_set_peers(server->slots, peers_counts(server->peers));
	}
	return reserve_open(&server->reserve, &server->loop, server->limit, KEPT, server->shard, on_reserve, server);
}

/* A request that is larger than the bound is refused even where there is nothing else. */
void bounds_tell(const struct conf *conf)
{
	uint64_t most = conf->max_header_size + conf->max_body_size + sizeof(struct message);

	if (conf->max_buffer_memory && conf->max_buffer_memory < most)
		log_warn("max_buffer_memory has no room for the largest request", "room=%llu request=%llu",
			(unsigned long long)conf->max_buffer_memory, (unsigned long long)most);
}
