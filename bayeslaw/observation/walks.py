"""Where NUTS walks the groups of a partially pooled parameter.

NUTS walks between a group's score and its deviation, nearer to the latter the more its rows tell of it: then
they know the deviation, whatever the spread; else they leave the score to its prior. And it walks the groups'
middle instead of the law's own value, which rows do not see.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from bayeslaw.law.priors import link_normal
from bayeslaw.law.spec import Spec
from bayeslaw.law.types import DensityOps, Tensor, Tensors
from bayeslaw.observation.pooling import group_index

_TINY = 1e-12


def centring(
    labels: list[str], column: np.ndarray, y: np.ndarray, inputs: Iterable[np.ndarray]
) -> np.ndarray:
    """Return how near to each group's deviation NUTS walks, from 0 (its score) to 1.

    It is the reliability of the group's mean: the share of its variance, around a smooth trend, that is not
    the noise of the group's rows. Where groups hardly differ their deviations are a funnel, and it is near zero.

    Parameters
    ----------
    labels : list of str
        The groups.
    column : numpy.ndarray
        The rows' labels.
    y : numpy.ndarray, shape (rows,)
        On the scale of errors.
    inputs : iterable of numpy.ndarray
        Positive ones are what the trend runs over, a parabola in their logarithms.

    Returns
    -------
    numpy.ndarray, shape (groups,)
    """
    index, rows = group_index(labels, column), len(y) * shares(labels, column)
    logs = [np.log(v) for v in inputs if np.ndim(v) == 1 and (v > 0).all()]
    logs = [v - v.mean() for v in logs]
    terms = np.stack([np.ones(len(y)), *logs, *(v**2 for v in logs)], axis=1)
    free = len(y) - len(labels) - terms.shape[1]
    if free < 1 or len(labels) < 2:
        return np.zeros(len(rows))
    residual = y - terms @ np.linalg.lstsq(terms, y, rcond=None)[0]
    means = np.bincount(index, residual, minlength=len(rows)) / np.maximum(rows, 1)
    noise = ((residual - means[index]) ** 2).sum() / free
    real = max(means[rows > 0].var(ddof=1) - (noise / rows[rows > 0]).mean(), 0.0)
    return rows * real / np.maximum(rows * real + noise, _TINY)


def shares(labels: list[str], column: np.ndarray) -> np.ndarray:
    """Return each group's share of the rows, shape (groups,)."""
    return np.bincount(group_index(labels, column), minlength=len(labels)) / len(column)


def directions(labels: list[str], column: np.ndarray, scatter: np.ndarray | None) -> np.ndarray:
    """Return the directions along which NUTS walks groups, their middle being walked by itself.

    What moves all groups alike is then left to the prior. Where rows deviate together, what moves small models'
    groups against large ones' is known far worse than one group against the next.

    Parameters
    ----------
    labels : list of str
    column : numpy.ndarray
        As for `centring`.
    scatter : numpy.ndarray, shape (rows, rows), or None
        See `observation.Observation`.

    Returns
    -------
    numpy.ndarray, shape (groups, groups)
        Orthonormal, one row for each direction.
    """
    size = len(labels)
    of = np.eye(size)[group_index(labels, column)]
    apart = of - of @ np.outer(np.ones(size), shares(labels, column))
    told = apart.T @ (apart if scatter is None else np.linalg.solve(scatter, apart))
    return np.linalg.eigh(told - np.diag(of.sum(axis=0) == 0))[1].T


def scores_from(
    spec: Spec, name: str, walk: Tensor, spread: Tensor, how: Tensors, ops: DensityOps
) -> tuple[Tensor, Tensor]:
    """Return groups' scores from where NUTS walks, and the logarithms of their derivatives by it.

    Parameters
    ----------
    spec : Spec
    name : str
        A pooled parameter.
    walk : array, shape (groups,) or (draws, groups)
    spread : scalar, or array of shape (draws, 1)
    how : mapping
        ``near`` from `centring`, ``along`` from `directions`.
    ops : namespace
        numpy, or PyTensor's.

    Returns
    -------
    scores, log_jacobian : arrays
        Of the shape of `walk`.

    References
    ----------
    Papaspiliopoulos, Roberts and Sköld (2007), A general framework for the parametrization of
    hierarchical models, doi:10.1214/088342307000000014.
    """
    known = spec.noise[f"{name}_spread"]
    usual = link_normal(known)[0] if known.fixed is None else np.log(known.fixed)
    log_jacobian = how["near"] * (usual - ops.log(spread))
    return ops.exp(log_jacobian) * ops.dot(walk, how["along"]), log_jacobian
