"""Exact gradients against finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import noiseless

import bayeslaw as bl
from bayeslaw.inference.autodiff import Traced, TracedOps, pull_back
from bayeslaw.law import expression, schedule_inputs
from bayeslaw.law.evaluate import evaluate_law, law_inputs
from bayeslaw.law.priors import draw_priors

POINTS = {"a": np.array([[0.4], [0.9], [0.7]]), "b": np.array([[1.3], [0.6], [0.2]])}
LAWS = (
    "compute", "params-tokens", "gold-likelihood", "chinchilla", "power", "broken-power", "sigmoid-power"
)  # fmt: skip
ROWS = {"x": np.array([0.5, 1.5, 2.5, 3.5]), "one": np.array([2.0])}
FORMULAS = [
    "-a", "+a", "a + b", "a - b", "a * b", "a / b", "a + x", "x + a", "a - x", "x - a", "a * x", "x * a",
    "a / x", "x / a", "2 * a", "a * 2", "2 - a", "a - 2", "2 / a", "a / 2", "a * a", "a - a", "a / a",
    "a**b", "a**2", "a**-1.5", "a**0", "2**a", "x**a", "x**-a", "a**x", "(a * x)**b", "(a * x)**(b * x)",
    "x**(a * x)", "x**-(a + b * x)", "one**a", "x**a * x**b",
    "(x - a)**2", "(x - 4 * a)**2", "(a - 3)**3", "(a - 9)**-1", "(a * x - 5)**2",
    "exp(a)", "expm1(a * x)", "log(a)", "log1p(a * x)", "sqrt(a * x)", "tanh(a - x)",
    "maximum(a, b)", "maximum(a, x)", "maximum(x, a * x)", "minimum(a, b)", "minimum(a * x, 1.1)", "minimum(1, b * x)",
    "a * b * x + a / (b + x) - exp(-a * x) * b**x", "log(a + b * x**-a) * (a + 1)",
    "maximum(a, x) * minimum(b, x) * a",
    "sigmoid_root(a * x, b)", "sigmoid_root(x - 2, b)", "sigmoid_root(a - b * x, x)", "sigmoid_root(log(a), a * b)",
    "sigmoid_root(9 * (x - 2), a)",
]  # fmt: skip


def gradients(function, points, cotangent):
    """Return exact gradients, and central differences of the same."""
    traced = {n: Traced(v) for n, v in points.items()}
    exact = pull_back(function(traced, TracedOps), cotangent, list(traced.values()))
    numeric = []
    for name, value in points.items():
        step = 1e-6 * np.maximum(np.abs(value), 0.1)
        up, down = (
            np.broadcast_to(function({**points, name: value + s * step}, np), cotangent.shape)
            for s in (1, -1)
        )
        numeric.append(((up - down) * cotangent).sum(axis=1, keepdims=True) / (2 * step))
    return exact, numeric


@pytest.mark.parametrize("text", FORMULAS)
def test_gradients_agree_with_differences(text):
    formula = expression.parse(text)
    cotangent = np.random.default_rng(0).standard_normal((3, 4))
    traced = {n: Traced(v) for n, v in POINTS.items()}
    value = expression.evaluate(formula, {**traced, **ROWS}, TracedOps).value
    np.testing.assert_allclose(value, expression.evaluate(formula, {**POINTS, **ROWS}, np), rtol=1e-13)
    exact, numeric = gradients(
        lambda p, ops: expression.evaluate(formula, {**p, **ROWS}, ops), POINTS, cotangent
    )
    for found, expected in zip(exact, numeric, strict=True):
        assert found.shape == (3, 1)
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("text", ["x**a", "a * x", "x**(a * x)", "a**b", "a"])
def test_one_row_and_one_point_are_no_special_case(text):
    formula = expression.parse(text)
    for points, rows in ((3, 1), (1, 4), (1, 1)):
        given = {n: v[:points] for n, v in POINTS.items()}
        x = ROWS["x"][:rows]
        cotangent = np.random.default_rng(1).standard_normal((points, rows))
        exact, numeric = gradients(
            lambda p, ops, x=x: expression.evaluate(formula, {**p, "x": x}, ops), given, cotangent
        )
        for found, expected in zip(exact, numeric, strict=True):
            assert found.shape == (points, 1)
            np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)


def test_a_parameter_that_is_not_used_has_gradient_zero():
    a, b = (Traced(v) for v in POINTS.values())
    found = pull_back(a * ROWS["x"], np.ones((3, 4)), [a, b])
    np.testing.assert_allclose(found[0], np.full((3, 1), 8.0))
    assert (found[1] == 0).all()


def test_a_record_can_be_pulled_back_again():
    a = Traced(POINTS["a"])
    law = TracedOps.exp(a * ROWS["x"])
    once, again = (pull_back(law, np.ones((3, 4)), [a])[0] for _ in range(2))
    np.testing.assert_array_equal(once, again)


def test_a_long_chain_of_formulas_does_not_exhaust_the_stack():
    total = a = Traced(POINTS["a"])
    for _ in range(5000):
        total = total + a
    np.testing.assert_allclose(pull_back(total, np.ones((3, 1)), [a])[0], np.full((3, 1), 5001.0))


def test_numpy_numbers_stand_on_either_side():
    a = Traced(POINTS["a"])
    for number in (2.0, np.float64(2.0), np.array([1.0, 2.0])):
        for result in (number * a, number + a, number - a, number / a, a * number):
            assert isinstance(result, Traced)


def test_the_annealing_area_has_its_gradient():
    schedule = bl.parse_schedule("cosine(peak=2e-4, end=0, warmup=500, total=20000, hold=true)")
    area, spread = schedule_inputs.FUNCTIONS["annealing_area"], (0.95, 0.9998)
    prepared = area.prepare(schedule, np.array([5000, 10000, 20000]), [spread])
    lam = {"lam": np.array([[0.96], [0.99], [0.9995]])}
    exact, numeric = gradients(
        lambda p, ops: area.evaluate([p["lam"]], prepared, [spread], ops),
        {"lam": lam["lam"]},
        np.ones((3, 3)),
    )
    # A step of 1e-7 in lam is large where 1 - lam is small: compare with smaller ones.
    step = 1e-4 * (1 - lam["lam"])
    up, down = (area.evaluate([lam["lam"] + s * step], prepared, [spread], np) for s in (1, -1))
    np.testing.assert_allclose(exact[0], ((up - down) / (2 * step)).sum(axis=1, keepdims=True), rtol=1e-5)
    assert np.isfinite(numeric[0]).all()


@pytest.mark.parametrize("name", LAWS)
def test_a_shipped_law_has_its_gradient(name):
    spec, data = noiseless(name)
    spec, inputs = bl.resolve(spec, data), law_inputs(bl.resolve(spec, data), data)
    drawn = draw_priors(spec, 5, np.random.default_rng(3))
    values = {n: drawn[n][:, None] for n in spec.scalar_names}
    cotangent = np.ones((5, data.sizes["obs"]))
    exact, numeric = gradients(lambda p, ops: evaluate_law(spec, p, inputs, ops), values, cotangent)
    for found, expected in zip(exact, numeric, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())
