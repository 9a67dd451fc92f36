"""targets.py - what rmsd is to show beside the others; no figure here has been measured."""

# load, peer, figure, relation, bound of rmsd's figure divided by the peer's
CPU, RATE, P99 = "cpu_seconds_per_million", "requests_per_second", "p99_ms"
CLOSED = [
    ("c8", "nginx", CPU, "<=", 1.05),
    ("c64", "nginx", CPU, "<=", 0.85),
    ("c1000", "nginx", CPU, "<=", 0.80),
    ("c10000", "nginx", CPU, "<=", 0.85),
    ("close", "nginx", CPU, "<=", 0.70),
    ("c64", "floor", CPU, "<=", 1.10),
    ("c1000", "floor", CPU, "<=", 1.10),
    ("pipelined", "nginx", RATE, ">=", 7),
]
# In every load that both are measured in.
EVERYWHERE = [
    ("haproxy", CPU, "<=", 1.0),
    ("h2o", CPU, "<=", 1.0),
    # Clients and kernel have a share in requests a second that no server can lower; in CPU they have none.
    ("nginx-3nginx", RATE, ">=", 3),
    ("nginx-3nginx", CPU, "<=", 1 / 3),
    ("nginx-3flask", RATE, ">=", 30),
    ("nginx-3flask", CPU, "<=", 1 / 30),
]
RATE_PERCENT = 80           # of capacity: there p99 is not above nginx's,
KILLED_P999_MS = 50         # and with a worker killed and revived this is the most
IDLE_CONNECTIONS = 19000    # without an error,
IDLE_BYTES = 400            # of RSS each
IDLE_RSS_KIB = 4096         # with three workers,
IDLE_CPU_PERCENT = 0.1      # which is no CPU, to what a clock tells
START_MS = 20               # to the first answer
USERS_CPU_PERCENT = 15      # of a core, with Locust's 10,000 users and no failure
LOG_RATIO = 1.10            # CPU of a request with the access log to one without
SYSCALLS = {"c64": 2.2, "close": 7.5}  # a request; of a connection for each


def closed(cells, servers):
    """The rows for the loads and servers that there are."""
    rows = [row for row in CLOSED if row[0] in cells and row[1] in servers]
    for peer, figure, relation, bound in EVERYWHERE:
        if peer in servers:
            rows += [(cell, peer, figure, relation, bound) for cell in cells]
    return rows
