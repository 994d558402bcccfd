"""Draw a fit among its rows, and what it leaves over.

Every axis has a name and a unit, every fan says its probability, and what the checks found stands
under the figure, so that a picture never travels without it.
"""

from __future__ import annotations

from collections.abc import Iterable

import matplotlib as mpl
from matplotlib.figure import Figure

from bayeslaw.core.check import Check
from bayeslaw.core.errors import check_probability
from bayeslaw.data.curves import needs_schedule
from bayeslaw.inference.fit import Fit, check_fit
from bayeslaw.plots.panels.agreement import draw_observed_fitted
from bayeslaw.plots.panels.colour import draw_view, finish_view
from bayeslaw.plots.panels.curves import MOST_TOGETHER, draw_curves, shown_runs
from bayeslaw.plots.panels.groups import draw_groups
from bayeslaw.plots.panels.residuals import draw_quantiles, draw_residuals, residuals_of
from bayeslaw.plots.panels.rows import plain_inputs
from bayeslaw.plots.panels.views import views_of
from bayeslaw.plots.style.captions import caption, checks_of
from bayeslaw.plots.style.layout import new_figure, run_grid
from bayeslaw.plots.style.legends import figure_legend, legends
from bayeslaw.plots.style.look import STYLE


def plot_fit(fit: Fit, prob: float = 0.9, *, found: Iterable[Check] | None = None) -> Figure:
    """Draw the data with the fans of ``curve`` and ``run``.

    Parameters
    ----------
    fit : Fit
        By either method. A point fit's line is the point, its fans come from the bootstrap and the
        quantiles of its residuals.
    prob : float
        Probability of the fans, in (0, 1).
    found : iterable of Check, optional
        What stands under the figure; by default ``checks(fit)``.

    Returns
    -------
    matplotlib.figure.Figure
        One input: the output against it; where parameters are pooled, a fan for each of at most four
        groups, or else that of a new one. Two: one across, the other as colour, with fans at three of its
        values in their colours, since a row compares only with a fan of its colour (parameters and
        tokens: over compute, by tokens per parameter); and observed against fitted. More: observed
        against fitted. Along a schedule: loss against step, one colour per run; of more than four
        runs one panel each, at most 24.

    Raises
    ------
    InputError
        If `prob` is not a probability.
    """
    check_fit("plot_fit(fit)", fit)
    check_probability("prob", prob)
    inputs = plain_inputs(fit.spec)
    with mpl.rc_context(STYLE):
        if needs_schedule(fit.spec):
            runs = len(shown_runs(fit.data))
            figure, axes = new_figure(1) if runs <= MOST_TOGETHER else run_grid(runs)
            draw_curves(axes, fit, prob)
        elif len(inputs) == 1:
            figure, axes = new_figure(1)
            draw_groups(axes[0], fit, inputs[0], prob)
        else:
            figure, axes = new_figure(2 if len(inputs) == 2 else 1)
            if len(inputs) == 2:
                view = views_of(fit.spec, inputs)[0]
                seen = fit.data[fit.spec.output.name].values
                finish_view(axes[0], fit, view, draw_view(axes[0], fit, view, prob), seen)
            draw_observed_fitted(axes[-1], fit, prob)
        caption(figure, fit, checks_of(fit, found))
        legends(axes) if len(axes) < 3 else figure_legend(figure, axes)
    return figure


def plot_residuals(fit: Fit, prob: float = 0.9, *, found: Iterable[Check] | None = None) -> Figure:
    """Draw residuals, where they lie and how they are distributed.

    Parameters
    ----------
    fit : Fit
        By either method.
    prob : float
        Probability of the band in which a run's noise is expected.
    found : iterable of Check, optional
        What stands under the figure; by default ``checks(fit)``.

    Returns
    -------
    matplotlib.figure.Figure
        Left: residuals on the scale of errors against the first input, or the step with a colour for each
        run; of more than eight runs those that fit worst have one. Right: their quantiles against those
        that the fit's noise expects (for a point fit, which describes no noise, a normal with the
        residuals' standard deviation).

    Raises
    ------
    InputError
        If `prob` is not a probability.
    """
    check_fit("plot_residuals(fit)", fit)
    check_probability("prob", prob)
    residual, expected = residuals_of(fit)
    with mpl.rc_context(STYLE):
        figure, axes = new_figure(2, width=(1.7, 1.0))
        draw_residuals(axes[0], fit, residual, expected, prob)
        draw_quantiles(axes[1], fit, residual, expected)
        legends(axes)
        caption(figure, fit, checks_of(fit, found))
    return figure
