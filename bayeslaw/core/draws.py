"""Take means and quantiles over draws, some of which may have no value."""

from __future__ import annotations

import numpy as np


def over_draws(draws: np.ndarray, valued: np.ndarray, at: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Return means and quantiles over the draws that have a value.

    Parameters
    ----------
    draws, valued : numpy.ndarray, shape (draws, targets)
        Numbers, and which of them to take.
    at : list of float
        Probabilities.

    Returns
    -------
    mean : numpy.ndarray, shape (targets,)
        NaN where no draw has a value.
    quantiles : numpy.ndarray, shape (probabilities, targets)
    """
    whole = valued.all(axis=0)
    if whole.all():
        return draws.mean(axis=0), np.quantile(draws, at, axis=0)
    mean, ends = np.full(len(whole), np.nan), np.full((len(at), len(whole)), np.nan)
    mean[whole], ends[:, whole] = draws[:, whole].mean(axis=0), np.quantile(draws[:, whole], at, axis=0)
    for target in np.flatnonzero(~whole & valued.any(axis=0)):
        own = draws[valued[:, target], target]
        mean[target], ends[:, target] = own.mean(), np.quantile(own, at)
    return mean, ends
