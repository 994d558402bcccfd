"""A discrepancy that wanders around the law, beside run noise and sampling error: a Gaussian process.

The covariance of the rows is scale² K(length) + sigma² I + diag(error²). K is decomposed once for each
length on a grid, and length and scale are summed out, so that a gradient costs a matrix-vector product and
its transpose. What NUTS would have to walk is a funnel: the larger the scale, the wider the law's own
parameters. Summed out, that is a smooth heavy-tailed posterior of the law's parameters. Rows with known sampling errors are weighted first, which makes the noise nearly a multiple
of the identity: V_j = scale² d_j + sigma² a_j + (1 − a_j) v, where a_j is the share of run noise in
direction j. That is exact where the errors are equal, and where sigma² = v (a middle value of the
prior); in between it neglects how directions mix, a second-order term.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.interpolate import CubicSpline

from bayeslaw.law.spec import Spec
from bayeslaw.observation import discrepancy_grad
from bayeslaw.observation.base import NUMPY, Array, Rows, Values, log_normal
from bayeslaw.observation.discrepancy_bases import (
    discrepancy_scale,
    lengths,
    places,
    places_of,
    scales,
    usual_value,
    usual_wandering,
    wandering,
)
from bayeslaw.observation.kernels import kernel, variance
from bayeslaw.observation.shifts import SHIFT, log_t, outlying, shift_density, shift_sizes, shift_terms, slots

_CUT = 3e-3
"""Eigenvalues below it (of K, whose diagonal is near 1) are replaced by their mean."""
_TINY = 1e-12
_FINE = 8
"""Steps between two scales of the grid when one is drawn."""
_TERMS = (
    "weight", "basis", "eigen", "share", "rest", "first", "left_eigen", "left_share", "left_rest", "left_count",
    "log_lengths", "scale_square", "relative", "log_scales",
)  # fmt: skip
"""What the compiled density takes, in its order."""


def observe(spec: Spec) -> Wandering:
    """Return the observation model of a law with a discrepancy over its inputs.

    Parameters
    ----------
    spec : Spec
        Resolved, with a ``[discrepancy]`` of kernel matern32, matern52 or brownian.

    Returns
    -------
    Wandering
    """
    return Wandering(spec)


@dataclass(frozen=True)
class Wandering:
    """Rows around a curve that wanders from the law, over the law's inputs."""

    spec: Spec

    @property
    def robust(self) -> bool:
        """Whether outlying rows have shifts of their own."""
        return "shift_scale" in self.spec.noise

    def latents(self, rows: Rows) -> dict[str, int]:
        """Return the size of the shifts' scores."""
        return {SHIFT: slots(rows)} if self.robust else {}

    def scatter(self, rows: Rows) -> Array | None:
        """Return a usual wandering's covariance, with noise and known errors."""
        noise = 1 + (rows.error / usual_value(self.spec, "sigma")) ** 2
        return usual_wandering(self.spec, rows) + np.diag(noise)

    def prepare(self, rows: Rows) -> dict[str, Array]:
        """Stack the bases of all lengths, small eigenvalues left out."""
        where = places_of(self.spec, rows)
        bases, n = where.bases, len(rows)
        kept = [b.eigen > _CUT for b in bases]

        def mean_of_rest(values: str) -> Array:
            parts = [getattr(b, values)[~k] for b, k in zip(bases, kept, strict=True)]
            return np.array([p.mean() if len(p) else 1.0 for p in parts])

        def stack(values: str) -> Array:
            return np.concatenate([getattr(b, values)[k] for b, k in zip(bases, kept, strict=True)])

        vectors = np.concatenate([b.vectors[:, k].T for b, k in zip(bases, kept, strict=True)])
        parts = ("eigen", "share", "rest")
        grid, log_scales = scales(self.spec)
        return {
            "observed": np.asarray(rows.y, dtype=float), "weight": where.weight,
            "log_lengths": where.log_lengths, "log_scales": log_scales, "scale_square": grid**2,
            "relative": np.float64(wandering(self.spec).relative),
            "basis": np.ascontiguousarray(vectors),
            **{part: stack(part) for part in parts},
            "first": np.concatenate([[0], np.cumsum([k.sum() for k in kept])]).astype(np.int64),
            **{f"left_{part}": mean_of_rest(part) for part in parts},
            "left_count": np.array([float(n - k.sum()) for k in kept]),
            "constant": np.float64(
                np.sum(rows.log_slope) + np.log(where.weight).sum() - n / 2 * np.log(2 * np.pi)
            ),
            **(shift_terms(rows, usual_value(self.spec, "sigma")) if self.robust else {}),
        }  # fmt: skip

    def joint(self, mean: Any, values: Values, terms: Mapping[str, Any], ops: Any) -> Any:
        """Return the log density, length and scale marginalised."""
        residual, more = terms["observed"] - mean, terms["constant"]
        if self.robust:
            residual = residual - (terms["shift_row"] * shift_sizes(values, terms)).sum(axis=1)
            more = more + shift_density(values, terms, ops)
        return ops.sloped("covariance", residual, values["sigma"], *(terms[n] for n in _TERMS)) + more

    def unconditioned(self, values: Values) -> NewRows:
        """Return what a curve does that was not seen."""
        return NewRows(self.spec, values)

    def condition(self, rows: Rows, mean: Array, values: Values) -> WanderingGivenRows:
        """Return what seen rows say of the curve."""
        return WanderingGivenRows(self.spec, values, self, rows, mean)


@dataclass(frozen=True)
class _Ahead:
    """What draws of one length say of the discrepancy at new rows: its mean, and what its covariance is made of."""

    at: Array
    scale: Array
    centre: Array
    cross: Array | None
    inverse: Array | None
    length: float


@dataclass(frozen=True)
class NewRows:
    """New rows around a curve that wanders."""

    spec: Spec
    values: Values

    def _by_length(self, draws: int) -> Iterator[tuple[int, Array, Array, Array]]:
        """Yield each length's place on the grid, the draws that have it, their scale and sigma."""
        grid, _ = lengths(self.spec)
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
        grid, _ = lengths(self.spec)
        for j, at, scale, _ in self._by_length(draws):
            yield _Ahead(at, scale**2, np.zeros((len(at), len(new_rows))), None, None, grid[j])

    def predict(
        self, new_mean: Array, new_rows: Rows, rng: np.random.Generator, together: bool = False
    ) -> dict[str, Array]:
        """Draw the curve at new rows, and runs around it."""
        name, new = wandering(self.spec).kernel, places(self.spec, new_rows)
        curve = np.array(np.broadcast_to(new_mean, (_draws(self.values), len(new))))
        for part in self._ahead(new_rows, len(curve)):
            noise = rng.standard_normal((len(part.at), len(new)))
            if together:
                noise = _correlated(kernel(name, new, new, part.length), part, noise)
            else:
                spread = part.scale * variance(name, new)
                if part.cross is not None:
                    spread = spread - part.scale**2 * (part.inverse @ part.cross.T**2)
                noise = np.sqrt(np.maximum(spread, 0.0)) * noise
            curve[part.at] += part.centre + noise
        scatter = np.sqrt(self.values["sigma"] ** 2 + new_rows.error**2) * rng.standard_normal(curve.shape)
        return {"curve": curve, "run": curve + scatter}


@dataclass(frozen=True)
class WanderingGivenRows(NewRows):
    """A curve that was seen at rows."""

    model: Wandering
    rows: Rows
    mean: Array

    @cached_property
    def _residual(self) -> Array:
        residual = self.rows.y - self.mean
        if self.model.robust:
            terms = shift_terms(self.rows, usual_value(self.spec, "sigma"))
            residual = residual - shift_sizes(self.values, terms) @ terms["shift_row"].T
        return residual

    def complete(self, rng: np.random.Generator) -> dict[str, Array]:
        """Draw the length and the scale that the joint density summed out."""
        residual, terms = self._residual, self.model.prepare(self.rows)
        data, (grid, _) = [np.asarray(terms[n]) for n in _TERMS], lengths(self.spec)
        sigma = np.broadcast_to(self.values["sigma"], (len(residual), 1))[:, 0]
        tables = np.stack([
            discrepancy_grad.table(r, np.asarray(s), *data) for r, s in zip(residual, sigma, strict=True)
        ])  # fmt: skip
        with np.errstate(divide="ignore"):
            by_length = np.log(np.exp(tables - tables.max(axis=(1, 2), keepdims=True)).sum(axis=2))
        index = _drawn(by_length, rng)
        out = {"discrepancy_length": grid[index]}
        scale = np.log(scales(self.spec)[0])
        if len(scale) > 1:
            out["discrepancy_scale"] = np.exp(
                _drawn_between(scale, tables[np.arange(len(index)), index], rng)
            )
        return {n: v for n, v in out.items() if n in self.spec.noise and self.spec.noise[n].fixed is None}

    def left_out(self) -> tuple[Array, Array]:
        """Return mean and variance of each row given all others."""
        where = places_of(self.spec, self.rows)
        residual, bases = self._residual, where.bases
        centre, spread = np.empty_like(residual), np.empty_like(residual)
        for j, at, scale, sigma in self._by_length(len(residual)):
            inverse = 1 / bases[j].variance(scale, sigma)
            precision = (inverse @ bases[j].vectors.T ** 2) * where.weight**2
            z = (
                ((residual[at] * where.weight) @ bases[j].vectors * inverse)
                @ bases[j].vectors.T
                * where.weight
            )
            spread[at], centre[at] = 1 / precision, residual[at] - z / precision
        return self.mean + centre, spread

    def leave_one_out(self) -> Array:
        """Return each row's density given all others; an outlying row has a shift's tails."""
        centre, spread = self.left_out()
        own = self.rows.y - centre
        density = log_normal(own, spread)
        if self.model.robust:  # left out, an outlying row's shift is unknown: its tails are a shift's
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
        residual, bases = self._residual * where.weight, where.bases
        out = np.array(np.broadcast_to(self.mean, residual.shape))
        for j, at, scale, sigma in self._by_length(len(residual)):
            signal = scale**2 * bases[j].eigen / bases[j].variance(scale, sigma)
            out[at] += (residual[at] @ bases[j].vectors * signal) @ bases[j].vectors.T / where.weight
        return out

    def _ahead(self, new_rows: Rows, draws: int) -> Iterator[_Ahead]:
        name, new = wandering(self.spec).kernel, places(self.spec, new_rows)
        where = places_of(self.spec, self.rows)
        residual = self._residual * where.weight
        for j, at, scale, sigma in self._by_length(draws):
            basis, length = where.bases[j], where.lengths[j]
            cross = (kernel(name, new, where.place, length) * where.weight) @ basis.vectors
            inverse = 1 / basis.variance(scale, sigma)
            centre = scale**2 * ((residual[at] @ basis.vectors * inverse) @ cross.T)
            yield _Ahead(at, scale**2, centre, cross, inverse, length)

    def density(self, new_mean: Array, new_rows: Rows, rng: np.random.Generator) -> tuple[Array, Array]:
        """Return the log density of new rows given the seen ones."""
        name, new = wandering(self.spec).kernel, places(self.spec, new_rows)
        draws = _draws(self.values)
        own = np.array(np.broadcast_to(new_rows.y - new_mean, (draws, len(new))))
        spread = np.broadcast_to(self.values["sigma"] ** 2 + new_rows.error**2, own.shape).copy()
        apart, joint = np.empty_like(own), np.empty(draws)
        for part in self._ahead(new_rows, draws):
            at, scale = part.at, part.scale[:, :, None]
            own[at] -= part.centre
            wander = scale * kernel(name, new, new, part.length)
            wander = wander - scale**2 * np.einsum(
                "ij,dj,kj->dik", part.cross, part.inverse, part.cross, optimize=True
            )
            apart[at] = np.maximum(np.diagonal(wander, axis1=1, axis2=2), 0.0) + spread[at]
            joint[at] = _log_normal_together(own[at], wander, spread[at])
        slope = new_rows.log_slope
        return joint + np.sum(slope), log_normal(own, apart) + slope


def _draws(values: Values) -> int:
    return len(values["discrepancy_scale"]) if np.ndim(values["discrepancy_scale"]) else len(values["sigma"])


def _correlated(prior: Array, part: _Ahead, noise: Array) -> Array:
    """Turn independent normals into draws of the discrepancy at all new rows together."""
    out = np.empty_like(noise)
    for i, white in enumerate(noise):
        wander = part.scale[i] * prior
        if part.cross is not None:
            wander = wander - part.scale[i] ** 2 * (part.cross * part.inverse[i]) @ part.cross.T
        eigen, vectors = np.linalg.eigh(wander)
        out[i] = vectors @ (np.sqrt(np.maximum(eigen, 0.0)) * white)
    return out


def _drawn(log_weights: Array, rng: np.random.Generator) -> Array:
    """Draw one place a row of log weights."""
    chance = np.exp(log_weights - log_weights.max(axis=1, keepdims=True)).cumsum(axis=1)
    return (chance < chance[:, -1:] * rng.random((len(chance), 1))).sum(axis=1)


def _drawn_between(grid: Array, log_density: Array, rng: np.random.Generator) -> Array:
    """Draw from a smooth log density known on an even grid, one draw a row: between its points too."""
    fine = np.linspace(grid[0], grid[-1], _FINE * (len(grid) - 1) + 1)
    smooth = CubicSpline(grid, log_density, axis=1)(fine)
    step = fine[1] - fine[0]
    return fine[_drawn(smooth, rng)] + step * (rng.random(len(smooth)) - 0.5)


def _log_normal_together(own: Array, wander: Array, noise: Array) -> Array:
    """Log density of each draw's residuals under a normal with full covariance; shape (draws,)."""
    n = own.shape[1]
    total = wander + np.eye(n) * (noise + _TINY)[:, :, None]
    factor = np.linalg.cholesky(total)
    white = np.linalg.solve(factor, own[:, :, None])[:, :, 0]
    log_det = np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1)
    return -0.5 * (white**2).sum(axis=1) - log_det - n / 2 * np.log(2 * np.pi)
