"""What would never end, or never fit into memory, is refused at once with a sentence; so are numbers that are none."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from conftest import noiseless
from malformed_inputs import LADDER

import bayeslaw as bl

POWER = bl.change(bl.load_model("power"), fix={"floor": 0.0})
COMPUTE = bl.load_model("compute")
COUNTS = pd.DataFrame({
    "model": list("aabb"), "problem": list("pqpq"), "n": 9, "c": [1, 2, 3, 4], "compute": [1e18, 1e18, 1e19, 1e19],
})  # fmt: skip


def forecast(**arguments):
    return lambda: bl.forecast(curve(), **arguments)


def curve():
    if "curve" not in _MADE:
        _MADE["curve"] = bl.fit(*noiseless("annealing"), "map", bootstrap=4)
        _MADE["point"] = bl.fit(POWER, LADDER, "map", bootstrap=4)
    return _MADE["curve"]


def point():
    curve()
    return _MADE["point"]


_MADE: dict[str, bl.Fit] = {}


def test_what_is_large_but_sound_goes_through():
    fc = bl.forecast(curve(), schedule="constant(peak=2e-4, warmup=500, total=120000)")
    assert fc.sizes["step"] == 39_835 and fc["step"].values[[0, -1]].tolist() == [500, 120_000]
    assert (np.diff(fc["step"].values)[:-1] == 3).all(), "one in three"
    assert bl.pass_at_k(COUNTS, np.int64(3))["k"].tolist() == [3, 3]
    assert bl.summary(point(), np.float32(0.5)).shape[0]
    assert len(bl.forecast(point(), {"x": [1.0]}, seed=2**63 - 1)["target"]) == 1


@pytest.mark.parametrize("given", ["Binomial", "binomial", "BINOMIAL", {"family": "binomial"}])
def test_a_likelihood_is_named_in_any_letters(given):
    assert bl.change(COMPUTE, likelihood=given) == bl.change(COMPUTE, likelihood={"family": "Binomial"})
