"""Which part of the grid of lengths, scales and run noise some draws leave, and how far its density is from the exact one."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import solve_triangular

from bayeslaw.law.spec import Spec
from bayeslaw.law.types import Array
from bayeslaw.observation.base import Rows
from bayeslaw.observation.discrepancy_bases import (
    GRID,
    Places,
    blended,
    discrepancy_of,
    grid_of,
    lengths,
    places_of,
    scales,
)
from bayeslaw.observation.discrepancy_grad import WALL
from bayeslaw.observation.discrepancy_tables import tables
from bayeslaw.observation.discrepancy_terms import (
    CENTRE,
    FEW,
    density_terms,
    few_directions,
    offset_variance,
    without_few,
)
from bayeslaw.observation.kernels import kernel

NEGLIGIBLE = 1e-6
"""Lengths and scales less likely than this to all draws are left out, but for one on each side."""
_TAIL = 0.002
_POINTS = (3, 5, 9, 13)
_NARROWEST = 0.05
_OUTSIDE = 0.01
"""Share of run noise that residuals may have outside the few directions along which they move."""
_WORTH = 16
_TOGETHER = 100
"""Draws that are held against the exact density at once."""
_CLOSE = 0.03
"""Error, in nats, at which the blended density is close enough for no more points to be needed."""


@dataclass(frozen=True)
class Seen:
    """What draws say of rows.

    Attributes
    ----------
    residual : numpy.ndarray, shape (draws, rows)
        Data minus law, shifts taken away; a level that is integrated out at its prior's middle.
    sigma : numpy.ndarray, shape (draws,)
    """

    residual: Array
    sigma: Array

    def some(self, most: int) -> Seen:
        """Return at most so many of the draws, evenly in the order of run noise: the outermost are among them."""
        at = np.argsort(self.sigma)[np.unique(np.linspace(0, len(self.sigma) - 1, most).astype(int))]
        return Seen(self.residual[at], self.sigma[at])


def chances(spec: Spec, rows: Rows, seen: Seen) -> Array:
    """Return how likely each length and scale of the rows' grid is to each draw, shape (draws, lengths, scales)."""
    found = tables(density_terms(spec, rows), seen.residual, seen.sigma)
    each = np.exp(found - found.max(axis=(1, 2), keepdims=True))
    return each / each.sum(axis=(1, 2), keepdims=True)


def settled(spec: Spec, rows: Rows, seen: Seen, wider: float = 1.0) -> str:
    """Choose the part of the grid that draws leave, and the run noises at which the covariance is decomposed.

    Parameters
    ----------
    spec : Spec
    rows : Rows
        Whose grid is the whole one, or one that was settled before.
    seen : Seen
        Draws that reach beyond the bulk of the posterior.
    wider : float
        How much wider than theirs is the range of run noise.

    Returns
    -------
    str
        For the data's attribute `discrepancy_bases.GRID`.
    """
    told = json.loads(rows.attrs[GRID]) if GRID in rows.attrs else {"lengths": [0, 0], "scales": [0, 0]}
    likely = chances(spec, rows, seen.some(100)).max(axis=0)
    spans = {
        "lengths": _span(likely.max(axis=1), told["lengths"][0], len(lengths(spec)[0])),
        "scales": _span(likely.max(axis=0), told["scales"][0], len(scales(spec)[0])),
    }
    if is_exact(spec, rows):
        return json.dumps({**spans, "sigmas": [float(np.median(seen.sigma))]})
    logs = np.log(seen.sigma)
    ends = tuple(np.quantile(logs, [_TAIL, 1 - _TAIL]))
    few = seen.some(6)
    for points in _POINTS:
        half = max(wider * (ends[1] - ends[0]) / 2, _NARROWEST)
        sigmas = np.exp(np.mean(ends) + half * np.linspace(-1, 1, points))
        text = json.dumps({**spans, "sigmas": sigmas.tolist()})
        tried = with_grid(rows, text)
        if np.abs(misses(spec, tried, few, chances(spec, tried, few))).max() < _CLOSE:
            break
    return text


def is_exact(spec: Spec, rows: Rows) -> bool:
    """Return whether the density at one run noise of the grid is exact at all others."""
    if FEW in rows.columns:  # forms do not change where all is in the unit of run noise
        return discrepancy_of(spec).relative and not rows.error.any()
    return bool(np.ptp(rows.error) == 0)


def with_grid(rows: Rows, grid: str) -> Rows:
    """Return rows with the part of the grid that was settled for them."""
    return replace(rows, attrs={**rows.attrs, GRID: grid})


def _span(likely: Array, first: int, whole: int) -> list[int]:
    """Return the first of the whole grid's entries that is kept, and one past the last."""
    kept = np.flatnonzero(likely >= NEGLIGIBLE)
    return [max(first + int(kept[0]) - 1, 0), min(first + int(kept[-1]) + 2, whole)]


def with_few(rows: Rows, seen: Seen) -> Rows:
    """Return rows with the few directions along which residuals move, if they are few enough to matter.

    Parameters
    ----------
    rows : Rows
    seen : Seen
        Draws that reach beyond the bulk of the posterior; what is left of their residuals is far below run noise.
    """
    _, sizes, directions = np.linalg.svd(seen.residual, full_matrices=False)
    # What of a residual lies outside the first q directions is at most the rest of its singular values' squares.
    left = np.sqrt(np.maximum(np.cumsum(sizes[::-1] ** 2)[::-1], 0.0))
    few = int((left > _OUTSIDE * seen.sigma.min()).sum())
    columns = without_few(rows).columns
    # Forms cost the products of two coordinates, decomposed covariances a few operations for each row.
    if few * (few + 3) / 2 <= _WORTH * len(rows) and few < len(seen.sigma) / 2:
        centre = seen.residual.mean(axis=0)
        reach = np.abs((seen.residual - centre) @ directions[:few].T).max(axis=0)
        columns = {
            **columns,
            FEW: directions[:few].T * np.maximum(reach, _OUTSIDE * seen.sigma.min()),
            CENTRE: centre,
        }
    return replace(rows, columns=columns)


def edge(spec: Spec, rows: Rows, likely: Array) -> float:
    """Return how likely, on average, are the outermost lengths and scales kept, where the whole grid goes on.

    Parameters
    ----------
    spec : Spec
    rows : Rows
    likely : numpy.ndarray
        Of `chances`.

    Returns
    -------
    float
    """
    mean, grid, found = likely.mean(axis=0), grid_of(spec, rows), [0.0]
    for axis, whole, own in ((1, lengths(spec)[0], grid.lengths), (0, scales(spec)[0], grid.scales)):
        mass = mean.sum(axis=axis)
        found += [mass[i] for i in (0, -1) if own[i] != whole[i]]
    return float(max(found))


def misses(spec: Spec, rows: Rows, seen: Seen, likely: Array) -> Array:
    """Return how far the density used is from the exact one, at each draw's likeliest length and scale.

    Parameters
    ----------
    spec : Spec
    rows : Rows
    seen : Seen
    likely : numpy.ndarray
        What `chances` says of these.

    Returns
    -------
    numpy.ndarray, shape (draws,)
        Used minus exact, in nats; infinite where the density used has no value. One Cholesky decomposition for
        each draw.
    """
    where, few = places_of(spec, rows), few_directions(rows)
    length, scale = np.unravel_index(likely.reshape(len(likely), -1).argmax(axis=1), likely.shape[1:])
    used = seen.residual if few is None else seen.residual @ few @ few.T
    offset, relative, out = offset_variance(spec), discrepancy_of(spec).relative, np.empty(len(length))
    kind, size = discrepancy_of(spec).kernel, where.grid.scales[scale] * (seen.sigma if relative else 1.0)
    for j in np.unique(length):
        K, of_length = (
            kernel(kind, where.place, where.place, where.grid.lengths[j]),
            np.flatnonzero(length == j),
        )
        for i in of_length:
            noise = seen.sigma[i] ** 2 + rows.error**2
            out[i] = -_exact(size[i] ** 2 * K + np.diag(noise), seen.residual[i], offset)
        for at in np.array_split(of_length, -(-len(of_length) // _TOGETHER)):
            sigma = seen.sigma[at, None]
            out[at] += _walls(where, sigma)
            if few is None:
                out[at] += _used(where, j, size[at, None], sigma, used[at], offset)
            else:
                sizes = where.grid.scales[scale[at], None] * (where.grid.sigmas if relative else np.ones(len(where.grid.sigmas)))  # fmt: skip
                out[at] += _used_forms(
                    where, j, sizes, sigma, used[at], offset, float(np.mean(rows.error**2))
                )
    return np.where(np.isnan(likely).any(axis=(1, 2)) | np.isnan(out), np.inf, out)


def _exact(covariance: Array, residual: Array, offset: float) -> float:
    """Return the log density of residuals, a shift of all rows integrated out; minus infinity where it has none."""
    try:
        factor = np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        return -np.inf
    if not np.isfinite(factor).all():
        return -np.inf
    white, told = solve_triangular(factor, np.stack([residual, np.ones_like(residual)], axis=1), lower=True).T
    by_shift, both = told @ told, told @ white
    square = white @ white - offset * both**2 / (1 + offset * by_shift)
    return float(-0.5 * (square + np.log1p(offset * by_shift)) - np.log(np.diag(factor)).sum())


def _walls(where: Places, sigma: Array) -> Array:
    """Return the log density of the wall beyond the outermost run noises, see `discrepancy_grad.wall`."""
    logs, x = np.log(where.grid.sigmas), np.log(sigma[:, 0])
    return np.asarray(-0.5 * ((x - np.clip(x, logs[0], logs[-1])) / WALL) ** 2 * (len(logs) > 1))


def beyond(rows: Rows, sigma: Array) -> float:
    """Return the share of draws whose run noise lies beyond what their rows' grid knows."""
    told = json.loads(rows.attrs[GRID])["sigmas"] if GRID in rows.attrs else []
    if len(told) < 2:
        return 0.0
    return float(np.mean((sigma < told[0] * np.exp(-WALL / 2)) | (sigma > told[-1] * np.exp(WALL / 2))))


def _used_forms(
    where: Places, j: int, sizes: Array, sigma: Array, residual: Array, offset: float, error: float
) -> Array:
    """Return the same as the forms of few directions have it: times a row's usual variance, blended.

    Sizes are of shape (draws, points), run noise of shape (draws, 1); the error is known errors' mean square.
    """
    basis, points, n, noise = where.bases[j], len(where.weights), residual.shape[1], where.grid.sigmas**2
    inverse = np.repeat(noise + error, n) / (
        np.repeat(sizes**2, n, axis=1) * basis.eigen + np.repeat(noise, n)
    )
    blend, z, told = blended(np.log(where.grid.sigmas), np.log(sigma)), residual @ basis.vectors, basis.vectors.sum(axis=0)  # fmt: skip

    def total(each: Array) -> Array:
        return np.asarray((blend * each.reshape(-1, points, n).sum(axis=2)).sum(axis=1))

    unit = sigma[:, 0] ** 2 + error
    whole, by_shift, both = (
        total(v) / unit for v in (z * z * inverse, told * told * inverse, told * z * inverse)
    )
    square = whole - offset * both**2 / (1 + offset * by_shift)
    log_weights = blend @ np.log(where.weights).sum(axis=1)
    logs = total(-np.log(inverse)) - 2 * log_weights + n * np.log(unit)
    with np.errstate(invalid="ignore"):  # between points far apart a form may have no size
        return np.asarray(-0.5 * (square + logs + np.log1p(offset * by_shift)))


def _used(where: Places, j: int, size: Array, sigma: Array, residual: Array, offset: float) -> Array:
    """Return the log density of residuals at one length as the compiled density has it, sizes of shape (draws, 1)."""
    basis, points, n = where.bases[j], len(where.weights), residual.shape[1]
    variance = size**2 * basis.eigen + sigma**2 * basis.share + basis.rest
    z, told = residual @ basis.vectors, basis.vectors.sum(axis=0)
    parts = (z * z / variance, told * told / variance, told * z / variance, np.log(variance))
    whole, by_shift, both, log_det = (v.reshape(-1, points, n).sum(axis=2) for v in parts)
    square = whole - offset * both**2 / (1 + offset * by_shift)
    logs = log_det + np.log1p(offset * by_shift) - 2 * np.log(where.weights).sum(axis=1)
    return np.asarray((-0.5 * (square + logs) * blended(basis.log_sigmas, np.log(sigma))).sum(axis=1))
