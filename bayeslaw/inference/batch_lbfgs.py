"""L-BFGS with box bounds for many starts at once.

A point fit of a scaling law runs from hundreds of starts, and its bootstrap from hundreds of
resamples. Each problem is tiny, so a serial optimiser spends its time between evaluations; here all
problems advance together and one vectorised call evaluates a step of each.

References
----------
Two-loop recursion: Nocedal and Wright, Numerical Optimization, algorithm 7.4. Weak-Wolfe bisection,
which also serves almost-nonsmooth objectives such as Huber's with a small threshold: Lewis and
Overton, doi:10.1007/s10107-012-0514-2. Projection on bounds: Bertsekas, doi:10.1137/0320018.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bayeslaw.inference.lbfgs_steps import History, find_direction

_DECREASE, _CURVATURE = 1e-4, 0.9
_LINE_STEPS = 25
_PATIENCE = 2

Objective = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""(points (m, p), which problems (m,)) -> values (m,), gradients (m, p)."""


@dataclass(frozen=True)
class Minima:
    """Where each problem ended.

    Attributes
    ----------
    x : numpy.ndarray, shape (problems, parameters)
    value : numpy.ndarray, shape (problems,)
    """

    x: np.ndarray
    value: np.ndarray


def minimize_many(
    objective: Objective,
    start: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    tolerance: float = 1e-9,
    max_iterations: int = 500,
    on_step: Callable[[int], None] | None = None,
) -> Minima:
    """Minimise many problems of the same form inside a box.

    Parameters
    ----------
    objective : callable
        Values and gradients at points, and which problem each point belongs to.
    start : numpy.ndarray, shape (problems, parameters)
    lower, upper : numpy.ndarray, shape (parameters,)
    tolerance : float
        A problem is done when its value falls by less than this share of itself, `_PATIENCE` times
        in a row, or when no step lowers it.
    max_iterations : int
    on_step : callable, optional
        Called with the number of problems done.

    Returns
    -------
    Minima
    """
    x = np.clip(start, lower, upper)
    value, gradient = _finite(*objective(x, np.arange(len(x))))
    best_x, best_value = x.copy(), value.copy()
    runs = _Runs(np.flatnonzero(np.isfinite(value)), x, value, gradient, lower, upper)
    while len(runs.which):
        trial = runs.trial()
        found, gradient = _finite(*objective(trial, runs.which))
        done = runs.judge(trial, found, gradient, tolerance, max_iterations)
        if done.any():
            best_x[runs.which[done]], best_value[runs.which[done]] = runs.x[done], runs.value[done]
            runs.keep(~done)
            if on_step:
                on_step(len(start) - len(runs.which))
    return Minima(best_x, best_value)


class _Runs:
    """The problems still running: each is somewhere in a line search of its own.

    Problems do not wait for each other: a call of the objective serves one trial step of each,
    whichever iteration it is in.
    """

    def __init__(self, which, x, value, gradient, lower, upper) -> None:
        self.which, self.lower, self.upper = which, lower, upper
        self.x, self.value, self.gradient = x[which], value[which], gradient[which]
        self.history = History(len(which), x.shape[1])
        self.iterations = np.zeros(len(which), dtype=int)
        self.calm = np.zeros(len(which), dtype=int)
        self.direction, self.free = np.zeros_like(self.x), np.ones(self.x.shape, dtype=bool)
        self.step, self.low, self.high, self.slope = (np.zeros(len(which)) for _ in range(4))
        self.tries = np.zeros(len(which), dtype=int)
        self.best = (self.x.copy(), self.value.copy(), self.gradient.copy())
        self.turn(np.arange(len(which)))

    _ROWS = (
        "which",
        "x",
        "value",
        "gradient",
        "iterations",
        "calm",
        "direction",
        "free",
        "step",
        "low",
        "high",
        "slope",
        "tries",
    )

    def keep(self, rows: np.ndarray) -> None:
        """Drop the problems that are done."""
        for name in self._ROWS:
            setattr(self, name, getattr(self, name)[rows])
        self.best = tuple(part[rows] for part in self.best)
        self.history.keep(rows)

    def trial(self) -> np.ndarray:
        """Return the point that each problem wants evaluated."""
        return np.clip(self.x + self.step[:, None] * self.direction, self.lower, self.upper)

    def turn(self, i: np.ndarray) -> None:
        """Start a line search in a new direction for problems i."""
        x, gradient, history = self.x[i], self.gradient[i], self.history.part(i)
        self.direction[i], self.free[i] = find_direction(history, x, gradient, self.lower, self.upper)
        self.slope[i] = (self.direction[i] * gradient).sum(axis=1)
        fresh = history.length == 0
        self.step[i] = np.where(fresh, 1 / np.maximum(np.abs(self.direction[i]).sum(axis=1), 1), 1.0)
        self.low[i], self.high[i], self.tries[i] = 0.0, np.inf, 0
        for part, now in zip(self.best, (x, self.value[i], gradient), strict=True):
            part[i] = now

    def judge(self, trial, found, gradient, tolerance, max_iterations) -> np.ndarray:
        """Take in the evaluated trials: narrow the searches, move on where they end; say who is done."""
        expected = (self.gradient * (trial - self.x)).sum(axis=1)
        lowered = found <= self.value + _DECREASE * np.minimum(expected, 0)
        better = lowered & (found < self.best[1])
        for part, new in zip(self.best, (trial, found, gradient), strict=True):
            part[better] = new[better]
        # Only parameters that no bound has stopped say whether the slope has eased.
        inside = (trial > self.lower) & (trial < self.upper)
        eased = (np.where(inside, self.direction, 0) * gradient).sum(axis=1) >= _CURVATURE * self.slope
        self.high = np.where(lowered, self.high, self.step)
        self.low = np.where(lowered, self.step, self.low)
        unbounded = np.isinf(self.high)
        self.step = np.where(unbounded, 2 * self.low, (self.low + np.where(unbounded, 0, self.high)) / 2)
        self.tries += 1
        over = (lowered & eased) | (self.tries >= _LINE_STEPS) | (self.slope >= 0)
        return self.advance(np.flatnonzero(over), tolerance, max_iterations)

    def advance(self, i: np.ndarray, tolerance: float, max_iterations: int) -> np.ndarray:
        """Move problems i to the best point of their line search and choose the next direction."""
        done = np.zeros(len(self.which), dtype=bool)
        if not len(i):
            return done
        x, value, gradient = (part[i] for part in self.best)
        fall = self.value[i] - value
        moved = fall > 0
        free = self.free[i]
        self.history.add(
            i, np.where(free, x - self.x[i], 0), np.where(free, gradient - self.gradient[i], 0), moved
        )
        # A search that failed with memory is tried once more along the plain gradient.
        stuck = ~moved & (self.history.length[i] == 0)
        self.history.forget(i[~moved])
        self.x[i], self.value[i], self.gradient[i] = x, value, gradient
        self.iterations[i] += 1
        self.calm[i] = np.where(fall <= tolerance * np.abs(value), self.calm[i] + 1, 0)
        done[i] = stuck | (self.calm[i] >= _PATIENCE) | (self.iterations[i] >= max_iterations)
        self.turn(i)
        return done


def _finite(value: np.ndarray, gradient: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Treat an overflow as infinitely bad."""
    bad = ~(np.isfinite(value) & np.isfinite(gradient).all(axis=1))
    return np.where(bad, np.inf, value), np.where(bad[:, None], 0.0, gradient)
