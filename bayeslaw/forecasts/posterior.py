"""What is known after a fit, behind one interface: its draws, what they predict, and how dense they are at rows.

A NUTS fit, a point fit with its bootstrap, and a mixture of laws answer the same calls; `posterior_of` chooses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from scipy.special import logsumexp

from bayeslaw.core.draws import over_draws
from bayeslaw.forecasts.evaluation import Evaluation
from bayeslaw.forecasts.intervals import VALUELESS
from bayeslaw.forecasts.mixture import Mixture, members, mixed
from bayeslaw.inference.fit import Fit
from bayeslaw.inference.fitted import given_rows
from bayeslaw.inference.values import fit_values
from bayeslaw.law.evaluate import law_on_scale, log_slope
from bayeslaw.law.spec import Spec
from bayeslaw.observation.base import Rows, error_on_scale, to_output
from bayeslaw.observation.independent import noise_at

Columns = Mapping[str, np.ndarray]
NO_ATTRS: Mapping[str, Any] = MappingProxyType({})


class Posterior(Protocol):
    """What is known of one law, or of several."""

    @property
    def spec(self) -> Spec:
        """The law; of several the first, with whom they share output and scale."""

    def draws(self) -> dict[str, np.ndarray]:
        """Return the parameters' draws: scalars of shape (draws, 1), latent vectors (draws, size)."""

    def predict(
        self,
        targets: Sequence[Columns],
        rng: np.random.Generator,
        together: bool = False,
        attrs: Mapping[str, Any] = NO_ATTRS,
    ) -> dict[str, np.ndarray]:
        """Draw ``law``, ``curve`` and ``run`` at targets, on the scale of errors.

        Parameters
        ----------
        targets : sequence of mapping of str to numpy.ndarray, shape (targets,)
            The columns of each law, as `forecast_inputs` returns them: one mapping for one law.
        rng : numpy.random.Generator
        together : bool
            Whether targets are drawn jointly, with what they share; each for itself is faster.
        attrs : mapping
            What is known of the targets as a table, such as which run branches off which.

        Returns
        -------
        dict of str to numpy.ndarray, shape (draws, targets)
        """

    def density(self, rows: Rows, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return log densities of rows under each draw: of all together, shape (draws,), and of each, (draws, rows)."""


class SampledPosterior:
    """The draws of NUTS, with the observation model conditioned on the fit's rows.

    Parameters
    ----------
    fit : Fit
    thin : int
        Keep every `thin`-th draw.
    evaluation : Evaluation, optional
        How runs that are predicted will be measured, where their columns don't say it.
    """

    def __init__(self, fit: Fit, thin: int = 1, evaluation: Evaluation | None = None) -> None:
        self.fit, self.spec, self.evaluation = fit, fit.spec, evaluation
        self._values = fit_values(fit, thin)
        self._given = given_rows(fit, self._values)

    def draws(self) -> dict[str, np.ndarray]:
        """Return draws of parameters and latent vectors, fixed noise too."""
        return self._values

    def predict(
        self,
        targets: Sequence[Columns],
        rng: np.random.Generator,
        together: bool = False,
        attrs: Mapping[str, Any] = NO_ATTRS,
    ) -> dict[str, np.ndarray]:
        """Draw every kind at targets."""
        (columns,) = targets
        law, centre = self._law(columns, rng)
        new = new_rows(self.spec, columns, law, attrs, self.evaluation)
        return {"law": law, **self._given.predict(centre, new, rng, together)}

    def density(self, rows: Rows, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return log densities; errors are those of a forecast, at the law's median, not at what was observed."""
        law, centre = self._law(rows.columns, rng)
        error = new_rows(self.spec, rows.columns, law).error
        return self._given.density(centre, replace(rows, error=error), rng)

    def noise_variance(self, columns: Columns) -> np.ndarray:
        """Return the variance of run noise at targets, shape (draws, 1) or (draws, targets)."""
        return noise_at(self.spec, self._values, columns) ** 2

    def _law(self, columns: Columns, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return the law by itself, and with the groups' own parameters, shape (draws, rows)."""
        law = _law_alone(self.spec, self._values, columns)
        return law, self.fit.bound.law(self._values, columns, rng) if self.spec.pooled else law


class PointPosterior:
    """A point fit's bootstrap, with its residuals as noise.

    Parameters
    ----------
    fit : Fit
    thin : int
        Keep every `thin`-th resample.
    values : mapping of str to numpy.ndarray, optional
        Parameters to take instead of the bootstrap's, shape (draws, 1).
    """

    def __init__(self, fit: Fit, thin: int = 1, values: Mapping[str, np.ndarray] | None = None) -> None:
        self.fit, self.spec = fit, fit.spec
        self._values = fit_values(fit, thin) if values is None else dict(values)
        self._residual = fit.tree["point"]["residual"].values

    def draws(self) -> dict[str, np.ndarray]:
        """Return the resamples' parameters."""
        return self._values

    def predict(
        self,
        targets: Sequence[Columns],
        rng: np.random.Generator,
        together: bool = False,
        attrs: Mapping[str, Any] = NO_ATTRS,
    ) -> dict[str, np.ndarray]:
        """Draw every kind at targets: the curve is the law, runs scatter as the residuals do."""
        (columns,) = targets
        law = _law_alone(self.spec, self._values, columns)
        error = self._beyond_residuals(new_rows(self.spec, columns, law).error)
        noise = rng.choice(self._residual, size=law.shape) + error * rng.standard_normal(law.shape)
        return {"law": law, "curve": law, "run": law + noise}

    def density(self, rows: Rows, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return log densities: residuals, smoothed."""
        law = law_on_scale(self.spec, self._values, rows.columns)
        each = (
            _residual_density(rows.y - law, self._residual, self._beyond_residuals(rows.error))
            + rows.log_slope
        )
        return each.sum(axis=1), each

    def _beyond_residuals(self, error: np.ndarray) -> np.ndarray:
        """Return what is left of errors without those that the residuals hold already."""
        held = np.mean(self.fit.bound.rows.error**2)
        return np.sqrt(np.maximum(error**2 - held, 0.0))

    def noise_variance(self, columns: Columns) -> np.ndarray:
        """Return the variance of the residuals, the same everywhere."""
        return np.var(self._residual)


class MixedPosterior:
    """Several laws: of each as many draws as its weight says.

    Parameters
    ----------
    mixture : Mixture
        What is asked of all rows together has its `weights`; hold it at a distance (`Mixture.held_at`).
    thin : int
    evaluation : Evaluation, optional
    """

    def __init__(self, mixture: Mixture, thin: int = 1, evaluation: Evaluation | None = None) -> None:
        fits, self.weights = zip(*members(mixture), strict=True)
        self._names = [name for name, one in mixture.fits.items() if any(one is kept for kept in fits)]
        self._parts = [SampledPosterior(one, thin, evaluation) for one in fits]
        self.spec = fits[0].spec

    def draws(self) -> dict[str, np.ndarray]:
        """Return each law's draws, by ``law: parameter``; how many there are differs between laws."""
        return {
            f"{name}: {parameter}": values
            for name, part in zip(self._names, self._parts, strict=True)
            for parameter, values in part.draws().items()
        }

    def predict(
        self,
        targets: Sequence[Columns],
        rng: np.random.Generator,
        together: bool = False,
        attrs: Mapping[str, Any] = NO_ATTRS,
    ) -> dict[str, np.ndarray]:
        """Draw every kind at targets, mixed."""
        return mixed(self.by_law(targets, rng, together, attrs), self.weights)

    def by_law(
        self,
        targets: Sequence[Columns],
        rng: np.random.Generator,
        together: bool = False,
        attrs: Mapping[str, Any] = NO_ATTRS,
    ) -> list[dict[str, np.ndarray]]:
        """Draw every kind at targets, law by law."""
        parts = zip(self._parts, targets, strict=True)
        return [part.predict([columns], rng, together, attrs) for part, columns in parts]

    def density(self, rows: Rows, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return the laws' mean log densities, weighted: one law is right for all rows together."""
        parts = [part.density(rows, rng) for part in self._parts]
        means = [(float(log_mean(joint)), log_mean(each)) for joint, each in parts]
        joint, each = weighted_densities(means, self.weights)
        return np.array([joint]), each[None]


def posterior_of(
    fit: Fit | Mixture, thin: int = 1, evaluation: Evaluation | None = None
) -> SampledPosterior | PointPosterior | MixedPosterior:
    """Return what a fit or a mixture knows.

    Parameters
    ----------
    fit : Fit or Mixture
    thin : int
        Keep every `thin`-th draw.
    evaluation : Evaluation, optional
        How runs that are forecast will be measured, see `evaluation_of`; by default as their columns say,
        as of rows that were held out. A point fit's runs scatter as its residuals do.

    Returns
    -------
    Posterior
    """
    if isinstance(fit, Mixture):
        return MixedPosterior(fit, thin, evaluation)
    return SampledPosterior(fit, thin, evaluation) if fit.is_posterior else PointPosterior(fit, thin)


def new_rows(
    spec: Spec,
    columns: Columns,
    law: np.ndarray,
    attrs: Mapping[str, Any] = NO_ATTRS,
    evaluation: Evaluation | None = None,
) -> Rows:
    """Describe rows that are not seen yet; their errors are taken at the law's median."""
    with np.errstate(all="ignore"):
        valued = np.isfinite(law)
        middle = np.median(law, axis=0) if valued.all() else over_draws(law, valued, [0.5])[1][0]
        middle = to_output(spec, middle)
        columns = columns if evaluation is None else evaluation.applied(columns, middle)
        error = error_on_scale(spec, middle, columns["sampling_error"])
        slope = log_slope(middle, spec.output.scale)
    return Rows(np.zeros(law.shape[1]), error, slope, columns, attrs)


def _law_alone(spec: Spec, values: Mapping[str, Any], columns: Columns) -> np.ndarray:
    law = law_on_scale(spec, values, columns)
    return np.broadcast_to(law, (len(next(iter(values.values()))), len(columns["sampling_error"])))


def log_mean(logs: np.ndarray) -> np.ndarray:
    """Average densities over the draws at which the law has a value.

    Parameters
    ----------
    logs : numpy.ndarray, shape (draws, …)
        Log densities; NaN where the law has no value.

    Returns
    -------
    numpy.ndarray
        Log of the mean density; NaN where more draws lack a value than a forecast may leave out.
    """
    lacking = np.isnan(logs)
    mean = logsumexp(np.where(lacking, -np.inf, logs), axis=0) - np.log(np.maximum((~lacking).sum(axis=0), 1))
    return np.where(lacking.mean(axis=0) > VALUELESS, np.nan, mean)


def weighted_densities(
    parts: Sequence[tuple[float, np.ndarray]], weights: Sequence[float]
) -> tuple[float, np.ndarray]:
    """Weigh laws' log densities of rows: one law is right for all of them together.

    Parameters
    ----------
    parts : sequence of (float, numpy.ndarray of shape (rows,))
        Each law's, of all rows together and of each.
    weights : sequence of float

    Returns
    -------
    joint : float
    each : numpy.ndarray, shape (rows,)
    """
    joint = logsumexp([together for together, _ in parts], b=weights)
    each = logsumexp([rows for _, rows in parts], b=np.array(weights)[:, None], axis=0)
    return float(joint), each


def _residual_density(own: np.ndarray, residual: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Log density of a point fit's noise: its residuals, smoothed by a normal kernel (Silverman's width)."""
    spread = min(residual.std(), np.subtract(*np.quantile(residual, [0.75, 0.25])) / 1.34) or residual.std()
    width = np.sqrt((0.9 * max(spread, 1e-12) * len(residual) ** -0.2) ** 2 + error**2)
    out = np.full(own.shape, -np.inf)
    for r in residual:
        out = np.logaddexp(out, -0.5 * ((own - r) / width) ** 2 - np.log(width))
    return out - np.log(len(residual)) - 0.5 * np.log(2 * np.pi)
