"""What a report is about: each fit with its checks, the point fit beside it, and what both foretell."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.assess.checks import checks, worst_level
from bayeslaw.core.check import Check, from_json
from bayeslaw.core.errors import InputError, listed, shown
from bayeslaw.data.curves import needs_schedule
from bayeslaw.data.tables import training_compute
from bayeslaw.forecasts.distance import BUDGET
from bayeslaw.forecasts.forecast import forecast
from bayeslaw.forecasts.membership import schedule_groups, seen_groups
from bayeslaw.forecasts.mixture import Mixture, members
from bayeslaw.forecasts.targets import forecast_inputs, given_names, target_names
from bayeslaw.inference.fit import Fit
from bayeslaw.inference.fitting import fit as fit_again
from bayeslaw.law.evaluate import used_inputs
from bayeslaw.law.schedules import parse_schedule
from bayeslaw.law.spec import Spec

BOOTSTRAP = 200
"""Resamples of the point fit that stands beside a posterior."""
_FEW_GROUPS = 6
"""So many groups are forecast one by one where none was named."""
_BETTER_IF_SMALLER = ("gold_nll",)
"""Columns that fall as models get better: beyond the data lies below them."""


@dataclass(frozen=True)
class Ahead:
    """A forecast, and how it was asked for.

    Attributes
    ----------
    asked : dict
        The arguments of `forecast`: targets or schedule, steps, group, new_group.
    fc : xarray.Dataset
    point : xarray.Dataset or None
        The same, by the point fit.
    run : str
        The seen run whose schedule it is; empty if it was asked for.
    """

    asked: dict[str, Any]
    fc: xr.Dataset
    point: xr.Dataset | None = None
    run: str = ""

    @property
    def rows(self) -> list[int]:
        """The rows to tell: all targets, or a schedule's last step."""
        return [-1] if "step" in self.fc.dims else list(range(self.fc.sizes["target"]))

    def told(self, row: int, source: xr.Dataset | None = None) -> dict[str, float]:
        """Return median, lower and upper end of a run, in the output's unit."""
        fc = self.fc if source is None else source
        dim = "step" if "step" in fc.dims else "target"
        one = fc.sel(kind="run").isel({dim: row})
        return {name: float(one[name]) for name in ("median", "lower", "upper")}


@dataclass(frozen=True)
class Case:
    """A fit or a mixture, and all that a report says of it.

    Attributes
    ----------
    name : str
        Unique within the report.
    fit : Fit or Mixture
    checks : tuple of Check
        Of the fit.
    point : Fit or None
        The point fit beside a posterior.
    reason : str
        Why there is none, if one was tried.
    ahead : tuple of Ahead
    missing : str
        Why there is no forecast.
    """

    name: str
    fit: Fit | Mixture
    checks: tuple[Check, ...] = ()
    point: Fit | None = None
    reason: str = ""
    ahead: tuple[Ahead, ...] = field(default=(), repr=False)
    missing: str = ""

    @property
    def spec(self) -> Spec:
        """The law; a mixture's first."""
        return members(self.fit)[0][0].spec

    @property
    def all_checks(self) -> tuple[Check, ...]:
        """The fit's checks and its forecasts', each once."""
        of_forecasts = (check for ahead in self.ahead for check in from_json(ahead.fc.attrs["checks"]))
        return tuple(dict.fromkeys((*self.checks, *of_forecasts)))


def make_cases(
    fits: Fit | Mixture | Iterable[Fit | Mixture] | Mapping[str, Fit | Mixture],
    targets: Mapping[str, Any] | pd.DataFrame | None,
    schedule: str | None,
    prob: float,
    group: Mapping[str, str] | None = None,
) -> list[Case]:
    """Check every fit, fit the point estimate beside it, and forecast with both.

    Parameters
    ----------
    fits : Fit, Mixture, or iterable of them
        Or a mapping of names to them. A mixture's laws follow it, each as a case of its own.
    targets, schedule, group
        As of `forecast`; each law takes what it needs. None: see `default_targets`; laws along a
        schedule are forecast to the last seen step of each run's own. Where parameters are pooled and no
        group is named, a forecast is made for each of few groups, or for a new one.
    prob : float

    Returns
    -------
    list of Case

    Raises
    ------
    InputError
        If one is no fit, or targets or schedule do not suit a law.
    """
    named = _unique(_flat(fits))
    specs = [members(fit)[0][0].spec for fit in named.values()]
    for name, value, wanted in (("schedule", schedule, True), ("targets", targets, False)):
        if value is not None and not any(needs_schedule(spec) == wanted for spec in specs):
            raise InputError(
                f"report: {name} given, but {', '.join(dict.fromkeys(s.name for s in specs))} forecast "
                f"{'at targets: targets={…} / --at' if wanted else 'along a schedule: schedule=… / --schedule'}."
            )
    if group is not None and schedule is None:
        raise InputError(
            f"report: group {group!r} given without a schedule; it names the group of the schedule's run."
        )
    asked = {"targets": targets, "schedule": schedule, "group": group}
    cases = [_case(name, fit, asked, prob, specs) for name, fit in named.items()]
    return [_with_laws(case, cases) if isinstance(case.fit, Mixture) else case for case in cases]


def _with_laws(case: Case, cases: Sequence[Case]) -> Case:
    """Let a mixture fail with its laws: draws of a fit that failed are in it."""
    weighed = [fit for fit, _ in members(case.fit)]
    bad = [c.name for c in cases if any(c.fit is fit for fit in weighed) and worst_level(c.checks) == "fail"]
    if not bad:
        return case
    message = (
        f"Fits in the mixture failed a check: {', '.join(bad)}; make these sound first, or leave them out."
    )
    return replace(case, checks=(*case.checks, Check("laws", "fail", float(len(bad)), message)))


def _flat(fits: Any) -> list[tuple[str, Fit | Mixture]]:
    """Return all fits with the names that were given to them, a mixture before its laws, each once."""
    if isinstance(fits, Fit | Mixture):
        fits = [fits]
    given = fits.items() if isinstance(fits, Mapping) else [("", f) for f in _iterated(fits)]
    out: list[tuple[str, Fit | Mixture]] = []
    for name, fit in given:
        if not isinstance(fit, Fit | Mixture):
            raise InputError(
                f"report(fits): found {shown(fit)}, allowed: what fit, load_fit or stack returned, or a list of them."
            )
        own = (
            [(n, one) for n, one in fit.fits.items() if fit.weights[n] > 0]
            if isinstance(fit, Mixture)
            else []
        )
        new = [(str(name), fit), *own]
        out += [(n, one) for n, one in new if not any(one is other for _, other in out)]
    if not out:
        raise InputError("report(fits): found no fit, allowed: one fit or more.")
    return out


def _iterated(fits: Any) -> list[Any]:
    series = isinstance(fits, Iterable) and not isinstance(fits, str | bytes)
    return listed("report(fits)", fits, "one fit or more") if series else [fits]


def _unique(fits: list[tuple[str, Fit | Mixture]]) -> dict[str, Fit | Mixture]:
    """Name fits as given, or after their laws; where that is not enough, after method and place too."""
    plain = [n or ("mixture" if isinstance(f, Mixture) else f.spec.name) for n, f in fits]
    fuller = [
        name
        if plain.count(name) == 1 or isinstance(fit, Mixture)
        else f"{name}, {'posterior' if fit.is_posterior else 'point fit'}"
        for name, (_, fit) in zip(plain, fits, strict=True)
    ]
    out = {}
    for i, name in enumerate(fuller):
        number = f" {1 + fuller[:i].count(name)}" if fuller.count(name) > 1 else ""
        out[name + number] = fits[i][1]
    return out


def _case(
    name: str, fit: Fit | Mixture, asked: Mapping[str, Any], prob: float, specs: Sequence[Spec]
) -> Case:
    """Make one case; what fails on the way is said, but for bad input."""
    if isinstance(fit, Mixture):
        ahead, missing = _aheads(name, fit, None, asked, prob, specs)
        return Case(name, fit, ahead=ahead, missing=missing)
    point, reason = _point(fit) if fit.is_posterior else (None, "")
    if not fit.draws.sizes["draw"]:
        missing = "This point fit has no bootstrap, so no interval: fit again with bootstrap=1000 (--bootstrap 1000)."
        return Case(name, fit, tuple(checks(fit)), missing=missing)
    ahead, missing = _aheads(name, fit, point, asked, prob, specs)
    return Case(name, fit, tuple(checks(fit)), point, reason, ahead, missing)


def _point(fit: Fit) -> tuple[Fit | None, str]:
    """Fit the source's point estimate to the same rows; or say why it cannot be."""
    if fit.spec.pooled:
        groups = " and ".join(fit.spec.group_columns)
        return (
            None,
            f"it would be one law for every {groups}; fit one of them by itself to compare (where=[…]).",
        )
    data = fit.data.drop_vars("outlying", errors="ignore")
    try:
        return fit_again(fit.spec, data, "map", bootstrap=BOOTSTRAP, seed=0, progress=False), ""
    # A posterior's report must not hang on the baseline beside it.
    except (InputError, RuntimeError, ArithmeticError, np.linalg.LinAlgError) as error:
        return None, " ".join(str(error).split()) or type(error).__name__


def _aheads(
    name: str,
    fit: Fit | Mixture,
    point: Fit | None,
    asked: Mapping[str, Any],
    prob: float,
    specs: Sequence[Spec],
) -> tuple[tuple[Ahead, ...], str]:
    """Forecast what was asked for, or what lies at hand; or say why that is not possible."""
    one, targets = members(fit)[0][0], asked["targets"]
    if needs_schedule(one.spec):
        if asked["schedule"] is not None:
            group = _own_group(fit, asked["group"], specs)
            each = [("", given) for given in _along_groups(fit, asked["schedule"], group)]
        else:
            each, missing = _seen_ends(one)
            if not each:
                return (), missing
    else:
        given = _at_seen_groups(fit) if targets is None else _own_targets(one, targets, specs)
        each = [("", _at_groups(fit, given))]
    out = []
    for run, arguments in each:
        try:
            fc = forecast(fit, prob=prob, **arguments)
        except InputError as error:
            raise InputError(f"report, fit {name!r}: {error}") from None
        out.append(Ahead(arguments, fc, None if point is None else _by_point(point, prob, arguments), run))
    return tuple(out), ""


def _own_targets(fit: Fit, targets: Any, specs: Sequence[Spec]) -> Any:
    """Return of the targets what a law knows; what another law of the report knows is not its business."""
    if not isinstance(targets, Mapping):
        return targets
    others = set().union(*(target_names(s) for s in specs)) - given_names(fit)
    return {n: v for n, v in targets.items() if n not in others}


def _by_point(point: Fit, prob: float, arguments: Mapping[str, Any]) -> xr.Dataset | None:
    try:
        return forecast(point, prob=prob, **arguments)
    except InputError:  # the point fit's law may lack a group or an input that the posterior knows
        return None


def _at_groups(fit: Fit | Mixture, targets: Any) -> dict[str, Any]:
    """Return arguments of `forecast`: targets that name no group are of a new one."""
    columns = {column for one, _ in members(fit) for column in one.spec.group_columns}
    fresh = bool(columns) and not columns & set(dict(targets))
    return {"targets": targets} | ({"new_group": True} if fresh else {})


def _few_groups(fit: Fit | Mixture) -> list[dict[str, str]]:
    """Return the seen groups by column, where all laws are pooled over the same and they are few."""
    specs = [one.spec for one, _ in members(fit)]
    columns = schedule_groups(specs[0]) if needs_schedule(specs[0]) else specs[0].group_columns
    if not columns or any(spec.group_columns != specs[0].group_columns for spec in specs):
        return []
    seen = seen_groups(members(fit)[0][0], columns)
    return [dict(zip(columns, labels, strict=True)) for labels in seen] if len(seen) <= _FEW_GROUPS else []


def _at_seen_groups(fit: Fit | Mixture) -> dict[str, list]:
    """Return the default targets, one for each of few groups."""
    targets, groups = default_targets(fit), _few_groups(fit)
    if not groups:
        return targets
    labels = {column: [group[column] for group in groups] for column in groups[0]}
    return {name: values * len(groups) for name, values in targets.items()} | labels


def _own_group(fit: Fit | Mixture, group: Any, specs: Sequence[Spec]) -> Any:
    """Return of a schedule's group what a law is pooled over; another law's column is not its business."""
    if not isinstance(group, Mapping):
        return group
    own = {column for one, _ in members(fit) for column in schedule_groups(one.spec)}
    others = {column for spec in specs for column in schedule_groups(spec)} - own
    return {c: v for c, v in group.items() if c not in others} or None


def _along_groups(fit: Fit | Mixture, schedule: str, group: Mapping[str, str] | None) -> list[dict[str, Any]]:
    """Return arguments of `forecast` for a schedule: the group that was named, each of few, or a new one."""
    if group is not None:
        return [{"schedule": schedule, "group": group}]
    if groups := _few_groups(fit):
        return [{"schedule": schedule, "group": one} for one in groups]
    pooled = any(schedule_groups(one.spec) for one, _ in members(fit))
    return [{"schedule": schedule} | ({"new_group": True} if pooled else {})]


def default_targets(fit: Fit | Mixture) -> dict[str, list[float]]:
    """Return a target one order of magnitude beyond the largest run seen, as `distance` counts orders.

    Parameters
    ----------
    fit : Fit or Mixture
        Of laws that forecast at targets.

    Returns
    -------
    dict of str to list of float
        By column. The row with the largest product of inputs, each input times one factor, such that
        ``orders_beyond`` is 1: with parameters and tokens that is ten times its compute. A column that
        falls as models get better (gold NLL) is divided. Inputs that are not all positive have no
        orders of magnitude: they stay as they are there.
    """
    start: dict[str, float] = {}
    sign: dict[str, float] = {}
    for one, _ in members(fit):
        for column, (value, way) in _largest_run(one).items():
            start.setdefault(column, value)
            sign.setdefault(column, way)
    # A mixture's law in compute must not be asked twice, once by compute and once by its factors.
    twice = len(members(fit)) > 1 and {*BUDGET, "compute"} <= start.keys()

    def at(step: float) -> dict[str, list[float]]:
        out = {c: [_rounded(v * 10 ** (step * sign[c]))] for c, v in start.items()}
        return out | ({"compute": [training_compute(out["params"][0], out["tokens"][0])]} if twice else {})

    return at(_one_order([one for one, _ in members(fit)], at) if any(sign.values()) else 0.0)


def _largest_run(fit: Fit) -> dict[str, tuple[float, float]]:
    """Return of the row with the largest product of inputs: value and direction of growth by column."""
    names = [n for n in used_inputs(fit.spec) if not fit.spec.inputs[n].function]
    columns = dict.fromkeys(fit.spec.inputs[n].column for n in names)
    seen = {c: fit.data[c].values.astype(float) for c in columns}
    sign = {c: (-1.0 if c in _BETTER_IF_SMALLER else 1.0) * (seen[c] > 0).all() for c in columns}
    size = sum(sign[c] * np.log(np.where(seen[c] > 0, seen[c], 1.0)) for c in columns)
    row = int(np.argmax(size))
    return {c: (float(seen[c][row]), float(sign[c])) for c in columns}


def _one_order(fits: list[Fit], at: Callable[[float], dict[str, list[float]]]) -> float:
    """Return the step, in orders of each input, after which targets lie one order beyond the data."""
    low, high = 0.0, 1.0  # an order of every input is an order at least
    while high - low > 1e-4:
        middle = (low + high) / 2
        _, coords, _ = forecast_inputs(fits, at(middle), None, None)
        low, high = (low, middle) if coords["orders_beyond"][0] >= 1 else (middle, high)
    return high


def _rounded(value: float) -> float:
    """Return a number with three significant digits: a target is nobody's exact wish."""
    return float(f"{value:.3g}")


def _seen_ends(fit: Fit) -> tuple[list[tuple[str, dict[str, Any]]], str]:
    """Return, a run of the data each, its schedule and last seen step; or say why there are none."""
    texts = json.loads(fit.data.attrs.get("schedules", "{}"))
    runs, steps = (fit.data[n].values if n in fit.data.coords else np.array([]) for n in ("run", "step"))
    out = []
    for run, text in texts.items():
        here = runs.astype(str) == run
        own = steps[here]
        try:
            parse_schedule(text)
        except InputError:  # rates that only the table knew
            continue
        if len(own):
            group = {c: str(fit.data[c].values[here][0]) for c in schedule_groups(fit.spec)}
            asked = {"schedule": text, "steps": [int(own.max())]} | ({"group": group} if group else {})
            out.append((run, asked))
    return (
        out,
        ""
        if out
        else "No schedule was asked for, and those of the data were logged, not stated: give schedule=… (--schedule).",
    )
