"""Hold the machine's posteriors against PyMC's: means and sds of every parameter, in Monte Carlo errors.

Run: uv run python tests/benchmarks/posteriors.py [compute params_tokens gold chinchilla power annealing counts] [--by pymc fallback] [--seed 0]

Each part fits a shipped law to a public table, with its discrepancy and with independent errors, by the machine and
by `pymc` (the model of `pymc_model`, sampled by ``pm.sample``) or the `fallback` (nutpie on what PyMC compiles). Positive
parameters are compared by their logarithms, for some have no sd. Of honest z-scores one in 370 is beyond three. Real tables are read
from ../shared/data beside the project.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import arviz as az
import numpy as np
import pandas as pd
import xarray as xr
from extrapolation import DATA
from failures import GOLD, SHAPES, both, humaneval

import bayeslaw as bl
from bayeslaw.inference import nuts

sys.path.insert(0, str(Path(__file__).parents[1]))
from conftest import PUBLISHED_SCHEDULES

Case = tuple[str, bl.Spec, xr.Dataset]
SETTINGS = {"draws": 2000, "tune": 1500, "chains": 4, "progress": False}


def _gsm8k(law: str, **more: object) -> Iterator[Case]:
    spec = bl.load_model(law)
    counts = pd.read_csv(DATA / "pythia" / "gsm8k_counts.csv")
    yield from both(law, spec, bl.read_table(counts, spec, k=1, where="lr_warming_up=0", **more))


def compute() -> Iterator[Case]:
    """GSM8K of the checkpoints."""
    yield from _gsm8k("compute")


def params_tokens() -> Iterator[Case]:
    """The same in parameters and tokens."""
    yield from _gsm8k("params-tokens")


def gold() -> Iterator[Case]:
    """Nine checkpoints."""
    yield from _gsm8k("gold-likelihood", **GOLD)


def chinchilla() -> Iterator[Case]:
    """The runs up to 3e20 FLOP."""
    spec, runs = bl.load_model("chinchilla"), pd.read_csv(DATA / "chinchilla" / "runs.csv").iloc[5:]
    yield from both(
        "chinchilla", spec, bl.read_table(runs[6 * runs["params"] * runs["tokens"] <= 3e20], spec)
    )


def power() -> Iterator[Case]:
    """The laws in one input, along the tokens of published runs of one size."""
    runs = pd.read_csv(DATA / "chinchilla" / "runs.csv").iloc[5:]
    table = runs.sort_values("tokens")[["tokens", "loss"]].rename(columns={"tokens": "x", "loss": "y"})
    for law in SHAPES:
        spec = bl.load_model(law)
        yield from both(law, spec, bl.read_table(table.iloc[::6], spec))


def annealing() -> Iterator[Case]:
    """The published curves of 20,000 steps."""
    spec = bl.load_model("annealing")
    path = Path(bl.__file__).parent / "example_data" / "annealing_curves_20k.csv"
    yield from both("annealing", spec, bl.read_curves(path, spec, PUBLISHED_SCHEDULES))


def counts() -> Iterator[Case]:
    """HumanEval by family: counts whose levels are pooled."""
    yield from humaneval()


PARTS = {f.__name__: f for f in (compute, params_tokens, gold, chinchilla, power, annealing, counts)}


def fitted(spec: bl.Spec, data: xr.Dataset, by: str, seed: int) -> tuple[bl.Fit, float]:
    """Return a fit and its seconds."""
    began = time.perf_counter()
    if by == "fallback":
        with mock.patch.object(nuts, "walk_of", nuts._pymc_walk):
            fit = bl.fit(spec, data, seed=seed, **SETTINGS)
    else:
        fit = bl.fit(spec, data, seed=seed, sampler="pymc" if by == "pymc" else "nutpie", **SETTINGS)
    return fit, time.perf_counter() - began


def compared(one: xr.Dataset, other: xr.Dataset) -> dict[str, tuple[float, float]]:
    """Return z-scores of each parameter's mean and sd."""
    out = {}
    for name in one.data_vars:
        values = [np.asarray(side[name].values) for side in (one, other)]
        if min(v.min() for v in values) > 0:
            values = [np.log(v) for v in values]
        if not all(np.isfinite(v).all() and v.std() > 0 for v in values):
            continue
        z = []
        for method, moment in (("mean", np.mean), ("sd", np.std)):
            error = np.hypot(*(float(az.mcse(v, method=method)) for v in values))
            z.append(float(moment(values[0]) - moment(values[1])) / error)
        out[name] = (z[0], z[1])
    return out


def main() -> None:
    """Print a line a case."""
    options = argparse.ArgumentParser()
    options.add_argument("parts", nargs="*", help=", ".join(PARTS))
    options.add_argument("--by", nargs="+", choices=("pymc", "fallback"), default=["pymc"])
    options.add_argument("--seed", type=int, default=0)
    given, every = options.parse_args(), []
    for name, spec, data in (case for part in given.parts or PARTS for case in PARTS[part]()):
        ours, seconds = fitted(spec, data, "machine", given.seed)
        for by in given.by:
            theirs, theirs_seconds = fitted(spec, data, by, given.seed + 1)
            z = compared(*(fit.tree["posterior"].to_dataset() for fit in (ours, theirs)))
            every += [v for pair in z.values() for v in pair]
            worst = max(z, key=lambda n: max(map(abs, z[n])))
            failed = [[c.name for c in bl.checks(f) if c.level == "fail"] for f in (ours, theirs)]
            print(f"{name:38s} {by:8s} {len(z):2d} parameters, rms z {np.sqrt(np.mean(np.square(list(z.values())))):.2f}, "
                  f"largest {worst} mean {z[worst][0]:+.1f} sd {z[worst][1]:+.1f}; {seconds:.1f} s, {theirs_seconds:.1f} s"
                  f"{f'; failed {failed}' if any(failed) else ''}", flush=True)  # fmt: skip
    beyond = np.mean(np.abs(every) > 3)
    print(f"{len(every)} z-scores: rms {np.sqrt(np.mean(np.square(every))):.2f}, beyond three {beyond:.1%}")


if __name__ == "__main__":
    main()
