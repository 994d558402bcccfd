"""Proper scores, coverage and PIT of forecasts that are given as draws.

All functions take joint draws of shape (draws, rows) and what was observed, shape (rows,), in one unit.
Draws that are no finite number are left out, as of a forecast; a row without any other has no score (NaN).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from bayeslaw.core.draws import over_draws

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
    _, (lower, upper) = over_draws(draws, np.isfinite(draws), [(1 - prob) / 2, (1 + prob) / 2])
    return lower, upper


def middle(draws: np.ndarray) -> np.ndarray:
    """Return the median of each row."""
    return _on_valued(lambda own: np.median(own, axis=0), draws)


def _on_valued(score: Callable[..., np.ndarray], draws: np.ndarray, *each: np.ndarray) -> np.ndarray:
    """Score all rows together where every draw has a value, else each row on the draws that have one."""
    valued = np.isfinite(draws)
    if valued.all():
        return score(draws, *each)
    out = np.full(draws.shape[1], np.nan)
    for row in np.flatnonzero(valued.any(axis=0)):
        own = draws[valued[:, row], row][:, None]
        out[row] = score(own, *(values[[row]] for values in each))[0]
    return out


def covered(observed: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Return whether each value lies inside its interval, ends included."""
    return (observed >= lower) & (observed <= upper)


def coverage(observed: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> float:
    """Return the share of values inside their intervals; NaN where an interval is missing."""
    return float(covered(observed, lower, upper).mean()) if np.isfinite([lower, upper]).all() else np.nan


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
    return _on_valued(_fair_crps, draws, observed)


def _fair_crps(draws: np.ndarray, observed: np.ndarray) -> np.ndarray:
    size = len(draws)
    distance = np.abs(draws - observed).mean(axis=0)
    if size < 2:
        return distance
    rank = np.arange(1, size + 1)
    weights = (2 * rank - size - 1) / (size * (size - 1))
    return distance - weights @ np.sort(draws, axis=0)


def interval_score(observed: np.ndarray, lower: np.ndarray, upper: np.ndarray, prob: float) -> np.ndarray:
    """Return the interval score: the width, and a penalty for what lies outside; lower is better.

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
    valued = np.isfinite(draws)
    size = valued.sum(axis=0)
    below = (valued & (draws < observed)).sum(axis=0)
    ties = (draws == observed).sum(axis=0) + 1
    places = (below + rng.uniform(size=ties.shape) * ties) / (size + 1)
    return np.where(size > 0, places, np.nan)


def own_coverage_range(
    draws: np.ndarray, probs: Sequence[float], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the coverage that a forecast itself expects of its intervals, were it right.

    Rows are predicted together: one wrong exponent moves all of them, so that the share of rows inside
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
    valued = np.isfinite(truths)
    shares = [_over_rows(covered(truths, *central_interval(draws, prob)), valued) for prob in probs]
    low, high = np.quantile(shares, [0.05, 0.95], axis=1)
    return low, high


def _over_rows(values: np.ndarray, valued: np.ndarray) -> np.ndarray:
    """Average each joint draw over the rows at which it has a value; NaN where a row has none at all."""
    if valued.all():
        return values.mean(axis=1)
    if not valued.any(axis=0).all():
        return np.full(1, np.nan)
    rows = valued.sum(axis=1)
    return np.where(valued, values, 0.0).sum(axis=1)[rows > 0] / rows[rows > 0]


def own_pit_range(
    draws: np.ndarray, rng: np.random.Generator, at: Sequence[float] = (0.05, 0.95)
) -> np.ndarray:
    """Return the mean PIT over rows that a forecast itself expects, were it right.

    As `own_coverage_range`: rows are predicted together, so that a right forecast, too, finds most rows
    on one side now and then. Each joint draw is taken for the truth once.

    Parameters
    ----------
    draws : numpy.ndarray, shape (draws, rows)
        Joint draws.
    rng : numpy.random.Generator
        Chooses among ties, as `pit` does.
    at : sequence of float
        Probabilities; by default the ends of the central 90 %.

    Returns
    -------
    numpy.ndarray, shape (probabilities,)
        Quantiles of the mean PIT.
    """
    valued = np.isfinite(draws)
    # What has no value is sorted to the end, behind the ranks that count.
    order = np.lexsort((rng.uniform(size=draws.shape), np.where(valued, draws, np.inf)), axis=0)
    rank = np.argsort(order, axis=0)
    return np.quantile(_over_rows((rank + 0.5) / np.maximum(valued.sum(axis=0), 1), valued), at)
