"""Draw a back-test's targets: what was predicted, and what it turned out to be."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bayeslaw.plots.panels.backtests import (
    MARKS,
    backtest_caption,
    check_backtest,
    method_keys,
    name_groups,
    value_axis,
)
from bayeslaw.plots.style.axes import log_axis
from bayeslaw.plots.style.look import COLOURS, GREY, INK, STYLE
from bayeslaw.plots.style.texts import plain

_LOGARITHMIC = 6.0
"""Targets' intervals that span more than this factor are drawn on a logarithmic axis."""
_KEYS_OF_TARGETS = (
    Line2D([], [], color=INK, lw=1.6, label="truth"),
    Line2D([], [], color=GREY, lw=3.6, label="50 % interval"),
    Line2D([], [], color=GREY, lw=1.3, label="90 % interval"),
    Line2D([], [], color=GREY, ls="none", marker="o", mfc="white", ms=6, label="truth outside 90 %"),
)


def plot_backtest_targets(bt: xr.Dataset) -> Figure:
    """Draw what each window predicted for its target, against what the target turned out to be.

    Parameters
    ----------
    bt : xarray.Dataset
        As `backtest` returned it.

    Returns
    -------
    matplotlib.figure.Figure
        One colour per method: the 90 % interval, the 50 % interval thicker, the median; hollow where the
        truth lies outside its 90 %. The truth of each window is a black line. Growing windows: over the
        orders of magnitude to the target; groups: one row each.

    Raises
    ------
    InputError
        If `bt` is not a back-test.
    """
    check_backtest(bt, "plot_backtest_targets")
    groups = bool(bt.attrs["leave_out"])
    height = max(4.2, 1.8 + 0.3 * bt.sizes["window"]) if groups else 4.2
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.6, height), layout="constrained")
        ax = figure.subplots()
        at = np.arange(bt.sizes["window"]) if groups else bt["orders_ahead"].values
        _draw_targets(ax, bt, at)
        _target_axes(ax, bt)
        figure.legend(handles=[*method_keys(bt), *_KEYS_OF_TARGETS], loc="outside right upper")
        backtest_caption(figure, bt)
    return figure


def _draw_targets(ax: Axes, bt: xr.Dataset, at: np.ndarray) -> None:
    """Draw every window's truth and, methods a little apart, every method's intervals."""
    sideways = bool(bt.attrs["leave_out"])
    step = _smallest_step(at)
    lines = ax.vlines if sideways else ax.hlines
    truth = bt["target_observed"].values
    lines(truth, at - 0.4 * step, at + 0.4 * step, color=INK, lw=1.6)
    count = bt.sizes["method"]
    for order in range(count):
        one = bt.isel(method=order)
        own = at + 0.6 * step * (order - (count - 1) / 2) / count
        for prob, width in ((0.9, 1.3), (0.5, 3.6)):
            ends = (one[f"target_{end}"].sel(level=prob).values for end in ("lower", "upper"))
            (ax.hlines if sideways else ax.vlines)(own, *ends, color=COLOURS[order], lw=width, alpha=0.75)
        low, high = (one[f"target_{end}"].sel(level=0.9).values for end in ("lower", "upper"))
        middle = one["target_median"].values
        for mask, fill in (((truth >= low) & (truth <= high), COLOURS[order]), ((truth < low) | (truth > high), "white")):  # fmt: skip
            xy = (middle[mask], own[mask]) if sideways else (own[mask], middle[mask])
            ax.plot(*xy, MARKS[order], ms=6, color=COLOURS[order], mfc=fill, zorder=4)


def _smallest_step(at: np.ndarray) -> float:
    """Return the distance of the nearest two windows, within which methods stand side by side."""
    steps = np.diff(np.unique(at[np.isfinite(at)]))
    return float(steps.min()) if len(steps) else 1.0


def _target_axes(ax: Axes, bt: xr.Dataset) -> None:
    """Name the axes; values that span much are drawn on a logarithmic scale."""
    label = f"{str(bt.attrs['output']).replace('_', ' ')} of the target ({bt.attrs['units']})"
    ends = np.concatenate([bt[n].values.ravel() for n in ("target_lower", "target_upper", "target_observed")])
    ends = ends[np.isfinite(ends)]
    ax.set_ylabel(plain(label))
    if bt.attrs["leave_out"]:
        name_groups(ax, bt)
    else:
        ax.set_xlabel(f"target / largest {plain(bt.attrs['along'])} seen (orders of magnitude)")
    if len(ends) and ends.min() > 0 and ends.max() / ends.min() > _LOGARITHMIC:
        log_axis(ax, value_axis(bt))
