/*
 * fake.h - a stand-in for rmsd that does to a drill of rmsctl whatever a case says: a control socket that plays a
 * stream of events, and a listener that answers or spoils.
 *
 * Thread: each side has one of its own; the test reads what they saw after fake_stop().
 */
#ifndef RMSD_TESTS_FAKE_H
#define RMSD_TESTS_FAKE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* What becomes of one request, counted over all connections; the others are answered with 200. */
enum fake_deed {
	FAKE_ANSWER,
	FAKE_STATUS,  /* 503, and the connection stays */
	FAKE_LOSE,    /* no reply, ever */
	FAKE_CLOSE,   /* the connection ends, without a reply or in the middle of one */
	FAKE_RESET,   /* RST */
	FAKE_GARBAGE, /* no HTTP */
	FAKE_TWICE,   /* two replies */
	FAKE_GOODBYE, /* a reply that says that the connection ends with it */
	FAKE_CHUNKED,
	FAKE_UNTIL_END, /* a reply whose length is that of the connection */
	FAKE_IDLE,      /* answered, and 20 ms later the connection ends */
};

struct fake_plan {
	/* The control socket. */
	int readyz;           /* 0: 200 */
	const char *state;    /* of app2; NULL: "up" */
	bool alone;           /* app1 and app3 are down */
	const char *listener; /* NULL: the real one, on every address */
	int refusal;          /* status of POST /v1/drill; 0: it is carried out */
	unsigned detect_ms;   /* from injected to down */
	bool no_return;       /* the worker stays down */
	bool no_injection;    /* begun, then an end with an error */
	bool cut;             /* the stream breaks in the middle of the fault */
	bool without_length;  /* the stream is not chunked, but ends with the connection */
	bool ends_badly;      /* "ok":false in the end */
	bool stops;           /* it is shut down in the middle of the fault, and says so */
	bool faults_off;
	/* The listener. */
	int probe; /* status of requests that end their connection, which count as none; 0: 200 */
	enum fake_deed deed;
	unsigned deed_at;  /* the number of the request, from 1; 0: none */
	bool deed_always;  /* it and all behind it */
	unsigned pause_ms; /* no replies for so long, from the injection on */
	bool dies;         /* at the injection the listener and all of its connections go */
};

struct fake {
	struct fake_plan plan;
	const char *socket; /* the control socket's path */
	/* What they saw. */
	char drill[512];                /* request line of POST /v1/drill; "": nobody asked */
	char verdict[64];               /* target of the verdict */
	_Atomic uint64_t requests;      /* that the listener read */
	_Atomic bool injected, holding; /* the fault */
	bool left;                      /* the client went away in the middle of the fault */
	uint64_t injected_ns;
	struct fake_threads *threads;
};

/* dir is where its socket goes. */
struct fake *fake_start(const char *dir, const struct fake_plan *plan);
void fake_stop(struct fake *fake);

/* A second of load; the fault holds from 200 ms to 600. */
#define FAKE_SHORT "--duration=1s", "--connections=10", "--rate=200"
/* One drill of rmsctl, that kills app2, with what it said; ends fake. json and extra may be NULL. */
struct output *fake_drill(struct fake *fake, const char *json, const char *extra);

#endif
