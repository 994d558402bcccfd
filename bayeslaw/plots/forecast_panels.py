"""Panels of forecasts: at targets, where they lie among the rows; along a schedule, and its end."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from bayeslaw.core.numbers import short
from bayeslaw.forecasts.distance import orders_text
from bayeslaw.forecasts.mixture import Mixture, members
from bayeslaw.inference.fit import Fit
from bayeslaw.plots.colour_panels import View, draw_view, finish_view
from bayeslaw.plots.panels import (
    LONGEST_NAME,
    Fan,
    draw_fan,
    draw_laws,
    draw_observed_fitted,
    draw_rows,
    fans_of,
    group_text,
    groups_of,
    input_grid,
    plain_inputs,
    runs_of,
)
from bayeslaw.plots.style import (
    COLOURS,
    GREY,
    INK,
    abridged,
    finish_input_axes,
    fitted,
    frame_values,
    output_label,
    plain,
    wrapped,
)

_TARGET = COLOURS[1]
_MOST_FANS = 4
_MOST_LINES, _LINE_LETTERS = 24, 34
"""So many targets have a line of their own, and so many letters stand in one line of its label."""
_APART = 0.67
"""Inches between two distances that are written beside one another."""
_END = 0.15
"""Share of a schedule's steps that its end is."""
_NAMED_RUNS = 6
"""Of more trained runs than this none has a colour of its own: there they are what the forecast is seen against."""
_POINTS, _END_POINTS = 2000, 60
"""Steps that are drawn: each is drawn from the posterior by itself, and many of them make a rough line."""
_ZERO = 1e-9


# ---- at targets


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
    for i, fan in enumerate(fans_of(whole, places, prob)):
        told = group_text(fit.spec, groups[i])
        draw_fan(
            ax,
            grids[i],
            fan,
            prob,
            COLOURS[-i] if i else COLOURS[0],
            fit.method,
            told and f"curve: median{told}",
            i == 0,
        )
    if isinstance(whole, Mixture):
        draw_laws(ax, whole, grids[0], places[0], prob)
    draw_targets(ax, fc, fc[name].values)
    finish_input_axes(ax, fit, name)
    mark_distance(ax, fc, fc[name].values, fit.data[fit.spec.inputs[name].column].values)


def draw_view_forecast(ax: Axes, whole: Fit | Mixture, fc: xr.Dataset, view: View) -> None:
    """Draw data, fans and targets of a law of two inputs: one across, the other as colour."""
    fit, _ = members(whole)[0]
    symbols = plain_inputs(fit.spec)
    targets = {n: fc[n].values for n in (*symbols, *fit.spec.group_columns) if n in fc.coords}
    scale = draw_view(ax, whole, view, fc.attrs["prob"], targets)
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
    ax.errorbar(at, middle, ends, fmt="none", ecolor=_TARGET, capsize=3, zorder=6)
    ax.errorbar([], [], [], fmt="D", ms=4.5, mfc="white", mec=_TARGET, ecolor=_TARGET, capsize=3, label=label)
    ax.scatter(at, middle, s=26, marker="D", c=colours, ec=_TARGET, lw=1, zorder=7)


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
        if orders[t] > _ZERO and np.isfinite(upper[t]) and all(apart):
            written.append(int(t))
    for t in sorted(written):
        side = "right" if share[t] > 0.88 else "left" if share[t] < 0.12 else "center"
        aside = {"right": 8, "left": -8, "center": 0}[side]
        note = ax.annotate(
            f"+{orders_text(orders[t])} orders", (at[t], upper[t]), xytext=(aside, 5), ha=side,
            textcoords="offset points", fontsize=7.5, color=_TARGET, zorder=8,
        )  # fmt: skip
        note.set_path_effects([withStroke(linewidth=2, foreground="white")])


def draw_fitted_forecast(ax: Axes, whole: Fit | Mixture, fc: xr.Dataset) -> None:
    """Draw observed against fitted, and the targets where they will lie if the fit is right."""
    fit, _ = members(whole)[0]
    draw_observed_fitted(ax, fit, fc.attrs["prob"])
    draw_targets(ax, fc, fc["median"].sel(kind="run").values)


def lines_height(whole: Fit | Mixture, fc: xr.Dataset) -> float:
    """Return how many inches a figure with a line a target needs."""
    labels = _line_labels(members(whole)[0][0], fc)
    return 1.8 + 0.13 * sum(max(label.count("\n") + 1, 2) + 0.4 for label in labels.values())


def draw_target_lines(ax: Axes, whole: Fit | Mixture, fc: xr.Dataset) -> None:
    """Draw a line a target, as in a table: its inputs on the left, its numbers and distance on the right."""
    fit, _ = members(whole)[0]
    labels, per = _line_labels(fit, fc), f"{100 * fc.attrs['prob']:g} %"
    shown, places = list(labels), -np.arange(len(labels))
    for kind, width, alpha in (("run", 1.3, 1.0), ("curve", 4.0, 0.4)):
        low, high = (fc[q].sel(kind=kind).values[shown] for q in ("lower", "upper"))
        ax.hlines(places, low, high, color=_TARGET, lw=width, alpha=alpha, label=f"{kind}, {per}")
    middle = fc["median"].sel(kind="run").values[shown]
    ax.scatter(middle, places, s=26, marker="D", c="white", ec=_TARGET, zorder=4, label="run: median")
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
    away = f"\n+{orders_text(orders)} orders" if orders > _ZERO else ""
    return f"{middle} [{low}, {high}]{away}"


# ---- along a schedule


def draw_schedule_forecast(axes: Sequence[Axes], fit: Fit, fc: xr.Dataset) -> None:
    """Draw the loss along a schedule above, the learning rates below it, and on the right the schedule's end."""
    top, bottom, end = axes
    prob, step, data = fc.attrs["prob"], fc["step"].values, fit.data
    seen, trained = data[fit.spec.output.name].values, data["step"].values
    _draw_trained(top, bottom, end, fit)
    kept = np.unique(np.linspace(0, len(step) - 1, min(len(step), _POINTS)).round().astype(int))
    fan = _fan_along(fc, kept)
    draw_fan(top, step[kept], fan, prob, COLOURS[0], fit.method, name="forecast: curve, median")
    bottom.plot(step[kept], fc["lr"].values[kept], color=COLOURS[0], lw=1.8)
    _shade_beyond(top, step, fc["orders_beyond"].values)
    top.set_ylabel(fitted(top, output_label(fit), "y"))
    frame_values(top, np.concatenate([seen, fan.line[step[kept] > trained.min()]]))
    bottom.set(xlabel="step (optimiser steps)", ylabel="learning rate\n(per step)")
    bottom.ticklabel_format(axis="y", style="sci", scilimits=(0, 0), useMathText=True)
    _draw_end(end, top, fit, fc)


def _draw_trained(top: Axes, bottom: Axes, end: Axes, fit: Fit) -> None:
    """Draw the trained runs: a colour each while they are few, in grey where they are many."""
    data, runs = fit.data, runs_of(fit.data)
    seen, many = data[fit.spec.output.name].values, len(runs) > _NAMED_RUNS
    for i, (name, rows) in enumerate(runs.items()):
        colour, x = GREY if many else COLOURS[i + 1], data["step"].values[rows]
        for ax in (top, end):
            size = 9 if len(rows) < 100 else 3
            ax.scatter(x, seen[rows], s=size, color=colour, alpha=0.7, lw=0)
        bottom.plot(x, data["lr"].values[rows], color=colour, lw=1, alpha=0.8)
        if not many or i == 0:
            told = f"{len(runs)} runs" if many else abridged(name, LONGEST_NAME)
            top.scatter([], [], s=14, color=colour, lw=0, label=f"trained: {told}")


def _fan_along(fc: xr.Dataset, at: np.ndarray) -> Fan:
    curve, run = (fc.sel(kind=kind).isel(step=at) for kind in ("curve", "run"))
    ends = ((k["lower"].values, k["upper"].values) for k in (curve, run))
    return Fan(curve["median"].values, *ends)


def _draw_end(ax: Axes, top: Axes, fit: Fit, fc: xr.Dataset) -> None:
    """Draw the last steps large, with the interval of a run at the last one and its numbers."""
    step, prob = fc["step"].values, fc.attrs["prob"]
    first = step[-1] - _END * (step[-1] - step[0])
    at = np.flatnonzero(step >= first) if (step >= first).sum() > 1 else np.arange(len(step))[-2:]
    at = at[np.unique(np.linspace(0, len(at) - 1, min(len(at), _END_POINTS)).round().astype(int))]
    fan = _fan_along(fc, at)
    draw_fan(ax, step[at], fan, prob, COLOURS[0], fit.method)
    middle, low, high = (float(fc[q].sel(kind="run")[-1]) for q in ("median", "lower", "upper"))
    if np.isfinite([middle, low, high]).all():
        ax.errorbar(step[-1], middle, [[middle - low], [high - middle]], fmt="D", ms=5, mfc="white", mec=_TARGET,
                    ecolor=_TARGET, capsize=4, zorder=6, clip_on=False)  # fmt: skip
    left, right = step[at[0]], step[-1]
    ax.set_xlim(left, right + 0.06 * max(right - left, 1))
    frame_values(ax, np.concatenate([fan.line, *fan.run]))
    shown, unit = f"{middle:.4g} [{low:.4g}, {high:.4g}]", plain(fit.spec.output.unit)
    ax.set_title(f"step {step[-1]}: {shown}\n{unit}, {100 * prob:g} % of a run", fontsize=9)
    ax.set_xlabel("step (optimiser steps)")
    ax.set_ylabel(fitted(ax, output_label(fit), "y"))
    ax.locator_params(axis="x", nbins=3)
    box = Rectangle(
        (left, ax.get_ylim()[0]),
        right - left,
        np.ptp(ax.get_ylim()),
        fill=False,
        ec=INK,
        lw=0.7,
        zorder=5,
        label="shown on the right",
    )
    top.add_patch(box)


def _shade_beyond(ax: Axes, step: np.ndarray, beyond: np.ndarray) -> None:
    """Shade the steps that lie beyond the data, if the schedule ends there."""
    if beyond[-1] <= 1e-6:
        return
    inside = np.flatnonzero(beyond <= 1e-6)
    first = step[inside[-1] + 1] if len(inside) else step[0]
    label = f"beyond the data: +{orders_text(beyond[-1])} orders"
    ax.axvspan(first, step[-1], color=GREY, alpha=0.08, lw=0, label=label)
