/*
 * scrape.h - answers a request with the metrics, in the form and the coding that it asks for.
 *
 * Thread: the request's.
 */
#ifndef RMSD_HTTP_SCRAPE_H
#define RMSD_HTTP_SCRAPE_H

struct metrics;
struct rms_request;

/* worker: as in metrics_write(). */
void scrape_reply(struct rms_request *req, struct metrics *metrics, int worker);

#endif
