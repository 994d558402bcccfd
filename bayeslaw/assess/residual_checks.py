"""Checks of the residuals: whether rows scatter independently, and without heavy tails."""

from __future__ import annotations

import numpy as np

from bayeslaw.core.check import Check
from bayeslaw.data.row_names import row_names
from bayeslaw.inference.fit import Fit
from bayeslaw.inference.fitted import residuals
from bayeslaw.inference.values import fit_values
from bayeslaw.observation.independent import noise_at

CORRELATED = 0.3


def residual_correlation(fit: Fit) -> list[Check]:
    """Measure the correlation of neighbouring residuals: along a run, or along the first input."""
    spec, data = fit.spec, fit.data
    residual = residuals(fit)
    along = (
        "step"
        if "step" in data.coords
        else next((i.column for i in spec.inputs.values() if i.column in data), None)
    )
    if along is None or len(residual) < 10:
        return []
    groups = (
        data["run"].values if "run" in data.coords and along == "step" else np.zeros(len(residual), dtype=int)
    )
    order = np.argsort(data[along].values, kind="stable")
    pairs = [residual[order[groups[order] == g]] for g in dict.fromkeys(groups)]
    scale = np.median(np.abs(residual)) * 5 + 1e-300  # outliers must not decide
    pairs = [np.clip(r, -scale, scale) for r in pairs]
    product = sum((r[1:] * r[:-1]).sum() for r in pairs)
    square = sum((r[1:] ** 2).sum() + (r[:-1] ** 2).sum() for r in pairs) / 2
    value = float(product / max(square, 1e-300))
    where = "along each run" if along == "step" else f"along {along}"
    if value < max(CORRELATED, 2 / np.sqrt(len(residual))):
        return [
            Check(
                "residual-correlation",
                "ok",
                value,
                f"Neighbouring residuals {where} are nearly independent (lag-1 correlation {value:.2f}).",
            )
        ]
    return [
        Check(
            "residual-correlation",
            "warn",
            value,
            f"Neighbouring residuals {where} are correlated (lag-1 {value:.2f}): the rows say less than {_believes(fit)}",
        )
    ]


def _believes(fit: Fit) -> str:
    """Say what a fit takes rows for that correlated residuals contradict, and what to do about it."""
    if not fit.is_posterior:
        return "this point fit's bootstrap believes, which draws them as if independent, so its intervals are too narrow, above all beyond the data; do not decide on their width."
    found = fit.spec.discrepancy
    if found is None:
        return "this fit of independent errors believes, so its intervals are too narrow, above all beyond the data; do not decide on their width."
    over = ", ".join(found.over)
    return f"this fit believes, whose discrepancy over {over} does not take up all that they share, so its intervals may be too narrow; look for what neighbours have in common beside {over} (a run, a family, an order of measurement), and hold its forecasts against a back-test."


def noise_tails(fit: Fit) -> list[Check]:
    """Say when the noise has heavier tails than the prior expected: the fit calls rows outliers."""
    nu = fit.spec.noise.get("nu")
    if nu is None or nu.fixed is not None:
        return []
    value, expected = float(fit.draws["nu"].median()), nu.prior_90
    if value >= expected[0]:
        return [
            Check("tails", "ok", value, f"The noise has no heavier tails than expected (nu {value:.1f}).")
        ]
    rows = outlying_rows(fit)
    named = ", ".join(rows[:5]) + (f" and {len(rows) - 5} more" if len(rows) > 5 else "")
    message = (
        f"nu is {value:.2g}, below the prior's {expected[0]:g} to {expected[1]:g}: the fit takes {named or 'some rows'} "
        "for outliers and is sure of the rest. Look at the residuals: if those rows are sound, the law or the "
        "independence of errors is not, and the intervals are too narrow; compare with method='map'."
    )
    return [Check("tails", "warn", value, message)]


def outlying_rows(fit: Fit, factor: float = 10.0) -> list[str]:
    """Name the rows whose residuals are far outside the fit's own noise, the farthest first.

    Parameters
    ----------
    fit : Fit
        With method "nuts".
    factor : float
        How many times the noise's scale is far.

    Returns
    -------
    list of str
    """
    data = fit.data
    scale = np.median(noise_at(fit.spec, fit_values(fit), fit.bound.rows.columns), axis=0)
    residual = residuals(fit)
    beyond = np.abs(residual) > factor * scale
    far = [i for i in np.argsort(-np.abs(residual)) if beyond[i]]
    return row_names(data, np.array(far, dtype=int))
