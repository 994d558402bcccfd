"""Conditions that rows must meet, such as ``params>=1e9`` or ``model=a|b``."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from bayeslaw.core.check import Check
from bayeslaw.core.errors import InputError, did_you_mean, listed
from bayeslaw.data.frames import spells_number
from bayeslaw.data.schema import numbers, row_numbers

_COMPARE: dict[str, Callable] = {
    "!=": operator.ne, "<=": operator.le, ">=": operator.ge, "=": operator.eq, "<": operator.lt, ">": operator.gt,
}  # fmt: skip
_WORDS = {"true": 1.0, "false": 0.0}
_NOTHING = ("nan", "none", "na", "null", "<na>")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ].*)?")


@dataclass(frozen=True)
class Condition:
    """A condition as it was written, and its parts."""

    text: str
    column: str
    sign: str
    value: str

    def refuse(self, why: str) -> InputError:
        """Return the error that says why it can't be used."""
        return InputError(f"where {self.text!r}: {why}")


def conditions(where: str | Iterable[str | Condition] | None) -> list[Condition]:
    """Read conditions.

    Parameters
    ----------
    where : str or iterable of str, optional
        As of `keep`; what was read already is left as it is.

    Returns
    -------
    list of Condition

    Raises
    ------
    InputError
        If one is none.
    """
    allowed = "'column=value', or a list of such conditions"
    wanted = [where] if isinstance(where, str) else listed("where", () if where is None else where, allowed)
    out = []
    for text in wanted:
        if isinstance(text, Condition):
            out.append(text)
            continue
        match = re.fullmatch(r"\s*(.+?)\s*(!=|<=|>=|==|=|<|>)\s*(.*?)\s*", str(text), re.DOTALL)
        if not match:
            raise InputError(f"where: {text!r} is no condition; write column=value (also != < <= > >=).")
        condition = Condition(str(text), match[1], match[2].replace("==", "="), match[3])
        if condition.sign == "=" and condition.value[:1] in ("<", ">") and spells_number(condition.value[1:]):
            raise condition.refuse(f"write {condition.value[0]}=, not ={condition.value[0]}.")
        out.append(condition)
    return out


def column_of(condition: Condition, frame: pd.DataFrame, rename: Mapping[str, str] | None) -> str | None:
    """Return the column that a condition is about, by either name; None if there is none.

    Parameters
    ----------
    condition : Condition
    frame : pandas.DataFrame
    rename : mapping of str to str, optional
        Renames that were made, or will be.

    Returns
    -------
    str or None
        ``"row"``, where the table has no such column, is the row's number.
    """
    theirs = {ours: name for name, ours in (rename or {}).items()}
    names = (condition.column, (rename or {}).get(condition.column), theirs.get(condition.column))
    found = next((name for name in names if name in frame.columns), None)
    return "row" if found is None and condition.column == "row" else found


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
        kept = frame[_meets(values, condition)]
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


def _meets(values: pd.Series, condition: Condition) -> np.ndarray:
    """Return which rows meet a condition."""
    missing = values.isna().to_numpy()
    if condition.value == "":
        if condition.sign not in ("=", "!="):
            raise condition.refuse(f"a value must stand behind {condition.sign}.")
        return missing if condition.sign == "=" else ~missing
    if condition.sign not in ("=", "!="):
        if "|" in condition.value:
            raise condition.refuse("'|' goes with = and != only.")
        with np.errstate(invalid="ignore"):
            return _COMPARE[condition.sign](*_ordered(values, condition)) & ~missing
    wanted = [part.strip() for part in condition.value.split("|")]
    if nothing := [text for text in wanted if text.lower() in _NOTHING and missing.any()]:
        raise condition.refuse(
            f"a missing value is not called {nothing[0]}: write {condition.column}= or {condition.column}!= with nothing behind."
        )
    found = _equal(values, missing, wanted, condition) & ~missing
    return found if condition.sign == "=" else ~found


def _ordered(values: pd.Series, condition: Condition) -> tuple[np.ndarray, float | pd.Timestamp]:
    """Return a column as numbers or dates, and what to hold it against."""
    present = values[values.notna()]
    if pd.api.types.is_datetime64_any_dtype(values) or (len(present) and _are_dates(present)):
        return _dates(values), _date(condition.value, condition)
    words = _words(values)
    found, odd = (
        numbers(values, spelled=True) if words is None else (words, np.zeros(len(values), dtype=bool))
    )
    if odd.any():
        raise condition.refuse(
            f"{condition.sign} needs numbers, and {row_numbers(values.index[odd])} of column {condition.column!r} "
            f"{'hold' if odd.sum() > 1 else 'holds'} none: found {values[odd].iloc[0]!s}. "
            "Leave such rows out first with a condition of their own, or use = and !=."
        )
    return found, _wanted(condition.value, words is not None, condition)


def _wanted(text: str, words: bool, condition: Condition) -> float:
    if words and text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if not spells_number(text):
        kind = "true and false" if words else "numbers"
        raise condition.refuse(f"the column holds {kind}, found {text!r}.")
    return float(text)


def _equal(values: pd.Series, missing: np.ndarray, wanted: list[str], condition: Condition) -> np.ndarray:
    """Return which rows hold one of the wanted values."""
    if pd.api.types.is_datetime64_any_dtype(values):
        dates = _dates(values)
        return np.any([dates == _date(text, condition) for text in wanted], axis=0)
    words = _words(values)
    if words is not None:
        return np.isin(words, [_wanted(text, True, condition) for text in wanted])
    found, odd = numbers(values, spelled=False)
    if not odd.any() and not missing.all():
        if pd.api.types.is_integer_dtype(values.dtype) and not missing.any():
            found = values.to_numpy()  # exact beyond 2^53
        exact = [int(t) if re.fullmatch(r"[+-]?\d+", t) else _wanted(t, False, condition) for t in wanted]
        return np.any([found == value for value in exact], axis=0)
    return _same_text(values, wanted, condition)


def _same_text(values: pd.Series, wanted: list[str], condition: Condition) -> np.ndarray:
    """Compare letters; a number that nobody writes so is looked for as a number."""
    letters = np.array([str(value).strip() for value in values])
    met = np.isin(letters, wanted)
    spelled, _ = numbers(values, spelled=True)
    for text in wanted:
        same = spelled == float(text) if spells_number(text) else np.zeros(len(values), dtype=bool)
        others = list(dict.fromkeys(letters[same & ~met].tolist()))
        if others and text in letters:
            raise condition.refuse(
                f"column {condition.column!r} also holds {', '.join(map(repr, others[:3]))}, the same number written "
                f"otherwise; name every way that is meant, as in {text}|{others[0]}, or leave rows out by their number (row!=1)."
            )
        met = met | same
    return met


def _words(values: pd.Series) -> np.ndarray | None:
    """Return a column of true and false as 1 and 0, NaN where missing; None if it is none."""
    if pd.api.types.is_bool_dtype(values.dtype):
        return values.to_numpy(dtype=float, na_value=np.nan)
    present = values[values.notna()]
    if pd.api.types.is_numeric_dtype(values) or not len(present):
        return None
    told = present.map(lambda v: _WORDS.get(str(v).strip().lower(), np.nan)).astype(float)
    return None if told.isna().any() else told.reindex(values.index).to_numpy()


def _are_dates(present: pd.Series) -> bool:
    return all(isinstance(value, str | date) and _DATE.fullmatch(str(value).strip()) for value in present)


def _dates(values: pd.Series) -> np.ndarray:
    """Return dates without a time zone: in UTC where they have one."""
    if values.dtype.kind != "M":
        values = pd.Series([pd.NaT if pd.isna(v) else str(v).strip() for v in values], values.index)
    return pd.to_datetime(values, utc=True, format="ISO8601").dt.tz_localize(None).to_numpy()


def _date(text: str, condition: Condition) -> np.datetime64:
    try:
        return pd.to_datetime(text, utc=True, format="ISO8601").tz_localize(None).to_datetime64()
    except (ValueError, TypeError, OverflowError):
        raise condition.refuse(f"the column holds dates, found {text!r}; write 2024-01-31.") from None
