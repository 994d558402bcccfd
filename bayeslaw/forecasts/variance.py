"""Where a forecast's uncertainty comes from: shares of its variance that add up to one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayeslaw.core.errors import SEEDS, InputError, check_type, check_whole
from bayeslaw.data.curves import needs_schedule
from bayeslaw.forecasts.evaluation import USUAL, Evaluation, evaluation_of
from bayeslaw.forecasts.membership import check_groups
from bayeslaw.forecasts.mixture import Mixture, members
from bayeslaw.forecasts.posterior import new_rows, posterior_of
from bayeslaw.forecasts.targets import forecast_inputs
from bayeslaw.inference.fit import Fit
from bayeslaw.law.schedules import parse_schedule
from bayeslaw.law.spec import Spec

PARAMETERS, CHOICE, NOISE, EVALUATION = "parameters", "law choice", "run noise", "evaluation noise"
TOTAL = "all"
_MEANING = {
    PARAMETERS: "the law's parameters are known only so well",
    CHOICE: "another law of the mixture may hold",
    "discrepancy": "the true curve differs from the law",
    "group": "a group deviates from the others",
    "group and discrepancy": "a group deviates from the others, and the true curve from the law",
    NOISE: "the same run again would land elsewhere",
    EVALUATION: "the output is measured on finitely many samples",
}
COMPONENTS = tuple(_MEANING)
"""All that a variance may be split into, in order."""
_VALUES = 10_000_000


def split(
    fit: Fit | Mixture,
    targets: Mapping[str, Any] | pd.DataFrame | None = None,
    *,
    schedule: str | None = None,
    steps: Sequence[int] | None = None,
    new_group: bool = False,
    group: Mapping[str, str] | None = None,
    seed: int = 0,
    samples: int | str | None = USUAL,
) -> pd.DataFrame:
    """Split the variance of a forecast (kind ``run``) into what it comes from.

    Parameters
    ----------
    fit : Fit or Mixture
    targets, schedule, steps, new_group, group
        As of `forecast`; of a schedule by default its last step only.
    seed : int
    samples : "usual", int or None
        How the run is measured, as of `forecast`.

    Returns
    -------
    pandas.DataFrame
        Columns ``target`` (its number) or ``step``, ``component``, ``share``, ``sd`` (on the scale of
        errors) and ``meaning``. Components in order: parameters; law choice (of a mixture);
        discrepancy (if the law has one; with pooled parameters also the group's deviation); run
        noise; evaluation noise (if the run is measured with one); ``all``, whose share is 1.
        ``attrs["units"]`` is the unit of ``sd``.

    Raises
    ------
    InputError
        If targets or a schedule do not fit the law, or a point fit has no bootstrap.

    Notes
    -----
    One draw of a run is, on the scale of errors, a sum: its law's value, the curve minus the law, the
    run minus the curve. By the law of total variance the law's value splits further, into the mean of
    each law of a mixture (the choice) and what varies around it. Given the data, law and discrepancy
    trade off (one high, the other low), so that their variances add up to more than the whole. The
    share of a component is therefore its covariance with the whole over the variance of the whole:
    shares add up to one, whatever the correlations. A negative share says that this component mostly
    makes up for another one: without it the forecast would be wider, not narrower. ``sd`` is the
    component's own standard deviation, however it is correlated.

    Run noise and evaluation noise are drawn together; their part of a draw is divided in proportion
    to their variances. Draws at which the law has no value on the scale of errors are left out.
    """
    check_whole("seed", seed, *SEEDS)
    check_type("split(fit, …)", fit, Fit | Mixture, "what fit, load_fit or stack returned")
    fits = [one for one, _ in members(fit)]
    if not all(one.draws.sizes["draw"] for one in fits):
        raise InputError("split: this point fit has no bootstrap, so no variance; fit with bootstrap=1000.")
    by_step = needs_schedule(fits[0].spec)
    if by_step and schedule is not None and steps is None:
        steps = [parse_schedule(schedule).total]
    inputs, coords, _ = forecast_inputs(list(fits), targets, schedule, steps, group)
    evaluation = evaluation_of(fit, samples, targets)
    rng = np.random.default_rng(seed)
    parts = []
    for one, given in zip(fits, inputs, strict=True):
        if one.is_posterior:
            check_groups(one, given, new_group)
        parts.append(_parts(one, given, rng, evaluation))
    at = coords["step"] if by_step else np.arange(len(inputs[0]["sampling_error"]))
    table = _shares(parts, _weights(fit, coords["orders_beyond"], by_step))
    if not isinstance(fit, Mixture):
        table.pop(CHOICE)
    return _laid_out(table, "step" if by_step else "target", at, fits[0].spec)


def _weights(fit: Fit | Mixture, orders: np.ndarray, by_step: bool) -> np.ndarray:
    """Return each law's weight at each target, shape (laws, targets), as a forecast has them."""
    if not isinstance(fit, Mixture):
        return np.ones((1, len(orders)))
    if not fit.by_distance:
        return np.tile([[weight] for _, weight in members(fit)], (1, len(orders)))
    return fit.weights_at(np.full(len(orders), orders[-1]) if by_step else orders).T


def _parts(
    fit: Fit, inputs: Mapping[str, np.ndarray], rng: np.random.Generator, evaluation: Evaluation | None
) -> dict[str, Any]:
    """Draw each component of a run, and its square, shape (draws, targets)."""
    size = fit.draws.sizes["chain"] * fit.draws.sizes["draw"]
    thin = max(1, size * len(inputs["sampling_error"]) // _VALUES)
    posterior = posterior_of(fit, thin, evaluation)
    drawn = posterior.predict([inputs], rng)
    law, noise, variance = drawn["law"], drawn["run"] - drawn["curve"], posterior.noise_variance(inputs)
    exact = fit.spec.traits.counts and evaluation is None  # rates that nobody counts
    known = 0.0 if exact else new_rows(fit.spec, inputs, law, evaluation=evaluation).error ** 2
    own = np.broadcast_to(variance / np.maximum(variance + known, 1e-300), law.shape)
    out = {PARAMETERS: (law, None)}
    between = _between(fit)
    if between:
        out[between] = (drawn["curve"] - law, None)
    out[NOISE] = (noise * own, noise**2 * own)
    if np.any(known):
        out[EVALUATION] = (noise * (1 - own), noise**2 * (1 - own))
    return out


def _between(fit: Fit) -> str:
    """Say what lies between law and curve; empty if nothing does."""
    if not fit.is_posterior:
        return ""
    grouped, apart = bool(fit.spec.pooled), fit.spec.discrepancy is not None
    return " and ".join([*(["group"] if grouped else []), *(["discrepancy"] if apart else [])])


def _shares(parts: list[dict[str, Any]], weights: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return share and sd of each component, shape (targets,); weights have shape (laws, targets)."""
    whole = [sum(values for values, _ in part.values()) for part in parts]
    whole = [np.where(np.isfinite(w), w, np.nan) for w in whole]
    means = np.array([_mean(w) for w in whole])
    middle = (weights * means).sum(axis=0)
    choice = (weights * (means - middle) ** 2).sum(axis=0)
    own = [w - m for w, m in zip(whole, means, strict=True)]
    variance = choice + sum(w * _mean(o**2) for w, o in zip(weights, own, strict=True))
    names = list(dict.fromkeys(name for part in parts for name in part))
    out = {}
    for name in sorted(names, key=lambda n: COMPONENTS.index(n)):
        covariance = square = np.zeros_like(variance)
        for weight, part, o in zip(weights, parts, own, strict=True):
            values, squares = part.get(name, (np.zeros_like(o), None))
            centred = np.where(np.isfinite(o), values, np.nan)
            centred = centred - _mean(centred)
            covariance = covariance + weight * _mean(centred * o)
            square = square + weight * _mean(centred**2 if squares is None else squares + 0 * o)
        out[name] = _ratio(covariance, variance), np.sqrt(square)
        if name == PARAMETERS:
            out[CHOICE] = _ratio(choice, variance), np.sqrt(choice)
    out[TOTAL] = _ratio(variance, variance), np.sqrt(variance)
    return out


def _mean(values: np.ndarray) -> np.ndarray:
    """Average over draws that are numbers; NaN where none is."""
    fine = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        return np.where(fine, values, 0.0).sum(axis=0) / np.where(fine.any(axis=0), fine.sum(axis=0), np.nan)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        return np.where(whole > 0, part / whole, np.nan)


def _laid_out(table: Mapping[str, Any], dim: str, at: np.ndarray, spec: Spec) -> pd.DataFrame:
    rows = [
        {dim: place, "component": name, "share": share[i], "sd": sd[i], "meaning": _MEANING.get(name, "")}
        for i, place in enumerate(at)
        for name, (share, sd) in table.items()
    ]
    frame = pd.DataFrame(rows)
    frame.attrs["units"] = spec.output.unit if spec.output.scale == "identity" else spec.output.scale
    return frame
