"""machine.py - what the bench runs on, and what else the machine did meanwhile."""
import datetime
import os
import pathlib
import platform
import resource
import subprocess
import time

TICKS = os.sysconf("SC_CLK_TCK")


def describe(build):
    """What a reader must know to compare figures: of this machine, of this day, of this tree."""
    model = "unknown"
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": model, "processors": len(os.sched_getaffinity(0)), "memory_mib": memory,
        "kernel": platform.release(), "commit": commit(),
        "rmsd": told([str(build / "rmsd"), "--version"]),
        "descriptors": resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        "load_average": os.getloadavg()[0],
    }


def told(command):
    try:
        run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = run.stdout.strip().splitlines()
    return lines[0] if lines and run.returncode == 0 else None


def commit():
    here = str(pathlib.Path(__file__).resolve().parent)
    return told(["git", "-C", here, "describe", "--always", "--dirty", "--abbrev=12"])


def raise_limit():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Watch:
    """From its making to told(): which part of the machine's time went to others, and to no one on this machine.

    The kernel counts both in ticks, so of a second's measurement a per cent is not much.
    """

    def __init__(self):
        self.begun = self.read()
        self.clock = time.monotonic()

    @staticmethod
    def read():
        # user nice system idle iowait irq softirq steal; what follows is in user already.
        fields = [int(f) for f in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        own = resource.getrusage(resource.RUSAGE_SELF)
        kids = resource.getrusage(resource.RUSAGE_CHILDREN)
        ours = own.ru_utime + own.ru_stime + kids.ru_utime + kids.ru_stime
        return {"all": sum(fields), "idle": fields[3] + fields[4], "steal": fields[7], "ours": ours}

    def told(self, server_seconds):
        """server_seconds: what the server has used since. Load generators that have ended are our children."""
        now = self.read()
        past = {key: now[key] - self.begun[key] for key in now}
        total = past["all"] / TICKS or 1e-9
        busy = (past["all"] - past["idle"] - past["steal"]) / TICKS
        return {
            "others_share": max(0.0, busy - past["ours"] - server_seconds) / total,
            "steal_share": past["steal"] / TICKS / total,
            "idle_share": past["idle"] / TICKS / total,
            "seconds": time.monotonic() - self.clock,
        }
