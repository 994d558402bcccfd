"""Where rows lie, and the covariance of a discrepancy there, decomposed once for each length of a grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bayeslaw.law.priors import link_normal
from bayeslaw.law.spec import Discrepancy, Spec
from bayeslaw.law.types import Array, Tensor
from bayeslaw.observation.base import Rows
from bayeslaw.observation.kernels import kernel, length_grid, scale_grid

USUAL_SIZE = 3.0
"""A usual size of a discrepancy, in units of run noise, where it is not inferred: to look for outlying rows, and
to choose the directions that NUTS walks."""


@dataclass(frozen=True)
class Basis:
    """K decomposed at one length, in the weighted rows' space."""

    length: float
    vectors: Array  # (n, n), one column for each direction
    eigen: Array  # (n,)
    share: Array  # (n,), of run noise in a direction's noise
    rest: Array  # (n,), noise that does not depend on sigma

    def variance(self, scale: Array, sigma: Array) -> Array:
        """Return the variance along each direction, shape (draws, n)."""
        return scale**2 * self.eigen + sigma**2 * self.share + self.rest


@dataclass(frozen=True)
class Places:
    """Rows in e-folds, their weights, and K decomposed at every length.

    Attributes
    ----------
    place : numpy.ndarray, shape (rows, inputs)
    weight : numpy.ndarray, shape (rows,)
        What makes the noise nearly a multiple of the identity.
    lengths, log_lengths : numpy.ndarray
        The grid of lengths, and its log weights.
    bases : list of Basis
        One for each length.
    """

    place: Array
    weight: Array
    lengths: Array
    log_lengths: Array
    bases: list[Basis]


_last: list[tuple[Rows, Spec, Places]] = []
"""The latest rows that were decomposed: several questions come one after another, and more would fill the memory."""


def places_of(spec: Spec, rows: Rows) -> Places:
    """Return where rows lie, and K decomposed there.

    Parameters
    ----------
    spec : Spec
        Resolved, with a discrepancy over inputs.
    rows : Rows

    Returns
    -------
    Places
        The same as last time for the same rows.
    """
    for seen, by, found in _last:
        if seen is rows and by is spec:
            return found
    place = places(spec, rows)
    middle = usual_value(spec, "sigma") ** 2
    share = middle / (middle + rows.error**2)
    grid, log_lengths = lengths(spec)
    kind = discrepancy_of(spec).kernel
    bases = [_basis(kind, place, share, middle, length) for length in grid]
    found = Places(place, np.sqrt(share), grid, log_lengths, bases)
    _last[:] = [(rows, spec, found)]
    return found


def _basis(kind: str, place: Array, share: Array, middle: float, length: float) -> Basis:
    """Decompose K at one length; rows' shares of run noise weigh them."""
    weight = np.sqrt(share)
    K = kernel(kind, place, place, length)
    eigen, vectors = np.linalg.eigh(weight[:, None] * K * weight)
    share = share @ vectors**2
    return Basis(length, vectors, np.maximum(eigen, 0.0), share, middle * (1 - share))


def discrepancy_of(spec: Spec) -> Discrepancy:
    """Return a spec's discrepancy, which it must have."""
    if spec.discrepancy is None:
        raise TypeError("the law has no discrepancy")
    return spec.discrepancy


def places(spec: Spec, rows: Rows) -> Array:
    """Return where rows lie: log(input / reference), shape (rows, inputs)."""
    over = discrepancy_of(spec).over
    return np.stack(
        [np.log(np.asarray(rows.columns[n], dtype=float) / spec.inputs[n].reference) for n in over], axis=1
    )


def lengths(spec: Spec) -> tuple[Array, Array]:
    """Return the grid of lengths and its log weights; one length where there is no choice."""
    length = spec.noise.get("discrepancy_length")
    if length is None or length.fixed is not None:
        return np.array([1.0 if length is None else length.fixed]), np.zeros(1)
    return length_grid(*link_normal(length))


def scales(spec: Spec) -> tuple[Array, Array]:
    """Return the grid of scales and its log weights; one scale where it is fixed."""
    scale = spec.noise["discrepancy_scale"]
    if scale.fixed is not None:
        return np.array([float(scale.fixed)]), np.zeros(1)
    return scale_grid(*link_normal(scale))


def discrepancy_scale[T: (Array, Tensor)](spec: Spec, values: Mapping[str, T]) -> T:
    """Return the discrepancy's standard deviation on the scale of errors."""
    scale = values["discrepancy_scale"]
    return scale * values["sigma"] if discrepancy_of(spec).relative else scale


def usual_value(spec: Spec, name: str) -> float:
    """Return where a parameter is fixed, or its prior's median; one where there is none."""
    parameter = spec.noise.get(name)
    if parameter is None:
        return 1.0
    return parameter.fixed if parameter.fixed is not None else float(np.exp(link_normal(parameter)[0]))


def usual_covariance(spec: Spec, rows: Rows) -> Array:
    """Return the rows' covariance at a usual size and length of the discrepancy, in units of run noise."""
    place = places(spec, rows)
    return USUAL_SIZE**2 * kernel(
        discrepancy_of(spec).kernel, place, place, usual_value(spec, "discrepancy_length")
    )
