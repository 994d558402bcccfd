"""Directions of L-BFGS inside a box, for many problems at once, from their last steps.

The two-loop recursion: Nocedal and Wright, Numerical Optimization, algorithm 7.4.
"""

from __future__ import annotations

import copy

import numpy as np

MEMORY = 10


class History:
    """The last steps and gradient changes of every running problem."""

    def __init__(self, problems: int, parameters: int) -> None:
        self.s = np.zeros((MEMORY, problems, parameters))
        self.y = np.zeros((MEMORY, problems, parameters))
        self.rho = np.zeros((MEMORY, problems))
        self.length = np.zeros(problems, dtype=int)

    def add(self, i: np.ndarray, s: np.ndarray, y: np.ndarray, moved: np.ndarray) -> None:
        """Remember a step and the gradient's change for problems i, where they curve upwards."""
        sy = (s * y).sum(axis=1)
        good = moved & (sy > 1e-10 * np.sqrt((s**2).sum(axis=1) * (y**2).sum(axis=1)))
        i, s, y, sy = i[good], s[good], y[good], sy[good]
        for store, new in ((self.s, s), (self.y, y), (self.rho, 1 / sy)):
            store[1:, i] = store[:-1, i]
            store[0, i] = new
        self.length[i] = np.minimum(self.length[i] + 1, MEMORY)

    def forget(self, i: np.ndarray) -> None:
        """Start problems i afresh."""
        self.length[i] = 0
        self.rho[:, i] = 0

    def part(self, i: np.ndarray) -> History:
        """Return the history of problems i, a copy."""
        part = copy.copy(self)
        part.keep(i)
        return part

    def keep(self, rows: np.ndarray) -> None:
        """Keep some problems only."""
        self.s, self.y = self.s[:, rows], self.y[:, rows]
        self.rho, self.length = self.rho[:, rows], self.length[rows]


def find_direction(history, x, gradient, lower, upper) -> tuple[np.ndarray, np.ndarray]:
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
