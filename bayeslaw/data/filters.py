"""Keep the rows of a table that meet conditions, such as ``params>=1e9`` or ``model=a|b``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

from bayeslaw.core.check import Check
from bayeslaw.core.errors import did_you_mean
from bayeslaw.data.conditions import Condition, column_of, conditions
from bayeslaw.data.matching import meets
from bayeslaw.data.schema import row_numbers


def keep(
    frame: pd.DataFrame,
    where: str | Iterable[str | Condition] | None,
    rename: Mapping[str, str] | None = None,
    checks: list[Check] | None = None,
) -> pd.DataFrame:
    """Keep the rows that meet every condition.

    Parameters
    ----------
    frame : pandas.DataFrame
    where : str or iterable of str, optional
        Conditions ``column=value``, with ``= != < <= > >=``; ``column=a|b`` keeps either;
        ``column=`` and ``column!=`` (nothing behind) keep rows where the column is missing, or is
        not; ``row>5`` goes by the row's number in the table, from 1. See Notes.
    rename : mapping of str to str, optional
        Renames that were made; a condition may use either name.
    checks : list of Check, optional
        Takes a note on rows that were left out because a value is missing.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    InputError
        If a condition is malformed or names no column, ordering signs meet what is no number, or no
        row is left.

    Notes
    -----
    Ordering signs compare numbers, also those that a text spells, or dates (2024-01-31) where every
    value is one. ``=`` on text goes by letters; where no value is written so, by the number that is
    spelled. True and false, in any case, are 1 and 0 in a column of them. A missing value meets
    ``!=`` but neither ``=`` nor an ordering sign.
    """
    for condition in conditions(where):
        column = column_of(condition, frame, rename)
        if column is None:
            raise condition.refuse(
                f"no column {condition.column!r}{did_you_mean(condition.column, frame.columns, 'The table has')}"
            )
        values = frame[column] if column in frame else pd.Series(frame.index + 1, index=frame.index)
        kept = frame[meets(values, condition)]
        if kept.empty:
            held = list(dict.fromkeys(map(str, values)))
            shown = ", ".join(held[:8]) + (", …" if len(held) > 8 else "")
            raise condition.refuse(f"no row is left of {len(frame)}; the column holds {shown}.")
        missing = values.isna()
        if checks is not None and missing.any() and condition.sign not in ("=", "!="):
            checks.append(_missing(condition, values.index[missing]))
        frame = kept
    return frame


def _missing(condition: Condition, index: pd.Index) -> Check:
    message = (
        f"where {condition.text!r} left out {len(index)} row(s) whose {condition.column} is missing, which is neither "
        f"above nor below anything: {row_numbers(index)}; fill the values in to have the rows judged."
    )
    return Check("where-missing", "note", float(len(index)), message)
