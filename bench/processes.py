"""processes.py - the processes of one server: started, watched through /proc, ended by their ids."""
import contextlib
import pathlib
import shutil
import signal
import subprocess
import time


class Processes:
    def __init__(self):
        self.roots = []

    def start(self, command, **how):
        self.roots.append(subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, **how))

    def ended(self):
        return [pathlib.Path(p.args[0]).name for p in self.roots if p.poll() is not None]

    def pids(self):
        """All of them, with the children of children; the main thread is what forks in each of these servers."""
        if self.ended():
            raise RuntimeError(f"{', '.join(self.ended())} ended")
        found, unseen = [], [p.pid for p in self.roots]
        while unseen:
            pid = unseen.pop()
            found.append(pid)
            unseen += [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return found

    def cpu_seconds(self):
        """By the scheduler's own clock of each process, in nanoseconds: of all its threads, ended ones too."""
        return sum(time.clock_gettime_ns((~pid << 3) | 2) for pid in self.pids()) / 1e9

    def switches(self):
        """Context switches of the threads there are: a server that ends threads meanwhile is counted short."""
        total = 0
        for pid in self.pids():
            for status in pathlib.Path(f"/proc/{pid}/task").glob("*/status"):
                with contextlib.suppress(OSError):
                    total += sum(int(line.split()[1]) for line in status.read_text().splitlines()
                                 if "ctxt_switches" in line)
        return total

    def threads(self):
        return sum(len(list(pathlib.Path(f"/proc/{pid}/task").iterdir())) for pid in self.pids())

    def memory(self):
        """In KiB. What processes share is counted for each of them in rss, and once in pss."""
        total = {"rss": 0, "pss": 0}
        for pid in self.pids():
            for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                key = line.split(":")[0].lower()
                if key in total:
                    total[key] += int(line.split()[1])
        return total

    def stop(self):
        """All at once: none of them has anything to save."""
        for root in self.roots:
            root.terminate()
        deadline = time.monotonic() + 5
        for root in self.roots:
            try:
                root.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                root.kill()
                root.wait()


class Trace:
    """Counts the system calls of some processes until told(): by perf, which costs little, else by strace."""

    def __init__(self, processes, directory):
        pids = processes.pids()
        self.output = pathlib.Path(directory) / "trace"
        self.tool = tool()
        if not self.tool:
            raise RuntimeError("neither perf nor strace can count here")
        if self.tool == "perf":
            command = ["perf", "stat", "-x,", "-e", "raw_syscalls:sys_enter", "-o", self.output, "-p",
                       ",".join(str(pid) for pid in pids)]
        else:
            command = ["strace", "-f", "-c", "-qq", "-o", self.output]
            for pid in pids:
                command += ["-p", str(pid)]
        self.process = subprocess.Popen([str(word) for word in command], stderr=subprocess.DEVNULL)
        time.sleep(0.3)  # to attach

    def told(self):
        """How many calls there were; None: it could not count."""
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        text = self.output.read_text() if self.output.exists() else ""
        for line in text.splitlines():
            if self.tool == "perf" and "sys_enter" in line and line[0].isdigit():
                return int(line.split(",")[0])
            if self.tool == "strace" and line.endswith("total"):
                return int(line.split()[3])
        return None


def tool():
    """perf, if it may count here; else strace, which slows what it counts so much that batches grow; else None."""
    probe = ["perf", "stat", "-e", "raw_syscalls:sys_enter", "true"]
    if shutil.which("perf") and subprocess.run(probe, stdout=subprocess.DEVNULL,
                                               stderr=subprocess.DEVNULL).returncode == 0:
        return "perf"
    return "strace" if shutil.which("strace") else None
