"""report.py - Markdown of all parts that have been measured, each from its JSON, with what it was measured on."""
import json

import plots
import targets
from figures import judge, width, NOISY_SPREAD
from servers import title

PARTS = ("closed", "rate", "locust", "scale", "log")
NAMES = {"requests_per_second": "requests/s", "cpu_seconds_per_million": "CPU s per million", "p99_ms": "p99"}


def number(value, digits=2):
    return "–" if value is None else f"{value:,.{digits}f}"


def three(s, digits=2):
    if s is None:
        return "–"
    if s["n"] == 1:
        return number(s["median"], digits)
    return f"{number(s['min'], digits)} / **{number(s['median'], digits)}** / {number(s['max'], digits)}"


def middle(s, digits=2):
    return "–" if s is None else number(s["median"], digits)


def table(head, rows):
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)] + \
        ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows] + [""]


def measured_on(part, rounds=True):
    m = part["machine"]
    length = f" Rounds: {part['rounds']}, of {part['seconds']} s." if rounds else ""
    return [f"{m['date']}, commit {m['commit']}, {m['processor']}, {m['processors']} processors, "
            f"{m['memory_mib']:,} MiB, Linux {m['kernel']}; load average {m['load_average']:.1f} before. "
            f"Load generators run on the same processors.{length}", ""]


def noise_line(noise):
    return (f"others used {noise['others_share'] * 100:.1f} % of the machine, the hypervisor took "
            f"{noise['steal_share'] * 100:.1f} %")


def pictures(names):
    return [line for name in names for line in (f"![{name}]({name}.svg)", "")]


def closed_part(part, names):
    lines = ["## Closed loop", "", *measured_on(part)]
    if part["peers"]:
        lines += ["; ".join(f"{kind}: {text}" for kind, text in part["peers"].items()) + ".", ""]
    for kind, why in part["missing"].items():
        lines += [f"**{kind} is missing here: {why}.**", ""]
    lines += ["min / **median** / max of the rounds. CPU: all threads and processes of a server, the opening of its "
              "connections included. "
              "Memory in KiB: RSS, which counts for each process what processes share, and PSS, which does "
              "not. System calls are of a second of their own.", ""]
    if any(cell in part["table"] for cell in ("4k", "64k", "1m")):
        lines += ["rmsd serves no files: of 4 KiB, 64 KiB and 1 MiB its figures are an app's that replies with "
                  "bytes it has in memory for good (rms_reply_static()), "
                  "beside files that nginx sends by sendfile and h2o from its cache.", ""]
    lines += pictures(names)
    for cell, kinds in part["table"].items():
        lines += [f"### {part['titles'][cell]}", ""]
        noise = part["noise"][cell]
        wide = [title(kind) for kind, r in part["ratios"].get(cell, {}).items()
                if r["cpu_seconds_per_million"] and width(r["cpu_seconds_per_million"]) > NOISY_SPREAD]
        lines += [("**The machine was disturbed: " if noise["disturbed"] else "Noise: ") + noise_line(noise) +
                  ("**" if noise["disturbed"] else "") +
                  (f"; the ratios against {', '.join(wide)} spread so widely that they decide little" if wide else "") +
                  ".", ""]
        lines += table(("server", "requests/s", "CPU s per million", "p50 ms", "p99 ms", "p99.9 ms", "errors",
                        "switches", "system calls", "idle RSS (PSS)", "at work RSS (PSS)"),
                       [closed_row(kind, row) for kind, row in kinds.items()])
        if part["ratios"].get(cell):
            lines += table(("rmsd divided by", "requests/s", "CPU s per million", "p99"),
                           [(title(kind), *(three(r[f]) for f in NAMES)) for kind, r in part["ratios"][cell].items()])
    return lines


def closed_row(kind, row):
    errors = ", ".join(f"{n:,} {what}" for what, n in row["errors"].items() if n)
    if row["failed"]:
        errors = "; ".join([errors] * bool(errors) + [f"**{why}**" for why in sorted(set(row["failed"]))])
    return (title(kind), three(row["requests_per_second"], 0), three(row["cpu_seconds_per_million"]),
            middle(row["p50_ms"]), middle(row["p99_ms"]), middle(row["p999_ms"]), errors or 0,
            middle(row["switches_per_request"], 3), middle(row["syscalls_per_request"]),
            f"{middle(row['rss_idle'], 0)} ({middle(row['pss_idle'], 0)})",
            f"{middle(row['rss_load'], 0)} ({middle(row['pss_load'], 0)})")


def rate_part(part, names):
    lines = ["## Constant rate", "", *measured_on(part),
             f"{part['connections']} connections; times from when a request was due, whatever those before it took. "
             "The rates are per cents of what the slower server could answer with this client a moment before.", "",
             "Capacity, requests/s: " +
             "; ".join(f"{title(kind)} {three(s, 0)}" for kind, s in part["capacity"].items()) + ".",
             "", ("**The machine was disturbed**: " if part["noise"]["disturbed"] else "Noise: ") +
             noise_line(part["noise"]) + ".", "", *pictures(names)]
    rows = []
    for percent, kinds in part["table"].items():
        for kind, row in kinds.items():
            rows.append((f"{percent} %", kind, middle(row["rate"], 0),
                         *(three(in_ms(row[f])) for f in ("p50_us", "p99_us", "p999_us", "worst_us")),
                         middle(row["failed"], 0) if row["failed"]["max"] == 0 else three(row["failed"], 0),
                         middle(in_ms(row["late_us"]))))
    return lines + table(("of capacity", "server", "requests/s", "p50 ms", "p99 ms", "p99.9 ms", "worst ms", "failed",
                          "client late, most, ms"), rows)


def in_ms(s):
    return s and {key: value if key == "n" else value / 1000 for key, value in s.items()}


def locust_part(part, _):
    if "missing" in part:
        return ["## Locust", "", f"Not run: {part['missing']['locust']}.", ""]
    return ["## Locust", "", *measured_on(part, rounds=False),
            f"{part['users']:,} users, {part['spawn_rate']} more each second, each asking every 1 to 5 seconds. Locust "
            "is the limit: one thread of Python, whose own queueing is in the latency.", "",
            *table(("requests", "failures", "requests/s", "p50 ms", "p99 ms", "rmsd, % of a core", "at most",
                    "rmsd RSS KiB"),
                   [(f"{part['requests']:,}", part["failures"], number(part["requests_per_second"], 0),
                     number(part["p50_ms"], 0), number(part["p99_ms"], 0), number(part["rmsd_cpu_percent"], 1),
                     number(part["rmsd_cpu_percent_most"], 1), f"{part['rmsd_memory']['rss']:,}")])]


def scale_part(part, names):
    rest, start = part["rest"], part["start"]["spread"]
    lines = ["## Scale", "", *measured_on(part),
             ("**The machine was disturbed**: " if part["noise"]["disturbed"] else "Noise: ") +
             noise_line(part["noise"]) + ".", "",
             f"At rest, {rest['workers']} workers: {rest['cpu_percent']:.3f} % of a processor, "
             f"{rest['switches_per_second']:.1f} context switches a second, RSS {rest['memory']['rss']:,} KiB (PSS "
             f"{rest['memory']['pss']:,}), {rest['threads']} threads. Start to first answer: {three(start, 1)} ms of "
             f"{start['n']} starts.", "",
             "; ".join(f"{name}: {row['bytes']:,} bytes" +
                       (f", {row['stripped']:,} stripped" if "stripped" in row else "")
                       for name, row in part["binaries"].items()) + ".", "", *pictures(names)]
    for key, head in (("connections", "connections"), ("workers", "workers (512 connections)"),
                      ("routes", "routes (64 connections)")):
        lines += table((head, "CPU s per million", "requests/s", "p99 ms", "errors", "RSS KiB"),
                       [(f"{r['x']:,}", three(r["cpu_seconds_per_million"]), three(r["requests_per_second"], 0),
                         middle(r["p99_ms"]), r["errors"], middle(r["rss"], 0)) for r in part[key]])
    rows = []
    for row in part["idle"]:
        if "failed" in row:
            rows.append((row["server"], f"{row['x']:,}", f"**{row['failed']}**", "", "", ""))
        else:
            rows.append((row["server"], f"{row['x']:,}", row["lost"], f"{row['after']['rss']:,}",
                         number(row["bytes_each"], 0), number(row["pss_bytes_each"], 0)))
    head = ("server", "idle connections", "lost", "RSS KiB", "bytes each (RSS)", "bytes each (PSS)")
    return lines + table(head, rows)


def log_part(part, _):
    rows = [(form, three(row["cpu_seconds_per_million"]), "" if form == "off" else three(row["cpu_ratio"]),
             middle(row["p99_ms"]), row["errors"], row["missing"]) for form, row in part["table"].items()]
    return ["## Access log", "", *measured_on(part),
            f"{part['rate']:,} requests/s on {part['connections']} connections, the log in a file of the directory for "
            "what is temporary. CPU: of all threads, the writing one too, until all is written.", "",
            ("**The machine was disturbed**: " if part["noise"]["disturbed"] else "Noise: ") +
            noise_line(part["noise"]) + ".", "",
            *table(("access log", "CPU s per million", "divided by off's", "p99 ms", "failed", "lines missing"), rows)]


def one(value):
    return {"min": value, "median": value, "max": value, "n": 1}


def must_closed(part):
    rows = []
    kinds = {kind for row in part["table"].values() for kind in row}
    for cell, peer, figure, relation, bound in targets.closed(part["table"], kinds):
        ratio = part["ratios"].get(cell, {}).get(peer, {}).get(figure)
        if ratio:
            rows.append((part["titles"][cell], f"{NAMES[figure]}, divided by {title(peer)}'s",
                         f"{relation} {bound:.3g}", three(ratio),
                         judge(ratio, relation, bound, part["noise"][cell])))
    for cell, bound in targets.SYSCALLS.items():
        calls = part["table"].get(cell, {}).get("rmsd", {}).get("syscalls_per_request")
        if calls:
            rows.append((part["titles"][cell], "system calls a request", f"<= {bound}", three(calls),
                         judge(calls, "<=", bound)))
    return rows


def must_rate(part):
    rows = []
    percent = str(targets.RATE_PERCENT)
    ratio = part["p99_against"].get(percent, {}).get("nginx")
    if ratio:
        rows.append((f"{percent} % of capacity", "p99 divided by nginx's", "<= 1", three(ratio),
                     judge(ratio, "<=", 1, part["noise"])))
    killed = part["table"].get(percent, {}).get("rmsd, a worker killed")
    if killed:
        limit = targets.KILLED_P999_MS
        rows.append(("a worker killed and revived", "p99.9 ms", f"<= {limit}", three(in_ms(killed["p999_us"])),
                     judge(in_ms(killed["p999_us"]), "<=", limit, part["noise"])))
        rows.append(("a worker killed and revived", "failed requests", "<= 0", three(killed["failed"], 0),
                     judge(killed["failed"], "<=", 0)))
    return rows


def must_scale(part):
    rest, start = part["rest"], part["start"]["spread"]
    rows = [("at rest", "RSS KiB", f"<= {targets.IDLE_RSS_KIB}", f"{rest['memory']['rss']:,}",
             judge(one(rest["memory"]["rss"]), "<=", targets.IDLE_RSS_KIB)),
            ("at rest", "% of a processor", f"<= {targets.IDLE_CPU_PERCENT}", f"{rest['cpu_percent']:.3f}",
             judge(one(rest["cpu_percent"]), "<=", targets.IDLE_CPU_PERCENT)),
            ("start", "first answer, ms", f"<= {targets.START_MS}", three(start, 1),
             judge(start, "<=", targets.START_MS, part["noise"]))]
    for row in part["idle"]:
        if row["server"] == "rmsd" and row["x"] == targets.IDLE_CONNECTIONS:
            each = one(row["bytes_each"]) if "failed" not in row else None
            rows.append((f"{row['x']:,} idle connections", "bytes of RSS each", f"<= {targets.IDLE_BYTES}",
                         three(each, 0) if each else row["failed"], judge(each, "<=", targets.IDLE_BYTES)))
            if each:
                rows.append((f"{row['x']:,} idle connections", "lost", "<= 0", row["lost"],
                             judge(one(row["lost"]), "<=", 0)))
    for row in part["connections"]:
        if row["x"] == targets.IDLE_CONNECTIONS:
            errors = one(row["errors"]) if row["requests"] else None
            rows.append((f"{row['x']:,} connections", f"errors of {row['requests']:,} requests", "<= 0", row["errors"],
                         judge(errors, "<=", 0, part["noise"])))
    return rows


def must_locust(part):
    if "missing" in part:
        return []

    users = f"Locust, {part['users']:,} users"
    return [(users, "failures", "<= 0", part["failures"], judge(one(part["failures"]), "<=", 0)),
            (users, "rmsd, % of a core", f"<= {targets.USERS_CPU_PERCENT}", number(part["rmsd_cpu_percent"], 1),
             judge(one(part["rmsd_cpu_percent"]), "<=", targets.USERS_CPU_PERCENT))]


def must_log(part):
    rows = []
    for form, row in part["table"].items():
        if form != "off" and row["cpu_ratio"]:
            rows.append((f"access log, {form}", "CPU of a request, divided by that without", f"<= {targets.LOG_RATIO}",
                         three(row["cpu_ratio"]), judge(row["cpu_ratio"], "<=", targets.LOG_RATIO, part["noise"])))
            rows.append((f"access log, {form}", "lines missing", "<= 0", row["missing"],
                         judge(one(row["missing"]), "<=", 0)))
    return rows


MUST = {"closed": must_closed, "rate": must_rate, "locust": must_locust, "scale": must_scale, "log": must_log}
WRITTEN = {"closed": closed_part, "rate": rate_part, "locust": locust_part, "scale": scale_part,
           "log": log_part}


def write(directory):
    """From the parts' JSON that the directory has. The report's path, or None if there is none."""
    parts = {name: json.loads((directory / f"{name}.json").read_text()) for name in PARTS
             if (directory / f"{name}.json").exists()}
    if not parts:
        return None
    lines = ["# Performance", "", "Made by `./dev bench`, which measures all of it again.", "", "## What must show", ""]
    rows = [row for name, part in parts.items() for row in MUST[name](part)]
    lines += table(("where", "what", "bound", "measured", "verdict"), rows)
    for name, part in parts.items():
        names = plots.DRAWN[name](directory, part) if name in plots.DRAWN else []
        lines += WRITTEN[name](part, names)
    path = directory / "report.md"
    path.write_text("\n".join(lines))
    (directory / "report.json").write_text(json.dumps(parts, indent=1) + "\n")
    return path
