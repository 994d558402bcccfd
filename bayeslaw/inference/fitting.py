"""Fitting: one call for the posterior (NUTS) and for the source papers' point fit (MAP)."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayeslaw.core.errors import check_choice, check_probability
from bayeslaw.core.progress import work
from bayeslaw.core.threads import one_blas_thread
from bayeslaw.data.sizes import check_sizes
from bayeslaw.inference.fit import Fit, make_fit
from bayeslaw.inference.methods import METHODS
from bayeslaw.inference.predictive import draw_prior, draw_replicated
from bayeslaw.inference.samplers import DEFAULT, SAMPLERS
from bayeslaw.inference.settings import check_law_and_data, check_settings, check_size
from bayeslaw.law.catalogue import change
from bayeslaw.law.spec import Spec
from bayeslaw.observation.bound import BoundLaw, bind
from bayeslaw.observation.outliers import outlying_shifts
from bayeslaw.observation.shifts import BENT, COLUMN

if TYPE_CHECKING:
    import pymc as pm

_SOME_ROWS, _MANY_ROWS = 200, 1000


def compile(spec: Spec, data: xr.Dataset, *, progress: bool | None = None) -> None:
    """Make ready what a fit needs, ahead of it.

    `fit` does so by itself. The sampler is compiled once on a machine, for every law, and kept in
    the user's cache folder; after that a law needs no compiling. An observation model of one's own
    that the sampler's machine cannot run is compiled by PyMC, once in a process for each structure
    of a law; call this to have those seconds behind you at a time of your choosing.

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
    from bayeslaw.inference.nuts import walk_of

    check_law_and_data("compile", spec, data)
    walk_of(settle_outliers(bind(spec, data)), progress)


def pymc_model(spec: Spec, data: xr.Dataset) -> pm.Model:
    """State a law, its priors and its rows as a PyMC model, the one that ``fit(sampler="pymc")`` samples.

    Extend it, draw it with ``pm.model_to_graphviz`` or sample it with ``pm.sample``, as any model of PyMC.

    Parameters
    ----------
    spec : Spec
        From `load_model`, maybe changed by `change`.
    data : xarray.Dataset
        From `read_table` or `read_curves`. Other rows are another model: the covariance of a discrepancy is made of them.

    Returns
    -------
    pymc.Model
        Its dims are ``obs``, labelled as in the data; a dim for each column over which a parameter is pooled, labelled by
        its groups; ``outlying``, the rows that have a shift of their own. In it are:

        - inputs, ``ref_<input>`` and fixed parameters as ``pm.Data``, by their names in the law's file;
        - parameters by their names with their own values: free variables where NUTS walks a parameter itself, else
          Deterministics of the free variable that it walks (``<name>_normal``, ``<name>_link``, ``<name>_sheared``);
        - the paper's parameters as Deterministics;
        - of a pooled parameter its groups' deviations ``<name>_deviation``, normal with sd ``<name>_spread``, and their
          values ``<name>_of_<column>``;
        - ``mean``, the law's value on the scale of errors, over ``obs``;
        - the output on that scale, ``log_<output>``, ``logit_<output>`` or ``<output>``. It is observed: a ``StudentT`` or
          ``Normal`` where rows scatter independently, else one variable with the joint density of all rows, whose
          discrepancy's scale and length are marginalised (along runs: its path). Its log likelihood is that of all rows
          together, and its replicates are of another curve, scale and length drawn from their priors: predict with
          `forecast`, not with them;
        - of counts the output is inferred and free; observed is ``c``, a ``Binomial`` of ``n`` samples.

        An observation model that observes in another way is a ``pm.Potential``. A name that the law has itself gets
        an underscore behind ours.

    Raises
    ------
    InputError
        If the data lack what the law needs.
    """
    from bayeslaw.inference.pilot import settle_around
    from bayeslaw.inference.pymc_statement import state_model

    check_law_and_data("pymc_model", spec, data)
    check_sizes(spec, data)
    return state_model(settle_around(settle_outliers(bind(spec, data))))


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
    sampler: str = DEFAULT,
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
        where a discrepancy's scale is marginalised, which leaves a smoother posterior.
    sampler : {"nutpie", "pymc"}
        Who runs NUTS for ``"nuts"``. ``"pymc"`` samples the model of `pymc_model` by ``pm.sample``: the same posterior,
        slowly, to check by.
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
    check_choice("sampler", sampler, SAMPLERS if METHODS[method].posterior else [DEFAULT])
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
        # Matrices of few rows are slower on several threads, and rounded otherwise; those of many are worth it.
        with one_blas_thread() if len(bound.rows) <= _MANY_ROWS else nullcontext():
            return _posterior(settle_outliers(bound), settings, sampler, progress)


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


def _point(bound: BoundLaw, settings: dict[str, Any], progress: bool | None) -> Fit:
    from bayeslaw.inference.point_fit import point_fit, point_spec

    bound = bind(point_spec(bound.spec), bound.data)
    if any(p.fixed is None for p in bound.spec.parameters.values()):
        # No priors here, but starts and bounds: what no prior reaches, they do not either.
        rows = bound.data.sizes["obs"]
        some = bound.data.isel(obs=np.unique(np.linspace(0, rows - 1, _SOME_ROWS).astype(int)))
        draw_prior(bind(change(bound.spec, discrepancy=None), some), np.random.default_rng(0))
    return make_fit(bound, "map", settings, point_fit(bound, settings, progress))


def _posterior(bound: BoundLaw, settings: dict[str, Any], sampler: str, progress: bool | None) -> Fit:
    from bayeslaw.inference.pilot import sample_settled, settle_around

    bound, rng = settle_around(bound), np.random.default_rng(settings["seed"])
    prior = draw_prior(bound, rng)
    bound, groups = sample_settled(bound, lambda bound: SAMPLERS[sampler](bound, settings, progress))
    if groups["posterior"].sizes["draw"] < settings["draws"]:
        raise KeyboardInterrupt("sampling was stopped; nothing was kept")
    settings = {**settings, "sampler": sampler}
    return make_fit(bound, "nuts", settings, groups | prior | draw_replicated(bound, groups, rng))
