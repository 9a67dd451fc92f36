/*
 * probe.h - static probes (USDT) for bpftrace, perf and SystemTap; docs/tracing.md lists them with their arguments.
 *
 * With -DRMSD_USDT=ON a probe is a nop, and a note in the program that says where it is and where its arguments are;
 * without, it is nothing, and its arguments are not evaluated. They must have no effects, and be integers or pointers.
 * PROBE(2, stall, name, ms): how many arguments, the probe, its arguments.
 *
 * Thread: any.
 */
#ifndef RMSD_BASE_PROBE_H
#define RMSD_BASE_PROBE_H

#ifdef RMSD_USDT
#include <sys/sdt.h>
#ifdef __clang__
#pragma clang diagnostic ignored "-Wgnu-zero-variadic-macro-arguments" /* in the macros of sys/sdt.h */
#endif
#define PROBE(n, ...) STAP_PROBE##n(rmsd, __VA_ARGS__)
#else
#define PROBE(n, ...) ((void)0)
#endif

#endif
