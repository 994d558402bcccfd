"""Fitting: one call for the posterior (NUTS) and for the source papers' point fit (MAP)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from bayeslaw.core.errors import SEEDS, InputError, check_choice, check_probability, check_whole, shown
from bayeslaw.core.progress import work
from bayeslaw.data.sizes import check_sizes
from bayeslaw.inference.fit import Fit, make_fit
from bayeslaw.inference.methods import METHODS
from bayeslaw.inference.prior_reach import refuse_out_of_reach
from bayeslaw.inference.values import flat_values, noise_values
from bayeslaw.law.catalogue import change
from bayeslaw.law.evaluate import derive
from bayeslaw.law.priors import draw_priors
from bayeslaw.law.spec import Spec
from bayeslaw.observation.base import to_output
from bayeslaw.observation.bound import BoundLaw, bind
from bayeslaw.observation.outliers import outlying_shifts
from bayeslaw.observation.pooling import score_sizes
from bayeslaw.observation.shifts import BENT, COLUMN

PRIOR_DRAWS = 500
_SOME_ROWS = 200
PREDICTIVE_VALUES = 2_000_000
"""At most so many predictive values are kept in a fit; longer tables are thinned over draws."""


def compile(spec: Spec, data: xr.Dataset, *, progress: bool | None = None) -> None:
    """Compile a law ahead of fitting it.

    `fit` compiles by itself, once for each structure of a law in a process, and re-uses the result
    for any data and any number of rows, any references, any fixed values. So a loop of fits
    compiles once; call this to have those seconds behind you at a time of your choosing.

    Parameters
    ----------
    spec : Spec
    data : xarray.Dataset
        Any dataset for this law.
    progress : bool, optional
        As of `fit`.

    Raises
    ------
    InputError
        If the data lack what the law needs.
    """
    from bayeslaw.inference.nuts import compile_model

    check_law_and_data("compile", spec, data)
    compile_model(settle_outliers(bind(spec, data)), progress)


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
        Posterior draws and warm-up draws of each chain; at least 4 and 50.
    chains : int
        At most 64.
    seed : int
        The same seed gives bit-identical results on one machine. From 0 to 2^63 − 1.
    target_accept : float, optional
        NUTS' target acceptance, in (0, 1); higher is slower and safer. By default 0.95, or 0.92
        where a discrepancy's scale is summed out, which leaves a smoother posterior.
    bootstrap : int
        Bootstrap resamples of the rows for ``"map"``.
    progress : bool, optional
        True shows a progress bar, False nothing. By default a bar where somebody can see it, else a
        line every ten seconds on standard error.

    Returns
    -------
    Fit

    Raises
    ------
    InputError
        If the data lack what the law needs, or a setting is not allowed.
    """
    settings = {"draws": draws, "tune": tune, "chains": chains, "seed": seed, "bootstrap": bootstrap}
    check_choice("method", method, METHODS)
    check_settings(settings)
    if target_accept is not None:
        check_probability("target_accept", target_accept)
    check_law_and_data("fit", spec, data)
    check_size({name: settings[name] for name in METHODS[method].sized_by}, data)
    check_sizes(spec, data)
    bound = bind(spec, data)
    if target_accept is None:
        target_accept = 0.92 if bound.spec.marginalised else 0.95
    settings = {name: int(value) for name, value in settings.items()} | {"target_accept": target_accept}
    with work(f"fitting the law '{spec.name}'", progress=progress):
        if not METHODS[method].posterior:
            return _point(bound, {name: settings[name] for name in ("bootstrap", "seed")}, progress)
        del settings["bootstrap"]
        return _posterior(settle_outliers(bound), settings, progress)


def settle_outliers(bound: BoundLaw) -> BoundLaw:
    """Decide which rows get shifts, where the file leaves it to the residuals (``outliers = "auto"``).

    Parameters
    ----------
    bound : BoundLaw

    Returns
    -------
    BoundLaw
        Its spec has ``outliers`` true or false: shifts that nobody needs cost time and change nothing; a
        single outlier without one widens every interval. Its data have the column ``outlying`` where there
        are shifts, and ``bent`` where rows are as far out but may be a bend of the curve: how far out a row is.
    """
    spec, data = bound.spec, bound.data
    if spec.discrepancy is None or spec.outliers is False:
        return bound
    # Curves are thousands of rows of few runs, and counts have their own noise: neither has shifts.
    if spec.along_runs or not spec.traits.shifts:
        return bind(change(spec, likelihood={"outliers": False}), data)
    from bayeslaw.inference.point_fit import robust_residuals

    shift, bend = outlying_shifts(bound, robust_residuals(bound))
    if spec.outliers is not True:
        spec = change(spec, likelihood={"outliers": bool(shift.any())})
    marks = {COLUMN: shift} if spec.outliers else {}
    marks |= {BENT: bend} if bend.any() else {}
    return bind(spec, data.assign({name: ("obs", far) for name, far in marks.items()}))


LIMITS: dict[str, tuple[int, int, str]] = {
    "draws": (4, 1_000_000, "a thousand a chain is enough for most fits"),
    "tune": (50, 1_000_000, "with fewer the sampler cannot find its step"),
    "chains": (1, 64, "four are enough; more draws serve better than more chains"),
    "seed": (*SEEDS, "any of them is as good"),
    "bootstrap": (0, 100_000, "a thousand is enough for an interval"),
}
"""The least and the most of each setting, and why."""
MOST_NUMBERS = 500_000_000
"""The largest array of draws by rows, 4 GB: a few of them are in memory at a time."""


def check_settings(settings: Mapping[str, Any]) -> None:
    """Refuse settings of a fit that are not allowed, before anything is compiled.

    Parameters
    ----------
    settings : mapping
        Any of draws, tune, chains, seed, bootstrap.

    Raises
    ------
    InputError
    """
    for name, value in settings.items():
        check_whole(name, value, *LIMITS[name])


def check_size(settings: Mapping[str, Any], data: xr.Dataset) -> None:
    """Refuse draws that do not go into memory with the rows at hand.

    Parameters
    ----------
    settings : mapping
        draws and chains, or bootstrap; checked.
    data : xarray.Dataset

    Raises
    ------
    InputError
    """
    rows = max(data.sizes.get("obs", 0), 1)
    draws = int(settings.get("draws", 0)) * int(settings.get("chains", 1))
    for what, size in (("draws × chains × rows", draws), ("bootstrap × rows", settings.get("bootstrap", 0))):
        if size * rows > MOST_NUMBERS:
            raise InputError(
                f"{what}: found {size:,} × {rows:,} rows, {8e-9 * size * rows:.0f} GB a copy, allowed: at most "
                f"{MOST_NUMBERS:,} numbers; take at most {MOST_NUMBERS // rows:,}, or fewer rows."
            )


def check_law_and_data(caller: str, spec: Any, data: Any) -> None:
    """Refuse what is no law, or no dataset to fit it to.

    Parameters
    ----------
    caller : str
        The public function that was called, for the message.
    spec, data : object

    Raises
    ------
    InputError
    """
    if not isinstance(spec, Spec) or not isinstance(data, xr.Dataset):
        raise InputError(
            f"{caller}(spec, data): found {shown(spec) if not isinstance(spec, Spec) else shown(data)}, allowed: "
            "spec comes from load_model, data from read_table or read_curves."
        )
    if spec.traits.counts and not {"n", "c"} <= set(data.variables):
        raise InputError(
            f"model '{spec.name}': a Binomial likelihood counts successes, and the data have no columns n and c; read a table "
            "of counts with read_table, or take StudentT or Normal: change(spec, likelihood=…) / --likelihood."
        )


def _point(bound: BoundLaw, settings: dict[str, Any], progress: bool | None) -> Fit:
    from bayeslaw.inference.point_fit import point_fit, point_spec

    bound = bind(point_spec(bound.spec), bound.data)
    if any(p.fixed is None for p in bound.spec.parameters.values()):
        # No priors here, but starts and bounds: what no prior reaches, they do not either.
        rows = bound.data.sizes["obs"]
        some = bound.data.isel(obs=np.unique(np.linspace(0, rows - 1, _SOME_ROWS).astype(int)))
        _prior(bind(change(bound.spec, discrepancy=None), some), np.random.default_rng(0))
    return make_fit(bound, "map", settings, point_fit(bound, settings, progress))


def _posterior(bound: BoundLaw, settings: dict[str, Any], progress: bool | None) -> Fit:
    rng = np.random.default_rng(settings["seed"])
    prior = _prior(bound, rng)
    from bayeslaw.inference import nuts

    groups = nuts.sample(bound, settings, progress)
    if groups["posterior"].sizes["draw"] < settings["draws"]:
        raise KeyboardInterrupt("sampling was stopped; nothing was kept")
    return make_fit(bound, "nuts", settings, groups | prior | _replicated(bound, groups, rng))


def _prior(bound: BoundLaw, rng: np.random.Generator) -> dict[str, xr.Dataset]:
    """Draw the prior and the prior predictive at the fit's own rows; refuse rows out of their reach."""
    spec = bound.spec
    prior = draw_priors(spec, PRIOR_DRAWS, rng)
    with np.errstate(all="ignore"):
        prior |= {n: np.broadcast_to(v, PRIOR_DRAWS) for n, v in derive(spec, prior).items()}
    prior_set = xr.Dataset({n: (("chain", "draw"), v[None]) for n, v in prior.items()})
    predicted = _predict(bound, prior_set, None, rng)
    name = spec.output.name
    refuse_out_of_reach(spec, bound.data[name].values, predicted[name].values[0])
    return {"prior": prior_set, "prior_predictive": predicted}


def _replicated(
    bound: BoundLaw, groups: dict[str, xr.Dataset], rng: np.random.Generator
) -> dict[str, xr.Dataset]:
    """Draw the posterior predictive at the fit's own rows."""
    posterior, latent = groups["posterior"], groups.get("latent", xr.Dataset())
    size = posterior.sizes["chain"] * posterior.sizes["draw"] * len(bound.rows)
    thin = max(1, -(-size // PREDICTIVE_VALUES))
    kept, vectors = (g.isel(draw=slice(None, None, thin), missing_dims="ignore") for g in (posterior, latent))
    kept = kept.assign_coords(draw=np.arange(kept.sizes["draw"]))
    return {"posterior_predictive": _predict(bound, kept, vectors, rng)}


def _predict(
    bound: BoundLaw, draws: xr.Dataset, latent: xr.Dataset | None, rng: np.random.Generator
) -> xr.Dataset:
    """Draw new runs at the fit's own inputs, in the output's unit."""
    spec, rows = bound.spec, bound.rows
    values = noise_values(spec, flat_values(draws))
    size = len(next(iter(flat_values(draws).values())))
    if latent is not None:
        values |= {str(n): v.values.reshape(size, -1) for n, v in latent.data_vars.items()}
    else:  # the prior: groups are as spread as it says
        sizes = score_sizes(spec, bound.labels)
        values |= {n: rng.standard_normal((size, length)) for n, length in sizes.items()}
    mean = bound.law(values)
    # The rows' own inputs again, as if run anew: unseen by design, so nothing to condition on.
    with np.errstate(all="ignore"):
        run = bound.observation.unconditioned(values).predict(mean, rows, rng)["run"]
        run = to_output(spec, run)
    shape = draws.sizes["chain"], draws.sizes["draw"], len(rows)
    name = spec.output.name
    return xr.Dataset(
        {name: (("chain", "draw", "obs"), run.reshape(shape))}, attrs={"units": spec.output.unit}
    )
