"""A fit at its own rows: the law, the conditioned observation model, the residuals."""

from __future__ import annotations

import numpy as np

from bayeslaw.inference.fit import Fit
from bayeslaw.inference.values import fit_values, flat_values
from bayeslaw.law.evaluate import law_on_scale
from bayeslaw.observation.base import Conditional, Draws


def fitted_mean(fit: Fit, thin: int = 1) -> np.ndarray:
    """Evaluate the law at the fit's own rows, on the scale of errors; shape (draws, rows)."""
    if not fit.is_posterior:
        return law_on_scale(fit.spec, flat_values(fit.draws, thin), fit.bound.rows.columns)
    return fit.bound.law(fit_values(fit, thin))


def given_rows(fit: Fit, values: Draws) -> Conditional:
    """Return a posterior's observation model, conditioned on the fit's own rows under draws from `fit_values`."""
    bound = fit.bound
    return bound.observation.condition(bound.rows, bound.law(values), values)


def residuals(fit: Fit) -> np.ndarray:
    """Return the data minus the fit on the scale of errors, shape (rows,).

    Parameters
    ----------
    fit : Fit
        A posterior is represented by the median of some hundred draws of its curve: the law, and the
        discrepancy that the data show.

    Returns
    -------
    numpy.ndarray
    """
    if not fit.is_posterior:
        return fit.tree["point"]["residual"].values
    thin = max(1, fit.draws.sizes["draw"] // 100)
    return fit.bound.rows.y - np.median(given_rows(fit, fit_values(fit, thin)).fitted(), axis=0)
