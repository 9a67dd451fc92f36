"""generators.py - the loads: wrk, h2load with a browser's heads, a constant rate, connections that are idle."""
import json
import pathlib
import re
import resource
import socket
import subprocess
import time

from servers import ask, built

HERE = pathlib.Path(__file__).resolve().parent
KINDS_OF_ERROR = ("connect", "read", "write", "status", "timeout")

# As a current browser sends them for a page of a site that has set cookies.
BROWSER = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 "
                  "Safari/537.36",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8",
    "Accept-Language": "en-GB,en;q=0.9,de;q=0.8",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Cache-Control": "max-age=0",
    "Cookie": "session=8d3f2a9b7c1e4d6f8a0b2c4d6e8f0a1b; theme=dark; consent=2026-01-01T00:00:00Z; "
              "_ga=GA1.1.1234567890.1700000000",
    "Sec-Ch-Ua": '"Chromium";v="140", "Not=A?Brand";v="24", "Google Chrome";v="140"',
    "Sec-Ch-Ua-Mobile": "?0",
    "Sec-Ch-Ua-Platform": '"Linux"',
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "same-origin",
    "Sec-Fetch-User": "?1",
    "Upgrade-Insecure-Requests": "1",
    "Referer": "http://localhost/index.html",
}


def long_enough(connections, seconds):
    """Thousands of connections take a while to be made, on a machine that has other things to do."""
    return max(seconds, connections // 2000)


def run(command, seconds, at_work=None, good=(0,)):
    """Its output, at most half a minute after it should have ended. at_work() is called when most of it is past."""
    process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    try:
        if at_work:
            try:
                output, errors = process.communicate(timeout=seconds * 0.8)
            except subprocess.TimeoutExpired:
                at_work()
        output, errors = process.communicate(timeout=seconds + 30)
    except BaseException:
        process.kill()
        process.wait()
        raise
    if process.returncode not in good:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}: {(errors or output).strip()[-400:]}")
    return output


def wrk(server, connections, seconds, depth=1, at_work=None):
    seconds = long_enough(connections, seconds)
    more = ["-H", "Connection: close"] if server.closes else []
    told = json.loads(run(
        ["wrk", f"-t{min(2, connections)}", f"-c{connections}", f"-d{seconds}s", *more, "-s", HERE / "wrk.lua",
         f"http://127.0.0.1:{server.port}{server.path}", "--", depth], seconds, at_work).splitlines()[-1])
    for figure in ("p50_ms", "p99_ms", "p999_ms"):
        told[figure] = told[figure] or None  # wrk's nought says that it has too few
    told["errors"] = {kind: told.pop(kind) for kind in KINDS_OF_ERROR}
    return told


def h2load(server, connections, seconds, at_work=None):
    """HTTP/1.1 in spite of its name. It has means alone: percentiles are made from its log of each request."""
    log = server.directory / "h2load.log"
    heads = [word for name, value in BROWSER.items() for word in ("-H", f"{name}: {value}")]
    output = run(["h2load", "--h1", "-t2", f"-c{connections}", "-D", seconds, "--warm-up-time=0",
                  f"--log-file={log}", *heads, f"http://127.0.0.1:{server.port}{server.path}"], seconds, at_work)
    counts = {kind: int(n) for n, kind in re.findall(r"(\d+) (done|succeeded|failed|errored|timeout)\b", output)}
    other = sum(int(n) for n in re.findall(r"(\d+) [345]xx", output))
    times = sorted(int(line.split()[2]) for line in log.read_text().splitlines())
    log.unlink()

    def quantile(q):
        return times[min(len(times) - 1, int(len(times) * q))] / 1000 if times else None

    return {
        "requests": counts["succeeded"], "seconds": float(seconds),
        "bytes": int(re.search(r"\((\d+)\) total,", output).group(1)),
        "p50_ms": quantile(0.5), "p99_ms": quantile(0.99), "p999_ms": quantile(0.999),
        "errors": {"connect": counts["errored"], "read": 0, "write": 0, "status": other, "timeout": counts["timeout"]},
    }


def pace(server, rate, seconds, connections=64, grace_ms=5000, during=None):
    """A constant rate, each latency from when its request was due; during: (part of the time, what to do) in turn."""
    command = [built(server.build, "pace"), "-c", connections, "-d", seconds, "-g", grace_ms, "-r", rate,
               f"127.0.0.1:{server.port}", server.path]
    process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               text=True)
    begun = time.monotonic()
    try:
        for part, do in during or []:
            time.sleep(max(0, begun + part * seconds - time.monotonic()))
            do()
        output, _ = process.communicate(timeout=seconds + grace_ms / 1000 + 30)
    except BaseException:
        process.kill()
        process.wait()
        raise
    if not output:
        raise RuntimeError(f"pace ended with {process.returncode}")
    return json.loads(output)


class Idle:
    """Connections that have had one reply each, and then say nothing until close()."""

    def __init__(self, server, n):
        spare = 64
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if n + spare > soft:
            raise RuntimeError(f"{n} connections are more than {soft} descriptors allow")
        self.sockets = []
        try:
            for _ in range(n):
                s = socket.create_connection(("127.0.0.1", server.port), 10)
                self.sockets.append(s)
                ask(server.port, server.path, s)
        except BaseException:
            self.close()
            raise

    def lost(self):
        """How many of them the server has closed."""
        n = 0
        for s in self.sockets:
            s.setblocking(False)
            try:
                n += s.recv(1, socket.MSG_PEEK) == b""
            except BlockingIOError:
                pass
            except OSError:
                n += 1
        return n

    def close(self):
        for s in self.sockets:
            s.close()
        self.sockets = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
