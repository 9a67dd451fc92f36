"""scale.py - what grows with connections, workers and routes; and what rmsd costs before anyone has asked anything."""
import pathlib
import shutil
import subprocess
import tempfile
import time

import generators
from closed import SINGLE, say
from figures import disturbance, spread
from machine import Watch
from servers import Missing, Server

CONNECTIONS = (1, 8, 64, 512, 1000, 4000, 10000, 19000)
IDLE = (1000, 4000, 10000, 19000)
WORKERS = (1, 2, 4, 8, 16, 32, 64)
ROUTES = (1, 10, 50, 100, 200)
STARTS = 20
IDLE_SECONDS = 5


def cost(server, connections, seconds):
    cpu, watch = server.processes.cpu_seconds(), Watch()
    told = generators.wrk(server, connections, seconds)
    cpu = server.processes.cpu_seconds() - cpu
    n = told["requests"]
    return {"requests": n, "requests_per_second": n / told["seconds"],
            "cpu_seconds_per_million": cpu / n * 1e6 if n else None,
            "p99_ms": told["p99_ms"], "errors": sum(told["errors"].values()), "memory": server.processes.memory(),
            **watch.told(cpu)}


def by_connections(args):
    rows = []
    for number in range(args.rounds):
        for n in CONNECTIONS if number % 2 == 0 else CONNECTIONS[::-1]:
            with Server("rmsd", args.build) as server:
                rows.append({"round": number, "x": n, **cost(server, n, args.seconds)})
        say(f"round {number + 1} of {args.rounds}: 1 to {CONNECTIONS[-1]:,} connections")
    return rows


def by_workers(args):
    rows = []
    for number in range(args.rounds):
        for n in WORKERS if number % 2 == 0 else WORKERS[::-1]:
            with Server("rmsd", args.build, options={"workers": n}) as server:
                idle = server.processes.memory()
                rows.append({"round": number, "x": n, "idle": idle, **cost(server, 512, args.seconds)})
        say(f"round {number + 1} of {args.rounds}: 1 to {WORKERS[-1]} workers")
    return rows


def with_routes(directory, n):
    """A configuration of n routes, of which the last is asked for: names as sites have them, not /1 to /200."""
    path = pathlib.Path(directory) / f"{n}-routes.conf"
    names = [f"/section-{i // 10}/page-{i}" for i in range(n - 1)]
    routes = "".join(f"  {name}: {{text: page}}\n" for name in names)
    path.write_text(f"routes:\n{routes}  /section-last/page: {{text: Hello from Cloud Application}}\n")
    return path


def by_routes(args):
    rows = []
    with tempfile.TemporaryDirectory() as directory:
        confs = {n: with_routes(directory, n) for n in ROUTES}
        for number in range(args.rounds):
            for n in ROUTES if number % 2 == 0 else ROUTES[::-1]:
                with Server("rmsd", args.build, "/section-last/page", options={"conf": confs[n]}) as server:
                    rows.append({"round": number, "x": n, **cost(server, 64, args.seconds)})
            say(f"round {number + 1} of {args.rounds}: 1 to {ROUTES[-1]} routes")
    return rows


def idle_connections(args, missing):
    """Memory with connections that are open and silent: each server's own, before and after."""
    rows = []
    for kind in SINGLE:
        if kind not in args.servers:
            continue
        for n in IDLE:
            try:
                with Server(kind, args.build) as server:
                    before = server.processes.memory()
                    with generators.Idle(server, n) as idle:
                        after = server.processes.memory()
                        lost = idle.lost()
            except Missing as error:
                missing[kind] = str(error)
                break
            except (RuntimeError, OSError) as error:
                rows.append({"server": kind, "x": n, "failed": str(error) or type(error).__name__})
                continue
            rows.append({"server": kind, "x": n, "lost": lost, "before": before, "after": after,
                         "bytes_each": (after["rss"] - before["rss"]) * 1024 / n,
                         "pss_bytes_each": (after["pss"] - before["pss"]) * 1024 / n})
        say(f"up to {IDLE[-1]:,} idle connections: {kind}")
    return rows


def starts(args):
    """Milliseconds from the making of the process to its first whole answer."""
    times = []
    for _ in range(STARTS):
        with Server("rmsd", args.build, options={"workers": 3}) as server:
            times.append(server.first_answer_seconds * 1000)
    say(f"start to first answer: {min(times):.1f} ms at best")
    return {"all_ms": times, "spread": spread(times)}


def at_rest(args):
    with Server("rmsd", args.build, options={"workers": 3}) as server:
        time.sleep(1)
        switches, cpu = server.processes.switches(), server.processes.cpu_seconds()
        time.sleep(IDLE_SECONDS)
        cpu = server.processes.cpu_seconds() - cpu
        return {"cpu_percent": cpu / IDLE_SECONDS * 100, "memory": server.processes.memory(),
                "switches_per_second": (server.processes.switches() - switches) / IDLE_SECONDS,
                "threads": server.processes.threads(), "workers": 3}


def binaries(build):
    """Bytes of each, as built and without what only a debugger reads."""
    found = {}
    for name in ("rmsd", "rmsctl"):
        path = build / name
        row = {"bytes": path.stat().st_size}
        if shutil.which("strip"):
            with tempfile.TemporaryDirectory() as directory:
                stripped = pathlib.Path(directory) / name
                subprocess.run(["strip", "-o", str(stripped), str(path)], check=True)
                row["stripped"] = stripped.stat().st_size
        found[name] = row
    return found


def curve(rows, figures):
    xs = sorted({row["x"] for row in rows})
    return [{"x": x, **{figure: spread([r.get(figure) for r in rows if r["x"] == x]) for figure in figures},
             "requests": sum(r["requests"] for r in rows if r["x"] == x),
             "errors": sum(r["errors"] for r in rows if r["x"] == x),
             "rss": spread([r["memory"]["rss"] for r in rows if r["x"] == x]),
             "rss_idle": spread([r["idle"]["rss"] for r in rows if r["x"] == x and "idle" in r])} for x in xs]


def measure_part(args):
    missing = {}
    figures = ("cpu_seconds_per_million", "requests_per_second", "p99_ms")
    rest, first, sizes = at_rest(args), starts(args), binaries(args.build)
    connections, workers, routes = by_connections(args), by_workers(args), by_routes(args)
    return {
        "rest": rest, "start": first, "binaries": sizes,
        "idle": idle_connections(args, missing), "missing": missing,
        "connections": curve(connections, figures), "workers": curve(workers, figures),
        "routes": curve(routes, figures),
        "results": {"connections": connections, "workers": workers, "routes": routes},
        "noise": disturbance(connections + workers + routes),
    }
