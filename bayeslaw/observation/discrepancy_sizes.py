"""Sizes of a discrepancy: how far it goes from the law, and how far the law's slope wanders."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bayeslaw.law.priors import link_normal
from bayeslaw.law.spec import Discrepancy, Spec
from bayeslaw.law.types import Array, Tensor

SLOPE = "discrepancy_slope"
"""The parameter that is the size of the wandering of the law's slope: as a share of the slope itself, per root of an e-fold."""
OWN = "discrepancy_own"
"""The share of a discrepancy's variance that is each group's own."""
RUN = "discrepancy_run"
"""The size of the error that all rows of a run share, in units of run noise."""


def discrepancy_of(spec: Spec) -> Discrepancy:
    """Return a spec's discrepancy, which it must have."""
    if spec.discrepancy is None:
        raise TypeError("the law has no discrepancy")
    return spec.discrepancy


def discrepancy_scale[T: (Array, Tensor)](spec: Spec, values: Mapping[str, T]) -> T:
    """Return the discrepancy's standard deviation on the scale of errors."""
    scale = values["discrepancy_scale"]
    return scale * values["sigma"] if discrepancy_of(spec).relative else scale


def usual_value(spec: Spec, name: str) -> float:
    """Return where a parameter is fixed, or its prior's median; one where there is none."""
    parameter = spec.noise.get(name)
    if parameter is None:
        return 1.0
    return parameter.fixed if parameter.fixed is not None else float(np.exp(link_normal(parameter)[0]))
