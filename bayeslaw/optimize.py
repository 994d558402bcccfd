"""L-BFGS with box bounds for many starts at once.

A point fit of a scaling law runs from hundreds of starts, and its bootstrap from hundreds of
resamples. Each problem is tiny, so a serial optimiser spends its time between evaluations; here all
problems advance in lockstep and one vectorised call evaluates those still running.

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

MEMORY = 10
_DECREASE, _CURVATURE = 1e-4, 0.9
_LINE_STEPS = 30
_PATIENCE = 3

Objective = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""(points (m, p), which problems (m,)) -> values (m,), gradients (m, p)."""


@dataclass(frozen=True)
class Minima:
    """Where each problem ended.

    Attributes
    ----------
    x : numpy.ndarray, shape (problems, parameters)
    value : numpy.ndarray, shape (problems,)
    iterations : int
        How many the slowest took.
    """

    x: np.ndarray
    value: np.ndarray
    iterations: int


def minimize_many(
    objective: Objective,
    start: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    tolerance: float = 1e-10,
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
    everyone = np.arange(len(x))
    value, gradient = _finite(*objective(x, everyone))
    best_x, best_value = x.copy(), value.copy()
    active = everyone[np.isfinite(value)]
    x, value, gradient = x[active], value[active], gradient[active]
    history = _History(len(active), x.shape[1])
    calm = np.zeros(len(active), dtype=int)
    iteration = 0
    while len(active) and iteration < max_iterations:
        iteration += 1
        direction, free = _direction(history, x, gradient, lower, upper)
        new_x, new_value, new_gradient, moved = _line_search(objective, active, x, value, gradient, direction, lower, upper, iteration == 1)
        history.add(np.where(free, new_x - x, 0), np.where(free, new_gradient - gradient, 0), moved)
        small = value - new_value <= tolerance * np.maximum(np.abs(new_value), 1e-300)
        calm = np.where(small, calm + 1, 0)
        # A failed search with memory is tried once more along the plain gradient.
        stuck = ~moved & (history.length == 0)
        history.forget(~moved)
        x, value, gradient = new_x, new_value, new_gradient
        best_x[active], best_value[active] = x, value
        going = (calm < _PATIENCE) & ~stuck
        if not going.all():
            active, x, value, gradient, calm = active[going], x[going], value[going], gradient[going], calm[going]
            history = history.keep(going)
            if on_step:
                on_step(len(start) - len(active))
    return Minima(best_x, best_value, iteration)


class _History:
    """The last steps and gradient changes of every running problem."""

    def __init__(self, problems: int, parameters: int) -> None:
        self.s = np.zeros((MEMORY, problems, parameters))
        self.y = np.zeros((MEMORY, problems, parameters))
        self.rho = np.zeros((MEMORY, problems))
        self.length = np.zeros(problems, dtype=int)

    def add(self, s: np.ndarray, y: np.ndarray, moved: np.ndarray) -> None:
        sy = (s * y).sum(axis=1)
        good = moved & (sy > 1e-10 * np.sqrt((s**2).sum(axis=1) * (y**2).sum(axis=1)))
        for store, new in ((self.s, s), (self.y, y), (self.rho, 1 / np.where(good, sy, 1))):
            store[:, good] = np.roll(store[:, good], 1, axis=0)
            store[0, good] = new[good]
        self.length[good] = np.minimum(self.length[good] + 1, MEMORY)

    def forget(self, which: np.ndarray) -> None:
        self.length[which] = 0
        self.rho[:, which] = 0

    def keep(self, which: np.ndarray) -> _History:
        self.s, self.y, self.rho, self.length = self.s[:, which], self.y[:, which], self.rho[:, which], self.length[which]
        return self


def _direction(history, x, gradient, lower, upper) -> tuple[np.ndarray, np.ndarray]:
    """Return the quasi-Newton direction among the parameters that are not held by a bound."""
    held = ((x <= lower) & (gradient > 0)) | ((x >= upper) & (gradient < 0))
    free = ~held
    q = np.where(free, gradient, 0)
    alphas = []
    depth = int(history.length.max(initial=0))
    for i in range(depth):
        alpha = history.rho[i] * (history.s[i] * q).sum(axis=1)
        q = q - alpha[:, None] * history.y[i]
        alphas.append(alpha)
    known = history.length > 0
    yy = (history.y[0] ** 2).sum(axis=1)
    scale = np.where(known, 1 / np.where(known, history.rho[0] * yy, 1), 1)
    q = q * scale[:, None]
    for i in reversed(range(depth)):
        beta = history.rho[i] * (history.y[i] * q).sum(axis=1)
        q = q + history.s[i] * (alphas[i] - beta)[:, None]
    q = np.where(free, q, 0)
    downhill = (q * gradient).sum(axis=1) > 0
    plain = np.where(free, gradient, 0)
    return -np.where(downhill[:, None], q, plain), free


def _line_search(objective, which, x, value, gradient, direction, lower, upper, first):
    """Find, for every problem, a step that lowers the value and the slope enough (weak Wolfe)."""
    slope = (direction * gradient).sum(axis=1)
    step = 1 / np.maximum(np.abs(direction).sum(axis=1), 1) if first else np.ones(len(x))
    low, high = np.zeros(len(x)), np.full(len(x), np.inf)
    out_x, out_value, out_gradient = x.copy(), value.copy(), gradient.copy()
    moved = np.zeros(len(x), dtype=bool)
    open_ = np.flatnonzero(slope < 0)
    for _ in range(_LINE_STEPS):
        if not len(open_):
            break
        trial = np.clip(x[open_] + step[open_, None] * direction[open_], lower, upper)
        v, g = _finite(*objective(trial, which[open_]))
        shift = trial - x[open_]
        lowered = v <= value[open_] + _DECREASE * (gradient[open_] * shift).sum(axis=1)
        better = lowered & (v < out_value[open_])
        i = open_[better]
        out_x[i], out_value[i], out_gradient[i], moved[i] = trial[better], v[better], g[better], True
        # Only parameters that no bound has stopped say whether the slope has eased.
        inside = (trial > lower) & (trial < upper)
        eased = (np.where(inside, direction[open_], 0) * g).sum(axis=1) >= _CURVATURE * slope[open_]
        high[open_] = np.where(lowered, high[open_], step[open_])
        low[open_] = np.where(lowered, step[open_], low[open_])
        with np.errstate(invalid="ignore"):
            step[open_] = np.where(np.isinf(high[open_]), 2 * low[open_], (low[open_] + high[open_]) / 2)
        open_ = open_[~(lowered & eased)]
    return out_x, out_value, out_gradient, moved


def _finite(value: np.ndarray, gradient: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Treat an overflow as infinitely bad."""
    bad = ~(np.isfinite(value) & np.isfinite(gradient).all(axis=1))
    return np.where(bad, np.inf, value), np.where(bad[:, None], 0.0, gradient)
