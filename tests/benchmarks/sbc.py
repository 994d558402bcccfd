"""Simulation-based calibration: worlds drawn from a law's own priors and discrepancy, inferred by default.

Run: uv run python tests/benchmarks/sbc.py [--law power ...] [--way plain errors counts] [--number 200] [--seed 1]

Each replicate draws parameters, a curve around the law (its local part, and its slope that wanders from the data's middle on) and 25
to 30 rows, fits them, and takes the rank of each true parameter in the posterior and of a run one and two orders beyond in its
forecast. If the inference is right all ranks are uniform. Ways: `plain`; `errors`, known sampling errors from .4 to .01 of the output,
run noise beside them; `counts`, binomial counts of 1,000 samples, of pass@k from compute. Prints a line a rank: p-value of
uniformity (Kolmogorov-Smirnov) and mean rank (.5); of runs how many lie inside 90 %, with the range that chance leaves right intervals
nine times in ten. False alarms: of right ranks one in a hundred has p < .01, and with so many ranks the line `all` says how likely
right inference is to have a smallest p as small as found.
"""

from __future__ import annotations

import argparse
import json
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import binom, kstest

import bayeslaw as bl
from bayeslaw.assess.convergence import sampler_checks
from bayeslaw.core.threads import one_blas_thread
from bayeslaw.forecasts.heldout import held_out
from bayeslaw.law.priors import draw_priors
from bayeslaw.observation.bound import BoundLaw, bind
from bayeslaw.observation.discrepancy_places import AROUND, places

ONE = np.append(np.geomspace(1e3, 1e6, 25), [1e7, 1e8])
GOLD = np.append(np.geomspace(1e4, 10, 25), [1.0, 0.1])
SIZE, DATA = (g.ravel() for g in np.meshgrid(np.geomspace(1e7, 1e9, 6), np.geomspace(1e9, 1e11, 5)))
PLANE = {"params": np.append(SIZE, [1e9 * 10**0.5, 1e10]), "tokens": np.append(DATA, [1e11 * 10**0.5, 1e12])}
INPUTS = {
    "power": {"x": ONE}, "broken-power": {"x": ONE}, "sigmoid-power": {"x": ONE}, "compute": {"compute": 1e15 * ONE},
    "gold-likelihood": {"gold_nll": GOLD}, "chinchilla": PLANE, "coupled": PLANE, "params-tokens": PLANE,
}  # fmt: skip
"""By law: where the rows lie; the last two are forecast."""
WAYS = ("plain", "errors", "counts")
SAMPLES = 1000
_COARSE = 50
"""Draws of fewer values lie on a grid."""
SETTINGS = {"draws": 500, "tune": 600, "progress": False}


def law_of(name: str, way: str) -> bl.Spec:
    law = bl.load_model(name)
    return bl.change(law, likelihood={"family": "Binomial"}) if way == "counts" else law


def simulated(name: str, way: str, seed: int) -> tuple[bl.Spec, dict[str, float], xr.Dataset, xr.Dataset]:
    """Draw a world; return the law, its true parameters, and the rows that are seen and that are forecast.

    Parameters
    ----------
    name, way : str
        A key of `INPUTS`, one of `WAYS`.
    seed : int

    Returns
    -------
    spec, truth, seen, held
    """
    spec, rng = law_of(name, way), np.random.default_rng(seed)
    columns = INPUTS[name]
    size = len(next(iter(columns.values())))
    seen = slice(0, size - 2)
    blank = _table(spec, columns, np.ones(size), np.zeros(size), np.ones(size, int))
    frozen = bl.resolve(spec, blank.isel(obs=seen))
    truth = {n: float(v[0]) for n, v in draw_priors(frozen, 1, rng).items()}
    bound = bind(frozen, blank)
    error = np.zeros(size)
    if way == "errors":
        error[seen] = np.geomspace(0.4, 0.01, size - 2)
    z = drawn(bound, truth, error, seen, rng)
    n = rng.binomial(SAMPLES, np.exp(-np.exp(np.minimum(z, 50)))) if way == "counts" else np.ones(size, int)
    data = _table(spec, columns, np.exp(z), error * np.exp(z), n)
    return spec, truth, data.isel(obs=seen), data.isel(obs=slice(size - 2, None))


def _table(
    spec: bl.Spec, columns: dict[str, np.ndarray], y: np.ndarray, error: np.ndarray, c: np.ndarray
) -> xr.Dataset:
    """Return rows as `read_table` does; what is drawn from a prior need not look like a table."""
    own = {n: ("obs", v) for n, v in columns.items()} | {spec.output.name: ("obs", y), "sampling_error": ("obs", error)}  # fmt: skip
    if spec.family == "Binomial":
        own |= {"n": ("obs", np.full(len(y), SAMPLES)), "c": ("obs", c)}
        own[spec.output.name] = "obs", -np.log(np.clip(c, 0.5, SAMPLES - 0.5) / SAMPLES)
    return xr.Dataset(own, {"obs": np.arange(len(y))}, attrs={"checks": "[]"})


def drawn(
    bound: BoundLaw, truth: dict[str, float], error: np.ndarray, seen: slice, rng: np.random.Generator
) -> np.ndarray:
    """Draw runs around a law with its discrepancy, on the scale of errors; of counts, their rates."""
    values = {n: np.full((1, 1), v) for n, v in truth.items()}
    spec, rows = bound.spec, bound.rows
    place = places(spec, rows)
    centre = place[seen].mean(axis=0)
    told = json.dumps({"centre": centre.tolist(), "gradient": gradient(bound, values, centre).tolist()})
    without = {n: v for n, v in rows.columns.items() if n not in ("n", "c")}
    rows = replace(rows, attrs={**rows.attrs, AROUND: told}, error=error, columns=without)
    observed = bound.observation.unconditioned(values)
    return observed.predict(bound.law(values), rows, rng, together=True)["run"][0]


def gradient(
    bound: BoundLaw, values: dict[str, np.ndarray], centre: np.ndarray, step: float = 1e-4
) -> np.ndarray:
    """Return how steeply a law falls at a place, by each input in e-folds."""
    over = bound.spec.discrepancy.over
    references = np.array([bound.spec.inputs[n].reference for n in over])
    out = []
    for i in range(len(over)):
        ends = references * np.exp(centre + step * np.array([[-1.0], [1.0]]) * np.eye(len(over))[i])
        low, high = bound.law(values, {**bound.rows.columns, **dict(zip(over, ends.T))})[0][:2]
        out.append((high - low) / (2 * step))
    return np.array(out)


def ranks(job: tuple[str, str, int]) -> dict[str, float | str]:
    """Draw a world, infer it, and return the rank of each truth."""
    name, way, seed = job
    spec, truth, seen, held = simulated(name, way, seed)
    out: dict[str, float | str] = {"law": name, "way": way, "seed": seed, "failed": ""}
    started = time.perf_counter()
    with one_blas_thread():
        try:
            fit = bl.fit(spec, seen, seed=seed, **SETTINGS)
        except bl.InputError as error:
            return out | {"refused": str(error)[:90]}
        out["failed"] = ",".join(c.name for c in sampler_checks(fit) if c.level == "fail")
        ahead = held_out(fit, held, 2000, seed=seed)
    rng = np.random.default_rng(seed)
    for n, v in truth.items():
        if n in fit.draws:
            out[n] = _rank(fit.draws[n].values.ravel(), v, rng)
    out |= {f"run +{i + 1}": _rank(ahead.draws[:, i], ahead.observed[i], rng) for i in (0, 1)}
    return out | {"seconds": time.perf_counter() - started}


def _rank(draws: np.ndarray, value: float, rng: np.random.Generator) -> float:
    """Return the share of draws below a value; ties fall either way.

    Counts have ties, and a length that is marginalised on a grid: there the truth is its next point of the grid.
    """
    grid = np.unique(draws)
    if len(grid) < _COARSE and (grid > 0).all() and value > 0:
        value = grid[np.abs(np.log(grid / value)).argmin()]
    return float((draws < value).mean() + rng.random() * (draws == value).mean())


def uniformity(found: pd.DataFrame) -> pd.DataFrame:
    """Judge ranks: p-values, mean ranks, how often a run lies inside.

    Parameters
    ----------
    found : pandas.DataFrame
        A row of `ranks` a replicate, of one law.

    Returns
    -------
    pandas.DataFrame
    """
    kept = found.drop(columns=["law", "way", "seed", "failed", "seconds", "refused"], errors="ignore")
    rows = []
    for name in kept.columns[kept.notna().any()]:
        values = kept[name].dropna().to_numpy()
        row = {"rank of": name, "p": kstest(values, "uniform").pvalue, "mean": values.mean()}
        if name.startswith("run"):
            row["inside 90 %"] = np.mean((values >= 0.05) & (values <= 0.95))
        rows.append(row)
    return pd.DataFrame(rows)


def main() -> None:
    """Draw, infer, print."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--law", action="append", choices=list(INPUTS))
    asked.add_argument("--way", action="append", choices=list(WAYS))
    asked.add_argument("--number", type=int, default=200)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--jobs", type=int, default=2)
    options = asked.parse_args()
    smallest, tests = 1.0, 0
    with ProcessPoolExecutor(options.jobs) as pool:
        for name in options.law or INPUTS:
            for way in options.way or WAYS:
                if way == "counts" and name != "compute":
                    continue
                jobs = [(name, way, options.seed + i) for i in range(options.number)]
                found = pd.DataFrame(list(pool.map(ranks, jobs, chunksize=4)))
                table = uniformity(found)
                smallest, tests = min(smallest, table["p"].min()), tests + len(table)
                low, high = binom.interval(0.9, options.number, 0.9)
                refused = int(found["refused"].notna().sum()) if "refused" in found else 0
                print(f"{name}, {way}: {len(found)} replicates, {refused} refused, {int((found['failed'] != '').sum())} failed a check, "
                      f"{found['seconds'].mean():.1f} s each; right runs inside {low / options.number:.2f} to {high / options.number:.2f}")  # fmt: skip
                print(table.round(3).to_string(index=False, na_rep=""), flush=True)
    print(f"all: {tests} ranks, smallest p {smallest:.2g}; right inference has one as small in {100 * (1 - (1 - smallest) ** tests):.0f} % of such runs")  # fmt: skip


if __name__ == "__main__":
    main()
