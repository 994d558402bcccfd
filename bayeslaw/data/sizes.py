"""How large and how small the numbers of a fit may be: refused before anything is compiled.

Squares, products and powers of numbers near the ends of what a float holds overflow or vanish, and a
forecast is NaN or off by orders without a word. No quantity of training is near them in any unit; a
number that is there was misread or has the wrong unit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bayeslaw.core.errors import InputError
from bayeslaw.law.evaluate import log_slope, used_inputs
from bayeslaw.law.spec import LARGEST, SMALLEST, Spec

LARGEST_ERROR = 1e6
"""A standard error may be so many times its value; ten times happens, where nearly nothing is solved."""
ALLOWED = f"0, or numbers of a size from {SMALLEST:g} to {LARGEST:g}; check the unit"


def odd_sizes(values: np.ndarray) -> np.ndarray:
    """Return which numbers are too large, or too small for anything but zero."""
    size = np.abs(values)
    return (size > LARGEST) | ((size > 0) & (size < SMALLEST))


def largest_error(y: np.ndarray) -> float:
    """Return the largest standard error that makes sense beside outputs, in their unit."""
    top = float(np.abs(y).max(initial=0.0))
    return LARGEST_ERROR * top if top > 0 else LARGEST


def check_sizes(
    spec: Spec, columns: Mapping[str, Any], rows: Sequence[int] | None = None, what: str = "data"
) -> None:
    """Refuse inputs, outputs and sampling errors of absurd size.

    Parameters
    ----------
    spec : Spec
    columns : mapping of str to array, shape (rows,)
        By column, such as a dataset or a table; what is missing or no number is passed over.
    rows : sequence of int, optional
        The rows' numbers in the table; by default from 1.
    what : str
        What to call the columns in a message.

    Raises
    ------
    InputError
        Naming column, row, value and what is allowed.
    """
    inputs = [spec.inputs[n].column for n in used_inputs(spec) if spec.inputs[n].function is None]
    for name in (*inputs, spec.output.name):
        values = _numbers(columns, name)
        if values is not None and (odd := odd_sizes(values)).any():
            raise _refusal(what, name, odd, rows, values, ALLOWED)
    y, error = (_numbers(columns, name) for name in (spec.output.name, "sampling_error"))
    if y is None or error is None:
        return
    large = np.abs(error) > LARGEST
    with np.errstate(all="ignore"):
        if spec.output.scale == "identity":
            large |= error > largest_error(y)
        else:
            large |= error * np.exp(log_slope(y, spec.output.scale)) > LARGEST_ERROR
    if large.any():
        of = (
            "the largest value"
            if spec.output.scale == "identity"
            else f"the row's {spec.output.name}, {y[large][0]:g}"
        )
        allowed = (
            f"standard errors up to {LARGEST_ERROR:g} times {of}; check the unit, or leave the column out"
        )
        raise _refusal(what, "sampling_error", large, rows, error, allowed)


def _numbers(columns: Mapping[str, Any], name: str) -> np.ndarray | None:
    """Return a column as floats; None if there is none, or it holds no numbers."""
    if name not in columns:
        return None
    values = np.asarray(columns[name])
    return values.astype(float) if values.dtype.kind in "iuf" and values.ndim == 1 else None


def _refusal(
    what: str, name: str, odd: np.ndarray, rows: Sequence[int] | None, values: np.ndarray, allowed: str
) -> InputError:
    at = int(np.flatnonzero(odd)[0])
    more = f" (and {odd.sum() - 1} more)" if odd.sum() > 1 else ""
    row = at + 1 if rows is None else rows[at]
    return InputError(f"{what}: column {name!r}, row {row}{more}: found {values[at]:g}, allowed: {allowed}.")
