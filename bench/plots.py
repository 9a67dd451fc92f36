"""plots.py - the report's figures as SVG, by gnuplot: its data stand in its script, so a plot can be made again."""
import shutil
import subprocess

from servers import title

HEAD = """set terminal svg size {width},{height} font "sans-serif,13" background "#ffffff" enhanced
set output "{output}"
set title "{title}"
set key outside right top
set grid ytics lc rgb "#dddddd"
set border 3
set tics nomirror
set encoding utf8
"""
COLOURS = ("#0b6e4f", "#d1495b", "#edae49", "#30638e", "#8d6a9f", "#b9b6d3", "#7f7f7f", "#000000")


def plain(text):
    """gnuplot takes _ and ^ as what is to be lower and higher."""
    return text.replace("\\", "").replace("_", "\\\\_").replace('"', "")


def draw(directory, name, script, caption, width=900, height=420):
    """The script is kept beside the picture. False: there is no gnuplot."""
    gnuplot = shutil.which("gnuplot")
    path = directory / f"{name}.gp"
    path.write_text(HEAD.format(width=width, height=height, output=f"{name}.svg", title=plain(caption)) + script)
    if not gnuplot:
        return False
    subprocess.run([gnuplot, path.name], cwd=directory, check=True, timeout=60)
    return True


def block(name, rows):
    return f"${name} << EOD\n" + "".join(" ".join(str(v) for v in row) + "\n" for row in rows) + "EOD\n"


def bars(directory, name, data, figure, caption, label, log=False):
    """A group for each load, a bar for each server, its whiskers from the least round to the most."""
    kinds = [k for k in data["kinds"] if any(k in row for row in data["table"].values())]
    script, plots = "", []
    for i, kind in enumerate(kinds):
        rows = []
        for x, (cell, row) in enumerate(data["table"].items()):
            s = row.get(kind, {}).get(figure)
            if s:
                rows.append((x + (i - len(kinds) / 2 + 0.5) * 0.8 / len(kinds), s["median"], s["min"], s["max"]))
        if not rows:
            continue
        script += block(f"k{i}", rows)
        plots.append(f'$k{i} using 1:2:({0.8 / len(kinds):.3f}) with boxes fs solid lc rgb "{COLOURS[i % 8]}" '
                     f'title "{plain(title(kind))}"')
        plots.append(f'$k{i} using 1:3:(0):($4-$3) with vectors nohead lw 2 lc rgb "#333333" notitle')
    if not plots:
        return False
    tics = ", ".join(f'"{plain(cell)}" {x}' for x, cell in enumerate(data["table"]))
    script += f'set xtics ({tics}) rotate by -20\nset ylabel "{label}"\nset xrange [-0.6:{len(data["table"]) - 0.4}]\n'
    script += "set logscale y\n" if log else "set yrange [0:*]\n"
    return draw(directory, name, script + "plot " + ", ".join(plots) + "\n", caption, width=1100)


def lines(directory, name, curves, caption, xlabel, ylabel, logx=True, logy=False):
    """curves: name -> [(x, median, min, max)]."""
    script, plots = "", []
    for i, (key, rows) in enumerate(curves.items()):
        if not rows:
            continue
        script += block(f"k{i}", rows)
        plots.append(f'$k{i} using 1:3:(0):($4-$3) with vectors nohead lc rgb "{COLOURS[i % 8]}" notitle')
        plots.append(f'$k{i} using 1:2 with linespoints lw 2 pt 7 ps 0.6 lc rgb "{COLOURS[i % 8]}" '
                     f'title "{plain(key)}"')
    if not plots:
        return False
    script += f'set xlabel "{plain(xlabel)}"\nset ylabel "{plain(ylabel)}"\n'
    xs = sorted({row[0] for rows in curves.values() for row in rows})
    if logx:
        script += f"set logscale x\nset xtics ({', '.join(map(str, xs))})\n"
    else:
        script += f"set xrange [{xs[0] - 0.05 * xs[-1]}:{1.05 * xs[-1]}]\n"
    script += "set logscale y\n" if logy else "set yrange [0:*]\n"
    return draw(directory, name, script + "plot " + ", ".join(plots) + "\n", caption)


def points(rows, figure):
    return [(row["x"], row[figure]["median"], row[figure]["min"], row[figure]["max"]) for row in rows
            if row.get(figure)]


def closed(directory, part):
    kinds = list(dict.fromkeys(r["server"] for r in part["results"]))
    data = {"kinds": kinds, "table": part["table"]}
    ours = {"kinds": [k for k in kinds if not k.startswith("nginx-3")], "table": part["table"]}
    ratios = {"kinds": [k for k in kinds if k != "rmsd"], "table": part["ratios"]}
    drawn = [
        bars(directory, "cpu", ours, "cpu_seconds_per_million", "What a million requests cost", "CPU seconds",
             log=True),
        bars(directory, "requests", data, "requests_per_second", "Requests a second", "requests/s", log=True),
        bars(directory, "p99", data, "p99_ms", "Latency, 99th percentile, closed loop", "ms", log=True),
        bars(directory, "ratios", ratios, "cpu_seconds_per_million",
             "CPU of a request: rmsd divided by the other, pair by pair (below 1: rmsd costs less)", "ratio", log=True),
    ]
    return [name for name, done in zip(("cpu", "ratios", "requests", "p99"), (drawn[0], drawn[3], *drawn[1:3])) if done]


def rate(directory, part):
    names = []
    for figure, label in (("p50_us", "p50"), ("p99_us", "p99"), ("p999_us", "p99.9")):
        curves = {}
        for percent, kinds in part["table"].items():
            for kind, row in kinds.items():
                s = row.get(figure)
                if s:
                    curves.setdefault(kind, []).append(
                        (int(percent), s["median"] / 1000, s["min"] / 1000, s["max"] / 1000))
        name = f"rate-{label.replace('.', '')}"
        if lines(directory, name, curves, f"Latency at a constant rate, {label}, from when a request was due",
                 "per cent of capacity", "ms", logx=False, logy=True):
            names.append(name)
    return names


def scale(directory, part):
    names = []
    for key, label in (("connections", "connections"), ("workers", "workers, 512 connections"),
                       ("routes", "routes, 64 connections")):
        rows = part[key]
        if lines(directory, f"scale-{key}", {"CPU s per million": points(rows, "cpu_seconds_per_million")},
                 f"What a million requests cost, by {key}", label, "CPU seconds"):
            names.append(f"scale-{key}")
        memory = {"at work": [(x, m / 1024, a / 1024, b / 1024) for x, m, a, b in points(rows, "rss")],
                  "idle": [(x, m / 1024, a / 1024, b / 1024) for x, m, a, b in points(rows, "rss_idle")]}
        if lines(directory, f"memory-{key}", memory, f"Memory, by {key}", label, "RSS, MiB"):
            names.append(f"memory-{key}")
    idle = {}
    for row in part["idle"]:
        if "failed" not in row:
            value = (row["after"]["rss"]) / 1024
            idle.setdefault(row["server"], []).append((row["x"], value, value, value))
    if lines(directory, "memory-idle", idle, "Memory with idle connections", "connections", "RSS, MiB", logx=False):
        names.append("memory-idle")
    return names


DRAWN = {"closed": closed, "rate": rate, "scale": scale}
