"""Forecast what will happen, say what can be decided by it, and draw it: the one place where forecasts stand."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayeslaw.core.errors import InputError
from bayeslaw.core.numbers import percent, show
from bayeslaw.forecasts.distance import orders_text
from bayeslaw.reports.ahead import Ahead
from bayeslaw.reports.cases import BOOTSTRAP, Case
from bayeslaw.reports.content import Content
from bayeslaw.reports.decision import bar, deciding, decisions, told
from bayeslaw.reports.elements import Headline, Picture, Section, Table
from bayeslaw.reports.pictures import rows_figure
from bayeslaw.reports.verdict import failed, failure_words
from bayeslaw.reports.wording import distance, often, output_words, place, quantity, record, shares

_MOST_HEADLINES = 6


def forecast_section(content: Content) -> Section:
    """Say what will happen, what can be decided by it, and draw it: the one place where forecasts stand."""
    cases, prob = content.cases, content.prob
    pairs, headed = _pairs(cases), _pairs(deciding(cases))[:_MOST_HEADLINES]
    decided = decisions(cases)
    said = [f"No forecast by {case.name}: {case.missing}" for case in cases if case.missing]
    if len(pairs) > len(headed):
        said.append(f"The table has all {len(pairs)} forecasts.")
    if any(ahead.run for case in cases for ahead in case.ahead):
        said.append("No schedule was asked for: the forecasts are of the seen runs' own schedules, run anew.")
    return Section(
        "Forecast",
        tuple([*said, bar()] if decided else said),
        (Table(_forecasts(pairs), _forecast_caption(cases, prob)),) if pairs else (),
        tuple(picture for case in cases for picture in _forecast_figures(case, prob)),
        headlines=tuple(_headline(*pair, prob) for pair in headed),
        lead=tuple(decided),
    )


def _pairs(cases: list[Case]) -> list[tuple[Case, Ahead, int]]:
    return [(case, ahead, row) for case in cases for ahead in case.ahead for row in ahead.rows]


def _headline(case: Case, ahead: Ahead, row: int, prob: float) -> Headline:
    told, unit, far = ahead.told(row), case.spec.output.unit, distance(ahead, row)
    far = f"{far}: {record(ahead, row)}"
    name, note, middle = output_words(case), far, quantity(told["median"], unit)
    low, high = show(told["lower"]), quantity(told["upper"], unit)
    if solved := shares(case, told):  # a share is what a reader has a feeling for
        note = f"{name} {middle} [{low}, {show(told['upper'])}] · {far}"
        name, middle, low, high = solved
    if failed(case):
        note = f"{failure_words(case)}: do not use this number yet · {note}"
    label = f"{case.name}: {name} at {place(case, ahead, row)}"
    return Headline(label, middle, f"{often(prob)} between {low} and {high}", note)


def _forecasts(pairs: list[tuple[Case, Ahead, int]]) -> pd.DataFrame:
    """Return one row per forecast: where a run lands, and what the point fit says."""
    rows = []
    for case, ahead, row in pairs:
        ends = ahead.told(row)
        beside = dict.fromkeys(ends, np.nan) if ahead.point is None else ahead.told(row, ahead.point)
        solved, width = shares(case, ends), told(case, ahead, row).width
        rows.append({
            "fit": case.name, "run at": place(case, ahead, row),
            "orders beyond": orders_text(float(ahead.fc["orders_beyond"].values[row])), **ends,
            "unit": case.spec.output.unit, **({solved[0]: _unbroken(f"{solved[1]} [{solved[2]}, {solved[3]}]")} if solved else {}),
            "interval, % of value": "–" if np.isnan(width) else percent(width),
            "point fit": beside["median"], "its lower": beside["lower"], "its upper": beside["upper"],
        })  # fmt: skip
    frame = pd.DataFrame(rows).set_index("fit")
    if not any(ahead.point for _, ahead, _ in pairs):
        frame = frame.drop(columns=["point fit", "its lower", "its upper"])
    return frame.assign(**{n: frame[n].fillna("–") for n in frame.select_dtypes(exclude="number")})


def _unbroken(text: str) -> str:
    """Let a line break before an interval, and nowhere else in it."""
    return text.replace(" ", "\u00a0").replace("\u00a0[", " [")


def _forecast_caption(cases: list[Case], prob: float) -> str:
    kinds = dict.fromkeys(output_words(case) for case in cases)
    text = f"Where a run lands ({', '.join(kinds)}): median and central {100 * prob:g} % interval, its width in % of the median; orders of magnitude beyond the data."
    for words in dict.fromkeys(a.fc.attrs.get("evaluation") for case in cases for a in case.ahead):
        text += f" The run is taken {words}." if words else ""
    if any(ahead.point for case in cases for ahead in case.ahead):
        text += f" Beside it the source's point fit (Huber, L-BFGS), its interval from {BOOTSTRAP} bootstrap resamples and the residuals."
    return text


def _forecast_figures(case: Case, prob: float) -> list[Picture]:
    """Draw a case's forecast; laws of a mixture that share no axis are drawn each by itself alone."""
    from bayeslaw import plots

    per, found = f"{100 * prob:g} %", list(case.checks)
    asked = next((ahead for ahead in case.ahead if not ahead.run), None)
    if asked is None:
        return rows_figure(case, prob) if case.ahead else []
    try:
        figure = plots.plot_forecast(case.fit, asked.fc, found=found)
    except InputError:
        return []
    ends = asked.told(asked.rows[-1])
    alt = (
        f"Forecast by {case.name}: the rows, and a fan that ends at {place(case, asked, asked.rows[-1])} with "
        f"{show(ends['median'])} [{show(ends['lower'])}, {quantity(ends['upper'], case.spec.output.unit)}], {per} of a run."
    )
    return [Picture(figure, alt, f"{case.name}: the dark fan is where the curve lies, the pale one where a run lands, {per}.")]  # fmt: skip
