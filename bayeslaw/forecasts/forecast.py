"""Forecasts with intervals: where the law, a noiseless curve and a real run will land."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.core.check import Check, to_json
from bayeslaw.core.errors import (
    SEEDS,
    InputError,
    check_flag,
    check_probability,
    check_type,
    check_whole,
)
from bayeslaw.data.curves import needs_schedule
from bayeslaw.forecasts.evaluation import USUAL, Evaluation, evaluation_attrs, evaluation_of
from bayeslaw.forecasts.intervals import KINDS, finite_checks, summaries
from bayeslaw.forecasts.membership import check_groups
from bayeslaw.forecasts.mixture import Mixture, law_share, members, mixed, weight_checks, weights_text
from bayeslaw.forecasts.posterior import MixedPosterior, Posterior, posterior_of
from bayeslaw.forecasts.targets import forecast_inputs
from bayeslaw.forecasts.track_record import cited
from bayeslaw.forecasts.track_record import to_json as rows_json
from bayeslaw.inference.fit import Fit
from bayeslaw.observation.base import to_output

_VALUES = 20_000_000
_BLOCK = 4_000_000
MOST_TOGETHER, MOST_CORRELATED = 1000, 200
"""Targets that are drawn jointly, and those beside a discrepancy over inputs: their covariance is decomposed for each draw."""


def forecast(
    fit: Fit | Mixture,
    targets: Mapping[str, Any] | pd.DataFrame | None = None,
    prob: float = 0.9,
    *,
    schedule: str | None = None,
    steps: Sequence[int] | None = None,
    seed: int = 0,
    new_group: bool = False,
    group: Mapping[str, str] | None = None,
    draws: bool = False,
    samples: int | str | None = USUAL,
) -> xr.Dataset:
    """Forecast the output at new inputs, or along a schedule that was never run.

    Parameters
    ----------
    fit : Fit or Mixture
        From `fit` or `load_fit`; or from `stack`: several laws, weighted.
    targets : mapping or DataFrame, optional
        One row a target: the law's inputs by symbol or column, ``{"C": [1e24]}``. Columns go
        together row by row, never as a grid. ``compute`` may be given as ``params`` and ``tokens``;
        beside these, for a law in both, it says how far the target is where it is not 6·N·D. A
        column that was renamed when the table was read goes by either name.
        ``sampling_error`` (a standard error in the output's unit) is the evaluation noise of ``run``, instead
        of what `samples` says.
    prob : float
        Probability of the interval, in (0, 1).
    schedule : str, optional
        A schedule's text (see `parse_schedule`), for laws along a schedule.
    steps : sequence of int, optional
        Steps of the schedule; by default all behind its warm-up, of a longer schedule every second or
        third, so that there are at most 50,000.
    seed : int
    new_group : bool
        Forecast a group that was not seen, where parameters are pooled over groups: its deviation is
        as spread as theirs. Else targets name their group, ``{"C": [1e24], "family": ["Llama"]}``, by
        every column over which parameters are pooled.
    group : mapping of str to str, optional
        The group of a run along a schedule, a label for each such column: ``{"model_size": "100M"}``.
    draws : bool
        Return the joint draws, too: of all targets together, with what they share (the parameters, the
        discrepancy, a group), so that differences and sums of them are draws as well. The summary is then
        that of these draws. At most 1,000 targets or steps; 200 where the law has a discrepancy
        over its inputs.
    samples : "usual", int or None
        How ``run`` is measured, of pass@k: on so many samples of each problem; by default as many as the
        table's rows usually have; None, without error. It adds the error that sampling has at the value
        that is forecast, for these problems (see `bayeslaw.forecasts.evaluation`), and nothing where the table
        knows no such errors.

    Returns
    -------
    xarray.Dataset
        ``mean``, ``median``, ``lower``, ``upper``, in the output's unit, over (kind, target) or
        (kind, step). Kinds: ``law``, the formula alone; ``curve``, where a noiseless run lands;
        ``run``, where a measured run lands: the headline; ``attrs["evaluation"]`` says how it is measured. ``mean`` is taken on the scale of errors and mapped
        back, since heavy tails have no mean otherwise. ``orders_beyond`` says how many orders of
        magnitude a target lies beyond the data: in an input, in compute, or in how they are combined,
        see `distance`; of a mixture the farthest of its laws. ``attrs["checks"]`` travels along, and ``attrs["track_record"]``,
        JSON: how often the 90 % interval of ``run`` held that far beyond public tables (see `bayeslaw.forecasts.track_record`). Of a mixture also
        ``law_share``, the share of the variance on the scale of errors that is the choice of law,
        and ``attrs["weights"]``, JSON: the laws' weights at the farthest target, or at a schedule's end.
        Where weights depend on the distance, the coordinates ``weight_<law>`` have each
        target's; a schedule, and draws of all targets together, have those of ``attrs``. Draws at which the law has no value on the scale of errors are
        left out; where that is more than one in a hundred, or as many as lie beyond an end of the
        interval, or the forecast is no finite number, the check ``finite`` fails. With `draws` also
        ``draws``, dims (draw, target, kind) or (draw, step, kind), in the output's unit.

    Raises
    ------
    InputError
        If targets or a schedule do not fit the law.

    Notes
    -----
    A point fit's intervals come from its bootstrap and the quantiles of its residuals, which hold the sampling
    errors of the rows: nothing is added by default.
    """
    check_probability("prob", prob)
    check_whole("seed", seed, *SEEDS)
    check_flag("new_group", new_group)
    check_flag("draws", draws)
    check_type("forecast(fit, …)", fit, Fit | Mixture, "what fit, load_fit or stack returned")
    fits = [one for one, _ in members(fit)]
    if not all(one.draws.sizes["draw"] for one in fits):
        raise InputError(
            "forecast: this point fit has no bootstrap, so no interval; fit with bootstrap=1000 (--bootstrap 1000)."
        )
    if new_group and not any(one.spec.group_columns for one in fits):
        raise InputError(
            f"new_group: the law '{fits[0].spec.name}' pools no parameter over groups; leave it out (--new-group)."
        )
    spec = fits[0].spec
    dim = "step" if needs_schedule(spec) else "target"
    inputs, coords, checks = forecast_inputs(fits, targets, schedule, steps, group)
    for one, given in zip(fits, inputs, strict=True):
        if one.is_posterior:
            check_groups(one, given, new_group)
    evaluation = evaluation_of(fit, samples, targets)
    held, weights = _weighed(fit, coords["orders_beyond"], dim, draws)
    unit = {"units": spec.output.unit}
    attrs = {"law_share": {"units": "share"}}
    quantities, kinds = (_together if draws else _apart)(held, inputs, prob, seed, evaluation, weights)
    checks = [*checks, *finite_checks(quantities, coords.get("step"), prob)]
    del quantities["valueless"]
    out = xr.Dataset(
        {n: (("kind", dim), v, attrs.get(n, unit)) for n, v in quantities.items()}, {"kind": list(KINDS)}
    )
    out = out.assign_coords({name: (dim, values) for name, values in coords.items()})
    if dim == "target":
        out = out.assign_coords(target=np.arange(out.sizes["target"]))
    if draws:
        values = np.stack([to_output(spec, kinds[k]) for k in KINDS], axis=-1)
        out["draws"] = ("draw", dim, "kind"), values, unit
    if weights is not None:
        out = out.assign_coords({f"weight_{n}": (dim, w) for n, w in zip(held.fits, weights.T, strict=True)})
    about, found = _about(fit, coords["orders_beyond"], dim)
    about, checks = about | evaluation_attrs(fit, samples, targets), [*checks, *found]
    about["track_record"] = rows_json(cited(fit, coords["orders_beyond"]))
    return out.assign_attrs(
        output=spec.output.name, units=spec.output.unit, prob=float(prob), **about, checks=to_json(checks)
    )


def _about(fit: Fit | Mixture, orders: np.ndarray, dim: str) -> tuple[dict[str, str], list[Check]]:
    """Return what to say of who forecasts; of a mixture with its weights, and what they rest on."""
    if not isinstance(fit, Mixture):
        return {"model": fit.spec.name, "method": fit.method}, []
    farthest = _farthest(orders, dim)
    about = {"model": fit.name, "method": "mixture", "weights": weights_text(fit.held_at(farthest))}
    return about, weight_checks(fit, farthest)


def _farthest(orders: np.ndarray, dim: str) -> float:
    """Return the distance at which all targets together are judged; a schedule is where it ends."""
    return float(orders[-1] if dim == "step" else orders.max())


def _weighed(
    fit: Fit | Mixture, orders: np.ndarray, dim: str, together: bool
) -> tuple[Fit | Mixture, np.ndarray | None]:
    """Hold a mixture at one distance where its targets are drawn jointly; else return each target's weights."""
    if not isinstance(fit, Mixture) or not fit.by_distance:
        return fit, None
    if together or dim == "step":
        return fit.held_at(_farthest(orders, dim)), None
    return fit, fit.weights_at(orders)


def _apart(
    fit: Fit | Mixture,
    inputs: list[dict[str, np.ndarray]],
    prob: float,
    seed: int,
    evaluation: Evaluation | None,
    weights: np.ndarray | None,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Summarise draws of every kind, each target by itself and a block of targets at a time; the draws are not kept."""
    rng = np.random.default_rng(seed)
    draws = sum(one.draws.sizes["chain"] * one.draws.sizes["draw"] for one, _ in members(fit))
    targets = len(inputs[0]["sampling_error"])
    thin = max(1, draws * targets // _VALUES)
    posterior = posterior_of(fit, thin, evaluation)
    block = max(1, _BLOCK // (draws // thin))
    pieces = []
    for start in range(0, targets, block):
        here = slice(start, start + block)
        own = [{n: v[here] for n, v in part.items()} for part in inputs]
        shares = None if weights is None else weights[here]
        pieces.append(_summarised(posterior, own, rng, prob, shares, together=False)[0])
    return {n: np.concatenate([p[n] for p in pieces], axis=1) for n in pieces[0]}, {}


def _together(
    fit: Fit | Mixture,
    inputs: list[dict[str, np.ndarray]],
    prob: float,
    seed: int,
    evaluation: Evaluation | None,
    weights: np.ndarray | None,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Summarise joint draws of every kind, and return them."""
    targets, most = len(inputs[0]["sampling_error"]), most_together(fit)
    if targets > most:
        raise InputError(
            f"draws: found {targets:,} targets or steps, allowed: at most {most:,} together; forecast fewer, as with "
            "steps=range(0, total, 100)."
        )
    posterior = posterior_of(fit, evaluation=evaluation)
    return _summarised(posterior, inputs, np.random.default_rng(seed), prob, weights, together=True)


def most_together(fit: Fit | Mixture) -> int:
    """Return how many targets of a fit are drawn jointly at most."""
    return MOST_CORRELATED if any(one.spec.marginalised for one, _ in members(fit)) else MOST_TOGETHER


def _summarised(
    posterior: Posterior,
    inputs: list[dict[str, np.ndarray]],
    rng: np.random.Generator,
    prob: float,
    weights: np.ndarray | None,
    together: bool,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Draw and summarise; of a mixture also say what of the variance is the choice of law."""
    if not isinstance(posterior, MixedPosterior):
        kinds = posterior.predict(inputs, rng, together)
        return summaries(posterior.spec, kinds, prob), kinds
    parts = posterior.by_law(inputs, rng, together)
    weights = posterior.weights if weights is None else weights
    kinds = mixed(parts, weights)
    share = np.stack([law_share([part[k] for part in parts], weights) for k in KINDS])
    return {**summaries(posterior.spec, kinds, prob), "law_share": share}, kinds
