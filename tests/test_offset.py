"""The law's level beside a discrepancy: seen from the formula, integrated out, and drawn back."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from conftest import noiseless
from dense_covariance import bulk, covariance, middle, mixture

import bayeslaw as bl
from bayeslaw.law.offset import offset
from bayeslaw.law.parse import parse_spec
from bayeslaw.law.priors import link_normal, walked
from bayeslaw.observation import discrepancy_grad
from bayeslaw.observation.bound import bind
from bayeslaw.observation.discrepancy_terms import TERMS, density_terms

COMPUTE = bl.load_model("compute")


def with_law(scale: str, support: str, law: str, **derived: str):
    """Return the compute law with another formula, in parameters ``much`` and ``alpha``."""
    document = copy.deepcopy(dict(COMPUTE.document))
    prior = {"meaning": "m", "support": support, "prior_90": [0.5, 5.0]}
    alpha = {"meaning": "m", "support": "positive", "prior_90": [0.1, 1.0]}
    document |= {"law": law, "parameters": {"much": prior, "alpha": alpha}}
    document["derived"] = {n: {"formula": f, "meaning": "m", "unit": "1"} for n, f in derived.items()}
    document["output"] = {**document["output"], "scale": scale}
    document.pop("inverse", None)
    return parse_spec(document, "mine")


@pytest.mark.parametrize(
    ("scale", "support", "law", "found"),
    [
        ("log", "positive", "much * C**-alpha", True),
        ("log", "positive", "much + much * C**-alpha", True),
        ("log", "positive", "(much**(1 / alpha) * (1 + C**-alpha))**alpha", True),
        ("log", "positive", "much**2 * C**-alpha / much", True),
        ("log", "positive", "much * exp(-alpha * C)", True),
        ("log", "positive", "much**2 * C**-alpha", False),
        ("log", "positive", "1 + much * C**-alpha", False),
        ("log", "positive", "much * exp(-alpha * much * C)", False),
        ("log", "positive", "(1 + alpha) * C**-much", False),
        ("log", "real", "much * C**-alpha", False),
        ("identity", "real", "much + C**-alpha", True),
        ("identity", "real", "C**-alpha - (2 - much)", True),
        ("identity", "real", "much * C**-alpha", False),
        ("identity", "real", "exp(much) + C**-alpha", False),
        ("identity", "positive", "much + C**-alpha", False),
        ("logit", "positive", "much * C**-alpha", False),
    ],
)
def test_an_offset_is_seen_from_the_formula(scale, support, law, found):
    spec = with_law(scale, support, law)
    assert (offset(spec) and offset(spec).name) == ("much" if found else None)
    assert ("much" in walked(spec)) == (not found)


def test_an_offset_is_seen_through_what_is_derived():
    spec = with_law("log", "positive", "E0 + C0 * C**-alpha", E0="much / 3", C0="much * 2 / 3 * ref_C**alpha")
    assert offset(spec).name == "much"
    assert offset(COMPUTE).name == "level"


@pytest.mark.parametrize(
    "changed",
    [
        {"discrepancy": None},
        {"likelihood": {"family": "Binomial"}},
        {"pool": {"level": "benchmark"}},
        {"fix": {"level": 2.0}},
    ],
)
def test_others_are_sampled(changed):
    assert offset(bl.change(COMPUTE, **changed)) is None


def test_what_a_ridge_or_a_bound_needs_is_sampled():
    for where, entry in (("alpha", {"ridge": "1 + level"}), ("level", {"bounds": [0.01, 20.0]})):
        document = copy.deepcopy(dict(COMPUTE.document))
        document["parameters"][where] |= entry
        assert offset(parse_spec(document, "mine")) is None


@pytest.mark.parametrize("errors", ["none", "spread"])
def test_the_density_is_that_of_rows_that_share_an_offset(errors):
    b = bulk(20, 8.0, errors, draws=3)
    terms = density_terms(b.spec, b.rows)
    data = [np.asarray(terms[n]) for n in TERMS]
    variance = link_normal(offset(b.spec))[1] ** 2
    middle = float(np.exp(terms["log_sigmas"][0]))
    for residual in b.residual:
        found = discrepancy_grad.evaluate(residual, np.asarray(middle), *data)[0] + terms["constant"]
        assert found == pytest.approx(mixture(b.spec, b.rows, residual, middle, variance)[0], abs=0.02)
        _, by_residual, by_sigma = discrepancy_grad.evaluate(residual, np.asarray(0.012), *data)
        step = 1e-6
        for i in range(0, 20, 6):
            moved = [residual + s * step * (np.arange(20) == i) for s in (1, -1)]
            up, down = (discrepancy_grad.evaluate(r, np.asarray(0.012), *data)[0] for r in moved)
            assert by_residual[i] == pytest.approx((up - down) / (2 * step), rel=1e-5, abs=1e-4)
        up, down = (
            discrepancy_grad.evaluate(residual, np.asarray(0.012 + s * step), *data)[0] for s in (1, -1)
        )
        assert by_sigma == pytest.approx((up - down) / (2 * step), rel=1e-5)


@pytest.mark.parametrize("slope", [False, True])
def test_the_level_is_drawn_back_from_its_conditional_distribution(slope):
    """Its mean and spread over many draws, given one length and scale, against dense algebra."""
    spec, data = noiseless("compute", noise=0.1)
    spec = bl.change(
        spec, fix={"discrepancy_scale": 2.0, "discrepancy_length": 3.0}, likelihood={"outliers": False},
        **({} if slope else {"discrepancy": {"slope": None}}),
    )  # fmt: skip
    bound = bind(spec, data.isel(obs=slice(0, 12)).assign_attrs(middle([0.5], [-0.12])))
    mean, sd = link_normal(offset(spec))
    draws, sigma = 20_000, 0.08
    law = np.full((draws, 12), mean) + 0.01 * np.arange(12)
    values = {"sigma": np.full((draws, 1), sigma), "discrepancy_scale": 2.0}
    drawn = bound.observation.condition(bound.rows, law, values).complete(np.random.default_rng(0))
    shift = np.log(drawn["level"]) - mean
    drift = drawn["discrepancy_slope"] / (2.0 * sigma) if slope else np.zeros(draws)
    seen = 0
    for one in np.unique(drift.round(9)):  # each has a distribution of its own
        V, of = (
            covariance(bound.spec, bound.rows, 3.0, 2.0 * sigma, sigma, one),
            np.isclose(drift, one, rtol=1e-6),
        )
        precision = 1 / sd**2 + np.linalg.solve(V, np.ones(12)).sum()
        centre = np.linalg.solve(V, bound.rows.y - law[0]).sum() / precision
        count = of.sum()
        if count > 1000:
            seen += count
            assert shift[of].mean() == pytest.approx(centre, abs=4 / np.sqrt(precision * count))
            assert shift[of].std() == pytest.approx(precision**-0.5, rel=0.03 * np.sqrt(draws / count))
    assert seen > 0.9 * draws
