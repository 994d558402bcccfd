"""Figures of a fit and of a forecast: each a matplotlib `Figure` that nothing shows by itself.

Every axis has a name and a unit, every fan says its probability, and what the checks found stands
under the figure, so that a picture never travels without it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from bayeslaw.core.check import Check, from_json
from bayeslaw.core.errors import InputError, check_choice, check_number, check_probability, check_type, listed
from bayeslaw.data.curves import needs_schedule
from bayeslaw.forecasts.mixture import Mixture, members
from bayeslaw.inference.fit import Fit, check_fit, natural_names
from bayeslaw.plots.colour_panels import draw_view, finish_view, views_of
from bayeslaw.plots.density_panels import draw_densities, draw_posterior, dress_pairs, pair_name
from bayeslaw.plots.forecast_panels import (
    draw_fitted_forecast,
    draw_schedule_forecast,
    draw_target_forecast,
    draw_target_lines,
    draw_view_forecast,
    lines_height,
)
from bayeslaw.plots.group_panels import draw_groups
from bayeslaw.plots.panels import (
    MOST_TOGETHER,
    draw_curves,
    draw_observed_fitted,
    draw_quantiles,
    draw_residuals,
    plain_inputs,
    residuals_of,
    shown_runs,
)
from bayeslaw.plots.style import (
    COLOURS,
    STYLE,
    caption,
    checks_of,
    figure_legend,
    legends,
    new_figure,
    panel_grid,
    run_grid,
)

_MAX_PAIRS = 7


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
        against fitted. Along a schedule: loss against step, a colour a run; of more than four runs a
        panel a run, at most 24.

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
        Left: residuals on the scale of errors against the first input, or the step with a colour a
        run; of more than eight runs those that fit worst have one. Right: their quantiles against those that the fit's noise expects (for a point fit,
        which has no model of noise, a normal with the residuals' standard deviation).

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


def plot_prior_posterior(fit: Fit, names: Iterable[str] | None = None) -> Figure:
    """Draw the prior of each parameter behind its posterior.

    Parameters
    ----------
    fit : Fit
        With method "nuts".
    names : iterable of str, optional
        Sampled or derived parameters; by default all that were sampled, noise included.

    Returns
    -------
    matplotlib.figure.Figure
        One panel a parameter. Posteriors are often a hundred times narrower than priors, so each
        density is scaled to its own peak, and the title says how much narrower. A discrepancy's length,
        which is summed out on a grid, has a bar a length: the masses of prior and posterior.

    Raises
    ------
    InputError
        If the fit has no posterior, or not a parameter of that name.
    """
    check_fit("plot_prior_posterior(fit)", fit, posterior=True)
    prior = fit.tree["prior"].to_dataset()
    sampled = [n for n in (*fit.spec.scalar_names, *fit.spec.noise) if n in fit.draws]
    names = sampled if names is None else _known(fit, names, "plot_prior_posterior")
    with mpl.rc_context(STYLE):
        figure, axes = panel_grid(len(names))
        for ax, name in zip(axes, names, strict=True):
            draw_densities(ax, fit.spec, name, prior[name].values.ravel(), fit.draws[name].values.ravel())
        figure_legend(figure, axes)
    return figure


def plot_posterior(
    fit: Fit,
    names: Iterable[str] | None = None,
    marks: Mapping[str, Mapping[str, float]] | None = None,
    prob: float = 0.9,
) -> Figure:
    """Draw the posterior of each parameter with its interval, and values to hold it against.

    Parameters
    ----------
    fit : Fit
        With method "nuts".
    names : iterable of str, optional
        Sampled or derived parameters; by default the paper's.
    marks : mapping of str to mapping of str to float, optional
        Values to draw as lines, by label and parameter: ``{"truth": {"alpha": 0.3}}``.
    prob : float
        Probability of the interval, in (0, 1).

    Returns
    -------
    matplotlib.figure.Figure
        One panel a parameter.

    Raises
    ------
    InputError
        If the fit has no posterior, not a parameter of that name, or `prob` is no probability.
    """
    check_fit("plot_posterior(fit)", fit, posterior=True)
    check_probability("prob", prob)
    marks = _marked(marks)
    names = natural_names(fit.spec, fit.draws) if names is None else _known(fit, names, "plot_posterior")
    with mpl.rc_context(STYLE):
        figure, axes = panel_grid(len(names))
        for ax, name in zip(axes, names, strict=True):
            values = {label: v[name] for label, v in marks.items() if name in v}
            draw_posterior(ax, fit.spec, fit.draws[name], values, prob)
        figure_legend(figure, axes)
    return figure


def plot_pair(fit: Fit) -> Figure:
    """Draw the posterior of every pair of the paper's parameters, divergent draws marked.

    Parameters
    ----------
    fit : Fit
        With method "nuts".

    Returns
    -------
    matplotlib.figure.Figure
        Parameters that span more than a factor of twenty are drawn as their log10. At most seven.

    Raises
    ------
    InputError
        If the fit has no posterior.
    """
    import arviz_plots
    from matplotlib import pyplot

    check_fit("plot_pair(fit)", fit, posterior=True)
    names = natural_names(fit.spec, fit.draws)[:_MAX_PAIRS]
    data = xr.Dataset(
        {pair_name(v): v if pair_name(v) == v.name else np.log10(v) for v in (fit.draws[n] for n in names)}
    )
    stats = fit.tree["sample_stats"].to_dataset()
    tree = xr.DataTree.from_dict({"posterior": data, "sample_stats": stats})
    divergent = bool(stats["diverging"].any()) if "diverging" in stats else False
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        matrix = arviz_plots.plot_pair(
            tree, backend="matplotlib", marginal=len(names) > 1,
            visuals={
                "divergence": {"color": COLOURS[1], "alpha": 0.9} if divergent else False,
                "scatter": {"color": COLOURS[0], "alpha": 0.15, "size": 5, "width": 0},
                "dist": {"color": COLOURS[0]},
            },
            figure_kwargs={"figsize": (1.9 * len(names) + 0.8,) * 2, "sharex": "col"},
        )  # fmt: skip
        figure = matrix.viz["figure"].item()
        pyplot.close(figure)  # pyplot must not keep it: the caller owns it
        dress_pairs(figure, fit.spec, list(data.data_vars), divergent)
    return figure


def plot_forecast(fit: Fit | Mixture, fc: xr.Dataset, *, found: Iterable[Check] | None = None) -> Figure:
    """Draw a forecast beyond the data it comes from.

    Parameters
    ----------
    fit : Fit or Mixture
        A mixture's laws must have the same inputs; each law's own median is drawn, too.
    fc : xarray.Dataset
        As `forecast` returned it for this fit.
    found : iterable of Check, optional
        The fit's checks, to stand under the figure with the forecast's own; by default
        ``checks(fit)``.

    Returns
    -------
    matplotlib.figure.Figure
        At targets, each with its interval and ``orders_beyond``. One input: the data and the fan up to
        the targets, of pooled laws a fan a group. Two: twice, one across and the other as colour, with
        fans of the targets' colours; parameters and tokens over compute, by tokens per parameter, and
        over parameters, by compute. More: observed against fitted, and a line a target with its
        numbers. Along a schedule: loss above, learning rate below, and on the right the last 15 % of
        the steps with the interval of a run at the end.

    Raises
    ------
    InputError
        If `fc` is not a forecast of this law or mixture, or a mixture's laws have different inputs.
    """
    check_type("plot_forecast(fit, fc)", fit, Fit | Mixture, "what fit, load_fit or stack returned")
    name = fit.name if isinstance(fit, Mixture) else fit.spec.name
    if not isinstance(fc, xr.Dataset) or fc.attrs.get("model") != name or "kind" not in fc.dims:
        raise InputError(
            f"plot_forecast(fit, fc): fc must be what forecast(fit, …) returned for model '{name}'."
        )
    one, _ = members(fit)[0]
    inputs = plain_inputs(one.spec)
    if any(plain_inputs(other.spec) != inputs for other, _ in members(fit)):
        raise InputError(
            f"plot_forecast: the laws of '{name}' have different inputs and share no axis; draw each law's own forecast."
        )
    with mpl.rc_context(STYLE):
        if "step" in fc.dims:
            figure = Figure(figsize=(9.8, 5.4), layout="constrained")
            grid = figure.add_gridspec(2, 2, width_ratios=(2.1, 1), height_ratios=(2.6, 1))
            top = figure.add_subplot(grid[0, 0])
            bottom, end = figure.add_subplot(grid[1, 0], sharex=top), figure.add_subplot(grid[:, 1])
            axes = [top]
            draw_schedule_forecast((top, bottom, end), one, fc)
        elif len(inputs) == 1:
            figure, axes = new_figure(1)
            draw_target_forecast(axes[0], fit, fc, inputs[0])
        elif len(inputs) == 2:
            figure, axes = new_figure(2)
            for ax, view in zip(axes, views_of(one.spec, inputs), strict=True):
                draw_view_forecast(ax, fit, fc, view)
        else:
            figure, axes = new_figure(2, tall=lines_height(fit, fc))
            draw_fitted_forecast(axes[0], fit, fc)
            draw_target_lines(axes[1], fit, fc)
        legends(axes)
        caption(figure, fit, [*from_json(fc.attrs["checks"]), *checks_of(fit, found)])
    return figure


def _known(fit: Fit, names: Iterable[str], what: str) -> list[str]:
    """Refuse names of no parameter, and none at all."""
    names = listed(f"{what}, names", names, "a list of parameters' names")
    for name in names or [""]:
        check_choice(f"{what}, parameter", name, map(str, fit.draws.data_vars))
    return names


def _marked(marks: Mapping[str, Mapping[str, float]] | None) -> dict[str, Mapping[str, float]]:
    """Return marks by label, or refuse what is none."""
    allowed = "a mapping of labels to parameters' values, {'truth': {'alpha': 0.3}}"
    check_type("marks", marks, Mapping | None, allowed)
    for label, values in (marks or {}).items():
        check_type(f"marks, {label}", values, Mapping, allowed)
        for name, value in values.items():
            check_number(f"marks, {label}, {name}", value)
    return {str(label): values for label, values in (marks or {}).items()}
