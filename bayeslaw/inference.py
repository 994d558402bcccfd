"""Fitting: one call for the posterior (NUTS) and for the source papers' point fit (MAP)."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import xarray as xr

from bayeslaw.catalogue import change, resolve
from bayeslaw.errors import InputError, check_whole, did_you_mean
from bayeslaw.families import observation_of
from bayeslaw.groups import group_labels, score_sizes
from bayeslaw.law import derive
from bayeslaw.observation import observed_rows, to_output
from bayeslaw.outliers import outlying_shifts
from bayeslaw.priors import draw_priors, summed_out
from bayeslaw.result import Fit, flat_values, law_by_row, make_fit, noise_values
from bayeslaw.shifts import BENT, COLUMN
from bayeslaw.spec import Spec

METHODS = ("nuts", "map")
PRIOR_DRAWS = 500
PREDICTIVE_VALUES = 2_000_000
"""At most so many predictive values are kept in a fit; longer tables are thinned over draws."""


def compile(spec: Spec, data: xr.Dataset) -> None:
    """Compile a law ahead of fitting it.

    `fit` compiles by itself, once for each structure of a law in a process, and re-uses the result
    for any data and any number of rows, any references, any fixed values. So a loop of fits
    compiles once; call this to have those seconds behind you at a time of your choosing.

    Parameters
    ----------
    spec : Spec
    data : xarray.Dataset
        Any dataset for this law.
    """
    from bayeslaw.nuts import compile_model

    compile_model(*settle_outliers(resolve(spec, data), data))


def fit(
    spec: Spec,
    data: xr.Dataset,
    method: str = "nuts",
    *,
    draws: int = 1000,
    tune: int = 1000,
    chains: int = 4,
    seed: int = 0,
    target_accept: float | None = None,
    bootstrap: int = 1000,
    progress: bool | None = None,
) -> Fit:
    """Fit a law to data.

    Parameters
    ----------
    spec : Spec
        From `load_model`, maybe changed by `change`.
    data : xarray.Dataset
        From `read_table` or `read_curves`.
    method : {"nuts", "map"}
        ``"nuts"`` samples the posterior; ``"map"`` minimises the source papers' objective (Huber on
        residuals, summed, no priors) from many starts and bootstraps it.
    draws, tune : int
        Posterior draws and warm-up draws of each chain.
    chains : int
    seed : int
        The same seed gives bit-identical results on one machine.
    target_accept : float, optional
        NUTS' target acceptance, in (0, 1); higher is slower and safer. By default 0.95, or 0.92
        where a discrepancy's scale is summed out, which leaves a smoother posterior.
    bootstrap : int
        Bootstrap resamples of the rows for ``"map"``.
    progress : bool, optional
        Show a progress bar; by default where somebody can see it.

    Returns
    -------
    Fit

    Raises
    ------
    InputError
        If the data lack what the law needs, or a setting is not allowed.
    """
    settings = {"draws": draws, "tune": tune, "chains": chains, "seed": seed, "bootstrap": bootstrap}
    _check_arguments(spec, data, method, settings, target_accept)
    spec = resolve(spec, data)
    if target_accept is None:
        target_accept = 0.92 if summed_out(spec) else 0.95
    settings = {name: int(value) for name, value in settings.items()} | {"target_accept": target_accept}
    shown = visible() if progress is None else progress
    if method == "map":
        return _point(spec, data, {name: settings[name] for name in ("bootstrap", "seed")}, shown)
    del settings["bootstrap"]
    return _posterior(*settle_outliers(spec, data), settings, shown)


def settle_outliers(spec: Spec, data: xr.Dataset) -> tuple[Spec, xr.Dataset]:
    """Decide which rows get shifts, where the file leaves it to the residuals (``outliers = "auto"``).

    Parameters
    ----------
    spec : Spec
        Resolved.
    data : xarray.Dataset

    Returns
    -------
    spec : Spec
        With ``outliers`` true or false. Shifts that nobody needs cost time and change nothing; a
        single outlier without one widens every interval.
    data : xarray.Dataset
        With the column ``outlying`` where there are shifts, and ``bent`` where rows are as far out but may
        be a bend of the curve: how far out a row is.
    """
    if spec.discrepancy is None or spec.outliers is False:
        return spec, data
    # Curves are thousands of rows of few runs, and counts have their own noise: neither has shifts.
    if spec.discrepancy.kernel == "exponential" or spec.family == "Binomial":
        return change(spec, likelihood={"outliers": False}), data
    from bayeslaw.pointfit import robust_residuals

    shift, bend = outlying_shifts(spec, observed_rows(spec, data), robust_residuals(spec, data))
    if spec.outliers is not True:
        spec = change(spec, likelihood={"outliers": bool(shift.any())})
    marks = {COLUMN: shift} if spec.outliers else {}
    marks |= {BENT: bend} if bend.any() else {}
    return spec, data.assign({name: ("obs", far) for name, far in marks.items()})


_LEAST = {"draws": 4, "tune": 0, "chains": 1, "seed": 0, "bootstrap": 0}


def _check_arguments(spec: Any, data: Any, method: Any, settings: dict[str, Any], accept: Any) -> None:
    """Refuse what `fit` cannot use, before anything is compiled."""
    if method not in METHODS:
        raise InputError(f"method: found {method!r}{did_you_mean(method, METHODS)}")
    for name, value in settings.items():
        check_whole(name, value, _LEAST[name])
    if accept is not None and (not isinstance(accept, float) or not 0 < accept < 1):
        raise InputError(f"target_accept: found {accept!r}, allowed: a number between 0 and 1.")
    if not isinstance(spec, Spec) or not isinstance(data, xr.Dataset):
        raise InputError("fit(spec, data): spec comes from load_model, data from read_table or read_curves.")


def _point(spec: Spec, data: xr.Dataset, settings: dict[str, Any], shown: bool) -> Fit:
    from bayeslaw.pointfit import point_fit, point_spec

    spec = point_spec(spec)
    return make_fit(spec, data, "map", settings, point_fit(spec, data, settings, shown))


def _posterior(spec: Spec, data: xr.Dataset, settings: dict[str, Any], shown: bool) -> Fit:
    from bayeslaw import nuts

    groups = nuts.sample(spec, data, settings, shown)
    if groups["posterior"].sizes["draw"] < settings["draws"]:
        raise KeyboardInterrupt("sampling was stopped; nothing was kept")
    groups |= _predictives(spec, data, groups, np.random.default_rng(settings["seed"]))
    return make_fit(spec, data, "nuts", settings, groups)


def visible() -> bool:
    """Whether somebody is there to see a progress bar: a terminal, or a notebook."""
    return sys.stderr.isatty() or "ipykernel" in sys.modules


def _predictives(
    spec: Spec, data: xr.Dataset, groups: dict[str, xr.Dataset], rng: np.random.Generator
) -> dict[str, xr.Dataset]:
    """Draw the prior, the prior predictive and the posterior predictive at the fit's own rows."""
    posterior, latent = groups["posterior"], groups.get("latent", xr.Dataset())
    prior = draw_priors(spec, PRIOR_DRAWS, rng)
    with np.errstate(all="ignore"):
        prior |= {n: np.broadcast_to(v, PRIOR_DRAWS) for n, v in derive(spec, prior).items()}
    thin = max(
        1, -(-posterior.sizes["chain"] * posterior.sizes["draw"] * data.sizes["obs"] // PREDICTIVE_VALUES)
    )
    kept, vectors = (g.isel(draw=slice(None, None, thin), missing_dims="ignore") for g in (posterior, latent))
    kept = kept.assign_coords(draw=np.arange(kept.sizes["draw"]))
    prior_set = xr.Dataset({n: (("chain", "draw"), v[None]) for n, v in prior.items()})
    return {
        "prior": prior_set,
        "prior_predictive": _predict(spec, data, prior_set, None, rng),
        "posterior_predictive": _predict(spec, data, kept, vectors, rng),
    }


def _predict(
    spec: Spec, data: xr.Dataset, draws: xr.Dataset, latent: xr.Dataset | None, rng: np.random.Generator
) -> xr.Dataset:
    """Draw new runs at the fit's own inputs, in the output's unit."""
    rows = observed_rows(spec, data)
    values = noise_values(spec, flat_values(draws))
    size = len(next(iter(flat_values(draws).values())))
    if latent is not None:
        values |= {str(n): v.values.reshape(size, -1) for n, v in latent.data_vars.items()}
    else:  # the prior: groups are as spread as it says
        sizes = score_sizes(spec, group_labels(spec, rows.columns))
        values |= {n: rng.standard_normal((size, length)) for n, length in sizes.items()}
    mean = law_by_row(spec, values, rows.columns, rows.columns)
    # The rows' own inputs again, as if run anew: unseen by design, so nothing to condition on.
    with np.errstate(all="ignore"):
        run = observation_of(spec).predict(mean, values, None, mean, rows, rng)["run"]
        run = to_output(spec, run)
    shape = draws.sizes["chain"], draws.sizes["draw"], len(rows)
    name = spec.output.name
    return xr.Dataset(
        {name: (("chain", "draw", "obs"), run.reshape(shape))}, attrs={"units": spec.output.unit}
    )
