"""Minimises a program's value inside a box, from many starts and for many problems, each by itself.

A point fit of a scaling law runs from hundreds of starts, and its bootstrap from hundreds of resamples. Each is a
few parameters and a few hundred evaluations of microseconds, so that the whole of a search is compiled.

References
----------
BFGS: Nocedal and Wright, Numerical Optimization, algorithm 6.1. Weak-Wolfe bisection, which also serves
almost-nonsmooth objectives such as Huber's with a small threshold: Lewis and Overton,
doi:10.1007/s10107-012-0514-2. Projection on bounds: Bertsekas, doi:10.1137/0320018.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from bayeslaw.core.compiled import compiled
from bayeslaw.inference.machine.assemble import Program
from bayeslaw.inference.machine.kernel import addresses, run
from bayeslaw.inference.machine.pointers import call, further, integers_at, numbers_at

_DECREASE, _CURVATURE = 1e-4, 0.9
_LINE_STEPS = 25
_PATIENCE = 2
_TOGETHER = 8
"""Problems that a thread takes at once."""


@dataclass(frozen=True, eq=False)
class Minima:
    """Where each problem ended.

    Attributes
    ----------
    x : numpy.ndarray, shape (problems, parameters)
    value : numpy.ndarray, shape (problems,)
        Infinite where a start has no finite value.
    """

    x: np.ndarray
    value: np.ndarray


@compiled
def _copy(into, out, p):
    for j in range(p):
        into[j] = out[j]


@compiled
def _dot(a, b, p):
    total = 0.0
    for j in range(p):
        total += a[j] * b[j]
    return total


@compiled(inline="always")
def _evaluate(program, x, gradient, p):
    """Fill the gradient and return the value; what overflows is infinitely bad."""
    run, rows, count, numbers, whole, calls, work, inputs = program
    _copy(work, x, p)
    failed = call(run, (rows, count, numbers, whole, calls, work))
    _copy(gradient, further(work, inputs + 1), p)
    if not failed and np.isfinite(_dot(gradient, gradient, p) + work[inputs]):
        return work[inputs]
    for j in range(p):
        gradient[j] = 0.0
    return np.inf


@compiled
def _direct(inverse, fresh, x, gradient, lower, upper, free, direction, p):
    """Fill the direction among the parameters that no bound holds; return the value's slope along it."""
    for j in range(p):
        held = (x[j] <= lower[j] and gradient[j] > 0) or (x[j] >= upper[j] and gradient[j] < 0)
        free[j] = 0.0 if held else 1.0
    if not fresh:
        for j in range(p):
            direction[j] = 0.0
            for i in range(p):
                direction[j] -= free[j] * inverse[j * p + i] * free[i] * gradient[i]
        slope = _dot(direction, gradient, p)
        if slope < 0:
            return slope
    for j in range(p):
        direction[j] = -free[j] * gradient[j]
    return _dot(direction, gradient, p)


@compiled
def _learn(inverse, fresh, step, change, pushed, p):
    """Update the inverse Hessian by a step and the gradient's change, if it curves upwards; return whether it did."""
    sy, yy = _dot(step, change, p), _dot(change, change, p)
    if not sy > 1e-10 * math.sqrt(_dot(step, step, p) * yy):
        return False
    if fresh:
        for k in range(p * p):
            inverse[k] = 0.0 if k % (p + 1) else sy / yy
    for j in range(p):
        pushed[j] = _dot(further(inverse, j * p), change, p)
    scale = (1 + _dot(change, pushed, p) / sy) / sy
    for j in range(p):
        for i in range(p):
            inverse[j * p + i] += scale * step[j] * step[i] - (pushed[j] * step[i] + step[j] * pushed[i]) / sy
    return True


@compiled(inline="always")
def _search(
    program, x, value, gradient, direction, slope, size, lower, upper, best, best_gradient, trial, found, p
):
    """Search along a direction, projected on the box; fill the best point and its gradient, return its value."""
    best_value, low, high = value, 0.0, np.inf
    for _ in range(_LINE_STEPS):
        expected = 0.0
        for j in range(p):
            trial[j] = min(max(x[j] + size * direction[j], lower[j]), upper[j])
            expected += gradient[j] * (trial[j] - x[j])
        now = _evaluate(program, trial, found, p)
        lowered = now <= value + _DECREASE * min(expected, 0.0)
        if lowered and now < best_value:
            _copy(best, trial, p)
            _copy(best_gradient, found, p)
            best_value = now
        eased = 0.0  # only parameters that no bound has stopped say whether the slope has
        for j in range(p):
            eased += direction[j] * found[j] if lower[j] < trial[j] < upper[j] else 0.0
        if lowered and eased >= _CURVATURE * slope:
            break
        low, high = (size, high) if lowered else (low, size)
        size = 2 * low if high == np.inf else (low + high) / 2
    return best_value


@compiled(inline="always")
def _minimise(program, x, lower, upper, tolerance, most, p, room):
    """Move x to a minimum; return the value there."""
    gradient, direction, best, best_gradient = (
        room,
        further(room, p),
        further(room, 2 * p),
        further(room, 3 * p),
    )
    trial, found, free, inverse = (further(room, 4 * p), further(room, 5 * p), further(room, 6 * p),
                                   further(room, 7 * p))  # fmt: skip
    value, fresh, calm = _evaluate(program, x, gradient, p), True, 0
    for _ in range(most):
        slope = _direct(inverse, fresh, x, gradient, lower, upper, free, direction, p)
        size = 1 / max(math.sqrt(-slope * p), 1.0) if fresh else 1.0
        after = _search(program, x, value, gradient, direction, slope, size, lower, upper, best, best_gradient, trial, found, p)  # fmt: skip
        if not after < value:
            if fresh or value == np.inf:
                break
            fresh = True  # a search that failed with memory is tried once more along the plain gradient
            continue
        for j in range(p):
            trial[j], found[j] = free[j] * (best[j] - x[j]), free[j] * (best_gradient[j] - gradient[j])
        fresh = not _learn(inverse, fresh, trial, found, direction, p) and fresh
        calm = calm + 1 if value - after <= tolerance * abs(after) else 0
        _copy(x, best, p)
        _copy(gradient, best_gradient, p)
        value = after
        if calm >= _PATIENCE:
            break
    return value


@compiled
def _minimise_some(
    run, code, constants, integers, calls, work, room, x, value, given, lower, upper, tolerance, most
):
    """Minimise from each row of x, in place."""
    p, more = x.shape[1], given.shape[1]
    places = numbers_at(work.ctypes.data)
    program = (run, integers_at(code.ctypes.data), len(code), numbers_at(constants.ctypes.data),
               integers_at(integers.ctypes.data), integers_at(calls.ctypes.data), places, p + more)  # fmt: skip
    box = numbers_at(lower.ctypes.data), numbers_at(upper.ctypes.data)
    for i in range(len(x)):
        _copy(further(places, p), further(numbers_at(given.ctypes.data), min(i, len(given) - 1) * more), more)
        at = further(numbers_at(x.ctypes.data), i * p)
        value[i] = _minimise(program, at, box[0], box[1], tolerance, most, p, numbers_at(room.ctypes.data))


def minimise_many(
    program: Program,
    start: np.ndarray,
    given: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    tolerance: float = 1e-9,
    most: int = 500,
    on_step: Callable[[int], None] | None = None,
    threads: int | None = None,
) -> Minima:
    """Minimise many problems of the same form inside a box.

    Parameters
    ----------
    program : Program
        Takes parameters, then what a problem is given; yields the value, then its gradient by the parameters.
    start : numpy.ndarray, shape (problems, parameters)
    given : numpy.ndarray, shape (problems, inputs) or (1, inputs)
    lower, upper : numpy.ndarray, shape (parameters,)
    tolerance : float
        A problem is done when its value falls by no more than this share of itself, `_PATIENCE` times
        in a row, or when no step lowers it.
    most : int
        Steps of a problem.
    on_step : callable, optional
        Called with the number of problems done.
    threads : int, optional
        By default one a processor. Each problem ends on the same bits however many there are.

    Returns
    -------
    Minima
    """
    x, given, lower, upper = (np.ascontiguousarray(v, float) for v in (np.clip(start, lower, upper), given, lower, upper))  # fmt: skip
    value = np.empty(len(x))
    p, calls = x.shape[1], addresses(program)

    def some(first: int) -> int:
        part = slice(first, first + _TOGETHER)
        _minimise_some(
            run.address, program.code, program.constants, program.integers, calls, np.empty(program.size), np.empty((7 + p) * p),
            x[part], value[part], given[part] if len(given) > 1 else given, lower, upper, tolerance, most,
        )  # fmt: skip
        return len(value[part])

    done = 0
    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        for count in pool.map(some, range(0, len(x), _TOGETHER)):
            done += count
            if on_step:
                on_step(done)
    return Minima(x, value)
