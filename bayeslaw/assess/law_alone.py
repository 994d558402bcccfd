"""The law alone at its rows: fitted by itself, so that what it leaves shows whether it is the right one.

A discrepancy takes up what a law cannot follow, and its residuals look well whatever the law. Here the law has only
independent errors beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bayeslaw.assess.few_inputs import free_parameters
from bayeslaw.assess.run_checks import run_column
from bayeslaw.inference.fit import Fit
from bayeslaw.inference.point_problem import PointProblem, point_problem, prior_starts
from bayeslaw.inference.values import fit_values
from bayeslaw.law.evaluate import used_inputs
from bayeslaw.law.priors import prior_sd
from bayeslaw.observation.bound import BoundLaw
from bayeslaw.observation.independent import noise_at

_STARTS = 16
_ROUNDS, _HALVINGS = 8, 40
_CLIP = 2.5
"""Residuals count in full up to so many standard deviations: no single row decides."""
_KEPT = 0.978
"""Variance of a standard normal variable that is clipped there."""
_STEP = 1e-5
_FREE = 0.05
"""A direction of the parameters is free if a step of one on the link scale moves the rows by so much of their noise."""
_LEFT_OVER = 5
"""Fewer rows than so many beyond the law's free directions say nothing of its form."""
_DIGITS = 9
_EXACT = 1e-6
"""Residuals below this part of the rows' range are the optimiser's, not the law's."""
_FACTOR = 2.0
"""An input whose values are positive and span this factor counts in e-folds, others as they are."""


@dataclass(frozen=True, eq=False)
class LawAlone:
    """A law that was fitted by itself, by weighted least squares that a far row hardly moves.

    Attributes
    ----------
    residual : numpy.ndarray, shape (rows,)
        Data minus law, in units of each row's noise, clipped; orthogonal to `taken`.
    taken : numpy.ndarray, shape (rows, directions)
        Orthonormal: in which the law can follow the data, parameters at a bound aside; and of runs with several rows, an
        offset of each.
    place : numpy.ndarray, shape (rows, inputs)
        Where rows lie, each input from 0 to 1.
    named : tuple of str
        The inputs' columns.
    """

    residual: np.ndarray
    taken: np.ndarray
    place: np.ndarray
    named: tuple[str, ...]


def law_alone(fit: Fit) -> LawAlone | None:
    """Fit a law by itself.

    Parameters
    ----------
    fit : Fit

    Returns
    -------
    LawAlone or None
        None where rows are not of one curve with independent errors (counts, groups, logged curves, schedules), where too few are left over, and where the law passes through all of them.
    """
    bound = fit.bound
    spec = bound.spec
    free = any(p.fixed is None for p in spec.parameters.values())
    if not free or not _one_curve(fit):
        return None
    (place, named), offsets = _places(bound), _offsets(fit)
    taken = free_parameters(spec) + offsets.shape[1]
    if not named or len(np.unique(place.round(_DIGITS), axis=0)) < taken + _LEFT_OVER:
        return None
    problem, x = _squares(bound)
    sd = _robust(problem, x, _profile(fit), bound.rows.error)
    if sd is None:
        return None
    taken = _directions(problem, x[0], sd, offsets)
    residual = np.clip(problem.residual(x[0]) / sd, -_CLIP, _CLIP)
    return LawAlone(residual - taken @ (taken.T @ residual), taken, place, named)


def _one_curve(fit: Fit) -> bool:
    """Return whether rows are of one curve: not counts, groups that may differ, logged curves."""
    spec, found = fit.spec, fit.spec.discrepancy
    groups = bool(spec.pooled) or (found is not None and bool(found.groups or found.within))
    return not (spec.traits.counts or groups or "step" in fit.data.coords)


def _offsets(fit: Fit) -> np.ndarray:
    """Return which rows are of each run that has several, shape (rows, runs): they may share an error."""
    column = run_column(fit)
    if column is None:
        return np.zeros((len(fit.bound.rows), 0))
    labels = fit.data[column].values.astype(str)
    runs, sizes = np.unique(labels, return_counts=True)
    return (labels[:, None] == runs[sizes > 1]).astype(float)


def _places(bound: BoundLaw) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return where rows lie, from 0 to 1 in each input that differs, and the inputs' columns; none of schedules."""
    found, named = [], []
    for name in used_inputs(bound.spec):
        values = np.asarray(bound.inputs[name], dtype=float)
        if values.ndim > 1:
            return np.zeros((len(bound.rows), 0)), ()
        if values.min() > 0 and values.max() > _FACTOR * values.min():
            values = np.log(values)
        if (span := np.ptp(values)) > 0:
            found.append((values - values.min()) / span)
            named.append(bound.spec.inputs[name].column)
    return np.stack(found, axis=1) if found else np.zeros((len(bound.rows), 0)), tuple(named)


def _profile(fit: Fit) -> np.ndarray:
    """Return rows' run noise but for a factor: it may change along an input."""
    if not fit.is_posterior or fit.spec.sigma_over is None:
        return np.ones(len(fit.bound.rows))
    noise = np.median(noise_at(fit.spec, fit_values(fit), fit.bound.rows.columns), axis=0)
    return np.broadcast_to(noise / np.exp(np.log(noise).mean()), len(fit.bound.rows))


def _squares(bound: BoundLaw) -> tuple[PointProblem, np.ndarray]:
    """Return the least-squares problem of a law, and its optimum, shape (1, coordinates)."""
    problem = point_problem(
        replace(bound, spec=replace(bound.spec, map=replace(bound.spec.map, delta=np.inf)))
    )
    found = problem.minimise(prior_starts(bound.spec, _STARTS), threads=1)
    return problem, found.x[[found.value.argmin()]]


def _robust(problem: PointProblem, x: np.ndarray, noise: np.ndarray, error: np.ndarray) -> np.ndarray | None:
    """Move an optimum to where far rows and uncertain ones count less; return each row's standard deviation there.

    None where the law has no value, or passes through all rows.
    """
    scale = np.ptp(problem.bound.rows.y)
    for _ in range(_ROUNDS):
        residual = problem.residual(x[0])
        if not np.isfinite(residual).all() or np.abs(residual).max() <= _EXACT * scale:
            return None
        sd = _standard_deviations(residual, noise, error, x.shape[1])
        clipped = np.minimum(1.0, _CLIP * sd / np.maximum(np.abs(residual), 1e-300))
        x[:] = problem.minimise(x, (clipped / sd**2)[None], threads=1).x
    return _standard_deviations(problem.residual(x[0]), noise, error, x.shape[1])


def _standard_deviations(residual: np.ndarray, noise: np.ndarray, error: np.ndarray, free: int) -> np.ndarray:
    """Return each row's standard deviation: known errors, and as much run noise as clipped residuals ask for."""
    wanted = max(len(residual) - free, 1)
    size = np.sqrt(residual @ residual / wanted) + 1e-300
    low, high = 1e-6 * size, 10 * size / noise.min()
    for _ in range(_HALVINGS):
        middle = np.sqrt(low * high)
        sd = np.sqrt((middle * noise) ** 2 + error**2)
        more = (np.clip(residual / sd, -_CLIP, _CLIP) ** 2).sum() > _KEPT * wanted
        low, high = (middle, high) if more else (low, middle)
    return np.sqrt((high * noise) ** 2 + error**2)


def _directions(problem: PointProblem, x: np.ndarray, sd: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Return an orthonormal basis of how the law, and the offsets of runs, can move rows in units of their noise."""
    units = np.concatenate([[prior_sd(p) if p.support == "real" else 1.0] * max(len(p.names), 1) for p in problem.free])  # fmt: skip
    columns = list((offsets / sd[:, None]).T)
    for j in np.flatnonzero((x > problem.lower) & (x < problem.upper)):
        ends = np.array([x, x])
        ends[:, j] += units[j] * _STEP * np.array([-1, 1])
        ends[:, j] = np.clip(ends[:, j], problem.lower[j], problem.upper[j])
        moved = problem.residual(ends[0]) - problem.residual(ends[1])
        columns.append(units[j] * moved / (ends[1, j] - ends[0, j]) / sd)
    if not columns:
        return np.zeros((len(sd), 0))
    vectors, sizes, _ = np.linalg.svd(np.stack(columns, axis=1), full_matrices=False)
    return vectors[:, sizes > _FREE]
