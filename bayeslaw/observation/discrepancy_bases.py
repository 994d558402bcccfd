"""The covariance of a discrepancy at rows, decomposed once for each shape of a grid."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bayeslaw.law.spec import Spec
from bayeslaw.law.types import Array
from bayeslaw.observation.base import Rows
from bayeslaw.observation.discrepancy_places import Points, Shape, covariance, points_of
from bayeslaw.observation.discrepancy_shapes import Grid, grid_of
from bayeslaw.observation.discrepancy_sizes import discrepancy_of


@dataclass(frozen=True)
class Basis:
    """K decomposed in one shape: for each run noise of the grid a set of directions, one set after the other.

    The inverse of the rows' covariance is ``vectors @ diag(inverse(scale, sigma)) @ vectors.T``.
    """

    shape: Shape
    vectors: Array  # (n, directions), weights of the rows in them
    eigen: Array  # (directions,)
    share: Array  # (directions,), of run noise in a direction's noise
    rest: Array  # (directions,), noise that does not depend on sigma
    log_sigmas: Array  # (points,)

    def inverse(self, scale: Array, sigma: Array) -> Array:
        """Return the inverse variance along each direction, shape (draws, directions), for draws of shape (draws, 1)."""
        variance = scale**2 * self.eigen + sigma**2 * self.share + self.rest
        blend = blended(self.log_sigmas, np.log(sigma))
        return np.repeat(blend, len(self.eigen) // len(self.log_sigmas), axis=1) / variance


@dataclass(frozen=True)
class Places:
    """Rows in e-folds, and K decomposed in every shape.

    Attributes
    ----------
    place : numpy.ndarray, shape (rows, inputs)
    grid : Grid
    weights : numpy.ndarray, shape (points, rows)
        What makes the noise a multiple of the identity, at each run noise of the grid.
    share, rest : numpy.ndarray, shape (points,)
        Around it the noise is taken as sigma² share + rest in all directions.
    bases : list of Basis
        One for each shape.
    """

    place: Points
    grid: Grid
    weights: Array
    share: Array
    rest: Array
    bases: list[Basis]


def blended(log_sigmas: Array, at: Array) -> Array:
    """Return the weights of what is known at some run noises for others between them: a parabola through three.

    Parameters
    ----------
    log_sigmas : numpy.ndarray, shape (points,)
    at : numpy.ndarray, shape (draws, 1)
        Logarithms; beyond the ends the end's own.

    Returns
    -------
    numpy.ndarray, shape (draws, points)
        Sum to one.
    """
    at = np.clip(at, log_sigmas[0], log_sigmas[-1])
    out = np.zeros((len(at), len(log_sigmas)))
    begin = 2 * np.clip(np.searchsorted(log_sigmas[2:-2:2], at[:, 0]), 0, None)
    for i in np.unique(begin):
        used, here = log_sigmas[i : i + 3], begin == i
        for k, own in enumerate(used):
            out[here, i + k] = np.prod([(at[here, 0] - m) / (own - m) for m in np.delete(used, k)], axis=0)
    return out


_last: list[tuple[list[Array], str, Places]] = []
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
    place, grid, kind = points_of(spec, rows), grid_of(spec, rows), discrepancy_of(spec).kernel
    key = [
        place.place,
        place.along,
        np.asarray(place.steep),
        place.group,
        np.nan_to_num(place.run, nan=-1),
        np.asarray(rows.error, dtype=float),
        grid.sigmas,
    ]
    for seen, by, found in _last:
        if by == kind and all(np.array_equal(a, b) for a, b in zip(seen, key, strict=True)):
            known = {basis.shape: basis for basis in found.bases}
            if known.keys() >= set(grid.shapes):
                return replace(found, grid=grid, bases=[known[shape] for shape in grid.shapes])
    middles = grid.sigmas**2
    shares = middles[:, None] / (middles[:, None] + rows.error**2)
    share = shares.mean(axis=1)
    noise = np.log(grid.sigmas), share, middles * (1 - share)
    bases = [_basis(covariance(kind, place, place, shape), shares, shape, noise) for shape in grid.shapes]
    found = Places(place, grid, np.sqrt(shares), share, noise[2], bases)
    _last[:] = [(key, kind, found)]
    return found


def _basis(K: Array, shares: Array, shape: Shape, noise: tuple[Array, Array, Array]) -> Basis:
    """Decompose K in one shape; rows' shares of run noise weigh them."""
    weights = np.sqrt(shares)
    eigen, vectors = np.linalg.eigh(weights[:, :, None] * K * weights[:, None, :])
    side_by_side = np.concatenate(list(weights[:, :, None] * vectors), axis=1)
    log_sigmas, *by_point = noise
    share, rest = (np.repeat(v, len(K)) for v in by_point)
    return Basis(shape, side_by_side, np.maximum(eigen, 0.0).ravel(), share, rest, log_sigmas)
