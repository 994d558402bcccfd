"""What a fit says of rows that it did not see, and how likely it finds what they turned out to be."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from bayeslaw.data.pass_at_k import shown_share
from bayeslaw.forecasts.distance import distance, farthest
from bayeslaw.forecasts.mixture import Mixture, members, mixed
from bayeslaw.forecasts.posterior import log_mean, posterior_of, weighted_densities
from bayeslaw.inference.fit import Fit
from bayeslaw.law.evaluate import law_inputs
from bayeslaw.observation.base import to_output
from bayeslaw.observation.bound import bind


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
    spec, rows = fit.spec, bind(fit.spec, data).rows
    size = fit.draws.sizes["chain"] * fit.draws.sizes["draw"]
    posterior = posterior_of(fit, max(1, size // draws))
    columns = {"sampling_error": np.zeros(len(rows)), **rows.columns}
    rows = replace(rows, columns=columns)
    with np.errstate(all="ignore"):
        run = posterior.predict([columns], rng, together=True)["run"]
        unseen, observed, unit = to_output(spec, run), data[spec.output.name].values, spec.output.unit
        if spec.traits.counts and fit.is_posterior:
            # Rounded: equal counts must be equal shares, whichever way they came.
            observed = np.round(shown_share(columns["n"], columns["c"]), 12)
            unseen, unit = np.round(np.exp(-unseen), 12), "share"
        joint, each = posterior.density(rows, rng)
    return HeldOut(observed, unseen, float(log_mean(joint)), log_mean(each), unit)


def _held_out_mixture(mixture: Mixture, data: xr.Dataset, draws: int, seed: int) -> HeldOut:
    """Mix what the laws say of the rows: one law is right for all of them together, with the weights of their distance."""
    rows = [distance(one.bound, law_inputs(one.spec, data)) for one, _ in members(mixture)]
    fits, weights = zip(*members(mixture.held_at(float(np.median(farthest(rows).orders)))), strict=True)
    parts = [held_out(one, data, draws, seed) for one in fits]
    joint, each = weighted_densities([(part.log_joint, part.log_rows) for part in parts], weights)
    unseen = mixed([{"run": part.draws} for part in parts], weights)["run"]
    return HeldOut(parts[0].observed, unseen, float(joint), each, parts[0].unit)
