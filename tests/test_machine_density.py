"""The machine's posterior is PyMC's: log density, gradient, and what coordinates stand for."""

from __future__ import annotations

import numpy as np
import pytest
from posterior_cases import BOUND, CROSS, CURVES, OF_COUNTS, PRIORS, TABLES, against_pymc, scores, truncated
from scipy import special
from scipy.special import ndtr

from bayeslaw.inference.coordinates import latent_vectors, walks
from bayeslaw.inference.machine.posterior import named_values, posterior_program
from bayeslaw.inference.machine.special import digamma
from bayeslaw.inference.machine.special import truncated as compiled_truncated
from bayeslaw.law.evaluate import fixed_values, references
from bayeslaw.law.expression import evaluate
from bayeslaw.law.priors import link_normal, prior_quantile, walked
from bayeslaw.observation.pooling import score_name

IN_FULL = ("compute", *CURVES)
"""Laws that are held with every observation model; `benchmarks/agreement.py` holds all."""
OTHERS = ("StudentT", "outliers", "two columns")
HELD = [
    name
    for name in CROSS
    if name.startswith(tuple(f"{law}:" for law in IN_FULL))
    or name in {f"{law}: {kind}" for law in TABLES for kind in OTHERS}
    or name in {f"{law}: counts, two columns" for law in OF_COUNTS}
]
CASES = {name: CROSS[name] for name in HELD} | PRIORS


@pytest.mark.parametrize("case", CASES)
def test_log_density_and_gradient_are_pymcs(case):
    value, gradient = against_pymc(CASES[case]())
    assert value <= BOUND
    assert gradient <= BOUND


# ---- what coordinates stand for


def named_by_hand(bound, given):
    """Parameters and scores from standard normal scores: quantiles of priors, ridges, groups, shares."""
    spec, out = bound.spec, {}
    constants = {**references(spec), **fixed_values(spec)}
    for name, how in walks(bound).items():
        normal = link_normal(spec.noise[f"{name}_spread"])
        spread = prior_quantile(spec.noise[f"{name}_spread"], ndtr(given[f"{name}_spread"]))
        far = np.exp(how["near"] * (normal[0] - np.log(spread)[:, None]))
        out[score_name(name)] = far * (given[score_name(name)] @ how["along"])
    for p in sorted(walked(spec).values(), key=lambda p: (p.ridge is not None, p.name in spec.pooled)):
        if p.support == "simplex":
            out |= shares_by_hand(p, given)
            continue
        moved, walks_apart = 0.0, p.prior_90 is not None and (p.name in spec.pooled or p.ridge is not None)
        if p.name in spec.pooled and p.prior_90 is not None:
            share = walks(bound)[p.name]["share"]
            moved = moved - out[f"{p.name}_spread"] * (out[score_name(p.name)] @ share)
        if p.ridge is not None:
            moved = moved - np.log(evaluate(p.ridge, {**constants, **out}, np))
        if not walks_apart:
            out[p.name] = prior_quantile(p, ndtr(given[p.name]))
        else:
            link = link_normal(p)[0] + link_normal(p)[1] * given[p.name] + moved
            out[p.name] = {"real": link, "positive": np.exp(link), "unit": special.expit(link)}[p.support]
    return {n: given[n] for n in latent_vectors(bound)} | out


def shares_by_hand(p, given):
    if p.concentration != 1:
        numbers = np.stack([given[n] for n in p.names[:-1]])
        shares = special.softmax(np.vstack([numbers, -numbers.sum(axis=0)]), axis=0)
        return dict(zip(p.names, shares, strict=True))
    out, rest = {}, 1.0
    for i, name in enumerate(p.names[:-1]):
        own = 1 - (1 - ndtr(given[name])) ** (1 / (len(p.names) - 1 - i))
        out[name], rest = rest * own, rest * (1 - own)
    return {**out, p.names[-1]: rest}


@pytest.mark.parametrize(
    "case", [n for n in CASES if n in PRIORS or n.startswith(("compute:", "chinchilla:"))]
)
def test_values_are_those_of_the_stated_priors(case):
    bound = CASES[case]()
    program = posterior_program(bound)
    points = scores(program, seed=1)
    given, at = {}, 0
    for name, size in program.sizes.items():
        given[name] = points[:, at] if size is None else points[:, at : at + size]
        at += size or 1
    found, expected = named_values(program, points), named_by_hand(bound, given)
    assert found.keys() == expected.keys()
    for name, values in found.items():
        assert values.shape == expected[name].shape, name
        np.testing.assert_allclose(values, expected[name], rtol=1e-10, atol=1e-13, err_msg=name)


# ---- special functions


def test_digamma_is_scipys():
    x = np.concatenate([np.geomspace(1e-300, 1e300, 400), np.linspace(0.01, 40, 4000)])
    found, expected = np.array([digamma(v) for v in x]), special.digamma(x)
    np.testing.assert_allclose(found, expected, rtol=1e-14, atol=2e-15)
    assert np.isnan(digamma(0.0)) and np.isnan(digamma(-1.5)) and np.isnan(digamma(np.nan))


ENDS = [(-2, 3), (-7, 7.5), (0.5, 3), (3, 5), (-6, -2), (-30, -20), (20, 30), (-0.5, 9), (-9, 0.5), (-40, 40), (2, 2.001)]  # fmt: skip


@pytest.mark.parametrize("ends", ENDS)
def test_truncated_scores_keep_their_digits(ends):
    low, high = map(float, ends)
    z = np.concatenate([np.linspace(-8, 8, 161), [-30.0, 30.0, 37.0]])
    found = np.array([compiled_truncated(v, low, high) for v in z])
    assert ((low <= found) & (found <= high)).all()
    np.testing.assert_allclose(found, np.clip(truncated(z, low, high), low, high), rtol=2e-14, atol=2e-15)
    mirrored = np.array([compiled_truncated(-v, -high, -low) for v in z])
    np.testing.assert_array_equal(mirrored, -found)


def test_a_truncated_score_is_a_number_wherever_a_score_is():
    assert np.isfinite([compiled_truncated(v, -50.0, 50.0) for v in (-60.0, -39.0, 39.0, 60.0)]).all()
    assert np.isnan(compiled_truncated(np.nan, -1.0, 2.0))
