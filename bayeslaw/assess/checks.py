"""Checks of a fit: values, never exceptions and never silence.

`CHECKS` lists them all: a new check is one function of a fit and one row here.
"""

from __future__ import annotations

from collections.abc import Callable

from bayeslaw.assess.convergence import sampler_checks
from bayeslaw.assess.discrepancy_checks import discrepancy_checks
from bayeslaw.assess.few_inputs import few_inputs
from bayeslaw.assess.misfit import law_misfit
from bayeslaw.assess.point_checks import left_unpooled, optimiser_checks
from bayeslaw.assess.predictive_checks import predictive_checks
from bayeslaw.assess.prior_checks import beyond_prior, identified, sensitivity_to_prior
from bayeslaw.assess.residual_checks import noise_tails, residual_correlation
from bayeslaw.assess.run_checks import shared_runs
from bayeslaw.core.check import LEVELS, Check, from_json
from bayeslaw.inference.fit import Fit, check_fit
from bayeslaw.inference.prior_reach import prior_conflict


def reading(fit: Fit) -> list[Check]:
    """Return what the data's reader had to say."""
    return from_json(fit.data.attrs.get("checks", "[]"))


def enough_inputs(fit: Fit) -> list[Check]:
    """Say whether rows are enough for the law's parameters."""
    return [few_inputs(fit.bound)]


POSTERIOR, POINT, ANY = (True,), (False,), (True, False)
"""Which fits a check is of: posteriors, point fits, both (see `Fit.is_posterior`)."""
CHECKS: tuple[tuple[Callable[[Fit], list[Check]], tuple[bool, ...]], ...] = (
    (reading, ANY),
    (enough_inputs, ANY),
    (optimiser_checks, POINT),
    (left_unpooled, POINT),
    (sampler_checks, POSTERIOR),
    (identified, POSTERIOR),
    (prior_conflict, POSTERIOR),
    (beyond_prior, POSTERIOR),
    (sensitivity_to_prior, POSTERIOR),
    (law_misfit, ANY),
    (discrepancy_checks, POSTERIOR),
    (residual_correlation, ANY),
    (shared_runs, ANY),
    (noise_tails, POSTERIOR),
    (predictive_checks, POSTERIOR),
)
"""Every check, in the order in which they are told, and of which fits it is. Each returns one check, several or none."""


def checks(fit: Fit) -> list[Check]:
    """Check a fit.

    Parameters
    ----------
    fit : Fit

    Returns
    -------
    list of Check
        What the data's reader had to say, whether rows are enough for the law's parameters, then the
        sampler's checks or the optimiser's, then the law's: identification by the data, conflict
        with the prior and sensitivity to it, misfit of the law alone, correlation of residuals,
        posterior predictive spread.
        At level ``fail`` can be too few inputs, and the sampler's.
    """
    check_fit("checks(fit)", fit)
    asked = [check for check, fits in CHECKS if fit.is_posterior in fits]
    return [found for check in asked for found in check(fit)]


def worst_level(found: list[Check]) -> str:
    """Return the gravest level among checks."""
    return max((c.level for c in found), key=LEVELS.index, default="ok")
