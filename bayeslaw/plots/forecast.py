"""Draw a forecast beyond the data it comes from."""

from __future__ import annotations

from collections.abc import Iterable

import matplotlib as mpl
import xarray as xr
from matplotlib.figure import Figure

from bayeslaw.core.check import Check, from_json
from bayeslaw.core.errors import InputError, check_type
from bayeslaw.forecasts.mixture import Mixture, members
from bayeslaw.inference.fit import Fit
from bayeslaw.plots.panels.rows import plain_inputs
from bayeslaw.plots.panels.schedules import draw_schedule_forecast
from bayeslaw.plots.panels.target_lines import draw_target_lines, lines_height
from bayeslaw.plots.panels.targets import draw_fitted_forecast, draw_target_forecast, draw_view_forecast
from bayeslaw.plots.panels.views import views_of
from bayeslaw.plots.style.captions import caption, checks_of
from bayeslaw.plots.style.layout import new_figure
from bayeslaw.plots.style.legends import legends
from bayeslaw.plots.style.look import STYLE


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
        the targets, of pooled laws one fan per group. Two: twice, one across and the other as colour, with
        fans of the targets' colours; parameters and tokens over compute, by tokens per parameter, and
        over parameters, by compute. More: observed against fitted, and a line for each target with
        its numbers. Along a schedule: loss above, learning rate below, and on the right the last 15 % of
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
