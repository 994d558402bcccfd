"""Figures of a back-test: how far off, how sure, and whether the intervals keep their promise."""

from __future__ import annotations

import textwrap
from collections.abc import Callable

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from bayeslaw.core.errors import InputError
from bayeslaw.plots.style import COLOURS, GREY, INK, STYLE, log_axis, plain

_MARKS = ("o", "s", "^")
_BINS = 10
_LOWEST_LOSS = -100.0
"""Below this, in nat a row, it does not matter how much worse a forecast is; dots stop there."""
_LONGEST_LABEL = 28
_LOGARITHMIC = 6.0
"""Targets' intervals that span more than this factor are drawn on a logarithmic axis."""
_KEYS_OF_TARGETS = (
    Line2D([], [], color=INK, lw=1.6, label="truth"),
    Line2D([], [], color=GREY, lw=3.6, label="50 % interval"),
    Line2D([], [], color=GREY, lw=1.3, label="90 % interval"),
    Line2D([], [], color=GREY, ls="none", marker="o", mfc="white", ms=6, label="truth outside 90 %"),
)
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
        A colour a method. Left: relative error of the target and mean over the held-out rows. Middle:
        relative interval score. Right: joint log score per held-out row against the first method's.
        Growing windows: against the orders of magnitude to the target; groups: a row a group.

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
                _name_groups(ax, bt)
            else:
                ax.set_xlabel(f"target / largest {plain(bt.attrs['along'])} seen (orders of magnitude)")
                ax.margins(x=0.06)
        keys = [*_method_keys(bt), *_KEYS_OF_ERRORS]
        figure.legend(handles=keys, loc="outside right upper", handlelength=2.2)
        _caption(figure, bt)
    return figure


def plot_backtest_targets(bt: xr.Dataset) -> Figure:
    """Draw what each window foretold of its target, against what the target turned out to be.

    Parameters
    ----------
    bt : xarray.Dataset
        As `backtest` returned it.

    Returns
    -------
    matplotlib.figure.Figure
        A colour a method: the 90 % interval, the 50 % interval thicker, the median; hollow where the
        truth lies outside its 90 %. A black line a window is the truth. Growing windows: over the
        orders of magnitude to the target; groups: a row a group.

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
        figure.legend(handles=[*_method_keys(bt), *_KEYS_OF_TARGETS], loc="outside right upper")
        _caption(figure, bt)
    return figure


def plot_reliability(bt: xr.Dataset) -> Figure:
    """Draw whether the intervals hold what they promise.

    Parameters
    ----------
    bt : xarray.Dataset
        As `backtest` returned it.

    Returns
    -------
    matplotlib.figure.Figure
        A column a method. Above: share of held-out rows inside the interval against its probability,
        mean over windows, with the range that the forecasts themselves expect; rows are foretold
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
        _caption(figure, bt)
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
            ax.plot(*xy, _MARKS[order], ms=6, color=COLOURS[order], mfc=fill, zorder=4)


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
        _name_groups(ax, bt)
    else:
        ax.set_xlabel(f"target / largest {plain(bt.attrs['along'])} seen (orders of magnitude)")
    if len(ends) and ends.min() > 0 and ends.max() / ends.min() > _LOGARITHMIC:
        log_axis(ax, _value_axis(bt))


def _method_keys(bt: xr.Dataset) -> list[Line2D]:
    looks = zip(bt["method"].values, COLOURS, _MARKS, strict=False)
    return [Line2D([], [], color=c, marker=m, ms=5, label=str(name)) for name, c, m in looks]


def check_backtest(bt: object, what: str) -> None:
    """Refuse what is no back-test; `what` is the public function that was called."""
    if not isinstance(bt, xr.Dataset) or not {"method", "window", "level"} <= set(bt.dims):
        raise InputError(f"{what}(bt): bt must be what backtest(…) returned.")


def _along_orders(ax: Axes, bt: xr.Dataset, values: np.ndarray, order: int, **style) -> None:
    """Draw a line over the orders of magnitude ahead."""
    ax.plot(bt["orders_ahead"], values, marker=_MARKS[order], ms=5, color=COLOURS[order], **style)


def _along_group(ax: Axes, bt: xr.Dataset, values: np.ndarray, order: int, **style) -> None:
    """Draw a dot a group, methods a little apart."""
    count = bt.sizes["method"]
    at = np.arange(bt.sizes["window"]) + 0.5 * (order - (count - 1) / 2) / count
    style |= {"ls": "none"}
    ax.plot(values, at, marker=_MARKS[order], ms=5, color=COLOURS[order], **style)


def _name_groups(ax: Axes, bt: xr.Dataset) -> None:
    labels = [plain(textwrap.shorten(str(w), _LONGEST_LABEL, placeholder="…")) for w in bt["window"].values]
    ax.set_yticks(np.arange(len(labels)), labels)
    ax.set_ylim(len(labels) - 0.4, -0.6)
    ax.set_xlabel(ax.get_ylabel())
    ax.set_ylabel(
        f"{plain(bt.attrs['along'])} left out (label)" if ax.get_subplotspec().is_first_col() else ""
    )


def _value_axis(bt: xr.Dataset) -> str:
    return "x" if bt.attrs["leave_out"] else "y"


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
    which = _value_axis(bt)
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
        "joint log score a row (nat)" if alone else f"joint log score a row, less {names[0]}'s (nat)"
    )
    cut = float(gains.min()) < _LOWEST_LOSS
    ax.set_title("density: higher is better" + (f", cut at {_LOWEST_LOSS:g}" if cut else ""))
    if not alone and float(np.abs(gains).max()) > 5:
        ax.set(**{f"{_value_axis(bt)}scale": "symlog"})


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


def _caption(figure: Figure, bt: xr.Dataset) -> None:
    """Write the law above the figure, and below it which fits are not clean."""
    what = "groups left out" if bt.attrs["leave_out"] else "growing windows"
    figure.suptitle(
        plain(f"{bt.attrs['title']}: back-test along {bt.attrs['along']}, {bt.sizes['window']} {what}"),
        x=0.01, ha="left", fontsize=10.5,
    )  # fmt: skip
    failed = bt["failed"].values != ""
    text = "fits: all clean"
    if failed.any():
        named = [
            f"{n} {int(bad.sum())}" for n, bad in zip(bt["method"].values, failed, strict=True) if bad.any()
        ]
        text = f"fits: {int(failed.sum())} of {failed.size} failed, or failed a check: {', '.join(named)}"
    figure.supxlabel(text, x=0.01, ha="left", fontsize=8, color="#b00020" if failed.any() else "#2b8a57")
