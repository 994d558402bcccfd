"""Whether the law itself is the right one, by what it leaves of the data when it stands alone."""

from __future__ import annotations

import numpy as np

from bayeslaw.assess.law_alone import LawAlone
from bayeslaw.observation.kernels import kernel

_LENGTH = 0.5
_FEW, _DRAWS = 40, 4000


def smooth_misfit(alone: LawAlone) -> tuple[float, float]:
    """Test whether what a law leaves is smooth over its inputs, as independent errors are not.

    The share of squared residuals along smooth functions is compared with that of normal errors from which the law
    has taken as many directions: a score test of a smooth process beside the law, whose p-value knows no run noise.

    Parameters
    ----------
    alone : LawAlone

    Returns
    -------
    p, share : float
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
    return float((1 + (by_chance >= seen).sum()) / (1 + _DRAWS)), seen / float(weights.sum())


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
