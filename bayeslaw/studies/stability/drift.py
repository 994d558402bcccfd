"""Whether a parameter stays what it is while a window of the data reaches further down in scale.

Windows are nested, and the mean of a posterior is a martingale as rows are added: from the shortest
window's mean to a longer one's it moves with variance V_top − V_w, in steps that do not depend on one
another. So where the law is right the path of a parameter over windows is a Brownian motion that runs on
the clock V_top − V_w, and the largest of its standardised values has a distribution that is simulated
here, for all parameters together. (Where a prior says little this is Hausman's test, repeated.) Its rate of
false alarms holds for independent rows, evenly spread; checkpoints of one run are correlated, and a drift
seen on such is not established.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_PATHS = 20_000
LEVEL = 0.95
LEAST_ORDERS = 1.0
"""Spans are counted from one order of magnitude on; shorter windows are shown, and not judged."""


@dataclass(frozen=True)
class Span:
    """Over how many orders of magnitude a parameter is stable.

    Attributes
    ----------
    orders : float
        The longest stable span; 0 where even the first one drifts, NaN where it is not resolved.
    drift_at : float
        The span at which it is seen to drift; NaN if never.
    resolved_from : float
        The shortest span from which on every longer one is resolved; NaN if none is.
    verdict : str
    """

    orders: float
    drift_at: float
    resolved_from: float
    verdict: str


def drift(
    mean: np.ndarray, variance: np.ndarray, error: np.ndarray, resolved: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Standardise how far a parameter has moved from the shortest window that is judged.

    Parameters
    ----------
    mean, variance : numpy.ndarray, shape (windows,)
        Of the posterior, from the shortest window to the longest.
    error : numpy.ndarray, shape (windows,)
        Monte Carlo standard error of the mean.
    resolved : numpy.ndarray of bool, shape (windows,)
        Where it is judged.

    Returns
    -------
    statistic : numpy.ndarray, shape (windows,)
        |mean − mean_top| over the square root of |variance − variance_top|, with the Monte Carlo
        errors added to it; NaN up to the shortest judged window.
    clock : numpy.ndarray, shape (windows,)
        Variance that is gone since that window, never falling; NaN likewise.

    References
    ----------
    Hausman (1978), doi:10.2307/1913827
    """
    statistic, clock = np.full(len(mean), np.nan), np.full(len(mean), np.nan)
    if not resolved.any():
        return statistic, clock
    top = int(np.argmax(resolved))
    gone = np.abs(variance[top + 1 :] - variance[top])
    # Draws are finite: means are off by `error`, and variances, whose difference may be small, by this.
    of_variance = np.sqrt(2 * (variance * error**2)[top + 1 :] + 2 * variance[top] * error[top] ** 2)
    noise = error[top + 1 :] ** 2 + error[top] ** 2 + of_variance
    statistic[top + 1 :] = np.abs(mean[top + 1 :] - mean[top]) / np.sqrt(gone + noise + 1e-300)
    clock[top + 1 :] = np.maximum.accumulate(gone + noise)
    return statistic, clock


def threshold(clocks: np.ndarray, correlation: np.ndarray, seed: int = 0) -> float:
    """Return what the largest statistic stays under, 95 times in 100, where the law is right.

    Parameters
    ----------
    clocks : numpy.ndarray, shape (windows, parameters)
        As `drift` returned them; NaN where a window is not judged.
    correlation : numpy.ndarray, shape (parameters, parameters)
        Of the posterior: parameters vary together.
    seed : int

    Returns
    -------
    float
        NaN if nothing is judged.
    """
    judged = np.isfinite(clocks)
    if not judged.any():
        return float("nan")
    steps = np.sqrt(np.diff(np.where(judged, clocks, 0.0), axis=0, prepend=0.0).clip(0))
    eigen, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(eigen.clip(0))
    rng = np.random.default_rng(seed)
    path = np.zeros((_PATHS, clocks.shape[1]))
    largest = np.zeros(_PATHS)
    for step, clock, here in zip(steps, clocks, judged, strict=True):
        path = path + step * (rng.standard_normal(path.shape) @ root.T)
        size = np.abs(path[:, here]) / np.sqrt(clock[here] + 1e-300)
        largest = np.maximum(largest, size.max(axis=1, initial=0.0))
    return float(np.quantile(largest, LEVEL))


def span(orders: np.ndarray, resolved: np.ndarray, statistic: np.ndarray, limit: float) -> Span:
    """Return the longest span such that it and every shorter one is resolved and shows no drift.

    Parameters
    ----------
    orders : numpy.ndarray, shape (windows,)
        How far each window reaches, from the shortest.
    resolved : numpy.ndarray of bool, shape (windows,)
    statistic : numpy.ndarray, shape (windows,)
    limit : float
        What the statistic stays under.

    Returns
    -------
    Span
    """
    from_on = np.flatnonzero(~resolved).max(initial=-1) + 1
    resolved_from = float(orders[from_on]) if from_on < len(orders) else float("nan")
    counted = orders >= LEAST_ORDERS - 1e-9
    moved = np.nan_to_num(statistic) > limit
    drift_at = float(orders[np.argmax(moved)]) if moved.any() else float("nan")
    if not counted.any() or not resolved[counted].all():
        known = f" below {resolved_from:.1f} orders" if np.isfinite(resolved_from) else ""
        return Span(np.nan, np.nan, resolved_from, f"not resolved{known}")
    stable = counted & ~np.logical_or.accumulate(moved)
    reach = float(orders[stable].max(initial=0.0))
    if not moved.any():
        return Span(reach, drift_at, resolved_from, f"stable over ≥ {reach:.1f} orders")
    return Span(reach, drift_at, resolved_from, f"drifts at {drift_at:.1f} orders")
