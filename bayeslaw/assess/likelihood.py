"""The log density of each row given all others, under every draw."""

from __future__ import annotations

import xarray as xr

from bayeslaw.inference.fit import Fit, check_fit
from bayeslaw.inference.fitted import given_rows
from bayeslaw.inference.values import fit_values


def log_likelihood(fit: Fit) -> xr.DataArray:
    """Return the leave-one-out log density of every row under every posterior draw.

    Parameters
    ----------
    fit : Fit
        With method "nuts".

    Returns
    -------
    xarray.DataArray
        Dims (chain, draw, obs); densities of the output in its own unit.
    """
    check_fit("log_likelihood(fit)", fit, posterior=True)
    draws, density = fit.draws, given_rows(fit, fit_values(fit)).leave_one_out()
    shape = draws.sizes["chain"], draws.sizes["draw"], len(fit.bound.rows)
    return xr.DataArray(density.reshape(shape), dims=("chain", "draw", "obs"), coords=dict(draws.coords))
