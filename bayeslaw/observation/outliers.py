"""Which rows lie apart from what the others lead to expect: outliers, which get shifts, and bends at the data's edge.

Run noise, known sampling errors and a usual discrepancy of the curve say how far a row may lie from what its
neighbours lead to expect. One that lies much farther is an outlier where others surround it. At the edge of the
data a curve that bends looks the same, and shifts would take away what the rows have to say against the law:
there rows are outliers only where no smooth curve holds them, and a single one never is.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from bayeslaw.observation.bound import BoundLaw
from bayeslaw.observation.discrepancy_places import USUAL_SIZE, places, usual_covariance
from bayeslaw.observation.discrepancy_sizes import usual_value
from bayeslaw.observation.kernels import distance

FAR_OUT, OUT = 10.0, 6.0
"""Spreads from which a row makes shifts necessary, and from which rows then get one."""
_DOUBTED = 3.0
"""Spreads from which a row's say on its neighbours shrinks."""
_PASSES, _TURNS, _SETTLED = 10, 5, 0.05
_BEND = 2.0
"""How much larger a curve's bend may be than the rows of it that are seen."""
_LEVEL = 0.005
"""Share of the data's reach within which rows lie equally far out: runs repeated at the edge are no bend."""
_NEAREST = 40
_FLAT, _ONE = 1e-6, 1e2
_NEAR = 0.01
"""E-folds within which rows are at one place."""


@dataclass(frozen=True)
class _Table:
    """What a row is judged by.

    Attributes
    ----------
    place : numpy.ndarray, shape (rows, inputs)
        In e-folds.
    covariance : numpy.ndarray, shape (rows, rows)
        Usual covariance of the curve around the law, in units of run noise.
    residual, error : numpy.ndarray, shape (rows,)
        On the scale of errors.
    free : int
        Number of the law's parameters.
    """

    place: np.ndarray
    covariance: np.ndarray
    residual: np.ndarray
    error: np.ndarray
    free: int

    def noise(self, sigma: float) -> np.ndarray:
        """Return the variance of run noise and known error, in units of run noise."""
        return 1 + (self.error / sigma) ** 2


def outlying_shifts(bound: BoundLaw, residual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find rows that lie far from what their neighbours' residuals lead to expect.

    Parameters
    ----------
    bound : BoundLaw
        With a discrepancy over inputs.
    residual : numpy.ndarray, shape (rows,)
        Of a robust point fit, on the scale of errors.

    Returns
    -------
    shift : numpy.ndarray, shape (rows,)
        How far out an outlier is, on the scale of errors; zero for all others, and for all rows unless
        one is `FAR_OUT` spreads out. A law that is smoothly wrong moves neighbours together and yields none.
    bend : numpy.ndarray, shape (rows,)
        The same for rows that are as far out but may be a bend of the curve: they have no shift.
    """
    spec, rows = bound.spec, bound.rows
    free = sum(p.fixed is None for p in spec.parameters.values())
    table = _Table(
        places(spec, rows), usual_covariance(spec, rows), residual, np.asarray(rows.error, float), free
    )
    none, kept, far = np.zeros(len(rows)), np.ones(len(rows), dtype=bool), False
    prior = spec.noise["sigma"]
    # A point fit goes through some of few rows exactly: run noise is at least small.
    least = prior.fixed if prior.fixed is not None else prior.prior_90[0] if prior.prior_90 else 0.0
    sigma = usual_value(spec, "sigma")
    for turn in range(_PASSES):
        # Outliers hide one another: those found are set aside and the rest looked at again. The first
        # time shows who is far out; after that the spread itself shrinks.
        sigma, apart, gap = _apart(table, kept, sigma, least)
        far = far or (turn < 2 and bool((apart > FAR_OUT).any()))
        if (kept == (apart <= OUT)).all() or (turn > 0 and not far):
            break
        kept = apart <= OUT
        if kept.sum() <= len(rows) / 2:  # the residuals of so few rows say nothing of outliers
            return none, none
    if not far:
        return none, none
    bent = _bent(table, gap, sigma, kept)
    return np.where(kept | bent, 0.0, gap), np.where(bent, gap, 0.0)


def _apart(
    table: _Table, kept: np.ndarray, sigma: float, least: float
) -> tuple[float, np.ndarray, np.ndarray]:
    """Estimate run noise and say how far each row is from what the other kept ones lead to expect.

    Returns the run noise, distances in spreads, and gaps on the scale of errors. A row that is far out has
    less say on its neighbours, and one with a large error less on the run noise.
    """
    doubt = np.ones(len(table.residual))
    for _ in range(_TURNS):
        noise = table.noise(sigma)
        gap, width = _left_out(table.covariance, noise, noise * doubt, table.residual, kept)
        apart, say = gap / (width * sigma), 1 / noise[kept] ** 2
        off = np.abs(apart[kept] - _weighted_median(apart[kept], say))
        told = say.sum()  # of so many rows the law's parameters take some
        spread = 1.4826 * _weighted_median(off, say) * np.sqrt(told / max(told - table.free, told / 4))
        before, sigma = sigma, max(sigma * spread, least)
        apart = np.abs(apart) * before / sigma
        was, doubt = doubt, np.maximum(1.0, (apart / _DOUBTED) ** 2)
        if max(abs(np.log(sigma / before)), np.abs(np.log(doubt / was)).max()) < _SETTLED:
            break
    return sigma, apart, gap


def _left_out(
    covariance: np.ndarray, noise: np.ndarray, doubted: np.ndarray, residual: np.ndarray, kept: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return how far each row is from what the other kept rows lead to expect, and how far is usual, over sigma.

    Rows have their own variance, `noise`, where they are looked at, and `doubted` where others are.
    """
    inverse = np.linalg.inv(covariance[np.ix_(kept, kept)] + np.diag(doubted[kept]))
    gap, width = np.empty(len(residual)), np.empty(len(residual))
    diagonal = np.diagonal(inverse)
    gap[kept] = inverse @ residual[kept] / diagonal
    width[kept] = np.sqrt(1 / diagonal - doubted[kept] + noise[kept])
    cross = covariance[np.ix_(~kept, kept)]
    gap[~kept] = residual[~kept] - cross @ (inverse @ residual[kept])
    rest = np.einsum("ij,jk,ik->i", cross, inverse, cross)
    width[~kept] = np.sqrt(noise[~kept] + np.diagonal(covariance)[~kept] - rest)
    return gap, width


def _weighted_median(values: np.ndarray, weight: np.ndarray) -> float:
    order = np.argsort(values)
    part = np.cumsum(weight[order])
    below, above = (np.searchsorted(part, part[-1] / 2, side=side) for side in ("left", "right"))
    return float((values[order[below]] + values[order[min(above, len(order) - 1)]]) / 2)


# -- outlier or bend --------------------------------------------------------------------------------


def _bent(table: _Table, gap: np.ndarray, sigma: float, kept: np.ndarray) -> np.ndarray:
    """Return which of the rows that are apart may be the curve's own bend."""
    bent, sides, inside = np.zeros(len(gap), dtype=bool), _sides(table.place), []
    groups = _groups(table.place, gap, kept)
    for group in groups:
        if _at_edge(table.place, sides, group, kept):
            bent[group] = not _rough(table, group, gap, sigma)
        else:
            inside += group.tolist()
    for _ in range(_PASSES):  # a bend reaches inwards as far as rows go on from those farther out
        more = [i for i in inside if not bent[i] and _goes_on(table, sides, i, sigma, kept | bent)]
        bent[more] = True
        if not more:
            break
    # Where the curve breaks off, rows before and after are apart from one another.
    broken = np.flatnonzero(bent)
    for group in groups:
        bent[group] |= any(
            _neighbours(table.place, i, j, kept) for i in group.tolist() for j in broken.tolist()
        )
    return bent


def _at_edge(place: np.ndarray, sides: list[np.ndarray], group: np.ndarray, kept: np.ndarray) -> bool:
    """Return whether rows reach out of the convex hull of those that are kept, or have fewer of them beyond than they are."""
    beyond = min((along[kept] > along[group].max() - _LEVEL * np.ptp(along)).sum() for along in sides)
    return beyond < len(group) or any(_outside(place[i], place[kept]) for i in group)


def _outside(at: np.ndarray, others: np.ndarray) -> bool:
    """Return whether a place lies outside the convex hull of others: no weights that sum to one lead there."""
    from scipy.optimize import nnls  # loads much of SciPy, for tables with rows far out

    return nnls(np.vstack([others.T, np.full(len(others), _ONE)]), np.append(at, _ONE))[1] > _NEAR


def _sides(place: np.ndarray) -> list[np.ndarray]:
    """Return how far rows lie in each of a set of directions, along the table's own axes and between them."""
    axes, size, _ = np.linalg.svd(place - place.mean(axis=0), full_matrices=False)
    axes = axes[:, size > _FLAT * size[0]]
    return [axes @ way for way in itertools.product((-1, 0, 1), repeat=axes.shape[1]) if any(way)]


def _groups(place: np.ndarray, gap: np.ndarray, kept: np.ndarray) -> list[np.ndarray]:
    """Join rows that are apart on the same side of the curve, and neighbours."""
    groups: list[list[int]] = []
    for i in np.flatnonzero(~kept):
        joined = [g for g in groups if any(gap[i] * gap[j] > 0 and _neighbours(place, i, j, kept) for j in g)]
        groups = [g for g in groups if g not in joined] + [[int(i), *(j for g in joined for j in g)]]
    return [np.array(g) for g in groups]


def _neighbours(place: np.ndarray, i: int | np.integer, j: int | np.integer, kept: np.ndarray) -> bool:
    """Return whether no kept row lies between two rows: in the circle that has them on the ends of a diameter."""
    away = ((place[kept] - (place[i] + place[j]) / 2) ** 2).sum(axis=1)
    return bool((away >= ((place[i] - place[j]) ** 2).sum() / 4 - _FLAT).all())


def _rough(table: _Table, group: np.ndarray, gap: np.ndarray, sigma: float) -> bool:
    """Return whether rows jump: not even a curve that bends as far as they lie apart holds them."""
    size = _BEND * np.sqrt(np.mean((gap[group] / sigma) ** 2)) / USUAL_SIZE
    total = size**2 * table.covariance[np.ix_(group, group)] + np.diag(table.noise(sigma)[group])
    inverse = np.linalg.inv(total)
    return bool((np.abs(inverse @ gap[group]) / np.sqrt(np.diagonal(inverse)) > OUT * sigma).any())


def _goes_on(table: _Table, sides: list[np.ndarray], i: int, sigma: float, kept: np.ndarray) -> bool:
    """Return whether a row follows from the rows on one side of it, or lies between what two sides lead to expect."""
    signs = set()
    for along in sides:
        near = np.flatnonzero(kept & (along > along[i]))
        if not len(near):
            continue
        near = near[np.argsort(distance(table.place[near], table.place[[i]])[:, 0])[:_NEAREST]]
        few = np.append(near, i)
        noise, covariance = table.noise(sigma)[few], table.covariance[np.ix_(few, few)]
        gap, width = _left_out(covariance, noise, noise, table.residual[few], few != i)
        if abs(gap[-1]) <= OUT * sigma * width[-1]:
            return True
        signs.add(np.sign(gap[-1]))
    return len(signs) > 1
