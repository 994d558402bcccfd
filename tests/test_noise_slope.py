"""Run noise that changes along an input: sigma at the reference, by a power of the input elsewhere."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import logsumexp

import bayeslaw as bl
from bayeslaw.assess.loo import leave_one_out
from bayeslaw.core.errors import InputError
from bayeslaw.forecasts.heldout import held_out
from bayeslaw.forecasts.posterior import posterior_of
from bayeslaw.forecasts.variance import split
from bayeslaw.inference.values import fit_values
from bayeslaw.law.evaluate import law_on_scale
from bayeslaw.observation.base import NUMPY
from bayeslaw.observation.bound import bind

SLOPE = {"over": "x", "prior_90": [-0.3, 0.3]}
PLAIN = bl.change(bl.load_model("power"), discrepancy=None)
LAWS = {
    family: bl.change(PLAIN, likelihood={"family": family, "sigma_slope": SLOPE})
    for family in ("Normal", "StudentT")
}
TRUE = {"E": 0.5, "A": 8.0, "alpha": 0.3}
SIGMA, EXPONENT = 0.02, -0.2
SETTINGS = {"draws": 600, "tune": 600, "chains": 4, "seed": 0}


def frame(rows: int = 120, seed: int = 0, family: str = "Normal") -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = np.geomspace(1e2, 1e6, rows)
    noise = rng.standard_normal(rows) if family == "Normal" else rng.standard_t(8, rows)
    sigma = SIGMA * (x / 1e4) ** EXPONENT
    return pd.DataFrame({"x": x, "y": (TRUE["E"] + TRUE["A"] * x ** -TRUE["alpha"]) * np.exp(sigma * noise)})


@pytest.fixture(scope="module", params=LAWS)
def fit(request):
    spec = LAWS[request.param]
    return bl.fit(spec, bl.read_table(frame(family=request.param), spec), **SETTINGS)


@pytest.fixture(scope="module")
def normal():
    spec = LAWS["Normal"]
    return bl.fit(spec, bl.read_table(frame(), spec), **SETTINGS)


def scale_at(fit, values, x) -> np.ndarray:
    return values["sigma"] * (x / fit.spec.inputs["x"].reference) ** values["sigma_slope"]


def test_the_truth_is_recovered(fit):
    """Within three posterior sd; without a slope the noise of the ends would be one number."""
    table = bl.summary(fit)
    for name, true in {"sigma_slope": EXPONENT, "sigma": SIGMA, "alpha": 0.3}.items():
        assert abs(table.loc[name, "mean"] - true) < 3 * table.loc[name, "sd"], name
    assert table.loc["sigma_slope", "upper"] < -0.1
    assert table.loc["sigma_slope", "unit"] == "per e-fold"
    assert not [c for c in bl.checks(fit) if c.level == "fail"]


def test_a_forecast_scatters_as_its_place_says(fit):
    for x in (1e2, 1e7):
        drawn = bl.forecast(fit, {"x": [x]}, draws=True)["draws"].isel(target=0)
        noise = np.log(drawn.sel(kind="run") / drawn.sel(kind="curve")).values
        expected = SIGMA * (x / 1e4) ** EXPONENT
        width = np.subtract(*np.quantile(noise, [0.75, 0.25])) / 1.349
        assert width == pytest.approx(expected, rel=0.35), x


@pytest.mark.parametrize("family", LAWS)
def test_the_density_is_scipys(family):
    data = bl.read_table(frame(rows=30, family=family), LAWS[family])
    data = data.assign(sampling_error=0.01 * data["y"])
    spec = bl.resolve(LAWS[family], data)
    bound = bind(spec, data)
    values = {"level": 0.9, "floor": 0.5, "alpha": 0.3, "sigma": 0.03, "sigma_slope": -0.15, "nu": 9.0}
    draws = {n: np.full((1, 1), v) for n, v in values.items()}
    mean = bound.law({n: v for n, v in draws.items() if n in spec.parameters})
    scale = np.sqrt((0.03 * (data["x"].values / spec.inputs["x"].reference) ** -0.15) ** 2 + 0.01**2)
    known = stats.norm(mean[0], scale) if family == "Normal" else stats.t(9.0, mean[0], scale)
    expected = known.logpdf(np.log(data["y"].values)) - np.log(data["y"].values)
    given = bound.observation.condition(bound.rows, mean, draws)
    np.testing.assert_allclose(given.leave_one_out()[0], expected, rtol=1e-10)
    joint, each = given.density(mean, bound.rows, np.random.default_rng(0))
    np.testing.assert_allclose(each[0], expected, rtol=1e-10)
    np.testing.assert_allclose(joint, expected.sum(), rtol=1e-10)
    np.testing.assert_allclose(
        bound.observation.joint(mean[0], values, bound.terms, NUMPY), expected.sum(), rtol=1e-10
    )
    np.testing.assert_allclose(given.left_out()[1][0], scale**2, rtol=1e-10)


def test_what_is_told_of_rows_goes_with_their_place(normal):
    """Replicates, held-out rows, shares of variance and cross-validation, each against the scale at its place."""
    values, x = fit_values(normal), normal.data["x"].values
    sigma = np.median(scale_at(normal, values, x), axis=0)
    assert sigma[0] / sigma[-1] > 3
    again = np.log(normal.tree["posterior_predictive"]["y"].values.reshape(-1, len(x))).std(axis=0)
    np.testing.assert_allclose(again, sigma, rtol=0.4)
    far = bl.read_table(pd.DataFrame({"x": [1e1, 1e8], "y": [4.0, 0.55]}), normal.spec)
    held = held_out(normal, far, seed=1)
    posterior = posterior_of(normal)
    law = law_on_scale(normal.spec, posterior.draws(), {"x": far["x"].values})
    expected = stats.norm(law, scale_at(normal, values, far["x"].values)).logpdf(np.log(far["y"].values))
    expected = logsumexp(expected[::2], axis=0) - np.log(len(expected[::2])) - np.log(far["y"].values)
    np.testing.assert_allclose(held.log_rows, expected, atol=0.15)
    noise = posterior.noise_variance({"x": far["x"].values})
    np.testing.assert_allclose(noise, scale_at(normal, values, far["x"].values) ** 2)
    sds = split(normal, {"x": [1e2, 1e6]}).set_index(["target", "component"])["sd"].xs("run noise", level=1)
    assert sds[0] / sds[1] == pytest.approx(sigma[0] / sigma[-1], rel=0.1)
    plain = bl.fit(bl.change(normal.spec, likelihood={"sigma_slope": None}), normal.data, **SETTINGS)
    assert leave_one_out(normal).elpd > leave_one_out(plain).elpd + 3


def test_a_file_keeps_it_and_a_point_fit_leaves_it_out(normal, tmp_path):
    again = bl.load_fit(normal.save(tmp_path / "fit.nc"))
    assert again.spec == normal.spec
    assert again.spec.sigma_over == "x"
    point = bl.fit(normal.spec, normal.data, method="map", bootstrap=30)
    plain = bl.fit(
        bl.change(normal.spec, likelihood={"sigma_slope": None}), normal.data, method="map", bootstrap=30
    )
    assert float(point.tree["point"]["alpha"]) == float(plain.tree["point"]["alpha"])
    assert bl.forecast(point, {"x": [1e7]}).equals(bl.forecast(plain, {"x": [1e7]}))


def test_it_is_changed_held_and_removed():
    spec = LAWS["StudentT"]
    assert spec.noise["sigma_slope"].prior_90 == (-0.3, 0.3)
    assert bl.change(spec, prior={"sigma_slope": (-1, 1)}).noise["sigma_slope"].prior_90 == (-1, 1)
    assert bl.change(spec, fix={"sigma_slope": -0.1}).noise["sigma_slope"].fixed == -0.1
    assert bl.change(spec, likelihood={"sigma_slope": None}) == PLAIN
    compute = bl.change(
        bl.load_model("compute"), discrepancy=None, likelihood={"sigma_slope": {**SLOPE, "over": "C"}}
    )
    assert bl.change(compute, likelihood="Binomial").sigma_over is None
    assert bl.change(spec, likelihood="Normal").sigma_over == "x"
    assert bl.change(PLAIN, likelihood={"sigma_slope": None}) == PLAIN


REFUSED = {
    "beside a discrepancy": (
        {"likelihood": {"sigma_slope": SLOPE}}, "power",
        "sigma_slope: goes with independent errors alone, and the law has a discrepancy; take out one of them",
    ),
    "of counts": (
        {"likelihood": {"family": "Binomial", "sigma_slope": {**SLOPE, "over": "C"}}, "discrepancy": None}, "compute",
        'family = "Binomial" has none; allowed with StudentT, Normal; remove it',
    ),
    "an input that is none": (
        {"likelihood": {"sigma_slope": {**SLOPE, "over": "z"}}, "discrepancy": None}, "power",
        "sigma_slope over: 'z' is no input of the law with a 'reference'",
    ),
    "no input": (
        {"likelihood": {"sigma_slope": {"prior_90": [-0.3, 0.3]}}, "discrepancy": None}, "power",
        "sigma_slope: the key 'over' is missing",
    ),
    "no prior": (
        {"likelihood": {"sigma_slope": {"over": "x"}}, "discrepancy": None}, "power",
        "sigma_slope: a sampled parameter needs prior_90",
    ),
    "an unknown key": (
        {"likelihood": {"sigma_slope": {**SLOPE, "along": "x"}}, "discrepancy": None}, "power", "unknown key 'along'",
    ),
    "no table": ({"likelihood": {"sigma_slope": 0.1}, "discrepancy": None}, "power", "expected a table, found 0.1"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_go_together_is_refused(case):
    change, law, told = REFUSED[case]
    with pytest.raises(InputError, match=re.escape(told)):
        bl.change(bl.load_model(law), **change)


def test_rows_without_a_logarithm_are_refused_before_anything_is_compiled():
    spec = bl.resolve(LAWS["Normal"], bl.read_table(frame(), LAWS["Normal"]))
    data = bl.read_table(frame(), spec)
    x = data["x"].values.copy()
    x[3] = -1.0
    with pytest.raises(InputError, match="sigma_slope: run noise changes with x in e-folds; found x = -1"):
        bl.fit(spec, data.assign(x=("obs", x)), **SETTINGS)
