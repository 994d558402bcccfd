"""Computes inputs that are functions of a schedule and of parameters, such as the annealing area S2(lam).

Each is a row of `FUNCTIONS`: which parameters it takes, what it prepares from a schedule once, and how it is
evaluated at the parameters' values with the prepared numbers, on any array library.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayeslaw.law.types import Array, ArrayOps, Value

if TYPE_CHECKING:
    from bayeslaw.law.schedules import Schedule

Ranges = Sequence[tuple[float, float]]
"""Where each parameter of a function may lie, in their order."""
NODES = 33
"""Chebyshev nodes; on lam in [0.95, 0.9998], 33 reproduce the exact recursion to 2e-9 relative on cosine
schedules and to 5e-8 of its largest value behind an abrupt step."""


@dataclass(frozen=True)
class ScheduleFunction:
    """A function of parameters that a schedule supplies for each row.

    Attributes
    ----------
    supports : tuple of str
        The support of each parameter that it takes: real, positive or unit.
    prepare : callable
        (schedule, steps, ranges) -> array of shape (steps, nodes): all that it needs of a schedule, stored in the
        dataset.
    evaluate : callable
        (arguments, prepared, ranges, ops) -> value for each row. There is an argument for each parameter, a
        scalar or with a last axis of length one; the result has the rows on its last axis.
    """

    supports: tuple[str, ...]
    prepare: Callable[[Schedule, Array, Ranges], Array]
    evaluate: Callable[[Sequence[Value], Array, Ranges, ArrayOps], Value]


def annealing_area(schedule: Schedule, steps: np.ndarray, lam: float) -> np.ndarray:
    """Compute S2 by its recursion.

    Parameters
    ----------
    schedule : Schedule
    steps : numpy.ndarray of int, shape (n,)
    lam : float
        Decay of the momentum, in (0, 1).

    Returns
    -------
    numpy.ndarray, shape (n,)
        S2 at the steps, in learning rate × steps.

    References
    ----------
    arXiv:2408.11029: m_i = lam·m_{i−1} + (lr_{i−1} − lr_i), S2(s) = Σ_{i≤s} m_i.
    """
    return np.cumsum(schedule.momentum(lam))[steps]


def _ends(lam_range: tuple[float, float]) -> tuple[float, float]:
    return float(np.log1p(-lam_range[1])), float(np.log1p(-lam_range[0]))


def _prepare_area(schedule: Schedule, steps: np.ndarray, ranges: Ranges) -> np.ndarray:
    """Interpolate S2 in log(1 − lam), where it is smooth: coefficients of Chebyshev polynomials."""
    low, high = _ends(ranges[0])
    angle = np.pi * (np.arange(NODES) + 0.5) / NODES
    lams = -np.expm1(low + (np.cos(angle) + 1) / 2 * (high - low))
    areas = np.stack([annealing_area(schedule, steps, lam) for lam in lams], axis=1)
    coefficients = 2 / NODES * areas @ np.cos(np.outer(angle, np.arange(NODES)))
    coefficients[:, 0] /= 2
    return coefficients


def _evaluate_area(arguments: Sequence[Value], prepared: Array, ranges: Ranges, ops: ArrayOps) -> Value:
    low, high = _ends(ranges[0])
    unit = 2 * (ops.log1p(-arguments[0]) - low) / (high - low) - 1
    # At the ends of the range rounding can leave [-1, 1], where arccos is undefined.
    unit = ops.minimum(ops.maximum(unit, -1 + 1e-15), 1 - 1e-15)
    return ops.dot(ops.cos(np.arange(NODES) * ops.arccos(unit)), prepared.T)


FUNCTIONS: dict[str, ScheduleFunction] = {
    "annealing_area": ScheduleFunction(("unit",), _prepare_area, _evaluate_area),
}
"""Functions of a schedule that an input may name, by name."""
