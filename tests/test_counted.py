"""Counts kept as counts: the density by hand, rows without a success, a law recovered from both."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import gammaln

import bayeslaw as bl
from bayeslaw.data.pass_at_k import shown_share
from bayeslaw.forecasts.heldout import held_out
from bayeslaw.observation import discrepancy_grad
from bayeslaw.observation.base import NUMPY, observed_rows
from bayeslaw.observation.count_density import log_counts
from bayeslaw.observation.counts import LATENT
from bayeslaw.observation.registry import observation_of

SPEC = bl.change(bl.load_model("compute"), likelihood={"family": "Binomial"}, discrepancy=None)
TRUTH = {"E0": 0.3, "C0": 900.0, "alpha": 0.125}
SIGMA = 0.1


def simulated(rows: int = 30, samples: int = 200, seed: int = 0, spread: float = 0.0) -> pd.DataFrame:
    """Counts of models in three families, the smallest of which solve nothing."""
    rng = np.random.default_rng(seed)
    C = np.geomspace(1e17, 1e23, rows)
    family = np.arange(rows) % 3
    rate = (TRUTH["E0"] + TRUTH["C0"] * C ** -TRUTH["alpha"]) * np.exp(
        SIGMA * rng.standard_normal(rows) + spread * np.array([-1.0, 0.0, 1.0])[family]
    )
    c = rng.binomial(samples, np.exp(-rate))
    return pd.DataFrame({"model": [f"m{i}" for i in range(rows)], "family": np.array(list("abc"))[family],
                         "compute": C, "n": samples, "c": c})  # fmt: skip


def test_rows_without_a_success_stay():
    table = simulated()
    assert (table["c"] == 0).any()
    data = bl.read_table(table, SPEC)
    assert data.sizes["obs"] == 30
    np.testing.assert_array_equal(data["c"], table["c"])
    assert np.isfinite(data["neg_log_pass_at_k"]).all() and (data["neg_log_pass_at_k"] > 0).all()
    student = bl.read_table(table.assign(problem="all"), bl.load_model("compute"))
    assert student.sizes["obs"] == (table["c"] > 0).sum()


def test_problems_of_a_model_are_summed():
    table = pd.DataFrame({"model": list("aabb"), "problem": list("pqpq"), "n": [10, 10, 20, 20],
                          "c": [0, 3, 0, 0], "compute": [1e18, 1e18, 1e19, 1e19]})  # fmt: skip
    data = bl.read_table(table, SPEC)
    assert data["n"].values.tolist() == [20, 40]
    assert data["c"].values.tolist() == [3, 0]
    assert data["neg_log_pass_at_k"].values == pytest.approx([-np.log(3 / 20), -np.log(0.5 / 41)])


def case():
    data = bl.read_table(simulated(), SPEC)
    rows = observed_rows(bl.resolve(SPEC, data), data)
    mean = np.log(TRUTH["E0"] + TRUTH["C0"] * data["compute"].values ** -TRUTH["alpha"])
    return rows, mean


def latent_of(y, mean, rows, sigma):
    """Return the scores that stand for outputs y, and what a score is worth: dy / dscore."""
    n, c = rows.columns["n"], rows.columns["c"]
    p = (c + 0.5) / (n + 1)
    centre = np.log(-np.log(p))
    width = np.sqrt(p * (1 - p) / (n + 1)) / (-p * np.log(p))
    share = sigma**2 / (sigma**2 + width**2)
    sd = width * np.sqrt(share)
    return (y - share * centre - (1 - share) * mean) / sd, sd


def test_the_density_given_the_rates_is_the_one_by_hand():
    """Binomial times normal, by the scores' scale; the scores' own density is the model's."""
    rows, mean = case()
    model = observation_of(SPEC)
    ops = SimpleNamespace(**vars(NUMPY))
    rng = np.random.default_rng(1)
    terms = model.prepare(rows)
    assert model.latents(rows)[LATENT] >= len(rows)
    for sigma in (0.05, 0.3):
        y = mean + sigma * rng.standard_normal(len(mean))
        score, sd = latent_of(y, mean, rows, sigma)
        padded = np.concatenate([score, rng.standard_normal(model.latents(rows)[LATENT] - len(score))])
        found = model.joint(mean, {"sigma": np.float64(sigma), LATENT: padded}, terms, ops)
        expected = stats.binom.logpmf(rows.columns["c"], rows.columns["n"], np.exp(-np.exp(y))).sum()
        expected += stats.norm.logpdf(y, mean, sigma).sum()
        expected += np.log(sd).sum() - stats.norm.logpdf(score).sum()
        assert float(found) == pytest.approx(expected, rel=1e-9)


def test_directions_of_a_wandering_curve_give_the_same_density():
    """Beside a discrepancy scores are of directions; what they stand for is the same counts and rates."""
    spec = bl.change(bl.load_model("compute"), likelihood={"family": "Binomial"})
    data = bl.read_table(simulated(12), spec)
    spec = bl.resolve(spec, data)
    rows = observed_rows(spec, data)
    mean = np.log(TRUTH["E0"] + TRUTH["C0"] * data["compute"].values ** -TRUTH["alpha"])
    model, inner = observation_of(spec), observation_of(bl.change(spec, likelihood={"family": "Normal"}))
    terms = model.prepare(rows)
    ops = SimpleNamespace(**vars(NUMPY), with_gradient=lambda _, *args: discrepancy_grad.evaluate(*args)[0])

    turn, gain, width = terms["turn"], terms["gain"], terms["width"]
    usual = (turn * gain) @ turn.T * np.outer(width, width)
    exact = replace(rows, error=np.zeros(len(rows)))
    np.testing.assert_allclose(usual, inner.scatter(exact), atol=1e-9)
    share = SIGMA**2 * gain / (1 + SIGMA**2 * gain)

    def rates(score):
        known = share * (turn.T @ ((terms["centre"] - mean) / width))
        return mean + width * (turn @ (known + np.sqrt(share) * score))

    score = np.random.default_rng(2).standard_normal(len(mean))
    slope = np.stack([(rates(score + h) - rates(score - h)) / 2e-5 for h in 1e-5 * np.eye(len(mean))])
    y = rates(score)
    padded = np.concatenate([score, np.zeros(model.latents(rows)[LATENT] - len(score))])
    found = model.joint(mean, {"sigma": np.float64(SIGMA), LATENT: padded}, terms, ops)
    expected = stats.binom.logpmf(rows.columns["c"], rows.columns["n"], np.exp(-np.exp(y))).sum()
    plain = replace(rows, y=y, error=np.zeros(len(y)), log_slope=np.zeros(len(y)))
    # Beside counts the law's level is not integrated out.
    given = {**inner.prepare(plain), "offset": np.asarray(0.0)}
    expected += inner.joint(mean, {"sigma": np.float64(SIGMA)}, given, ops)
    expected += np.linalg.slogdet(slope)[1] - stats.norm.logpdf(score).sum()
    assert float(found) == pytest.approx(float(expected), rel=1e-8)


def test_replicated_counts_have_a_place_for_none_and_all():
    rows, mean = case()
    model = observation_of(SPEC)
    draws = 500
    values = {"sigma": np.full((draws, 1), SIGMA), LATENT: np.zeros((draws, model.latents(rows)[LATENT]))}
    wide = np.broadcast_to(mean, (draws, len(mean)))
    drawn = model.condition(rows, wide, values).predict(wide, rows, np.random.default_rng(0))["run"]
    assert np.isfinite(drawn).all()
    # Rows without a success are shown alike, seen or replicated.
    none = np.log(-np.log(0.5 / 201))
    assert (np.isclose(drawn, none)).any() and np.isclose(drawn.max(), none)


def test_new_counts_are_binomial():
    rows, mean = case()
    model, draws = observation_of(SPEC), 20_000
    values = {"sigma": np.full((draws, 1), SIGMA), LATENT: np.zeros((draws, model.latents(rows)[LATENT]))}
    wide = np.broadcast_to(mean, (draws, len(mean)))
    drawn = model.condition(rows, wide, values).predict(wide, rows, np.random.default_rng(0))
    share, wanted = np.exp(-np.exp(drawn["run"])).mean(axis=0), np.exp(-np.exp(drawn["curve"])).mean(axis=0)
    # Run noise moves the mean a little; counts themselves do not.
    assert np.abs(share - wanted).max() < 0.02
    counted = np.round(np.exp(-np.exp(drawn["run"])) * 200, 6)
    counted[counted == counted.min()] = 0  # none is shown as half a success
    np.testing.assert_allclose(counted, np.round(counted), atol=1e-5)


def test_families_and_zeros_in_one_fit():
    """Pooled levels over families, counts with zeros: the law comes back, and so does who is better."""
    spec = bl.change(SPEC, pool={"level": "family"})
    data = bl.read_table(simulated(spread=0.3), spec)
    fit = bl.fit(spec, data, draws=300, tune=500, seed=1, progress=False)
    # The spread of three families is a narrow funnel: a few divergent transitions at most.
    assert fit.tree["sample_stats"]["diverging"].mean() < 0.01
    reference = fit.spec.inputs["C"].reference
    level = TRUTH["E0"] + TRUTH["C0"] * reference ** -TRUTH["alpha"]
    low, high = np.quantile(fit.draws["level"], [0.005, 0.995])
    assert low < level < high and high / low < 8
    scores = fit.tree["latent"]["level_score"].values.reshape(-1, 3).mean(axis=0)
    assert (np.diff(scores) > 0).all()
    scores = fit.tree["latent"]["level_score"].values.reshape(-1, 3)
    shift = fit.draws["level_spread"].values.reshape(-1, 1) * scores
    apart = (shift[:, 2] - shift[:, 0]).mean()
    assert apart == pytest.approx(0.6, abs=0.2)


@pytest.mark.parametrize(("n", "c"), [(164, 0), (164, 1), (164, 80), (164, 164), (20_000, 3), (20_000, 9000)])
@pytest.mark.parametrize("sd", [0.03, 0.3, 1.0])
def test_the_chance_of_counts_is_the_integral_over_rates(n, c, sd):
    usual = np.log(-np.log((c + 0.5) / (n + 1)))
    centre = usual + sd * np.array([[-3.0], [0.0], [3.0]])
    found = log_counts(centre, np.float64(sd**2), np.array([n]), np.array([c]))
    for at, value in zip(centre[:, 0], found[:, 0], strict=True):
        y = np.linspace(at - 9 * sd, at + 9 * sd, 200_001)
        p = np.clip(np.exp(-np.exp(y)), 1e-300, 1 - 1e-15)
        chance = np.exp(
            gammaln(n + 1) - gammaln(c + 1) - gammaln(n - c + 1) + c * np.log(p) + (n - c) * np.log1p(-p)
        )
        chance *= stats.norm.pdf(y, at, sd)
        assert value == pytest.approx(np.log(np.trapezoid(chance, y)), abs=0.005)


def test_a_left_out_rows_own_rate_says_nothing_of_it():
    rows, mean = case()
    model, values = observation_of(SPEC), {"sigma": np.full((1, 1), SIGMA)}
    scores = np.random.default_rng(0).standard_normal((2, 1, 32))
    found = [model.condition(rows, mean[None], {**values, LATENT: s}).leave_one_out() for s in scores]
    np.testing.assert_array_equal(*found)
    counts = rows.columns["n"], rows.columns["c"]
    np.testing.assert_array_equal(found[0], log_counts(mean[None], values["sigma"] ** 2, *counts))


def test_held_out_counts_and_their_forecast_are_shown_alike():
    """Every count that a forecast can draw is one that a row can be seen to have, to the last bit."""
    data = bl.read_table(simulated(), SPEC)
    fit = bl.fit(SPEC, data, draws=50, tune=100, chains=2, progress=False)
    held = held_out(fit, data)
    assert (data["c"].values == 0).any()
    possible = np.round(shown_share(np.full(201, 200), np.arange(201)), 12)
    assert np.isin(held.draws, possible).all() and np.isin(held.observed, possible).all()
