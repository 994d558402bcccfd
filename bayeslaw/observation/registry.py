"""Which observation model a spec has: one row a way to scatter."""

from __future__ import annotations

from bayeslaw.law.spec import Spec
from bayeslaw.observation.base import Observation
from bayeslaw.observation.counts import counted
from bayeslaw.observation.discrepancy import covariance
from bayeslaw.observation.independent import independent
from bayeslaw.observation.runs import trajectories


def observation_of(spec: Spec) -> Observation:
    """Return a spec's observation model.

    Parameters
    ----------
    spec : Spec
        Resolved.

    Returns
    -------
    Observation
    """
    family = "Normal" if spec.traits.counts else spec.family
    if spec.discrepancy is None:
        model = independent(family)
    elif spec.along_runs:
        model = trajectories(spec)
    else:
        model = covariance(spec)
    if not spec.traits.counts:
        return model
    return counted(model)
