"""Groups whose curves differ in shape, and runs whose rows share an error."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import bayeslaw as bl
from bayeslaw.cli.main import main
from bayeslaw.inference.values import fit_values
from bayeslaw.observation.base import Rows
from bayeslaw.observation.discrepancy_places import Shape, covariance, points_of
from bayeslaw.observation.discrepancy_shapes import shares

POWER = bl.load_model("power")
BOTH = bl.change(POWER, discrepancy={"groups": "family", "runs": "run"})
SIGMA, RUN = 0.01, 0.04


def table(seed: int = 3) -> pd.DataFrame:
    """Make checkpoints of runs of families whose exponents differ."""
    rng, rows = np.random.default_rng(seed), []
    for family in "abc":
        exponent = 0.15 + 0.03 * rng.standard_normal()
        for run in range(6):
            x, shared = 10 ** rng.uniform(18, 21), RUN * rng.standard_normal()
            for part in (0.25, 0.5, 1.0):
                noise = shared + SIGMA * rng.standard_normal()
                y = 2 * np.exp(-exponent * np.log(x * part / 1e19) + noise)
                rows.append({"family": family, "run": f"{family}{run}", "x": x * part, "y": y})
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def shared_fit():
    return bl.fit(BOTH, bl.read_table(table(), BOTH), draws=600, progress=False)


@pytest.fixture(scope="module")
def plain_fit():
    return bl.fit(POWER, bl.read_table(table(), POWER), draws=600, progress=False)


def width(fit, kind="run", **targets):
    fc = bl.forecast(fit, targets, new_group="family" not in targets).sel(kind=kind)
    return float(np.log(fc["upper"] / fc["lower"])[0])


def test_the_error_of_runs_is_told_from_the_noise_of_rows(shared_fit, plain_fit):
    found = bl.summary(shared_fit)
    assert 0.6 * SIGMA < found.loc["sigma", "median"] < 1.7 * SIGMA
    assert found.loc["discrepancy_run", "lower"] * found.loc["sigma", "median"] < RUN
    assert bl.summary(plain_fit).loc["sigma", "median"] > 2 * SIGMA
    assert not [c for c in bl.checks(shared_fit) if c.level == "fail"]


def test_who_does_not_know_of_runs_is_told(shared_fit, plain_fit):
    told = {c.name: c for c in bl.checks(plain_fit)}
    assert told["shared-runs"].level == "warn" and "--runs run" in told["shared-runs"].message
    assert "shared-runs" not in {c.name for c in bl.checks(shared_fit)}
    independent = table().assign(run=[f"r{i // 3}" for i in range(54)])
    rng = np.random.default_rng(0)
    y = 2 * np.exp(-0.15 * np.log(independent["x"] / 1e19) + 0.03 * rng.standard_normal(54))
    fit = bl.fit(POWER, bl.read_table(independent.assign(y=y), POWER), draws=300, progress=False)
    assert {c.name: c.level for c in bl.checks(fit)}["shared-runs"] == "ok"


def test_a_seen_run_is_known_better_than_a_new_one_and_a_seen_family_than_a_new_one(shared_fit):
    seen = table().iloc[2]
    x = [seen["x"] * 1.5]
    new, own = width(shared_fit, x=x, family=["a"]), width(shared_fit, x=x, family=["a"], run=[seen["run"]])
    assert own < 0.8 * new
    assert width(shared_fit, x=[1e22], family=["a"]) < 0.9 * width(shared_fit, x=[1e22])


def test_two_new_families_are_two(shared_fit):
    new = {"x": [1e22, 1e22], "run": ["n", "m"]}
    drawn = [
        np.log(bl.forecast(shared_fit, {**new, "family": list(names)}, new_group=True, draws=True)["draws"].sel(kind="curve"))
        for names in ("dd", "de")
    ]  # fmt: skip
    same, apart = (float((d.isel(target=0) - d.isel(target=1)).std()) for d in drawn)
    assert same < 1e-6 < 0.02 < apart


def test_a_slip_in_a_runs_name_is_refused(shared_fit):
    with pytest.raises(bl.InputError, match="did you mean 'a0'"):
        bl.forecast(shared_fit, {"x": [1e22], "family": ["a"], "run": ["A0"]})
    bl.forecast(shared_fit, {"x": [1e22], "family": ["a"], "run": ["A0"]}, new_group=True)


def test_data_without_the_column_are_refused():
    data = bl.read_table(table(), BOTH)
    with pytest.raises(bl.InputError, match="the column 'run' of its discrepancy is missing"):
        bl.fit(BOTH, data.drop_vars("run"))


def test_a_new_run_is_no_part_of_the_curve(shared_fit):
    curve, run = (width(shared_fit, kind, x=[1e20], family=["a"]) for kind in ("curve", "run"))
    assert run > curve + 0.01


def test_targets_name_a_family_that_was_seen(shared_fit):
    with pytest.raises(bl.InputError, match="family"):
        bl.forecast(shared_fit, {"x": [1e22]})
    with pytest.raises(bl.InputError, match="no family 'd'"):
        bl.forecast(shared_fit, {"x": [1e22], "family": ["d"]})


def test_what_is_said_of_new_rows_is_the_dense_conditional(shared_fit):
    bound, values = shared_fit.bound, fit_values(shared_fit, 200)
    new = Rows(
        np.zeros(3), np.zeros(3), np.zeros(3),
        {"x": np.array([1e20, 1e21, 1e22]), "family": np.array(["a", "b", "d"]), "run": np.array(["a0", "n", "n"])},
    )  # fmt: skip
    draws = len(values["sigma"])
    given = bound.observation.condition(bound.rows, bound.law(values), values)
    joint, apart = given.density(np.zeros((draws, 3)), new, np.random.default_rng(0))
    a, b = points_of(bound.spec, bound.rows), points_of(bound.spec, new, bound.rows)
    for i in range(draws):
        v = {n: float(values[n][i, 0]) for n in values if values[n].shape[1] == 1}
        scale = v["discrepancy_scale"] * v["sigma"]
        drift, run = v["discrepancy_slope"] / scale, v["discrepancy_run"] / v["discrepancy_scale"]
        own_share = shares()[np.abs(shares() - v["discrepancy_own"]).argmin()]  # the middle of its part
        shape = Shape(v["discrepancy_length"], drift, own_share, run)
        K, cross, own = (scale**2 * covariance("matern32", p, q, shape) for p, q in ((a, a), (b, a), (b, b)))
        own[1:, 1:] += (v["discrepancy_run"] * v["sigma"]) ** 2  # two rows of one new run
        noise = v["sigma"] ** 2
        solve = np.linalg.solve(K + noise * np.eye(len(K)), np.column_stack([given.residual[i], cross.T]))
        mean, variance = cross @ solve[:, 0], own - cross @ solve[:, 1:] + noise * np.eye(3)
        miss, log_det = -mean, np.linalg.slogdet(2 * np.pi * variance)[1]
        assert joint[i] == pytest.approx(-0.5 * (miss @ np.linalg.solve(variance, miss) + log_det), abs=1e-5)
        each = -0.5 * (miss**2 / np.diag(variance) + np.log(2 * np.pi * np.diag(variance)))
        assert apart[i] == pytest.approx(each, abs=1e-5)


def test_a_saved_fit_forecasts_the_same(shared_fit, tmp_path):
    shared_fit.save(tmp_path / "fit.nc")
    again = bl.load_fit(tmp_path / "fit.nc")
    target = {"x": [1e22], "family": ["a"], "run": ["a0"]}
    assert bl.forecast(again, target)["upper"].equals(bl.forecast(shared_fit, target)["upper"])
    assert len(json.loads(again.data.attrs["discrepancy_grid"])["shapes"][0]) == 6


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"discrepancy": {"run": {"prior_90": [0.2, 5], "unit": "sigma"}}}, "goes with runs"),
        ({"discrepancy": {"runs": "run", "run": {"fixed": 1.0, "unit": "sigma"}}}, "marginalised"),
        ({"discrepancy": {"groups": 3}}, "groups"),
    ],
)
def test_what_does_not_go_together_is_refused(change, said):
    with pytest.raises(bl.InputError, match=said):
        bl.change(POWER, **change)


def test_the_prior_of_runs_can_be_changed():
    spec = bl.change(bl.change(POWER, discrepancy={"runs": "run"}), prior={"discrepancy_run": (0.5, 3)})
    assert spec.noise["discrepancy_run"].prior_90 == (0.5, 3)
    with pytest.raises(bl.InputError, match="no prior to change"):
        bl.change(BOTH, prior={"discrepancy_own": (0.1, 0.2)})


def test_curves_have_runs_of_their_own():
    with pytest.raises(bl.InputError, match="has no 'runs'"):
        bl.change(bl.load_model("annealing"), discrepancy={"runs": "run"})


def test_the_command_says_runs_and_groups(tmp_path):
    table().to_csv(tmp_path / "runs.csv", index=False)
    words = ["fit", "power", str(tmp_path / "runs.csv"), "-o", str(tmp_path / "fit.nc"), "--draws", "100", "--tune", "200"]  # fmt: skip
    found = CliRunner().invoke(main, [*words, "--runs", "run", "--groups", "family"])
    assert "discrepancy_run" in found.output + str(
        bl.summary(bl.load_fit(tmp_path / "fit.nc")).index.tolist()
    )
    refused = CliRunner().invoke(main, [*words, "--runs", "run", "--discrepancy", "none"])
    assert refused.exit_code == 2 and "--runs goes with" in refused.output
    lacking = CliRunner().invoke(main, [*words, "--runs", "machine"])
    assert lacking.exit_code == 2 and "machine" in lacking.output
