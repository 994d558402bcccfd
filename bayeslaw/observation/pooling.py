"""Partially pooled parameters: one value a group, spread around the law's own on its link scale.

Groups deviate as spread × score with standard normal scores, one a group. NUTS walks between a group's score
and its deviation, nearer to the latter the more its rows tell of it: then they know the deviation, whatever
the spread; else they leave the score to its prior. And it walks the groups' middle instead of the law's own
value, which rows do not see.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from bayeslaw.core.errors import InputError, did_you_mean
from bayeslaw.law.priors import link_normal
from bayeslaw.law.spec import JOINT, Spec

_STEP = 16
_TINY = 1e-12


def score_name(parameter: str) -> str:
    """Return the name of the latent vector of a pooled parameter's scores."""
    return f"{parameter}_score"


def group_labels(spec: Spec, columns: Mapping[str, np.ndarray]) -> dict[str, list[str]]:
    """Return the groups of every pooled parameter's column, in the order of the table.

    Parameters
    ----------
    spec : Spec
    columns : mapping
        Holds the columns' labels, one a row, as `law.row_columns` returns them.

    Returns
    -------
    dict of str to list of str
        By column, see `Spec.pooled`.

    Raises
    ------
    InputError
        If a column is missing.
    """
    for name, joined in spec.pooled.items():
        if missing := [c for c in spec.pool_columns[joined] if c not in columns]:
            raise InputError(f"model '{spec.name}' pools {name!r} over the column {missing[0]!r}, which the data "
                             f"lack{did_you_mean(missing[0], columns, 'The data have')}")  # fmt: skip
    return {c: list(dict.fromkeys(row_groups(spec, c, columns).tolist())) for c in spec.pool_columns}


def row_groups(spec: Spec, joined: str, columns: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """Return each row's group.

    Parameters
    ----------
    spec : Spec
    joined : str
        One of the columns of `Spec.pooled`.
    columns : mapping
        The labels of the table's own columns.

    Returns
    -------
    numpy.ndarray of str, shape (rows,), or None
        A label; where the groups are combinations of several columns' labels, those joined. None if a
        column is missing.
    """
    own = spec.pool_columns[joined]
    if not all(c in columns for c in own):
        return None
    rows = zip(*(np.asarray(columns[c]).astype(str).tolist() for c in own), strict=True)
    return np.array([JOINT.join(row) for row in rows], dtype=str)


def group_index(labels: list[str], column: np.ndarray) -> np.ndarray:
    """Return each row's group as its place in `labels`; −1 for a group that is not there."""
    place = {label: i for i, label in enumerate(labels)}
    return np.array([place.get(str(v), -1) for v in column], dtype=np.int64)


def score_sizes(spec: Spec, labels: Mapping[str, list[str]]) -> dict[str, int]:
    """Return the padded lengths of the latent vectors, by name."""
    return {score_name(n): _padded(len(labels[c])) for n, c in spec.pooled.items()}


def _padded(groups: int) -> int:
    return -(-groups // _STEP) * _STEP


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
    numpy.ndarray, shape (padded groups,)
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
    """Return each group's share of the rows, shape (padded groups,)."""
    return np.bincount(group_index(labels, column), minlength=_padded(len(labels))) / len(column)


def directions(labels: list[str], column: np.ndarray, scatter: np.ndarray | None) -> np.ndarray:
    """Return the directions along which NUTS walks groups, their middle being walked by itself.

    What moves all groups alike is then left to the prior. Where rows wander together, what moves small models'
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
    numpy.ndarray, shape (padded groups, padded groups)
        Orthonormal, a row a direction.
    """
    size = _padded(len(labels))
    of = np.eye(size)[group_index(labels, column)]
    apart = of - of @ np.outer(np.ones(size), shares(labels, column))
    told = apart.T @ (apart if scatter is None else np.linalg.solve(scatter, apart))
    return np.linalg.eigh(told - np.diag(of.sum(axis=0) == 0))[1].T


def scores_from(
    spec: Spec, name: str, walk: Any, spread: Any, how: Mapping[str, Any], ops: Any
) -> tuple[Any, Any]:
    """Return groups' scores from where NUTS walks, and the logarithm of their slopes.

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
    scores, log_slopes : arrays
        Of the shape of `walk`.

    References
    ----------
    Papaspiliopoulos, Roberts and Sköld (2007), A general framework for the parametrization of
    hierarchical models, doi:10.1214/088342307000000014.
    """
    known = spec.noise[f"{name}_spread"]
    usual = link_normal(known)[0] if known.fixed is None else np.log(known.fixed)
    log_slope = how["near"] * (usual - ops.log(spread))
    return ops.exp(log_slope) * ops.dot(walk, how["along"]), log_slope


def by_row(spec: Spec, values: Mapping[str, Any], scores: Mapping[str, Any], ops: Any) -> dict[str, Any]:
    """Return parameters with the pooled ones replaced by each row's own.

    Parameters
    ----------
    spec : Spec
    values : mapping
        Scalars, or (draws, 1).
    scores : mapping
        By parameter, each row's group's score, shape (rows,) or (draws, rows).
    ops : namespace
        numpy, or PyTensor's.

    Returns
    -------
    dict
    """
    out = dict(values)
    for name in scores:
        deviation = values[f"{name}_spread"] * scores[name]
        support = spec.parameters[name].support
        if support == "positive":
            out[name] = values[name] * ops.exp(deviation)
        elif support == "unit":
            odds = values[name] / (1 - values[name]) * ops.exp(deviation)
            out[name] = odds / (1 + odds)
        else:
            out[name] = values[name] + deviation
    return out


def row_scores(
    spec: Spec,
    values: Mapping[str, np.ndarray],
    labels: Mapping[str, list[str]],
    columns: Mapping[str, np.ndarray],
    rng: np.random.Generator | None = None,
) -> dict[str, np.ndarray]:
    """Take each row's group's score from the draws; a new group's is drawn from its prior.

    Parameters
    ----------
    spec : Spec
    values : mapping
        Draws with the latent vectors, (draws, groups).
    labels : mapping
        The groups that were seen, by column.
    columns : mapping
        The rows' labels; where a column is missing, all rows are of one new group.
    rng : numpy.random.Generator, optional
        For new groups.

    Returns
    -------
    dict of str to numpy.ndarray, shape (draws, rows)
    """
    out = {}
    rows = max(len(v) for v in columns.values())
    for name, column in spec.pooled.items():
        given = row_groups(spec, column, columns)
        if given is None:
            given = np.full(rows, "a new one")
        seen = values[score_name(name)]
        index = group_index(labels[column], given)
        fresh = list(dict.fromkeys(given[index < 0]))
        if fresh:
            index = np.where(index < 0, len(labels[column]) + group_index(fresh, given), index)
            new = (rng or np.random.default_rng(0)).standard_normal((len(seen), len(fresh)))
            seen = np.concatenate([seen[:, : len(labels[column])], new], axis=1)
        out[name] = seen[:, index]
    return out
