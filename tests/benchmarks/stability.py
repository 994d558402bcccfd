"""Measure stability: the checkpoints' spans for every k, and how often simulated laws are judged rightly.

Run: uv run python tests/benchmarks/stability.py [checkpoints simulated] [--jobs N]

Real tables are read from ../shared/data beside the project.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import pandas as pd
from extrapolation import DATA

import bayeslaw as bl
from bayeslaw.studies.stability.study import unclean

K = (1, 4, 16, 64, 128)
CLAIMS = {"compute": 1.5, "params-tokens": 2.5, "gold-likelihood": 5.0}
"""Orders of magnitude that arXiv:2509.24012 names for each law."""
GOLD = {"join": DATA / "pythia" / "gsm8k_gold_nll.csv", "on": "model"}


def checkpoints(jobs: int = 1) -> None:
    """Spans of three laws on GSM8K, windows every half order of compute."""
    counts = pd.read_csv(DATA / "pythia" / "gsm8k_counts.csv")
    started, failed, fits = time.perf_counter(), 0, 0
    for name, more in (("compute", {}), ("params-tokens", {}), ("gold-likelihood", GOLD)):
        spec = bl.load_model(name)
        for k in K:
            data = bl.read_table(counts, spec, k=k, where="lr_warming_up=0", **more)
            st = bl.stability(spec, data, along="compute", claim=CLAIMS[name], progress=False, jobs=jobs)
            bad = int(unclean(st).sum())
            failed, fits = failed + bad, fits + st.sizes["window"]
            spans = {
                str(p): str(v) for p, v in zip(st["parameter"].values, st["verdict"].values, strict=True)
            }
            print(
                f"{name:16s} k={k:<4d} {data.sizes['obs']:3d} rows, {float(st['orders'].max()):.1f} orders: "
                f"{st.attrs['law_verdict']} | {st.attrs['claim_verdict']} | known {st.attrs['early_orders']:.1f} orders ahead | {bad} not clean | {spans}",
                flush=True,
            )
        told = [c for c in bl.checks(bl.fit(spec, data, progress=False)) if "problem" in c.message]
        print(*(f"   {c.name}: {c.message}" for c in told), sep="\n")
    print(f"{fits} fits, {failed} not clean, {time.perf_counter() - started:.0f} s in all")


CASES = {  # noise, orders below the target at which the exponent doubles, points, floor's share; ladders
    "right": (0.02, None, 40, 0.0, 200),
    "right, with a floor": (0.02, None, 40, 0.3, 200),
    "exponent doubles 2 orders below": (0.02, 2.0, 40, 0.0, 200),
    "noise .15": (0.15, None, 40, 0.0, 40),
    "three points": (0.02, None, 3, 0.0, 10),
}


def simulated(floors: tuple[bool, ...] = (False, True)) -> None:
    """Forty points over five orders; the law is fitted with its floor free, and held at zero."""
    for free in floors:
        spec = bl.load_model("power")
        spec = spec if free else bl.change(spec, fix={"floor": 0.0})
        for name, (noise, turn, points, floor, count) in CASES.items():
            if floor and not free:
                continue
            rng, law, shape, drifts = np.random.default_rng(11), [], [], 0
            for _ in range(count):
                frame = ladder(rng, noise, turn, points, floor)
                st = bl.stability(spec, bl.read_table(frame, spec), along="x", early=False, progress=False)
                law.append(st.attrs["law_orders"])
                shape.append(float(st["stable_orders"].sel(parameter="slope_x")))
                drifts += "drifts" in st.attrs["law_verdict"]
            law, shape = np.array(law), np.array(shape)
            print(
                f"floor {'free' if free else 'held'}, {name:32s}: not resolved {np.isnan(law).mean():.2f}, drift seen "
                f"{drifts / len(law):.3f}, median span of the law {middle(law)}, of the slope {middle(shape)}",
                flush=True,
            )


def middle(spans: np.ndarray) -> str:
    """Return the median of what is resolved, and its central 90 %."""
    seen = spans[np.isfinite(spans)]
    if not len(seen):
        return "none"
    low, half, high = np.quantile(seen, [0.05, 0.5, 0.95])
    return f"{half:.1f} [{low:.1f}, {high:.1f}]"


def ladder(rng, noise: float, turn: float | None, points: int, floor: float) -> pd.DataFrame:
    """Draw a power law over five orders, its exponent 0.15 near the target."""
    x = np.geomspace(1e18, 1e23, 40)[np.linspace(0, 39, points).astype(int)]
    z = np.log(x / 1e23)
    bent = 0.0 if turn is None else 0.15 * np.maximum(-z - turn * np.log(10), 0)
    top = np.exp(-0.15 * np.log(1e5))
    y = floor * top + (1 - floor) * np.exp(-0.15 * (z + np.log(1e5)) + bent)
    return pd.DataFrame({"x": x, "y": 3 * y * np.exp(noise * rng.standard_normal(points))})


PARTS = {f.__name__: f for f in (checkpoints, simulated)}

if __name__ == "__main__":
    parts, _, jobs = " ".join(sys.argv[1:]).partition("--jobs")
    for part in parts.split() or PARTS:
        PARTS[part](**({"jobs": int(jobs)} if jobs and part == "checkpoints" else {}))
