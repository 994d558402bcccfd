"""Draw a back-test's intervals: whether they hold what they promise."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayeslaw.plots.panels.backtests import backtest_caption, check_backtest
from bayeslaw.plots.style.look import COLOURS, GREY, INK, STYLE

_BINS = 10


def plot_reliability(bt: xr.Dataset) -> Figure:
    """Draw whether the intervals hold what they promise.

    Parameters
    ----------
    bt : xarray.Dataset
        As `backtest` returned it.

    Returns
    -------
    matplotlib.figure.Figure
        One column per method. Above: share of held-out rows inside the interval against its probability,
        mean over windows, with the range that the forecasts themselves expect; rows are predicted
        together, so that it is wide. Below: histogram of the PIT of all held-out rows.

    Raises
    ------
    InputError
        If `bt` is not a back-test.
    """
    check_backtest(bt, "plot_reliability")
    names = bt["method"].values
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(max(3.9 * len(names), 5.2), 6.4), layout="constrained")
        axes = figure.subplots(2, len(names), squeeze=False, sharey="row", height_ratios=(1.5, 1))
        for column, (name, colour) in enumerate(zip(names, COLOURS, strict=False)):
            _draw_coverage(axes[0, column], bt.sel({"method": name}), colour)
            _draw_pit(axes[1, column], bt["pit"].sel({"method": name}).values, colour)
            axes[0, column].set_title(str(name))
        for ax, label in zip(axes[:, 0], ("held-out rows inside (%)", "density (1)"), strict=True):
            ax.set_ylabel(label)
        axes[0, 0].legend(loc="lower right")
        backtest_caption(figure, bt)
    return figure


def _draw_coverage(ax: Axes, bt: xr.Dataset, colour: str) -> None:
    mean = bt[["coverage", "coverage_low", "coverage_high"]].mean("window")
    level = 100 * bt["level"].values
    low, high = 100 * mean["coverage_low"], 100 * mean["coverage_high"]
    ax.fill_between(level, low, high, color=GREY, alpha=0.25, lw=0, label="the forecasts' own range, 90 %")
    ax.plot([0, 100], [0, 100], color=INK, lw=0.8, ls=":", label="as promised")
    ax.plot(level, 100 * mean["coverage"], "o-", color=colour)
    ax.set(xlim=(45, 100), ylim=(0, 103), xticks=level, yticks=range(0, 101, 20))
    ax.set_xlabel("probability of the interval (%)")


def _draw_pit(ax: Axes, values: np.ndarray, colour: str) -> None:
    seen = values[np.isfinite(values)]
    if len(seen):
        ax.hist(seen, np.linspace(0, 1, _BINS + 1), density=True, color=colour, alpha=0.7, rwidth=0.94)
    ax.axhline(1, color=INK, lw=0.8, ls=":")
    ax.set(xlim=(0, 1))
    ax.set_xlabel("PIT of held-out rows (share)")
