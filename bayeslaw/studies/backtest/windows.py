"""Which rows a back-test fits, which it holds out, and which row is its target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from bayeslaw.core.errors import InputError, did_you_mean, listed, shown
from bayeslaw.data.windows import Window, growing_windows, left_out_groups, refuse_many, window_ends

_ORDERED_BY = ("step", "compute", "params")


def windows_of(
    data: xr.Dataset, along: str, windows: Any, leave_out: bool | None
) -> tuple[list[Window], bool]:
    """Return a back-test's windows, and whether they leave out groups."""
    groups = leave_out
    if groups is None:
        groups = isinstance(along, str) and along in data.variables and data[along].dtype.kind not in "iuf"
    if windows is not None:
        windows = listed("windows", windows, f"a list of values of {along!r}")
    if groups:
        every = {w.label: w for w in left_out_groups(data, along, every=windows is None)}
        chosen = [every[_label(w, every)] for w in (every if windows is None else windows)]
        refuse_many(along, len(chosen), "name fewer groups")
        return chosen, True
    return growing_windows(data, along, None if windows is None else window_ends(windows, along)), False


def _label(group: Any, known: Mapping[str, Window]) -> str:
    """Return the label of a group as the windows have it; a number may be written in any way."""
    for write in (str, lambda g: str(float(g)), lambda g: str(int(g))):
        try:
            if write(group) in known:
                return write(group)
        except (TypeError, ValueError, OverflowError):
            continue
    raise InputError(f"windows: no group {shown(group)}{did_you_mean(str(group), known)}")


def targets_of(
    data: xr.Dataset, along: str, windows: list[Window], target: float | None, groups: bool
) -> tuple[list[int], np.ndarray]:
    """Return each window's target row (-1: it is seen), and how many orders it lies ahead."""
    if groups:
        order = next((c for c in _ORDERED_BY if c != along and _is_order(data, c)), None)
        if order is None and target is not None:
            raise InputError(f"target: the rows of a group have no order; none of {', '.join(_ORDERED_BY)}.")
        values = np.arange(data.sizes["obs"]) if order is None else data[order].values
        return [_nearest(values, w.held, target) for w in windows], np.full(len(windows), np.nan)
    values = data[along].values
    row = _nearest(values, np.arange(len(values)), target)
    rows = [row if row in w.held else -1 for w in windows]
    if max(rows) < 0:
        raise InputError(
            f"target: every window sees {along} = {values[row]:g}, the value nearest to {target:g}; "
            f"allowed: values larger than {windows[0].end:g}."
        )
    with np.errstate(divide="ignore"):
        ahead = np.log10(values[row] / np.array([w.end for w in windows]))
    return rows, np.where(np.array(rows) < 0, np.nan, ahead)


def _is_order(data: xr.Dataset, name: str) -> bool:
    column = data.variables.get(name)
    return (
        column is not None
        and column.dims == ("obs",)
        and column.dtype.kind in "iuf"
        and bool(np.isfinite(column.values).all())
    )


def _nearest(values: np.ndarray, rows: np.ndarray, target: float | None) -> int:
    """Return the last of the rows that are nearest to the target, or that are largest."""
    away = -values[rows] if target is None else np.abs(values[rows] - target)
    return int(rows[np.flatnonzero(away == away.min())[-1]])
