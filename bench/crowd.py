"""crowd.py - real Locust: its users come, ask, wait a few seconds and ask again, as in the replaced stack's own test.

Locust is one thread of Python and the limit here: it costs far more than what it asks. So the figure is not how many
requests it makes, but that none fails, and what rmsd uses meanwhile.
"""
import csv
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

from closed import say
from machine import Watch
from servers import Missing, Server, program

HERE = pathlib.Path(__file__).resolve().parent


def locust(build):
    # python3 -m locust may be another python's, which has none.
    return "/usr/bin/locust" if os.access("/usr/bin/locust", os.X_OK) else program(build, "locust")


def command(args, server, *more):
    return [locust(args.build), "-f", str(HERE / "locustfile.py"), "--host", f"http://127.0.0.1:{server.port}",
            "-u", str(args.users), "-r", str(args.spawn_rate), *more]


def total(path):
    with open(path, newline="") as stream:
        for row in csv.DictReader(stream):
            if row["Name"] == "Aggregated":
                return row
    raise RuntimeError(f"{path} has no total")


def headless(args):
    ramp = args.users / args.spawn_rate
    seconds = int(ramp + args.hold + 1)
    with Server("rmsd", args.build, options={"workers": 3}) as server, tempfile.TemporaryDirectory() as directory:
        stem = pathlib.Path(directory) / "locust"
        watch, cpu_all = Watch(), server.processes.cpu_seconds()
        process = subprocess.Popen(
            command(args, server, "--headless", "-t", f"{seconds}s", "--csv", str(stem), "--stop-timeout", "10",
                    "--only-summary", "--exit-code-on-error", "0"),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        say(f"locust: {args.users:,} users, {args.spawn_rate} more each second, {seconds} s")
        begun = time.monotonic()
        peak = 0.0
        try:
            cpu, at = server.processes.cpu_seconds(), begun
            while process.poll() is None and time.monotonic() < begun + seconds + 60:
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    pass
                now, used = time.monotonic(), server.processes.cpu_seconds()
                if now - at >= 1:
                    peak = max(peak, (used - cpu) / (now - at) * 100)
                cpu, at = used, now
            if process.poll() is None:
                raise RuntimeError(f"locust did not end {seconds} s after it should have")
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            errors = process.stderr.read()
            process.stderr.close()
        took = time.monotonic() - begun
        cpu_all = server.processes.cpu_seconds() - cpu_all
        if not pathlib.Path(f"{stem}_stats.csv").exists():
            raise RuntimeError(f"locust ended with {process.returncode}: {errors[-400:]}")
        for path in pathlib.Path(directory).glob("locust_*.csv"):
            shutil.copy(path, args.output / path.name)
        row = total(f"{stem}_stats.csv")
        return {
            "users": args.users, "spawn_rate": args.spawn_rate, "took_seconds": took, "status": process.returncode,
            "requests": int(row["Request Count"]), "failures": int(row["Failure Count"]),
            "requests_per_second": float(row["Requests/s"]),
            "p50_ms": float(row["50%"]), "p99_ms": float(row["99%"]), "p999_ms": float(row["99.9%"]),
            "rmsd_cpu_percent": cpu_all / took * 100, "rmsd_cpu_percent_most": peak,
            "rmsd_memory": server.processes.memory(), "noise": watch.told(cpu_all),
        }


def web(args):
    """For people: until Ctrl-C."""
    with Server("rmsd", args.build, options={"workers": 3}) as server:
        host = args.web_address.rpartition(":")
        say(f"open http://{args.web_address}/ and start the users; Ctrl-C ends it")
        process = subprocess.Popen(command(args, server, "--web-host", host[0], "--web-port", host[2]))
        try:
            process.wait()
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()


def measure_part(args):
    try:
        told = headless(args)
    except Missing as error:
        say(f"locust is left out: {error}")
        return {"missing": {"locust": str(error)}}
    say(f"locust: {told['requests_per_second']:,.0f} requests/s, {told['failures']} failures; rmsd used "
        f"{told['rmsd_cpu_percent']:.1f} % of a core, {told['rmsd_cpu_percent_most']:.1f} % at most")
    return told
