"""The machine's minimiser against SciPy's L-BFGS-B and known minima."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import noiseless
from recorded import program_of
from scipy.optimize import minimize

from bayeslaw.inference.machine.minimise import minimise_many
from bayeslaw.inference.point_fit import point_spec
from bayeslaw.inference.point_problem import point_problem, prior_starts
from bayeslaw.observation.bound import bind

UNBOUNDED = (np.full(2, -np.inf), np.full(2, np.inf))
NOTHING = np.zeros((1, 1))


def minima(code, starts, lower, upper, given=NOTHING, **options):
    """Minimise (ops, given vector, parameter, …) -> value."""
    starts = np.asarray(starts, dtype=float)
    sizes = [*[None] * starts.shape[1], given.shape[1]]
    program = program_of(lambda ops, *values: code(ops, values[-1], *values[:-1]), sizes)
    return minimise_many(program, starts, given, lower, upper, **options)


def rosenbrock(ops, given, x, y):
    return 100 * (y - x * x) ** 2 + (1 - x) ** 2 + 0 * given.sum()


def test_rosenbrock_from_many_starts():
    starts = np.random.default_rng(0).uniform(-3, 3, size=(60, 2))
    found = minima(rosenbrock, starts, *UNBOUNDED, tolerance=1e-14, most=2000)
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

    def quadratic(ops, given, *x):
        away = [value - given[slice(i, i + 1)].sum() for i, value in enumerate(x)]
        rows = range(dimensions, given.length, dimensions)
        pulls = [sum(given[slice(k + i, k + i + 1)].sum() * a for i, a in enumerate(away)) for k in rows]
        return 0.5 * sum(a * pull for a, pull in zip(away, pulls, strict=True))

    starts = rng.uniform(-2, 2, size=(problems, dimensions))  # some outside the box
    given = np.concatenate([centre, hessian.reshape(problems, -1)], axis=1)
    found = minima(quadratic, starts, lower, upper, given, tolerance=1e-14, most=2000)
    assert ((found.x >= lower) & (found.x <= upper)).all()
    on_a_bound = 0
    for i in range(problems):
        best = minimize(
            lambda x, i=i: (0.5 * (x - centre[i]) @ hessian[i] @ (x - centre[i]), hessian[i] @ (x - centre[i])),
            np.clip(starts[i], lower, upper), jac=True, method="L-BFGS-B", bounds=np.stack([lower, upper], axis=1),
            options={"ftol": 1e-15, "gtol": 1e-12, "maxiter": 5000},
        )  # fmt: skip
        assert found.value[i] == pytest.approx(best.fun, rel=1e-7, abs=1e-9)
        on_a_bound += ((best.x == lower) | (best.x == upper)).any()
    assert on_a_bound > problems / 3


def test_rosenbrock_in_a_box_ends_on_its_wall():
    lower, upper = np.array([-2.0, -2.0]), np.array([0.5, 2.0])
    starts = np.random.default_rng(1).uniform(-2, 2, size=(40, 2))
    found = minima(rosenbrock, starts, lower, upper, tolerance=1e-14, most=2000)
    np.testing.assert_allclose(found.value, 0.25, rtol=1e-6)
    np.testing.assert_allclose(found.x, np.tile([0.5, 0.25], (40, 1)), atol=1e-4)


def test_an_optimum_in_a_corner_is_found_exactly():
    starts = np.random.default_rng(2).uniform(0, 5, size=(10, 3))
    found = minima(lambda ops, given, x, y, z: x + y + z, starts, np.zeros(3), np.full(3, 5.0))
    np.testing.assert_array_equal(found.x, np.zeros((10, 3)))


def test_almost_nonsmooth_objectives_are_minimised():
    """Huber's loss with a small threshold, as in the point fits: the median of the rows."""
    rows, delta = np.array([0.0, 0.1, 0.5, 3.0, 9.0]), 1e-3

    def huber(ops, given, x):
        residual = rows - x
        clipped = ops.minimum(ops.maximum(residual, -delta), delta)
        return (clipped * (residual - 0.5 * clipped)).sum()

    starts = np.linspace(-20, 20, 30)[:, None]
    found = minima(huber, starts, np.array([-np.inf]), np.array([np.inf]), tolerance=1e-12)
    np.testing.assert_allclose(found.x, 0.5, atol=2 * delta)


def test_starts_without_a_finite_value_survive_and_spoil_no_other():
    starts = np.array([[-1.0, 1], [2, 3], [np.nan, 0], [0, 0], [8, -1], [5, np.inf]])
    found = minima(
        lambda ops, given, x, y: (ops.log(x) - 1) ** 2 + y * y, starts, *UNBOUNDED, tolerance=1e-13
    )
    assert np.isinf(found.value[[0, 2, 3, 5]]).all()
    np.testing.assert_array_equal(found.x[[0, 2, 3, 5]], starts[[0, 2, 3, 5]])
    assert found.value[[1, 4]] == pytest.approx([0, 0], abs=1e-9)
    np.testing.assert_allclose(found.x[[1, 4]], np.tile([np.e, 0], (2, 1)), atol=1e-3)


def test_a_step_into_nonsense_is_taken_back():
    """The value is infinite on one side, right beside the minimum."""
    box = np.array([-np.inf]), np.array([np.inf])
    found = minima(lambda ops, given, x: x - ops.log(x - 1), [[1.0001], [50.0]], *box, tolerance=1e-13)
    np.testing.assert_allclose(found.x, [[2.0], [2.0]], atol=1e-4)


def test_a_value_that_depends_on_nothing_stays_where_it_is():
    found = minima(lambda ops, given, x, y: ops.copy(given.sum()), [[1.0, 2.0]], *UNBOUNDED)
    np.testing.assert_array_equal(found.x, [[1.0, 2.0]])


def test_no_start_and_all_bad_starts_end_at_once():
    empty = minima(rosenbrock, np.empty((0, 2)), *UNBOUNDED)
    assert empty.x.shape == (0, 2)
    bad = minima(rosenbrock, np.full((3, 2), np.nan), *UNBOUNDED)
    assert np.isinf(bad.value).all()


def test_problems_do_not_disturb_each_other():
    """Alone or in company, on one thread or on three, a start takes the same way, to the last bit."""
    starts = np.random.default_rng(4).uniform(-2, 2, size=(40, 2))
    together = minima(rosenbrock, starts, *UNBOUNDED)
    for threads in (1, 3):
        again = minima(rosenbrock, starts, *UNBOUNDED, threads=threads)
        np.testing.assert_array_equal(again.x, together.x)
        np.testing.assert_array_equal(again.value, together.value)
    for i in (0, 5, 39):
        alone = minima(rosenbrock, starts[i : i + 1], *UNBOUNDED)
        np.testing.assert_array_equal(alone.x[0], together.x[i])


def test_progress_is_told_up_to_the_end():
    told = []
    minima(rosenbrock, np.random.default_rng(5).uniform(-2, 2, (29, 2)), *UNBOUNDED, on_step=told.append)
    assert told == sorted(told)
    assert told[-1] == 29


@pytest.mark.parametrize("name", ["chinchilla", "annealing"])
def test_a_point_fit_has_the_same_bits_on_any_number_of_threads(name):
    spec, data = noiseless(name, noise=0.02)
    problem = point_problem(bind(point_spec(spec), data))
    starts = prior_starts(problem.bound.spec, 60)
    weights = np.random.default_rng(6).poisson(1.0, (60, data.sizes["obs"]))
    one, three = (problem.minimise(starts, weights, threads=n) for n in (1, 3))
    np.testing.assert_array_equal(one.x, three.x)
    np.testing.assert_array_equal(one.value, three.value)
    assert np.isfinite(one.value).sum() > 50  # some draws have no law
