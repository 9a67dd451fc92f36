"""closed.py - the closed loop: each reply brings the next request, and the next server the same load.

A measurement has a fresh server with the machine to itself. In a round each load meets each server once; the order
turns from round to round. Only ratios of one round are compared.
"""
import dataclasses
import sys

import generators
from figures import disturbance, ratios, spread
from machine import Watch
from processes import Trace
from servers import KINDS, Missing, Server, versions

SINGLE = ("rmsd", "nginx", "haproxy", "h2o", "floor")


@dataclasses.dataclass(frozen=True)
class Cell:
    title: str
    connections: int
    servers: tuple
    depth: int = 1
    closes: bool = False
    path: str = "/"
    browser: bool = False


CELLS = {
    "c8": Cell("8 connections", 8, tuple(KINDS)),
    "c64": Cell("64 connections", 64, tuple(KINDS)),
    "c1000": Cell("1,000 connections", 1000, tuple(KINDS)),
    "c10000": Cell("10,000 connections", 10000, tuple(KINDS)),
    "pipelined": Cell("64 connections, pipelined x16", 64, tuple(KINDS), depth=16),
    "close": Cell("64 connections, each for one request", 64, tuple(KINDS), closes=True),
    "browser": Cell("64 connections, a browser's heads (h2load)", 64, tuple(KINDS), browser=True),
    "4k": Cell("64 connections, 4 KiB", 64, ("rmsd", "nginx", "h2o", "floor"), path="/4k"),
    "64k": Cell("64 connections, 64 KiB", 64, ("rmsd", "nginx", "h2o", "floor"), path="/64k"),
    "1m": Cell("64 connections, 1 MiB", 64, ("rmsd", "nginx", "h2o", "floor"), path="/1m"),
}
FIGURES = ("requests_per_second", "cpu_seconds_per_million", "p50_ms", "p99_ms", "p999_ms", "megabytes_per_second",
           "switches_per_request", "rss_idle", "pss_idle", "rss_load", "pss_load", "syscalls_per_request")
COMPARED = ("requests_per_second", "cpu_seconds_per_million", "p99_ms")


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def load(server, cell, seconds, at_work=None):
    if cell.browser:
        return generators.h2load(server, cell.connections, seconds, at_work)
    return generators.wrk(server, cell.connections, seconds, cell.depth, at_work)


def measure(kind, cell, build, seconds):
    with Server(kind, build, cell.path, cell.closes) as server:
        processes = server.processes
        idle = processes.memory()
        at_work = {}
        switches, cpu, watch = processes.switches(), processes.cpu_seconds(), Watch()
        told = load(server, cell, seconds, lambda: at_work.update(processes.memory()))
        cpu = processes.cpu_seconds() - cpu
        switches = processes.switches() - switches
        n = told["requests"]
        return {
            "requests": n, "errors": told["errors"], "requests_per_second": n / told["seconds"],
            "megabytes_per_second": told["bytes"] / told["seconds"] / 1e6,
            "p50_ms": told["p50_ms"], "p99_ms": told["p99_ms"], "p999_ms": told["p999_ms"],
            "cpu_seconds": cpu, "cpu_seconds_per_million": cpu / n * 1e6 if n else None,
            # Flask has a thread for each connection: they end, and their switches with them.
            "switches_per_request": switches / n if n and kind != "nginx-3flask" else None,
            "rss_idle": idle["rss"], "pss_idle": idle["pss"],
            "rss_load": at_work.get("rss"), "pss_load": at_work.get("pss"),
            **watch.told(cpu),
        }


def trace(kind, cell, build):
    """System calls a request, of one second more: counting them costs time, so no other figure is taken there."""
    with Server(kind, build, cell.path, cell.closes) as server:
        counter = Trace(server.processes, server.directory)
        told = load(server, cell, 1)
        calls = counter.told()
        return {"tool": counter.tool,
                "syscalls_per_request": calls / told["requests"] if calls and told["requests"] else None}


def turned(servers, number):
    """Another one begins in each round, and every second round goes backwards."""
    first = number % len(servers)
    order = list(servers[first:]) + list(servers[:first])
    return order if number % 2 == 0 else order[::-1]


def measure_all(args, cells, missing):
    results = []
    for number in range(args.rounds):
        for name, cell in cells.items():
            for kind in turned([k for k in args.servers if k in cell.servers and k not in missing], number):
                row = {"round": number, "cell": name, "server": kind}
                try:
                    row.update(measure(kind, cell, args.build, args.seconds))
                    say(f"round {number + 1} of {args.rounds}, {name}, {kind}: {row['requests_per_second']:,.0f} "
                        f"requests/s, {row['cpu_seconds_per_million'] or 0:.2f} CPU s per million")
                except Missing as error:
                    missing[kind] = str(error)
                    say(f"{kind} is left out: {error}")
                    continue
                except RuntimeError as error:
                    row["failed"] = str(error)
                    say(f"{name}, {kind}: {error}")
                results.append(row)
    return results


def trace_all(args, cells, missing):
    found = []
    for name, cell in cells.items():
        for kind in args.servers:
            if kind not in cell.servers or kind in missing:
                continue
            row = {"round": 0, "cell": name, "server": kind}
            try:
                row.update(trace(kind, cell, args.build))
            except (Missing, RuntimeError) as error:
                say(f"system calls of {kind}, {name}: {error}")
                continue
            found.append(row)
        say(f"system calls: {name}")
    return found


def summarise(results, traces, cells, servers):
    table, compared = {}, {}
    for name in cells:
        for kind in servers:
            rows = [r for r in results if r["cell"] == name and r["server"] == kind]
            if not rows:
                continue
            good = [r for r in rows if "failed" not in r]
            counted = [t for t in traces if t["cell"] == name and t["server"] == kind]
            row = {figure: spread([r.get(figure) for r in good + counted]) for figure in FIGURES}
            row["errors"] = {kind_of: sum(r["errors"][kind_of] for r in good) for kind_of in generators.KINDS_OF_ERROR}
            row["requests"] = sum(r["requests"] for r in good)
            row["failed"] = [r["failed"] for r in rows if "failed" in r]
            table.setdefault(name, {})[kind] = row
            if kind != "rmsd":
                compared.setdefault(name, {})[kind] = {
                    figure: ratios(good_of(results), name, figure, "rmsd", kind) for figure in COMPARED}
    noise = {name: disturbance([r for r in good_of(results) if r["cell"] == name]) for name in cells}
    return {"table": table, "ratios": compared, "noise": noise}


def good_of(results):
    return [r for r in results if "failed" not in r]


def measure_part(args):
    cells = {name: CELLS[name] for name in args.cells}
    missing = {}
    results = measure_all(args, cells, missing)
    traces = trace_all(args, cells, missing) if args.trace else []
    return {
        "titles": {name: cell.title for name, cell in cells.items()},
        "peers": versions(args.build, args.servers), "missing": missing,
        "results": results, "traces": traces, **summarise(results, traces, cells, args.servers),
    }
