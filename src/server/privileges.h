/*
 * privileges.h - from root to the user of the configuration, for good.
 *
 * Ports below 1024 and the control socket's directory want root; nothing that comes later does. So root is given up
 * once all is bound and before the first thread starts: what a client can reach never had it.
 *
 * Thread: the control thread, while there is no other.
 */
#ifndef RMSD_SERVER_PRIVILEGES_H
#define RMSD_SERVER_PRIVILEGES_H

#include "base/outbuf.h"
#include "conf/value.h"

/* Before anything is bound: whether rmsd may become user, or is it. 0; or UV_EPERM, and error says what to do. */
int privileges_check(const struct value_user *user, struct outbuf *error);
/* Whether there is a user that rmsd is not yet. */
bool privileges_to_drop(const struct value_user *user);
/*
 * Root becomes user, with its groups and no other, and cannot come back; nobody gets more than he has by running
 * another program. 0, or a negative UV_ code and error says what to do: rmsd must end then, it may be half of each.
 */
int privileges_drop(const struct value_user *user, struct outbuf *error);
/* A line in the log: who rmsd is now; or a warning, if it is root because nobody said otherwise. */
void privileges_tell(const struct value_user *user);

#endif
