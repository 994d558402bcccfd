"""The sections of a report, one function each, in the order in which they are read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from bayeslaw.assess.checks import summary
from bayeslaw.core.check import from_json
from bayeslaw.core.errors import InputError
from bayeslaw.core.numbers import percent, show
from bayeslaw.forecasts.distance import orders_text
from bayeslaw.forecasts.mixture import Mixture
from bayeslaw.inference.fit import Fit, data_hash
from bayeslaw.reports.cases import BOOTSTRAP, Ahead, Case
from bayeslaw.reports.decision import bar, deciding, decisions, told
from bayeslaw.reports.page import Headline, Picture, Section, Table
from bayeslaw.reports.wording import (
    checked,
    distance,
    failed,
    failure_words,
    fit_words,
    often,
    output_words,
    place,
    prior_sentences,
    quantity,
    reference_sentence,
    shares,
    verdict_status,
)

_MOST_HEADLINES = 6
_UNITS = {
    "params": "parameter", "tokens": "token", "compute": "FLOP", "gold_nll": "nat", "step": "optimiser step",
    "lr": "per step", "loss": "nat/token", "pass_at_k": "share", "n": "sample", "c": "sample", "k": "sample",
    "problems": "problem", "shared_by": "curve",
}  # fmt: skip
_MOST_LABELS, _LARGE = 4, 1e6


# ---- the forecast, and whether to trust it


def forecast_section(cases: list[Case], prob: float) -> Section:
    """Say what will happen, what can be decided by it, and draw it: the one place where forecasts stand."""
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


def trust_section(cases: list[Case]) -> Section:
    """Say what the checks found: whether the sampler did its work, and what may mislead."""
    odd = [
        replace(check, name=f"{case.name}: {check.name}" if len(cases) > 1 else check.name)
        for case in cases
        for check in case.all_checks
        if check.level != "ok"
    ]
    told = tuple(checked(case) for case in cases)
    return Section("Can it be trusted?", told, checks=tuple(odd), status=verdict_status(cases))


def _pairs(cases: list[Case]) -> list[tuple[Case, Ahead, int]]:
    return [(case, ahead, row) for case in cases for ahead in case.ahead for row in ahead.rows]


def _headline(case: Case, ahead: Ahead, row: int, prob: float) -> Headline:
    told, unit, far = ahead.told(row), case.spec.output.unit, distance(ahead, row)
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
    """Return a row a forecast: where a run lands, and what the point fit says."""
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
    if any(ahead.point for case in cases for ahead in case.ahead):
        text += f" Beside it the source's point fit (Huber, L-BFGS), its interval from {BOOTSTRAP} bootstrap resamples and the residuals."
    return text


def _forecast_figures(case: Case, prob: float) -> list[Picture]:
    """Draw a case's forecast; laws of a mixture that share no axis are drawn each by itself alone."""
    from bayeslaw import plots

    per, found = f"{100 * prob:g} %", list(case.checks)
    asked = next((ahead for ahead in case.ahead if not ahead.run), None)
    if asked is None:
        return _rows_figure(case, prob) if case.ahead else []
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


def _rows_figure(case: Case, prob: float) -> list[Picture]:
    from bayeslaw import plots

    figure = plots.plot_fit(case.fit, prob, found=list(case.checks))
    alt = f"The rows of {case.name} with the fan of the fit, {100 * prob:g} % of a run."
    return [Picture(figure, alt, f"{case.name}: the fit among its rows.")]


# ---- data and priors


def data_section(fits: list[Case]) -> Section:
    """Show the rows: columns, ranges, units, and what was left out."""
    same: dict[str, list[Case]] = {}
    for case in fits:
        rows = case.fit.data.drop_vars("outlying", errors="ignore")
        same.setdefault(data_hash(rows), []).append(case)
    parts = []
    for group in same.values():
        fit = group[0].fit
        told = from_json(fit.data.attrs.get("checks", "[]"))
        left = "What was left out, and why, is said below." if told else "No row was left out."
        hashes = ", ".join(dict.fromkeys(c.fit.tree.attrs["data_hash"] for c in group))
        text = f"{fit.data.sizes['obs']} rows, {len(_columns(fit))} columns. {left} SHA-256 of the rows: {hashes}."
        parts.append(Section(
            ", ".join(c.name for c in group), (text,), (Table(_columns(fit), "Columns, with the range of their values."),),
            checks=tuple(told),
        ))  # fmt: skip
    return Section("Data", parts=tuple(parts))


def _columns(fit: Fit) -> pd.DataFrame:
    """Return a row a column: what it is, its unit and its range."""
    spec, data = fit.spec, fit.data
    meaning = {
        entry.column: f"input {entry.name}: {entry.meaning}" for entry in reversed(spec.inputs.values())
    }
    meaning |= {spec.output.name: "output", "sampling_error": "standard error of the output"}
    units = {spec.output.name: spec.output.unit, "sampling_error": spec.output.unit}
    units |= {entry.column: entry.unit for entry in spec.inputs.values()}
    rows = []
    for name, column in data.variables.items():
        if name == "obs" or column.dims != ("obs",):
            continue
        row: dict[str, Any] = {"column": name, "what": meaning.get(name, "")}
        if column.dtype.kind in "iufb":
            unit = units.get(name) or _UNITS.get(str(name), "–")
            rows.append({**row, "unit": unit, **_range(column.values.astype(float))})
        else:
            rows.append({**row, "unit": "label", "labels": _labels(column.values)})
    frame = pd.DataFrame(rows, dtype=object).set_index("column")
    return frame.assign(labels=frame["labels"].fillna("")) if "labels" in frame else frame


def _range(values: np.ndarray) -> dict[str, Any]:
    """Return lowest, median and highest value; whole numbers as such."""
    fine = values[np.isfinite(values)]
    ends = (fine.min(), np.median(fine), fine.max()) if len(fine) else (np.nan,) * 3
    whole = len(fine) and (fine == np.round(fine)).all() and np.abs(fine).max() < _LARGE
    shown = [int(v) if whole and v == round(v) else float(v) for v in ends]
    return dict(zip(("lowest", "median", "highest"), shown, strict=True))


def _labels(values: np.ndarray) -> str:
    found = list(dict.fromkeys(map(str, values)))
    more = f", … ({len(found)} in all)" if len(found) > _MOST_LABELS else ""
    return ", ".join(found[:_MOST_LABELS]) + more


def priors_section(fits: list[Case], prob: float) -> Section | None:
    """Say what was expected of every parameter, and what the data say; a point fit expects nothing."""
    parts = []
    for case in fits:
        if case.fit.method == "nuts":
            reference = reference_sentence(case.fit.spec)
            items = tuple(prior_sentences(case.fit, prob))
            parts.append(Section(case.name, (reference,) if reference else (), items=items))
    text = f"What was expected before the data, and what the data say: median and central {100 * prob:g} % interval."
    return Section("Priors", (text,), parts=tuple(parts)) if parts else None


# ---- fits and figures


def fits_section(cases: list[Case], prob: float) -> Section:
    """Show every fit's parameters, the point fit beside them."""
    parts = [
        _mixture_part(case) if isinstance(case.fit, Mixture) else _fit_part(case, prob) for case in cases
    ]
    return Section("Fits", parts=tuple(parts))


def _mixture_part(case: Case) -> Section:
    mixture = case.fit
    score = mixture.scores["log_score_joint"]
    weights = pd.DataFrame({"weight (share)": pd.Series(dict(mixture.weights))}).rename_axis("law")
    if {"law", "window"} == set(score.dims):
        weights["log score of blocks ahead (nat)"] = score.sum("window").to_pandas().reindex(weights.index)
    text = (
        f"A weighted mixture of {len(mixture.weights)} laws, which foretells like one fit; its laws follow."
    )
    return Section(
        case.name, (text,), (Table(weights, "How much each law counts, by how it foretold rows ahead."),)
    )


def _fit_part(case: Case, prob: float) -> Section:
    fit, beside = case.fit, case.point
    table = summary(fit, prob)
    caption = f"Parameters: median, central {100 * prob:g} % interval, mean, standard deviation"
    if fit.method == "nuts":
        table = table.assign(**{n: table[n].round().astype("Int64") for n in ("ess_bulk", "ess_tail")})
        caption += ", R-hat and effective sample sizes (ESS)"
    else:
        caption = f"Parameters: the point, and median, central {100 * prob:g} % interval, mean and standard deviation of its bootstrap"
    told = [fit_words(fit)]
    if beside is not None:
        values = summary(beside, prob).reindex(table.index)
        table = table.assign(
            **{"point fit": values["point"], "its lower": values["lower"], "its upper": values["upper"]}
        )
        caption += f"; then the point fit with its bootstrap's interval ({BOOTSTRAP} resamples)"
        held = [f"{p.name} at {p.fixed:g}" for p in beside.spec.parameters.values() if p.fixed is not None]
        told += [f"The point fit holds {', '.join(held)}, as its source does."] if held else []
    elif case.reason:
        told.append(f"No point fit beside it: {case.reason}")
    names = {"rhat": "R\u2011hat", "ess_bulk": "bulk ESS", "ess_tail": "tail ESS"}
    # What a posterior's parameters mean stands with its priors; a point fit has none.
    unshown = ("unit", "meaning") if fit.method == "nuts" else ("unit",)
    table = table[[c for c in table if c not in unshown]].set_axis(_with_units(table), axis=0)
    return Section(case.name, tuple(told), (Table(table.rename(columns=names), caption + "."),))


def _with_units(table: pd.DataFrame) -> pd.Index:
    units = [f"{n} ({u})" if u not in ("", "1") else str(n) for n, u in table["unit"].items()]
    return pd.Index(units, name="parameter")


def residuals_section(fits: list[Case], prob: float) -> Section:
    """Draw what each fit leaves over; a fit that forecasts nothing is drawn among its rows first."""
    return Section("Residuals", parts=tuple(_residuals(case, prob) for case in fits))


def _residuals(case: Case, prob: float) -> Section:
    from bayeslaw import plots

    figure = plots.plot_residuals(case.fit, prob, found=list(case.checks))
    alt = f"Residuals of {case.name}: against the input on the left, their quantiles against the expected ones on the right."
    left = Picture(figure, alt, "What the fit leaves over. A pattern says that law or noise are not right.")
    return Section(case.name, figures=(*([] if case.ahead else _rows_figure(case, prob)), left))
