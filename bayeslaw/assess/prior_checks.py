"""Checks of the priors: how much of what is said of the parameters comes from them."""

from __future__ import annotations

import warnings

import numpy as np
import xarray as xr

from bayeslaw.core.check import Check
from bayeslaw.inference.fit import Fit
from bayeslaw.law.priors import log_priors, prior_sd, sampled, to_link

SENSITIVE = 0.05
_ALPHAS = (0.99, 1.01)
"""Powers of the prior that are compared."""


def width_shares(fit: Fit) -> dict[str, float]:
    """Return each sampled scalar's posterior sd as a share of its prior's, on its link scale.

    Parameters
    ----------
    fit : Fit
        With method "nuts".

    Returns
    -------
    dict of str to float
        Near 1 the data say little.
    """
    shares = {}
    for p in sampled(fit.spec).values():
        if not p.names:
            with np.errstate(all="ignore"):
                link = to_link(p, fit.draws[p.name].values)
            shares[p.name] = float(link[np.isfinite(link)].std() / prior_sd(p))
    return shares


def identified(fit: Fit) -> list[Check]:
    """Say which parameters the data hardly inform: their posterior is as wide as their prior."""
    shares = width_shares(fit)
    # The noise's shape is a nuisance: that it is uncertain says nothing of the law.
    law = {n: v for n, v in shares.items() if n in fit.spec.parameters}
    weak = {n: v for n, v in law.items() if v > 0.7}
    worst = max(law.values(), default=0.0)
    if not weak:
        return [
            Check(
                "identified", "ok", worst, "The data narrow every parameter of the law well below its prior."
            )
        ]
    named = ", ".join(f"{n} ({100 * v:.0f} % of its prior's sd)" for n, v in weak.items())
    return [
        Check(
            "identified",
            "note",
            worst,
            f"The data hardly inform {named}: what is said of it is the prior; widen the range of the data or fix it.",
        )
    ]


def prior_sensitivity(fit: Fit, values: xr.Dataset) -> dict[str, float]:
    """Measure how far a stronger or weaker prior would move quantities: power-scaling, by ArviZ.

    Parameters
    ----------
    fit : Fit
        With method "nuts".
    values : xarray.Dataset
        Of what; dims (chain, draw), functions of the fit's own draws.

    Returns
    -------
    dict of str to float
        By name, 1; from 0.05 on the prior has a say.

    References
    ----------
    Kallioinen et al., doi:10.1007/s11222-023-10366-5
    """
    from arviz_stats.base import array_stats

    prior = sum(log_priors(fit.spec, {n: v.values for n, v in fit.draws.data_vars.items()}).values())
    stacked = np.stack([v.transpose("chain", "draw").values for v in values.data_vars.values()])
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        # As `arviz_stats.psense` does, of plain arrays: datasets take longer to be taken apart.
        weights = [np.exp(array_stats.power_scale_lw(prior, alpha, axis=(-2, -1))) for alpha in _ALPHAS]
        weights = [np.broadcast_to(w / w.sum(), stacked.shape) for w in weights]
        found = array_stats.power_scale_sense(stacked, *weights, *_ALPHAS)
    return dict(zip(map(str, values.data_vars), map(float, found), strict=True))


def sensitivity_to_prior(fit: Fit) -> list[Check]:
    """Say which of the law's parameters a stronger or weaker prior would move."""
    names = list(fit.spec.constants) or list(fit.spec.scalar_names)
    moved = prior_sensitivity(fit, fit.draws[[n for n in names if n in fit.draws]])
    strongest = max(moved.values(), default=0.0)
    named = [n for n, v in moved.items() if v >= SENSITIVE]
    if not named:
        return [
            Check(
                "prior-sensitivity",
                "ok",
                strongest,
                "A stronger or weaker prior would not move the law's parameters noticeably.",
            )
        ]
    return [
        Check(
            "prior-sensitivity",
            "note",
            strongest,
            f"The prior has a say in {', '.join(named)}: fit again with another one, change(spec, prior={{…}}), before you rely on the parameter itself.",
        )
    ]
