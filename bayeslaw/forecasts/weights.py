"""Weights of several laws: by how each predicted rows ahead, above all rows as far ahead as the target."""

from __future__ import annotations

import json

import numpy as np
import xarray as xr

SHRINK = 0.5
"""Imaginary blocks that the laws have predicted best in turn; see the notes of `bayeslaw.stack`."""
FEWEST = 3
"""Blocks with fewer rows are ignored: one outlying row would decide them."""
NEAR = 0.1
"""Orders of magnitude below which distances do not differ."""
ALIKE = np.log(2.0)
"""A block whose horizon is twice or half the target's counts exp(−1/2) as much as one at its distance."""
_ROUNDS, _CLOSE = 100_000, 1e-12


def stacking_weights(
    scores: np.ndarray, shrink: float = SHRINK, counts: np.ndarray | None = None
) -> np.ndarray:
    """Weigh laws by their scores.

    Parameters
    ----------
    scores : numpy.ndarray, shape (blocks, laws)
        Log predictive densities, in nat.
    shrink : float
        Greater than 0; see `bayeslaw.stack`.
    counts : numpy.ndarray, shape (..., blocks), optional
        How much each block counts; by default each once.

    Returns
    -------
    numpy.ndarray, shape (..., laws)
        They sum to one; none is zero.

    Notes
    -----
    Expectation maximisation; the objective is concave, so that its one maximum is found.
    """
    counts = np.ones(len(scores)) if counts is None else counts
    laws = scores.shape[1]
    best = scores.max(axis=1, keepdims=True) if len(scores) else scores
    # Where every law finds a block impossible, none is preferred.
    density = np.exp(np.where(np.isneginf(best), 0.0, scores - np.where(np.isneginf(best), 0.0, best)))
    weights = np.full((*counts.shape[:-1], laws), 1 / laws)
    for _ in range(_ROUNDS):
        shares = weights[..., None, :] * density
        shares = counts[..., None] * shares / shares.sum(axis=-1, keepdims=True)
        found = shares.sum(axis=-2) + shrink / laws
        before, weights = weights, found / found.sum(axis=-1, keepdims=True)
        if np.abs(weights - before).max(initial=0.0) < _CLOSE:
            break
    return weights


def usable_blocks(scores: xr.Dataset) -> xr.DataArray:
    """Return the scores (nat) of blocks of enough rows that every law has; dims (trial, law).

    Parameters
    ----------
    scores : xarray.Dataset
        As of `bayeslaw.stack`.

    Returns
    -------
    xarray.DataArray
        A trial is a block as one window's fits predict it; coordinates ``horizon`` (orders), ``block``
        and ``window``.
    """
    horizon = scores["horizon"].where(scores["rows_block"] >= FEWEST)
    blocks = scores["log_score_block"].assign_coords(horizon=horizon)
    blocks = blocks.stack(trial=("window", "block")).transpose("trial", "law")
    return blocks.isel(trial=(blocks.notnull().all("law") & blocks["horizon"].notnull()).values)


def weights_at(scores: xr.Dataset, orders: np.ndarray) -> np.ndarray:
    """Weigh laws for targets by the blocks that lie about as far ahead.

    Parameters
    ----------
    scores : xarray.Dataset
        As of `bayeslaw.stack`, with its ``settings``.
    orders : numpy.ndarray, shape (targets,)
        How many orders of magnitude each target lies beyond the data.

    Returns
    -------
    numpy.ndarray, shape (targets, laws)
        Each row sums to one; equal weights where there is no usable block.

    Notes
    -----
    A block counts exp(−(log((h + .1) / (t + .1)) / log 2)² / 2), h its horizon and t the target's distance in
    orders, within what the blocks reach: beyond the farthest block, the farthest count most. Rows that several
    windows predict count as often, each time at another distance.
    """
    shrink = float(json.loads(scores.attrs.get("settings", "{}")).get("shrink", SHRINK))
    blocks = usable_blocks(scores)
    if not blocks.sizes["trial"]:
        return np.full((len(orders), blocks.sizes["law"]), 1 / blocks.sizes["law"])
    different, back = np.unique(np.round(orders, 3), return_inverse=True)
    counts = block_counts(blocks["horizon"].values, different)
    return stacking_weights(blocks.values, shrink, counts)[back]


def block_counts(horizons: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """Say how much each block counts for targets at some distances.

    Parameters
    ----------
    horizons : numpy.ndarray, shape (blocks,)
        Orders of magnitude.
    orders : numpy.ndarray, shape (targets,)

    Returns
    -------
    numpy.ndarray, shape (targets, blocks)
        In (0, 1].
    """
    far = np.log(horizons + NEAR)
    own = np.clip(np.log(orders + NEAR), far.min(), far.max())
    return np.exp(-0.5 * ((far - own[:, None]) / ALIKE) ** 2)
