"""Name and label parameters, and dress the matrix of all their pairs."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayeslaw.law.spec import Spec
from bayeslaw.plots.style.captions import head
from bayeslaw.plots.style.labels import unit_of
from bayeslaw.plots.style.texts import fitted, wrapped

SMALL = 8.5


def pair_name(values: xr.DataArray) -> str:
    """Return a parameter's name, or its log10's where it spans more than a factor of twenty."""
    seen = values.values[np.isfinite(values.values)]
    low, high = np.quantile(seen, [0.005, 0.995]) if len(seen) else (0.0, 0.0)
    return f"log10 {values.name}" if low > 0 and high / low > 20 else str(values.name)


def label_of(ax: Axes, spec: Spec, name: str) -> str:
    """Return a parameter's name and unit, in lines that fit below a panel."""
    unit = unit_of(spec, name.removeprefix("log10 "))
    return fitted(ax, f"{name} ({unit})", size=SMALL)


def dress_pairs(figure: Figure, spec: Spec, names: list[str], divergent: bool) -> None:
    """Name the axes with units, and thin out what a matrix of panels repeats."""
    count = len(names)
    axes = np.array(figure.axes[: count * count]).reshape(count, count)
    for row in range(count):
        for column in range(row + 1):
            ax = axes[row, column]
            ax.locator_params(nbins=4)
            ax.tick_params(labelsize=7, labelleft=column == 0 and row > 0, labelbottom=row == count - 1)
            ax.set_xlabel(pair_label(spec, names[column]) if row == count - 1 else "", fontsize=8)
            ax.set_ylabel(pair_label(spec, names[row]) if column == 0 and row > 0 else "", fontsize=8)
            if row == column:
                ax.set_yticks([])
            ax.tick_params(axis="x", labelrotation=30)
    axes[0, 0].set_ylabel("density", fontsize=8)
    head(figure, f"{spec.title}: posterior" + (", divergent draws in orange" if divergent else ""))
    figure.set_layout_engine("constrained")


def pair_label(spec: Spec, name: str) -> str:
    """Return a parameter's name over its unit, broken into short lines."""
    unit = unit_of(spec, name.removeprefix("log10 "))
    return f"{wrapped(name, 22)}\n{wrapped(f'({unit})', 22)}"
