"""access.py - what the access log costs: the same load without it and with each of its formats, in turns.

At a constant rate each has the same requests, and as many at once; in a closed loop what is slower has other ones.
"""
import pathlib
import tempfile
import time

import generators
from closed import say, turned
from figures import disturbance, ratios, spread
from machine import Watch
from servers import Server

CONNECTIONS = 64
RATE = 60000
FORMATS = ("off", "combined", "json")
WRITTEN_SECONDS = 0.4  # after the last request, for its line to be in the file
FIGURES = ("cpu_seconds_per_million", "p99_ms")


def measure(form, args):
    with tempfile.TemporaryDirectory(prefix="rmsd-bench-") as directory:
        path = pathlib.Path(directory) / "access.log"
        options = {} if form == "off" else {"access_log": path, "access_log_format": form}
        with Server("rmsd", args.build, options=options) as server:
            cpu, watch = server.processes.cpu_seconds(), Watch()
            told = generators.pace(server, RATE, args.seconds, CONNECTIONS)
            time.sleep(WRITTEN_SECONDS)
            cpu = server.processes.cpu_seconds() - cpu
            disturbed = watch.told(cpu)
        lines = path.read_bytes().count(b"\n") if path.exists() else 0
        n = told["answered"]
        return {"requests": n, "p99_ms": told["p99_us"] / 1000,
                "cpu_seconds_per_million": cpu / n * 1e6 if n else None, "errors": told["failed"],
                # There is one for what found out that the server answers, too.
                "missing": max(0, n + 1 - lines) if form != "off" else 0, **disturbed}


def measure_part(args):
    results = []
    for number in range(args.rounds):
        for form in turned(FORMATS, number):
            results.append({"round": number, "cell": "access", "server": form, **measure(form, args)})
            say(f"round {number + 1} of {args.rounds}, access log {form}: "
                f"{results[-1]['cpu_seconds_per_million'] or 0:.2f} CPU s per million")
    table = {}
    for form in FORMATS:
        rows = [row for row in results if row["server"] == form]
        table[form] = {"errors": sum(r["errors"] for r in rows), "missing": sum(r["missing"] for r in rows),
                       "cpu_ratio": ratios(results, "access", "cpu_seconds_per_million", form, "off"),
                       **{figure: spread([r[figure] for r in rows]) for figure in FIGURES}}
    return {"connections": CONNECTIONS, "rate": RATE, "results": results, "table": table, "noise": disturbance(results)}
