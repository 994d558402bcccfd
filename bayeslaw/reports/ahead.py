"""Make a report's forecasts: what was asked for, or else what lies at hand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from bayeslaw.core.errors import InputError
from bayeslaw.data.curves import needs_schedule
from bayeslaw.forecasts.forecast import forecast
from bayeslaw.forecasts.membership import schedule_groups, seen_groups
from bayeslaw.forecasts.mixture import Mixture, members
from bayeslaw.forecasts.targets import given_names, target_names
from bayeslaw.inference.fit import Fit
from bayeslaw.law.schedules import parse_schedule
from bayeslaw.law.spec import Spec
from bayeslaw.reports.default_targets import default_targets

_FEW_GROUPS = 6
"""How many groups are forecast one by one where none was named."""


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
        """The rows to show: all targets, or a schedule's last step."""
        return [-1] if "step" in self.fc.dims else list(range(self.fc.sizes["target"]))

    def told(self, row: int, source: xr.Dataset | None = None) -> dict[str, float]:
        """Return median, lower and upper end of a run, in the output's unit."""
        fc = self.fc if source is None else source
        dim = "step" if "step" in fc.dims else "target"
        one = fc.sel(kind="run").isel({dim: row})
        return {name: float(one[name]) for name in ("median", "lower", "upper")}


def forecasts_of(
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
    """Return the targets that a law knows, without those that only another law of the report knows."""
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
    """Return the columns of a schedule's group that a law is pooled over, without those of another law."""
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


def _seen_ends(fit: Fit) -> tuple[list[tuple[str, dict[str, Any]]], str]:
    """Return the schedule and last seen step of each run of the data; or say why there are none."""
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
