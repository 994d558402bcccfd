"""Draw a fit over its only input, with a fan for each group where parameters are pooled."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from bayeslaw.forecasts.membership import seen_groups
from bayeslaw.inference.fit import Fit
from bayeslaw.plots.panels.fans import draw_fan, fans_of
from bayeslaw.plots.panels.rows import draw_rows, group_text, input_grid
from bayeslaw.plots.style.labels import finish_input_axes
from bayeslaw.plots.style.look import COLOURS

_FEW = 4
"""How many groups are drawn one by one."""


def draw_groups(ax: Axes, fit: Fit, name: str, prob: float) -> None:
    """Draw rows against the only input with the fan: one for each of a few groups, or that of a new group."""
    columns = fit.spec.group_columns if fit.is_posterior else ()
    groups, grid = seen_groups(fit, columns) if columns else [], input_grid(fit, name)
    x = fit.data[fit.spec.inputs[name].column].values
    if 1 < len(groups) <= _FEW:
        rows = zip(*(fit.data[c].values.astype(str).tolist() for c in columns), strict=True)
        draw_rows(ax, fit, x, color=[COLOURS[groups.index(row)] for row in rows])
    else:
        draw_rows(ax, fit, x)
        groups = [()]
    named = [dict(zip(columns, group, strict=False)) for group in groups]
    places = [{name: grid, **{c: np.full(len(grid), v) for c, v in one.items()}} for one in named]
    for i, fan in enumerate(fans_of(fit, places, prob)):
        told = group_text(fit.spec, named[i]) if columns else ""
        draw_fan(ax, grid, fan, prob, COLOURS[i], fit.is_posterior, told and f"curve: median{told}", i == 0)
    finish_input_axes(ax, fit, name)
