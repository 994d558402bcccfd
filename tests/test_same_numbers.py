"""Numbers stay what they were: point fits, forecasts and log densities against those kept in ``same_numbers.json``.

The file holds what an earlier version said, to 1e-6: processors and libraries differ in the last bits. A change
that is meant to change numbers writes it anew, ``uv run python tests/test_same_numbers.py``, and says why.
Nothing here is sampled: posteriors are handmade, so that no model is compiled.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import TRUTHS, handmade, noiseless

import bayeslaw as bl
from bayeslaw.forecasts.heldout import held_out
from bayeslaw.observation.bound import bind

KEPT = Path(__file__).with_name("same_numbers.json")
WSD = "wsd(peak=2e-4, end=0, warmup=500, stable=16000, total=24000)"
AHEAD = {
    "compute": {"C": [1e23, 1e25]},
    "params-tokens": {"N": [2e9, 1e11], "D": [1e11, 1e13]},
    "gold-likelihood": {"G": [60.0, 15.0]},
    "chinchilla": {"N": [2e9, 1e11], "D": [1e11, 1e13]},
    "coupled": {"N": [2e9, 1e11], "D": [1e11, 1e13]},
    "power": {"x": [1e4, 1e8]},
    "broken-power": {"x": [1e4, 1e8]},
    "sigmoid-power": {"x": [1e4, 1e8]},
}
# Laws whose optimum on forty rows or their resamples is sharp. Of the others the last bits of the data move
# some parameters by up to 1e-6, and resamples by far more: these have no bootstrap here, and parameters more room.
DETERMINED = ("compute", "gold-likelihood", "power")
BROWNIAN = {"kernel": "brownian", "length": None}
# What laws of one input had before their slopes wandered.
LOCAL = {"scale": {"unit": "sigma", "prior_90": [0.15, 8]}, "slope": None}
ONE_INPUT = ("compute", "gold-likelihood", "power", "broken-power", "sigmoid-power")
PLAIN = {"likelihood": {"outliers": False}}
# Ways to scatter: a law, and how it is changed.
WAYS = {
    **{name: (name, PLAIN) for name in TRUTHS},
    **{f"{name}, local": (name, {"discrepancy": LOCAL, **PLAIN}) for name in ONE_INPUT},
    "independent": ("compute", {"discrepancy": None}),
    "normal": ("compute", {"discrepancy": None, "likelihood": {"family": "Normal"}}),
    "curves, independent": ("annealing", {"discrepancy": None}),
    "brownian": ("chinchilla", {"discrepancy": BROWNIAN}),
    "two inputs, slope": ("chinchilla", {"discrepancy": {"slope": {"prior_90": [0.01, 1.2]}}, **PLAIN}),
    "matern52": ("compute", {"discrepancy": {"kernel": "matern52"}}),
    "matern52, local": ("compute", {"discrepancy": {"kernel": "matern52", **LOCAL}}),
}
COUNTS = {
    "counts": {},
    "counts, local": {"discrepancy": LOCAL},
    "counts, independent": {"discrepancy": None},
    "counts, brownian": {"discrepancy": BROWNIAN},
    "counts, brownian, local": {"discrepancy": {**BROWNIAN, **LOCAL}},
}

_RECORDED = 32


def forecast_values(fit: bl.Fit) -> list[float]:
    """Mean, median and interval of law, curve and run, within the data and beyond."""
    if fit.spec.name == "annealing":
        said = bl.forecast(fit, schedule=WSD, steps=[10000, 24000], seed=1)
    else:
        said = bl.forecast(fit, AHEAD[fit.spec.name], seed=1)
    names = ("mean", "median", "lower", "upper", "orders_beyond")
    return np.concatenate([said[n].values.ravel() for n in names]).tolist()


def point_numbers(law: str) -> dict[str, list[float]]:
    """What a point fit says: where it lies, its parameters, their bootstrap, a forecast."""
    spec, data = noiseless(law, noise=0.02)
    boots = 20 if law in DETERMINED else 0
    fit = bl.fit(spec, data, "map", bootstrap=boots, seed=3, progress=False)
    table, point = bl.summary(fit), fit.tree["point"]
    found = {
        "objective": [float(point["objective"])],
        "fitted": (data[spec.output.name].values / np.exp(point["residual"].values)).tolist(),
        "point": table["point"].tolist(),
    }
    if boots:
        found["forecast"] = forecast_values(fit)
        found["bootstrap"] = table[["median", "lower", "upper"]].to_numpy().ravel().tolist()
    return found


def posterior_numbers(way: str) -> dict[str, list[float]]:
    """What a posterior says: a forecast, densities of its rows one by one, and of rows that it did not see."""
    law, changed = WAYS[way]
    spec, data = noiseless(law, noise=0.02)
    spec = bl.change(spec, **changed)
    half = np.arange(data.sizes["obs"]) % 20 < 14
    fit = handmade(law, spec, data.isel(obs=half))
    ahead = held_out(fit, data.isel(obs=~half), draws=60, seed=2)
    return {
        "forecast": forecast_values(fit),
        "leave one out": bl.log_likelihood(fit).values.mean(axis=(0, 1)).tolist(),
        "held out": [ahead.log_joint, *ahead.log_rows.tolist()],
    }


def counted_numbers(way: str) -> dict[str, list[float]]:
    """What an observation model of counts says, given parameters and its latent vectors."""
    spec = bl.change(bl.load_model("compute"), likelihood={"family": "Binomial"}, **COUNTS[way])
    rng, C = np.random.default_rng(4), np.geomspace(1e18, 1e24, 16)
    rate = 0.3 + 900 * C**-0.125
    table = pd.DataFrame(
        {"model": list("abcdefghijklmnop"), "compute": C, "n": 200, "c": rng.binomial(200, np.exp(-rate))}
    )
    data = bl.read_table(table, spec)
    spec = bl.resolve(spec, data)
    bound, new = (bind(spec, data.isel(obs=part)) for part in (slice(0, 12), slice(12, 16)))
    model, rows, draws = bound.observation, bound.rows, 30
    values = {"sigma": rng.uniform(0.05, 0.3, (draws, 1))}
    if spec.discrepancy is not None:
        values["discrepancy_scale"] = rng.uniform(0.3, 3.0, (draws, 1))
        values["discrepancy_length"] = rng.uniform(2.0, 6.0, (draws, 1))
    if "discrepancy_slope" in spec.noise:
        values["discrepancy_slope"] = rng.uniform(0.05, 0.5, (draws, 1))
    # Drawn for as many rows as when the numbers were recorded; a model takes as many as it has.
    values |= {
        n: rng.standard_normal((draws, _RECORDED))[:, :size] for n, size in model.latents(rows).items()
    }
    mean = np.log(rate) + 0.05 * rng.standard_normal((draws, 1))
    given = model.condition(rows, mean[:, :12], values)
    together, each = given.density(mean[:, 12:], new.rows, np.random.default_rng(5))
    return {
        "leave one out": given.leave_one_out().mean(axis=0).tolist(),
        "fitted": given.fitted().mean(axis=0).tolist(),
        "density": [*together.tolist(), *each.mean(axis=0).tolist()],
    }


CASES: dict[str, tuple[Callable[[str], dict[str, list[float]]], str]] = {
    **{f"point fit: {law}": (point_numbers, law) for law in TRUTHS},
    **{f"posterior: {way}": (posterior_numbers, way) for way in WAYS},
    **{f"observation: {way}": (counted_numbers, way) for way in COUNTS},
}


@pytest.mark.parametrize("case", CASES)
def test_numbers_are_what_they_were(case: str) -> None:
    numbers, of = CASES[case]
    kept, found = json.loads(KEPT.read_text(encoding="utf-8"))[case], numbers(of)
    assert found.keys() == kept.keys()
    for name, values in kept.items():
        room = 1e-4 if name == "point" and of not in DETERMINED else 1e-6
        np.testing.assert_allclose(found[name], values, rtol=room, atol=1e-12, err_msg=f"{case}: {name}")


def write() -> None:
    """Write what is said now."""
    kept = {case: numbers(of) for case, (numbers, of) in CASES.items()}
    lines = (f"{json.dumps(case)}: {json.dumps(values)}" for case, values in kept.items())
    KEPT.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    write()
