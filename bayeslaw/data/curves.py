"""Join loss curves to their learning-rate schedules."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.core.check import Check, to_json
from bayeslaw.core.errors import InputError, check_type, did_you_mean
from bayeslaw.data.branches import count_once, schedule_of, whole_copies
from bayeslaw.data.filters import keep
from bayeslaw.data.opening import open_tables
from bayeslaw.data.plausible import odd_data
from bayeslaw.data.repeats import near_steps
from bayeslaw.data.rows import Excluded, check_positive_inputs, to_dataset
from bayeslaw.data.schema import check_columns, check_labels, check_several, check_unique
from bayeslaw.data.sizes import check_sizes
from bayeslaw.law.schedule_inputs import FUNCTIONS
from bayeslaw.law.schedules import Schedule
from bayeslaw.law.spec import Spec, check_spec

SCHEDULE_COLUMNS = ("lr_area", "lr", "step")
"""Columns that a schedule supplies: S1, the rate, and the step itself."""
LR_TOLERANCE = 0.005
"""How far a logged rate may be from the schedule's, as a share of the peak."""


def needs_schedule(spec: Spec) -> bool:
    """Return whether a law's inputs come from a learning-rate schedule."""
    return any(i.function is not None or i.column == "lr_area" for i in spec.inputs.values())


def schedule_inputs(spec: Spec, schedule: Schedule, steps: np.ndarray) -> dict[str, np.ndarray]:
    """Compute what a law needs of a schedule at some steps.

    Parameters
    ----------
    spec : Spec
    schedule : Schedule
    steps : numpy.ndarray of int, shape (n,)

    Returns
    -------
    dict of str to numpy.ndarray
        ``lr_area`` (S1) and ``lr``, shape (n,), and the prepared numbers of each function input
        under its function's name, shape (n, nodes).
    """
    inputs = {"lr_area": schedule.area(steps), "lr": schedule.lr[steps], "step": steps.astype(float)}
    for entry in spec.inputs.values():
        if entry.function is not None:
            inputs[entry.function] = FUNCTIONS[entry.function].prepare(schedule, steps, entry.ranges)
    return inputs


def read_curves(
    table: str | Path | pd.DataFrame,
    spec: Spec,
    schedules: str | Mapping[str, str] | None = None,
    *,
    where: str | Iterable[str] | None = None,
    rename: Mapping[str, str] | None = None,
) -> xr.Dataset:
    """Join loss curves to their schedules.

    Parameters
    ----------
    table : path or pandas.DataFrame
        One row per logged step: columns ``run``, ``step``, the output's column (``loss``), and
        optionally ``lr``, which must then agree with the schedule.
    spec : Spec
        A law with schedule inputs, such as ``annealing``.
    schedules : str or mapping of str to str
        A schedule's text for each run (see `parse_schedule`), or one text for all, such as
        ``"logged(warmup=2160)"`` for the rates in the table's own ``lr`` column. A mapping may name
        runs that the table lacks; a check counts them.
    where, rename
        As in `read_table`.

    Returns
    -------
    xarray.Dataset
        Dim ``obs``; the output, ``lr_area`` (S1), ``lr``, the function inputs' prepared numbers, and
        the coordinates ``run`` and ``step``. Rows inside warm-up are left out and counted. Where a
        run starts from another's checkpoint (same rates and same logged values up to a step), what
        they share is counted once, with the first of them: ``attrs["branches"]`` remembers, and
        ``shared_by`` says how many curves have a row.

    Raises
    ------
    InputError
        If a run has no schedule, a step lies beyond it, or a logged rate disagrees with it.
    """
    check_spec("read_curves(table, spec, …)", spec)
    if not needs_schedule(spec):
        raise InputError(f"model '{spec.name}' needs no schedule; read its table with read_table.")
    opened = open_tables(table, spec.output.name, where, rename)
    frame = keep(opened.frame, opened.conditions, opened.rename)
    if schedules is None:
        raise InputError(
            f"model '{spec.name}' needs schedules: schedules={{'run': 'cosine(…)'}} / --schedule "
            f'"run=cosine(peak=…, end=…, warmup=…, total=…)" for each run{_logged(frame)}.'
        )
    columns = [c for c in ("lr", "sampling_error") if c in frame]
    frame = check_columns(frame, ["run", "step", spec.output.name, *columns], "table of curves")
    check_unique(frame, ["run", "step"], "table of curves")
    frame = check_labels(frame, spec.group_columns, "table of curves")
    for own in spec.pool_columns.values():
        check_several(frame, own, "table of curves")
    texts, unused = _texts(frame, schedules, opened.runs)
    checks = [*opened.checks, *unused, *near_steps(frame), *whole_copies(frame, spec.output.name)]
    excluded = Excluded()
    frame, branches = count_once(frame, texts, spec.output.name, excluded)
    parts = [
        _one_curve(curve, spec, run, texts[run], excluded) for run, curve in frame.groupby("run", sort=False)
    ]
    rows = pd.concat([rows for rows, _ in parts])
    check_positive_inputs(rows, spec)
    check_sizes(spec, rows, rows.index + 1, "table of curves")
    attrs = {"schedules": json.dumps(texts), "branches": json.dumps(branches), **opened.attrs}
    data = to_dataset(rows, spec, [], **attrs)
    for name in dict.fromkeys(i.function for i in spec.inputs.values() if i.function is not None):
        prepared = np.concatenate([inputs[name] for _, inputs in parts])
        size = prepared.shape[1]
        node = "node" if data.sizes.get("node", size) == size else f"{name}_node"
        data[name] = (("obs", node), prepared)
    told = [*excluded.checks("note"), *checks, *odd_data(spec, rows, data)]
    return data.set_coords("step").assign_attrs(checks=to_json(told))


def _texts(
    frame: pd.DataFrame, schedules: str | Mapping[str, str] | None, all_runs: frozenset[str]
) -> tuple[dict[str, str], list[Check]]:
    """Return a schedule's text for every run, and a note on those that the table lacks; or say which are missing."""
    runs = list(dict.fromkeys(frame["run"]))
    if isinstance(schedules, str):
        return dict.fromkeys(runs, schedules), []
    check_type("schedules", schedules, Mapping | None, "a text for all runs, or {'run': 'cosine(…)'}")
    given = {str(run): text for run, text in (schedules or {}).items()}
    unknown = [name for name in given if name not in all_runs]
    if given and len(unknown) == len(given):
        raise InputError(
            f"schedules: the table has no run {unknown[0]!r}{did_you_mean(unknown[0], runs, 'The table has')}"
        )
    if missing := [run for run in runs if run not in given]:
        raise InputError(_none_for(missing, unknown, frame))
    texts = {run: given[run] for run in given if run in runs}
    if not unknown:
        return texts, []
    named = ", ".join(unknown[:5]) + (f" and {len(unknown) - 5} more" if len(unknown) > 5 else "")
    message = f"{len(unknown)} schedule(s) are of runs that the table lacks and were not used: {named}."
    return texts, [Check("schedules-not-used", "note", float(len(unknown)), message)]


def _none_for(missing: list[str], unknown: list[str], frame: pd.DataFrame) -> str:
    """Say which runs have no schedule, and every way to give one."""
    named = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
    near = did_you_mean(missing[0], unknown, "Given for no run of the table:").strip(";. ") if unknown else ""
    return (
        f"schedules: none for run(s) {named}{f' ({near})' if near else ''}; give one each "
        f'(--schedule "run=cosine(peak=…, end=…, warmup=…, total=…)"){_logged(frame)}, or leave the run out with '
        "where=['run=a|b'] / --where."
    )


def _logged(frame: pd.DataFrame) -> str:
    """Return, of a table with rates of its own, how to take them."""
    if "lr" not in frame:
        return ""
    return (
        "; the table has a column lr: schedules='logged(warmup=2160)' / --schedule \"logged(warmup=2160)\" takes all runs' "
        "rates from it (2160: your warm-up steps)"
    )


def _one_curve(curve: pd.DataFrame, spec: Spec, run: str, text: str, excluded: Excluded):
    """Return one run's usable rows with S1 and lr, and the prepared function inputs."""
    curve = curve.sort_values("step")
    steps = curve["step"].to_numpy(dtype=int)
    schedule = schedule_of(curve, text)
    if steps[-1] > schedule.total:
        row = curve.index[-1] + 1
        raise InputError(
            f"run {run!r}, row {row}: step {steps[-1]} lies beyond its schedule, which ends at {schedule.total}."
        )
    if "lr" in curve:
        _check_rates(curve, schedule, steps, run)
    warming = steps < schedule.warmup
    excluded.add((f"{run} step {s}" for s in steps[warming]), "inside warm-up, where the law does not hold")
    if warming.all():
        raise InputError(f"run {run!r}: all its steps lie inside the {schedule.warmup} warm-up steps.")
    inputs = schedule_inputs(spec, schedule, steps[~warming])
    plain = {c: inputs[c] for c in SCHEDULE_COLUMNS}
    return curve[~warming].assign(**plain), inputs


def _check_rates(curve: pd.DataFrame, schedule: Schedule, steps: np.ndarray, run: str) -> None:
    off = np.abs(schedule.lr[steps] - curve["lr"].to_numpy())
    after = (steps >= schedule.warmup) & (off > LR_TOLERANCE * schedule.lr.max())
    if after.any():
        i = int(np.argmax(after))
        raise InputError(
            f"run {run!r}, row {curve.index[i] + 1}, step {steps[i]}: the table says lr = {curve['lr'].iloc[i]:g}, "
            f"the schedule says {schedule.lr[steps[i]]:g}; correct {schedule.text!r}."
        )
