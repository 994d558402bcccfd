"""Draw a fit as small as a line of text, for a notebook's cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayeslaw.data.curves import needs_schedule
from bayeslaw.forecasts.mixture import Mixture, members
from bayeslaw.inference.fit import Fit
from bayeslaw.inference.fitted import fitted_mean
from bayeslaw.law.evaluate import used_inputs
from bayeslaw.observation.base import to_output
from bayeslaw.reports.elements import Picture
from bayeslaw.reports.shown_lines import MOST_ROWS, PROB

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_SIZE, _GRID, _DRAWS = (3.3, 1.5), 40, 100


def pictures(shown: Fit | Mixture) -> tuple[Picture, ...]:
    """Draw the fit small; what cannot be drawn is left out, and the rest stays."""
    try:
        return (_spark(shown),)
    except Exception:
        return ()


def _spark(shown: Fit | Mixture) -> Picture:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    from bayeslaw.plots.style.look import STYLE

    fits = [fit for fit, _ in members(shown)]
    names = {name for fit in fits for name in used_inputs(fit.spec)}
    quick = all(fit.data.sizes["obs"] <= MOST_ROWS and not fit.spec.pooled for fit in fits)
    with rc_context({**STYLE, "font.size": 6, "axes.grid": False, "lines.linewidth": 1}):
        figure = Figure(figsize=_SIZE, layout="constrained")
        ax = figure.subplots()
        if needs_schedule(fits[0].spec):
            words = _draw_runs(ax, fits[0])
        elif len(names) == 1 and quick:
            words = _draw_fan(ax, shown, names.pop())
        else:
            words = _draw_agreement(ax, fits[0])
        ax.tick_params(length=2, pad=1, which="both")
    return Picture(figure, words, words)


def _rows(fit: Fit) -> tuple[np.ndarray, np.ndarray]:
    """Return what was observed, and the law's median beside it, in the output's unit."""
    thin = max(1, int(np.prod(list(fit.draws.sizes.values()))) // _DRAWS)
    law = np.median(fitted_mean(fit, thin), axis=0)
    return to_output(fit.spec, fit.bound.rows.y), to_output(fit.spec, law)


def _draw_fan(ax: Axes, shown: Fit | Mixture, symbol: str) -> str:
    """Draw the rows over their input, and where runs lie."""
    from bayeslaw.plots.panels.fans import fan_of
    from bayeslaw.plots.style.look import COLOURS, INK

    one, _ = members(shown)[0]
    column = one.spec.inputs[symbol].column
    x = one.data[column].values
    positive = (x > 0).all()
    grid = (np.geomspace if positive else np.linspace)(x.min(), x.max(), _GRID)
    fan = fan_of(shown, {symbol: grid}, PROB)
    ax.fill_between(grid, *fan.run, color=COLOURS[0], alpha=0.25, lw=0)
    ax.plot(grid, fan.line, color=COLOURS[0])
    ax.plot(x, one.data[one.spec.output.name].values, ".", ms=2.5, color=INK)
    if positive:
        ax.set_xscale("log")
    return f"{one.spec.output.name} over {column}: rows, median, {100 * PROB:g} % of a run."


def _draw_runs(ax: Axes, fit: Fit) -> str:
    """Draw the curves over the step, and the law's median through each."""
    from bayeslaw.plots.style.look import COLOURS, INK

    seen, law = _rows(fit)
    step = fit.data["step"].values
    runs = fit.data["run"].values if "run" in fit.data.coords else np.zeros(len(step))
    for run in dict.fromkeys(runs.tolist()):
        own = np.flatnonzero(runs == run)
        own = own[np.argsort(step[own])]
        ax.plot(step[own], seen[own], ".", ms=1.5, color=INK)
        ax.plot(step[own], law[own], color=COLOURS[0])
    return f"{fit.spec.output.name} over step: rows, and the law's median."


def _draw_agreement(ax: Axes, fit: Fit) -> str:
    """Draw what was observed against the law's median: several inputs share no axis."""
    from bayeslaw.plots.style.look import COLOURS, GREY

    seen, law = _rows(fit)
    fine = np.isfinite(seen) & np.isfinite(law)
    both = np.concatenate([seen[fine], law[fine]])
    ax.plot([both.min(), both.max()], [both.min(), both.max()], color=GREY, lw=0.8)
    ax.plot(law[fine], seen[fine], ".", ms=2.5, color=COLOURS[0])
    return f"{fit.spec.output.name}: rows over the law's median."
