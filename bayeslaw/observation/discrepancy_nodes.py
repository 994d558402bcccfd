"""The log density of residuals that move in few directions, its length and scale marginalised, and its gradient.

Along few directions the squared distance of residuals is a small quadratic form for each length, scale and run noise
of the grid, worked out once: a gradient costs these forms, and no decomposition. Forms are kept times the run noise's
square, where they hardly change with it, and blended between the run noises of the grid.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bayeslaw.core.compiled import compiled
from bayeslaw.law.types import Array
from bayeslaw.observation.discrepancy_grad import blend_between

NODE_TERMS = (
    "project", "node_outer", "node_square", "node_level", "node_size", "node_log_det", "log_sigmas", "node_weight", "offset",
)  # fmt: skip
"""What the compiled density takes, in its order."""
_FAST = {"reassoc", "contract", "nsz"}
"""Sums of products may be taken several numbers at a time; nothing cancels there."""


def node_terms(terms: Mapping[str, Array], sigmas: Array, error: Array) -> dict[str, Array]:
    """Work out the forms.

    Parameters
    ----------
    terms : mapping of str to numpy.ndarray
        What `discrepancy_grad.evaluate` takes, ``project`` not empty.
    sigmas : numpy.ndarray, shape (points,)
        Run noise of the grid.
    error : numpy.ndarray, shape (rows,)
        Known errors.

    Returns
    -------
    dict of str to numpy.ndarray
        ``node_outer`` (rows,), precision outside the few directions; ``node_square`` (products of two coordinates,
        points × nodes), ``node_level`` (few, points × nodes), ``node_size`` and ``node_log_det`` (points, nodes);
        ``node_weight`` (nodes,). Nodes are lengths × scales, scales innermost.
    """
    project, first, lengths = terms["project"], terms["first"], len(terms["log_lengths"])
    points, scales, few = len(sigmas), len(terms["log_scales"]), len(project)
    upper = np.triu_indices(few)
    twice = np.where(upper[0] == upper[1], 1.0, 2.0)
    shape = (points, lengths, scales)
    square, level = np.empty((*shape, len(twice))), np.empty((*shape, few))
    size, log_det = np.empty(shape), np.empty(shape)
    for k, j in np.ndindex(points, lengths):
        section, noise = k * lengths + j, sigmas[k] ** 2
        at = slice(first[section], first[section + 1])
        basis, told, weight = terms["basis"][at], terms["level"][at], terms["weight"][k]
        scale = terms["scale_square"] * (noise if terms["relative"] else 1.0)
        inverse = noise / (np.outer(scale, terms["eigen"][at]) + noise)  # times run noise's square
        left = noise / (scale * terms["left_eigen"][section] + noise)
        weighted = project * weight
        rest = (
            weighted @ weighted.T - basis.T @ basis,
            weighted @ weight - basis.T @ told,
            weight @ weight - told @ told,
        )
        whole = (
            np.einsum("si,ia,ib->sab", inverse, basis, basis, optimize=True) + left[:, None, None] * rest[0]
        )
        square[k, j] = whole[:, upper[0], upper[1]] * twice
        level[k, j] = (inverse * told) @ basis + left[:, None] * rest[1]
        size[k, j] = inverse @ told**2 + left * rest[2]
        log_det[k, j] = (
            -np.log(inverse).sum(axis=1)
            - terms["left_count"][section] * np.log(left)
            - 2 * terms["section"][section]
        )
    return {
        "node_outer": 1 / (np.median(sigmas) ** 2 + error**2),
        "node_square": np.ascontiguousarray(square.reshape(-1, len(twice)).T), "node_level": np.ascontiguousarray(level.reshape(-1, few).T),
        "node_size": size.reshape(points, -1), "node_log_det": log_det.reshape(points, -1),
        "node_weight": (terms["log_lengths"][:, None] + terms["log_scales"]).ravel(),
    }  # fmt: skip


@compiled(fastmath=_FAST)
def _times(vector, matrix, first, out):
    """Fill out with vector @ matrix, from the matrix' column `first` on."""
    out[:] = 0.0
    for i in range(len(vector)):
        factor, row = vector[i], matrix[i, first : first + len(out)]
        for j in range(len(out)):
            out[j] += factor * row[j]


@compiled(fastmath=_FAST)
def _times_turned(matrix, first, vector, out):
    """Fill out with matrix @ vector, from the matrix' column `first` on."""
    for i in range(len(out)):
        total, row = 0.0, matrix[i, first : first + len(vector)]
        for j in range(len(vector)):
            total += row[j] * vector[j]
        out[i] = total


@compiled
def _products(few):
    """Return all products of two coordinates."""
    out, at = np.empty(len(few) * (len(few) + 1) // 2), 0
    for a in range(len(few)):
        for b in range(a, len(few)):
            out[at] = few[a] * few[b]
            at += 1
    return out


@compiled
def _by_few(few, by_products, by_few):
    """Add the derivatives by coordinates that come through their products."""
    at = 0
    for a in range(len(few)):
        for b in range(a, len(few)):
            by_few[a] += by_products[at] * few[b]
            by_few[b] += by_products[at] * few[a]
            at += 1


@compiled
def _blended(begin, blend, values):
    out = np.zeros(values.shape[1])
    for k in range(len(blend)):
        out += blend[k] * values[begin + k]
    return out


@compiled
def evaluate(
    residual: Array, sigma: Array, project: Array, outer: Array, square: Array, level: Array, size: Array,
    log_det: Array, log_sigmas: Array, weight: Array, offset: Array,
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
    outer, square, level, size, log_det, weight
        See `node_terms`.
    log_sigmas : array, shape (points,)
    offset : array of rank 0
        Prior variance of a shift of all rows that is integrated out; zero where none is.

    Returns
    -------
    tuple of array
        Scalars as arrays of rank 0.
    """
    s, v, nodes, rows = sigma.item(), offset.item(), len(weight), len(residual)
    begin, blend, by_blend = blend_between(log_sigmas, s)
    used, first, few, inside = len(blend), begin * nodes, np.empty(len(project)), np.empty(rows)
    _times_turned(project, 0, residual, few)
    _times(few, project, 0, inside)
    left, products, noise = residual - inside, _products(few), s * s
    squares, levels = np.empty((used, nodes)), np.empty((used, nodes))
    _times(products, square, first, squares.reshape(used * nodes))
    _times(few, level, first, levels.reshape(used * nodes))
    q, c = _blended(0, blend, squares) / noise, _blended(0, blend, levels) / noise
    z, d = _blended(begin, blend, size) / noise, _blended(begin, blend, log_det)
    told = v / (1 + v * z)
    each = weight - 0.5 * (q - told * c * c + d + np.log1p(v * z))
    top = each.max()
    chance = np.exp(each - top)
    total = chance.sum()
    chance /= total
    # By sigma: through the blend, and through the square that all forms are times.
    by_q, by_c = (
        _blended(0, by_blend, squares) / noise - 2 * q / s,
        _blended(0, by_blend, levels) / noise - 2 * c / s,
    )
    by_z, by_d = _blended(begin, by_blend, size) / noise - 2 * z / s, _blended(begin, by_blend, log_det)
    slope = by_q + (told * c) ** 2 * by_z - 2 * told * c * by_c + by_d + told * by_z
    by_sigma = -0.5 * (chance * slope).sum() - rows / s
    for k in range(used):  # the forms' own derivatives take the place of the forms
        squares[k] = -0.5 * blend[k] / noise * chance
        levels[k] = blend[k] / noise * chance * told * c
    by_products, by_few, along = np.empty(len(products)), np.empty(len(few)), np.empty(len(few))
    _times_turned(square, first, squares.reshape(used * nodes), by_products)
    _times_turned(level, first, levels.reshape(used * nodes), by_few)
    _by_few(few, by_products, by_few)
    outside, by_residual = outer * left, np.empty(rows)
    _times_turned(project, 0, outside, along)
    _times(by_few + along, project, 0, by_residual)
    by_residual -= outside
    value = top + np.log(total) - rows * np.log(s) - 0.5 * (outside * left).sum()
    return np.asarray(value), by_residual, np.asarray(by_sigma)
