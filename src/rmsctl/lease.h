/*
 * lease.h - the fault of a drill: POST /v1/drill, and what rmsd says of it while it holds.
 *
 * It is rmsd that injects and reverts; when this connection goes, it reverts at once.
 *
 * Thread: the only one.
 */
#ifndef RMSD_RMSCTL_LEASE_H
#define RMSD_RMSCTL_LEASE_H

#include "rmsctl/stream.h"
#include <stdint.h>

/* When, in ns of CLOCK_MONOTONIC; 0: not seen. */
struct lease_times {
	uint64_t begun, injected;
	uint64_t detected; /* the worker was out of rotation */
	uint64_t rehomed;  /* the last of its connections had another one */
	uint64_t reverting;
	uint64_t back; /* up, behind detected */
	uint64_t even; /* all had their share, behind back */
	uint64_t end;
};

enum lease_state {
	LEASE_NONE, /* not asked for yet */
	LEASE_RUNNING,
	LEASE_ENDED,   /* as planned */
	LEASE_STOPPED, /* rmsd is shutting down: error says so */
	LEASE_FAILED,  /* refused, ended by rmsd with an error, or broken: error says which */
};

struct lease {
	const char *worker; /* borrowed */
	enum lease_state state;
	struct lease_times times;
	uint64_t connections; /* re-homed */
	struct outbuf error;  /* NUL-terminated in LEASE_STOPPED and LEASE_FAILED; may be shown */
	struct stream stream;
};

void lease_init(struct lease *lease, const char *worker);
/* LEASE_RUNNING, and stream.fd is to be watched; or LEASE_FAILED. */
void lease_open(struct lease *lease, const char *socket, const char *target);
void lease_read(struct lease *lease);
/* One line of the stream. */
void lease_take(struct lease *lease, const char *line, size_t len);
/* Closes the connection: rmsd reverts what still holds. The rest of it stays. */
void lease_close(struct lease *lease);
void lease_finish(struct lease *lease);

#endif
