"""Put numbers, places and distances into words that need no statistics."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bayeslaw.core.numbers import factor, show
from bayeslaw.forecasts.mixture import members
from bayeslaw.forecasts.track_record import Row, at_distance, from_json
from bayeslaw.reports.ahead import Ahead
from bayeslaw.reports.cases import Case

_OFTEN = {0.5: "one time in two", 0.8: "four times in five", 0.9: "nine times in ten", 0.95: "19 times in 20"}


def often(prob: float) -> str:
    """Say a probability in words: "nine times in ten"."""
    return _OFTEN.get(round(prob, 6), f"with {100 * prob:g} % probability")


def quantity(value: float, unit: str) -> str:
    """Write a number with its unit."""
    plural = {"parameter": "parameters", "token": "tokens"}
    return f"{show(float(value))} {plural.get(unit, unit)}" if unit not in ("", "1") else show(float(value))


def output_words(case: Case) -> str:
    """Name a law's output, with the k of pass@k."""
    name = case.spec.output.name
    return f"−log {pass_at(case)}" if name == "neg_log_pass_at_k" else name.replace("_", " ")


def pass_at(case: Case) -> str:
    """Name pass@k with its k, where all rows have one."""
    data = members(case.fit)[0][0].data
    ks = np.unique(data["k"].values) if "k" in data else []
    return f"pass@{ks[0]:g}" if len(ks) == 1 else "pass@k"


def place(case: Case, ahead: Ahead, row: int) -> str:
    """Say where a forecast is for: a target's inputs, or a step of a schedule."""
    fc = ahead.fc
    if "step" in fc.dims:
        step = f"step {int(fc['step'].values[row])}"
        of = f"run {ahead.run}'s schedule" if ahead.run else ahead.asked["schedule"]
        named = ", ".join(f"{c} {v}" for c, v in ahead.asked.get("group", {}).items())
        return f"{step} of {of}" + (f", {named}" if named and not ahead.run else "")
    specs = [one.spec for one, _ in members(case.fit)]
    units = {name: entry.unit for spec in specs for name, entry in spec.inputs.items()}
    parts = []
    for name in fc.coords:
        if name in ("kind", "target", "orders_beyond") or fc[name].dims != ("target",):
            continue
        value = fc[name].values[row]
        parts.append(f"{name} = {quantity(value, units.get(str(name), ''))}" if np.issubdtype(type(value), np.number) else f"{name} {value}")  # fmt: skip
    return ", ".join(parts)


def distance(ahead: Ahead, row: int) -> str:
    """Say how far a forecast lies beyond the data."""
    orders = float(ahead.fc["orders_beyond"].values[row])
    if orders == 0:
        return "inside the range of the data"
    word = "order" if f"{orders:.2g}" == "1" else "orders"
    return f"{orders:.2g} {word} of magnitude (a factor of {factor(10**orders)}) beyond the data"


def record(ahead: Ahead, row: int) -> str:
    """Say how often intervals of such forecasts held on public tables."""
    orders = float(ahead.fc["orders_beyond"].values[row])
    return record_words(at_distance(from_json(ahead.fc.attrs["track_record"]), orders))


def record_words(row: Row) -> str:
    """Say a row of the track record: how many runs, how many of them inside, over how many tables."""
    if row.up_to == 0:
        where = "inside the range of"
    elif row.beyond == 0:
        where = f"up to {row.up_to:g} orders of magnitude beyond"
    elif np.isfinite(row.up_to):
        where = f"{row.beyond:g} to {row.up_to:g} orders of magnitude beyond"
    else:
        where = f"more than {row.beyond:g} orders of magnitude beyond"
    if not row.outcomes:
        return f"nothing was measured of forecasts like this one {where} the data"
    tables = f"{row.tables} table{'s' if row.tables > 1 else ''}"
    over = f"{tables}, {100 * row.low:.0f}-{100 * row.high:.0f} %"
    of = f"runs {where} public tables of {row.data}"
    held = f"{100 * row.inside / row.outcomes:.0f} % landed inside the 90 % interval"
    if row.law:
        return f"of {row.outcomes} {of}, {held} of {row.law} ({over})"
    inputs = {"1": "of one input", "2": "of two inputs"}.get(row.inputs, "along a schedule")
    return f"this law was not measured; of {row.outcomes} {of}, {held} of the shipped laws {inputs} ({over})"


def shares(case: Case, told: Mapping[str, float]) -> tuple[str, ...]:
    """Say −log pass@k as shares of problems solved: name, median, lower, upper; empty for other outputs."""
    if case.spec.output.name != "neg_log_pass_at_k":
        return ()
    # The larger −log pass@k, the fewer are solved.
    return pass_at(case), *(f"{100 * np.exp(-told[n]):#.3g} %" for n in ("median", "upper", "lower"))


def joined(names: list[str]) -> str:
    """Join names in a sentence."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
