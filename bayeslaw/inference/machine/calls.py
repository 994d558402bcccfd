"""What the machine calls by its address: log densities with gradients of their own.

Each is compiled when a program first has it, and apart from `kernel.run`: what is linked into another function is
optimised once more there, which takes as long as the first time. Where each finds its data, see `densities`. It
fills its place of work with the value and the gradient.
"""

from __future__ import annotations

import numpy as np
from numba import carray, types

from bayeslaw.core.compiled import callback, compiled
from bayeslaw.inference.machine.pointers import INTEGERS, NUMBERS, further
from bayeslaw.observation import discrepancy_grad, discrepancy_nodes, run_tree_grad

_CALL = types.int64(NUMBERS, types.int64, NUMBERS, INTEGERS, NUMBERS)
_FINE, _FAILED = 0, 1
# As parts of what calls them: one function less to be optimised.
_covariance_density = compiled(discrepancy_grad.evaluate.py_func, inline="always")
_nodes_density = compiled(discrepancy_nodes.evaluate.py_func, inline="always")


@compiled(inline="always")
def _at(place, length, constants, work):
    """Return so many entries from a place."""
    return carray(further(constants, -1 - place) if place < 0 else further(work, place), (length,))


@compiled(inline="always")
def _vector(number, first, integers, constants):
    """Return a table's array of numbers."""
    return carray(further(constants, integers[first + 3 * number]), (integers[first + 3 * number + 1],))


@compiled(inline="always")
def _matrix(number, first, integers, constants):
    """Return a table's array of rank two."""
    shape = integers[first + 3 * number + 1], integers[first + 3 * number + 2]
    return carray(further(constants, integers[first + 3 * number]), shape)


@compiled(inline="always")
def _whole(number, first, integers):
    """Return a table's array of integers."""
    return carray(further(integers, integers[first + 3 * number]), (integers[first + 3 * number + 1],))


@compiled(inline="always")
def _scalar(number, first, integers, constants):
    """Return a table's number, as an array of rank zero."""
    return carray(further(constants, integers[first + 3 * number]), ())


@compiled(inline="always")
def _fill(z, value, by_residual):
    """Write the value, and behind it the gradient by residuals."""
    z[0] = value.item()
    for i in range(len(by_residual)):
        z[i + 1] = by_residual[i]


@callback(_CALL)
def _covariance(z, at, constants, integers, work):
    data = at + 2
    weight = _matrix(0, data, integers, constants)
    rows = weight.shape[1]
    residual, sigma = _at(integers[at], rows, constants, work), _at(integers[at + 1], 1, constants, work)
    try:
        value, by_residual, by_sigma = _covariance_density(
            residual, np.asarray(sigma[0]), weight, _matrix(1, data, integers, constants),
            _matrix(2, data, integers, constants), _vector(3, data, integers, constants), _vector(4, data, integers, constants),
            _vector(5, data, integers, constants), _vector(6, data, integers, constants), _whole(7, data, integers),
            _vector(8, data, integers, constants), _vector(9, data, integers, constants), _vector(10, data, integers, constants),
            _vector(11, data, integers, constants), _vector(12, data, integers, constants), _matrix(13, data, integers, constants),
            _matrix(14, data, integers, constants), _scalar(15, data, integers, constants), _scalar(16, data, integers, constants),
            _scalar(17, data, integers, constants),
        )  # fmt: skip
    except Exception:  # what leaves here would be printed, and the caller told that all is fine
        return _FAILED
    _fill(z, value, by_residual)
    z[rows + 1] = by_sigma.item()
    return _FINE


@callback(_CALL)
def _nodes(z, at, constants, integers, work):
    data = at + 2
    project = _matrix(0, data, integers, constants)
    rows = project.shape[1]
    residual, sigma = _at(integers[at], rows, constants, work), _at(integers[at + 1], 1, constants, work)
    try:
        value, by_residual, by_sigma = _nodes_density(
            residual, np.asarray(sigma[0]), project, _vector(1, data, integers, constants), _vector(2, data, integers, constants),
            _matrix(3, data, integers, constants), _matrix(4, data, integers, constants), _matrix(5, data, integers, constants),
            _matrix(6, data, integers, constants), _matrix(7, data, integers, constants), _matrix(8, data, integers, constants),
            _matrix(9, data, integers, constants), _vector(10, data, integers, constants), _vector(11, data, integers, constants),
            _vector(12, data, integers, constants), _scalar(13, data, integers, constants), _scalar(14, data, integers, constants),
            _scalar(15, data, integers, constants),
        )  # fmt: skip
    except Exception:
        return _FAILED
    _fill(z, value, by_residual)
    z[rows + 1] = by_sigma.item()
    return _FINE


@callback(_CALL)
def _forest(z, at, constants, integers, work):
    data = at + 4
    error = _vector(0, data, integers, constants)
    rows = len(error)
    try:
        value, by_residual, by_scale, by_length, by_sigma = run_tree_grad.evaluate(
            _at(integers[at], rows, constants, work), np.asarray(_at(integers[at + 1], 1, constants, work)[0]),
            np.asarray(_at(integers[at + 2], 1, constants, work)[0]), np.asarray(_at(integers[at + 3], 1, constants, work)[0]),
            error, _whole(1, data, integers), _vector(2, data, integers, constants),
        )  # fmt: skip
    except Exception:
        return _FAILED
    _fill(z, value, by_residual)
    z[rows + 1], z[rows + 2], z[rows + 3] = by_scale.item(), by_length.item(), by_sigma.item()
    return _FINE


_FUNCTIONS = {"covariance": _covariance, "nodes": _nodes, "forest": _forest}


def address(name: str) -> int:
    """Return where a log density is in this process.

    Parameters
    ----------
    name : str
        Of `densities.DENSITIES`.

    Returns
    -------
    int
    """
    return _FUNCTIONS[name].address
