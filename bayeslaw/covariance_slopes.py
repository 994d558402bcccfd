"""The log density of residuals under a decomposed covariance, its length summed out, and its slopes.

One compiled function, see `bayeslaw.covariance` for the formulas.
"""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(error_model="numpy")
def evaluate(
    residual, scale, sigma, weight, basis, eigen, share, rest, first,
    left_eigen, left_share, left_rest, left_count, log_weights,
):  # fmt: skip
    """Return the log density (but for its constant) and its slopes by residual, scale and sigma.

    Parameters
    ----------
    residual : array, shape (rows,)
        Data minus law.
    scale, sigma : array of rank 0
        Of the discrepancy and of run noise.
    weight : array, shape (rows,)
        What rows are multiplied by first.
    basis : array, shape (directions, rows)
        Directions of all lengths, one length after the other.
    eigen, share, rest : array, shape (directions,)
        Their variance is scale² eigen + sigma² share + rest.
    first : array of int, shape (lengths + 1,)
        Where each length's directions begin.
    left_eigen, left_share, left_rest, left_count : array, shape (lengths,)
        The same for the directions left out, and how many they are.
    log_weights : array, shape (lengths,)

    Returns
    -------
    tuple of array
        Scalars as arrays of rank 0.
    """
    tau, noise = scale.item() ** 2, sigma.item() ** 2
    weighted = residual * weight
    z = basis @ weighted
    whole = weighted @ weighted
    lengths = len(log_weights)
    each, by_tau, by_noise = np.empty(lengths), np.zeros(lengths), np.zeros(lengths)
    left = tau * left_eigen + noise * left_share + left_rest
    along = np.empty_like(z)
    for j in range(lengths):
        outside, total = whole, 0.0
        for i in range(first[j], first[j + 1]):
            v = tau * eigen[i] + noise * share[i] + rest[i]
            square = z[i] * z[i]
            outside -= square
            total += np.log(v) + square / v
            slope = (1.0 - square / v) / v
            by_tau[j] -= 0.5 * eigen[i] * slope
            by_noise[j] -= 0.5 * share[i] * slope
            along[i] = -z[i] * (1.0 / v - 1.0 / left[j])
        total += left_count[j] * np.log(left[j]) + outside / left[j]
        slope = (left_count[j] - outside / left[j]) / left[j]
        by_tau[j] -= 0.5 * left_eigen[j] * slope
        by_noise[j] -= 0.5 * left_share[j] * slope
        each[j] = log_weights[j] - 0.5 * total
    top = each.max()
    chance = np.exp(each - top)
    total = chance.sum()
    chance /= total
    for j in range(lengths):
        for i in range(first[j], first[j + 1]):
            along[i] *= chance[j]
    by_weighted = along @ basis - (chance / left).sum() * weighted
    return (
        np.asarray(top + np.log(total)), by_weighted * weight,
        np.asarray(2 * scale.item() * (by_tau * chance).sum()),
        np.asarray(2 * sigma.item() * (by_noise * chance).sum()),
    )  # fmt: skip
