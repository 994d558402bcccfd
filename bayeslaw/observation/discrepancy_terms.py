"""What the compiled density of a discrepancy takes: its covariance at each length of a grid, decomposed."""

from __future__ import annotations

import numpy as np

from bayeslaw.law.spec import Spec
from bayeslaw.law.types import Array
from bayeslaw.observation.base import Rows
from bayeslaw.observation.discrepancy_bases import (
    discrepancy_of,
    places_of,
    scales,
    usual_value,
)
from bayeslaw.observation.shifts import shift_terms

_CUT = 3e-3
"""Eigenvalues below it (of K, whose diagonal is near 1) are replaced by their mean."""
TERMS = (
    "weight", "basis", "eigen", "share", "rest", "first", "left_eigen", "left_share", "left_rest", "left_count",
    "log_lengths", "scale_square", "relative", "log_scales",
)  # fmt: skip
"""What the compiled density takes, in its order."""


def has_shifts(spec: Spec) -> bool:
    """Return whether outlying rows have shifts of their own."""
    return "shift_scale" in spec.noise


def density_terms(spec: Spec, rows: Rows) -> dict[str, Array]:
    """Return what the compiled density takes: the bases of all lengths stacked, small eigenvalues left out.

    Parameters
    ----------
    spec : Spec
    rows : Rows

    Returns
    -------
    dict of str to numpy.ndarray
        `TERMS`, ``observed``, ``constant``, and what shifts take.
    """
    where = places_of(spec, rows)
    bases, n = where.bases, len(rows)
    kept = [b.eigen > _CUT for b in bases]

    def mean_of_rest(values: str) -> Array:
        parts = [getattr(b, values)[~k] for b, k in zip(bases, kept, strict=True)]
        return np.array([p.mean() if len(p) else 1.0 for p in parts])

    def stack(values: str) -> Array:
        return np.concatenate([getattr(b, values)[k] for b, k in zip(bases, kept, strict=True)])

    vectors = np.concatenate([b.vectors[:, k].T for b, k in zip(bases, kept, strict=True)])
    parts = ("eigen", "share", "rest")
    grid, log_scales = scales(spec)
    return {
        "observed": np.asarray(rows.y, dtype=float), "weight": where.weight,
        "log_lengths": where.log_lengths, "log_scales": log_scales, "scale_square": grid**2,
        "relative": np.asarray(discrepancy_of(spec).relative, dtype=float),
        "basis": np.ascontiguousarray(vectors),
        **{part: stack(part) for part in parts},
        "first": np.concatenate([[0], np.cumsum([k.sum() for k in kept])]).astype(np.int64),
        **{f"left_{part}": mean_of_rest(part) for part in parts},
        "left_count": np.array([float(n - k.sum()) for k in kept]),
        "constant": np.asarray(
            np.sum(rows.log_slope) + np.log(where.weight).sum() - n / 2 * np.log(2 * np.pi)
        ),
        **(shift_terms(rows, usual_value(spec, "sigma")) if has_shifts(spec) else {}),
    }  # fmt: skip
