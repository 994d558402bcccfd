"""Observation models: how rows scatter around the law, behind one interface.

Given the law's value at each row, an observation model yields the joint log density of the data, the
density of each row given all others, draws of new rows given the data, and their density. Fits,
cross-validation, back-tests and forecasts know only this; independent errors, a covariance, correlated
curves and counts are implementations (`independent`, `covariance`, `trajectories`, `counted`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import xarray as xr
from scipy.special import erfc, gammaln

from bayeslaw.core.errors import InputError, did_you_mean
from bayeslaw.law.evaluate import from_scale, log_slope, row_columns, to_scale
from bayeslaw.law.spec import Spec

NUMPY = SimpleNamespace(
    log=np.log,
    log1p=np.log1p,
    exp=np.exp,
    expm1=np.expm1,
    sqrt=np.sqrt,
    gammaln=gammaln,
    erfc=erfc,
    dot=np.matmul,
)


@dataclass(frozen=True)
class Rows:
    """What an observation model sees of rows, seen or new.

    Attributes
    ----------
    y : array, shape (rows,) or (draws, rows)
        The output on the scale of errors; one a draw where it is itself inferred (counts).
    error : array, shape (rows,)
        Known sampling error of each row (a standard error) on that scale; zero where none.
    log_slope : array, shape (rows,)
        log |d scale(output) / d output|: makes densities those of the output in its own unit.
    columns : mapping
        What else is known of the rows: inputs by symbol, step, run, group, n and c of counts.
    attrs : mapping
        What is known of the table, such as which run branches off which.
    """

    y: Any
    error: Any
    log_slope: Any
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    attrs: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of rows."""
        return np.shape(self.y)[-1]


def log_normal(residual: Any, variance: Any, ops: Any = NUMPY) -> Any:
    """Return the log density of normal residuals, elementwise."""
    return -0.5 * (ops.log(2 * np.pi * variance) + residual**2 / variance)


def _nothing(*_: Any) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Observation:
    """An observation model as functions.

    In all of them ``mean`` is the law's value on the scale of errors, shape (rows,) or
    (draws, rows); ``values`` maps the observation model's parameters to scalars or (draws, 1), and
    its latent vectors to (draws, size).

    Attributes
    ----------
    prepare : callable
        (rows) -> arrays by name that the compiled density takes; may change without compiling.
    joint : callable
        (mean, values, terms, ops) -> log density of all rows together, a scalar; ``terms`` is what
        `prepare` made. Runs on PyTensor and on NumPy.
    leave_one_out : callable
        (mean, values, rows) -> log p(y_i | y_−i, parameters), shape (draws, rows).
    predict : callable
        (mean, values, rows, new_mean, new_rows, rng, together) -> draws for new rows on the scale
        of errors given the seen ones (``rows=None``: given none), a dict of ``curve`` (where a
        noiseless run lands) and ``run``, each of shape (draws, new rows). Not ``together``, each new
        row is drawn for itself, which is faster.
    density : callable
        (mean, values, rows, new_mean, new_rows, rng) -> log density of the new rows given the seen
        ones: of all together, shape (draws,), and of each, shape (draws, new rows).
    fitted : callable
        (mean, values, rows) -> where a noiseless run lands at the seen rows, shape (draws, rows).
    latents : callable
        (rows) -> sizes by name of the standard normal vectors that the joint density takes, padded so
        that few sizes have to be compiled.
    left_out : callable
        (mean, values, rows) -> mean and variance of each row's normal prediction from the others, each
        of shape (draws, rows); only of models that are normal given their values.
    scatter : callable
        (rows) -> usual covariance of the rows around the law in units of run noise, shape (rows, rows);
        None where rows scatter independently.
    complete : callable
        (mean, values, rows, rng) -> draws, shape (draws,), of what the joint density summed out.
    """

    prepare: Callable[[Rows], dict[str, np.ndarray]]
    joint: Callable[..., Any]
    leave_one_out: Callable[..., np.ndarray]
    predict: Callable[..., dict[str, np.ndarray]]
    density: Callable[..., tuple[np.ndarray, np.ndarray]]
    fitted: Callable[..., np.ndarray]
    latents: Callable[[Rows], dict[str, int]] = _nothing
    left_out: Callable[..., Any] = _nothing
    scatter: Callable[[Rows], np.ndarray | None] = lambda _: None
    complete: Callable[..., dict[str, np.ndarray]] = _nothing


def make_rows(
    spec: Spec,
    output: np.ndarray,
    sampling_error: np.ndarray,
    columns: Mapping[str, np.ndarray] | None = None,
    attrs: Mapping[str, Any] | None = None,
) -> Rows:
    """Put the data on the scale of errors.

    Parameters
    ----------
    spec : Spec
    output : numpy.ndarray, shape (rows,)
        In the output's unit.
    sampling_error : numpy.ndarray, shape (rows,)
        Its standard error, in the same unit.
    columns, attrs : mapping, optional
        See `Rows`.

    Returns
    -------
    Rows
    """
    slope = log_slope(output, spec.output.scale)
    error = sampling_error * np.exp(slope)
    return Rows(to_scale(output, spec.output.scale), error, slope, columns or {}, attrs or {})


def observed_rows(spec: Spec, data: xr.Dataset) -> Rows:
    """Take the output from a dataset, on the scale of errors.

    Parameters
    ----------
    spec : Spec
    data : xarray.Dataset

    Returns
    -------
    Rows

    Raises
    ------
    InputError
        If the output is missing, empty, or has a value the scale does not admit.
    """
    name = spec.output.name
    if name not in data:
        raise InputError(
            f"model '{spec.name}' predicts {name!r}, which the data lack{did_you_mean(name, data.data_vars, 'The data have')}"
        )
    y = np.asarray(data[name].values, dtype=float)
    columns = row_columns(spec, data)
    error = columns.get("sampling_error", np.zeros_like(y))
    if y.ndim != 1 or not len(y):
        raise InputError(
            f"column {name!r}: expected one value a row and at least one row, found shape {y.shape}."
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        rows = make_rows(spec, y, error, columns, data.attrs)
    if not (np.isfinite(rows.y).all() and np.isfinite(rows.error).all()):
        raise InputError(
            f"column {name!r}: a value has no place on the {spec.output.scale} scale; read the table with read_table, which leaves such rows out and says so."
        )
    return rows


def error_on_scale(spec: Spec, output: np.ndarray, sampling_error: np.ndarray) -> np.ndarray:
    """Map a standard error from the output's unit to the scale of errors, at the given output."""
    return sampling_error * np.exp(log_slope(output, spec.output.scale))


def to_output(spec: Spec, draws: np.ndarray) -> np.ndarray:
    """Map draws from the scale of errors to the output's unit."""
    return from_scale(draws, spec.output.scale)
