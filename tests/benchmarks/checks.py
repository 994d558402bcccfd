"""How often checks speak, falsely and rightly: of right laws and of wrong ones, and of designs that could mislead them.

Run: uv run python tests/benchmarks/checks.py [worlds designs inputs real cost]

`worlds` fits a power law with its default discrepancy to 25 rows over three orders with 2 % noise, whose truth is that law
or another one. A fit is missed if the law alone, with independent errors, has the noiseless truth outside its 90 % run interval one
or two orders beyond the data. `designs` and `inputs` have right laws, whose every warning is false, beside a wrong one. `real` reads
../shared/data beside the project.
"""

from __future__ import annotations

import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

import bayeslaw as bl
from bayeslaw.assess.misfit import law_misfit
from bayeslaw.inference.fit import make_fit
from bayeslaw.observation.bound import bind

DATA = Path(__file__).parents[3] / "shared" / "data"
COMPUTE, AHEAD, NOISE, SEED = np.geomspace(1e18, 1e21, 25), np.array([1e22, 1e23]), 0.02, 9000
POWER = bl.load_model("power")


def truth(kind: str, rng: np.random.Generator) -> Callable[[np.ndarray], np.ndarray]:
    """Draw a curve: a power law and a floor, one whose exponent changes near the data's edge, a sigmoid, a logarithmic correction."""
    alpha, floor, level = rng.uniform(0.1, 0.3), rng.uniform(0, 0.5), rng.uniform(0.5, 3)
    if kind == "power":
        return lambda x: level * (floor + (1 - floor) * np.exp(-alpha * folds(x)))
    if kind == "broken":
        ratio, bend, low = rng.choice([0.5, 2.0]), folds(10 ** rng.uniform(20.5, 21.5)), rng.uniform(0, 0.2)
        return lambda x: level * (low + (1 - low) * np.exp(-alpha * folds(x) - (ratio - 1) * alpha / 2 * np.logaddexp(0, (folds(x) - bend) / 0.5)))  # fmt: skip
    if kind == "sigmoid":
        middle, width, low = folds(10 ** rng.uniform(20, 21.5)), rng.uniform(1, 2), rng.uniform(0.02, 0.3)
        return lambda x: level * (low + (1 - low) / (1 + np.exp((folds(x) - middle) / width)))
    size, power = rng.uniform(0.1, 0.4), rng.choice([-1.0, 1.5])
    return lambda x: level * (floor / 2 + (1 - floor / 2) * np.exp(-alpha * folds(x)) * (1 + size * folds(x)) ** power)  # fmt: skip


def folds(x: np.ndarray | float) -> np.ndarray:
    """Return e-folds from the first row."""
    return np.log(np.asarray(x) / COMPUTE[0])


def table(x: np.ndarray, y: np.ndarray, error: np.ndarray | float = 0.0) -> xr.Dataset:
    """Return rows as a dataset; errors are shares of the output."""
    return bl.read_table(pd.DataFrame({"x": x, "y": y, "sampling_error": error * y}), POWER)


def worlds(count: int = 50) -> None:
    """Which checks of a default fit speak, by whether the law alone misses the target."""
    alone = bl.change(POWER, discrepancy=None)
    settings = {"draws": 500, "tune": 600, "progress": False}
    for kind in ("power", "broken", "sigmoid", "logarithmic"):
        spoke: dict[str, Counter] = defaultdict(Counter)
        fits: Counter = Counter()
        for seed in range(SEED, SEED + count):
            rng = np.random.default_rng(seed)
            curve = truth(kind, rng)
            data = table(COMPUTE, curve(COMPUTE) * np.exp(NOISE * rng.standard_normal(len(COMPUTE))))
            run = bl.forecast(bl.fit(alone, data, seed=seed, **settings), {"x": AHEAD}).sel(kind="run")
            inside = (run["lower"].values <= curve(AHEAD)) & (curve(AHEAD) <= run["upper"].values)
            missed = "held" if inside.all() else "missed"
            fits[missed] += 1
            found = {c.name: c.level for c in bl.checks(bl.fit(POWER, data, seed=seed, **settings))}
            spoke[missed].update(n for n, level in found.items() if level != "ok")
        for name, of in fits.items():
            told = ", ".join(f"{n} {100 * k / of:.0f} %" for n, k in sorted(spoke[name].items()))
            print(f"worlds {kind}, {of} targets {name}: {told or 'nothing'}", flush=True)


def designs(count: int = 200) -> None:
    """How often `law-misfit` warns of right laws and of sigmoids on rows of many kinds."""
    for name in ("plain", "8 rows", "10 rows", "200 rows", "clusters", "repeats", "uneven", "known errors", "large known errors", "t of 4 degrees", "two outliers", "noise 0.5 %", "noise 10 %"):  # fmt: skip
        rates = []
        for kind in ("power", "sigmoid", "logarithmic"):
            warned = []
            for seed in range(SEED, SEED + count):
                rng = np.random.default_rng(seed)
                curve = truth(kind, rng)
                x, noise, error = design(name, rng)
                warned += levels(POWER, table(x, curve(x) * np.exp(noise), error))
            rates.append(f"{kind} {100 * np.mean(warned):.1f} % of {len(warned)}")
        print(f"designs, {name}: warns of {', '.join(rates)}", flush=True)


def design(name: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray | float]:
    """Draw inputs, errors on the log scale, and how much of these is known."""
    low, high = COMPUTE[[0, -1]]
    x = {
        "8 rows": np.geomspace(low, high, 8), "10 rows": np.geomspace(low, high, 10), "200 rows": np.geomspace(low, high, 200),
        "clusters": np.repeat(np.geomspace(low, high, 9), 3) * np.exp(0.05 * rng.standard_normal(27)),
        "repeats": np.repeat(np.geomspace(low, high, 9), 3), "uneven": low * (high / low) ** rng.beta(0.5, 2, 25),
    }.get(name, COMPUTE)  # fmt: skip
    noise, error = NOISE * rng.standard_normal(len(x)), 0.0
    if name == "known errors":
        error = np.exp(rng.uniform(np.log(0.005), np.log(0.1), len(x)))
    if name == "large known errors":
        noise, error = noise / 10, np.exp(rng.uniform(np.log(0.01), np.log(0.1), len(x)))
    if name == "t of 4 degrees":
        noise = NOISE * rng.standard_t(4, len(x))
    if name == "two outliers":
        noise[rng.choice(len(x), 2, replace=False)] += 10 * NOISE * rng.choice([-1, 1], 2)
    if name.startswith("noise"):
        noise *= float(name.split()[1]) / 2
    return x, noise + error * rng.standard_normal(len(x)), error


def levels(spec: bl.Spec, data: xr.Dataset) -> list[bool]:
    """Return whether `law-misfit` warns; nothing where it says nothing. It takes no optimum of the fit, and none is sought."""
    return [c.level == "warn" for c in law_misfit(make_fit(bind(spec, data), "map", {}, {}))]


def inputs(count: int = 200) -> None:
    """How often `law-misfit` warns of two inputs: the real runs' inputs, the law right, and coupled to the power 0.6."""
    runs, law = pd.read_csv(DATA / "chinchilla" / "runs.csv").iloc[5:], bl.load_model("chinchilla")
    for kappa in (1.0, 0.6):
        warned = []
        for seed in range(SEED, SEED + count):
            rng, some = np.random.default_rng(seed), runs.sample(40, random_state=seed)
            N, D = (some[n].to_numpy(dtype=float) for n in ("params", "tokens"))
            z = np.log(1.8 + (450 * N**-0.35 + 2000 * D**-0.37) ** kappa)
            warned += levels(law, bl.read_table(some.assign(loss=np.exp(z + 0.01 * rng.standard_normal(40))), law))  # fmt: skip
        print(f"inputs, chinchilla fitted, coupling {kappa}: warns of {100 * np.mean(warned):.1f} % of {len(warned)}", flush=True)  # fmt: skip


def real() -> None:
    """What `law-misfit` says of the Chinchilla runs."""
    runs = pd.read_csv(DATA / "chinchilla" / "runs.csv").iloc[5:]
    for name in ("chinchilla", "coupled"):
        law = bl.load_model(name)
        for cut in (1e20, 3e20, 1e21):
            data = bl.read_table(runs[runs["compute"] <= cut], law)
            (check,) = law_misfit(make_fit(bind(law, data), "map", {}, {}))
            print(f"real, {name} <= {cut:.0e}, {data.sizes['obs']} rows: {check.level} (p = {check.value:.1g})")  # fmt: skip


def cost(times: int = 20) -> None:
    """Least milliseconds of `law-misfit`, where it has nothing to say and where it warns, and of all checks."""
    for rows in (25, 50, 200):
        for kind in ("power", "sigmoid"):
            rng, x = np.random.default_rng(SEED), np.geomspace(*COMPUTE[[0, -1]], rows)
            data = table(x, truth(kind, rng)(x) * np.exp(NOISE * rng.standard_normal(rows)))
            fit = bl.fit(POWER, data, progress=False)
            spent = []
            for check in (law_misfit, bl.checks):
                check(fit)
                each = []
                for _ in range(times):
                    started = time.perf_counter()
                    check(fit)
                    each.append(1e3 * (time.perf_counter() - started))
                spent.append(min(each))
            print(f"cost, {rows} rows of {kind}: law-misfit {spent[0]:.0f} ms, all checks {spent[1]:.0f} ms", flush=True)  # fmt: skip


PARTS = {f.__name__: f for f in (worlds, designs, inputs, real, cost)}

if __name__ == "__main__":
    for part in sys.argv[1:] or PARTS:
        PARTS[part]()
