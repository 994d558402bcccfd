"""The log density of each shape and scale of a discrepancy's grid, for many draws at once."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bayeslaw.law.types import Array
from bayeslaw.observation.discrepancy_bases import blended
from bayeslaw.observation.discrepancy_grad import table
from bayeslaw.observation.discrepancy_terms import TERMS

_PART = 1000
"""Draws that are worked out at once."""


def tables(terms: Mapping[str, Array], residual: Array, sigma: Array) -> Array:
    """Return the log density of each shape and scale, with its prior weight, for many draws.

    Parameters
    ----------
    terms : mapping of str to numpy.ndarray
        With those of `discrepancy_nodes.node_terms` where residuals move in few directions; else each draw is worked out by itself.
    residual : numpy.ndarray, shape (draws, rows)
    sigma : numpy.ndarray, shape (draws,)

    Returns
    -------
    numpy.ndarray, shape (draws, shapes, scales)
        But for what all shapes and scales of a draw share; minus infinity where one is left out.
    """
    if "node_square" not in terms:
        data = [terms[n] for n in TERMS]
        return np.stack([table(r, np.asarray(s), *data) for r, s in zip(residual, sigma, strict=True)])
    parts = range(0, len(sigma), _PART)
    found = [_node_tables(terms, residual[i : i + _PART], sigma[i : i + _PART, None]) for i in parts]
    out = np.full((len(sigma), terms["log_nodes"].size), -np.inf)
    out[:, terms["node_at"]] = np.concatenate(found)
    return out.reshape(len(sigma), *terms["log_nodes"].shape)


def _node_tables(terms: Mapping[str, Array], residual: Array, sigma: Array) -> Array:
    """Return the log density of each node, shape (draws, nodes)."""
    blend, noise = blended(terms["log_sigmas"], np.log(sigma)), sigma**2 + terms["node_error"]
    few = residual @ terms["project"].T - terms["node_centre"]
    upper, points = np.triu_indices(few.shape[1]), blend.shape[1]

    def form(flat: Array) -> Array:
        return np.einsum("dk,dkn->dn", blend, flat.reshape(len(few), points, -1)) / noise

    features = np.concatenate([few, few[:, upper[0]] * few[:, upper[1]]], axis=1)
    turned = features @ terms["node_turn"] if len(terms["node_turn"]) else features
    q = blend @ terms["node_base"] / noise + form(turned @ terms["node_square"])
    c = blend @ terms["node_level_base"] / noise + form(few @ terms["node_level"])
    z, v = blend @ terms["node_size"] / noise, terms["offset"]
    with np.errstate(invalid="ignore"):  # between points far apart a form may have no size
        logs = blend @ terms["node_log_det"] + np.log1p(v * z)
    prior = terms["node_weight"] - 0.5 * (terms["node_score"] + terms["rate"] * np.log(sigma)) ** 2
    return np.asarray(prior - 0.5 * (q - v * c**2 / (1 + v * z) + logs))
