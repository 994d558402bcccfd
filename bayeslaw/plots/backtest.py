"""Draw a back-test's scores: how far off the forecasts were, and how sure."""

from __future__ import annotations

from collections.abc import Callable

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from bayeslaw.plots.panels.backtests import (
    MARKS,
    backtest_caption,
    check_backtest,
    method_keys,
    name_groups,
    value_axis,
)
from bayeslaw.plots.style.look import COLOURS, GREY, STYLE
from bayeslaw.plots.style.texts import plain

_LOWEST_LOSS = -100.0
"""Below this, in nat per row, it does not matter how much worse a forecast is; dots stop there."""
_KEYS_OF_ERRORS = (
    Line2D([], [], color=GREY, marker="o", ms=5, label="error of the target"),
    Line2D([], [], color=GREY, marker="o", ms=5, ls="--", mfc="white", label="mean over held-out rows"),
)


def plot_backtest(bt: xr.Dataset) -> Figure:
    """Draw how far off the forecasts were, and how sure of it.

    Parameters
    ----------
    bt : xarray.Dataset
        As `backtest` returned it.

    Returns
    -------
    matplotlib.figure.Figure
        One colour per method. Left: relative error of the target and mean over the held-out rows. Middle:
        relative interval score. Right: joint log score per held-out row against the first method's.
        Growing windows: against the orders of magnitude to the target; groups: one row each.

    Raises
    ------
    InputError
        If `bt` is not a back-test.
    """
    check_backtest(bt, "plot_backtest")
    panels = (_draw_error, _draw_interval_score, _draw_log_score)
    groups = bool(bt.attrs["leave_out"])
    height = max(4.4, 1.8 + 0.3 * bt.sizes["window"]) if groups else 4.4
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(12.6, height), layout="constrained")
        axes = figure.subplots(1, 3, sharey=groups)
        for ax, draw in zip(axes, panels, strict=True):
            draw(ax, bt, _along_group if groups else _along_orders)
            if groups:
                name_groups(ax, bt)
            else:
                ax.set_xlabel(f"target / largest {plain(bt.attrs['along'])} seen (orders of magnitude)")
                ax.margins(x=0.06)
        keys = [*method_keys(bt), *_KEYS_OF_ERRORS]
        figure.legend(handles=keys, loc="outside right upper", handlelength=2.2)
        backtest_caption(figure, bt)
    return figure


def _along_orders(ax: Axes, bt: xr.Dataset, values: np.ndarray, order: int, **style) -> None:
    """Draw a line over the orders of magnitude ahead."""
    ax.plot(bt["orders_ahead"], values, marker=MARKS[order], ms=5, color=COLOURS[order], **style)


def _along_group(ax: Axes, bt: xr.Dataset, values: np.ndarray, order: int, **style) -> None:
    """Draw a dot for each group, methods a little apart."""
    count = bt.sizes["method"]
    at = np.arange(bt.sizes["window"]) + 0.5 * (order - (count - 1) / 2) / count
    style |= {"ls": "none"}
    ax.plot(values, at, marker=MARKS[order], ms=5, color=COLOURS[order], **style)


def _draw_error(ax: Axes, bt: xr.Dataset, draw: Callable) -> None:
    for order, name in enumerate(bt["method"].values):
        draw(ax, bt, 100 * bt["target_error"].sel({"method": name}), order)
        mean = 100 * bt["error"].sel({"method": name})
        draw(ax, bt, mean, order, ls="--", mfc="white")
    ax.set_ylabel("relative error of the median (%)")
    ax.set_title("how far off")
    _logarithmic(ax, bt)


def _draw_interval_score(ax: Axes, bt: xr.Dataset, draw: Callable) -> None:
    for order, name in enumerate(bt["method"].values):
        draw(ax, bt, bt["interval_score_relative"].sel({"method": name}), order)
    ax.set_ylabel("interval score of logarithms, 90 % (log)")
    ax.set_title("width and misses: lower is better")
    _logarithmic(ax, bt)


def _logarithmic(ax: Axes, bt: xr.Dataset) -> None:
    """Make the axis of values logarithmic, with enough plain numbers to read it by."""
    which = value_axis(bt)
    drawn = np.concatenate(
        [np.asarray(line.get_data()[which == "y"], dtype=float) for line in ax.get_lines()]
    )
    drawn = drawn[np.isfinite(drawn) & (drawn > 0)]
    if not len(drawn):
        return
    ax.set(**{f"{which}scale": "log"})
    axis = getattr(ax, f"{which}axis")
    ratio = drawn.max() / drawn.min()
    subs = (1,) if ratio > 300 else (1, 2, 5) if ratio > 6 else (1, 1.5, 2, 3, 5, 7)
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def _draw_log_score(ax: Axes, bt: xr.Dataset, draw: Callable) -> None:
    names = bt["method"].values
    per_row = bt["log_score_joint"] / bt["rows_held"]
    alone = len(names) == 1
    gains = per_row if alone else per_row - per_row.sel({"method": names[0]})
    for order, name in enumerate(names):
        draw(ax, bt, np.maximum(gains.sel({"method": name}), _LOWEST_LOSS), order)
    ax.set_ylabel(
        "joint log score per row (nat)" if alone else f"joint log score per row, less {names[0]}'s (nat)"
    )
    cut = float(gains.min()) < _LOWEST_LOSS
    ax.set_title("density: higher is better" + (f", cut at {_LOWEST_LOSS:g}" if cut else ""))
    if not alone and float(np.abs(gains).max()) > 5:
        ax.set(**{f"{value_axis(bt)}scale": "symlog"})
