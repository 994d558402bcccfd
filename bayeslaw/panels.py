"""The panels that figures are made of: each draws one thing on one axes."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayeslaw.axes import (
    COLOURS,
    GREY,
    INK,
    MARK,
    finish_input_axes,
    frame_values,
    label_input,
    log_axis,
    output_label,
    plain,
    residual_unit,
    unit_of,
)
from bayeslaw.curves import needs_schedule
from bayeslaw.distance import orders_text
from bayeslaw.forecasting import predictor
from bayeslaw.intervals import over_draws
from bayeslaw.law import row_columns, to_scale, used_inputs
from bayeslaw.mixture import Mixture, members, mixed
from bayeslaw.observation import to_output
from bayeslaw.result import Fit, fit_values, law_on_scale
from bayeslaw.spec import LARGEST, Spec

_GRID = 120
_REPEATED = 10_000
_FAN_VALUES = 4_000_000


@dataclass(frozen=True)
class Fan:
    """A line and the intervals of ``curve`` and ``run`` around it, in the output's unit, shape (rows,)."""

    line: np.ndarray
    curve: tuple[np.ndarray, np.ndarray]
    run: tuple[np.ndarray, np.ndarray]


def fan_of(fit: Fit | Mixture, inputs: Mapping[str, np.ndarray], prob: float, seed: int = 0) -> Fan:
    """Compute line and intervals at inputs by symbol, without evaluation noise."""
    fits, weights = zip(*members(fit), strict=True)
    spec = fits[0].spec
    draw = mixed([_draw_fan(one, inputs, seed) for one in fits], weights)
    at = [(1 - prob) / 2, 0.5, (1 + prob) / 2]
    with np.errstate(all="ignore"):
        curve, run = (over_draws(d, np.isfinite(d), at)[1] for d in (draw["curve"], draw["run"]))
        line = law_on_scale(spec, point_values(fits[0]), inputs) if fits[0].method == "map" else curve[1]
        line = np.broadcast_to(line, len(curve[1]))
        line, *ends = (drawable(to_output(spec, v)) for v in (line, curve[0], curve[2], run[0], run[2]))
    return Fan(line, (ends[0], ends[1]), (ends[2], ends[3]))


def drawable(values: np.ndarray) -> np.ndarray:
    """Return values that an axis can place, NaN for all others."""
    with np.errstate(invalid="ignore"):
        return np.where(np.abs(values) <= LARGEST, values, np.nan)


def _draw_fan(fit: Fit, inputs: Mapping[str, np.ndarray], seed: int) -> dict[str, np.ndarray]:
    """Draw one law's ``curve`` and ``run`` at inputs, shape (draws, rows)."""
    rows = len(next(iter(inputs.values())))
    size = fit.draws.sizes.get("chain", 1) * fit.draws.sizes[list(fit.draws.dims)[-1]]
    thin = max(1, size * rows // _FAN_VALUES)
    values = fit_values(fit, thin)
    if not size:  # a point fit without a bootstrap: the law is one line
        thin, values = 1, {n: np.full((1, 1), v) for n, v in point_values(fit).items()}
    if fit.method == "map":  # few resamples: repeated, so that the residuals' quantiles are smooth
        repeats = min(_REPEATED // max(size, 1) + 1, _FAN_VALUES // max(size * rows, 1) + 1)
        values = {n: np.tile(v, (repeats, 1)) for n, v in values.items() if np.ndim(v)}
    given = {**inputs, "sampling_error": np.zeros(rows)}
    drawn = predictor(fit, thin)(values, given, np.random.default_rng(seed))
    return {kind: np.atleast_2d(drawn[kind]) for kind in ("curve", "run")}


def point_values(fit: Fit) -> dict[str, float]:
    """Return the sampled parameters of a point fit."""
    point = fit.tree["point"].to_dataset()
    return {n: float(point[n]) for n in fit.spec.scalar_names if n in point}


def residuals_of(fit: Fit) -> tuple[np.ndarray, np.ndarray]:
    """Return residuals on the scale of errors, and draws of the noise the fit expects at each row."""
    spec, data = fit.spec, fit.data
    rng = np.random.default_rng(0)
    if fit.method == "map":
        residual = fit.tree["point"]["residual"].values
        return residual, residual.std() * rng.standard_normal((500, len(residual)))
    size = fit.draws.sizes["chain"] * fit.draws.sizes["draw"]
    thin = max(1, size * data.sizes["obs"] // _FAN_VALUES)
    draw = predictor(fit, thin)(fit_values(fit, thin), row_columns(spec, data), rng)
    y = to_scale(data[spec.output.name].values, spec.output.scale)
    return y - np.median(draw["curve"], axis=0), draw["run"] - draw["curve"]


def plain_inputs(spec: Spec) -> list[str]:
    """Return the inputs that are one number a row, by symbol."""
    return [n for n in used_inputs(spec) if not spec.inputs[n].function]


def pair_name(values: xr.DataArray) -> str:
    """Return a parameter's name, or its log10's where it spans more than a factor of twenty."""
    low, high = np.quantile(values, [0.005, 0.995])
    return f"log10 {values.name}" if low > 0 and high / low > 20 else str(values.name)


def input_grid(fit: Fit, name: str, reach: Iterable[float] = ()) -> np.ndarray:
    """Return values of an input from end to end of the data, and on to what must be reached."""
    seen = np.concatenate(
        [fit.data[fit.spec.inputs[name].column].values, np.asarray(list(reach), dtype=float)]
    )
    low, high = seen.min(), seen.max()
    if low <= 0:
        return np.linspace(low, high, _GRID)
    pad = (high / low) ** 0.03 if high > low else 1.2
    return np.geomspace(low / pad, high * pad, _GRID)


def draw_fan(
    ax: Axes,
    x: np.ndarray,
    fan: Fan,
    prob: float,
    colour: str,
    method: str,
    name: str = "",
    label: bool = True,
) -> None:
    """Draw line, curve and run; `name` stands before the labels where there are several fans."""
    per = f"{100 * prob:g} %"
    what = ("point fit", f"curve: bootstrap, {per}", f"run: with residuals, {per}") if method == "map" else (
        "curve: median", f"curve, {per}", f"run, {per}")  # fmt: skip
    labels = what if label else (None, None, None)
    ax.fill_between(x, *fan.run, color=colour, alpha=0.14, lw=0, label=labels[2])
    ax.fill_between(x, *fan.curve, color=colour, alpha=0.32, lw=0, label=labels[1])
    ax.plot(x, fan.line, color=colour, label=name or labels[0])


def draw_data(ax: Axes, fit: Fit, name: str, colour: Any = INK, label: str = "data") -> None:
    """Draw rows against an input, with their sampling errors where there are any."""
    data, output = fit.data, fit.spec.output.name
    x, y, error = (
        data[fit.spec.inputs[name].column].values,
        data[output].values,
        data["sampling_error"].values,
    )
    if (error > 0).any():
        # A log axis has no place for what lies below zero.
        below = np.minimum(error, 0.95 * y) if fit.spec.output.scale == "log" else error
        ax.errorbar(x, y, (below, error), fmt="none", ecolor=GREY, elinewidth=0.8, zorder=3)
        label = f"{label} ± 1 s.e. of sampling"
    ax.scatter(x, y, s=14, color=colour, zorder=4, lw=0, label=label)


def draw_curves(ax: Axes, fit: Fit, prob: float) -> None:
    """Draw every run's data and fan against the step."""
    data = fit.data
    inputs = row_columns(fit.spec, data)
    for i, (run, rows) in enumerate(runs_of(data).items()):
        colour, step = COLOURS[i % len(COLOURS)], data["step"].values[rows]
        fan = fan_of(fit, {n: v[rows] for n, v in inputs.items()}, prob)
        draw_fan(ax, step, fan, prob, colour, fit.method, label=i == 0)
        size = 14 if len(rows) < 100 else 4
        ax.scatter(
            step,
            data[fit.spec.output.name].values[rows],
            s=size,
            color=colour,
            ec="white",
            lw=0.3,
            zorder=4,
            label=f"data: {run}",
        )
    ax.set(xlabel="step (optimiser steps)", ylabel=output_label(fit))
    frame_values(ax, data[fit.spec.output.name].values)


def runs_of(data: xr.Dataset) -> dict[str, np.ndarray]:
    """Return each run's rows in the order of steps, by its label as figures can write it."""
    if "run" not in data.coords:
        return {"all rows": np.argsort(data["step"].values, kind="stable")}
    runs = data["run"].values.astype(str)
    steps = data["step"].values
    found = {run: np.flatnonzero(runs == run) for run in dict.fromkeys(runs)}
    return {plain(run): rows[np.argsort(steps[rows], kind="stable")] for run, rows in found.items()}


def draw_levels(ax: Axes, fit: Fit, inputs: list[str], prob: float) -> None:
    """Draw data and fans against the second input, coloured by the first at four of its values."""
    first, second = inputs
    values = np.sort(fit.data[fit.spec.inputs[first].column].values)
    levels = np.unique(np.quantile(values, [0.05, 0.35, 0.65, 0.95], method="nearest"))
    mids = np.sqrt(levels[1:] * levels[:-1]) if levels[0] > 0 else (levels[1:] + levels[:-1]) / 2
    nearest = np.searchsorted(mids, fit.data[fit.spec.inputs[first].column].values)
    draw_data(ax, fit, second, [COLOURS[i] for i in nearest], f"data (nearest {first})")
    grid = input_grid(fit, second)
    for i, level in enumerate(levels):
        fan = fan_of(fit, {first: np.full(_GRID, level), second: grid}, prob)
        new = ", a new group" if fit.spec.pooled and fit.method == "nuts" else ""
        draw_fan(
            ax,
            grid,
            fan,
            prob,
            COLOURS[i],
            fit.method,
            name=f"curve at {first} = {level:.3g}{new}",
            label=i == 0,
        )
    finish_input_axes(ax, fit, second)


def draw_observed_fitted(ax: Axes, fit: Fit, prob: float) -> None:
    """Draw the data against the law's median at the same inputs, with each row's interval."""
    fan = fan_of(fit, row_columns(fit.spec, fit.data), prob)
    observed = fit.data[fit.spec.output.name].values
    ax.vlines(fan.line, *fan.run, color=COLOURS[0], alpha=0.22, lw=2, label=f"run, {100 * prob:g} %")
    ax.scatter(fan.line, observed, s=12, color=INK, lw=0, zorder=4, label="data")
    ends = [min(fan.line.min(), observed.min()), max(fan.line.max(), observed.max())]
    ax.plot(ends, ends, color=COLOURS[0], lw=1, label="observed = fitted")
    label = output_label(fit)
    ax.set(xlabel=f"fitted {label}", ylabel=f"observed {label}")
    if fit.spec.output.scale == "log":
        log_axis(ax, "x")
        log_axis(ax, "y")


def draw_residuals(ax: Axes, fit: Fit, residual: np.ndarray, expected: np.ndarray, prob: float) -> None:
    """Draw residuals against the first input or the step, over the noise that the fit expects."""
    data, spec = fit.data, fit.spec
    curves = needs_schedule(spec)
    name = None if curves else plain_inputs(spec)[0]
    x = data["step"].values if curves else data[spec.inputs[name].column].values
    low, high = np.quantile(expected, [(1 - prob) / 2, (1 + prob) / 2], axis=0)
    order = np.argsort(x, kind="stable")
    what = "residuals' normal" if fit.method == "map" else "noise the fit expects"
    if np.ptp(high) <= 0.2 * high.max() or fit.method == "map" or not data["sampling_error"].any():
        low, high = (np.quantile(expected, q) for q in ((1 - prob) / 2, (1 + prob) / 2))
        ax.axhspan(
            low,
            high,
            color=COLOURS[0] if not curves else GREY,
            alpha=0.14,
            lw=0,
            label=f"{what}, {100 * prob:g} %",
        )
    else:
        ax.vlines(
            x[order],
            low[order],
            high[order],
            color=COLOURS[0],
            alpha=0.2,
            lw=3,
            label=f"{what}, {100 * prob:g} %",
        )
    ax.axhline(0, color=INK, lw=0.8)
    if curves:
        for i, (run, rows) in enumerate(runs_of(data).items()):
            ax.plot(x[rows], residual[rows], ".-", ms=4, lw=0.7, color=COLOURS[i % len(COLOURS)], label=run)
        ax.set_xlabel("step (optimiser steps)")
    else:
        ax.scatter(x, residual, s=13, color=INK, lw=0, zorder=4, label="rows")
        label_input(ax, spec, name, x)
    ax.set_ylabel(f"residual ({residual_unit(spec)})")


def draw_quantiles(ax: Axes, fit: Fit, residual: np.ndarray, expected: np.ndarray) -> None:
    """Draw the residuals' quantiles against those of replicated noise, with its central 90 %."""
    count = len(residual)
    again = np.sort(expected[:: max(1, len(expected) // 500)], axis=1)
    low, middle, high = np.quantile(again, [0.05, 0.5, 0.95], axis=0)
    seen = np.sort(residual)
    ax.fill_between(middle, low, high, color=COLOURS[0], alpha=0.18, lw=0, label="replicated, 90 %")
    ax.plot(middle, middle, color=COLOURS[0], lw=1, label="as expected")
    ax.scatter(middle, seen, s=10 if count < 200 else 4, color=INK, lw=0, zorder=4, label="residuals")
    reach = 1.15 * max(np.abs(seen).max(), 1e-300)
    ax.set_ylim(-reach, reach)  # heavy tails' replicates must not shrink the data to a point
    ax.set_xlim(*(np.clip([1.05 * middle[0], 1.05 * middle[-1]], -1.5 * reach, 1.5 * reach)))
    unit = residual_unit(fit.spec)
    kind = "normal" if fit.method == "map" else "fit's noise"
    ax.set(xlabel=f"quantile of the {kind} ({unit})", ylabel=f"quantile of the residuals ({unit})")


def draw_densities(ax: Axes, spec: Spec, name: str, prior: np.ndarray, posterior: np.ndarray) -> None:
    """Draw two histograms, each scaled to its peak; positive parameters on a log axis."""
    parameter = spec.parameters.get(name) or spec.noise.get(name)
    bounded = (parameter is not None and parameter.support == "unit") or any(
        name in p.names for p in spec.parameters.values()
    )
    log = not bounded and min(prior.min(), posterior.min()) > 0
    forward, back = (np.log, np.exp) if log else (np.asarray, np.asarray)
    for values, colour, alpha, label in (
        (prior, GREY, 0.35, "prior"),
        (posterior, COLOURS[0], 0.75, "posterior"),
    ):
        kept = forward(values)
        low, high = np.quantile(kept, [0.003, 0.997])
        heights, edges = np.histogram(kept, bins=28, range=(low, high if high > low else low + 1e-12))
        ax.stairs(
            heights / max(heights.max(), 1),
            back(edges),
            fill=True,
            color=colour,
            alpha=alpha,
            lw=0,
            label=label,
        )
    if log:
        ax.set_xscale("log")
    ax.plot(np.median(posterior), 1.05, "v", ms=4.5, color=COLOURS[0], lw=0)  # a spike is easily missed
    narrower = 100 * np.std(forward(posterior)) / max(np.std(forward(prior)), 1e-300)
    shown = f"{narrower:.0f}" if narrower >= 10 else f"{narrower:.2g}"
    ax.set_title(f"{name}: sd {shown} % of prior's{' (log)' if log else ''}", fontsize=8.5)
    ax.set(xlabel=f"{name} ({unit_of(spec, name)})", yticks=[], ylim=(0, 1.1))
    ax.grid(False)


def draw_posterior(
    ax: Axes, spec: Spec, draws: xr.DataArray, marks: Mapping[str, float], prob: float
) -> None:
    """Draw a histogram of draws, the interval in full colour, and marked values as lines."""
    name = pair_name(draws)
    forward = np.log10 if name != draws.name else np.asarray
    values = forward(draws.values.ravel())
    low, high = np.quantile(values, [(1 - prob) / 2, (1 + prob) / 2])
    span = np.quantile(values, [0.002, 0.998])
    heights, edges = np.histogram(values, bins=60, range=tuple(span))
    heights = heights / max(heights.max(), 1)
    middle = (edges[1:] + edges[:-1]) / 2
    ax.fill_between(middle, heights, step="mid", color=COLOURS[0], alpha=0.3, lw=0, label="posterior")
    inside = (middle >= low) & (middle <= high)
    ax.fill_between(
        middle[inside],
        heights[inside],
        step="mid",
        color=COLOURS[0],
        alpha=0.6,
        lw=0,
        label=f"{100 * prob:g} %",
    )
    for i, (label, value) in enumerate(marks.items()):
        ax.axvline(forward(value), color=MARK, ls=("-", "--", ":")[i % 3], lw=1.8, label=plain(label))
    ax.set(xlabel=f"{name} ({textwrap.fill(unit_of(spec, str(draws.name)), 28)})", yticks=[], ylim=(0, 1.1))
    ax.locator_params(axis="x", nbins=4)
    ax.grid(False)


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
    figure.suptitle(
        f"{plain(spec.title)}: posterior" + (", divergent draws in orange" if divergent else ""),
        fontsize=10,
        x=0.02,
        ha="left",
    )
    figure.set_layout_engine("constrained")


def pair_label(spec: Spec, name: str) -> str:
    """Return a parameter's name over its unit, broken into short lines."""
    unit = textwrap.fill(f"({unit_of(spec, name.removeprefix('log10 '))})", 24)
    return f"{name}\n{unit}"


def draw_target_forecast(ax: Axes, whole: Fit | Mixture, fc: xr.Dataset, name: str) -> None:
    """Draw data, fans up to the targets with the other inputs held there, and the targets."""
    fit, _ = members(whole)[0]
    others = [n for n in plain_inputs(fit.spec) if n != name]
    groups = [c for one, _ in members(whole) for c in one.spec.group_columns if c in fc.coords]
    others += dict.fromkeys(groups)  # a named group has its own curve
    prob, run = fc.attrs["prob"], fc.sel(kind="run")
    places = list(zip(*(fc[o].values.tolist() for o in others), strict=True)) or [()] * fc.sizes["target"]
    draw_data(ax, fit, name)
    for i, combination in enumerate(sorted(set(places))[:4]):
        same = [t for t, place in enumerate(places) if place == combination]
        grid = input_grid(fit, name, fc[name].values[same])
        inputs = {name: grid, **{o: np.full(_GRID, v) for o, v in zip(others, combination, strict=True)}}
        where = ", ".join(
            plain(v) if isinstance(v, str) else f"{o} = {v:.3g}"
            for o, v in zip(others, combination, strict=True)
        )
        draw_fan(
            ax,
            grid,
            fan_of(whole, inputs, prob),
            prob,
            COLOURS[i],
            fit.method,
            name=where and f"curve at {where}",
            label=i == 0,
        )
        if isinstance(whole, Mixture):
            _draw_laws(ax, whole, grid, inputs, prob, label=i == 0)
    middle, low, high = (drawable(run[q].values) for q in ("median", "lower", "upper"))
    ax.errorbar(fc[name].values, middle, (middle - low, high - middle), fmt="D", ms=4.5, mfc="white", mec=COLOURS[1],
                ecolor=COLOURS[1], capsize=3, zorder=6, label=f"target: run, {100 * prob:g} %")  # fmt: skip
    finish_input_axes(ax, fit, name)
    mark_distance(ax, fit, fc, name)


def _draw_laws(
    ax: Axes, mixture: Mixture, grid: np.ndarray, inputs: Mapping[str, np.ndarray], prob: float, label: bool
) -> None:
    """Draw each law's own median, thin, so that it shows where the laws part."""
    styles = (":", "--", "-.")
    for i, (name, weight) in enumerate(mixture.weights.items()):
        line = fan_of(mixture.fits[name], inputs, prob).line
        told = f"{plain(name)}: median, weight {weight:.2f}" if label else None
        ax.plot(grid, line, color=COLOURS[(i + 2) % len(COLOURS)], lw=1, ls=styles[i % 3], label=told)


def mark_distance(ax: Axes, fit: Fit, fc: xr.Dataset, name: str) -> None:
    """Shade what lies beyond this input's range, and say how far each target lies beyond the data.

    The distance is the forecast's own, the same in every panel: a target can be far though it leaves
    the range of no input.
    """
    seen, at = fit.data[fit.spec.inputs[name].column].values, fc[name].values
    orders = fc["orders_beyond"].values
    limits = ax.get_xlim()
    if at.max() > seen.max():
        ax.axvspan(seen.max(), limits[1], color=GREY, alpha=0.08, lw=0, label="beyond the data")
    if at.min() < seen.min():
        ax.axvspan(
            limits[0],
            seen.min(),
            color=GREY,
            alpha=0.08,
            lw=0,
            label=None if at.max() > seen.max() else "beyond the data",
        )
    ax.set_xlim(limits)
    for t in np.flatnonzero(orders > 0)[:6]:
        ax.annotate(f"+{orders_text(orders[t])} orders", (at[t], float(fc["upper"].sel(kind="run").values[t])),
                    xytext=(0, 5), textcoords="offset points", ha="center", fontsize=7.5, color=COLOURS[1])  # fmt: skip


def draw_schedule_forecast(axes: Iterable[Axes], fit: Fit, fc: xr.Dataset) -> None:
    """Draw the loss along a schedule in the upper panel, the learning rates in the lower."""
    top, bottom = axes
    prob, step, data = fc.attrs["prob"], fc["step"].values, fit.data
    curve, run = (fc.sel(kind=kind) for kind in ("curve", "run"))
    seen = data[fit.spec.output.name].values
    for i, (name, rows) in enumerate(runs_of(data).items()):
        colour, x = COLOURS[(i + 1) % len(COLOURS)], data["step"].values[rows]
        size = 9 if len(rows) < 100 else 3
        top.scatter(x, seen[rows], s=size, color=colour, alpha=0.7, lw=0, label=f"trained: {name}")
        bottom.plot(x, data["lr"].values[rows], color=colour, lw=1, alpha=0.8)
    ends = ((drawable(k["lower"].values), drawable(k["upper"].values)) for k in (curve, run))
    fan = Fan(drawable(curve["median"].values), *ends)
    draw_fan(top, step, fan, prob, COLOURS[0], fit.method, name="forecast: median")
    bottom.plot(step, fc["lr"].values, color=COLOURS[0], lw=1.8)
    _shade_beyond(top, step, fc["orders_beyond"].values)
    middle, low, high = (float(run[q].values[-1]) for q in ("median", "lower", "upper"))
    unit = plain(fit.spec.output.unit)
    top.set_title(f"end: {middle:.4g} [{low:.4g}, {high:.4g}] {unit}, {100 * prob:g} % of a run")
    top.set_ylabel(output_label(fit))
    frame_values(top, np.concatenate([seen, fan.line[step > data["step"].values.min()]]))
    bottom.set(xlabel="step (optimiser steps)", ylabel="learning rate (per step)")
    bottom.ticklabel_format(axis="y", style="sci", scilimits=(0, 0), useMathText=True)


def _shade_beyond(ax: Axes, step: np.ndarray, beyond: np.ndarray) -> None:
    """Shade the steps that lie beyond the data, if the schedule ends there."""
    if beyond[-1] <= 1e-6:
        return
    inside = np.flatnonzero(beyond <= 1e-6)
    first = step[inside[-1] + 1] if len(inside) else step[0]
    label = f"beyond the data: +{orders_text(beyond[-1])} orders at the end"
    ax.axvspan(first, step[-1], color=GREY, alpha=0.08, lw=0, label=label)
