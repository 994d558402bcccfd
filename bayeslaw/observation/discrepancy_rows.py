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
from bayeslaw.observation.discrepancy_bases import (
    discrepancy_of,
    discrepancy_scale,
    grid_of,
    lengths,
    places,
    places_of,
    usual_value,
)
from bayeslaw.observation.discrepancy_terms import density_terms, has_shifts
from bayeslaw.observation.kernels import kernel, variance
from bayeslaw.observation.shifts import log_t, outlying, shift_sizes, shift_terms

_TINY = 1e-12
_FINE = 8
"""Steps between two scales of the grid when one is drawn."""


@dataclass(frozen=True)
class _Ahead:
    """What draws of one length say of the discrepancy at new rows: its mean, and what its covariance is made of."""

    at: Array
    scale: Array
    centre: Array
    known: (
        tuple[Array, Array] | None
    )  # what seen rows take away: cross covariance and inverse variance by direction
    length: float


@dataclass(frozen=True)
class NewRows:
    """New rows around a curve with a discrepancy."""

    spec: Spec
    values: Draws

    def _lengths(self) -> Array:
        """Return the lengths that draws may have."""
        return lengths(self.spec)[0]

    def _by_length(self, draws: int) -> Iterator[tuple[int, Array, Array, Array]]:
        """Yield each length's place on the grid, the draws that have it, their scale and sigma."""
        grid = self._lengths()
        scale, sigma = discrepancy_scale(self.spec, self.values), self.values["sigma"]
        scale, sigma = (np.broadcast_to(v, (draws, 1)) for v in (scale, sigma))
        nearest = np.zeros(draws, dtype=int)
        if len(grid) > 1:
            at = np.broadcast_to(self.values["discrepancy_length"], (draws, 1))[:, 0]
            nearest = np.abs(np.log(at)[:, None] - np.log(grid)).argmin(axis=1)
        for j in np.unique(nearest):
            at = np.flatnonzero(nearest == j)
            yield int(j), at, scale[at], sigma[at]

    def _ahead(self, new_rows: Rows, draws: int) -> Iterator[_Ahead]:
        """Yield what is said of new rows, length by length."""
        grid = self._lengths()
        for j, at, scale, _ in self._by_length(draws):
            yield _Ahead(at, scale**2, np.zeros((len(at), len(new_rows))), None, grid[j])

    def predict(
        self, new_mean: Array, new_rows: Rows, rng: np.random.Generator, together: bool = False
    ) -> dict[str, Array]:
        """Draw the curve at new rows, and runs around it."""
        name, new = discrepancy_of(self.spec).kernel, places(self.spec, new_rows)
        curve = np.array(np.broadcast_to(new_mean, (_draws(self.values), len(new))))
        for part in self._ahead(new_rows, len(curve)):
            noise = rng.standard_normal((len(part.at), len(new)))
            if together:
                noise = _correlated(kernel(name, new, new, part.length), part, noise)
            else:
                spread = part.scale * variance(name, new)
                if part.known is not None:
                    cross, inverse = part.known
                    spread = spread - part.scale**2 * (inverse @ cross.T**2)
                noise = np.sqrt(np.maximum(spread, 0.0)) * noise
            curve[part.at] += part.centre + noise
        scatter = np.sqrt(self.values["sigma"] ** 2 + new_rows.error**2) * rng.standard_normal(curve.shape)
        return {"curve": curve, "run": curve + scatter}


@dataclass(frozen=True)
class GaussianProcessGivenRows(NewRows):
    """A curve that was seen at rows."""

    rows: Rows
    mean: Array

    def _lengths(self) -> Array:
        return grid_of(self.spec, self.rows).lengths

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
            by_length = np.log(np.exp(found - found.max(axis=(1, 2), keepdims=True)).sum(axis=2))
        index = _drawn(by_length, rng)
        out = {"discrepancy_length": grid.lengths[index]}
        scale = np.log(grid.scales)
        if len(scale) > 1:
            out["discrepancy_scale"] = np.exp(_drawn_between(scale, found[np.arange(len(index)), index], rng))
        out = {n: v for n, v in out.items() if n in self.spec.noise and self.spec.noise[n].fixed is None}
        return out | self._level(out, rng)

    def _level(self, drawn: Draws, rng: np.random.Generator) -> dict[str, Array]:
        """Draw the law's level, which is an offset of all rows, given length and scale."""
        level = offset(self.spec)
        if level is None:
            return {}
        given = {**self.values, **{n: v[:, None] for n, v in drawn.items()}}
        (mean, sd), shift = link_normal(level), np.empty(len(self.residual))
        for j, at, scale, sigma in replace(self, values=given)._by_length(len(shift)):
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
        for j, at, scale, sigma in self._by_length(len(residual)):
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
        for j, at, scale, sigma in self._by_length(len(residual)):
            inverse, vectors = where.bases[j].inverse(scale, sigma), where.bases[j].vectors
            K = kernel(kind, where.place, where.place, where.grid.lengths[j])
            out[at] += scale**2 * ((residual[at] @ vectors * inverse) @ (vectors.T @ K))
        return out

    def _ahead(self, new_rows: Rows, draws: int) -> Iterator[_Ahead]:
        name, new = discrepancy_of(self.spec).kernel, places(self.spec, new_rows)
        where = places_of(self.spec, self.rows)
        for j, at, scale, sigma in self._by_length(draws):
            basis, length = where.bases[j], where.grid.lengths[j]
            cross = kernel(name, new, where.place, length) @ basis.vectors
            inverse = basis.inverse(scale, sigma)
            centre = scale**2 * ((self.residual[at] @ basis.vectors * inverse) @ cross.T)
            yield _Ahead(at, scale**2, centre, (cross, inverse), length)

    def density(self, new_mean: Array, new_rows: Rows, rng: np.random.Generator) -> tuple[Array, Array]:
        """Return the log density of new rows given the seen ones."""
        name, new = discrepancy_of(self.spec).kernel, places(self.spec, new_rows)
        draws = _draws(self.values)
        own = np.array(np.broadcast_to(new_rows.y - new_mean, (draws, len(new))))
        spread = np.broadcast_to(self.values["sigma"] ** 2 + new_rows.error**2, own.shape).copy()
        apart, joint = np.empty_like(own), np.empty(draws)
        for part in self._ahead(new_rows, draws):
            at, scale = part.at, part.scale[:, :, None]
            own[at] -= part.centre
            covariance = scale * kernel(name, new, new, part.length)
            if part.known is not None:
                cross, inverse = part.known
                told = np.einsum("ij,dj,kj->dik", cross, inverse, cross, optimize=True)
                covariance = covariance - scale**2 * told
            apart[at] = np.maximum(np.diagonal(covariance, axis1=1, axis2=2), 0.0) + spread[at]
            joint[at] = _log_normal_together(own[at], covariance, spread[at])
        log_slope = new_rows.log_slope
        return joint + np.sum(log_slope), log_normal(own, apart) + log_slope


def _draws(values: Draws) -> int:
    return len(values["discrepancy_scale"]) if np.ndim(values["discrepancy_scale"]) else len(values["sigma"])


def _correlated(prior: Array, part: _Ahead, noise: Array) -> Array:
    """Turn independent normals into draws of the discrepancy at all new rows together."""
    out = np.empty_like(noise)
    for i, white in enumerate(noise):
        covariance = part.scale[i] * prior
        if part.known is not None:
            cross, inverse = part.known
            covariance = covariance - part.scale[i] ** 2 * (cross * inverse[i]) @ cross.T
        eigen, vectors = np.linalg.eigh(covariance)
        out[i] = vectors @ (np.sqrt(np.maximum(eigen, 0.0)) * white)
    return out


def _drawn(log_weights: Array, rng: np.random.Generator) -> Array:
    """Draw one place for each row of log weights."""
    chance = np.exp(log_weights - log_weights.max(axis=1, keepdims=True)).cumsum(axis=1)
    return (chance < chance[:, -1:] * rng.random((len(chance), 1))).sum(axis=1)


def _drawn_between(grid: Array, log_density: Array, rng: np.random.Generator) -> Array:
    """Draw from a smooth log density known on an even grid, one draw for each row: between its points too."""
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
