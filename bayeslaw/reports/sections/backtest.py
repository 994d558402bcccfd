"""Show how earlier forecasts of this kind turned out."""

from __future__ import annotations

import pandas as pd
import xarray as xr

from bayeslaw.core.numbers import show
from bayeslaw.reports.content import Content
from bayeslaw.reports.elements import Picture, Section, Table
from bayeslaw.studies.backtest.leaning import one_sided_checks
from bayeslaw.studies.backtest.variables import pooled_coverage
from bayeslaw.studies.backtest.words import one_sided, pooled_words, target_table

_JOINED = "\u00a0"
"""A space at which no line breaks."""


def backtest_section(content: Content) -> Section | None:
    """Show how earlier forecasts of this kind turned out: each window's target, then the scores."""
    parts = tuple(_backtest(name, bt) for name, bt in content.backtest.items())
    return Section("Back-test", parts=parts) if parts else None


def _backtest(name: str, bt: xr.Dataset) -> Section:
    from bayeslaw.plots.backtest import plot_backtest
    from bayeslaw.plots.backtest_targets import plot_backtest_targets

    targets, of = _targets(bt)
    against = "distance to the target" if not bt.attrs["leave_out"] else "groups"
    scored = (
        "Forecasts of all rows that were not seen, by method: windows, how many targets lie inside their 90 % intervals, median error of "
        "the target, mean interval score of logarithms (lower is better), joint log score per row (higher is better), fits that are not clean."
    )
    pictures = (
        Picture(plot_backtest_targets(bt), f"Back-test of {name}: each target's truth as a line, beside it each method's median and intervals.", "What was predicted for each target, and what it turned out to be."),
        Picture(plot_backtest(bt), f"Back-test of {name}: error, interval score and log score against the {against}, one colour per method."),
    )  # fmt: skip
    kind = "groups left out, each once" if bt.attrs["leave_out"] else "growing windows"
    told = f"Along {bt.attrs['along']}: {bt.sizes['window']} {kind}; {bt.attrs['output'].replace('_', ' ')} in {bt.attrs['units']}."
    words = tuple(f"{line.rstrip('.')}." for line in (*one_sided(bt), *pooled_words(bt)))
    tables, checks = (Table(targets, of), Table(_scores(bt), scored)), tuple(one_sided_checks(bt))
    return Section(name, (told,), tables, pictures, checks, items=words)


def _targets(bt: xr.Dataset) -> tuple[pd.DataFrame, str]:
    """Return one row per window: its target, the truth, and each method's interval; with a caption."""
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
    of = "What each window predicted for its target: the truth; by method the median and 90 % interval, whether the truth lies inside, and how far off the median was."
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
        "log score (nat per row)": (bt["log_score_joint"] / bt["rows_held"]).mean("window").values,
        "not clean": failed.values,
    }, index=pd.Index(bt["method"].values, name="method"))  # fmt: skip
