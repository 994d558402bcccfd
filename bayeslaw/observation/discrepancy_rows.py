"""Rows around a curve with a discrepancy: what seen ones say of the curve, of each other and of new ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from bayeslaw.law.offset import offset
from bayeslaw.law.priors import from_link, link_normal
from bayeslaw.law.spec import Spec
from bayeslaw.law.types import Array
from bayeslaw.observation.base import NUMPY, Draws, Rows, log_normal
from bayeslaw.observation.discrepancy_bases import places_of
from bayeslaw.observation.discrepancy_places import (
    Points,
    Shape,
    covariance,
    numbered,
    own_variance,
    points_of,
)
from bayeslaw.observation.discrepancy_shapes import grid_of, lengths, shares
from bayeslaw.observation.discrepancy_sizes import (
    OWN,
    RUN,
    SLOPE,
    discrepancy_of,
    discrepancy_scale,
    usual_value,
)
from bayeslaw.observation.discrepancy_terms import density_terms, has_shifts
from bayeslaw.observation.shifts import log_t, outlying, shift_sizes, shift_terms

_TINY = 1e-12
_FINE = 8
"""Steps between two scales of the grid when one is drawn."""


@dataclass(frozen=True)
class _Ahead:
    """What draws of one length say of the discrepancy at new rows: its mean, and what its covariance is made of."""

    at: Array
    scale: Array  # of its variance
    shapes: list[Shape]  # one for all draws, or each draw's own
    centre: Array
    known: (
        tuple[Array, Array] | None
    )  # what seen rows take away: cross covariance and inverse variance by direction

    def variance(self, kind: str, new: Points) -> Array:
        """Return each draw's variance of new rows, shape (draws, rows)."""
        spread = self.scale * np.stack([own_variance(kind, new, shape) for shape in self.shapes])
        if self.known is not None:
            cross, inverse = self.known
            spread = spread - self.scale**2 * (inverse @ cross.T**2)
        return np.asarray(np.maximum(spread, 0.0))

    def covariance(self, kind: str, new: Points) -> Array:
        """Return each draw's covariance of new rows, shape (draws, rows, rows)."""
        prior = np.stack([covariance(kind, new, new, shape) for shape in self.shapes])
        out = self.scale[:, :, None] * prior
        if self.known is None:
            return np.asarray(out)
        cross, inverse = self.known
        told = np.einsum("ij,dj,kj->dik", cross, inverse, cross, optimize=True)
        return np.asarray(out - self.scale[:, :, None] ** 2 * told)


@dataclass(frozen=True)
class NewRows:
    """New rows around a curve with a discrepancy."""

    spec: Spec
    values: Draws

    def _sizes(self, draws: int) -> tuple[Array, ...]:
        """Return each draw's scale and sigma, drift, groups' share and runs' size in units of the scale; each (draws, 1)."""
        scale, sigma, none = discrepancy_scale(self.spec, self.values), self.values["sigma"], np.zeros((1, 1))
        slope, own, run = (self.values[n] if n in self.spec.noise else none for n in (SLOPE, OWN, RUN))
        sizes = scale, sigma, slope / scale, own, run * sigma / scale
        return tuple(np.broadcast_to(v, (draws, 1)) for v in sizes)

    def _points(self, new: Rows) -> Points:
        return points_of(self.spec, new)

    def _unseen(self, new: Rows) -> Array:
        """Return the number of each row's run among those that were not seen, −1 where it was."""
        return np.full(len(new), -1)

    def _ahead(self, new_rows: Rows, draws: int) -> Iterator[_Ahead]:
        """Yield what is said of new rows, length by length."""
        (grid, _), (scale, _, drift, own, run) = lengths(self.spec), self._sizes(draws)
        sizes = np.concatenate([drift, own, run], axis=1).tolist()
        for j, at in _nearest([_logs(self.values, "discrepancy_length", draws)], [np.log(grid)]):
            shapes = [Shape(float(grid[j]), *sizes[i]) for i in at]
            yield _Ahead(at, scale[at] ** 2, shapes, np.zeros((len(at), len(new_rows))), None)

    def _run_size(self) -> Array:
        """Return the size of the error that rows of a run share, shape (draws or 1, 1)."""
        return self.values[RUN] * self.values["sigma"] if RUN in self.spec.noise else np.zeros((1, 1))

    def _run_errors(self, new_rows: Rows, draws: int, rng: np.random.Generator) -> Array | float:
        """Draw the errors that rows of new runs share, shape (draws, rows)."""
        unseen = self._unseen(new_rows)
        if RUN not in self.spec.noise or (unseen < 0).all():
            return 0.0
        each = rng.standard_normal((draws, unseen.max() + 1))
        return np.where(unseen < 0, 0.0, self._run_size() * each[:, unseen])

    def predict(
        self, new_mean: Array, new_rows: Rows, rng: np.random.Generator, together: bool = False
    ) -> dict[str, Array]:
        """Draw the curve at new rows, and runs around it."""
        name, new = discrepancy_of(self.spec).kernel, self._points(new_rows)
        curve = np.array(np.broadcast_to(new_mean, (_draws(self.values), len(new_rows))))
        for part in self._ahead(new_rows, len(curve)):
            noise = rng.standard_normal((len(part.at), len(new_rows)))
            if together:
                noise = _correlated(part.covariance(name, new), noise)
            else:
                noise = np.sqrt(part.variance(name, new)) * noise
            curve[part.at] += part.centre + noise
        shared = self._run_errors(new_rows, len(curve), rng)
        scatter = np.sqrt(self.values["sigma"] ** 2 + new_rows.error**2) * rng.standard_normal(curve.shape)
        return {"curve": curve, "run": curve + shared + scatter}


@dataclass(frozen=True)
class GaussianProcessGivenRows(NewRows):
    """A curve that was seen at rows."""

    rows: Rows
    mean: Array

    def _by_shape(self, draws: int) -> Iterator[tuple[int, Array, Array, Array]]:
        """Yield each shape's place on the grid, the draws that have it, their scale and sigma."""
        shapes, (scale, sigma, drift, own, run) = grid_of(self.spec, self.rows).shapes, self._sizes(draws)
        length, drifts, shares, runs = (np.array(sizes) for sizes in zip(*shapes, strict=True))
        known = [(_logs(self.values, "discrepancy_length", draws), np.log(length))]
        if SLOPE in self.spec.noise:
            known.append((np.log(drift[:, 0]), np.log(drifts)))
        if OWN in self.spec.noise:
            known.append((own[:, 0], shares))
        if RUN in self.spec.noise:
            known.append((np.log(run[:, 0]), np.log(runs)))
        for j, at in _nearest(*zip(*known, strict=True)):
            yield j, at, scale[at], sigma[at]

    def _points(self, new: Rows) -> Points:
        return points_of(self.spec, new, self.rows)

    def _unseen(self, new: Rows) -> Array:
        runs = discrepancy_of(self.spec).runs
        if runs is None or runs not in new.columns:  # each row is a run of its own
            return np.arange(len(new))
        number = numbered(runs, new, self.rows)
        return np.where(number < 0, -1 - number, -1).astype(int)

    @cached_property
    def residual(self) -> Array:
        """Data minus law, shifts taken away; shape (draws, rows)."""
        residual = self.rows.y - self.mean
        if has_shifts(self.spec):
            terms = shift_terms(self.rows, usual_value(self.spec, "sigma"))
            residual = residual - shift_sizes(self.values, terms) @ terms["shift_row"].T
        return residual

    def complete(self, rng: np.random.Generator) -> dict[str, Array]:
        """Draw the length and the scale that the joint density marginalised, then the law's level where it did."""
        from bayeslaw.observation.discrepancy_tables import (
            tables,  # compiled: who only forecasts needs no compiler
        )

        residual, grid = self.residual, grid_of(self.spec, self.rows)
        sigma = np.broadcast_to(self.values["sigma"], (len(residual), 1))[:, 0]
        found = tables(density_terms(self.spec, self.rows), residual, sigma)
        with np.errstate(divide="ignore"):
            by_shape = np.log(np.exp(found - found.max(axis=(1, 2), keepdims=True)).sum(axis=2))
        index, scale = _drawn(by_shape, rng), np.empty(len(residual))
        for j in np.unique(index):
            at, kept = np.flatnonzero(index == j), np.isfinite(grid.log_nodes[j])
            scale[at] = np.exp(_drawn_between(np.log(grid.scales[kept]), found[at, j][:, kept], rng))
        unit = sigma if discrepancy_of(self.spec).relative else 1.0
        length, drift, own, run = np.array(grid.shapes)[index].T
        if OWN in self.spec.noise:  # a share stands for all between it and its neighbours
            own = own + (rng.random(len(own)) - 0.5) / len(shares())
        out = {
            "discrepancy_length": length,
            "discrepancy_scale": scale,
            SLOPE: drift * scale * unit,
            OWN: own,
            RUN: run * scale,
        }
        out = {n: v for n, v in out.items() if n in self.spec.noise and self.spec.noise[n].fixed is None}
        return out | self._level(out, rng)

    def _level(self, drawn: Draws, rng: np.random.Generator) -> dict[str, Array]:
        """Draw the law's level, which is an offset of all rows, given length and scale."""
        level = offset(self.spec)
        if level is None:
            return {}
        given = {**self.values, **{n: v[:, None] for n, v in drawn.items()}}
        (mean, sd), shift = link_normal(level), np.empty(len(self.residual))
        for j, at, scale, sigma in replace(self, values=given)._by_shape(len(shift)):
            basis = places_of(self.spec, self.rows).bases[j]
            inverse, told = basis.inverse(scale, sigma), basis.vectors.sum(axis=0)
            variance = 1 / (1 / sd**2 + inverse @ told**2)
            centre = variance * ((self.residual[at] @ basis.vectors) * told * inverse).sum(axis=1)
            shift[at] = centre + np.sqrt(variance) * rng.standard_normal(len(at))
        return {level.name: from_link(level, mean + shift)}

    def left_out(self) -> tuple[Array, Array]:
        """Return mean and variance of each row given all others."""
        where = places_of(self.spec, self.rows)
        residual, bases = self.residual, where.bases
        centre, spread = np.empty_like(residual), np.empty_like(residual)
        for j, at, scale, sigma in self._by_shape(len(residual)):
            inverse, vectors = bases[j].inverse(scale, sigma), bases[j].vectors
            precision = inverse @ vectors.T**2
            z = (residual[at] @ vectors * inverse) @ vectors.T
            spread[at], centre[at] = 1 / precision, residual[at] - z / precision
        return self.mean + centre, spread

    def leave_one_out(self) -> Array:
        """Return each row's density given all others; an outlying row has a shift's tails."""
        centre, spread = self.left_out()
        own = self.rows.y - centre
        density = log_normal(own, spread)
        if has_shifts(self.spec):  # left out, an outlying row's shift is unknown: its tails are a shift's
            at, size = (
                outlying(self.rows),
                np.reshape(self.values["sigma"] * self.values["shift_scale"], (-1, 1)),
            )
            wide = np.sqrt(size**2 + spread[:, at])
            density[:, at] = log_t(own[:, at] / wide, NUMPY) - np.log(wide)
        return density + self.rows.log_slope

    def fitted(self) -> Array:
        """Return the curve at the rows."""
        where = places_of(self.spec, self.rows)
        residual, kind = self.residual, discrepancy_of(self.spec).kernel
        out = np.array(np.broadcast_to(self.mean, residual.shape))
        for j, at, scale, sigma in self._by_shape(len(residual)):
            inverse, vectors = where.bases[j].inverse(scale, sigma), where.bases[j].vectors
            K = covariance(kind, where.place, where.place, where.grid.shapes[j])
            out[at] += scale**2 * ((residual[at] @ vectors * inverse) @ (vectors.T @ K))
        return out

    def _ahead(self, new_rows: Rows, draws: int) -> Iterator[_Ahead]:
        name, new = discrepancy_of(self.spec).kernel, self._points(new_rows)
        where = places_of(self.spec, self.rows)
        for j, at, scale, sigma in self._by_shape(draws):
            basis, shape = where.bases[j], where.grid.shapes[j]
            cross = covariance(name, new, where.place, shape) @ basis.vectors
            inverse = basis.inverse(scale, sigma)
            centre = scale**2 * ((self.residual[at] @ basis.vectors * inverse) @ cross.T)
            yield _Ahead(at, scale**2, [shape], centre, (cross, inverse))

    def density(self, new_mean: Array, new_rows: Rows, rng: np.random.Generator) -> tuple[Array, Array]:
        """Return the log density of new rows given the seen ones."""
        name, new, draws = discrepancy_of(self.spec).kernel, self._points(new_rows), _draws(self.values)
        own = np.array(np.broadcast_to(new_rows.y - new_mean, (draws, len(new_rows))))
        spread = np.broadcast_to(self.values["sigma"] ** 2 + new_rows.error**2, own.shape)
        apart, joint, unseen = np.empty_like(own), np.empty(draws), self._unseen(new_rows)
        shared = (unseen[:, None] == unseen) & (unseen >= 0)
        size = np.broadcast_to(self._run_size(), (draws, 1))
        for part in self._ahead(new_rows, draws):
            at = part.at
            own[at] -= part.centre
            ahead = part.covariance(name, new) + size[at, :, None] ** 2 * shared
            apart[at] = np.maximum(np.diagonal(ahead, axis1=1, axis2=2), 0.0) + spread[at]
            joint[at] = _log_normal_together(own[at], ahead, spread[at])
        log_slope = new_rows.log_slope
        return joint + np.sum(log_slope), log_normal(own, apart) + log_slope


def _draws(values: Draws) -> int:
    return len(values["discrepancy_scale"]) if np.ndim(values["discrepancy_scale"]) else len(values["sigma"])


def _logs(values: Draws, name: str, draws: int) -> Array:
    """Return the logarithms of a parameter, one for each draw; zeros where there is none."""
    return np.log(np.broadcast_to(values.get(name, np.ones((1, 1))), (draws, 1))[:, 0])


def _nearest(own: list[Array], of: list[Array]) -> Iterator[tuple[int, Array]]:
    """Yield places among some points, and the draws that are nearest to each."""
    apart = sum(np.abs(a[:, None] - b) for a, b in zip(own, of, strict=True))
    nearest = np.argmin(apart, axis=1)
    for j in np.unique(nearest):
        yield int(j), np.flatnonzero(nearest == j)


def _correlated(covariances: Array, noise: Array) -> Array:
    """Turn independent normals into draws of the discrepancy at all new rows together."""
    out = np.empty_like(noise)
    for i, one in enumerate(covariances):
        eigen, vectors = np.linalg.eigh(one)
        out[i] = vectors @ (np.sqrt(np.maximum(eigen, 0.0)) * noise[i])
    return out


def _drawn(log_weights: Array, rng: np.random.Generator) -> Array:
    """Draw one place for each row of log weights."""
    chance = np.exp(log_weights - log_weights.max(axis=1, keepdims=True)).cumsum(axis=1)
    return (chance < chance[:, -1:] * rng.random((len(chance), 1))).sum(axis=1)


def _drawn_between(grid: Array, log_density: Array, rng: np.random.Generator) -> Array:
    """Draw from a smooth log density known on an even grid, one draw for each row: between its points too."""
    if len(grid) == 1:
        return np.repeat(grid, len(log_density))
    from scipy.interpolate import CubicSpline  # loads much of SciPy, for what only a new fit needs

    fine = np.linspace(grid[0], grid[-1], _FINE * (len(grid) - 1) + 1)
    smooth = CubicSpline(grid, log_density, axis=1)(fine)
    step = fine[1] - fine[0]
    return fine[_drawn(smooth, rng)] + step * (rng.random(len(smooth)) - 0.5)


def _log_normal_together(own: Array, covariance: Array, noise: Array) -> Array:
    """Return the log density of each draw's residuals under a normal with full covariance; shape (draws,)."""
    n = own.shape[1]
    total = covariance + np.eye(n) * (noise + _TINY)[:, :, None]
    factor = np.linalg.cholesky(total)
    white = np.linalg.solve(factor, own[:, :, None])[:, :, 0]
    log_det = np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1)
    return -0.5 * (white**2).sum(axis=1) - log_det - n / 2 * np.log(2 * np.pi)
