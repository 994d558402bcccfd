"""Log chances of counts, c successes of n, where the output is −log of the success rate."""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln

from bayeslaw.law.types import DensityOps, Tensor
from bayeslaw.observation.base import NUMPY, log_normal

_NODES, _NEWTON = 20, 4
"""Log chances are right to .006, and that of 20,000 samples without a success; else to .0001."""


def log_counts(centre: np.ndarray, variance: np.ndarray, n: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Return the log chance of counts whose rate is normal on the scale of errors.

    Parameters
    ----------
    centre, variance : numpy.ndarray, shape (draws, rows)
        Of log(−log p), p the success rate.
    n, c : numpy.ndarray, shape (rows,)

    Returns
    -------
    numpy.ndarray, shape (draws, rows)
        By Gauss–Hermite quadrature around the mode. A sum over draws of the rate would need many: it is
        known to a few per mille from many samples.
    """
    around, known = from_counts(n, c)
    at = (centre * known**2 + around * variance) / (known**2 + variance)
    for _ in range(_NEWTON):
        first, second = _derivatives(at, n, c)
        curvature = 1 / variance - np.minimum(second, 0.0)
        at = at + (first - (at - centre) / variance) / curvature
    out = np.full(np.broadcast_shapes(at.shape, np.shape(variance)), -np.inf)
    for node, weight in zip(*np.polynomial.hermite_e.hermegauss(_NODES), strict=True):
        y = at + node / np.sqrt(curvature)
        density = (
            np.asarray(log_binomial(y, n, c, NUMPY))
            + log_normal(y - centre, variance)
            - 0.5 * np.log(curvature)
        )
        out = np.logaddexp(out, density + node**2 / 2 + np.log(weight))
    return out + log_ways(n, c)


def _derivatives(y: np.ndarray, n: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first and second derivative of `log_binomial`."""
    rate = np.exp(np.clip(y, -30.0, 6.0))  # beyond, chances are 0 and 1 to the last digit
    odds = 1 / np.expm1(rate)
    return rate * ((n - c) * odds - c), rate * ((n - c) * odds * (1 - rate * (1 + odds)) - c)


def from_counts(n: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each row's output on the scale of errors and its standard error, from its counts alone."""
    n, c = (np.asarray(v, dtype=float) for v in (n, c))
    p = (c + 0.5) / (n + 1)
    y = -np.log(p)
    return np.log(y), np.sqrt(p * (1 - p) / (n + 1)) / (p * y)


def log_ways(n: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Return the log number of ways in which c of n samples succeed."""
    return gammaln(n + 1) - gammaln(c + 1) - gammaln(n - c + 1)


def log_binomial(y: Tensor, n: Tensor, c: Tensor, ops: DensityOps) -> Tensor:
    """Return the log density of counts without its constant, p = exp(−exp(y))."""
    rate = ops.exp(y)
    return -c * rate + (n - c) * ops.log(-ops.expm1(-rate))
