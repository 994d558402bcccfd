"""Checks of the priors: how much of what is said of the parameters comes from them."""

from __future__ import annotations

import warnings

import numpy as np
import xarray as xr

from bayeslaw.core.check import Check
from bayeslaw.inference.fit import Fit
from bayeslaw.law.priors import log_priors, prior_sd, sampled, to_link

SENSITIVE = 0.05
_SIZES = ("sigma", "discrepancy_scale", "discrepancy_slope")
_BEYOND, _WIDER = 0.5, 4
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
        weights = [_scaled_weights(prior, alpha) for alpha in _ALPHAS]
        weights = [np.broadcast_to(w / w.sum(), stacked.shape) for w in weights]
        found = array_stats.power_scale_sense(stacked, *weights, *_ALPHAS)
    return dict(zip(map(str, values.data_vars), map(float, found), strict=True))


def _scaled_weights(prior: np.ndarray, alpha: float) -> np.ndarray:
    """Return weights of draws under a prior to a power, smoothed where their tail is one."""
    from arviz_stats.base import array_stats

    try:
        return np.exp(array_stats.power_scale_lw(prior, alpha, axis=(-2, -1)))
    except ValueError:  # the largest are all the same: there is nothing to smooth
        logs = (alpha - 1) * prior
        return np.exp(logs - logs.max())


def beyond_prior(fit: Fit) -> list[Check]:
    """Say which size of noise or discrepancy lies beyond what its prior expects: the prior holds intervals back.

    Parameters
    ----------
    fit : Fit
        With method "nuts".

    Returns
    -------
    list of Check
        ``prior-data``, whose value is the largest share of draws beyond a prior's 95 % point; none without such sizes.
    """
    sizes = [p for n in _SIZES if (p := sampled(fit.spec).get(n)) is not None and p.prior_90 is not None]
    if not sizes:
        return []
    shares = {p.name: float((fit.draws[p.name] > p.prior_90[1]).mean()) for p in sizes}
    beyond = [p for p in sizes if shares[p.name] > _BEYOND]
    if not beyond:
        text = "Noise and discrepancy are no larger than their priors expect."
        return [Check("prior-data", "ok", max(shares.values()), text)]
    named = ", ".join(
        f"{p.name} ({float(fit.draws[p.name].median()):.2g}, prior's 95 % point {p.prior_90[1]:g})"
        for p in beyond
    )
    wider = ", ".join(f"'{p.name}': ({p.prior_90[0]:g}, {_WIDER * p.prior_90[1]:g})" for p in beyond)
    text = (
        f"The data ask for more than the prior expects of {named}: the law misses more than such tables usually ask for, and "
        f"intervals may be too narrow. Fit again with change(spec, prior={{{wider}}}) and see whether the decision stands."
    )
    return [Check("prior-data", "warn", max(shares.values()), text)]


def sensitivity_to_prior(fit: Fit) -> list[Check]:
    """Say which of the law's parameters a stronger or weaker prior would move.

    Beside a discrepancy that marginalises its sizes a stronger prior moves them all, be the law right or wrong: nothing is
    said there, and a report's table has the numbers.
    """
    if fit.spec.marginalised:
        return []
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
