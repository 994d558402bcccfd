"""What a back-test's dataset holds: its variables, their units and meanings, and how records become one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.data.row_names import row_names
from bayeslaw.data.windows import Window
from bayeslaw.observation.bound import BoundLaw
from bayeslaw.studies.backtest.scores import LEVELS

# Name: dims beyond (method, window), unit ("output" for the output's own), meaning.
VARIABLES: dict[str, tuple[tuple[str, ...], str, str]] = {
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


def assembled(
    records: list[list[dict[str, Any]]], names: list[str], windows: list[Window], data: xr.Dataset, unit: str
) -> xr.Dataset:
    """Lay the records of every method and window out as one dataset."""
    sizes = {"level": len(LEVELS), "obs": data.sizes["obs"]}
    variables: dict[str, Any] = {}
    for name, (dims, units, meaning) in VARIABLES.items():
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


def by_window(bound: BoundLaw, windows: list[Window], rows: list[int], orders: np.ndarray) -> dict[str, Any]:
    """Return what is the same for all methods, and the coordinate ``end``."""
    spec, data = bound.spec, bound.data
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
        "target_observed": (observed, spec.shown_unit, "what the target turned out to be"),
    }
    out: dict[str, Any] = {
        n: ("window", np.asarray(v), {"units": u, "long_name": m}) for n, (v, u, m) in columns.items()
    }
    out["end"] = ("window", np.array([w.end for w in windows]), along)
    return out


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
        growing windows predict one row again and again.
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
