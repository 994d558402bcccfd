"""Score forecasts of public tables beside plain baselines: coverage, width and 90 % interval score, law by law.

Run: uv run python tests/benchmarks/baselines.py [split compute curves] [--only SOURCE] [-o FILE] [--jobs 2]

`split`: the far target regions that tables mark (farseer 404 -> 7 runs, moe 193 -> 28, data-constrained 161 -> 21, parallel 18 -> 6 of
each of two data sets). `compute`: gemstones, gadre and those tables cut along compute. `curves`: single curves of one input. Each law
is fitted alone, in four ways: `default`, as it ships; `independent`, without its discrepancy; `point`, the point fit, its interval
from 300 bootstrap resamples and the residuals; `conformal`, that point fit with the quantile of its absolute log residuals over runs
ahead of earlier windows of the same rows (rolling origin at 1/2, 5/8, 3/4, 7/8 of them; the largest where they are too few for 90 %).
Width and score are on logarithms, in per cent of the output. moe and parallel put experts and streams where the laws have tokens;
data-constrained counts repeated tokens by what they are worth. Of more than 150 rows evenly spaced ones along compute are fitted.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from public_tables import Case, cases, curves, far_cases, marked, planes

import bayeslaw as bl
from bayeslaw.core.threads import one_blas_thread
from bayeslaw.forecasts.heldout import held_out

SOURCES = ("gemstones", "gadre", "farseer", "data-constrained", "moe", "parallel")
ORIGINS = (0.5, 0.625, 0.75, 0.875)
Ends = tuple[np.ndarray, np.ndarray, np.ndarray]


def split() -> list[Case]:
    """Return the tables cut at their own marks."""
    return list(far_cases(marked()))


def compute() -> list[Case]:
    """Return tables of size and data cut along compute; of gadre's losses the one on C4."""
    return [c for c in cases(planes()) if c.source != "gadre" or c.part.startswith("loss_c4")]


def single() -> list[Case]:
    """Return single curves."""
    return list(cases(curves()))


PARTS = {"split": split, "compute": compute, "curves": single}


def posterior(spec: bl.Spec, case: Case) -> Ends:
    return ends(bl.fit(spec, case.seen, draws=500, tune=600, seed=1, progress=False), case.held)


def point(spec: bl.Spec, case: Case) -> Ends:
    return ends(bl.fit(spec, case.seen, "map", bootstrap=300, seed=1, progress=False), case.held)


def conformal(spec: bl.Spec, case: Case) -> Ends:
    """Widen a point fit by its residuals ahead, at rolling origins of the rows that are seen."""
    middle = at_point(spec, case.seen, case.held)
    order = np.argsort(along(case.seen), kind="stable")
    ahead = []
    for first, last in zip(ORIGINS, [*ORIGINS[1:], 1.0]):
        start, stop = (round(share * len(order)) for share in (first, last))
        if stop > start:
            before, behind = (case.seen.isel(obs=np.sort(order[a:b])) for a, b in ((0, start), (start, stop)))
            missed = np.log(behind[spec.output.name].values) - at_point(spec, before, behind)
            ahead.append(np.abs(missed))
    scores = np.sort(np.concatenate(ahead))
    rank = min(int(np.ceil(0.9 * (len(scores) + 1))), len(scores))
    return middle - scores[rank - 1], middle, middle + scores[rank - 1]


def along(data: xr.Dataset) -> np.ndarray:
    return (data["x"] if "x" in data else data["params"] * data["tokens"]).values


def at_point(spec: bl.Spec, seen: xr.Dataset, held: xr.Dataset) -> np.ndarray:
    """Return the log output of a point fit at other rows."""
    fit = bl.fit(spec, seen, "map", bootstrap=20, seed=1, progress=False)
    values = {n: np.full((1, 1), float(fit.tree["point"][n])) for n in spec.scalar_names}
    columns = {i.name: held[i.column].values.astype(float) for i in spec.inputs.values()}
    return fit.bound.law(values, columns)[0]


def ends(fit: bl.Fit, held: xr.Dataset) -> Ends:
    """Return the ends and the middle of a fit's interval of a run, on logarithms."""
    low, middle, high = np.quantile(np.log(held_out(fit, held, 2000, seed=1).draws), [0.05, 0.5, 0.95], axis=0)  # fmt: skip
    return low, middle, high


WAYS: dict[str, tuple[Callable[[bl.Spec, Case], Ends], bool]] = {
    "default": (posterior, True), "independent": (posterior, False), "point": (point, True), "conformal": (conformal, True),
}  # fmt: skip
"""By name: how an interval is made, and whether of the law with its discrepancy."""


def scored(job: tuple[str, Case]) -> list[dict]:
    """Forecast a case in every way."""
    part, case = job
    found, y = [], np.log(case.held[bl.load_model(case.law).output.name].values)
    for way, (forecast, whole) in WAYS.items():
        spec = bl.load_model(case.law)
        with one_blas_thread():
            low, middle, high = forecast(spec if whole else bl.change(spec, discrepancy=None), case)
        missed = np.maximum(low - y, 0) + np.maximum(y - high, 0)
        found.append({
            "part": part, "source": case.source, "table": case.table, "case": case.part, "law": case.law, "way": way,
            "seen": case.seen.sizes["obs"], "held": len(y), "coverage": 100 * np.mean(missed == 0), "width": 100 * np.mean(high - low),
            "score": 100 * np.mean(high - low + 20 * missed), "error": 100 * np.mean(np.abs(y - middle)),
        })  # fmt: skip
    return found


def main() -> None:
    """Forecast, score, print."""
    asked = argparse.ArgumentParser()
    asked.add_argument("parts", nargs="*", default=list(PARTS))
    asked.add_argument("--only", action="append", choices=SOURCES)
    asked.add_argument("-o", "--output", type=Path)
    asked.add_argument("--jobs", type=int, default=2)
    options = asked.parse_args()
    jobs = [(part, case) for part in options.parts for case in PARTS[part]() if case.source in (options.only or SOURCES)]  # fmt: skip
    found = []
    with ProcessPoolExecutor(options.jobs) as pool:
        for rows in pool.map(scored, jobs):
            found += rows
            told = "  ".join(f"{r['way']} {r['score']:.2f} ({r['coverage']:.0f} %)" for r in rows)
            print(f"{rows[0]['part']:8s} {rows[0]['table']:22s} {rows[0]['law']:14s} {rows[0]['seen']:3d} -> {rows[0]['held']:2d}  {told}  {rows[0]['case']}", flush=True)  # fmt: skip
    frame = pd.DataFrame(found)
    if options.output:
        frame.to_csv(options.output, index=False)
    columns = ["coverage", "width", "score", "error"]
    for by in (["part", "source", "law", "way"], ["part", "law", "way"]):
        groups = frame.groupby(by, sort=False)
        print("\n" + groups[columns].mean().assign(windows=groups.size()).round(2).to_string())


if __name__ == "__main__":
    main()
