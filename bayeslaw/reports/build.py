"""A report: what fits say of the run to decide on, and all that it rests on, as one page."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import h5py
import pandas as pd
import xarray as xr

from bayeslaw.core.errors import InputError, check_probability, check_type, shown
from bayeslaw.core.files import as_path, check_place
from bayeslaw.core.storage import restored
from bayeslaw.forecasts.mixture import Mixture
from bayeslaw.inference.fit import Fit
from bayeslaw.reports.cases import Case, make_cases
from bayeslaw.reports.evidence import (
    backtest_section,
    comparison_section,
    reproduce_section,
    sensitivity_section,
    stability_section,
    uncertainty_section,
)
from bayeslaw.reports.page import Section, write_page
from bayeslaw.reports.sections import (
    data_section,
    fits_section,
    forecast_section,
    priors_section,
    residuals_section,
    trust_section,
)


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
    group : mapping of str to str, optional
        As of `forecast`, for the schedule. Where parameters are pooled over groups and none is named,
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
    """Write a report, and return what it is of, too; arguments as of `report`."""
    check_probability("prob", prob)
    path = check_place(path)
    check_type("report, comparison", comparison, pd.DataFrame | None, "the table that compare(…) returned")
    check_type("report, schedule", schedule, str | None, "a schedule's text")
    studies = {"stability": _by_name("stability", stability), "backtest": _by_name("backtest", backtest)}
    cases = make_cases(fits, targets, schedule, prob, group)
    return write_page(path, _title(cases), _sections(cases, studies, comparison, prob)), cases


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
    if not isinstance(given, Mapping):
        raise InputError(
            f"report, {what}: found {shown(given)}, allowed: what {what}(…) returned, or several by name."
        )
    for name, study in given.items():
        check_study(f"report, {what}, {name}", study, what)
    return {str(name): study for name, study in given.items()}


def _title(cases: list[Case]) -> str:
    titles = dict.fromkeys(case.spec.title for case in cases)
    return "Report: " + ", ".join(titles)


_DIMS = {
    "backtest": {"method", "window", "level"},
    "stability": {"window", "parameter"},
    "stability by k": {"k", "parameter"},
    "forecast": {"kind"},
}
"""What studies are known by."""


def check_study(what: str, study: object, kind: str) -> None:
    """Refuse what another function found than the one that is asked for.

    Parameters
    ----------
    what : str
        What to call it in the message.
    study : object
    kind : {"stability", "backtest"}

    Raises
    ------
    InputError
    """
    check_type(what, study, xr.Dataset, f"what {kind}(…) returned")
    found = next((name for name, dims in _DIMS.items() if dims <= set(study.dims)), "something else")
    if found != kind:
        raise InputError(f"{what}: found a result of {found}, allowed: what {kind}(…) returned.")


def read_study(path: str | Path, kind: str) -> xr.Dataset:
    """Read what `stability` or `backtest` found, as their commands wrote it.

    Parameters
    ----------
    path : path
        A netCDF file.
    kind : {"stability", "backtest"}

    Returns
    -------
    xarray.Dataset

    Raises
    ------
    InputError
        If there is no such file, it is not netCDF, or it holds something else.
    """
    path = as_path(path)
    made = f"`bayeslaw {kind} … -o FILE.nc` makes one"
    if not os.path.isfile(path):
        raise InputError(f"{path}: no such file; {made}.")
    try:
        with h5py.File(path):  # h5netcdf leaves noise behind when this fails
            pass
        with xr.open_dataset(path, engine="h5netcdf", decode_times=False) as opened:
            study = restored(opened.load())
    except Exception as error:  # h5py raises many kinds; all mean the same to a user
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: cannot be read as netCDF ({reason}); {made}.") from None
    if "bayeslaw_format" in study.attrs:
        raise InputError(f"{path}: is a fit, allowed: a result of {kind}; {made}.")
    check_study(str(path), study, kind)
    return study
