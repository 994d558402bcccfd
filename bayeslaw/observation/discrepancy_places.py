"""Where rows lie, and how a discrepancy is correlated between there and elsewhere.

Near the data a curve deviates from the law as a stationary process of the kernel. Far out what matters is whether the
law's slope, its exponent, stays what it was: it may wander from the data's middle on, by a share of itself, along the
direction in which the law falls. Its variance grows with the cube of the distance, as an integrated Wiener process does.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import NamedTuple

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
_USUAL_STEEPNESS, _LEAST_STEEPNESS = 0.1, 1e-6


class Shape(NamedTuple):
    """How a discrepancy of scale one is correlated.

    Attributes
    ----------
    length : float
        In e-folds.
    drift : float
        Size of the wandering of the law's slope, in units of the scale.
    own : float
        Share of the variance that is each group's own.
    run : float
        Size of the error that rows of one run share, in units of the scale.
    """

    length: float
    drift: float = 0.0
    own: float = 0.0
    run: float = 0.0


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
    group : numpy.ndarray, shape (rows,)
        Numbers of the groups; below zero those that were not seen.
    run : numpy.ndarray, shape (rows,)
        Numbers of the runs; not a number, which is like no other, for one that was not seen.
    """

    place: Array
    along: Array
    steep: float
    group: Array
    run: Array

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
        Those that were seen: from their middle distances count, as their `AROUND` says, and their groups and runs are
        known. By default the rows themselves. Without `AROUND` the law falls as steeply as laws usually do.

    Returns
    -------
    Points
    """
    known = rows if seen is None else seen
    place, told, inputs = places(spec, rows), known.attrs.get(AROUND), len(discrepancy_of(spec).over)
    centre, gradient = places(spec, known).mean(axis=0), np.full(inputs, _USUAL_STEEPNESS / np.sqrt(inputs))
    if told is not None:
        centre, gradient = (np.array(json.loads(told)[n]) for n in ("centre", "gradient"))
    steep = max(float(np.linalg.norm(gradient)), _LEAST_STEEPNESS)
    group, run = (
        numbered(column, rows, known) for column in (discrepancy_of(spec).groups, discrepancy_of(spec).runs)
    )
    run = np.where(run < 0, np.nan, run)
    return Points(place, (place - centre) @ gradient / steep, steep, group, run)


def numbered(column: str | None, rows: Rows, seen: Rows) -> Array:
    """Return the number of each row's label among those of seen rows; one below zero for each label that is not, −1 for none."""
    if column is None or column not in rows.columns or column not in seen.columns:
        return np.full(len(rows), -1.0)
    own, known = (np.asarray(r.columns[column]).astype(str).tolist() for r in (rows, seen))
    number = {label: float(i) for i, label in enumerate(dict.fromkeys(known))}
    new = dict.fromkeys(label for label in own if label not in number)
    number |= {label: -1.0 - i for i, label in enumerate(new)}
    return np.array([number[label] for label in own])


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
    out = kernel(kind, a.place, b.place, shape.length)
    if shape.drift:
        out = out + shape.drift**2 * a.steep * b.steep * wandering(a.along, b.along)
    if shape.own:
        out = out * (1 - shape.own * (a.group[:, None] != b.group[None, :]))
    if shape.run:
        out = out + shape.run**2 * (a.run[:, None] == b.run[None, :])
    return out


def own_variance(kind: str, a: Points, shape: Shape) -> Array:
    """Return the diagonal of the covariance of points with themselves, shape (n,)."""
    far = shape.drift**2 * a.steep**2 * np.abs(a.along) ** 3 / 3
    return variance(kind, a.place) + far + shape.run**2 * ~np.isnan(a.run)


def usual_covariance(spec: Spec, rows: Rows) -> Array:
    """Return the rows' covariance at a usual size and length of the discrepancy, in units of run noise."""
    place = places(spec, rows)
    return USUAL_SIZE**2 * kernel(
        discrepancy_of(spec).kernel, place, place, usual_value(spec, "discrepancy_length")
    )
