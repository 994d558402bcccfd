"""Draw legends where they hide no data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayeslaw.plots.style.captions import TITLE
from bayeslaw.plots.style.texts import panel_inches, text_width

_GROWS = 1.25
"""How much wider than before the layout a panel is with all that stands beside it."""
_LEGEND: dict[str, Any] = {"columnspacing": 1.2, "handlelength": 1.6}


def legends(axes: Sequence[Axes]) -> None:
    """Draw each panel's legend above it, where it hides no data, in as many columns as its texts allow."""
    for ax in axes:
        handles, labels = ax.get_legend_handles_labels()
        if labels:
            columns = _legend_columns(labels, _GROWS * panel_inches(ax)[0])
            ax.legend(
                handles, labels, loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=columns, **_LEGEND
            )


def figure_legend(figure: Figure, axes: Iterable[Axes]) -> None:
    """Draw one legend for all panels, below the figure's title if it has one by now."""
    handles: dict[str, Any] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    columns = _legend_columns(list(handles), figure.get_figwidth())
    title, look = figure.get_suptitle(), {"ncols": columns, **_LEGEND}
    if not title:
        figure.legend(handles.values(), handles, loc="outside upper left", **look)
        return
    # The layout would give title and legend one place, so they get a strip of their own above it.
    high, rows = figure.get_figheight(), -(-len(handles) // columns)
    below = (1.25 * TITLE * (title.count("\n") + 1) + 8) / 72 / high
    strip = below + (14 * rows + 10) / 72 / high
    figure.suptitle(title, x=0.01, y=1 - 4 / 72 / high, ha="left", fontsize=TITLE).set_in_layout(False)
    figure.legend(handles.values(), handles, loc="upper left", bbox_to_anchor=(0, 1 - below), **look)
    figure.get_layout_engine().set(rect=(0, 0, 1, 1 - strip))


def _legend_columns(labels: list[str], width: float) -> int:
    """Return how many columns of the longest label fit into a width in inches; at most four."""
    one = max(text_width(label, 8) for label in labels) + 0.42
    return int(np.clip(width / one, 1, min(4, len(labels))))
