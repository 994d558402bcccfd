"""The log density of residuals under a decomposed covariance, its length and scale marginalised, and its gradient.

Compiled functions, see `bayeslaw.observation.discrepancy` for the formulas. Sections, one for each shape and each run
noise at which it is decomposed, lie one after the other; scales lie innermost, so that each touches its neighbours in
memory.
"""

from __future__ import annotations

import math

import numpy as np

from bayeslaw.core.compiled import compiled
from bayeslaw.law.types import Array
from bayeslaw.observation.products import times, times_turned

_CHUNK = 12
"""Variances, in units of run noise, that are multiplied before a logarithm is taken: logarithms are what
takes the time, and so few neither overflow nor vanish."""
WALL = 0.1
"""Width, in e-folds, of the normal wall beyond the outermost run noises between which densities are blended: there
they are not known. A posterior that goes on is seen by its draws, and its grid settled again."""


@compiled
def blend_between(log_sigmas, sigma):
    """Return the first of the points between which a run noise lies, their weights, and the derivatives of these.

    There are three points, or one: a parabola through every second point and the two beside it.
    """
    points, x = len(log_sigmas), np.log(sigma)
    at = min(max(x, log_sigmas[0]), log_sigmas[points - 1])
    begin = 0
    while begin + 4 < points and at > log_sigmas[begin + 2]:
        begin += 2
    used = log_sigmas[begin : begin + 3]
    weight, slope = np.ones(len(used)), np.zeros(len(used))
    for k in range(len(used)):
        for m in range(len(used)):
            if m != k:
                gap = used[k] - used[m]
                slope[k] = (slope[k] * (at - used[m]) + weight[k]) / gap
                weight[k] *= (at - used[m]) / gap
    return begin, weight, slope / sigma if at == x else np.zeros(len(used))


@compiled
def wall(log_sigmas, sigma):
    """Return the log density of the wall at a run noise, and its derivative; none where one point holds everywhere."""
    if len(log_sigmas) == 1:
        return 0.0, 0.0
    x = math.log(sigma)
    beyond = max(x - log_sigmas[len(log_sigmas) - 1], 0.0) - max(log_sigmas[0] - x, 0.0)
    return -0.5 * (beyond / WALL) ** 2, -beyond / (WALL * WALL * sigma)


@compiled
def _between(
    begin, points, shapes, weight, basis, level, eigen, share, rest, first, left_eigen, left_count, constant
):  # fmt: skip
    """Return what belongs to the points between which a run noise lies."""
    low, high = begin * shapes, (begin + points) * shapes
    used, inside, sections = slice(begin, begin + points), slice(first[low], first[high]), slice(low, high)
    return (
        weight[used], basis[inside], level[inside], eigen[inside], share[used], rest[used],
        first[low : high + 1] - first[low], left_eigen[sections], left_count[sections], constant[sections],
    )  # fmt: skip


@compiled
def _along(residual, project, basis, level, weight, offset):
    """Return what directions see of residuals, the part of these in the few directions, and what is outside.

    Where a shift of all rows is integrated out, one that takes most of residuals away goes first: no digits are
    lost to it.
    """
    z, inside, outside = np.empty(len(basis)), np.empty(len(residual)), np.empty(len(residual))
    if len(project):
        few = np.empty(len(project))
        times_turned(project, 0, residual, few)
        times(few, project, 0, inside)
        times_turned(basis, 0, few, z)
    else:
        times_turned(basis, 0, residual, z)
    near, known = 0.0, 0.0
    for i in range(len(residual)):
        inside[i] = inside[i] if len(project) else residual[i]
        outside[i] = residual[i] - inside[i]
        near += weight[0, i] ** 2 * inside[i]
        known += weight[0, i] ** 2
    near = near / known if offset > 0 else 0.0
    for i in range(len(residual)):
        inside[i] -= near
    for i in range(len(z)):
        z[i] -= near * level[i]
    return near, z, inside, outside


@compiled
def _sizes(weight, residual, rest):
    """Return for each point the weighted rows' squared length, that of a shift of all rows, and their product."""
    points = len(weight)
    whole, shift, cross = np.zeros(points), np.zeros(points), np.zeros(points)
    for k in range(points):
        for i in range(len(residual)):
            square = weight[k, i] * weight[k, i]
            whole[k] += square * (residual[i] * residual[i] + rest[i] * rest[i])
            shift[k] += square
            cross[k] += square * residual[i]
    return whole, shift, cross


@compiled
def _terms(
    residual, outer, z, noise, tau, weight, level, eigen, share, rest, first, left_eigen, left_count, constant,
    offset, near, inverses, told, moved,
):  # fmt: skip
    """Return the log density in each section at each scale; fill 1 / variance and what the level is told."""
    sections, scales, points = len(left_count), len(tau), len(weight)
    each = np.empty((sections, scales))
    whole, shift, cross = _sizes(weight, residual, outer)
    product, total, log_det = np.empty(scales), np.empty(scales), np.empty(scales)
    by_shift, by_both = np.empty(scales), np.empty(scales)
    shapes, prior = sections // points, 1.0 / offset if offset > 0 else 0.0
    for j in range(sections):
        base = noise * share[j // shapes] + rest[j // shapes]
        product[:], total[:], log_det[:], by_shift[:], by_both[:] = 1.0, 0.0, 0.0, 0.0, 0.0
        outside, shift_outside, cross_outside = whole[j // shapes], shift[j // shapes], cross[j // shapes]
        for i in range(first[j], first[j + 1]):
            e, square = eigen[i], z[i] * z[i]
            level_square, both = level[i] * level[i], level[i] * z[i]
            outside -= square
            shift_outside -= level_square
            cross_outside -= both
            for s in range(scales):
                inverse = 1.0 / (tau[s] * e + base)
                inverses[i, s] = inverse
                product[s] *= base * inverse
                total[s] += square * inverse
                by_shift[s] += level_square * inverse
                by_both[s] += both * inverse
            if (i - first[j]) % _CHUNK == _CHUNK - 1:
                for s in range(scales):
                    log_det[s] -= np.log(product[s])
                    product[s] = 1.0
        outside, shift_outside = max(outside, 0.0), max(shift_outside, 0.0)
        known = (first[j + 1] - first[j]) * np.log(base)
        for s in range(scales):
            v = tau[s] * left_eigen[j] + base
            size, both = by_shift[s] + shift_outside / v, by_both[s] + cross_outside / v
            told[j, s] = offset / (1.0 + offset * size)
            both -= prior * near
            moved[j, s] = told[j, s] * both
            logs = (
                known + log_det[s] - np.log(product[s]) + left_count[j] * np.log(v) + np.log1p(offset * size)
            )
            each[j, s] = constant[j] - 0.5 * (
                total[s] + outside / v + prior * near**2 - moved[j, s] * both + logs
            )
    return each


@compiled
def _nodes(each, blend, log_nodes, score, rate, log_sigma):
    """Return the log weight of each shape and scale: sections of one shape, blended."""
    (shapes, scales), points = log_nodes.shape, len(blend)
    out = np.zeros((shapes, scales))
    for j in range(shapes):
        for s in range(scales):
            out[j, s] = log_nodes[j, s] - 0.5 * (score[j, s] + rate * log_sigma) ** 2
            for k in range(points):
                out[j, s] += blend[k] * each[k * shapes + j, s]
    return out


@compiled
def _chances(nodes):
    """Return the nodes' chances, and the logarithm of what these were divided by."""
    top, total, chance = -np.inf, 0.0, np.empty_like(nodes)
    for j in range(nodes.shape[0]):
        for s in range(nodes.shape[1]):
            top = max(top, nodes[j, s])
    for j in range(nodes.shape[0]):
        for s in range(nodes.shape[1]):
            chance[j, s] = math.exp(nodes[j, s] - top)
            total += chance[j, s]
    for j in range(nodes.shape[0]):
        for s in range(nodes.shape[1]):
            chance[j, s] /= total
    return chance, top + math.log(total)


@compiled
def _gradient(
    residual, outer, z, noise, tau, by_tau, weight, level, eigen, share, rest, first, left_eigen, left_count,
    inverses, told, moved, chance, blend,
):  # fmt: skip
    """Return the derivative by sigma², those along the directions, and what multiplies the rows themselves."""
    sections, scales, points = len(left_count), len(tau), len(weight)
    whole, shift, cross = _sizes(weight, residual, outer)
    shapes = sections // points
    along, left, left_moved, by_noise = np.zeros_like(z), np.zeros(sections), np.zeros(sections), 0.0
    for j in range(sections):
        k, shape = j // shapes, j % shapes
        base, a = noise * share[k] + rest[k], share[k]
        outside, shift_outside, cross_outside = whole[k], shift[k], cross[k]
        for i in range(first[j], first[j + 1]):
            outside -= z[i] * z[i]
            shift_outside -= level[i] * level[i]
            cross_outside -= level[i] * z[i]
        for s in range(scales):
            here, v = chance[shape, s] * blend[k], 1.0 / (tau[s] * left_eigen[j] + base)
            m, g = moved[j, s], told[j, s]
            square = outside - 2 * m * cross_outside + m * m * shift_outside + g * shift_outside
            by_v = v * (left_count[j] - v * square)
            by_noise -= 0.5 * here * (by_tau[s] * left_eigen[j] + a) * by_v
            left[j] += here * v
            left_moved[j] += here * v * m
        for i in range(first[j], first[j + 1]):
            inside, inside_moved, slope = 0.0, 0.0, 0.0
            for s in range(scales):
                v, m = inverses[i, s], moved[j, s]
                part, u = chance[shape, s] * v, z[i] - m * level[i]
                wide = u * u + told[j, s] * level[i] * level[i]
                slope += part * (by_tau[s] * eigen[i] + a) * (1.0 - v * wide)
                inside += part
                inside_moved += part * m
            by_noise -= 0.5 * blend[k] * slope
            along[i] = z[i] * (left[j] - blend[k] * inside) - level[i] * (
                left_moved[j] - blend[k] * inside_moved
            )
    return by_noise, along, left, left_moved


@compiled
def _by_rows(along, basis, within, outer, weight, left, left_moved, project):
    """Return the gradient by residuals: along directions, by the rows themselves, and by what is outside the few."""
    rows, points, shapes = len(within), len(weight), len(left) // len(weight)
    by_within, by_outer = np.zeros(rows), np.zeros(rows)
    for k in range(points):
        all_left, all_moved = 0.0, 0.0
        for j in range(k * shapes, (k + 1) * shapes):
            all_left += left[j]
            all_moved += left_moved[j]
        for i in range(rows):
            square = weight[k, i] * weight[k, i]
            by_within[i] -= square * (all_left * within[i] - all_moved)
            by_outer[i] -= square * all_left * outer[i]
    by_few = np.empty(basis.shape[1])
    times(along, basis, 0, by_few)
    if len(project) == 0:
        for i in range(rows):
            by_within[i] += by_few[i]
        return by_within
    for i in range(rows):
        by_within[i] -= by_outer[i]
    back, by_residual = np.empty(len(project)), np.empty(rows)
    times_turned(project, 0, by_within, back)
    for j in range(len(back)):
        back[j] += by_few[j]
    times(back, project, 0, by_residual)
    for i in range(rows):
        by_residual[i] += by_outer[i]
    return by_residual


@compiled
def table(
    residual: Array, sigma: Array, weight: Array, project: Array, basis: Array, level: Array, eigen: Array, share: Array,
    rest: Array, first: Array, left_eigen: Array, left_count: Array, constant: Array, log_sigmas: Array, scale_square: Array, log_nodes: Array,
    score: Array, rate: Array, relative: Array, offset: Array,
) -> Array:  # fmt: skip
    """Return the log density of each shape and scale with its prior weight, shape (shapes, scales).

    Parameters
    ----------
    See `evaluate`.

    Returns
    -------
    array
    """
    noise, shapes, scales = sigma.item() ** 2, len(log_nodes), len(scale_square)
    begin, blend, _ = blend_between(log_sigmas, sigma.item())
    points, sections = len(blend), len(blend) * shapes
    weight, basis, level, eigen, share, rest, first, left_eigen, left_count, constant = _between(
        begin, points, shapes, weight, basis, level, eigen, share, rest, first, left_eigen, left_count, constant
    )  # fmt: skip
    tau = scale_square * (noise if relative.item() else 1.0)
    near, z, within, outer = _along(residual, project, basis, level, weight, offset.item())
    told, moved = np.empty((sections, scales)), np.empty((sections, scales))
    each = _terms(
        within, outer, z, noise, tau, weight, level, eigen, share, rest, first, left_eigen, left_count, constant,
        offset.item(), near, np.empty((len(z), scales)), told, moved,
    )  # fmt: skip
    return _nodes(each, blend, log_nodes, score, rate.item(), math.log(sigma.item()))


@compiled
def evaluate(
    residual: Array, sigma: Array, weight: Array, project: Array, basis: Array, level: Array, eigen: Array, share: Array,
    rest: Array, first: Array, left_eigen: Array, left_count: Array, constant: Array, log_sigmas: Array, scale_square: Array, log_nodes: Array,
    score: Array, rate: Array, relative: Array, offset: Array,
) -> tuple[Array, ...]:  # fmt: skip
    """Return the log density (but for its constant) and its gradient by residual and sigma.

    Parameters
    ----------
    residual : array, shape (rows,)
        Data minus law.
    sigma : array of rank 0
        Of run noise.
    weight : array, shape (points, rows)
        What rows are weighted by, for each run noise at which the covariance is decomposed.
    project : array, shape (few, rows)
        The few directions in which residuals move; of shape (0, rows) where they are taken as they are.
    basis : array, shape (directions, few) or (directions, rows)
        Directions of all sections, one section after the other: what they see of those few, or of rows.
    level : array, shape (directions,)
        Their products with a shift of all rows by one.
    eigen : array, shape (directions,)
    share, rest : array, shape (points,)
        A direction's variance is scale² eigen + sigma² share + rest.
    first : array of int, shape (sections + 1,)
        Where each section's directions begin. Sections are points × shapes, shapes innermost.
    left_eigen, left_count : array, shape (sections,)
        The eigenvalue of all directions left out, and how many they are.
    constant : array, shape (sections,)
        Logarithm of the weights' product.
    log_sigmas : array, shape (points,)
        At these the decomposition is exact; between them log densities are blended.
    scale_square : array, shape (scales,)
    log_nodes : array, shape (shapes, scales)
        Log prior weights.
    score : array, shape (shapes, scales)
    rate : array of rank 0
        The slope's wandering under its prior: score + rate log sigma is standard normal.
    relative : array of rank 0
        1 if scales are in units of sigma, else 0.
    offset : array of rank 0
        Prior variance of a shift of all rows that is integrated out; zero where none is.

    Returns
    -------
    tuple of array
        Scalars as arrays of rank 0.
    """
    noise, shapes, scales = sigma.item() ** 2, len(log_nodes), len(scale_square)
    begin, blend, by_blend = blend_between(log_sigmas, sigma.item())
    points, sections = len(blend), len(blend) * shapes
    weight, basis, level, eigen, share, rest, first, left_eigen, left_count, constant = _between(
        begin, points, shapes, weight, basis, level, eigen, share, rest, first, left_eigen, left_count, constant
    )  # fmt: skip
    tau = scale_square * (noise if relative.item() else 1.0)
    near, z, within, outer = _along(residual, project, basis, level, weight, offset.item())
    inverses, told, moved = np.empty((len(z), scales)), np.empty((sections, scales)), np.empty((sections, scales))  # fmt: skip
    each = _terms(
        within, outer, z, noise, tau, weight, level, eigen, share, rest, first, left_eigen, left_count, constant,
        offset.item(), near, inverses, told, moved,
    )  # fmt: skip
    log_sigma = math.log(sigma.item())
    nodes = _nodes(each, blend, log_nodes, score, rate.item(), log_sigma)
    chance, value = _chances(nodes)
    by_noise, along, left, left_moved = _gradient(
        within, outer, z, noise, tau, scale_square * relative.item(), weight, level, eigen, share, rest, first,
        left_eigen, left_count, inverses, told, moved, chance, blend,
    )  # fmt: skip
    by_sigma = 2 * sigma.item() * by_noise
    for j in range(sections):
        for s in range(scales):
            by_sigma += by_blend[j // shapes] * chance[j % shapes, s] * each[j, s]
    for j in range(shapes):
        for s in range(scales):
            by_sigma -= chance[j, s] * (score[j, s] + rate.item() * log_sigma) * rate.item() / sigma.item()
    by_residual = _by_rows(along, basis, within, outer, weight, left, left_moved, project)
    held, by_held = wall(log_sigmas, sigma.item())
    return np.asarray(value + held), by_residual, np.asarray(by_sigma + by_held)
