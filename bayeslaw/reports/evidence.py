"""The sections of a report that say what its numbers rest on: studies, sensitivity, and how to make it again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.assess.checks import SENSITIVE, prior_sensitivity, width_shares
from bayeslaw.core.check import Check, from_json
from bayeslaw.core.numbers import show
from bayeslaw.forecasts.mixture import Mixture
from bayeslaw.forecasts.variance import COMPONENTS, TOTAL, split
from bayeslaw.inference.fit import Fit
from bayeslaw.reports.cases import Ahead, Case
from bayeslaw.reports.page import Code, Picture, Section, Table
from bayeslaw.reports.wording import place, python_commands, shell_commands
from bayeslaw.studies.backtest import pooled_coverage
from bayeslaw.studies.backtest_words import one_sided, pooled_words, target_table

_MORE = {
    "stability": "`--stability` (a file of `bayeslaw stability`: over how many orders the law holds)",
    "comparison": "`--compare` (laws that were fitted to the same rows, side by side)",
    "backtest": "`--backtest` (a file of `bayeslaw backtest`: how forecasts of rows that were not seen turned out)",
}
"""What a report shows if it is given."""
_JOINED = "\u00a0"
"""A space at which no line breaks."""

# ---- studies


def stability_section(studies: Mapping[str, xr.Dataset]) -> Section | None:
    """Show over how many orders of magnitude the parameters are stable."""
    if not studies:
        return None
    from bayeslaw.plots.stability import plot_stability
    from bayeslaw.studies.stability.study import stable_spans

    parts = []
    for name, study in studies.items():
        alt = f"Parameters of {name} from window to window, with their intervals."
        table = Table(stable_spans(study), "Over how many orders of magnitude each parameter is stable.")
        said = (f"{name}, along {study.attrs['along']}: {study.attrs['law_verdict']}.",)
        parts.append(Section(name, said, tables=(table,), figures=(Picture(plot_stability(study), alt),)))
    return Section("Stability", parts=tuple(parts))


def comparison_section(table: pd.DataFrame | None) -> Section | None:
    """Show laws side by side."""
    if table is None:
        return None
    units, checks = table.attrs.get("units") or {}, table.attrs.get("checks") or ()
    shown = table.rename(columns={n: f"{n.replace('_', ' ')} ({units[n]})" for n in table if units.get(n)})
    said = table.attrs.get("verdict") or ()
    texts = (said,) if isinstance(said, str) else tuple(map(str, said))
    found = from_json(checks) if isinstance(checks, str) else [c for c in checks if isinstance(c, Check)]
    return Section("Comparison", texts, (Table(shown, "Laws side by side."),), checks=tuple(found))


def backtest_section(studies: Mapping[str, xr.Dataset]) -> Section | None:
    """Show how earlier forecasts of this kind turned out: each window's target, then the scores."""
    parts = tuple(_backtest(name, bt) for name, bt in studies.items())
    return Section("Back-test", parts=parts) if parts else None


def _backtest(name: str, bt: xr.Dataset) -> Section:
    from bayeslaw.plots.backtest import plot_backtest
    from bayeslaw.plots.backtest_targets import plot_backtest_targets

    targets, of = _targets(bt)
    against = "distance to the target" if not bt.attrs["leave_out"] else "groups"
    scored = (
        "Forecasts of all rows that were not seen, by method: windows, how many targets lie inside their 90 % intervals, median error of "
        "the target, mean interval score of logarithms (lower is better), joint log score a row (higher is better), fits that are not clean."
    )
    pictures = (
        Picture(plot_backtest_targets(bt), f"Back-test of {name}: each target's truth as a line, beside it each method's median and intervals.", "What was foretold of each target, and what it turned out to be."),
        Picture(plot_backtest(bt), f"Back-test of {name}: error, interval score and log score against the {against}, a colour a method."),
    )  # fmt: skip
    kind = "groups left out, each once" if bt.attrs["leave_out"] else "growing windows"
    told = f"Along {bt.attrs['along']}: {bt.sizes['window']} {kind}; {bt.attrs['output'].replace('_', ' ')} in {bt.attrs['units']}."
    words = tuple(f"{line.rstrip('.')}." for line in (*one_sided(bt), *pooled_words(bt)))
    return Section(name, (told,), (Table(targets, of), Table(_scores(bt), scored)), pictures, items=words)


def _targets(bt: xr.Dataset) -> tuple[pd.DataFrame, str]:
    """Return a row a window: its target, the truth, and each method's interval; with a caption."""
    table = target_table(bt)
    windows = table.drop_duplicates("window").set_index("window")
    parts = [windows["target"], windows["truth"]]
    for method, own in table.groupby("method", sort=False):
        own = own.set_index("window")
        ends = [f"{show(r.median)} [{show(r.lower)}, {show(r.upper)}]".replace(" ", _JOINED) for r in own[["median", "lower", "upper"]].itertuples()]  # fmt: skip
        parts += [pd.Series(ends, own.index, name=method), own["inside"], own["off (%)"].map("{:.2g}".format)]
    shown = pd.concat(parts, axis=1)
    shown = shown.astype(object).where(shown.notna(), "–")
    shown.index = pd.Index([str(w).replace("<= ", f"<={_JOINED}") for w in shown.index], name="window")
    of = "What each window foretold of its target: the truth; by method the median and 90 % interval, whether the truth lies inside, and how far off the median was."
    places = dict.fromkeys(shown["target"])
    if len(places) == 1:
        shown = shown.drop(columns="target")
        of = of.replace("its target", f"one target, {next(iter(places))}")
    return shown, of


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


def sensitivity_section(fits: list[Case]) -> Section | None:
    """Show how much the prior has a say in each parameter of a posterior."""
    text = (
        f"How far a slightly stronger or weaker prior would move each parameter (power-scaling); from {SENSITIVE:g} on the prior has a say. "
        "Beside it, how much narrower the posterior is than the prior, on the scale on which the prior is a normal: near 100 % the data say little."
    )
    parts = [
        Section(case.name, tables=(Table(_sensitivity(case.fit)),))
        for case in fits
        if case.fit.method == "nuts"
    ]
    return Section("Sensitivity to the priors", (text,), parts=tuple(parts)) if parts else None


def _sensitivity(fit: Fit) -> pd.DataFrame:
    draws = fit.draws
    names = [n for n in (*fit.spec.constants, *draws.data_vars) if n in draws]
    moved = prior_sensitivity(fit, draws[list(dict.fromkeys(map(str, names)))])
    narrower = {n: 100 * share for n, share in width_shares(fit).items()}
    frame = pd.DataFrame({"sensitivity (1)": moved, "sd, % of the prior's": narrower}).reindex(list(moved))
    says = np.where(frame["sensitivity (1)"] >= SENSITIVE, "has a say", "hardly matters")
    return frame.assign(**{"the prior": says}).rename_axis("parameter")


def uncertainty_section(cases: list[Case]) -> Section | None:
    """Show where each forecast's uncertainty comes from."""
    texts = (
        "What of each forecast's variance (of a run, on the scale of errors) comes from what: its covariance with the whole over the variance of "
        "the whole, so that shares add up to one. Law and discrepancy trade off given the data; a negative share says that a component "
        "mostly makes up for another one, so that without it the forecast would be wider.",
        "Parameters and law choice shrink with more or other data; run noise and evaluation noise do not.",
    )
    tables = [split(case.fit, **_last_step(ahead)) for case in cases for ahead in case.ahead]
    if not tables:
        return None
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


def reproduce_section(cases: list[Case], prob: float, shown: Iterable[str] = ()) -> Section:
    """Say how each fit is made again, to the bit on the same machine, and what else a page can show."""
    text = (
        "TABLE is the file that the rows came from, read with the conditions, renames and joins of then. The frozen model file below goes "
        "into the file that the commands name; the rows' hash says whether the table is the same. Seeds make results bit-identical on one machine."
    )
    posteriors = sum(isinstance(case.fit, Fit) and case.fit.method == "nuts" for case in cases)
    more = [how for name, how in _MORE.items() if name not in shown and (name != "comparison" or posteriors > 1)]  # fmt: skip
    add = (f"A report also takes {'; '.join(more)}.",) if more else ()
    return Section("Reproduce", (text, *add), parts=tuple(_made_again(case, prob) for case in cases))


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
