"""Datasets and fits that the whole suite shares: each model is compiled and sampled once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayeslaw as bl
from bayeslaw.inference.fit import make_fit
from bayeslaw.inference.predictive import draw_prior, draw_replicated
from bayeslaw.law.evaluate import derive, evaluate_law, law_inputs
from bayeslaw.law.priors import draw_priors
from bayeslaw.observation.bound import bind

SHARED = Path(__file__).parents[1].parent / "shared" / "data"
PUBLISHED_SCHEDULES = {
    "cosine_20000": "cosine(peak=2e-4, end=0, warmup=500, total=20000, hold=true)",
    "constant_20000": "constant(peak=2e-4, warmup=500, total=20000, hold=true)",
}
TRAINING_SCHEDULES = {
    "cosine_24000": "cosine(peak=3e-4, end=3e-5, warmup=2160, total=24000)",
    "constant_24000": "constant(peak=3e-4, warmup=2160, total=24000)",
    "wsdcon_9": "step(peak=3e-4, at=8000, to=9e-5, warmup=2160, total=16000)",
}

HANDMADE = {"draws": 150, "tune": 100, "chains": 2, "seed": 0, "target_accept": 0.9}

# One table of (law, true natural parameters, inputs) for every recovery test.
TRUTHS = {
    "compute": {"E0": 1.2, "C0": 900.0, "alpha": 0.125},
    "params-tokens": {"E0": 1.5, "N0": 900.0, "beta": 0.35, "D0": 4000.0, "gamma": 0.34},
    "gold-likelihood": {"xi0": 2.0, "K0": 0.08, "kappa": 1.1},
    "chinchilla": {"E": 1.8, "A": 480.0, "alpha": 0.35, "B": 2100.0, "beta": 0.37},
    "coupled": {"E": 1.6, "a": 0.8, "b": 0.7, "alpha": 0.4, "beta": 0.5, "kappa": 0.7},
    "annealing": {"L0": 2.63, "A": 0.43, "alpha": 0.55, "C": 0.41, "lam": 0.999},
    "power": {"E": 1.7, "A": 9.0, "alpha": 0.3},
    "broken-power": {"E": 0.4, "A": 4.0, "before": 0.1, "after": 0.4, "x_b": 3e4, "f": 0.4},
    "sigmoid-power": {"e_0": 4.0, "e_inf": 0.6, "a": 1.4, "b": 150.0, "alpha": 0.5},
}


def shared(name: str) -> Path:
    """Return a file of the shared data, or skip the test with the reason."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the third-party data in {SHARED.parent.name}/{SHARED.name} beside the project")
    return SHARED / name


def noiseless(name: str, noise: float = 0.0, seed: int = 0):
    """Return a law's spec, and data that follow it exactly (or with noise on the scale of errors)."""
    rng = np.random.default_rng(seed)
    spec = bl.load_model(name)
    if name == "annealing":
        steps = np.tile(np.arange(1000, 20001, 1000), 2)
        frame = pd.DataFrame({"run": np.repeat(list(PUBLISHED_SCHEDULES), 20), "step": steps, "loss": 3.0})
        data = bl.read_curves(frame, spec, PUBLISHED_SCHEDULES)
    else:
        frame = pd.DataFrame(
            {
                "params": np.geomspace(1e7, 1e10, 40),
                "tokens": 10 ** rng.uniform(9, 11.5, 40),
                "gold_nll": np.geomspace(20, 150, 40),
                "x": np.geomspace(1e2, 1e6, 40),
            }
        )
        data = bl.read_table(frame.assign(**{spec.output.name: 3.0}), spec)
    truth = bl.to_sampling(bl.resolve(spec, data), TRUTHS[name])
    frozen = bl.resolve(spec, data)
    law = evaluate_law(frozen, truth, law_inputs(frozen, data))
    values = law * np.exp(noise * rng.standard_normal(len(law)))
    return spec, data.assign({spec.output.name: ("obs", values)})


def handmade(name: str, spec=None, data=None, **values):
    """A posterior around the truth, without sampling: the law's parameters to 1 %, noise from its prior."""
    plain, rows = noiseless(name, noise=0.01)
    spec = bl.change(plain, likelihood={"outliers": False}) if spec is None else spec
    data = rows if data is None else data
    spec = bl.resolve(spec, data)
    rng = np.random.default_rng(1)
    shape = HANDMADE["chains"], HANDMADE["draws"]
    natural = {n: v * np.exp(0.01 * rng.standard_normal(shape)) for n, v in TRUTHS[name].items()}
    if "lam" in natural:
        natural["lam"] = 1 - (1 - TRUTHS[name]["lam"]) * np.exp(0.1 * rng.standard_normal(shape))
    size = int(np.prod(shape))
    prior = {n: v.reshape(shape) for n, v in draw_priors(spec, size, rng).items() if n in spec.noise}
    draws = {**prior, **bl.to_sampling(spec, natural)}
    draws |= {n: np.broadcast_to(v, shape) for n, v in values.items()}
    draws |= derive(spec, draws)
    posterior = xr.Dataset({n: (("chain", "draw"), np.broadcast_to(v, shape)) for n, v in draws.items()})
    stats = {"diverging": np.zeros(shape, bool), "energy": rng.standard_normal(shape)}
    groups = {
        "posterior": posterior.assign_coords(chain=np.arange(2), draw=np.arange(shape[1])),
        "sample_stats": xr.Dataset({n: (("chain", "draw"), v) for n, v in stats.items()}),
    }
    bound = bind(spec, data)
    groups |= draw_prior(bound, rng) | draw_replicated(bound, groups, rng)
    return make_fit(bound, "nuts", HANDMADE, groups)


@pytest.fixture(scope="session")
def counts() -> pd.DataFrame:
    """The GSM8K counts."""
    return pd.read_csv(shared("pythia/gsm8k_counts.csv"))


@pytest.fixture(scope="session")
def chinchilla_runs() -> pd.DataFrame:
    """The 240 runs without the five outliers."""
    return pd.read_csv(shared("chinchilla/runs.csv")).iloc[5:]


@pytest.fixture(scope="session")
def published_curves():
    """The published 20k-step curves, which ship with the package."""
    path = Path(bl.__file__).parent / "example_data" / "annealing_curves_20k.csv"
    return bl.read_curves(path, bl.load_model("annealing"), PUBLISHED_SCHEDULES)


@pytest.fixture(scope="session")
def simulated_fit():
    """A posterior of the compute law and its discrepancy on simulated data: no third-party file needed."""
    spec, data = noiseless("compute", noise=0.05)
    return bl.fit(spec, data, draws=1000, tune=1000, seed=1)


@pytest.fixture(scope="session")
def point_fit():
    """A point fit of the compute law on simulated data."""
    spec, data = noiseless("compute", noise=0.05)
    return bl.fit(spec, data, "map", bootstrap=200)


@pytest.fixture(scope="session")
def annealing_fit(published_curves):
    """A posterior of the annealing law on the published curves, errors taken as independent."""
    return bl.fit(bl.change(bl.load_model("annealing"), discrepancy=None), published_curves)
