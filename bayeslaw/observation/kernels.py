"""How a discrepancy is correlated between places: kernels over e-folds, and their lengths' grid.

A place is the logarithm of the inputs over their references, so that a distance of 1 is a factor of
e in one input.
"""

from __future__ import annotations

import numpy as np

LENGTHS = 8
"""Lengths over which a kernel's length is marginalised."""
SCALES = 16
"""Scales over which its size is: 0.4 of a prior's standard deviation apart, so that a sum is as good as an
integral unless the data know the size better than within half of that. Sixteen cost hardly more than ten:
the processor takes them eight at a time."""
_SCALE_ENDS = -2.0, 4.0
"""Data may ask for much more than the prior expects; far below run noise all sizes are the same."""
_LENGTH_ENDS = -3.2, 2.4
"""The grid's ends in the prior's standard deviations. A shorter grid moves widths by 5-9 %; the upper
end is nearer because beyond it a Matérn process is a straight line over any real data."""
_FEW_LENGTHS, _FEW_SCALES = (-1.6, 1.6, 3), (-2.0, 3.6, 8)
"""Ends and numbers of both where the grid has more axes: intervals beyond the data are the same to 3 %."""


def distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return Euclidean distances between places.

    Parameters
    ----------
    a : numpy.ndarray, shape (n, inputs)
    b : numpy.ndarray, shape (m, inputs)

    Returns
    -------
    numpy.ndarray, shape (n, m)
        In e-folds.
    """
    return np.sqrt(((a[:, None, :] - b[None, :, :]) ** 2).sum(axis=2))


def kernel(name: str, a: np.ndarray, b: np.ndarray, length: float) -> np.ndarray:
    """Return the correlation between places of a discrepancy with scale one.

    Parameters
    ----------
    name : {"matern32", "matern52", "brownian"}
        ``brownian`` is Lévy's: anchored at the reference (there it is zero), its variance is the
        distance from there in e-folds, in any number of inputs.
    a : numpy.ndarray, shape (n, inputs)
    b : numpy.ndarray, shape (m, inputs)
    length : float
        In e-folds; ``brownian`` has none.

    Returns
    -------
    numpy.ndarray, shape (n, m)
    """
    apart = distance(a, b)
    if name == "brownian":
        return (np.linalg.norm(a, axis=1)[:, None] + np.linalg.norm(b, axis=1)[None, :] - apart) / 2
    if name == "matern32":
        r = np.sqrt(3.0) * apart / length
        return (1 + r) * np.exp(-r)
    r = np.sqrt(5.0) * apart / length
    return (1 + r + r**2 / 3) * np.exp(-r)


def variance(name: str, a: np.ndarray) -> np.ndarray:
    """Return the variance at places of a discrepancy with scale one; shape (n,)."""
    return np.linalg.norm(a, axis=1) if name == "brownian" else np.ones(len(a))


def wandering(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the covariance between places of a curve whose slope wanders by one per square root of an e-fold.

    Along any straight line through the origin, where curve and slope are the law's, it is a Wiener process
    integrated, on each side by itself; in several inputs its slope is a vector that wanders in all directions alike
    (the intrinsic covariance r³ of thin plates, less its value and slope at the origin).

    Parameters
    ----------
    a : numpy.ndarray, shape (n, inputs)
        In e-folds from the origin.
    b : numpy.ndarray, shape (m, inputs)

    Returns
    -------
    numpy.ndarray, shape (n, m)
    """
    far, other = np.abs(a)[:, None], np.abs(b)[None, :]
    return (
        np.abs(a[:, None] - b[None, :]) ** 3 - far**3 - other**3 + 3 * np.outer(a, b) * (far + other)
    ) / 12


def length_grid(mean: float, sd: float, few: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Return the lengths over which a log-normal length is marginalised, and their log weights.

    Parameters
    ----------
    mean, sd : float
        Of the prior of log length.
    few : bool
        Whether few must do, because the grid has more axes.

    Returns
    -------
    lengths : numpy.ndarray, shape (LENGTHS,)
        In e-folds, evenly spaced in the logarithm.
    log_weights : numpy.ndarray, shape (LENGTHS,)
        Sum to one as weights.
    """
    return _grid(mean, sd, *_FEW_LENGTHS) if few else _grid(mean, sd, *_LENGTH_ENDS, LENGTHS)


def scale_grid(mean: float, sd: float, few: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Return the scales over which a log-normal scale is marginalised, and their log weights.

    Parameters
    ----------
    mean, sd : float
        Of the prior of log scale.
    few : bool
        Whether few must do, because the grid has more axes.

    Returns
    -------
    scales : numpy.ndarray, shape (SCALES,)
        Evenly spaced in the logarithm.
    log_weights : numpy.ndarray, shape (SCALES,)
        Sum to one as weights.
    """
    return _grid(mean, sd, *_FEW_SCALES) if few else _grid(mean, sd, *_SCALE_ENDS, SCALES)


def _grid(mean: float, sd: float, low: float, high: float, points: int) -> tuple[np.ndarray, np.ndarray]:
    score = np.linspace(low, high, points)
    log_weights = -0.5 * score**2
    return np.exp(mean + sd * score), log_weights - np.log(np.exp(log_weights).sum())
