"""What the compiled density of a discrepancy takes: its covariance in each shape of a grid, decomposed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bayeslaw.law.offset import offset
from bayeslaw.law.priors import link_normal
from bayeslaw.law.spec import Spec
from bayeslaw.law.types import Array
from bayeslaw.observation.base import Rows
from bayeslaw.observation.discrepancy_bases import Basis, places_of
from bayeslaw.observation.discrepancy_sizes import discrepancy_of, usual_value
from bayeslaw.observation.shifts import shift_terms

_TOLD = 0.005
"""By how much, in nats, directions that are left out may move a section's log density (standard deviation)."""
FEW = "directions of residuals"
"""The rows' column, shape (rows, directions), orthogonal, in whose span residuals are taken to lie; each direction as
long as they reach along it, from `CENTRE`."""
CENTRE = "residuals"
"""The rows' column of residuals around which others lie."""
TERMS = (
    "weight", "project", "basis", "level", "eigen", "share", "rest", "first", "left_eigen", "left_count", "section",
    "log_sigmas", "scale_square", "log_nodes", "score", "rate", "relative", "offset",
)  # fmt: skip
"""What the compiled density takes, in its order."""


def has_shifts(spec: Spec) -> bool:
    """Return whether outlying rows have shifts of their own."""
    return "shift_scale" in spec.noise


def density_terms(spec: Spec, rows: Rows) -> dict[str, Array]:
    """Return what the compiled density takes: the bases of all shapes stacked, small eigenvalues left out.

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
    grid, (points, n) = where.grid, where.weights.shape
    shapes = [_sections(shape, points) for shape in where.bases]
    basis = [of_shape[k] for k in range(points) for of_shape in shapes]
    largest = np.where(np.isfinite(grid.log_nodes), grid.scales, 0.0).max(axis=1)
    largest = np.tile(largest * (1.0 if discrepancy_of(spec).relative else 1 / grid.sigmas[0]), points)
    kept = [_kept(b["eigen"] * size**2) for b, size in zip(basis, largest, strict=True)]

    def stack(values: str) -> Array:
        return np.concatenate([b[values][k] for b, k in zip(basis, kept, strict=True)])

    left = [b["eigen"][~k] for b, k in zip(basis, kept, strict=True)]
    terms = {
        "observed": np.asarray(rows.y, dtype=float), "weight": where.weights,
        **_seen_along(rows, stack("vectors")),
        "eigen": stack("eigen"), "share": where.share, "rest": where.rest,
        "first": np.concatenate([[0], np.cumsum([k.sum() for k in kept])]).astype(np.int64),
        "left_eigen": np.array([e.mean() if len(e) else 0.0 for e in left]),
        "left_count": np.array([float(len(e)) for e in left]),
        "section": np.repeat(np.log(where.weights).sum(axis=1), len(where.bases)),
        "log_sigmas": np.log(grid.sigmas), "scale_square": grid.scales**2, "log_nodes": grid.log_nodes,
        "score": grid.score, "rate": np.asarray(grid.rate), "relative": np.asarray(discrepancy_of(spec).relative, dtype=float),
        "offset": np.asarray(offset_variance(spec)),
        "constant": np.asarray(np.sum(rows.log_slope) - n / 2 * np.log(2 * np.pi)),
        **(shift_terms(rows, usual_value(spec, "sigma")) if has_shifts(spec) else {}),
    }  # fmt: skip
    if FEW not in rows.columns:
        return terms
    from bayeslaw.observation.discrepancy_nodes import (
        node_terms,  # compiled: who only forecasts needs no compiler
    )

    few, centre = rows.columns[FEW], rows.columns[CENTRE]
    reach = np.linalg.norm(few, axis=0)
    return terms | node_terms(terms, grid.sigmas, rows.error, (few / reach).T @ centre, reach)


def few_directions(rows: Rows) -> Array | None:
    """Return the directions in whose span residuals are taken to lie, shape (rows, directions), or None."""
    few = rows.columns.get(FEW)
    return None if few is None else few / np.linalg.norm(few, axis=0)


def _seen_along(rows: Rows, vectors: Array) -> dict[str, Array]:
    """Return directions as they see residuals: those of all rows, or the few along which they move."""
    few = few_directions(rows)
    if few is None:
        few, basis = np.zeros((len(rows), 0)), np.ascontiguousarray(vectors)
    else:
        basis = vectors @ few
    return {"project": np.ascontiguousarray(few.T), "basis": basis, "level": vectors.sum(axis=1)}


def without_few(rows: Rows) -> Rows:
    """Return rows whose residuals may lie anywhere, as they do where the level is given or other data are set."""
    return replace(rows, columns={n: v for n, v in rows.columns.items() if n not in (FEW, CENTRE)})


def offset_variance(spec: Spec) -> float:
    """Return the prior variance, on the scale of errors, of the shift of all rows that is integrated out."""
    level = offset(spec)
    return 0.0 if level is None else link_normal(level)[1] ** 2


def _sections(basis: Basis, points: int) -> list[dict[str, Array]]:
    """Return a shape's directions, point by point, one row each."""
    named = {"vectors": basis.vectors.T, "eigen": basis.eigen}
    parts = {n: np.split(v, points) for n, v in named.items()}
    return [{n: v[k] for n, v in parts.items()} for k in range(points)]


def _kept(eigen: Array) -> Array:
    """Return which directions are kept; of the others the mean stands for all.

    The log density is off by half the sum of (e_i − mean) (z_i² / v_i − 1), where z_i² / v_i has mean 1 and
    variance 2.
    """
    order, count = np.argsort(eigen), np.arange(1, len(eigen) + 1)
    rising = eigen[order]
    spread = np.cumsum(rising**2) - np.cumsum(rising) ** 2 / count
    out = np.ones(len(eigen), dtype=bool)
    out[order[: int((spread / 2 <= _TOLD**2).sum())]] = False
    return out
