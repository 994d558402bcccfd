"""What a table must be like: rules for each column; what breaks one becomes a message with row, column and value."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from numbers import Number
from typing import Any, NoReturn

import numpy as np
import pandas as pd

from bayeslaw.core.errors import InputError, did_you_mean
from bayeslaw.data.frames import spells_number
from bayeslaw.data.sizes import ALLOWED, odd_sizes
from bayeslaw.law.spec import JOINT, LARGEST, TEXT

SHOWN = 3
"""How many offending rows a message names."""


@dataclass(frozen=True)
class Rule:
    """What the values of a column must be.

    Attributes
    ----------
    allowed : str
        In words, as the end of a message.
    holds : callable
        Column -> whether each of its values is so.
    """

    allowed: str
    holds: Callable[[pd.Series], pd.Series]


FINITE = Rule("finite numbers", lambda s: np.isfinite(s))
# Beyond 2^53 a float cannot tell a whole number from the next.
WHOLE = Rule("whole numbers below 2^53", lambda s: (s == np.floor(s)) & (s < 2**53))
POSITIVE = Rule("numbers greater than 0", lambda s: s > 0)
NOT_NEGATIVE = Rule("numbers, 0 or more", lambda s: s >= 0)
FRACTION = Rule("fractions from 0 to 1 (divide percents by 100)", lambda s: (s >= 0) & (s <= 1))
AT_LEAST_ONE = Rule("whole numbers, 1 or more", lambda s: s >= 1)
SIZED = Rule(ALLOWED, lambda s: ~odd_sizes(s))
NOT_HUGE = Rule(f"numbers up to {LARGEST:g}; check the unit", lambda s: s <= LARGEST)

COLUMNS: dict[str, tuple[Rule, ...]] = {
    "n": (WHOLE, AT_LEAST_ONE),
    "c": (WHOLE, NOT_NEGATIVE),
    "k": (WHOLE, AT_LEAST_ONE),
    "pass_at_k": (FRACTION,),
    "params": (POSITIVE,),
    "tokens": (POSITIVE,),
    "compute": (POSITIVE,),
    "gold_nll": (NOT_NEGATIVE,),
    "gold_mean_nll": (NOT_NEGATIVE,),
    "step": (WHOLE, NOT_NEGATIVE),
    "lr": (NOT_NEGATIVE,),
    "loss": (POSITIVE,),
    "sampling_error": (NOT_NEGATIVE,),
    "neg_log_pass_at_k": (NOT_NEGATIVE,),
}
"""What the known columns may hold, beside finite numbers; any other column that a law uses must be those."""


def check_columns(table: pd.DataFrame, names: Iterable[str], what: str = "table") -> pd.DataFrame:
    """Return the table with the named columns checked and cast.

    Parameters
    ----------
    table : pandas.DataFrame
    names : iterable of str
        Columns that must be there.
    what : str
        What to call the table in a message.

    Returns
    -------
    pandas.DataFrame
        A copy; numbers as float64, names as text.

    Raises
    ------
    InputError
        Naming row, column, value and what is allowed.
    """
    names = list(dict.fromkeys(names))
    for name in names:
        if name not in table.columns:
            raise InputError(
                f"{what}: no column {name!r}{did_you_mean(name, table.columns, f'The {what} has')}{_headless(table)} "
                f"Rename with rename={{'yours': '{name}'}} or --rename yours={name}."
            )
    if table.empty:
        raise InputError(f"{what}: it has no rows; give at least one (filters may have removed all).")
    refuse_missing(table, names, what)
    numeric = {name: _numbers_only(table, name, what) for name in names if name not in TEXT}
    given = table.assign(**numeric)
    texts = {name: table[name].astype(object).astype(str) for name in names if name in TEXT}
    cast = given.assign(**texts, **{name: given[name].astype(float) for name in numeric})
    for name in numeric:
        for rule in (FINITE, *COLUMNS.get(name, ()), _size(name)):
            holds = rule.holds(cast[name])
            if not holds.all():
                refuse(what, name, table.index[~holds], given[name], rule.allowed)
    return cast


def _size(name: str) -> Rule:
    """Return how large numbers of a column may be; an error that is nearly zero is as good as none."""
    return NOT_HUGE if name == "sampling_error" else SIZED


def check_counts(counts: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Return a table of counts, checked: c ≤ n, one row a problem, whole numbers.

    Parameters
    ----------
    counts : pandas.DataFrame
    by : sequence of str
        The columns that name a group: labels, or numbers.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    InputError
    """
    what = "table of counts"
    labels = [c for c in by if c in counts and not pd.api.types.is_numeric_dtype(counts[c])]
    counts = check_labels(counts, labels, what)
    known = [c for c in by if c not in labels or c in TEXT]
    counts = check_columns(counts, [*known, "problem", "n", "c"], what)
    check_successes(counts, what)
    check_unique(counts, list(dict.fromkeys([*by, "problem"])), what)
    return counts.astype({"n": np.int64, "c": np.int64})


def check_successes(counts: pd.DataFrame, what: str = "table") -> None:
    """Refuse rows with more successes than samples; ``n`` and ``c`` are checked columns."""
    over = counts["c"] > counts["n"]
    if over.any():
        found = "c = " + counts["c"].astype(int).astype(str) + ", n = " + counts["n"].astype(int).astype(str)
        refuse(what, "c", counts.index[over], found, "c ≤ n")


def check_labels(table: pd.DataFrame, columns: Iterable[str], what: str = "table") -> pd.DataFrame:
    """Refuse columns that do not name a group in every row.

    Parameters
    ----------
    table : pandas.DataFrame
    columns : iterable of str
    what : str

    Returns
    -------
    pandas.DataFrame
        A copy in which numbers are text where a column is one of names (``model``, ``difficulty``).

    Raises
    ------
    InputError
        If a column or a label is missing, or a column holds quantities.
    """
    for name in columns:
        if name not in table.columns:
            raise InputError(f"{what}: no column {name!r}, over whose groups a parameter is pooled"
                             f"{did_you_mean(name, table.columns)}")  # fmt: skip
        labels = table[name]
        missing = labels.isna() | (labels.astype(str).str.strip() == "")
        if missing.any():
            refuse(what, name, table.index[missing], labels, "a label in every row: it names the groups")
        if pd.api.types.is_numeric_dtype(labels):
            if name not in TEXT:
                shown = ", ".join(map(str, labels.unique()[:SHOWN]))
                raise InputError(f"{what}: column {name!r} holds numbers ({shown}), and names the groups of a pooled parameter: "
                                 f"allowed: text; write labels such as '{name} {labels.iloc[0]}'.")  # fmt: skip
            table = table.assign(**{name: labels.astype(str)})
        odd = table[name].astype(str).str.contains(JOINT, regex=False)
        if odd.any():
            refuse(what, name, table.index[odd], labels, "labels without the control character U+001F")
    return table


def check_several(table: pd.DataFrame, columns: Sequence[str], what: str = "table") -> None:
    """Refuse a table whose rows are all of one group: a combination of the columns' labels."""
    if len(table) and not table.duplicated(list(columns)).iloc[1:].all():
        return
    only = ", ".join(f"{c} = {table[c].iloc[0]}" for c in columns)
    raise InputError(f"{what}: all {len(table)} row(s) are of one group ({only}), and a parameter is pooled over groups: "
                     "it takes two or more; fit this one without pool.")  # fmt: skip


def check_unique(table: pd.DataFrame, keys: Sequence[str], what: str) -> None:
    """Refuse a table with two rows of one key.

    Parameters
    ----------
    table : pandas.DataFrame
    keys : sequence of str
    what : str

    Raises
    ------
    InputError
    """
    twice = table.duplicated(list(keys), keep=False)
    if twice.any():
        first = table.index[twice][0]
        key = ", ".join(
            f"{k} = {'(missing)' if pd.isna(table.at[first, k]) else table.at[first, k]}" for k in keys
        )
        group = table.groupby(list(keys), dropna=False, sort=False).ngroup()
        rows = row_numbers(table.index[group == group[first]])
        raise InputError(
            f"{what}: {rows} have the same key ({key}); each key stands once. "
            "Filter with where=[…] / --where, or add the column that tells them apart."
        )


def refuse_missing(table: pd.DataFrame, names: Iterable[str], what: str = "table") -> None:
    """Refuse missing values in the named columns.

    Parameters
    ----------
    table : pandas.DataFrame
    names : iterable of str
        Columns that are there.
    what : str

    Raises
    ------
    InputError
        Naming the first such column and its rows.
    """
    for name in names:
        if (missing := table[name].isna()).any():
            refuse(what, name, table.index[missing], table[name], "no missing values")


def numbers(values: pd.Series, spelled: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return what a column holds as numbers.

    Parameters
    ----------
    values : pandas.Series
        Of any type: numbers, nullable or not, objects, categories, text.
    spelled : bool
        Whether a text that spells a number is one.

    Returns
    -------
    found : numpy.ndarray of float, shape (rows,)
        NaN where a value is missing or no number.
    odd : numpy.ndarray of bool, shape (rows,)
        Where a value is neither.
    """
    missing = values.isna().to_numpy()
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_complex_dtype(values):
        return values.to_numpy(dtype=float, na_value=np.nan), np.zeros(len(values), dtype=bool)
    found = np.array([np.nan if m else _as_number(v, spelled) for v, m in zip(values, missing, strict=True)])
    return found.astype(float), np.isnan(found.astype(float)) & ~missing


def _as_number(value: Any, spelled: bool) -> float:
    """Return a number, or one that a text spells; NaN if it is neither."""
    if isinstance(value, str) and not (spelled and spells_number(value)):
        return np.nan
    if isinstance(value, bool | np.bool_ | complex) or not isinstance(value, Number | str):
        return np.nan
    return float(value)


def _headless(table: pd.DataFrame) -> str:
    """Return a hint where columns are called as values are."""
    odd = [name for name in table.columns if spells_number(name)]
    if 2 * len(odd) <= len(table.columns) or not odd:
        return ""
    return f" Columns are called {', '.join(map(str, odd[:3]))}: is the line of names missing?"


def _numbers_only(table: pd.DataFrame, name: str, what: str) -> pd.Series:
    """Return a column as numbers; refuse anything else, with what it seems to be."""
    column = table[name]
    found, odd = numbers(column, spelled=False)
    if not odd.any():
        return column if pd.api.types.is_numeric_dtype(column) else pd.Series(found, table.index)
    _, unspelled = numbers(column, spelled=True)
    if unspelled.any():
        value = column[unspelled].iloc[0]
        refuse(what, name, table.index[unspelled], column, "numbers" + _spelling(str(value)))
    refuse(
        what, name, table.index[odd], column,
        f"numbers; the column (type {column.dtype}) holds text that only looks like them: make numbers of it with "
        f"table[{name!r}] = pandas.to_numeric(table[{name!r}])",
    )  # fmt: skip


_SPELLINGS = {
    r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?": "written without thousands separators (or, if it is a decimal comma, with a point)",
    r"[+-]?\d{1,3}([ '\u00a0\u2009\u202f]\d{3})+([.,]\d*)?": "written without thousands separators",
    r"[+-]?\d{1,3}(\.\d{3})+(,\d*)?": "written without thousands separators and with a decimal point",
    r"[+-]?\d*,\d+([eE][+-]?\d+)?": "written with a decimal point, not a comma",
    r"[+-]?[\d.]+ ?[kKMBGTPE]": "written out, as in 70e6 for 70M",
    r"[+-]?[\d.]+ ?%": "as fractions, .12 for 12 %",
}
"""How people write numbers that a computer takes for text, and what to do about it."""


def _spelling(text: str) -> str:
    for pattern, advice in _SPELLINGS.items():
        if re.fullmatch(pattern, text.strip()):
            return f" {advice}"
    return ""


def row_numbers(index: Any) -> str:
    """Name rows as a spreadsheet does: the first data row is 1.

    Parameters
    ----------
    index : iterable of int or str

    Returns
    -------
    str
        ``"row 3"``, ``"rows 1, 2, 3 and 4 more"``.
    """
    shown = ", ".join(
        str(int(i) + 1) if isinstance(i, int | np.integer | float) else str(i) for i in list(index)[:SHOWN]
    )
    more = len(index) - SHOWN
    return f"row{'s' if len(index) > 1 else ''} {shown}" + (f" and {more} more" if more > 0 else "")


def refuse(what: str, column: str, index: Any, values: pd.Series, allowed: str) -> NoReturn:
    """Raise the one error of a table's values.

    Parameters
    ----------
    what : str
        What the table is called.
    column : str
    index : iterable
        The rows that hold what can't be used.
    values : pandas.Series
        The column's values; that of the first row is shown.
    allowed : str

    Raises
    ------
    InputError
    """
    first = next(iter(index))
    by = "take the row out" if what == "joined table" else "leave the row out with where=[…] / --where"
    raise InputError(
        f"{what}: column {column!r}, {row_numbers(index)}: found {values.loc[first]!s}, "
        f"allowed: {allowed}. Correct the table, or {by}."
    )
