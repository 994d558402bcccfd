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

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.interpolate import CubicSpline

from bayeslaw.law.priors import link_normal
from bayeslaw.law.spec import Spec
from bayeslaw.observation import discrepancy_grad
from bayeslaw.observation.base import NUMPY, Observation, Rows, log_normal
from bayeslaw.observation.kernels import kernel, length_grid, scale_grid, variance
from bayeslaw.observation.shifts import SHIFT, log_t, outlying, shift_density, shift_sizes, shift_terms, slots

_CUT = 3e-3
"""Eigenvalues below it (of K, whose diagonal is near 1) are replaced by their mean."""
_TINY = 1e-12
_FINE = 8
"""Steps between two scales of the grid when one is drawn."""
WANDERING = 3.0
"""A usual size of a discrepancy, in units of run noise, where it is not inferred: to look for outlying rows, and
to choose the directions that NUTS walks."""
_TERMS = (
    "weight", "basis", "eigen", "share", "rest", "first", "left_eigen", "left_share", "left_rest", "left_count",
    "log_lengths", "scale_square", "relative", "log_scales",
)  # fmt: skip
"""What the compiled density takes, in its order."""


@dataclass(frozen=True)
class _Basis:
    """K decomposed at one length, in the weighted rows' space."""

    length: float
    vectors: np.ndarray  # (n, n), one column a direction
    eigen: np.ndarray  # (n,)
    share: np.ndarray  # (n,), of run noise in a direction's noise
    rest: np.ndarray  # (n,), noise that does not depend on sigma

    def variance(self, scale: Any, sigma: Any) -> np.ndarray:
        """Return the variance along each direction, shape (draws, n)."""
        return scale**2 * self.eigen + sigma**2 * self.share + self.rest


class _Places:
    """Where rows lie in e-folds, their weights, and the bases at every length."""

    def __init__(self, spec: Spec, rows: Rows) -> None:
        self.spec = spec
        self.place = places(spec, rows)
        middle = usual_value(spec, "sigma") ** 2
        self.share = middle / (middle + rows.error**2)
        self.weight = np.sqrt(self.share)
        self.middle = middle
        self.lengths, self.log_lengths = lengths(spec)

    def bases(self) -> list[_Basis]:
        return [self._basis(length) for length in self.lengths]

    def _basis(self, length: float) -> _Basis:
        K = kernel(self.spec.discrepancy.kernel, self.place, self.place, length)
        eigen, vectors = np.linalg.eigh(self.weight[:, None] * K * self.weight)
        share = self.share @ vectors**2
        return _Basis(length, vectors, np.maximum(eigen, 0.0), share, self.middle * (1 - share))


def places(spec: Spec, rows: Rows) -> np.ndarray:
    """Return where rows lie: log(input / reference), shape (rows, inputs)."""
    over = spec.discrepancy.over
    return np.stack(
        [np.log(np.asarray(rows.columns[n], dtype=float) / spec.inputs[n].reference) for n in over], axis=1
    )


def lengths(spec: Spec) -> tuple[np.ndarray, np.ndarray]:
    """Return the grid of lengths and its log weights; one length where there is no choice."""
    length = spec.noise.get("discrepancy_length")
    if length is None or length.fixed is not None:
        return np.array([1.0 if length is None else length.fixed]), np.zeros(1)
    return length_grid(*link_normal(length))


def scales(spec: Spec) -> tuple[np.ndarray, np.ndarray]:
    """Return the grid of scales and its log weights; one scale where it is fixed."""
    scale = spec.noise["discrepancy_scale"]
    if scale.fixed is not None:
        return np.array([float(scale.fixed)]), np.zeros(1)
    return scale_grid(*link_normal(scale))


def discrepancy_scale(spec: Spec, values: Mapping[str, Any]) -> Any:
    """Return the discrepancy's standard deviation on the scale of errors."""
    scale = values["discrepancy_scale"]
    return scale * values["sigma"] if spec.discrepancy.relative else scale


def usual_value(spec: Spec, name: str) -> float:
    """Return where a parameter is fixed, or its prior's median; one where there is none."""
    parameter = spec.noise.get(name)
    if parameter is None:
        return 1.0
    return parameter.fixed if parameter.fixed is not None else float(np.exp(link_normal(parameter)[0]))


def usual_wandering(spec: Spec, rows: Rows) -> np.ndarray:
    """Return the rows' covariance at a usual size and length of the discrepancy, in units of run noise."""
    place = places(spec, rows)
    return WANDERING**2 * kernel(
        spec.discrepancy.kernel, place, place, usual_value(spec, "discrepancy_length")
    )


def covariance(spec: Spec) -> Observation:
    """Return the observation model of a law with a discrepancy over its inputs.

    Parameters
    ----------
    spec : Spec
        Resolved, with a ``[discrepancy]`` of kernel matern32, matern52 or brownian.

    Returns
    -------
    Observation
    """
    model = _Covariance(spec)
    return Observation(
        model.prepare, model.joint, model.leave_one_out, model.predict, model.density, model.fitted,
        model.latents, model.left_out, model.scatter, model.complete,
    )  # fmt: skip


class _Covariance:
    """The functions of the interface for one spec; holds nothing but the spec and the last rows' bases."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.robust = "shift_scale" in spec.noise
        self._last: tuple[Rows, _Places, list[_Basis]] | None = None

    def _of(self, rows: Rows) -> tuple[_Places, list[_Basis]]:
        if self._last is None or self._last[0] is not rows:
            where = _Places(self.spec, rows)
            self._last = rows, where, where.bases()
        return self._last[1:]

    def latents(self, rows: Rows) -> dict[str, int]:
        return {SHIFT: slots(rows)} if self.robust else {}

    def scatter(self, rows: Rows) -> np.ndarray:
        noise = 1 + (rows.error / usual_value(self.spec, "sigma")) ** 2
        return usual_wandering(self.spec, rows) + np.diag(noise)

    def prepare(self, rows: Rows) -> dict[str, np.ndarray]:
        """Stack the bases of all lengths, small eigenvalues left out."""
        where, bases = self._of(rows)
        n = len(rows)
        kept = [b.eigen > _CUT for b in bases]

        def mean_of_rest(values: str) -> np.ndarray:
            parts = [getattr(b, values)[~k] for b, k in zip(bases, kept, strict=True)]
            return np.array([p.mean() if len(p) else 1.0 for p in parts])

        def stack(values: str) -> np.ndarray:
            return np.concatenate([getattr(b, values)[k] for b, k in zip(bases, kept, strict=True)])

        vectors = np.concatenate([b.vectors[:, k].T for b, k in zip(bases, kept, strict=True)])
        parts = ("eigen", "share", "rest")
        grid, log_scales = scales(self.spec)
        return {
            "observed": np.asarray(rows.y, dtype=float), "weight": where.weight,
            "log_lengths": where.log_lengths, "log_scales": log_scales, "scale_square": grid**2,
            "relative": np.float64(self.spec.discrepancy.relative),
            "basis": np.ascontiguousarray(vectors),
            **{part: stack(part) for part in parts},
            "first": np.concatenate([[0], np.cumsum([k.sum() for k in kept])]).astype(np.int64),
            **{f"left_{part}": mean_of_rest(part) for part in parts},
            "left_count": np.array([float(n - k.sum()) for k in kept]),
            "constant": np.float64(
                np.sum(rows.log_slope) + np.log(where.weight).sum() - n / 2 * np.log(2 * np.pi)
            ),
            **(shift_terms(rows, self._width()) if self.robust else {}),
        }  # fmt: skip

    def joint(self, mean: Any, values: Mapping[str, Any], terms: Mapping[str, Any], ops: Any) -> Any:
        residual, more = terms["observed"] - mean, terms["constant"]
        if self.robust:
            residual = residual - (terms["shift_row"] * shift_sizes(values, terms)).sum(axis=1)
            more = more + shift_density(values, terms, ops)
        return ops.sloped("covariance", residual, values["sigma"], *(terms[n] for n in _TERMS)) + more

    # -- from here on NumPy, many draws at once ---------------------------------------------------

    def _residual(self, mean: np.ndarray, values: Mapping[str, Any], rows: Rows) -> np.ndarray:
        residual = rows.y - mean
        if self.robust:
            terms = shift_terms(rows, self._width())
            residual = residual - shift_sizes(values, terms) @ terms["shift_row"].T
        return residual

    def _width(self) -> float:
        return usual_value(self.spec, "sigma")

    def _groups(self, values: Mapping[str, Any], draws: int):
        """Yield each length's place on the grid, the draws that have it, their scale and sigma."""
        grid, _ = lengths(self.spec)
        scale, sigma = discrepancy_scale(self.spec, values), values["sigma"]
        scale, sigma = (np.broadcast_to(v, (draws, 1)) for v in (scale, sigma))
        nearest = np.zeros(draws, dtype=int)
        if len(grid) > 1:
            at = np.broadcast_to(values["discrepancy_length"], (draws, 1))[:, 0]
            nearest = np.abs(np.log(at)[:, None] - np.log(grid)).argmin(axis=1)
        for j in np.unique(nearest):
            at = np.flatnonzero(nearest == j)
            yield int(j), at, scale[at], sigma[at]

    def complete(self, mean, values, rows, rng) -> dict[str, np.ndarray]:
        """Draw the length and the scale that the joint density summed out."""
        residual = self._residual(mean, values, rows)
        terms = self.prepare(rows)
        data, (grid, _) = [np.asarray(terms[n]) for n in _TERMS], lengths(self.spec)
        sigma = np.broadcast_to(values["sigma"], (len(residual), 1))[:, 0]
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

    def left_out(self, mean, values, rows) -> tuple[np.ndarray, np.ndarray]:
        where, bases = self._of(rows)
        residual = self._residual(mean, values, rows)
        centre, spread = np.empty_like(residual), np.empty_like(residual)
        for j, at, scale, sigma in self._groups(values, len(residual)):
            inverse = 1 / bases[j].variance(scale, sigma)
            precision = (inverse @ bases[j].vectors.T ** 2) * where.weight**2
            z = (
                ((residual[at] * where.weight) @ bases[j].vectors * inverse)
                @ bases[j].vectors.T
                * where.weight
            )
            spread[at], centre[at] = 1 / precision, residual[at] - z / precision
        return mean + centre, spread

    def leave_one_out(self, mean, values, rows) -> np.ndarray:
        centre, spread = self.left_out(mean, values, rows)
        own = rows.y - centre
        density = log_normal(own, spread)
        if self.robust:  # left out, an outlying row's shift is unknown: its tails are a shift's
            at, size = outlying(rows), np.reshape(values["sigma"] * values["shift_scale"], (-1, 1))
            wide = np.sqrt(size**2 + spread[:, at])
            density[:, at] = log_t(own[:, at] / wide, NUMPY) - np.log(wide)
        return density + rows.log_slope

    def fitted(self, mean, values, rows) -> np.ndarray:
        where, bases = self._of(rows)
        residual = self._residual(mean, values, rows) * where.weight
        out = np.array(np.broadcast_to(mean, residual.shape))
        for j, at, scale, sigma in self._groups(values, len(residual)):
            signal = scale**2 * bases[j].eigen / bases[j].variance(scale, sigma)
            out[at] += (residual[at] @ bases[j].vectors * signal) @ bases[j].vectors.T / where.weight
        return out

    def _conditional(self, mean, values, rows, new_rows, draws: int):
        """Yield draws' indices, and mean and covariance factors of the discrepancy at new rows."""
        name, new = self.spec.discrepancy.kernel, places(self.spec, new_rows)
        grid, _ = lengths(self.spec)
        if rows is not None:
            where, bases = self._of(rows)
            residual = self._residual(mean, values, rows) * where.weight
        for j, at, scale, sigma in self._groups(values, draws):
            if rows is None:
                yield at, scale**2, np.zeros((len(at), len(new))), None, None, grid[j]
                continue
            cross = (kernel(name, new, where.place, grid[j]) * where.weight) @ bases[j].vectors
            inverse = 1 / bases[j].variance(scale, sigma)
            centre = scale**2 * ((residual[at] @ bases[j].vectors * inverse) @ cross.T)
            yield at, scale**2, centre, cross, inverse, grid[j]

    def predict(self, mean, values, rows, new_mean, new_rows, rng, together=False) -> dict[str, np.ndarray]:
        name, new = self.spec.discrepancy.kernel, places(self.spec, new_rows)
        curve = np.array(np.broadcast_to(new_mean, (_draws(values), len(new))))
        for at, scale, centre, cross, inverse, length in self._conditional(
            mean, values, rows, new_rows, len(curve)
        ):
            noise = rng.standard_normal((len(at), len(new)))
            if together:
                prior = kernel(name, new, new, length)
                noise = _correlated(prior, cross, inverse, scale, noise)
            else:
                spread = scale * variance(name, new)
                if cross is not None:
                    spread = spread - scale**2 * (inverse @ cross.T**2)
                noise = np.sqrt(np.maximum(spread, 0.0)) * noise
            curve[at] += centre + noise
        scatter = np.sqrt(values["sigma"] ** 2 + new_rows.error**2) * rng.standard_normal(curve.shape)
        return {"curve": curve, "run": curve + scatter}

    def density(self, mean, values, rows, new_mean, new_rows, rng) -> tuple[np.ndarray, np.ndarray]:
        name, new = self.spec.discrepancy.kernel, places(self.spec, new_rows)
        draws = _draws(values)
        own = np.array(np.broadcast_to(new_rows.y - new_mean, (draws, len(new))))
        spread = np.broadcast_to(values["sigma"] ** 2 + new_rows.error**2, own.shape).copy()
        apart, joint = np.empty_like(own), np.empty(draws)
        for at, scale, centre, cross, inverse, length in self._conditional(
            mean, values, rows, new_rows, draws
        ):
            own[at] -= centre
            prior = kernel(name, new, new, length)
            wander = scale[:, :, None] * prior
            if cross is not None:
                wander = wander - scale[:, :, None] ** 2 * np.einsum(
                    "ij,dj,kj->dik", cross, inverse, cross, optimize=True
                )
            apart[at] = np.maximum(np.diagonal(wander, axis1=1, axis2=2), 0.0) + spread[at]
            joint[at] = _log_normal_together(own[at], wander, spread[at])
        slope = new_rows.log_slope
        return joint + np.sum(slope), log_normal(own, apart) + slope


def _draws(values: Mapping[str, Any]) -> int:
    return len(values["discrepancy_scale"]) if np.ndim(values["discrepancy_scale"]) else len(values["sigma"])


def _correlated(prior, cross, inverse, scale, noise: np.ndarray) -> np.ndarray:
    """Turn independent normals into draws of the discrepancy at all new rows together."""
    out = np.empty_like(noise)
    for i, white in enumerate(noise):
        wander = scale[i] * prior
        if cross is not None:
            wander = wander - scale[i] ** 2 * (cross * inverse[i]) @ cross.T
        eigen, vectors = np.linalg.eigh(wander)
        out[i] = vectors @ (np.sqrt(np.maximum(eigen, 0.0)) * white)
    return out


def _drawn(log_weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw one place a row of log weights."""
    chance = np.exp(log_weights - log_weights.max(axis=1, keepdims=True)).cumsum(axis=1)
    return (chance < chance[:, -1:] * rng.random((len(chance), 1))).sum(axis=1)


def _drawn_between(grid: np.ndarray, log_density: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw from a smooth log density known on an even grid, one draw a row: between its points too."""
    fine = np.linspace(grid[0], grid[-1], _FINE * (len(grid) - 1) + 1)
    smooth = CubicSpline(grid, log_density, axis=1)(fine)
    step = fine[1] - fine[0]
    return fine[_drawn(smooth, rng)] + step * (rng.random(len(smooth)) - 0.5)


def _log_normal_together(own: np.ndarray, wander: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Log density of each draw's residuals under a normal with full covariance; shape (draws,)."""
    n = own.shape[1]
    total = wander + np.eye(n) * (noise + _TINY)[:, :, None]
    factor = np.linalg.cholesky(total)
    white = np.linalg.solve(factor, own[:, :, None])[:, :, 0]
    log_det = np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1)
    return -0.5 * (white**2).sum(axis=1) - log_det - n / 2 * np.log(2 * np.pi)
