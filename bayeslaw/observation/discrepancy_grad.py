"""The log density of residuals under a decomposed covariance, its length and scale marginalised, and its gradient.

Compiled functions, see `bayeslaw.observation.discrepancy` for the formulas. Lengths' directions lie one after the
other; scales lie innermost, so that each touches its neighbours in memory.
"""

from __future__ import annotations

import numpy as np

from bayeslaw.core.compiled import compiled
from bayeslaw.law.types import Array

_CHUNK = 24
"""Variances, in units of run noise, that are multiplied before a logarithm is taken: logarithms are what
takes the time, and so few neither overflow nor vanish."""


@compiled
def _along(residual, weight, basis):
    weighted = residual * weight
    return weighted, basis @ weighted


@compiled
def _terms(
    weighted, z, sigma, eigen, share, rest, first,
    left_eigen, left_share, left_rest, left_count, log_lengths, scale_square, relative, log_scales,
    inverses, by_noise,
):  # fmt: skip
    """Return the log weight of each (length, scale); fill 1 / variance and the derivatives by sigma²."""
    noise = sigma.item() ** 2
    lengths, scales = len(log_lengths), len(log_scales)
    tau, by_tau = scale_square * (noise if relative.item() else 1.0), scale_square * relative.item()
    each, whole = np.empty((lengths, scales)), weighted @ weighted
    product, total, derivative = np.empty(scales), np.empty(scales), np.empty(scales)
    for j in range(lengths):
        product[:], total[:], derivative[:] = 1.0, 0.0, 0.0
        outside = whole
        for i in range(first[j], first[j + 1]):
            e, a, base, square = eigen[i], share[i], noise * share[i] + rest[i], z[i] * z[i]
            outside -= square
            for s in range(scales):
                inverse = 1.0 / (tau[s] * e + base)
                part = square * inverse
                inverses[i, s] = inverse
                product[s] *= noise * inverse
                total[s] += part
                derivative[s] += (by_tau[s] * e + a) * inverse * (1.0 - part)
            if (i - first[j]) % _CHUNK == _CHUNK - 1:
                total -= np.log(product)
                product[:] = 1.0
        outside, known = max(outside, 0.0), (first[j + 1] - first[j]) * np.log(noise)
        for s in range(scales):
            v = tau[s] * left_eigen[j] + noise * left_share[j] + left_rest[j]
            by_v = by_tau[s] * left_eigen[j] + left_share[j]
            by_noise[j, s] = -0.5 * (derivative[s] + by_v * (left_count[j] - outside / v) / v)
            logs = known - np.log(product[s]) + left_count[j] * np.log(v)
            each[j, s] = log_lengths[j] + log_scales[s] - 0.5 * (total[s] + logs + outside / v)
    return each


@compiled
def table(
    residual: Array, sigma: Array, weight: Array, basis: Array, eigen: Array, share: Array, rest: Array,
    first: Array, left_eigen: Array, left_share: Array, left_rest: Array, left_count: Array,
    log_lengths: Array, scale_square: Array, relative: Array, log_scales: Array,
) -> Array:  # fmt: skip
    """Return the log density of each length and scale with its prior weight, shape (lengths, scales).

    Parameters
    ----------
    See `evaluate`.

    Returns
    -------
    array
    """
    weighted, z = _along(residual, weight, basis)
    return _terms(
        weighted, z, sigma, eigen, share, rest, first, left_eigen, left_share, left_rest, left_count,
        log_lengths, scale_square, relative, log_scales,
        np.empty((len(z), len(log_scales))), np.empty((len(log_lengths), len(log_scales))),
    )  # fmt: skip


@compiled
def evaluate(
    residual: Array, sigma: Array, weight: Array, basis: Array, eigen: Array, share: Array, rest: Array,
    first: Array, left_eigen: Array, left_share: Array, left_rest: Array, left_count: Array,
    log_lengths: Array, scale_square: Array, relative: Array, log_scales: Array,
) -> tuple[Array, ...]:  # fmt: skip
    """Return the log density (but for its constant) and its gradient by residual and sigma.

    Parameters
    ----------
    residual : array, shape (rows,)
        Data minus law.
    sigma : array of rank 0
        Of run noise.
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
    log_lengths : array, shape (lengths,)
        Log prior weights.
    scale_square : array, shape (scales,)
    relative : array of rank 0
        1 if scales are in units of sigma, else 0.
    log_scales : array, shape (scales,)
        Log prior weights.

    Returns
    -------
    tuple of array
        Scalars as arrays of rank 0.
    """
    weighted, z = _along(residual, weight, basis)
    lengths, scales = len(log_lengths), len(log_scales)
    inverses, by_noise = np.empty((len(z), scales)), np.empty((lengths, scales))
    each = _terms(
        weighted, z, sigma, eigen, share, rest, first, left_eigen, left_share, left_rest, left_count,
        log_lengths, scale_square, relative, log_scales, inverses, by_noise,
    )  # fmt: skip
    top = each.max()
    chance = np.exp(each - top)
    sum_of_it = chance.sum()
    chance /= sum_of_it
    noise = sigma.item() ** 2
    tau = scale_square * (noise if relative.item() else 1.0)
    along, outside = np.empty_like(z), 0.0
    for j in range(lengths):
        left = 0.0
        for s in range(scales):
            left += chance[j, s] / (tau[s] * left_eigen[j] + noise * left_share[j] + left_rest[j])
        outside += left
        for i in range(first[j], first[j + 1]):
            inside = 0.0
            for s in range(scales):
                inside += chance[j, s] * inverses[i, s]
            along[i] = z[i] * (left - inside)
    by_weighted = along @ basis - outside * weighted
    return (
        np.asarray(top + np.log(sum_of_it)), by_weighted * weight,
        np.asarray(2 * sigma.item() * (chance * by_noise).sum()),
    )  # fmt: skip
