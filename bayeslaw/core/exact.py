"""Write plain values as text that gives back every bit, and nothing but values: reading it runs no code."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import struct
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import xarray as xr

_NUMBERS = "biufcSU"
"""Kinds of arrays whose bytes are their values."""


def exact_text(value: Any) -> str:
    """Write a value as JSON.

    Parameters
    ----------
    value : object
        None, booleans, numbers, text; lists, tuples, and mappings whose keys are text; NumPy's arrays and
        scalars, xarray's DataArray and Dataset, which lose what speeds them up (indexes, encoding).

    Returns
    -------
    str
        For `exact_value`.

    Raises
    ------
    TypeError
        If a part of it is anything else.
    """
    return json.dumps(_plain(value), separators=(",", ":"), allow_nan=False)


def exact_value(text: str) -> Any:
    """Read what `exact_text` wrote.

    Parameters
    ----------
    text : str

    Returns
    -------
    object
        Of the same types; arrays are contiguous, and may be changed.

    Raises
    ------
    ValueError, KeyError, TypeError
        If the text is none of its.
    """
    return _value(json.loads(text))


def fingerprint(value: Any) -> str:
    """Return a SHA-256 of a value: every bit, every type, and not the order of names.

    Parameters
    ----------
    value : object
        As `exact_text` takes it.

    Returns
    -------
    str
    """
    text = json.dumps(_plain(value), separators=(",", ":"), allow_nan=False, sort_keys=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _plain(value: Any) -> Any:
    """Return a value as what JSON has; what it has not is a mapping of its kind to what it is made of."""
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {"float": _packed(struct.pack("<d", value))}
    for kind, write in _WRITERS.items():
        if isinstance(value, kind):
            return write(value)
    raise TypeError(f"a value of type {type(value).__name__} cannot be written as plain data")


def _mapping(value: Mapping[Any, Any]) -> dict[str, Any]:
    return {"dict": {_name(name): _plain(one) for name, one in value.items()}}


def _name(name: Any) -> str:
    if type(name) is not str:
        raise TypeError(f"a name of type {type(name).__name__} cannot be written as plain data")
    return name


def _array(value: np.ndarray) -> dict[str, Any]:
    if value.dtype.kind in _NUMBERS:
        return {"array": [value.dtype.str, list(value.shape), _packed(value.tobytes())]}
    cells = [_plain(cell) for cell in value.astype(object).ravel()]
    return {"objects": [list(value.shape), cells]}


def _scalar(value: np.generic) -> dict[str, Any]:
    if value.dtype.kind not in _NUMBERS:
        raise TypeError(f"a scalar of type {value.dtype} cannot be written as plain data")
    return {"scalar": [value.dtype.str, _packed(value.tobytes())]}


def _variable(value: xr.DataArray | xr.Variable) -> list[Any]:
    return [list(map(_name, value.dims)), _plain(np.asarray(value.values)), _mapping(value.attrs)["dict"]]


def _labelled(value: xr.DataArray) -> dict[str, Any]:
    name = None if value.name is None else _name(value.name)
    coords = {_name(n): _variable(c) for n, c in value.coords.items()}
    return {"labelled": [name, *_variable(value), coords]}


def _dataset(value: xr.Dataset) -> dict[str, Any]:
    variables = {_name(n): _variable(v) for n, v in value.variables.items()}
    return {"dataset": [variables, sorted(map(_name, value.coords)), _mapping(value.attrs)["dict"]]}


def _packed(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


_WRITERS: dict[type, Callable[[Any], Any]] = {
    np.generic: _scalar,
    np.ndarray: _array,
    xr.DataArray: _labelled,
    xr.Dataset: _dataset,
    tuple: lambda value: {"tuple": [_plain(one) for one in value]},
    list: lambda value: [_plain(one) for one in value],
    Mapping: _mapping,
}
"""By type; NumPy's numbers stand first, some of which are Python's, too, and a Dataset before mappings."""


def _value(found: Any) -> Any:
    if isinstance(found, list):
        return [_value(one) for one in found]
    if not isinstance(found, dict):
        return found
    ((kind, content),) = found.items()
    return _READERS[kind](content)


def _read_array(content: list[Any]) -> np.ndarray:
    kind, shape, packed = content
    return np.frombuffer(base64.b64decode(packed), _kind(kind)).reshape(shape).copy()


def _read_objects(content: list[Any]) -> np.ndarray:
    shape, cells = content
    out = np.empty(len(cells), dtype=object)
    out[:] = [_value(cell) for cell in cells]
    return out.reshape(shape)


def _read_scalar(content: list[Any]) -> np.generic:
    kind, packed = content
    return np.frombuffer(base64.b64decode(packed), _kind(kind))[0]


def _kind(name: str) -> np.dtype:
    kind = np.dtype(name)
    if kind.kind not in _NUMBERS:
        raise ValueError(f"arrays of type {name} are not read")
    return kind


def _read_variable(content: list[Any]) -> tuple[list[str], Any, dict[str, Any]]:
    dims, values, attrs = content
    return dims, _value(values), _read_mapping(attrs)


def _read_mapping(content: dict[str, Any]) -> dict[str, Any]:
    return {name: _value(one) for name, one in content.items()}


def _read_labelled(content: list[Any]) -> xr.DataArray:
    name, dims, values, attrs, coords = content
    known = {n: _read_variable(c) for n, c in coords.items()}
    return xr.DataArray(_value(values), known, dims, name, _read_mapping(attrs))


def _read_dataset(content: list[Any]) -> xr.Dataset:
    variables, coords, attrs = content
    found = {n: _read_variable(v) for n, v in variables.items()}
    return xr.Dataset(found, attrs=_read_mapping(attrs)).set_coords(coords)


_READERS: dict[str, Callable[[Any], Any]] = {
    "float": lambda packed: struct.unpack("<d", base64.b64decode(packed))[0],
    "scalar": _read_scalar,
    "array": _read_array,
    "objects": _read_objects,
    "labelled": _read_labelled,
    "dataset": _read_dataset,
    "tuple": lambda content: tuple(_value(one) for one in content),
    "dict": _read_mapping,
}
