/*
 * rms.h - the whole of rms: a C API for services that survive the loss of a worker.
 *
 *	#include <rms/rms.h>
 *
 * Fill in a struct rms_app, give it to rms_main(), and the program is an rmsd: it takes rmsd's command line and
 * configuration, runs the app on N workers, balances connections over them, serves metrics, obeys rmsctl.
 */
#ifndef RMS_RMS_H
#define RMS_RMS_H

#include <rms/app.h>
#include <rms/reply.h>
#include <rms/request.h>

/*
 * The body of main(): returns the exit status. 0 stopped as asked; 1 bad configuration; 2 usage; 3 could not start.
 * Once in a process. app is borrowed until it returns. Blocks all signals in the calling thread and takes them itself.
 */
int rms_main(int argc, char **argv, const struct rms_app *app);

#endif
