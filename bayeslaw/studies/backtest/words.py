"""A back-test in words: each window's target, its truth and its interval; and forecasts that lean to one side."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.studies.backtest.variables import pooled_coverage

LEAST_TARGETS = 6
"""So many windows on one side of their medians are said: by luck alone, of different targets, one time in 32."""


def target_place(bt: xr.Dataset) -> list[str]:
    """Say which row each window predicts: its run or model, and where it lies along the windows.

    Parameters
    ----------
    bt : xarray.Dataset
        As `backtest` returned it.

    Returns
    -------
    list of str
        By window; empty where the window sees its target.
    """
    rows = bt["target_row"].values
    names = bt["target_name"].values if "target_name" in bt else [f"row {row + 1}" for row in rows]
    at = bt["end"].values * 10 ** bt["orders_ahead"].values
    places = []
    for row, name, value in zip(rows, names, at, strict=True):
        where = f", {bt.attrs['along']} = {value:.3g}" if np.isfinite(value) else ""
        places.append(f"{name}{where}" if row >= 0 else "")
    return places


def target_table(bt: xr.Dataset) -> pd.DataFrame:
    """Lay out what was predicted of each window's target, and what it turned out to be.

    Parameters
    ----------
    bt : xarray.Dataset
        As `backtest` returned it.

    Returns
    -------
    pandas.DataFrame
        A row a window and method, windows in their order: window, target, method, truth, median,
        lower, upper (90 %), inside ("yes", "no"), off (%, of the median), pit. Windows that see their
        target, and fits that were impossible, are left out.
    """
    at90 = bt.sel(level=0.9)
    places, rows = target_place(bt), []
    for i, window in enumerate(bt["window"].values):
        for j, method in enumerate(bt["method"].values):
            one = at90.isel(window=i, method=j)
            low, high, truth = (float(one[f"target_{n}"]) for n in ("lower", "upper", "observed"))
            if not np.isfinite([low, high, truth]).all():
                continue
            rows.append({
                "window": str(window), "target": places[i], "method": str(method), "truth": truth,
                "median": float(one["target_median"]), "lower": low, "upper": high,
                "inside": "yes" if low <= truth <= high else "no",
                "off (%)": 100 * float(one["target_error"]), "PIT": float(one["target_pit"]),
            })  # fmt: skip
    names = ("window", "target", "method", "truth", "median", "lower", "upper", "inside", "off (%)", "PIT")
    return pd.DataFrame(rows, columns=names)


def pooled_words(bt: xr.Dataset) -> list[str]:
    """Say of each method how many targets lie inside their 90 % intervals, and whether that tells anything.

    Parameters
    ----------
    bt : xarray.Dataset
        As `backtest` returned it.

    Returns
    -------
    list of str
    """
    pooled = pooled_coverage(bt).sel(level=0.9)
    lines = []
    for i, name in enumerate(bt["method"].values):
        one = pooled.isel(method=i)
        count = int(one["targets"])
        inside, low, high = (f"{100 * float(one[n]):.3g} %" for n in ("coverage", "low", "high"))
        said = f"{name}: {inside} of targets inside their 90 % intervals"
        if count > 1:
            said += f"; with {count} targets {low} to {high} is as promised"
        else:
            said += "; all windows have one target, which cannot tell calibration"
        lines.append(said)
    return lines


def one_sided(bt: xr.Dataset) -> list[str]:
    """Say of each method whether its forecasts leaned to one side: too high, or too low.

    Parameters
    ----------
    bt : xarray.Dataset
        As `backtest` returned it.

    Returns
    -------
    list of str
        Empty if none did. Targets: six windows or more, all of them on one side of their medians.
        Held-out rows: in more than half of the windows their mean PIT lies on one side, outside the
        90 % that the forecasts expect of themselves (98 % where there is one window); rows of a window
        share the law's error, so that this range is much wider than that of independent rows.
    """
    told = []
    for i, method in enumerate(bt["method"].values):
        one = bt.isel(method=i)
        told += [f"{method}: {text}" for text in (_targets_lean(one), _rows_lean(one)) if text]
    return told


def _side(below: bool) -> str:
    """Say what a PIT on one side means: below one half, the truth lies below the forecast's median."""
    return "too high" if below else "too low"


def _targets_lean(one: xr.Dataset) -> str:
    fine = one["target_pit"].notnull().values
    places = one["target_pit"].values[fine]
    count = len(places)
    below = places < 0.5
    if count < LEAST_TARGETS or below.any() != below.all():
        return ""
    different = len(np.unique(one["target_row"].values[fine]))
    text = f"the target's forecasts were {_side(bool(below[0]))} in all {count} windows"
    if different == 1:
        return f"{text}; they have one target, so that this counts once, not {count} times."
    if different < count:
        return f"{text}, of {different} different targets."
    return f"{text}; by luck alone that happens one time in {2 ** (count - 1)}."


def _rows_lean(one: xr.Dataset) -> str:
    if "pit_mean_lowest" not in one:  # written before this was told
        return ""
    fine = one["pit_mean"].notnull().values
    alone = fine.sum() == 1  # one window in ten lies outside its 90 %: by itself it is held against its 98 %
    ends = ("pit_mean_lowest", "pit_mean_highest") if alone else ("pit_mean_low", "pit_mean_high")
    mean, low, high = (one[n].values[fine] for n in ("pit_mean", *ends))
    below, above = mean < low, mean > high
    lean = below if below.sum() >= above.sum() else above
    if 2 * lean.sum() <= len(mean):
        return ""
    mildest = int(np.argmin(np.where(lean, np.maximum(low - mean, mean - high), np.inf)))
    count = f"in {lean.sum()} of {len(mean)} windows"
    where = f"the mildest, {one['window'].values[fine][mildest]}, has a mean PIT of"
    windows, whose = ("in the one window", "their mean PIT is") if alone else (count, where)
    found, *own = _told_apart(mean[mildest], low[mildest], high[mildest])
    return (
        f"the held-out rows' forecasts were {_side(lean is below)} {windows}: {whose} {found}, "
        f"where the forecasts themselves expect {own[0]} to {own[1]}, rows that err together included."
    )


def _told_apart(value: float, *ends: float) -> list[str]:
    """Write a value and what it lies outside of with as many digits, two or more, as show that it does."""
    digits = next((d for d in (2, 3, 4) if all(round(value, d) != round(end, d) for end in ends)), 5)
    return [f"{number:.{digits}f}" for number in (value, *ends)]
