"""Partially pooled parameters: one value for each group, spread around the law's own on its link scale.

Groups deviate as spread × score with standard normal scores, one for each group; `walks` says how NUTS walks them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bayeslaw.core.errors import InputError, did_you_mean
from bayeslaw.law.spec import JOINT, Spec
from bayeslaw.law.types import Ops, Value, Values


def score_name(parameter: str) -> str:
    """Return the name of the latent vector of a pooled parameter's scores."""
    return f"{parameter}_score"


def group_labels(spec: Spec, columns: Mapping[str, np.ndarray]) -> dict[str, list[str]]:
    """Return the groups of every pooled parameter's column, in the order of the table.

    Parameters
    ----------
    spec : Spec
    columns : mapping
        Holds the columns' labels, one for each row, as `row_columns` returns them.

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
    found = ((c, row_groups(spec, c, columns)) for c in spec.pool_columns)
    return {c: list(dict.fromkeys(rows.tolist())) for c, rows in found if rows is not None}


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
    """Return the lengths of the latent vectors, by name."""
    return {score_name(n): len(labels[c]) for n, c in spec.pooled.items()}


def by_row(spec: Spec, values: Values, scores: Values, ops: Ops) -> dict[str, Value]:
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
        seen = values[score_name(name)]
        if given is None:  # whatever its label, it is none of those that were seen
            given, index = np.full(rows, "a new one"), np.full(rows, -1)
        else:
            index = group_index(labels[column], given)
        fresh = list(dict.fromkeys(given[index < 0]))
        if fresh:
            index = np.where(index < 0, len(labels[column]) + group_index(fresh, given), index)
            new = (rng or np.random.default_rng(0)).standard_normal((len(seen), len(fresh)))
            seen = np.concatenate([seen[:, : len(labels[column])], new], axis=1)
        out[name] = seen[:, index]
    return out
