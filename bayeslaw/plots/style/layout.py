"""Lay out figures of one panel, of panels side by side, and of a grid of small ones."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayeslaw.plots.style.look import WIDE


def new_figure(
    panels: int, width: tuple[float, ...] | None = None, tall: float = 0.0
) -> tuple[Figure, list[Axes]]:
    """Make a figure with panels side by side, as wide as a page shows it in full size; `tall` in inches or more."""
    figure = Figure(figsize=(7.2 if panels == 1 else WIDE, max(4.6, tall)), layout="constrained")
    axes = figure.subplots(1, panels, squeeze=False, width_ratios=width)
    return figure, list(axes[0])


def panel_grid(count: int) -> tuple[Figure, list[Axes]]:
    """Make a figure of small panels for densities, at most four in a row."""
    columns = min(count, 4)
    rows = -(-count // columns)
    figure = Figure(figsize=(max(2.5 * columns, 4.5), 2.3 * rows + 0.5), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax in axes[count:]:
        ax.set_axis_off()
    for ax in axes[::columns]:
        ax.set_ylabel("density / its peak")
    return figure, list(axes[:count])


def run_grid(count: int) -> tuple[Figure, list[Axes]]:
    """Make a figure of small panels, one for each run."""
    columns = 3 if count <= 9 else 4
    rows = -(-count // columns)
    figure = Figure(figsize=(WIDE, 1.8 * rows + 0.9), layout="constrained")
    axes = figure.subplots(rows, columns).ravel()
    for ax in axes[count:]:
        ax.set_axis_off()
    return figure, list(axes[:count])
