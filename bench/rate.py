"""rate.py - latency at a constant rate: what clients wait who do not wait for one another.

First what each server can do with this client, in this minute; then both at the same rates, per cents of what the
slower one can do. At the end rmsd again, with a worker killed and revived under the load.
"""
import generators
from closed import say
from figures import disturbance, spread
from machine import Watch
from servers import Missing, Server

PERCENTS = (50, 80, 95)
CONNECTIONS = 64
BEYOND = 400000  # a rate that no server reaches with this client
FIGURES = ("p50_us", "p99_us", "p999_us", "worst_us", "late_us", "failed", "pause_us")


def capacity(kind, args):
    """Requests a second, when more are due than anyone can answer."""
    with Server(kind, args.build) as server:
        told = generators.pace(server, BEYOND, args.seconds, CONNECTIONS, grace_ms=0)
        return told["answered"] / told["seconds"]


def measure(kind, rate, args, percent, killed=False):
    # A killed worker is to come back while the load goes on, and others are to take its part meanwhile.
    with Server(kind, args.build, options={"workers": 3} if killed else None) as server:
        during = [(0.4, lambda: server.control("kill-worker", "app1")),
                  (0.6, lambda: server.control("revive-worker", "app1"))] if killed else None
        cpu, watch = server.processes.cpu_seconds(), Watch()
        seconds = max(args.seconds, 3) if killed else args.seconds
        told = generators.pace(server, rate, seconds, CONNECTIONS, during=during)
        cpu = server.processes.cpu_seconds() - cpu
        row = {"server": kind, "percent": percent, "killed": killed, **told,
               "cpu_seconds_per_million": cpu / told["answered"] * 1e6 if told["answered"] else None,
               **watch.told(cpu)}
    say(f"{kind} at {percent} % ({rate:,} requests/s){', a worker killed' if killed else ''}: p99 "
        f"{told['p99_us'] / 1000:.2f} ms, p99.9 {told['p999_us'] / 1000:.2f} ms, {told['failed']} failed")
    return row


def measure_round(number, kinds, args, results, capacities):
    order = kinds if number % 2 == 0 else kinds[::-1]
    now = {kind: capacity(kind, args) for kind in order}
    for kind, value in now.items():
        capacities.append({"round": number, "server": kind, "requests_per_second": value})
        say(f"round {number + 1} of {args.rounds}, {kind} can answer {value:,.0f} requests/s")
    for percent in PERCENTS:
        rate = max(1, int(min(now.values()) * percent / 100))
        for kind in order:
            results.append({"round": number, **measure(kind, rate, args, percent)})
        if percent == 80 and "rmsd" in kinds:
            results.append({"round": number, **measure("rmsd", rate, args, percent, killed=True)})


def measure_part(args):
    kinds = [kind for kind in ("rmsd", "nginx", "haproxy", "h2o") if kind in args.rate_servers]
    missing, results, capacities = {}, [], []
    for kind in list(kinds):
        try:
            Server(kind, args.build).stack.close()
        except Missing as error:
            missing[kind] = str(error)
            kinds.remove(kind)
    for number in range(args.rounds):
        measure_round(number, kinds, args, results, capacities)
    table = {}
    for row in results:
        key = f"{row['server']}, a worker killed" if row["killed"] else row["server"]
        table.setdefault(str(row["percent"]), {}).setdefault(key, []).append(row)
    return {
        "connections": CONNECTIONS, "missing": missing, "results": results,
        "capacity": {kind: spread([c["requests_per_second"] for c in capacities if c["server"] == kind])
                     for kind in kinds},
        "table": {percent: {kind: {figure: spread([r[figure] for r in rows]) for figure in (*FIGURES, "rate")}
                            for kind, rows in kinds_of.items()} for percent, kinds_of in table.items()},
        "p99_against": {
            percent: {kind: ratio_by_round(results, int(percent), kind) for kind in kinds if kind != "rmsd"}
            for percent in table},
        "noise": disturbance(results),
    }


def ratio_by_round(results, percent, kind):
    def p99(server):
        return {r["round"]: r["p99_us"] for r in results
                if r["server"] == server and r["percent"] == percent and not r["killed"]}

    ours, theirs = p99("rmsd"), p99(kind)
    return spread([ours[n] / theirs[n] for n in sorted(ours) if theirs.get(n)])
