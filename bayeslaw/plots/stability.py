"""Draw stability: parameters over windows of data, and the forecast from afar."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayeslaw.core.errors import InputError
from bayeslaw.plots.panels.windows import TRAILING, label_values, window_grid
from bayeslaw.plots.style.axes import log_axis
from bayeslaw.plots.style.captions import foot, head
from bayeslaw.plots.style.legends import figure_legend
from bayeslaw.plots.style.look import COLOURS, GREY, INK, STYLE
from bayeslaw.plots.style.texts import fitted, plain
from bayeslaw.studies.stability.study import unclean

_GROWING = COLOURS[1]


def plot_stability(st: xr.Dataset) -> Figure:
    """Draw how parameters and forecast depend on how much of the table is seen.

    Parameters
    ----------
    st : xarray.Dataset
        As `stability` returned it.

    Returns
    -------
    matplotlib.figure.Figure
        One panel per parameter: median and interval over trailing windows (how many orders they reach
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
        figure, axes = window_grid(len(names) + 1)
        for ax, name in zip(axes, names, strict=False):
            _draw_parameter(ax, st.sel(parameter=name))
        _draw_target(axes[len(names)], st)
        _caption(figure, st)
        figure_legend(figure, axes[: len(names) + 1])
    return figure


def _draw_parameter(ax: Axes, one: xr.Dataset) -> None:
    """Draw one parameter's intervals over both views."""
    for view, colour, label, apart in (
        ("trailing", TRAILING, "trailing windows: from there to the target", -0.04),
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
    label_values(
        ax, str(one["parameter"].values), str(one["unit"].values), one["lower"].values, one["upper"].values
    )


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
