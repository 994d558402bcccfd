"""A report: what fits say of the run to decide on, and all that it rests on, as one page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from bayeslaw.cases import Case, make_cases
from bayeslaw.errors import InputError, check_probability
from bayeslaw.files import check_place
from bayeslaw.mixture import Mixture
from bayeslaw.page import Section, write_page
from bayeslaw.report_evidence import (
    backtest_section,
    comparison_section,
    reproduce_section,
    sensitivity_section,
    stability_section,
    uncertainty_section,
)
from bayeslaw.report_sections import (
    data_section,
    fits_section,
    forecast_section,
    priors_section,
    residuals_section,
    trust_section,
)
from bayeslaw.result import Fit


def report(
    fits: Fit | Mixture | Iterable[Fit | Mixture] | Mapping[str, Fit | Mixture],
    path: str | Path,
    *,
    targets: Mapping[str, Any] | pd.DataFrame | None = None,
    schedule: str | None = None,
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
        Or a mapping of names to them; also of different laws, by either method. Beside each posterior a point fit to the same rows is
        computed and shown; what a mixture mixes is shown too.
    path : path
        Of the HTML file; it is written whole or not at all. It needs no network and no other file.
    targets : mapping or DataFrame, optional
        As of `forecast`, for laws that forecast at targets. By default one order of magnitude beyond
        the largest run seen, see `default_targets`.
    schedule : str, optional
        As of `forecast`, for laws along a schedule. By default each seen run's own schedule, to the
        last seen step.
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
    check_probability("prob", prob)
    path = check_place(path)
    if comparison is not None and not isinstance(comparison, pd.DataFrame):
        raise InputError("report, comparison: allowed: the table that compare(…) returned.")
    studies = {"stability": _by_name("stability", stability), "backtest": _by_name("backtest", backtest)}
    cases = make_cases(fits, targets, schedule, prob)
    return write_page(path, _title(cases), _sections(cases, studies, comparison, prob))


def _sections(
    cases: list[Case], studies: Mapping[str, dict], comparison: pd.DataFrame | None, prob: float
) -> list[Section]:
    """Lay out the report: the forecast, whether to trust it, then what it rests on; what is not there is left out."""
    fits = [case for case in cases if isinstance(case.fit, Fit)]
    shown = [name for name, given in studies.items() if given]
    shown += [] if comparison is None else ["comparison"]
    laid_out = (
        forecast_section(cases, prob),
        trust_section(cases),
        data_section(fits),
        priors_section(fits, prob),
        fits_section(cases, prob),
        Section("Checks", parts=tuple(Section(c.name, checks=c.all_checks) for c in cases)),
        residuals_section(fits, prob),
        stability_section(studies["stability"]),
        comparison_section(comparison),
        backtest_section(studies["backtest"]),
        sensitivity_section(fits),
        uncertainty_section(cases),
        reproduce_section(cases, prob, shown),
    )
    return [section for section in laid_out if section is not None]


def _by_name(what: str, given: Any) -> dict[str, xr.Dataset]:
    """Return studies by name; a single one is named after its law."""
    if given is None:
        return {}
    if isinstance(given, xr.Dataset):
        given = {str(given.attrs.get("model", what)): given}
    if not isinstance(given, Mapping) or not all(isinstance(v, xr.Dataset) for v in given.values()):
        raise InputError(
            f"report, {what}: found {type(given).__name__}, allowed: what {what}(…) returned, or several by name."
        )
    return {str(name): study for name, study in given.items()}


def _title(cases: list[Case]) -> str:
    titles = dict.fromkeys(case.spec.title for case in cases)
    return "Report: " + ", ".join(titles)


def read_study(path: str | Path) -> xr.Dataset:
    """Read what `stability` or `backtest` found, as their commands wrote it.

    Parameters
    ----------
    path : path
        A netCDF file.

    Returns
    -------
    xarray.Dataset

    Raises
    ------
    InputError
        If there is no such file, or it is not netCDF.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file.")
    try:
        with xr.open_dataset(path, engine="h5netcdf", decode_times=False) as opened:
            return opened.load()
    except Exception as error:  # h5py raises many kinds; all mean the same to a user
        raise InputError(
            f"{path}: cannot be read as netCDF ({error}); give the .nc file that was written."
        ) from None
