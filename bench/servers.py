"""servers.py - rmsd and those it is measured beside, each tuned, each with the same reply, each on free ports."""
import contextlib
import os
import pathlib
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time

from processes import Processes

HERE = pathlib.Path(__file__).resolve().parent
BODY = b"Hello from Cloud Application"
SIZES = {"/4k": 4096, "/64k": 65536, "/1m": 1048576}
WORKERS = 2
APPS = 3


class Missing(Exception):
    """A program is not there: its server is left out, and the report says so."""


def free_port():
    """Below those that the kernel gives to clients: they come by the thousand here, and would take it meanwhile."""
    while True:
        port = random.randrange(10000, 32000)
        with contextlib.suppress(OSError):
            socket.create_server(("127.0.0.1", port)).close()
            return port


def program(build, name):
    places = [os.environ.get("RMSD_TOOLS"), str(build / "tools/bin"), os.environ["PATH"], "/usr/sbin"]
    found = shutil.which(name, path=os.pathsep.join(p for p in places if p))
    if not found:
        raise Missing(f"no {name}")
    return found


def built(build, name):
    path = build / "bench-programs" / name
    if not path.exists():
        raise Missing(f"no {path}: cmake --build {build} --target bench_programs")
    return path


def flask_python():
    """One that has Flask: of Debian's package, python3 in PATH may know nothing."""
    for python in (sys.executable, "/usr/bin/python3"):
        if subprocess.run([python, "-c", "import flask"], stderr=subprocess.DEVNULL).returncode == 0:
            return python
    raise Missing("no Flask")


def fill(name, directory, **words):
    """A configuration of peers/ with its words in capitals replaced, in the server's own directory."""
    text = (HERE / "peers" / name).read_text()
    words["DIRECTORY"] = directory
    for word, value in words.items():
        text = text.replace(word, str(value))
    path = pathlib.Path(tempfile.mkstemp(suffix=f"-{name}", dir=directory)[1])
    path.write_text(text)
    return path


def write_files(directory):
    files = directory / "files"
    files.mkdir()
    (files / "index.txt").write_bytes(BODY)
    for path, size in SIZES.items():
        (files / path[1:]).write_bytes(b"x" * size)
    for path in (directory, files):
        path.chmod(0o755)  # workers may be another user's
    return files


class Server:
    """One of KINDS, running. path and closes: what will be asked of it, where that makes a difference."""

    def __init__(self, kind, build, path="/", closes=False, options=None):
        self.kind, self.build, self.path, self.closes = kind, build, path, closes
        self.options = dict(options or {})
        self.port = free_port()
        self.processes = Processes()
        self.stack = contextlib.ExitStack()
        self.directory = pathlib.Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="rmsd-bench-")))
        self.stack.callback(self.processes.stop)
        self.begun = time.monotonic()
        try:
            KINDS[kind](self)
            self.first_answer_seconds = self.await_answer()
        except BaseException:
            self.stack.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stack.close()

    def await_answer(self):
        while True:
            with contextlib.suppress(ConnectionRefusedError):
                status, body = ask(self.port, self.path)
                took = time.monotonic() - self.begun
                if status == 200 and (len(body) == SIZES[self.path] if self.path in SIZES else body == BODY):
                    return took
                # A balancer whose apps are not there yet says so.
                if status not in (502, 504):
                    raise RuntimeError(f"{self.kind} answers otherwise than it should: {status} {body[:80]!r}")
            self.processes.pids()  # fails once one has ended
            if time.monotonic() > self.begun + 20:
                raise RuntimeError(f"{self.kind} does not answer on {self.port}")
            time.sleep(0.0005)

    def control(self, *words):
        subprocess.run([str(self.build / "rmsctl"), "-s", str(self.directory / "rmsd.sock"), *words], check=True,
                       stdout=subprocess.DEVNULL, timeout=30)


def ask(port, path="/", connection=None):
    """A GET: its status and body. Over a connection that stays, or one of its own."""
    with contextlib.ExitStack() as stack:
        s = connection or stack.enter_context(socket.create_connection(("127.0.0.1", port), 10))
        s.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        reply = b""
        while b"\r\n\r\n" not in reply:
            reply += more(s)
        head, _, body = reply.partition(b"\r\n\r\n")
        fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:])
        length = int(fields[b"content-length"])
        while len(body) < length:
            body += more(s)
        return int(head.split(b" ")[1]), body


def more(connection):
    with contextlib.suppress(ConnectionResetError):
        received = connection.recv(1 << 20)
        if received:
            return received
    raise ConnectionRefusedError  # one that goes while it starts, or is not there yet, is as good as none


def start_rmsd(server):
    options = {
        "listen": f"127.0.0.1:{server.port}", "workers": WORKERS, "worker_port": 0, "admin_listen": "127.0.0.1:0",
        "control_socket": server.directory / "rmsd.sock", "log_level": "error",
        # As the others have. Connections are idle here while others are made, and beyond the 14,000th a client may need
        # ten seconds and more for that: its kernel has used every second port then, and tries them all before the rest.
        "keepalive_timeout": "600s", "header_timeout": "60s",
    }
    conf = server.options.pop("conf", HERE.parent / "rmsd.conf")
    options.update(server.options)
    binary = built(server.build, "bench_app") if server.path in SIZES else server.build / "rmsd"
    if server.path in SIZES:
        conf = server.directory / "rmsd.conf"
        conf.write_text("")
    server.processes.start([binary, "-c", conf] + [word for key, value in options.items()
                                                   for word in ("-o", f"{key}={value}")])


def start_floor(server):
    size = ["-b", SIZES[server.path]] if server.path in SIZES else []
    server.processes.start([built(server.build, "floor"), *(["-c"] if server.closes else []), *size, server.port])


def run_nginx(server, conf, directory):
    server.processes.start([program(server.build, "nginx"), "-p", directory, "-c", conf, "-e", "stderr"])


def start_nginx(server):
    write_files(server.directory)
    run_nginx(server, fill("nginx.conf", server.directory, PORT=server.port, WORKERS=WORKERS), server.directory)


def start_haproxy(server):
    server.processes.start([program(server.build, "haproxy"), "-db", "-q", "-f",
                            fill("haproxy.cfg", server.directory, PORT=server.port)], stderr=subprocess.DEVNULL)


def start_h2o(server):
    write_files(server.directory)
    server.processes.start([program(server.build, "h2o"), "-c",
                            fill("h2o.conf", server.directory, PORT=server.port)], stderr=subprocess.DEVNULL)


def start_balancer(server, ports, kept=False):
    apps = "\n\t\t".join(f"server 127.0.0.1:{port};" for port in ports)
    keep = ""
    if kept:
        apps += "\n\t\tkeepalive 1024;"
        keep = 'proxy_http_version 1.1;\n\t\t\tproxy_set_header Connection "";'
    conf = fill("balancer.conf", server.directory, PORT=server.port, APPS=apps, KEPT=keep)
    run_nginx(server, conf, server.directory)


def start_nginx_apps(server):
    ports = [free_port() for _ in range(APPS)]
    for port in ports:
        directory = server.directory / str(port)
        directory.mkdir()
        directory.chmod(0o755)
        write_files(directory)
        run_nginx(server, fill("nginx.conf", directory, PORT=port, WORKERS=1), directory)
    await_ports(server, ports)
    return ports


def start_balanced(server):
    start_balancer(server, start_nginx_apps(server))


def start_balanced_kept(server):
    start_balancer(server, start_nginx_apps(server), kept=True)


def start_flask(server):
    python = flask_python()
    ports = [free_port() for _ in range(APPS)]
    for port in ports:
        server.processes.start([python, HERE / "peers/flaskapp.py", port], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    await_ports(server, ports)
    start_balancer(server, ports)


def await_ports(server, ports):
    """A balancer that finds an app absent leaves it out for ten seconds."""
    deadline = time.monotonic() + 20
    for port in ports:
        while True:
            with contextlib.suppress(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), 5).close()
                break
            server.processes.pids()  # fails once one has ended
            if time.monotonic() > deadline:
                raise RuntimeError(f"nothing listens on {port}")
            time.sleep(0.01)


KINDS = {
    "rmsd": start_rmsd,
    "nginx": start_nginx,
    "haproxy": start_haproxy,
    "h2o": start_h2o,
    "nginx-3nginx": start_balanced,
    "nginx-3nginx-kept": start_balanced_kept,
    "nginx-3flask": start_flask,
    "floor": start_floor,
}

TITLES = {
    "nginx-3nginx": "nginx → 3 nginx", "nginx-3nginx-kept": "nginx → 3 nginx, kept", "nginx-3flask": "nginx → 3 Flask",
}


def title(kind):
    return TITLES.get(kind, kind)


def versions(build, kinds):
    """What each peer says that it is; its absence, where that is so."""
    found = {}
    for kind, name, flag in (("nginx", "nginx", "-v"), ("haproxy", "haproxy", "-v"), ("h2o", "h2o", "-v")):
        if kind in kinds:
            with contextlib.suppress(Missing, OSError):
                run = subprocess.run([program(build, name), flag], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                     text=True, timeout=10)
                found[kind] = run.stdout.strip().splitlines()[0]
    return found
