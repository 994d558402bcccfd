"""Draw forecasts at targets: where they lie among the rows, and how far beyond them."""

from __future__ import annotations

import json

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke

from bayeslaw.forecasts.distance import orders_text
from bayeslaw.forecasts.mixture import Mixture, members
from bayeslaw.inference.fit import Fit
from bayeslaw.plots.panels.agreement import draw_observed_fitted
from bayeslaw.plots.panels.colour import draw_view, finish_view
from bayeslaw.plots.panels.fans import draw_fan, draw_laws, fans_of, measured_as
from bayeslaw.plots.panels.rows import draw_rows, group_text, groups_of, input_grid, plain_inputs
from bayeslaw.plots.panels.views import View
from bayeslaw.plots.style.labels import finish_input_axes
from bayeslaw.plots.style.look import COLOURS, GREY

TARGET = COLOURS[1]
_MOST_FANS = 4
_APART = 0.67
"""Inches between two distances that are written beside one another."""
NO_DISTANCE = 1e-9


def draw_target_forecast(ax: Axes, whole: Fit | Mixture, fc: xr.Dataset, name: str) -> None:
    """Draw data, the fan of each group up to its targets, and the targets, for a law of one input."""
    fit, _ = members(whole)[0]
    prob, named = fc.attrs["prob"], groups_of(fit.spec, fc, fc.sizes["target"])
    draw_rows(ax, fit, fit.data[fit.spec.inputs[name].column].values)
    groups = [dict(g) for g in dict.fromkeys(tuple(group.items()) for group in named)][:_MOST_FANS]
    grids = [
        input_grid(fit, name, [x for x, own in zip(fc[name].values, named, strict=True) if own == group])
        for group in groups
    ]
    places = [
        {name: grid} | {c: np.full(len(grid), label) for c, label in group.items()}
        for grid, group in zip(grids, groups, strict=True)
    ]
    for i, fan in enumerate(fans_of(whole, places, prob, samples=measured_as(fc))):
        told = group_text(fit.spec, groups[i])
        draw_fan(
            ax,
            grids[i],
            fan,
            prob,
            COLOURS[-i] if i else COLOURS[0],
            fit.is_posterior,
            told and f"curve: median{told}",
            i == 0,
        )
    if isinstance(whole, Mixture):
        draw_laws(ax, whole, grids[0], places[0], prob, json.loads(fc.attrs["weights"]))
    draw_targets(ax, fc, fc[name].values)
    finish_input_axes(ax, fit, name)
    mark_distance(ax, fc, fc[name].values, fit.data[fit.spec.inputs[name].column].values)


def draw_view_forecast(ax: Axes, whole: Fit | Mixture, fc: xr.Dataset, view: View) -> None:
    """Draw data, fans and targets of a law of two inputs: one across, the other as colour."""
    fit, _ = members(whole)[0]
    symbols = plain_inputs(fit.spec)
    targets = {n: fc[n].values for n in (*symbols, *fit.spec.group_columns) if n in fc.coords}
    scale = draw_view(ax, whole, view, fc.attrs["prob"], targets, measured_as(fc))
    at = view.across.of(targets)
    draw_targets(ax, fc, at, scale.to_rgba(view.colour.of(targets)))
    ends = [fc[q].sel(kind="run").values for q in ("lower", "upper")]
    finish_view(ax, fit, view, scale, np.concatenate([fit.data[fit.spec.output.name].values, *ends]))
    mark_distance(
        ax, fc, at, view.across.of({s: fit.data[fit.spec.inputs[s].column].values for s in symbols})
    )


def draw_targets(ax: Axes, fc: xr.Dataset, at: np.ndarray, colours: np.ndarray | str = "white") -> None:
    """Draw the interval of a run at each target."""
    middle, low, high = (fc[q].sel(kind="run").values for q in ("median", "lower", "upper"))
    with np.errstate(invalid="ignore"):  # a forecast may be no finite number
        ends = np.where(np.isfinite([low, high]), np.abs([middle - low, high - middle]), 0)
    label = f"target: run, {100 * fc.attrs['prob']:g} %"
    ax.errorbar(at, middle, ends, fmt="none", ecolor=TARGET, capsize=3, zorder=6)
    ax.errorbar([], [], [], fmt="D", ms=4.5, mfc="white", mec=TARGET, ecolor=TARGET, capsize=3, label=label)
    ax.scatter(at, middle, s=26, marker="D", c=colours, ec=TARGET, lw=1, zorder=7)


def mark_distance(ax: Axes, fc: xr.Dataset, at: np.ndarray, seen: np.ndarray) -> None:
    """Shade what lies beyond the rows across, and write each target's distance, the forecast's own number.

    A target may be far although it leaves the range of nothing that stands across. Where they stand too
    close the distances of those nearer to the rows are left out.
    """
    limits = ax.get_xlim()
    beyond = [(seen.max(), limits[1])] if at.max() > seen.max() else []
    beyond += [(limits[0], seen.min())] if at.min() < seen.min() else []
    for i, (left, right) in enumerate(beyond):
        ax.axvspan(left, right, color=GREY, alpha=0.08, lw=0, label=None if i else "beyond the data")
    ax.set_xlim(limits)
    orders, upper = fc["orders_beyond"].values, fc["upper"].sel(kind="run").values
    share = ax.transAxes.inverted().transform(ax.transData.transform(np.stack([at, upper], axis=1)))[:, 0]
    inches = share * ax.get_position().width * ax.get_figure().get_figwidth()
    written: list[int] = []
    for t in np.argsort(-orders, kind="stable"):
        apart = [abs(inches[t] - inches[other]) > _APART for other in written]
        if orders[t] > NO_DISTANCE and np.isfinite(upper[t]) and all(apart):
            written.append(int(t))
    for t in sorted(written):
        side = "right" if share[t] > 0.88 else "left" if share[t] < 0.12 else "center"
        aside = {"right": 8, "left": -8, "center": 0}[side]
        note = ax.annotate(
            f"+{orders_text(orders[t])} orders", (at[t], upper[t]), xytext=(aside, 5), ha=side,
            textcoords="offset points", fontsize=7.5, color=TARGET, zorder=8,
        )  # fmt: skip
        note.set_path_effects([withStroke(linewidth=2, foreground="white")])


def draw_fitted_forecast(ax: Axes, whole: Fit | Mixture, fc: xr.Dataset) -> None:
    """Draw observed against fitted, and the targets where they will lie if the fit is right."""
    fit, _ = members(whole)[0]
    draw_observed_fitted(ax, fit, fc.attrs["prob"])
    draw_targets(ax, fc, fc["median"].sel(kind="run").values)
