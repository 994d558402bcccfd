"""A fit's draws as values that a law and an observation model take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from bayeslaw.inference.fit import Fit
from bayeslaw.law.spec import Spec


def flat_values(draws: xr.Dataset, thin: int = 1) -> dict[str, np.ndarray]:
    """Return draws as columns of shape (draws, 1), for evaluation over rows.

    Parameters
    ----------
    draws : xarray.Dataset
        Scalars over chain and draw, or over one dim.
    thin : int
        Keep every `thin`-th.

    Returns
    -------
    dict of str to numpy.ndarray
    """
    return {str(name): values.values.reshape(-1, 1)[::thin] for name, values in draws.data_vars.items()}


def natural_names(spec: Spec, draws: xr.Dataset) -> list[str]:
    """Return the paper's parameters: derived constants, and what the law itself names."""
    used = set(spec.law.symbols).union(
        *(d.formula.symbols for n, d in spec.derived.items() if n not in spec.constants)
    )
    names = [*spec.constants, *(n for n in spec.scalar_names if n in used)]
    return [n for n in names if n in draws]


def fit_values(fit: Fit, thin: int = 1) -> dict[str, np.ndarray]:
    """Return a fit's draws: scalars as (draws, 1), latent vectors as (draws, size), fixed values too."""
    values = flat_values(fit.draws, thin)
    if "latent" in fit.tree.children:
        for name, v in fit.tree["latent"].to_dataset().data_vars.items():
            values[str(name)] = v.values.reshape(-1, v.shape[-1])[::thin]
    return noise_values(fit.spec, values)


def noise_values(spec: Spec, values: Mapping[str, Any]) -> dict[str, Any]:
    """Add the observation model's fixed parameters to draws."""
    return {**values, **{p.name: p.fixed for p in spec.noise.values() if p.fixed is not None}}
