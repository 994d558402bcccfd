"""Back-tests: fit a part of the table, forecast the rest, and score what was said of it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.assess.checks import checks
from bayeslaw.core.errors import (
    InputError,
    check_choice,
    check_flag,
    check_number,
    check_whole,
    did_you_mean,
    listed,
    shown,
)
from bayeslaw.core.files import write_study
from bayeslaw.core.progress import work
from bayeslaw.data.row_names import row_names
from bayeslaw.data.windows import Window, growing_windows, left_out_groups, refuse_many, window_ends
from bayeslaw.forecasts.heldout import HeldOut, held_out
from bayeslaw.forecasts.intervals import VALUELESS
from bayeslaw.forecasts.scores import (
    central_interval,
    coverage,
    crps,
    interval_score,
    middle,
    own_coverage_range,
    own_pit_range,
    pit,
)
from bayeslaw.inference.fit import Fit
from bayeslaw.inference.fitting import fit
from bayeslaw.inference.methods import METHODS as METHODS_OF_FITS
from bayeslaw.inference.saving import data_hash
from bayeslaw.inference.settings import check_law_and_data, check_settings, check_size
from bayeslaw.law.catalogue import change
from bayeslaw.law.spec import Spec

METHODS = ("posterior", "independent", "point")
LEVELS = (0.5, 0.8, 0.9, 0.95)
SCORED = 0.9
"""Probability of the intervals that are scored and whose width is told."""
_EXPECTED = {"pit_mean_low": 0.05, "pit_mean_high": 0.95, "pit_mean_lowest": 0.01, "pit_mean_highest": 0.99}
"""Points of the mean PIT that a forecast itself expects."""
_SCORE_DRAWS = 2000
_LEAST_BOOTSTRAP = 20
_ORDERED_BY = ("step", "compute", "params")

# Name: dims beyond (method, window), unit ("output" for the output's own), meaning.
_VARIABLES: dict[str, tuple[tuple[str, ...], str, str]] = {
    "error": ((), "share", "|median - y| / |y|, mean over held-out rows"),
    "crps": ((), "output", "continuous ranked probability score, mean over held-out rows"),
    "log_score_joint": ((), "nat", "log predictive density of all held-out rows together"),
    "log_score_row": ((), "nat", "log predictive density of a held-out row, mean over rows"),
    "interval_score": ((), "output", "interval score at 90 %, mean over held-out rows"),
    "interval_score_relative": ((), "log", "interval score at 90 % of logarithms, mean over held-out rows"),
    "width_relative": ((), "log", "log of upper over lower end at 90 %, mean over held-out rows"),
    "coverage": (("level",), "share", "held-out rows inside their central intervals"),
    "coverage_low": (("level",), "share", "5 % point of the coverage that the forecast itself expects"),
    "coverage_high": (("level",), "share", "95 % point of the coverage that the forecast itself expects"),
    "pit": (("obs",), "share", "probability integral transform of each held-out row"),
    "pit_mean": ((), "share", "mean PIT of the held-out rows; below 0.5 the forecasts were too high"),
    "pit_mean_low": ((), "share", "5 % point of the mean PIT that the forecast itself expects"),
    "pit_mean_high": ((), "share", "95 % point of the mean PIT that the forecast itself expects"),
    "pit_mean_lowest": ((), "share", "1 % point of the mean PIT that the forecast itself expects"),
    "pit_mean_highest": ((), "share", "99 % point of the mean PIT that the forecast itself expects"),
    "target_error": ((), "share", "|median - y| / |y| of the target"),
    "target_median": ((), "output", "median of the target's forecast"),
    "target_lower": (("level",), "output", "lower end of the target's interval"),
    "target_upper": (("level",), "output", "upper end of the target's interval"),
    "target_pit": ((), "share", "probability integral transform of the target"),
    "seconds": ((), "s", "time of the fit, compiling included where it is the first of its kind"),
}


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
        foretells all larger ones. A column of labels: each group is left out once.
    windows : sequence, optional
        The largest values to be seen, by default half orders of magnitude below the column's largest;
        or the labels of the groups to leave out, by default all.
    leave_out : bool, optional
        True leaves out the groups of a column of numbers, too.
    methods : sequence of {"posterior", "independent", "point"}
        The law as given; without its discrepancy (left out if it has none); the point fit with its
        bootstrap and residuals.
    target : float, optional
        The row to foretell is the one nearest to this value of `along`; of the first of step,
        compute and params for groups. By default the held-out row with the largest.
    draws, tune, chains, bootstrap, seed, progress
        As of `fit`, for every fit.

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
    _check_arguments(spec, data, target, leave_out, settings)
    runs = _runs(spec, methods)
    posteriors = any(METHODS_OF_FITS[how].posterior for _, how in runs.values())
    check_size(settings if posteriors else {"bootstrap": bootstrap}, data)
    parts, groups = _windows(data, along, windows, leave_out)
    rows, orders = _targets(data, along, parts, target, groups)
    records: list[list[dict[str, Any]]] = []
    with work("back-test", len(runs) * len(parts), progress) as on_step:
        for changed, method in runs.values():
            records.append([])
            for window, row in zip(parts, rows, strict=True):
                records[-1].append(_record(changed, data, method, window, row, settings))
                on_step(sum(map(len, records)))
    told = [record["failed"] for per in records for record in per]
    if all("error" not in record for per in records for record in per):
        raise InputError(f"back-test along {along!r}: no fit was possible; the first one: {told[0]}")
    out = _assembled(records, list(runs), parts, data, _unit(spec))
    out = out.assign(_by_window(spec, data, parts, rows, orders))
    settings |= {"windows": [w.label for w in parts], "methods": list(runs), "target": target}
    return out.assign_attrs(
        model=spec.name, title=spec.title, along=along, leave_out=int(groups), output=spec.output.name,
        units=_unit(spec), settings=json.dumps(settings), data_hash=data_hash(data), seed=int(seed),
    )  # fmt: skip


def pooled_coverage(bt: xr.Dataset) -> xr.Dataset:
    """Return how many targets lie inside their intervals, and how many should.

    Parameters
    ----------
    bt : xarray.Dataset
        As `backtest` returned it.

    Returns
    -------
    xarray.Dataset
        Dims (method, level): ``coverage``, the share of windows whose target lies inside; ``low``
        and ``high``, the central 90 % of that share if the intervals are right, binomial; and
        ``targets`` (method), the number of different targets, which is what counts as independent:
        growing windows foretell one row again and again.
    """
    from scipy.stats import binom

    fine = bt["target_pit"].notnull()
    inside = (bt["target_observed"] >= bt["target_lower"]) & (bt["target_observed"] <= bt["target_upper"])
    different = [len(np.unique(bt["target_row"].values[ok])) for ok in fine.values]
    size, level = np.array(different)[:, None], bt["level"].values
    ends = [binom.ppf(q, np.maximum(size, 1), level) / np.maximum(size, 1) for q in (0.05, 0.95)]
    low, high = (np.where(size > 0, end, np.nan) for end in ends)
    share = {"units": "share"}
    return xr.Dataset({
        "coverage": inside.where(fine).mean("window").transpose("method", "level").assign_attrs(share),
        "low": (("method", "level"), low, share), "high": (("method", "level"), high, share),
        "targets": ("method", np.array(different), {"units": "1"}),
    })  # fmt: skip


def backtest_table(bt: xr.Dataset) -> pd.DataFrame:
    """Lay a back-test out as a table, one row a fit.

    Parameters
    ----------
    bt : xarray.Dataset
        As `backtest` returned it.

    Returns
    -------
    pandas.DataFrame
        Columns method, window, end and every variable; those with a level once a level, as in
        ``coverage_90``. Rows' own values (``pit``) are left out.
    """
    flat = bt.drop_vars("pit")
    for name in [n for n in flat.data_vars if "level" in flat[n].dims]:
        per = {f"{name}_{100 * p:g}": flat[name].sel(level=p, drop=True) for p in LEVELS}
        flat = flat.drop_vars(name).assign(per)
    return flat.drop_dims(["level", "obs"]).to_dataframe(dim_order=["method", "window"]).reset_index()


def write_backtest(bt: xr.Dataset, path: str | Path) -> Path:
    """Write a back-test, whole or not at all.

    Parameters
    ----------
    bt : xarray.Dataset
        As `backtest` returned it.
    path : path
        ``.csv``: as `backtest_table` lays it out. Anything else: netCDF, for `xarray.open_dataset`.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    return write_study(bt, path, lambda: backtest_table(bt).to_csv(index=False))


def _check_arguments(spec: Any, data: Any, target: Any, leave_out: Any, settings: Mapping[str, Any]) -> None:
    check_law_and_data("backtest", spec, data)
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


def _windows(data: xr.Dataset, along: str, windows: Any, leave_out: bool | None) -> tuple[list[Window], bool]:
    """Return the windows, and whether they leave out groups."""
    groups = leave_out
    if groups is None:
        groups = isinstance(along, str) and along in data.variables and data[along].dtype.kind not in "iuf"
    if windows is not None:
        windows = listed("windows", windows, f"a list of values of {along!r}")
    if groups:
        every = {w.label: w for w in left_out_groups(data, along, every=windows is None)}
        chosen = [every[_label(w, every)] for w in (every if windows is None else windows)]
        refuse_many(along, len(chosen), "name fewer groups")
        return chosen, True
    return growing_windows(data, along, None if windows is None else window_ends(windows, along)), False


def _label(group: Any, known: Mapping[str, Window]) -> str:
    """Return the label of a group as the windows have it; a number may be written in any way."""
    for write in (str, lambda g: str(float(g)), lambda g: str(int(g))):
        try:
            if write(group) in known:
                return write(group)
        except (TypeError, ValueError, OverflowError):
            continue
    raise InputError(f"windows: no group {shown(group)}{did_you_mean(str(group), known)}")


def _targets(
    data: xr.Dataset, along: str, windows: list[Window], target: float | None, groups: bool
) -> tuple[list[int], np.ndarray]:
    """Return each window's target row (-1: it is seen), and how many orders it lies ahead."""
    if groups:
        order = next((c for c in _ORDERED_BY if c != along and _is_order(data, c)), None)
        if order is None and target is not None:
            raise InputError(f"target: the rows of a group have no order; none of {', '.join(_ORDERED_BY)}.")
        values = np.arange(data.sizes["obs"]) if order is None else data[order].values
        return [_nearest(values, w.held, target) for w in windows], np.full(len(windows), np.nan)
    values = data[along].values
    row = _nearest(values, np.arange(len(values)), target)
    rows = [row if row in w.held else -1 for w in windows]
    if max(rows) < 0:
        raise InputError(
            f"target: every window sees {along} = {values[row]:g}, the value nearest to {target:g}; "
            f"allowed: values larger than {windows[0].end:g}."
        )
    with np.errstate(divide="ignore"):
        ahead = np.log10(values[row] / np.array([w.end for w in windows]))
    return rows, np.where(np.array(rows) < 0, np.nan, ahead)


def _is_order(data: xr.Dataset, name: str) -> bool:
    column = data.variables.get(name)
    return (
        column is not None
        and column.dims == ("obs",)
        and column.dtype.kind in "iuf"
        and bool(np.isfinite(column.values).all())
    )


def _nearest(values: np.ndarray, rows: np.ndarray, target: float | None) -> int:
    """Return the last of the rows that are nearest to the target, or that are largest."""
    away = -values[rows] if target is None else np.abs(values[rows] - target)
    return int(rows[np.flatnonzero(away == away.min())[-1]])


def _record(
    spec: Spec, data: xr.Dataset, method: str, window: Window, row: int, settings: Mapping[str, int]
) -> dict[str, Any]:
    """Fit one window by one method and score it; a fit that is impossible says why."""
    rng = np.random.default_rng([settings["seed"], *window.seen])
    start = time.perf_counter()
    try:
        fitted = fit(spec, data.isel(obs=window.seen), method, **settings, progress=False)
        seconds = time.perf_counter() - start
        held = held_out(fitted, data.isel(obs=window.held), _SCORE_DRAWS, settings["seed"])
    # One window must not cost the others: rows too few, no start (the sampler's RuntimeError), a
    # matrix that is singular.
    except (InputError, RuntimeError, np.linalg.LinAlgError) as error:
        return {"failed": " ".join(str(error).split()) or type(error).__name__}
    held = _in_one_unit(fitted, held)
    scores = _scores(held, rng)
    places = np.full(data.sizes["obs"], np.nan)
    places[window.held] = scores["pit"]
    if row in window.held:
        scores |= _target_scores(held, int(np.flatnonzero(window.held == row)[0]), scores["pit"])
    failed = [c.name for c in checks(fitted) if c.level == "fail"]
    if (~np.isfinite(held.draws)).mean(axis=0).max() > VALUELESS:
        failed.append("finite")  # as a forecast of these rows would say
    return {**scores, "pit": places, "seconds": seconds, "failed": ", ".join(failed)}


def _in_one_unit(fitted: Fit, held: HeldOut) -> HeldOut:
    """Return counts' shares from a point fit, too, whose output is their logarithm and density another."""
    if not fitted.spec.traits.counts or fitted.is_posterior:
        return held
    none, to_shown = np.full(len(held.observed), np.nan), fitted.spec.traits.to_shown
    return replace(
        held, observed=to_shown(held.observed), draws=to_shown(held.draws), log_joint=np.nan, log_rows=none
    )


def _scores(held: HeldOut, rng: np.random.Generator) -> dict[str, Any]:
    """Score the held-out rows of a window."""
    y, draws = held.observed, held.draws
    lower, upper = central_interval(draws, SCORED)
    relative = width = np.nan
    if (y > 0).all() and (lower > 0).all():  # one draw of heavy tails may underflow to zero
        ends = np.log(lower), np.log(upper)
        relative = interval_score(np.log(y), *ends, SCORED).mean()
        width = (ends[1] - ends[0]).mean()
    low, high = own_coverage_range(draws, LEVELS, rng)
    places = pit(draws, y, rng)
    expected = own_pit_range(draws, rng, tuple(_EXPECTED.values()))
    return {
        "error": _relative_error(middle(draws), y).mean(),
        "crps": crps(draws, y).mean(),
        "log_score_joint": held.log_joint,
        "log_score_row": held.log_rows.mean(),
        "interval_score": interval_score(y, lower, upper, SCORED).mean(),
        "interval_score_relative": relative,
        "width_relative": width,
        "coverage": np.array([coverage(y, *central_interval(draws, p)) for p in LEVELS]),
        "coverage_low": low,
        "coverage_high": high,
        "pit": places,
        "pit_mean": places.mean(),
        **dict(zip(_EXPECTED, expected, strict=True)),
    }


def _target_scores(held: HeldOut, at: int, places: np.ndarray) -> dict[str, Any]:
    """Say what was foretold of the target row."""
    draws, y = held.draws[:, [at]], held.observed[at]
    lower, upper = np.transpose([np.ravel(central_interval(draws, p)) for p in LEVELS])
    median = middle(draws)[0]
    return {
        "target_error": _relative_error(median, y), "target_median": median,
        "target_lower": lower, "target_upper": upper, "target_pit": places[at],
    }  # fmt: skip


def _relative_error(median: Any, observed: Any) -> Any:
    with np.errstate(all="ignore"):  # of a value of zero there is no relative error: inf or NaN
        return np.abs(median - observed) / np.abs(observed)


def _unit(spec: Spec) -> str:
    return spec.shown_unit


def _assembled(
    records: list[list[dict[str, Any]]], names: list[str], windows: list[Window], data: xr.Dataset, unit: str
) -> xr.Dataset:
    """Lay the records of every method and window out as one dataset."""
    sizes = {"level": len(LEVELS), "obs": data.sizes["obs"]}
    variables: dict[str, Any] = {}
    for name, (dims, units, meaning) in _VARIABLES.items():
        missing = np.full([sizes[d] for d in dims], np.nan)
        values = np.array([[record.get(name, missing) for record in per] for per in records], dtype=float)
        attrs = {"units": unit if units == "output" else units, "long_name": meaning}
        variables[name] = (("method", "window", *dims), values, attrs)
    failed = np.array([[record["failed"] for record in per] for per in records], dtype=object)
    meaning = "why there is no fit, or the checks that failed; empty if the fit is clean"
    variables["failed"] = (("method", "window"), failed, {"units": "text", "long_name": meaning})
    return xr.Dataset(
        variables,
        {
            "method": names,
            "window": [w.label for w in windows],
            "level": list(LEVELS),
            "obs": np.arange(data.sizes["obs"]),
        },
    )


def _by_window(
    spec: Spec, data: xr.Dataset, windows: list[Window], rows: list[int], orders: np.ndarray
) -> dict[str, Any]:
    """Return what is the same for all methods, and the coordinate ``end``."""
    y = spec.traits.to_shown(data[spec.output.name].values)
    observed = [float(y[row]) if row >= 0 else np.nan for row in rows]
    names = np.array([row_names(data, [row])[0] if row >= 0 else "" for row in rows], dtype=object)
    along = {"units": "as the column along", "long_name": "largest value seen; NaN for groups"}
    columns = {
        "rows_seen": ([len(w.seen) for w in windows], "1", "rows that were fitted"),
        "rows_held": ([len(w.held) for w in windows], "1", "rows that were held out"),
        "orders_ahead": (
            orders,
            "log10",
            "orders of magnitude of the column along, from the window's end to the target",
        ),
        "target_row": (rows, "1", "row of the table that is the target; -1 where it is seen"),
        "target_name": (names, "text", "run or model of the target, and its step; empty where it is seen"),
        "target_observed": (observed, _unit(spec), "what the target turned out to be"),
    }
    out: dict[str, Any] = {
        n: ("window", np.asarray(v), {"units": u, "long_name": m}) for n, (v, u, m) in columns.items()
    }
    out["end"] = ("window", np.array([w.end for w in windows]), along)
    return out
