"""Time what users wait for, each beside the model compiled by PyMC and nutpie on the same rows in the same run.

Run: uv run python tests/benchmarks/speed.py [cold sweep chinchilla grid rows annealing study demo] [--times 5] [--no-old]

Medians over repetitions, in seconds of wall clock; run it on a quiet machine. `first` empties no cache of yours: it
gives the machine an empty one.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

import bayeslaw as bl
from bayeslaw.inference import nuts

DATA = Path(__file__).parents[3] / "shared" / "data"
CUTS = (0, 1e18, 1e19, 1e20, 3e20, 1e21)
OWN = """
name = "own"
title = "a law of one's own"
law = "E + A * (1 + (N / ref_N)**alpha)**-1 + B * (D / ref_D)**-beta"

[inputs.N]
column = "params"
meaning = "parameters"
unit = "parameters"
reference = "geometric-mean"

[inputs.D]
column = "tokens"
meaning = "tokens"
unit = "tokens"
reference = "geometric-mean"

[output]
name = "loss"
unit = "nats/token"
scale = "log"

[parameters.E]
meaning = "floor"
support = "positive"
unit = "nats/token"
prior_90 = [0.3, 3.0]

[parameters.A]
meaning = "size's share"
support = "positive"
unit = "nats/token"
prior_90 = [0.05, 5.0]

[parameters.B]
meaning = "data's share"
support = "positive"
unit = "nats/token"
prior_90 = [0.05, 5.0]

[parameters.alpha]
meaning = "exponent of size"
support = "positive"
prior_90 = [0.1, 1.0]

[parameters.beta]
meaning = "exponent of data"
support = "positive"
prior_90 = [0.1, 1.0]

[likelihood]
family = "Normal"
sigma = { prior_90 = [0.002, 0.1] }
"""
OLD = "from bayeslaw.inference import nuts; nuts.walk_of = nuts._pymc_walk; "


def main() -> None:
    """Run the parts that were asked for."""
    parts: dict[str, Callable[[], None]] = {
        "cold": cold, "first": first, "sweep": sweep, "chinchilla": chinchilla, "grid": grid, "rows": rows,
        "annealing": annealing, "study": study, "demo": demo,
    }  # fmt: skip
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*parts, []])
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--no-old", action="store_true")
    global ASKED
    ASKED = parser.parse_args()
    for name in ASKED.parts or parts:
        parts[name]()


ASKED = argparse.Namespace(times=5, no_old=False)


def shown(what: str, seconds: list[float], more: str = "") -> None:
    """Print a line."""
    print(f"{what:<62s} {statistics.median(seconds):8.3f} s  ({min(seconds):.3f}-{max(seconds):.3f}, {len(seconds)})  {more}", flush=True)  # fmt: skip


def timed(run: Callable[[], object], times: int | None = None) -> list[float]:
    """Return the seconds of several runs."""
    out = []
    for _ in range(ASKED.times if times is None else times):
        started = time.perf_counter()
        run()
        out.append(time.perf_counter() - started)
    return out


def old(run: Callable[[], object]) -> Callable[[], object]:
    """Return what runs with the model that PyMC states and nutpie compiles, compiled before it is timed."""

    def with_pymc() -> object:
        before, nuts.walk_of = nuts.walk_of, nuts._pymc_walk
        try:
            return run()
        finally:
            nuts.walk_of = before

    return with_pymc


def both(what: str, run: Callable[[], object], more: str = "") -> None:
    """Time a fit in this process, new and old."""
    run()
    shown(what, timed(run), more)
    if not ASKED.no_old:
        old(run)()
        shown(f"    {what}, PyMC", timed(old(run)))


# -- cold processes ---------------------------------------------------------------------------------


def process(
    arguments: list[str], before: str = "", env: dict[str, str] | None = None
) -> Callable[[], object]:
    """Return what runs the command line in a process of its own."""
    code = f"import sys; {before}from bayeslaw.cli.main import main; sys.argv = ['bayeslaw', *{arguments!r}]; main()"

    def run() -> object:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**{n: v for n, v in os.environ.items() if n != "PYTHONDONTWRITEBYTECODE"}, **(env or {})})  # fmt: skip
        if done.returncode not in (0, 1):  # 1: a check fails, and the fit is written
            raise SystemExit(done.stderr)
        return done

    return run


def cold_cases(folder: Path) -> dict[str, list[str]]:
    """Return command lines by name."""
    (folder / "own.toml").write_text(OWN, encoding="utf-8")
    counted = folder / "humaneval.csv"
    humaneval_counts().to_csv(counted, index=False)
    fit = str(folder / "fit.nc")
    chinchilla_runs = str(DATA / "chinchilla" / "runs.csv")
    return {
        "compute, GSM8K": ["fit", "compute", str(DATA / "pythia" / "gsm8k_counts.csv"), "-o", fit],
        "chinchilla": ["fit", "chinchilla", chinchilla_runs, "-o", fit],
        "a law of one's own": ["fit", str(folder / "own.toml"), chinchilla_runs, "-o", fit],
        "HumanEval counts by family": ["fit", "compute", str(counted), "--likelihood", "binomial", "--pool", "level=family", "--prior", "sigma=0.05,0.5", "-o", fit],
    }  # fmt: skip


def cold() -> None:
    """From the command to the file, in a process of its own, on a machine that has fitted before."""
    with tempfile.TemporaryDirectory() as folder:
        for name, arguments in cold_cases(Path(folder)).items():
            process(arguments)()
            shown(f"bayeslaw fit {name}", timed(process(arguments)))
            if not ASKED.no_old:
                shown(f"    bayeslaw fit {name}, PyMC", timed(process(arguments, OLD), 1))
        shown(
            "import nutpie",
            timed(lambda: subprocess.run([sys.executable, "-c", "import nutpie"], check=True)),
        )


def first() -> None:
    """The very first fit on a machine: an empty cache of compiled functions."""
    seconds = []
    for _ in range(min(ASKED.times, 3)):
        with tempfile.TemporaryDirectory() as folder:
            arguments = cold_cases(Path(folder))["compute, GSM8K"]
            run = process(arguments, env={"XDG_CACHE_HOME": str(Path(folder) / "cache")})
            seconds += timed(run, 1)
    shown("bayeslaw fit compute, the first on a machine", seconds)


def demo() -> None:
    """The demonstration, on a machine that has fitted before."""
    with tempfile.TemporaryDirectory() as folder:
        shown("bayeslaw demo", timed(process(["demo", "-o", str(Path(folder) / "demo")]), 1))


# -- fits in one process ----------------------------------------------------------------------------


def humaneval_counts() -> pd.DataFrame:
    """Return counts of 164 by model, with families and compute."""
    table = pd.read_csv(DATA / "humaneval" / "base_models.csv").dropna(subset=["FLOPs (1E21)", "HumanEval"])
    return pd.DataFrame({
        "model": table["Model"], "family": table["Model Family"], "compute": table["FLOPs (1E21)"] * 1e21,
        "n": 164, "c": (table["HumanEval"] * 164).round().astype(int),
    })  # fmt: skip


def sweep() -> None:
    """36 fits of the compute law: k × lower cuts, independent and with a discrepancy."""
    counts = pd.read_csv(DATA / "pythia" / "gsm8k_counts.csv")
    law = bl.load_model("compute")
    for what, spec in (("independent", bl.change(law, discrepancy=None)), ("discrepancy", law)):
        cases = []
        for k in (1, 10, 100):
            data = bl.read_table(counts, spec, k=k, where="lr_warming_up=0")
            cases += [data.isel(obs=data["compute"].values >= cut) for cut in CUTS]
        fits = [bl.fit(spec, data, progress=False) for data in cases]
        failed = [names for fit in fits if (names := failing(fit))]
        run = lambda spec=spec, cases=cases: [bl.fit(spec, d, progress=False) for d in cases]  # noqa: E731
        seconds = [s / len(cases) for s in timed(run)]
        shown(f"18 fits of compute, {what}, a fit", seconds, f"{len(failed)} not clean {failed}")
        if not ASKED.no_old:
            old(run)()
            shown(
                f"    18 fits of compute, {what}, a fit, PyMC", [s / len(cases) for s in timed(old(run), 1)]
            )


def failing(fit: bl.Fit) -> list[str]:
    """Return the checks that a fit fails."""
    return [c.name for c in bl.checks(fit) if c.level == "fail"]


def chinchilla_rows(most: float = np.inf) -> tuple[bl.Spec, xr.Dataset]:
    """Return the Chinchilla law and its runs up to a compute, without the five outliers."""
    table = pd.read_csv(DATA / "chinchilla" / "runs.csv").iloc[5:]
    spec = bl.load_model("chinchilla")
    return spec, bl.read_table(table[table["compute"] <= most], spec)


def chinchilla() -> None:
    """Runs up to 3e20 FLOP, with the discrepancy."""
    spec, data = chinchilla_rows(3e20)
    clean = failing(bl.fit(spec, data, progress=False)) or "clean"
    both(f"chinchilla <= 3e20, {data.sizes['obs']} rows, discrepancy", lambda: bl.fit(spec, data, progress=False), str(clean))  # fmt: skip


def grid() -> None:
    """4,500 starts and 1,000 bootstraps."""
    spec, data = chinchilla_rows()
    found = bl.fit(spec, data, "map", progress=False).tree["point"]["objective"].item()
    shown("point fit, 4,500 starts, 1,000 bootstraps", timed(lambda: bl.fit(spec, data, "map", progress=False)), f"objective {found:.12g}")  # fmt: skip


def rows() -> None:
    """Many rows over two inputs, simulated from the Chinchilla law with a bend."""
    import resource

    for count in (250, 500, 1000, 4000):
        spec, data = simulated(count)
        bl.fit(spec, chinchilla_rows(3e20)[1], progress=False)
        started = time.perf_counter()
        fit = bl.fit(spec, data, progress=False)
        seconds = time.perf_counter() - started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        shown(
            f"{count} rows, two inputs, discrepancy",
            [seconds],
            f"{failing(fit) or 'clean'}, peak {peak:.1f} GB",
        )


def simulated(count: int, seed: int = 0) -> tuple[bl.Spec, xr.Dataset]:
    """Return rows of a law that is a little wrong."""
    rng = np.random.default_rng(seed)
    N, D = np.exp(rng.uniform(np.log(5e7), np.log(1e10), count)), np.exp(rng.uniform(np.log(1e9), np.log(3e11), count))  # fmt: skip
    loss = 1.8 + 480 * N**-0.35 + 2000 * D**-0.37
    loss *= np.exp(0.01 * np.sin(np.log(N) + 0.5 * np.log(D)) + 0.004 * rng.standard_normal(count))
    spec = bl.load_model("chinchilla")
    return spec, bl.read_table(pd.DataFrame({"params": N, "tokens": D, "loss": loss}), spec)


def annealing() -> None:
    """Two loss curves of 20,000 steps."""
    runs = pd.read_csv(DATA / "published" / "annealing_curves_20k.csv")
    spec = bl.load_model("annealing")
    texts = {
        "cosine_20000": "cosine(peak=2e-4, end=2e-5, warmup=500, total=20000, hold=true)",
        "constant_20000": "constant(peak=2e-4, warmup=500, total=20000, hold=true)",
    }
    data = bl.read_curves(runs, spec, {run: texts[run] for run in runs["run"].unique()})
    both(
        f"annealing, 2 curves of 20k steps, {data.sizes['obs']} rows",
        lambda: bl.fit(spec, data, progress=False),
    )


def study() -> None:
    """Stability of three laws on GSM8K's checkpoints for five k: some 260 fits."""
    counts = pd.read_csv(DATA / "pythia" / "gsm8k_counts.csv")
    gold = {"join": DATA / "pythia" / "gsm8k_gold_nll.csv", "on": "model"}
    started, fits = time.perf_counter(), 0
    for name, more in (("compute", {}), ("params-tokens", {}), ("gold-likelihood", gold)):
        spec = bl.load_model(name)
        for k in (1, 4, 16, 64, 128):
            data = bl.read_table(counts, spec, k=k, where="lr_warming_up=0", **more)
            fits += bl.stability(spec, data, along="compute", progress=False, jobs=2).sizes["window"]
    shown(f"stability of GSM8K's checkpoints, {fits} fits, two jobs", [time.perf_counter() - started])


if __name__ == "__main__":
    main()
