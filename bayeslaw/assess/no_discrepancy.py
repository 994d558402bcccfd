"""How much likelier the data are under a law with its discrepancy than under the law alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayeslaw.inference.fit import Fit
from bayeslaw.inference.fitted import given_rows
from bayeslaw.inference.values import fit_values
from bayeslaw.law.priors import integrated
from bayeslaw.observation.discrepancy_terms import density_terms, offset_variance
from bayeslaw.observation.independent import noise_at

_DRAWS = 200
ENOUGH = 50.0
"""Effective draws from which the ratio is a number; with fewer it only says on which side it lies."""


@dataclass(frozen=True)
class Support:
    """What the data say of a law with no discrepancy.

    Attributes
    ----------
    log_ratio : float
        log p(y | none) − log p(y | discrepancy), the same priors of law and noise.
    effective : float
        How many draws the mean of the ratio rests on.
    """

    log_ratio: float
    effective: float

    @property
    def known(self) -> bool:
        """Whether the ratio is a number, rather than a side."""
        return self.effective >= ENOUGH


def support_for_none(fit: Fit) -> Support | None:
    """Compare no discrepancy with a posterior's own: the posterior mean of the ratio of the two densities of the data.

    Parameters
    ----------
    fit : Fit
        With method "nuts".

    Returns
    -------
    Support or None
        None where the discrepancy is not marginalised over inputs.
    """
    spec = fit.spec
    if not spec.marginalised or spec.traits.counts:
        return None
    from bayeslaw.observation.discrepancy_grad import (
        evaluate,  # compiled: who only forecasts needs no compiler
    )
    from bayeslaw.observation.discrepancy_terms import TERMS

    rows = fit.bound.rows
    values = fit_values(fit, max(1, fit.draws["sigma"].size // _DRAWS))
    given = given_rows(fit, {**values, **integrated(spec)})
    residual = given.residual
    sigma = np.broadcast_to(values["sigma"], (len(residual), 1))[:, 0]
    terms = density_terms(spec, rows)
    own = [terms[n] for n in TERMS]
    beside = np.array([evaluate(r, np.asarray(s), *own)[0] for r, s in zip(residual, sigma, strict=True)])
    noise = noise_at(spec, values, rows.columns) ** 2 + rows.error**2
    logs = _independent(residual, noise, offset_variance(spec)) - beside
    top = logs.max()
    weights = np.exp(logs - top)
    return Support(float(top + np.log(weights.mean())), float(weights.sum() ** 2 / (weights**2).sum()))


def _independent(residual: np.ndarray, noise: np.ndarray, offset: float) -> np.ndarray:
    """Return the log density of independent rows but for a constant, a shift of all integrated out; shape (draws,)."""
    noise = np.broadcast_to(noise, residual.shape)
    told, both = (1 / noise).sum(axis=1), (residual / noise).sum(axis=1)
    square = (residual**2 / noise).sum(axis=1) - offset * both**2 / (1 + offset * told)
    return -0.5 * (square + np.log(noise).sum(axis=1) + np.log1p(offset * told))
