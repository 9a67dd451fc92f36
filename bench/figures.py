"""figures.py - from rounds to what may be said: spreads, ratios pair by pair, and whether they decide anything."""
import statistics

NOISY_SPREAD = 0.25     # (max - min) / median of a ratio's rounds
DISTURBED_SHARE = 0.05  # of the machine's time, gone to others


def spread(values):
    """None where a round has no such figure."""
    values = [v for v in values if v is not None]
    if not values:
        return None
    return {"min": min(values), "median": statistics.median(values), "max": max(values), "n": len(values)}


def width(s):
    return (s["max"] - s["min"]) / s["median"] if s["median"] else 0.0


def series(results, cell, server, figure):
    """By round."""
    return {r["round"]: r[figure] for r in results
            if r["cell"] == cell and r["server"] == server and r.get(figure) is not None}


def ratios(results, cell, figure, one, other):
    """one's figure divided by other's of the same round: what slowed the machine for a minute slowed both."""
    a, b = series(results, cell, one, figure), series(results, cell, other, figure)
    return spread([a[n] / b[n] for n in sorted(a) if b.get(n)])


def disturbance(results):
    """The medians over some measurements, and whether they say that the machine was not ours."""
    shares = {key: statistics.median(r[key] for r in results) for key in ("others_share", "steal_share")} if results \
        else {"others_share": 0.0, "steal_share": 0.0}
    return {**shares, "disturbed": max(shares.values()) > DISTURBED_SHARE}


def judge(ratio, relation, bound, noise=None):
    """A ratio against a bound: by its median; undecided where its rounds lie on both sides and far apart.

    noise: of the measurements it comes from. What a disturbed machine says is told with that doubt.
    """
    if ratio is None:
        return "not measured"
    if noise and noise["disturbed"]:
        return judge(ratio, relation, bound) + ", but the machine was disturbed"
    holds = [value <= bound if relation == "<=" else value >= bound
             for value in (ratio["min"], ratio["median"], ratio["max"])]
    if holds[0] != holds[2] and width(ratio) > NOISY_SPREAD:
        return "too noisy to conclude"
    if holds[0] == holds[2]:
        return "holds" if holds[1] else "**does not hold**"
    return "holds by the median" if holds[1] else "**does not hold** by the median"
