"""Time a sweep: the compute law, errors independent, for k in {1, 10, 100} and six lower compute cuts on GSM8K.

Run: uv run python tests/benchmarks/sweep.py [path of gsm8k_counts.csv]

Prints seconds a fit with the model compiled once and re-used, and plain pm.sample on the same data
in the same run, with their ratio.
"""

from __future__ import annotations

import logging
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pymc as pm

import bayeslaw as bl
from bayeslaw.inference import compiled
from bayeslaw.inference.pymc_model import build_model, model_data
from bayeslaw.observation.bound import bind

CUTS = (0, 1e18, 1e19, 1e20, 3e20, 1e21)


def main() -> None:
    """Run the sweep and print a table."""
    default = Path(__file__).parents[3] / "shared" / "data" / "pythia" / "gsm8k_counts.csv"
    counts = pd.read_csv(sys.argv[1] if len(sys.argv) > 1 else default)
    spec = bl.change(bl.load_model("compute"), discrepancy=None)
    cases = []
    for k in (1, 10, 100):
        data = bl.read_table(counts, spec, k=k, where="lr_warming_up=0")
        cases += [(k, cut, data.isel(obs=data["compute"].values >= cut)) for cut in CUTS]
    started = time.perf_counter()
    bl.compile(spec, cases[0][2])
    print(f"compile: {time.perf_counter() - started:.1f} s")
    ours = [fit_one(spec, *case) for case in cases]
    print(
        f"bayeslaw: {np.mean(ours):.3f} s a fit (median {np.median(ours):.3f}), {compiled.compile_count} compile(s)"
    )
    for sampler in ("pymc", "nutpie"):
        plain = time_pm_sample(spec, [case[2] for case in cases], sampler)
        print(
            f"pm.sample(nuts_sampler='{sampler}'): {np.mean(plain):.2f} s a fit; "
            f"ratio {np.mean(plain) / np.mean(ours):.0f}"
        )


def fit_one(spec: bl.Spec, k: int, cut: float, data) -> float:
    """Fit one window, print its line, return the seconds."""
    started = time.perf_counter()
    fit = bl.fit(spec, data, progress=False)
    seconds = time.perf_counter() - started
    found = {c.name: c for c in bl.checks(fit)}
    failed = [c.name for c in found.values() if c.level == "fail"]
    print(
        f"k={k:<4d} C>={cut:<8.0e} n={data.sizes['obs']:<3d} {seconds:.3f} s  R-hat {found['rhat'].value:.4f} "
        f"ESS {min(found['ess-bulk'].value, found['ess-tail'].value):.0f} "
        f"divergences {found['divergences'].value:.0f}  {'FAILED ' + ', '.join(failed) if failed else 'clean'}"
    )
    return seconds


def time_pm_sample(spec: bl.Spec, datasets: list, sampler: str) -> list[float]:
    """Time plain pm.sample on the same model and windows, after one call that warms its caches."""
    logging.getLogger("pymc").setLevel(logging.ERROR)
    model = build_model(bind(spec, datasets[0]))
    seconds = []
    with model, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for data in [datasets[0], *datasets[::6]]:
            pm.set_data(model_data(bind(spec, data)))
            started = time.perf_counter()
            pm.sample(
                1000, tune=1000, chains=4, cores=2, target_accept=0.95, progressbar=False, random_seed=0,
                compute_convergence_checks=False, nuts_sampler=sampler,
            )  # fmt: skip
            seconds.append(time.perf_counter() - started)
    return seconds[1:]


if __name__ == "__main__":
    main()
