"""List the sections of a report in the order in which they are read: a new one is a file beside this one, and a row here."""

from __future__ import annotations

from collections.abc import Callable

from bayeslaw.reports.content import Content
from bayeslaw.reports.elements import Section
from bayeslaw.reports.sections.backtest import backtest_section
from bayeslaw.reports.sections.checks import checks_section
from bayeslaw.reports.sections.comparison import comparison_section
from bayeslaw.reports.sections.data import data_section
from bayeslaw.reports.sections.fits import fits_section
from bayeslaw.reports.sections.forecast import forecast_section
from bayeslaw.reports.sections.priors import priors_section
from bayeslaw.reports.sections.reproduce import reproduce_section
from bayeslaw.reports.sections.residuals import residuals_section
from bayeslaw.reports.sections.sensitivity import sensitivity_section
from bayeslaw.reports.sections.stability import stability_section
from bayeslaw.reports.sections.trust import trust_section
from bayeslaw.reports.sections.uncertainty import uncertainty_section

SECTIONS: tuple[Callable[[Content], Section | None], ...] = (
    forecast_section,
    trust_section,
    # What both rest on.
    data_section,
    priors_section,
    fits_section,
    checks_section,
    residuals_section,
    stability_section,
    comparison_section,
    backtest_section,
    sensitivity_section,
    uncertainty_section,
    reproduce_section,
)
"""Each returns its section, or None if it has nothing to say."""
