"""Turn problems' counts into one row per checkpoint, or per checkpoint and group, as pass@k or as counts."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayeslaw.core.check import Check
from bayeslaw.core.errors import InputError
from bayeslaw.data.columns import constant_columns
from bayeslaw.data.pass_at_k import estimates, shown_share
from bayeslaw.data.schema import check_columns, check_counts, check_successes
from bayeslaw.law.spec import Spec

KEYS = ("benchmark", "model", "run")
"""Columns that name a row."""
COVARIATES = ("params", "tokens", "compute", "step", "seed")
"""Columns that tell rows of one name apart, such as the checkpoints of one run."""
SAMPLES, PROBLEMS = "samples_per_problem", "problems"
"""Columns that say how a row's pass@k was measured."""


def summed(frame: pd.DataFrame, spec: Spec, k: int) -> pd.DataFrame:
    """Keep counts as they are, summed to one row per observation; rows without a success stay.

    Parameters
    ----------
    frame : pandas.DataFrame
        Columns ``n`` and ``c``; with a column ``problem`` also one that names the checkpoint.
    spec : Spec
        With a Binomial likelihood.
    k : int

    Returns
    -------
    pandas.DataFrame
        ``n``, ``c``, the output and its ``sampling_error``, and the columns that have a single value per observation;
        of problems' counts also ``problems`` and ``samples_per_problem``.

    Raises
    ------
    InputError
        If counts are missing or malformed, or the problems of an observation differ in n.
    """
    if k != 1 or spec.output.name != "neg_log_pass_at_k" or spec.output.scale != "log":
        raise InputError(
            f"model '{spec.name}': a Binomial likelihood counts single samples: it needs k = 1 and the output "
            "neg_log_pass_at_k on the log scale."
        )
    if not {"n", "c"} <= set(frame.columns):
        raise InputError(
            "table: a Binomial likelihood needs columns n (samples or problems) and c (correct)."
        )
    if "problem" in frame:
        by = group_columns(frame, spec)
        frame = check_counts(frame, by)
        _refuse_unequal(frame, by)
        sums = frame.groupby(by, sort=False)[["n", "c"]].sum().reset_index()
        others = constant_columns(frame, by, ("problem", "n", "c", SAMPLES, PROBLEMS))
        frame = sums.merge(_sizes(frame, by), on=by).merge(others, on=by)
    else:
        frame = check_columns(frame, ["n", "c"])
        check_successes(frame)
    # Shown where a value is needed; the fit uses the counts.
    share = shown_share(frame["n"], frame["c"])
    error = np.sqrt(share * (1 - share) / frame["n"]) / share
    return frame.assign(neg_log_pass_at_k=-np.log(share), sampling_error=error)


def _sizes(frame: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Return how many problems each observation has, and how many samples each of them, as a harmonic mean.

    The variance of a mean over problems is a sum of their variances, which go with 1/n.
    """
    groups = frame.assign(inverse=1 / frame["n"]).groupby(by, sort=False)["inverse"]
    return groups.agg(**{SAMPLES: lambda v: 1 / v.mean(), PROBLEMS: "size"}).reset_index()


def _refuse_unequal(frame: pd.DataFrame, by: list[str]) -> None:
    """Refuse problems of one group that differ in n: their sum is not the mean over problems."""
    ends = frame.groupby(by, sort=False)["n"].agg(["min", "max", "size"])
    unequal = ends[ends["min"] < ends["max"]].reset_index()
    if unequal.empty:
        return
    first, more = unequal.iloc[0], len(unequal) - 1
    who = ", ".join(f"{c} {first[c]}" for c in by if c not in ("params", "tokens", "compute"))
    others = f" (and {more} more like it)" if more else ""
    raise InputError(
        f"table of counts: {who}{others}: n runs from {first['min']} to {first['max']} over its {first['size']} problems. "
        "Summed counts would weigh a problem by its n, which is not pass@1, the mean over problems: take pass@k of each "
        "problem, read_table(…, k=1) with the law's default likelihood instead of Binomial, or keep the same n for all "
        "problems of a group."
    )


def unbiased_rows(frame: pd.DataFrame, spec: Spec, k: int) -> tuple[pd.DataFrame, pd.Series, list[Check]]:
    """Aggregate problems' counts to pass@k, keeping the columns that have a single value per observation.

    Parameters
    ----------
    frame : pandas.DataFrame
        One row per problem, columns ``problem``, ``n``, ``c`` and one that names the checkpoint.
    spec : Spec
    k : int

    Returns
    -------
    rows : pandas.DataFrame
        ``pass_at_k`` and its ``sampling_error``, ``problems`` and ``samples_per_problem``, one row per observation.
    short : pandas.Series of str
        The names of observations that are left out because a problem has fewer than k samples.
    checks : list of Check
        See `adaptive.sampling_checks`.

    Raises
    ------
    InputError
        If counts are malformed, or no observation is left.
    """
    by = group_columns(frame, spec)
    table, found = estimates(frame, k, by)
    short = table["too_few_samples"] > 0
    if short.all():
        raise InputError(f"k = {k}: every model has a problem with fewer than {k} samples; take a smaller k.")
    others = constant_columns(frame, by, (*table.columns, "problem", "n", "c", "sampling_error", SAMPLES))
    others = others.merge(_sizes(frame, by)[[*by, SAMPLES]], on=by)
    rows = table[~short].rename(columns={"se_these_problems": "sampling_error"})
    return rows.merge(others.astype(rows[by].dtypes.to_dict()), on=by), row_names(table, spec)[short], found


def group_columns(frame: pd.DataFrame, spec: Spec) -> list[str]:
    """Return the columns that tell one observation from another in a table of problems' counts.

    A column over which a parameter is pooled is one: a checkpoint then has a row for each difficulty.
    """
    return list(dict.fromkeys([*model_columns(frame), *(c for c in spec.label_columns if c in frame)]))


def model_columns(frame: pd.DataFrame) -> list[str]:
    """Return the columns that tell one checkpoint from another in a table of problems' counts."""
    keys = [key for key in KEYS if key in frame]
    if not keys:
        raise InputError(
            "table of counts: no column 'model'; add it, or rename yours with rename={'yours': 'model'}."
        )
    covariates = [c for c in COVARIATES if c in frame and frame[c].notna().all()]
    return [*keys, *covariates]


def row_names(rows: pd.DataFrame, spec: Spec) -> pd.Series:
    """Name rows by model or run, with their groups where that is not enough, or else by their number."""
    key = next((c for c in ("model", "run") if c in rows), None)
    if key is None:
        return pd.Series([f"row {i + 1}" for i in rows.index], index=rows.index)
    names, groups = rows[key].astype(str), [c for c in spec.label_columns if c in rows and c != key]
    if groups and names.duplicated().any():
        names = names + " (" + rows[groups].astype(str).agg(", ".join, axis=1) + ")"
    return names
