"""Figures of stability: parameters over windows of data, the forecast from afar, and both over k."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator, StrMethodFormatter

from bayeslaw.core.errors import InputError
from bayeslaw.plots.style import (
    COLOURS,
    GREY,
    INK,
    STYLE,
    WIDE,
    figure_legend,
    fitted,
    foot,
    head,
    log_axis,
    plain,
)
from bayeslaw.studies.stability.study import unclean

_COLUMNS = 3
_TRAILING, _GROWING = COLOURS[0], COLOURS[1]


def plot_stability(st: xr.Dataset) -> Figure:
    """Draw how parameters and forecast depend on how much of the table is seen.

    Parameters
    ----------
    st : xarray.Dataset
        As `stability` returned it.

    Returns
    -------
    matplotlib.figure.Figure
        A panel a parameter: median and interval over trailing windows (how many orders they reach
        below the target) and growing ones (how many they end short of it); filled dots are resolved.
        The last panel is the growing windows' forecast of the target against what it turned out to be.

    Raises
    ------
    InputError
        If `st` is not what `stability` returned.
    """
    if not isinstance(st, xr.Dataset) or not {"window", "parameter"} <= set(st.dims) or "view" not in st:
        raise InputError("plot_stability(st): st must be what stability(…) returned.")
    names = [str(n) for n in st["parameter"].values]
    with mpl.rc_context(STYLE):
        figure, axes = _grid(len(names) + 1)
        for ax, name in zip(axes, names, strict=False):
            _draw_parameter(ax, st.sel(parameter=name))
        _draw_target(axes[len(names)], st)
        _caption(figure, st)
        figure_legend(figure, axes[: len(names) + 1])
    return figure


def plot_by_k(st: xr.Dataset) -> Figure:
    """Draw parameters and stable spans over k of pass@k.

    Parameters
    ----------
    st : xarray.Dataset
        As `stability_by_k` returned it.

    Returns
    -------
    matplotlib.figure.Figure
        A panel a parameter with its interval from all rows; the last two are spans in orders of
        magnitude and the number of rows that carry each point.

    Raises
    ------
    InputError
        If `st` has no dim k.
    """
    if not isinstance(st, xr.Dataset) or not {"k", "parameter"} <= set(st.dims):
        raise InputError("plot_by_k(st): st must be what stability_by_k(…) returned.")
    names = [str(n) for n in st["parameter"].values]
    with mpl.rc_context(STYLE):
        figure, axes = _grid(len(names) + 2)
        for ax, name in zip(axes, names, strict=False):
            one = st.sel(parameter=name)
            k, low, middle, high = (one[v].values for v in ("k", "lower", "median", "upper"))
            ax.fill_between(k, low, high, color=_TRAILING, alpha=0.25, lw=0)
            ax.plot(k, middle, "o-", ms=4, color=_TRAILING)
            _value_axis(ax, name, str(np.ravel(one["unit"].values)[0]), low, high)  # the same for every k
        _draw_spans(axes[len(names)], st, names)
        axes[len(names) + 1].plot(st["k"], st["rows"], "o-", ms=4, color=INK)
        axes[len(names) + 1].set_ylabel("rows that reach k (1)")
        axes[len(names) + 1].yaxis.set_major_locator(MaxNLocator(5, integer=True))
        for ax in axes[: len(names) + 2]:
            ax.set_xlabel("k of pass@k (samples)")
            _k_axis(ax, st["k"].values)
        head(figure, f"{st.attrs['title']}: over k")
        foot(figure, f"bands: {100 * st.attrs['prob']:g} % intervals from all rows", GREY)
    return figure


def _draw_spans(ax: Axes, st: xr.Dataset, names: list[str]) -> None:
    """Draw each parameter's stable span over k, larger marks behind smaller ones."""
    for i, name in enumerate(names):
        at = st["stable_orders"].sel(parameter=name).values
        known = "" if np.isfinite(at).any() else ": not resolved"
        size = np.interp(i, [0, max(len(names) - 1, 1)], [7, 3])
        style = ("-", "--", ":")[i // len(COLOURS) % 3]
        ax.plot(
            st["k"],
            at,
            marker="o",
            ls=style,
            ms=size,
            color=COLOURS[i % len(COLOURS)],
            label=plain(name + known),
        )
    ax.set_ylabel(fitted(ax, "stable span (orders; a gap: not resolved)", "y"))
    ax.set_ylim(-0.2, None)
    ax.legend(loc="lower left", bbox_to_anchor=(-0.2, 1.0), fontsize=7, ncols=2, columnspacing=0.8)


def _k_axis(ax: Axes, ks: np.ndarray) -> None:
    """Name the k that were looked at; of many the outer ones and some in between."""
    chosen = ks[np.unique(np.linspace(0, len(ks) - 1, min(len(ks), 6)).round().astype(int))]
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(FixedLocator(chosen))
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.xaxis.set_minor_locator(NullLocator())


def _grid(count: int) -> tuple[Figure, list[Axes]]:
    rows = -(-count // _COLUMNS)
    figure = Figure(figsize=(WIDE, 2.6 * rows + 0.7), layout="constrained")
    axes = list(figure.subplots(rows, _COLUMNS, squeeze=False).ravel())
    for ax in axes[count:]:
        ax.set_axis_off()
    return figure, axes


def _draw_parameter(ax: Axes, one: xr.Dataset) -> None:
    """Draw one parameter's intervals over both views."""
    for view, colour, label, apart in (
        ("trailing", _TRAILING, "trailing windows: from there to the target", -0.04),
        ("growing", _GROWING, "growing windows: all up to there", 0.04),
    ):
        here = one.isel(window=np.flatnonzero(one["view"].values == view))
        at, middle = here["orders"].values + apart, here["median"].values
        known = here["resolved"].values.astype(bool) if view == "trailing" else np.ones(len(at), dtype=bool)
        ends = middle - here["lower"].values, here["upper"].values - middle
        ax.errorbar(at, middle, np.maximum(ends, 0), fmt="none", ecolor=colour, elinewidth=1.1, alpha=0.6)
        ax.scatter(at[known], middle[known], s=20, color=colour, zorder=3, label=label)
        ax.scatter(at[~known], middle[~known], s=20, fc="white", ec=colour, zorder=3)
    reach = float(one["drift_at"])
    if np.isfinite(reach):
        ax.axvline(reach, color="#b00020", lw=0.9, ls=":", label="drifts from there on")
    ax.set_title(fitted(ax, plain(one["verdict"].values), size=8.5), fontsize=8.5)
    ax.set_xlabel("below the target (orders)")
    _value_axis(
        ax, str(one["parameter"].values), str(one["unit"].values), one["lower"].values, one["upper"].values
    )


def _value_axis(ax: Axes, name: str, unit: str, low: np.ndarray, high: np.ndarray) -> None:
    seen = np.isfinite(low) & np.isfinite(high)
    ax.set_ylabel(fitted(ax, plain(f"{name} ({unit})"), "y"))
    if seen.any() and (low[seen] > 0).all() and high[seen].max() / low[seen].min() > 20:
        log_axis(ax, "y")


def _draw_target(ax: Axes, st: xr.Dataset) -> None:
    """Draw what growing windows said of the target."""
    told = st.isel(window=np.flatnonzero(st["target_median"].notnull().values))
    middle = told["target_median"].values
    ends = middle - told["target_lower"].values, told["target_upper"].values - middle
    ax.errorbar(told["orders"], middle, ends, fmt="o", ms=4.5, color=_GROWING, elinewidth=1.1)
    ax.axhline(st.attrs["observed"], color=INK, lw=0.9, ls="--", label="what it turned out to be")
    ax.set_xlabel("below the target (orders)")
    ax.set_ylabel(fitted(ax, f"forecast of the target ({plain(st.attrs['units'])})", "y"))
    ax.set_title(f"known {st.attrs['early_orders']:.1f} orders ahead", fontsize=8.5)
    if len(middle) and told["target_lower"].values.min() > 0:
        log_axis(ax, "y")


def _caption(figure: Figure, st: xr.Dataset) -> None:
    """Write the verdict above the figure, and below it which fits are not clean."""
    head(figure, f"{st.attrs['title']} along {st.attrs['along']}: {st.attrs['law_verdict']}")
    bad = unclean(st)
    text = f"bars: {100 * st.attrs['prob']:g} % intervals; hollow: not resolved; orders: of magnitude; "
    text += f"{int(bad.sum())} of {bad.size} fits are not clean" if bad.any() else "fits: all clean"
    foot(figure, text, "#a85a00" if bad.any() else GREY)
