"""Draw the pictures that several sections show."""

from __future__ import annotations

from bayeslaw.reports.cases import Case
from bayeslaw.reports.elements import Picture


def rows_figure(case: Case, prob: float) -> list[Picture]:
    """Draw a fit among its rows."""
    from bayeslaw import plots

    figure = plots.plot_fit(case.fit, prob, found=list(case.checks))
    alt = f"The rows of {case.name} with the fan of the fit, {100 * prob:g} % of a run."
    return [Picture(figure, alt, f"{case.name}: the fit among its rows.")]
