"""Draw what figures over windows of data share."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayeslaw.plots.style.axes import log_axis
from bayeslaw.plots.style.look import COLOURS, WIDE
from bayeslaw.plots.style.texts import fitted, plain

_COLUMNS = 3
TRAILING = COLOURS[0]


def window_grid(count: int) -> tuple[Figure, list[Axes]]:
    """Make a figure of small panels, three in a row."""
    rows = -(-count // _COLUMNS)
    figure = Figure(figsize=(WIDE, 2.6 * rows + 0.7), layout="constrained")
    axes = list(figure.subplots(rows, _COLUMNS, squeeze=False).ravel())
    for ax in axes[count:]:
        ax.set_axis_off()
    return figure, axes


def label_values(ax: Axes, name: str, unit: str, low: np.ndarray, high: np.ndarray) -> None:
    """Name the vertical axis after a parameter; logarithmic where its intervals span much."""
    seen = np.isfinite(low) & np.isfinite(high)
    ax.set_ylabel(fitted(ax, plain(f"{name} ({unit})"), "y"))
    if seen.any() and (low[seen] > 0).all() and high[seen].max() / low[seen].min() > 20:
        log_axis(ax, "y")
