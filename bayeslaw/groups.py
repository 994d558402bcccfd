"""Partially pooled parameters: one value a group, spread around the law's own on its link scale.

Groups deviate as spread × score with standard normal scores, one a group. NUTS walks between a group's
score and its own value, nearer to the value the more rows the group has: many rows know the value, whatever
the spread and the law's own value are; few leave the score to its prior.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bayeslaw.errors import InputError, did_you_mean
from bayeslaw.priors import link_normal
from bayeslaw.spec import Spec

_STEP = 16
_WORTH = 1.0
"""Rows that tell as much of a group as the spread's prior does."""


def score_name(parameter: str) -> str:
    """Return the name of the latent vector of a pooled parameter's scores."""
    return f"{parameter}_score"


def group_labels(spec: Spec, columns: Mapping[str, np.ndarray]) -> dict[str, list[str]]:
    """Return the groups of every pooled parameter's column, in the order of the table.

    Parameters
    ----------
    spec : Spec
    columns : mapping
        Holds the columns' labels, one a row.

    Returns
    -------
    dict of str to list of str
        By column.

    Raises
    ------
    InputError
        If a column is missing.
    """
    for name, column in spec.pooled.items():
        if column not in columns:
            raise InputError(f"model '{spec.name}' pools {name!r} over the column {column!r}, which the data "
                             f"lack{did_you_mean(column, columns)}")  # fmt: skip
    return {c: list(dict.fromkeys(map(str, columns[c]))) for c in dict.fromkeys(spec.pooled.values())}


def group_index(labels: list[str], column: np.ndarray) -> np.ndarray:
    """Return each row's group as its place in `labels`; −1 for a group that is not there."""
    place = {label: i for i, label in enumerate(labels)}
    return np.array([place.get(str(v), -1) for v in column], dtype=np.int64)


def score_sizes(spec: Spec, labels: Mapping[str, list[str]]) -> dict[str, int]:
    """Return the padded lengths of the latent vectors, by name."""
    return {score_name(n): _padded(len(labels[c])) for n, c in spec.pooled.items()}


def _padded(groups: int) -> int:
    return -(-groups // _STEP) * _STEP


def centring(labels: list[str], column: np.ndarray) -> np.ndarray:
    """Return how near to each group's own value NUTS walks, from 0 (its score) to 1; shape (padded groups,)."""
    rows = np.bincount(group_index(labels, column), minlength=_padded(len(labels)))
    return rows / (rows + _WORTH)


def directions(labels: list[str], column: np.ndarray, scatter: np.ndarray) -> np.ndarray:
    """Return the directions along which NUTS walks groups whose rows wander together.

    What moves all groups alike is known far worse than one group against the next, for the curve may
    wander instead; so is what moves small models' groups against large ones'.

    Parameters
    ----------
    labels, column
        As for `centring`.
    scatter : numpy.ndarray, shape (rows, rows)
        See `observation.Observation`.

    Returns
    -------
    numpy.ndarray, shape (padded groups, padded groups)
        Orthonormal, a row a direction.
    """
    of = np.eye(_padded(len(labels)))[group_index(labels, column)]
    return np.linalg.eigh(of.T @ np.linalg.solve(scatter, of))[1].T


def scores_from(
    spec: Spec, name: str, walk: Any, values: Mapping[str, Any], how: Mapping[str, Any], ops: Any
) -> tuple[Any, Any]:
    """Return groups' scores from where NUTS walks, and the logarithm of their slopes.

    Parameters
    ----------
    spec : Spec
    name : str
        A pooled parameter.
    walk : array, shape (groups,) or (draws, groups)
    values : mapping
        Scalars, or (draws, 1).
    how : mapping
        ``near`` from `centring`; ``along`` from `directions`, where there are such.
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
    parameter, near = spec.parameters[name], how["near"]
    middle = link_normal(parameter)[0] if parameter.prior_90 else 0.0
    away = _link(parameter.support, values[name], ops) - middle
    log_spread = ops.log(values[f"{name}_spread"])
    steps, log_step = _steps(spec, name, walk, log_spread, how, ops)
    return (steps - near * away) * ops.exp(-log_spread), log_step - log_spread


def walked_together(
    spec: Spec, name: str, walk: Any, values: Mapping[str, Any], how: Mapping[str, Any], ops: Any
) -> Any:
    """Return how far groups have walked together, on the link scale: there the law's own value follows them.

    Parameters
    ----------
    spec, name, walk, values, how, ops
        As for `scores_from`; only the spread of the values is used.

    Returns
    -------
    scalar
    """
    near = how["near"]
    steps, _ = _steps(spec, name, walk, ops.log(values[f"{name}_spread"]), how, ops)
    return (near * steps).sum() / (near**2).sum()


def _steps(
    spec: Spec, name: str, walk: Any, log_spread: Any, how: Mapping[str, Any], ops: Any
) -> tuple[Any, Any]:
    """Return groups' steps on the link scale, and the logarithm of what a step along the walk is worth."""
    known = spec.noise[f"{name}_spread"]
    usual = link_normal(known)[0] if known.fixed is None else np.log(known.fixed)
    if "along" in how:
        walk = ops.dot(walk, how["along"])
    log_step = how["near"] * usual + (1 - how["near"]) * log_spread
    return ops.exp(log_step) * walk, log_step


def _link(support: str, value: Any, ops: Any) -> Any:
    if support == "positive":
        return ops.log(value)
    return ops.log(value) - ops.log1p(-value) if support == "unit" else value


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
        The rows' labels; a column that is missing means one new group.
    rng : numpy.random.Generator, optional
        For new groups.

    Returns
    -------
    dict of str to numpy.ndarray, shape (draws, rows)
    """
    out = {}
    rows = max(len(v) for v in columns.values())
    for name, column in spec.pooled.items():
        given = np.asarray(columns.get(column, np.full(rows, "a new one"))).astype(str)
        seen = values[score_name(name)]
        index = group_index(labels[column], given)
        fresh = list(dict.fromkeys(given[index < 0]))
        if fresh:
            index = np.where(index < 0, len(labels[column]) + group_index(fresh, given), index)
            new = (rng or np.random.default_rng(0)).standard_normal((len(seen), len(fresh)))
            seen = np.concatenate([seen[:, : len(labels[column])], new], axis=1)
        out[name] = seen[:, index]
    return out
