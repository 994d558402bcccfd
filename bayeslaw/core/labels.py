"""Turn labels into text that a file can hold, and tell columns of numbers from columns of labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

MISSING = "(missing)"
"""What stands for a missing label. A missing number is NaN."""


def as_text(values: Any) -> np.ndarray:
    r"""Return labels as text.

    Parameters
    ----------
    values : pandas.Series or array
        Of any dtype.

    Returns
    -------
    numpy.ndarray of object
        Of the same shape: a str each, `MISSING` where there is no label. Dates have no time of day where all
        are at midnight. What is no Unicode is shown as ``\ud800``.
    """
    column = values if isinstance(values, pd.Series) else pd.Series(np.ravel(values))
    kinds = pd.api.types
    dated = kinds.is_datetime64_any_dtype(column) or kinds.is_timedelta64_dtype(column)
    texts = column.astype(str) if dated else column.astype(object)
    out = np.empty(len(column), dtype=object)
    out[:] = [MISSING if lost else visible(str(t)) for t, lost in zip(texts, column.isna(), strict=True)]
    return out.reshape(np.shape(values))


def visible(text: str) -> str:
    r"""Return a text with what is no Unicode (half of a surrogate pair) shown as ``\ud800``."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def visible_texts(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose texts are Unicode, see `visible`: pandas and xarray fail at any other."""
    frame = frame.copy(deep=False)
    for name in [n for n, dtype in frame.dtypes.items() if dtype.kind == "O"]:
        cells = list(frame[name])
        shown = [visible(cell) if isinstance(cell, str) else cell for cell in cells]
        if any(isinstance(old, str) and old != new for old, new in zip(cells, shown, strict=True)):
            frame[name] = pd.Series(shown, index=frame.index, dtype=object)
    return frame


def holds_numbers(column: pd.Series) -> bool:
    """Return whether a column holds real numbers or booleans, maybe missing ones; any other holds labels."""
    kinds = pd.api.types
    if isinstance(column.dtype, pd.CategoricalDtype) or kinds.is_complex_dtype(column):
        return False
    return kinds.is_numeric_dtype(column) or kinds.is_bool_dtype(column)


def can_be_called(name: object) -> bool:
    """Return whether a column of a dataset can have this name."""
    return (
        isinstance(name, str)
        and "/" not in name
        and name not in ("obs", "node", "")
        and visible(name) == name
    )
