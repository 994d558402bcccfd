"""What a table must be like, as schemas; violations become one message with row, column and value.

The schemas are pandera's; the sentences are ours, because a reader of "row 17, column 'c'" can act.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayeslaw.errors import InputError, did_you_mean
from bayeslaw.sizes import ALLOWED, odd_sizes
from bayeslaw.spec import LARGEST

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import pandera.pandas as pa

SHOWN = 3
"""How many offending rows a message names."""

_FINITE = pa.Check(lambda s: np.isfinite(s), error="finite numbers")
# Beyond 2^53 a float cannot tell a whole number from the next.
_WHOLE = pa.Check(lambda s: (s == np.floor(s)) & (s < 2**53), error="whole numbers below 2^53")


_SIZED = pa.Check(lambda s: ~odd_sizes(s), error=ALLOWED)
# An error that is nearly zero is as good as none.
_NOT_HUGE = pa.Check(lambda s: s <= LARGEST, error=f"numbers up to {LARGEST:g}; check the unit")


def _number(name: str) -> pa.Column:
    sized = _NOT_HUGE if name == "sampling_error" else _SIZED
    return pa.Column(float, [_FINITE, *COLUMNS.get(name, ()), sized], nullable=False, coerce=True)


def _text() -> pa.Column:
    return pa.Column(str, nullable=False, coerce=True)


POSITIVE = pa.Check(lambda s: s > 0, error="numbers greater than 0")
NOT_NEGATIVE = pa.Check(lambda s: s >= 0, error="numbers, 0 or more")
FRACTION = pa.Check(lambda s: (s >= 0) & (s <= 1), error="fractions from 0 to 1 (divide percents by 100)")
AT_LEAST_ONE = pa.Check(lambda s: s >= 1, error="whole numbers, 1 or more")

COLUMNS: dict[str, tuple[pa.Check, ...]] = {
    "n": (_WHOLE, AT_LEAST_ONE),
    "c": (_WHOLE, NOT_NEGATIVE),
    "k": (_WHOLE, AT_LEAST_ONE),
    "pass_at_k": (FRACTION,),
    "params": (POSITIVE,),
    "tokens": (POSITIVE,),
    "compute": (POSITIVE,),
    "gold_nll": (NOT_NEGATIVE,),
    "gold_mean_nll": (NOT_NEGATIVE,),
    "step": (_WHOLE, NOT_NEGATIVE),
    "lr": (NOT_NEGATIVE,),
    "loss": (POSITIVE,),
    "sampling_error": (NOT_NEGATIVE,),
    "neg_log_pass_at_k": (NOT_NEGATIVE,),
}
"""What the known columns may hold; any other column that a law uses must be finite numbers."""

_TEXT = ("model", "run", "benchmark", "problem", "difficulty")


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
                f"{what}: no column {name!r}{did_you_mean(name, table.columns)} "
                f"Rename with rename={{'yours': '{name}'}} or --rename yours={name}."
            )
    if table.empty:
        raise InputError(f"{what}: it has no rows; give at least one (filters may have removed all).")
    missing = table[names].isna()
    if missing.any(axis=None):
        column = missing.any().idxmax()
        _refuse(what, column, table.index[missing[column]], table[column], "no missing values")
    for name in names:
        if name not in _TEXT:
            _check_numeric(table, name, what)
    schema = pa.DataFrameSchema({n: _text() if n in _TEXT else _number(n) for n in names})
    return _run(schema, table, what)


def check_counts(counts: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Return a table of counts, checked: c ≤ n, one row a problem, whole numbers.

    Parameters
    ----------
    counts : pandas.DataFrame
    by : sequence of str
        The columns that name a group.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    InputError
    """
    counts = check_columns(counts, [*by, "problem", "n", "c"], "table of counts")
    over = counts["c"] > counts["n"]
    if over.any():
        found = "c = " + counts["c"].astype(int).astype(str) + ", n = " + counts["n"].astype(int).astype(str)
        _refuse("table of counts", "c", counts.index[over], found, "c ≤ n")
    check_unique(counts, [*by, "problem"], "table of counts")
    return counts.astype({"n": np.int64, "c": np.int64})


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
        key = ", ".join(f"{k} = {table.at[first, k]}" for k in keys)
        rows = _rows(table.index[(table[list(keys)] == table.loc[first, list(keys)]).all(axis=1)])
        raise InputError(
            f"{what}: {rows} have the same key ({key}); each key stands once. "
            "Filter with where=[…] / --where, or add the column that tells them apart."
        )


def _check_numeric(table: pd.DataFrame, name: str, what: str) -> None:
    column = table[name]
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_complex_dtype(column):
        return
    wrong = pd.to_numeric(column, errors="coerce").isna()
    rows = table.index[wrong] if wrong.any() else table.index[:1]
    _refuse(what, name, rows, column, "numbers")


def _run(schema: pa.DataFrameSchema, table: pd.DataFrame, what: str) -> pd.DataFrame:
    try:
        return schema.validate(table, lazy=True)
    except pa.errors.SchemaErrors as error:
        case = error.failure_cases.iloc[0]
        rows = error.failure_cases.query("column == @case.column and check == @case.check")["index"]
        _refuse(what, case["column"], rows, table[case["column"]], str(case["check"]))
    raise AssertionError


def _rows(index: Any) -> str:
    """Name rows as a spreadsheet does: the first data row is 1."""
    shown = ", ".join(
        str(int(i) + 1) if isinstance(i, int | np.integer | float) else str(i) for i in list(index)[:SHOWN]
    )
    more = len(index) - SHOWN
    return f"row{'s' if len(index) > 1 else ''} {shown}" + (f" and {more} more" if more > 0 else "")


def _refuse(what: str, column: str, index: Any, values: pd.Series, allowed: str) -> None:
    first = next(iter(index))
    raise InputError(
        f"{what}: column {column!r}, {_rows(index)}: found {values.loc[first]!s}, "
        f"allowed: {allowed}. Correct the table, or leave the row out with where=[…] / --where."
    )
