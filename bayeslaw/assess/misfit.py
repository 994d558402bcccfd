"""Whether the law itself is the right one, by what it leaves of the data when it stands alone."""

from __future__ import annotations

import numpy as np

from bayeslaw.assess.law_alone import LawAlone, law_alone
from bayeslaw.assess.no_discrepancy import Support, support_for_none
from bayeslaw.core.check import Check
from bayeslaw.inference.fit import Fit
from bayeslaw.observation.kernels import kernel

MISFIT = 0.05
"""The p-value from which a law is said not to follow its data: so often is a right one accused."""
_LENGTH = 0.5
"""Over what part of the data's extent what is left of a law is taken to vary."""
_FEW, _DRAWS = 40, 4000


def law_misfit(fit: Fit) -> list[Check]:
    """Say when the law alone, without its discrepancy, does not follow the data.

    Parameters
    ----------
    fit : Fit

    Returns
    -------
    list of Check
        ``law-misfit``, whose value is the p-value of `smooth_misfit`; none where `law_alone` has nothing to say.
    """
    alone = law_alone(fit)
    if alone is None:
        return []
    p, along = smooth_misfit(alone), " and ".join(alone.named)
    if p > MISFIT:
        text = f"What the law alone leaves of the data along {along} looks like independent errors (p = {p:.2g})."
        return [Check("law-misfit", "ok", p, text)]
    text = (
        f"The law alone does not follow the data: what it leaves is smooth along {along}, as independent errors rarely are "
        f"(p = {p:.1g}){_weighed(fit)}. Do not read its parameters. {_beyond(fit)} Compare other laws, "
        "bl.fit_laws([…], data), and hold forecasts against a back-test."
    )
    return [Check("law-misfit", "warn", p, text)]


def _weighed(fit: Fit) -> str:
    """Say what the data say of no discrepancy, where the fit has one to compare with."""
    support = support_for_none(fit) if fit.is_posterior else None
    return "" if support is None else f", {_in_words(support)}"


def _in_words(support: Support) -> str:
    times = np.exp(min(abs(support.log_ratio), np.log(1e6)))
    if support.log_ratio > 0:
        return "though not likelier with the discrepancy than without"
    if not support.known:
        return "and the data speak strongly against no discrepancy"
    return f"and the data are {times:.2g} times likelier with the discrepancy than without"


def _beyond(fit: Fit) -> str:
    """Say what forecasts rest on."""
    if fit.is_posterior and fit.spec.discrepancy is not None:
        return "Beyond the data forecasts rest on how far the discrepancy's prior lets the curve go from it: trust none far out that other laws contradict."
    return "This fit takes what is left for independent errors, so that its intervals are too narrow: trust none beyond the data."


def smooth_misfit(alone: LawAlone) -> float:
    """Test whether what a law leaves is smooth over its inputs, as independent errors are not.

    A score test of a smooth process beside the law: the share of squared residuals along smooth functions, compared with
    that of normal errors from which the law has taken as many directions. It needs to know no run noise.

    Parameters
    ----------
    alone : LawAlone

    Returns
    -------
    float
        The p-value; uniform for a right law that is linear in its parameters near the optimum, and with those at a bound larger.

    References
    ----------
    Goeman, van de Geer and van Houwelingen, doi:10.1111/j.1467-9868.2006.00551.x
    """
    smooth = _smooth(alone.place)
    left = smooth - alone.taken @ (alone.taken.T @ smooth)
    vectors, sizes, _ = np.linalg.svd(left, full_matrices=False)
    kept = sizes > 1e-6 * sizes[0]
    vectors, weights = vectors[:, kept], sizes[kept] ** 2
    rest = len(alone.place) - alone.taken.shape[1] - len(weights)
    seen = float(weights @ (vectors.T @ alone.residual) ** 2 / (alone.residual @ alone.residual))
    rng = np.random.default_rng(0)
    squares = rng.standard_normal((_DRAWS, len(weights))) ** 2
    others = rng.chisquare(rest, _DRAWS) if rest > 0 else np.zeros(_DRAWS)
    by_chance = squares @ weights / (squares.sum(axis=1) + others)
    return float((1 + (by_chance >= seen).sum()) / (1 + _DRAWS))


def _smooth(place: np.ndarray) -> np.ndarray:
    """Return columns whose products are a smooth covariance, shape (rows, columns)."""
    some = _spread(place)
    among = kernel("matern32", some, some, _LENGTH)
    sizes, vectors = np.linalg.eigh(among)
    kept = sizes > 1e-8 * sizes[-1]
    return kernel("matern32", place, some, _LENGTH) @ vectors[:, kept] / np.sqrt(sizes[kept])


def _spread(place: np.ndarray) -> np.ndarray:
    """Return at most `_FEW` of the rows' places, each next one the farthest from those before."""
    chosen, apart = [0], np.linalg.norm(place - place[0], axis=1)
    while len(chosen) < min(_FEW, len(place)) and apart.max() > 1e-9:
        chosen.append(int(apart.argmax()))
        apart = np.minimum(apart, np.linalg.norm(place - place[chosen[-1]], axis=1))
    return place[chosen]
