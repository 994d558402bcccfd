"""Correlated errors along curves that branch: exact sums over a forest of rows, in linear time.

Residuals (data minus law, on the log scale) are r_i = x_i + e_i. The x are an Ornstein-Uhlenbeck
process along log step with stationary standard deviation ``scale`` and correlation
exp(-gap / length); the e_i are independent normals of known ``variance``. A curve that starts from
another's checkpoint shares what came before, so the rows form a forest: every row hangs on the row
before it, on its own curve or the one that it left. `beliefs` holds the formulas.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayeslaw.observation.beliefs import PRIOR, Belief, carry, merge, observe


@dataclass(frozen=True)
class Forest:
    """Rows in an order in which parents stand before their children.

    Attributes
    ----------
    parent : numpy.ndarray of int, shape (rows,)
        The row before, on the same curve or the one it branched from; -1 for the first of all.
    gap : numpy.ndarray, shape (rows,)
        Distance to the parent in e-folds of the step; not used where there is none.
    """

    parent: np.ndarray
    gap: np.ndarray

    def __post_init__(self) -> None:
        if np.shape(self.parent) != np.shape(self.gap) or np.ndim(self.parent) != 1:
            raise ValueError("a forest needs one parent and one gap for each row")
        if np.any(self.parent >= np.arange(len(self.parent))) or np.any(np.asarray(self.gap) < 0):
            raise ValueError("in a forest parents stand before their children, and gaps are not negative")


@dataclass(frozen=True)
class _Rows:
    """Arguments with one entry for each row, each holding all draws.

    Attributes
    ----------
    residual, variance, fade : numpy.ndarray, shape (rows, draws)
    power : numpy.ndarray, shape (draws,)
    parent : list of int
    """

    residual: np.ndarray
    variance: np.ndarray
    fade: np.ndarray
    power: np.ndarray
    parent: list[int]


@dataclass(frozen=True)
class _Beliefs:
    """What the way up leaves behind, a list over rows each.

    Attributes
    ----------
    children : list of (mean, share)
        About x at the row, from the rows below it.
    subtree : list of (mean, share)
        The same and the row's own residual.
    sent : list of (mean, share)
        What the row told its parent; the prior where there is none.
    later : list of (mean, share)
        What the parent had heard before, from siblings with higher numbers.
    """

    children: list[Belief]
    subtree: list[Belief]
    sent: list[Belief]
    later: list[Belief]


def log_density(
    residual: np.ndarray,
    scale: np.ndarray,
    length: np.ndarray,
    variance: np.ndarray,
    forest: Forest,
    observed: np.ndarray | None = None,
) -> np.ndarray:
    """Compute the log density of the residuals of the observed rows together.

    Parameters
    ----------
    residual : numpy.ndarray, shape (draws, rows)
        Data minus law; where a row is not observed, any value.
    scale : numpy.ndarray, shape (draws, 1)
        Stationary standard deviation of x, in the residual's unit.
    length : numpy.ndarray, shape (draws, 1)
        e-folds of the step over which x's correlation falls by 1/e.
    variance : numpy.ndarray, broadcastable to (draws, rows)
        Of the independent errors, sigma² + error².
    forest : Forest
    observed : numpy.ndarray of bool, shape (rows,), optional
        Which rows count; default all. The others are only places that correlation runs through.

    Returns
    -------
    numpy.ndarray, shape (draws,)
    """
    rows = _rows(residual, scale, length, variance, forest)
    return _upward(rows, _mask(observed, forest))[0]


def draw_states(
    residual: np.ndarray,
    scale: np.ndarray,
    length: np.ndarray,
    variance: np.ndarray,
    forest: Forest,
    observed: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw x at all rows together, given the residuals of the observed rows.

    Parameters
    ----------
    residual, scale, length, variance, forest, observed
        As in `log_density`.
    rng : numpy.random.Generator

    Returns
    -------
    numpy.ndarray, shape (draws, rows)
        One draw of x for each draw of the parameters, in the residual's unit.
    """
    rows = _rows(residual, scale, length, variance, forest)
    _, beliefs = _upward(rows, _mask(observed, forest))
    x = rng.standard_normal(rows.residual.shape)
    for i, j in enumerate(rows.parent):
        mean, share = beliefs.subtree[i]
        if j >= 0:
            sent_mean, sent_share = beliefs.sent[i]
            fade = rows.fade[i]
            mean = mean + (1 + fade) * share / sent_share * (x[j] - sent_mean)
            share = share * (-fade * (2 + fade) / sent_share)
        x[i] = mean + np.sqrt(rows.power * share) * x[i]
    return x.T


def leave_one_out(
    residual: np.ndarray,
    scale: np.ndarray,
    length: np.ndarray,
    variance: np.ndarray,
    forest: Forest,
    observed: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the normal distribution of each row's residual given all others that are observed.

    Parameters
    ----------
    residual, scale, length, variance, forest, observed
        As in `log_density`.

    Returns
    -------
    mean, variance : numpy.ndarray, shape (draws, rows)
        The variance includes the row's own independent error.
    """
    rows, observed = _rows(residual, scale, length, variance, forest), _mask(observed, forest)
    _, beliefs = _upward(rows, observed)
    mean, spread = np.empty(rows.residual.shape), np.empty(rows.residual.shape)
    heard: list[Belief] = []  # of the rows passed: all but the children still to come
    for i, j in enumerate(rows.parent):
        above: Belief = PRIOR
        if j >= 0:
            rest, _ = merge(heard[j], beliefs.later[i], rows.power)
            above = carry(rest, rows.fade[i])
            heard[j], _ = merge(heard[j], beliefs.sent[i], rows.power)
        (mean[i], share), _ = merge(above, beliefs.children[i], rows.power)
        spread[i] = rows.power * share + rows.variance[i]
        known = above
        if observed[i]:
            known, _ = observe(above, rows.residual[i], rows.variance[i], rows.power)
        heard.append(known)
    return mean.T, spread.T


def _upward(rows: _Rows, observed: np.ndarray) -> tuple[np.ndarray, _Beliefs]:
    """Pass beliefs from leaves to roots; return the log density of what was observed, and the beliefs."""
    n = len(rows.parent)
    beliefs = _Beliefs([PRIOR] * n, [PRIOR] * n, [PRIOR] * n, [PRIOR] * n)
    total = np.zeros_like(rows.power)
    for i in reversed(range(n)):
        own = beliefs.children[i]
        if observed[i]:
            own, gain = observe(own, rows.residual[i], rows.variance[i], rows.power)
            total += gain
        beliefs.subtree[i] = own
        j = rows.parent[i]
        if j >= 0:
            sent, before = carry(own, rows.fade[i]), beliefs.children[j]
            beliefs.sent[i], beliefs.later[i] = sent, before
            if before is PRIOR:  # nothing to merge with yet
                beliefs.children[j] = sent
            else:
                beliefs.children[j], gain = merge(before, sent, rows.power)
                total += gain
    return total, beliefs


def _rows(
    residual: np.ndarray, scale: np.ndarray, length: np.ndarray, variance: np.ndarray, forest: Forest
) -> _Rows:
    """Put rows first, so that each row's draws lie side by side in memory."""
    shape = np.broadcast_shapes(
        np.shape(residual), np.shape(scale), np.shape(length), (1, len(forest.parent))
    )
    root = np.asarray(forest.parent) < 0
    fade = np.expm1(-np.where(root, 0.0, forest.gap) / np.asarray(length, dtype=float))
    one, two, three = (
        np.ascontiguousarray(np.broadcast_to(a, shape).T, float) for a in (residual, variance, fade)
    )
    power = np.broadcast_to(np.square(np.asarray(scale, dtype=float)), (shape[0], 1))[:, 0]
    return _Rows(one, two, three, np.ascontiguousarray(power), np.asarray(forest.parent).tolist())


def _mask(observed: np.ndarray | None, forest: Forest) -> np.ndarray:
    return np.ones(len(forest.parent), bool) if observed is None else np.asarray(observed, bool)
