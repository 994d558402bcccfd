"""The source papers' point fit: Huber on residuals, summed, from many starts, and its bootstrap.

There are no priors here: supports are bounds. Parameters keep the model file's sampled coordinates
(their geometry helps an optimiser as it helps a sampler): positive ones run in logs, shares of a
simplex as non-negative numbers that are normalised, so that a share can be exactly zero.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from bayeslaw.core.errors import InputError
from bayeslaw.core.progress import work
from bayeslaw.inference.batch_lbfgs import minimize_many
from bayeslaw.inference.point_problem import PointProblem
from bayeslaw.law.catalogue import change
from bayeslaw.law.priors import draw_priors
from bayeslaw.law.spec import Spec
from bayeslaw.observation.bound import BoundLaw

SAME_OPTIMUM = 1e-6
"""A start has reached the optimum when its objective is within this share of the best."""
_QUICK_STARTS = 16


def point_spec(spec: Spec) -> Spec:
    """Return the spec with what the source's point fit holds fixed (``[map] fix``)."""
    fix = {n: v for n, v in spec.map.fix.items() if spec.parameters[n].fixed is None}
    return change(spec, fix=fix) if fix else spec


def point_fit(bound: BoundLaw, settings: dict[str, Any], progress: bool | None) -> dict[str, xr.Dataset]:
    """Minimise the objective from every start, and again on bootstrap resamples of the rows.

    Parameters
    ----------
    bound : BoundLaw
        With `point_spec` applied.
    settings : dict
        bootstrap (number of resamples), seed.
    progress : bool, optional
        As of `fit`.

    Returns
    -------
    dict of str to xarray.Dataset
        ``point`` (parameters, the paper's too, ``objective``, ``residual`` a row on the scale of
        errors), ``bootstrap`` (parameters, dims chain and draw), ``starts`` (``objective``).

    Raises
    ------
    InputError
        If no start has a finite objective.
    """
    problem = PointProblem(bound)
    starts = problem.starts()
    with work("point fit", len(starts), progress) as on_step:
        found = minimize_many(problem.objective(None), starts, *problem.bounds, on_step=on_step)
    if not np.isfinite(found.value).any():
        raise InputError(
            f"model '{bound.spec.name}': no start gives a finite objective; check the data's units against the model file's."
        )
    best, value = problem.polish(found.x, found.value)
    rng = np.random.default_rng(settings["seed"])
    rows, resamples = problem.rows, settings["bootstrap"]
    weights = rng.multinomial(rows, np.full(rows, 1 / rows), size=resamples).astype(float)
    if problem.shared_by is not None:
        weights *= problem.shared_by
    with work("bootstrap", resamples, progress) as on_step:
        again = minimize_many(
            problem.objective(weights), np.tile(best, (resamples, 1)), *problem.bounds, on_step=on_step
        )
    point = {n: ((), float(v[0])) for n, v in problem.named(best[None]).items()}
    residual = problem.residual(best[None])[0]
    dims = ("chain", "draw")
    coords = {"chain": [0], "draw": np.arange(resamples)}
    return {
        "point": xr.Dataset({**point, "objective": ((), value), "residual": ("obs", residual)}),
        "bootstrap": xr.Dataset({n: (dims, v[None]) for n, v in problem.named(again.x).items()}, coords),
        "starts": xr.Dataset({"objective": ("start", np.minimum(found.value, 1e300))}),
    }


def robust_residuals(bound: BoundLaw) -> np.ndarray:
    """Return the residuals of a quick Huber fit, which outliers hardly move.

    Parameters
    ----------
    bound : BoundLaw

    Returns
    -------
    numpy.ndarray, shape (rows,)
        On the scale of errors. Of the best of few starts drawn from the priors.
    """
    problem = PointProblem(bound)
    if not problem.free:
        return problem.residual(np.zeros((1, 0)))[0]
    starts = problem.columns(draw_priors(bound.spec, _QUICK_STARTS, np.random.default_rng(0)))
    found = minimize_many(problem.objective(None), starts, *problem.bounds)
    return problem.residual(found.x[[int(np.nanargmin(found.value))]])[0]
