"""The grid over which a discrepancy is marginalised: its shapes, its scales, and run noise.

A shape is a length, a drift, the share of groups, and the size of runs' own errors. The slope's wandering is held as
*drift*, and runs' own errors as their ratio, both in units of the scale, for then one decomposition serves all scales and
all run noises; their priors are of the sizes themselves, so that a node's weight depends on scale and run noise.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayeslaw.law.priors import link_normal
from bayeslaw.law.spec import Spec
from bayeslaw.law.types import Array
from bayeslaw.observation.base import Rows
from bayeslaw.observation.discrepancy_places import Shape
from bayeslaw.observation.discrepancy_sizes import RUN, SLOPE, discrepancy_of, usual_value
from bayeslaw.observation.kernels import length_grid, scale_grid

GRID = "discrepancy_grid"
"""The data's attribute that says which part of the grid they leave, and around which run noise: JSON with ``shapes``, for
each one kept the places of its length, its drift, its groups' share and its runs' size, and which scales are kept (first,
one past the last), null for all; and ``sigmas``."""
_DRIFT_STEP = 1.0
"""Steps between drifts, in e-folds, and at most in standard deviations of the slope's prior."""
COARSE = 3
"""So many steps at once on the whole grid, before rows have settled where they want fine ones."""
_DRIFT_ENDS = -2.5, 2.5
"""The ends of a slope's size in the prior's standard deviations: data may ask for more than it expects."""
_SIGMA_ENDS = -3.0, 3.0
_SHARES = 4
"""Shares of groups, in the middles of as many equal parts of what is possible."""
_RUN_STEP = 1.2
_RUN_ENDS = -2.0, 2.5


@dataclass(frozen=True)
class Grid:
    """Over which lengths and scales a discrepancy is marginalised, and for which run noise it is decomposed.

    Attributes
    ----------
    index : numpy.ndarray of int, shape (shapes, 4)
        Each shape's place along the `axes`.
    shapes : list of Shape
    scales : numpy.ndarray, shape (scales,)
    log_nodes : numpy.ndarray, shape (shapes, scales)
        Log prior weights, minus infinity where a scale of a shape is left out.
    score : numpy.ndarray, shape (shapes, scales)
        Of the slope's wandering under its prior, in standard deviations, at run noise one.
    rate : float
        By how much that score grows with the logarithm of run noise.
    sigmas : numpy.ndarray, shape (points,)
        Run noise at which the decomposition is exact, increasing: in between it is interpolated.
    """

    index: Array
    shapes: list[Shape]
    scales: Array
    log_nodes: Array
    score: Array
    rate: float
    sigmas: Array


def grid_of(spec: Spec, rows: Rows) -> Grid:
    """Return a law's grid: the whole of its priors, or what was settled for the rows (`settled`)."""
    shapes, sigmas = settled_grid(rows)
    known = np.array(sigmas or [usual_value(spec, "sigma")])
    return whole_grid(spec, known) if shapes is None else grid_at(spec, np.array(shapes), known)


def settled_grid(rows: Rows) -> tuple[list[list[int]] | None, list[float]]:
    """Return the shapes that were settled for rows, None for all, and the run noises, none where nothing was."""
    told = json.loads(rows.attrs.get(GRID, '{"shapes": null, "sigmas": []}'))
    if "shapes" in told:
        return told["shapes"], told["sigmas"]
    # Fits of earlier versions: a span of lengths, and one of scales.
    (first, end), scale = told["lengths"], told["scales"]
    return [[j, 0, 0, 0, *scale] for j in range(first, end)], told["sigmas"]


def axes(spec: Spec) -> list[range]:
    """Return the places that shapes may have along each axis: lengths, drifts in steps, shares of groups, runs' sizes in steps."""
    known, drift, run = discrepancy_of(spec), drift_steps(spec), run_steps(spec)
    share = range(_SHARES if known.groups else 1)
    return [range(len(lengths(spec)[0])), range(drift[0], drift[1] + 1), share, range(run[0], run[1] + 1)]


def whole_grid(spec: Spec, sigmas: Array) -> Grid:
    """Return the grid of all that the priors admit, its drifts in coarse steps."""
    length, drift, share, run = axes(spec)
    (least, most), step = _slope_ends(spec), drift_step(spec)
    logs, found = np.log(scales(spec)[0]), []
    for k, r in itertools.product(drift[::COARSE], run):
        size, margin = step * k + logs, COARSE * step
        inside = (size > least - margin) & (size < most + margin)
        if discrepancy_of(spec).runs:
            inside &= np.abs(_run_score(spec, r) + _run_rate(spec) * logs) < _RUN_ENDS[1] + 1
        at = np.flatnonzero(inside)
        found += [(j, k, o, r, at[0], at[-1] + 1) for j in length for o in share if len(at)]
    return grid_at(spec, np.array(sorted(found)), sigmas)


def grid_at(spec: Spec, kept: Array, sigmas: Array) -> Grid:
    """Return the grid of some shapes.

    Parameters
    ----------
    spec : Spec
    kept : numpy.ndarray of int, shape (shapes, 6)
        Their places along the axes, the first scale and one past the last.
    sigmas : numpy.ndarray, shape (points,)

    Returns
    -------
    Grid
    """
    (length, log_lengths), (scale, log_scales) = lengths(spec), scales(spec)
    first, last = int(kept[:, 4].min()), int(kept[:, 5].max())
    scale, log_scales = scale[first:last], log_scales[first:last]
    at, index = np.arange(first, last), kept[:, :4]
    inside = (at >= kept[:, 4:5]) & (at < kept[:, 5:6])
    weight = np.where(inside, log_lengths[index[:, 0], None] + log_scales, -np.inf)
    drift, share, run = np.zeros(len(kept)), np.zeros(len(kept)), np.zeros(len(kept))
    score, rate = np.zeros(weight.shape), 0.0
    if SLOPE in spec.noise:
        mean, sd = link_normal(spec.noise[SLOPE])
        logs = drift_step(spec) * index[:, 1]
        drift, score = np.exp(logs), (logs[:, None] + np.log(scale) - mean) / sd
        rate = 1 / sd if discrepancy_of(spec).relative else 0.0
        weight = weight + np.log(drift_step(spec) / (sd * np.sqrt(2 * np.pi)))
    if discrepancy_of(spec).groups:
        share = shares()[index[:, 2]]
        weight = weight - np.log(_SHARES)
    if discrepancy_of(spec).runs:
        run = np.exp(_RUN_STEP * index[:, 3])
        own = _run_score(spec, index[:, 3:4]) + _run_rate(spec) * np.log(scale)
        weight = weight - 0.5 * own**2 + np.log(_RUN_STEP * _run_rate(spec) / np.sqrt(2 * np.pi))
    sizes = zip(length[index[:, 0]].tolist(), drift.tolist(), share.tolist(), run.tolist(), strict=True)
    return Grid(index, [Shape(*one) for one in sizes], scale, weight, score, rate, sigmas)


def _run_score(spec: Spec, step: Any) -> Any:
    """Return how far a size of runs' own errors lies under its prior, in standard deviations, at scale one."""
    mean, sd = link_normal(spec.noise[RUN])
    return (_RUN_STEP * step - mean) / sd


def _run_rate(spec: Spec) -> float:
    return 1 / link_normal(spec.noise[RUN])[1]


def run_steps(spec: Spec) -> tuple[int, int]:
    """Return the least and the largest size of runs' own errors, in steps of its logarithm and units of the scale."""
    if RUN not in spec.noise:
        return 0, 0
    (mean, sd), logs = link_normal(spec.noise[RUN]), np.log(scales(spec)[0])
    low, high = mean + _RUN_ENDS[0] * sd - logs[-1], mean + _RUN_ENDS[1] * sd - logs[0]
    return int(np.floor(low / _RUN_STEP)), int(np.ceil(high / _RUN_STEP))


def drift_steps(spec: Spec) -> tuple[int, int]:
    """Return the least and the largest drift that priors admit, in steps of its logarithm; zero and zero without one.

    They are whole coarse steps apart.
    """
    if SLOPE not in spec.noise:
        return 0, 0
    (low, high), logs = _slope_ends(spec), np.log(scales(spec)[0])
    low, high = low - logs[-1], high - logs[0]
    step = drift_step(spec)
    first, wide = int(np.floor(low / step)), (high - low) / step + 1
    return first, first + COARSE * int(np.ceil(wide / COARSE))


def drift_step(spec: Spec) -> float:
    """Return the step between two drifts, in their logarithm."""
    return min(_DRIFT_STEP, link_normal(spec.noise[SLOPE])[1]) if SLOPE in spec.noise else _DRIFT_STEP


def _slope_ends(spec: Spec) -> tuple[float, float]:
    """Return the ends of the logarithm of a slope's wandering that priors admit, in the unit of the scale."""
    if SLOPE not in spec.noise:
        return -np.inf, np.inf
    mean, sd = link_normal(spec.noise[SLOPE])
    low, high = (mean + end * sd for end in _DRIFT_ENDS)
    if not discrepancy_of(spec).relative:
        return low, high
    sigma = spec.noise["sigma"]
    middle, wide = (np.log(sigma.fixed), 0.0) if sigma.fixed is not None else link_normal(sigma)
    return low - middle - _SIGMA_ENDS[1] * wide, high - middle - _SIGMA_ENDS[0] * wide


def shares() -> Array:
    """Return the shares of a discrepancy that may be its groups' own."""
    return (np.arange(_SHARES) + 0.5) / _SHARES


def many_axes(spec: Spec) -> bool:
    """Return whether a grid has more axes than lengths and scales, so that few of these must do."""
    return SLOPE in spec.noise or bool(discrepancy_of(spec).groups or discrepancy_of(spec).runs)


def lengths(spec: Spec) -> tuple[Array, Array]:
    """Return the grid of lengths and its log weights; one length where there is no choice."""
    length = spec.noise.get("discrepancy_length")
    if length is None or length.fixed is not None:
        return np.array([1.0 if length is None else length.fixed]), np.zeros(1)
    return length_grid(*link_normal(length), many_axes(spec))


def scales(spec: Spec) -> tuple[Array, Array]:
    """Return the grid of scales and its log weights; one scale where it is fixed."""
    scale = spec.noise["discrepancy_scale"]
    if scale.fixed is not None:
        return np.array([float(scale.fixed)]), np.zeros(1)
    return scale_grid(*link_normal(scale), many_axes(spec))
