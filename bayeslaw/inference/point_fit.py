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
from bayeslaw.inference.point_problem import grid_starts, point_problem, prior_starts
from bayeslaw.law.catalogue import change
from bayeslaw.law.spec import Spec
from bayeslaw.observation.bound import BoundLaw

SAME_OPTIMUM = 1e-6
"""A start has reached the optimum when its objective is within this share of the best."""
_QUICK_STARTS = 16
_POLISHED = 3
_TO_THE_END = {"tolerance": 0.0, "most": 5000}
"""How the best points are driven home: as long as a step lowers them."""


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
    problem = point_problem(bound)
    starts = grid_starts(bound.spec)
    with work("point fit", len(starts), progress) as on_step:
        found = problem.minimise(starts, on_step=on_step)
    if not np.isfinite(found.value).any():
        raise InputError(
            f"model '{bound.spec.name}': no start gives a finite objective; check the data's units against the model file's."
        )
    polished = problem.minimise(found.x[np.argsort(found.value)[:_POLISHED]], **_TO_THE_END)
    best, value = polished.x[polished.value.argmin()], float(polished.value.min())
    rows, resamples = len(bound.rows.y), settings["bootstrap"]
    weights = np.random.default_rng(settings["seed"]).multinomial(rows, np.full(rows, 1 / rows), resamples)
    with work("bootstrap", resamples, progress) as on_step:
        again = problem.minimise(np.tile(best, (resamples, 1)), weights, on_step=on_step)
    point = {n: ((), float(v[0])) for n, v in problem.named(best[None]).items()}
    dims = ("chain", "draw")
    coords = {"chain": [0], "draw": np.arange(resamples)}
    return {
        "point": xr.Dataset({**point, "objective": ((), value), "residual": ("obs", problem.residual(best))}),
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
    problem = point_problem(bound)
    found = problem.minimise(prior_starts(bound.spec, _QUICK_STARTS))
    return problem.residual(found.x[found.value.argmin()])
