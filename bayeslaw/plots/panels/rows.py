"""Draw the rows of a table, and say where they stand across and whose they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from bayeslaw.data.curves import needs_schedule
from bayeslaw.inference.fit import Fit
from bayeslaw.law.evaluate import used_inputs
from bayeslaw.law.spec import Spec
from bayeslaw.plots.style.look import GREY, INK
from bayeslaw.plots.style.texts import abridged, plain

_GRID = 120
LONGEST_NAME = 34
"""Letters of a run's name in a legend."""


def plain_inputs(spec: Spec) -> list[str]:
    """Return the inputs that are one number per row, by symbol."""
    return [n for n in used_inputs(spec) if not spec.inputs[n].function]


def groups_of(spec: Spec, columns: Mapping[str, Any], rows: int) -> list[dict[str, str]]:
    """Return the groups that each row or target names, by column; empty where it names none."""
    named = [c for c in spec.group_columns if c in columns]
    return [{c: str(np.asarray(columns[c])[i]) for c in named} for i in range(rows)]


def group_text(spec: Spec, group: Mapping[str, str]) -> str:
    """Say whose curve it is, where parameters are pooled over groups."""
    if group:
        return ", " + ", ".join(plain(abridged(label, LONGEST_NAME)) for label in group.values())
    new = [c for c in spec.group_columns if not (c == "run" and needs_schedule(spec))]
    return f", a new {plain(', '.join(new))}" if new else ""


def input_grid(fit: Fit, name: str, reach: Iterable[float] = ()) -> np.ndarray:
    """Return values of an input from end to end of the data, and on to what must be reached."""
    seen = np.concatenate(
        [fit.data[fit.spec.inputs[name].column].values, np.asarray(list(reach), dtype=float)]
    )
    return spread(seen.min(), seen.max(), _GRID)


def spread(low: float, high: float, count: int) -> np.ndarray:
    """Return values from end to end, and a little further, evenly spaced in the logarithm where there is one."""
    if low <= 0:
        return np.linspace(low, high, count)
    pad = (high / low) ** 0.03 if high > low else 1.2
    return np.geomspace(low / pad, high * pad, count)


def draw_rows(ax: Axes, fit: Fit, x: np.ndarray, **look: Any) -> None:
    """Draw rows at places across, with their sampling errors where there are any."""
    y, error = fit.data[fit.spec.output.name].values, fit.data["sampling_error"].values
    label = "data"
    if (error > 0).any():
        # A log axis has no place for what lies below zero.
        below = np.minimum(error, 0.95 * y) if fit.spec.output.scale == "log" else error
        ax.errorbar(x, y, (below, error), fmt="none", ecolor=GREY, elinewidth=0.8, zorder=3)
        label = f"{label} ± 1 s.e. of sampling"
    ax.scatter(x, y, s=14, zorder=4, lw=0, **(look or {"color": INK}))
    ax.scatter([], [], s=14, color=GREY if look else INK, lw=0, label=label)
