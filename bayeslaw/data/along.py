"""Read the column along which windows go, and cut its range into steps."""

from __future__ import annotations

import numpy as np
import xarray as xr

from bayeslaw.core.errors import InputError, did_you_mean, shown


def steps_down(low: float, high: float, every: float) -> int:
    """Return into how many steps a range is cut; no matter how long it is, or how short they are."""
    steps = (np.log10(high) - np.log10(low)) / every
    return int(np.ceil(min(steps, 1e15) - 1e-9))


def positive_values(data: xr.Dataset, name: str) -> np.ndarray:
    """Return a column of positive numbers, or refuse what is none."""
    values = column_values(data, name)
    if values.dtype.kind not in "iuf":
        raise InputError(f"along: windows need a column of positive numbers; {name!r} is not one.")
    if (odd := ~(values > 0)).any():
        rows = f"in {odd.sum()} of {len(values)} rows, such as row {int(np.argmax(odd)) + 1} of the data,"
        raise InputError(
            f"along: windows need a column of positive numbers; {name!r} is not one: {rows} it is "
            "missing or not positive; leave such rows out with where=[…] / --where."
        )
    return values


def column_values(data: xr.Dataset, name: str) -> np.ndarray:
    """Return a column of the data, or name those that there are."""
    known = [str(n) for n in data.variables if data[n].dims == ("obs",)]
    if not isinstance(name, str):
        raise InputError(f"along: found {shown(name)}, allowed: the name of a column.")
    if name not in known:
        raise InputError(
            f"along: the data have no column {name!r}{did_you_mean(name, known, 'The data have')}"
        )
    return data[name].values
