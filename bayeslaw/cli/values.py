"""Turn the options' texts into values, laws with their rows, and targets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayeslaw.cli.output import stage
from bayeslaw.core.errors import InputError

if TYPE_CHECKING:
    import xarray as xr

    from bayeslaw.forecasts.mixture import Mixture
    from bayeslaw.inference.fit import Fit
    from bayeslaw.law.spec import Spec


def pairs(values: Sequence[str], option: str, example: str) -> dict[str, str]:
    """Read options of the form a=b; none may be given twice."""
    found = {}
    for value in values:
        left, sign, right = (part.strip() for part in value.partition("="))
        if not sign or not left or not right:
            raise InputError(f"{option}: found {value!r}, expected {example}.")
        if left in found:
            raise InputError(f"{option}: {left!r} is given twice; give it once.")
        found[left] = right
    return found


def number(text: str, option: str) -> float:
    """Read a number."""
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{option}: found {text!r}, expected a number.") from None


def comma_separated(text: str) -> list[str]:
    """Read values with commas between them."""
    return [part.strip() for part in text.split(",")]


def whole_numbers(text: str, option: str) -> list[int]:
    """Read a list of whole numbers."""
    try:
        return [int(part) for part in comma_separated(text)]
    except ValueError:
        raise InputError(f"{option}: found {text!r}, expected whole numbers, as in 1,16,128.") from None


def schedules(values: Sequence[str]) -> str | dict[str, str]:
    """Read --schedule options: 'run=cosine(…)' each, or one 'cosine(…)' for all runs."""
    named = {}
    for value in values:
        before = value.split("(", 1)[0]
        if "=" in before:
            run, text = value.split("=", 1)
            named[run.strip()] = text.strip()
        elif len(values) == 1:
            return value
        else:
            raise InputError(f'--schedule: found {value!r}, expected "run=cosine(…)" for each run.')
    return named


def law_of(model: str, options: dict[str, Any]) -> Spec:
    """Load the law and change what the options say."""
    from bayeslaw.law.catalogue import change, load_model

    spec = load_model(model)
    changes: dict[str, Any] = {}
    if options["fix"]:
        held = pairs(options["fix"], "--fix", "name=value")
        changes["fix"] = {n: number(v, "--fix") for n, v in held.items()}
    if options["prior"]:
        given = pairs(options["prior"], "--prior", "name=low,high")
        changes["prior"] = {
            n: tuple(number(part, "--prior") for part in v.split(",")) for n, v in given.items()
        }
    if options["pool"]:
        columns = {n: comma_separated(v) for n, v in pairs(options["pool"], "--pool", "name=column").items()}
        changes["pool"] = {n: v if len(v) > 1 else v[0] for n, v in columns.items()}
    if options["likelihood"] is not None:
        changes["likelihood"] = options["likelihood"]
    shared = {n: options[n] for n in ("groups", "runs") if options[n] is not None}
    if options["discrepancy"] == "none":
        if shared:
            raise InputError(
                f"--{min(shared)} goes with the law's discrepancy: leave out --discrepancy none, or it."
            )
        changes["discrepancy"] = None
    elif shared:
        changes["discrepancy"] = shared
    return change(spec, **changes) if changes else spec


def law_and_rows(model: str, table: Path, options: dict[str, Any]) -> tuple[Spec, xr.Dataset]:
    """Load the law, and the table with the reader that the law needs."""
    with stage(f"reading {table}"):
        spec = law_of(model, options)
        return spec, _rows(spec, table, options)


def _rows(spec: Spec, table: Path, options: dict[str, Any]) -> xr.Dataset:
    from bayeslaw.data.curves import needs_schedule, read_curves
    from bayeslaw.data.tables import read_table

    if not needs_schedule(spec):
        if options["schedule"]:
            raise InputError(f"--schedule does not apply to model '{spec.name}'.")
        return read_table(table, spec, k=options["k"], **table_arguments(options))
    for name in ("k", "join", "on", "gold"):
        if options[name] is not None:
            raise InputError(f"--{name} does not apply to model '{spec.name}'.")
    rename = pairs(options["rename"], "--rename", "theirs=ours")
    texts = schedules(options["schedule"]) if options["schedule"] else None
    return read_curves(table, spec, texts, where=options["where"], rename=rename)


def table_arguments(options: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of `read_table`, but for k."""
    given = {n: options[n] for n in ("where", "join", "on", "gold")}
    return given | {"rename": pairs(options["rename"], "--rename", "theirs=ours")}


def targets_of(
    at: Sequence[str], fits: Iterable[Fit | Mixture], option: str = "--at"
) -> dict[str, list[Any]] | None:
    """Read --at options, or those of another name, numbers but for the groups of pooled parameters; None if there are none."""
    from bayeslaw.forecasts.mixture import members

    labels: set[str] = set()
    for fit in fits:
        for one, _ in members(fit):
            labels |= set(one.spec.label_columns)
    return {
        name: comma_separated(text) if name in labels else [number(v, option) for v in text.split(",")]
        for name, text in pairs(at, option, "name=value").items()
    } or None


def forecast_arguments(fit: Fit | Mixture, options: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of `forecast` that the options say."""
    asked: dict[str, Any] = {n: options[n] for n in ("schedule", "prob", "new_group")}
    asked["targets"] = targets_of(options["at"], [fit])
    asked["group"] = group_of(options["group"])
    if (samples := samples_of(options["samples"])) != "usual":
        asked["samples"] = samples
    if options["every"] is not None:
        asked["steps"] = _thinned(options["schedule"], options["every"])
    return asked


def samples_of(text: str) -> int | str | None:
    """Read --samples: a whole number, "none", or what it is by default."""
    if text in ("usual", "none"):
        return None if text == "none" else text
    try:
        return int(text)
    except ValueError:
        raise InputError(f"--samples: found {text!r}, allowed: a whole number, or none.") from None


def group_of(options: Sequence[str]) -> dict[str, str] | None:
    """Read --group options; None if there are none."""
    return pairs(options, "--group", "column=label") or None


def side_of(given: Sequence[str], option: str, fit: Fit | Mixture) -> dict[str, Any] | str:
    """Read --a or --b of a contrast: a schedule and its group, or targets."""
    texts = [text for text in given if "(" in text.partition("=")[0]]  # a label may have one, too
    if not texts:
        return targets_of(given, [fit], option) or {}
    if len(texts) > 1:
        raise InputError(f"{option}: two schedules, {texts[0]!r} and {texts[1]!r}; give one.")
    group = pairs([text for text in given if text not in texts], option, "column=label")
    return {"schedule": texts[0], **group}


def _thinned(schedule: str | None, every: int) -> list[int]:
    from bayeslaw.core.errors import check_whole
    from bayeslaw.forecasts.targets import schedule_steps
    from bayeslaw.law.schedules import parse_schedule

    if schedule is None:
        raise InputError("--every: thins the steps of a schedule; give --schedule with it.")
    check_whole("--every", every, 1)
    return schedule_steps(parse_schedule(schedule), every).tolist()
