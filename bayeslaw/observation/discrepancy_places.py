"""Where rows lie, and how a discrepancy is correlated between there and elsewhere.

Near the data a curve deviates from the law as a stationary process of the kernel. Far out what matters is whether the
law's slope, its exponent, stays what it was: it may wander from the data's middle on, by a share of itself, along the
direction in which the law falls. Its variance grows with the cube of the distance, as an integrated Wiener process does.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np

from bayeslaw.law.spec import Spec
from bayeslaw.law.types import Array
from bayeslaw.observation.base import Rows
from bayeslaw.observation.discrepancy_sizes import discrepancy_of, usual_value
from bayeslaw.observation.kernels import kernel, variance, wandering

AROUND = "discrepancy_around"
"""The data's attribute that says from where and how steeply the law falls: JSON with ``centre``, the rows' mean place, and
``gradient``, the law's by each input in e-folds."""
USUAL_SIZE = 3.0
"""A usual size of a discrepancy, in units of run noise, where it is not inferred: to look for outlying rows, and
to choose the directions that NUTS walks."""
_USUAL_STEEPNESS = 0.1

Shape = tuple[float, float]
"""A discrepancy's length, and the size of its slope's wandering in units of its scale."""


@dataclass(frozen=True)
class Points:
    """Where rows lie.

    Attributes
    ----------
    place : numpy.ndarray, shape (rows, inputs)
        In e-folds from the references.
    along : numpy.ndarray, shape (rows,)
        In e-folds from the data's middle along the direction in which the law is steepest.
    steep : float
        How steep it is there, on the scale of errors per e-fold.
    """

    place: Array
    along: Array
    steep: float

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.place)


def places(spec: Spec, rows: Rows) -> Array:
    """Return where rows lie: log(input / reference), shape (rows, inputs)."""
    over = discrepancy_of(spec).over
    return np.stack(
        [np.log(np.asarray(rows.columns[n], dtype=float) / spec.inputs[n].reference) for n in over], axis=1
    )


def points_of(spec: Spec, rows: Rows, seen: Rows | None = None) -> Points:
    """Return where rows lie.

    Parameters
    ----------
    spec : Spec
    rows : Rows
    seen : Rows, optional
        The data, whose `AROUND` says middle and direction; by default the rows themselves. Where it is not there, the
        middle is theirs and the law falls as steeply in all directions as laws usually do.

    Returns
    -------
    Points
    """
    place, seen = places(spec, rows), rows if seen is None else seen
    if AROUND in seen.attrs:
        told = json.loads(seen.attrs[AROUND])
        centre, gradient = np.array(told["centre"]), np.array(told["gradient"])
    else:
        inputs = place.shape[1]
        centre, gradient = (
            places(spec, seen).mean(axis=0),
            np.full(inputs, _USUAL_STEEPNESS / np.sqrt(inputs)),
        )
    steep = float(np.linalg.norm(gradient))
    return Points(place, (place - centre) @ gradient / steep, steep)


def covariance(kind: str, a: Points, b: Points, shape: Shape) -> Array:
    """Return the covariance between points of a discrepancy with scale one.

    Parameters
    ----------
    kind : str
        Its kernel.
    a, b : Points
    shape : Shape

    Returns
    -------
    numpy.ndarray, shape (n, m)
    """
    length, drift = shape
    local = kernel(kind, a.place, b.place, length)
    return local + drift**2 * wander(a, b) if drift else local


def wander(a: Points, b: Points) -> Array:
    """Return the covariance between points of a law whose slope wanders by its own size per root of an e-fold; (n, m)."""
    return a.steep * b.steep * wandering(a.along, b.along)


def own_variance(kind: str, a: Points, scale: Array, slope: Array) -> Array:
    """Return the variance at points, shape (draws, n), for scales and slopes of shape (draws, 1), both squared."""
    return scale * variance(kind, a.place) + slope * a.steep**2 * wandering_variance(a.along)


def wandering_variance(along: Array) -> Array:
    """Return the diagonal of `kernels.wandering`."""
    return np.asarray(np.abs(along) ** 3 / 3)


def usual_covariance(spec: Spec, rows: Rows) -> Array:
    """Return the rows' covariance at a usual size and length of the discrepancy, in units of run noise."""
    place = places(spec, rows)
    return USUAL_SIZE**2 * kernel(
        discrepancy_of(spec).kernel, place, place, usual_value(spec, "discrepancy_length")
    )
