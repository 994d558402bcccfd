"""Draw what was observed against what was fitted."""

from __future__ import annotations

from matplotlib.axes import Axes

from bayeslaw.inference.fit import Fit
from bayeslaw.plots.panels.fans import fan_of
from bayeslaw.plots.style.axes import log_axis
from bayeslaw.plots.style.labels import output_label
from bayeslaw.plots.style.look import COLOURS, INK
from bayeslaw.plots.style.texts import fitted


def draw_observed_fitted(ax: Axes, fit: Fit, prob: float) -> None:
    """Draw the data against the law's median at the same inputs, with each row's interval."""
    fan = fan_of(fit, fit.bound.rows.columns, prob)
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
