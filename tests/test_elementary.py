"""The machine's exponential and logarithm are the library's, to a unit in the last place, on every number."""

from __future__ import annotations

import numpy as np
import pytest

from bayeslaw.core.elementary import exp_all, log_all

rng = np.random.default_rng(0)
TINY, LEAST, LARGEST = 2.0**-1022, 5e-324, np.finfo(float).max
OF_EXP = np.concatenate([
    rng.uniform(-708, 709.78, 200_000), rng.uniform(-1, 1, 100_000), rng.uniform(-745, -708, 20_000),
    10.0 ** rng.uniform(-320, 0, 20_000), np.arange(-745.0, 710.0), np.log(2) * (np.arange(-1000, 1000) + 0.5),
])  # fmt: skip
OF_LOG = np.concatenate([
    np.exp(rng.uniform(-708, 709, 200_000)), rng.uniform(0.5, 2, 200_000), 1 + rng.standard_normal(50_000) * 1e-8,
    np.exp(rng.uniform(-744, -708, 20_000)), 2.0 ** np.arange(-1074, 1024), 1 + np.arange(-50, 50) * 2.0**-53,
    2.0**0.5 * (1 + np.arange(-50, 50) * 2.0**-52),
])  # fmt: skip


def on_machine(function, x):
    z = np.full(len(x) + 1, -7.0)
    function(z, x, len(x))
    assert z[-1] == -7.0
    return z[:-1]


@pytest.mark.parametrize(("function", "name", "x"), [(exp_all, "exp", OF_EXP), (log_all, "log", OF_LOG)])
def test_they_are_right_to_a_unit_in_the_last_place(function, name, x):
    exact = getattr(np, name)(x.astype(np.longdouble))
    found = on_machine(function, x)
    off = np.abs(found.astype(np.longdouble) - exact) / np.spacing(np.abs(exact.astype(float)))
    # Where long doubles are no longer than others, the library's own last bit is uncertain too.
    assert off.max() < (1.0 if np.finfo(np.longdouble).eps < 1e-18 else 2.0)


def test_exponentials_at_the_ends():
    x = np.array(
        [0.0, -0.0, np.inf, -np.inf, 709.7827128933840, 709.7827128933841, 1e308, -745.13, -745.14, -1e308]
    )
    wanted = [1.0, 1.0, np.inf, 0.0, np.exp(709.7827128933840), np.inf, np.inf, LEAST, 0.0, 0.0]
    np.testing.assert_array_equal(on_machine(exp_all, x), wanted)
    assert np.isnan(on_machine(exp_all, np.array([np.nan, -np.nan]))).all()


def test_logarithms_at_the_ends():
    x = np.array([0.0, -0.0, np.inf, 1.0, LEAST, TINY, np.nextafter(TINY, 0), LARGEST])
    np.testing.assert_array_equal(on_machine(log_all, x), [-np.inf, -np.inf, np.inf, 0.0, *np.log(x[4:])])
    assert np.isnan(on_machine(log_all, np.array([np.nan, -1.0, -LEAST, -np.inf]))).all()


@pytest.mark.parametrize("function", [exp_all, log_all])
def test_a_number_has_the_same_bits_wherever_it_stands(function):
    """Vector instructions take eight at once, and the rest one by one."""
    x = rng.uniform(0.01, 20, 37)
    together = on_machine(function, x)
    for i in range(len(x)):
        np.testing.assert_array_equal(on_machine(function, x[i : i + 1]), together[i])
        np.testing.assert_array_equal(on_machine(function, x[i:]), together[i:])
