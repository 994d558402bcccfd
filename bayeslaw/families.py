"""Which observation model a spec has: one row a way to scatter."""

from __future__ import annotations

from bayeslaw.counted import counted
from bayeslaw.covariance import covariance
from bayeslaw.independent import independent
from bayeslaw.observation import Observation
from bayeslaw.spec import Spec
from bayeslaw.trajectories import trajectories


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
