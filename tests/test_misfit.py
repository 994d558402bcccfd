"""Whether a law alone follows its data: what it leaves, how often the check speaks, and in what words."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.stats import multivariate_normal

import bayeslaw as bl
from bayeslaw.assess import misfit
from bayeslaw.assess.discrepancy_checks import discrepancy_checks
from bayeslaw.assess.law_alone import _standard_deviations, law_alone
from bayeslaw.assess.misfit import law_misfit, smooth_misfit
from bayeslaw.assess.no_discrepancy import Support, _independent, support_for_none
from bayeslaw.assess.prior_checks import beyond_prior, sensitivity_to_prior
from bayeslaw.inference.fit import make_fit
from bayeslaw.inference.fitted import given_rows
from bayeslaw.inference.values import fit_values
from bayeslaw.law.priors import integrated
from bayeslaw.observation.bound import bind
from bayeslaw.observation.discrepancy_places import Shape, covariance, points_of
from bayeslaw.observation.discrepancy_terms import offset_variance

POWER, COMPUTE = bl.load_model("power"), bl.load_model("compute")
X = np.geomspace(1e18, 1e21, 25)
FOLDS = np.log(X / X[0])
RIGHT, BENT = 0.3 + 0.7 * np.exp(-0.2 * FOLDS), 0.1 + 0.9 / (1 + np.exp((FOLDS - 5) / 1.5))


def rows(y, error=0.0, x=X, **more):
    frame = pd.DataFrame({"x": x, "y": y, "sampling_error": error * y, **more})
    return bl.read_table(frame, POWER)


def noisy(y, seed=0, noise=0.02):
    return y * np.exp(noise * np.random.default_rng(seed).standard_normal(len(y)))


def point(data, spec=POWER):
    """Return a point fit of rows but for its optimum, which the check does not take."""
    return make_fit(bind(spec, data), "map", {}, {})


@pytest.fixture(scope="module")
def bent_fit():
    return bl.fit(POWER, rows(noisy(BENT)), draws=300, tune=400, seed=1, progress=False)


def altered(fit, **draws):
    """Return the fit with other draws of some parameters."""
    tree = fit.tree.copy(deep=True)
    changed = fit.draws.assign({n: (("chain", "draw"), np.asarray(v)) for n, v in draws.items()})
    tree["posterior"] = xr.DataTree(changed)
    return bl.Fit(fit.spec, tree)


# -- how often it speaks ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "design", ["plain", "known errors", "heavy tails", "ten rows", "repeats"], ids=lambda name: name
)
def test_a_right_law_is_rarely_accused_and_a_wrong_one_often(design):
    spoke = {"right": 0, "bent": 0}
    for seed in range(30):
        rng = np.random.default_rng(seed)
        x = {"ten rows": np.geomspace(1e18, 1e21, 10), "repeats": np.repeat(np.geomspace(1e18, 1e21, 9), 3)}.get(design, X)  # fmt: skip
        error = np.exp(rng.uniform(-5, -2.5, len(x))) if design == "known errors" else 0.0
        noise = 0.02 * (rng.standard_t(4, len(x)) if design == "heavy tails" else rng.standard_normal(len(x)))
        noise = noise + error * rng.standard_normal(len(x))
        t = np.log(x / X[0])
        curves = {"right": 0.3 + 0.7 * np.exp(-0.2 * t), "bent": 0.1 + 0.9 / (1 + np.exp((t - 5) / 1.5))}
        for name, y in curves.items():
            (check,) = law_misfit(point(rows(y * np.exp(noise), error, x)))
            spoke[name] += check.level == "warn"
    assert spoke["right"] <= 5  # of 30: more has a chance of less than 1 % at a rate of 5 %
    assert spoke["bent"] >= 27


def test_two_inputs(chinchilla_runs):
    law, warned = bl.load_model("chinchilla"), 0
    for seed in range(30):
        some = chinchilla_runs.sample(40, random_state=seed)
        N, D = (some[n].to_numpy(dtype=float) for n in ("params", "tokens"))
        y = noisy(1.8 + 450 * N**-0.35 + 2000 * D**-0.37, seed, 0.01)
        (check,) = law_misfit(point(bl.read_table(some.assign(loss=y), law), law))
        warned += check.level == "warn"
    assert warned <= 5
    assert "along params and tokens" in check.message


def test_known_errors_take_up_what_they_can():
    rng = np.random.default_rng(0)
    error = np.exp(rng.uniform(-5, -2, 4000))
    residual = np.hypot(0.03, error) * rng.standard_normal(4000)
    sd = _standard_deviations(residual, np.ones(4000), error, 3)
    np.testing.assert_allclose(np.sqrt(sd**2 - error**2), 0.03, rtol=0.06)
    assert np.allclose(_standard_deviations(error / 2, np.ones(4000), error, 3), error, rtol=1e-3)


def test_a_parameter_at_its_bound_takes_no_direction():
    held, free = law_alone(point(rows(noisy(BENT)))), law_alone(point(rows(noisy(RIGHT))))
    assert (held.taken.shape[1], free.taken.shape[1]) == (2, 3)  # the floor ends at zero
    for found in (held, free):
        np.testing.assert_allclose(found.taken.T @ found.residual, 0, atol=1e-9)
    assert smooth_misfit(held) < 0.001 < smooth_misfit(free)


def test_rows_of_a_run_may_share_an_error():
    runs, warned = np.tile(list("abcde"), 5), {"right": 0, "bent": 0}
    for seed in range(30):
        rng = np.random.default_rng(seed)
        noise = 0.02 * rng.standard_normal(25) + np.tile(0.04 * rng.standard_normal(5), 5)
        for name, y in {"right": RIGHT, "bent": BENT}.items():
            (check,) = law_misfit(point(rows(y * np.exp(noise), run=runs)))
            warned[name] += check.level == "warn"
    assert warned["right"] <= 5 and warned["bent"] >= 27


# -- where it has nothing to say --------------------------------------------------------------------


def test_nothing_is_said_where_rows_say_nothing_of_the_law(annealing_fit):
    assert law_misfit(annealing_fit) == []  # rows of one run err alike
    few = slice(None, None, 4)
    assert law_misfit(point(rows(noisy(RIGHT)[few], x=X[few]))) == []
    assert law_misfit(point(rows(RIGHT))) == []  # the law passes through every row
    pooled = bl.change(POWER, pool={"level": "family"})
    assert law_misfit(point(bl.read_table(pd.DataFrame({"x": X, "y": noisy(RIGHT), "family": ["a", "b", "c", "d", "e"] * 5}), pooled), pooled)) == []  # fmt: skip


# -- no discrepancy ---------------------------------------------------------------------------------


def test_independent_rows_with_a_shift_of_all_are_normal():
    rng = np.random.default_rng(0)
    residual, noise, offset = rng.standard_normal((3, 6)), rng.uniform(0.5, 2, (3, 6)), 1.7
    exact = [multivariate_normal(np.zeros(6), np.diag(v) + offset).logpdf(r) for r, v in zip(residual, noise, strict=True)]  # fmt: skip
    np.testing.assert_allclose(_independent(residual, noise, offset) - 3 * np.log(2 * np.pi), exact)


def test_the_ratio_is_that_of_dense_algebra():
    local = bl.change(COMPUTE, discrepancy={"slope": None})
    held = bl.change(local, fix={"discrepancy_length": 3.0, "discrepancy_scale": 1.0})  # fmt: skip
    data = bl.read_table(pd.DataFrame({"compute": X, "neg_log_pass_at_k": noisy(RIGHT)}), held)
    fit = bl.fit(held, data, draws=200, tune=300, chains=1, seed=1, progress=False)
    values, rows = fit_values(fit), fit.bound.rows
    residual = given_rows(fit, {**values, **integrated(fit.spec)}).residual
    offset, at = offset_variance(fit.spec), points_of(fit.spec, rows)
    K = covariance("matern32", at, at, Shape(3.0, 0.0))
    logs = []
    for r, s in zip(residual, values["sigma"][:, 0], strict=True):
        one, both = np.eye(25) * s**2 + offset, (np.eye(25) + K) * s**2 + offset
        logs.append(multivariate_normal(np.zeros(25), one).logpdf(r) - multivariate_normal(np.zeros(25), both).logpdf(r))  # fmt: skip
    found = support_for_none(fit)
    assert found.log_ratio == pytest.approx(
        np.log(np.mean(np.exp(logs))), abs=0.02
    )  # small eigenvalues are left out
    weights = np.exp(logs - np.max(logs))
    assert found.effective == pytest.approx(weights.sum() ** 2 / (weights**2).sum(), rel=0.05)


def test_without_a_marginalised_discrepancy_there_is_no_ratio(annealing_fit):
    assert support_for_none(annealing_fit) is None


# -- words ------------------------------------------------------------------------------------------


def test_a_wrong_law_is_told_what_to_do(bent_fit):
    (check,) = law_misfit(bent_fit)
    assert check.level == "warn" and check.value < 0.001
    for words in ("along x", "speak strongly against no discrepancy", "parameters", "bl.fit_laws", "back-test"):  # fmt: skip
        assert words in check.message
    (check,) = law_misfit(point(bent_fit.data))
    assert "its intervals are too narrow" in check.message and "no discrepancy" not in check.message
    names = [c.name for c in bl.checks(bent_fit)]
    assert "law-misfit" in names and "prior-sensitivity" not in names


@pytest.mark.parametrize(
    ("support", "words"),
    [
        (Support(-3.0, 80.0), "20 times likelier with the discrepancy"),
        (Support(-3.0, 20.0), "speak strongly against no discrepancy"),
        (Support(0.5, 80.0), "not likelier with the discrepancy"),
    ],
    ids=["a number", "a side", "neither"],
)
def test_the_ratio_is_a_number_where_enough_draws_bear_it(bent_fit, monkeypatch, support, words):
    monkeypatch.setattr(misfit, "support_for_none", lambda fit: support)
    (check,) = law_misfit(bent_fit)
    assert words in check.message


# -- sizes beyond their priors ----------------------------------------------------------------------


def test_a_size_beyond_its_prior_is_named(bent_fit):
    shape = bent_fit.draws["sigma"].shape
    (check,) = beyond_prior(altered(bent_fit, discrepancy_slope=np.full(shape, 0.4)))
    assert check.level == "ok"
    (check,) = beyond_prior(altered(bent_fit, discrepancy_slope=np.full(shape, 2.0), sigma=np.full(shape, 0.3)))  # fmt: skip
    assert (check.level, check.value) == ("warn", 1.0)
    assert "sigma (0.3, prior's 95 % point 0.2), discrepancy_slope (2, prior's 95 % point 1.2)" in check.message  # fmt: skip
    assert "change(spec, prior={'sigma': (0.002, 0.8), 'discrepancy_slope': (0.01, 4.8)})" in check.message


def test_a_held_size_is_not_asked_for(annealing_fit, simulated_fit):
    assert [c.name for c in beyond_prior(annealing_fit)] == ["prior-data"]
    local = bl.change(COMPUTE, discrepancy={"slope": None})
    held = bl.change(local, fix={"sigma": 0.05, "discrepancy_scale": 1.0})
    assert beyond_prior(bl.Fit(held, simulated_fit.tree)) == []


def test_sensitivity_is_told_of_independent_errors_alone(simulated_fit, annealing_fit):
    assert sensitivity_to_prior(simulated_fit) == []
    assert [c.name for c in sensitivity_to_prior(annealing_fit)] == ["prior-sensitivity"]


def test_where_the_slope_wanders_its_size_is_what_the_data_must_tell(bent_fit):
    score = np.random.default_rng(0).standard_normal(bent_fit.draws["sigma"].shape)
    for spread, level in ((0.3, "ok"), (1.4, "note")):
        fit = altered(bent_fit, discrepancy_slope=0.1 * np.exp(spread * score))
        (check,) = [c for c in discrepancy_checks(fit) if c.name == "discrepancy-size"]
        assert check.level == level and "slope wanders" in check.message
    assert "'discrepancy_slope': (low, high)" in check.message and "[0.01, 1.2] per root" in check.message
