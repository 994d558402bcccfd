"""The machine's gradients of formulas and of point fits' objectives, against finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import TRUTHS, noiseless
from recorded import ran, value_and_gradient

import bayeslaw as bl
from bayeslaw.inference.point_problem import point_problem, prior_starts
from bayeslaw.law import expression, schedule_inputs
from bayeslaw.observation.bound import bind

POINTS = {"a": (0.4, 0.9, 0.7), "b": (1.3, 0.6, 0.2)}
ROWS = {"x": np.array([0.5, 1.5, 2.5, 3.5])}
FORMULAS = [
    "-a", "+a", "a + b", "a - b", "a * b", "a / b", "a + x", "x + a", "a - x", "x - a", "a * x", "x * a",
    "a / x", "x / a", "2 * a", "a * 2", "2 - a", "a - 2", "2 / a", "a / 2", "a * a", "a - a", "a / a",
    "a**b", "a**2", "a**-1.5", "a**0", "2**a", "x**a", "x**-a", "a**x", "(a * x)**b", "(a * x)**(b * x)",
    "x**(a * x)", "x**-(a + b * x)", "x**a * x**b",
    "(x - a)**2", "(x - 4 * a)**2", "(a - 3)**3", "(a - 9)**-1", "(a * x - 5)**2",
    "exp(a)", "expm1(a * x)", "log(a)", "log1p(a * x)", "sqrt(a * x)", "tanh(a - x)",
    "maximum(a, b)", "maximum(a, x)", "maximum(x, a * x)", "minimum(a, b)", "minimum(a * x, 1.1)", "minimum(1, b * x)",
    "a * b * x + a / (b + x) - exp(-a * x) * b**x", "log(a + b * x**-a) * (a + 1)",
    "maximum(a, x) * minimum(b, x) * a",
    "sigmoid_root(a * x, b)", "sigmoid_root(x - 2, b)", "sigmoid_root(a - b * x, x)", "sigmoid_root(log(a), a * b)",
    "sigmoid_root(9 * (x - 2), a)",
]  # fmt: skip


def check(function, points, weights, rtol=1e-6, atol=1e-8):
    """Hold the machine's weighted sum of a function, and its gradient, against NumPy's and differences."""
    for at in zip(*points.values(), strict=True):
        values = dict(zip(points, at, strict=True))

        def total(ops, *given, names=tuple(points)):
            return (weights * function(dict(zip(names, given, strict=True)), ops)).sum()

        value, gradient = value_and_gradient(total, *at)
        np.testing.assert_allclose(value, total(np, *at), rtol=1e-12)
        for name, found in zip(values, gradient, strict=True):
            step = 1e-6 * max(abs(values[name]), 0.1)
            up, down = (total(np, *{**values, name: values[name] + s * step}.values()) for s in (1, -1))
            np.testing.assert_allclose(found, (up - down) / (2 * step), rtol=rtol, atol=atol, err_msg=name)


@pytest.mark.parametrize("text", FORMULAS)
def test_gradients_agree_with_differences(text):
    formula = expression.parse(text)
    weights = np.random.default_rng(0).standard_normal(4)
    check(lambda p, ops: expression.evaluate(formula, {**p, **ROWS}, ops), POINTS, weights)


@pytest.mark.parametrize("text", ["x**a", "a * x", "x**(a * x)", "a**b", "a"])
def test_one_row_is_no_special_case(text):
    formula = expression.parse(text)
    for rows in (1, 4):
        x, weights = ROWS["x"][:rows], np.random.default_rng(1).standard_normal(rows)
        check(lambda p, ops, x=x: expression.evaluate(formula, {**p, "x": x}, ops), POINTS, weights)


def test_a_long_chain_of_formulas_does_not_exhaust_the_stack():
    def chain(ops, a):
        total = a
        for _ in range(5000):
            total = total + a
        return total

    assert value_and_gradient(chain, 0.4)[1] == [5001.0]


def test_the_annealing_area_has_its_gradient():
    schedule = bl.parse_schedule("cosine(peak=2e-4, end=0, warmup=500, total=20000, hold=true)")
    area, spread = schedule_inputs.FUNCTIONS["annealing_area"], (0.95, 0.9998)
    prepared = area.prepare(schedule, np.array([5000, 10000, 20000]), [spread])
    for lam in (0.96, 0.99, 0.9995):
        _, (exact,) = value_and_gradient(
            lambda ops, lam: area.evaluate([lam], prepared, [spread], ops).sum(), lam
        )
        step = 1e-4 * (1 - lam)  # a step of 1e-7 in lam is large where 1 - lam is small
        up, down = (
            area.evaluate([np.array([lam + s * step])], prepared, [spread], np).sum() for s in (1, -1)
        )
        np.testing.assert_allclose(exact, (up - down) / (2 * step), rtol=1e-5)


@pytest.mark.parametrize("name", TRUTHS)
def test_a_shipped_laws_objective_has_its_gradient(name):
    spec, data = noiseless(name)
    problem = point_problem(bind(spec, data))
    rng = np.random.default_rng(3)
    x = prior_starts(problem.bound.spec, 5)
    weights = rng.poisson(1.0, data.sizes["obs"]).astype(float)
    for at in x:
        found = ran(problem.program, np.concatenate([at, weights]))
        for j in range(len(at)):
            step = 1e-6 * max(abs(at[j]), 0.1)
            moved = np.tile(at, (2, 1))
            moved[:, j] += step, -step
            up, down = huber_by_hand(problem, moved, weights)
            room = 1e-6 * np.abs(found[1:]).max()
            np.testing.assert_allclose(found[1 + j], (up - down) / (2 * step), rtol=1e-5, atol=room)
        np.testing.assert_allclose(found[0], huber_by_hand(problem, at[None], weights)[0], rtol=1e-12)


def huber_by_hand(problem, x, weights):
    """The objective at points, in NumPy."""
    far = np.abs([problem.residual(at) for at in x])
    delta = problem.bound.spec.map.delta
    return (weights * np.where(far < delta, far**2 / 2, delta * (far - delta / 2))).sum(axis=1)
