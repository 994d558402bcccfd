"""Report, as one page, what fits say of the run to decide on, and all that it rests on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from bayeslaw.core.errors import check_probability, check_type
from bayeslaw.core.files import check_place
from bayeslaw.forecasts.mixture import Mixture
from bayeslaw.inference.fit import Fit
from bayeslaw.reports.cases import Case, make_cases
from bayeslaw.reports.content import Content
from bayeslaw.reports.elements import Section
from bayeslaw.reports.page import write_page
from bayeslaw.reports.sections.order import SECTIONS
from bayeslaw.reports.studies import studies_by_name


def report(
    fits: Fit | Mixture | Iterable[Fit | Mixture] | Mapping[str, Fit | Mixture],
    path: str | Path,
    *,
    targets: Mapping[str, Any] | pd.DataFrame | None = None,
    schedule: str | None = None,
    group: Mapping[str, str] | None = None,
    prob: float = 0.9,
    stability: xr.Dataset | Mapping[str, xr.Dataset] | None = None,
    comparison: pd.DataFrame | None = None,
    backtest: xr.Dataset | Mapping[str, xr.Dataset] | None = None,
) -> Path:
    """Write all that fits say, and how far it can be trusted, as one self-contained HTML page.

    The forecast stands at the top, with what can be decided by it; whether to trust it, and what it
    rests on, below. Sections with nothing to say are left out.

    Parameters
    ----------
    fits : Fit, Mixture, or iterable of them
        Or a mapping of names to them; also of different laws, by either method. Beside each posterior a point
        fit to the same rows is computed and shown; what a mixture mixes is shown too.
    path : path
        Of the HTML file; it is written whole or not at all. It needs no network and no other file.
    targets : mapping or DataFrame, optional
        As in `forecast`, for laws that forecast at targets. By default one order of magnitude beyond
        the largest run seen, see `default_targets`.
    schedule : str, optional
        As in `forecast`, for laws along a schedule. By default each seen run's own schedule, to the
        last seen step.
    group : mapping of str to str, optional
        As in `forecast`, for the schedule. Where parameters are pooled over groups and none is named,
        each of at most six groups is forecast, or else a new one; so are targets that name none, by default.
    prob : float
        Probability of all intervals, in (0, 1).
    stability : xarray.Dataset or mapping of str to it, optional
        What `stability` returned, for one law or by law.
    comparison : pandas.DataFrame, optional
        What `compare` returned.
    backtest : xarray.Dataset or mapping of str to it, optional
        What `backtest` returned, for one law or by law.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    InputError
        If something given cannot be used, or the file cannot be written.
    """
    return reported(fits, path, targets, schedule, group, prob, stability, comparison, backtest)[0]


def reported(
    fits: Any,
    path: Any,
    targets: Any,
    schedule: Any,
    group: Any,
    prob: Any,
    stability: Any,
    comparison: Any,
    backtest: Any,
) -> tuple[Path, list[Case]]:
    """Write a report, and return its cases, too; arguments as in `report`."""
    check_probability("prob", prob)
    path = check_place(path)
    check_type("report, comparison", comparison, pd.DataFrame | None, "the table that compare(…) returned")
    check_type("report, schedule", schedule, str | None, "a schedule's text")
    studies = {
        "stability": studies_by_name("stability", stability),
        "backtest": studies_by_name("backtest", backtest),
    }
    content = Content(
        make_cases(fits, targets, schedule, prob, group), prob, comparison=comparison, **studies
    )
    return write_page(path, _title(content.cases), _sections(content)), content.cases


def _sections(content: Content) -> list[Section]:
    """Lay out the report; sections that have nothing to say are left out."""
    return [section for make in SECTIONS if (section := make(content)) is not None]


def _title(cases: list[Case]) -> str:
    titles = dict.fromkeys(case.spec.title for case in cases)
    return "Report: " + ", ".join(titles)
