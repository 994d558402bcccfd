"""A run that is forecast is a measured one: with the sampling error that the table's evaluations usually have there."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from click.testing import CliRunner

import bayeslaw as bl
from bayeslaw.cli.main import main
from bayeslaw.core.errors import InputError
from bayeslaw.data.estimators import unbiased
from bayeslaw.forecasts.evaluation import evaluation_of
from bayeslaw.forecasts.heldout import held_out
from bayeslaw.forecasts.mixture import Mixture
from bayeslaw.forecasts.variance import split
from bayeslaw.inference.loading import load_fit

PROBLEMS, SAMPLES = 40, 50
SETTINGS = {"draws": 500, "tune": 500, "chains": 4, "seed": 0}
BEYOND = {"C": [1e23]}


def rates(compute: float) -> np.ndarray:
    """Return the success rate of each problem: all grow with compute, some are easy."""
    return 1 / (1 + np.exp(4.5 - 0.55 * np.log10(compute / 1e18) - np.linspace(-2.2, 2.2, PROBLEMS)))


def counted(computes: np.ndarray, samples: int = SAMPLES, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = []
    for i, compute in enumerate(computes):
        c = rng.binomial(samples, rates(compute))
        rows.append(pd.DataFrame({
            "model": f"m{i}", "problem": np.arange(PROBLEMS).astype(str), "n": samples, "c": c, "compute": compute,
        }))  # fmt: skip
    return pd.concat(rows, ignore_index=True)


TABLE = counted(np.geomspace(1e18, 1e21, 24))
LAW = bl.change(bl.load_model("compute"), discrepancy=None, likelihood="Normal")


@pytest.fixture(scope="module")
def fit():
    return bl.fit(LAW, bl.read_table(TABLE, LAW, k=1), **SETTINGS)


@pytest.fixture(scope="module")
def binomial():
    spec = bl.change(LAW, likelihood="Binomial")
    return bl.fit(spec, bl.read_table(TABLE, spec), **SETTINGS)


@pytest.fixture(scope="module")
def without_problems():
    """A fit to shares and their errors: nobody says on how many samples of how many problems they rest."""
    rows = bl.read_table(TABLE, LAW, k=1)
    frame = pd.DataFrame({n: rows[n].values for n in ("compute", "pass_at_k", "sampling_error")})
    frame["sampling_error"] *= frame["pass_at_k"]  # of pass@k itself
    return bl.fit(LAW, bl.read_table(frame.assign(model=rows["model"].values), LAW), **SETTINGS)


def mixture(fit) -> Mixture:
    """Return two fits of one law as a mixture."""
    scores = xr.Dataset({"log_score_joint": (("law", "window"), np.zeros((2, 0)))})
    return Mixture({"one": fit, "other": fit}, {"one": 0.5, "other": 0.5}, scores)


def spread(fc) -> float:
    """Return the sd of a run on the scale of errors."""
    return float(np.log(fc["draws"].sel(kind="run").isel(target=0)).std())


@pytest.mark.parametrize("k", [1, 8])
def test_the_error_is_that_of_sampling_these_problems_anew(k):
    """At values of the table and an order of magnitude of compute beyond, against estimates drawn again and again."""
    rows = bl.read_table(TABLE, LAW, k=k)
    rule = evaluation_of(bl.fit(LAW, rows, **SETTINGS))
    rng = np.random.default_rng(1)
    for compute in (1e19, 1e20, 1e21, 1e22):
        c = rng.binomial(SAMPLES, rates(compute), size=(1500, PROBLEMS))
        n = np.full(PROBLEMS, SAMPLES)
        p = np.array([unbiased(n, one, k).mean() for one in c])
        told = rule.applied({}, np.array([-np.log(p.mean())]))["sampling_error"][0]
        assert told == pytest.approx(p.std() / p.mean(), rel=0.25), compute


def test_a_run_has_the_usual_error_by_default(fit):
    usual, noiseless = (
        bl.forecast(fit, BEYOND, draws=True),
        bl.forecast(fit, BEYOND, draws=True, samples=None),
    )
    value = float(noiseless["median"].sel(kind="law").item())
    error = evaluation_of(fit).applied({}, np.array([value]))["sampling_error"][0] / value
    assert error > 0.01
    assert spread(usual) ** 2 - spread(noiseless) ** 2 == pytest.approx(error**2, rel=0.25)
    for kind in ("law", "curve"):
        for name in ("median", "lower", "upper"):
            assert usual[name].sel(kind=kind).item() == noiseless[name].sel(kind=kind).item()
    assert usual.attrs["evaluation"] == (
        "as it is measured, with the sampling error of 50 samples a problem, as is usual in the table"
    )
    assert noiseless.attrs["evaluation"] == "itself, without the error of its evaluation"
    assert (usual.attrs["samples"], noiseless.attrs["samples"]) == ("usual", "none")


def test_the_error_goes_with_the_root_of_the_samples(fit, binomial):
    for one in (fit, binomial):
        usual, many = (evaluation_of(one, n).applied({}, np.array([2.0])) for n in ("usual", 4 * SAMPLES))
        assert many["sampling_error"] == pytest.approx(usual["sampling_error"] / 2, rel=1e-9)
    assert many["n"] == 4 * SAMPLES * PROBLEMS


def test_no_measurement_is_worse_than_a_single_success(fit):
    values = np.array([1e-9, 3.0, 60.0, np.nan])
    error = evaluation_of(fit).applied({}, values)["sampling_error"]
    assert (error <= 1).all()
    assert error[2] == 1
    assert error[3] == 0


def test_counts_are_drawn_as_they_are_held_out(binomial):
    usual, noiseless = (bl.forecast(binomial, BEYOND, draws=True, samples=n) for n in ("usual", None))
    hits = np.exp(-usual["draws"].sel(kind="run")).values * SAMPLES * PROBLEMS
    np.testing.assert_allclose(hits, np.rint(hits), atol=1e-6)
    assert spread(usual) > spread(noiseless)


def test_targets_that_state_an_error_have_that_alone(fit):
    given = {**BEYOND, "sampling_error": [0.3]}
    fc, exact = bl.forecast(fit, given, draws=True), bl.forecast(fit, BEYOND, draws=True, samples=None)
    added = spread(fc) ** 2 - spread(exact) ** 2
    assert added == pytest.approx((0.3 / float(exact["median"].sel(kind="law").item())) ** 2, rel=0.2)
    assert fc.attrs["samples"] == "stated"
    zero = bl.forecast(fit, {**BEYOND, "sampling_error": [0.0]})
    assert zero["upper"].equals(bl.forecast(fit, BEYOND, samples=None)["upper"])


def test_rows_that_are_held_out_have_their_own_error_alone(fit):
    """Widening their errors moves the forecast of them; the table's usual number of samples does not."""
    held = bl.read_table(counted(np.geomspace(2e21, 1e23, 6), seed=1), LAW, k=1)
    exact = held.assign(sampling_error=held["sampling_error"] * 0)
    drawn = held_out(fit, exact, seed=3).draws
    noiseless = bl.forecast(fit, {"C": held["compute"].values}, draws=True, samples=None)["draws"].sel(
        kind="run"
    )
    assert np.log(drawn).std(axis=0) == pytest.approx(np.log(noiseless.values).std(axis=0), rel=0.1)
    more = held.assign(samples_per_problem=held["samples_per_problem"] / 10)
    np.testing.assert_array_equal(held_out(fit, more, seed=3).draws, held_out(fit, held, seed=3).draws)


def test_errors_are_enough_where_samples_are_unknown(fit, without_problems):
    usual = bl.forecast(without_problems, BEYOND)
    np.testing.assert_allclose(usual["upper"], bl.forecast(fit, BEYOND)["upper"], rtol=0.02)
    assert "usually have there" in usual.attrs["evaluation"]
    with pytest.raises(InputError, match="does not say how many samples a problem has; give it in a column"):
        bl.forecast(without_problems, BEYOND, samples=100)
    rows = without_problems.data.assign(
        samples_per_problem=without_problems.data["sampling_error"] * 0 + 50.0
    )
    stated = bl.fit(LAW, rows, **SETTINGS)
    assert evaluation_of(stated, 50).level == pytest.approx(evaluation_of(stated).level, abs=1e-9)


def test_a_table_without_errors_adds_nothing(simulated_fit):
    with_default, noiseless = (bl.forecast(simulated_fit, BEYOND, samples=n) for n in ("usual", None))
    assert with_default.equals(noiseless)
    assert with_default.attrs["evaluation"] == ""
    with pytest.raises(InputError, match="the table says no sampling errors of pass@k"):
        bl.forecast(simulated_fit, BEYOND, samples=100)


def test_a_point_fit_is_measured_as_its_residuals_are():
    point = bl.fit(LAW, bl.read_table(TABLE, LAW, k=1), method="map", bootstrap=50)
    assert evaluation_of(point) is None
    assert "residuals hold" in bl.forecast(point, BEYOND).attrs["evaluation"]
    with pytest.raises(InputError, match="a point fit's runs scatter as its residuals do"):
        bl.forecast(point, BEYOND, samples=None)


def test_a_point_fit_adds_no_error_that_its_residuals_hold():
    point = bl.fit(LAW, bl.read_table(TABLE, LAW, k=1), method="map", bootstrap=50)
    like_the_rows = float(np.sqrt(np.mean((point.bound.rows.error) ** 2)))
    value = float(bl.forecast(point, {"C": [1e20]})["median"].sel(kind="law").item())
    alone, same, more = (
        bl.forecast(point, {"C": [1e20], "sampling_error": [factor * like_the_rows * value]})["upper"].sel(
            kind="run"
        )
        for factor in (0.0, 0.9, 5.0)
    )
    assert same.item() == alone.item()
    assert more.item() > alone.item()


@pytest.mark.parametrize(
    ("samples", "told"),
    [
        (0, "found 0, allowed: a whole number"),
        (1.5, "found 1.5, allowed: a whole number"),
        (True, "allowed: a whole number"),
        ("many", "found 'many', allowed: 'usual', a whole number, or None"),
    ],
)
def test_samples_that_are_none_are_refused(fit, samples, told):
    with pytest.raises(InputError, match=told):
        bl.forecast(fit, BEYOND, samples=samples)


def test_fewer_samples_than_k_and_two_errors_at_once_are_refused(fit):
    rows = fit.data.assign(k=fit.data["sampling_error"] * 0 + 16)
    with pytest.raises(InputError, match="found 8, allowed: 16 or more, for pass@16"):
        bl.forecast(bl.fit(LAW, rows, **SETTINGS), BEYOND, samples=8)
    with pytest.raises(InputError, match="targets state their sampling_error; give one of the two"):
        bl.forecast(fit, {**BEYOND, "sampling_error": [0.1]}, samples=100)


def test_groups_have_their_own_usual_error():
    """One benchmark has four times the samples of the other: half the error at one value."""
    few, many = (counted(np.geomspace(1e18, 1e21, 12), n, seed=n).assign(family=str(n)) for n in (25, 100))
    table = pd.concat([few, many.assign(model=many["model"] + "-many")])
    spec = bl.change(LAW, pool={"level": "family"})
    rule = evaluation_of(bl.fit(spec, bl.read_table(table, spec, k=1), **SETTINGS))
    columns = {"family": np.array(["25", "100", "unseen"])}
    error = rule.applied(columns, np.full(3, 2.0))["sampling_error"]
    assert error[0] / error[1] == pytest.approx(2.0, rel=0.1)
    assert error[1] < error[2] < error[0]


def test_contrasts_shares_and_mixtures_are_of_measured_runs(fit, binomial):
    for one in (fit, binomial):
        table = split(one, BEYOND).set_index("component")["share"]
        assert table["evaluation noise"] > 0.02
        assert "evaluation noise" not in set(split(one, BEYOND, samples=None)["component"])
    mix = mixture(fit)
    ends = [bl.forecast(mix, BEYOND, samples=n)["upper"].sel(kind="run").item() for n in ("usual", None)]
    assert ends[0] > ends[1]
    sides = {"C": [1e22]}, {"C": [1.2e22]}
    wide, narrow = (bl.contrast(fit, *sides, samples=n) for n in ("usual", None))
    assert (wide["upper"] - wide["lower"]).item() > (narrow["upper"] - narrow["lower"]).item()
    curve = [bl.contrast(fit, *sides, kind="curve", samples=n)["upper"].item() for n in ("usual", None)]
    assert curve[0] == curve[1]


def test_the_command_says_how_a_run_is_measured(fit, tmp_path):
    path = str(fit.save(tmp_path / "fit.nc"))
    assert load_fit(path).data["samples_per_problem"].values[0] == SAMPLES
    run = CliRunner().invoke
    usual, none, many = (
        run(main, ["forecast", path, "--at", "C=1e23", *extra])
        for extra in ([], ["--samples", "none"], ["--samples", "200"])
    )
    assert "a run as it is measured, with the sampling error of 50 samples a problem" in usual.output
    assert "a run itself, without the error of its evaluation" in none.output
    assert "the sampling error of 200 samples a problem" in many.output
    odd = run(main, ["contrast", path, "--a", "C=1e22", "--b", "C=1e23", "--samples", "some"])
    assert odd.exit_code == 2
    assert "--samples: found 'some', allowed: a whole number, or none" in odd.output
