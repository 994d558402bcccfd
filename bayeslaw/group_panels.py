"""The panel of a fit over its only input, with a fan for each group where parameters are pooled."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from bayeslaw.axes import COLOURS, finish_input_axes, plain
from bayeslaw.membership import seen_groups
from bayeslaw.panels import draw_data, draw_fan, fan_of, input_grid
from bayeslaw.result import Fit

_FEW = 4
"""So many groups are drawn one by one."""


def draw_groups(ax: Axes, fit: Fit, name: str, prob: float) -> None:
    """Draw rows against the only input with the fan: one for each of a few groups, or that of a new group."""
    columns = fit.spec.group_columns if fit.method == "nuts" else ()
    groups, grid = seen_groups(fit, columns) if columns else [], input_grid(fit, name)
    if 1 < len(groups) <= _FEW:
        rows = zip(*(fit.data[c].values.astype(str).tolist() for c in columns), strict=True)
        draw_data(ax, fit, name, [COLOURS[groups.index(row)] for row in rows])
    else:
        draw_data(ax, fit, name)
        groups = [()]
    for i, group in enumerate(groups):
        labels = dict(zip(columns, group, strict=False))
        inputs = {name: grid, **{c: np.full(len(grid), v) for c, v in labels.items()}}
        told = plain(", ".join(group)) if group else f"a new {' and '.join(columns)}"
        fan = fan_of(fit, inputs, prob)
        draw_fan(
            ax, grid, fan, prob, COLOURS[i], fit.method, f"curve of {told}" if columns else "", label=i == 0
        )
    finish_input_axes(ax, fit, name)
