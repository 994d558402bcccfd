"""Who samples a posterior: a row of a table for each sampler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import xarray as xr

from bayeslaw.observation.bound import BoundLaw

Sampler = Callable[[BoundLaw, dict[str, Any], bool | None], dict[str, xr.Dataset]]
"""(a bound law, settings, progress) -> the groups of a fit's tree; see `nuts.sample`."""


def _nutpie(bound: BoundLaw, settings: dict[str, Any], progress: bool | None) -> dict[str, xr.Dataset]:
    from bayeslaw.inference import nuts

    return nuts.sample(bound, settings, progress)


def _pymc(bound: BoundLaw, settings: dict[str, Any], progress: bool | None) -> dict[str, xr.Dataset]:
    from bayeslaw.inference import pymc_sampling

    return pymc_sampling.sample(bound, settings, progress)


SAMPLERS: dict[str, Sampler] = {"nutpie": _nutpie, "pymc": _pymc}
"""By name; modules are loaded when they are asked for, since PyMC takes seconds to import."""
DEFAULT = "nutpie"
