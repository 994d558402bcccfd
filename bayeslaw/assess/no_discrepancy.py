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

_DRAWS, _FIRST = 200, 40
"""Draws that are looked at, and so many before it is known whether more are worth their time."""
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
        None where the discrepancy is not marginalised over inputs, or has parts of groups and runs.
    """
    spec = fit.spec
    found = spec.discrepancy
    if found is None or not spec.marginalised or spec.traits.counts or found.groups or found.runs:
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
    noise = noise_at(spec, values, rows.columns) ** 2 + rows.error**2
    alone = _independent(residual, noise, offset_variance(spec))
    # Draws come chain by chain: some of each are seen first.
    order = np.argsort(np.arange(len(sigma)) % max(1, len(sigma) // _FIRST), kind="stable")
    support = Support(0.0, 0.0)
    for end in (_FIRST, len(sigma)):
        at = order[:end]
        beside = [float(evaluate(residual[i], np.asarray(sigma[i]), *own)[0]) for i in at]
        support = _mean(alone[at] - np.array(beside))
        if support.effective * len(sigma) < ENOUGH * len(at):
            break
    return support


def _mean(logs: np.ndarray) -> Support:
    """Return the mean of ratios, of their logarithms."""
    weights = np.exp(logs - logs.max())
    return Support(float(logs.max() + np.log(weights.mean())), float(weights.sum() ** 2 / (weights**2).sum()))


def _independent(residual: np.ndarray, noise: np.ndarray, offset: float) -> np.ndarray:
    """Return the log density of independent rows but for a constant, a shift of all integrated out; shape (draws,)."""
    noise = np.broadcast_to(noise, residual.shape)
    told, both = (1 / noise).sum(axis=1), (residual / noise).sum(axis=1)
    square = (residual**2 / noise).sum(axis=1) - offset * both**2 / (1 + offset * told)
    return -0.5 * (square + np.log(noise).sum(axis=1) + np.log1p(offset * told))
