"""Read a table for a law: a CSV or Parquet file or a DataFrame, renamed, filtered, joined and validated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.core.check import Check, to_json
from bayeslaw.core.errors import InputError, check_choice, check_type
from bayeslaw.data.columns import PASS_OUTPUTS, with_late
from bayeslaw.data.filters import keep
from bayeslaw.data.gold import GOLD
from bayeslaw.data.joins import join_tables, refuse_gaps
from bayeslaw.data.opening import Opened, open_tables, refuse_gaps_in_counts
from bayeslaw.data.pass_at_k import check_ks
from bayeslaw.data.plausible import odd_data, problem_sets
from bayeslaw.data.repeats import near_copies, refuse_copies
from bayeslaw.data.rows import Excluded, check_positive_inputs, to_dataset, usable
from bayeslaw.data.schema import check_columns, check_labels, check_several, check_unique
from bayeslaw.data.sizes import check_sizes
from bayeslaw.data.tallies import COVARIATES, KEYS, model_columns, summed, unbiased_rows
from bayeslaw.law.spec import Spec, check_spec


def read_table(
    table: str | Path | pd.DataFrame,
    spec: Spec,
    *,
    k: int | None = None,
    where: str | Iterable[str] | None = None,
    join: str | Path | pd.DataFrame | None = None,
    on: str | None = None,
    rename: Mapping[str, str] | None = None,
    gold: str | None = None,
) -> xr.Dataset:
    """Turn a table into the dataset that a law is fitted to.

    Parameters
    ----------
    table : path or pandas.DataFrame
        One row per observation (the output's column and the inputs' columns), or for pass@k laws
        one row per checkpoint and problem with counts ``n`` and ``c``, or a column ``pass_at_k``.
    spec : Spec
        The law: says which columns are needed.
    k : int, optional
        The k of pass@k; 1 if counts are given and it is not.
    where : str or iterable of str, optional
        Conditions that rows must meet, see `keep`.
    join : path or pandas.DataFrame, optional
        A second table with more columns; one row per value of `on`, or per-problem ``gold_nll``. A column
        that stands in both must say the same.
    on : str, optional
        The column that both tables have; by default ``model``. Goes with `join`.
    rename : mapping of str to str, optional
        ``{"theirs": "ours"}``, for both tables; also of ``compute`` where it follows from ``params``
        and ``tokens``, and of pass@k from counts where it is to be the output.
    gold : {"mean-probability", "mean-log-likelihood"}, optional
        How per-problem ``gold_nll`` becomes one number per checkpoint; by default the first.

    Returns
    -------
    xarray.Dataset
        Dim ``obs``, whose values are the table's row numbers from 0; the output, ``sampling_error`` (its standard error, in the output's unit), the
        inputs and every other numeric column; names, dates and the like as coordinates of text,
        ``(missing)`` where there is none. ``attrs["checks"]`` says which rows were left out and why.
        Left out are columns that no law can use, because of their names (no text, with a '/', or 'obs'
        or 'node'), and those of `OWN`.

    Raises
    ------
    InputError
        Naming row, column, value found and what is allowed.
    """
    check_spec("read_table(table, spec)", spec)
    check_type("on", on, str | None, "the name of a column")
    if gold is not None:
        check_choice("gold", gold, GOLD)
    if k is not None:
        check_ks([k])
    for name, value in (("on", on), ("gold", gold)):
        if join is None and value is not None:
            raise InputError(f"{name}: found {value!r}, but nothing is joined; give the second table with join=… / --join, or leave it out.")  # fmt: skip
    opened = open_tables(table, spec.output.name, where, rename, join)
    told, columns = _told(spec, opened), _columns(spec)
    name, other = told.output.name, opened.other
    if other is not None and name in other and name not in opened.frame and name not in PASS_OUTPUTS:
        raise InputError(f"join: column {name!r}, which model '{spec.name}' predicts, stands in the joined table alone; allowed: in the first table. Swap the two.")  # fmt: skip
    if told.output.name not in PASS_OUTPUTS and k is not None:
        raise InputError(f"k does not apply: model '{spec.name}' predicts {spec.output.name}.")
    refuse_gaps_in_counts(opened.frame, KEYS, opened.stated(columns))
    excluded, checks = Excluded(), list(opened.checks)
    checks += near_copies(opened.frame, (*COVARIATES, *columns), spec.output.name)
    rows = _observations(opened.frame, told, k, excluded)
    if opened.other is not None:
        rows, alone, found = join_tables(rows, opened.frame, opened.other, on or "model", gold)
        excluded.add(alone, "no partner in the joined table")
        checks += found
    rows = _finished(rows, spec, opened, on or "model", checks)
    if told.output.name in PASS_OUTPUTS and {"problem", "n", "c"} <= set(opened.frame.columns):
        checks += problem_sets(_those_in(opened.frame, rows), model_columns(opened.frame))
    rows = usable(rows, spec, excluded)
    check_sizes(spec, rows, rows.index + 1, "table")
    for own in spec.pool_columns.values():
        check_several(rows, own)
    refuse_copies(opened.frame)
    if "model" in rows or "run" in rows:
        keys = [key for key in (*KEYS, *COVARIATES, *spec.label_columns, *columns) if key in rows]
        check_unique(rows, list(dict.fromkeys(keys)), "table")
    data = to_dataset(rows, spec, [], **opened.attrs)
    told = [*excluded.checks(), *checks, *odd_data(spec, rows, data)]
    return data.assign_attrs(checks=to_json(told))


def _columns(spec: Spec) -> list[str]:
    return [i.column for i in spec.inputs.values() if i.function is None]


def _told(spec: Spec, opened: Opened) -> Spec:
    """Return the law as the counts know it: pass@k that is its output under another name."""
    name = next((name for name in opened.late if name in PASS_OUTPUTS), None)
    return spec if name is None else replace(spec, output=replace(spec.output, name=name))


def _finished(rows: pd.DataFrame, spec: Spec, opened: Opened, on: str, checks: list[Check]) -> pd.DataFrame:
    """Add what follows from other columns, keep what meets the conditions on it, and check what is used."""
    columns = _columns(spec)
    stated = opened.stated(columns)
    if stated != columns:
        rows = check_columns(rows, [name for name in stated if name not in columns])
    rows = with_late(rows, opened.rename, opened.late, columns)
    rows = keep(rows, opened.conditions, opened.rename, checks)
    if opened.other is not None:
        refuse_gaps(rows, opened.other, on, columns)
    if "lr_area" in columns and "lr_area" not in rows:
        raise InputError(f"table: no column 'lr_area': model '{spec.name}' runs along learning-rate schedules; read its table with read_curves(table, spec, schedules).")  # fmt: skip
    rows = check_labels(check_columns(rows, columns), spec.label_columns)
    check_positive_inputs(rows, spec)
    return rows


def _observations(frame: pd.DataFrame, spec: Spec, k: int | None, excluded: Excluded) -> pd.DataFrame:
    """Return one row per observation, with the output's column."""
    frame = check_labels(frame, [c for c in spec.label_columns if c in frame])
    if "benchmark" in frame and frame["benchmark"].nunique() > 1 and "benchmark" not in spec.group_columns:
        raise _several_benchmarks(frame, spec)
    error = [name for name in ("sampling_error",) if name in frame]
    if spec.traits.counts:
        return summed(frame, spec, 1 if k is None else k)
    if spec.output.name not in PASS_OUTPUTS or (spec.output.name in frame and "n" not in frame):
        return check_columns(frame, [spec.output.name, *error])
    if {"n", "c"} <= set(frame.columns):
        frame, short, found = unbiased_rows(frame, spec, 1 if k is None else k)
        excluded.add(short, f"a problem has fewer than k = {1 if k is None else k} samples")
        excluded.known += found
    elif "k" in frame:
        frame = keep(frame, f"k={1 if k is None else k}")
    frame = check_columns(frame, ["pass_at_k", *(name for name in error if "n" not in frame)])
    if spec.output.name == "neg_log_pass_at_k":
        p = frame["pass_at_k"]
        with np.errstate(divide="ignore", invalid="ignore"):
            frame = frame.assign(neg_log_pass_at_k=0.0 - np.log(p))
            if "sampling_error" in frame:
                frame["sampling_error"] = (frame["sampling_error"] / p).where(p > 0, 0.0)
    return frame


def _several_benchmarks(frame: pd.DataFrame, spec: Spec) -> InputError:
    """Name both ways out for a table of several benchmarks: one of them, or a parameter that differs."""
    names = "|".join(map(str, frame["benchmark"].unique()[:5]))
    free = [p.name for p in spec.parameters.values() if not p.names and p.fixed is None and p.bounds is None]
    pool = (
        f", or pool a parameter over them: bl.change(spec, pool={{'{free[0]}': 'benchmark'}})" if free else ""
    )
    return InputError(f"table: several benchmarks; this law describes one: where=['benchmark=…'] of {names}{pool}.")  # fmt: skip


def _those_in(frame: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a table of counts whose checkpoint is still there."""
    for key in ("model", "run"):
        if key in frame and key in rows:
            return frame[frame[key].astype(str).isin(rows[key].astype(str))]
    return frame
