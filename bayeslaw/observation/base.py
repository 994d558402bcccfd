"""Observation models: how rows scatter around the law, behind one interface.

Given the law's value at each row, an observation model yields the joint log density of the data; conditioned
on rows, it says where new ones land, how likely they are, and how likely each row is given all others. Fits,
cross-validation, back-tests and forecasts know only this; `independent`, `discrepancy`, `runs` and `counts`
implement it, and `registry` says which spec has which.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Protocol, cast

import numpy as np
import xarray as xr
from scipy.special import erfc, gammaln

from bayeslaw.core.errors import InputError, did_you_mean
from bayeslaw.law.evaluate import from_scale, log_slope, row_columns, to_scale
from bayeslaw.law.spec import Spec
from bayeslaw.law.types import Array, DensityOps, Tensor, Tensors

Draws = Mapping[str, Array]
"""Draws of parameters, (draws, 1), and of latent vectors, (draws, size); what is fixed may be a number."""

_NUMPY = SimpleNamespace(
    log=np.log,
    log1p=np.log1p,
    exp=np.exp,
    expm1=np.expm1,
    sqrt=np.sqrt,
    gammaln=gammaln,
    erfc=erfc,
    dot=np.matmul,
)
NUMPY = cast(DensityOps, _NUMPY)


@dataclass(frozen=True)
class Rows:
    """What an observation model sees of rows, seen or new.

    Attributes
    ----------
    y : array, shape (rows,) or (draws, rows)
        The output on the scale of errors; one for each draw where it is itself inferred (counts).
    error : array, shape (rows,)
        Known sampling error of each row (a standard error) on that scale; zero where none.
    log_slope : array, shape (rows,)
        log |d scale(output) / d output|: makes densities those of the output in its own unit.
    columns : mapping
        What else is known of the rows: inputs by symbol, step, run, group, n and c of counts.
    attrs : mapping
        What is known of the table, such as which run branches off which.
    """

    y: Array
    error: Array
    log_slope: Array
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    attrs: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of rows."""
        return np.shape(self.y)[-1]


def log_normal[T: (Array, Tensor)](residual: T, variance: T, ops: DensityOps = NUMPY) -> T:
    """Return the log density of normal residuals, elementwise."""
    return -0.5 * (ops.log(2 * np.pi * variance) + residual**2 / variance)


class Predictive(Protocol):
    """An observation model with draws of its parameters, which says where new rows land."""

    def predict(
        self, new_mean: Array, new_rows: Rows, rng: np.random.Generator, together: bool = False
    ) -> dict[str, Array]:
        """Draw new rows on the scale of errors, given the rows that it was conditioned on.

        Parameters
        ----------
        new_mean : numpy.ndarray, shape (draws, new rows)
            The law's value at them, on the scale of errors.
        new_rows : Rows
        rng : numpy.random.Generator
        together : bool
            Whether new rows are drawn jointly; each for itself is faster.

        Returns
        -------
        dict of str to numpy.ndarray, shape (draws, new rows)
            ``curve``, where a noiseless run lands, and ``run``.
        """


class Conditional(Predictive, Protocol):
    """An observation model conditioned on rows, under draws of its parameters."""

    def density(self, new_mean: Array, new_rows: Rows, rng: np.random.Generator) -> tuple[Array, Array]:
        """Return the log density of new rows: of all together, shape (draws,), and of each, shape (draws, new rows)."""

    def fitted(self) -> Array:
        """Return where a noiseless run lands at the seen rows, shape (draws, rows)."""

    def leave_one_out(self) -> Array:
        """Return log p(y_i | y_−i, parameters), shape (draws, rows)."""

    def complete(self, rng: np.random.Generator) -> dict[str, Array]:
        """Draw what the joint density marginalised, by name, shape (draws,); nothing where it marginalises nothing."""


class GaussianConditional(Conditional, Protocol):
    """One that is normal given its values, so that counts can scatter around it."""

    def left_out(self) -> tuple[Array, Array]:
        """Return mean and variance of each row's prediction from the others, each of shape (draws, rows)."""


class Observation(Protocol):
    """How rows scatter around the law.

    ``mean`` is the law's value on the scale of errors, shape (rows,) or (draws, rows); ``values`` maps the
    observation model's parameters to scalars or (draws, 1), and its latent vectors to (draws, size).
    """

    def latents(self, rows: Rows) -> dict[str, int]:
        """Return sizes by name of the standard normal vectors that the joint density takes."""

    def prepare(self, rows: Rows) -> dict[str, Array]:
        """Return arrays by name that the compiled density takes; they may change without compiling."""

    def joint(self, mean: Tensor, values: Tensors, terms: Tensors, ops: DensityOps) -> Tensor:
        """Return the log density of all rows together; ``terms`` is what `prepare` made. On PyTensor and on NumPy."""

    def scatter(self, rows: Rows) -> Array | None:
        """Return the usual covariance of rows around the law in units of run noise; None where they scatter independently."""

    def unconditioned(self, values: Draws) -> Predictive:
        """Return what is said of new rows where none was seen."""

    def condition(self, rows: Rows, mean: Array, values: Draws) -> Conditional:
        """Return what seen rows, under draws of the parameters, say of themselves and of new ones."""


class GaussianObservation(Observation, Protocol):
    """An observation model that is normal given its values."""

    def condition(self, rows: Rows, mean: Array, values: Draws) -> GaussianConditional:
        """Return the conditional, which knows mean and variance of rows that are left out."""


def make_rows(
    spec: Spec,
    output: np.ndarray,
    sampling_error: np.ndarray,
    columns: Mapping[str, np.ndarray] | None = None,
    attrs: Mapping[str, str] | None = None,
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
            f"model '{spec.name}' predicts {name!r}, which the data lack{did_you_mean(name, map(str, data.data_vars), 'The data have')}"
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
