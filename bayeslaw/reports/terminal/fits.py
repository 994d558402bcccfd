"""Lay out fits, checks and forecasts as plain text."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.core.check import Check
from bayeslaw.core.numbers import precise
from bayeslaw.forecasts.mixture import Mixture
from bayeslaw.forecasts.track_record import from_json
from bayeslaw.reports.wording import record_words

MAX_ROWS = 12
"""A longer forecast is shown at this many evenly spaced steps; -o writes all."""


def summary_text(table: pd.DataFrame) -> str:
    """Lay out a summary: one row per parameter, with its unit.

    Parameters
    ----------
    table : pandas.DataFrame
        As `summary` returns it.

    Returns
    -------
    str
    """
    of = "bootstrap's median" if "point" in table else "median"
    head = f"parameters: {'point, ' if 'point' in table else ''}{of}, central {100 * table.attrs['prob']:g} % interval from lower to upper; mean, sd"
    return head + "\n" + table.drop(columns="meaning").map(precise).to_string()


def checks_text(found: Iterable[Check]) -> str:
    """Lay out checks, one line each, with the level first."""
    return "\n".join(f"[{c.level:4s}] {c.name}: {c.message}" for c in found)


def forecast_text(result: xr.Dataset) -> str:
    """Lay out the headline rows (``run``) of a forecast, then the law alone at the last.

    Parameters
    ----------
    result : xarray.Dataset
        As `forecast` returns it.

    Returns
    -------
    str
    """
    dim, result = "step" if "step" in result.dims else "target", result.drop_vars("draws", errors="ignore")
    size = result.sizes[dim]
    rows = (
        sorted({round(i * (size - 1) / (MAX_ROWS - 1)) for i in range(MAX_ROWS)})
        if size > MAX_ROWS
        else list(range(size))
    )
    table = result.sel(kind="run", drop=True).isel({dim: rows}).to_dataframe().reset_index()
    first = [c for c in table.columns if c not in ("target", "mean", "median", "lower", "upper")]
    table = table[[*first, "median", "lower", "upper"]]
    if result.attrs["output"] == "neg_log_pass_at_k":
        shares = {"pass@k": "median", "from": "upper", "to": "lower"}
        table = table.assign(**{name: np.exp(-table[column]) for name, column in shares.items()})
    table = table.astype(object).map(precise)
    law = result.sel(kind="law").isel({dim: -1})
    per = f"{100 * result.attrs['prob']:g} %"
    head = f"{result.attrs['output']} ({result.attrs['units']}), {per} interval of a run:"
    alone = f"law alone at the last row: {float(law['median']):.5g} [{float(law['lower']):.5g}, {float(law['upper']):.5g}]"
    measured = f"\na run {found}" if (found := result.attrs.get("evaluation")) else ""
    cited = from_json(result.attrs["track_record"]) if "track_record" in result.attrs else []
    held = "".join(f"\ntrack record: {record_words(row)}" for row in cited)
    return f"{head}\n{table.to_string(index=False)}{measured}\n{alone} {result.attrs['units']}{held}"


def mixture_text(mixture: Mixture) -> str:
    """Lay out a mixture's weights: one row per law, with how it predicted each block of rows.

    Parameters
    ----------
    mixture : Mixture
        As `stack` returned it.

    Returns
    -------
    str
    """
    scores = mixture.scores["log_score_joint"].transpose("law", "window")
    shown = pd.DataFrame(
        scores.values, list(map(str, scores["law"].values)), map(str, scores["window"].values)
    )
    shown = shown.map("{:.1f}".format)
    shown.insert(0, "weight", [f"{mixture.weights[name]:.3f}" for name in shown.index])
    head = f"weights of {len(shown)} law(s), and the log score (nat) of the rows behind each window, together"
    failed = mixture.scores["failed"].transpose("law", "window").values
    told = [
        f"[warn] {law}, {window}: {why}"
        for law, per in zip(shown.index, failed, strict=True)
        for window, why in zip(shown.columns[1:], per, strict=True)
        if why
    ]
    return "\n".join([head, shown.to_string(), *told])
