"""Estimate pass@k of each problem without bias, and the variance of the estimate.

References
----------
Unbiased estimator: arXiv:2107.03374.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def unbiased(n: np.ndarray, c: np.ndarray, k: int) -> np.ndarray:
    """Estimate the chance that at least one of k samples is correct.

    Parameters
    ----------
    n, c : numpy.ndarray, shape (problems,)
        Samples and correct samples; k ≤ n.
    k : int
        Number of samples that are drawn.

    Returns
    -------
    numpy.ndarray, shape (problems,)
        1 − C(n−c, k)/C(n, k): exactly 0 where c = 0 and exactly 1 where n − c < k.
    """
    return _unique_pairs(n, c, lambda a, b: _one(a, b, k))


def sampling_variance(n: np.ndarray, c: np.ndarray, k: int) -> np.ndarray:
    """Return the variance of each problem's estimate over repeated sampling.

    It is the variance of 1 − (1−p)^k under the Bayesian bootstrap of the samples, p ~ Beta(c, n−c):
    p(1−p)/(n+1) at k = 1, and zero where all samples agree.

    Parameters
    ----------
    n, c : numpy.ndarray, shape (problems,)
    k : int

    Returns
    -------
    numpy.ndarray, shape (problems,)
    """

    def one(n: int, c: int) -> float:
        if c == 0 or c == n:
            return 0.0
        # With q = 1 − p: log E q^k, and log(E q^2k / (E q^k)²) as a sum of positive terms, over the
        # smaller of c and k. Differences of log-gammas would lose all digits at n in the millions.
        if k <= c:
            at = np.arange(n, n + k, dtype=float)
            mean, spread = np.log1p(-c / at), np.log1p(k * c / ((at + k) * (at - c)))
        else:
            at = np.arange(n - c, n, dtype=float)
            mean, spread = -np.log1p(k / at), np.log1p(k / at * (k / (at + 2 * k)))
        return float(np.exp(2 * mean.sum() + spread.sum()) * -np.expm1(-spread.sum()))

    return _unique_pairs(n, c, one)


def _one(n: int, c: int, k: int) -> float:
    if c == 0:
        return 0.0
    if n - c < k:
        return 1.0
    # C(n-c, k)/C(n, k) is symmetric in c and k: a product over the smaller of the two.
    few, many = min(c, k), max(c, k)
    return float(-np.expm1(np.log1p(-many / np.arange(n - few + 1, n + 1)).sum()))


def _unique_pairs(n: np.ndarray, c: np.ndarray, function: Callable[[int, int], float]) -> np.ndarray:
    pairs, where = np.unique(np.stack([n, c], axis=1), axis=0, return_inverse=True)
    return np.array([function(int(a), int(b)) for a, b in pairs])[where.ravel()]
