"""Draw residuals: where they lie, and how they are distributed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes

from bayeslaw.data.curves import needs_schedule
from bayeslaw.forecasts.posterior import posterior_of
from bayeslaw.inference.fit import Fit
from bayeslaw.law.evaluate import to_scale
from bayeslaw.plots.panels.curves import runs_of
from bayeslaw.plots.panels.fans import FAN_VALUES
from bayeslaw.plots.panels.rows import LONGEST_NAME, plain_inputs
from bayeslaw.plots.style.labels import label_input, residual_unit
from bayeslaw.plots.style.look import COLOURS, GREY, INK
from bayeslaw.plots.style.texts import abridged, fitted


def residuals_of(fit: Fit) -> tuple[np.ndarray, np.ndarray]:
    """Return residuals on the scale of errors, and draws of the noise the fit expects at each row."""
    spec, data = fit.spec, fit.data
    rng = np.random.default_rng(0)
    if not fit.is_posterior:
        residual = fit.tree["point"]["residual"].values
        return residual, residual.std() * rng.standard_normal((500, len(residual)))
    size = fit.draws.sizes["chain"] * fit.draws.sizes["draw"]
    thin = max(1, size * data.sizes["obs"] // FAN_VALUES)
    draw = posterior_of(fit, thin).predict([fit.bound.rows.columns], rng)
    y = to_scale(data[spec.output.name].values, spec.output.scale)
    return y - np.median(draw["curve"], axis=0), draw["run"] - draw["curve"]


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
    """Draw a line for each run; of many, those that fit worst have a colour and a name, the others are grey."""
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
