"""Which part of the grid of shapes, scales and run noise some draws leave, and how far its density is from the exact one."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.linalg import solve_triangular

from bayeslaw.law.spec import Spec
from bayeslaw.law.types import Array
from bayeslaw.observation.base import Rows
from bayeslaw.observation.discrepancy_bases import Places, blended, places_of
from bayeslaw.observation.discrepancy_grad import WALL
from bayeslaw.observation.discrepancy_places import covariance
from bayeslaw.observation.discrepancy_shapes import (
    COARSE,
    GRID,
    Grid,
    axes,
    grid_of,
    many_axes,
    scales,
    settled_grid,
)
from bayeslaw.observation.discrepancy_sizes import discrepancy_of
from bayeslaw.observation.discrepancy_tables import tables
from bayeslaw.observation.discrepancy_terms import (
    CENTRE,
    FEW,
    density_terms,
    few_directions,
    offset_variance,
    without_few,
)

NEGLIGIBLE, _NEGLIGIBLE_OF_MANY = 1e-6, 3e-5
"""Lengths and scales less likely than this to all draws are left out, but for one on each side; of grids with more axes,
whose nodes are many and each less likely, more. What is left out is seen (`edge`)."""
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
    """Return how likely each shape and scale of the rows' grid is to each draw, shape (draws, shapes, scales)."""
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
        For the data's attribute `discrepancy_shapes.GRID`.
    """
    if is_exact(spec, rows):
        return json.dumps(
            {"shapes": _left(spec, rows, seen.some(100)), "sigmas": [float(np.median(seen.sigma))]}
        )
    logs = np.log(seen.sigma)
    ends = np.quantile(logs, [_TAIL, 1 - _TAIL])
    # Away from its run noise a decomposition says too little of what is likely.
    around = {"shapes": settled_grid(rows)[0], "sigmas": np.exp(np.linspace(ends[0], ends[1], 5)).tolist()}
    spans = {"shapes": _left(spec, with_grid(rows, json.dumps(around)), seen.some(100))}
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


def _left(spec: Spec, rows: Rows, seen: Seen) -> list[list[int]]:
    """Return the shapes, and the scales of each, that draws leave; drifts in fine steps, by two passes if need be."""
    box = _box(spec, rows, chances(spec, rows, seen))
    if not is_coarse(spec, rows):
        return _spans(spec, _dilated(box))
    # What lies between coarse steps is as likely as they are.
    between = _spans(spec, _between(_dilated(box[:, ::COARSE])))
    fine = with_grid(rows, json.dumps({"shapes": between, "sigmas": grid_of(spec, rows).sigmas.tolist()}))
    return _spans(spec, _dilated(_box(spec, fine, chances(spec, fine, seen))))


def is_coarse(spec: Spec, rows: Rows) -> bool:
    """Return whether the rows' grid is the whole one, whose drifts are in coarse steps."""
    return settled_grid(rows)[0] is None and len(axes(spec)[1]) > 1


def _between(box: Array) -> Array:
    """Return a box of coarse drifts in fine steps: what lies next to a likely one is likely too."""
    out = np.zeros((box.shape[0], (box.shape[1] - 1) * COARSE + 1, *box.shape[2:]), dtype=bool)
    for step in range(-COARSE + 1, COARSE):
        at = np.arange(0, out.shape[1], COARSE) + step
        inside = (at >= 0) & (at < out.shape[1])
        out[:, at[inside]] |= box[:, inside]
    return out


def _box(spec: Spec, rows: Rows, likely: Array) -> Array:
    """Return which shapes and scales are likely to some draw, along the axes of shapes and of scales."""
    grid = grid_of(spec, rows)
    # Between points of run noise far apart some draw may have no chances.
    known = likely[~np.isnan(likely).any(axis=(1, 2))]
    least = _NEGLIGIBLE_OF_MANY if many_axes(spec) else NEGLIGIBLE
    found = known.max(axis=0) >= least if len(known) else np.isfinite(grid.log_nodes)
    box = np.zeros((*map(len, axes(spec)), len(scales(spec)[0])), dtype=bool)
    box[_where(spec, grid)] = found
    return box


def _where(spec: Spec, grid: Grid) -> Any:
    """Return the place of a grid's shapes and scales among all, as an index."""
    first = int(np.flatnonzero(scales(spec)[0] == grid.scales[0])[0])
    places = (grid.index[:, i] - along.start for i, along in enumerate(axes(spec)))
    return (*places, slice(first, first + len(grid.scales)))


def _dilated(box: Array) -> Array:
    """Return a box with one more neighbour on each side, along each axis."""
    out = box.copy()
    for axis in range(box.ndim):
        here, ahead = np.moveaxis(out, axis, 0), np.moveaxis(box, axis, 0)
        here[1:] |= ahead[:-1]
        here[:-1] |= ahead[1:]
    return out


def _spans(spec: Spec, box: Array) -> list[list[int]]:
    """Return each shape that has any scale: its places along the axes, its first scale and one past the last."""
    found = []
    for place in zip(*np.nonzero(box.any(axis=-1)), strict=True):
        kept = np.flatnonzero(box[place])
        steps = (along[int(at)] for along, at in zip(axes(spec), place, strict=True))
        found.append([*steps, int(kept[0]), int(kept[-1]) + 1])
    return found


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
    """Return how likely, on average, are the outermost shapes and scales kept, where the whole grid goes on.

    Parameters
    ----------
    spec : Spec
    rows : Rows
    likely : numpy.ndarray
        Of `chances`.

    Returns
    -------
    float
        On one side of one axis, where it is most.
    """
    mean, grid = likely.mean(axis=0), grid_of(spec, rows)
    at, kept = _where(spec, grid), np.isfinite(grid.log_nodes)
    # One more on each side, taken as kept: beyond the whole grid there is nothing.
    box = np.zeros((*map(len, axes(spec)), len(scales(spec)[0])), dtype=bool)
    box[at] = kept
    whole, found = np.pad(box, 1, constant_values=True), [0.0]
    for axis in range(whole.ndim):
        for step in (-1, 1):
            next_one = np.roll(whole, step, axis=axis)[(slice(1, -1),) * whole.ndim][at]
            found.append(float(mean[kept & ~next_one].sum()))
    return max(found)


def misses(spec: Spec, rows: Rows, seen: Seen, likely: Array) -> Array:
    """Return how far the density used is from the exact one, at each draw's likeliest shape and scale.

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
    shape, scale = np.unravel_index(likely.reshape(len(likely), -1).argmax(axis=1), likely.shape[1:])
    used = seen.residual if few is None else seen.residual @ few @ few.T
    offset, relative, out = offset_variance(spec), discrepancy_of(spec).relative, np.empty(len(shape))
    kind, size = discrepancy_of(spec).kernel, where.grid.scales[scale] * (seen.sigma if relative else 1.0)
    for j in np.unique(shape):
        K = covariance(kind, where.place, where.place, where.grid.shapes[j])
        of_shape = np.flatnonzero(shape == j)
        for i in of_shape:
            noise = seen.sigma[i] ** 2 + rows.error**2
            out[i] = -_exact(size[i] ** 2 * K + np.diag(noise), seen.residual[i], offset)
        for at in np.array_split(of_shape, -(-len(of_shape) // _TOGETHER)):
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
    _, told = settled_grid(rows)
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
    """Return the log density of residuals in one shape as the compiled density has it, sizes of shape (draws, 1)."""
    basis, points, n = where.bases[j], len(where.weights), residual.shape[1]
    variance = size**2 * basis.eigen + sigma**2 * basis.share + basis.rest
    z, told = residual @ basis.vectors, basis.vectors.sum(axis=0)
    parts = (z * z / variance, told * told / variance, told * z / variance, np.log(variance))
    whole, by_shift, both, log_det = (v.reshape(-1, points, n).sum(axis=2) for v in parts)
    square = whole - offset * both**2 / (1 + offset * by_shift)
    logs = log_det + np.log1p(offset * by_shift) - 2 * np.log(where.weights).sum(axis=1)
    return np.asarray((-0.5 * (square + logs) * blended(basis.log_sigmas, np.log(sigma))).sum(axis=1))
