"""Set the scales and ticks of axes."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import (
    FixedLocator,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    NullLocator,
    StrMethodFormatter,
)

_FEW = 4


def log_axis(ax: Axes, which: str) -> None:
    """Make an axis logarithmic; plain numbers where powers of ten alone would leave it bare."""
    ax.set(**{f"{which}scale": "log"})
    axis = getattr(ax, f"{which}axis")
    low, high = axis.get_view_interval()
    if low > 1e-3 and high / low < 50 and high < 1e5:
        axis.set_major_locator(MaxNLocator(6) if high / low < 6 else LogLocator(subs=(1, 2, 3, 5)))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def few_ticks(low: float, high: float) -> np.ndarray:
    """Return at most four round numbers for a logarithmic scale: decades, or 1, 2 and 5 of each, or what there is."""
    decades = np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    for ticks in (
        10.0**decades,
        np.sort([f * 10.0**d for d in decades for f in (1, 2, 5)]),
        MaxNLocator(3).tick_values(low, high),
    ):
        inside = ticks[(ticks >= low * (1 - 1e-9)) & (ticks <= high * (1 + 1e-9))]
        if len(inside) >= _FEW - 1:
            break
    return inside[:: max(1, -(-len(inside) // _FEW))]


def few_log_ticks(ax: Axes, low: float, high: float) -> None:
    """Make the horizontal axis of a small panel logarithmic, with few ticks."""
    ax.set_xscale("log")
    ticks = few_ticks(low, high)
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_minor_locator(NullLocator())
    if len(ticks) and ticks[0] >= 1e-3 and ticks[-1] < 1e4:
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))


def frame_values(ax: Axes, values: np.ndarray) -> None:
    """Frame the output by what is to be seen: the first steps of a curve would squash the rest."""
    values = values[np.isfinite(values)]
    if not len(values):
        return
    low, high = values.min(), np.quantile(values, 0.97)
    high = values.max() if values.max() - low < 3 * (high - low) else high
    pad = 0.06 * (high - low)
    ax.set_ylim(low - pad, high + pad)
