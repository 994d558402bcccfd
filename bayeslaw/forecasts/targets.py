"""What a forecast is of: targets or a schedule, as each law's own inputs, and how far they lie beyond the data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence, Set, Sized
from typing import Any

import numpy as np

from bayeslaw.core.check import Check
from bayeslaw.core.errors import (
    InputError,
    did_you_mean,
    shown,
)
from bayeslaw.data.columns import training_compute
from bayeslaw.data.curves import needs_schedule, schedule_inputs
from bayeslaw.data.sizes import ALLOWED, LARGEST_ERROR, largest_error, odd_sizes
from bayeslaw.forecasts.distance import BUDGET, Distance, distance, distance_checks, farthest
from bayeslaw.forecasts.membership import named_group, schedule_groups
from bayeslaw.inference.fit import Fit
from bayeslaw.law.evaluate import law_inputs, used_inputs
from bayeslaw.law.schedules import Schedule, parse_schedule
from bayeslaw.law.spec import Spec

MOST_PLACES = 50_000
"""Targets or steps of one forecast: with more, few draws would be left to each."""


def forecast_inputs(
    fits: list[Fit],
    targets: Any,
    schedule: str | None,
    steps: Sequence[int] | None,
    group: Mapping[str, str] | None = None,
) -> tuple[list[dict[str, np.ndarray]], dict[str, np.ndarray], list[Check]]:
    """Read targets or a schedule, for `forecast` and whoever shares its arguments.

    Parameters
    ----------
    fits : list of Fit
        The laws of a mixture, or one fit.
    targets, schedule, steps, group
        As of `forecast`.

    Returns
    -------
    inputs : list of dict of str to numpy.ndarray
        Each law's own, by symbol.
    coords : dict of str to numpy.ndarray
        What to show of the targets or steps.
    checks : list of Check
        How far they lie beyond the data.

    Raises
    ------
    InputError
        If the law needs the other of the two, or a target is not allowed.
    """
    spec = fits[0].spec
    if needs_schedule(spec):
        if schedule is None or targets is not None:
            raise InputError(
                f"model '{spec.name}' forecasts along a schedule: forecast(fit, schedule='cosine(…)') / --schedule."
            )
        named = named_group([one.spec for one in fits], group)
        parts = [_along_schedule(one, schedule, steps, named) for one in fits]
        return [inputs for inputs, _, _ in parts], *parts[0][1:]
    if targets is None or schedule is not None:
        names = ", ".join(n for n, i in spec.inputs.items() if not i.function)
        raise InputError(
            f"model '{spec.name}' forecasts at targets: forecast(fit, {{…}}) / --at with a value for {names}."
        )
    if steps is not None:
        raise InputError(f"steps: model '{spec.name}' has none, it forecasts at targets; leave them out.")
    if group is not None:
        raise InputError(
            f"group: found {shown(group)}, which goes with a schedule; targets name their group among themselves, "
            "{…, 'family': ['Llama']} / --at family=Llama."
        )
    labels = {column for one in fits for column in one.spec.label_columns}
    allowed = [target_names(one.spec) for one in fits]
    known = set().union(*allowed)
    columns = _by_our_names(fits[0], _zip_columns(targets, labels, known | given_names(fits[0])))
    for name in columns.keys() - known:
        raise InputError(f"targets: unknown input {name!r}{did_you_mean(name, known)}")
    # Each law takes the columns it knows: another of a mixture may need more.
    own = [
        {n: v for n, v in columns.items() if n in names - _factors(one, fits, columns)}
        for one, names in zip(fits, allowed, strict=True)
    ]
    parts = [_at_targets(one, part) for one, part in zip(fits, own, strict=True)]
    away = farthest([found for _, found in parts])
    told = {n: v for inputs, _ in reversed(parts) for n, v in inputs.items() if n != "sampling_error"}
    return [inputs for inputs, _ in parts], {**told, "orders_beyond": away.orders}, distance_checks(away)


def _factors(fit: Fit, fits: Sequence[Fit], columns: Mapping[str, Any]) -> set[str]:
    """Return compute's factors where a law takes compute itself, and only another of a mixture needs them."""
    own, *others = ({s.inputs[n].column for n in used_inputs(s)} for s in (f.spec for f in (fit, *fits)))
    given = {
        fit.spec.inputs[n].column for n, names in _aliases(fit.spec).items() if columns.keys() & set(names)
    }
    needed = any(set(BUDGET) <= other for other in others)
    return set(BUDGET) if "compute" in given and not set(BUDGET) & own and needed else set()


def _at_targets(fit: Fit, columns: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], Distance]:
    """Return a law's inputs at targets, and how far these lie beyond the data."""
    spec = fit.spec
    _check_names(spec, columns)
    if (
        "params" in columns
        and "tokens" in columns
        and any(i.column == "compute" for i in spec.inputs.values())
    ):
        for name in ("params", "tokens"):
            _refuse_not_positive(name, columns[name], name)
        columns.setdefault("compute", training_compute(columns["params"], columns["tokens"]))
    _check_sizes(fit, columns)
    error = columns.get("sampling_error", np.zeros(len(next(iter(columns.values())))))
    if (error < 0).any():
        raise InputError(f"targets: sampling_error = {error.min():g}, allowed: numbers, 0 or more.")
    inputs = law_inputs(spec, columns)
    for name, values in inputs.items():
        # A reference that was a geometric mean is a number by now; the data behind it were positive.
        if spec.inputs[name].reference is not None:
            _refuse_not_positive(name, values, spec.inputs[name].unit)
    compute = columns.get("compute")
    if compute is not None:
        _refuse_not_positive("compute", compute, "FLOP")
    groups = {c: columns[c] for c in spec.label_columns if c in columns}
    away = distance(fit.bound, inputs, compute)
    return {**inputs, **groups, "sampling_error": error}, away


def _zip_columns(targets: Any, labels: Set[str], known: Set[str]) -> dict[str, np.ndarray]:
    """Return columns of one length, of floats or of groups' labels; single values serve all rows."""
    refusal = InputError(f"targets: expected {{'input': [numbers]}}, found {shown(targets)}.")
    try:
        given = {str(n): v for n, v in dict(targets).items()}
    except (TypeError, ValueError):
        raise refusal from None
    # Before values are read: a label of a group that the law does not know is no number.
    for name in given.keys() - known:
        raise InputError(f"targets: unknown input {name!r}{did_you_mean(name, known)}")
    try:
        columns = {
            n: np.atleast_1d(np.asarray(v, dtype=str if n in labels else float)) for n, v in given.items()
        }
    except (TypeError, ValueError, OverflowError):
        raise refusal from None
    if not columns:
        raise InputError("targets: empty; give a value for each input of the law.")
    for name, values in columns.items():
        if values.ndim != 1 or not len(values):
            raise InputError(
                f"targets: {name!r}: found {shown(given[name])}, allowed: a number, or a list of one or more."
            )
    length = max(len(v) for v in columns.values())
    _refuse_many("targets", length, "forecast them in parts")
    for name, values in columns.items():
        if len(values) not in (1, length):
            raise InputError(
                f"targets: {name!r} has {len(values)} value(s), others have {length}; rows go together."
            )
        if name not in labels and not np.isfinite(values).all():
            raise InputError(f"targets: {name!r} holds a value that is not finite; all must be.")
    return {n: np.broadcast_to(v, length) for n, v in columns.items()}


def _refuse_many(what: str, count: int, advice: str) -> None:
    """Refuse more places than a forecast has draws for."""
    if count > MOST_PLACES:
        raise InputError(
            f"{what}: found {count:,} of them, allowed: at most {MOST_PLACES:,} at once; {advice}."
        )


def given_names(fit: Fit) -> set[str]:
    """Return all names that targets may have, those of the table before renames too.

    Parameters
    ----------
    fit : Fit

    Returns
    -------
    set of str
    """
    own, renamed = target_names(fit.spec), _renamed(fit)
    theirs = {name for name, ours in renamed.items() if ours in own}
    return own | theirs | ({"params", "tokens"} if "compute" in theirs else set())


def states_error(fit: Fit, targets: Any) -> bool:
    """Return whether targets have a ``sampling_error``, by our name or the table's.

    Parameters
    ----------
    fit : Fit
    targets : mapping, DataFrame, str or None
        As `forecast_inputs` found them to be; a schedule's text has none.

    Returns
    -------
    bool
    """
    theirs = {name for name, ours in _renamed(fit).items() if ours == "sampling_error"}
    named = () if targets is None or isinstance(targets, str) else map(str, dict(targets))
    return not {"sampling_error", *theirs}.isdisjoint(named)


def _renamed(fit: Fit) -> dict[str, str]:
    return json.loads(fit.data.attrs.get("renamed", "{}"))


def _by_our_names(fit: Fit, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return targets under the names that the law's columns got when the table was read."""
    own, columns = target_names(fit.spec), dict(columns)
    for name, ours in _renamed(fit).items():
        given = [name] if name in columns and name not in own else []
        if name == "compute" and {"params", "tokens"} <= columns.keys() - own:
            given = [*given, "params and tokens"]
        if ours not in own or not given:
            continue
        if ours in columns or len(given) > 1:
            both = [*([ours] if ours in columns else []), *given]
            raise InputError(f"targets: {' and '.join(both)} are one input; give one of them.")
        if given == [name]:
            columns[ours] = columns.pop(name)
        else:
            for factor in ("params", "tokens"):
                _refuse_not_positive(factor, columns[factor], factor)
            columns[ours] = training_compute(columns.pop("params"), columns.pop("tokens"))
    return columns


def _aliases(spec: Spec) -> dict[str, list[str]]:
    """Return the names under which each input of a law may be given: its symbol, its column."""
    used = [spec.inputs[name] for name in used_inputs(spec)]
    return {i.name: [i.name, *([i.column] if i.column != i.name else [])] for i in used}


def target_names(spec: Spec) -> set[str]:
    """Return all names that targets of a law may have."""
    aliases = _aliases(spec)
    allowed = (
        {alias for names in aliases.values() for alias in names}
        | {"sampling_error"}
        | set(spec.label_columns)
    )
    columns = {spec.inputs[n].column for n in aliases}
    # Compute from its factors; or, of a law in these, compute that is not 6·N·D.
    more = set(BUDGET) if "compute" in columns else {"compute"} if set(BUDGET) <= columns else set()
    return allowed | more


def _check_names(spec: Spec, columns: Mapping[str, np.ndarray]) -> None:
    """Refuse targets that are given twice, or that are missing."""
    product = [n for n in used_inputs(spec) if spec.inputs[n].column == "compute"]
    for name, names in _aliases(spec).items():
        given = [n for n in names if n in columns]
        if name in product and {"params", "tokens"} <= columns.keys():
            given.append("params and tokens")
        if len(given) != 1:
            ways = " or ".join(names) + (" or params and tokens" if name in product else "")
            found = " and ".join(given) if given else "nothing"
            raise InputError(f"targets: {name} needs one of {ways}, found {found}.")


def _check_sizes(fit: Fit, columns: Mapping[str, np.ndarray]) -> None:
    """Refuse targets, and their sampling errors, of absurd size."""
    for name, values in columns.items():
        if values.dtype.kind == "f" and (odd := odd_sizes(values)).any() and name != "sampling_error":
            raise InputError(f"targets: {name} = {values[odd][0]:g}, allowed: {ALLOWED}.")
    most = largest_error(fit.data[fit.spec.output.name].values)
    error = columns.get("sampling_error", np.zeros(1))
    if error.max() > most:
        raise InputError(
            f"targets: sampling_error = {error.max():g}, allowed: up to {most:.3g}, {LARGEST_ERROR:g} times the "
            f"largest {fit.spec.output.name} in the data; check the unit."
        )


def _refuse_not_positive(name: str, values: np.ndarray, unit: str) -> None:
    if (values <= 0).any():
        raise InputError(
            f"targets: {name} = {values[values <= 0][0]:g}, allowed: numbers greater than 0 ({unit})."
        )


def _along_schedule(fit: Fit, text: str, steps: Sequence[int] | None, group: Mapping[str, str]):
    """Compute the law's inputs along a schedule, and what is to be known of it."""
    schedule = parse_schedule(text)
    first = schedule.first
    if steps is None:
        at = schedule_steps(schedule, -(-(schedule.total + 1 - first) // MOST_PLACES))
    else:
        length = len(steps) if isinstance(steps, Sized) else 0
        _refuse_many("steps", length, "give fewer, as in steps=range(0, total, 100) / --every 100")
        at = np.asarray(steps)
        if (
            at.ndim != 1
            or not len(at)
            or at.dtype.kind not in "iu"
            or at.min() < first
            or at.max() > schedule.total
        ):
            raise InputError(
                f"steps: found {shown(steps)}; allowed: whole numbers from {first} (behind warm-up) to {schedule.total}."
            )
    raw = schedule_inputs(fit.spec, schedule, at)
    inputs = law_inputs(fit.spec, raw)
    _check_sizes(fit, {n: v for n, v in inputs.items() if v.ndim == 1})
    away = distance(fit.bound, inputs)
    groups = {c: np.full(len(at), group[c]) for c in schedule_groups(fit.spec) if c in group}
    coords = {"step": at, "lr": schedule.lr[at], **groups, "orders_beyond": away.orders}
    checks = [*distance_checks(away.at_end), *_rate_checks(fit, schedule.lr, first)]
    own = {**inputs, **groups, "step": at.astype(float), "sampling_error": np.zeros(len(at))}
    return own, coords, checks


def schedule_steps(schedule: Schedule, every: int = 1) -> np.ndarray:
    """Return the steps of a schedule that a law speaks of, every so many, and the last."""
    return np.unique(np.append(np.arange(schedule.first, schedule.total + 1, every), schedule.total))


def _rate_checks(fit: Fit, lr: np.ndarray, first: int) -> list[Check]:
    """Name what the annealing law is known to get wrong."""
    checks = []
    trained, peak = float(fit.data["lr"].max()), float(lr.max())
    if abs(peak / trained - 1) > 0.01:
        checks.append(
            Check(
                "peak-rate",
                "warn",
                peak / trained,
                f"The schedule's peak rate {peak:g} is not the {trained:g} that was trained: the law holds for one peak rate; do not compare schedules of different peaks.",
            )
        )
    idle = int((lr[first:] == 0).sum())
    if idle > 1:
        checks.append(
            Check(
                "zero-rate",
                "warn",
                float(idle),
                f"{idle} steps run at a rate of zero: the law lets the loss fall there although nothing is trained; cut them off.",
            )
        )
    return checks
