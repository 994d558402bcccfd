"""Join a second table's columns to the first one's rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bayeslaw.core.check import Check
from bayeslaw.core.errors import InputError, did_you_mean
from bayeslaw.data.columns import constant_columns
from bayeslaw.data.gold import GOLD, gold_covariates
from bayeslaw.data.repeats import TOLERANCE
from bayeslaw.data.schema import check_unique, numbers, refuse_missing
from bayeslaw.law.spec import TEXT

_OTHER = "joined table"
_PER_PROBLEM = ("problem", "gold_nll")


def join_tables(
    rows: pd.DataFrame,
    frame: pd.DataFrame,
    other: pd.DataFrame,
    on: str,
    gold: str | None,
) -> tuple[pd.DataFrame, pd.Series, list[Check]]:
    """Add a second table's columns to the first one's observations.

    Parameters
    ----------
    rows : pandas.DataFrame
        The observations.
    frame : pandas.DataFrame
        The table that they come from.
    other : pandas.DataFrame
        One row per value of `on`; or per-problem ``gold_nll``, which is averaged.
    on : str
        The column that both have. Numbers are compared as numbers.
    gold : str, optional
        One of `GOLD`.

    Returns
    -------
    rows : pandas.DataFrame
        Those with a partner. Where the first table lacks a value of a column that both have, it is the
        second one's.
    alone : pandas.Series
        The key of those without.
    checks : list of Check

    Raises
    ------
    InputError
        If a key is missing or stands twice, or a column that stands in both says different things.
    """
    if other.empty:
        raise InputError(f"{_OTHER}: it has no rows; give at least one.")
    for name, table in (("table", rows), (_OTHER, other)):
        if name == "table" and on not in rows and on in frame:
            raise InputError(
                f"join: a law's rows are observations, which have no {on!r}: counts are taken together over it; "
                f"put the columns into the table first, as in table.merge(other, on={on!r})."
            )
        if on not in table.columns:
            raise InputError(
                f"{name}: no column {on!r} to join on{did_you_mean(on, table.columns, f'The {name} has')}"
            )
        refuse_missing(frame if name == "table" and on in frame else table, [on], name)
    source = frame if on in frame else rows
    key, source_key, other_key = _keys(rows[on], source[on], other[on])
    checks: list[Check] = []
    other = other.assign(**{on: other_key})
    if set(_PER_PROBLEM) <= set(other.columns):
        named = source.assign(**{on: source_key})
        other, checks = _averaged(other[other_key.isin(key)], named, on, gold or GOLD[0])
    elif gold is not None:
        raise InputError(
            f"gold: found {gold!r}, but the joined table has no columns problem and gold_nll to average."
        )
    check_unique(other, [on], _OTHER)
    rows = rows.assign(**{on: key}) if on in TEXT else rows
    matched = key.isin(other[on])
    if not matched.any():
        raise InputError(
            f"join: no value of {on!r} stands in both tables; the first has {rows[on].iloc[0]!r}, "
            f"the second {other_key.iloc[0]!r}."
        )
    partner = other.set_index(on).loc[key[matched]].set_index(rows.index[matched])
    return _put_together(rows[matched], partner, on), rows.loc[~matched, on], checks


def _keys(*columns: pd.Series) -> list[pd.Series]:
    """Return keys as text; as numbers, however written, if one of the tables has them as numbers."""
    told = [numbers(column, spelled=True) for column in columns]
    as_numbers = any(pd.api.types.is_numeric_dtype(column) for column in columns)
    if as_numbers and not any(odd.any() for _, odd in told):
        return [
            pd.Series([f"{v:.17g}" for v in found], column.index)
            for column, (found, _) in zip(columns, told, strict=True)
        ]
    return [column.astype(str).str.strip() for column in columns]


def _averaged(
    other: pd.DataFrame, frame: pd.DataFrame, on: str, gold: str
) -> tuple[pd.DataFrame, list[Check]]:
    """Average gold solutions' likelihoods, and keep the columns that have a single value per key."""
    if "problem" in frame:
        ours, theirs = _keys(frame["problem"], other["problem"])
        frame, other = frame.assign(problem=ours), other.assign(problem=theirs)
    covariates, checks = gold_covariates(other, frame, on, gold)
    rest = constant_columns(other, [on], (*_PER_PROBLEM, *covariates.columns))
    return covariates.merge(rest, on=on), checks


def _put_together(rows: pd.DataFrame, partner: pd.DataFrame, on: str) -> pd.DataFrame:
    """Add the partner's columns; refuse those that contradict the rows'."""
    added = {}
    for name in partner.columns:
        if name in rows:
            _refuse_conflict(rows[on], rows[name], partner[name], on)
            gaps = rows[name].isna()
            if gaps.any() and partner[name].notna().any():
                added[name] = rows[name].where(~gaps, partner[name])
        else:
            added[name] = partner[name]
    return rows.assign(**added)


def refuse_gaps(rows: pd.DataFrame, other: pd.DataFrame, on: str, needed: Sequence[str]) -> None:
    """Refuse missing values in what was joined, naming their keys.

    Parameters
    ----------
    rows : pandas.DataFrame
        After the join.
    other : pandas.DataFrame
        The second table.
    on : str
    needed : sequence of str
        The columns that a law uses.

    Raises
    ------
    InputError
    """
    for name in needed:
        if name in other and name in rows and (missing := rows[name].isna()).any():
            more = f" and {missing.sum() - 1} more" if missing.sum() > 1 else ""
            raise InputError(
                f"{_OTHER}: column {name!r} has no value for {on} {rows.loc[missing, on].iloc[0]!r}{more}; add it, or leave "
                f"such rows out: where='{name}!=' / --where '{name}!='."
            )


def _refuse_conflict(key: pd.Series, one: pd.Series, two: pd.Series, on: str) -> None:
    (a, odd_a), (b, odd_b) = numbers(one, spelled=True), numbers(two, spelled=True)
    spoken = (one.notna() & two.notna()).to_numpy()
    with np.errstate(invalid="ignore"):
        near = np.abs(a - b) <= TOLERANCE * np.maximum(np.abs(a), np.abs(b))
    same = np.where(
        odd_a | odd_b, one.astype(str).str.strip() == two.astype(str).str.strip(), near | (a == b)
    )
    if (bad := spoken & ~same.astype(bool)).any():
        at = key.index[bad][0]
        more = f" (and for {bad.sum() - 1} more)" if bad.sum() > 1 else ""
        raise InputError(
            f"join: column {one.name!r} stands in both tables and says different things: for {on} {key[at]!r}{more} the first "
            f"has {one[at]!s}, the joined one {two[at]!s}; take it out of one of them, or give it another name there."
        )
