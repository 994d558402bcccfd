"""Which part of the grid of lengths, scales and run noise some draws leave, and how far its density is from the exact one."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import solve_triangular

from bayeslaw.law.spec import Spec
from bayeslaw.law.types import Array
from bayeslaw.observation import discrepancy_grad
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
from bayeslaw.observation.discrepancy_terms import FEW, TERMS, density_terms, offset_variance
from bayeslaw.observation.kernels import kernel

NEGLIGIBLE = 1e-6
"""Lengths and scales less likely than this to all draws are left out, but for one on each side."""
_TAIL = 0.002
_POINTS = (1, 3, 5, 9, 13)
_OUTSIDE = 0.01
"""Share of run noise that residuals may have outside the few directions along which they move."""
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
        """Return at most so many of the draws, spread over all."""
        at = np.unique(np.linspace(0, len(self.sigma) - 1, most).astype(int))
        return Seen(self.residual[at], self.sigma[at])


def chances(spec: Spec, rows: Rows, seen: Seen) -> Array:
    """Return how likely each length and scale of the rows' grid is to each draw, shape (draws, lengths, scales)."""
    terms = density_terms(spec, rows)
    data = [np.asarray(terms[n]) for n in TERMS]
    tables = np.stack([
        discrepancy_grad.table(r, np.asarray(s), *data) for r, s in zip(seen.residual, seen.sigma, strict=True)
    ])  # fmt: skip
    each = np.exp(tables - tables.max(axis=(1, 2), keepdims=True))
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
        return json.dumps({**spans, "sigmas": grid_of(spec, rows).sigmas.tolist()})
    logs = np.log(seen.sigma)
    ends = tuple(np.quantile(logs, [_TAIL, 1 - _TAIL]))
    few = seen.some(6)
    for points in _POINTS:
        if points > 1 and ends[1] - ends[0] < 1e-9:
            break
        at = np.linspace(-1, 1, points) if points > 1 else np.zeros(1)
        sigmas = np.exp(np.mean(ends) + wider * (ends[1] - ends[0]) / 2 * at)
        text = json.dumps({**spans, "sigmas": sigmas.tolist()})
        if np.abs(misses(spec, with_grid(rows, text), few)).max() < _CLOSE:
            break
    return text


def is_exact(spec: Spec, rows: Rows) -> bool:
    """Return whether the density at one run noise of the grid is exact at all others."""
    if FEW in rows.columns:  # forms times run noise's square: they do not change where all is in its unit
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
    columns = {n: v for n, v in rows.columns.items() if n != FEW}
    if few <= len(rows) / 2 and few < len(seen.sigma) / 2:
        columns[FEW] = np.ascontiguousarray(directions[:few].T)
    return replace(rows, columns=columns)


def edge(spec: Spec, rows: Rows, seen: Seen) -> float:
    """Return how likely, on average, are the outermost lengths and scales kept, where the whole grid goes on."""
    likely, grid = chances(spec, rows, seen).mean(axis=0), grid_of(spec, rows)
    found = [0.0]
    for axis, whole, own in ((1, lengths(spec)[0], grid.lengths), (0, scales(spec)[0], grid.scales)):
        mass = likely.sum(axis=axis)
        found += [mass[i] for i in (0, -1) if own[i] != whole[i]]
    return float(max(found))


def misses(spec: Spec, rows: Rows, seen: Seen) -> Array:
    """Return how far the density used is from the exact one, at each draw's likeliest length and scale.

    Parameters
    ----------
    spec : Spec
    rows : Rows
    seen : Seen

    Returns
    -------
    numpy.ndarray, shape (draws,)
        Used minus exact, in nats; one Cholesky decomposition for each draw.
    """
    where = places_of(spec, rows)
    grid, likely = where.grid, chances(spec, rows, seen)
    at = likely.reshape(len(likely), -1).argmax(axis=1)
    length, scale = np.unravel_index(at, likely.shape[1:])
    unit = seen.sigma if discrepancy_of(spec).relative else np.ones_like(seen.sigma)
    few = rows.columns.get(FEW)
    used = seen.residual if few is None else seen.residual @ few @ few.T
    offset, kind, out = offset_variance(spec), discrepancy_of(spec).kernel, np.empty(len(at))
    for j in np.unique(length):
        K = kernel(kind, where.place, where.place, grid.lengths[j])
        for i in np.flatnonzero(length == j):
            size, noise = grid.scales[scale[i]] * unit[i], seen.sigma[i] ** 2 + rows.error**2
            factor = np.linalg.cholesky(size**2 * K + np.diag(noise) + offset)
            white = solve_triangular(factor, seen.residual[i], lower=True)
            exact = -0.5 * (white @ white) - np.log(np.diag(factor)).sum()
            if few is None:
                out[i] = _used(where, j, size, seen.sigma[i], used[i], offset) - exact
            else:
                sizes = grid.scales[scale[i]] * (
                    grid.sigmas if discrepancy_of(spec).relative else np.ones_like(grid.sigmas)
                )
                out[i] = _used_forms(where, j, sizes, seen.sigma[i], used[i], offset) - exact
    return out


def _used_forms(where: Places, j: int, sizes: Array, sigma: float, residual: Array, offset: float) -> float:
    """Return the same as the forms of few directions have it: times run noise's square, blended."""
    basis, points, n = where.bases[j], len(where.weights), len(residual)
    noise = where.grid.sigmas**2
    inverse = np.repeat(noise, n) / (np.repeat(sizes**2, n) * basis.eigen + np.repeat(noise, n))
    z, told = residual @ basis.vectors, basis.vectors.sum(axis=0)
    parts = [v.reshape(points, n).sum(axis=1) for v in (z * z * inverse, told * told * inverse, told * z * inverse, -np.log(inverse))]  # fmt: skip
    blend = blended(np.log(where.grid.sigmas), np.log(np.array([[sigma]])))[0]
    whole, by_shift, both = (blend @ p / sigma**2 for p in parts[:3])
    square = whole - offset * both**2 / (1 + offset * by_shift)
    logs = blend @ (parts[3] - 2 * np.log(where.weights).sum(axis=1)) + 2 * n * np.log(sigma)
    return float(-0.5 * (square + logs + np.log1p(offset * by_shift)))


def _used(where: Places, j: int, size: float, sigma: float, residual: Array, offset: float) -> float:
    """Return the log density of residuals at one length and scale as the compiled density has it."""
    basis, points, n = where.bases[j], len(where.weights), len(residual)
    variance = size**2 * basis.eigen + sigma**2 * basis.share + basis.rest
    blend = basis.inverse(np.array([[size]]), np.array([[sigma]]))[0] * variance
    z, told = residual @ basis.vectors, basis.vectors.sum(axis=0)
    parts = [v.reshape(points, n).sum(axis=1) for v in (z * z / variance, told * told / variance, told * z / variance, np.log(variance))]  # fmt: skip
    whole, by_shift, both, log_det = parts
    square = whole - offset * both**2 / (1 + offset * by_shift)
    logs = log_det + np.log1p(offset * by_shift) - 2 * np.log(where.weights).sum(axis=1)
    return float(-0.5 * (square + logs) @ blend.reshape(points, n)[:, 0])
