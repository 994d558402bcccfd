"""Evaluates a law: the formula of a spec on the rows of a dataset, on any array library."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
import xarray as xr

from bayeslaw.core.errors import InputError, check_type, did_you_mean, shown
from bayeslaw.law import expression
from bayeslaw.law.schedule_inputs import FUNCTIONS
from bayeslaw.law.spec import Spec, check_spec
from bayeslaw.law.types import Array, ArrayOps, Ops, Value, Values


@dataclass(frozen=True)
class Scale:
    """A scale on which errors are judged.

    Attributes
    ----------
    to : callable
        (output, ops) -> value on the scale, on any array library.
    back : callable
        Value on the scale -> output.
    log_slope : callable
        Output -> log |d to(output) / d output|.
    """

    to: Callable[[Value, Ops], Value]
    back: Callable[[Array], Array]
    log_slope: Callable[[Array], Array]


_SCALES = {
    "identity": Scale(lambda y, ops: y, lambda z: z, lambda y: np.zeros_like(y)),
    "log": Scale(lambda y, ops: ops.log(y), np.exp, lambda y: -np.log(y)),
    "logit": Scale(
        lambda y, ops: ops.log(y) - ops.log1p(-y),
        lambda z: 1 / (1 + np.exp(-z)),
        lambda y: -np.log(y) - np.log1p(-y),
    ),
}


def to_scale[V: Value](y: V, scale: str, ops: Ops = np) -> V:
    """Map the output to the scale of errors, on any array library."""
    return cast(V, _SCALES[scale].to(y, ops))


def from_scale(z: Array, scale: str) -> Array:
    """Map the scale of errors back to the output's unit."""
    return _SCALES[scale].back(z)


def log_slope(y: Array, scale: str) -> Array:
    """Return log |d scale(y) / dy|: what turns a density on the scale into one of the output."""
    return _SCALES[scale].log_slope(y)


def references(spec: Spec) -> dict[str, float]:
    """Return ``ref_<input>`` for each input of a resolved spec."""
    found: dict[str, float] = {}
    for entry in spec.inputs.values():
        name, value = f"ref_{entry.name}", entry.reference
        if isinstance(value, str):
            raise InputError(
                f"model '{spec.name}': {name} is still {value!r}; call resolve(spec, data) first."
            )
        if value is not None:
            found[name] = value
    return found


def fixed_values(spec: Spec) -> dict[str, float]:
    """Return the parameters that are held at a value."""
    return {p.name: p.fixed for p in spec.parameters.values() if p.fixed is not None}


def used_inputs(spec: Spec) -> list[str]:
    """Return the names of the inputs whose rows the law uses, not only their reference."""
    used = set(spec.law.symbols).union(*(d.formula.symbols for d in spec.derived.values()))
    return [i.name for i in spec.inputs.values() if i.function or i.name in used]


def law_inputs(spec: Spec, data: xr.Dataset | Mapping[str, object]) -> dict[str, Array]:
    """Take a law's inputs from a dataset or a mapping of columns.

    Parameters
    ----------
    spec : Spec
    data : xarray.Dataset or mapping
        Holds each used input's column, or the input's symbol; function inputs' prepared numbers
        under the function's name.

    Returns
    -------
    dict of str to numpy.ndarray
        By symbol; shape (rows,), function inputs (rows, nodes).

    Raises
    ------
    InputError
        If one is missing or not finite.
    """
    out = {}
    for name in used_inputs(spec):
        column = spec.inputs[name].column
        key = column if column in data else name
        if key not in data:
            raise InputError(
                f"model '{spec.name}' needs {name} (column {column!r}, {spec.inputs[name].meaning}){did_you_mean(column, map(str, data), 'The data have')}"
            )
        values = np.asarray(data[key], dtype=float)
        if not np.isfinite(values).all():
            raise InputError(f"column {column!r}: found a value that is not finite; all must be.")
        out[name] = values
    return out


def row_columns(spec: Spec, data: xr.Dataset | Mapping[str, object]) -> dict[str, Array]:
    """Take all that a law and its observation model may use from a dataset or a mapping of columns.

    Parameters
    ----------
    spec : Spec
    data : xarray.Dataset or mapping

    Returns
    -------
    dict of str to numpy.ndarray
        The law's inputs by symbol; those of sampling_error, the columns of the discrepancy and of
        pooled parameters, and the counts n and c that there are, by column.

    Raises
    ------
    InputError
        If an input of the law is missing or not finite.
    """
    out = law_inputs(spec, data)
    curves = (*spec.discrepancy.over, spec.discrepancy.within) if spec.discrepancy else ()
    for name in ("sampling_error", "outlying", "n", "c", *curves, *spec.label_columns):
        if name not in out and name is not None and name in data:
            values = np.asarray(data[name])
            out[name] = values.astype(float) if values.dtype.kind in "iufb" else values.astype(str)
    return out


def derive(spec: Spec, values: Values, ops: Ops = np) -> dict[str, Value]:
    """Compute the derived quantities that are one number a law.

    Parameters
    ----------
    spec : Spec
        Resolved.
    values : mapping of str to array
        The sampled parameters, all of one shape.
    ops : namespace

    Returns
    -------
    dict of str to array
    """
    known: dict[str, Value] = {**references(spec), **fixed_values(spec), **values}
    for name in spec.constants:
        known[name] = expression.evaluate(spec.derived[name].formula, known, ops)
    return {name: known[name] for name in spec.constants}


def evaluate_law(
    spec: Spec,
    values: Values,
    inputs: Mapping[str, Array],
    ops: ArrayOps = np,
    constants: Values | None = None,
) -> Value:
    """Evaluate a law.

    Parameters
    ----------
    spec : Spec
    values : mapping of str to array
        The parameters: scalars, or arrays of shape (draws, 1).
    inputs : mapping of str to array
        As `law_inputs` returns them.
    ops : namespace
        ``numpy``, ``pytensor.tensor`` or the like; see `expression.evaluate`.
    constants : mapping, optional
        References and fixed values; by default those of a resolved spec.

    Returns
    -------
    array
        The law's value in the output's unit, shape (rows,) or (draws, rows).
    """
    constants = {**references(spec), **fixed_values(spec)} if constants is None else constants
    functions = {i.name: i for i in spec.inputs.values() if i.function}
    known: dict[str, Value] = {
        **constants,
        **{n: v for n, v in inputs.items() if n not in functions},
        **values,
    }
    calls = {
        name: lambda *arguments, entry=entry: FUNCTIONS[entry.function].evaluate(
            arguments, inputs[entry.name], entry.ranges, ops
        )
        for name, entry in functions.items()
    }
    for derived in spec.derived.values():
        known[derived.name] = expression.evaluate(derived.formula, known, ops, calls)
    return expression.evaluate(spec.law, known, ops, calls)


def law_on_scale(spec: Spec, values: Mapping[str, Array], inputs: Mapping[str, Array]) -> Array:
    """Evaluate the law for many draws, on the scale of errors; shape (draws, rows)."""
    kept = {n: v for n, v in values.items() if n not in spec.derived}
    with np.errstate(all="ignore"):
        return to_scale(cast(Array, evaluate_law(spec, kept, inputs)), spec.output.scale)


def to_sampling(spec: Spec, natural: Values) -> dict[str, Value]:
    """Compute the sampled parameters from the paper's, by the file's ``[inverse]``.

    Parameters
    ----------
    spec : Spec
        Resolved.
    natural : mapping of str to array
        The paper's parameters.

    Returns
    -------
    dict of str to array
        A value for each of ``spec.scalar_names``.

    Raises
    ------
    InputError
        If the file has no inverse for one, or a parameter is missing.
    """
    check_spec("to_sampling(spec, natural)", spec)
    check_type("natural", natural, Mapping, "a mapping of the paper's parameters to numbers")
    for name, value in natural.items():
        if np.asarray(value).dtype.kind not in "iuf":
            raise InputError(f"natural, {name}: found {shown(value)}, allowed: numbers.")
    known: dict[str, Value] = {**references(spec), **fixed_values(spec), **natural}
    out = {}
    for name in spec.scalar_names:
        formula = spec.inverse.get(name)
        if formula is None and name not in known:
            raise InputError(
                f"model '{spec.name}': {name!r} is neither given nor has an [inverse]; add one of them."
            )
        missing = formula.symbols - known.keys() if formula else set()
        if missing:
            raise InputError(f"model '{spec.name}': [inverse] {name} needs {', '.join(sorted(missing))}.")
        out[name] = expression.evaluate(formula, known, np) if formula else known[name]
    return out
