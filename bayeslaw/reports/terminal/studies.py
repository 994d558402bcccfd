"""Lay out back-tests, comparisons and studies of stability as plain text."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.core.numbers import precise
from bayeslaw.reports.terminal.fits import checks_text
from bayeslaw.studies.backtest.leaning import one_sided_checks
from bayeslaw.studies.backtest.variables import backtest_table
from bayeslaw.studies.backtest.words import one_sided, pooled_words, target_table
from bayeslaw.studies.stability.over_k import by_k_table
from bayeslaw.studies.stability.study import stable_spans, unclean


def backtest_text(bt: xr.Dataset) -> str:
    """Lay out a back-test: what each window predicted for its target, the scores of each fit, and what failed.

    Parameters
    ----------
    bt : xarray.Dataset
        As `backtest` returned it.

    Returns
    -------
    str
        Ends with what leaned to one side, and how often targets lie inside their intervals.
    """
    table = backtest_table(bt)
    order = {name: i for i, name in enumerate(bt["window"].values)}
    table = table.sort_values("window", key=lambda c: c.map(order), kind="stable")
    head = f"back-test of {bt.attrs['model']} along {bt.attrs['along']}, {bt.attrs['output']} ({bt.attrs['units']})"
    bad = table[table["failed"] != ""]
    failed = [f"[fail] {r.method}, {r.window}: {r.failed}" for r in bad.itertuples()]
    warned = [checks_text(found)] if (found := one_sided_checks(bt)) else []
    lines = [*failed, *warned, *one_sided(bt), *pooled_words(bt)]
    return "\n".join([head, _targets_text(bt), "", _scores_text(bt, table), "", *lines])


def _targets_text(bt: xr.Dataset) -> str:
    """Lay out each window's target, its truth and the interval; one target for all is named once."""
    told = target_table(bt)
    places = dict.fromkeys(told["target"])
    head = "what was predicted for each window's target: 90 % interval, the median's relative error, PIT (below 0.5: too high)"
    if len(places) == 1:
        head = head.replace("each window's target", f"the target, {next(iter(places))}")
        told = told.drop(columns="target")
    told = told.astype({"off (%)": object, "PIT": object})
    told = told.assign(**{"off (%)": told["off (%)"].map("{:.3g}".format), "PIT": told["PIT"].map("{:.2f}".format)})  # fmt: skip
    return f"{head}\n{told.map(precise).to_string(index=False)}"


def _scores_text(bt: xr.Dataset, table: pd.DataFrame) -> str:
    """Lay out the scores of the held-out rows, one row per fit."""
    shown = pd.DataFrame({
        "window": table["window"],
        "method": table["method"],
        "seen": table["rows_seen"],
        "held": table["rows_held"],
        "ahead": table["orders_ahead"].map("{:.1f}".format),
        "off": table["error"].map(_percent),
        "inside 90 %": table["coverage_90"].map(_percent),
        "expected": _between(table["coverage_low_90"], table["coverage_high_90"], _percent),
        "score": table["interval_score_relative"].map("{:.3f}".format),
        "log score": (table["log_score_joint"] / table["rows_held"]).map("{:.3g}".format),
        "fit": np.where(table["failed"] == "", "clean", "FAILED"),
    })  # fmt: skip
    if bt.attrs["leave_out"]:
        shown = shown.drop(columns="ahead")
    head = (
        "all held-out rows: off, mean relative error of the median; ahead, orders of magnitude to the target;\n"
        "inside, of their 90 % intervals, and the range that the forecast itself expects; score, interval score\n"
        "of logarithms (lower is better); log score, joint, nat per row (higher is better)"
    )
    return f"{head}\n{shown.to_string(index=False)}"


def comparison_text(table: pd.DataFrame) -> str:
    """Lay out a comparison: one column per law, the units beside; the verdict; what to know about it.

    Parameters
    ----------
    table : pandas.DataFrame
        As `compare` returned it.

    Returns
    -------
    str
    """
    shares = {n: table[n].map("{:.3f}".format) for n in table if n.startswith("weight_")}
    turned = table.astype(object).assign(**shares).map(precise).T
    turned.index = [f"{name} [{table.attrs['units'][name]}]" for name in turned.index]
    told = checks_text(c for c in table.attrs["checks"] if c.level != "ok")
    shown = turned.rename_axis(columns=None).to_string()
    return "\n\n".join(part for part in (shown, table.attrs["verdict"], told) if part)


def by_k_text(st: xr.Dataset) -> str:
    """Lay out a study of stability over k: one row per k and parameter.

    Parameters
    ----------
    st : xarray.Dataset
        As `stability_by_k` returned it.

    Returns
    -------
    str
    """
    table = by_k_table(st).drop(columns=["sensitivity", "early_orders", "orders"])
    table.insert(
        0, "parameter", [f"{n} [{u}]" for n, u in zip(table.pop("parameter"), table.pop("unit"), strict=True)]
    )
    table.insert(0, "k", table.pop("k"))
    head = f"stability of {st.attrs['model']} along {st.attrs['along']} for {st.sizes['k']} k of pass@k"
    verdicts = [f"k = {k}: {told}" for k, told in zip(st["k"].values, st["law_verdict"].values, strict=True)]
    shown = table.drop(columns=["law_orders", "law_verdict"]).map(precise)
    bad = [
        f"[fail] k = {k}: {n} fit(s) failed a check of the sampler"
        for k, n in zip(st["k"].values, st["failed"].values, strict=True)
        if n
    ]
    return "\n".join([head, *verdicts, shown.to_string(index=False), *bad])


def stability_text(st: xr.Dataset) -> str:
    """Lay out a study of stability: the verdict, one row per parameter, and what failed.

    Parameters
    ----------
    st : xarray.Dataset
        As `stability` returned it.

    Returns
    -------
    str
    """
    attrs = st.attrs
    table = stable_spans(st)
    shown = table.drop(columns=["stable_orders", "drift_at", "resolved_from", "sensitivity", "unit"])
    shown.index = [f"{n} [{u}]" for n, u in zip(table.index, table["unit"], strict=True)]
    reach = float(st["orders"].max())
    head = (
        f"stability of {attrs['model']} along {attrs['along']}, {reach:.1f} orders of magnitude below "
        f"{attrs['target']:.3g}: {attrs['law_verdict']}"
    )
    early = (
        f"forecast of the target: within its {100 * attrs['prob']:g} % interval, and that no wider than a factor of "
        f"{np.exp(attrs['width']):.2g}, from {attrs['early_orders']:.1f} orders below it on"
    )
    told = zip(st["window"].values, st["failed"].values, unclean(st), strict=True)
    failed = [f"[{'fail' if bad else 'note'}] {w}: {f}" for w, f, bad in told if f]
    few = st["window"].values[st["few_inputs"].values.astype(bool) & st["fitted"].values.astype(bool)]
    if len(few):
        failed.append(
            f"[note] {', '.join(few)}: too few different inputs for the law's parameters; what they say is the prior's"
        )
    claim = [attrs["claim_verdict"]] if "claim_verdict" in attrs else []
    return "\n".join([head, *claim, shown.map(precise).to_string(), early, *failed])


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _between(low: pd.Series, high: pd.Series, write: Callable[[float], str]) -> list[str]:
    return [f"[{write(a)}, {write(b)}]" for a, b in zip(low, high, strict=True)]
