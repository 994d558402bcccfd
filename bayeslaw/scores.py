"""Proper scores, coverage and PIT of forecasts that are given as draws.

All functions take joint draws of shape (draws, rows) and what was observed, shape (rows,), in one unit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_MOST_TRUTHS = 4000
"""More draws than this say no more of a range of coverage."""


def central_interval(draws: np.ndarray, prob: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the central interval of each row.

    Parameters
    ----------
    draws : numpy.ndarray, shape (draws, rows)
    prob : float
        In (0, 1).

    Returns
    -------
    lower, upper : numpy.ndarray, shape (rows,)
    """
    lower, upper = np.quantile(draws, [(1 - prob) / 2, (1 + prob) / 2], axis=0)
    return lower, upper


def covered(observed: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Return whether each value lies inside its interval, ends included."""
    return (observed >= lower) & (observed <= upper)


def crps(draws: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Return the continuous ranked probability score of each row; lower is better.

    Parameters
    ----------
    draws : numpy.ndarray, shape (draws, rows)
    observed : numpy.ndarray, shape (rows,)

    Returns
    -------
    numpy.ndarray, shape (rows,)
        E|X − y| − E|X − X'| / 2, in the draws' unit.

    Notes
    -----
    The estimate is the fair one: its expectation does not depend on the number of draws, so that
    forecasts of different numbers of draws can be compared. Sorting makes it O(n log n). A Student t
    on a logarithmic scale has no finite score in the output's unit; there the estimate belongs to the
    draws at hand, and `interval_score` on logarithms is the one to compare by.

    References
    ----------
    Gneiting and Raftery, JASA 102 (2007) 359, Eq. 21; Ferro, QJRMS 140 (2014) 1917.
    """
    size = len(draws)
    distance = np.abs(draws - observed).mean(axis=0)
    if size < 2:
        return distance
    rank = np.arange(1, size + 1)
    weights = (2 * rank - size - 1) / (size * (size - 1))
    return distance - weights @ np.sort(draws, axis=0)


def interval_score(observed: np.ndarray, lower: np.ndarray, upper: np.ndarray, prob: float) -> np.ndarray:
    """Return the score of central intervals: width, and a fine for what lies outside; lower is better.

    Parameters
    ----------
    observed, lower, upper : numpy.ndarray, shape (rows,)
        In any one unit; logarithms of positive values give a relative score.
    prob : float
        The intervals' probability, in (0, 1).

    Returns
    -------
    numpy.ndarray, shape (rows,)
        (u − l) + 2/(1 − prob) · (distance by which y lies outside).

    References
    ----------
    Gneiting and Raftery, JASA 102 (2007) 359, Eq. 43.
    """
    outside = np.maximum(lower - observed, 0.0) + np.maximum(observed - upper, 0.0)
    return upper - lower + 2 / (1 - prob) * outside


def pit(draws: np.ndarray, observed: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the probability integral transform of each row: uniform if the forecast is calibrated.

    Parameters
    ----------
    draws : numpy.ndarray, shape (draws, rows)
    observed : numpy.ndarray, shape (rows,)
    rng : numpy.random.Generator
        Chooses among ties, of which discrete draws have many; the observed value ties with itself.

    Returns
    -------
    numpy.ndarray, shape (rows,)
        In (0, 1), exactly uniform where the observed value is one more draw.

    References
    ----------
    Czado, Gneiting and Held, Biometrics 65 (2009) 1254.
    """
    below = (draws < observed).sum(axis=0)
    ties = (draws == observed).sum(axis=0) + 1
    return (below + rng.uniform(size=ties.shape) * ties) / (len(draws) + 1)


def own_coverage_range(
    draws: np.ndarray, probs: Sequence[float], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the coverage that a forecast itself expects of its intervals, were it right.

    Rows are foretold together: one wrong exponent moves all of them, so that the share of rows inside
    their intervals scatters far more than that of independent rows. Each joint draw is taken for the
    truth once.

    Parameters
    ----------
    draws : numpy.ndarray, shape (draws, rows)
        Joint draws.
    probs : sequence of float
        Probabilities of the central intervals.
    rng : numpy.random.Generator
        Chooses the draws that are taken for the truth where there are very many.

    Returns
    -------
    low, high : numpy.ndarray, shape (probs,)
        The central 90 % of the share of rows inside.
    """
    size = len(draws)
    truths = draws if size <= _MOST_TRUTHS else draws[rng.choice(size, _MOST_TRUTHS, replace=False)]
    shares = [covered(truths, *central_interval(draws, prob)).mean(axis=1) for prob in probs]
    low, high = np.quantile(shares, [0.05, 0.95], axis=1)
    return low, high


def own_pit_range(draws: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """Return the mean PIT over rows that a forecast itself expects, were it right.

    As `own_coverage_range`: rows are foretold together, so that a right forecast, too, finds most rows
    on one side now and then. Each joint draw is taken for the truth once.

    Parameters
    ----------
    draws : numpy.ndarray, shape (draws, rows)
        Joint draws.
    rng : numpy.random.Generator
        Chooses among ties, as `pit` does.

    Returns
    -------
    low, high : float
        The central 90 % of the mean PIT.
    """
    order = np.lexsort((rng.uniform(size=draws.shape), draws), axis=0)
    rank = np.argsort(order, axis=0)
    low, high = np.quantile(((rank + 0.5) / len(draws)).mean(axis=1), [0.05, 0.95])
    return float(low), float(high)
