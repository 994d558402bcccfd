"""Load a table from a file or a DataFrame, whatever it is made of, as plain columns."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd

from bayeslaw.core.errors import InputError, shown
from bayeslaw.core.files import as_path
from bayeslaw.core.labels import visible_texts
from bayeslaw.data.formats import read_file
from bayeslaw.data.frames import refuse_twins

OWN = ("outlying", "bent", "shared_by")
"""Columns that fits and curves write and that weigh or name rows; in a table they are those of another fit, and left out."""


def load_frame(table: str | Path | pd.DataFrame, what: str = "table") -> pd.DataFrame:
    """Read a table, or take one that was read.

    Parameters
    ----------
    table : path or pandas.DataFrame
        Parquet by its content or its suffix (.parquet, .pq), anything else as CSV in UTF-8, or as a
        byte-order mark says; gzip, bz2 and xz are unpacked. An index with names becomes columns.
    what : str
        What to call it in a message.

    Returns
    -------
    pandas.DataFrame
        With rows numbered from 0.

    Raises
    ------
    InputError
        If it is no table, or two columns have one name.
    """
    if isinstance(table, pd.DataFrame):
        frame = table
    elif isinstance(table, str | os.PathLike):
        frame = read_file(as_path(table, what))
    else:
        raise InputError(
            f"{what}: found {shown(table)}, allowed: a path to a CSV or Parquet file, or a pandas.DataFrame."
        )
    if frame.columns.nlevels > 1:
        raise InputError(
            f"{what}: its columns' names have several levels, allowed: one name a column; "
            "flatten them, as in table.columns = ['_'.join(map(str, c)) for c in table.columns]."
        )
    named = [name for name in frame.index.names if name is not None and name not in frame.columns]
    frame = (frame.reset_index(level=named) if named else frame).reset_index(drop=True)
    refuse_twins(list(frame.columns), what)
    frame = frame.drop(columns=list(OWN), errors="ignore")
    wide = [
        n for n, t in frame.dtypes.items() if isinstance(t, np.dtype) and t.kind == "f" and t.itemsize > 8
    ]
    frame = frame.astype(dict.fromkeys(wide, float))
    return visible_texts(frame.assign(**{c: frame[c].map(str, na_action="ignore") for c in _neither(frame)}))


def _neither(frame: pd.DataFrame) -> list[str]:
    """Return the columns that hold neither numbers nor names, such as lists: they become text."""
    return [name for name, values in frame.items() if isinstance(name, str) and _is_neither(values)]


def _is_neither(values: pd.Series) -> bool:
    kinds = pd.api.types
    if kinds.is_complex_dtype(values):
        return True
    if isinstance(values.dtype, pd.ArrowDtype):
        from pyarrow.types import is_nested

        return is_nested(values.dtype.pyarrow_dtype)
    return values.dtype == object and not all(kinds.is_scalar(v) for v in values)
