"""How far a discrepancy's density and predictions are from dense algebra, where the posterior lies."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from dense_covariance import bulk, covariance, mixture

from bayeslaw.law.offset import offset
from bayeslaw.law.priors import link_normal
from bayeslaw.observation import discrepancy_grad, discrepancy_nodes
from bayeslaw.observation.discrepancy import observe
from bayeslaw.observation.discrepancy_grid import Seen, chances, misses, settled, with_few, with_grid
from bayeslaw.observation.discrepancy_tables import tables
from bayeslaw.observation.discrepancy_terms import FEW, TERMS, density_terms

WAYS = {
    "sections": (discrepancy_grad.evaluate, TERMS),
    "forms": (discrepancy_nodes.evaluate, discrepancy_nodes.NODE_TERMS),
    "few forms": (discrepancy_nodes.evaluate, discrepancy_nodes.NODE_TERMS),
}
CASES = [
    (60, 8.0, "none", 0.0),
    (60, 60.0, "equal", 0.0),
    (40, 1.0, "spread", 0.0),
    (60, 60.0, "spread", 0.0),
]
CASES += [(60, 8.0, "spread", 0.3), (30, 1.0, "none", 1.0), (30, 1.0, "equal", 0.1), (30, 1.0, "spread", 1.0)]


@cache
def settled_bulk(count, scale, errors, slope=0.0, draws=24):
    b = bulk(count, scale, errors, draws=draws, slope=slope)
    seen = Seen(b.residual, b.sigma)
    return b, seen, with_grid(b.rows, settled(b.spec, b.rows, seen))


def density(spec, rows, way="sections"):
    terms = density_terms(spec, rows)
    if way == "few forms":
        terms = discrepancy_nodes.compressed(terms)
        assert 0 < terms["node_turn"].shape[1] < len(terms["node_turn"])
    evaluate, names = WAYS[way]
    data = [np.asarray(terms[n]) for n in names]
    return lambda r, s: evaluate(r, np.asarray(s), *data), float(terms["constant"])


@pytest.mark.parametrize(("count", "scale", "errors", "slope"), CASES)
def test_the_density_is_within_a_tenth_of_a_nat_over_the_bulk(count, scale, errors, slope):
    b, seen, rows = settled_bulk(count, scale, errors, slope)
    evaluate, constant = density(b.spec, rows)
    variance = link_normal(offset(b.spec))[1] ** 2
    found = np.array([evaluate(r, s)[0] + constant for r, s in zip(b.residual, b.sigma, strict=True)])
    exact = np.array(
        [mixture(b.spec, b.rows, r, s, variance)[0] for r, s in zip(b.residual, b.sigma, strict=True)]
    )
    assert np.abs(found - exact).max() < 0.1
    assert np.abs(misses(b.spec, rows, seen, chances(b.spec, rows, seen))).max() < 0.1


@pytest.fixture
def compressing(monkeypatch):
    """Compress the forms of as few directions as there are here."""
    monkeypatch.setattr(discrepancy_nodes, "_MANY", 0)


@pytest.mark.parametrize("slope", [0.0, 0.3])
@pytest.mark.parametrize("way", ["rows", *WAYS])
def test_gradients_agree_with_differences_between_points(way, slope, compressing):
    b, seen, rows = settled_bulk(60 if slope else 40, 8.0, "spread", slope)
    rows = rows if way == "rows" else with_few(rows, seen)
    assert (FEW in rows.columns) == (way != "rows")
    evaluate, _ = density(b.spec, rows, "sections" if way == "rows" else way)
    rng = np.random.default_rng(1)
    for draw in range(3):
        residual = b.residual[draw] + 0.02 * rng.standard_normal(len(rows))  # outside the few directions too
        sigma = b.sigma[draw]
        _, by_residual, by_sigma = evaluate(residual, sigma)
        step = 1e-6
        for i in range(0, 40, 9):
            up, down = (
                evaluate(residual + s * step * (np.arange(len(rows)) == i), sigma)[0] for s in (1, -1)
            )
            assert by_residual[i] == pytest.approx((up - down) / (2 * step), rel=1e-5, abs=1e-3)
        step = 1e-6 * sigma
        up, down = (evaluate(residual, sigma + s * step)[0] for s in (1, -1))
        assert by_sigma == pytest.approx((up - down) / (2 * step), rel=1e-5, abs=1e-2)


def test_few_directions_hold_the_residuals():
    b, seen, rows = settled_bulk(60, 8.0, "none")
    few = with_few(rows, seen)
    assert few.columns[FEW].shape == (60, 6)  # five of the law and the data's own
    for r, s in zip(b.residual, b.sigma, strict=True):
        assert density(b.spec, few)[0](r, s)[0] == pytest.approx(density(b.spec, rows)[0](r, s)[0], abs=1e-3)


@pytest.mark.parametrize("slope", [0.0, 0.3])
@pytest.mark.parametrize("errors", ["none", "spread"])
def test_forms_say_what_sections_say(errors, slope, compressing):
    b, seen, rows = settled_bulk(60, 8.0, errors, slope)
    few = with_few(b.rows, seen)
    few, draws = with_grid(few, settled(b.spec, few, seen)), list(zip(b.residual, b.sigma, strict=True))
    exact, forms = density(b.spec, rows)[0], density(b.spec, few, "forms")[0]
    apart = [forms(r, s)[0] - exact(r, s)[0] for r, s in draws]
    assert np.abs(apart).max() < 0.06 and np.std(apart) < 0.02, (
        "each is blended between its points of run noise"
    )
    if errors == "spread":
        fewer = density(b.spec, few, "few forms")[0]
        assert max(abs(fewer(r, s)[0] - forms(r, s)[0]) for r, s in draws) < 3e-3


@pytest.mark.parametrize("slope", [0.0, 0.3])
@pytest.mark.parametrize("forms", [True, False])
def test_tables_of_lengths_and_scales_sum_to_the_density(forms, slope):
    b, seen, rows = settled_bulk(60, 8.0, "spread", slope)
    rows = with_few(rows, seen) if forms else rows
    terms = density_terms(b.spec, rows)
    found = tables(terms, b.residual, b.sigma)
    evaluate, _ = density(b.spec, rows, "forms" if forms else "sections")
    whole = np.array([evaluate(r, s)[0] for r, s in zip(b.residual, b.sigma, strict=True)])
    apart = whole - np.log(np.exp(found).sum(axis=(1, 2)))
    expected = -len(rows) / 2 * np.log(b.sigma**2 + terms["node_error"]) if forms else 0 * b.sigma
    known = (
        np.abs(np.log(b.sigma) - np.clip(np.log(b.sigma), *terms["log_sigmas"][[0, -1]])) < 1e-9
    )  # else the wall
    assert known.sum() > 15
    np.testing.assert_allclose((apart - expected)[known], 0, atol=1e-9)


@pytest.mark.parametrize("slope", [0.0, 0.3])
def test_what_is_said_of_rows_is_right_to_a_per_cent_where_errors_are_spread(slope):
    b, _, rows = settled_bulk(60, 8.0, "spread", slope)
    values = {"sigma": b.sigma[:, None], "discrepancy_scale": b.scale[:, None]}
    values["discrepancy_length"] = b.length[:, None]
    if slope:
        values["discrepancy_slope"] = (b.drift * b.scale * b.sigma)[:, None]
    given = observe(b.spec).condition(rows, b.rows.y - b.residual, values)
    curve, (left, spread) = given.fitted(), given.left_out()
    for i, (r, s) in enumerate(zip(b.residual, b.sigma, strict=True)):
        V = covariance(b.spec, b.rows, b.length[i], b.scale[i] * s, s, b.drift[i])
        inverse = np.linalg.inv(V)
        sd = np.sqrt(1 / np.diag(inverse))
        np.testing.assert_allclose(np.sqrt(spread[i]), sd, rtol=0.01)
        assert np.abs(left[i] - (b.rows.y - inverse @ r / np.diag(inverse))).max() < 0.05 * sd.max()
        noise = s**2 + b.rows.error**2
        exact, sd = b.rows.y - noise * (inverse @ r), np.sqrt(noise - noise**2 * np.diag(inverse))
        assert np.abs((curve[i] - exact) / sd).max() < 0.05
