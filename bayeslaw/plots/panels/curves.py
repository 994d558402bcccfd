"""Draw loss curves against the step: all runs in one panel, or each in its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from bayeslaw.inference.fit import Fit
from bayeslaw.plots.panels.fans import draw_fan, fans_of
from bayeslaw.plots.panels.rows import LONGEST_NAME
from bayeslaw.plots.style.axes import frame_values
from bayeslaw.plots.style.labels import output_label
from bayeslaw.plots.style.look import COLOURS, INK
from bayeslaw.plots.style.texts import abridged, fitted, plain

MOST_TOGETHER = 4
"""How many runs' curves share a panel: more fans would hide one another and the data."""
MOST_PANELS = 24


def draw_curves(axes: Sequence[Axes], fit: Fit, prob: float) -> None:
    """Draw runs' data and fans against the step: all in one panel, or each in its own."""
    data, inputs = fit.data, fit.bound.rows.columns
    steps, seen = data["step"].values, data[fit.spec.output.name].values
    apart, rows, names = len(axes) > 1, runs_of(data), shown_runs(data)
    fans = fans_of(fit, [{n: v[rows[run]] for n, v in inputs.items()} for run in names], prob)
    some = f" ({len(names)} of {len(rows)} runs)" if len(names) < len(rows) else ""
    for i, (run, fan) in enumerate(zip(names, fans, strict=True)):
        ax, at, name = axes[i if apart else 0], rows[run], abridged(run, LONGEST_NAME)
        colour = COLOURS[0 if apart else i % len(COLOURS)]
        draw_fan(ax, steps[at], fan, prob, colour, fit.is_posterior, label=i == 0)
        if apart:  # dots lie below the line: they are many, and would hide it
            ax.scatter(steps[at], seen[at], s=7, color=INK, alpha=0.35, lw=0, zorder=1.5, label=f"data{some}")
            ax.set_title(fitted(ax, name, size=8), fontsize=8)
            ax.locator_params(nbins=4)
        else:
            size = 14 if len(at) < 100 else 4
            ax.scatter(steps[at], seen[at], s=size, color=colour, ec="white", lw=0.3, zorder=4)
            ax.scatter([], [], s=14, color=colour, lw=0, label=f"data: {name}")
        frame_values(ax, seen[at] if apart else seen)
        if not apart or ax.get_subplotspec().is_first_col():
            ax.set_ylabel(fitted(ax, output_label(fit), "y"))
        if not apart or i >= len(axes) - ax.get_subplotspec().get_gridspec().ncols:
            ax.set_xlabel("step (optimiser steps)")


def shown_runs(data: xr.Dataset) -> list[str]:
    """Return the runs that a figure has room for, evenly chosen where there are more."""
    runs = list(runs_of(data))
    chosen = np.linspace(0, len(runs) - 1, min(len(runs), MOST_PANELS)).round().astype(int)
    return [runs[i] for i in chosen]


def runs_of(data: xr.Dataset) -> dict[str, np.ndarray]:
    """Return each run's rows in the order of steps, by its label as figures can write it."""
    if "run" not in data.coords:
        return {"all rows": np.argsort(data["step"].values, kind="stable")}
    runs = data["run"].values.astype(str)
    steps = data["step"].values
    found = {run: np.flatnonzero(runs == run) for run in dict.fromkeys(runs)}
    return {plain(run): rows[np.argsort(steps[rows], kind="stable")] for run, rows in found.items()}
