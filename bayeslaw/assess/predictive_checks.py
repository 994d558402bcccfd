"""Checks of what the posterior predicts: whether replicated data look like the data."""

from __future__ import annotations

import numpy as np

from bayeslaw.core.check import Check
from bayeslaw.inference.fit import Fit
from bayeslaw.inference.fitted import fitted_mean
from bayeslaw.law.evaluate import to_scale

_PPP = 0.01


def predictive_checks(fit: Fit) -> list[Check]:
    """Compare the spread and the extremes of the data with those of replicated data."""
    spec, data = fit.spec, fit.data
    replicated = fit.tree["posterior_predictive"][spec.output.name].values
    thin = fit.draws.sizes["draw"] // replicated.shape[1]
    mean = fitted_mean(fit).reshape(*fit.draws.sizes.values(), -1)[:, :: max(1, thin)]
    mean = mean.reshape(-1, mean.shape[-1])
    with np.errstate(all="ignore"):
        again = to_scale(replicated.reshape(mean.shape), spec.output.scale) - mean
    seen = to_scale(data[spec.output.name].values, spec.output.scale) - mean
    out = []
    for name, statistic in (
        ("spread", lambda r: np.median(np.abs(r), axis=1)),
        ("extremes", lambda r: np.max(np.abs(r), axis=1)),
    ):
        p = float(np.mean(statistic(again) >= statistic(seen)))
        odd = not _PPP <= p <= 1 - _PPP
        advice = (
            ": data like these would be rare if the model were right; look at the residuals" if odd else ""
        )
        out.append(
            Check(
                f"predictive-{name}",
                "note" if odd else "ok",
                p,
                f"Posterior predictive p of the residuals' {name} {p:.2f}{advice}.",
            )
        )
    return out
