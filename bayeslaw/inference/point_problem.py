"""A point fit's objective, its starts and its bounds, for many points at once."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from scipy.optimize import minimize

from bayeslaw.core.errors import InputError
from bayeslaw.inference.autodiff import Traced, TracedOps, pull_back
from bayeslaw.law.evaluate import derive, evaluate_law, to_sampling, to_scale
from bayeslaw.law.priors import draw_priors
from bayeslaw.observation.bound import BoundLaw

DEFAULT_STARTS = 64
_CHUNK = 320
_SMALLEST_START = 1e-3
_POLISHED = 3
_LOG_RANGE = (-60.0, 80.0)


class PointProblem:
    """A law's objective in unconstrained-but-boxed coordinates, for many points at once."""

    def __init__(self, bound: BoundLaw) -> None:
        self.spec = spec = bound.spec
        self.inputs = bound.inputs
        self.z = bound.rows.y
        self.rows = len(self.z)
        self.shared_by = bound.data["shared_by"].values if "shared_by" in bound.data else None
        self.free = [p for p in spec.parameters.values() if p.fixed is None]
        if not self.free:
            raise InputError(
                f"model '{spec.name}': every parameter is fixed; free one with fix={{'name': None}}."
            )
        self.bounds = self._bounds()

    def _bounds(self) -> tuple[np.ndarray, np.ndarray]:
        pairs = []
        for p in self.free:
            if p.names:
                pairs += [(0.0, np.inf)] * len(p.names)
            elif p.support == "positive":
                pairs.append(tuple(np.log(p.bounds)) if p.bounds else _LOG_RANGE)
            else:
                pairs.append(p.bounds or ((0.0, 1.0) if p.support == "unit" else (-np.inf, np.inf)))
        lower, upper = np.array(pairs, dtype=float).T
        return lower, upper

    def values(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """Return the sampled parameters at points of shape (m, p), each of shape (m, 1)."""
        out, i = {}, 0
        for p in self.free:
            block = x[:, i : i + max(1, len(p.names))]
            if p.names:
                shares = block / block.sum(axis=1, keepdims=True)
                out |= {name: shares[:, j : j + 1] for j, name in enumerate(p.names)}
            else:
                out[p.name] = np.exp(block) if p.support == "positive" else block
            i += block.shape[1]
        return out

    def chain(
        self, x: np.ndarray, values: dict[str, np.ndarray], gradients: dict[str, np.ndarray]
    ) -> np.ndarray:
        """Turn gradients by the parameters into gradients by the points, shape (m, p)."""
        columns, i = [], 0
        for p in self.free:
            if p.names:
                total = x[:, i : i + len(p.names)].sum(axis=1, keepdims=True)
                mean = sum(gradients[n] * values[n] for n in p.names)
                columns += [(gradients[n] - mean) / total for n in p.names]
                i += len(p.names)
            else:
                columns.append(
                    gradients[p.name] * values[p.name] if p.support == "positive" else gradients[p.name]
                )
                i += 1
        return np.concatenate(columns, axis=1)

    def named(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """Return all parameters, the paper's too, at points; each of shape (m,)."""
        with np.errstate(all="ignore"):
            values = self.values(x)
            values |= derive(self.spec, values)
        return {
            n: np.broadcast_to(np.asarray(v, dtype=float), (len(x), 1))[:, 0].copy()
            for n, v in values.items()
        }

    def law(self, values: dict[str, Any], ops: Any = np) -> Any:
        """Evaluate the law on the scale of errors, shape (m, rows)."""
        return to_scale(evaluate_law(self.spec, values, self.inputs, ops), self.spec.output.scale, ops)

    def residual(self, x: np.ndarray) -> np.ndarray:
        """Return the data minus the law on the scale of errors, shape (m, rows)."""
        return self.z - self.law(self.values(x))

    def objective(self, weights: np.ndarray | None) -> Callable:
        """Return the weighted sum of Huber's loss as `minimize_many` wants it."""
        delta = self.spec.map.delta
        if weights is None and self.shared_by is not None:
            weights = np.broadcast_to(self.shared_by, (1, self.rows))

        def chunk(x: np.ndarray, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            with np.errstate(all="ignore"):
                values = self.values(x)
                traced = {name: Traced(value) for name, value in values.items()}
                law = self.law(traced, TracedOps)
                residual = self.z - law.value
                clipped = np.clip(residual, -delta, delta)
                if weights is None:
                    loss = np.einsum("ij,ij->i", clipped, residual - clipped / 2)
                else:
                    given = weights[which if len(weights) > 1 else np.zeros_like(which)]
                    loss = np.einsum("ij,ij,ij->i", given, clipped, residual - clipped / 2)
                    clipped = given * clipped
                gradients = pull_back(law, -clipped, list(traced.values()))
                return loss, self.chain(x, values, dict(zip(traced, gradients, strict=True)))

        def all_chunks(x: np.ndarray, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            if len(x) <= _CHUNK:
                return chunk(x, which)
            pieces = range(0, len(x), _CHUNK)
            done = list(_POOL.map(lambda i: chunk(x[i : i + _CHUNK], which[i : i + _CHUNK]), pieces))
            return np.concatenate([v for v, _ in done]), np.concatenate([g for _, g in done])

        return all_chunks

    def starts(self) -> np.ndarray:
        """Return the file's grid of starts in the paper's parameters, or draws from the priors."""
        if self.spec.map.starts:
            names, grids = zip(*self.spec.map.starts.items(), strict=True)
            natural = dict(zip(names, np.array(list(itertools.product(*grids))).T, strict=True))
            with np.errstate(all="ignore"):
                values = to_sampling(self.spec, natural)
        else:
            values = draw_priors(self.spec, DEFAULT_STARTS, np.random.default_rng(0))
        return self.columns(values)

    def columns(self, values: dict[str, np.ndarray]) -> np.ndarray:
        """Return points from values of the sampled parameters, shape (m, p)."""
        columns = []
        for name in (n for p in self.free for n in (p.names or (p.name,))):
            positive = self.spec.parameters.get(name) and self.spec.parameters[name].support == "positive"
            column = np.asarray(values[name], dtype=float)
            columns.append(np.log(np.maximum(column, _SMALLEST_START)) if positive else column)
        return np.stack(np.broadcast_arrays(*columns), axis=1)

    def polish(self, x: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, float]:
        """Drive the best points home with SciPy's L-BFGS-B at the tightest tolerance."""
        objective = self.objective(None)
        one = np.zeros(1, dtype=int)

        def single(point: np.ndarray) -> tuple[float, np.ndarray]:
            v, g = objective(point[None], one)
            return float(v[0]), g[0]

        best = np.argsort(value)[:_POLISHED]
        bounds = list(zip(*self.bounds, strict=True))
        options = {"ftol": 1e-15, "gtol": 1e-14, "maxiter": 5000, "maxcor": 20}
        done = [
            minimize(single, x[i], jac=True, method="L-BFGS-B", bounds=bounds, options=options) for i in best
        ]
        ends = [(float(r.fun), r.x) for r in done] + [(float(value[i]), x[i]) for i in best]
        value, point = min(ends, key=lambda end: end[0])
        return point, value


_POOL = ThreadPoolExecutor(os.cpu_count())
