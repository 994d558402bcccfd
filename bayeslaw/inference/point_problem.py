"""A point fit's objective as a program of the machine, its starts and its bounds."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayeslaw.core.errors import InputError
from bayeslaw.inference.machine.assemble import Program, assemble
from bayeslaw.inference.machine.gradient import pull_back
from bayeslaw.inference.machine.graph import Graph
from bayeslaw.inference.machine.minimise import Minima, minimise_many
from bayeslaw.inference.machine.record import Recorded, RecordingOps, apply
from bayeslaw.law.evaluate import derive, evaluate_law, to_sampling, to_scale
from bayeslaw.law.priors import draw_priors
from bayeslaw.law.spec import Parameter, Spec
from bayeslaw.observation.bound import BoundLaw

DEFAULT_STARTS = 64
_SMALLEST_START = 1e-3
_LOG_RANGE = (-60.0, 80.0)


@dataclass(frozen=True, eq=False)
class PointProblem:
    """A law's objective on some rows: Huber's loss, weighted and summed.

    Points are the free parameters in unconstrained-but-boxed coordinates: logarithms of positive ones, shares of a
    simplex as non-negative numbers of any sum.

    Attributes
    ----------
    bound : BoundLaw
    free : tuple of Parameter
    program : Program
        Takes a point, then a weight for each row; yields the objective and its gradient by the point.
    lower, upper : numpy.ndarray, shape (coordinates,)
    weights : numpy.ndarray, shape (rows,)
        How much each row counts.
    """

    bound: BoundLaw
    free: tuple[Parameter, ...]
    program: Program
    lower: np.ndarray
    upper: np.ndarray
    weights: np.ndarray

    def minimise(self, starts: np.ndarray, weights: np.ndarray | None = None, **options: Any) -> Minima:
        """Minimise from each start; options are those of `minimise_many`, weights of shape (starts, rows)."""
        given = self.weights[None] if weights is None else weights * self.weights
        return minimise_many(self.program, starts, given, self.lower, self.upper, **options)

    def named(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """Return all parameters, the paper's too, at points; each of shape (points,)."""
        with np.errstate(all="ignore"):
            values = _sampled(self.free, x.T[:, :, None], np)
            values |= derive(self.bound.spec, values)
        return {
            n: np.broadcast_to(np.asarray(v, dtype=float), (len(x), 1))[:, 0].copy()
            for n, v in values.items()
        }

    def residual(self, x: np.ndarray) -> np.ndarray:
        """Return the data minus the law on the scale of errors at a point, shape (rows,)."""
        mean = _mean(self.bound, _sampled(self.free, list(x), np), np)
        return self.bound.rows.y - np.broadcast_to(mean, self.bound.rows.y.shape)


def point_problem(bound: BoundLaw) -> PointProblem:
    """Record the objective of a law on its rows.

    Parameters
    ----------
    bound : BoundLaw

    Returns
    -------
    PointProblem

    Raises
    ------
    InputError
        If no parameter is free.
    """
    spec, z = bound.spec, bound.rows.y
    free = tuple(p for p in spec.parameters.values() if p.fixed is None)
    if not free:
        raise InputError(
            f"model '{spec.name}': every parameter is fixed; free one with fix={{'name': None}}."
        )
    lower, upper = np.array([pair for p in free for pair in _box(p)], dtype=float).T
    graph = Graph()
    ops, delta = RecordingOps(graph), spec.map.delta
    points = [Recorded(graph, graph.input(None), None) for _ in lower]
    weights = Recorded(graph, graph.input(len(z)), len(z))
    residual = apply(graph, "sub", z, _mean(bound, _sampled(free, points, ops), ops))
    clipped = ops.minimum(ops.maximum(residual, -delta), delta)
    slope = weights * clipped
    loss = (slope * (residual - 0.5 * clipped)).sum()
    gradient = pull_back(graph, residual.node, [x.node for x in points], slope.node)
    program = assemble(graph.inputs, [(loss.node, None), *((g, None) for g in gradient)])
    counted = bound.data["shared_by"].values if "shared_by" in bound.data else np.ones(len(z))
    return PointProblem(bound, free, program, lower, upper, counted.astype(float))


def _mean(bound: BoundLaw, values: dict[str, Any], ops: Any) -> Any:
    """Return the law on the scale of errors."""
    with np.errstate(all="ignore"):
        return to_scale(evaluate_law(bound.spec, values, bound.inputs, ops), bound.spec.output.scale, ops)


def _box(p: Parameter) -> list[tuple[float, float]]:
    if p.names:
        return [(0.0, np.inf)] * len(p.names)
    if p.support == "positive":
        return [tuple(np.log(p.bounds)) if p.bounds else _LOG_RANGE]
    return [p.bounds or ((0.0, 1.0) if p.support == "unit" else (-np.inf, np.inf))]


def _sampled(free: Sequence[Parameter], points: Sequence[Any], ops: Any) -> dict[str, Any]:
    """Return the sampled parameters at points, given coordinate by coordinate."""
    out, left = {}, iter(points)
    for p in free:
        if p.names:
            shares = list(itertools.islice(left, len(p.names)))
            total = sum(shares[1:], shares[0])
            out |= {name: share / total for name, share in zip(p.names, shares, strict=True)}
        else:
            out[p.name] = ops.exp(next(left)) if p.support == "positive" else next(left)
    return out


def grid_starts(spec: Spec) -> np.ndarray:
    """Return the points of the file's grid of starts in the paper's parameters, or of draws from the priors.

    Parameters
    ----------
    spec : Spec

    Returns
    -------
    numpy.ndarray, shape (starts, coordinates)
    """
    if not spec.map.starts:
        return prior_starts(spec, DEFAULT_STARTS)
    names, grids = zip(*spec.map.starts.items(), strict=True)
    natural = dict(zip(names, np.array(list(itertools.product(*grids))).T, strict=True))
    with np.errstate(all="ignore"):
        return _points(spec, to_sampling(spec, natural))


def prior_starts(spec: Spec, starts: int) -> np.ndarray:
    """Return points that are drawn from the priors, shape (starts, coordinates)."""
    return _points(spec, draw_priors(spec, starts, np.random.default_rng(0)))


def _points(spec: Spec, values: dict[str, Any]) -> np.ndarray:
    columns = []
    for name in (n for p in spec.parameters.values() if p.fixed is None for n in (p.names or (p.name,))):
        positive = name in spec.parameters and spec.parameters[name].support == "positive"
        column = np.asarray(values[name], dtype=float)
        columns.append(np.log(np.maximum(column, _SMALLEST_START)) if positive else column)
    return np.stack(np.broadcast_arrays(*columns), axis=1)
