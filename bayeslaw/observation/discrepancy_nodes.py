"""The log density of residuals that move in few directions, its shape and scale marginalised, and its gradient.

Along few directions the squared distance of residuals is a small quadratic form for each shape, scale and run noise
of the grid, worked out once: a gradient costs these forms, and no decomposition. Forms are kept times the usual
variance of a row, run noise and known error, where they hardly change with run noise, and blended between the run
noises of the grid.

Coordinates are those from a centre, for residuals lie much closer to one another than to zero. There the forms of
all nodes are nearly the same few ones in other proportions: it is these that are worked out where there are many
coordinates (`compressed`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from bayeslaw.core.compiled import compiled
from bayeslaw.core.elementary import exp_all, log_all
from bayeslaw.law.types import Array
from bayeslaw.observation.discrepancy_grad import blend_between, wall
from bayeslaw.observation.products import FAST, times, times_turned

NODE_TERMS = (
    "project", "node_centre", "node_outer", "node_turn", "node_square", "node_base", "node_level", "node_level_base",
    "node_size", "node_log_det", "log_sigmas", "node_weight", "node_score", "rate", "node_error", "offset",
)  # fmt: skip
"""What the compiled density takes, in its order."""


_OUTSIDE = 0.25
"""Share of its precision that a row has outside the few directions. Residuals that are there all the same are to be
seen afterwards, as far from the exact density; held fast, they would only be missing from the posterior."""
_MANY = 40
"""Features that cost more than their compression."""
_LEFT = 1e-3
"""What compression may leave of the forms, in nats, where residuals reach."""


def node_terms(
    terms: Mapping[str, Array], sigmas: Array, error: Array, centre: Array, reach: Array
) -> dict[str, Array]:
    """Work out the forms.

    Parameters
    ----------
    terms : mapping of str to numpy.ndarray
        What `discrepancy_grad.evaluate` takes, ``project`` not empty.
    sigmas : numpy.ndarray, shape (points,)
        Run noise of the grid.
    error : numpy.ndarray, shape (rows,)
        Known errors.
    centre, reach : numpy.ndarray, shape (few,)
        Around which coordinates residuals lie, and how far from them.

    Returns
    -------
    dict of str to numpy.ndarray
        ``node_outer`` (rows,), the precision that rows have outside the few directions. Squared distances: at the centre ``node_base``
        (points, nodes), then by coordinates and by products of two, the features, ``node_square`` (features, points ×
        nodes); ``node_turn`` is empty, see `compressed`. Products with a shift of all rows: ``node_level_base``
        (points, nodes), ``node_level`` (few, points × nodes). ``node_size`` and ``node_log_det`` (points, nodes);
        ``node_weight`` and ``node_score`` (nodes,). ``node_error`` (rank 0), known errors' mean square. Nodes are the
        shapes × scales, scales innermost, that have a weight: ``node_at`` (nodes,) has their places among all.
    """
    project, first, (shapes, scales) = terms["project"], terms["first"], terms["log_nodes"].shape
    points, few = len(sigmas), len(project)
    upper = np.triu_indices(few)
    twice = np.where(upper[0] == upper[1], 1.0, 2.0)
    shape, known = (points, shapes, scales), np.mean(error**2)
    square, level = np.empty((*shape, few + len(twice))), np.empty((*shape, few))
    size, log_det, base = np.empty(shape), np.empty(shape), np.empty(shape)
    for k, j in np.ndindex(points, shapes):
        section, noise = k * shapes + j, sigmas[k] ** 2
        at = slice(first[section], first[section + 1])
        basis, told, weight = terms["basis"][at], terms["level"][at], terms["weight"][k]
        scale = terms["scale_square"] * (noise if terms["relative"] else 1.0)
        unit = noise + known
        inverse = unit / (np.outer(scale, terms["eigen"][at]) + noise)
        left = unit / (scale * terms["left_eigen"][section] + noise)
        weighted = project * weight
        rest = (
            weighted @ weighted.T - basis.T @ basis,
            weighted @ weight - basis.T @ told,
            weight @ weight - told @ told,
        )
        whole = (basis.T * inverse[:, None, :]) @ basis + left[:, None, None] * rest[0]
        at_centre = whole @ centre
        base[k, j] = at_centre @ centre
        square[k, j, :, :few], square[k, j, :, few:] = 2 * at_centre, whole[:, upper[0], upper[1]] * twice
        level[k, j] = (inverse * told) @ basis + left[:, None] * rest[1]
        size[k, j] = inverse @ told**2 + left * rest[2]
        log_det[k, j] = (
            -np.log(inverse).sum(axis=1)
            - terms["left_count"][section] * np.log(left)
            - 2 * terms["section"][section]
        )
    weights = terms["log_nodes"].ravel()
    nodes = np.flatnonzero(np.isfinite(weights))

    def kept(values: Array) -> Array:
        return np.ascontiguousarray(values.reshape(points, len(weights), *values.shape[3:])[:, nodes])

    return {
        "node_centre": centre, "node_reach": reach, "node_outer": _OUTSIDE / (np.median(sigmas) ** 2 + error**2),
        "node_turn": np.zeros((0, 1)), "node_square": np.ascontiguousarray(kept(square).reshape(-1, few + len(twice)).T),
        "node_base": kept(base), "node_level": np.ascontiguousarray(kept(level).reshape(-1, few).T),
        "node_level_base": kept(level) @ centre, "node_size": kept(size), "node_log_det": kept(log_det),
        "node_weight": weights[nodes], "node_score": terms["score"].ravel()[nodes], "node_at": nodes, "node_error": np.asarray(known),
    }  # fmt: skip


def compressed(terms: Mapping[str, Array]) -> dict[str, Array]:
    """Return terms whose squared distances are a few forms in other proportions, where that is worth it.

    Parameters
    ----------
    terms : mapping of str to numpy.ndarray
        Of `node_terms`.

    Returns
    -------
    dict of str to numpy.ndarray
        ``node_turn`` (features, forms) makes features into forms, ``node_square`` (forms, points × nodes) these into
        squared distances.
    """
    square, reach = terms["node_square"], terms["node_reach"]
    features, upper = len(square), np.triu_indices(len(reach))
    if features <= _MANY:
        return dict(terms)
    unit = np.concatenate([reach, reach[upper[0]] * reach[upper[1]]])
    smallest = math.exp(2 * terms["log_sigmas"][0]) + terms["node_error"]
    turn, sizes, forms = np.linalg.svd(square * (unit / smallest)[:, None], full_matrices=False)
    left = np.sqrt(np.cumsum(sizes[::-1] ** 2)[::-1])
    kept = int((left > _LEFT).sum())
    if kept * (features + square.shape[1]) > features * square.shape[1]:
        return dict(terms)
    turn, forms = turn[:, :kept] * (smallest / unit)[:, None], forms[:kept] * sizes[:kept, None]
    return {**terms, "node_turn": np.ascontiguousarray(turn), "node_square": np.ascontiguousarray(forms)}


@compiled
def _features(few):
    """Return coordinates, then all products of two."""
    count = len(few)
    out, at = np.empty(count + count * (count + 1) // 2), count
    for a in range(count):
        out[a] = few[a]
        for b in range(a, count):
            out[at] = few[a] * few[b]
            at += 1
    return out


@compiled
def _by_few(few, by_features, by_few):
    """Add the derivatives by coordinates that come through the features."""
    at = len(few)
    for a in range(len(few)):
        by_few[a] += by_features[a]
        for b in range(a, len(few)):
            by_few[a] += by_features[at] * few[b]
            by_few[b] += by_features[at] * few[a]
            at += 1


@compiled(fast=FAST)
def _blended(begin, factor, values, out):
    """Add to out the rows of values from `begin` on, each times its factor."""
    for k in range(len(factor)):
        for j in range(len(out)):
            out[j] += factor[k] * values[begin + k, j]


@compiled
def _chances(weight, score, q, c, z, d, offset, chance, told):
    """Fill each node's chance and what the level is told there; return the logarithm of the chances' sum."""
    nodes, top, total = len(weight), -np.inf, 0.0
    for j in range(nodes):
        told[j] = 1 + offset * z[j]
    log_all(chance, told, nodes)
    for j in range(nodes):
        told[j] = offset / told[j]
        chance[j] = weight[j] - 0.5 * (score[j] * score[j] + q[j] - told[j] * c[j] * c[j] + d[j] + chance[j])
        top = max(top, chance[j])
    for j in range(nodes):
        chance[j] -= top
    exp_all(chance, chance, nodes)
    for j in range(nodes):
        total += chance[j]
    for j in range(nodes):
        chance[j] /= total
    return top + math.log(total)


@compiled(fast=FAST)
def _pull_back(
    begin, factor, by_factor, by_blend, chance, told, c, squares, base, levels, level_base, size, log_det
):
    """Return the derivative by sigma; fill those by squares and levels in their place."""
    by_sigma = 0.0
    for k in range(len(factor)):
        forms, logs = 0.0, 0.0
        for j in range(len(chance)):
            moved = told[j] * c[j]
            form = base[begin + k, j] + squares[k, j] - 2 * moved * (level_base[begin + k, j] + levels[k, j])
            forms += chance[j] * (form + (moved * moved + told[j]) * size[begin + k, j])
            logs += chance[j] * log_det[begin + k, j]
            squares[k, j] = -0.5 * factor[k] * chance[j]
            levels[k, j] = factor[k] * chance[j] * moved
        by_sigma -= 0.5 * (by_factor[k] * forms + by_blend[k] * logs)
    return by_sigma


@compiled
def _coordinates(residual, project, centre, inside, few):
    """Fill the part of residuals along the few directions, and coordinates from the centre."""
    times_turned(project, 0, residual, few)
    times(few, project, 0, inside)
    for j in range(len(few)):
        few[j] -= centre[j]


@compiled
def _outside(residual, outer, inside, project, by_few, by_residual):
    """Return what residuals outside the few directions add; fill the gradient by all residuals."""
    value, left, along = 0.0, np.empty(len(residual)), np.empty(len(by_few))
    for i in range(len(residual)):
        left[i] = outer[i] * (residual[i] - inside[i])
        value -= 0.5 * left[i] * (residual[i] - inside[i])
    times_turned(project, 0, left, along)
    for j in range(len(along)):
        along[j] += by_few[j]
    times(along, project, 0, by_residual)
    for i in range(len(left)):
        by_residual[i] -= left[i]
    return value


@compiled
def evaluate(
    residual: Array, sigma: Array, project: Array, centre: Array, outer: Array, turn: Array, square: Array, base: Array,
    level: Array, level_base: Array, size: Array, log_det: Array, log_sigmas: Array, weight: Array, score: Array,
    rate: Array, error: Array, offset: Array,
) -> tuple[Array, ...]:  # fmt: skip
    """Return the log density (but for its constant) and its gradient by residual and sigma.

    Parameters
    ----------
    residual : array, shape (rows,)
        Data minus law.
    sigma : array of rank 0
        Of run noise.
    project : array, shape (few, rows)
        The directions in which residuals move, orthonormal.
    centre, outer, turn, square, base, level, level_base, size, log_det, weight
        See `node_terms` and `compressed`.
    log_sigmas : array, shape (points,)
    score : array, shape (nodes,)
    rate : array of rank 0
        The slope's wandering under its prior: score + rate log sigma is standard normal.
    error : array of rank 0
        Known errors' mean square.
    offset : array of rank 0
        Prior variance of a shift of all rows that is integrated out; zero where none is.

    Returns
    -------
    tuple of array
        Scalars as arrays of rank 0.
    """
    s, nodes, rows = sigma.item(), len(weight), len(residual)
    begin, blend, by_blend = blend_between(log_sigmas, s)
    used, first, few, inside = len(blend), begin * nodes, np.empty(len(project)), np.empty(rows)
    _coordinates(residual, project, centre, inside, few)
    # The forms and their derivatives by sigma: through the blend, and through the variance that all are times.
    factor, by_factor, noise = np.empty(used), np.empty(used), s * s + error.item()
    for k in range(used):
        factor[k], by_factor[k] = blend[k] / noise, (by_blend[k] - 2 * s * blend[k] / noise) / noise
    features, turned = _features(few), np.empty(len(square))
    if len(turn):
        times(features, turn, 0, turned)
    else:
        turned[:] = features
    squares, levels = np.empty((used, nodes)), np.empty((used, nodes))
    times(turned, square, first, squares.reshape(used * nodes))
    times(few, level, first, levels.reshape(used * nodes))
    q, c, z, d = np.zeros(nodes), np.zeros(nodes), np.zeros(nodes), np.zeros(nodes)
    _blended(begin, factor, base, q)
    _blended(0, factor, squares, q)
    _blended(begin, factor, level_base, c)
    _blended(0, factor, levels, c)
    _blended(begin, factor, size, z)
    _blended(begin, blend, log_det, d)
    chance, told, scores = np.empty(nodes), np.empty(nodes), np.empty(nodes)
    for j in range(nodes):
        scores[j] = score[j] + rate.item() * math.log(s)
    value = _chances(weight, scores, q, c, z, d, offset.item(), chance, told) - 0.5 * rows * math.log(noise)
    by_sigma = -rows * s / noise + _pull_back(
        begin, factor, by_factor, by_blend, chance, told, c, squares, base, levels, level_base, size, log_det
    )
    for j in range(nodes):
        by_sigma -= chance[j] * scores[j] * rate.item() / s
    by_few, by_residual = np.empty(len(few)), np.empty(rows)
    times_turned(level, first, levels.reshape(used * nodes), by_few)
    times_turned(square, first, squares.reshape(used * nodes), turned)
    if len(turn):
        times_turned(turn, 0, turned, features)
        _by_few(few, features, by_few)
    else:
        _by_few(few, turned, by_few)
    value += _outside(residual, outer, inside, project, by_few, by_residual)
    held, by_held = wall(log_sigmas, s)
    return np.asarray(value + held), by_residual, np.asarray(by_sigma + by_held)
