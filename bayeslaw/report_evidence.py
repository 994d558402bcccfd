"""The sections of a report that say what its numbers rest on: studies, sensitivity, and how to make it again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.backtesting import pooled_coverage
from bayeslaw.cases import Ahead, Case
from bayeslaw.check import Check, from_json
from bayeslaw.diagnostics import SENSITIVE, prior_sensitivity, width_shares
from bayeslaw.mixture import Mixture
from bayeslaw.page import Code, Picture, Section, Table, show
from bayeslaw.report_text import place, python_commands, shell_commands
from bayeslaw.result import Fit
from bayeslaw.uncertainty import COMPONENTS, TOTAL, split

# ---- studies


def stability_section(studies: Mapping[str, xr.Dataset], fits: list[Case]) -> Section:
    """Show over how many orders of magnitude the parameters are stable; or how to find out."""
    title = "Stability"
    if not studies:
        text = f"Not computed. `bayeslaw stability {fits[0].fit.spec.name} TABLE --along COLUMN -o st.nc` fits growing parts of the data; give this report `--stability st.nc`."
        return Section(title, (text,))
    from bayeslaw.spans import stable_spans
    from bayeslaw.stability_plots import plot_stability

    parts = []
    for name, study in studies.items():
        alt = f"Parameters of {name} from window to window, with their intervals."
        table = Table(stable_spans(study), "Over how many orders of magnitude each parameter is stable.")
        said = (f"{name}, along {study.attrs['along']}: {study.attrs['law_verdict']}.",)
        parts.append(Section(name, said, tables=(table,), figures=(Picture(plot_stability(study), alt),)))
    return Section(title, parts=tuple(parts))


def comparison_section(table: pd.DataFrame | None, fits: list[Case]) -> Section:
    """Show laws side by side; or how to compare them."""
    title, posteriors = "Comparison", [c for c in fits if c.fit.method == "nuts"]
    if table is None:
        text = "One law only: there is nothing to compare it with."
        if len(posteriors) > 1:
            text = "Not computed. `bayeslaw compare FIT FIT`, or `--compare` for this report, sets laws that were fitted to the same rows side by side."
        return Section(title, (text,))
    units, checks = table.attrs.get("units") or {}, table.attrs.get("checks") or ()
    shown = table.rename(columns={n: f"{n.replace('_', ' ')} ({units[n]})" for n in table if units.get(n)})
    said = table.attrs.get("verdict") or ()
    texts = (said,) if isinstance(said, str) else tuple(map(str, said))
    found = from_json(checks) if isinstance(checks, str) else [c for c in checks if isinstance(c, Check)]
    return Section(title, texts, (Table(shown, "Laws side by side."),), checks=tuple(found))


def backtest_section(studies: Mapping[str, xr.Dataset], fits: list[Case]) -> Section:
    """Show how earlier forecasts of this kind turned out; or how to find out."""
    title = "Back-test"
    if not studies:
        text = f"Not computed. `bayeslaw backtest {fits[0].fit.spec.name} TABLE --along COLUMN -o bt.nc` forecasts rows that it did not see; give this report `--backtest bt.nc`."
        return Section(title, (text,))
    from bayeslaw.plots import plot_backtest

    parts = []
    for name, bt in studies.items():
        caption = (
            "Forecasts of rows that were not seen, by method: windows, how many targets lie inside their 90 % intervals, median error of "
            "the target, mean interval score of logarithms (lower is better), joint log score a row (higher is better), fits that are not clean."
        )
        alt = f"Back-test of {name}: error, interval score and log score against the distance to the target, a colour a method."
        picture = Picture(plot_backtest(bt), alt)
        parts.append(Section(name, tables=(Table(_scores(bt), caption),), figures=(picture,)))
    return Section(title, parts=tuple(parts))


def _scores(bt: xr.Dataset) -> pd.DataFrame:
    inside = pooled_coverage(bt)["coverage"].sel(level=0.9)
    failed = (bt["failed"] != "").sum("window")
    return pd.DataFrame({
        "windows": bt.sizes["window"],
        "targets inside 90 % (share)": inside.values,
        "error of the target (%)": 100 * bt["target_error"].median("window").values,
        "interval score (log)": bt["interval_score_relative"].mean("window").values,
        "log score (nat a row)": (bt["log_score_joint"] / bt["rows_held"]).mean("window").values,
        "not clean": failed.values,
    }, index=pd.Index(bt["method"].values, name="method"))  # fmt: skip


# ---- what the result rests on


def sensitivity_section(fits: list[Case]) -> Section:
    """Show how much the prior has a say in each parameter."""
    text = (
        f"How far a slightly stronger or weaker prior would move each parameter (power-scaling); from {SENSITIVE:g} on the prior has a say. "
        "Beside it, how much narrower the posterior is than the prior, on the scale on which the prior is a normal: near 100 % the data say little."
    )
    parts = [
        Section(case.name, tables=(Table(_sensitivity(case.fit)),))
        for case in fits
        if case.fit.method == "nuts"
    ]
    if not parts:
        return Section("Sensitivity to the priors", ("A point fit has no priors.",))
    return Section("Sensitivity to the priors", (text,), parts=tuple(parts))


def _sensitivity(fit: Fit) -> pd.DataFrame:
    draws = fit.draws
    names = [n for n in (*fit.spec.constants, *draws.data_vars) if n in draws]
    moved = prior_sensitivity(fit, draws[list(dict.fromkeys(map(str, names)))])
    narrower = {n: 100 * share for n, share in width_shares(fit).items()}
    frame = pd.DataFrame({"sensitivity (1)": moved, "sd, % of the prior's": narrower}).reindex(list(moved))
    says = np.where(frame["sensitivity (1)"] >= SENSITIVE, "has a say", "hardly matters")
    return frame.assign(**{"the prior": says}).rename_axis("parameter")


def uncertainty_section(cases: list[Case]) -> Section:
    """Show where each forecast's uncertainty comes from."""
    texts = (
        "What of each forecast's variance (of a run, on the scale of errors) comes from what: its covariance with the whole over the variance of "
        "the whole, so that shares add up to one. Law and discrepancy trade off given the data; a negative share says that a component "
        "mostly makes up for another one, so that without it the forecast would be wider.",
        "Parameters and law choice shrink with more or other data; run noise and evaluation noise do not.",
    )
    tables = [split(case.fit, **_last_step(ahead)) for case in cases for ahead in case.ahead]
    if not tables:
        return Section("Where the uncertainty comes from", ("There is no forecast to split.",))
    places = [(case, ahead, row) for case in cases for ahead in case.ahead for row in ahead.rows]
    owns = [own for table in tables for _, own in table.groupby(table.columns[0], sort=False)]
    frame = pd.DataFrame([
        {"fit": case.name, "run at": place(case, ahead, row), **_share_words(own)}
        for (case, ahead, row), own in zip(places, owns, strict=True)
    ]).set_index("fit")  # fmt: skip
    units = ", ".join(dict.fromkeys(table.attrs["units"] for table in tables))
    frame = frame[[n for n in ("run at", *COMPONENTS, "sd") if n in frame]].fillna("–")
    frame = frame.rename(columns={n: f"{n} (%)" for n in COMPONENTS} | {"sd": f"sd ({units})"})
    caption = "Shares of the variance, and the standard deviation of the whole."
    return Section("Where the uncertainty comes from", texts, (Table(frame, caption),))


def _last_step(ahead: Ahead) -> dict[str, Any]:
    """Return the arguments of `split`: of a schedule, its last step."""
    steps = {"steps": [int(ahead.fc["step"].values[-1])]} if "step" in ahead.fc.dims else {}
    return ahead.asked | steps


def _share_words(own: pd.DataFrame) -> dict[str, str]:
    """Return the shares of one forecast in per cent, and the sd of the whole."""
    share, sd = (dict(zip(own["component"], own[n], strict=True)) for n in ("share", "sd"))
    return {n: f"{100 * v:.1f}" for n, v in share.items() if n != TOTAL} | {"sd": show(float(sd[TOTAL]))}


def reproduce_section(cases: list[Case], prob: float) -> Section:
    """Say how each fit is made again, to the bit on the same machine."""
    text = (
        "TABLE is the file that the rows came from, read with the conditions, renames and joins of then. The frozen model file below goes "
        "into the file that the commands name; the rows' hash says whether the table is the same. Seeds make results bit-identical on one machine."
    )
    parts = [_made_again(case, prob) for case in cases]
    return Section("Reproduce", (text,), parts=tuple(parts))


def _made_again(case: Case, prob: float) -> Section:
    fit = case.fit
    if isinstance(fit, Mixture):
        told = {n: fit.scores.attrs.get(n) for n in ("along", "settings")}
        asked = "; ".join(f"{n}: {v}" for n, v in told.items() if v)
        named = ", ".join(f'"{name}": …' for name in fit.fits)
        text = f"`bl.stack({{{named}}})` of the fits below{', with ' + asked if asked else ''}."
        return Section(case.name, (text,))
    settings = {"method": fit.method, **fit.settings, "data hash (SHA-256)": fit.tree.attrs["data_hash"]}
    versions = {f"version of {name}": v for name, v in json.loads(fit.tree.attrs["versions"]).items()}
    values = {n: str(v) for n, v in (settings | versions).items()}
    frame = pd.DataFrame({"value": values}).rename_axis("setting")
    code = (
        Code(shell_commands(fit, case.ahead, prob), "In a shell"),
        Code(python_commands(fit, case.ahead, prob), "In Python"),
        Code(fit.tree.attrs["spec"], f"The frozen model file, {fit.spec.name}-frozen.toml", folded=True),
    )
    return Section(case.name, tables=(Table(frame, "Settings, seed, versions."),), code=code)
