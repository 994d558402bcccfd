"""Prepare a dataset so that it comes back from a file as it was.

A fit keeps numbers and text only (`lasting`). netCDF does not hold every text (no NUL, no half of a surrogate
pair), name and attribute: what it cannot hold travels beside the rest in one attribute (`storable`, `restored`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from bayeslaw.core.labels import as_text

_BESIDE = "bayeslaw_beside"
_WIDEST = 10_000_000  # characters: xarray reads labels as one array, each cell as wide as the longest
_NAME_BYTES = 255


def lasting(data: xr.Dataset) -> xr.Dataset:
    """Return a dataset with only what a file can give back.

    Parameters
    ----------
    data : xarray.Dataset

    Returns
    -------
    xarray.Dataset
        What is no number is text, see `as_text`. Attributes are text, numbers, booleans, None, and lists and
        dictionaries of these; any other is its text.
    """
    values = {n: v.values for n, v in data.variables.items()}
    changed = {n: as_text(v) for n, v in values.items() if v.dtype.kind not in "biuf" and not _all_text(v)}
    changed |= {
        n: v.astype(float) for n, v in values.items() if v.dtype.kind == "f" and v.itemsize not in (4, 8)
    }
    data = _replaced(data.drop_encoding(), changed)
    for variable in data.variables.values():
        variable.attrs = _plain(variable.attrs)
    data.attrs = _plain(data.attrs)
    return data


def _replaced(data: xr.Dataset, values: Mapping[Any, np.ndarray]) -> xr.Dataset:
    """Return a copy with other values in some variables, coordinates still coordinates."""
    return data.copy().assign({n: (data[n].dims, v, data[n].attrs) for n, v in values.items()})


def _all_text(values: np.ndarray) -> bool:
    return values.dtype == object and all(type(value) is str for value in values.ravel())


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if value is None or type(value) in (str, bool, int, float):
        return value
    if isinstance(value, Mapping):
        return {str(name): _plain(v) for name, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else str(value)


def storable(data: xr.Dataset) -> xr.Dataset:
    """Return a dataset that netCDF can hold; `restored` undoes it.

    Parameters
    ----------
    data : xarray.Dataset
        As `lasting` returns it.

    Returns
    -------
    xarray.Dataset
        Columns and attributes that netCDF cannot hold are JSON in one attribute.
    """
    order = list(data.variables)
    columns = [_as_json(data, name) for name in data.variables if not _holds_column(data, name)]
    data = data.drop_vars([column["name"] for column in columns]).copy()
    attrs, data.attrs = _parted(data.attrs, None)
    of_columns = {}
    for name, variable in data.variables.items():
        of_columns[name], variable.attrs = _parted(variable.attrs, ("units", "long_name"))
        # Without a fill value nothing is masked, and every bit comes back.
        variable.encoding = {"_FillValue": None} if variable.dtype.kind == "f" else {}
    of_columns = {name: own for name, own in of_columns.items() if own}
    beside = {"columns": columns, "attrs": attrs, "of_columns": of_columns}
    if any(beside.values()):
        beside = json.dumps({**beside, "order": order}, ensure_ascii=False)
        data.attrs[_BESIDE] = beside.encode("unicode_escape").decode("ascii")
    return data


def _as_json(data: xr.Dataset, name: str) -> dict[str, Any]:
    found = data[name]
    return {"name": name, "dims": list(found.dims), "coordinate": name in data.coords, "attrs": found.attrs,
            "type": found.dtype.str, "cells": found.values.tolist()}  # fmt: skip


def _holds_column(data: xr.Dataset, name: str) -> bool:
    # A coordinate's name stands in a list with spaces between; names with _ in front are the file layer's own.
    fine = _holds(name) and len(name.encode()) <= _NAME_BYTES and name not in ("", ".", "..")
    if not fine or name[0] == "_" or (name in data.coords and name.split() != [name]):
        return False
    values = data[name].values
    if values.dtype != object:
        return True
    cells = values.ravel()
    return all(map(_holds, cells)) and len(cells) * max(map(len, cells), default=0) <= _WIDEST


def _holds(text: str) -> bool:
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def _parted(attrs: Mapping[str, Any], known: tuple[str, ...] | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split attributes into those that netCDF would not hold, or not as they are, and those that it holds."""
    held = {}
    for name, value in attrs.items():
        named = name in known if known else name.isidentifier() and name.isascii() and name.islower()
        named = named and name[0] != "_" and name != "coordinates"  # those mean something to the file layer
        whole = type(value) is int and abs(value) < 2**63
        if named and (whole or type(value) is float or (type(value) is str and _holds(value))):
            held[name] = value
    return {name: value for name, value in attrs.items() if name not in held}, held


def restored(data: xr.Dataset) -> xr.Dataset:
    """Return the dataset that `storable` made fit for netCDF.

    Parameters
    ----------
    data : xarray.Dataset
        As it was read.

    Returns
    -------
    xarray.Dataset
    """
    beside = json.loads(str(data.attrs.get(_BESIDE, "{}")).encode("ascii").decode("unicode_escape"))
    texts = {n: v.values.astype(object) for n, v in data.variables.items() if v.dtype.kind in "UO"}
    data = _replaced(data, texts)
    data.attrs = _scalars(data.attrs) | beside.get("attrs", {})
    data.attrs.pop(_BESIDE, None)
    of_columns = beside.get("of_columns", {})
    for name, variable in data.variables.items():
        variable.attrs = _scalars(variable.attrs) | of_columns.get(name, {})
    for column in beside.get("columns", ()):
        cells = np.array(column["cells"], dtype=column["type"])
        data[column["name"]] = (column["dims"], cells, column["attrs"])
        if column["coordinate"]:
            data = data.set_coords(column["name"])
    return data[beside["order"]] if "order" in beside else data


def _scalars(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """Return attributes with Python's numbers instead of NumPy's, which files give."""
    return {n: v.item() if isinstance(v, np.generic) else v for n, v in attrs.items()}
