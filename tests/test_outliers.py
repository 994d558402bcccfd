"""Which rows are called outliers: known errors are allowed for, and a curve that bends at the edge is none."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from conftest import shared

import bayeslaw as bl
from bayeslaw.assess.discrepancy_checks import discrepancy_checks
from bayeslaw.inference.fitting import settle_outliers
from bayeslaw.observation.bound import bind
from bayeslaw.observation.shifts import BENT, COLUMN

NOISE = 0.01
POWER, CHINCHILLA = bl.load_model("power"), bl.load_model("chinchilla")


def places(inputs: int, rows: int, rng) -> tuple[pd.DataFrame, np.ndarray]:
    """Return inputs in order of size, and a law's value on the log scale."""
    if inputs == 1:
        frame = pd.DataFrame({"x": np.geomspace(1e2, 1e6, rows)})
        return frame, np.log(1.7 + 9 * frame["x"].to_numpy() ** -0.3)
    N = np.sort(10 ** rng.uniform(7.5, 10, rows))
    D = N * 10 ** rng.uniform(0.7, 2, rows)
    return pd.DataFrame({"params": N, "tokens": D}), np.log(1.8 + 480 * N**-0.35 + 2100 * D**-0.37)


def marked(frame: pd.DataFrame, z: np.ndarray, error: np.ndarray | float = 0.0) -> dict[str, list[int]]:
    """Return which rows get shifts, and which may be a bend."""
    spec = POWER if "x" in frame else CHINCHILLA
    y = np.exp(z)
    data = bl.read_table(frame.assign(**{spec.output.name: y, "sampling_error": error * y}), spec)
    data = settle_outliers(bind(spec, data)).data
    return {n: np.flatnonzero(data[n]).tolist() if n in data else [] for n in (COLUMN, BENT)}


NONE = {COLUMN: [], BENT: []}


@pytest.mark.parametrize("rows", [15, 60])
@pytest.mark.parametrize("inputs", [1, 2])
@pytest.mark.parametrize("order", ["rising", "falling", "shuffled"])
def test_known_errors_of_very_different_size_are_no_outliers(order, inputs, rows):
    for seed in range(5):
        rng = np.random.default_rng(seed)
        frame, z = places(inputs, rows, rng)
        sizes = np.geomspace(0.005, 0.5, rows)
        error = {"rising": sizes, "falling": sizes[::-1], "shuffled": rng.permutation(sizes)}[order]
        z = z + np.hypot(NOISE, error) * rng.standard_normal(rows)
        assert marked(frame, z, error) == NONE


@pytest.mark.parametrize("unequal", [False, True])
@pytest.mark.parametrize("inputs", [1, 2])
def test_rows_far_out_are_found_beside_known_errors(inputs, unequal):
    for seed in range(3):
        rng = np.random.default_rng(seed)
        frame, z = places(inputs, 60, rng)
        error = rng.permutation(np.geomspace(0.001, 0.1, 60)) if unequal else np.zeros(60)
        spread = np.hypot(NOISE, error)
        z = z + spread * rng.standard_normal(60)
        z[[20, 31, 40]] += np.array([25, -30, 35]) * spread[[20, 31, 40]]
        assert marked(frame, z, error) == {COLUMN: [20, 31, 40], BENT: []}


def test_an_error_that_explains_a_row_excuses_it():
    rng = np.random.default_rng(0)
    frame, z = places(1, 40, rng)
    z = z + NOISE * rng.standard_normal(40)
    z[20] += 30 * NOISE
    error = np.zeros(40)
    assert marked(frame, z, error)[COLUMN] == [20]
    error[20] = 15 * NOISE
    assert marked(frame, z, error) == NONE


SHAPES = {
    "break": lambda t: t,
    "curve": lambda t: t**2,
    "plateau": lambda t: np.tanh(2 * t),
    "step": np.sign,
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("side", ["smallest", "largest"])
def test_a_bend_at_the_edge_keeps_its_evidence(side, shape):
    for seed, last, size in ((0, 3, 0.4), (1, 5, -0.3), (2, 8, 0.6)):
        rng = np.random.default_rng(seed)
        frame, z = places(1, 40, rng)
        beyond = np.maximum(np.arange(40) - (39 - last), 0) / last
        beyond = beyond if side == "largest" else beyond[::-1]
        z = z + NOISE * rng.standard_normal(40) + size * SHAPES[shape](beyond)
        assert marked(frame, z)[COLUMN] == []


def test_a_bend_in_two_inputs_keeps_its_evidence():
    for seed in range(4):
        rng = np.random.default_rng(seed)
        frame, z = places(2, 50, rng)
        N, D = (np.log(frame[n].to_numpy()) for n in ("params", "tokens"))
        along = (N, D, N + D, N - D)[seed]
        beyond = np.maximum(along - np.sort(along)[-6], 0)
        z = z + 0.3 * NOISE * rng.standard_normal(50) + 0.3 * beyond / beyond.max()
        found = marked(frame, z)
        assert found[COLUMN] == [] and set(found[BENT]) <= set(np.flatnonzero(beyond))
        assert found[BENT]


def test_one_row_at_the_edge_is_no_outlier_unless_it_is_repeated_there():
    rng = np.random.default_rng(3)
    frame, z = places(1, 40, rng)
    z = z + NOISE * rng.standard_normal(40)
    z[-1] += 30 * NOISE
    assert marked(frame, z) == {COLUMN: [], BENT: [39]}
    twice = pd.concat([frame, frame.iloc[[-1, -1]]])
    again = np.append(z, z[-1] + (-30 + rng.standard_normal(2)) * NOISE)
    assert marked(twice, again) == {COLUMN: [39], BENT: []}


def test_rows_at_the_edge_that_no_curve_holds_are_outliers():
    rng = np.random.default_rng(4)
    frame, z = places(1, 40, rng)
    z = z + NOISE * rng.standard_normal(40)
    z[-4:] += np.array([40, 90, 35, 100]) * NOISE
    assert marked(frame, z) == {COLUMN: [36, 37, 38, 39], BENT: []}


def test_the_outliers_of_the_public_runs_are_found():
    runs = pd.read_csv(shared("chinchilla/runs.csv"))
    for cut in (1e20, np.inf):  # the fifth of the five is 5 spreads out: no more than run noise may be
        rows = runs[runs["compute"] <= cut]
        z = np.log(rows["loss"].to_numpy())
        assert marked(rows[["params", "tokens"]], z) == {COLUMN: [0, 1, 2, 3], BENT: []}
    sound = runs.iloc[5:]
    assert marked(sound[["params", "tokens"]], np.log(sound["loss"].to_numpy())) == NONE


def test_a_bend_is_named(simulated_fit):
    gap = np.zeros(40)
    gap[[38, 39]] = 0.2, 0.5
    tree = simulated_fit.tree.copy(deep=True)
    tree["constant_data"] = xr.DataTree(tree["constant_data"].to_dataset().assign({BENT: ("obs", gap)}))
    (check,) = [c for c in discrepancy_checks(bl.Fit(simulated_fit.spec, tree)) if c.name == "bend"]
    assert (check.level, check.value) == ("warn", 2.0)
    assert "row 40 (+0.5), row 39 (+0.2)" in check.message and "where='row!=40'" in check.message


# -- counts along curves ----------------------------------------------------------------------------


def test_counts_without_a_kernel_for_curves_are_read():
    law = bl.change(bl.load_model("annealing"), likelihood={"family": "Binomial"}, discrepancy=None)
    assert (law.family, law.discrepancy) == ("Binomial", None)


@pytest.mark.parametrize("method", ["map", "nuts"])
def test_counts_need_columns_of_counts(method):
    table = pd.DataFrame({"x": np.geomspace(1, 1e4, 8), "y": 1.5 + 3 * np.geomspace(1, 1e4, 8) ** -0.3})
    law = bl.load_model("power")
    counted = bl.change(law, likelihood="Binomial")
    with pytest.raises(bl.InputError, match="counts single samples: it needs k = 1 and the output neg_log"):
        bl.read_table(table, counted)
    with pytest.raises(bl.InputError, match="the data have no columns n and c"):
        bl.fit(counted, bl.read_table(table, law), method, bootstrap=0)
