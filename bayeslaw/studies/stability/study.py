"""Over how many orders of magnitude a law's parameters are stable, and how early one would have known."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Unpack

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.core.errors import (
    InputError,
    check_choice,
    check_flag,
    check_positive,
    check_probability,
    shown,
)
from bayeslaw.data.windows import Window, growing_windows, trailing_windows
from bayeslaw.inference.saving import data_hash
from bayeslaw.inference.settings import check_law_and_data, check_settings, check_size
from bayeslaw.law.spec import Spec
from bayeslaw.observation.bound import bind
from bayeslaw.studies.engine import Engine, Outcome, engine
from bayeslaw.studies.running.execution import Execution, check_execution
from bayeslaw.studies.stability.fits import (
    LEAST_ROWS,
    first_rows,
    laid_out,
    middle_place,
    needs_noise,
    records_of,
    window_said,
    window_tasks,
    without_discrepancy,
)
from bayeslaw.studies.stability.verdicts import DELTA, early_orders, judge_claim, judged, law_verdict
from bayeslaw.studies.tasks import Task


def stability(
    spec: Spec,
    data: xr.Dataset,
    along: str = "compute",
    *,
    every: float = 0.5,
    target: float | None = None,
    delta: float | Mapping[str, float] = DELTA,
    width: float = 1.0,
    early: bool = True,
    claim: float | None = None,
    prob: float = 0.9,
    draws: int = 1000,
    tune: int = 1000,
    chains: int = 4,
    seed: int = 0,
    progress: bool | None = None,
    **execution: Unpack[Execution],
) -> xr.Dataset:
    """Say over how many orders of magnitude a law's parameters hold, and how early its forecast did.

    Two views of the same table. *Trailing* windows [C_min, target] reach further and further down; a
    parameter is stable over the longest span such that it and every shorter one of at least one order
    is resolved and shows no drift (see `bayeslaw.studies.stability.drift`, also for the rows whose drifts are not
    established: checkpoints of one run). They are fitted without a discrepancy over
    inputs, which exists to take up what is sought here, and with one run noise: what the whole table
    shows beside a discrepancy. *Growing* windows C ≤ C_max ask how early one would have known: they are
    fitted as the spec says, and forecast the target. Priors are the same in all windows, and so are
    references: those of a view's shortest window, which every other one contains.

    Parameters
    ----------
    spec : Spec
    data : xarray.Dataset
        From `read_table` or `read_curves`.
    along : str
        A column of positive numbers.
    every : float
        Orders of magnitude from one window to the next.
    target : float, optional
        Value of `along` at which trailing windows end and which growing ones forecast; the row nearest
        to it, by default the largest.
    delta : float or mapping of parameter to float
        A parameter is resolved if its posterior sd is at most delta / 1.645 (it is known to ± delta
        nine times in ten) and less than half its prior's. On the parameter's scale: for all that has
        one sign the logarithm, so that 0.3 is about 30 % either way.
    width : float
        A forecast is of use while the logarithm of upper over lower end is at most this.
    early : bool
        Whether to ask how early one would have known; without it half the fits are saved.
    claim : float, optional
        A published claim, "stable over so many orders", to be judged: ``claim_verdict`` among the
        attributes says supported, contradicted, not resolved, or untestable on these rows.
    prob : float
        Probability of all intervals.
    draws, tune, chains, seed, progress
        As of `fit`, for every fit.
    **execution
        Where the fits run, and where they are kept: ``jobs``, ``on``, ``store``, ``store_shared``, see
        `bayeslaw.studies.running.execution.Execution`.

    Returns
    -------
    xarray.Dataset
        Dims window and parameter: the paper's parameters, ``slope_<input>`` (the local exponent
        d log y / d log input in the middle of the shortest window) and ``value`` (the law there). ``view`` is trailing or
        growing; ``orders`` how far a window reaches below the target, or how far below it ends. Per
        parameter ``stable_orders``, ``drift_at``, ``resolved_from`` and ``verdict``, see
        `bayeslaw.studies.stability.drift.Span`, and `stable_spans` as a table. ``failed`` names fits whose sampler failed a check, and says of windows that
        are not ``fitted`` why. ``few_inputs`` marks windows of too few different inputs for the free parameters of the law: a fit
        alone would fail for it; here such windows are studied, and what they say is largely the prior's, from which a resolved parameter must differ.
        Attributes: ``law_orders`` and ``law_verdict`` over all resolved parameters, ``early_orders``.
        `bayeslaw.reports.terminal.studies.stability_text` says it in words.

    Raises
    ------
    InputError
        If a setting is not allowed, or the column has no rows for one window.

    References
    ----------
    The published question, with point fits: arXiv:2509.24012, section 5.
    """
    settings = {"draws": draws, "tune": tune, "chains": chains, "seed": seed}
    check_law_and_data("stability", spec, data)
    check_execution("stability", execution)
    check_settings(settings)
    check_size(settings, data)
    _check_arguments(spec, every, target, delta, width, claim, prob)
    check_flag("early", early)
    trailing_windows(data, along, every)  # refuses a column that is none, and steps too short
    values = data[along].values
    row = int(np.abs(values - (values.max() if target is None else target)).argmin())
    trailing = trailing_windows(data, along, every, float(values[row]), LEAST_ROWS)
    growing = _growing(data, along, every, float(values[row]))[0 if early else -1 :]
    views = ["growing"] * len(growing) + ["trailing"] * len(trailing)
    as_given, near = (bind(spec, first_rows(data, view)).spec for view in (growing, trailing))
    ends = (1 - prob) / 2, (1 + prob) / 2
    given = {"place": middle_place(bind(near, data.isel(obs=[row]))), "ends": ends, "seed": seed}
    whole = Task(as_given, data, settings, window_said, given)
    fits = sum(len(window.seen) >= LEAST_ROWS for window in (*growing, *trailing))
    with engine("stability", fits, progress, execution) as running:
        noise_along = along if needs_noise(near) else None
        first = records_of(growing, _ran(running, window_tasks(whole, growing, row, noise_along)))
        plain = replace(whole, spec=without_discrepancy(near, first[-1]["noise"]))
        then = records_of(trailing, _ran(running, window_tasks(plain, trailing, row)))
    orders = np.log10([values[row] / w.end for w in (*growing, *trailing)])
    records = [*first, *then]
    out = laid_out(records, views, [*growing, *trailing], orders, ends)
    out = out.assign(judged(out, [r.get("quantities") for r in records], delta, seed))
    y = data[spec.output.name].values[row]
    observed = float(spec.traits.to_shown(y))
    out = out.assign_attrs(law_verdict(out), observed=observed)
    if claim is not None:
        out = out.assign_attrs(claim=float(claim), claim_verdict=judge_claim(out, float(claim)))
    return out.assign_attrs(
        early_orders=early_orders(out, width), model=spec.name, title=spec.title, along=along,
        output=spec.output.name, units=spec.output.unit, target=float(values[row]), prob=prob, width=width,
        delta=json.dumps(delta), settings=json.dumps(settings), data_hash=data_hash(data),
    )  # fmt: skip


def stable_spans(st: xr.Dataset) -> pd.DataFrame:
    """Lay the spans out as a table, one row a parameter.

    Parameters
    ----------
    st : xarray.Dataset
        As `stability` returned it.

    Returns
    -------
    pandas.DataFrame
        Columns verdict, stable_orders, drift_at, resolved_from (orders of magnitude), median, lower,
        upper, sensitivity (all rows) and unit.
    """
    if not isinstance(st, xr.Dataset) or not {"window", "parameter"} <= set(st.dims) or "view" not in st:
        raise InputError(f"stable_spans(st): found {shown(st)}, allowed: what stability(…) returned.")
    full = st.isel(window=int(np.flatnonzero(st["view"].values == "trailing")[-1]))
    columns = ["verdict", "stable_orders", "drift_at", "resolved_from"]
    columns += ["median", "lower", "upper", "sensitivity", "unit"]
    return pd.DataFrame({n: full[n].values for n in columns}, index=pd.Index(full["parameter"].values))


def unclean(st: xr.Dataset) -> np.ndarray:
    """Return which windows' fits failed a check of the sampler; one that is too short has no fit to fail."""
    return (st["failed"].values != "") & st["fitted"].values.astype(bool)


def _check_arguments(
    spec: Spec, every: Any, target: Any, delta: Any, width: Any, claim: Any, prob: Any
) -> None:
    """Refuse numbers that are none, before anything is compiled."""
    check_probability("prob", prob)
    check_positive("every", every, "a positive number, orders of magnitude from window to window")
    check_positive("width", width, "a positive number, of logarithms")
    if target is not None:
        check_positive("target", target, "a positive number, a value of the column along")
    if claim is not None:
        check_positive("claim", claim, "a positive number, orders of magnitude")
    if not isinstance(delta, Mapping):
        check_positive("delta", delta)
        return
    known = {*spec.derived, *spec.scalar_names, *(f"slope_{n}" for n in spec.inputs), "value"}
    for name, value in delta.items():
        check_choice("delta", name, known)
        check_positive("delta", value, f"a positive number for {name}")


def _ran(running: Engine, tasks: list[Task]) -> list[Outcome]:
    """Run tasks in the other order: the last windows have most rows, and others go on beside what takes long."""
    return running.run(reversed(tasks))[::-1]


def _growing(data: xr.Dataset, along: str, every: float, target: float) -> list[Window]:
    """Return the windows that end below the target, and at last all rows up to it."""
    low = float(data[along].values.min())
    steps = int(np.ceil(np.log10(target / low) / every)) if target > low else 0
    ends = [target / 10 ** (every * i) for i in range(steps, 0, -1)]
    try:
        out = growing_windows(data, along, ends)
    except InputError:
        out = []
    seen = data[along].values <= target * (1 + 1e-12)
    return [*out, Window(f"{along} <= {target:.3g}", target, np.flatnonzero(seen), np.flatnonzero(~seen))]
