"""What a fit says of rows that it did not see, and how likely it finds what they turned out to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy.special import logsumexp

from bayeslaw.data.pass_at_k import shown_share
from bayeslaw.forecasts.forecast import new_rows, predictor
from bayeslaw.forecasts.intervals import VALUELESS
from bayeslaw.forecasts.mixture import Mixture, members, mixed
from bayeslaw.inference.fit import Fit, fit_values, fitted_mean, law_by_row, law_on_scale
from bayeslaw.law.evaluate import row_columns
from bayeslaw.observation.base import Rows, observed_rows, to_output
from bayeslaw.observation.registry import observation_of


@dataclass(frozen=True)
class HeldOut:
    """Held-out rows and a fit's forecast of them.

    Attributes
    ----------
    observed : numpy.ndarray, shape (rows,)
        What the rows turned out to be, in the output's unit; a share of successes for counts,
        half a success where there is none.
    draws : numpy.ndarray, shape (draws, rows)
        Joint draws of the rows (kind ``run``), in the same unit.
    log_joint : float
        Log predictive density of all rows together; higher is better.
    log_rows : numpy.ndarray, shape (rows,)
        Log predictive density of each row by itself.
    unit : str
    """

    observed: np.ndarray
    draws: np.ndarray
    log_joint: float
    log_rows: np.ndarray
    unit: str


def held_out(fit: Fit | Mixture, data: xr.Dataset, draws: int = 1000, seed: int = 0) -> HeldOut:
    """Forecast rows and hold the forecast against what they are.

    Parameters
    ----------
    fit : Fit or Mixture
    data : xarray.Dataset
        The held-out rows, with the columns of the fit's own data.
    draws : int
        At most so many draws are used, of each law of a mixture.
    seed : int

    Returns
    -------
    HeldOut

    Raises
    ------
    InputError
        If the rows lack a column, or an output has no place on the scale of errors.
    """
    if isinstance(fit, Mixture):
        return _held_out_mixture(fit, data, draws, seed)
    rng = np.random.default_rng(seed)
    spec = fit.spec
    size = fit.draws.sizes["chain"] * fit.draws.sizes["draw"]
    thin = max(1, size // draws)
    values, columns = fit_values(fit, thin), row_columns(spec, data)
    columns = {"sampling_error": np.zeros(data.sizes["obs"]), **columns}
    rows = observed_rows(spec, data)
    with np.errstate(all="ignore"):
        run = predictor(fit, thin)(values, columns, rng, together=True)["run"]
        unseen, observed, unit = to_output(spec, run), data[spec.output.name].values, spec.output.unit
        if spec.traits.counts and fit.is_posterior:
            # Rounded: equal counts must be equal shares, whichever way they came.
            observed = np.round(shown_share(columns["n"], columns["c"]), 12)
            unseen, unit = np.round(np.exp(-unseen), 12), "share"
        joint, each = _densities(fit, values, columns, rows, thin, rng)
    return HeldOut(observed, unseen, float(log_mean(joint)), log_mean(each), unit)


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


def _held_out_mixture(mixture: Mixture, data: xr.Dataset, draws: int, seed: int) -> HeldOut:
    """Mix what the laws say of the rows: one law is right for all of them together."""
    fits, weights = zip(*members(mixture), strict=True)
    parts = [held_out(one, data, draws, seed) for one in fits]
    joint = logsumexp([part.log_joint for part in parts], b=weights)
    each = logsumexp([part.log_rows for part in parts], b=np.array(weights)[:, None], axis=0)
    unseen = mixed([{"run": part.draws} for part in parts], weights)["run"]
    return HeldOut(parts[0].observed, unseen, float(joint), each, parts[0].unit)


def _densities(
    fit: Fit, values: Mapping, columns: Mapping, rows: Rows, thin: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return each draw's log density of all held-out rows together, and of each."""
    spec = fit.spec
    if not fit.is_posterior:
        law = law_on_scale(spec, values, columns)
        each = (
            _residual_density(rows.y - law, fit.tree["point"]["residual"].values, rows.error) + rows.log_slope
        )
        return each.sum(axis=1), each
    seen = observed_rows(spec, fit.data)
    law = law_on_scale(spec, values, columns)
    centre = law_by_row(spec, values, columns, seen.columns, rng) if spec.pooled else law
    size = len(next(iter(values.values())))
    # Errors as a forecast knows them: at the law's median, not at what was observed.
    error = new_rows(spec, columns, np.broadcast_to(law, (size, len(rows)))).error
    held = Rows(rows.y, error, rows.log_slope, rows.columns, rows.attrs)
    return observation_of(spec).density(fitted_mean(fit, thin), values, seen, centre, held, rng)


def _residual_density(own: np.ndarray, residual: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Log density of a point fit's noise: its residuals, smoothed by a normal kernel (Silverman's width)."""
    spread = min(residual.std(), np.subtract(*np.quantile(residual, [0.75, 0.25])) / 1.34) or residual.std()
    width = np.sqrt((0.9 * max(spread, 1e-12) * len(residual) ** -0.2) ** 2 + error**2)
    out = np.full(own.shape, -np.inf)
    for r in residual:
        out = np.logaddexp(out, -0.5 * ((own - r) / width) ** 2 - np.log(width))
    return out - np.log(len(residual)) - 0.5 * np.log(2 * np.pi)
