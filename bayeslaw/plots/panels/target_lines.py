"""Draw forecasts as lines of a table: a target's inputs, its interval, its numbers."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from bayeslaw.core.numbers import short
from bayeslaw.forecasts.distance import orders_text
from bayeslaw.forecasts.mixture import Mixture, members
from bayeslaw.inference.fit import Fit
from bayeslaw.plots.panels.rows import groups_of, plain_inputs
from bayeslaw.plots.panels.targets import NO_DISTANCE, TARGET
from bayeslaw.plots.style.labels import output_label
from bayeslaw.plots.style.texts import fitted, plain, wrapped

_MOST_LINES, _LINE_LETTERS = 24, 34
"""How many targets have a line of their own, and how many letters stand in one line of its label."""


def lines_height(whole: Fit | Mixture, fc: xr.Dataset) -> float:
    """Return how many inches a figure with a line for each target needs."""
    labels = _line_labels(members(whole)[0][0], fc)
    return 1.8 + 0.13 * sum(max(label.count("\n") + 1, 2) + 0.4 for label in labels.values())


def draw_target_lines(ax: Axes, whole: Fit | Mixture, fc: xr.Dataset) -> None:
    """Draw a line for each target, as in a table: its inputs on the left, its numbers and distance on the right."""
    fit, _ = members(whole)[0]
    labels, per = _line_labels(fit, fc), f"{100 * fc.attrs['prob']:g} %"
    shown, places = list(labels), -np.arange(len(labels))
    for kind, width, alpha in (("run", 1.3, 1.0), ("curve", 4.0, 0.4)):
        low, high = (fc[q].sel(kind=kind).values[shown] for q in ("lower", "upper"))
        ax.hlines(places, low, high, color=TARGET, lw=width, alpha=alpha, label=f"{kind}, {per}")
    middle = fc["median"].sel(kind="run").values[shown]
    ax.scatter(middle, places, s=26, marker="D", c="white", ec=TARGET, zorder=4, label="run: median")
    ax.set_yticks(places, labels.values(), fontsize=7)
    ax.set_ylim(-len(shown) + 0.4, 0.6)
    numbers = ax.secondary_yaxis("right")
    numbers.set_yticks(places, [_numbers(fc, t) for t in shown], fontsize=7)
    numbers.tick_params(length=0)
    numbers.spines["right"].set_visible(False)
    ax.set_xlabel(fitted(ax, output_label(fit)))
    ax.locator_params(axis="x", nbins=4)
    count = fc.sizes["target"]
    ax.set_ylabel("target" if len(shown) == count else f"target ({len(shown)} of {count})")


def _line_labels(fit: Fit, fc: xr.Dataset) -> dict[int, str]:
    """Return the inputs of each target that has a line, by its place."""
    count, symbols = fc.sizes["target"], plain_inputs(fit.spec)
    named = groups_of(fit.spec, fc, count)
    shown = np.unique(np.linspace(0, count - 1, min(count, _MOST_LINES)).round().astype(int))
    return {
        int(t): wrapped(
            ", ".join(
                [
                    *(f"{s}\u00a0=\u00a0{short(float(fc[s][t]))}" for s in symbols),
                    *map(plain, named[t].values()),
                ]
            ),
            _LINE_LETTERS,
        )
        for t in shown
    }


def _numbers(fc: xr.Dataset, target: int) -> str:
    """Write a target's median, interval and distance."""
    run = fc.sel(kind="run").isel(target=target)
    middle, low, high = (f"{float(run[q]):.4g}" for q in ("median", "lower", "upper"))
    orders = float(fc["orders_beyond"][target])
    away = f"\n+{orders_text(orders)} orders" if orders > NO_DISTANCE else ""
    return f"{middle} [{low}, {high}]{away}"
