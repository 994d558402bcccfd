"""How far targets lie beyond the data, in orders of magnitude: in each input, in compute, in combination.

Of several inputs none need leave its range for a target to be far: on a table of equal budgets the
largest model with the most tokens lies in the box of the inputs, and an order of magnitude of compute
beyond every run. Hence the largest of three: each input's distance from its range, compute's, and the
Euclidean distance from the convex hull of the rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from bayeslaw.core.check import Check
from bayeslaw.data.columns import training_compute
from bayeslaw.law.spec import Spec
from bayeslaw.observation.bound import BoundLaw

FAR = 1.0
"""Orders of magnitude beyond the data from which a forecast is called far."""
BUDGET = ("params", "tokens")
"""The columns whose product is compute."""
_ZERO = 1e-9
"""Distances below are none: rounding of the logarithms."""
_FLAT = 1e-10
"""Rows that spread less than this in a direction, in orders, lie in one plane."""
_HULL_DIMS = 4
"""In more dimensions a hull has too many faces; then every row is kept."""
_NEAREST, _ROUNDS = 32, 1000
_MAIN = 0.9
"""An input, or compute, is named as what decides if it accounts for this share of the distance."""


@dataclass(frozen=True)
class Distance:
    """How far targets lie beyond the data.

    Attributes
    ----------
    orders : numpy.ndarray, shape (targets,)
        Orders of magnitude, 0 or more.
    reasons : tuple of str
        What decided, a target each; empty where the distance is zero.
    outside : tuple of str
        What of inputs without orders of magnitude (not all positive) lies outside its range.
    """

    orders: np.ndarray
    reasons: tuple[str, ...]
    outside: tuple[str, ...] = ()

    @property
    def at_end(self) -> Distance:
        """The last target's alone: a schedule is judged where it ends."""
        return Distance(self.orders[-1:], self.reasons[-1:], self.outside)


def distance(
    bound: BoundLaw,
    inputs: Mapping[str, np.ndarray],
    compute: np.ndarray | None = None,
) -> Distance:
    """Measure how far targets lie beyond the rows that a law was fitted to.

    Parameters
    ----------
    bound : BoundLaw
        With the fit's rows.
    inputs : mapping of str to numpy.ndarray, shape (targets,)
        The law's inputs at the targets, by symbol; function inputs are passed over.
    compute : numpy.ndarray, shape (targets,), optional
        The targets' training compute (FLOP) where it is known; else 6·N·D.

    Returns
    -------
    Distance
        The largest of: each input's distance outside its range; that of compute, 6·N·D, from the
        largest and smallest in the table, where the law has inputs with columns ``params`` and
        ``tokens`` (the table's ``compute`` where it has that column); with two positive inputs or
        more, the Euclidean distance from the convex hull of the rows, in log10 of the inputs.
    """
    spec, data = bound.spec, bound.data
    pairs = _pairs(bound, inputs)
    targets = len(next(iter(inputs.values())))
    found = {column: _outside_range(seen, at) for column, (seen, at) in pairs.items()}
    if set(BUDGET) <= pairs.keys() and "compute" not in pairs:
        name = "compute 6·N·D" if compute is None else "compute"
        found[name] = _outside_range(*_budgets(pairs, data, compute))
    positive = {c: pair for c, pair in pairs.items() if (pair[0] > 0).all()}
    if len(positive) > 1:
        symbols = [_symbol(spec, c) for c in positive]
        found[f"no run has this combination of {_and(symbols)}"] = _outside_hull(
            *zip(*positive.values(), strict=True)
        )
    orders = np.max([np.zeros(targets), *found.values()], axis=0)
    orders = np.where(orders < _ZERO, 0.0, orders)
    reasons = tuple(_reason(found, orders, t) for t in range(targets))
    return Distance(orders, reasons, _ranges_left(pairs))


def farthest(distances: Sequence[Distance]) -> Distance:
    """Return the larger of several laws' distances at each target, for a mixture.

    Parameters
    ----------
    distances : sequence of Distance
        Of the same targets.

    Returns
    -------
    Distance
    """
    orders = np.array([d.orders for d in distances])
    which = orders.argmax(axis=0)
    reasons = tuple(distances[law].reasons[t] for t, law in enumerate(which))
    outside = tuple(dict.fromkeys(text for d in distances for text in d.outside))
    return Distance(orders.max(axis=0), reasons, outside)


def orders_text(orders: float) -> str:
    """Write orders of magnitude: one digit behind the point, smaller ones by their first digit."""
    return f"{orders:.1f}" if orders >= 0.095 or orders < _ZERO else f"{orders:.1g}"


def distance_checks(found: Distance) -> list[Check]:
    """Say how far the farthest target lies beyond the data, and in what.

    Parameters
    ----------
    found : Distance

    Returns
    -------
    list of Check
        ``extrapolation``, a warning from one order on; ``outside-range`` where an input that has no
        orders of magnitude leaves its range.
    """
    out = [
        Check("outside-range", "warn", float(len(found.outside)), f"{text}; it has no orders of magnitude, as not all its values are positive: look at the figure before you rely on the interval there.")
        for text in found.outside
    ]  # fmt: skip
    far = int(np.argmax(found.orders))
    value = float(found.orders[far])
    if value == 0.0:
        if not out:
            out = [Check("extrapolation", "ok", 0.0, "All targets lie inside the range of the data.")]
        return out
    message = (
        f"The farthest target lies {orders_text(value)} orders of magnitude beyond the data "
        f"({found.reasons[far]}): the interval holds only if the law does; fit on the lower part of the data "
        "and forecast the upper part to see."
    )
    # A hair more, so that "one order" with its three digits is one order.
    return [Check("extrapolation", "warn" if value > FAR + 0.01 else "note", value, message), *out]


def hull_distance(seen: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return Euclidean distances of points from the convex hull of others.

    Parameters
    ----------
    seen : numpy.ndarray, shape (rows, dims)
        One row, rows on a line or in a plane are hulls, too.
    at : numpy.ndarray, shape (targets, dims)

    Returns
    -------
    numpy.ndarray, shape (targets,)
        Exact to 1e-9; zero inside.
    """
    at, where = np.unique(at, axis=0, return_inverse=True)
    seen, centre = np.unique(seen, axis=0), seen.mean(axis=0)
    seen, at = seen - centre, at - centre
    axes = np.linalg.svd(seen, full_matrices=False)[2]
    reach = np.abs(seen @ axes.T).max(axis=0)
    axes, reach = axes[reach > _FLAT], reach[reach > _FLAT]
    flat = at @ axes.T
    off = np.linalg.norm(at - flat @ axes, axis=1)
    away = np.hypot(off, _within(seen @ axes.T, flat, reach))
    return np.where(away < _ZERO, 0.0, away)[where.ravel()]


def _within(seen: np.ndarray, at: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """Return distances from the hull of rows that spread in every direction, by `reach` in each."""
    dims = seen.shape[1]
    if dims == 0:
        return np.zeros(len(at))
    if dims == 1:
        return np.maximum(np.maximum(at - seen.max(), seen.min() - at), 0.0)[:, 0]
    from scipy.spatial import ConvexHull, QhullError  # loads much of SciPy, for laws of several inputs

    outside = np.ones(len(at), dtype=bool)
    if dims <= _HULL_DIMS:
        try:
            # Vertices stay vertices when each axis is scaled, and qhull likes its boxes cubic.
            hull = ConvexHull(seen / reach)
            seen = seen[hull.vertices]
            faces, offsets = hull.equations[:, :-1], hull.equations[:, -1]
            outside = np.array([(faces @ (x / reach) + offsets).max() > 1e-13 for x in at])
        except QhullError:  # rows too near a plane for it
            pass
    out = np.zeros(len(at))
    out[outside] = [_from_points(seen - x) for x in at[outside]]
    return out


def _from_points(points: np.ndarray) -> float:
    """Return the distance from the origin to the hull of points: among the nearest, then with those they miss.

    min ‖Pᵀu‖² + (Σu − 1)² over u ≥ 0 has its minimum along the nearest point's weights, whatever
    their sum, so that nothing is approximated: the weights are u / Σu.
    """
    from scipy.optimize import nnls

    square = (points**2).sum(axis=1)
    unit = np.sqrt(square.min())
    if unit < _ZERO / 10:
        return float(unit)
    points = points / unit
    kept = np.argpartition(square, _NEAREST)[:_NEAREST] if len(points) > _NEAREST else np.arange(len(points))
    goal = np.append(np.zeros(points.shape[1]), 1.0)
    for _ in range(_ROUNDS):
        weights, _ = nnls(np.vstack([points[kept].T, np.ones(len(kept))]), goal)
        nearest = weights @ points[kept] / weights.sum()
        away = float(np.linalg.norm(nearest))
        behind = points @ nearest
        worst = int(behind.argmin())
        # No point lies in front of the plane through the nearest one: it is the nearest of all.
        if away**2 - behind[worst] <= 1e-11 * away or worst in kept:
            break
        kept = np.append(kept[weights > 0], worst)
    return float(unit * away)


def _pairs(bound: BoundLaw, inputs: Mapping[str, np.ndarray]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return rows' and targets' values of each column that the law takes, once."""
    out = {}
    for name, at in inputs.items():
        entry = bound.spec.inputs.get(name)
        if entry is not None and entry.function is None:
            out.setdefault(
                entry.column,
                (np.asarray(bound.data[entry.column].values, dtype=float), np.asarray(at, dtype=float)),
            )
    return out


def _outside_range(seen: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return how many orders of magnitude values lie outside the range of what was seen, where they have any."""
    low, high = seen.min(), seen.max()
    with np.errstate(all="ignore"):
        above = np.where((at > high) & (high > 0), np.log10(at / high), 0.0)
        below = np.where((at < low) & (at > 0), np.log10(low / at), 0.0)
    return np.maximum(above, below)


def _budgets(
    pairs: Mapping[str, tuple[np.ndarray, np.ndarray]], data: xr.Dataset, compute: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return rows' and targets' training compute."""
    seen, at = (training_compute(*(pairs[c][i] for c in BUDGET)) for i in (0, 1))
    if "compute" in data and data["compute"].dtype.kind in "iuf":
        given = data["compute"].values.astype(float)
        seen = np.where(np.isfinite(given) & (given > 0), given, seen)
    return seen, at if compute is None else compute


def _outside_hull(seen: Sequence[np.ndarray], at: Sequence[np.ndarray]) -> np.ndarray:
    """Return distances from the rows' hull in log10; zero for targets that have no logarithm."""
    place = np.stack(at, axis=1)
    fine = (place > 0).all(axis=1)
    out = np.zeros(len(place))
    if fine.any():
        out[fine] = hull_distance(np.log10(np.stack(seen, axis=1)), np.log10(place[fine]))
    return out


def _reason(found: Mapping[str, np.ndarray], orders: np.ndarray, target: int) -> str:
    """Name what decided: the first of inputs, compute and combination that makes up the distance."""
    if not orders[target]:
        return ""
    return next(name for name, away in found.items() if away[target] >= _MAIN * orders[target])


def _ranges_left(pairs: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> tuple[str, ...]:
    """Name columns whose targets leave the data's range where there are no orders of magnitude."""
    out = []
    for column, (seen, at) in pairs.items():
        odd = ((at < seen.min()) & ((at <= 0) | (seen.min() <= 0))) | ((at > seen.max()) & (seen.max() <= 0))
        if odd.any():
            out.append(
                f"{column} = {at[odd][0]:g} lies outside the data's range, {seen.min():g} to {seen.max():g}"
            )
    return tuple(out)


def _symbol(spec: Spec, column: str) -> str:
    return next(i.name for i in spec.inputs.values() if i.column == column)


def _and(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]])
