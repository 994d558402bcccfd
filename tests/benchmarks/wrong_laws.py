"""Forecast worlds whose law is right or wrong, with the power law: coverage, width and interval score by distance.

Run: uv run python tests/benchmarks/wrong_laws.py [--seed 0] [--number 100] [--world power ...] [-o FILE]

A world is a curve of 25 rows over three orders with 2 % noise, and its runs one and two orders beyond. `power` is fitted by default,
with a discrepancy that is local alone (`before`: size .15 to 8 in run noise) and with independent errors. Prints by
world, distance and way: how many runs lie inside the 90 % interval, width and interval score on logarithms (.1 is about 10 %), width
and score over those of `before`, the median's error; of the forecasts that miss, how many come with a warning; and fits that fail a
check. World number i has seed i: take others than those that something was tuned on.

power: a power law with a floor. logarithmic: a power law times a power of the logarithm. broken: its exponent doubles or halves within
half an order of the data's edge. sigmoid: a logistic curve in log x, its middle in the last order of the data or just beyond.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

import bayeslaw as bl
from bayeslaw.core.threads import one_blas_thread
from bayeslaw.forecasts.heldout import held_out

SEEN, BEYOND, NOISE = np.geomspace(1e18, 1e21, 25), np.array([1e22, 1e23]), 0.02
BEFORE = (0.15, 8)
Curve = Callable[[np.ndarray], np.ndarray]


def right(rng: np.random.Generator, alpha: float, floor: float) -> Curve:
    return lambda t: floor + (1 - floor) * np.exp(-alpha * t)


def logarithmic(rng: np.random.Generator, alpha: float, floor: float) -> Curve:
    c, p = rng.uniform(0.1, 0.4), rng.choice([-1.0, 1.5])
    return lambda t: floor / 2 + (1 - floor / 2) * np.exp(-alpha * t) * (1 + c * t) ** p


def broken(rng: np.random.Generator, alpha: float, floor: float) -> Curve:
    ratio, at, floor = rng.choice([0.5, 2.0]), e_folds(10 ** rng.uniform(20.5, 21.5)), rng.uniform(0, 0.2)
    bend = (ratio - 1) * alpha / 2
    return lambda t: floor + (1 - floor) * np.exp(-alpha * t - bend * np.logaddexp(0, 2 * (t - at)))


def sigmoid(rng: np.random.Generator, alpha: float, floor: float) -> Curve:
    middle, width, floor = e_folds(10 ** rng.uniform(20, 21.5)), rng.uniform(1, 2), rng.uniform(0.02, 0.3)
    return lambda t: floor + (1 - floor) / (1 + np.exp((t - middle) / width))


WORLDS = {"power": right, "logarithmic": logarithmic, "broken": broken, "sigmoid": sigmoid}


def e_folds(x):
    return np.log(x / SEEN[0])


def ways() -> dict[str, bl.Spec]:
    """Return how the law is fitted."""
    law = bl.load_model("power")
    scale = law.document["discrepancy"]["scale"] | {"prior_90": list(BEFORE)}
    return {
        "default": law,
        "before": bl.change(law, discrepancy={"scale": scale, "slope": None}),
        "independent": bl.change(law, discrepancy=None),
    }


def judged(job: tuple[str, int]) -> list[dict]:
    """Draw a world, fit it each way, score both runs beyond."""
    name, seed = job
    rng = np.random.default_rng(seed)
    alpha, floor, level = rng.uniform(0.1, 0.3), rng.uniform(0, 0.5), rng.uniform(0.5, 3)
    curve = WORLDS[name](rng, alpha, floor)
    seen, held = (
        pd.DataFrame({"x": x, "y": level * curve(e_folds(x)) * np.exp(NOISE * rng.standard_normal(len(x)))})
        for x in (SEEN, BEYOND)
    )
    found = []
    for way, spec in ways().items():
        with one_blas_thread():
            started = time.perf_counter()
            fit = bl.fit(spec, bl.read_table(seen, spec), draws=500, tune=600, seed=seed, progress=False)
            seconds = time.perf_counter() - started
            checks = bl.checks(fit)
            draws = np.log(held_out(fit, bl.read_table(held, spec), 2000, seed=seed).draws)
        levels = {level: ",".join(c.name for c in checks if c.level == level) for level in ("warn", "fail")}
        for low, middle, high, y, orders in zip(
            *np.quantile(draws, [0.05, 0.5, 0.95], axis=0), np.log(held["y"]), (1, 2)
        ):
            missed = max(low - y, y - high, 0)
            found.append({"world": name, "seed": seed, "way": way, "orders": orders, "inside": missed == 0, "width": high - low,
                          "score": high - low + 20 * missed, "error": abs(y - middle), "seconds": seconds, **levels})  # fmt: skip
    return found


def told(found: pd.DataFrame) -> pd.DataFrame:
    """Return the table that is printed."""
    rows = []
    for (world, orders, way), own in found.groupby(["world", "orders", "way"], sort=False):
        before = found.query("world == @world and orders == @orders and way == 'before'")
        missed = own[~own["inside"]]
        rows.append({
            "world": world, "orders": orders, "way": way, "inside": own["inside"].mean(), "width": own["width"].mean(),
            "score": own["score"].mean(), "width / before": own["width"].mean() / before["width"].mean(),
            "score / before": own["score"].mean() / before["score"].mean(), "error": own["error"].mean(),
            "missed": len(missed), "missed, warned": int((missed["warn"] != "").sum()),
            "failed": (own["fail"] != "").mean(), "seconds": own["seconds"].mean(),
        })  # fmt: skip
    return pd.DataFrame(rows).sort_values(["world", "orders"], kind="stable").round(3)


def main() -> None:
    """Draw, fit, print."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--number", type=int, default=100)
    asked.add_argument("--world", action="append", choices=list(WORLDS))
    asked.add_argument("-o", "--output", type=Path)
    asked.add_argument("--jobs", type=int, default=2)
    options = asked.parse_args()
    jobs = [(name, options.seed + i) for name in options.world or WORLDS for i in range(options.number)]
    with ProcessPoolExecutor(options.jobs) as pool:
        found = pd.DataFrame([row for rows in pool.map(judged, jobs, chunksize=4) for row in rows])
    if options.output:
        found.to_csv(options.output, index=False)
    print(told(found).to_string(index=False))
    bent = found.query("world in ('broken', 'sigmoid')").groupby("way")["inside"].mean()
    print("inside, broken and sigmoid, both distances:", bent.round(3).to_dict())
    warned = found.groupby(["world", "seed", "way"])["warn"].first().ne("").groupby(["world", "way"]).mean()
    print("fits with a warning:", warned.unstack().round(2).to_string(), sep="\n")


if __name__ == "__main__":
    main()
