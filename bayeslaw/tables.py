"""Tables in: CSV or Parquet files or DataFrames, renamed, filtered, joined and validated."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.check import Check, to_json
from bayeslaw.counts import pass_at_k, shown_share
from bayeslaw.errors import InputError, did_you_mean
from bayeslaw.gold import GOLD, gold_covariates
from bayeslaw.spec import Spec
from bayeslaw.storage import as_text, can_be_called, is_number, visible_texts
from bayeslaw.validate import check_columns, check_unique

PASS_OUTPUTS = ("neg_log_pass_at_k", "pass_at_k")
"""Outputs that can be computed from counts or from a column ``pass_at_k``."""
KEYS = ("benchmark", "model", "run")
"""Columns that name a row."""
COVARIATES = ("params", "tokens", "compute", "step", "seed")
"""Columns that tell rows of one name apart, such as a model's checkpoints."""
OWN = ("outlying", "shared_by")
"""Columns that fits and curves write and that weigh rows; in a table they are those of another fit, and left out."""
_FLOP_PER_PARAMETER_TOKEN = 6.0


@dataclass
class Excluded:
    """Rows that a fit cannot use: how many, which, and why."""

    rows: list[tuple[str, str]] = field(default_factory=list)

    def add(self, labels: Iterable[str], reason: str) -> None:
        """Remember that these rows are left out for this reason."""
        self.rows += [(str(label), reason) for label in labels]

    def checks(self, level: str = "warn") -> list[Check]:
        """Return one check a reason, naming the rows."""
        reasons = dict.fromkeys(reason for _, reason in self.rows)
        out = []
        for reason in reasons:
            labels = [label for label, r in self.rows if r == reason]
            named = ", ".join(labels[:10]) + (f" and {len(labels) - 10} more" if len(labels) > 10 else "")
            message = f"{len(labels)} row(s) not used: {reason}: {named}."
            out.append(Check("rows-not-used", level, float(len(labels)), message))
        return out


def read_frame(table: str | Path | pd.DataFrame, rename: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Read a table and rename its columns.

    Parameters
    ----------
    table : path or pandas.DataFrame
        ``.parquet`` is read as Parquet, anything else as CSV.
    rename : mapping of str to str, optional
        ``{"theirs": "ours"}``.

    Returns
    -------
    pandas.DataFrame
        A copy with rows numbered from 0.

    Raises
    ------
    InputError
    """
    frame = table if isinstance(table, pd.DataFrame) else _read_file(Path(table))
    if frame.columns.nlevels > 1:
        raise InputError(
            "table: its columns' names have several levels, allowed: one name a column; "
            "flatten them, as in table.columns = ['_'.join(map(str, c)) for c in table.columns]."
        )
    frame = frame.reset_index(drop=True).drop(columns=list(OWN), errors="ignore")
    for theirs, ours in (rename or {}).items():
        if theirs not in frame.columns:
            raise InputError(f"rename: no column {theirs!r}{did_you_mean(theirs, frame.columns)}")
        if ours in frame.columns and ours not in (rename or {}):
            frame = frame.drop(columns=ours)
    frame = frame.rename(columns=dict(rename or {}))
    if frame.columns.has_duplicates:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise InputError(f"table: two columns are called {twice!r}; names are unique.")
    return visible_texts(frame)


def _read_file(path: Path) -> pd.DataFrame:
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        return pd.read_csv(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file.") from None
    except Exception as error:  # the readers raise many kinds; all mean the same to a user
        kind = "Parquet" if path.suffix == ".parquet" else "CSV"
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: cannot be read as {kind} ({reason}).") from None


_COMPARE: dict[str, Callable] = {
    "!=": operator.ne, "<=": operator.le, ">=": operator.ge, "=": operator.eq, "<": operator.lt, ">": operator.gt,
}  # fmt: skip


def keep(
    frame: pd.DataFrame,
    where: str | Iterable[str] | None,
    rename: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Keep the rows that meet every condition.

    Parameters
    ----------
    frame : pandas.DataFrame
    where : str or iterable of str, optional
        Conditions ``column=value``, with ``= != < <= > >=``; ``column=a|b`` keeps either;
        ``column!=`` (nothing behind it) keeps rows where the column is not missing; ``row>5`` goes
        by the row's number in the table, from 1.
    rename : mapping of str to str, optional
        Renames that were made; a condition may use either name.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    InputError
        If a condition is malformed, names no column, or no row is left.
    """
    for condition in [where] if isinstance(where, str) else (where or ()):
        match = re.fullmatch(r"\s*(.+?)\s*(!=|<=|>=|==|=|<|>)\s*(.*?)\s*", str(condition), re.DOTALL)
        if not match:
            raise InputError(f"where: {condition!r} is no condition; write column=value (also != < <= > >=).")
        column, sign, value = match[1], match[2].replace("==", "="), match[3]
        if column not in frame.columns:
            column = (rename or {}).get(column, column)
        numbered = frame if column != "row" or "row" in frame.columns else frame.assign(row=frame.index + 1)
        if column not in numbered.columns:
            raise InputError(
                f"where {condition!r}: no column {column!r}{did_you_mean(column, frame.columns)}"
            )
        kept = frame[_meets(numbered[column], sign, value, condition)]
        if kept.empty:
            values = ", ".join(map(str, numbered[column].unique()[:8]))
            raise InputError(
                f"where {condition!r}: no row is left of {len(frame)}; the column holds {values}, …"
            )
        frame = kept
    return frame


def _meets(values: pd.Series, sign: str, text: str, condition: str) -> pd.Series:
    if text == "":
        if sign not in ("=", "!="):
            raise InputError(f"where {condition!r}: a value must stand behind {sign}.")
        return values.isna() if sign == "=" else values.notna()
    numeric = pd.api.types.is_numeric_dtype(values)
    try:
        wanted = [float(t) if numeric else t for t in text.split("|")]
    except ValueError:
        raise InputError(f"where {condition!r}: the column holds numbers, found {text!r}.") from None
    left = values if numeric else values.astype(str)
    if sign in ("=", "!="):
        return left.isin(wanted) if sign == "=" else ~left.isin(wanted)
    if len(wanted) > 1:
        raise InputError(f"where {condition!r}: '|' goes with = and != only.")
    return _COMPARE[sign](left, wanted[0])


def read_table(
    table: str | Path | pd.DataFrame,
    spec: Spec,
    *,
    k: int | None = None,
    where: str | Iterable[str] | None = None,
    join: str | Path | pd.DataFrame | None = None,
    on: str = "model",
    rename: Mapping[str, str] | None = None,
    gold: str = "mean-probability",
) -> xr.Dataset:
    """Turn a table into the dataset that a law is fitted to.

    Parameters
    ----------
    table : path or pandas.DataFrame
        One row an observation (the output's column and the inputs' columns), or for pass@k laws
        one row a (model, problem) with counts ``n`` and ``c``, or a column ``pass_at_k``.
    spec : Spec
        The law: says which columns are needed.
    k : int, optional
        The k of pass@k; 1 if counts are given and it is not.
    where : str or iterable of str, optional
        Conditions that rows must meet, see `keep`.
    join : path or pandas.DataFrame, optional
        A second table with more columns; one row a value of `on`, or per-problem ``gold_nll``.
    on : str
        The column that both tables have.
    rename : mapping of str to str, optional
        ``{"theirs": "ours"}``, for both tables.
    gold : {"mean-probability", "mean-log-likelihood"}
        How per-problem ``gold_nll`` becomes one number a model.

    Returns
    -------
    xarray.Dataset
        Dim ``obs``; the output, ``sampling_error`` (its standard error, in the output's unit), the
        inputs and every other numeric column; names, dates and the like as coordinates of text,
        ``(missing)`` where there is none. ``attrs["checks"]`` says which rows were left out and why.
        Left out are columns that no law can use, because of their names (no text, with a '/', or 'obs'
        or 'node'), and those of `OWN`.

    Raises
    ------
    InputError
        Naming row, column, value found and what is allowed.
    """
    ours, theirs = _renames(rename, table, join)
    frame = keep(read_frame(table, ours), where, ours)
    if spec.output.name not in PASS_OUTPUTS and k is not None:
        raise InputError(f"k does not apply: model '{spec.name}' predicts {spec.output.name}.")
    if gold not in GOLD:
        raise InputError(f"gold: found {gold!r}{did_you_mean(gold, GOLD)}")
    excluded, checks = Excluded(), []
    rows = _observations(frame, spec, k, excluded)
    if join is not None:
        rows, checks = _join(rows, frame, read_frame(join, theirs), on, gold, excluded)
    rows = _with_compute(rows)
    columns = [i.column for i in spec.inputs.values() if i.function is None]
    rows = check_columns(rows, columns)
    check_positive_inputs(rows, spec)
    rows = _usable(rows, spec, excluded)
    if "model" in rows or "run" in rows:
        keys = [key for key in (*KEYS, *COVARIATES, *columns) if key in rows]
        check_unique(rows, list(dict.fromkeys(keys)), "table")
    return to_dataset(rows, spec, [*excluded.checks(), *checks])


def _renames(
    rename: Mapping[str, str] | None, *tables: str | Path | pd.DataFrame | None
) -> list[dict[str, str]]:
    """Return the renames that concern each table; each must concern one."""
    if not rename:
        return [{} for _ in tables]
    columns = [() if table is None else read_frame(table).columns for table in tables]
    for name in rename:
        if not any(name in known for known in columns):
            raise InputError(
                f"rename: no column {name!r}{did_you_mean(name, [c for known in columns for c in known])}"
            )
    return [{a: b for a, b in rename.items() if a in known} for known in columns]


def _observations(frame: pd.DataFrame, spec: Spec, k: int | None, excluded: Excluded) -> pd.DataFrame:
    """Return one row an observation, with the output's column."""
    if "benchmark" in frame and frame["benchmark"].nunique() > 1:
        names = "|".join(map(str, frame["benchmark"].unique()[:5]))
        raise InputError(
            f"table: several benchmarks; this law describes one: where=['benchmark=…'] of {names}."
        )
    error = [name for name in ("sampling_error",) if name in frame]
    if spec.output.name not in PASS_OUTPUTS or (spec.output.name in frame and "n" not in frame):
        return check_columns(frame, [spec.output.name, *error])
    if spec.family == "Binomial":
        return _as_counts(frame, spec, 1 if k is None else k)
    if {"n", "c"} <= set(frame.columns):
        frame = _from_counts(frame, 1 if k is None else k, excluded)
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


def _as_counts(frame: pd.DataFrame, spec: Spec, k: int) -> pd.DataFrame:
    """Keep counts as they are, summed to one row an observation; rows without a success stay."""
    if k != 1 or spec.output.name != "neg_log_pass_at_k" or spec.output.scale != "log":
        raise InputError(
            f"model '{spec.name}': a Binomial likelihood counts single samples: it needs k = 1 and the output "
            "neg_log_pass_at_k on the log scale."
        )
    if not {"n", "c"} <= set(frame.columns):
        raise InputError(
            "table: a Binomial likelihood needs columns n (samples or problems) and c (correct)."
        )
    frame = check_columns(frame, ["n", "c"])
    if "problem" in frame:
        by = _group_columns(frame)
        sums = frame.groupby(by, sort=False)[["n", "c"]].sum().reset_index()
        frame = sums.merge(_constant_columns(frame, by, ("problem", "n", "c")), on=by)
    # Shown where a value is needed; the fit uses the counts.
    share = shown_share(frame["n"], frame["c"])
    error = np.sqrt(share * (1 - share) / frame["n"]) / share
    return frame.assign(neg_log_pass_at_k=-np.log(share), sampling_error=error)


def _from_counts(frame: pd.DataFrame, k: int, excluded: Excluded) -> pd.DataFrame:
    """Aggregate counts to pass@k, keeping the columns that are one value a group."""
    by = _group_columns(frame)
    label = "model" if "model" in by else by[-1]
    table = pass_at_k(frame, k, by)
    short = table["too_few_samples"] > 0
    excluded.add(table.loc[short, label], f"a problem has fewer than k = {k} samples")
    if short.all():
        raise InputError(f"k = {k}: every model has a problem with fewer than {k} samples; take a smaller k.")
    others = _constant_columns(frame, by, (*table.columns, "problem", "n", "c", "sampling_error"))
    table = table[~short].rename(columns={"se_these_problems": "sampling_error"})
    return table.merge(others.astype(table[by].dtypes.to_dict()), on=by)


def _group_columns(frame: pd.DataFrame) -> list[str]:
    """Return the columns that tell one observation from another in a table of problems' counts."""
    keys = [key for key in KEYS if key in frame]
    if not keys:
        raise InputError(
            "table of counts: no column 'model'; add it, or rename yours with rename={'yours': 'model'}."
        )
    return [*keys, *(c for c in COVARIATES if c in frame and frame[c].notna().all())]


def _constant_columns(frame: pd.DataFrame, by: list[str], but: Iterable[str]) -> pd.DataFrame:
    """Return the other columns that are one value a group, a row a group."""
    rest = [c for c in frame.columns if c not in (*by, *but)]
    groups = frame.groupby(by, sort=False)
    constant = [c for c in rest if (groups[c].nunique(dropna=False) <= 1).all()]
    return groups[constant].first().reset_index() if constant else frame[by].drop_duplicates()


def _join(rows, frame, other, on, gold, excluded) -> tuple[pd.DataFrame, list[Check]]:
    """Add the second table's columns; rows without a partner are left out and named."""
    for name, table in (("table", rows), ("joined table", other)):
        if on not in table.columns:
            raise InputError(f"{name}: no column {on!r} to join on{did_you_mean(on, table.columns)}")
    checks: list[Check] = []
    other = other.astype({on: str})
    rows = rows.astype({on: str})
    if {"problem", "gold_nll"} <= set(other.columns):
        other, checks = gold_covariates(other[other[on].isin(rows[on])], frame, on, gold)
    check_unique(other, [on], "joined table")
    new = [c for c in other.columns if c == on or c not in rows.columns]
    matched = rows[on].isin(other[on])
    if not matched.any():
        raise InputError(
            f"join: no value of {on!r} stands in both tables; the first has {rows[on].iloc[0]!r}."
        )
    excluded.add(rows.loc[~matched, on], "no partner in the joined table")
    return rows[matched].merge(other[new], on=on), checks


def _with_compute(rows: pd.DataFrame) -> pd.DataFrame:
    """Add compute = 6·N·D where it is missing."""
    if "compute" in rows or not {"params", "tokens"} <= set(rows.columns):
        return rows
    rows = check_columns(rows, ["params", "tokens"])
    return rows.assign(compute=training_compute(rows["params"], rows["tokens"]))


def training_compute(
    params: pd.Series | np.ndarray, tokens: pd.Series | np.ndarray
) -> pd.Series | np.ndarray:
    """Return 6·N·D in FLOP, for float64 parameters and tokens; integers would overflow."""
    return _FLOP_PER_PARAMETER_TOKEN * params * tokens


def check_positive_inputs(rows: pd.DataFrame, spec: Spec) -> None:
    """Refuse values of an input with a geometric-mean reference that are not positive."""
    for entry in spec.inputs.values():
        if entry.reference == "geometric-mean" and (bad := rows[entry.column] <= 0).any():
            row, value = rows.index[bad][0], rows.loc[bad, entry.column].iloc[0]
            raise InputError(
                f"table: column {entry.column!r}, row {row + 1}: found {value:g}, allowed: numbers greater than 0."
            )


def _usable(rows: pd.DataFrame, spec: Spec, excluded: Excluded) -> pd.DataFrame:
    """Leave out rows whose output has no place on the scale of errors, and say which."""
    y, scale = rows[spec.output.name], spec.output.scale
    low = -np.inf if scale == "identity" else 0.0
    high = {"identity": np.inf, "log": np.inf, "logit": 1.0}[scale]
    fine = (y > low) & (y < high)
    key = next((c for c in ("model", "run") if c in rows), None)
    labels = rows[key] if key else pd.Series([f"row {i + 1}" for i in rows.index], index=rows.index)
    if spec.output.name == "neg_log_pass_at_k":
        excluded.add(
            labels[np.isinf(y)],
            "no success in any sample: −log pass@k is infinite (a count likelihood keeps such rows)",
        )
        excluded.add(labels[y <= 0], "every problem is solved: −log pass@k is 0, which has no logarithm")
    else:
        excluded.add(labels[~fine], f"{spec.output.name} has no value on the {scale} scale")
    if not fine.any():
        raise InputError(
            f"table: no row has a usable {spec.output.name}; the {scale} scale needs values in ({low:g}, {high:g})."
        )
    return rows[fine]


def to_dataset(rows: pd.DataFrame, spec: Spec, checks: list[Check], **attrs: str) -> xr.Dataset:
    """Lay checked rows out as a dataset with one dim, ``obs``.

    Parameters
    ----------
    rows : pandas.DataFrame
    spec : Spec
    checks : list of Check
        What is to be known of the data; travels in the attributes.
    **attrs : str
        Further attributes.

    Returns
    -------
    xarray.Dataset
    """
    rows = rows.reset_index(drop=True)
    if "sampling_error" not in rows:
        rows = rows.assign(sampling_error=0.0)
    units = {i.column: i.unit for i in spec.inputs.values()} | {spec.output.name: spec.output.unit}
    units["sampling_error"] = spec.output.unit
    data = xr.Dataset(coords={"obs": np.arange(len(rows))}, attrs={"checks": to_json(checks), **attrs})
    for name in (spec.output.name, *(i.column for i in spec.inputs.values() if i.function is None)):
        if not can_be_called(name):
            raise InputError(
                f"model '{spec.name}': no column can be called {name!r}, allowed: any text without '/' but 'obs' and "
                "'node'; give it another name in the model file, and here with rename={'theirs': 'ours'}."
            )
    for name in filter(can_be_called, rows.columns):
        if is_number(rows[name]):
            data[name] = (
                "obs",
                rows[name].to_numpy(dtype=float, na_value=np.nan),
                {"units": units.get(name, "")},
            )
        else:
            data = data.assign_coords({name: ("obs", as_text(rows[name]))})
    return data
