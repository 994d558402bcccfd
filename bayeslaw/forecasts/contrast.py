"""The difference of two forecasts of one posterior, with what they share: parameters, discrepancy, a group, a branch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.core.check import Check, to_json
from bayeslaw.core.draws import over_draws
from bayeslaw.core.errors import (
    SEEDS,
    InputError,
    check_choice,
    check_flag,
    check_probability,
    check_type,
    check_whole,
    shown,
)
from bayeslaw.data.curves import needs_schedule
from bayeslaw.forecasts.evaluation import USUAL, evaluation_of
from bayeslaw.forecasts.forecast import most_together
from bayeslaw.forecasts.intervals import KINDS, VALUELESS
from bayeslaw.forecasts.membership import check_groups
from bayeslaw.forecasts.mixture import Mixture, members
from bayeslaw.forecasts.posterior import posterior_of
from bayeslaw.forecasts.targets import forecast_inputs
from bayeslaw.inference.fit import Fit
from bayeslaw.law.schedules import parse_schedule
from bayeslaw.observation.base import to_output

_SCHEDULE = "schedule"
_NAMES = ("a", "b")
_ROUNDING = 1e-7


@dataclass(frozen=True)
class _Pair:
    """Both sides' rows, one behind the other, for each law.

    Attributes
    ----------
    columns : list of dict of str to numpy.ndarray
        Each law's own, of all rows.
    a, b : numpy.ndarray of int
        Which rows are compared; those of `a` and `b` go together.
    attrs : mapping
        Which run branches off which.
    orders : float
        How far the farthest row lies beyond the data, for a mixture's weights.
    checks : list of Check
        How far the rows lie beyond the data.
    """

    columns: list[dict[str, np.ndarray]]
    a: np.ndarray
    b: np.ndarray
    attrs: Mapping[str, Any]
    orders: float
    checks: list[Check]


def contrast(
    fit: Fit | Mixture,
    a: Mapping[str, Any] | pd.DataFrame | str,
    b: Mapping[str, Any] | pd.DataFrame | str,
    kind: str = "run",
    prob: float = 0.9,
    *,
    new_group: bool = False,
    seed: int = 0,
    samples: int | str | None = USUAL,
) -> xr.Dataset:
    """Compare two targets, two schedules or two groups under one posterior.

    Parameters
    ----------
    fit : Fit or Mixture
    a, b : mapping, DataFrame or str
        What to compare. Targets as of `forecast`, one or as many as the other side has:
        ``{"C": [1e23]}`` and ``{"C": [1e24]}``; groups are targets that name them, ``{"C": [1e24], "family":
        ["Llama"]}``. Of a law along schedules a schedule's text, whose last step counts, or a mapping of
        it and the run's group, ``{"schedule": "cosine(…)", "model_size": "100M"}``.
    kind : {"run", "curve", "law"}
        Two runs, two noiseless curves, or the formula alone, which knows of no groups.
    prob : float
        Probability of the interval, in (0, 1).
    new_group : bool
        Targets that name no group are of one that was not seen, the same on both sides.
    seed : int
    samples : "usual", int or None
        How both runs are measured, as of `forecast`.

    Returns
    -------
    xarray.Dataset
        Dim ``target``. ``median``, ``lower``, ``upper`` of a − b in the output's unit; ``mean``, by how
        much the sides' means differ, each taken on the scale of errors as `forecast` does; ``p_less``, the
        probability that a is below b (equal values, to seven digits, are not); ``median_a`` and ``median_b``.
        ``attrs["checks"]`` says how far both lie beyond the data.

    Raises
    ------
    InputError
        If a side does not fit the law, or the sides have different numbers of targets.

    Notes
    -----
    From joint draws: what both sides share moves them together and cancels, so that a difference is known
    better than two intervals side by side suggest. The parameters are shared; the discrepancy as its kernel
    says; a group, if both are of it; and along schedules, two that warm up alike and have the same rates up to
    some step are taken for one run up to there, from whose checkpoint the other starts. The noise of two runs
    is their own. A mixture whose weights depend on the distance has those of the farther side for both.
    """
    check_choice("kind", kind, KINDS)
    check_probability("prob", prob)
    check_flag("new_group", new_group)
    check_whole("seed", seed, *SEEDS)
    check_type("contrast(fit, …)", fit, Fit | Mixture, "what fit, load_fit or stack returned")
    fits = [one for one, _ in members(fit)]
    if not all(one.draws.sizes["draw"] for one in fits):
        raise InputError(
            "contrast: this point fit has no bootstrap, so no interval; fit with bootstrap=1000."
        )
    if new_group and not any(one.spec.group_columns for one in fits):
        raise InputError(
            f"new_group: the law '{fits[0].spec.name}' pools no parameter over groups; leave it out (--new-group)."
        )
    pair = (_schedules if needs_schedule(fits[0].spec) else _targets)(fits, a, b)
    if kind == "law":
        _refuse_groups(fits, pair)
    for one, columns in zip(fits, pair.columns, strict=True):
        if one.is_posterior:
            check_groups(one, columns, new_group)
    rng = np.random.default_rng(seed)
    columns = [_unnamed(one, given) for one, given in zip(fits, pair.columns, strict=True)]
    held = fit.held_at(pair.orders) if isinstance(fit, Mixture) else fit
    posterior = posterior_of(held, evaluation=evaluation_of(fit, samples, a))
    drawn = posterior.predict(columns, rng, together=True, attrs=pair.attrs)[kind]
    return _laid_out(fit, drawn[:, pair.a], drawn[:, pair.b], pair.checks, kind, prob)


def _targets(fits: list[Fit], a: Any, b: Any) -> _Pair:
    """Put two sets of targets behind each other."""
    parts, sizes, away, found = [], [], [], []
    for name, side in zip(_NAMES, (a, b), strict=True):
        if not isinstance(side, Mapping | pd.DataFrame):
            raise InputError(
                f"contrast, {name}: found {shown(side)}, allowed: targets, {{'input': [numbers]}}."
            )
        inputs, coords, checks = _side_inputs(fits, name, side, None, None)
        parts.append(inputs)
        sizes.append(len(coords["orders_beyond"]))
        away.append(coords["orders_beyond"].max())
        found += _named(checks, name)
    if sizes[0] != sizes[1] and 1 not in sizes:
        raise InputError(
            f"contrast: a has {sizes[0]} targets and b {sizes[1]}; allowed: as many on both sides, or one on either."
        )
    most = min(most_together(fit) for fit in fits)
    if sum(sizes) > most:
        raise InputError(
            f"contrast: found {sum(sizes):,} targets, allowed: at most {most:,} together; compare fewer."
        )
    columns = [_joined(ours, theirs) for ours, theirs in zip(*parts, strict=True)]
    rows = np.arange(max(sizes))
    one, two = (rows if size > 1 else np.zeros_like(rows) for size in sizes)
    return _Pair(columns, one, sizes[0] + two, {}, float(max(away)), found)


def _joined(ours: Mapping[str, np.ndarray], theirs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Put the rows of one side behind those of the other; both name the same columns."""
    if odd := ours.keys() ^ theirs.keys():
        name = sorted(odd)[0]
        raise InputError(f"contrast: only one side names {name!r}; name it on both, or on neither.")
    return {name: np.concatenate([ours[name], theirs[name]]) for name in ours}


def _refuse_groups(fits: list[Fit], pair: _Pair) -> None:
    """Refuse to compare groups by the law alone, which is the same for all."""
    for fit, columns in zip(fits, pair.columns, strict=True):
        for name in fit.spec.group_columns:
            if name in columns and (columns[name][pair.a] != columns[name][pair.b]).any():
                raise InputError(
                    f"contrast: kind 'law' is the formula with the values that all groups share, so it does not tell one {name} "
                    "from another; allowed here: 'run' or 'curve'."
                )


def _side_inputs(fits: list[Fit], name: str, *asked: Any) -> Any:
    """Read a side as `forecast_inputs` does; say which side an error is about."""
    try:
        return forecast_inputs(fits, *asked)
    except InputError as error:
        raise InputError(f"contrast, {name}: {error}") from None


def _schedules(fits: list[Fit], a: Any, b: Any) -> _Pair:
    """Put two schedules' last steps behind each other, and the step up to which they are one run."""
    texts, groups = zip(
        *(_schedule_of(side, name) for side, name in zip((a, b), _NAMES, strict=True)), strict=True
    )
    one, two = (parse_schedule(text) for text in texts)
    size = min(len(one.lr), len(two.lr))
    apart = np.flatnonzero(one.lr[:size] != two.lr[:size])
    shared = int(apart[0]) - 1 if len(apart) else size - 1
    # The rates of hold=true are not those of warm-up: runs that warmed up otherwise are two from the start.
    alike = one.warmup == two.warmup and groups[0] == groups[1]
    branches = alike and shared >= max(one.first, two.first, 1)
    steps = [sorted({*([shared] if branches else []), one.total}), [two.total]]
    runs = _run_names(fits)
    if branches and shared == size - 1:
        runs = runs[0], runs[0]  # one goes on where the other ends: one run, and one group of a pooled `run`
    parts, away, found = [], [], []
    for name, run, text, group, at in zip(_NAMES, runs, texts, groups, steps, strict=True):
        inputs, coords, checks = _side_inputs(fits, name, None, text, at, group or None)
        away.append(coords["orders_beyond"][-1])
        parts.append([_as_run(fit, part, run) for fit, part in zip(fits, inputs, strict=True)])
        found += _named(checks, name)
    columns = [_joined(ours, theirs) for ours, theirs in zip(*parts, strict=True)]
    last = np.array([len(steps[0]) - 1])
    apart = branches and runs[0] != runs[1]
    attrs = {"branches": json.dumps({runs[1]: [runs[0], shared]})} if apart else {}
    return _Pair(columns, last, last + 1, attrs, float(max(away)), found)


def _schedule_of(side: Any, name: str) -> tuple[str, dict[str, str]]:
    """Return a side's schedule, and the group of its run."""
    given = {_SCHEDULE: side} if isinstance(side, str) else side
    if not isinstance(given, Mapping) or not isinstance(given.get(_SCHEDULE), str):
        raise InputError(
            f"contrast, {name}: found {shown(side)}, allowed: a schedule, 'cosine(…)', or a mapping of it and its group, "
            "{'schedule': 'cosine(…)', 'model_size': '100M'}."
        )
    return given[_SCHEDULE], {n: v for n, v in given.items() if n != _SCHEDULE}


def _run_names(fits: list[Fit]) -> tuple[str, str]:
    """Name both sides' runs as no trained run, nor one that these branch off, is named."""
    taken = " ".join(fit.data.attrs.get("branches", "") for fit in fits)
    for fit in fits:
        for column in _run_columns(fit):
            taken += " ".join(np.unique(fit.data[column].values.astype(str)))
    mark = "contrast"
    while f"({mark}:" in taken:
        mark += "'"
    return f"({mark}: a)", f"({mark}: b)"


def _run_columns(fit: Fit) -> set[str]:
    """Return the columns that name a law's runs."""
    found = fit.spec.discrepancy
    within = {found.within} if found is not None and found.within else set()
    return within | ({"run"} & set(fit.spec.group_columns))


def _unnamed(fit: Fit, columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Label groups that are not named, the same on both sides: runs of them then still are groups of their own."""
    size = len(columns["sampling_error"])
    missing = (
        [c for c in fit.spec.group_columns if c not in columns] if _run_columns(fit) & columns.keys() else []
    )
    return {**columns, **{column: np.full(size, "a new one") for column in missing}}


def _as_run(fit: Fit, columns: dict[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    """Give a side's rows a run of their own, under a name that no trained run has."""
    size = len(columns["sampling_error"])
    return {**columns, **{column: np.full(size, name) for column in _run_columns(fit)}}


def _named(checks: list[Check], side: str) -> list[Check]:
    """Say of which side a check is."""
    return [Check(c.name, c.level, c.value, f"{side}: {c.message}") for c in checks]


def _laid_out(
    fit: Fit | Mixture, ours: np.ndarray, theirs: np.ndarray, checks: list[Check], kind: str, prob: float
) -> xr.Dataset:
    """Summarise the difference of two sides' draws on the scale of errors."""
    spec = members(fit)[0][0].spec
    with np.errstate(all="ignore"):
        one, two = to_output(spec, ours), to_output(spec, theirs)
        gap = one - two
        # Two places that are one share everything: what is left is rounding.
        gap = np.where(np.abs(gap) <= _ROUNDING * np.abs(one), 0.0, gap)
    valued = np.isfinite(gap)
    _, (low, middle, high) = over_draws(gap, valued, [(1 - prob) / 2, 0.5, (1 + prob) / 2])
    sides = [over_draws(side, valued, [0.5]) for side in (ours, theirs)]
    with np.errstate(all="ignore"):
        # As of a forecast: the draws in the output's unit, and their difference, may have no mean.
        mean = np.subtract(*(to_output(spec, average) for average, _ in sides))
        medians = [to_output(spec, quantiles[0]) for _, quantiles in sides]
    with np.errstate(invalid="ignore"):
        less = np.where(valued, gap < 0, 0).sum(axis=0) / np.where(
            valued.any(axis=0), valued.sum(axis=0), np.nan
        )
    lacking = float(1 - valued.mean(axis=0).min())
    if lacking > 0:
        message = (
            f"The law has no value in up to {100 * lacking:.2g} % of the draws, which are left out: look at the inputs and "
            "their units, or compare nearer to the data."
        )
        level = "fail" if lacking > VALUELESS or lacking >= (1 - prob) / 2 else "warn"
        checks = [*checks, Check("finite", level, lacking, message)]
    unit, share = {"units": spec.output.unit}, {"units": "share"}
    values = {"mean": mean, "median": middle, "lower": low, "upper": high}
    values |= {"median_a": medians[0], "median_b": medians[1]}
    out = xr.Dataset({n: ("target", v, unit) for n, v in values.items()})
    out = out.assign(p_less=("target", less, share)).assign_coords(target=np.arange(len(mean)))
    name = fit.name if isinstance(fit, Mixture) else spec.name
    return out.assign_attrs(
        model=name, output=spec.output.name, units=spec.output.unit, kind=kind, prob=float(prob),
        checks=to_json(checks),
    )  # fmt: skip
