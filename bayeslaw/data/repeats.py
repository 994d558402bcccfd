"""Find rows that occur twice: refuse copies, and name an observation that occurs under two numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
import pandas as pd

from bayeslaw.core.check import Check
from bayeslaw.core.errors import InputError
from bayeslaw.data.schema import numbers, row_numbers

TOLERANCE = 1e-6
"""Numbers that differ by a smaller share than this are taken for one number that was rounded."""
_NAMES = ("benchmark", "model", "run")
_EXACT = ("seed", "step")
_COUNTER = re.compile(r"Unnamed: \d+|index|level_\d+")
_SHOWN = 3
_MANY = 20
_UNUSUAL = 1e-3
"""Steps that are so much nearer than a run's usually are were not logged on purpose."""


def refuse_copies(frame: pd.DataFrame, what: str = "table") -> None:
    """Refuse rows that are the same in every column.

    Parameters
    ----------
    frame : pandas.DataFrame
        A column that merely numbers the rows does not tell them apart.
    what : str

    Raises
    ------
    InputError
        Naming the rows, and how to say that they are repeated runs.
    """
    told = frame[[c for c in frame.columns if not _COUNTER.fullmatch(str(c))]]
    if not told.shape[1]:
        return
    # As written, where a column mixes kinds: pandas sorts what it hashes.
    told = told.apply(lambda column: column.map(repr) if column.dtype == object else column)
    marks = pd.util.hash_pandas_object(told, index=False)
    copies = marks.index[marks.duplicated()]
    if not len(copies):
        return
    same = row_numbers(marks.index[marks == marks[copies[0]]])
    more = len(set(marks[copies])) - 1
    shown = "|".join(str(i + 1) for i in copies[:_MANY])
    out = (
        "table.drop_duplicates()" if len(copies) > _MANY else f"where='row!={shown}' / --where 'row!={shown}'"
    )
    raise InputError(
        f"{what}: {same} are the same in every column{f' (and {more} more such set' + 's' * (more > 1) + ')' if more else ''}: an "
        f"observation that stands twice counts twice and narrows the interval. Take the copies out: {out}; or, if they "
        "are repeated runs, tell them apart by a column of labels, called run (rename={'yours': 'run'} / --rename yours=run)."
    )


def near_copies(frame: pd.DataFrame, covariates: Iterable[str], output: str) -> list[Check]:
    """Name observations that stand under numbers which differ by less than a millionth.

    Parameters
    ----------
    frame : pandas.DataFrame
        With a column ``model`` or ``run``, rows of one name (and benchmark, seed, step) are looked at;
        without, rows that are the same in all else.
    covariates : iterable of str
        Columns of numbers that tell observations apart.
    output : str
        The column that is predicted, if it is there.

    Returns
    -------
    list of Check
        None or one, at level ``warn``.
    """
    named = [c for c in _NAMES if c in frame]
    near = [c for c in dict.fromkeys(covariates) if c in frame and c not in (*_NAMES, "seed")]
    values = {c: numbers(frame[c], spelled=False)[0] for c in near}
    if {"model", "run"} & set(named):
        exact = [*named, *(c for c in _EXACT if c in frame)]
    else:
        values |= {c: numbers(frame[c], spelled=False)[0] for c in (output,) if c in frame}
        exact = [c for c in frame if c not in values and not _COUNTER.fullmatch(str(c))]
    if not values:
        return []
    same = [_rounded(c, frame[c]) for c in exact] + [
        pd.Series(_cluster(v), frame.index) for v in values.values()
    ]
    group = pd.util.hash_pandas_object(pd.concat(same, axis=1), index=False)
    table = pd.DataFrame(values, index=frame.index)
    apart = table.groupby(group.to_numpy()).nunique() > 1
    apart = apart[apart.any(axis=1)]
    if apart.empty:
        return []
    column = apart.columns[apart.iloc[0]][0]
    rows = table[column][group.to_numpy() == apart.index[0]]
    return [_near_check(frame, named, column, rows, len(apart))]


def _near_check(frame: pd.DataFrame, named: list[str], column: str, rows: pd.Series, count: int) -> Check:
    first = rows.drop_duplicates()
    written = " and ".join(f"{float(v)!r}" for v in first[:_SHOWN])
    key = next((c for c in ("model", "run") if c in named), None)
    who = f"{key} {str(frame.at[rows.index[0], key])!r}" if key else "an observation"
    others = f" ({count - 1} more like it)" if count > 1 else ""
    message = (
        f"{who} stands under numbers that differ by less than a millionth{others}: {column} is {written} in "
        f"{row_numbers(first.index)}; they count as {len(first)} observations, which narrows the interval. If it is one, "
        "write one number, or leave the other row out."
    )
    return Check("nearly-equal", "warn", float(count), message)


def _rounded(name: str, values: pd.Series) -> pd.Series:
    """Return a key; steps are whole, and near ones differ."""
    if name != "step":
        return values.astype(object).map(repr)
    return pd.Series(np.rint(numbers(values, spelled=True)[0]), values.index)


def _cluster(values: np.ndarray) -> np.ndarray:
    """Return each value's cluster: between two of them gaps are larger than the tolerance."""
    order = np.unique(values[np.isfinite(values)])
    size = np.maximum(np.abs(order[1:]), np.abs(order[:-1]))
    number = np.concatenate([[0], np.cumsum(np.diff(order) > TOLERANCE * size)])
    out = np.full(len(values), -1)
    finite = np.isfinite(values)
    out[finite] = number[np.searchsorted(order, values[finite])]
    return out


def near_steps(frame: pd.DataFrame) -> list[Check]:
    """Name logged steps of a run that lie far closer together than its others do.

    Parameters
    ----------
    frame : pandas.DataFrame
        Columns run and step.

    Returns
    -------
    list of Check
        None or one, at level ``warn``.
    """
    found = []
    for run, curve in frame.groupby("run", sort=False):
        steps = curve["step"].sort_values()
        gap = np.diff(steps)
        close = (gap <= TOLERANCE * steps.to_numpy()[1:]) & (
            gap < _UNUSUAL * np.median(gap) if len(gap) else False
        )
        found += [(run, *steps.iloc[i : i + 2], steps.index[i : i + 2]) for i in np.flatnonzero(close)]
    if not found:
        return []
    run, one, two, rows = found[0]
    others = f" ({len(found) - 1} more like them)" if len(found) > 1 else ""
    message = (
        f"run {run!r} was logged at step {one:.0f} and at {two:.0f} ({row_numbers(rows)}){others}, far closer than its other "
        "steps: if that is one step of which two logs keep count, leave one row out; it counts twice."
    )
    return [Check("nearly-equal", "warn", float(len(found)), message)]
