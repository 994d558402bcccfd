"""A small simulation-based calibration; the large one is tests/benchmarks/sbc.py."""

from __future__ import annotations

import pandas as pd
import pytest
from benchmarks.sbc import ranks, simulated, uniformity

NUMBER = 12


@pytest.mark.parametrize("law", ["power", "chinchilla"])
def test_ranks_of_a_dozen_worlds_are_uniform(law):
    """False alarms: about ten ranks a law, each below 1e-4 once in ten thousand; five of twelve runs outside 90 %, 4 in 1,000."""
    found = pd.DataFrame([ranks((law, "plain", seed)) for seed in range(NUMBER)])
    assert "refused" not in found
    table = uniformity(found).set_index("rank of")
    assert {"level", "sigma", "discrepancy_scale", "run +1", "run +2"} <= set(table.index)
    assert (table["p"] > 1e-4).all()
    assert (table["inside 90 %"].dropna() * NUMBER >= NUMBER - 4).all()


@pytest.mark.parametrize("way", ["errors", "counts"])
def test_worlds_have_what_they_are_named_for(way):
    spec, truth, seen, held = simulated("compute", way, 3)
    assert seen.sizes["obs"] == 25
    assert held.sizes["obs"] == 2
    assert truth["discrepancy_slope"] > 0
    if way == "counts":
        assert spec.family == "Binomial"
        assert (seen["c"] <= seen["n"]).all()
    else:
        assert (seen["sampling_error"] / seen[spec.output.name]).values[[0, -1]] == pytest.approx([0.4, 0.01])
        assert (held["sampling_error"] == 0).all()
