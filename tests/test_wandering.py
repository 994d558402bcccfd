"""A law's slope that wanders: stated, refused, settled, fitted, kept, and what it makes of distance."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from conftest import handmade, noiseless
from dense_covariance import SLOPE, middle

import bayeslaw as bl
from bayeslaw.inference.pilot import settle_around
from bayeslaw.inference.saving import content_hash
from bayeslaw.law.priors import link_normal, walked
from bayeslaw.observation.base import Rows
from bayeslaw.observation.bound import bind
from bayeslaw.observation.discrepancy import observe
from bayeslaw.observation.discrepancy_places import AROUND, points_of
from bayeslaw.observation.discrepancy_shapes import (
    GRID,
    drift_step,
    drift_steps,
    grid_of,
    lengths,
    scales,
    settled_grid,
    whole_grid,
)

ONE_INPUT = ("power", "broken-power", "sigmoid-power", "compute", "gold-likelihood")
LOCAL = {"scale": {"unit": "sigma", "prior_90": [0.15, 8]}, "slope": None}


def fitted(spec, data, **more):
    return bl.fit(spec, data, **{"draws": 250, "tune": 400, "seed": 1, "progress": False} | more)


@pytest.fixture(scope="module")
def two_inputs():
    spec, data = noiseless("chinchilla", noise=0.02)
    return bl.change(spec, discrepancy={"slope": SLOPE}), data


@pytest.fixture(scope="module")
def two_inputs_fit(two_inputs):
    return fitted(*two_inputs, draws=1000, tune=1000)


# -- stated -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", bl.models()["name"])
def test_laws_of_one_input_wander_in_slope(name):
    spec = bl.load_model(name)
    assert ("discrepancy_slope" in spec.noise) == (name in ONE_INPUT)
    assert "discrepancy_slope" not in walked(spec), "marginalised"


@pytest.mark.parametrize(
    "slope",
    [{"fixed": 0.1}, {"prior_90": [0.1, 0.1001]}, {"prior_90": [0.1, 0.149]}],
    ids=["held", "as good as held", "narrow"],
)
def test_a_slope_that_is_not_marginalised_is_refused(slope):
    with pytest.raises(bl.InputError, match=r"\[discrepancy\] slope.*at least 1\.5 times low") as refused:
        bl.change(bl.load_model("power"), discrepancy={"slope": slope})
    assert "\n" not in str(refused.value)


def test_a_slope_is_held_by_no_other_way():
    power = bl.load_model("power")
    with pytest.raises(bl.InputError, match=r"\[discrepancy\] slope"):
        bl.change(power, fix={"discrepancy_slope": 0.1})
    with pytest.raises(bl.InputError, match=r"\[discrepancy\] slope"):
        bl.change(power, prior={"discrepancy_slope": (0.1, 0.11)})
    wider = bl.change(power, prior={"discrepancy_slope": (0.1, 0.2)})
    assert wider.noise["discrepancy_slope"].prior_90 == (0.1, 0.2)


def test_a_discrepancy_along_runs_has_no_slope():
    with pytest.raises(bl.InputError, match="within runs has no 'slope'"):
        bl.change(bl.load_model("annealing"), discrepancy={"slope": SLOPE})


# -- the grid ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("prior", [(0.01, 1.2), (0.1, 0.2), (0.001, 30.0)])
@pytest.mark.parametrize("unit", ["sigma", "log"])
def test_the_grid_s_weights_are_the_slope_s_prior(prior, unit):
    """Over all drifts in fine steps, at any run noise inside the prior's, they sum to one."""
    spec, data = noiseless("compute", noise=0.1)
    spec = bl.resolve(
        bl.change(spec, prior={"discrepancy_slope": prior}, discrepancy={"scale": {"unit": unit, "prior_90": [0.03, 1]}}),
        data,
    )  # fmt: skip
    (low, high), whole = drift_steps(spec), whole_grid(spec, np.ones(1))
    shapes = [
        [j, k, 0, 0, 0, len(scales(spec)[0])]
        for j in range(len(lengths(spec)[0]))
        for k in range(low, high + 1)
    ]
    rows = bind(spec, data.assign_attrs({GRID: json.dumps({"shapes": shapes, "sigmas": []})})).rows
    grid, (mean, sd) = grid_of(spec, rows), link_normal(spec.noise["sigma"])
    for sigma in np.exp(mean + sd * np.array([-2.0, 0.0, 2.0])):
        score = grid.score + grid.rate * np.log(sigma)
        assert np.exp(grid.log_nodes - score**2 / 2).sum() == pytest.approx(1, abs=0.02)
        drift = np.exp(drift_step(spec) * grid.index[:, 1:2])
        size = drift * grid.scales * (sigma if unit == "sigma" else 1.0)
        wanted = (np.log(size) - link_normal(spec.noise["discrepancy_slope"])[0]) / link_normal(
            spec.noise["discrepancy_slope"]
        )[1]
        np.testing.assert_allclose(score, wanted, atol=1e-9)
    assert set(whole.index[:, 1]) <= set(grid.index[:, 1])


def test_fits_of_earlier_versions_still_forecast(tmp_path):
    """Their grid is a span of lengths and one of scales, and their laws' slopes did not wander."""
    spec, data = noiseless("compute", noise=0.05)
    fit = fitted(bl.change(spec, discrepancy=LOCAL), data)
    shapes = json.loads(fit.data.attrs[GRID])["shapes"]
    length, _, _, _, first, end = np.array(shapes).T
    wide = {
        "shapes": [
            [j, 0, 0, 0, int(first.min()), int(end.max())] for j in range(length.min(), length.max() + 1)
        ]
    }
    earlier = {
        "lengths": [int(length.min()), int(length.max()) + 1],
        "scales": [int(first.min()), int(end.max())],
    }
    fits = {}
    for name, told in (("now", wide), ("earlier", earlier)):
        tree = fit.tree.copy(deep=True)
        told = json.dumps({**told, "sigmas": json.loads(fit.data.attrs[GRID])["sigmas"]})
        tree["constant_data"].attrs[GRID] = told
        fits[name] = bl.load_fit(bl.Fit(fit.spec, tree).save(tmp_path / f"{name}.nc"))
        assert fits[name].data.attrs[GRID] == told
    assert fits["now"].data.attrs[GRID] != fits["earlier"].data.attrs[GRID]
    assert "shapes" not in json.loads(fits["earlier"].data.attrs[GRID])
    for ask in (lambda f: bl.forecast(f, {"C": [1e21, 1e24]}, seed=2), bl.log_likelihood):
        xr.testing.assert_identical(ask(fits["earlier"]), ask(fits["now"]))
    assert bl.checks(fits["earlier"]) == bl.checks(fits["now"])


def test_spans_of_earlier_versions_are_shapes_without_drift():
    spec, data = noiseless("compute", noise=0.1)
    told = json.dumps({"lengths": [2, 5], "scales": [1, 9], "sigmas": [0.1]})
    rows = bind(spec, data.assign_attrs({GRID: told})).rows
    assert settled_grid(rows) == ([[2, 0, 0, 0, 1, 9], [3, 0, 0, 0, 1, 9], [4, 0, 0, 0, 1, 9]], [0.1])


# -- from where -------------------------------------------------------------------------------------


def test_the_middle_and_the_steepness_are_those_of_the_rows():
    spec, data = noiseless("power", noise=0.02)
    bound = settle_around(bind(spec, data))
    told = json.loads(bound.data.attrs[AROUND])
    x = np.log(data["x"].values / bound.spec.inputs["x"].reference)
    assert told["centre"] == pytest.approx([x.mean()], abs=1e-12)
    slope = np.polyfit(x, np.log(data[spec.output.name].values), 1)[0]
    assert told["gradient"] == pytest.approx([slope], rel=0.15)
    points = points_of(bound.spec, bound.rows)
    # Along the way in which the law falls: away from small inputs its distance grows.
    assert points.steep == pytest.approx(-told["gradient"][0])
    np.testing.assert_allclose(np.abs(points.along), np.abs(x - x.mean()), atol=1e-12)


def test_what_other_rows_settled_does_not_count():
    """A window of a fit's own data is fitted as the same rows read anew."""
    spec, data = noiseless("power", noise=0.02)
    first, half = fitted(spec, data), {"obs": slice(0, 20)}
    spec = first.spec
    again, anew = (fitted(spec, d.isel(half)) for d in (first.data, data))
    assert again.data.attrs[AROUND] == anew.data.attrs[AROUND] != first.data.attrs[AROUND]
    assert again.tree.identical(anew.tree)


def test_new_rows_are_held_against_the_seen_rows_middle():
    """Where nothing settled it, the middle is the seen rows', not the new ones'."""
    spec, data = noiseless("power", noise=0.02)
    bound, new = bind(spec, data), bind(bl.resolve(spec, data), data.isel(obs=slice(30, None)))
    seen = points_of(bound.spec, bound.rows)
    np.testing.assert_allclose(points_of(bound.spec, new.rows, bound.rows).along, seen.along[30:])


# -- what it says -----------------------------------------------------------------------------------


def test_the_slope_is_in_summary_prior_and_file(tmp_path, simulated_fit):
    table = bl.summary(simulated_fit)
    assert "discrepancy_slope" in table.index
    low, mid, high = table.loc["discrepancy_slope", ["lower", "median", "upper"]]
    assert 0 < low < mid < high
    prior = simulated_fit.tree["prior"].to_dataset()["discrepancy_slope"]
    mean, sd = link_normal(simulated_fit.spec.noise["discrepancy_slope"])
    assert np.log(prior).mean() == pytest.approx(mean, abs=5 * sd / np.sqrt(prior.size))
    assert np.log(prior).std() == pytest.approx(sd, rel=0.2)
    loaded = bl.load_fit(simulated_fit.save(tmp_path / "fit.nc"))
    np.testing.assert_array_equal(loaded.draws["discrepancy_slope"], simulated_fit.draws["discrepancy_slope"])
    assert loaded.data.attrs[AROUND] == simulated_fit.data.attrs[AROUND]
    assert content_hash(loaded.tree) == content_hash(simulated_fit.tree)


@pytest.mark.parametrize("name", ["power", "chinchilla"])
def test_variance_grows_with_the_cube_of_the_distance(name):
    """Twice as far from the middle the wandering's sd is 2^1.5 times as large; across the way it does not grow."""
    spec, data = noiseless(name)
    spec = bl.resolve(bl.change(spec, discrepancy={"slope": SLOPE}), data)
    over, draws = spec.discrepancy.over, 40_000
    gradient = -0.1 * np.arange(1, len(over) + 1)
    attrs = middle(np.zeros(len(over)), gradient)
    towards = -gradient / np.linalg.norm(gradient)
    far = np.outer([10.0, 20.0, 40.0], towards)
    place = np.concatenate([far, [[40 * towards[-1], -40 * towards[0]]]]) if len(over) > 1 else far
    columns = {n: spec.inputs[n].reference * np.exp(place[:, i]) for i, n in enumerate(over)}
    new, scale = Rows(*np.zeros((3, len(place))), columns, attrs), 1e-6
    values = {"sigma": 1e-3, "discrepancy_scale": scale, "discrepancy_length": 3.0, "discrepancy_slope": 0.2}
    values = {n: np.full((draws, 1), v) for n, v in values.items()}
    drawn = observe(spec).unconditioned(values).predict(np.zeros((draws, 1)), new, np.random.default_rng(0))
    sd = drawn["curve"].std(axis=0)
    steep = np.linalg.norm(gradient)
    np.testing.assert_allclose(sd[:3], 0.2 * steep * np.sqrt([10**3 / 3, 20**3 / 3, 40**3 / 3]), rtol=0.02)
    if len(over) > 1:
        assert sd[3] < 1e-8


def test_forecasts_open_with_distance():
    """A fit's curve is the less known the further it goes, and by more than one whose slope holds."""
    widths = {}
    for changed in ({}, {"discrepancy": LOCAL}):
        spec, data = noiseless("power", noise=0.02)
        fit = fitted(bl.change(spec, **changed), data)
        said = np.log(bl.forecast(fit, {"x": [1e7, 1e8, 1e9, 1e10]}).sel(kind="curve"))
        widths[bool(changed)] = (said["upper"] - said["lower"]).values
    assert (np.diff(widths[False]) > 0).all()
    ratio = widths[False] / widths[True]
    assert (np.diff(ratio) > 0).all() and ratio[-1] > 1.2


def test_handmade_draws_between_the_grid_s_shapes_have_a_covariance():
    """What new rows' covariance is made of is one shape's, so that it is one."""
    fit = handmade("compute")
    said = bl.forecast(fit, {"C": [1e23, 1e25]}, seed=1)
    assert np.isfinite(said["upper"]).all()


# -- two inputs -------------------------------------------------------------------------------------


def test_a_law_of_two_inputs_wanders_in_slope(two_inputs_fit, two_inputs, tmp_path):
    fit = two_inputs_fit
    assert [c for c in bl.checks(fit) if c.level == "fail"] == []
    stats = fit.tree["sample_stats"]
    assert stats.attrs["density_miss"] < 0.05 and stats.attrs["density_edge"] < 1e-3
    told = json.loads(fit.data.attrs[AROUND])
    assert len(told["centre"]) == len(told["gradient"]) == 2
    assert max(told["gradient"]) < 0, "the loss falls with both"
    loaded = bl.load_fit(fit.save(tmp_path / "two.nc"))
    assert loaded.tree.identical(fit.tree) and loaded.spec == fit.spec
    target = {"N": [1e11], "D": [1e13]}
    xr.testing.assert_identical(bl.forecast(loaded, target), bl.forecast(fit, target))
    assert fit.spec.noise["discrepancy_slope"].prior_90 == tuple(SLOPE["prior_90"])


def test_counts_settle_from_where_too():
    rng, C = np.random.default_rng(4), np.geomspace(1e18, 1e22, 20)
    spec = bl.change(bl.load_model("compute"), likelihood={"family": "Binomial"})
    passed = rng.binomial(400, np.exp(-(0.3 + 900 * C**-0.125)))
    table = pd.DataFrame({"model": [f"m{i}" for i in range(20)], "compute": C, "n": 400, "c": passed})
    bound = settle_around(bind(spec, bl.read_table(table, spec)))
    told = json.loads(bound.data.attrs[AROUND])
    assert told["gradient"] == pytest.approx([-0.11], abs=0.03)
