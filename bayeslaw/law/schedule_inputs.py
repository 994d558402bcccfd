"""Inputs that are functions of a parameter, such as the annealing area S2(lam).

Each is a row of `FUNCTIONS`: what it prepares from a schedule once, and how it is evaluated at a
parameter's value with the prepared numbers, on any array library.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayeslaw.law.schedules import Schedule

NODES = 33
"""Chebyshev nodes; on lam in [0.95, 0.9998], 33 reproduce the exact recursion to 2e-9 relative on cosine
schedules and to 5e-8 of its largest value behind an abrupt step."""


@dataclass(frozen=True)
class InputFunction:
    """A function of one parameter that a table supplies for each row.

    Attributes
    ----------
    prepare : callable
        (schedule, steps, range) -> array of shape (steps, nodes), stored in the dataset.
    evaluate : callable
        (argument, prepared, range, ops) -> value for each row. The argument is a scalar or has a
        last axis of length one; the result has the rows on its last axis.
    """

    prepare: Callable[[Schedule, np.ndarray, tuple[float, float]], np.ndarray]
    evaluate: Callable[[Any, Any, tuple[float, float], Any], Any]


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
    from scipy.signal import lfilter

    return np.cumsum(lfilter([1.0], [1.0, -lam], schedule.drops()))[steps]


def _ends(lam_range: tuple[float, float]) -> tuple[float, float]:
    return float(np.log1p(-lam_range[1])), float(np.log1p(-lam_range[0]))


def _prepare_area(schedule: Schedule, steps: np.ndarray, lam_range: tuple[float, float]) -> np.ndarray:
    """Interpolate S2 in log(1 − lam), where it is smooth: coefficients of Chebyshev polynomials."""
    low, high = _ends(lam_range)
    angle = np.pi * (np.arange(NODES) + 0.5) / NODES
    lams = -np.expm1(low + (np.cos(angle) + 1) / 2 * (high - low))
    areas = np.stack([annealing_area(schedule, steps, lam) for lam in lams], axis=1)
    coefficients = 2 / NODES * areas @ np.cos(np.outer(angle, np.arange(NODES)))
    coefficients[:, 0] /= 2
    return coefficients


def _evaluate_area(lam: Any, prepared: Any, lam_range: tuple[float, float], ops: Any) -> Any:
    low, high = _ends(lam_range)
    unit = 2 * (ops.log1p(-lam) - low) / (high - low) - 1
    # At the ends of the range rounding can leave [-1, 1], where arccos is undefined.
    unit = ops.minimum(ops.maximum(unit, -1 + 1e-15), 1 - 1e-15)
    return ops.dot(ops.cos(np.arange(NODES) * ops.arccos(unit)), prepared.T)


FUNCTIONS = {"annealing_area": InputFunction(_prepare_area, _evaluate_area)}
