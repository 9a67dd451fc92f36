/*
 * server.h - the one place that knows everything: builds rmsd bottom up, runs it, takes it down in reverse.
 *
 * Thread: main, which becomes the control thread.
 */
#ifndef RMSD_SERVER_SERVER_H
#define RMSD_SERVER_SERVER_H

#include <rms/app.h>
#include "conf/conf.h"

enum server_exit { SERVER_OK = 0, SERVER_BAD_CONF = 1, SERVER_USAGE = 2, SERVER_NOT_STARTED = 3 };

/* Runs until told to stop. Why it could not start is on stderr. conf and app are borrowed. */
enum server_exit server_run(const struct conf *conf, const struct rms_app *app);

#endif
