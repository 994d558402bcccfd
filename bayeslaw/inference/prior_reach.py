"""How far rows lie from what a law's priors expect: far is a warning, farther is refused."""

from __future__ import annotations

import numpy as np

from bayeslaw.core.check import Check
from bayeslaw.core.draws import over_draws
from bayeslaw.core.errors import InputError
from bayeslaw.inference.fit import Fit
from bayeslaw.law.evaluate import to_scale
from bayeslaw.law.spec import Spec

CONFLICT, REFUSED = 4.0, 15.0
"""Prior standard deviations between the rows and what the priors expect: from here on a warning, and no
fit at all. Of some fifty real tables under the shipped laws none has more than 1.2; a unit that is a
thousand times off has 2 to 7."""
_TAIL, _TAIL_SD = 0.02, 2.0537489106318225
_SOME_ROWS = 500


def prior_conflict(fit: Fit) -> list[Check]:
    """Say when the rows lie far from what the priors expect, though the sampler got there.

    Parameters
    ----------
    fit : Fit

    Returns
    -------
    list of Check
        ``prior-conflict``; of a fit without priors, none.
    """
    if "prior_predictive" not in fit.tree.children:
        return []
    name = fit.spec.output.name
    predicted = fit.tree["prior_predictive"][name].values
    away, low, high = _expected(fit.spec, fit.data[name].values, predicted.reshape(-1, predicted.shape[-1]))
    if not away > CONFLICT:
        return [Check("prior-conflict", "ok", away, "The rows lie where the priors expect them.")]
    text = f"The rows lie {away:.1f} prior standard deviations from what the priors expect of {name}, {low:.3g} to {high:.3g}: the priors pull at the fit. Check the column's unit, or change(spec, prior={{…}}) (--prior)."
    return [Check("prior-conflict", "warn", away, text)]


def refuse_out_of_reach(spec: Spec, y: np.ndarray, predicted: np.ndarray) -> None:
    """Refuse rows that the priors cannot reach, before anything is compiled.

    Parameters
    ----------
    spec : Spec
    y : numpy.ndarray, shape (rows,)
        The output in its unit.
    predicted : numpy.ndarray, shape (draws, rows)
        What the priors expect of new runs at the rows, in the same unit.

    Raises
    ------
    InputError
        If the rows lie more than `REFUSED` prior standard deviations away, in the median.
    """
    away, low, high = _expected(spec, y, predicted)
    name = spec.output.name
    if np.isinf(away):
        raise InputError(
            f"model '{spec.name}': under its priors the law says nothing of {name} at most rows, no finite number or "
            "always the same; does it divide by zero, or take the logarithm or a power of what may be negative, at these "
            "inputs? Or are the rows' sampling errors too large to say anything?"
        )
    if away > REFUSED:
        unit = "" if spec.output.unit == "1" else f" {spec.output.unit}"
        raise InputError(
            f"model '{spec.name}': {name} is {np.median(y):.3g}{unit} in the middle row; the law's prior expects "
            f"{low:.3g} to {high:.3g}, {away:.0f} prior standard deviations away. Check the unit of column {name!r}, "
            "or change(spec, prior={…}) (--prior)."
        )


def _expected(spec: Spec, y: np.ndarray, predicted: np.ndarray) -> tuple[float, float, float]:
    """Return how far rows lie from their prior predictive, in its sds, and its central 96 %; medians over rows."""
    scale = spec.output.scale
    some = np.unique(np.linspace(0, len(y) - 1, _SOME_ROWS).astype(int))
    y, predicted = y[some], predicted[:, some]
    with np.errstate(all="ignore"):
        away = _distances(to_scale(y, scale), to_scale(predicted, scale))
        if scale == "identity":  # positive parameters make a law whose logarithm is near normal
            logs = _distances(np.log(y), np.log(predicted))
            positive = (y > 0) & ((predicted > 0).mean(axis=0) > 1 - _TAIL)
            away = np.where(positive, np.fmin(away, logs), away)
    _, ends = over_draws(predicted, np.isfinite(predicted), [_TAIL, 1 - _TAIL])
    known = ~np.isnan(away)
    if not known.any():  # the law has no value under any draw of its priors
        return (np.nan,) * 3
    return float(np.median(away[known])), *(float(np.nanmedian(end)) for end in ends[:, known])


def _distances(y: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Return each row's distance from the draws' median, in sds of the side on which it lies."""
    _, (low, middle, high) = over_draws(draws, np.isfinite(draws), [_TAIL, 0.5, 1 - _TAIL])
    side = np.where(y > middle, high - middle, middle - low) / _TAIL_SD
    return np.where(side > 0, np.abs(y - middle) / side, np.where(y == middle, 0.0, np.inf))
