"""Sampling with PyMC's own NUTS, of the model that `pymc_model` states."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayeslaw.core.progress import work
from bayeslaw.inference.coordinates import latent_vectors
from bayeslaw.inference.nuts import groups_of
from bayeslaw.inference.pymc_rows import output_on_scale
from bayeslaw.inference.pymc_statement import names_of_ours, state_model
from bayeslaw.inference.values import noise_values
from bayeslaw.law.priors import scalar_names, walked
from bayeslaw.observation.base import NUMPY
from bayeslaw.observation.bound import BoundLaw
from bayeslaw.observation.counts import LATENT, Counts

if TYPE_CHECKING:
    import pymc as pm

_STATS = {
    "diverging": "diverging", "energy": "energy", "tree_size": "n_steps", "n_steps": "n_steps", "tree_depth": "depth",
    "step_size": "step_size", "acceptance_rate": "mean_tree_accept", "lp": "logp",
}  # fmt: skip
"""PyMC's names of the sampler's statistics, and those of a fit."""


def sample(bound: BoundLaw, settings: dict[str, Any], progress: bool | None) -> dict[str, xr.Dataset]:
    """Sample the posterior by ``pm.sample``.

    Parameters
    ----------
    bound : BoundLaw
    settings : dict
        draws, tune, chains, seed, target_accept.
    progress : bool, optional
        As of `fit`.

    Returns
    -------
    dict of str to xarray.Dataset
        As of `nuts.sample`.
    """
    spec, model = bound.spec, state_model(bound)
    counts = bound.observation if isinstance(bound.observation, Counts) else None
    rates = output_on_scale(spec, names_of_ours(spec))
    vectors = [rates if counts and n == LATENT else n for n in latent_vectors(bound)]
    # A level that fits integrate out is drawn together with the discrepancy's length, not kept from here.
    names = [*scalar_names(walked(spec)), *vectors]
    tree = _run(model, f"compiling and sampling the law '{spec.name}' with PyMC", names, settings, progress)
    found, told = tree["posterior"].to_dataset(), tree["sample_stats"].to_dataset()
    named = {n: found[n].transpose("chain", "draw", ...).values for n in names}
    if counts:
        named[LATENT] = _scores(bound, counts, named, named.pop(rates))
    stats = {ours: told[n].transpose("chain", "draw").values for n, ours in _STATS.items() if n in told}
    return groups_of(bound, named, stats, settings["seed"])


def _run(
    model: pm.Model, what: str, names: list[str], settings: Mapping[str, Any], progress: bool | None
) -> xr.DataTree:
    """Run ``pm.sample``, its draws counted by the bar and the lines that all work here has."""
    import pymc as pm
    import pytensor

    steps, done = settings["chains"] * (settings["draws"] + settings["tune"]), 0

    def count(*_: Any, **__: Any) -> None:
        nonlocal done
        done += 1
        on_step(done)

    # Code that comes from the cache on disk differs in the last bits from code that was just compiled.
    uncached = pytensor.config.change_flags(numba__cache=False)
    with work(what, steps, progress) as on_step, warnings.catch_warnings(), uncached:
        warnings.simplefilter("ignore")
        try:
            return pm.sample(
                settings["draws"], tune=settings["tune"], chains=settings["chains"], random_seed=settings["seed"],
                cores=min(settings["chains"], os.cpu_count() or 1), target_accept=settings["target_accept"],
                nuts_sampler="pymc", var_names=names, model=model, callback=count, progressbar=False, quiet=True,
                compute_convergence_checks=False,
            )  # fmt: skip
        except ValueError:
            if 0 < done < steps:  # so PyMC ends where it was interrupted before it kept a draw
                raise KeyboardInterrupt("sampling was stopped; nothing was kept") from None
            raise


def _scores(
    bound: BoundLaw, counts: Counts, named: Mapping[str, np.ndarray], rates: np.ndarray
) -> np.ndarray:
    """Return the scores of counts' rates: what a fit keeps of them."""
    flat = {n: v.reshape(rates.shape[0] * rates.shape[1], -1) for n, v in named.items()}
    values = noise_values(bound.spec, flat)
    y = rates.reshape(-1, rates.shape[-1])
    return np.asarray(counts.scored(y, bound.law(values), values, bound.terms, NUMPY)).reshape(rates.shape)
