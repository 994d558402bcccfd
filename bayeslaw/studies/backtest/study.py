"""The study: which windows are fitted by which method, and the dataset of what they said."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Unpack

import numpy as np
import xarray as xr

from bayeslaw.core.errors import InputError, check_choice, check_flag, check_number, check_whole, listed
from bayeslaw.data.windows import Window
from bayeslaw.inference.methods import METHODS as METHODS_OF_FITS
from bayeslaw.inference.saving import data_hash
from bayeslaw.inference.settings import check_law_and_data, check_settings, check_size
from bayeslaw.law.catalogue import change
from bayeslaw.law.spec import Spec
from bayeslaw.observation.bound import bind
from bayeslaw.studies.backtest.scores import window_scores
from bayeslaw.studies.backtest.variables import assembled, by_window
from bayeslaw.studies.backtest.windows import targets_of, windows_of
from bayeslaw.studies.engine import engine
from bayeslaw.studies.running.execution import Execution, check_execution
from bayeslaw.studies.tasks import Task

METHODS = ("posterior", "independent", "point")
_LEAST_BOOTSTRAP = 20


def backtest(
    spec: Spec,
    data: xr.Dataset,
    along: str = "compute",
    *,
    windows: Sequence[float] | Sequence[str] | None = None,
    leave_out: bool | None = None,
    methods: Sequence[str] = METHODS,
    target: float | None = None,
    draws: int = 1000,
    tune: int = 1000,
    chains: int = 4,
    bootstrap: int = 300,
    seed: int = 0,
    progress: bool | None = None,
    **execution: Unpack[Execution],
) -> xr.Dataset:
    """Fit parts of a table and hold each forecast against the rows that were held out.

    Parameters
    ----------
    spec : Spec
        From `load_model`, maybe changed by `change`. References given by name are computed from the
        rows that a window sees.
    data : xarray.Dataset
        From `read_table` or `read_curves`.
    along : str
        A column of positive numbers: growing windows, each of which sees the rows up to a value and
        predicts all larger ones. A column of labels: each group is left out once.
    windows : sequence, optional
        The largest values to be seen, by default half orders of magnitude below the column's largest;
        or the labels of the groups to leave out, by default all.
    leave_out : bool, optional
        True leaves out the groups of a column of numbers, too.
    methods : sequence of {"posterior", "independent", "point"}
        The law as given; without its discrepancy (left out if it has none); the point fit with its
        bootstrap and residuals.
    target : float, optional
        The row to predict is the one nearest to this value of `along`; of the first of step,
        compute and params for groups. By default the held-out row with the largest.
    draws, tune, chains, bootstrap, seed, progress
        As of `fit`, for every fit.
    **execution
        Where the fits run, and where they are kept: ``jobs``, ``on``, ``store``, ``store_shared``, see
        `bayeslaw.studies.running.execution.Execution`.

    Returns
    -------
    xarray.Dataset
        Dims method, window, level (of intervals) and obs; every variable has ``units`` and
        ``long_name``. Scores are means over a window's held-out rows; ``target_…`` is one row. NaN
        where a fit was impossible: ``failed`` says why, and names the checks that failed: the sampler's, too few inputs.
        ``bt.sel({"method": "point"})`` takes one method (xarray has a use of its own for ``method=``).

    Raises
    ------
    InputError
        If a setting is not allowed, no window is possible, or not one fit is.
    """
    settings = {"draws": draws, "tune": tune, "chains": chains, "bootstrap": bootstrap, "seed": seed}
    check_law_and_data("backtest", spec, data)
    check_execution("backtest", execution)
    _check_arguments(target, leave_out, settings)
    runs = _runs(spec, methods)
    posteriors = any(METHODS_OF_FITS[how].posterior for _, how in runs.values())
    check_size(settings if posteriors else {"bootstrap": bootstrap}, data)
    parts, groups = windows_of(data, along, windows, leave_out)
    rows, orders = targets_of(data, along, parts, target, groups)
    # One after the other: each holds a copy of the table.
    tasks = (
        Task(
            changed, data.isel(obs=window.seen), {**settings, "method": method}, window_scores,
            _held_against(data, window, row, seed),
        )
        for changed, method in runs.values()
        for window, row in zip(parts, rows, strict=True)
    )  # fmt: skip
    with engine("back-test", len(runs) * len(parts), progress, execution) as running:
        outcomes = running.run(tasks)
    if all(outcome.failed for outcome in outcomes):
        raise InputError(
            f"back-test along {along!r}: no fit was possible; the first one: {outcomes[0].failed}"
        )
    records = [{"failed": o.failed} if o.failed else {**o.value, "seconds": o.seconds} for o in outcomes]
    records = [records[i : i + len(parts)] for i in range(0, len(records), len(parts))]
    out = assembled(records, list(runs), parts, data, spec.shown_unit)
    out = out.assign(by_window(bind(spec, data), parts, rows, orders))
    settings |= {"windows": [w.label for w in parts], "methods": list(runs), "target": target}
    return out.assign_attrs(
        model=spec.name, title=spec.title, along=along, leave_out=int(groups), output=spec.output.name,
        units=spec.shown_unit, settings=json.dumps(settings), data_hash=data_hash(data), seed=int(seed),
    )  # fmt: skip


def _check_arguments(target: Any, leave_out: Any, settings: Mapping[str, Any]) -> None:
    if target is not None:
        check_number("target", target, "a finite number, a value of the column along")
    if leave_out is not None:
        check_flag("leave_out", leave_out)
    check_settings(settings)
    check_whole("bootstrap", settings["bootstrap"], _LEAST_BOOTSTRAP)


def _runs(spec: Spec, methods: Sequence[str]) -> dict[str, tuple[Spec, str]]:
    """Return each method's law and how it is fitted."""
    methods = [methods] if isinstance(methods, str) else listed("methods", methods, "a list of names")
    for name in methods or [None]:
        check_choice("methods", name, METHODS)
    every = {
        "posterior": (spec, "nuts"),
        "independent": (change(spec, discrepancy=None), "nuts"),
        "point": (spec, "map"),
    }
    if spec.discrepancy is None and "posterior" in methods:
        every.pop("independent")  # the same fit again
    return {name: every[name] for name in methods if name in every}


def _held_against(data: xr.Dataset, window: Window, row: int, seed: int) -> dict[str, Any]:
    """Return what a window's fit is held against, as `window_scores` takes it."""
    here = np.flatnonzero(window.held == row)
    return {
        "held": data.isel(obs=window.held), "places": window.held, "size": data.sizes["obs"],
        "target": int(here[0]) if len(here) else None, "seed": seed, "seeds": [seed, *window.seen],
    }  # fmt: skip
