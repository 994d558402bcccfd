"""The log density of `bayeslaw.observation.run_tree` and its gradient, in one compiled function.

It goes from leaves to roots, keeping what it saw, and back from roots to leaves with the adjoints of
`observe`, `carry` and `merge`, written out by hand and simplified so that they too lose no digits.
"""

from __future__ import annotations

import numpy as np

from bayeslaw.core.compiled import compiled
from bayeslaw.law.types import Array
from bayeslaw.observation import beliefs

# Not PyTensor's numba_njit: its fast-math may reorder the sums that keep the digits.
_jit = compiled
_observe, _carry, _merge = _jit(beliefs.observe), _jit(beliefs.carry), _jit(beliefs.merge)
_PRIOR = beliefs.PRIOR


@_jit
def _observe_back(belief, residual, variance, power, adjoint):
    """Return the derivatives of `observe`: by belief, residual, variance and power, from those by its belief."""
    mean, share = belief
    by_mean, by_share = adjoint
    total = power * share + variance
    miss = (residual - mean) / total
    noise, known = variance / total, power * share / total
    by_total = 0.5 * (miss * miss - 1 / total)
    pull = by_mean * miss / total
    narrow = by_share * noise * noise
    by_belief = (by_mean * noise + miss, power * by_total + pull * power * variance + narrow)
    by_variance = by_total + known * (by_share * share / total - by_mean * miss)
    by_power = share * (by_total + pull * variance - by_share * share * noise / total)
    return by_belief, by_mean * known - miss, by_variance, by_power


@_jit
def _carry_back(belief, fade, adjoint):
    """Return the derivatives of `carry`: by belief and by fade."""
    mean, share = belief
    by_mean, by_share = adjoint
    keep = 1 + fade
    return (keep * by_mean, keep * keep * by_share), by_mean * mean - 2 * keep * (1 - share) * by_share


@_jit
def _merge_back(first, second, power, adjoint):
    """Return the derivatives of `merge`: by the first belief, by the second and by power."""
    mean1, share1 = first
    mean2, share2 = second
    by_mean, by_share = adjoint
    both = share1 + share2 * (1 - share1)
    apart = mean1 - mean2
    part1, part2 = share1 / both, share2 / both
    # How far each mean lies from what the other one leads to expect
    off1, off2 = (apart + share1 * mean2) / both, (share2 * mean1 - apart) / both
    by_first = (
        by_mean * part2 + off2 / power,
        by_mean * part2 * off2 + by_share * part2**2 + 0.5 * (off2 * off2 / power - (1 - share2) / both),
    )
    by_second = (
        by_mean * part1 + off1 / power,
        by_mean * part1 * off1 + by_share * part1**2 + 0.5 * (off1 * off1 / power - (1 - share1) / both),
    )
    excess = apart * apart - share2 * mean1 * mean1 - share1 * mean2 * mean2
    return by_first, by_second, 0.5 * excess / (power * power * both)


@_jit
def _upward(residual, power, length, noise, error, parent, gap, tape):
    """Pass beliefs from leaves to roots; return the log density, leave on the tape what `_back` needs.

    The tape's columns: belief from the children (2), with the row's own residual (2), what the
    parent knew before (2), fade.
    """
    n, total = len(residual), 0.0
    for i in range(n):
        tape[i, 0], tape[i, 1] = _PRIOR
    for i in range(n - 1, -1, -1):
        variance = noise + error[i] * error[i]
        own, gain = _observe((tape[i, 0], tape[i, 1]), residual[i], variance, power)
        total += gain
        tape[i, 2], tape[i, 3] = own
        j = parent[i]
        if j >= 0:
            fade = np.expm1(-gap[i] / length)
            before = (tape[j, 0], tape[j, 1])
            merged, gain = _merge(before, _carry(own, fade), power)
            total += gain
            tape[i, 4], tape[i, 5] = before
            tape[i, 6] = fade
            tape[j, 0], tape[j, 1] = merged
    return total


@_jit
def _back(residual, power, length, noise, error, parent, gap, tape, by_residual):
    """Pass derivatives from roots to leaves; fill those by residual, return by power, length and noise.

    Columns of the tape that have been read come to hold derivatives by the belief that a row has, less
    the children already passed.
    """
    by_power, by_length, by_noise = 0.0, 0.0, 0.0
    for i in range(len(residual)):
        own, by_own, j = (tape[i, 2], tape[i, 3]), (0.0, 0.0), parent[i]
        if j >= 0:
            fade, before, adjoint = tape[i, 6], (tape[i, 4], tape[i, 5]), (tape[j, 0], tape[j, 1])
            by_before, by_sent, step = _merge_back(before, _carry(own, fade), power, adjoint)
            tape[j, 0], tape[j, 1] = by_before
            by_power += step
            by_own, by_fade = _carry_back(own, fade, by_sent)
            by_length += by_fade * (1 + fade) * (gap[i] / length)
        belief, variance = (tape[i, 0], tape[i, 1]), noise + error[i] * error[i]
        by_belief, by_residual[i], by_variance, step = _observe_back(
            belief, residual[i], variance, power, by_own
        )
        by_power += step
        by_noise += by_variance
        tape[i, 0], tape[i, 1] = by_belief
    return by_power, by_length / length, by_noise


@_jit
def evaluate(
    residual: Array, scale: Array, length: Array, sigma: Array, error: Array, parent: Array, gap: Array
) -> tuple[Array, ...]:
    """Return the log density, and its gradient by residual, scale, length and sigma; scalars as arrays of rank 0."""
    n = len(residual)
    if len(error) != n or len(parent) != n or len(gap) != n:
        raise ValueError("residual, error, parent and gap need one entry a row")
    for i in range(n):  # else a row would be read that does not exist
        if parent[i] >= i:
            raise ValueError("in a forest parents stand before their children")
    power, span, noise = scale.item() ** 2, length.item(), sigma.item() ** 2
    tape, by_residual = np.empty((n, 7)), np.empty(n)
    value = _upward(residual, power, span, noise, error, parent, gap, tape)
    by_power, by_length, by_noise = _back(residual, power, span, noise, error, parent, gap, tape, by_residual)
    return (
        np.asarray(value), by_residual, np.asarray(2 * scale.item() * by_power), np.asarray(by_length),
        np.asarray(2 * sigma.item() * by_noise),
    )  # fmt: skip
