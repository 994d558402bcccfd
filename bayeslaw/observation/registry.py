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
    family = "Normal" if spec.family == "Binomial" else spec.family
    if spec.discrepancy is None:
        model = independent(family)
    elif spec.discrepancy.kernel == "exponential":
        model = trajectories(spec)
    else:
        model = covariance(spec)
    if spec.family != "Binomial":
        return model
    return counted(model)
