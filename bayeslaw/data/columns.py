"""Rename a table's columns, and add those that follow from others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from bayeslaw.core.errors import InputError, did_you_mean
from bayeslaw.data.frames import refuse_twins
from bayeslaw.data.schema import check_columns, numbers

PASS_OUTPUTS = ("neg_log_pass_at_k", "pass_at_k")
"""Outputs that can be computed from counts or from a column ``pass_at_k``."""
_FACTORS = ("params", "tokens")
_FLOP_PER_PARAMETER_TOKEN = 6.0


def training_compute(
    params: pd.Series | np.ndarray, tokens: pd.Series | np.ndarray
) -> pd.Series | np.ndarray:
    """Return 6·N·D in FLOP, for float64 parameters and tokens; integers would overflow."""
    return _FLOP_PER_PARAMETER_TOKEN * params * tokens


def rename_columns(
    frames: Sequence[pd.DataFrame], rename: Mapping[str, str] | None, output: str = ""
) -> tuple[list[pd.DataFrame], dict[str, str]]:
    """Rename the columns of one table, or of two that will be joined.

    Parameters
    ----------
    frames : sequence of pandas.DataFrame
    rename : mapping of str to str, optional
        ``{"theirs": "ours"}``. A column that was called like one of ours makes room for it.
    output : str
        The column that a law predicts.

    Returns
    -------
    frames : list of pandas.DataFrame
        Each with the renames of columns that it has.
    late : dict of str to str
        The renames of columns that follow from others: ``compute``, and pass@k that is to be the
        output.

    Raises
    ------
    InputError
        If a name concerns no table, or two columns end up with one name.
    """
    rename = {} if rename is None else rename
    if not isinstance(rename, Mapping) or not all(isinstance(name, str) for name in rename.values()):
        raise InputError(f"rename: found {rename!r}, allowed: {{'theirs': 'ours'}}.")
    late = {a: b for a, b in rename.items() if a in PASS_OUTPUTS and b == output and _is_counted(frames[0])}
    renamed = []
    for frame in frames:
        own = {a: b for a, b in rename.items() if a in frame.columns and a not in late}
        room = [b for a, b in rename.items() if b in frame.columns and b not in rename]
        frame = frame.drop(columns=room).rename(columns=own)
        refuse_twins(list(frame.columns), "table")
        renamed.append(frame)
    theirs = [name for frame in frames for name in frame.columns]
    ours = [name for frame in renamed for name in frame.columns]
    for name in rename:
        if name == "compute" and name not in theirs and ("compute" in ours or all(factors(ours, rename))):
            late[name] = rename[name]
        elif name not in theirs and name not in late:
            follows = " compute would follow from params and tokens." if name == "compute" else ""
            raise InputError(
                f"rename: no column {name!r}{did_you_mean(name, theirs, 'The table has')}{follows}"
            )
    return renamed, late


def _is_counted(frame: pd.DataFrame) -> bool:
    return {"n", "c"} <= set(frame.columns) or "pass_at_k" in frame.columns


def factors(known: Iterable[str], rename: Mapping[str, str] | None) -> list[str]:
    """Return the columns of parameters and tokens, by either name; those that are not known are empty.

    Parameters
    ----------
    known : iterable of str
    rename : mapping of str to str, optional

    Returns
    -------
    list of str
        Of length two.
    """
    known, rename = list(known), rename or {}
    either = [(name, rename.get(name)) for name in _FACTORS]
    return [next((name for name in names if name in known), "") for names in either]


def with_compute(
    frame: pd.DataFrame, rename: Mapping[str, str] | None = None, asked: bool = False
) -> pd.DataFrame:
    """Add compute = 6·N·D to a table that has parameters and tokens, but no compute.

    Parameters
    ----------
    frame : pandas.DataFrame
    rename : mapping of str to str, optional
        Renames that were made.
    asked : bool
        Whether it is needed: parameters or tokens that are no numbers are then refused.

    Returns
    -------
    pandas.DataFrame
        ``compute`` is NaN where one of both is missing.

    Raises
    ------
    InputError
    """
    both = factors(frame.columns, rename)
    if "compute" in frame or not all(both):
        return frame
    values = []
    for name in both:
        found, odd = numbers(frame[name], spelled=False)
        if odd.any() and asked:
            check_columns(frame[odd], [name])
        if odd.any():
            return frame
        values.append(found)
    return frame.assign(compute=training_compute(*values))


def with_late(
    rows: pd.DataFrame, rename: Mapping[str, str] | None, late: Mapping[str, str], needed: Sequence[str]
) -> pd.DataFrame:
    """Add the columns that follow from others, and rename those that are asked for under another name.

    Parameters
    ----------
    rows : pandas.DataFrame
    rename : mapping of str to str, optional
        All renames.
    late : mapping of str to str
        Those still to be made.
    needed : sequence of str
        The columns that a law uses.

    Returns
    -------
    pandas.DataFrame
        ``compute`` keeps its name, too, where a law uses it under another.

    Raises
    ------
    InputError
    """
    also = (rename or {}).get("compute")
    if also in needed and also in rows and "compute" not in rows:
        rows = rows.assign(compute=rows[also])
    rows = with_compute(rows, rename, asked=bool({"compute", also} & set(needed)))
    if "compute" in late and "compute" in rows:
        rows = rows.assign(**{late["compute"]: rows["compute"]})
    return rows.rename(columns={a: b for a, b in late.items() if a in PASS_OUTPUTS})


def constant_columns(frame: pd.DataFrame, by: list[str], but: Iterable[str]) -> pd.DataFrame:
    """Return the other columns that have a single value per group, with one row per group.

    Parameters
    ----------
    frame : pandas.DataFrame
    by : list of str
        The columns that name a group.
    but : iterable of str
        Columns to leave out.

    Returns
    -------
    pandas.DataFrame
    """
    rest = [c for c in frame.columns if c not in (*by, *but)]
    groups = frame.groupby(by, sort=False)
    constant = [c for c in rest if (groups[c].nunique(dropna=False) <= 1).all()]
    return groups[constant].first().reset_index() if constant else frame[by].drop_duplicates()
