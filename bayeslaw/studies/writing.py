"""Write what a study found: all of it as netCDF, or the table that is read most as CSV."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import xarray as xr

from bayeslaw.core.files import write_study
from bayeslaw.studies.backtest.variables import backtest_table
from bayeslaw.studies.stability.over_k import by_k_table
from bayeslaw.studies.stability.study import stable_spans

_TABLES: dict[str, Callable[[xr.Dataset], str]] = {
    "method": lambda study: backtest_table(study).to_csv(index=False),
    "k": lambda study: by_k_table(study).to_csv(index=False),
    "window": lambda study: stable_spans(study).to_csv(index_label="parameter"),
}
"""By the first of these dims that a study has."""


def save_study(study: xr.Dataset, path: str | Path) -> Path:
    """Write a study, whole or not at all.

    Parameters
    ----------
    study : xarray.Dataset
        As `backtest`, `stability` or `stability_by_k` returned it.
    path : path
        ``.csv``: as `backtest_table`, `stable_spans` or `by_k_table` lays it out. Anything else: netCDF, for
        `xarray.open_dataset`.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    table = next(_TABLES[dim] for dim in _TABLES if dim in study.dims)
    return write_study(study, path, lambda: table(study))
