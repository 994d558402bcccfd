"""Rows that scatter independently around the law: Student-t or normal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bayeslaw.core.errors import InputError
from bayeslaw.law.evaluate import references
from bayeslaw.law.spec import Spec
from bayeslaw.law.types import Array, DensityOps, Tensor, Tensors
from bayeslaw.observation.base import NUMPY, Draws, Rows, log_normal

_ALONG = "sigma_along"
"""Name of the term that says where rows lie along the input that run noise changes with."""


def observe(spec: Spec) -> Independent:
    """Return the observation model of independent rows.

    Parameters
    ----------
    spec : Spec
        Noise of heavy tails has a parameter ``nu``; other noise is normal.

    Returns
    -------
    Independent
    """
    heavy, over = "nu" in spec.noise, spec.sigma_over
    return Independent(heavy) if over is None else Independent(heavy, over, references(spec)[f"ref_{over}"])


@dataclass(frozen=True)
class Independent:
    """Run noise and sampling error together have variance sigma² + error²; `heavy` tails are Student-t.

    Where run noise changes along an input, `over`, sigma is that at its `reference`, and
    sigma · (input / reference)^sigma_slope elsewhere.
    """

    heavy: bool
    over: str | None = None
    reference: float = 1.0

    def latents(self, rows: Rows) -> dict[str, int]:
        """Return none: all that varies is the law's and sigma."""
        return {}

    def prepare(self, rows: Rows) -> dict[str, Array]:
        """Return the rows themselves."""
        given = {"observed": rows.y, "sampling_error": rows.error, "log_slope": rows.log_slope}
        along = self.along(rows.columns)
        return given if along is None else {**given, _ALONG: along}

    def along(self, columns: Mapping[str, Array]) -> Array | None:
        """Return how many e-folds rows lie from the reference of run noise; None where it is the same everywhere."""
        if self.over is None:
            return None
        x = np.asarray(columns[self.over], dtype=float)
        if not (x > 0).all():
            raise InputError(f"sigma_slope: run noise changes with {self.over} in e-folds; found {self.over} = {x[~(x > 0)][0]:g}, allowed: numbers greater than 0.")  # fmt: skip
        return np.log(x / self.reference)

    def joint(self, mean: Tensor, values: Tensors, terms: Tensors, ops: DensityOps) -> Tensor:
        """Return the sum of the rows' log densities."""
        named = terms["observed"], terms["sampling_error"], terms["log_slope"]
        return self.each(mean, values, *named, ops, terms.get(_ALONG)).sum()

    def scatter(self, rows: Rows) -> Array | None:
        """Return None: rows scatter independently."""
        return None

    def each(
        self, mean: Tensor, values: Tensors, y: Tensor, error: Tensor, log_slope: Tensor, ops: DensityOps,
        along: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """Return the log density of each row."""
        variance = run_noise(values, along, ops) ** 2 + error**2
        if not self.heavy:
            return log_normal(y - mean, variance, ops) + log_slope
        return _log_t(y - mean, variance, values["nu"], ops) + log_slope

    def unconditioned(self, values: Draws) -> Scattered:
        """Return what new rows do: seen ones say nothing more."""
        return Scattered(self, values)

    def condition(self, rows: Rows, mean: Array, values: Draws) -> IndependentGivenRows:
        """Return the conditional."""
        return IndependentGivenRows(self, values, rows, mean)


@dataclass(frozen=True)
class Scattered:
    """New rows around the law."""

    model: Independent
    values: Draws

    def predict(
        self, new_mean: Array, new_rows: Rows, rng: np.random.Generator, together: bool = False
    ) -> dict[str, Array]:
        """Draw new rows; the curve is the law."""
        sigma = run_noise(self.values, self.model.along(new_rows.columns), NUMPY)
        scale = np.sqrt(sigma**2 + new_rows.error**2)
        noise = (
            rng.standard_t(np.broadcast_to(self.values["nu"], new_mean.shape)) if self.model.heavy
            else rng.standard_normal(new_mean.shape)
        )  # fmt: skip
        return {"curve": new_mean, "run": new_mean + scale * noise}


@dataclass(frozen=True)
class IndependentGivenRows(Scattered):
    """Independent rows that were seen."""

    rows: Rows
    mean: Array

    def density(self, new_mean: Array, new_rows: Rows, rng: np.random.Generator) -> tuple[Array, Array]:
        """Return the log density of new rows."""
        given = new_rows.y, new_rows.error, new_rows.log_slope
        rowwise = np.asarray(
            self.model.each(new_mean, self.values, *given, NUMPY, self.model.along(new_rows.columns))
        )
        return rowwise.sum(axis=-1), rowwise

    def fitted(self) -> Array:
        """Return the law at the rows."""
        return self.mean

    def leave_one_out(self) -> Array:
        """Return each row's own density: given the parameters the others say nothing more."""
        given = self.rows.y, self.rows.error, self.rows.log_slope
        return np.asarray(
            self.model.each(self.mean, self.values, *given, NUMPY, self.model.along(self.rows.columns))
        )

    def left_out(self) -> tuple[Array, Array]:
        """Return the law, and the variance of noise and error."""
        sigma = run_noise(self.values, self.model.along(self.rows.columns), NUMPY)
        return self.mean, sigma**2 + self.rows.error**2

    def complete(self, rng: np.random.Generator) -> dict[str, Array]:
        """Return nothing: nothing is marginalised."""
        return {}


def run_noise[T: (Array, Tensor)](values: Mapping[str, T], along: T | None, ops: DensityOps) -> T:
    """Return the scale of run noise at rows.

    Parameters
    ----------
    values : mapping of str to value
        ``sigma`` and, if it changes, ``sigma_slope``.
    along : value, shape (rows,), or None
        From `Independent.along`.
    ops : namespace

    Returns
    -------
    value
        Of `sigma`'s shape where it is the same everywhere, else of (rows,) or (draws, rows).
    """
    return values["sigma"] if along is None else values["sigma"] * ops.exp(values["sigma_slope"] * along)


def noise_at(spec: Spec, values: Draws, columns: Mapping[str, Array]) -> Array:
    """Return the scale of a law's run noise at rows, whatever they scatter around.

    Parameters
    ----------
    spec : Spec
        Resolved.
    values : mapping of str to numpy.ndarray
        Draws.
    columns : mapping of str to numpy.ndarray, shape (rows,)

    Returns
    -------
    numpy.ndarray, shape (draws, 1) or (draws, rows)
    """
    return np.atleast_2d(run_noise(values, observe(spec).along(columns), NUMPY))


def _log_t(residual: Tensor, variance: Tensor, nu: Tensor, ops: DensityOps) -> Tensor:
    constant = ops.gammaln((nu + 1) / 2) - ops.gammaln(nu / 2) - ops.log(nu * np.pi) / 2
    return constant - ops.log(variance) / 2 - (nu + 1) / 2 * ops.log1p(residual**2 / (nu * variance))
