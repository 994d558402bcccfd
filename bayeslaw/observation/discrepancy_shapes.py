"""The grid over which a discrepancy is marginalised: its shapes, which are lengths and drifts, its scales, and run noise.

The slope's wandering is held as *drift*, in units of the scale, for then one decomposition serves all scales and all run
noises; its prior is of the wandering itself, so that a node's weight depends on run noise.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np

from bayeslaw.law.priors import link_normal
from bayeslaw.law.spec import Spec
from bayeslaw.law.types import Array
from bayeslaw.observation.base import Rows
from bayeslaw.observation.discrepancy_places import Shape
from bayeslaw.observation.discrepancy_sizes import SLOPE, discrepancy_of, usual_value
from bayeslaw.observation.kernels import length_grid, scale_grid

GRID = "discrepancy_grid"
"""The data's attribute that says which part of the grid they leave, and around which run noise: JSON with ``shapes``, for
each one kept its length's place, its drift's, and which scales are kept (first, one past the last), null for all; and
``sigmas``."""
_DRIFT_STEP = 1.0
"""Steps between drifts, in e-folds, and at most in standard deviations of the slope's prior."""
COARSE = 3
"""So many steps at once on the whole grid, before rows have settled where they want fine ones."""
_DRIFT_ENDS = -2.5, 2.5
"""The ends of a slope's size in the prior's standard deviations: data may ask for more than it expects."""
_SIGMA_ENDS = -3.0, 3.0


@dataclass(frozen=True)
class Grid:
    """Over which lengths and scales a discrepancy is marginalised, and for which run noise it is decomposed.

    Attributes
    ----------
    index : numpy.ndarray of int, shape (shapes, 2)
        Each shape's length, as its place among `lengths`, and its drift in steps.
    lengths, drifts : numpy.ndarray, shape (shapes,)
        The kernel's length, and the size of the slope's wandering in units of the scale.
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
    lengths: Array
    drifts: Array
    scales: Array
    log_nodes: Array
    score: Array
    rate: float
    sigmas: Array

    @property
    def shapes(self) -> list[Shape]:
        """Length and drift of each shape."""
        return [(float(a), float(b)) for a, b in zip(self.lengths, self.drifts, strict=True)]


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
    return [[j, 0, *scale] for j in range(first, end)], told["sigmas"]


def whole_grid(spec: Spec, sigmas: Array) -> Grid:
    """Return the grid of all that the priors admit, its drifts in coarse steps."""
    (length, _), (scale, _) = lengths(spec), scales(spec)
    low, high = drift_steps(spec)
    (least, most), step = _slope_ends(spec), drift_step(spec)
    spans = []
    for k in range(low, high + 1, COARSE):
        size, margin = step * k + np.log(scale), COARSE * step
        at = np.flatnonzero((size > least - margin) & (size < most + margin))
        spans += [(k, at[0], at[-1] + 1)] if len(at) else []
    index = np.array([(j, *span) for j in range(len(length)) for span in spans])
    return grid_at(spec, index, sigmas)


def grid_at(spec: Spec, kept: Array, sigmas: Array) -> Grid:
    """Return the grid of some shapes.

    Parameters
    ----------
    spec : Spec
    kept : numpy.ndarray of int, shape (shapes, 4)
        The length's place, the drift's steps, the first scale and one past the last.
    sigmas : numpy.ndarray, shape (points,)

    Returns
    -------
    Grid
    """
    (length, log_lengths), (scale, log_scales) = lengths(spec), scales(spec)
    first, last = int(kept[:, 2].min()), int(kept[:, 3].max())
    scale, log_scales = scale[first:last], log_scales[first:last]
    at = np.arange(first, last)
    inside = (at >= kept[:, 2:3]) & (at < kept[:, 3:4])
    weight = np.where(inside, log_lengths[kept[:, 0], None] + log_scales, -np.inf)
    slope = spec.noise.get(SLOPE)
    if slope is None:
        drift, score, rate = np.zeros(len(kept)), np.zeros(weight.shape), 0.0
    else:
        mean, sd = link_normal(slope)
        logs = drift_step(spec) * kept[:, 1]
        drift, score = np.exp(logs), (logs[:, None] + np.log(scale) - mean) / sd
        rate = 1 / sd if discrepancy_of(spec).relative else 0.0
        weight = weight + np.log(drift_step(spec) / (sd * np.sqrt(2 * np.pi)))
    return Grid(kept[:, :2], length[kept[:, 0]], drift, scale, weight, score, rate, sigmas)


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


def lengths(spec: Spec) -> tuple[Array, Array]:
    """Return the grid of lengths and its log weights; one length where there is no choice."""
    length = spec.noise.get("discrepancy_length")
    if length is None or length.fixed is not None:
        return np.array([1.0 if length is None else length.fixed]), np.zeros(1)
    return length_grid(*link_normal(length), SLOPE in spec.noise)


def scales(spec: Spec) -> tuple[Array, Array]:
    """Return the grid of scales and its log weights; one scale where it is fixed."""
    scale = spec.noise["discrepancy_scale"]
    if scale.fixed is not None:
        return np.array([float(scale.fixed)]), np.zeros(1)
    return scale_grid(*link_normal(scale), SLOPE in spec.noise)
