"""Draw stability over k: parameters and stable spans for each k of pass@k."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator, StrMethodFormatter

from bayeslaw.core.errors import InputError
from bayeslaw.plots.panels.windows import TRAILING, label_values, window_grid
from bayeslaw.plots.style.captions import foot, head
from bayeslaw.plots.style.look import COLOURS, GREY, INK, STYLE
from bayeslaw.plots.style.texts import fitted, plain


def plot_by_k(st: xr.Dataset) -> Figure:
    """Draw parameters and stable spans over k of pass@k.

    Parameters
    ----------
    st : xarray.Dataset
        As `stability_by_k` returned it.

    Returns
    -------
    matplotlib.figure.Figure
        One panel per parameter with its interval from all rows; the last two are spans in orders of
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
        figure, axes = window_grid(len(names) + 2)
        for ax, name in zip(axes, names, strict=False):
            one = st.sel(parameter=name)
            k, low, middle, high = (one[v].values for v in ("k", "lower", "median", "upper"))
            ax.fill_between(k, low, high, color=TRAILING, alpha=0.25, lw=0)
            ax.plot(k, middle, "o-", ms=4, color=TRAILING)
            label_values(ax, name, str(np.ravel(one["unit"].values)[0]), low, high)  # the same for every k
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
