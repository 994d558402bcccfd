"""Draw a forecast along a schedule: loss, learning rate, and the schedule's end."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from bayeslaw.forecasts.distance import orders_text
from bayeslaw.inference.fit import Fit
from bayeslaw.plots.panels.curves import runs_of
from bayeslaw.plots.panels.fans import Fan, draw_fan
from bayeslaw.plots.panels.rows import LONGEST_NAME
from bayeslaw.plots.panels.targets import TARGET
from bayeslaw.plots.style.axes import frame_values
from bayeslaw.plots.style.labels import output_label
from bayeslaw.plots.style.look import COLOURS, GREY, INK
from bayeslaw.plots.style.texts import abridged, fitted, plain

_END = 0.15
"""Share of a schedule's steps that its end is."""
_NAMED_RUNS = 6
"""Up to how many trained runs have a colour each; more are only what the forecast is seen against."""
_POINTS, _END_POINTS = 2000, 60
"""Steps that are drawn: each is drawn from the posterior by itself, and many of them make a rough line."""


def draw_schedule_forecast(axes: Sequence[Axes], fit: Fit, fc: xr.Dataset) -> None:
    """Draw the loss along a schedule above, the learning rates below it, and on the right the schedule's end."""
    top, bottom, end = axes
    prob, step, data = fc.attrs["prob"], fc["step"].values, fit.data
    seen, trained = data[fit.spec.output.name].values, data["step"].values
    _draw_trained(top, bottom, end, fit)
    kept = np.unique(np.linspace(0, len(step) - 1, min(len(step), _POINTS)).round().astype(int))
    fan = _fan_along(fc, kept)
    draw_fan(top, step[kept], fan, prob, COLOURS[0], fit.is_posterior, name="forecast: curve, median")
    bottom.plot(step[kept], fc["lr"].values[kept], color=COLOURS[0], lw=1.8)
    _shade_beyond(top, step, fc["orders_beyond"].values)
    top.set_ylabel(fitted(top, output_label(fit), "y"))
    frame_values(top, np.concatenate([seen, fan.line[step[kept] > trained.min()]]))
    bottom.set(xlabel="step (optimiser steps)", ylabel="learning rate\n(per step)")
    bottom.ticklabel_format(axis="y", style="sci", scilimits=(0, 0), useMathText=True)
    _draw_end(end, top, fit, fc)


def _draw_trained(top: Axes, bottom: Axes, end: Axes, fit: Fit) -> None:
    """Draw the trained runs: in a colour each while they are few, in grey where they are many."""
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
    draw_fan(ax, step[at], fan, prob, COLOURS[0], fit.is_posterior)
    middle, low, high = (float(fc[q].sel(kind="run")[-1]) for q in ("median", "lower", "upper"))
    if np.isfinite([middle, low, high]).all():
        ax.errorbar(step[-1], middle, [[middle - low], [high - middle]], fmt="D", ms=5, mfc="white", mec=TARGET,
                    ecolor=TARGET, capsize=4, zorder=6, clip_on=False)  # fmt: skip
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
