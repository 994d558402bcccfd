"""Loss curves whose errors are correlated along each curve, exactly and in linear time.

Each run wanders around the law on its own (an Ornstein-Uhlenbeck process along the logarithm of the
step), beside run noise; runs that branch off one another share what came before. So a new schedule's
curve differs from the law as much as the seen ones do, and a long curve counts as few observations.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from bayeslaw.law.spec import Spec
from bayeslaw.observation.base import Observation, Rows, log_normal
from bayeslaw.observation.discrepancy import discrepancy_scale
from bayeslaw.observation.run_tree import Forest, draw_states, leave_one_out, log_density

NEW_RUN = "(a new run)"


def trajectories(spec: Spec) -> Observation:
    """Return the observation model of a law along curves that wander.

    Parameters
    ----------
    spec : Spec
        Resolved, with a ``[discrepancy]`` of kernel exponential.

    Returns
    -------
    Observation
    """
    model = _Trajectories(spec)
    return Observation(
        model.prepare, model.joint, model.leave_one_out, model.predict, model.density, model.fitted
    )


class _Trajectories:
    """The functions of the interface for one spec."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.along, self.within = spec.discrepancy.over[0], spec.discrepancy.within

    def _labels(self, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
        """Return each row's run, and the logarithm of where it stands on it."""
        run = rows.columns.get(self.within, np.full(len(rows), NEW_RUN))
        return np.asarray(run).astype(str), np.log(np.asarray(rows.columns[self.along], dtype=float))

    def _forest(self, rows: Rows, more: Rows | None = None) -> tuple[Forest, np.ndarray]:
        """Return the forest of rows, maybe with more behind them, and their order in it."""
        run, at = self._labels(rows)
        if more is not None:
            run, at = (np.concatenate(pair) for pair in zip((run, at), self._labels(more), strict=True))
        return grow(run, at, json.loads(rows.attrs.get("branches", "{}")))

    def prepare(self, rows: Rows) -> dict[str, np.ndarray]:
        forest, order = self._forest(rows)
        return {
            "observed": np.asarray(rows.y, dtype=float), "error": rows.error[order], "order": order,
            "parent": forest.parent, "gap": forest.gap, "constant": np.float64(np.sum(rows.log_slope)),
        }  # fmt: skip

    def joint(self, mean: Any, values: Mapping[str, Any], terms: Mapping[str, Any], ops: Any) -> Any:
        residual = (terms["observed"] - mean)[terms["order"]]
        scale = discrepancy_scale(self.spec, values)
        varying = residual, scale, values["discrepancy_length"], values["sigma"]
        return (
            ops.sloped("forest", *varying, *(terms[n] for n in ("error", "parent", "gap")))
            + terms["constant"]
        )

    def _parameters(self, values: Mapping[str, Any]) -> tuple[Any, Any]:
        return (
            np.reshape(v, (-1, 1))
            for v in (discrepancy_scale(self.spec, values), values["discrepancy_length"])
        )

    def _each_alone(self, mean, values, rows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return residuals, and mean and variance of each given all others."""
        forest, order = self._forest(rows)
        residual, variance = rows.y - mean, _variance(values, rows)
        found = leave_one_out(residual[:, order], *self._parameters(values), variance[:, order], forest)
        back = np.argsort(order)
        return residual, *(v[:, back] for v in found)

    def leave_one_out(self, mean, values, rows) -> np.ndarray:
        residual, centre, spread = self._each_alone(mean, values, rows)
        return log_normal(residual - centre, spread) + rows.log_slope

    def fitted(self, mean, values, rows) -> np.ndarray:
        residual, centre, spread = self._each_alone(mean, values, rows)
        return mean + centre + (1 - _variance(values, rows) / spread) * (residual - centre)

    def _related(self, rows: Rows | None, new_rows: Rows) -> bool:
        """Whether new rows belong to runs that were seen, or branch off one."""
        if rows is None:
            return False
        seen, new = set(self._labels(rows)[0]), set(self._labels(new_rows)[0])
        branches = json.loads(rows.attrs.get("branches", "{}"))
        kin = {*branches, *(parent for parent, _ in branches.values())}
        return bool(new & (seen | kin))

    def _together(self, mean, values, rows, new_mean, new_rows):
        """Put seen and new rows in one forest: residuals, variances, forest, who is seen, and the order."""
        forest, order = self._forest(rows, new_rows)
        known = (rows.y - mean, np.broadcast_to(new_rows.y - new_mean, (len(mean), len(new_rows))))
        residual = np.concatenate(known, axis=1)[:, order]
        variance = np.concatenate([_variance(values, rows), _variance(values, new_rows)], axis=1)[:, order]
        return residual, variance, forest, order < len(rows), np.argsort(order)[len(rows) :]

    def predict(self, mean, values, rows, new_mean, new_rows, rng, together=False) -> dict[str, np.ndarray]:
        scale, length = self._parameters(values)
        draws = max(len(scale), len(np.atleast_2d(new_mean)))
        shape = draws, len(new_rows)
        if self._related(rows, new_rows):
            residual, variance, forest, seen, at = self._together(mean, values, rows, new_mean, new_rows)
            wander = draw_states(residual, scale, length, variance, forest, seen, rng)[:, at]
        elif together:
            forest, order = self._forest(new_rows)
            nothing = np.zeros(shape)
            states = draw_states(nothing, scale, length, nothing + 1, forest, np.zeros(shape[1], bool), rng)
            wander = states[:, np.argsort(order)]
        else:
            wander = scale * rng.standard_normal(shape)
        curve = new_mean + wander
        return {
            "curve": curve,
            "run": curve + np.sqrt(_variance(values, new_rows)) * rng.standard_normal(shape),
        }

    def density(self, mean, values, rows, new_mean, new_rows, rng) -> tuple[np.ndarray, np.ndarray]:
        residual, variance, forest, seen, at = self._together(mean, values, rows, new_mean, new_rows)
        given = (*self._parameters(values), variance, forest)
        joint = log_density(residual, *given) - log_density(residual, *given, seen)
        centre, spread = (v[:, at] for v in leave_one_out(residual, *given, seen))
        each = log_normal(residual[:, at] - centre, spread)
        return joint + np.sum(new_rows.log_slope), each + new_rows.log_slope


def _variance(values: Mapping[str, Any], rows: Rows) -> np.ndarray:
    """Return the variance of run noise and sampling error, shape (draws, rows)."""
    return np.reshape(values["sigma"], (-1, 1)) ** 2 + np.asarray(rows.error) ** 2


def grow(run: np.ndarray, at: np.ndarray, branches: Mapping[str, Any]) -> tuple[Forest, np.ndarray]:
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


def _branch_point(name: str, start: float, place: Mapping, steps: np.ndarray, branches: Mapping) -> int:
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
