"""Curves that wander and branch: the forest they make, and densities and predictions against dense ones."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal

import bayeslaw as bl
from bayeslaw.core.check import from_json
from bayeslaw.observation import run_tree_grad
from bayeslaw.observation.base import NUMPY, Rows
from bayeslaw.observation.runs import grow, observe

SPEC = bl.load_model("annealing")
SCALE, LENGTH, SIGMA = 0.02, 0.3, 0.01


def _evaluate(name, *inputs):
    assert name == "forest"
    return run_tree_grad.evaluate(*(np.asarray(v) for v in inputs))[0]


OPS = SimpleNamespace(**vars(NUMPY), with_gradient=_evaluate)


# -- the forest -------------------------------------------------------------------------------------


def parents(run, step, branches):
    """Return each row's parent as (run, step), in the rows' own order; None where there is none."""
    forest, order = grow(np.array(run), np.log(step), branches)
    names = [(run[i], step[i]) for i in order]
    found = {names[i]: names[j] if j >= 0 else None for i, j in enumerate(forest.parent)}
    for i, j in enumerate(forest.parent):
        if j >= 0:
            assert forest.gap[i] == pytest.approx(np.log(names[i][1] / names[j][1]))
    return found


def test_runs_hang_on_the_row_they_left():
    run, step = ["a"] * 4 + ["b"] * 2 + ["c"], [10, 20, 30, 40, 25, 35, 50]
    found = parents(run, step, {"b": ["a", 20], "c": ["b", 25]})
    assert found == {
        ("a", 10): None, ("a", 20): ("a", 10), ("a", 30): ("a", 20), ("a", 40): ("a", 30),
        ("b", 25): ("a", 20), ("b", 35): ("b", 25), ("c", 50): ("b", 25),
    }  # fmt: skip


def test_rows_in_any_order_make_the_same_forest():
    run, step = ["b", "a", "b", "a"], [40, 20, 30, 10]
    found = parents(run, step, {"b": ["a", 20]})
    assert found == {("a", 10): None, ("a", 20): ("a", 10), ("b", 30): ("a", 20), ("b", 40): ("b", 30)}


def test_a_run_that_is_not_there_is_passed_through():
    """The parent's rows may all be held out: the grandparent's then, up to where the parent left it."""
    branches = {"c": ["b", 30], "b": ["a", 20]}
    found = parents(["a", "a", "a", "c"], [10, 20, 28, 40], branches)
    assert found[("c", 40)] == ("a", 20)
    assert parents(["c"], [40], branches) == {("c", 40): None}
    assert parents(["a", "c"], [25, 40], branches)[("c", 40)] is None  # only behind the branch
    assert parents(["x"], [5], {"x": ["y", 3], "y": ["x", 3]}) == {("x", 5): None}  # a circle ends


def test_runs_without_branches_are_apart():
    found = parents(["a", "b", "a", "b"], [10, 10, 20, 20], {})
    assert found == {("a", 10): None, ("b", 10): None, ("a", 20): ("a", 10), ("b", 20): ("b", 10)}


# -- against dense normals --------------------------------------------------------------------------

RUN = np.array(["a", "a", "a", "a", "b", "b", "b", "z", "z"])
STEP = np.array([1000.0, 2000, 4000, 8000, 3000, 5000, 9000, 1500, 6000])
BRANCHES = {"b": ["a", 2000]}


def covariance(run, step):
    """OU along log step: runs that branched meet at the branch, others never."""
    at, n = np.log(step), len(run)
    out = np.zeros((n, n))
    left = np.log(2000.0)
    for i in range(n):
        for j in range(n):
            apart = abs(at[i] - at[j])
            pair = {run[i], run[j]}
            if pair == {"a", "b"}:
                on_a = at[i] if run[i] == "a" else at[j]
                on_b = at[j] if run[i] == "a" else at[i]
                apart = (on_b - left) + abs(on_a - left)
            elif len(pair) == 2:
                continue
            out[i, j] = SCALE**2 * np.exp(-apart / LENGTH)
    return out


def rows_of(index, shuffle=True):
    rng = np.random.default_rng(1)
    index = np.array(index)[rng.permutation(len(index))] if shuffle else np.array(index)
    y = 1.0 + 0.03 * rng.standard_normal(9)[index]
    return index, Rows(
        y, 0.01 * (index % 2), np.full(len(index), -0.2), {"run": RUN[index], "step": STEP[index]},
        {"branches": json.dumps(BRANCHES)},
    )  # fmt: skip


def total(index, rows):
    wander = covariance(RUN[index], STEP[index])
    return wander, wander + np.diag(SIGMA**2 + rows.error**2)


VALUES = {"discrepancy_scale": SCALE, "discrepancy_length": LENGTH, "sigma": SIGMA}


def given(draws):
    return {n: np.full((draws, 1), v) for n, v in VALUES.items()}


def test_the_joint_density_is_the_dense_one():
    index, rows = rows_of(range(9))
    model = observe(SPEC)
    values = {n: np.float64(v) for n, v in VALUES.items()}
    found = model.joint(np.full(9, 0.98), values, model.prepare(rows), OPS)
    _, cov = total(index, rows)
    expected = multivariate_normal(np.full(9, 0.98), cov).logpdf(rows.y) + rows.log_slope.sum()
    assert float(found) == pytest.approx(expected, rel=1e-10)


def test_what_is_said_of_seen_rows_is_the_dense_conditional():
    index, rows = rows_of(range(9))
    wander, cov = total(index, rows)
    mean, own = np.full((2, 9), 0.98), rows.y - 0.98
    precision = np.linalg.inv(cov)
    spread = 1 / np.diag(precision)
    miss = spread * (precision @ own)
    expected = -0.5 * (np.log(2 * np.pi * spread) + miss**2 / spread) + rows.log_slope
    np.testing.assert_allclose(
        observe(SPEC).condition(rows, mean, given(2)).leave_one_out()[1], expected, rtol=1e-9
    )
    smooth = 0.98 + wander @ precision @ own
    np.testing.assert_allclose(observe(SPEC).condition(rows, mean, given(2)).fitted()[0], smooth, rtol=1e-9)


@pytest.mark.parametrize("held", [[5, 6], [3, 4, 5, 6, 8], [7, 8]])
def test_the_density_of_held_rows_is_all_less_seen(held):
    """Of a run's end, of a branch, of a run of its own."""
    index, rows = rows_of(sorted(set(range(9)) - set(held)), shuffle=False)
    ahead, new = rows_of(held, shuffle=False)
    both = np.concatenate([index, ahead])
    y, error = np.concatenate([rows.y, new.y]), np.concatenate([rows.error, new.error])
    cov = covariance(RUN[both], STEP[both]) + np.diag(SIGMA**2 + error**2)
    n = len(index)
    mean = np.full(9, 0.98)
    expected = multivariate_normal(mean, cov).logpdf(y) - multivariate_normal(mean[:n], cov[:n, :n]).logpdf(
        y[:n]
    )
    joint, each = (
        observe(SPEC)
        .condition(rows, np.full((2, n), 0.98), given(2))
        .density(np.full((2, 9 - n), 0.98), new, np.random.default_rng(0))
    )
    np.testing.assert_allclose(joint, expected + new.log_slope.sum(), rtol=1e-9)
    gain = np.linalg.solve(cov[:n, :n], cov[:n, n:]).T
    spread = np.diag(cov[n:, n:] - gain @ cov[:n, n:])
    miss = new.y - 0.98 - gain @ (rows.y - 0.98)
    alone = -0.5 * (np.log(2 * np.pi * spread) + miss**2 / spread) + new.log_slope
    np.testing.assert_allclose(each[0], alone, rtol=1e-9)


@pytest.mark.parametrize("together", [True, False])
def test_a_new_run_wanders_as_the_seen_ones_do(together):
    _, rows = rows_of(range(9))
    draws, step = 20_000, np.array([4000.0, 1000, 2000])
    new = Rows(np.zeros(3), np.array([0.0, 0.02, 0.0]), np.zeros(3), {"step": step})
    centre = np.broadcast_to([1.0, 2.0, 3.0], (draws, 3))
    mean = np.full((draws, 9), 0.98)
    seen = observe(SPEC).condition(rows, mean, given(draws))
    drawn = seen.predict(centre, new, np.random.default_rng(0), together)
    cov = SCALE**2 * np.exp(-np.abs(np.log(step)[:, None] - np.log(step)) / LENGTH)
    cov = cov if together else np.diag(np.diag(cov))
    for kind, more in (("curve", 0.0), ("run", SIGMA**2 + new.error**2)):
        wanted = cov + np.diag(np.broadcast_to(more, 3))
        sd = np.sqrt(np.diag(wanted))
        assert np.abs((drawn[kind].mean(axis=0) - centre[0]) / sd).max() < 5 / np.sqrt(draws)
        assert np.abs((np.cov(drawn[kind].T) - wanted) / np.outer(sd, sd)).max() < 7 / np.sqrt(draws)


def test_the_rest_of_a_seen_run_follows_from_its_start():
    index, rows = rows_of([0, 1, 2, 4, 7], shuffle=False)
    ahead, new = rows_of([5, 6], shuffle=False)
    draws, both = 20_000, np.concatenate([index, ahead])
    mean, centre = np.full((draws, 5), 0.98), np.full((draws, 2), 0.98)
    seen = observe(SPEC).condition(rows, mean, given(draws))
    drawn = seen.predict(centre, new, np.random.default_rng(0))["curve"]
    wander = covariance(RUN[both], STEP[both])
    gain = np.linalg.solve(wander[:5, :5] + np.diag(SIGMA**2 + rows.error**2), wander[:5, 5:]).T
    cov = wander[5:, 5:] - gain @ wander[:5, 5:]
    sd = np.sqrt(np.diag(cov))
    assert np.abs((drawn.mean(axis=0) - 0.98 - gain @ (rows.y - 0.98)) / sd).max() < 5 / np.sqrt(draws)
    assert np.abs((np.cov(drawn.T) - cov) / np.outer(sd, sd)).max() < 7 / np.sqrt(draws)


# -- rows that runs share ---------------------------------------------------------------------------

TEXTS = {
    "constant": "constant(peak=3e-4, warmup=10, total=100)",
    "cooled": "step(peak=3e-4, at=50, to=3e-5, warmup=10, total=100)",
}
STEPS = np.arange(10, 101, 10)


def curves(same: float = 0.0) -> pd.DataFrame:
    loss = 3 + STEPS**-0.5
    cooled = np.where(STEPS <= 40, loss + same, loss - 0.05)
    return pd.DataFrame(
        {"run": np.repeat(list(TEXTS), 10), "step": np.tile(STEPS, 2), "loss": [*loss, *cooled]}
    )


def test_rows_that_runs_share_are_counted_once():
    data = bl.read_curves(curves(), SPEC, TEXTS)
    assert data.sizes["obs"] == 16
    assert data["step"].values[data["run"].values == "cooled"].tolist() == STEPS[4:].tolist()
    assert json.loads(data.attrs["branches"]) == {"cooled": ["constant", 40]}
    (check,) = from_json(data.attrs["checks"])
    assert (check.name, check.level, check.value) == ("rows-not-used", "note", 4.0)
    assert "shared with run 'constant'" in check.message
    assert "cooled step 10, cooled step 20" in check.message


def test_other_values_make_two_runs():
    data = bl.read_curves(curves(same=1e-4), SPEC, TEXTS)
    assert data.sizes["obs"] == 20
    assert json.loads(data.attrs["branches"]) == {}
    twins = curves().assign(loss=np.concatenate([3 + STEPS**-0.5, 3.01 + STEPS**-0.5]))
    data = bl.read_curves(twins, SPEC, TEXTS["constant"])
    assert data.sizes["obs"] == 20
    assert json.loads(data.attrs["branches"]) == {}


def test_a_fit_of_branching_curves():
    """The default annealing law samples them, and a new schedule's intervals know that runs wander."""
    rng = np.random.default_rng(2)
    text = {
        n: t.replace("=100)", "=20000)").replace("=50,", "=8000,").replace("=10,", "=500,")
        for n, t in TEXTS.items()
    }
    steps = np.arange(1000, 20001, 1000)
    loss = 3 + 0.001 * np.arange(40)
    frame = pd.DataFrame({"run": np.repeat(list(text), 20), "step": np.tile(steps, 2), "loss": loss})
    data = bl.read_curves(frame, SPEC, text)
    from bayeslaw.law.evaluate import evaluate_law, law_inputs

    frozen = bl.resolve(SPEC, data)
    truth = bl.to_sampling(frozen, {"L0": 2.6, "A": 0.45, "alpha": 0.5, "C": 0.4, "lam": 0.999})
    law = evaluate_law(frozen, truth, law_inputs(frozen, data))
    wander = 0.002 * np.cumsum(rng.standard_normal(40)) / np.sqrt(20)
    frame["loss"] = law * np.exp(wander + 0.001 * rng.standard_normal(40))
    frame.loc[20:26, "loss"] = frame.loc[:6, "loss"].to_numpy()
    data = bl.read_curves(frame, SPEC, text)
    assert data.sizes["obs"] == 33
    fit = bl.fit(SPEC, data, draws=250, tune=400, seed=1, progress=False)
    found = {c.name: c.level for c in bl.checks(fit)}
    assert found["divergences"] == "ok"
    assert "discrepancy-size" in found
    assert "law-misfit" not in found  # rows of a run err alike
    assert "discrepancy-noise" not in found  # the noise of a logged loss is held
    wsd = "wsd(peak=3e-4, end=0, warmup=500, stable=16000, total=20000)"
    fc = bl.forecast(fit, schedule=wsd, steps=[20000])
    width = np.log(fc["upper"] / fc["lower"]).values[:, 0]
    assert width[0] < width[1] < width[2]
