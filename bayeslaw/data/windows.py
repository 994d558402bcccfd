"""Cut a table into windows: what a fit sees, and what it must predict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from bayeslaw.core.errors import InputError, listed, shown
from bayeslaw.data.along import column_values, positive_values, steps_down

HALF_ORDER = 10**0.5
MOST_WINDOWS = 200
"""Each is a fit or several: more take days, and tell hardly more."""


@dataclass(frozen=True)
class Window:
    """Rows to fit and rows held out.

    Attributes
    ----------
    label : str
    end : float
        Largest value of the column that is seen; NaN for a group that is left out.
    seen, held : numpy.ndarray of int
        Rows of the table.
    """

    label: str
    end: float
    seen: np.ndarray
    held: np.ndarray


def growing_windows(
    data: xr.Dataset, along: str, ends: Sequence[float] | None = None, least: int = 5
) -> list[Window]:
    """Return windows that see everything up to a value of a column and predict everything larger.

    Parameters
    ----------
    data : xarray.Dataset
    along : str
        A numeric column, in any unit.
    ends : sequence of float, optional
        The largest value that each window sees; by default half orders of magnitude below the
        largest value of the column.
    least : int
        Windows that see fewer rows are left out.

    Returns
    -------
    list of Window
        From the smallest to the largest.

    Raises
    ------
    InputError
        If there is no such column, or no window is left.
    """
    values = positive_values(data, along)
    if ends is None:
        steps = steps_down(values.min(), values.max(), 0.5)
        refuse_many(along, steps, "give some largest values to be seen, windows=[…]")
        ends = [values.max() / HALF_ORDER**i for i in range(steps, 0, -1)]
    refuse_many(along, len(ends), "give fewer")
    out = []
    for end in sorted(float(e) for e in ends):
        seen = values <= end * (1 + 1e-12)
        if seen.sum() >= least and not seen.all():
            out.append(Window(f"{along} <= {end:.3g}", end, np.flatnonzero(seen), np.flatnonzero(~seen)))
    if not out:
        raise InputError(
            f"along {along!r}: no window sees at least {least} rows and leaves one out; give windows inside "
            f"{values.min():.3g} … {values.max():.3g}."
        )
    return out


def trailing_windows(
    data: xr.Dataset, along: str, every: float = 0.5, target: float | None = None, least: int = 3
) -> list[Window]:
    """Return windows that end at a target and reach further and further down.

    Parameters
    ----------
    data : xarray.Dataset
    along : str
        A column of positive numbers.
    every : float
        Orders of magnitude from one window's lower end to the next one's.
    target : float, optional
        The upper end, by default the column's largest value.
    least : int
        How many rows the longest must see.

    Returns
    -------
    list of Window
        From the shortest to the one that sees every row up to the target, short ones with few rows
        too; ``end`` is the smallest value that is seen, and ``held`` what lies outside.

    Raises
    ------
    InputError
        If there is no such column, or fewer than `least` rows up to the target.
    """
    values = positive_values(data, along)
    top = float(values.max() if target is None else target)
    below = values <= top * (1 + 1e-12)
    if below.sum() < least:
        raise InputError(
            f"along {along!r}: {below.sum()} rows up to {top:.3g}, at least {least} are needed; the column goes "
            f"from {values.min():.3g} to {values.max():.3g}."
        )
    steps = steps_down(values.min(), top, every)
    if steps > MOST_WINDOWS:
        least_step = (np.log10(top) - np.log10(values.min())) / MOST_WINDOWS
        refuse_many(along, steps, f"every={every:g} must be {least_step:.2g} or more")
    ends = [top / 10 ** (every * i) for i in range(1, steps)] + [float(values.min())]
    out = []
    for end in ends:
        seen = below & (values >= end * (1 - 1e-12))
        out.append(Window(f"{along} >= {end:.3g}", end, np.flatnonzero(seen), np.flatnonzero(~seen)))
    return out


def left_out_groups(data: xr.Dataset, along: str, least: int = 5, every: bool = True) -> list[Window]:
    """Return a window for each group of a column, which leaves that group out.

    Parameters
    ----------
    data : xarray.Dataset
    along : str
        A column of labels, or of a few numbers.
    least : int
        Windows that see fewer rows are left out.
    every : bool
        Whether all of them are to be fitted, or only some.

    Returns
    -------
    list of Window
        In the order of the table.

    Raises
    ------
    InputError
        If there is no such column, it has one group only, or too many.
    """
    labels = column_values(data, along)
    groups = list(dict.fromkeys(labels.tolist()))
    if every:
        refuse_many(along, len(groups), "name the groups to leave out, windows=[…]")
    out = []
    for group in groups:
        held = labels == group
        if len(labels) - held.sum() >= least:
            out.append(Window(f"{group}", np.nan, np.flatnonzero(~held), np.flatnonzero(held)))
    if len(groups) < 2 or not out:
        raise InputError(
            f"along {along!r}: leaving groups out needs two groups or more, and {least} rows that are left."
        )
    return out


def window_ends(windows: Sequence[Any], along: str) -> list[float]:
    """Return the largest values that windows see, as numbers.

    Parameters
    ----------
    windows : sequence
        As a user gave it.
    along : str
        The column, for the message.

    Returns
    -------
    list of float

    Raises
    ------
    InputError
        If it is no list of finite numbers.
    """
    allowed = f"numbers, values of {along!r}"
    try:
        ends = [float(end) for end in listed("windows", windows, f"a list of {allowed}")]
    except (TypeError, ValueError, OverflowError):
        ends = [np.nan]
    if not ends or not np.isfinite(ends).all():
        raise InputError(f"windows: found {shown(windows)}, allowed: {allowed}.")
    return ends


def refuse_many(along: str, count: float, advice: str) -> None:
    """Refuse more windows than anybody waits for.

    Parameters
    ----------
    along : str
        The column, for the message.
    count : int
    advice : str
        What to do.

    Raises
    ------
    InputError
    """
    if count > MOST_WINDOWS:
        raise InputError(
            f"along {along!r}: found {count:,} windows, each a fit or more, allowed: at most {MOST_WINDOWS}; {advice}."
        )
