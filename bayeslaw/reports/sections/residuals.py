"""Draw what each fit leaves over."""

from __future__ import annotations

from bayeslaw.reports.cases import Case
from bayeslaw.reports.content import Content
from bayeslaw.reports.elements import Picture, Section
from bayeslaw.reports.pictures import rows_figure


def residuals_section(content: Content) -> Section:
    """Draw what each fit leaves over; a fit that forecasts nothing is drawn among its rows first."""
    return Section("Residuals", parts=tuple(_residuals(case, content.prob) for case in content.fits))


def _residuals(case: Case, prob: float) -> Section:
    from bayeslaw import plots

    figure = plots.plot_residuals(case.fit, prob, found=list(case.checks))
    alt = f"Residuals of {case.name}: against the input on the left, their quantiles against the expected ones on the right."
    left = Picture(figure, alt, "What the fit leaves over. A pattern says that law or noise are not right.")
    return Section(case.name, figures=(*([] if case.ahead else rows_figure(case, prob)), left))
