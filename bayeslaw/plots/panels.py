"""The panels that figures are made of: each draws one thing on one axes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from bayeslaw.core.draws import over_draws
from bayeslaw.data.curves import needs_schedule
from bayeslaw.forecasts.forecast import predictor
from bayeslaw.forecasts.mixture import Mixture, members, mixed
from bayeslaw.inference.fit import Fit, fit_values, law_on_scale
from bayeslaw.law.evaluate import row_columns, to_scale, used_inputs
from bayeslaw.law.spec import LARGEST, Spec
from bayeslaw.observation.base import to_output
from bayeslaw.plots.style import (
    COLOURS,
    GREY,
    INK,
    abridged,
    fitted,
    frame_values,
    label_input,
    log_axis,
    output_label,
    plain,
    residual_unit,
)

_GRID = 120
_REPEATED = 10_000
_FAN_VALUES = 4_000_000
MOST_TOGETHER = 4
"""Curves of so many runs share a panel: more fans would hide one another and the data."""
MOST_PANELS = 24
LONGEST_NAME = 34
"""Letters of a run's name in a legend."""


@dataclass(frozen=True)
class Fan:
    """A line and the intervals of ``curve`` and ``run`` around it, in the output's unit, shape (rows,)."""

    line: np.ndarray
    curve: tuple[np.ndarray, np.ndarray]
    run: tuple[np.ndarray, np.ndarray]


def fan_of(fit: Fit | Mixture, inputs: Mapping[str, np.ndarray], prob: float, seed: int = 0) -> Fan:
    """Compute line and intervals at inputs by symbol, and groups by column, without evaluation noise."""
    return fans_of(fit, [inputs], prob, seed)[0]


def fans_of(
    fit: Fit | Mixture, places: Sequence[Mapping[str, np.ndarray]], prob: float, seed: int = 0
) -> list[Fan]:
    """Compute several fans at once, which costs hardly more than one."""
    fits, weights = zip(*members(fit), strict=True)
    spec = fits[0].spec
    ends = np.cumsum([len(next(iter(place.values()))) for place in places])
    inputs = {n: np.concatenate([place[n] for place in places]) for n in places[0]}
    draw = mixed([_draw_fan(one, inputs, seed) for one in fits], weights)
    at = [(1 - prob) / 2, 0.5, (1 + prob) / 2]
    with np.errstate(all="ignore"):
        curve, run = (over_draws(d, np.isfinite(d), at)[1] for d in (draw["curve"], draw["run"]))
        line = law_on_scale(spec, point_values(fits[0]), inputs) if not fits[0].is_posterior else curve[1]
        line = np.broadcast_to(line, len(curve[1]))
        drawn = [drawable(to_output(spec, v)) for v in (line, curve[0], curve[2], run[0], run[2])]
    parts = [np.split(v, ends[:-1]) for v in drawn]
    return [Fan(one, (low, high), (least, most)) for one, low, high, least, most in zip(*parts, strict=True)]


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
    if not fit.is_posterior:  # few resamples: repeated, so that the residuals' quantiles are smooth
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
    if not fit.is_posterior:
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


def draw_fan(
    ax: Axes,
    x: np.ndarray,
    fan: Fan,
    prob: float,
    colour: str,
    posterior: bool,
    name: str = "",
    label: bool = True,
    ls: str = "-",
) -> None:
    """Draw line, curve and run; `name` stands before the labels where there are several fans."""
    per = f"{100 * prob:g} %"
    what = ("curve: median", f"curve, {per}", f"run, {per}") if posterior else (
        "point fit", f"curve: bootstrap, {per}", f"run: with residuals, {per}")  # fmt: skip
    labels = what if label else (None, None, None)
    ax.fill_between(x, *fan.run, color=colour, alpha=0.14, lw=0, label=labels[2])
    ax.fill_between(x, *fan.curve, color=colour, alpha=0.32, lw=0, label=labels[1])
    ax.plot(x, fan.line, color=colour, ls=ls, label=name or labels[0])


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


def draw_laws(
    ax: Axes, mixture: Mixture, grid: np.ndarray, inputs: Mapping[str, np.ndarray], prob: float
) -> None:
    """Draw each law's own median, thin, so that it shows where the laws part."""
    styles = (":", "--", "-.")
    for i, (name, weight) in enumerate(mixture.weights.items()):
        line = fan_of(mixture.fits[name], inputs, prob).line
        told = f"{plain(abridged(name, LONGEST_NAME))}: median, weight {weight:.2f}"
        ax.plot(grid, line, color=COLOURS[(i + 2) % len(COLOURS)], lw=1, ls=styles[i % 3], label=told)


def draw_curves(axes: Sequence[Axes], fit: Fit, prob: float) -> None:
    """Draw runs' data and fans against the step: all in one panel, or each in its own."""
    data, inputs = fit.data, row_columns(fit.spec, fit.data)
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


def draw_observed_fitted(ax: Axes, fit: Fit, prob: float) -> None:
    """Draw the data against the law's median at the same inputs, with each row's interval."""
    fan = fan_of(fit, row_columns(fit.spec, fit.data), prob)
    observed = fit.data[fit.spec.output.name].values
    ax.vlines(fan.line, *fan.run, color=COLOURS[0], alpha=0.22, lw=2, label=f"run, {100 * prob:g} %")
    ax.scatter(fan.line, observed, s=12, color=INK, lw=0, zorder=4, label="data")
    ends = [min(fan.line.min(), observed.min()), max(fan.line.max(), observed.max())]
    ax.plot(ends, ends, color=COLOURS[0], lw=1, label="observed = fitted")
    label = output_label(fit)
    ax.set_xlabel(fitted(ax, f"fitted {label}"))
    ax.set_ylabel(fitted(ax, f"observed {label}", "y"))
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
    what = "residuals' normal" if not fit.is_posterior else "noise the fit expects"
    look = {"color": GREY if curves else COLOURS[0], "label": f"{what}, {100 * prob:g} %"}
    if np.ptp(high) <= 0.2 * high.max() or not fit.is_posterior or not data["sampling_error"].any():
        low, high = (np.quantile(expected, q) for q in ((1 - prob) / 2, (1 + prob) / 2))
        ax.axhspan(low, high, alpha=0.14, lw=0, **look)
    else:
        ax.vlines(x, low, high, alpha=0.2, lw=3, **look)
    ax.axhline(0, color=INK, lw=0.8)
    if curves:
        _draw_run_residuals(ax, runs_of(data), x, residual)
        ax.set_xlabel("step (optimiser steps)")
    else:
        ax.scatter(x, residual, s=13, color=INK, lw=0, zorder=4, label="rows")
        label_input(ax, spec, name, x)
    ax.set_ylabel(fitted(ax, f"residual ({residual_unit(spec)})", "y"))


def _draw_run_residuals(
    ax: Axes, runs: Mapping[str, np.ndarray], step: np.ndarray, residual: np.ndarray
) -> None:
    """Draw a line a run; of many, those that fit worst have a colour and a name, the others are grey."""
    worst = sorted(runs, key=lambda run: -np.abs(residual[runs[run]]).mean())[: len(COLOURS)]
    for run in (r for r in runs if r not in worst):
        ax.plot(step[runs[run]], residual[runs[run]], ".-", ms=2, lw=0.5, color=GREY, alpha=0.5)
    if len(runs) > len(worst):
        ax.plot([], [], ".-", ms=2, lw=0.5, color=GREY, label=f"{len(runs) - len(worst)} that fit better")
    for i, run in enumerate(r for r in runs if r in worst):
        label = abridged(run, LONGEST_NAME)
        ax.plot(step[runs[run]], residual[runs[run]], ".-", ms=4, lw=0.7, color=COLOURS[i], label=label)


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
    ends = np.clip([1.05 * middle[0], 1.05 * middle[-1]], -1.5 * reach, 1.5 * reach)
    if np.isfinite([reach, *ends]).all():  # heavy tails' replicates must not shrink the data to a point
        ax.set_ylim(-reach, reach)
        ax.set_xlim(*ends)
    ax.locator_params(axis="x", nbins=5)
    unit = residual_unit(fit.spec)
    kind = "normal" if not fit.is_posterior else "fit's noise"
    ax.set_xlabel(fitted(ax, f"quantile of the {kind} ({unit})"))
    ax.set_ylabel(fitted(ax, f"quantile of the residuals ({unit})", "y"))
