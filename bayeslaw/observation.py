"""Observation models: how rows scatter around the law.

One interface for all of them. Given the law's value at each row, an observation model yields the
joint log density of the data, the density of each row given all others (leave-one-out), and draws
of new rows given the data. Fit, cross-validation, back-tests and forecasts know only this; an i.i.d.
likelihood, a covariance and counts are three implementations.

The joint density is written once and runs on PyTensor (sampling) and NumPy (results) alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import xarray as xr
from scipy.special import gammaln

from bayeslaw.errors import InputError, did_you_mean
from bayeslaw.law import from_scale, log_slope, to_scale
from bayeslaw.spec import Spec

NUMPY = SimpleNamespace(log=np.log, log1p=np.log1p, sqrt=np.sqrt, gammaln=gammaln)


@dataclass(frozen=True)
class Rows:
    """What an observation model sees of the data.

    Attributes
    ----------
    y : array, shape (rows,)
        The output on the scale of errors.
    error : array, shape (rows,)
        Known sampling error of each row (a standard error) on that scale; zero where none.
    log_slope : array, shape (rows,)
        log |d scale(output) / d output|: makes densities those of the output in its own unit.
    """

    y: Any
    error: Any
    log_slope: Any


@dataclass(frozen=True)
class Observation:
    """An observation model as three functions.

    In all of them ``mean`` is the law's value on the scale of errors, shape (rows,) or
    (draws, rows), and ``values`` maps the likelihood's parameters to scalars or (draws, 1).

    Attributes
    ----------
    joint : callable
        (mean, values, rows, ops) -> log density of all rows together, a scalar.
    leave_one_out : callable
        (mean, values, rows) -> log p(y_i | y_−i, parameters), shape (draws, rows).
    predict : callable
        (mean, values, rows, new_mean, new_error, rng) -> draws for new rows on the scale of errors
        given the seen rows, a dict of ``curve`` (where a noiseless run lands) and ``run``, each of
        shape (draws, new rows).
    """

    joint: Callable[..., Any]
    leave_one_out: Callable[..., np.ndarray]
    predict: Callable[..., dict[str, np.ndarray]]


def make_rows(spec: Spec, output: np.ndarray, sampling_error: np.ndarray) -> Rows:
    """Put the data on the scale of errors.

    Parameters
    ----------
    spec : Spec
    output : numpy.ndarray, shape (rows,)
        In the output's unit.
    sampling_error : numpy.ndarray, shape (rows,)
        Its standard error, in the same unit.

    Returns
    -------
    Rows
    """
    slope = log_slope(output, spec.output.scale)
    return Rows(to_scale(output, spec.output.scale), sampling_error * np.exp(slope), slope)


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
            f"model '{spec.name}' predicts {name!r}, which the data lack{did_you_mean(name, data.data_vars)}"
        )
    y = np.asarray(data[name].values, dtype=float)
    error = (
        np.asarray(data["sampling_error"].values, dtype=float)
        if "sampling_error" in data
        else np.zeros_like(y)
    )
    if y.ndim != 1 or not len(y):
        raise InputError(
            f"column {name!r}: expected one value a row and at least one row, found shape {y.shape}."
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        rows = make_rows(spec, y, error)
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


def _student_t(mean: Any, values: Mapping[str, Any], rows: Rows, ops: Any) -> Any:
    """Log density of each row: Student-t around the law, run noise and sampling error together."""
    nu = values["nu"]
    variance = values["sigma"] ** 2 + rows.error**2
    constant = ops.gammaln((nu + 1) / 2) - ops.gammaln(nu / 2) - ops.log(nu * np.pi) / 2
    kernel = (nu + 1) / 2 * ops.log1p((rows.y - mean) ** 2 / (nu * variance))
    return constant - ops.log(variance) / 2 - kernel + rows.log_slope


def _student_t_joint(mean: Any, values: Mapping[str, Any], rows: Rows, ops: Any) -> Any:
    return _student_t(mean, values, rows, ops).sum()


def _student_t_leave_one_out(mean: np.ndarray, values: Mapping[str, Any], rows: Rows) -> np.ndarray:
    # Rows are independent given the parameters: the others say nothing more.
    return _student_t(mean, values, rows, NUMPY)


def _student_t_predict(mean, values, rows, new_mean, new_error, rng) -> dict[str, np.ndarray]:
    scale = np.sqrt(values["sigma"] ** 2 + new_error**2)
    noise = rng.standard_t(np.broadcast_to(values["nu"], new_mean.shape))
    return {"curve": new_mean, "run": new_mean + scale * noise}


OBSERVATIONS = {
    "StudentT": Observation(_student_t_joint, _student_t_leave_one_out, _student_t_predict),
}
"""One row a family; `bayeslaw.spec.FAMILIES` names each one's parameters."""
