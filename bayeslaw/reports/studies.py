"""Take the studies that a report shows: given by name, or read from the files of their commands."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import xarray as xr

from bayeslaw.core.errors import InputError, check_type, shown
from bayeslaw.core.files import as_path
from bayeslaw.core.storage import restored

_DIMS = {
    "backtest": {"method", "window", "level"},
    "stability": {"window", "parameter"},
    "stability by k": {"k", "parameter"},
    "forecast": {"kind"},
}
"""The dims by which studies are known."""


def studies_by_name(what: str, given: Any) -> dict[str, xr.Dataset]:
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


def check_study(what: str, study: object, kind: str) -> None:
    """Refuse the result of another function than the one that is asked for.

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
