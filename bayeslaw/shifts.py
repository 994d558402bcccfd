"""Shifts of outlying rows: heavy-tailed, one a row, beside normal run noise.

A row's shift is sigma × shift_scale × t, t a Student-t of two degrees of freedom whose quantiles are
elementary: it is sampled as a standard normal score, so that a sampler meets short tails, and the
covariance of the rows keeps its fast form (a Student-t likelihood would not).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

SHIFT = "shift_score"
"""Name of the latent vector of scores."""
_STEP = 32
_NODES = 24


def pad(rows: int) -> int:
    """Return the length of a latent vector that serves `rows` rows.

    A compiled model has vectors of one length; padded, few lengths serve all windows of a study. What
    is behind the last row keeps its prior and touches nothing.
    """
    step = _STEP if rows <= 8 * _STEP else 4 * _STEP
    return -(-rows // step) * step


def from_score(score: Any, ops: Any) -> Any:
    """Return a Student-t value (two degrees of freedom) from its normal score."""
    a = score / np.sqrt(2.0)
    lower, upper = ops.erfc(-a), ops.erfc(a)
    return (lower - upper) / ops.sqrt(2.0 * lower * upper)


def shifted(values: Mapping[str, Any], rows: int, ops: Any) -> Any:
    """Return the shifts of rows on the scale of errors, shape (rows,) or (draws, rows)."""
    return values["sigma"] * values["shift_scale"] * from_score(values[SHIFT][..., :rows], ops)


def shift_noise(
    values: Mapping[str, Any], shape: tuple[int, ...], rng: np.random.Generator, variances: bool = False
) -> np.ndarray:
    """Draw shifts of new rows, or only the variances of which they are a normal mixture."""
    size = np.broadcast_to(values["sigma"] * values["shift_scale"], shape)
    variance = size**2 / rng.standard_exponential(shape)
    return variance if variances else np.sqrt(variance) * rng.standard_normal(shape)


def shift_scales(values: Mapping[str, Any]) -> list[np.ndarray]:
    """Return variances whose equal mixture of normals is a shift's distribution; each (draws, 1)."""
    middle = (np.arange(_NODES) + 0.5) / _NODES
    size = np.asarray(values["sigma"] * values["shift_scale"]) ** 2
    return [size / -np.log(u) for u in middle]
