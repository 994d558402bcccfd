"""Find the rows that meet a condition on numbers, dates, true and false, or text."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from datetime import date

import numpy as np
import pandas as pd

from bayeslaw.data.conditions import Condition
from bayeslaw.data.frames import spells_number
from bayeslaw.data.schema import numbers, row_numbers

_COMPARE: dict[str, Callable] = {
    "!=": operator.ne, "<=": operator.le, ">=": operator.ge, "=": operator.eq, "<": operator.lt, ">": operator.gt,
}  # fmt: skip
_WORDS = {"true": 1.0, "false": 0.0}
_NOTHING = ("nan", "none", "na", "null", "<na>")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ].*)?")


def meets(values: pd.Series, condition: Condition) -> np.ndarray:
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
