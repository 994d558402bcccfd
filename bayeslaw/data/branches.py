"""Find runs that start from another run's checkpoint, and count what they share once."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from bayeslaw.core.check import Check
from bayeslaw.data.rows import Excluded
from bayeslaw.law.schedules import Schedule, parse_schedule

_LEAST_SHARED = 3


def whole_copies(frame: pd.DataFrame, output: str) -> list[Check]:
    """Name runs that hold the same values at the same steps from end to end."""
    seen: dict[bytes, str] = {}
    found = []
    for run, curve in frame.groupby("run", sort=False):
        curve = curve.sort_values("step")
        mark = curve[["step", output]].to_numpy(dtype=float).tobytes()
        if mark in seen and len(curve) >= _LEAST_SHARED:
            found.append((seen[mark], str(run)))
        seen.setdefault(mark, str(run))
    if not found:
        return []
    named = "; ".join(f"{one} and {two}" for one, two in found[:3])
    message = (
        f"{len(found)} run(s) hold the same values at every step as another one ({named}): a curve that stands twice "
        f"counts twice. Leave the copy out: where='run!={found[0][1]}' / --where 'run!={found[0][1]}'."
    )
    return [Check("runs-alike", "warn", float(len(found)), message)]


def count_once(
    frame: pd.DataFrame, texts: Mapping[str, str], output: str, excluded: Excluded
) -> tuple[pd.DataFrame, dict[str, list]]:
    """Leave out rows that a run shares with one before it; return which run branches off which, and where."""
    curves = {run: curve.sort_values("step") for run, curve in frame.groupby("run", sort=False)}
    schedules = {run: schedule_of(curve, texts[run]) for run, curve in curves.items()}
    branches: dict[str, list] = {}
    owner: dict[int, int] = {}
    for i, (run, curve) in enumerate(curves.items()):
        found = [(_last_shared(curve, curves[other], schedules[run], schedules[other], output), other)
                 for other in list(curves)[:i]]  # fmt: skip
        last, other = max(found, default=(-1, ""))
        if last < 0:
            continue
        branches[run] = [other, last]
        shared = curve[(curve["step"] <= last) & curve["step"].isin(curves[other]["step"])]
        excluded.add(
            (f"{run} step {s:.0f}" for s in shared["step"]),
            f"shared with run {other!r}, from whose checkpoint it starts, and counted there",
        )
        place = dict(zip(curves[other]["step"], curves[other].index, strict=True))
        owner |= {row: owner.get(place[step], place[step]) for row, step in shared["step"].items()}
    if owner:  # a point fit weighs a row by the curves that have it, as its sources do
        counts = pd.Series(owner.values()).value_counts()
        frame = frame.assign(shared_by=1.0 + frame.index.map(counts).to_series().fillna(0.0).to_numpy())
    return frame.drop(index=list(owner)), branches


def schedule_of(curve: pd.DataFrame, text: str) -> Schedule:
    """Return a run's schedule from its text; logged rates are the table's own."""
    steps = curve["step"].to_numpy(dtype=int)
    return parse_schedule(text, (steps, curve["lr"].to_numpy()) if "lr" in curve else None)


def _last_shared(a: pd.DataFrame, b: pd.DataFrame, one: Schedule, two: Schedule, output: str) -> int:
    """Return the last step up to which two runs are one: same rates, same logged values; −1 if none."""
    size = min(len(one.lr), len(two.lr))
    apart = np.flatnonzero(one.lr[:size] != two.lr[:size])
    last = int(apart[0]) - 1 if len(apart) else size - 1
    both = a.merge(b, on="step", suffixes=("", "_other"))
    both = both[both["step"] <= last]
    # Two runs of one schedule are two runs: only equal values, several of them, make one run of them.
    same = len(both) >= _LEAST_SHARED and (both[output] == both[f"{output}_other"]).all()
    return int(both["step"].max()) if same and len(both) < len(a) else -1
