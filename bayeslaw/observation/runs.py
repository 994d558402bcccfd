"""Loss curves whose errors are correlated along each curve, exactly and in linear time.

Each run has a discrepancy from the law of its own (an Ornstein-Uhlenbeck process along the logarithm of the
step), beside run noise; runs that branch off one another share what came before. So a new schedule's
curve differs from the law as much as the seen ones do, and a long curve counts as few observations.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bayeslaw.law.spec import Spec
from bayeslaw.law.types import Array, DensityOps, Tensor, Tensors
from bayeslaw.observation.base import Draws, Rows, log_normal
from bayeslaw.observation.discrepancy_sizes import discrepancy_of, discrepancy_scale
from bayeslaw.observation.run_tree import Forest, draw_states, leave_one_out, log_density

NEW_RUN = "(a new run)"


def observe(spec: Spec) -> Runs:
    """Return the observation model of a law along curves that have a discrepancy each.

    Parameters
    ----------
    spec : Spec
        Resolved, with a ``[discrepancy]`` of kernel exponential.

    Returns
    -------
    Runs
    """
    return Runs(spec)


@dataclass(frozen=True)
class Runs:
    """Loss curves, each with a discrepancy from the law of its own."""

    spec: Spec

    def labels(self, rows: Rows) -> tuple[Array, Array]:
        """Return each row's run, and the logarithm of where it stands on it."""
        found = discrepancy_of(self.spec)
        run = rows.columns.get(found.within or "", np.full(len(rows), NEW_RUN))
        return np.asarray(run).astype(str), np.log(np.asarray(rows.columns[found.over[0]], dtype=float))

    def forest(self, rows: Rows, more: Rows | None = None) -> tuple[Forest, Array]:
        """Return the forest of rows, maybe with more behind them, and their order in it."""
        run, at = self.labels(rows)
        if more is not None:
            run, at = (np.concatenate(pair) for pair in zip((run, at), self.labels(more), strict=True))
        return grow(run, at, json.loads(rows.attrs.get("branches", "{}")))

    def latents(self, rows: Rows) -> dict[str, int]:
        """Return none: the discrepancy's own states are integrated exactly."""
        return {}

    def scatter(self, rows: Rows) -> Array | None:
        """Return None: no usual covariance is needed of curves."""
        return None

    def prepare(self, rows: Rows) -> dict[str, Array]:
        """Return residuals' order in the forest, and the forest."""
        forest, order = self.forest(rows)
        return {
            "observed": np.asarray(rows.y, dtype=float), "error": rows.error[order], "order": order,
            "parent": forest.parent, "gap": forest.gap, "constant": np.asarray(np.sum(rows.log_slope)),
        }  # fmt: skip

    def joint(self, mean: Tensor, values: Tensors, terms: Tensors, ops: DensityOps) -> Tensor:
        """Return the log density of all curves."""
        residual = (terms["observed"] - mean)[terms["order"]]
        scale = discrepancy_scale(self.spec, values)
        varying = residual, scale, values["discrepancy_length"], values["sigma"]
        return (
            ops.with_gradient("forest", *varying, *(terms[n] for n in ("error", "parent", "gap")))
            + terms["constant"]
        )

    def unconditioned(self, values: Draws) -> NewRuns:
        """Return what curves do where none was seen."""
        return NewRuns(self, values)

    def condition(self, rows: Rows, mean: Array, values: Draws) -> RunsGivenRows:
        """Return what seen curves say."""
        return RunsGivenRows(self, values, rows, mean)


@dataclass(frozen=True)
class NewRuns:
    """New curves around the law."""

    model: Runs
    values: Draws

    @property
    def _scale_and_length(self) -> tuple[Array, Array]:
        scale = discrepancy_scale(self.model.spec, self.values)
        return np.reshape(scale, (-1, 1)), np.reshape(self.values["discrepancy_length"], (-1, 1))

    def predict(
        self, new_mean: Array, new_rows: Rows, rng: np.random.Generator, together: bool = False
    ) -> dict[str, Array]:
        """Draw curves that share nothing with those that were seen, and runs around them."""
        scale, length = self._scale_and_length
        shape = max(len(scale), len(np.atleast_2d(new_mean))), len(new_rows)
        if together:
            forest, order = self.model.forest(new_rows)
            nothing = np.zeros(shape)
            states = draw_states(nothing, scale, length, nothing + 1, forest, np.zeros(shape[1], bool), rng)
            discrepancy = states[:, np.argsort(order)]
        else:
            discrepancy = scale * rng.standard_normal(shape)
        return self._with_noise(new_mean + discrepancy, new_rows, rng)

    def _with_noise(self, curve: Array, rows: Rows, rng: np.random.Generator) -> dict[str, Array]:
        noise = np.sqrt(_variance(self.values, rows)) * rng.standard_normal((len(curve), len(rows)))
        return {"curve": curve, "run": curve + noise}


@dataclass(frozen=True)
class RunsGivenRows(NewRuns):
    """Curves that were seen."""

    rows: Rows
    mean: Array

    def _each_alone(self) -> tuple[Array, Array, Array]:
        """Return residuals, and mean and variance of each given all others."""
        forest, order = self.model.forest(self.rows)
        residual, variance = self.rows.y - self.mean, _variance(self.values, self.rows)
        found = leave_one_out(residual[:, order], *self._scale_and_length, variance[:, order], forest)
        back = np.argsort(order)
        centre, spread = (v[:, back] for v in found)
        return residual, centre, spread

    def leave_one_out(self) -> Array:
        """Return each row's density given all others, of its own curve and of its branches."""
        residual, centre, spread = self._each_alone()
        return log_normal(residual - centre, spread) + self.rows.log_slope

    def fitted(self) -> Array:
        """Return the curves."""
        residual, centre, spread = self._each_alone()
        return self.mean + centre + (1 - _variance(self.values, self.rows) / spread) * (residual - centre)

    def complete(self, rng: np.random.Generator) -> dict[str, Array]:
        """Return nothing: scale and length are sampled."""
        return {}

    def _related(self, new_rows: Rows) -> bool:
        """Whether new rows belong to runs that were seen, or branch off one."""
        seen, new = set(self.model.labels(self.rows)[0]), set(self.model.labels(new_rows)[0])
        branches = json.loads(self.rows.attrs.get("branches", "{}"))
        kin = {*branches, *(parent for parent, _ in branches.values())}
        return bool(new & (seen | kin))

    def _together(self, new_mean: Array, new_rows: Rows) -> tuple[Array, Array, Forest, Array, Array]:
        """Put seen and new rows in one forest: residuals, variances, forest, who is seen, and the order."""
        rows, mean = self.rows, self.mean
        forest, order = self.model.forest(rows, new_rows)
        known = (rows.y - mean, np.broadcast_to(new_rows.y - new_mean, (len(mean), len(new_rows))))
        residual = np.concatenate(known, axis=1)[:, order]
        noise = [_variance(self.values, part) for part in (rows, new_rows)]
        variance = np.concatenate(noise, axis=1)[:, order]
        return residual, variance, forest, order < len(rows), np.argsort(order)[len(rows) :]

    def predict(
        self, new_mean: Array, new_rows: Rows, rng: np.random.Generator, together: bool = False
    ) -> dict[str, Array]:
        """Draw curves that go on from those that were seen, or branch off one; others are new."""
        if not self._related(new_rows):
            return super().predict(new_mean, new_rows, rng, together)
        residual, variance, forest, seen, at = self._together(new_mean, new_rows)
        discrepancy = draw_states(residual, *self._scale_and_length, variance, forest, seen, rng)[:, at]
        return self._with_noise(new_mean + discrepancy, new_rows, rng)

    def density(self, new_mean: Array, new_rows: Rows, rng: np.random.Generator) -> tuple[Array, Array]:
        """Return the log density of new rows given the seen ones."""
        residual, variance, forest, seen, at = self._together(new_mean, new_rows)
        given = (*self._scale_and_length, variance, forest)
        joint = log_density(residual, *given) - log_density(residual, *given, seen)
        centre, spread = (v[:, at] for v in leave_one_out(residual, *given, seen))
        each = log_normal(residual[:, at] - centre, spread)
        return joint + np.sum(new_rows.log_slope), each + new_rows.log_slope


def _variance(values: Draws, rows: Rows) -> np.ndarray:
    """Return the variance of run noise and sampling error, shape (draws, rows)."""
    return np.reshape(values["sigma"], (-1, 1)) ** 2 + np.asarray(rows.error) ** 2


def grow(
    run: np.ndarray, at: np.ndarray, branches: Mapping[str, tuple[str, float]]
) -> tuple[Forest, np.ndarray]:
    """Arrange the rows of curves as a forest.

    Parameters
    ----------
    run : numpy.ndarray of str, shape (rows,)
    at : numpy.ndarray, shape (rows,)
        Logarithm of the step.
    branches : mapping of str to (str, float)
        For a run that starts from another's checkpoint: that run, and the last step they share.

    Returns
    -------
    forest : Forest
        In the order of `at`.
    order : numpy.ndarray of int, shape (rows,)
        Which row stands at each place of the forest.
    """
    order = np.argsort(at, kind="stable")
    place = {name: [i for i in range(len(order)) if run[order[i]] == name] for name in dict.fromkeys(run)}
    steps = at[order]
    parent = np.full(len(order), -1, dtype=np.int64)
    for name, rows in place.items():
        parent[rows[1:]] = rows[:-1]
        parent[rows[0]] = _branch_point(name, steps[rows[0]], place, steps, branches)
    gap = np.where(parent >= 0, steps - steps[np.maximum(parent, 0)], 0.0)
    return Forest(parent, gap), order


def _branch_point(
    name: str,
    start: float,
    place: Mapping[str, list[int]],
    steps: np.ndarray,
    branches: Mapping[str, tuple[str, float]],
) -> int:
    """Return the last row before `start` on the runs that a run comes from; −1 if there is none."""
    passed = {name}
    while name in branches:
        name, last = branches[name]
        start = min(start, np.log(last) + 1e-9)
        if name in passed:
            return -1
        passed.add(name)
        before = [i for i in place.get(name, []) if steps[i] <= start]
        if before:
            return before[-1]
    return -1
