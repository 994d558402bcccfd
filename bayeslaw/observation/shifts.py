"""Shifts of outlying rows: heavy-tailed, for the few rows that ask for one, beside normal run noise.

A row that lies far from what its neighbours lead to expect gets a shift of its own, sigma × shift_scale
× t with t a Student-t of two degrees of freedom. So it neither widens the run noise nor bends the curve,
and the covariance of the rows keeps its fast form (a Student-t likelihood would not). Shifts are sampled
around what the residuals say, where they are as wide as the run noise: no far travel, no narrow valleys.
"""

from __future__ import annotations

import numpy as np

from bayeslaw.law.types import DensityOps, Tensor, Tensors
from bayeslaw.observation.base import Rows

SHIFT = "shift_score"
"""Name of the latent vector of scores."""
COLUMN = "outlying"
"""The data's column that says how far a row is out, on the scale of errors; zero for most."""
BENT = "bent"
"""The same of rows that may be a bend of the curve: they have no shift."""
_LOG_T = -np.log(2 * np.sqrt(2.0))


def outlying(rows: Rows) -> np.ndarray:
    """Return the places of the rows that have a shift."""
    return np.flatnonzero(rows.columns.get(COLUMN, np.zeros(len(rows))))


def slots(rows: Rows) -> int:
    """Return the number of shifts, at least one: a vector of none is no vector."""
    return max(1, len(outlying(rows)))


def shift_terms(rows: Rows, width: float) -> dict[str, np.ndarray]:
    """Return what the density of shifts takes: which row a slot serves, its centre and its width.

    Parameters
    ----------
    rows : Rows
    width : float
        A usual run noise, on the scale of errors.

    Returns
    -------
    dict of str to numpy.ndarray
        ``shift_row`` (rows, slots) of zeros and ones, ``shift_centre`` and ``shift_used`` (slots,),
        ``shift_width``.
    """
    at, size = outlying(rows), slots(rows)
    row, centre, used = np.zeros((len(rows), size)), np.zeros(size), np.zeros(size)
    row[at, np.arange(len(at))] = 1.0
    centre[: len(at)] = rows.columns[COLUMN][at] if len(at) else 0.0
    used[: len(at)] = 1.0
    return {
        "shift_row": row,
        "shift_centre": centre,
        "shift_used": used,
        "shift_width": np.asarray(width, dtype=float),
    }


def shift_sizes(values: Tensors, terms: Tensors) -> Tensor:
    """Return the shifts of all slots on the scale of errors; those of unused slots are zero."""
    return terms["shift_used"] * (terms["shift_centre"] + terms["shift_width"] * values[SHIFT])


def shift_density(values: Tensors, terms: Tensors, ops: DensityOps) -> Tensor:
    """Return the log density of the shifts, less the scores' own standard normal one."""
    score, size = values[SHIFT], values["sigma"] * values["shift_scale"]
    each = log_t(shift_sizes(values, terms) / size, ops) - ops.log(size) + 0.5 * score**2
    constant = ops.log(terms["shift_width"]) + 0.5 * np.log(2 * np.pi)
    return (terms["shift_used"] * (each + constant)).sum()


def log_t(u: Tensor, ops: DensityOps) -> Tensor:
    """Return the log density of a Student-t with two degrees of freedom."""
    return _LOG_T - 1.5 * ops.log1p(0.5 * u**2)
