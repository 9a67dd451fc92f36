/*
 * command.h - the command line: which verb, with what operand and options, checked against admin/commands.def.
 *
 * Thread: the only one; getopt's state makes one call of command_parse() a process.
 */
#ifndef RMSD_RMSCTL_COMMAND_H
#define RMSD_RMSCTL_COMMAND_H

#include "base/outbuf.h"
#include <stdbool.h>
#include <stdint.h>

enum command_view {
	VIEW_status,
	VIEW_workers,
	VIEW_change,
	VIEW_restart,
	VIEW_stall,
	VIEW_fault,
	VIEW_faults,
	VIEW_cleared,
	VIEW_text,
	VIEW_version,
	VIEW_drill,
	VIEW_events,
	VIEW_top,
};

enum command_option {
#define OPTION(name, where, kind, least, most, fallback, help) OPTION_##name,
#include "admin/commands.def"
	N_OPTIONS
};

struct command {
	const char *name, *method, *path, *takes, *help;
	enum command_view view;
};

/* What the command line asks for; its texts are borrowed from it. */
struct task {
	const struct command *command;
	const char *socket;
	bool json, help;              /* help: nothing else counts */
	bool version;                 /* as an option: no verb counts */
	const char *operand;          /* NULL: none */
	const char *given[N_OPTIONS]; /* as it was written, "1" for a flag; NULL: not given */
	uint64_t numbers[N_OPTIONS];  /* a count, or ms, given or by its fallback */
};

/* Zeroed task; socket is what holds without -s. Whether all is well; else why holds one line. */
bool command_parse(int argc, char **argv, struct task *task, struct outbuf *why);
/* What is given, or else the fallback. */
const char *command_text(const struct task *task, enum command_option option);
/* The path with the operand in its place, or name if that is not NULL; then the query. NUL-terminated. */
void command_target(const struct task *task, const char *name, struct outbuf *target);
/* text with all but unreserved characters percent-encoded. */
void command_encode(const char *text, struct outbuf *out);
/* How long the answer may take: a verb that waits has its time-out, and then a margin. */
unsigned command_patience_s(const struct task *task);
void command_help(struct outbuf *out);

#endif
