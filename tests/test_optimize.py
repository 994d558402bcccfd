"""The lockstep optimiser against SciPy's L-BFGS-B and known minima."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize, rosen, rosen_der

from bayeslaw.inference.batch_lbfgs import minimize_many

UNBOUNDED = (np.full(2, -np.inf), np.full(2, np.inf))


def rosenbrock(x, which):
    return np.array([rosen(p) for p in x]), np.array([rosen_der(p) for p in x])


def scipy_minimum(objective, start, lower, upper, problem=0):
    def single(x):
        value, gradient = objective(x[None], np.array([problem]))
        return value[0], gradient[0]

    options = {"ftol": 1e-15, "gtol": 1e-12, "maxiter": 5000}
    return minimize(
        single, start, jac=True, method="L-BFGS-B", bounds=np.stack([lower, upper], axis=1), options=options
    )


def test_rosenbrock_from_many_starts():
    starts = np.random.default_rng(0).uniform(-3, 3, size=(60, 2))
    found = minimize_many(rosenbrock, starts, *UNBOUNDED, tolerance=1e-14, max_iterations=2000)
    np.testing.assert_allclose(found.x, np.ones((60, 2)), atol=1e-4)
    assert (found.value < 1e-8).all()


@pytest.mark.parametrize("dimensions", [1, 3, 8])
def test_bounded_quadratics_end_where_scipy_does(dimensions):
    """A problem of its own for each start, most optima on a bound."""
    rng = np.random.default_rng(dimensions)
    problems = 30
    root = rng.standard_normal((problems, dimensions, dimensions))
    hessian = root @ root.transpose(0, 2, 1) + 0.1 * np.eye(dimensions)
    centre = 2 * rng.standard_normal((problems, dimensions))
    lower, upper = np.full(dimensions, -0.5), np.full(dimensions, 1.0)

    def objective(x, which):
        pull = np.einsum("ijk,ik->ij", hessian[which], x - centre[which])
        return 0.5 * (pull * (x - centre[which])).sum(axis=1), pull

    starts = rng.uniform(-2, 2, size=(problems, dimensions))  # some outside the box
    found = minimize_many(objective, starts, lower, upper, tolerance=1e-14, max_iterations=2000)
    assert ((found.x >= lower) & (found.x <= upper)).all()
    on_a_bound = 0
    for i in range(problems):
        best = scipy_minimum(objective, np.clip(starts[i], lower, upper), lower, upper, i)
        assert found.value[i] == pytest.approx(best.fun, rel=1e-7, abs=1e-9)
        on_a_bound += ((best.x == lower) | (best.x == upper)).any()
    assert on_a_bound > problems / 3


def test_rosenbrock_in_a_box_ends_on_its_wall():
    lower, upper = np.array([-2.0, -2.0]), np.array([0.5, 2.0])
    starts = np.random.default_rng(1).uniform(-2, 2, size=(40, 2))
    found = minimize_many(rosenbrock, starts, lower, upper, tolerance=1e-14, max_iterations=2000)
    best = scipy_minimum(rosenbrock, np.zeros(2), lower, upper)
    assert best.x[0] == 0.5
    np.testing.assert_allclose(found.value, best.fun, rtol=1e-6)
    np.testing.assert_allclose(found.x, np.tile([0.5, 0.25], (40, 1)), atol=1e-4)


def test_an_optimum_in_a_corner_is_found_exactly():
    def slope(x, which):
        return x.sum(axis=1), np.ones_like(x)

    starts = np.random.default_rng(2).uniform(0, 5, size=(10, 3))
    found = minimize_many(slope, starts, np.zeros(3), np.full(3, 5.0))
    np.testing.assert_array_equal(found.x, np.zeros((10, 3)))


def test_almost_nonsmooth_objectives_are_minimised():
    """Huber's loss with a small threshold, as in the point fits: the median of the rows."""
    rows, delta = np.array([0.0, 0.1, 0.5, 3.0, 9.0]), 1e-3

    def objective(x, which):
        residual = rows - x
        clipped = np.clip(residual, -delta, delta)
        return (clipped * (residual - clipped / 2)).sum(axis=1), -clipped.sum(axis=1, keepdims=True)

    starts = np.linspace(-20, 20, 30)[:, None]
    found = minimize_many(objective, starts, np.array([-np.inf]), np.array([np.inf]), tolerance=1e-12)
    np.testing.assert_allclose(found.x, 0.5, atol=2 * delta)


def test_starts_without_a_finite_value_survive_and_spoil_no_other():
    def objective(x, which):
        with np.errstate(all="ignore"):
            value = (np.log(x[:, 0]) - 1) ** 2 + x[:, 1] ** 2
            return value, np.stack([2 * (np.log(x[:, 0]) - 1) / x[:, 0], 2 * x[:, 1]], axis=1)

    starts = np.array([[-1.0, 1], [2, 3], [np.nan, 0], [0, 0], [8, -1], [5, np.inf]])
    found = minimize_many(objective, starts, *UNBOUNDED, tolerance=1e-13)
    assert np.isinf(found.value[[0, 2, 3, 5]]).all()
    assert found.value[[1, 4]] == pytest.approx([0, 0], abs=1e-9)
    np.testing.assert_allclose(found.x[[1, 4]], np.tile([np.e, 0], (2, 1)), atol=1e-3)


def test_a_step_into_nonsense_is_taken_back():
    """The value is infinite on one side, right beside the minimum."""

    def objective(x, which):
        with np.errstate(all="ignore"):
            return (x - np.log(x - 1))[:, 0], 1 - 1 / (x - 1)

    found = minimize_many(
        objective, np.array([[1.0001], [50.0]]), np.array([-np.inf]), np.array([np.inf]), 1e-13
    )
    np.testing.assert_allclose(found.x, [[2.0], [2.0]], atol=1e-4)


def test_no_start_and_all_bad_starts_end_at_once():
    empty = minimize_many(lambda x, which: ((x**2).sum(axis=1), 2 * x), np.empty((0, 2)), *UNBOUNDED)
    assert empty.x.shape == (0, 2)
    bad = minimize_many(lambda x, w: (np.full(len(x), np.nan), x), np.zeros((3, 2)), *UNBOUNDED)
    assert np.isinf(bad.value).all()


def test_problems_do_not_disturb_each_other():
    """Alone or in company, a start takes the same way, to the last bit."""
    starts = np.random.default_rng(4).uniform(-2, 2, size=(12, 2))
    together = minimize_many(rosenbrock, starts, *UNBOUNDED)
    for i in (0, 5, 11):
        alone = minimize_many(rosenbrock, starts[i : i + 1], *UNBOUNDED)
        np.testing.assert_array_equal(alone.x[0], together.x[i])


def test_progress_is_told_up_to_the_end():
    told = []
    minimize_many(
        rosenbrock, np.random.default_rng(5).uniform(-2, 2, (9, 2)), *UNBOUNDED, on_step=told.append
    )
    assert told == sorted(told)
    assert told[-1] == 9
