"""Where rows lie, and the covariance of a discrepancy there, decomposed once for each length of a grid."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from bayeslaw.law.priors import link_normal
from bayeslaw.law.spec import Discrepancy, Spec
from bayeslaw.law.types import Array, Tensor
from bayeslaw.observation.base import Rows
from bayeslaw.observation.kernels import kernel, length_grid, scale_grid

GRID = "discrepancy_grid"
"""The data's attribute that says which part of the grid of lengths and scales they leave, and around which run noise:
JSON with ``lengths`` and ``scales`` (first, one past the last) and ``sigmas``."""
USUAL_SIZE = 3.0
"""A usual size of a discrepancy, in units of run noise, where it is not inferred: to look for outlying rows, and
to choose the directions that NUTS walks."""


@dataclass(frozen=True)
class Grid:
    """Over which lengths and scales a discrepancy is marginalised, and for which run noise it is decomposed.

    Attributes
    ----------
    lengths, log_lengths : numpy.ndarray
        The kernel's lengths, and their log weights.
    scales, log_scales : numpy.ndarray
        The same of its scales.
    sigmas : numpy.ndarray, shape (points,)
        Run noise at which the decomposition is exact, increasing: in between it is interpolated.
    """

    lengths: Array
    log_lengths: Array
    scales: Array
    log_scales: Array
    sigmas: Array


@dataclass(frozen=True)
class Basis:
    """K decomposed at one length: for each run noise of the grid a set of directions, one set after the other.

    The inverse of the rows' covariance is ``vectors @ diag(inverse(scale, sigma)) @ vectors.T``.
    """

    length: float
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
    """Rows in e-folds, and K decomposed at every length.

    Attributes
    ----------
    place : numpy.ndarray, shape (rows, inputs)
    grid : Grid
    weights : numpy.ndarray, shape (points, rows)
        What makes the noise a multiple of the identity, at each run noise of the grid.
    share, rest : numpy.ndarray, shape (points,)
        Around it the noise is taken as sigma² share + rest in all directions.
    bases : list of Basis
        One for each length.
    """

    place: Array
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
    place, grid, kind = places(spec, rows), grid_of(spec, rows), discrepancy_of(spec).kernel
    key = [place, np.asarray(rows.error, dtype=float), grid.sigmas]
    for seen, by, found in _last:
        if by == kind and all(np.array_equal(a, b) for a, b in zip(seen, key, strict=True)):
            known = {basis.length: basis for basis in found.bases}
            if known.keys() >= set(grid.lengths):
                return replace(found, grid=grid, bases=[known[length] for length in grid.lengths])
    middles = grid.sigmas**2
    shares = middles[:, None] / (middles[:, None] + rows.error**2)
    share = shares.mean(axis=1)
    noise = np.log(grid.sigmas), share, middles * (1 - share)
    bases = [_basis(kernel(kind, place, place, length), shares, length, noise) for length in grid.lengths]
    found = Places(place, grid, np.sqrt(shares), share, noise[2], bases)
    _last[:] = [(key, kind, found)]
    return found


def _basis(K: Array, shares: Array, length: float, noise: tuple[Array, Array, Array]) -> Basis:
    """Decompose K at one length; rows' shares of run noise weigh them."""
    weights = np.sqrt(shares)
    eigen, vectors = np.linalg.eigh(weights[:, :, None] * K * weights[:, None, :])
    side_by_side = np.concatenate(list(weights[:, :, None] * vectors), axis=1)
    log_sigmas, *by_point = noise
    share, rest = (np.repeat(v, len(K)) for v in by_point)
    return Basis(length, side_by_side, np.maximum(eigen, 0.0).ravel(), share, rest, log_sigmas)


def grid_of(spec: Spec, rows: Rows) -> Grid:
    """Return a law's grid: the whole of its priors, or what was settled for the rows (`settled`)."""
    (length, log_lengths), (scale, log_scales) = lengths(spec), scales(spec)
    sigmas = np.array([usual_value(spec, "sigma")])
    if GRID in rows.attrs:
        told = json.loads(rows.attrs[GRID])
        by_length, by_scale = slice(*told["lengths"]), slice(*told["scales"])
        length, log_lengths = length[by_length], log_lengths[by_length]
        scale, log_scales, sigmas = scale[by_scale], log_scales[by_scale], np.array(told["sigmas"])
    return Grid(length, log_lengths, scale, log_scales, sigmas)


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
